//! The checksums of a release, and whether its files are what they say.

use camino::Utf8Path;

use crate::{
    model::{
        error::{Error, Result, Status},
        schema::Dist,
    },
    release::signature::{CHECKSUMS, Checksums, checksums::LIMIT},
    sys::{
        Context,
        fs::{self, Kind},
    },
};

/// A file that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ops) struct Problem {
    pub(in crate::ops) path: String,
    pub(in crate::ops) why: String,
}

/// Returns the checksums in a directory, and their bytes.
pub(in crate::ops) fn read(directory: &Utf8Path) -> Result<(Checksums, Vec<u8>)> {
    let path = directory.join(CHECKSUMS);
    if !matches!(fs::kind(&path, true), Ok(Kind::File { .. })) {
        return Err(Error::check(format!("there is no `{path}`"))
            .hint("it is what is signed, and says what each file must be"));
    }
    let bytes = fs::read_start(&path, LIMIT + 1)?;
    if bytes.len() as u64 > LIMIT {
        return Err(Error::check(format!("`{path}` has more than {LIMIT} bytes")));
    }
    Ok((Checksums::parse(&bytes)?, bytes))
}

/// Checks that the release manifest records the same for each file.
pub(in crate::ops) fn recorded(dist: &Dist, sums: &Checksums) -> Result<()> {
    let archives = dist.archives.iter().map(|of| (&of.path, of.sha256));
    let documents = dist.documents.iter().map(|of| (&of.path, of.sha256));
    for (path, digest) in archives.chain(documents) {
        let Some(name) = path.strip_prefix("archives/") else { continue };
        if !Checksums::is_own(name) && sums.get(name) != Some(digest) {
            let message = format!("`dist.json` and `{CHECKSUMS}` do not agree on `{path}`");
            return Err(Error::check(message).hint("`cargo longshore dist` makes both again"));
        }
    }
    Ok(())
}

/// Checks every file of a directory against its checksum: missing files, changed files, and files
/// without a checksum are errors.
pub(in crate::ops) fn hold(
    cx: &Context,
    directory: &Utf8Path,
    sums: &Checksums,
) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for (name, _) in sums.iter() {
        cx.children.check()?;
        if let Err(error) = file(&directory.join(name), sums) {
            problems
                .push(Problem { path: directory.join(name).into_string(), why: error.to_string() });
        }
    }
    for name in fs::names(directory)? {
        if sums.get(&name).is_none() && !Checksums::is_own(&name) {
            let path = directory.join(name).into_string();
            problems.push(Problem { path, why: format!("`{CHECKSUMS}` does not name it") });
        }
    }
    Ok(problems)
}

/// Holds one file against its checksum.
pub(in crate::ops) fn file(path: &Utf8Path, sums: &Checksums) -> Result<()> {
    let name = path.file_name().unwrap_or_default();
    let unknown = || Error::check(format!("`{CHECKSUMS}` does not name it"));
    let wanted = sums.get(name).ok_or_else(unknown)?;
    match fs::kind(path, true) {
        Ok(Kind::File { .. }) => {}
        Ok(_) => return Err(Error::check("it is no file")),
        Err(_) => return Err(Error::check("it is missing")),
    }
    let (is, _) = fs::digest(path).map_err(|error| error.with_status(Status::CheckFailed))?;
    if is != wanted {
        return Err(Error::check(format!("it is `{is}`, and `{CHECKSUMS}` has `{wanted}`")));
    }
    Ok(())
}
