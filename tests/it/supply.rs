//! The crates that users compile with longshore: their licences, versions and sources, by the rules of
//! `deny.toml`; and the files of longshore's own crate.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::support::command::plain;

/// A package as `cargo tree` names it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    /// The source, if it is not the default registry.
    source: Option<String>,
    license: String,
}

/// Returns the packages of the graph that the rules are about.
fn packages(rules: &toml::Table) -> BTreeSet<Package> {
    let mut all = BTreeSet::new();
    for target in strings(&rules["graph"]["targets"]) {
        let mut tree = plain("cargo");
        tree.args(["tree", "--offline", "--locked", "--package", "longshore", "--all-features"])
            .args(["--edges", "normal,build", "--prefix", "none", "--no-dedupe"])
            .args(["--format", "{p}|{l}", "--target", target])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        let output = tree.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let (package, license) = line.split_once('|').unwrap();
            let mut words = package.splitn(3, ' ');
            let mut word = || words.next().map(str::to_owned);
            let (name, version) = (word().unwrap(), word().unwrap());
            let source = word().filter(|source| source != "(proc-macro)");
            let version = version.trim_start_matches('v').to_owned();
            all.insert(Package { name, version, source, license: license.to_owned() });
        }
    }
    all
}

fn strings(value: &toml::Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|value| value.as_str().unwrap()).collect()
}

/// Returns whether one of the licences that `expression` (SPDX 2.3, annex D) offers is allowed; which ones it
/// needs is added to `used`.
fn is_allowed(expression: &str, allowed: &[&str], used: &mut BTreeSet<String>) -> bool {
    let text = expression.replace('/', " OR ");
    if let Some((group, rest)) = text.strip_prefix('(').and_then(|text| text.split_once(')')) {
        let rest = rest.trim().trim_start_matches("AND ");
        return is_allowed(group, allowed, used) && is_allowed(rest, allowed, used);
    }
    text.split(" OR ").any(|choice| {
        choice.split(" AND ").all(|license| {
            let known = allowed.contains(&license.trim());
            if known {
                used.insert(license.trim().to_owned());
            }
            known
        })
    })
}

#[test]
fn crates_follow_the_rules_of_deny_toml() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deny.toml");
    let rules: toml::Table = fs::read_to_string(path).unwrap().parse().unwrap();
    let packages = packages(&rules);
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    let exceptions = rules["licenses"]["exceptions"].as_array().unwrap();
    for Package { name, version, source, license } in &packages {
        if let Some(source) = source.as_ref().filter(|_| name != "longshore") {
            wrong.push(format!("{name} {version} comes from {source}"));
        }
        let mut allowed = strings(&rules["licenses"]["allow"]);
        let own = exceptions.iter().filter(|exception| exception["crate"].as_str() == Some(name));
        allowed.extend(own.flat_map(|exception| strings(&exception["allow"])));
        if !is_allowed(license, &allowed, &mut used) {
            wrong.push(format!("{name} {version} has the licence `{license}`"));
        }
    }
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in &packages {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    for skip in rules["bans"]["skip"].as_array().unwrap() {
        assert!(skip["reason"].as_str().is_some());
        let (name, version) = skip["crate"].as_str().unwrap().split_once('@').unwrap();
        let all = versions.entry(name).or_default();
        let before = all.len();
        all.retain(|other| !other.starts_with(&format!("{version}.")));
        if before < 2 || all.len() == before {
            wrong.push(format!("no second version of {name} is {version}: remove it from `skip`"));
        }
    }
    let several = versions.iter().filter(|(_, versions)| versions.len() > 1);
    wrong.extend(several.map(|(name, versions)| format!("{name} has the versions {versions:?}")));
    let unused =
        strings(&rules["licenses"]["allow"]).into_iter().filter(|item| !used.contains(*item));
    wrong.extend(unused.map(|license| format!("no crate needs `{license}`: remove it")));
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn alternatives_and_conjunctions_of_licences_differ() {
    let allowed = ["MIT", "ISC"];
    let is = |text| is_allowed(text, &allowed, &mut BTreeSet::new());
    assert!(is("MIT") && is("GPL-3.0 OR MIT") && is("GPL-3.0/MIT") && is("MIT AND ISC"));
    assert!(is("(MIT OR GPL-3.0) AND ISC"));
    assert!(!is("GPL-3.0") && !is("MIT AND GPL-3.0") && !is("(MIT OR ISC) AND GPL-3.0") && !is(""));
}

/// The files below `root` that the code of `file` includes, without its tests.
fn included(file: &Path, text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut found = Vec::new();
    for of_macro in ["include_str!(", "include_bytes!("] {
        for rest in code.split(of_macro).skip(1) {
            let name = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
            let name = name.unwrap_or_else(|| panic!("{file:?} includes what is no literal"));
            let mut path: Vec<&str> =
                file.parent().unwrap().iter().map(|p| p.to_str().unwrap()).collect();
            for part in name.split('/') {
                match part {
                    ".." => drop(path.pop()),
                    part => path.push(part),
                }
            }
            found.push(path.join("/"));
        }
    }
    found
}

#[test]
fn the_packed_crate_has_every_file_that_its_code_includes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut list = plain("cargo");
    list.args(["package", "--list", "--package", "longshore", "--allow-dirty", "--offline"]);
    let output = list.current_dir(root).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list = String::from_utf8(output.stdout).unwrap();
    let packed: BTreeSet<&str> = list.lines().collect();
    let mut missing = Vec::new();
    let mut count = 0;
    for file in packed.iter().filter(|file| file.ends_with(".rs")) {
        for path in included(Path::new(file), &fs::read_to_string(root.join(file)).unwrap()) {
            count += 1;
            if !packed.contains(path.as_str()) {
                missing.push(format!("{file} includes {path}"));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    assert!(count > 10, "{count}");
}
