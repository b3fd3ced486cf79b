//! Bounds on payments that depend on their token: amounts of tokens with other
//! decimals can't be compared.

/// A token's address in 32 bytes, on EVM with zeros before it.
pub type TokenKey = [u8; 32];

/// What holds for each token of a network, if anything does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerToken<T> {
    named: Vec<(TokenKey, Option<T>)>,
    rest: Option<T>,
}

impl<T: Copy> PerToken<T> {
    /// What holds for each of these tokens, and for the rest.
    pub fn new(named: impl IntoIterator<Item = (TokenKey, Option<T>)>, rest: Option<T>) -> Self {
        Self { named: named.into_iter().collect(), rest }
    }

    /// What holds for a token.
    pub fn of(&self, token: &TokenKey) -> Option<T> {
        let named = self.named.iter().find(|(key, _)| key == token);
        named.map_or(self.rest, |(_, value)| *value)
    }
}

impl<T> PerToken<T> {
    /// Whether anything holds for any token.
    pub fn is_any(&self) -> bool {
        self.rest.is_some() || self.named.iter().any(|(_, value)| value.is_some())
    }
}

impl<T> Default for PerToken<T> {
    /// Nothing for any token.
    fn default() -> Self {
        None.into()
    }
}

/// The same for every token.
impl<T> From<Option<T>> for PerToken<T> {
    fn from(rest: Option<T>) -> Self {
        Self { named: vec![], rest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_not_named_is_one_of_the_rest() {
        let [one, two, other] = [1, 2, 3].map(|byte| [byte; 32]);
        let bounds = PerToken::new([(one, Some(7)), (two, None)], Some(0));
        assert_eq!([one, two, other].map(|it| bounds.of(&it)), [Some(7), None, Some(0)]);
        assert_eq!(PerToken::from(Some(7)).of(&other), Some(7));
        assert_eq!(PerToken::<u8>::default().of(&one), None);
        assert!(PerToken::new([(one, Some(7))], None).is_any() && PerToken::from(Some(7)).is_any());
        assert!(bounds.is_any() && !PerToken::new([(two, None::<u8>)], None).is_any());
    }
}
