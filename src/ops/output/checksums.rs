//! The checksums of a release, and the comparison of its files with them.

use camino::Utf8Path;

use crate::{
    model::{
        error::{Error, Result, Status},
        schema::Dist,
    },
    release::signature::{CHECKSUMS, Checksums, checksums::LIMIT},
    sys::{
        Context,
        fs::{self, FileType},
    },
};

/// A file that does not match its checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ops) struct ChecksumProblem {
    pub(in crate::ops) path: String,
    pub(in crate::ops) why: String,
}

/// Returns the checksums in a directory, and their bytes.
pub(in crate::ops) fn read(directory: &Utf8Path) -> Result<(Checksums, Vec<u8>)> {
    let path = directory.join(CHECKSUMS);
    if !matches!(fs::file_type(&path, true), Ok(FileType::File { .. })) {
        return Err(Error::check(format!("there is no `{path}`"))
            .hint("it has the digest of each file, and is the signed file"));
    }
    let bytes = fs::read_start(&path, LIMIT + 1)?;
    if bytes.len() as u64 > LIMIT {
        return Err(Error::check(format!("`{path}` has more than {LIMIT} bytes")));
    }
    Ok((Checksums::parse(&bytes)?, bytes))
}

/// Checks that the release manifest records the same for each file.
pub(in crate::ops) fn check_recorded(dist: &Dist, sums: &Checksums) -> Result<()> {
    for (path, _, digest) in dist.downloads() {
        let Some(name) = path.strip_prefix("archives/") else { continue };
        if !Checksums::is_exempt(name) && sums.get(name) != Some(digest) {
            let message = format!("`dist.json` and `{CHECKSUMS}` do not agree on `{path}`");
            return Err(Error::check(message).hint("`cargo longshore dist` makes both again"));
        }
    }
    Ok(())
}

/// Checks every file of a directory against its checksum: missing files, changed files, and files
/// without a checksum are errors.
pub(in crate::ops) fn check_files(
    cx: &Context,
    directory: &Utf8Path,
    sums: &Checksums,
) -> Result<Vec<ChecksumProblem>> {
    let mut problems = Vec::new();
    for (name, _) in sums.iter() {
        cx.children.check()?;
        if let Err(error) = check_file(&directory.join(name), sums) {
            problems.push(ChecksumProblem {
                path: directory.join(name).into_string(),
                why: error.to_string(),
            });
        }
    }
    for name in fs::names(directory)? {
        if sums.get(&name).is_none() && !Checksums::is_exempt(&name) {
            let path = directory.join(name).into_string();
            problems.push(ChecksumProblem { path, why: format!("`{CHECKSUMS}` does not name it") });
        }
    }
    Ok(problems)
}

/// Compares one file with its checksum.
pub(in crate::ops) fn check_file(path: &Utf8Path, sums: &Checksums) -> Result<()> {
    let name = path.file_name().unwrap_or_default();
    let unknown = || Error::check(format!("`{CHECKSUMS}` does not name it"));
    let expected = sums.get(name).ok_or_else(unknown)?;
    match fs::file_type(path, true) {
        Ok(FileType::File { .. }) => {}
        Ok(_) => return Err(Error::check("it is not a file")),
        Err(_) => return Err(Error::check("it is missing")),
    }
    let (is, _) = fs::digest(path).map_err(|error| error.with_status(Status::CheckFailed))?;
    if is != expected {
        return Err(Error::check(format!("it is `{is}`, and `{CHECKSUMS}` has `{expected}`")));
    }
    Ok(())
}
