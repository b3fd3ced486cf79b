//! What a node of a chain answers.

use super::*;

impl Chain {
    /// How much gas the relayer's failed transactions used.
    pub fn burnt(&self) -> u64 {
        let receipts = self.mined.iter().map(|it| &self.receipts[&it.hash].receipt);
        let failed = receipts.filter(|receipt| receipt["status"] == "0x0");
        failed.map(|receipt| u64::try_from(number(&receipt["gasUsed"])).unwrap()).sum()
    }

    pub fn receipt(&self, hash: &str, now_ms: u64) -> Value {
        match self.receipts.get(hash) {
            Some(mined) if mined.seen_at <= now_ms => mined.receipt.clone(),
            _ => Value::Null,
        }
    }

    fn fee_history(&self, count: u128) -> Value {
        let count = count.min(self.blocks.len() as u128) as usize;
        let oldest = self.height() + 1 - count as u64;
        let ratios: Vec<_> = (oldest..).take(count).map(|it| self.fullness(it)).collect();
        json!({
            "oldestBlock": quantity(oldest.into()),
            "gasUsedRatio": ratios,
            "baseFeePerGas": vec![quantity(BASE_FEE); count + 1],
            "reward": vec![["0x1"]; count],
        })
    }

    /// How much of a block's gas is used.
    fn fullness(&self, block: u64) -> f64 {
        let receipts = self.mined.iter().map(|it| &self.receipts[&it.hash].receipt);
        let here = receipts.filter(|it| number(&it["blockNumber"]) == u128::from(block));
        let own: u128 = here.map(|it| number(&it["gasUsed"])).sum();
        let thousandths = 1_000 * (u128::from(self.others_gas) + own) / u128::from(self.block_gas);
        f64::from(u32::try_from(thousandths).unwrap()) / 1_000.0
    }

