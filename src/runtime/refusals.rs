//! The log's lines on refused payments: so many a minute in an isolate.

use worker::console_log;

use super::clock;
use crate::json::write_object;
use crate::settlement::lines::Lines;
use crate::settlement::sales::RefusalLine;

thread_local! {
    static LINES: Lines = Lines::default();
}

/// Writes one, if there is room for it in this minute.
pub(super) fn log(refusal: &RefusalLine<'_>) {
    let written = LINES.with(|lines| lines.count(clock::now()));
    if let Some(count) = written.left_out {
        let mut line = String::new();
        let name = "edge402.refusals_left_out";
        write_object(&[("event.name", &name), ("edge402.count", &count)], &mut line);
        console_log!("{}", line);
    }
    if written.line {
        let line = refusal.text();
        console_log!("{}", line);
    }
}
