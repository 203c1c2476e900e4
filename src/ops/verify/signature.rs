//! Whether a release is what was signed: the signature over its checksums, then every file against
//! them; and cosign's signatures of images.

use camino::Utf8Path;

use super::{Request, coverage, release};
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
        fs::{self, Kind},
    },
    verify,
};

/// The longest key or signature of minisign's.
const LONGEST: u64 = 64 << 10;

/// The signatures that are requested. All of them must be there.
#[derive(Clone, Debug, Default)]
pub struct Signature {
    /// Keys: minisign's, as text or as a file; cosign's, as a file or a URI.
    pub keys: Vec<String>,
    /// The signer who used cosign without a key, and the issuer of that identity.
    pub identity: Option<(String, String)>,
    /// Further arguments for cosign.
    pub args: Vec<String>,
}

/// A key that was read.
pub(super) enum Key {
    Minisign(Verifier),
    Cosign(Cosign),
}

/// The hint for a signature that does not verify.
const HINT: &str = "do not use these files: fetch them again, and the key from where you trust it";

impl Signature {
    /// Returns the keys, each by its kind.
    ///
    /// # Errors
    /// One of them is not a key.
    pub(super) fn read(&self) -> Result<Vec<Key>> {
        let mut keys = self.keys.iter().map(|key| self.key(key)).collect::<Result<Vec<_>>>()?;
        if let Some((identity, issuer)) = &self.identity {
            let mut args = vec![
                "--certificate-identity".to_owned(),
                identity.clone(),
                "--certificate-oidc-issuer".to_owned(),
                issuer.clone(),
            ];
            args.extend(self.args.iter().cloned());
            keys.push(Key::Cosign(Cosign { key: None, args }));
        }
        let cosign = |key: &Key| matches!(key, Key::Cosign(_));
        if !self.args.is_empty() && !keys.iter().any(cosign) {
            return Err(Error::usage("`--cosign-arg` is for cosign, which is not asked for")
                .hint("`--signature cosign.pub`, or `--certificate-identity`"));
        }
        Ok(keys)
    }

    fn key(&self, text: &str) -> Result<Key> {
        let cosign = || Key::Cosign(Cosign { key: Some(text.to_owned()), args: self.args.clone() });
        // Text that is a key is the key, whatever files there are: who made them may have chosen their
        // names.
        if Verifier::reads(text) {
            return Verifier::new(text, text).map(Key::Minisign);
        }
        let path = Utf8Path::new(text);
        if !path.exists() {
            // As cosign has them: `awskms://…`, `k8s://…`.
            if text.contains("://") {
                return Ok(cosign());
            }
            return Err(Error::usage(format!(
                "`{text}` is no key, and no file of that name is there"
            ))
            .hint(
                "minisign's public key is one line of 56 characters, or the file `minisign.pub`",
            ));
        }
        let bytes = fs::read_start(path, LONGEST)?;
        let content = String::from_utf8_lossy(&bytes);
        if content.contains("-----BEGIN") {
            return match content.contains("PRIVATE KEY") {
                false => Ok(cosign()),
                true => Err(Error::usage(format!("`{text}` is a secret key of cosign's"))
                    .hint("its public one is in `cosign.pub`, and is what verifies")),
            };
        }
        Verifier::new(text, &content).map(Key::Minisign)
    }
}

/// Returns the verdicts on the signature of each path: none unless a signature was requested.
/// `outcomes` has the digests of the images that were read.
pub(super) fn check(
    cx: &Context,
    request: &Request,
    outcomes: &[super::Outcome],
) -> Result<Vec<Checked>> {
    let keys = request.signature.read()?;
    let mut checked = Vec::new();
    for path in if keys.is_empty() { &[][..] } else { &request.paths[..] } {
        let looker = Looker { cx, keys: &keys, checked: &mut checked };
        if let Some(root) = release::directory(path) {
            looker.complete(&root)?;
            continue;
        }
        match fs::kind(path, true) {
            Ok(Kind::Directory) => looker.release(path, None)?,
            Ok(_) => {
                let parent = path.parent().filter(|parent| *parent != "").unwrap_or(".".into());
                let only = (path.file_name() != Some(CHECKSUMS)).then_some(path.as_path());
                looker.release(parent, only)?;
            }
            Err(error) => match store::locate(path.as_str()) {
                Ok(Located::Registry(reference)) => {
                    let mut read = outcomes.iter().filter_map(|outcome| outcome.remote.as_ref());
                    let digest = read.find(|(name, _)| name == path).map(|(_, digest)| *digest);
                    looker.image(path, reference, digest)?;
                }
                Ok(Located::Path(place, Some(_))) => {
                    looker.release(&place, None)?;
                }
                _ => refuse_by(&mut checked, path, &error),
            },
        }
    }
    Ok(checked)
}

fn refuse(checked: &mut Vec<Checked>, path: &Utf8Path, why: &str) {
    push(checked, path, Some((why, HINT)), Vec::new());
}

/// Rejects files that cannot be read, with the hint of the error.
fn refuse_by(checked: &mut Vec<Checked>, path: &Utf8Path, error: &Error) {
    let hint = error.hint_text().unwrap_or(HINT);
    push(checked, path, Some((&error.to_string(), hint)), Vec::new());
}

