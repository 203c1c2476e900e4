//! Sizes for a terminal.

use std::fmt::Write;

use super::{
    certainty, column_heading, difference_with_percent, format_difference, origin, percent,
    remaining, share, title, versions,
};
use crate::model::{
    bytes::Size as Bytes,
    schema::size::{ArchiveOrImage, Binary, Changed, Row, Size, SymbolSource},
};

/// The maximum number of changes of each kind that are printed.
const MAX_CHANGES: usize = 10;

/// Returns the report, in lines.
pub fn human(size: &Size) -> String {
    let mut text = String::new();
    if let Some(base) = &size.base {
        let _ = writeln!(text, "compared with {base}\n");
    }
    for binary in &size.binaries {
        self::binary(&mut text, size, binary);
    }
    for (what, all) in [("archive", &size.archives), ("image", &size.images)] {
        for whole in all {
            self::packed_output(&mut text, what, whole);
        }
    }
    if !size.budgets.is_empty() {
        text.push('\n');
    }
    for budget in &size.budgets {
        let word = if budget.waived.is_some() { "waived" } else { "over budget" };
        let _ = writeln!(text, "{word}: {}: {}", budget.name, budget.message);
        if let Some(reason) = &budget.waived {
            let _ = writeln!(text, "  because: {}", reason.escape_debug());
        }
    }
    text.push_str(&crate::verify::format::sources(&size.policies));
    text
}

fn binary(text: &mut String, size: &Size, binary: &Binary) {
    let all = binary.change.size.or(binary.change.base_size).unwrap_or(0);
    let _ = write!(text, "{}  {}", title(binary), Bytes(all));
    if let Some(compressed) = binary.compressed.and_then(|change| change.size) {
        let _ = write!(text, ", {} compressed", Bytes(compressed));
    }
    if size.base.is_some() {
        let _ = write!(text, ", {}", difference_with_percent(binary.change));
    }
    if let Some(left) = remaining(binary.budget_left) {
        let _ = write!(text, ", {left}");
    }
    text.push('\n');
    if let Some(note) = &binary.note {
        let _ = writeln!(text, "  note: {note}");
    }
    if size.base.is_some() {
        changes(text, binary);
    } else if binary.change.size.is_some() {
        let _ = writeln!(text, "  {}", origin(binary.symbols));
        rows(text, size, binary, all);
    }
    text.push('\n');
}

fn rows(text: &mut String, size: &Size, binary: &Binary, all: u64) {
    let compressed = binary.rows.iter().any(|row| row.compressed.is_some());
    let packed = if compressed { "  compressed" } else { "" };
    let certain = binary.symbols != SymbolSource::None;
    let sure_head = if certain { "   sure" } else { "" };
    let _ = writeln!(
        text,
        "   share       size{packed}{sure_head}  {}",
        column_heading(size.by, binary)
    );
    for row in &binary.rows {
        let _ = write!(text, "  {:>6}  {:>9}", share(row.size, all), Bytes(row.size));
        if compressed {
            let _ = write!(text, "  {:>10}", Bytes(row.compressed.unwrap_or(0)));
        }
        if certain {
            let _ = write!(text, "  {:>3} %", certainty(row));
        }
        let _ = writeln!(text, "  {}", row_name(row));
    }
}

/// Returns a row's name, and the crate that it was compiled for if that is a different one.
fn row_name(row: &Row) -> String {
    match &row.krate {
        Some(krate) if !row.name.contains(krate.as_str()) => format!("{} [{krate}]", row.name),
        _ => row.name.clone(),
    }
}

fn changes(text: &mut String, binary: &Binary) {
    let mut list = |what: &str, all: &[Changed]| {
        for changed in all.iter().take(MAX_CHANGES) {
            let (more, part) = (format_difference(changed.change), percent(changed.change));
            let part = if part.is_empty() { difference_with_percent(changed.change) } else { part };
            let krate = changed.krate.as_ref().map(|krate| format!(" [{krate}]"));
            let name = format!("{}{}", changed.name, krate.unwrap_or_default());
            let _ = writeln!(text, "  {more:>11}  {part:>9}  {what} {name}");
        }
        if all.len() > MAX_CHANGES {
            let _ = writeln!(text, "  {:>11}  {:>9}  and {} more", "", "", all.len() - MAX_CHANGES);
        }
    };
    list("crate", &binary.changed_crates);
    list("symbol", &binary.changed_symbols);
    for one in &binary.changed_dependencies {
        let cost = one.cost.map_or_else(String::new, |cost| match cost {
            more @ 0.. => format!(" (+{})", Bytes(more.unsigned_abs())),
            less => format!(" (−{})", Bytes(less.unsigned_abs())),
        });
        let _ =
            writeln!(text, "  dependency {}: {}{cost}", one.name, versions(&one.base, &one.head));
    }
}

fn packed_output(text: &mut String, what: &str, whole: &ArchiveOrImage) {
    let size = whole.change.size.or(whole.change.base_size).unwrap_or(0);
    let _ = write!(
        text,
        "{what} {} {}  {}",
        whole.file.as_ref().unwrap_or(&whole.name),
        whole.platform,
        Bytes(size)
    );
    if whole.change.base_size.is_some() {
        let _ = write!(text, ", {}", difference_with_percent(whole.change));
    }
    if let Some(left) = remaining(whole.budget_left) {
        let _ = write!(text, ", {left}");
    }
    text.push('\n');
}
