//! Verification of a release's signature: the signature over its checksums, then every file against them; and
//! cosign's signatures of images.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::{VerifyRequest, attestation, coverage, release};
use crate::{
    model::{
        digest::Digest,
        error::{Error, Result},
        reference::Reference,
        schema::{
            dist::FILE,
            verify::{Checked, Fact},
        },
    },
    ops::{
        image::store::{self, Located},
        output::checksums,
        sign::Cosign,
    },
    release::signature::{CHECKSUMS, Checksums, MINISIGN, SIGSTORE, minisign::Verifier},
    sys::{
        Context,
        fs::{self, FileType},
    },
    verify,
};

/// The longest key or signature of minisign's.
const MAX_FILE: u64 = 64 << 10;

/// The signatures that are requested. All of them must be there.
#[derive(Clone, Debug, Default)]
pub struct RequestedSignatures {
    /// Keys: minisign's, as text or as a file; cosign's, as a file or a URI.
    pub keys: Vec<String>,
    /// The identity of the signer that used cosign without a key, and the issuer of that identity.
    pub identity: Option<(String, String)>,
    /// Further arguments for cosign.
    pub args: Vec<String>,
}

/// A key that was read.
pub(super) enum VerifyKey {
    Minisign(Verifier),
    Cosign(Cosign),
}

/// The hint for a signature that does not verify.
pub(super) const HINT: &str =
    "do not use these files: fetch them again, and the key from a trusted source";

impl RequestedSignatures {
    /// Returns the keys, each by its kind.
    ///
    /// # Errors
    /// One of them is not a key.
    pub(super) fn read(&self) -> Result<Vec<VerifyKey>> {
        let mut keys = self.keys.iter().map(|key| self.key(key)).collect::<Result<Vec<_>>>()?;
        if let Some((identity, issuer)) = &self.identity {
            let mut args = vec![
                "--certificate-identity".to_owned(),
                identity.clone(),
                "--certificate-oidc-issuer".to_owned(),
                issuer.clone(),
            ];
            args.extend(self.args.iter().cloned());
            keys.push(VerifyKey::Cosign(Cosign { key: None, args }));
        }
        let cosign = |key: &VerifyKey| matches!(key, VerifyKey::Cosign(_));
        if !self.args.is_empty() && !keys.iter().any(cosign) {
            return Err(Error::usage("`--cosign-arg` requires a cosign key or identity")
                .hint("`--signature cosign.pub`, or `--certificate-identity`"));
        }
        Ok(keys)
    }

    fn key(&self, text: &str) -> Result<VerifyKey> {
        let cosign =
            || VerifyKey::Cosign(Cosign { key: Some(text.to_owned()), args: self.args.clone() });
        // Text that is a key is the key, whatever files there are: who made them may have chosen their
        // names.
        if Verifier::accepts(text) {
            return Verifier::new(text, text).map(VerifyKey::Minisign);
        }
        let path = Utf8Path::new(text);
        if !path.exists() {
            // As cosign has them: `awskms://…`, `k8s://…`.
            if text.contains("://") {
                return Ok(cosign());
            }
            return Err(Error::usage(format!(
                "`{text}` is not a key, and there is no such file"
            ))
            .hint(
                "minisign's public key is one line of 56 characters, or the file `minisign.pub`",
            ));
        }
        let bytes = fs::read_start(path, MAX_FILE)?;
        let content = String::from_utf8_lossy(&bytes);
        if content.contains("-----BEGIN") {
            return match content.contains("PRIVATE KEY") {
                false => Ok(cosign()),
                true => Err(Error::usage(format!("`{text}` is a secret key of cosign's"))
                    .hint("use the public key, `cosign.pub`")),
            };
        }
        Verifier::new(text, &content).map(VerifyKey::Minisign)
    }
}

