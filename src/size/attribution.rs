//! The bytes of one file as leaves: the bytes of one symbol in one section.

use std::{collections::HashMap, fmt, io};

use super::name::{C, Name};
use crate::{
    binary::map::{Evidence as By, Map, MapBuilder, Owner, Symbol, SymbolSource},
    model::source::{ReadError, Source},
};

/// The name in the column of crates for bytes that do not belong to a crate.
mod labels {
    pub(super) const HEADERS: &str = "[headers]";
    pub(super) const SECTIONS: &str = "[sections]";
    pub(super) const DEBUG: &str = "[debug information]";
    pub(super) const PADDING: &str = "[padding]";
    pub(super) const SHARED: &str = "[shared data]";
    pub(super) const UNATTRIBUTED: &str = "[unattributed]";
}

/// Every byte of a file, by what it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attribution {
    /// The file's size in bytes: the sum of all leaves.
    pub size: u64,
    /// Its compressed size, if it was determined: the sum of all leaves.
    pub compressed: Option<u64>,
    /// The source of the symbols.
    pub symbols: SymbolSource,
    /// In the order of their first bytes.
    pub leaves: Vec<Leaf>,
}

/// The bytes of one symbol in one section. Symbols with one name are one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leaf {
    /// The crate that it was compiled for, or a name in square brackets.
    pub krate: String,
    /// The crate with its source.
    pub defining: String,
    /// The modules in that crate.
    pub module: String,
    /// Its name, or that of the section.
    pub symbol: String,
    /// The section; empty for bytes outside of all sections.
    pub section: String,
    /// Its bytes in the file.
    pub size: u64,
    /// The number of bytes that are derived from their surroundings: an unsized symbol, a relocation.
    pub derived: u64,
    /// The number of bytes that are a guess: data that code refers to, and names without a crate.
    pub guessed: u64,
    /// Its share of the compressed file.
    pub compressed: u64,
}

/// Returns the package that brought a symbol that is not Rust's.
pub type NativeLookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Returns the number of bytes of the compressed file that are used up at each of some offsets, in their order.
pub type CompressedCosts<'a> = dyn Fn(&[u64]) -> io::Result<Vec<u64>> + 'a;

/// The information with which a file is attributed.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    /// The file that it was stripped from, or its separate debug file.
    pub separate: Option<Source<'a>>,
    /// The package that brought a symbol that is not Rust's.
    pub native: &'a NativeLookup<'a>,
    /// The function that returns the compressed size before each of some offsets, if requested.
    pub costs: Option<&'a CompressedCosts<'a>>,
}

impl fmt::Debug for Evidence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evidence").finish_non_exhaustive()
    }
}

/// Attributes every byte of a file.
///
/// # Errors
/// One of the files is not an ELF file, or cannot be read.
pub fn attribute<'a>(
    source: impl Into<Source<'a>>,
    evidence: &Evidence<'_>,
) -> Result<Attribution, ReadError> {
    let draft = MapBuilder::read(source, evidence.separate)?;
    let names = parse_names(draft.symbols(), evidence.native);
    let mut numbers = HashMap::new();
    let groups: Vec<u32> = names
        .iter()
        .map(|name| {
            let next = numbers.len() as u32;
            *numbers.entry(name.krate.as_str()).or_insert(next)
        })
        .collect();
    let map = draft.map(&groups)?;
    let costs = evidence.costs.map(|costs| {
        let ends: Vec<u64> = map.ranges.iter().map(|segment| segment.range.end).collect();
        costs(&ends)
    });
    let costs = costs
        .transpose()
        .map_err(|error| ReadError::new(format!("it cannot be compressed: {error}")))?;
    Ok(leaves(&map, &names, costs.as_deref()))
}

