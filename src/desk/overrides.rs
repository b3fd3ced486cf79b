//! Prices, and what is off, changed without deploying: what the desk is asked, what
//! is kept of it, and what is shown.
//!
//! One Durable Object keeps the [`Board`], so that two changes at once are both
//! kept, and writes it to KV, where every edge reads it.

use serde_json::Value;

use crate::amount::Price;
use crate::config::{
    Config, MAX_FORMER, MAX_OVERRIDES, Override, Overrides, Route, canonical_name, pattern_in,
};
use crate::json::{self, json};
use crate::json_struct;
use crate::time::UnixSeconds;

/// Where they are shown and changed.
pub const OVERRIDES_PATH: &str = "/.edge402/desk/overrides";

/// The name of the Durable Object that keeps them. No Settler has it: theirs
/// begin with a network.
pub const OVERRIDES_OBJECT: &str = "desk/overrides";

/// The key under which KV holds what is in force.
pub const OVERRIDES_KEY: &str = "desk/overrides";

/// The longest body of a change, in bytes.
pub const MAX_CHANGE: usize = 4_096;

/// How many changes are remembered.
const MAX_HISTORY: usize = 200;

/// A change, as the object is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The route, as it is shown.
    pub route: String,
    /// The name that goes before that one, if something is kept under it.
    pub full_name: String,
    /// The new price; none for the configured one.
    pub price: Option<String>,
    /// Whether the price changes at all.
    pub sets_price: bool,
    /// Whether it is sold; none if that stays as it is.
    pub on: Option<bool>,
    /// What it costs by the configuration; none if there is no such route any
    /// more.
    pub configured: Option<String>,
    /// Who changes it.
    pub who: String,
}

json_struct!(Change { route, full_name, price, sets_price, on, configured, who });

/// A change that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// When.
    pub time: UnixSeconds,
    /// By whom: the first digits of a token's hash.
    pub who: String,
    /// Of which route.
    pub route: String,
    /// The price since then; none for the configured one.
    pub price: Option<String>,
    /// Whether it was sold since then.
    pub on: bool,
}

json_struct!(Past { time, who, route, price = null, on });

/// All that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Board {
    /// What holds.
    pub routes: Vec<Override>,
    /// How many changes were made.
    pub changes: u64,
    /// What was changed, the latest first.
    pub history: Vec<Past>,
    /// How many changes had been made when KV last took what holds.
    pub published: u64,
}

json_struct!(Board { routes, changes, history, published = default });

/// So many routes are overridden that there is no room for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

impl Board {
    /// What every edge reads.
    pub fn overrides(&self) -> Overrides {
        Overrides { routes: self.routes.clone(), changes: self.changes }
    }

    /// Whether KV holds it.
    pub fn is_published(&self) -> bool {
        self.published >= self.changes
    }

    /// Makes a change. What it doesn't name stays as it is here, whatever the
    /// seller has seen of it.
    ///
    /// # Errors
    /// There is no room for another route.
    pub fn make(&mut self, change: Change, now: UnixSeconds) -> Result<(), NoRoom> {
        let Change { route, full_name, price, sets_price, on, configured, who } = change;
        let named = |name: &str| self.routes.iter().position(|it| it.is_called(name));
        let at = match named(&full_name).or_else(|| named(&route)) {
            Some(at) => at,
            None => self.add(&route)?,
        };
        let Some(entry) = self.routes.get(at) else { return Err(NoRoom) };
        let has_whole = self.whole_of(entry).is_some();
        let Some(entry) = self.routes.get_mut(at) else { return Err(NoRoom) };
        let price = if sets_price { price } else { entry.price.clone() };
        let on = on.unwrap_or(entry.on);
        let before = entry.price.take().or_else(|| configured.clone());
        let after = price.clone().or_else(|| configured.clone());
        entry.former.retain(|it| Some(it) != before.as_ref() && Some(it) != after.as_ref());
        if before != after {
            entry.former.splice(..0, before);
        }
        entry.former.truncate(if configured.is_some() { MAX_FORMER } else { 0 });
        (entry.price, entry.on) = (price.clone(), on);
        // What is set for the whole pattern must not hold in its place.
        if entry.is_empty() && !has_whole {
            self.routes.remove(at);
        }
        self.changes += 1;
        self.history.insert(0, Past { time: now, who, route, price, on });
        self.history.truncate(MAX_HISTORY);
        Ok(())
    }

    /// What is kept for all methods of the pattern, where an entry is for some: of
    /// the time before the route was split.
    fn whole_of(&self, entry: &Override) -> Option<&Override> {
        let pattern = pattern_in(&entry.route)?;
        self.routes.iter().find(|it| it.route == pattern)
    }

