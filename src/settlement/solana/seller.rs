//! Whether the seller can be paid: what a simulation does not say that fails.

use super::SolanaLane;
use super::preview::Accounts;
use crate::rpc::{Call, READ_TIMEOUT, Reply, Unavailable};
use crate::settlement::Host;
use crate::settlement::condition::Obstacle;
use crate::solana::rpc::{self, Account};
use crate::solana::{Pubkey, Terms, TokenProgram, associated_token_address};

/// Who is paid, and in what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seller {
    /// The wallet that is paid, into its associated token account.
    pub pay_to: Pubkey,
    /// The token.
    pub mint: Pubkey,
    /// The program that the mint is said to belong to.
    pub token_program: TokenProgram,
}

/// What keeps a seller from being paid, and which key of the configuration it
/// is about.
#[derive(Clone)]
pub(super) struct Fault(pub Obstacle, pub String);

impl Seller {
    /// Who these terms pay.
    pub(super) fn of(terms: &Terms) -> Self {
        let parts = terms.parts();
        let (pay_to, mint) = (parts.pay_to, parts.mint);
        Self { pay_to, mint, token_program: parts.token_program }
    }

    /// The accounts that tell whether it can be paid, for [`Seller::fault`].
    pub(super) fn accounts(&self) -> Option<[Pubkey; 3]> {
        let program = self.token_program.id();
        let account = associated_token_address(&self.pay_to, &self.mint, &program)?;
        Some([account, self.pay_to, self.mint])
    }

    /// What is wrong, given the three accounts.
    pub(super) fn fault(&self, [account, pay_to, mint]: [Option<&Account>; 3]) -> Option<Fault> {
        let Self { pay_to: wallet, mint: token, token_program } = self;
        let Some(mint) = mint else {
            let text = format!("there is no token {token} on this cluster");
            return Some(Fault(Obstacle::Asset, text));
        };
        if mint.owner != token_program.id() {
            let text = match TokenProgram::from_id(&mint.owner) {
                Some(TokenProgram::Token2022) => {
                    format!("the token {token} belongs to Token-2022; put \"token-2022\"")
                }
                Some(TokenProgram::Spl) => {
                    format!("the token {token} belongs to SPL Token; put \"spl-token\"")
                }
                None => format!("{token} is no token: it belongs to {}", mint.owner),
            };
            return Some(Fault(Obstacle::TokenProgram, text));
        }
        if let Some(given) = pay_to.and_then(Account::as_token_account) {
            let text = format!(
                "{wallet} is itself a token account; put the wallet that owns it, {}",
                given.owner
            );
            return Some(Fault(Obstacle::PayTo, text));
        }
        let text = match account.map(Account::as_token_account) {
            Some(Some(account)) if account.mint == *token && !account.is_frozen => return None,
            Some(Some(account)) if account.mint == *token => {
                format!("the token account of {wallet} is frozen by the issuer of {token}")
            }
            _ => format!(
                "{wallet} has no token account for {token}; create it, for example by sending \
                 the wallet a little of the token"
            ),
        };
        Some(Fault(Obstacle::PayTo, text))
    }
}

/// All that can be wrong with a seller.
const OBSTACLES: [Obstacle; 3] = [Obstacle::PayTo, Obstacle::TokenProgram, Obstacle::Asset];

impl<H: Host> SolanaLane<H> {
    /// Has the health of this lane tell whether a seller can be paid, besides
    /// those that it tells of already: one for each token.
    pub fn look_after(&self, seller: Seller) {
        self.sellers.borrow_mut().push((seller, None));
    }

    /// Looks at the fee payer's balance, and whether the sellers can be paid.
    pub(in crate::settlement) async fn look_at_balance(&self) {
        let sellers: Vec<Seller> = self.sellers.borrow().iter().map(|(it, _)| *it).collect();
        let mut asked = vec![self.fee_payer];
        asked.extend(sellers.iter().filter_map(Seller::accounts).flatten());
        let params = rpc::get_multiple_accounts_params(&asked);
        let call = Call::new("getMultipleAccounts", params);
        let reply: Reply = match self.nodes.ask_once(&call, READ_TIMEOUT).await {
            Ok(reply) => reply,
            Err(error) => return self.shared.note_blindness(&error),
        };
        let Some(accounts) = Accounts::read(&reply, asked.len()) else {
            return self.shared.note_blindness(&Unavailable::default());
        };
        self.note_balance(accounts.lamports(0));
        let known = sellers.iter().filter(|seller| seller.accounts().is_some());
        for (n, seller) in known.enumerate() {
            let of_seller = [1, 2, 3].map(|at| accounts.get(3 * n + at));
            self.note_terms(seller, seller.fault(of_seller).as_ref());
        }
    }

    /// Takes note of what keeps a seller from being paid, or that nothing does.
    /// The health tells it only where it is one of those to look after: the
    /// terms of a payment may be those of somebody else's server.
    pub(super) fn note_terms(&self, seller: &Seller, fault: Option<&Fault>) {
        let mut sellers = self.sellers.borrow_mut();
        let Some((_, known)) = sellers.iter_mut().find(|(it, _)| it == seller) else { return };
        *known = fault.cloned();
        for obstacle in OBSTACLES {
            let mut faults = sellers.iter().filter_map(|(_, fault)| fault.as_ref());
            let text = faults.find(|it| it.0 == obstacle).map(|it| it.1.clone());
            self.shared.note_obstacle(obstacle, text);
        }
    }
}