fn leaves(map: &Map, names: &[Name], costs: Option<&[u64]>) -> Attribution {
    let (ids, sections) = (symbol_ids(names), section_ids(map));
    let mut locations: HashMap<(LeafKey<'_>, Option<usize>), usize> = HashMap::new();
    let mut leaves: Vec<Leaf> = Vec::new();
    let mut used = 0;
    for (at, segment) in map.ranges.iter().enumerate() {
        let section = map.section(segment).unwrap_or_default();
        let key = match segment.owner {
            Owner::Symbol(symbol, _) => LeafKey::Name(ids.get(symbol).copied().unwrap_or(symbol)),
            Owner::Headers => LeafKey::None(labels::HEADERS, "headers"),
            Owner::Section if is_debug(section) => LeafKey::None(labels::DEBUG, section),
            Owner::Section => LeafKey::None(labels::SECTIONS, section),
            Owner::Padding => LeafKey::None(labels::PADDING, section),
            Owner::Shared => LeafKey::None(labels::SHARED, section),
            Owner::Unknown => LeafKey::None(labels::UNATTRIBUTED, section),
        };
        let in_section = segment.section.and_then(|section| sections.get(section)).copied();
        let location = *locations.entry((key, in_section)).or_insert_with(|| {
            leaves.push(key.leaf(names, section));
            leaves.len() - 1
        });
        let cost = costs.and_then(|costs| costs.get(at)).copied().unwrap_or(used);
        let len = segment.range.end - segment.range.start;
        let Some(leaf) = leaves.get_mut(location) else {
            continue;
        };
        leaf.size += len;
        leaf.compressed += cost - used;
        used = cost;
        let guessed = match segment.owner {
            Owner::Symbol(symbol, _) => names.get(symbol).is_some_and(|name| name.guessed),
            _ => false,
        };
        match segment.owner {
            Owner::Symbol(_, By::Reference) => leaf.guessed += len,
            Owner::Symbol(..) if guessed => leaf.guessed += len,
            Owner::Symbol(_, By::Extended | By::Relocation) => leaf.derived += len,
            _ => {}
        }
    }
    Attribution {
        size: leaves.iter().map(|leaf| leaf.size).sum(),
        compressed: costs.map(|_| leaves.iter().map(|leaf| leaf.compressed).sum()),
        symbols: map.origin,
        leaves,
    }
}

/// Returns for each name the first one that is the same: generic functions and hashes are distinct for the
/// linker, and not here.
fn symbol_ids(names: &[Name]) -> Vec<usize> {
    let mut known = HashMap::with_capacity(names.len());
    let all = names.iter().enumerate().map(|(at, name)| {
        let Name { krate, defining, module, symbol, .. } = name;
        *known.entry((krate, defining, module, symbol)).or_insert(at)
    });
    all.collect()
}

/// Returns for each section the first one of its name.
fn section_ids(map: &Map) -> Vec<usize> {
    let mut known = HashMap::new();
    let names = map.sections.iter().enumerate();
    names.map(|(at, name)| *known.entry(name).or_insert(at)).collect()
}

fn is_debug(section: &str) -> bool {
    section.starts_with(".debug_")
        || section.starts_with(".zdebug_")
        || matches!(section, ".symtab" | ".strtab" | ".symtab_shndx" | ".gnu_debuglink")
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum LeafKey<'a> {
    Name(usize),
    None(&'static str, &'a str),
}

impl LeafKey<'_> {
    fn leaf(self, names: &[Name], section: &str) -> Leaf {
        let mut leaf = Leaf { section: section.to_owned(), ..Leaf::default() };
        match self {
            LeafKey::None(krate, symbol) => {
                leaf.krate = krate.to_owned();
                leaf.defining = krate.to_owned();
                leaf.symbol =
                    if symbol.is_empty() { "outside of sections" } else { symbol }.to_owned();
            }
            LeafKey::Name(name) => {
                if let Some(name) = names.get(name) {
                    leaf.krate.clone_from(&name.krate);
                    leaf.defining.clone_from(&name.defining);
                    leaf.module.clone_from(&name.module);
                    leaf.symbol.clone_from(&name.symbol);
                }
            }
        }
        leaf
    }
}

/// Parses the names of all symbols, which are sorted by address. Symbols of C belong to the package with a
/// native library that has one of their name; one without, between two of the same package, belongs to that
/// package, too: linkers put objects side by side.
fn parse_names(symbols: &[Symbol], native: &NativeLookup<'_>) -> Vec<Name> {
    let mut all: Vec<Name> = symbols.iter().map(|symbol| Name::parse(&symbol.name)).collect();
    let give = |all: &mut [Name], index: usize, package: &str, guessed: bool| {
        if let Some(name) = all.get_mut(index) {
            package.clone_into(&mut name.krate);
            package.clone_into(&mut name.defining);
            C.clone_into(&mut name.module);
            name.guessed = guessed;
        }
    };
    let mut last: Option<String> = None;
    let mut waiting: Vec<usize> = Vec::new();
    for (index, symbol) in symbols.iter().enumerate() {
        if !all.get(index).is_some_and(|name| name.krate.starts_with('[')) {
            (last, waiting) = (None, Vec::new());
            continue;
        }
        let Some(package) = native(&symbol.name) else {
            waiting.push(index);
            continue;
        };
        for between in waiting.drain(..).filter(|_| last.as_ref() == Some(&package)) {
            give(&mut all, between, &package, true);
        }
        give(&mut all, index, &package, false);
        last = Some(package);
    }
    all
}