fn push(
    checked: &mut Vec<Checked>,
    path: &Utf8Path,
    refusal: Option<(&str, &str)>,
    facts: Vec<Fact>,
) {
    checked.push(Checked {
        path: path.to_string(),
        target: None,
        sha256: None,
        verdict: verify::signature_verdict(refusal),
        facts,
    });
}

struct Looker<'a> {
    cx: &'a Context,
    keys: &'a [Key],
    checked: &'a mut Vec<Checked>,
}

impl Looker<'_> {
    /// Verifies all of a release: the files beside the checksums, and every other one by the checksums.
    fn complete(mut self, root: &Utf8Path) -> Result<()> {
        let directory = root.join("archives");
        let Some(sums) = self.release_in(&directory, None)? else {
            return Ok(());
        };
        match coverage::uncovered(root, &sums) {
            Ok(uncovered) => {
                for (path, why) in uncovered {
                    refuse(self.checked, &root.join(path), &format!("it is not signed: {why}"));
                }
            }
            Err(error) => refuse_by(self.checked, &root.join(FILE), &error),
        }
        Ok(())
    }

    /// Returns the files beside the checksums in `directory`, or one of them.
    fn release(mut self, directory: &Utf8Path, only: Option<&Utf8Path>) -> Result<()> {
        self.release_in(directory, only).map(drop)
    }

    /// Verifies like [`Looker::release`]; returns the checksums if their signature verifies.
    fn release_in(
        &mut self,
        directory: &Utf8Path,
        only: Option<&Utf8Path>,
    ) -> Result<Option<Checksums>> {
        let path = directory.join(CHECKSUMS);
        let (sums, bytes) = match checksums::read(directory) {
            Ok(read) => read,
            Err(error) => {
                refuse_by(self.checked, &path, &error);
                return Ok(None);
            }
        };
        let mut facts = Vec::new();
        for key in self.keys {
            let outcome = match key {
                Key::Minisign(key) => minisign(key, directory, &bytes),
                Key::Cosign(cosign) => blob(self.cx, cosign, directory, &bytes)?,
            };
            match outcome {
                Ok(said) => facts.push(Fact { name: "signed".to_owned(), value: said, note: None }),
                // Unsigned checksums prove nothing about files.
                Err(why) => {
                    refuse(self.checked, &path, &why);
                    return Ok(None);
                }
            }
        }
        push(self.checked, &path, None, facts);
        if let Some(only) = only {
            match checksums::file(only, &sums) {
                Ok(()) => push(self.checked, only, None, Vec::new()),
                Err(error) => refuse_by(self.checked, only, &error),
            }
            return Ok(Some(sums));
        }
        match checksums::hold(self.cx, directory, &sums) {
            Ok(problems) => {
                for problem in problems {
                    refuse(self.checked, problem.path.as_str().into(), &problem.why);
                }
            }
            Err(error) => {
                self.cx.children.check()?;
                refuse_by(self.checked, directory, &error);
            }
        }
        Ok(Some(sums))
    }

    /// Verifies an image in a registry, by the digest that was read: a tag can point at a different
    /// image by the time that cosign reads it.
    fn image(self, path: &Utf8Path, reference: Reference, digest: Option<Digest>) -> Result<()> {
        let Some(digest) = digest else {
            refuse(self.checked, path, "it could not be read, so its signature was not verified");
            return Ok(());
        };
        let reference = Reference { tag: None, digest: Some(digest), ..reference };
        for key in self.keys {
            let outcome = match key {
                Key::Minisign(_) => {
                    Err("minisign signs files; images are signed by cosign".to_owned())
                }
                Key::Cosign(cosign) => image(self.cx, cosign, &reference)?,
            };
            let refusal = outcome.err();
            push(self.checked, path, refusal.as_deref().map(|why| (why, HINT)), Vec::new());
        }
        Ok(())
    }
}

/// The description of a signature that verifies, or the reason why it does not.
type Outcome = Result<String, String>;

fn minisign(key: &Verifier, directory: &Utf8Path, bytes: &[u8]) -> Outcome {
    let path = directory.join(MINISIGN);
    let text = fs::read_start(&path, LONGEST).map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&text);
    let comment = key.verify(path.as_str(), &text, bytes).map_err(|error| error.to_string())?;
    Ok(comment)
}

/// Returns cosign's verdict on the bundle over these bytes.
fn blob(cx: &Context, cosign: &Cosign, directory: &Utf8Path, bytes: &[u8]) -> Result<Outcome> {
    let bundle = directory.join(SIGSTORE);
    if !matches!(fs::kind(&bundle, true), Ok(Kind::File { .. })) {
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
    ask(cx, &command.arg(copy.as_str()), cosign)
}

fn image(cx: &Context, cosign: &Cosign, image: &Reference) -> Result<Outcome> {
    let command = cosign.key(cosign.command(cx, "verify")?).args(cosign.args.clone());
    ask(cx, &command.arg(image.to_string()), cosign)
}

fn ask(cx: &Context, command: &crate::model::command::Command, cosign: &Cosign) -> Result<Outcome> {
    let output = cx.children.output(command)?;
    if output.success() {
        let by = cosign.key.as_deref().unwrap_or("a certificate of that identity");
        return Ok(Ok(format!("cosign: {by}")));
    }
    let said = output.tail(1);
    Ok(Err(format!(
        "cosign refuses: {}",
        said.trim_start_matches("error during command execution: ")
    )))
}
