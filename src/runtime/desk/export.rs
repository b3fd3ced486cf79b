//! `/.edge402/sales/export`: all sales of a range as a file, page by page.

use worker::wasm_bindgen::JsValue;
use worker::web_sys::{Headers, Response, ResponseInit};
use worker::{Context, Env, console_error};

use super::super::head::RequestHead;
use super::super::settler_client::SettlerClient;
use super::super::stream::{self, Writer};
use super::super::{js, respond};
use super::SILENT;
use super::refunds::between;
use crate::config::Config;
use crate::desk::export::{Export, Merge, read_export};
use crate::desk::refunds::{Given, RefundsQuery};
use crate::desk::settlers;
use crate::gate::Head as _;
use crate::together::join_all;

/// A Settler, and its name for the log.
type Named = (String, SettlerClient);

pub(super) async fn answer(
    config: &Config,
    env: &Env,
    context: &Context,
    head: &RequestHead,
) -> worker::Result<Response> {
    let asked = match read_export(head.parts().query) {
        Ok(asked) => asked,
        Err(message) => return respond::error(400, &message),
    };
    let names = settlers(config, asked.query.network).into_iter();
    let settlers = names.map(|(_, name)| Ok((name.clone(), SettlerClient::new(env, &name)?)));
    let settlers: Vec<Named> = settlers.collect::<worker::Result<_>>()?;
    let headers = Headers::new()?;
    headers.set("Content-Type", asked.format.media_type())?;
    headers.set("Content-Disposition", asked.format.disposition())?;
    headers.set("Cache-Control", "no-store")?;
    headers.set("X-Content-Type-Options", "nosniff")?;
    if head.method() == "HEAD" {
        return respond::respond(200, &headers, None);
    }
    let mut merge = Merge::new(settlers.len(), asked.format);
    if fill(&mut merge, &settlers, &asked).await.is_none() {
        return respond::error(503, SILENT);
    }
    let mut refunds = vec![];
    let range = RefundsQuery::between(asked.query.from, asked.query.to);
    if between(env, range, |some| refunds.extend(some)).await.is_none() {
        return respond::error(503, SILENT);
    }
    let given = Given::new(refunds);
    let (readable, writer) = stream::written()?;
    context.wait_until(js::in_a_box(async move {
        // A file that ends too soon would pass for all there is: it breaks off.
        match write(&writer, merge, &given, &settlers, &asked).await {
            Ok(()) => writer.close().await,
            Err(why) => writer.abort(&why).await,
        }
    }));
    let init = ResponseInit::new();
    init.set_headers(&headers);
    Ok(Response::new_with_opt_readable_stream_and_init(Some(&readable), &init)?)
}

/// Writes the file, no faster than it is taken.
async fn write(
    writer: &Writer,
    mut merge: Merge,
    given: &Given,
    settlers: &[Named],
    asked: &Export,
) -> Result<(), JsValue> {
    writer.write(&asked.format.head()).await?;
    loop {
        writer.write(&merge.write(given)).await?;
        if merge.is_over() {
            return writer.write(asked.format.tail()).await;
        }
        fill(&mut merge, settlers, asked).await.ok_or(SILENT)?;
    }
}

/// Asks the Settlers of which no sales are left in memory.
async fn fill(merge: &mut Merge, settlers: &[Named], asked: &Export) -> Option<()> {
    let wanted = merge.wanted(&asked.query);
    let questions = wanted.iter().filter_map(|(number, query)| {
        let (name, settler) = settlers.get(*number)?;
        Some(Box::pin(async move {
            let said = settler.sales(query).await;
            said.map_err(|error| console_error!("sales of {}: {}", name, error.to_string())).ok()
        }) as _)
    });
    let said = join_all(questions.collect()).await;
    for ((number, _), sales) in wanted.iter().zip(said) {
        merge.add(*number, sales?);
    }
    Some(())
}
