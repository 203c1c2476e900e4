//! Attribution of programs of other people, held against what other tools say of them.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::Path,
};

use longshore::size::{self, name::Name};

use crate::{
    published::built,
    support::peer::{self, find, run},
};

/// The name of a symbol as `size` has it, with its crate.
type Key = (String, String);

/// Address, size and name of every symbol in code that has a size, as `nm` tells them.
fn functions(nm: &Path, file: &Path) -> Vec<(u64, u64, String)> {
    let text = run(nm, ["--print-size", "--defined-only", file.to_str().unwrap()]);
    let symbol = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [address, size, kind, name] = fields[..] else { return None };
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let code = ["t", "T", "w", "W"].contains(&kind) && number(size) > 0;
        code.then(|| (number(address), number(size), name.into()))
    };
    text.lines().filter_map(symbol).collect()
}

/// Functions that overlap no other one: of those, the symbol table and the map say the same.
fn alone(mut all: Vec<(u64, u64, String)>) -> BTreeMap<Key, u64> {
    all.sort();
    let mut shared: HashSet<Key> = HashSet::new();
    let mut sums = BTreeMap::new();
    let key = |name: &str| {
        let Name { krate, symbol, .. } = Name::parse(name);
        (krate, symbol)
    };
    let mut end = 0;
    for (at, (address, size, name)) in all.iter().enumerate() {
        let next = all.get(at + 1).map_or(u64::MAX, |next| next.0);
        if *address < end || address + size > next {
            shared.insert(key(name));
        }
        end = end.max(address + size);
        *sums.entry(key(name)).or_insert(0) += size;
    }
    sums.retain(|key, _| !shared.contains(key));
    sums
}

#[test]
fn symbols_have_the_sizes_of_nm() {
    let Some(nm) = find("llvm-nm") else { return peer::skip("`llvm-nm` is not installed") };
    for (workspace, dist) in built() {
        for artifact in dist["artifacts"].as_array().unwrap() {
            let text = |key: &str| artifact[key].as_str().unwrap().to_owned();
            let unstripped = workspace.path(&format!(
                "target/longshore/{}/dist/{}",
                text("target"),
                text("name")
            ));
            let record = workspace.dist().join(artifact["attribution"]["path"].as_str().unwrap());
            let record = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
            let found = size::from_record(&record).unwrap();
            let mut code: HashMap<Key, u64> = HashMap::new();
            for leaf in found.leaves.iter().filter(|leaf| leaf.section == ".text") {
                // Code of C may have the name of the package that brought it.
                let krate = Name::parse(&leaf.symbol).krate;
                let krate = if leaf.module == "[C]" { krate } else { leaf.krate.clone() };
                *code.entry((krate, leaf.symbol.clone())).or_default() += leaf.size;
            }
            let told = alone(functions(&nm, &unstripped));
            assert!(told.len() > 1000, "{}", told.len());
            let wrong: Vec<_> =
                told.iter().filter(|(key, size)| code.get(*key) != Some(*size)).collect();
            assert!(wrong.is_empty(), "{} of {}: {:#?}", wrong.len(), told.len(), &wrong[..1]);
        }
    }
}

/// Checks that few bytes are unattributed, and that most are certain.
#[test]
fn most_bytes_are_attributed() {
    for (_, dist) in built() {
        for artifact in dist["artifacts"].as_array().unwrap() {
            let crates = &artifact["attribution"]["crates"];
            let crate_size = |name: &str| crates[name].as_u64().unwrap_or(0);
            let size = artifact["size"].as_u64().unwrap();
            let all: u64 = crates.as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
            assert_eq!(all, size);
            assert!(crate_size("[unattributed]") * 100 < size, "{crates:#}");
            assert!(crate_size("[shared data]") * 50 < size, "{crates:#}");
        }
    }
}
