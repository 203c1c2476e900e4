//! The house is in order: who imports whom, how long things are, and that what is written twice is
//! the same.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use longshore::{build::target::EMBEDDED, model::error::Status};

use crate::support::{command::plain, peer};

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns every Rust file below `dir`, as its path in the repository and its text.
pub(crate) fn sources(dir: &str) -> Vec<(String, String)> {
    files(dir, &["rs"])
}

/// Returns every file below `dir` with one of the extensions, as its path in the repository and its text.
pub(crate) fn files(dir: &str, extensions: &[&str]) -> Vec<(String, String)> {
    let mut open = vec![repository().join(dir)];
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|e| extensions.iter().any(|one| e == *one)) {
            let name = path.strip_prefix(repository()).unwrap().to_str().unwrap().to_owned();
            files.push((name, fs::read_to_string(path).unwrap()));
        }
    }
    files.sort();
    assert!(!files.is_empty(), "{dir}");
    files
}

/// Returns `text` without its tests, its comments and its strings' lines of comment.
pub(crate) fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the top-level modules that a file names, as `crate::module` or in `use crate::{…}`.
fn imports(code: &str) -> BTreeSet<String> {
    let ident = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            found.insert(ident(rest));
            continue;
        };
        // The names at the start, and after each comma at depth 1.
        let mut depth = 1;
        found.insert(ident(list));
        for (at, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => drop(found.insert(ident(&list[at + 1..]))),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found.remove("");
    found
}

/// Returns the room a file of `src` is in.
fn room(file: &str) -> &str {
    let rest = file.strip_prefix("src/").unwrap();
    rest.split(['/', '.']).next().unwrap()
}

#[test]
fn imports_are_read_right() {
    let code =
        "use crate::{\n    a::{b, c::{d, e}},\n    f,\n};\nuse crate::g::h;\nfn x() { crate::i() }";
    assert_eq!(imports(code).into_iter().collect::<Vec<_>>(), ["a", "f", "g", "i"]);
}

/// The wings of `src`, and the wings that each may import.
const WINGS: [(&str, &[&str]); 12] = [
    ("model", &[]),
    ("binary", &["model"]),
    ("archive", &["model"]),
    ("image", &["model", "archive"]),
    ("verify", &["model", "binary"]),
    ("build", &["model", "verify"]),
    ("size", &["model", "binary"]),
    ("release", &["model", "image", "verify", "build"]),
    ("ci", &["model", "build"]),
    ("sys", BELOW_SYS),
    ("ops", BELOW_OPS),
    ("cli", &["*"]),
];

const BELOW_SYS: &[&str] =
    &["model", "binary", "archive", "image", "verify", "build", "size", "release", "ci"];
const BELOW_OPS: &[&str] =
    &["model", "binary", "archive", "image", "verify", "build", "size", "release", "ci", "sys"];

/// Imports that the table does not have. None of them closes a circle.
const EXCEPTIONS: [(&str, &str); 4] = [
    // Names and versions of packages are a part of the plan.
    ("src/build/plan/arch.rs", "archive"),
    ("src/build/plan/formats.rs", "archive"),
    ("src/build/plan/rpm.rs", "archive"),
    ("src/size/text/human.rs", "verify"),
];

