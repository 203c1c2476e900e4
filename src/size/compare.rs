//! Comparison of a release with the previous one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    Attribution,
    release::{MeasuredBinary, MeasuredRelease, PackedOutput},
};
use crate::{
    binary::map::SymbolSource,
    model::{
        collect::{CollectOrdered as _, SortStable as _},
        schema::size::{Change, Changed, ChangedDependency, Dependency},
    },
};

/// The minimum share, in percent, that two binaries have in common if one is the other's new name.
const MIN_SHARED: u64 = 50;

/// A binary now and before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The base; `None` for a new binary.
    pub base: Option<&'a MeasuredBinary>,
    /// The current binary; `None` for a removed one.
    pub head: Option<&'a MeasuredBinary>,
}

/// Returns every binary of both, in the order of `head`; then those that were removed.
pub fn pair_binaries<'a>(
    base: Option<&'a MeasuredRelease>,
    head: &'a MeasuredRelease,
) -> Vec<Pair<'a>> {
    let all = base.map_or(&[][..], |base| &base.binaries);
    let mut left: Vec<&MeasuredBinary> = all.iter().collect();
    let mut take = |fits: &dyn Fn(&MeasuredBinary) -> bool| {
        let location = left.iter().position(|binary| fits(binary))?;
        Some(left.remove(location))
    };
    let single = (all.len(), head.binaries.len()) == (1, 1);
    let mut pairs: Vec<Pair<'_>> = head
        .binaries
        .iter()
        .map(|binary| {
            let same = |other: &MeasuredBinary| {
                single || (other.name == binary.name && other.is_for_same(binary))
            };
            Pair { base: take(&same), head: Some(binary) }
        })
        .collect();
    // What has no counterpart of its name may have another.
    for pair in &mut pairs {
        if let (None, Some(head)) = (pair.base, pair.head) {
            pair.base = take(&|other| other.is_for_same(head) && is_similar(other, head));
        }
    }
    pairs.extend(left.into_iter().map(|gone| Pair { base: Some(gone), head: None }));
    pairs
}

/// Returns whether most of two binaries is the same: symbols of the same name and size, or crates if symbols
/// are not known.
fn is_similar(one: &MeasuredBinary, two: &MeasuredBinary) -> bool {
    let most = one.size.max(two.size);
    let shared = match (&one.attribution, &two.attribution) {
        (Some(one), Some(two)) => shared_bytes(&bytes_by_symbol(one), &bytes_by_symbol(two)),
        _ => shared_bytes(&one.bytes_by_crate(), &two.bytes_by_crate()),
    };
    shared.saturating_mul(100) > most.saturating_mul(MIN_SHARED)
}

fn shared_bytes<K: Ord>(one: &BTreeMap<K, u64>, two: &BTreeMap<K, u64>) -> u64 {
    let sizes = one.iter().filter_map(|(key, size)| two.get(key).map(|other| other.min(size)));
    sizes.sum()
}

/// Returns the bytes of each symbol, by crate and name.
fn bytes_by_symbol(attribution: &Attribution) -> BTreeMap<(&str, &str), u64> {
    let mut symbols = BTreeMap::new();
    for leaf in &attribution.leaves {
        *symbols.entry((leaf.krate.as_str(), leaf.symbol.as_str())).or_default() += leaf.size;
    }
    symbols
}

/// Returns the changes, the largest one first.
fn list_changes<K: Ord + Clone>(
    base: &BTreeMap<K, u64>,
    head: &BTreeMap<K, u64>,
    name: impl Fn(&K) -> (String, Option<String>),
) -> Vec<Changed> {
    let keys: BTreeSet<&K> = base.keys().chain(head.keys()).collect_set();
    let mut all: Vec<(u64, Changed)> = keys
        .into_iter()
        .filter_map(|key| {
            let (before, now) = (base.get(key).copied(), head.get(key).copied());
            let by = before.unwrap_or(0).abs_diff(now.unwrap_or(0));
            let (name, krate) = name(key);
            let change = Change { size: now, base_size: before };
            (by > 0).then_some((by, Changed { name, krate, change }))
        })
        .collect();
    all.sort_stable_by_key(|(by, _)| std::cmp::Reverse(*by));
    all.into_iter().map(|(_, changed)| changed).collect()
}