    pub fn answer(
        &mut self,
        method: &str,
        params: &Value,
        now_ms: u64,
    ) -> Result<Value, (i64, String)> {
        let simulated = |chain: &Self| {
            chain.simulations.set(chain.simulations.get() + 1);
            let call = &params[0];
            let to = call["to"].as_str().unwrap().parse().unwrap();
            let data = bytes(&call["data"]);
            // As nodes do: in a block with the latest one's time, or as is asked.
            let asked = params.get(3).filter(|_| chain.overrides == Overrides::Takes);
            let time = asked.map_or(*chain.blocks.last().unwrap(), |it| {
                u64::try_from(number(&it["time"])).unwrap()
            });
            let mut state = chain.state.clone();
            if params[1].as_str().is_some_and(|block| block.starts_with("0x")) {
                if number(&params[1]) > u128::from(chain.height()) {
                    return Err((-32_000, "header not found".to_owned()));
                }
                state.bits.retain(|_, block| u128::from(*block) <= number(&params[1]));
            }
            let run = chain.run(&mut state, to, &data, time, false);
            // What tells a token that has the overload with bytes.
            let is_over = data.starts_with(&[0xcf, 0x09, 0x29, 0x95]) && number_at(&data, 4) == 0;
            run.map(|(returned, _)| (to, data, returned)).map_err(|failure| match failure {
                Failure::Reverts if is_over && chain.overload == Overload::WithBytes => {
                    (3, "execution reverted: FiatTokenV2: authorization is expired".to_owned())
                }
                Failure::Reverts | Failure::Starves => (3, "execution reverted".to_owned()),
                Failure::Burns => (-32_000, "out of gas".to_owned()),
            })
        };
        if params.get(3).is_some() && self.overrides == Overrides::Refuses {
            return Err((-32_602, "too many arguments, want at most 3".to_owned()));
        }
        Ok(match method {
            "eth_chainId" => quantity(CHAIN.into()).into(),
            "eth_getTransactionCount" => {
                let mut count = self.count();
                while params[1] == "pending" && self.pool.contains_key(&count) {
                    count += 1;
                }
                quantity(count.into()).into()
            }
            "eth_blockNumber" => quantity(self.height().into()).into(),
            "eth_getBalance" => quantity(self.relayer_balance).into(),
            "eth_feeHistory" => self.fee_history(number(&params[0])),
            "eth_call" if params[0].get("to").is_none() => {
                if !self.runs_creation {
                    return Err((-32_602, "missing field `to`".into()));
                }
                encode_hex(&self.create(&bytes(&params[0]["data"]))).into()
            }
            "eth_getCode" => {
                let account: Address = params[0].as_str().unwrap().parse().unwrap();
                let has_code = self.codes.contains_key(&account);
                if has_code { format!("0xef0100{}", "7e".repeat(20)) } else { "0x".into() }.into()
            }
            "eth_call" => encode_hex(&simulated(self)?.2).into(),
            "eth_estimateGas" => {
                let (to, data, _) = simulated(self)?;
                quantity(gas_of(to, &data).into()).into()
            }
            "eth_sendRawTransactionSync" if !self.has_sync => {
                return Err((-32_601, "the method does not exist".into()));
            }
            "eth_sendRawTransaction" | "eth_sendRawTransactionSync" => {
                self.take(&bytes(&params[0]))?.into()
            }
            "eth_getTransactionReceipt" => self.receipt(params[0].as_str().unwrap(), now_ms),
            "eth_getTransactionByHash" => match self.inputs.get(params[0].as_str().unwrap()) {
                Some(input) => json!({ "hash": params[0], "input": encode_hex(input) }),
                None => Value::Null,
            },
            "eth_getLogs" => {
                let from = number(&params[0]["fromBlock"]);
                let to = &params[0]["toBlock"];
                let to = if to == "latest" { self.height().into() } else { number(to) };
                let topics = &params[0]["topics"];
                let found = self.logs.iter().filter(|(block, log)| {
                    let hash = log["transactionHash"].as_str().unwrap();
                    (from..=to).contains(&u128::from(*block))
                        && is_at(&log["address"], &params[0]["address"])
                        && are_these(&log["topics"], topics)
                        && self.receipt(hash, now_ms) != Value::Null
                });
                found.map(|(_, log)| log.clone()).collect::<Vec<_>>().into()
            }
            "eth_getBlockByNumber" => {
                let asked = match &params[0] {
                    Value::String(tag) if tag == "latest" => self.height().into(),
                    number_of => number(number_of),
                };
                let index = asked.checked_sub(u128::from(FIRST_BLOCK));
                // Older blocks are of long ago.
                let time = index.map_or(1, |it| self.blocks[usize::try_from(it).unwrap()]);
                let limit = Some(self.block_gas).filter(|gas| *gas < u64::MAX);
                let limit = limit.map(|gas| quantity(gas.into()));
                json!({ "number": quantity(asked), "timestamp": quantity(time.into()), "gasLimit": limit })
            }
            _ => return Err((-32_601, format!("the method {method} does not exist"))),
        })
    }

    /// Takes signed bytes into the pool, as geth would.
    pub(super) fn take(&mut self, raw: &[u8]) -> Result<String, (i64, String)> {
        let refused = |text: &str| Err((-32_000, text.to_owned()));
        let hash = encode_hex(&keccak256(raw));
        let (sender, transaction) = read_transaction(raw);
        assert_eq!(sender, self.relayer, "signed by the relayer");
        assert_eq!(transaction.chain_id, CHAIN);
        if transaction.nonce < self.count() {
            return refused("nonce too low");
        }
        let fees = Fees {
            max_fee_per_gas: transaction.max_fee_per_gas,
            max_priority_fee_per_gas: transaction.max_priority_fee_per_gas,
        };
        if self.relayer_balance < fees.worst_cost(transaction.gas_limit) {
            return refused("insufficient funds for gas * price + value");
        }
        if let Some(known) = self.pool.get(&transaction.nonce) {
            if known.hash == hash {
                return refused("already known");
            }
            let is_more = |new: u128, old: u128| new * 10 >= old * 11;
            let known = &known.transaction;
            if !is_more(transaction.max_fee_per_gas, known.max_fee_per_gas)
                || !is_more(transaction.max_priority_fee_per_gas, known.max_priority_fee_per_gas)
            {
                return refused("replacement transaction underpriced");
            }
        }
        if self.forgets > 0 {
            self.forgets -= 1;
        } else {
            self.pool.insert(transaction.nonce, Pooled { hash: hash.clone(), transaction });
        }
        Ok(hash)
    }
}