#[test]
fn src_has_only_the_wings() {
    let mut expected: Vec<String> = WINGS.iter().map(|(wing, _)| (*wing).to_owned()).collect();
    expected.extend(["lib.rs", "main.rs"].map(str::to_owned));
    expected.sort();
    let entries = fs::read_dir(repository().join("src")).unwrap();
    let mut found: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn wings_import_those_that_the_table_lists() {
    let mut wrong = Vec::new();
    let mut used: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (file, text) in sources("src") {
        let code = code(&text);
        let wing = room(&file);
        let allowed = WINGS.iter().find(|(name, _)| *name == wing).map_or(&["*"][..], |(_, a)| a);
        let is_test = file.ends_with("tests.rs");
        for name in imports(&code).into_iter().filter(|name| *name != wing && !is_test) {
            let exception = EXCEPTIONS.iter().find(|(path, to)| *path == file && *to == name);
            used.extend(exception.copied());
            if exception.is_none() && allowed != ["*"] && !allowed.contains(&name.as_str()) {
                wrong.push(format!("{file} imports `{name}`"));
            }
        }
        let only = |what: &str, places: &[&str]| {
            let found = code.contains(what);
            let here = places.iter().any(|place| file.starts_with(place));
            (found && !here).then(|| format!("{file} has `{what}`"))
        };
        wrong.extend(only("clap::", &["src/cli/"]));
        wrong.extend(only("duct::", &["src/sys/process/"]));
        wrong.extend(only("process::Command", &["src/sys/process/", "src/sys/confine/"]));
        wrong.extend(only("unsafe {", &["src/sys/confine/raw.rs"]));
        wrong.extend(only("std::net", &[]));
        wrong.extend(only("ureq::", &["src/sys/registry/", "src/sys/forge/"]));
        wrong.extend(only("rustls", &["src/sys/registry/"]));
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(used.len(), EXCEPTIONS.len(), "an exception is not needed: {used:?}");
}

/// Places besides `model/schema` with types that are serialized, and what these are.
const SERIALIZED: [(&str, &str); 10] = [
    ("src/model/digest.rs", "a field of many schemas"),
    ("src/model/machine.rs", "a field of many schemas"),
    ("src/model/platform.rs", "a field of many schemas"),
    ("src/image/oci/", "the documents of the OCI image specification"),
    ("src/build/cache/", "the record of a build, which only the next build reads"),
    ("src/build/cargo/identity.rs", "input of the wrapper of rustc"),
    ("src/ops/image/layers.rs", "the record of compressed layers, which only the next image reads"),
    ("src/sys/digests.rs", "the record of digests, which only the next command reads"),
    ("src/release/provenance.rs", "the statement and predicate of in-toto and SLSA"),
    ("src/size/page/data.rs", "input of the page's script"),
];

#[test]
fn types_for_others_are_in_model_schema() {
    let mut wrong = Vec::new();
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for (file, text) in sources("src").into_iter().filter(|(file, _)| !file.contains("/schema/")) {
        let code = code(&text);
        let mut derives = code.split("derive(").skip(1).filter_map(|list| list.split(')').next());
        let traits = ["Serialize", "JsonSchema"];
        let listed = |list: &str| list.split(',').any(|one| traits.contains(&one.trim()));
        let by_hand = traits.iter().any(|name| code.contains(&format!("impl {name} for")));
        if !derives.any(listed) && !by_hand {
            continue;
        }
        match SERIALIZED.iter().find(|(place, _)| file.starts_with(place)) {
            Some((place, _)) => drop(used.insert(*place)),
            None => wrong.push(file),
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    let unused = SERIALIZED.iter().filter(|(place, _)| !used.contains(place));
    assert_eq!(unused.collect::<Vec<_>>(), Vec::<&(&str, &str)>::new());
}

/// Code that only the files beside it may contain, since each decision is made in one file.
const ONE_PLACE: [(&str, &[&str]); 19] = [
    ("\"dist.json\"", &["src/model/schema/dist.rs"]),
    ("\"GITHUB_ACTIONS\"", &["src/model/provider.rs"]),
    ("\"GITLAB_CI\"", &["src/model/provider.rs"]),
    ("\"CIRCLECI\"", &["src/model/provider.rs"]),
    // The other one reads the open files of its own process, while the directory is one of them.
    ("read_dir(", &["src/sys/directory.rs", "src/sys/confine/outer.rs"]),
    ("read_dir_utf8(", &[]),
    // Images, a Dockerfile's variables, names of symbols, archives, directories.
    (
        "const DEPTH",
        &[
            "src/image/oci/walk.rs",
            "src/image/dockerfile/expand.rs",
            "src/size/name/v0.rs",
            "src/archive/unpack/entry.rs",
            "src/sys/directory.rs",
        ],
    ),
    // The standard library compiles a sorting algorithm for each of these.
    (".sort_by(", &["src/model/collect.rs"]),
    (".sort_by_key(", &[]),
    ("1} kB\"", &[]),
    ("2} MB\"", &[]),
    // The threads of a program that goes on meanwhile, and one with a larger stack.
    ("thread::scope", &["src/sys/parallel.rs", "src/ops/dist/warm.rs", "src/cli/mod.rs"]),
    // The names of zig's and CMake's for targets are in `build::zig`.
    ("\"aarch64\"", &["src/model/machine.rs", "src/build/zig/filter.rs"]),
    (
        "\"riscv64\"",
        &["src/model/machine.rs", "src/build/zig/compiler.rs", "src/build/zig/filter.rs"],
    ),
    ("\"ppc64le\"", &["src/model/machine.rs", "src/build/zig/compiler.rs"]),
    (
        "\"s390x\"",
        &["src/model/machine.rs", "src/build/zig/compiler.rs", "src/build/zig/filter.rs"],
    ),
    ("\"loong64\"", &["src/model/machine.rs"]),
    ("\"armhf\"", &["src/model/machine.rs"]),
    ("\"386\"", &["src/model/machine.rs"]),
];

#[test]
fn decisions_are_in_one_file() {
    let mut wrong = Vec::new();
    let mut found: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (file, text) in sources("src").iter().filter(|(file, _)| !file.ends_with("tests.rs")) {
        let code = code(text);
        for (what, places) in ONE_PLACE.iter().filter(|(what, _)| code.contains(what)) {
            match places.iter().find(|place| *place == file) {
                Some(place) => drop(found.insert((what, place))),
                None => wrong.push(format!("{file} has `{what}`")),
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    let all: usize = ONE_PLACE.iter().map(|(_, places)| places.len()).sum();
    assert_eq!(found.len(), all, "a place no longer has it: {found:?}");
}

#[test]
fn files_and_functions_are_short() {
    let mut long = Vec::new();
    for dir in ["src", "runtime", "tests/it", "xtask/src"] {
        for (file, text) in sources(dir) {
            let tests = file.ends_with("tests.rs") && dir == "src";
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let lines = code.lines().count();
            if lines > 500 && !tests {
                long.push(format!("{file}: {lines} lines"));
            }
            long.extend(
                functions(code).map(|(name, lines)| format!("{file}: {name}: {lines} lines")),
            );
        }
    }
    assert_eq!(long, Vec::<String>::new());
}

/// Returns the functions of more than 80 lines. rustfmt ends a function with a brace in the column of its first
/// line.
fn functions(code: &str) -> impl Iterator<Item = (String, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let start = |line: &str| {
        let words = line.split_whitespace();
        let mut words = words.skip_while(|word| {
            ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe"].contains(word)
        });
        (words.next() == Some("fn")).then(|| words.next().unwrap_or_default().to_owned())
    };
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = start(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let end = format!("{}}}", &line[..indent]);
        let length = lines[at..].iter().position(|line| *line == end).unwrap_or(0) + 1;
        if length > 80 {
            found.push((name, length));
        }
    }
    found.into_iter()
}

#[test]
fn every_target_file_is_embedded() {
    let dir = repository().join("targets");
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let embedded: Vec<_> = EMBEDDED.iter().map(|(name, _)| format!("{name}.toml")).collect();
    assert_eq!(files, embedded);
}

/// Returns every tracked file that is text.
fn tracked() -> Option<Vec<(PathBuf, String)>> {
    let git = peer::find("git")?;
    let mut command = plain(git);
    let output = command.args(["ls-files", "-z"]).current_dir(repository()).output().unwrap();
    if !output.status.success() {
        peer::skip("this is no git repository");
        return None;
    }
    let names = String::from_utf8(output.stdout).unwrap();
    let names = names.split('\0').filter(|name| !name.is_empty());
    // One that is deleted and not yet committed is still listed.
    let read = |name: &str| {
        let path = PathBuf::from(name);
        fs::read_to_string(repository().join(&path)).ok().map(|text| (path, text))
    };
    Some(names.filter_map(read).collect())
}

#[test]
fn nothing_tracked_names_a_home_directory() {
    let Some(files) = tracked() else { return };
    assert!(files.len() > 50);
    let mut wrong = Vec::new();
    for (path, text) in files {
        for (number, line) in text.lines().enumerate() {
            for home in ["/home/", "/Users/", "/root/"] {
                let absolute = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric());
                let named =
                    line.match_indices(home).filter(|(at, _)| absolute(*at)).any(|(at, _)| {
                        let rest = &line[at + home.len()..];
                        let name = rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap();
                        // Examples of nobody's.
                        !["", "me", "user", "somebody", "someone", "ann", "x"].contains(&name)
                    });
                if named {
                    wrong.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn documents_name_the_versions_that_are_used() {
    let Some(files) = tracked() else { return };
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let rust = manifest["workspace"]["package"]["rust-version"].as_str().unwrap();
    let wanted =
        [("ziglang==", longshore::build::zig::PINNED), ("Rust ", rust), ("rust-version = ", rust)];
    let mut wrong = Vec::new();
    let documents = files.iter().filter(|(path, _)| {
        path.extension().is_some_and(|e| e == "md") && !path.ends_with("CHANGELOG.md")
    });
    for (path, text) in documents {
        for (lead, version) in wanted {
            for rest in text.split(lead).skip(1) {
                let said: String = rest
                    .trim_start_matches('"')
                    .chars()
                    .take_while(|c| c.is_ascii_digit() || *c == '.')
                    .collect();
                let said = said.trim_end_matches('.');
                if said.contains('.') && said != version {
                    wrong.push(format!("{}: `{lead}{said}`, not {version}", path.display()));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_documented_exit_statuses_are_those_of_the_program() {
    let text = fs::read_to_string(repository().join("docs/exit-status.md")).unwrap();
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    let table: Vec<_> = Status::TABLE
        .iter()
        .map(|(status, meaning)| format!("| {} | {meaning} |", status.code()))
        .collect();
    assert_eq!(rows, table);
}
