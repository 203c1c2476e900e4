//! Workspaces of users, written from text.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// The source of most fixtures, which print the same whatever their arguments are.
pub(crate) const HELLO: &str = "fn main() {\n    println!(\"hello from a fixture\");\n}\n";

/// A directory with a workspace in it, outside of any repository.
#[derive(Debug)]
pub(crate) struct Workspace {
    // Canonical: macOS keeps temporary files behind a link.
    root: PathBuf,
    _dir: Option<TempDir>,
}

impl Workspace {
    /// Returns an empty directory.
    pub(crate) fn empty() -> Self {
        let dir = TempDir::new().unwrap();
        Workspace { root: dir.path().canonicalize().unwrap(), _dir: Some(dir) }
    }

    /// Returns the directory `root`, which stays.
    pub(crate) fn at(root: &Path) -> Self {
        fs::create_dir_all(root).unwrap();
        Workspace { root: root.canonicalize().unwrap(), _dir: None }
    }

    /// Returns one package `hello` with one binary.
    pub(crate) fn hello() -> Self {
        Self::empty().package("hello", "")
    }

    /// Returns a package in the root with one binary; `more` ends its `Cargo.toml`.
    pub(crate) fn package(self, name: &str, more: &str) -> Self {
        self.file("Cargo.toml", &manifest(name, more))
            .file("Cargo.lock", &lock(&[name]))
            .file("src/main.rs", HELLO)
    }

    /// Members `names`, each with one binary of its name; `more` ends the root's `Cargo.toml`.
    pub(crate) fn members(names: &[&str], more: &str) -> Self {
        let root = format!("[workspace]\nmembers = {names:?}\nresolver = \"3\"\n{more}\n");
        let all = Self::empty().file("Cargo.toml", &root).file("Cargo.lock", &lock(names));
        names.iter().fold(all, |all, name| {
            all.file(&format!("{name}/Cargo.toml"), &manifest(name, ""))
                .file(&format!("{name}/src/main.rs"), HELLO)
        })
    }

    /// Writes one file.
    pub(crate) fn file(self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self
    }

    /// Writes one file.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Removes one file.
    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.path(path)).unwrap();
    }

    /// Returns the path of `path` in it.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Returns its directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the directory of its output.
    pub(crate) fn dist(&self) -> PathBuf {
        self.path("target/dist")
    }
}

/// Returns a package's `Cargo.toml`.
pub(crate) fn manifest(name: &str, more: &str) -> String {
    format!("[package]\nname = {name:?}\nversion = \"0.1.0\"\nedition = \"2021\"\n{more}\n")
}

/// Returns the `Cargo.lock` of packages without dependencies.
pub(crate) fn lock(names: &[&str]) -> String {
    let mut names = names.to_vec();
    names.sort_unstable();
    let package = |name: &&str| format!("\n[[package]]\nname = {name:?}\nversion = \"0.1.0\"\n");
    format!("version = 4\n{}", names.iter().map(package).collect::<String>())
}
