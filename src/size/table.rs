//! Leaves added up to rows.

use std::collections::HashMap;

use super::{Attribution, Leaf};
use crate::schema::size::{By, Row};

/// What is shown of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// What rows are.
    pub by: By,
    /// How many rows; all where it is none. The others become one.
    pub top: Option<usize>,
    /// Rows are those whose name has this text in it, whatever its case. The others become one.
    pub filter: Option<String>,
}

/// The name of a row, and its crate where that is not the name.
fn key(leaf: &Leaf, by: By) -> (String, Option<&str>) {
    let krate = Some(leaf.krate.as_str());
    match by {
        By::Section if leaf.section.is_empty() => (leaf.krate.clone(), None),
        By::Section => (leaf.section.clone(), None),
        By::Crate => (leaf.krate.clone(), None),
        By::DefiningCrate => (leaf.defining.clone(), None),
        By::Module if leaf.module.is_empty() => (leaf.defining.clone(), krate),
        By::Module => (format!("{}::{}", leaf.defining, leaf.module), krate),
        By::Symbol => (leaf.symbol.clone(), krate),
    }
}

fn add(row: &mut Row, leaf: &Leaf, compressed: bool) {
    row.size += leaf.size;
    row.derived += leaf.derived;
    row.guessed += leaf.guessed;
    if compressed {
        *row.compressed.get_or_insert(0) += leaf.compressed;
    }
    match row.sections.get_mut(&leaf.section) {
        Some(size) => *size += leaf.size,
        None => drop(row.sections.insert(leaf.section.clone(), leaf.size)),
    }
}

/// The rows, largest first; all together they are the whole file.
pub fn rows(of: &Attribution, view: &View) -> Vec<Row> {
    let compressed = of.compressed.is_some();
    let mut places: HashMap<(String, Option<&str>), usize> = HashMap::new();
    let mut rows: Vec<Row> = Vec::new();
    for leaf in &of.leaves {
        let (name, krate) = key(leaf, view.by);
        let place = *places.entry((name, krate)).or_insert_with_key(|(name, krate)| {
            let krate = krate.map(str::to_owned);
            rows.push(Row { name: name.clone(), krate, ..Row::default() });
            rows.len() - 1
        });
        if let Some(row) = rows.get_mut(place) {
            add(row, leaf, compressed);
        }
    }
    rows.sort_by(|one, two| {
        (two.size, &one.name, &one.krate).cmp(&(one.size, &two.name, &two.krate))
    });
    let mut others = Vec::new();
    if let Some(filter) = &view.filter {
        let filter = filter.to_lowercase();
        let fits = |row: &mut Row| row.name.to_lowercase().contains(&filter);
        let shown: Vec<Row> = rows.extract_if(.., fits).collect();
        others = std::mem::replace(&mut rows, shown);
    }
    if let Some(top) = view.top.filter(|top| *top < rows.len()) {
        others.extend(rows.split_off(top));
    }
    if !others.is_empty() {
        rows.push(together(&others));
    }
    rows
}

/// One row for several.
fn together(rows: &[Row]) -> Row {
    let mut all = Row { name: format!("[{} more]", rows.len()), ..Row::default() };
    for row in rows {
        all.size += row.size;
        all.derived += row.derived;
        all.guessed += row.guessed;
        if let Some(compressed) = row.compressed {
            *all.compressed.get_or_insert(0) += compressed;
        }
        for (section, size) in &row.sections {
            *all.sections.entry(section.clone()).or_default() += size;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribution() -> Attribution {
        let leaf = |krate: &str, symbol: &str, size: u64| Leaf {
            krate: krate.into(),
            defining: "core".into(),
            module: "fmt".into(),
            symbol: symbol.into(),
            section: ".text".into(),
            size,
            compressed: size / 2,
            ..Leaf::default()
        };
        Attribution {
            size: 60,
            compressed: Some(30),
            leaves: vec![leaf("a", "f", 10), leaf("b", "f", 20), leaf("b", "g", 30)],
            ..Attribution::default()
        }
    }

    #[test]
    fn every_table_adds_up_to_the_file() {
        for by in [By::Section, By::Crate, By::DefiningCrate, By::Module, By::Symbol] {
            for top in [None, Some(0), Some(1), Some(9)] {
                for filter in [None, Some("F".to_owned()), Some("none".to_owned())] {
                    let rows = rows(&attribution(), &View { by, top, filter });
                    assert_eq!(rows.iter().map(|row| row.size).sum::<u64>(), 60);
                    assert_eq!(rows.iter().filter_map(|row| row.compressed).sum::<u64>(), 30);
                }
            }
        }
    }

    #[test]
    fn a_generic_function_is_told_for_each_crate() {
        let rows = rows(&attribution(), &View { by: By::Symbol, ..View::default() });
        let names: Vec<_> =
            rows.iter().map(|row| (row.name.as_str(), row.krate.as_deref())).collect();
        assert_eq!(names, [("g", Some("b")), ("f", Some("b")), ("f", Some("a"))]);
    }
}