/// Returns the verdicts on the signature of each path: none unless a signature was requested.
/// `outcomes` has the digests of the images that were read, and `attested` the files with a bundle beside them
/// that cosign accepted.
pub(super) fn check(
    cx: &Context,
    request: &VerifyRequest,
    outcomes: &[super::FileOutcome],
    attested: &BTreeSet<Utf8PathBuf>,
) -> Result<Vec<Checked>> {
    let keys = request.signature.read()?;
    let mut checked = Vec::new();
    for path in if keys.is_empty() { &[][..] } else { &request.paths[..] } {
        let looker = SignatureVerifier { cx, keys: &keys, checked: &mut checked };
        if let Some(root) = release::release_directory(path) {
            looker.check_complete_release(&root)?;
            continue;
        }
        match fs::file_type(path, true) {
            Ok(FileType::Directory) => looker.check_release(path, None)?,
            Ok(_) => {
                let parent = path.parent().filter(|parent| *parent != "").unwrap_or(".".into());
                let alone = !matches!(
                    fs::file_type(&parent.join(CHECKSUMS), true),
                    Ok(FileType::File { .. })
                );
                let cosign = keys.iter().all(|key| matches!(key, VerifyKey::Cosign(_)));
                if alone && cosign && attested.contains(path) {
                    continue;
                }
                let only = (path.file_name() != Some(CHECKSUMS)).then_some(path.as_path());
                looker.check_release(parent, only)?;
            }
            Err(error) => match store::locate(path.as_str()) {
                Ok(Located::Registry(reference)) => {
                    let mut read = outcomes.iter().filter_map(|outcome| outcome.remote.as_ref());
                    let digest = read.find(|(name, _)| name == path).map(|(_, digest)| *digest);
                    looker.check_image(path, reference, digest)?;
                }
                Ok(Located::Path(location, Some(_))) => {
                    looker.check_release(&location, None)?;
                }
                _ => reject_by(&mut checked, path, &error),
            },
        }
    }
    Ok(checked)
}

fn reject(checked: &mut Vec<Checked>, path: &Utf8Path, why: &str) {
    push(checked, path, Some((why, HINT)), Vec::new());
}

/// Rejects files that cannot be read, with the hint of the error.
fn reject_by(checked: &mut Vec<Checked>, path: &Utf8Path, error: &Error) {
    let hint = error.hint_text().unwrap_or(HINT);
    push(checked, path, Some((&error.to_string(), hint)), Vec::new());
}

pub(super) fn push(
    checked: &mut Vec<Checked>,
    path: &Utf8Path,
    rejection: Option<(&str, &str)>,
    facts: Vec<Fact>,
) {
    checked.push(Checked {
        path: path.to_string(),
        target: None,
        sha256: None,
        verdict: verify::signature_verdict(rejection),
        facts,
    });
}

struct SignatureVerifier<'a> {
    cx: &'a Context,
    keys: &'a [VerifyKey],
    checked: &'a mut Vec<Checked>,
}

impl SignatureVerifier<'_> {
    /// Verifies all of a release: the files beside the checksums, and every other one by the checksums.
    fn check_complete_release(mut self, root: &Utf8Path) -> Result<()> {
        let directory = root.join("archives");
        let Some(sums) = self.check_release_in(&directory, None)? else {
            return Ok(());
        };
        match coverage::uncovered_files(root, &sums) {
            Ok(uncovered) => {
                for (path, why) in uncovered {
                    reject(self.checked, &root.join(path), &format!("it is not signed: {why}"));
                }
            }
            Err(error) => reject_by(self.checked, &root.join(FILE), &error),
        }
        Ok(())
    }

    /// Verifies the files beside the checksums in `directory`, or one of them.
    fn check_release(mut self, directory: &Utf8Path, only: Option<&Utf8Path>) -> Result<()> {
        self.check_release_in(directory, only).map(drop)
    }

    /// Verifies like [`SignatureVerifier::check_release`]; returns the checksums if their signature verifies.
    fn check_release_in(
        &mut self,
        directory: &Utf8Path,
        only: Option<&Utf8Path>,
    ) -> Result<Option<Checksums>> {
        let path = directory.join(CHECKSUMS);
        let (sums, bytes) = match checksums::read(directory) {
            Ok(read) => read,
            Err(error) => {
                reject_by(self.checked, &path, &error);
                return Ok(None);
            }
        };
        let mut facts = Vec::new();
        for key in self.keys {
            let outcome = match key {
                VerifyKey::Minisign(key) => verify_minisign(key, directory, &bytes),
                VerifyKey::Cosign(cosign) => verify_blob(self.cx, cosign, directory, &bytes)?,
            };
            match outcome {
                Ok(reported) => {
                    facts.push(Fact { name: "signed".to_owned(), value: reported, note: None })
                }
                // Unsigned checksums prove nothing about files.
                Err(why) => {
                    reject(self.checked, &path, &why);
                    return Ok(None);
                }
            }
        }
        push(self.checked, &path, None, facts);
        if let Some(only) = only {
            match checksums::check_file(only, &sums) {
                Ok(()) => push(self.checked, only, None, Vec::new()),
                Err(error) => reject_by(self.checked, only, &error),
            }
            return Ok(Some(sums));
        }
        match checksums::check_files(self.cx, directory, &sums) {
            Ok(problems) => {
                // Attestations may be added to a release; each has a separate verdict.
                let added = |name: &str| {
                    let path = Utf8Path::new(name);
                    let listed = path.file_name().is_some_and(|name| sums.get(name).is_some());
                    !listed && attestation::is_bundle(path)
                };
                for problem in problems.iter().filter(|problem| !added(&problem.path)) {
                    reject(self.checked, problem.path.as_str().into(), &problem.why);
                }
            }
            Err(error) => {
                self.cx.children.check()?;
                reject_by(self.checked, directory, &error);
            }
        }
        Ok(Some(sums))
    }

    /// Verifies an image in a registry, by the digest that was read: a tag can point at a different
    /// image by the time that cosign reads it.
    fn check_image(
        self,
        path: &Utf8Path,
        reference: Reference,
        digest: Option<Digest>,
    ) -> Result<()> {
        let Some(digest) = digest else {
            reject(self.checked, path, "it could not be read, so its signature was not verified");
            return Ok(());
        };
        let reference = Reference { tag: None, digest: Some(digest), ..reference };
        for key in self.keys {
            let outcome = match key {
                VerifyKey::Minisign(_) => {
                    Err("minisign signs files; images are signed by cosign".to_owned())
                }
                VerifyKey::Cosign(cosign) => verify_image(self.cx, cosign, &reference)?,
            };
            let rejection = outcome.err();
            push(self.checked, path, rejection.as_deref().map(|why| (why, HINT)), Vec::new());
        }
        Ok(())
    }
}

