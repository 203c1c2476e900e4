//! A release beside the one before it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    Attribution,
    release::{Binary, Release, Whole},
};
use crate::{
    binary::map::SymbolSource,
    model::schema::size::{Change, Changed, ChangedDependency, Dependency},
};

/// How much of two binaries has to be the same for one to be the other's new name, in percent.
const SAME: u64 = 50;

/// A binary now and before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// What it was; none for a new one.
    pub base: Option<&'a Binary>,
    /// What it is; none for one that is gone.
    pub head: Option<&'a Binary>,
}

/// Every binary of both, in the order of `head`; then those that are gone.
pub fn pairs<'a>(base: Option<&'a Release>, head: &'a Release) -> Vec<Pair<'a>> {
    let all = base.map_or(&[][..], |base| &base.binaries);
    let mut left: Vec<&Binary> = all.iter().collect();
    let mut take = |fits: &dyn Fn(&Binary) -> bool| {
        let place = left.iter().position(|binary| fits(binary))?;
        Some(left.remove(place))
    };
    let single = (all.len(), head.binaries.len()) == (1, 1);
    let mut pairs: Vec<Pair<'_>> = head
        .binaries
        .iter()
        .map(|binary| {
            let same =
                |other: &Binary| single || (other.name == binary.name && other.is_for_same(binary));
            Pair { base: take(&same), head: Some(binary) }
        })
        .collect();
    // What has no counterpart of its name may have another.
    for pair in &mut pairs {
        if let (None, Some(head)) = (pair.base, pair.head) {
            pair.base = take(&|other| other.is_for_same(head) && is_alike(other, head));
        }
    }
    pairs.extend(left.into_iter().map(|gone| Pair { base: Some(gone), head: None }));
    pairs
}

/// Whether most of two binaries is the same: symbols of the same name and size, or crates where
/// symbols are not known.
fn is_alike(one: &Binary, two: &Binary) -> bool {
    let most = one.size.max(two.size);
    let shared = match (&one.attribution, &two.attribution) {
        (Some(one), Some(two)) => shared(&by_symbol(one), &by_symbol(two)),
        _ => shared(&one.by_crate(), &two.by_crate()),
    };
    shared.saturating_mul(100) > most.saturating_mul(SAME)
}

fn shared<K: Ord>(one: &BTreeMap<K, u64>, two: &BTreeMap<K, u64>) -> u64 {
    let sizes = one.iter().filter_map(|(key, size)| two.get(key).map(|other| other.min(size)));
    sizes.sum()
}

/// The bytes of each symbol, by crate and name.
fn by_symbol(of: &Attribution) -> BTreeMap<(&str, &str), u64> {
    let mut symbols = BTreeMap::new();
    for leaf in &of.leaves {
        *symbols.entry((leaf.krate.as_str(), leaf.symbol.as_str())).or_default() += leaf.size;
    }
    symbols
}

/// What changed, the largest change first.
fn changed<K: Ord + Clone>(
    base: &BTreeMap<K, u64>,
    head: &BTreeMap<K, u64>,
    name: impl Fn(&K) -> (String, Option<String>),
) -> Vec<Changed> {
    let keys: BTreeSet<&K> = base.keys().chain(head.keys()).collect();
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
    all.sort_by_key(|(by, _)| std::cmp::Reverse(*by));
    all.into_iter().map(|(_, changed)| changed).collect()
}

