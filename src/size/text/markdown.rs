//! Sizes as Markdown, for a comment on a pull request or the summary of a job.

use std::fmt::Write;

use super::{difference, grown, head, left, origin, percent, share, sure, title, versions};
use crate::model::{
    bytes::Size as Bytes,
    schema::size::{Binary, Budget, Change, Changed, Size},
};

/// How many changes of each sort are shown.
const CHANGES: usize = 15;

/// All of it.
pub fn markdown(size: &Size) -> String {
    let mut text = String::new();
    match &size.base {
        Some(base) => {
            let _ = writeln!(text, "### Size, compared with {}\n", cell(base));
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
    let _ = write!(text, "- {sign} {word}{}: {}", cell(&budget.name), cell(&budget.message));
    if let Some(reason) = &budget.waived {
        let _ = write!(text, " ({})", cell(reason));
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
        let budget = left(budget).unwrap_or_default();
        let _ = match size.base {
            Some(_) => writeln!(
                text,
                "| {} | {} | {} | {} | {budget} |",
                cell(&name),
                number(base_size),
                number(now),
                grown(change),
            ),
            None => writeln!(text, "| {} | {} | {budget} |", cell(&name), number(now)),
        };
    }
}

fn changes(text: &mut String, binary: &Binary) {
    if binary.changed_crates.is_empty() && binary.changed_dependencies.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n<details><summary>{}</summary>\n", cell(&title(binary)));
    for one in &binary.changed_dependencies {
        let cost = one.cost.map(|cost| {
            let sign = if cost < 0 { '−' } else { '+' };
            format!(" ({sign}{})", Bytes(cost.unsigned_abs()))
        });
        let versions = cell(&versions(&one.base, &one.head));
        let cost = cost.unwrap_or_default();
        let _ = writeln!(text, "- dependency {}: {versions}{cost}", cell(&one.name));
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
    for changed in all.iter().take(CHANGES) {
        let part = percent(changed.change);
        let part = if part.is_empty() { grown(changed.change) } else { part };
        let krate = changed.krate.as_ref().map(|krate| format!(" ({})", cell(krate)));
        let _ = writeln!(
            text,
            "| {} | {part} | {}{} |",
            difference(changed.change),
            cell(&changed.name),
            krate.unwrap_or_default()
        );
    }
    if all.len() > CHANGES {
        let _ = writeln!(text, "| | | and {} more |", all.len() - CHANGES);
    }
}

fn rows(text: &mut String, size: &Size, binary: &Binary) {
    let all = binary.change.size.unwrap_or(0);
    let _ = writeln!(text, "\n<details><summary>{}</summary>\n", cell(&title(binary)));
    let _ = writeln!(text, "{}\n", origin(binary.symbols));
    let _ = writeln!(text, "| share | size | compressed | sure | {} |", head(size.by, binary));
    text.push_str("|--:|--:|--:|--:|---|\n");
    for row in &binary.rows {
        let packed = row.compressed.map_or_else(String::new, |size| Bytes(size).to_string());
        let _ = writeln!(
            text,
            "| {} | {} | {packed} | {} % | {} |",
            share(row.size, all),
            Bytes(row.size),
            sure(row),
            cell(&row.name)
        );
    }
    text.push_str("\n</details>\n");
}

/// How much of a name is shown.
const NAME: usize = 200;

/// Text in which nothing is Markdown or HTML. A long name is cut in its middle.
fn cell(text: &str) -> String {
    let count = text.chars().count();
    let text = match count > NAME {
        true => {
            let start: String = text.chars().take(NAME / 2).collect();
            let end: String = text.chars().skip(count - NAME / 2).collect();
            format!("{start}…{end}")
        }
        false => text.to_owned(),
    };
    crate::model::markup::markdown_line(&text)
}
