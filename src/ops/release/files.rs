//! The files of a release: those that `dist.json` names, and no others.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    model::{
        digest::Digest,
        error::{Error, Result},
        schema::Dist,
    },
    ops::{output::checksums, package::checksum::DIRECTORY},
    release::{publish::ReleaseFile, signature::CHECKSUMS},
    sys::{
        Context,
        fs::{self, FileType},
    },
};

/// A file of the release.
pub(super) struct LocalFile {
    pub(super) path: Utf8PathBuf,
    pub(super) file: ReleaseFile,
}

/// Returns the files of the release in `root`, each compared with its digest.
///
/// # Errors
/// A file is missing or differs, `dist.json` does not name it, or it disagrees with `SHA256SUMS`.
pub(super) fn read(cx: &Context, root: &Utf8Path, dist: &Dist) -> Result<Vec<LocalFile>> {
    let mut named: BTreeMap<String, (&str, u64, Digest)> = BTreeMap::new();
    for (path, size, sha256) in dist.downloads() {
        let name = Utf8Path::new(path).file_name().unwrap_or(path).to_owned();
        if let Some((other, ..)) = named.insert(name.clone(), (path, size, sha256)) {
            let message = format!("`{other}` and `{path}` would both be `{name}`");
            return Err(Error::check(message).hint("build the release again"));
        }
    }
    let directory = root.join(DIRECTORY);
    if named.is_empty() {
        return Err(Error::check(format!("`{root}` has no archives"))
            .hint("`cargo longshore package` makes them from the built binaries"));
    }
    let mut stray = fs::names(&directory)?;
    stray.retain(|name| {
        let path = format!("{DIRECTORY}/{name}");
        named.get(name).is_none_or(|(known, ..)| *known != path)
    });
    if !stray.is_empty() {
        let names: Vec<String> =
            stray.iter().map(|name| format!("`{DIRECTORY}/{}`", name.escape_debug())).collect();
        let message =
            format!("`{root}` has files that `dist.json` does not name: {}", names.join(", "));
        return Err(Error::check(message).hint("remove them, or build the release again"));
    }
    let (sums, _) = checksums::read(&directory)?;
    checksums::check_recorded(dist, &sums)?;
    if let Some((name, _)) = sums.iter().find(|(name, _)| !named.contains_key(*name)) {
        let message =
            format!("`{CHECKSUMS}` has `{}`, which `dist.json` does not name", name.escape_debug());
        return Err(Error::check(message).hint("build the release again"));
    }
    let mut files = Vec::new();
    for (name, (path, size, sha256)) in named {
        cx.children.check()?;
        let path = root.join(path);
        let is_file =
            fs::file_type(&path, false).is_ok_and(|kind| matches!(kind, FileType::File { .. }));
        if !is_file {
            return Err(Error::check(format!(
                "there is no file `{path}`, which `dist.json` names"
            ))
            .hint("build the release again"));
        }
        let (found, found_size) = fs::digest(&path)?;
        if (found, found_size) != (sha256, size) {
            return Err(Error::check(format!(
                "`{path}` does not match `dist.json`: expected {size} bytes with {sha256}, found \
                 {found_size} with {found}"
            ))
            .hint("build the release again"));
        }
        files.push(LocalFile { path, file: ReleaseFile { name, size, sha256 } });
    }
    Ok(files)
}
