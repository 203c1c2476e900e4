//! `sign`: signatures over a finished release, by minisign's keys and by cosign.

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    model::{
        command::Command,
        digest::Digest,
        error::{Error, Result, Status},
        event::Event,
        reference::Reference,
        schema::{
            Dist,
            dist::{Document, DocumentKind},
        },
        secret::Secret,
    },
    ops::output::{checksums, manifest},
    release::signature::{CHECKSUMS, MINISIGN, SIGSTORE, minisign::StoredKey},
    sys::{Context, auth, fs, process::Stream, terminal},
};

/// The variable that holds the password of minisign's key.
pub const PASSWORD: &str = "LONGSHORE_MINISIGN_PASSWORD";

/// The longest password file.
const MAX_PASSWORD_FILE: u64 = 4096;

/// The files to sign, and the keys.
#[derive(Clone, Debug, Default)]
pub struct SignRequest {
    /// The directory with `dist.json`.
    pub dist: Utf8PathBuf,
    /// minisign's secret key.
    pub minisign: Option<Utf8PathBuf>,
    /// The file that holds its password.
    pub password_file: Option<Utf8PathBuf>,
    /// The settings of cosign, if it signs.
    pub cosign: Option<Cosign>,
    /// The pushed images of this release, each by its digest; cosign signs them.
    pub images: Vec<Reference>,
}

/// The command that starts cosign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cosign {
    /// Its key: a file, or the name in a key management service; keyless when absent.
    pub key: Option<String>,
    /// Further arguments.
    pub args: Vec<String>,
}

/// Signs the checksums of a release, after comparing every file with them, and then images. Returns the release
/// with its signatures.
///
/// # Errors
/// A key or its password is wrong; a file does not match its checksum; or cosign is missing, or fails.
/// If that happens before all signatures of files are made, none is written.
pub fn sign(cx: &Context, request: &SignRequest) -> Result<Dist> {
    let root = &request.dist;
    // Nothing is created beside a directory without an output.
    manifest::read_in(root)?;
    let _lock = fs::lock_output(cx, &fs::resolve(&cx.env.dir.join(root))?)?;
    let mut dist = manifest::read_in(root)?;
    check_images(&dist, request)?;
    let directory = root.join("archives");
    let (sums, bytes) = checksums::read(&directory)?;
    checksums::check_recorded(&dist, &sums)?;
    let problems = checksums::check_files(cx, &directory, &sums)?;
    if let Some(first) = problems.first() {
        let lines: Vec<_> =
            problems.iter().map(|problem| format!("{}: {}", problem.path, problem.why)).collect();
        return Err(Error::check(format!("`{}`: {}; nothing is signed", first.path, first.why))
            .detail(lines.join("\n"))
            .hint("`cargo longshore dist` makes files and checksums again"));
    }
    let release = &dist.release;
    let version = release.version.as_ref().map_or(String::new(), |item| format!(" {item}"));
    let trusted = format!("{}{version} file:{CHECKSUMS}", release.name);
    let mut made: Vec<(DocumentKind, &str, Vec<u8>)> = Vec::new();
    if let Some(key) = &request.minisign {
        let text = sign_with_minisign(cx, key, request.password_file.as_deref(), &bytes, &trusted)?;
        made.push((DocumentKind::Minisign, MINISIGN, text.into_bytes()));
    }
    if let Some(cosign) = &request.cosign {
        let bundle = sign_blob(cx, cosign, &directory.join(CHECKSUMS))?;
        made.push((DocumentKind::Sigstore, SIGSTORE, bundle));
    }
    for (kind, name, bytes) in made {
        let path = format!("archives/{name}");
        fs::write(&root.join(&path), &bytes)?;
        dist.documents.retain(|document| document.path != path);
        let subject = Some(format!("archives/{CHECKSUMS}"));
        let (sha256, size) = (Digest::sha256(&bytes), bytes.len() as u64);
        cx.status("Signed", format!("{} files of {}: {path}", sums.iter().count(), release.name));
        dist.documents.push(Document { kind, subject, path, size, sha256 });
    }
    manifest::write(root, &dist)?;
    if let Some(cosign) = &request.cosign {
        for image in &request.images {
            sign_image(cx, cosign, image)?;
            cx.status("Signed", image.to_string());
        }
    }
    Ok(dist)
}

/// Checks that each image to sign belongs to this release.
fn check_images(dist: &Dist, request: &SignRequest) -> Result<()> {
    for image in &request.images {
        let Some(digest) = image.digest else {
            return Err(Error::usage(format!("`{image}` has no digest"))
                .hint("a tag can move while it is signed; name the digest that `push` prints"));
        };
        if !dist.images.iter().any(|image| image.digest == digest) {
            return Err(Error::check(format!("`{image}` is not an image of this release"))
                .hint("`dist.json` has the digests of those that are"));
        }
    }
    Ok(())
}

