//! The page of a release.

use std::collections::{BTreeMap, BTreeSet};

use super::{Binary, Leaf, Page, Point};
use crate::{
    binary::map::SymbolSource,
    size::{
        self, Attribution, Release,
        compare::{Pair, pairs},
    },
};

/// The page on `head`, beside `base` where there is one. What is gone is not on it.
pub fn of(head: &Release, base: Option<&Release>, history: Vec<Point>) -> Page {
    let pairs = pairs(base, head);
    Page {
        title: head.name.replace('`', ""),
        generator: concat!("longshore ", env!("CARGO_PKG_VERSION")).to_owned(),
        binaries: pairs.iter().filter_map(binary).collect(),
        history,
    }
}

fn binary(pair: &Pair<'_>) -> Option<Binary> {
    let head = pair.head?;
    let (leaves, compressed) = match &head.attribution {
        Some(found) => {
            let base = pair.base.and_then(|base| base.attribution.as_ref());
            (leaves(found, base), found.compressed.unwrap_or(0))
        }
        None => (crates(pair), 0),
    };
    let known = leaves.iter().any(|leaf| leaf.base.is_some());
    let symbols = match head.attribution.as_ref().map(|found| found.symbols) {
        Some(SymbolSource::Own) => "Names are those in the file.",
        Some(SymbolSource::Separate) => "Names are those of the file that it was stripped from.",
        Some(SymbolSource::Dynamic) => "Only names for the dynamic linker are known.",
        Some(SymbolSource::None) => "No names are known: its sections are shown.",
        None => "Only its crates are known.",
    };
    Some(Binary {
        name: head.name.clone(),
        target: head.place().unwrap_or_default(),
        size: head.size,
        compressed,
        base: pair.base.filter(|_| known).map(|base| base.size),
        symbols: symbols.to_owned(),
        leaves,
    })
}

fn leaves(head: &Attribution, base: Option<&Attribution>) -> Vec<Leaf> {
    let mut all = BTreeMap::new();
    let base = base.into_iter().flat_map(|base| &base.leaves).map(|leaf| (leaf, true));
    for (one, is_base) in head.leaves.iter().map(|leaf| (leaf, false)).chain(base) {
        // Code of another crate that was compiled for this one.
        let module = match (one.defining == one.krate, one.module.is_empty()) {
            (true, _) => one.module.clone(),
            (false, true) => one.defining.clone(),
            (false, false) => format!("{}::{}", one.defining, one.module),
        };
        let key = (&one.krate, module.clone(), &one.symbol, &one.section);
        let leaf = all.entry(key).or_insert_with(|| Leaf {
            krate: one.krate.clone(),
            module,
            symbol: one.symbol.clone(),
            section: one.section.clone(),
            ..Leaf::default()
        });
        if is_base {
            *leaf.base.get_or_insert(0) += one.size;
        } else {
            leaf.size += one.size;
            leaf.compressed += one.compressed;
        }
    }
    all.into_values().collect()
}

/// Where only the record of a release is there: what is known of its crates.
fn crates(pair: &Pair<'_>) -> Vec<Leaf> {
    let base = pair.base.map(size::Binary::by_crate).unwrap_or_default();
    let head = pair.head.map(size::Binary::by_crate).unwrap_or_default();
    let names: BTreeSet<&String> = head.keys().chain(base.keys()).collect();
    let leaf = |name: &String| Leaf {
        krate: name.clone(),
        symbol: name.clone(),
        size: head.get(name).copied().unwrap_or(0),
        base: base.get(name).copied(),
        ..Leaf::default()
    };
    names.into_iter().map(leaf).collect()
}
