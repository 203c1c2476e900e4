//! The files of a release that a signature covers. Only `SHA256SUMS` is signed. It covers the archives
//! and the documents beside it; these cover the rest: the provenance has the digest of every binary and
//! image, `digests.txt` that of every image, and archives hold the binaries themselves.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use serde::Deserialize;

use super::release;
use crate::{
    model::{
        digest::Digest,
        error::{Error, Result},
        schema::{
            Dist,
            dist::{ArchiveKind, DocumentKind, FILE},
        },
    },
    ops::package::checksum::DIGESTS_PATH,
    release::{
        provenance::{PREDICATE, STATEMENT},
        signature::Checksums,
    },
    sys::fs,
};

/// The largest document that is read.
const MAX_DOCUMENT: u64 = 64 << 20;

/// An in-toto statement; only its subjects are read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    predicate_type: String,
    subject: Vec<StatementSubject>,
}

#[derive(Deserialize)]
struct StatementSubject {
    name: String,
    digest: BTreeMap<String, String>,
}

/// Digests that are signed.
#[derive(Default)]
struct CoveredDigests {
    /// Files and images of the provenance, by name.
    named: BTreeSet<(String, Digest)>,
    /// Images of `digests.txt`.
    images: BTreeSet<Digest>,
    /// Files in signed archives, by the target and their names.
    packed: BTreeSet<(String, String, Digest)>,
}

/// Returns the files of the release in `root` that the signature over `sums` does not cover, each with
/// the reason. A separate check compares files with `dist.json`.
///
/// # Errors
/// `dist.json` cannot be read.
pub(super) fn uncovered_files(root: &Utf8Path, sums: &Checksums) -> Result<Vec<(String, String)>> {
    let dist = release::read(&root.join(FILE))?;
    let (covered, mut wrong) = covered_digests(root, &dist, sums)?;
    let mut check = |path: &str, is: bool| {
        if !is {
            let why = "no signed provenance, archive or list of digests covers it".to_owned();
            wrong.push((path.to_owned(), why));
        }
    };
    let named = |path: &str, digest: Digest| {
        let name = path.strip_prefix("archives/").unwrap_or(path);
        covered.named.contains(&(name.to_owned(), digest))
    };
    let file = |path: &str, target: &str, digest: Digest| {
        named(path, digest)
            || covered.packed.contains(&(target.to_owned(), file_name(path), digest))
    };
    // Those beside the checksums are compared with them.
    let listed = |path: &str, digest: Digest| match path.strip_prefix("archives/") {
        Some(name) => Checksums::is_exempt(name) || sums.get(name) == Some(digest),
        None => named(path, digest),
    };
    for artifact in &dist.artifacts {
        check(&artifact.path, file(&artifact.path, &artifact.target, artifact.sha256));
        if let Some(debug) = &artifact.debug {
            check(&debug.path, file(&debug.path, &artifact.target, debug.sha256));
        }
        if let Some(record) = &artifact.attribution {
            check(&record.path, named(&record.path, record.sha256));
        }
    }
    for companion in &dist.companions {
        check(&companion.path, file(&companion.path, &companion.target, companion.sha256));
    }
    for archive in &dist.archives {
        check(&archive.path, listed(&archive.path, archive.sha256));
    }
    for channel in &dist.channels {
        check(&channel.path, listed(&channel.path, channel.sha256));
    }
    for document in &dist.documents {
        check(&document.path, listed(&document.path, document.sha256));
    }
    for image in &dist.images {
        check(
            &image.path,
            named(&image.path, image.digest) || covered.images.contains(&image.digest),
        );
    }
    Ok(wrong)
}

/// Returns the files that the signed documents and archives cover; and those of them that cannot be
/// read.
fn covered_digests(
    root: &Utf8Path,
    dist: &Dist,
    sums: &Checksums,
) -> Result<(CoveredDigests, Vec<(String, String)>)> {
    let mut covered = CoveredDigests::default();
    let mut wrong = Vec::new();
    // The very bytes that are read are compared with the checksums.
    let signed = |path: &str| -> Result<Option<Vec<u8>>> {
        let Some(expected) = path.strip_prefix("archives/").and_then(|name| sums.get(name)) else {
            return Ok(None);
        };
        let bytes = fs::read_start(&root.join(path), MAX_DOCUMENT)?;
        Ok((Digest::sha256(&bytes) == expected).then_some(bytes))
    };
    let provenance =
        dist.documents.iter().filter(|document| document.kind == DocumentKind::Provenance);
    for document in provenance {
        match signed(&document.path)
            .and_then(|bytes| bytes.map(|byte| parse_subjects(&byte)).transpose())
        {
            Ok(subjects) => covered.named.extend(subjects.unwrap_or_default()),
            Err(error) => wrong.push((document.path.clone(), error.to_string())),
        }
    }
    if let Some(bytes) = signed(DIGESTS_PATH).ok().flatten() {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let hex = text.lines().filter_map(|line| line.split_once(' ').map(|(hex, _)| hex));
        covered.images.extend(hex.filter_map(|hex| format!("sha256:{hex}").parse::<Digest>().ok()));
    }
    for archive in dist.archives.iter().filter(|archive| {
        !matches!(archive.kind, ArchiveKind::Deb | ArchiveKind::Rpm | ArchiveKind::Arch)
    }) {
        let name = archive.path.strip_prefix("archives/").unwrap_or_default();
        if sums.get(name) == Some(archive.sha256) {
            let files = archive.contents.iter();
            covered.packed.extend(
                files.map(|file| (archive.target.clone(), file_name(&file.path), file.sha256)),
            );
        }
    }
    Ok((covered, wrong))
}

fn file_name(path: &str) -> String {
    Utf8Path::new(path).file_name().unwrap_or_default().to_owned()
}

/// Returns the subjects of a provenance.
fn parse_subjects(bytes: &[u8]) -> Result<Vec<(String, Digest)>> {
    let wrong = |why: String| Error::check(format!("it is not a provenance: {why}"));
    let statement: Statement =
        serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
    if (statement.kind.as_str(), statement.predicate_type.as_str()) != (STATEMENT, PREDICATE) {
        return Err(wrong(format!(
            "its type is `{}` of `{}`",
            statement.predicate_type.escape_debug(),
            statement.kind.escape_debug()
        )));
    }
    let digest = |subject: StatementSubject| {
        let hex = subject.digest.get("sha256")?;
        Some((subject.name, format!("sha256:{hex}").parse().ok()?))
    };
    Ok(statement.subject.into_iter().filter_map(digest).collect())
}
