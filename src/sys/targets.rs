//! The target files of a workspace.

use camino::Utf8Path;

use crate::{
    build::target::{Target, Targets},
    model::error::Result,
    sys::fs,
};

/// Returns the embedded targets and the workspace's own.
///
/// # Errors
/// A file in `root`'s `targets` cannot be read, or is not one of a target.
pub fn known(root: &Utf8Path) -> Result<Targets> {
    let dir = root.join("targets");
    let mut files = Vec::new();
    if !dir.is_dir() {
        return Targets::new(files);
    }
    for file in fs::source_names(&dir)? {
        if let Some(name) = file.strip_suffix(".toml").filter(|name| is_target_name(name)) {
            let path = dir.join(&file);
            if path.is_dir() {
                continue;
            }
            if let Some(text) = fs::read_to_string_if_exists(&path)? {
                files.push((name.to_owned(), path.into_string(), text));
            }
        }
    }
    Targets::new(files)
}

/// Returns whether `name` has the form of a rustc target: three parts at least, joined by `-`. There
/// may be other `.toml` files in a directory called `targets`, which can be a package.
fn is_target_name(name: &str) -> bool {
    let part = |part: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
        part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.bytes().all(known)
    };
    name.split('-').count() >= 3 && name.split('-').all(part)
}

/// Returns the workspace's own target of that name; `None` if it has no such file. Its other files are
/// not read.
///
/// # Errors
/// The file cannot be read, or is not one of a target.
pub fn find(root: &Utf8Path, name: &str) -> Result<Option<Target>> {
    if name.contains('/') {
        return Ok(None);
    }
    let path = root.join("targets").join(format!("{name}.toml"));
    let Some(text) = fs::read_to_string_if_exists(&path)? else {
        return Ok(None);
    };
    let targets = Targets::new([(name.to_owned(), path.into_string(), text)])?;
    targets.get(name).cloned().map(Some)
}
