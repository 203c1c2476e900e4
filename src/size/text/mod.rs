//! Sizes as text: for a terminal, as Markdown, as CSV.

mod csv;
mod human;
mod markdown;

pub use csv::csv;
pub use human::human;
pub use markdown::markdown;

use super::compare::growth;
use crate::model::{
    bytes::Size,
    schema::size::{Binary, Change, Row, RowKind, SymbolSource},
};

/// Formats a difference with its sign; empty if nothing changed.
fn format_difference(change: Change) -> String {
    match growth(change.base_size, change.size) {
        0 => String::new(),
        more @ 1.. => format!("+{}", Size(more.unsigned_abs())),
        less => format!("−{}", Size(less.unsigned_abs())),
    }
}

/// Formats the change in percent of the base; empty without a base.
fn percent(change: Change) -> String {
    let (Some(base @ 1..), Some(_)) = (change.base_size, change.size) else {
        return String::new();
    };
    let more = growth(change.base_size, change.size);
    let sign = if more < 0 { '−' } else { '+' };
    let hundredths = u128::from(more.unsigned_abs()) * 10_000 / u128::from(base);
    format!("{sign}{}.{:02} %", hundredths / 100, hundredths % 100)
}

/// Formats the difference, with the percentage after it.
fn difference_with_percent(change: Change) -> String {
    match (change.base_size, change.size) {
        (None, Some(_)) => "new".to_owned(),
        (Some(_), None) => "gone".to_owned(),
        _ => match (format_difference(change), percent(change)) {
            (difference, _) if difference.is_empty() => "unchanged".to_owned(),
            (difference, percent) if percent.is_empty() => difference,
            (difference, percent) => format!("{difference} ({percent})"),
        },
    }
}

/// Formats a share in percent, with one decimal.
fn share(part: u64, all: u64) -> String {
    let tenths = u128::from(part) * 1000 / u128::from(all.max(1));
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// Returns the share of a row that is certain, in percent.
fn certainty(row: &Row) -> u64 {
    let unsure = row.derived.saturating_add(row.guessed).min(row.size);
    (row.size - unsure).saturating_mul(100).checked_div(row.size).unwrap_or(100)
}

/// Formats the remainder of the budget.
fn remaining(budget: Option<i64>) -> Option<String> {
    Some(match budget? {
        left @ 0.. => format!("{} of the budget left", Size(left.unsigned_abs())),
        over => format!("{} over the budget", Size(over.unsigned_abs())),
    })
}

/// Returns the heading of the column of rows.
fn column_heading(by: RowKind, binary: &Binary) -> &'static str {
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

/// Returns a binary's name and its platform or target.
fn title(binary: &Binary) -> String {
    let renamed = binary.renamed_from.as_ref().map(|old| format!(" (was {old})"));
    let target = binary.target.as_ref().map(|target| format!(" {target}"));
    format!("{}{}{}", binary.name, renamed.unwrap_or_default(), target.unwrap_or_default())
}

/// Formats a crate's versions.
fn versions(base: &[String], head: &[String]) -> String {
    match (base, head) {
        ([], head) => format!("new, {}", head.join(", ")),
        (base, []) => format!("gone, was {}", base.join(", ")),
        (base, head) => format!("{} → {}", base.join(", "), head.join(", ")),
    }
}
