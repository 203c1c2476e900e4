//! Recipes: a Dockerfile, and after a NUL byte a `.dockerignore`; read, evaluated, carried out.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use libfuzzer_sys::fuzz_target;
use longshore::{
    archive::{
        tar::Meta,
        tree::{Content, Tree},
    },
    image::{
        assemble,
        dockerfile::{self, Arguments, ignore::Ignore},
    },
};

/// A few files and a link.
fn context() -> Tree {
    let meta = Meta { mode: 0o755, uid: 0, gid: 0, mtime: 1 };
    let mut tree = Tree::default();
    for path in ["/a", "/b.txt", "/d/e/f", "/d/g", "/linux/amd64/bin/x"] {
        tree.add_file(path, meta, meta, Content::bytes(path.as_bytes())).unwrap();
    }
    tree
}

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (recipe, ignored) = text.split_once('\0').unwrap_or((&text, ""));
    if let Ok(ignore) = Ignore::parse(".dockerignore", ignored) {
        for path in ["a", "d/e/f", "linux/amd64/bin/x"] {
            // What is skipped has nothing in it that is not left out.
            if ignore.skips("d") && path.starts_with("d/") {
                assert!(ignore.excludes(path));
            }
        }
    }
    let Ok(recipe) = dockerfile::parse("Dockerfile", recipe) else { return };
    let platform = "linux/amd64".parse().unwrap();
    let arguments = Arguments {
        build_platform: "linux/amd64".parse().unwrap(),
        platform,
        values: BTreeMap::from([("A".to_owned(), "$B ${".to_owned())]),
        target: None,
    };
    let Ok(evaluated) = recipe.evaluate(&arguments) else { return };
    let _ = assemble::assemble(&recipe, &evaluated, &context(), &BTreeSet::new(), 2);
});