impl Pair<'_> {
    /// The sizes.
    pub fn change(&self) -> Change {
        Change { size: self.head.map(|head| head.size), base_size: self.base.map(|base| base.size) }
    }

    /// The compressed sizes, where one is known.
    pub fn compressed(&self) -> Option<Change> {
        let of = |binary: Option<&Binary>| binary?.attribution.as_ref()?.compressed;
        let change = Change { size: of(self.head), base_size: of(self.base) };
        (change != Change::default()).then_some(change)
    }

    /// The changed crates. Empty if those of one side are not known.
    pub fn crates(&self) -> Vec<Changed> {
        let (Some(base), Some(head)) = (self.base, self.head) else {
            return Vec::new();
        };
        if !same_detail(base, head) {
            return Vec::new();
        }
        let (base, head) = (base.by_crate(), head.by_crate());
        if base.is_empty() || head.is_empty() {
            return Vec::new();
        }
        changed(&base, &head, |name| (name.clone(), None))
    }

    /// Symbols that changed, where those of both sides are known.
    pub fn symbols(&self) -> Vec<Changed> {
        let (base, head) =
            (self.base.map(|one| &one.attribution), self.head.map(|one| &one.attribution));
        let (Some(Some(base)), Some(Some(head))) = (base, head) else {
            return Vec::new();
        };
        if (base.symbols == SymbolSource::None) != (head.symbols == SymbolSource::None) {
            return Vec::new();
        }
        changed(&by_symbol(base), &by_symbol(head), |(krate, symbol)| {
            ((*symbol).to_owned(), Some((*krate).to_owned()))
        })
    }

    /// Dependencies that changed, where those of both sides are known, and what their crates cost.
    pub fn dependencies(&self) -> Vec<ChangedDependency> {
        let (Some(base), Some(head)) = (self.base, self.head) else {
            return Vec::new();
        };
        if base.dependencies.is_empty() || head.dependencies.is_empty() {
            return Vec::new();
        }
        let (before, now) = (versions(&base.dependencies), versions(&head.dependencies));
        let (old, new) = (base.by_crate(), head.by_crate());
        let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        let mut all: Vec<ChangedDependency> = names
            .into_iter()
            .filter(|name| before.get(*name) != now.get(*name))
            .map(|name| {
                // A library's name, unless its manifest gives it another.
                let krate = name.replace('-', "_");
                let cost = match (old.get(&krate), new.get(&krate)) {
                    (None, None) => None,
                    (old, new) => Some(signed(old.copied(), new.copied())),
                };
                let of = |all: &BTreeMap<String, Vec<String>>| {
                    all.get(name).cloned().unwrap_or_default()
                };
                ChangedDependency { name: name.clone(), base: of(&before), head: of(&now), cost }
            })
            .collect();
        all.sort_by_key(|one| std::cmp::Reverse(one.cost.unwrap_or(0).unsigned_abs()));
        all
    }

    /// The crate that grew most; without a base the largest one. Only a crate can be to blame.
    pub fn culprit(&self) -> Option<(String, i64)> {
        let is_crate = |name: &str| !name.starts_with('[') || name == "[C]" || name == "[C++]";
        if self.base.is_some() {
            let grown = self.crates().into_iter().map(|changed| {
                (signed(changed.change.base_size, changed.change.size), changed.name)
            });
            let most = grown.filter(|(by, name)| *by > 0 && is_crate(name)).max()?;
            return Some((most.1, most.0));
        }
        let crates = self.head?.by_crate();
        let most = crates.into_iter().filter(|(name, _)| is_crate(name));
        let (name, size) = most.max_by_key(|(_, size)| *size)?;
        Some((name, i64::try_from(size).unwrap_or(i64::MAX)))
    }
}

/// Returns whether both binaries are attributed to crates, or both to sections only. The program of an
/// image has no symbols: compared with it, every crate would appear to be new.
fn same_detail(one: &Binary, two: &Binary) -> bool {
    let sections_only = |binary: &Binary| {
        binary
            .attribution
            .as_ref()
            .is_some_and(|attribution| attribution.symbols == SymbolSource::None)
    };
    sections_only(one) == sections_only(two)
}

/// By how much something grew.
pub fn signed(base: Option<u64>, head: Option<u64>) -> i64 {
    let number = |size: Option<u64>| i64::try_from(size.unwrap_or(0)).unwrap_or(i64::MAX);
    number(head).saturating_sub(number(base))
}

fn versions(all: &[Dependency]) -> BTreeMap<String, Vec<String>> {
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in all {
        versions.entry(one.name.clone()).or_default().push(one.version.clone());
    }
    for versions in versions.values_mut() {
        versions.sort();
        versions.dedup();
    }
    versions
}

/// Archives and images now and before, by name and platform.
pub fn wholes<'a>(
    base: Option<&'a [Whole]>,
    head: &'a [Whole],
) -> Vec<(Option<&'a Whole>, Option<&'a Whole>)> {
    let key = |whole: &'a Whole| (whole.name.as_str(), whole.platform.to_string());
    let mut before: HashMap<_, &Whole> =
        base.into_iter().flatten().map(|whole| (key(whole), whole)).collect();
    let mut all: Vec<_> =
        head.iter().map(|whole| (before.remove(&key(whole)), Some(whole))).collect();
    let gone = base.into_iter().flatten().filter(|whole| before.contains_key(&key(whole)));
    all.extend(gone.map(|whole| (Some(whole), None)));
    all
}
