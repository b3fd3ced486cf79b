//! What the contracts of a chain do: two tokens and Multicall3.

use super::*;

impl Chain {
    pub(super) fn execute(&mut self, pooled: &Pooled, sender: Address, now_ms: u64) {
        let Pooled { hash, transaction } = pooled;
        let time = *self.blocks.last().unwrap();
        let mut state = self.state.clone();
        let run = self.run(&mut state, transaction.to, &transaction.data, time, true);
        let gas_used = match run {
            Err(Failure::Burns) => transaction.gas_limit,
            _ => gas_of(transaction.to, &transaction.data),
        };
        let (succeeded, transfers) = match run {
            Ok((_, transfers)) if gas_used <= transaction.gas_limit => (true, transfers),
            _ => (false, vec![]),
        };
        let gas_used = gas_used.min(transaction.gas_limit);
        let price =
            transaction.max_fee_per_gas.min(BASE_FEE + transaction.max_priority_fee_per_gas);
        self.relayer_balance = self.relayer_balance.saturating_sub(u128::from(gas_used) * price);
        let block = self.height();
        let mut logs = vec![];
        if succeeded {
            self.state = state;
            for mut transfer in transfers {
                transfer.transaction.clone_from(hash);
                let used = edge402::evm::keccak256(b"AuthorizationUsed(address,bytes32)");
                let moved = edge402::evm::keccak256(b"Transfer(address,address,uint256)");
                let from = encode_hex(&transfer.from.to_word());
                let token = transfer.token;
                // Permit2 says nothing.
                if !transfer.by_permit2 {
                    logs.push(json!({
                        "address": token,
                        "topics": [encode_hex(&used), from, encode_hex(&transfer.nonce)],
                        "data": "0x",
                        "transactionHash": hash,
                        "blockNumber": quantity(block.into()),
                    }));
                }
                logs.push(json!({
                    "address": token,
                    "topics": [encode_hex(&moved), from, encode_hex(&transfer.to.to_word())],
                    "data": encode_hex(&word_of(transfer.amount)),
                    "transactionHash": hash,
                    "blockNumber": quantity(block.into()),
                }));
                self.transfers.push(transfer);
            }
        }
        self.logs.extend(logs.iter().map(|log| (block, log.clone())));
        self.inputs.insert(hash.clone(), transaction.data.clone());
        let receipt = json!({
            "status": if succeeded { "0x1" } else { "0x0" },
            "transactionHash": hash,
            "from": sender,
            "blockNumber": quantity(block.into()),
            "gasUsed": quantity(gas_used.into()),
            "effectiveGasPrice": quantity(price),
            "logs": logs,
        });
        let seen_at = now_ms + self.receipt_delay;
        self.receipts.insert(hash.clone(), Mined { receipt, seen_at });
    }

