//! Leaves added up to rows.

use std::{borrow::Cow, collections::HashMap};

use super::{Attribution, Leaf};
use crate::model::{
    collect::SortStable as _,
    schema::size::{Row, RowKind},
};

/// The selection and grouping of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The grouping of rows.
    pub by: RowKind,
    /// The maximum number of rows; `None` for all. The others become one row.
    pub top: Option<usize>,
    /// Rows are those with this text in their name, ignoring case. The others are summed up in one.
    pub filter: Option<String>,
}

/// Returns the name of a row, and its crate if that differs from the name.
fn row_key(leaf: &Leaf, by: RowKind) -> (Cow<'_, str>, Option<&str>) {
    let krate = Some(leaf.krate.as_str());
    match by {
        RowKind::Section if leaf.section.is_empty() => (leaf.krate.as_str().into(), None),
        RowKind::Section => (leaf.section.as_str().into(), None),
        RowKind::Crate => (leaf.krate.as_str().into(), None),
        RowKind::DefiningCrate => (leaf.defining.as_str().into(), None),
        RowKind::Module if leaf.module.is_empty() => (leaf.defining.as_str().into(), krate),
        RowKind::Module => (format!("{}::{}", leaf.defining, leaf.module).into(), krate),
        RowKind::Symbol => (leaf.symbol.as_str().into(), krate),
    }
}

/// Returns the rows, largest first; together they are the complete file.
pub fn rows(attribution: &Attribution, view: &View) -> Vec<Row> {
    let mut locations: HashMap<_, usize> = HashMap::new();
    let mut sums: Vec<u64> = Vec::new();
    // For each leaf the number of its row.
    let numbers: Vec<usize> = attribution
        .leaves
        .iter()
        .map(|leaf| {
            let next = sums.len();
            let number = *locations.entry(row_key(leaf, view.by)).or_insert(next);
            sums.resize(sums.len().max(number + 1), 0);
            if let Some(sum) = sums.get_mut(number) {
                *sum += leaf.size;
            }
            number
        })
        .collect();
    let mut order: Vec<_> = locations.into_iter().collect();
    let size = |number: usize| sums.get(number).copied().unwrap_or(0);
    order.sort_stable_by(|(one, a), (two, b)| size(*b).cmp(&size(*a)).then_with(|| one.cmp(two)));
    if let Some(filter) = view.filter.as_ref().map(|filter| filter.to_lowercase()) {
        order.retain(|((name, _), _)| name.to_lowercase().contains(&filter));
    }
    order.truncate(view.top.unwrap_or(usize::MAX));
    let mut shown = vec![None; sums.len()];
    let mut rows = Vec::with_capacity(order.len() + 1);
    for ((name, krate), number) in order {
        if let Some(location) = shown.get_mut(number) {
            *location = Some(rows.len());
        }
        let krate = krate.map(str::to_owned);
        rows.push(Row { name: name.into_owned(), krate, ..Row::default() });
    }
    let more = sums.len() - rows.len();
    let last = rows.len();
    if more > 0 {
        rows.push(Row { name: format!("[{more} more]"), ..Row::default() });
    }
    for (leaf, number) in attribution.leaves.iter().zip(numbers) {
        let location = shown.get(number).copied().flatten().unwrap_or(last);
        if let Some(row) = rows.get_mut(location) {
            add(row, leaf, attribution.compressed.is_some());
        }
    }
    rows
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
        for by in [
            RowKind::Section,
            RowKind::Crate,
            RowKind::DefiningCrate,
            RowKind::Module,
            RowKind::Symbol,
        ] {
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
    fn generic_functions_are_listed_for_each_crate() {
        let rows = rows(&attribution(), &View { by: RowKind::Symbol, ..View::default() });
        let names: Vec<_> =
            rows.iter().map(|row| (row.name.as_str(), row.krate.as_deref())).collect();
        assert_eq!(names, [("g", Some("b")), ("f", Some("b")), ("f", Some("a"))]);
    }
}