/// Returns minisign's signature of `bytes`, checked.
fn sign_with_minisign(
    cx: &Context,
    path: &Utf8Path,
    password_file: Option<&Utf8Path>,
    bytes: &[u8],
    trusted: &str,
) -> Result<String> {
    let missing = || Error::usage(format!("there is no key `{path}`"));
    let text = fs::read_to_string_if_exists(path)?.ok_or_else(missing)?;
    let key = StoredKey::new(path.as_str(), &text)?;
    let password = match key.is_encrypted() {
        true => read_password(cx, path, password_file)?,
        false => None,
    };
    key.decrypt(password.as_ref())?.sign(bytes, trusted)
}

/// Reads the password of a key: from a file, from a variable, or from the user at the terminal.
fn read_password(cx: &Context, key: &Utf8Path, file: Option<&Utf8Path>) -> Result<Option<Secret>> {
    if let Some(file) = file {
        let bytes = fs::read_start(file, MAX_PASSWORD_FILE + 1)
            .map_err(|error| Error::usage("the password cannot be read").because(error))?;
        let wrong = || Error::usage(format!("`{file}` has no password: expected one line"));
        if bytes.len() as u64 > MAX_PASSWORD_FILE {
            return Err(wrong());
        }
        let text = String::from_utf8(bytes).map_err(|_| wrong())?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        return match line.contains('\n') {
            true => Err(wrong()),
            false => Ok(Some(Secret::new(line))),
        };
    }
    match cx.env.var(PASSWORD) {
        Some(text) => {
            auth::check_sendable(PASSWORD, text)?;
            Ok(Some(Secret::new(text)))
        }
        None => terminal::prompt_secret(cx, &format!("Password for `{key}`: ")),
    }
}

/// Creates Sigstore's bundle over a file.
fn sign_blob(cx: &Context, cosign: &Cosign, file: &Utf8Path) -> Result<Vec<u8>> {
    let dir = fs::TempDir::new("longshore-sign")?;
    let bundle = dir.path.join("bundle");
    let mut command = cosign.command(cx, "sign-blob")?.arg("--yes");
    // cosign 2 writes a different format without this flag, and 3 has only this one and hides the flag
    // from its help.
    let help = cx.children.output(&cosign.command(cx, "sign-blob")?.arg("--help"))?;
    if String::from_utf8_lossy(&help.stdout).contains("--new-bundle-format") {
        command = command.arg("--new-bundle-format");
    }
    command = cosign.key(command).args(["--bundle", bundle.as_str()]);
    cosign.run(cx, &command.args(cosign.args.clone()).arg(file.as_str()), Status::BuildFailed)?;
    let bytes = fs::read(&bundle)?;
    // A file that is called a bundle must be one: other programs will read it.
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let kind = value.get("mediaType").and_then(|kind| kind.as_str()).unwrap_or_default();
    if !kind.starts_with("application/vnd.dev.sigstore.bundle") {
        return Err(Error::tool("cosign wrote something else than a bundle of Sigstore's")
            .hint("cosign 2.4 is the oldest that can"));
    }
    Ok(bytes)
}

fn sign_image(cx: &Context, cosign: &Cosign, image: &Reference) -> Result<()> {
    let command = cosign.key(cosign.command(cx, "sign")?.arg("--yes")).args(cosign.args.clone());
    cosign.run(cx, &command.arg(image.to_string()), Status::Registry)
}

impl Cosign {
    /// Returns the command `cosign VERB`.
    pub(super) fn command(&self, cx: &Context, verb: &str) -> Result<Command> {
        let program = cx.env.which("cosign").ok_or_else(|| {
            Error::tool("`cosign` is not installed")
                .hint("https://docs.sigstore.dev/cosign/system_config/installation/ has it")
        })?;
        Ok(Command::new(program).arg(verb).with_credentials())
    }

    pub(super) fn key(&self, command: Command) -> Command {
        match &self.key {
            Some(key) => command.args(["--key", key]),
            None => command,
        }
    }

    /// Runs a command of cosign's to its end. Without a key it may have to print the address of the login page.
    fn run(&self, cx: &Context, command: &Command, status: Status) -> Result<()> {
        let mut lines: Vec<String> = Vec::new();
        let output = cx.children.stream(command, None, |stream, bytes| {
            let line = String::from_utf8_lossy(bytes).trim_end().to_owned();
            if stream == Stream::Stderr && !line.is_empty() {
                match &self.key {
                    Some(_) => cx.emit(Event::Output { line: line.clone() }),
                    None => cx.status("Cosign", line.clone()),
                }
                lines.push(line);
            }
        })?;
        if output.success() {
            return Ok(());
        }
        let tail = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n");
        // The message for a wrong or empty password of a key.
        if tail.contains("decryption failed") || tail.contains("reading key") {
            let key = self.key.as_deref().unwrap_or_default();
            return Err(Error::usage(format!("cosign cannot read the key `{key}`"))
                .detail(tail)
                .hint("is it one of cosign's, and is `COSIGN_PASSWORD` its password?"));
        }
        Err(Error::new(status, format!("`{command}` ended with {}", output.ending())).detail(tail))
    }
}
