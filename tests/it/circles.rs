//! Files of different rooms do not import each other in a circle. A room is a directory of `src`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::tidy::{code, sources};

/// The text from a position on.
struct Text<'a>(&'a str);

impl Text<'_> {
    fn skip(&mut self, mark: &str) -> bool {
        let rest = self.0.trim_start();
        let found = rest.strip_prefix(mark);
        self.0 = found.unwrap_or(rest);
        found.is_some()
    }

    fn ident(&mut self) -> String {
        let rest = self.0.trim_start();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.0 = &rest[end..];
        rest[..end].to_owned()
    }

    /// Adds every path of a use tree, or the one path of an expression.
    fn paths(&mut self, start: &[String], found: &mut Vec<Vec<String>>) {
        if self.skip("{") {
            while !self.skip("}") && !self.0.is_empty() {
                self.paths(start, found);
                if self.skip("as ") {
                    self.ident();
                }
                self.skip("*");
                self.skip(",");
            }
            return;
        }
        let mut path = start.to_vec();
        let ident = self.ident();
        if ident.is_empty() {
            return found.push(path);
        }
        path.push(ident);
        if self.skip("::") { self.paths(&path, found) } else { found.push(path) }
    }
}

/// Returns every path in `code` that starts at the crate, the parent module or the module itself.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':') {
                Text(&code[at..]).paths(&[], &mut found);
            }
        }
    }
    found
}

/// Returns the module that a file is.
fn module(file: &str) -> Vec<String> {
    let path = file.strip_prefix("src/").unwrap().strip_suffix(".rs").unwrap();
    let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
    parts.pop_if(|last| ["mod", "lib", "main"].contains(&last.as_str()));
    parts
}

/// Returns the file that `path` in `from` leads to: that of the longest start that is a module.
fn file<'a>(
    modules: &BTreeMap<Vec<String>, &'a str>,
    from: &str,
    path: &[String],
) -> Option<&'a str> {
    let mut full = module(from);
    for (at, part) in path.iter().enumerate() {
        match part.as_str() {
            "crate" if at == 0 => full.clear(),
            "super" => drop(full.pop()),
            "self" => {}
            _ => full.push(part.clone()),
        }
    }
    while !full.is_empty() {
        if let Some(file) = modules.get(&full) {
            return Some(file);
        }
        full.pop();
    }
    None
}

#[test]
fn paths_are_read() {
    let code = "use crate::{a::{self, b::C as D}, e};\nuse super::f::*;\nfn g() { self::h::i(1) }";
    let found = paths(code);
    let found: Vec<String> = found.iter().map(|path| path.join("::")).collect();
    let expected = ["crate::a::self", "crate::a::b::C", "crate::e", "super::f", "self::h::i"]
        .map(str::to_owned);
    assert_eq!(found, expected);
}

#[test]
fn directories_do_not_import_each_other_in_a_circle() {
    let sources: Vec<(String, String)> = sources("src")
        .into_iter()
        .filter(|(file, _)| !file.ends_with("tests.rs") && file != "src/main.rs")
        .collect();
    let modules = sources.iter().map(|(file, _)| (module(file), file.as_str())).collect();
    let mut imports: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, text) in &sources {
        let found = paths(&code(text));
        let files = found.iter().filter_map(|path| file(&modules, from, path));
        imports.insert(from, files.filter(|to| to != from).collect());
    }
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 1000, "imports are not found");
    let room = |file: &str| Path::new(file).parent().unwrap().to_owned();
    let mut circles = Vec::new();
    for (from, direct) in &imports {
        for to in direct.iter().filter(|to| room(to) != room(from)) {
            let (mut open, mut seen) = (vec![*to], BTreeSet::new());
            while let Some(next) = open.pop() {
                if seen.insert(next) {
                    open.extend(imports.get(next).into_iter().flatten());
                }
            }
            if seen.contains(from) {
                circles.push(format!("{from} imports {to}, which leads back"));
            }
        }
    }
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}
