//! Questions to many objects. Of one invocation Cloudflare's free plan takes 50; where
//! a seller has more Settlers, other objects ask them, some each.

use serde_json::Value;
use worker::{Env, Response, console_error};

use super::settler_client::SettlerClient;
use crate::desk::merge::Merge;
use crate::json::{self, FromJson, ToJson, to_text};
use crate::settlement::SalesQuery;
use crate::together::join_all;

/// How many objects one invocation asks.
const AT_ONCE: usize = 40;

/// How many of those others ask at once.
const GROUPS_AT_ONCE: usize = 4;

/// One question to one object.
pub(super) struct Question {
    pub name: String,
    pub verb: &'static str,
    /// JSON.
    pub message: String,
}

impl Question {
    pub(super) fn new(name: &str, verb: &'static str, message: &dyn ToJson) -> Self {
        Self { name: name.to_owned(), verb, message: to_text(message) }
    }
}

/// What each of them says, in the order of the questions; nothing where one does not
/// answer, which is in the log.
pub(super) async fn ask<T: FromJson>(env: &Env, questions: &[Question]) -> Vec<Option<T>> {
    let said = ask_all(env, questions).await;
    let read = questions.iter().zip(&said).map(|(question, said)| {
        let read = T::from_json(said.as_ref()?);
        if read.is_none() {
            console_error!("{} of {}: it can't be read", question.verb, question.name);
        }
        read
    });
    read.collect()
}

async fn ask_all(env: &Env, questions: &[Question]) -> Vec<Option<Value>> {
    let all = questions.iter().map(|it| (it.name.as_str(), it.verb, it.message.as_str()));
    let all: Vec<_> = all.collect();
    if all.len() <= AT_ONCE {
        return values(&all, texts(env, &all).await);
    }
    let groups: Vec<_> = all.chunks(AT_ONCE).enumerate().collect();
    let mut said = vec![];
    for some in groups.chunks(GROUPS_AT_ONCE) {
        let some = some.iter().map(|(number, some)| Box::pin(ask_group(env, *number, some)) as _);
        said.extend(join_all(some.collect()).await.into_iter().flatten());
    }
    said
}

/// One object's name, the verb, and the message.
type Asked<'a> = (&'a str, &'a str, &'a str);

/// Asks each of them.
async fn texts(env: &Env, asked: &[Asked<'_>]) -> Vec<Option<String>> {
    let each = asked.iter().map(|(name, verb, message)| {
        Box::pin(async move {
            let said = match SettlerClient::new(env, name) {
                Ok(settler) => settler.post(verb, (*message).to_owned()).await,
                Err(error) => Err(error),
            };
            said.map_err(|error| console_error!("{} of {}: {}", verb, name, error.to_string())).ok()
        }) as _
    });
    join_all(each.collect()).await
}

fn values(asked: &[Asked<'_>], texts: Vec<Option<String>>) -> Vec<Option<Value>> {
    let read = asked.iter().zip(texts).map(|((name, verb, _), text)| {
        let read = json::parse(&text?);
        read.map_err(|error| console_error!("{} of {}: {}", verb, name, error.to_string())).ok()
    });
    read.collect()
}

/// Has another object ask some of them.
async fn ask_group(env: &Env, number: usize, some: &[Asked<'_>]) -> Vec<Option<Value>> {
    let name = format!("desk/gather/{number}");
    let message = some
        .iter()
        .map(|(name, verb, message)| format!("[{},{},{message}]", to_text(name), to_text(verb)));
    let message = format!("[{}]", message.collect::<Vec<_>>().join(","));
    let asked: &[Asked<'_>] = &[(&name, "gather", &message)];
    let said = values(asked, texts(env, asked).await).pop().flatten();
    let Some(Value::Array(said)) = said else { return vec![None; some.len()] };
    let said = said.into_iter().map(|it| Some(it).filter(|it| !it.is_null()));
    let said: Vec<_> = said.collect();
    if said.len() == some.len() { said } else { vec![None; some.len()] }
}

/// Answers in the object that asks for another one.
pub(super) async fn gather(env: &Env, body: &str) -> worker::Result<Response> {
    let asked = json::parse(body).map_err(|error| error.to_string())?;
    let asked: Vec<_> = asked.as_array().into_iter().flatten().filter_map(read).collect();
    let asked: Vec<_> = asked.iter().map(|it| (&*it.0, &*it.1, &*it.2)).collect();
    let said = texts(env, asked.get(..AT_ONCE).unwrap_or(&asked)).await;
    let said = said.into_iter().map(|it| it.unwrap_or_else(|| "null".into()));
    Response::ok(format!("[{}]", said.collect::<Vec<_>>().join(",")))
}

fn read(asked: &Value) -> Option<(String, String, String)> {
    let text = |place: usize| asked.get(place)?.as_str().map(str::to_owned);
    Some((text(0)?, text(1)?, asked.get(2)?.to_string()))
}

/// Asks the Settlers of these names of whom no sales are left in memory. Nothing if
/// one does not answer.
pub(super) async fn fill(
    env: &Env,
    names: &[String],
    merge: &mut Merge,
    query: &SalesQuery,
) -> Option<()> {
    let (mut numbers, mut questions) = (vec![], vec![]);
    for (number, query) in merge.wanted(query) {
        numbers.push(number);
        questions.push(Question::new(names.get(number)?, "sales", &query));
    }
    let said = ask(env, &questions).await;
    for (number, sales) in numbers.into_iter().zip(said) {
        merge.add(number, sales?);
    }
    Some(())
}
