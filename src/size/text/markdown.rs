//! Sizes as Markdown, for a comment on a pull request or the summary of a job.

use std::fmt::Write;

use super::{
    certainty, column_heading, difference_with_percent, format_difference, origin, percent,
    remaining, share, title, versions,
};
use crate::model::{
    bytes::Size as Bytes,
    schema::size::{Binary, Budget, Change, Changed, Size},
};

/// The maximum number of changes of each kind that are printed.
const MAX_CHANGES: usize = 15;

/// Returns the report.
pub fn markdown(size: &Size) -> String {
    let mut text = String::new();
    match &size.base {
        Some(base) => {
            let _ = writeln!(text, "### Size, compared with {}\n", escape_cell(base));
        }
        None => text.push_str("### Size\n\n"),
    }
    for budget in &size.budgets {
        self::budget(&mut text, budget);
    }
    if !size.budgets.is_empty() {
        text.push('\n');
    }
    overview(&mut text, size);
    for binary in &size.binaries {
        match size.base {
            Some(_) => changes(&mut text, binary),
            None => rows(&mut text, size, binary),
        }
    }
    text
}

fn budget(text: &mut String, budget: &Budget) {
    let (sign, word) = match budget.waived {
        Some(_) => ("⚠️", "waived: "),
        None => ("❌", ""),
    };
    let _ = write!(
        text,
        "- {sign} {word}{}: {}",
        escape_cell(&budget.name),
        escape_cell(&budget.message)
    );
    if let Some(reason) = &budget.waived {
        let _ = write!(text, " ({})", escape_cell(reason));
    }
    text.push('\n');
}

fn overview(text: &mut String, size: &Size) {
    let wholes = |what: &'static str| {
        move |whole: &crate::model::schema::size::ArchiveOrImage| {
            let name = whole.file.as_ref().unwrap_or(&whole.name);
            let name = format!("{what} {name} {}", whole.platform);
            (name, whole.change, whole.budget_left)
        }
    };
    let binaries = size.binaries.iter().map(|one| (title(one), one.change, one.budget_left));
    let archives = size.archives.iter().map(wholes("archive"));
    let images = size.images.iter().map(wholes("image"));
    let all: Vec<_> = binaries.chain(archives).chain(images).collect();
    let number = |size: Option<u64>| size.map_or_else(String::new, |size| Bytes(size).to_string());
    if size.base.is_some() {
        text.push_str("| | base | now | change | budget |\n|---|--:|--:|--:|--:|\n");
    } else {
        text.push_str("| | size | budget |\n|---|--:|--:|\n");
    }
    for (name, change, budget) in all {
        let Change { size: now, base_size } = change;
        let budget = remaining(budget).unwrap_or_default();
        let _ = match size.base {
            Some(_) => writeln!(
                text,
                "| {} | {} | {} | {} | {budget} |",
                escape_cell(&name),
                number(base_size),
                number(now),
                difference_with_percent(change),
            ),
            None => writeln!(text, "| {} | {} | {budget} |", escape_cell(&name), number(now)),
        };
    }
}

fn changes(text: &mut String, binary: &Binary) {
    if binary.changed_crates.is_empty() && binary.changed_dependencies.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n<details><summary>{}</summary>\n", escape_cell(&title(binary)));
    for one in &binary.changed_dependencies {
        let cost = one.cost.map(|cost| {
            let sign = if cost < 0 { '−' } else { '+' };
            format!(" ({sign}{})", Bytes(cost.unsigned_abs()))
        });
        let versions = escape_cell(&versions(&one.base, &one.head));
        let cost = cost.unwrap_or_default();
        let _ = writeln!(text, "- dependency {}: {versions}{cost}", escape_cell(&one.name));
    }
    table(text, "crate", &binary.changed_crates);
    table(text, "symbol", &binary.changed_symbols);
    text.push_str("\n</details>\n");
}

fn table(text: &mut String, what: &str, all: &[Changed]) {
    if all.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n| change | | {what} |\n|--:|--:|---|");
    for changed in all.iter().take(MAX_CHANGES) {
        let part = percent(changed.change);
        let part = if part.is_empty() { difference_with_percent(changed.change) } else { part };
        let krate = changed.krate.as_ref().map(|krate| format!(" ({})", escape_cell(krate)));
        let _ = writeln!(
            text,
            "| {} | {part} | {}{} |",
            format_difference(changed.change),
            escape_cell(&changed.name),
            krate.unwrap_or_default()
        );
    }
    if all.len() > MAX_CHANGES {
        let _ = writeln!(text, "| | | and {} more |", all.len() - MAX_CHANGES);
    }
}

fn rows(text: &mut String, size: &Size, binary: &Binary) {
    let all = binary.change.size.unwrap_or(0);
    let _ = writeln!(text, "\n<details><summary>{}</summary>\n", escape_cell(&title(binary)));
    let _ = writeln!(text, "{}\n", origin(binary.symbols));
    let _ = writeln!(
        text,
        "| share | size | compressed | sure | {} |",
        column_heading(size.by, binary)
    );
    text.push_str("|--:|--:|--:|--:|---|\n");
    for row in &binary.rows {
        let packed = row.compressed.map_or_else(String::new, |size| Bytes(size).to_string());
        let _ = writeln!(
            text,
            "| {} | {} | {packed} | {} % | {} |",
            share(row.size, all),
            Bytes(row.size),
            certainty(row),
            escape_cell(&row.name)
        );
    }
    text.push_str("\n</details>\n");
}

/// The maximum length of a printed name.
const MAX_NAME: usize = 200;

/// Escapes Markdown and HTML in `text`. A long name is shortened in the middle.
fn escape_cell(text: &str) -> String {
    let count = text.chars().count();
    let text = match count > MAX_NAME {
        true => {
            let start: String = text.chars().take(MAX_NAME / 2).collect();
            let end: String = text.chars().skip(count - MAX_NAME / 2).collect();
            format!("{start}…{end}")
        }
        false => text.to_owned(),
    };
    crate::model::markup::markdown_line(&text)
}
