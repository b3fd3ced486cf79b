//! What this very request costs, on a route with `prices`.
//!
//! A client writes its request as it likes, and an origin may read it in another
//! way than the gate: the last of two members, a name in other letters, a body
//! that isn't what its type says. So a condition has three answers, and where it
//! can't be told whether it holds, the request costs the dearest of what it
//! might: nobody pays less for being unclear.

use serde_json::Value;

use super::door;
use super::named_method;
use super::notice::other_spellings;
use super::said::{Content, Said, may_hold_members, resembles};
use super::who::{Holds, is_of};
use super::{Body, Head};
use crate::config::{Loaded, Method, Route, Wanted, When};

/// Whether the price of a request depends on its body: then it must be read
/// before [`decide`](super::decide).
pub fn must_read_body(loaded: &Loaded, head: &impl Head) -> bool {
    let Ok(config) = &loaded.config else { return false };
    if config.routes.iter().all(|route| route.prices.is_empty()) {
        return false;
    }
    let Ok(method) = head.method().parse::<Method>();
    let found = door::find(loaded, head.parts().path, &method);
    let Ok(Some(door::Asked { found, .. })) = found else { return false };
    let rules = found.route.and_then(|it| config.routes.get(it)).map(|it| it.prices.as_slice());
    rules.unwrap_or_default().iter().any(|rule| {
        let when = &rule.when;
        when.reads_body()
            || when.method.is_some() && named_method::type_that_may_name(head, &method).is_some()
            || !when.query.is_empty() && may_hold_members(head, &method)
    })
}

impl Route {
    /// The route at what a request costs: by the first rule that holds, or at
    /// the dearest of those that perhaps hold before it, if that is more.
    pub(super) fn for_request<'a>(
        &'a self,
        head: &impl Head,
        method: &Method,
        query: &str,
    ) -> &'a Self {
        if self.prices.is_empty() {
            return self;
        }
        let mut dearest: Option<&'a Self> = None;
        let mut offer = |route: &'a Self| {
            if dearest.is_none_or(|it| it.price < route.price) {
                dearest = Some(route);
            }
        };
        let said = Said::new(head, method, query);
        for rule in &self.prices {
            match holds(&rule.when, &said) {
                Holds::No => {}
                Holds::Perhaps => offer(&rule.route),
                Holds::Yes => {
                    offer(&rule.route);
                    return dearest.unwrap_or(self);
                }
            }
        }
        offer(self);
        dearest.unwrap_or(self)
    }
}

/// Whether all conditions of a rule hold.
fn holds(when: &When, said: &Said<'_, impl Head>) -> Holds {
    let head = said.head;
    let mut holds = Holds::Yes;
    if let Some(wanted) = &when.method {
        holds = holds.min(of_method(wanted, said));
    }
    for (name, wanted) in &when.query {
        holds = holds.min(of_query(name, wanted, said));
    }
    for (name, wanted) in &when.headers {
        holds = holds.min(of_header(name, wanted, head));
    }
    if let Some(class) = &when.class
        && holds > Holds::No
    {
        holds = holds.min(is_of(class, head));
    }
    // What is dearest to ask comes last.
    if let Some((path, wanted)) = &when.body
        && holds > Holds::No
    {
        holds = holds.min(of_body(path, wanted, said));
    }
    holds
}

/// Origins may read another method from a header, the query or the body.
fn of_method(wanted: &Method, said: &Said<'_, impl Head>) -> Holds {
    let Said { head, method, query, .. } = *said;
    let in_body = || {
        named_method::type_that_may_name(head, method).is_some_and(|it| match head.body() {
            Body::Unread => true,
            Body::Read([]) => false,
            Body::Read(bytes) => {
                named_method::must_be_plain(head, &it).is_err()
                    || named_method::body_names_method(&it, bytes)
            }
        })
    };
    if door::names_other_method(head, query) || in_body() {
        Holds::Perhaps
    } else if wanted.covers(method) {
        Holds::Yes
    } else {
        Holds::No
    }
}

/// A text that is there. Some origins look for the very text, to others letter case
/// and blanks make no difference; others leave out what is not plain in it, or take
/// it for a plain letter.
fn of_text(wanted: &Wanted, text: &str) -> Holds {
    let is_plain = || text.trim().bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if wanted.is(text) {
        Holds::Yes
    } else if wanted.resembles(text) || !is_plain() {
        Holds::Perhaps
    } else {
        Holds::No
    }
}

/// Of several texts, origins read the first, the last, or all of them.
fn of_texts<'a>(wanted: &Wanted, mut texts: impl Iterator<Item = &'a str>) -> Holds {
    let Some(first) = texts.next() else { return Holds::No };
    let first = of_text(wanted, first);
    if texts.all(|text| of_text(wanted, text) == first) { first } else { Holds::Perhaps }
}

fn of_query(name: &str, wanted: &Wanted, said: &Said<'_, impl Head>) -> Holds {
    let Some(texts) = said.in_query(name) else { return Holds::Perhaps };
    of_texts(wanted, texts.iter().map(String::as_str))
}

fn of_header(name: &str, wanted: &Wanted, head: &impl Head) -> Holds {
    // CGI knows no dashes.
    let others = other_spellings(name, || head.header_names());
    if others.iter().any(|it| head.named_header(it).is_some()) {
        return Holds::Perhaps;
    }
    let Some(text) = head.named_header(name) else { return Holds::No };
    // One that was sent twice has a comma in it.
    let parts = text.split(',').filter(|_| text.contains(',')).map(str::trim);
    match (of_text(wanted, &text), of_texts(wanted, parts)) {
        (whole, _) if !text.contains(',') => whole,
        (whole, parts) if whole == parts => whole,
        _ => Holds::Perhaps,
    }
}

fn of_body(path: &[String], wanted: &Wanted, said: &Said<'_, impl Head>) -> Holds {
    if said.names_in_query(path) {
        return Holds::Perhaps;
    }
    let mut value = match said.content() {
        Content::Nothing => return Holds::No,
        Content::Json(body) => body,
        Content::Unclear => return Holds::Perhaps,
    };
    for name in path {
        let Some(members) = value.as_object() else { return Holds::Perhaps };
        if members.keys().any(|own| own != name && resembles(own, name)) {
            return Holds::Perhaps;
        }
        match members.get(name) {
            None | Some(Value::Null) => return Holds::No,
            Some(member) => value = member,
        }
    }
    match value {
        Value::String(text) => of_text(wanted, text),
        Value::Bool(_) => of_text(wanted, &value.to_string()),
        Value::Number(number) if !number.is_f64() => of_text(wanted, &value.to_string()),
        // What an origin makes of `4.0` or `["gpt-4"]`, nobody knows.
        _ => Holds::Perhaps,
    }
}
