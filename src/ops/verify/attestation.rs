//! Sigstore's bundles beside files: their format, the digest of the file that they attest, and, if a
//! signer was requested, cosign's verdict on them.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    find::{FoundJobs, VerifyJob},
    release,
    signature::{HINT, VerifyKey, push, run_cosign},
};
use crate::{
    model::{
        digest::Digest,
        error::{Error, Result},
        schema::verify::{Checked, Fact},
    },
    ops::sign::Cosign,
    release::signature::{
        SIGSTORE,
        bundle::{self, Bundle, SUFFIXES, SubjectName},
    },
    sys::{
        Context, directory,
        fs::{self, FileType},
    },
};

/// The fact on a bundle.
const FACT: &str = "attestation";

/// The verdicts on bundles, and the files that cosign accepted one for.
#[derive(Default)]
pub(super) struct Attestations {
    pub(super) checked: Vec<Checked>,
    pub(super) signed: BTreeSet<Utf8PathBuf>,
}

/// The number of bytes of a file that determine whether it is one of bundles.
const START_SIZE: u64 = 64 << 10;

/// Returns whether a file is named like a bundle, and neither a program nor an archive. Many other files end
/// with `.jsonl`, so these must also name the media type.
pub(super) fn is_bundle(path: &Utf8Path) -> bool {
    let Some(subject) = path.file_name().and_then(bundle::subject_name) else { return false };
    let lines = matches!(subject, SubjectName::File(_)) && path.extension() == Some("jsonl");
    let named = || {
        fs::read_start(path, START_SIZE)
            .is_ok_and(|start| String::from_utf8_lossy(&start).contains(bundle::MEDIA_TYPE))
    };
    release::is_text(path) && (!lines || named())
}

/// Checks every bundle that was found, or that is beside a file that was named.
///
/// # Errors
/// A key that was requested cannot be read, or cosign is requested and not installed.
pub(super) fn check(cx: &Context, keys: &[VerifyKey], found: &FoundJobs) -> Result<Attestations> {
    let mut checker = Checker { cx, keys, digests: BTreeMap::new(), all: Attestations::default() };
    for path in &found.bundles {
        let Some(name) = path.file_name().and_then(bundle::subject_name) else { continue };
        match checker.subject(path, &name) {
            Ok((file, digest)) => checker.check(path, &file, digest)?,
            Err(why) => checker.reject(path, &why),
        }
    }
    for job in &found.jobs {
        let VerifyJob::Named(path) = job else { continue };
        for bundle in beside(path) {
            match checker.digest(path) {
                Ok(digest) if !is_named_for_other(&bundle, digest) => {
                    checker.check(&bundle, path, digest)?;
                }
                // The verdict on the file itself has the reason.
                Ok(_) | Err(_) => {}
            }
        }
    }
    Ok(checker.all)
}

/// Returns the files beside `path` that are named like its bundles, and those that are named by a digest.
fn beside(path: &Utf8Path) -> Vec<Utf8PathBuf> {
    let Some(own) = path.file_name() else { return Vec::new() };
    let directory = parent(path);
    let is_own = |name: &String| match bundle::subject_name(name) {
        Some(SubjectName::File(file)) => file == own,
        Some(SubjectName::Digest(_)) => true,
        None => false,
    };
    // A directory that cannot be listed may have files that can be opened.
    let names = directory::source_names(directory)
        .unwrap_or_else(|_| SUFFIXES.iter().map(|suffix| format!("{own}{suffix}")).collect());
    let own = names.iter().filter(|name| is_own(name)).map(|name| path.with_file_name(name));
    own.filter(|path| is_file(path) && is_bundle(path)).collect()
}

fn parent(path: &Utf8Path) -> &Utf8Path {
    path.parent().filter(|parent| *parent != "").unwrap_or(Utf8Path::new("."))
}

fn is_file(path: &Utf8Path) -> bool {
    matches!(fs::file_type(path, true), Ok(FileType::File { .. }))
}

fn is_named_for_other(bundle: &Utf8Path, digest: Digest) -> bool {
    let name = bundle.file_name().and_then(bundle::subject_name);
    matches!(name, Some(SubjectName::Digest(other)) if other != digest)
}

struct Checker<'a> {
    cx: &'a Context,
    keys: &'a [VerifyKey],
    digests: BTreeMap<Utf8PathBuf, Digest>,
    all: Attestations,
}