impl Pair<'_> {
    /// Returns the sizes.
    pub fn change(&self) -> Change {
        Change { size: self.head.map(|head| head.size), base_size: self.base.map(|base| base.size) }
    }

    /// Returns the compressed sizes, if one is known.
    pub fn compressed(&self) -> Option<Change> {
        let attribution =
            |binary: Option<&MeasuredBinary>| binary?.attribution.as_ref()?.compressed;
        let change = Change { size: attribution(self.head), base_size: attribution(self.base) };
        (change != Change::default()).then_some(change)
    }

    /// Returns the changed crates; none if those of one side are not known.
    pub fn crates(&self) -> Vec<Changed> {
        let (Some(base), Some(head)) = (self.base, self.head) else {
            return Vec::new();
        };
        if !has_same_detail(base, head) {
            return Vec::new();
        }
        let (base, head) = (base.bytes_by_crate(), head.bytes_by_crate());
        if base.is_empty() || head.is_empty() {
            return Vec::new();
        }
        list_changes(&base, &head, |name| (name.clone(), None))
    }

    /// Returns the changed symbols, if those of both sides are known.
    pub fn symbols(&self) -> Vec<Changed> {
        let (base, head) =
            (self.base.map(|one| &one.attribution), self.head.map(|one| &one.attribution));
        let (Some(Some(base)), Some(Some(head))) = (base, head) else {
            return Vec::new();
        };
        if (base.symbols == SymbolSource::None) != (head.symbols == SymbolSource::None) {
            return Vec::new();
        }
        list_changes(&bytes_by_symbol(base), &bytes_by_symbol(head), |(krate, symbol)| {
            ((*symbol).to_owned(), Some((*krate).to_owned()))
        })
    }

    /// Returns the changed dependencies, if those of both sides are known, with the sizes of their crates.
    pub fn dependencies(&self) -> Vec<ChangedDependency> {
        let (Some(base), Some(head)) = (self.base, self.head) else {
            return Vec::new();
        };
        if base.dependencies.is_empty() || head.dependencies.is_empty() {
            return Vec::new();
        }
        let (before, now) =
            (versions_by_name(&base.dependencies), versions_by_name(&head.dependencies));
        let (old, new) = (base.bytes_by_crate(), head.bytes_by_crate());
        let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect_set();
        let mut all: Vec<ChangedDependency> = names
            .into_iter()
            .filter(|name| before.get(*name) != now.get(*name))
            .map(|name| {
                // A library's name, unless its manifest gives it another.
                let krate = name.replace('-', "_");
                let cost = match (old.get(&krate), new.get(&krate)) {
                    (None, None) => None,
                    (old, new) => Some(growth(old.copied(), new.copied())),
                };
                let attribution = |all: &BTreeMap<String, Vec<String>>| {
                    all.get(name).cloned().unwrap_or_default()
                };
                ChangedDependency {
                    name: name.clone(),
                    base: attribution(&before),
                    head: attribution(&now),
                    cost,
                }
            })
            .collect();
        all.sort_stable_by_key(|one| std::cmp::Reverse(one.cost.unwrap_or(0).unsigned_abs()));
        all
    }

    /// Returns the crate that grew most; without a base the largest one. Entries that are not crates are
    /// skipped.
    pub fn largest_growth(&self) -> Option<(String, i64)> {
        let is_crate = |name: &str| !name.starts_with('[') || name == "[C]" || name == "[C++]";
        if self.base.is_some() {
            let grown = self.crates().into_iter().map(|changed| {
                (growth(changed.change.base_size, changed.change.size), changed.name)
            });
            let most = grown.filter(|(by, name)| *by > 0 && is_crate(name)).max()?;
            return Some((most.1, most.0));
        }
        let crates = self.head?.bytes_by_crate();
        let most = crates.into_iter().filter(|(name, _)| is_crate(name));
        let (name, size) = most.max_by_key(|(_, size)| *size)?;
        Some((name, i64::try_from(size).unwrap_or(i64::MAX)))
    }
}

/// Returns whether both binaries are attributed to crates, or both to sections only. The program of an
/// image has no symbols: compared with it, every crate would appear to be new.
fn has_same_detail(one: &MeasuredBinary, two: &MeasuredBinary) -> bool {
    let sections_only = |binary: &MeasuredBinary| {
        binary
            .attribution
            .as_ref()
            .is_some_and(|attribution| attribution.symbols == SymbolSource::None)
    };
    sections_only(one) == sections_only(two)
}

/// Returns the growth in bytes.
pub fn growth(base: Option<u64>, head: Option<u64>) -> i64 {
    let number = |size: Option<u64>| i64::try_from(size.unwrap_or(0)).unwrap_or(i64::MAX);
    number(head).saturating_sub(number(base))
}

fn versions_by_name(all: &[Dependency]) -> BTreeMap<String, Vec<String>> {
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in all {
        versions.entry(one.name.clone()).or_default().push(one.version.clone());
    }
    for versions in versions.values_mut() {
        versions.sort_stable();
        versions.dedup();
    }
    versions
}

/// Returns archives and images, current and base, by name and platform.
pub fn pair_packed_outputs<'a>(
    base: Option<&'a [PackedOutput]>,
    head: &'a [PackedOutput],
) -> Vec<(Option<&'a PackedOutput>, Option<&'a PackedOutput>)> {
    let key = |whole: &'a PackedOutput| (whole.name.as_str(), whole.platform.to_string());
    let mut before: HashMap<_, &PackedOutput> =
        base.into_iter().flatten().map(|whole| (key(whole), whole)).collect();
    let mut all: Vec<_> =
        head.iter().map(|whole| (before.remove(&key(whole)), Some(whole))).collect();
    let gone = base.into_iter().flatten().filter(|whole| before.contains_key(&key(whole)));
    all.extend(gone.map(|whole| (Some(whole), None)));
    all
}
