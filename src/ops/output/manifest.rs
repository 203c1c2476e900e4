//! The one reader and writer of `dist.json`. Every failure to read it has one message and one status under
//! every command.

use std::io::Read as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    model::{
        error::{Error, Result, Status},
        schema::{
            Dist,
            dist::{FILE, SCHEMA},
        },
        source::ReadAt as _,
    },
    ops::image::store,
    release::merge::{is_below, rejected_paths},
    sys::{
        access, file,
        fs::{self, FileType},
    },
};

/// The largest `dist.json` that is read.
const MAX_SIZE: u64 = 64 << 20;

/// Returns the release manifest that `path` names: the file itself, or the entry of that name in the
/// directory, whatever it is. An image in a registry has none.
pub fn manifest_path(path: &Utf8Path) -> Option<Utf8PathBuf> {
    if path.file_name() == Some(FILE) && !store::is_reference(path.as_str()) {
        return Some(path.to_owned());
    }
    let inner = path.join(FILE);
    (!access::is_absent(&inner)).then_some(inner)
}

/// Reads the release manifest in `directory`.
///
/// # Errors
/// The errors of [`read`].
pub(in crate::ops) fn read_in(directory: &Utf8Path) -> Result<Dist> {
    read(&directory.join(FILE))
}

/// Reads the release manifest at `path`. Each of its paths leads to a file below its directory.
///
/// # Errors
/// There is none, it cannot be read, or is not one of this schema; always with the status of a failed
/// check.
pub(in crate::ops) fn read(path: &Utf8Path) -> Result<Dist> {
    #[derive(Deserialize)]
    struct SchemaNumber {
        schema: u32,
    }
    let bytes = read_bytes(path)?;
    let reject = |why: String| Error::check(format!("`{path}` is not a release manifest: {why}"));
    // First the number: with another one, everything else may differ.
    let numbered = serde_json::from_slice(&bytes).map_err(|error| reject(error.to_string()))?;
    let SchemaNumber { schema } = numbered;
    if schema != SCHEMA {
        let hint = if schema > SCHEMA {
            "a newer longshore wrote it; install that version"
        } else {
            "an older longshore wrote it; make the release again"
        };
        return Err(reject(format!("expected schema {SCHEMA}, found {schema}")).hint(hint));
    }
    let dist = serde_json::from_slice(&bytes).map_err(|error| reject(error.to_string()))?;
    if let Some(path) = rejected_paths(&dist).first() {
        let what = if is_below(path) { "reserved" } else { "outside its directory" };
        return Err(reject(format!("it names `{}`, which is {what}", path.escape_debug()))
            .hint("use only a `dist.json` that longshore wrote"));
    }
    Ok(dist)
}

/// Writes the release manifest in `directory`.
///
/// # Errors
/// It cannot be written; the previous one is still there.
pub(in crate::ops) fn write(directory: &Utf8Path, dist: &Dist) -> Result<()> {
    let path = directory.join(FILE);
    let mut text = serde_json::to_string_pretty(dist)
        .map_err(|error| Error::build(format!("cannot write `{path}`")).because(error))?;
    text.push('\n');
    fs::write(&path, text.as_bytes())
}

/// Returns whether the directory has a release manifest of longshore, of any version. A symbolic link does not
/// count.
pub(in crate::ops) fn is_output(directory: &Utf8Path) -> bool {
    /// The keys of every version.
    #[derive(Deserialize)]
    struct ManifestKeys {
        #[serde(rename = "schema")]
        _schema: u32,
        #[serde(rename = "release")]
        _release: ReleaseKeys,
        #[serde(rename = "artifacts")]
        _artifacts: IgnoredAny,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct ReleaseKeys {
        #[serde(rename = "name")]
        _name: String,
        #[serde(rename = "source-date-epoch")]
        _epoch: u64,
        #[serde(rename = "tools")]
        _tools: IgnoredAny,
    }
    let path = directory.join(FILE);
    matches!(fs::file_type(&path, false), Ok(FileType::File { .. }))
        && read_bytes(&path)
            .is_ok_and(|bytes| serde_json::from_slice::<ManifestKeys>(&bytes).is_ok())
}

/// Returns the error for a missing release manifest at `path`.
pub(in crate::ops) fn missing_error(path: &Utf8Path) -> Error {
    Error::check(format!("there is no `{path}`"))
        .hint("`cargo longshore dist` makes it; name the directory that it is in")
}

/// Reads the bytes of a manifest.
fn read_bytes(path: &Utf8Path) -> Result<Vec<u8>> {
    let file = match file::open(path) {
        Ok(file) => file,
        Err(_) if access::is_absent(path) => return Err(missing_error(path)),
        Err(_) if access::is_dangling(path) => {
            let what = "it is a symbolic link to a file that does not exist";
            return Err(Error::check(format!("cannot read `{path}`: {what}")));
        }
        Err(error) => return Err(error.with_status(Status::CheckFailed)),
    };
    let size = file.size();
    if size > MAX_SIZE {
        return Err(Error::check(format!(
            "`{path}` is not a release manifest: expected at most {MAX_SIZE} bytes, found {size}"
        )));
    }
    let mut bytes = Vec::new();
    file.reader(0..size)
        .read_to_end(&mut bytes)
        .map_err(|error| fs::file_error("read", path, error).with_status(Status::CheckFailed))?;
    Ok(bytes)
}