impl Checker<'_> {
    fn reject(&mut self, path: &Utf8Path, why: &str) {
        push(&mut self.all.checked, path, Some((why, HINT)), Vec::new());
    }

    fn digest(&mut self, path: &Utf8Path) -> Result<Digest> {
        if let Some(known) = self.digests.get(path) {
            return Ok(*known);
        }
        self.cx.children.check()?;
        // Nothing else has an end.
        if !is_file(path) {
            return Err(Error::check(format!("`{path}` is not a regular file")));
        }
        let (digest, _) = fs::digest(path)?;
        self.digests.insert(path.to_owned(), digest);
        Ok(digest)
    }

    /// Returns the file that a bundle is for, and its digest.
    fn subject(
        &mut self,
        bundle: &Utf8Path,
        name: &SubjectName,
    ) -> Result<(Utf8PathBuf, Digest), String> {
        let directory = parent(bundle);
        let reason = |error: Error| error.to_string();
        match name {
            SubjectName::File(name) => {
                let file = directory.join(name);
                if !is_file(&file) {
                    return Err(format!("there is no file `{file}` that it attests"));
                }
                let digest = self.digest(&file).map_err(reason)?;
                Ok((file, digest))
            }
            SubjectName::Digest(expected) => {
                for name in directory::source_names(directory).map_err(reason)? {
                    let file = directory.join(&name);
                    let other = bundle::subject_name(&name).is_some() || !is_file(&file);
                    if !other && self.digest(&file).map_err(reason)? == *expected {
                        return Ok((file, *expected));
                    }
                }
                Err(format!("no file beside it has the digest `{expected}`"))
            }
        }
    }

    /// Checks the bundles in one file. All of them must be for `file`.
    fn check(&mut self, path: &Utf8Path, file: &Utf8Path, digest: Digest) -> Result<()> {
        let bytes = match fs::read_start(path, bundle::LIMIT + 1) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.reject(path, &error.to_string());
                return Ok(());
            }
        };
        let bundles = match bundle::parse(&bytes) {
            Ok(bundles) => bundles,
            Err(error) => {
                self.reject(path, &error.to_string());
                return Ok(());
            }
        };
        let (mut facts, mut signed) = (Vec::new(), true);
        for bundle in &bundles {
            if !bundle.subjects.contains(&digest) {
                let found = match &bundle.subjects[..] {
                    [one] => format!("`{one}`"),
                    all => format!("{} others", all.len()),
                };
                let why = format!("it attests {found}, and `{file}` has the digest `{digest}`");
                self.reject(path, &why);
                return Ok(());
            }
            match self.trust(path, file, bundle)? {
                Some(Ok(signer)) => facts.push(fact(&signer, bundle)),
                Some(Err(why)) => {
                    self.reject(path, &why);
                    return Ok(());
                }
                None => {
                    signed = false;
                    facts.push(fact("format and digest checked, signature not", bundle));
                }
            }
        }
        push(&mut self.all.checked, path, None, facts);
        if signed {
            self.all.signed.insert(file.to_owned());
        }
        Ok(())
    }

    /// Returns cosign's verdict on a bundle; `None` if no signer of its kind was requested.
    fn trust(
        &self,
        path: &Utf8Path,
        file: &Utf8Path,
        bundle: &Bundle,
    ) -> Result<Option<Result<String, String>>> {
        // The signature of the release is verified with the release.
        if path.file_name() == Some(SIGSTORE) {
            return Ok(None);
        }
        let mut outcome = None;
        for key in self.keys {
            let VerifyKey::Cosign(cosign) = key else { continue };
            if cosign.key.is_some() == bundle.certificate {
                continue;
            }
            let verdict = verify_bundle(self.cx, cosign, file, bundle)?;
            let rejected = verdict.is_err();
            outcome = Some(verdict);
            if rejected {
                break;
            }
        }
        Ok(outcome)
    }
}

fn fact(value: &str, bundle: &Bundle) -> Fact {
    Fact { name: FACT.to_owned(), value: value.to_owned(), note: bundle.predicate.clone() }
}

/// Returns cosign's verdict on a bundle over a file.
fn verify_bundle(
    cx: &Context,
    cosign: &Cosign,
    file: &Utf8Path,
    bundle: &Bundle,
) -> Result<Result<String, String>> {
    let verb = if bundle.predicate.is_some() { "verify-blob-attestation" } else { "verify-blob" };
    let dir = fs::TempDir::new("longshore-verify")?;
    // One document of those in the file, and the one that was read.
    let copy = dir.path.join("bundle");
    fs::write(&copy, bundle.text.as_bytes())?;
    let help = cx.children.output(&cosign.command(cx, verb)?.arg("--help"))?;
    let mut command = cosign.key(cosign.command(cx, verb)?);
    // cosign 2 needs the flag, 3 knows no other format.
    if String::from_utf8_lossy(&help.stdout).contains("--new-bundle-format") {
        command = command.arg("--new-bundle-format");
    }
    if let Some(predicate) = &bundle.predicate {
        command = command.args(["--type", predicate.as_str()]);
    }
    command = command.args(["--bundle", copy.as_str()]).args(cosign.args.clone());
    run_cosign(cx, &command.arg("--").arg(file.as_str()), cosign)
}
