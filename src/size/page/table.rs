//! The tables for browsers without scripts, and for print.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{HistoryPoint, Page, PageBinary, text};
use crate::model::{bytes::Size, collect::SortStable as _};

/// The number of crates with a separate row; the others share one.
const MAX_ROWS: usize = 40;

/// The bytes of a crate.
#[derive(Clone, Copy, Default)]
struct CrateSize {
    size: u64,
    base: u64,
    compressed: u64,
}

impl CrateSize {
    fn add(&mut self, other: CrateSize) {
        self.size = self.size.saturating_add(other.size);
        self.base = self.base.saturating_add(other.base);
        self.compressed = self.compressed.saturating_add(other.compressed);
    }
}

/// Returns a table for each binary, and one of the releases.
pub(super) fn tables(page: &Page) -> String {
    let mut out: String = page.binaries.iter().map(binary_table).collect();
    if !page.history.is_empty() {
        out += &history_table(&page.history);
    }
    out
}

fn binary_table(binary: &PageBinary) -> String {
    let mut crates: BTreeMap<&str, CrateSize> = BTreeMap::new();
    let mut all = CrateSize::default();
    for leaf in &binary.leaves {
        let sum = CrateSize {
            size: leaf.size,
            base: leaf.base.unwrap_or(0),
            compressed: leaf.compressed,
        };
        crates.entry(&leaf.krate).or_default().add(sum);
        all.add(sum);
    }
    let mut crates: Vec<_> = crates.into_iter().collect();
    // Names are in order already, and stay so where sizes are equal.
    crates.sort_stable_by_key(|(_, sum)| std::cmp::Reverse((sum.size, sum.base)));
    let compared = binary.base.is_some();
    let mut out = String::new();
    let (name, target) = (text::escape(&binary.name), text::escape(&binary.target));
    let (size, short) = (text::group_digits(binary.size), Size(binary.size));
    let packed = text::group_digits(binary.compressed);
    let symbols = text::escape(&binary.symbols);
    let _ = write!(
        out,
        "<table>\n<caption><b>{name}</b> for <b>{target}</b>: {size} bytes ({short}), compressed \
         {packed} bytes. {symbols}</caption>\n<thead><tr><th scope=\"col\">crate</th>\
         <th scope=\"col\">bytes</th><th scope=\"col\">share</th><th scope=\"col\">compressed</th>"
    );
    if compared {
        out += "<th scope=\"col\">base</th><th scope=\"col\">change</th>";
    }
    out += "</tr></thead>\n<tbody>\n";
    for (name, sum) in crates.iter().take(MAX_ROWS) {
        out += &row(&text::escape(name), *sum, binary.size, compared);
    }
    let rest = crates.iter().skip(MAX_ROWS);
    if rest.len() > 0 {
        let name = format!("{} others", rest.len());
        let mut sum = CrateSize::default();
        rest.for_each(|(_, other)| sum.add(*other));
        out += &row(&name, sum, binary.size, compared);
    }
    out += "</tbody>\n<tfoot>\n";
    out += &row("all", all, binary.size, compared);
    out + "</tfoot>\n</table>\n"
}

fn row(name: &str, sum: CrateSize, whole: u64, compared: bool) -> String {
    let mut out = format!("<tr><th scope=\"row\">{name}</th>");
    let mut cells = vec![
        text::group_digits(sum.size),
        text::format_percent(sum.size, whole),
        text::group_digits(sum.compressed),
    ];
    if compared {
        cells.extend([text::group_digits(sum.base), text::format_change(sum.base, sum.size)]);
    }
    for cell in cells {
        let _ = write!(out, "<td>{cell}</td>");
    }
    out + "</tr>\n"
}

fn history_table(history: &[HistoryPoint]) -> String {
    let mut out = String::from(
        "<table>\n<caption>Size of each release, in bytes</caption>\n<thead><tr>\
         <th scope=\"col\">release</th><th scope=\"col\">binary</th><th scope=\"col\">target</th>\
         <th scope=\"col\">bytes</th></tr></thead>\n<tbody>\n",
    );
    for point in history {
        let (release, binary) = (text::escape(&point.release), text::escape(&point.binary));
        let (target, size) = (text::escape(&point.target), text::group_digits(point.size));
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{release}</th><td>{binary}</td><td>{target}</td><td>{size}</td></tr>"
        );
    }
    out + "</tbody>\n</table>\n"
}
