//! `/.edge402/sales/export`: all sales of a range as a file, page by page.

use worker::wasm_bindgen::JsValue;
use worker::web_sys::{Headers, Response, ResponseInit};
use worker::{Context, Env};

use super::super::head::RequestHead;
use super::super::many::fill;
use super::super::stream::{self, Writer};
use super::super::{js, respond};
use super::SILENT;
use super::refunds::between;
use crate::config::Config;
use crate::desk::export::{Export, File, read_export};
use crate::desk::merge::Merge;
use crate::desk::refunds::{Given, RefundsQuery};
use crate::desk::settlers;
use crate::gate::Head as _;

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
    let names: Vec<_> = names.map(|(_, name)| name).collect();
    let headers = Headers::new()?;
    headers.set("Content-Type", asked.format.media_type())?;
    headers.set("Content-Disposition", asked.format.disposition())?;
    headers.set("Cache-Control", "no-store")?;
    headers.set("X-Content-Type-Options", "nosniff")?;
    if head.method() == "HEAD" {
        return respond::respond(200, &headers, None);
    }
    let (env, mut merge) = (env.clone(), Merge::new(names.len()));
    if fill(&env, &names, &mut merge, &asked.query).await.is_none() {
        return respond::error(503, SILENT);
    }
    let mut refunds = vec![];
    let range = RefundsQuery::between(asked.query.from, asked.query.to);
    if between(&env, range, |some| refunds.extend(some)).await.is_none() {
        return respond::error(503, SILENT);
    }
    let given = Given::new(refunds);
    let (readable, writer) = stream::written()?;
    context.wait_until(js::in_a_box(async move {
        // A file that ends too soon would pass for all there is.
        match write(&writer, merge, &given, (&env, &names), &asked).await {
            Ok(()) => writer.close().await,
            Err(why) => {
                let _ = writer.write(&asked.format.cut()).await;
                writer.abort(&why).await;
            }
        }
    }));
    let init = ResponseInit::new();
    init.set_headers(&headers);
    Ok(Response::new_with_opt_readable_stream_and_init(Some(&readable), &init)?)
}

/// Writes the file, no faster than it is taken: the next sales are asked for when
/// those before are gone.
async fn write(
    writer: &Writer,
    mut sales: Merge,
    given: &Given,
    (env, names): (&Env, &[String]),
    asked: &Export,
) -> Result<(), JsValue> {
    let mut file = File::new(asked.format);
    writer.write(&asked.format.head()).await?;
    loop {
        writer.write(&file.write(&mut sales, given)).await?;
        if sales.is_over() {
            return writer.write(asked.format.tail()).await;
        }
        fill(env, names, &mut sales, &asked.query).await.ok_or(SILENT)?;
    }
}