/// The description of a signature that verifies, or the reason why it does not.
type SignatureResult = Result<String, String>;

fn verify_minisign(key: &Verifier, directory: &Utf8Path, bytes: &[u8]) -> SignatureResult {
    let path = directory.join(MINISIGN);
    let text = fs::read_start(&path, MAX_FILE).map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&text);
    let comment = key.verify(path.as_str(), &text, bytes).map_err(|error| error.to_string())?;
    Ok(comment)
}

/// Returns cosign's verdict on the bundle over these bytes.
fn verify_blob(
    cx: &Context,
    cosign: &Cosign,
    directory: &Utf8Path,
    bytes: &[u8],
) -> Result<SignatureResult> {
    let bundle = directory.join(SIGSTORE);
    if !matches!(fs::file_type(&bundle, true), Ok(FileType::File { .. })) {
        return Ok(Err(format!("there is no `{bundle}`")));
    }
    // The very bytes that files are compared with.
    let dir = fs::TempDir::new("longshore-verify")?;
    let copy = dir.path.join(CHECKSUMS);
    fs::write(&copy, bytes)?;
    let help = cx.children.output(&cosign.command(cx, "verify-blob")?.arg("--help"))?;
    let mut command = cosign.key(cosign.command(cx, "verify-blob")?);
    // As with `sign-blob`: cosign 2 needs the flag, 3 knows no other format.
    if String::from_utf8_lossy(&help.stdout).contains("--new-bundle-format") {
        command = command.arg("--new-bundle-format");
    }
    let command = command.args(["--bundle", bundle.as_str()]).args(cosign.args.clone());
    run_cosign(cx, &command.arg(copy.as_str()), cosign)
}

fn verify_image(cx: &Context, cosign: &Cosign, image: &Reference) -> Result<SignatureResult> {
    let command = cosign.key(cosign.command(cx, "verify")?).args(cosign.args.clone());
    run_cosign(cx, &command.arg(image.to_string()), cosign)
}

pub(super) fn run_cosign(
    cx: &Context,
    command: &crate::model::command::Command,
    cosign: &Cosign,
) -> Result<SignatureResult> {
    let output = cx.children.output(command)?;
    if output.success() {
        let by = cosign.key.as_deref().unwrap_or("a certificate of that identity");
        return Ok(Ok(format!("cosign: {by}")));
    }
    let reported = output.tail(1);
    Ok(Err(format!(
        "cosign rejects it: {}",
        reported.trim_start_matches("error during command execution: ")
    )))
}
