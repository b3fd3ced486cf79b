//! What is asked of `/.edge402/sales/export`: all sales of a range as one file,
//! made of the Settlers' pages as they come.

use super::merge::Merge;
use super::query::pairs_of;
use super::refunds::{Given, Shown, in_cells};
use super::{check_range, read_network, read_time};
use crate::json::to_text;
use crate::settlement::{Sale, SalesQuery};

/// Where it is had.
pub const EXPORT_PATH: &str = "/.edge402/sales/export";

const KNOWN: &[&str] = &["format", "from", "to", "route", "network"];

/// What the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, with a line of names.
    Csv,
    /// One array.
    Json,
}

impl Format {
    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Json => "application/json",
        }
    }

    /// What the file is called.
    pub const fn disposition(self) -> &'static str {
        match self {
            Self::Csv => "attachment; filename=\"sales.csv\"",
            Self::Json => "attachment; filename=\"sales.json\"",
        }
    }

    /// What the file begins with.
    pub fn head(self) -> String {
        match self {
            Self::Csv => format!("{}\r\n", COLUMNS.join(",")),
            Self::Json => "[".into(),
        }
    }

    /// What stands in place of its end where a Settler fails in between. Not every
    /// runtime lets a client see that a body was aborted: workerd ends it as any other.
    /// No JSON is whole without its end; in a table nobody would miss what is not there.
    pub fn cut(self) -> String {
        match self {
            Self::Csv => {
                let cells = ",".repeat(COLUMNS.len().saturating_sub(1));
                format!("INCOMPLETE: a Settler does not answer{cells}\r\n")
            }
            Self::Json => String::new(),
        }
    }

    /// What it ends with.
    pub const fn tail(self) -> &'static str {
        match self {
            Self::Csv => "",
            Self::Json => "]\n",
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Export {
    /// What the file is.
    pub format: Format,
    /// Of which sales.
    pub query: SalesQuery,
}

/// Reads a request's query (from its `?` on).
///
/// # Errors
/// A sentence for the client: what to change.
pub fn read_export(query: &str) -> Result<Export, String> {
    let all = SalesQuery { limit: u32::MAX, ..SalesQuery::default() };
    let mut export = Export { format: Format::Csv, query: all };
    for (name, value) in pairs_of(query, KNOWN)? {
        match name.as_str() {
            "from" => export.query.from = Some(read_time(&name, &value)?),
            "to" => export.query.to = Some(read_time(&name, &value)?),
            "route" => export.query.route = Some(value),
            "network" => export.query.network = Some(read_network(&value)?),
            _ => {
                export.format = match value.as_str() {
                    "csv" => Format::Csv,
                    "json" => Format::Json,
                    _ => return Err("format must be csv or json".into()),
                }
            }
        }
    }
    check_range(&export.query)?;
    Ok(export)
}

/// The file, as it is written.
#[derive(Debug)]
pub struct File {
    format: Format,
    is_first: bool,
}

impl File {
    /// Before anything is written.
    pub const fn new(format: Format) -> Self {
        Self { format, is_first: true }
    }

    /// The part of the file that can be written now.
    pub fn write(&mut self, sales: &mut Merge, given: &Given) -> String {
        let mut text = String::new();
        while let Some(sale) = sales.take() {
            match self.format {
                Format::Csv => write_row(&sale, given, &mut text),
                Format::Json => {
                    if !self.is_first {
                        text.push_str(",\n");
                    }
                    text.push_str(&to_text(&Shown(&sale, given)));
                }
            }
            self.is_first = false;
        }
        text
    }
}

const COLUMNS: &[&str] = &[
    "time",
    "route",
    "path",
    "method",
    "amount",
    "asset",
    "network",
    "payer",
    "transaction",
    "payment",
    "way",
    "x402_version",
    "fee",
    "delivered",
    "redeliveries",
    "refunded",
    "refunds",
];

fn write_row(sale: &Sale, given: &Given, to: &mut String) {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let [refunded, refunds] = in_cells(given.of(&sale.payment));
    let cells = [
        // As spreadsheets read it.
        sale.time.iso8601(),
        text(&sale.route),
        // What a buyer writes there begins no cell where `;` parts them.
        text(&sale.path).replace(';', "%3B"),
        text(&sale.method),
        sale.amount.to_string(),
        text(&sale.asset),
        sale.network.map(|it| it.to_string()).unwrap_or_default(),
        sale.payer.clone(),
        sale.transaction.clone(),
        sale.payment.clone(),
        text(&sale.way),
        sale.x402_version.map(|it| it.to_string()).unwrap_or_default(),
        text(&sale.fee),
        sale.delivered.map(|it| it.to_string()).unwrap_or_default(),
        sale.redeliveries.to_string(),
        refunded,
        refunds,
    ];
    for (place, cell) in cells.iter().enumerate() {
        if place > 0 {
            to.push(',');
        }
        write_cell(cell, to);
    }
    to.push_str("\r\n");
}

/// Writes a cell (RFC 4180, section 2). What a spreadsheet would take for a formula
/// has an apostrophe before it: [OWASP, CSV injection]. That is where the cell
/// begins, and inside of it behind what parts cells or rows elsewhere.
///
/// [OWASP, CSV injection]: https://owasp.org/www-community/attacks/CSV_Injection
pub fn write_cell(cell: &str, to: &mut String) {
    let is_quoted = cell.contains(['"', ',', '\r', '\n']);
    if is_quoted {
        to.push('"');
    }
    let mut rest = cell;
    let mut is_start = true;
    while let Some(letter) = rest.chars().next() {
        // The two halves of one line break are not parted.
        let goes_on = letter == '\n' && rest.len() < cell.len();
        if is_start && !goes_on && begins_formula(rest) {
            to.push('\'');
        }
        is_start = is_separator(letter);
        if letter == '"' {
            to.push('"');
        }
        to.push(letter);
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
    }
    if is_quoted {
        to.push('"');
    }
}

/// What parts cells or rows in some spreadsheet.
const fn is_separator(letter: char) -> bool {
    matches!(letter, ';' | '\t' | '\r' | '\n')
}

/// Whether a spreadsheet calculates a cell that begins so. Quotes and blanks in
/// front may not be seen as part of it.
fn begins_formula(text: &str) -> bool {
    text.starts_with(['\t', '\r', '\n'])
        || text.trim_start_matches(['"', ' ']).starts_with(['=', '+', '-', '@'])
}
