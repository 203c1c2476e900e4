//! Sizes as text: for a terminal, as Markdown, as CSV.

mod csv;
mod human;
mod markdown;

pub use csv::csv;
pub use human::human;
pub use markdown::markdown;

use super::compare::signed;
use crate::model::{
    bytes::Size,
    schema::size::{Binary, Change, Row, RowKind, SymbolSource},
};

/// By how much something changed, with its sign; empty where nothing did.
fn difference(change: Change) -> String {
    match signed(change.base_size, change.size) {
        0 => String::new(),
        more @ 1.. => format!("+{}", Size(more.unsigned_abs())),
        less => format!("−{}", Size(less.unsigned_abs())),
    }
}

/// The change in percent of what was there; empty where nothing was.
fn percent(change: Change) -> String {
    let (Some(base @ 1..), Some(_)) = (change.base_size, change.size) else {
        return String::new();
    };
    let more = signed(change.base_size, change.size);
    let sign = if more < 0 { '−' } else { '+' };
    let hundredths = u128::from(more.unsigned_abs()) * 10_000 / u128::from(base);
    format!("{sign}{}.{:02} %", hundredths / 100, hundredths % 100)
}

/// The difference, and the percentage behind it.
fn grown(change: Change) -> String {
    match (change.base_size, change.size) {
        (None, Some(_)) => "new".to_owned(),
        (Some(_), None) => "gone".to_owned(),
        _ => match (difference(change), percent(change)) {
            (difference, _) if difference.is_empty() => "unchanged".to_owned(),
            (difference, percent) if percent.is_empty() => difference,
            (difference, percent) => format!("{difference} ({percent})"),
        },
    }
}

/// A share in percent, with one decimal.
fn share(part: u64, all: u64) -> String {
    let tenths = u128::from(part) * 1000 / u128::from(all.max(1));
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// How much of a row is certain, in percent.
fn sure(row: &Row) -> u64 {
    let unsure = row.derived.saturating_add(row.guessed).min(row.size);
    (row.size - unsure).saturating_mul(100).checked_div(row.size).unwrap_or(100)
}

/// What is left of the budget.
fn left(budget: Option<i64>) -> Option<String> {
    Some(match budget? {
        left @ 0.. => format!("{} of the budget left", Size(left.unsigned_abs())),
        over => format!("{} over the budget", Size(over.unsigned_abs())),
    })
}

/// What rows are, as the head of a column.
fn head(by: RowKind, binary: &Binary) -> &'static str {
    match by {
        _ if binary.symbols == SymbolSource::None => "section",
        RowKind::Section => "section",
        RowKind::Crate => "crate",
        RowKind::DefiningCrate => "crate with the source",
        RowKind::Module => "module",
        RowKind::Symbol => "symbol",
    }
}

fn origin(symbols: SymbolSource) -> &'static str {
    match symbols {
        SymbolSource::Own => "by its own symbols",
        SymbolSource::Separate => "by the symbols that were stripped from it",
        SymbolSource::Dynamic => "by the symbols for the dynamic linker alone",
        SymbolSource::None => {
            "without symbols: by section only (`--symbols FILE` adds them; `dist --debug-files` keeps them)"
        }
    }
}

/// A binary's name and what it is for.
fn title(binary: &Binary) -> String {
    let renamed = binary.renamed_from.as_ref().map(|old| format!(" (was {old})"));
    let target = binary.target.as_ref().map(|target| format!(" {target}"));
    format!("{}{}{}", binary.name, renamed.unwrap_or_default(), target.unwrap_or_default())
}

/// A crate's versions in words.
fn versions(base: &[String], head: &[String]) -> String {
    match (base, head) {
        ([], head) => format!("new, {}", head.join(", ")),
        (base, []) => format!("gone, was {}", base.join(", ")),
        (base, head) => format!("{} → {}", base.join(", "), head.join(", ")),
    }
}