    /// What a call returns and which transfers it makes; `Err` if it reverts.
    pub(super) fn run(
        &self,
        state: &mut State,
        to: Address,
        data: &[u8],
        time: u64,
        is_real: bool,
    ) -> Ran {
        if to == MULTICALL3 && self.has_multicall {
            let mut results = vec![];
            let mut transfers = vec![];
            let mut is_starved = false;
            for (target, allow_failure, data) in read_aggregate3(data) {
                if is_starved {
                    results.push((false, vec![]));
                    continue;
                }
                // x402's contract for what is paid by use looks at who calls it.
                if target == permit2::UPTO_PROXY && data[..4] == permit2::SETTLE_BY_USE {
                    results.push((false, vec![]));
                    continue;
                }
                match self.run(state, target, &data, time, is_real) {
                    Ok((returned, made)) => {
                        transfers.extend(made);
                        results.push((true, returned));
                    }
                    Err(failure @ (Failure::Reverts | Failure::Starves)) if allow_failure => {
                        is_starved = failure == Failure::Starves;
                        results.push((false, vec![]));
                    }
                    Err(failure) => return Err(failure),
                }
            }
            return Ok((write_results(&results), transfers));
        }
        if let Some(done) = self.run_permit2(state, to, data, time, is_real) {
            return done;
        }
        match self.factories.get(&to) {
            Some(Factory::Reverts) => return Err(Failure::Reverts),
            Some(Factory::Burns) if is_real => return Err(Failure::Burns),
            Some(_) => {
                state.deployed.insert(Address::new(data[12..32].try_into().unwrap()));
                return Ok((vec![], vec![]));
            }
            None => {}
        }
        if !is_token(to) {
            let is_asked = data.starts_with(&[0x16, 0x26, 0xba, 0x7e]);
            if is_asked && self.takes(state, to, bytes_at(data, 1), is_real)? {
                let mut yes = word_of(0);
                yes[..4].copy_from_slice(&data[..4]);
                return Ok((yes.to_vec(), vec![]));
            }
            // No code: it does nothing, with success.
            return Ok((vec![], vec![]));
        }
        let (token, from) = (to, address_at(data, 0));
        match data[..4] {
            [0xe9, 0x4a, 0x01, 0x02] => {
                let is_used = state.used.contains(&(token, from, word_at(data, 1)));
                Ok((word_of(is_used.into()).to_vec(), vec![]))
            }
            [0xdd, 0x62, 0xed, 0x3e] => Ok((word_of(self.allowance(state, from)).to_vec(), vec![])),
            [0x70, 0xa0, 0x82, 0x31] => {
                Ok((word_of(self.balance(state, token, from)).to_vec(), vec![]))
            }
            [0xe3, 0xee, 0x16, 0x0e] | [0xcf, 0x09, 0x29, 0x95] => {
                let is_wallets = data[0] == 0xcf;
                let has_it = self.overload == Overload::WithBytes || !is_wallets;
                if !has_it || is_wallets && !self.takes(state, from, bytes_at(data, 6), is_real)? {
                    return Err(Failure::Reverts);
                }
                let value = number_at(data, 2);
                let nonce = word_at(data, 5);
                match self.codes.get(&from) {
                    Some(Code::Spoils) => return Err(Failure::Burns),
                    Some(Code::Burns) if is_real => return Err(Failure::Burns),
                    Some(Code::Starves) => return Err(Failure::Starves),
                    _ => {}
                }
                let is_good = u128::from(time) > number_at(data, 3)
                    && u128::from(time) < number_at(data, 4)
                    && self.balance(state, token, from) >= value
                    && !(is_real && self.poisoned.contains(&nonce));
                if !is_good || !state.used.insert((token, from, nonce)) {
                    return Err(Failure::Reverts);
                }
                *state.spent.entry((token, from)).or_default() += value;
                let to = address_at(data, 1);
                Ok((
                    vec![],
                    vec![Transfer {
                        token,
                        from,
                        to,
                        nonce,
                        amount: value,
                        by_permit2: false,
                        transaction: String::new(),
                    }],
                ))
            }
            _ => Err(Failure::Reverts),
        }
    }

    /// Whether a smart wallet takes a signature; nobody's does, where it isn't
    /// deployed.
    fn takes(
        &self,
        state: &State,
        wallet: Address,
        signature: &[u8],
        is_real: bool,
    ) -> Result<bool, Failure> {
        let code = self.codes.get(&wallet);
        if code.is_none() && !state.deployed.contains(&wallet) {
            return Ok(false);
        }
        match code {
            Some(Code::Spoils) => return Err(Failure::Burns),
            Some(Code::Burns) if is_real => return Err(Failure::Burns),
            Some(Code::Changes) if is_real => return Ok(false),
            _ => {}
        }
        Ok(self.wallets.get(&wallet).is_some_and(|it| it == signature))
    }

    /// Runs creation code and returns what it returns.
    pub(super) fn create(&self, code: &[u8]) -> Vec<u8> {
        let (mut stack, mut memory) = (vec![], vec![0_u8; 24_576]);
        let mut rest = code;
        let as_size = |word: [u8; 32]| size(&word, 0);
        while let Some((operation, after)) = rest.split_first() {
            rest = after;
            match *operation {
                push @ 0x60..=0x7f => {
                    let (bytes, after) = rest.split_at(usize::from(push) - 0x5f);
                    let mut word = [0; 32];
                    word[32 - bytes.len()..].copy_from_slice(bytes);
                    stack.push(word);
                    rest = after;
                }
                0x3b => {
                    let account = Address::new(stack.pop().unwrap()[12..].try_into().unwrap());
                    let has_code =
                        self.codes.contains_key(&account) || self.state.deployed.contains(&account);
                    stack.push(word_of(if has_code { 23 } else { 0 }));
                }
                0x52 => {
                    let offset = as_size(stack.pop().unwrap());
                    memory[offset..][..32].copy_from_slice(&stack.pop().unwrap());
                }
                0xf3 => {
                    let offset = as_size(stack.pop().unwrap());
                    let length = as_size(stack.pop().unwrap());
                    return memory[offset..][..length].to_vec();
                }
                other => panic!("operation {other:#x}"),
            }
        }
        vec![]
    }

    pub(super) fn balance(&self, state: &State, token: Address, account: Address) -> u128 {
        let first = self.balances.get(&account).copied().unwrap_or(self.token_balance);
        first.saturating_sub(state.spent.get(&(token, account)).copied().unwrap_or(0))
    }
}