    /// Makes room for a route, which is as its whole pattern has been: what only
    /// remembers former prices goes first.
    fn add(&mut self, route: &str) -> Result<usize, NoRoom> {
        if self.routes.len() >= MAX_OVERRIDES {
            let is_spare =
                |it: &Override| it.on && it.price.is_none() && self.whole_of(it).is_none();
            let spare = self.routes.iter().position(is_spare);
            self.routes.remove(spare.ok_or(NoRoom)?);
        }
        let route = route.to_owned();
        let mut entry = Override { route, price: None, on: true, former: vec![] };
        if let Some(whole) = self.whole_of(&entry) {
            entry = Override { route: entry.route, ..whole.clone() };
        }
        self.routes.push(entry);
        Ok(self.routes.len() - 1)
    }

    /// What the seller is shown: every route, and what is kept for routes that are
    /// no more.
    pub fn view(&self, config: &Config) -> Value {
        let routes = config.routes.iter().map(|route| {
            let entry = self.routes.iter().find(|it| it.is_called(&route.full_name));
            let by_pattern = || self.routes.iter().find(|it| it.route == route.pattern.as_str());
            let price = entry.or_else(by_pattern).and_then(|it| it.price.clone());
            let mut shown = json!({
                "route": route.name.clone(), "price": price, "on": route.on,
                "default_price": route.configured_price.to_string(),
            });
            if price.is_some_and(|price| price != route.price.to_string())
                && let Some(shown) = shown.as_object_mut()
            {
                let problem = "can't cost that any more; the configured price holds";
                shown.insert("problem".into(), json!(problem));
            }
            shown
        });
        let is_gone = |it: &&Override| {
            let is_it = |route: &Route| {
                it.is_called(&route.full_name) || it.route == route.pattern.as_str()
            };
            !config.routes.iter().any(is_it) && (!it.on || it.price.is_some())
        };
        let gone = self.routes.iter().filter(is_gone).map(|it| {
            json!({
                "route": it.route, "price": it.price, "on": it.on, "default_price": Value::Null,
                "problem": "there is no such route any more",
            })
        });
        json!({
            "routes": routes.chain(gone).collect::<Vec<_>>(),
            "published": self.is_published(),
            "history": self.history.iter().map(|it| json::to_value(it)).collect::<Vec<_>>(),
        })
    }

    /// Reads what the seller asks for (`PUT`), and what would hold then.
    ///
    /// # Errors
    /// A sentence for the seller: what to change.
    pub fn read_change(
        &self,
        config: &Config,
        body: &[u8],
        who: &str,
    ) -> Result<(Change, Self), String> {
        const WANTED: &str = "the body must be {\"route\": \"/a/*\", \"price\": \"$0.02\" or null, \
                              \"on\": true or false}, without what stays as it is";
        let body = json::from_slice(body).map_err(|_| WANTED)?;
        let members = body.as_object().ok_or(WANTED)?;
        let name = members.get("route").and_then(Value::as_str).ok_or(WANTED)?;
        let (price, on) = (members.get("price"), members.get("on"));
        let known = 1 + usize::from(price.is_some()) + usize::from(on.is_some());
        if known == 1 || members.len() != known || on.is_some_and(|it| !it.is_boolean()) {
            return Err(WANTED.into());
        }
        let (on, sets_price) = (on.and_then(Value::as_bool), price.is_some());
        let price = match price {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => {
                let price = text.parse::<Price>().map_err(|error| format!("price: {error}"))?;
                Some(price.to_string())
            }
            Some(_) => return Err(WANTED.into()),
        };
        let name = &*canonical_name(name);
        // A route that is gone can only be set back: what is not named is as it is kept.
        let sets_back = |kept: Option<&Override>| {
            kept.is_some_and(|it| {
                let has_price = if sets_price { price.is_some() } else { it.price.is_some() };
                !has_price && on.unwrap_or(it.on)
            })
        };
        let named = |it: &&Route| it.full_name == name || it.pattern.as_str() == name;
        let mut found = config.routes.iter().filter(named);
        // All methods of a pattern are called as the pattern is.
        let exact = config.routes.iter().find(|it| it.full_name == name);
        let route = match (exact.or_else(|| found.next()), found.next()) {
            (Some(route), None) => Some(route),
            (Some(_), Some(_)) if exact.is_some() => exact,
            (Some(route), Some(_)) => {
                let name = &route.full_name;
                return Err(format!("several routes have this pattern; name one, such as {name}"));
            }
            (None, _) => None,
        };
        let (name, full_name, configured) = match route {
            Some(route) => (
                route.name.clone(),
                route.full_name.clone(),
                Some(route.configured_price.to_string()),
            ),
            None if sets_back(self.routes.iter().find(|it| it.is_called(name))) => {
                (name.to_owned(), name.to_owned(), None)
            }
            None => return Err(format!("there is no route {name:?}")),
        };
        let who = who.to_owned();
        let change = Change { route: name, full_name, price, sets_price, on, configured, who };
        let mut then = self.clone();
        then.make(change.clone(), UnixSeconds(0)).map_err(|NoRoom| {
            format!("{MAX_OVERRIDES} routes are overridden; set another one back first")
        })?;
        Ok((change, then))
    }
}
