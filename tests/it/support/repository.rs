//! Releases with packages for Debian and for rpm, made without a build, and servers of directories.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    command::{LONGSHORE, plain},
    dist::Dist,
    peer, program,
};

/// The two platforms, and the names of each: Debian's, and rpm's.
pub(crate) const PLATFORMS: [(&str, &str, &str); 2] =
    [("linux/amd64", "amd64", "x86_64"), ("linux/arm64", "arm64", "aarch64")];

/// Returns a release of `hello` with a `.deb` and an `.rpm` for both platforms. `version` is its version,
/// `native` the same in the form of both formats; a different `summary` gives packages different content.
pub(crate) fn release(version: &str, native: &str, summary: &str) -> Dist {
    let programs = [("linux/amd64", program::amd64()), ("linux/arm64", program::arm64())];
    let programs: Vec<(&str, &[u8])> =
        programs.iter().map(|(platform, bytes)| (*platform, &bytes[..])).collect();
    let dist = Dist::new(&programs, json!({}));
    dist.packages();
    fs::write(dist.beside("README.md"), "# hello\n").unwrap();
    fs::write(dist.beside("LICENSE-MIT"), "Permission is granted.\n").unwrap();
    fs::write(dist.beside("hello.conf"), "greeting = \"hello\"\n").unwrap();
    let path = dist.root().join("dist.json");
    let text = fs::read_to_string(&path).unwrap().replace("1.0.0", version);
    let mut json: Value = serde_json::from_str(&text).unwrap();
    for plan in json["packages"].as_array_mut().unwrap() {
        let platform = plan["platform"].as_str().unwrap().to_owned();
        let (_, debian, rpm) = PLATFORMS.iter().find(|(name, ..)| *name == platform).unwrap();
        plan["formats"] = json!([]);
        plan["files"] = json!({ "README.md": "README.md", "LICENSE-MIT": "LICENSE-MIT" });
        plan["licenses"] = json!(["LICENSE-MIT"]);
        plan["deb"] = json!({
            "name": "hello", "version": format!("{native}-1"), "architecture": debian,
            "maintainer": "Releases <releases@example.org>", "section": "utils",
            "synopsis": summary, "description": "It writes one line to its standard output.",
            "authors": [], "license": "MIT",
            "files": { "etc/hello/hello.conf": "hello.conf" },
        });
        plan["rpm"] = json!({
            "name": "hello", "version": native, "release": "1", "architecture": rpm,
            "summary": summary, "description": "It writes one line to its standard output.",
            "license": "MIT", "group": "Applications/System", "packager": "Releases <releases@example.org>",
            "url": "https://example.org/hello",
            "files": { "etc/hello/hello.conf": "hello.conf" },
        });
    }
    fs::write(&path, json.to_string()).unwrap();
    let output = command(&dist, "package", &[]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    dist
}

/// Returns `cargo-longshore VERB DIST ARGS`, beside the release.
pub(crate) fn command(dist: &Dist, verb: &str, args: &[&str]) -> Command {
    let mut command = plain(LONGSHORE);
    command.args(verb.split(' ')).arg(dist.root()).args(args).current_dir(dist.beside(""));
    command
}

/// Returns the path of the archive of the release with that ending.
pub(crate) fn archive(dist: &Dist, ending: &str) -> PathBuf {
    let directory = dist.root().join("archives");
    let mut found = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(ending));
    let path = found.next().unwrap_or_else(|| panic!("{} has no {ending}", directory.display()));
    assert_eq!(found.next(), None, "{ending}");
    path
}

/// A keyring of gpg with one key, which has no passphrase unless one is given.
#[derive(Debug)]
pub(crate) struct Keyring {
    /// The directory: a short path, since the agent's socket is in it.
    pub(crate) home: TempDir,
    /// The fingerprint of its key.
    pub(crate) fingerprint: String,
}

impl Keyring {
    /// Makes a key of that algorithm; `None` if gpg is missing.
    pub(crate) fn new(algorithm: &str, passphrase: &str) -> Option<Self> {
        let gpg = peer::find("gpg")?;
        peer::find("gpg-agent")?;
        let home = TempDir::with_prefix_in("gpg", "/tmp").unwrap();
        let run = |args: &[&str]| {
            let mut command = plain(&gpg);
            command.env("GNUPGHOME", home.path()).args(["--batch", "--no-tty"]).args(args);
            let output = command.output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{command:?}: {error}");
            String::from_utf8(output.stdout).unwrap()
        };
        let user = "Releases <releases@example.org>";
        let secret = ["--pinentry-mode", "loopback", "--passphrase", passphrase];
        run(&[&secret[..], &["--quick-generate-key", user, algorithm, "sign", "never"]].concat());
        // The agent has the passphrase in its memory now.
        end_agent(home.path());
        let listed = run(&["--with-colons", "--list-keys"]);
        let line = listed.lines().find(|line| line.starts_with("fpr:")).unwrap();
        let fingerprint = line.split(':').nth(9).unwrap().to_owned();
        Some(Keyring { home, fingerprint })
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        end_agent(self.home.path());
    }
}

/// Ends the agent of a keyring.
fn end_agent(home: &Path) {
    if let Some(gpgconf) = peer::find("gpgconf") {
        let mut command = plain(gpgconf);
        drop(command.env("GNUPGHOME", home).args(["--kill", "gpg-agent"]).output());
    }
}
