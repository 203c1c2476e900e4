//! The tables that are there without scripts, and in print.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Binary, Page, Point, text};
use crate::model::bytes::Size;

/// The number of crates with a separate row; the others share one.
const ROWS: usize = 40;

/// Bytes of a crate.
#[derive(Clone, Copy, Default)]
struct Sum {
    size: u64,
    base: u64,
    compressed: u64,
}

impl Sum {
    fn add(&mut self, other: Sum) {
        self.size = self.size.saturating_add(other.size);
        self.base = self.base.saturating_add(other.base);
        self.compressed = self.compressed.saturating_add(other.compressed);
    }
}

/// A table for each binary, and one of the releases.
pub(super) fn tables(page: &Page) -> String {
    let mut out: String = page.binaries.iter().map(of_binary).collect();
    if !page.history.is_empty() {
        out += &of_history(&page.history);
    }
    out
}

fn of_binary(binary: &Binary) -> String {
    let mut crates: BTreeMap<&str, Sum> = BTreeMap::new();
    let mut all = Sum::default();
    for leaf in &binary.leaves {
        let sum =
            Sum { size: leaf.size, base: leaf.base.unwrap_or(0), compressed: leaf.compressed };
        crates.entry(&leaf.krate).or_default().add(sum);
        all.add(sum);
    }
    let mut crates: Vec<_> = crates.into_iter().collect();
    // Names are in order already, and stay so where sizes are equal.
    crates.sort_by_key(|(_, sum)| std::cmp::Reverse((sum.size, sum.base)));
    let compared = binary.base.is_some();
    let mut out = String::new();
    let (name, target) = (text::escape(&binary.name), text::escape(&binary.target));
    let (size, short) = (text::grouped(binary.size), Size(binary.size));
    let packed = text::grouped(binary.compressed);
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
    for (name, sum) in crates.iter().take(ROWS) {
        out += &row(&text::escape(name), *sum, binary.size, compared);
    }
    let rest = crates.iter().skip(ROWS);
    if rest.len() > 0 {
        let name = format!("{} others", rest.len());
        let mut sum = Sum::default();
        rest.for_each(|(_, other)| sum.add(*other));
        out += &row(&name, sum, binary.size, compared);
    }
    out += "</tbody>\n<tfoot>\n";
    out += &row("all", all, binary.size, compared);
    out + "</tfoot>\n</table>\n"
}

fn row(name: &str, sum: Sum, whole: u64, compared: bool) -> String {
    let mut out = format!("<tr><th scope=\"row\">{name}</th>");
    let mut cells = vec![
        text::grouped(sum.size),
        text::percent(sum.size, whole),
        text::grouped(sum.compressed),
    ];
    if compared {
        cells.extend([text::grouped(sum.base), text::change(sum.base, sum.size)]);
    }
    for cell in cells {
        let _ = write!(out, "<td>{cell}</td>");
    }
    out + "</tr>\n"
}

fn of_history(history: &[Point]) -> String {
    let mut out = String::from(
        "<table>\n<caption>Size of each release, in bytes</caption>\n<thead><tr>\
         <th scope=\"col\">release</th><th scope=\"col\">binary</th><th scope=\"col\">target</th>\
         <th scope=\"col\">bytes</th></tr></thead>\n<tbody>\n",
    );
    for point in history {
        let (release, binary) = (text::escape(&point.release), text::escape(&point.binary));
        let (target, size) = (text::escape(&point.target), text::grouped(point.size));
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{release}</th><td>{binary}</td><td>{target}</td><td>{size}</td></tr>"
        );
    }
    out + "</tbody>\n</table>\n"
}
