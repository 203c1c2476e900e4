//! The page of a release.

use std::collections::{BTreeMap, BTreeSet};

use super::{HistoryPoint, Page, PageBinary, PageLeaf};
use crate::{
    binary::map::SymbolSource,
    model::collect::CollectOrdered as _,
    size::{
        self, Attribution, MeasuredRelease,
        compare::{Pair, pair_binaries},
    },
};

/// Returns the page on `head`, compared with `base` if there is one. Removed binaries are left out.
pub fn release_page(
    head: &MeasuredRelease,
    base: Option<&MeasuredRelease>,
    history: Vec<HistoryPoint>,
) -> Page {
    let pairs = pair_binaries(base, head);
    Page {
        title: head.name.replace('`', ""),
        generator: concat!("longshore ", env!("CARGO_PKG_VERSION")).to_owned(),
        binaries: pairs.iter().filter_map(binary).collect(),
        history,
    }
}

fn binary(pair: &Pair<'_>) -> Option<PageBinary> {
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
    Some(PageBinary {
        name: head.name.clone(),
        target: head.platform_or_target().unwrap_or_default(),
        size: head.size,
        compressed,
        base: pair.base.filter(|_| known).map(|base| base.size),
        symbols: symbols.to_owned(),
        leaves,
    })
}

fn leaves(head: &Attribution, base: Option<&Attribution>) -> Vec<PageLeaf> {
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
        let leaf = all.entry(key).or_insert_with(|| PageLeaf {
            krate: one.krate.clone(),
            module,
            symbol: one.symbol.clone(),
            section: one.section.clone(),
            ..PageLeaf::default()
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

/// Returns one leaf for each crate, if only the record of a release exists.
fn crates(pair: &Pair<'_>) -> Vec<PageLeaf> {
    let base = pair.base.map(size::MeasuredBinary::bytes_by_crate).unwrap_or_default();
    let head = pair.head.map(size::MeasuredBinary::bytes_by_crate).unwrap_or_default();
    let names: BTreeSet<&String> = head.keys().chain(base.keys()).collect_set();
    let leaf = |name: &String| PageLeaf {
        krate: name.clone(),
        symbol: name.clone(),
        size: head.get(name).copied().unwrap_or(0),
        base: base.get(name).copied(),
        ..PageLeaf::default()
    };
    names.into_iter().map(leaf).collect()
}
