//! `sign` and `verify --signature` with the real minisign.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use longshore::model::digest::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    push::run,
    support::{command::Test, dist::Dist, peer, program},
};

/// Returns a release with two files that people download, and their checksums.
pub(crate) fn release() -> Dist {
    let dist = Dist::new(&[("linux/amd64", &program::amd64()[..])], json!({}));
    let archives = dist.root().join("archives");
    fs::create_dir(&archives).unwrap();
    let mut sums = String::new();
    for (name, bytes) in [("a b.tar.gz", &b"one"[..]), ("hello.cdx.json", b"{}")] {
        fs::write(archives.join(name), bytes).unwrap();
        sums.push_str(&format!("{}  {name}\n", Digest::sha256(bytes).hex()));
    }
    // Something signed has to cover the program, too.
    let statement = provenance(&manifest(&dist));
    fs::write(archives.join("hello.intoto.json"), &statement).unwrap();
    sums.push_str(&format!("{}  hello.intoto.json\n", Digest::sha256(&statement).hex()));
    fs::write(archives.join("SHA256SUMS"), &sums).unwrap();
    let record = |kind: &str, name: &str, bytes: &[u8]| {
        json!({ "kind": kind, "path": format!("archives/{name}"), "size": bytes.len(),
            "sha256": Digest::sha256(bytes) })
    };
    let mut edited = manifest(&dist);
    edited["documents"] = json!([
        record("checksums", "SHA256SUMS", sums.as_bytes()),
        record("spdx", "a b.tar.gz", b"one"),
        record("cyclonedx", "hello.cdx.json", b"{}"),
        record("provenance", "hello.intoto.json", &statement),
    ]);
    fs::write(dist.root().join("dist.json"), edited.to_string()).unwrap();
    dist
}

/// Returns a provenance of all binaries and images of a release.
pub(crate) fn provenance(dist: &Value) -> Vec<u8> {
    let named = |value: &Value, digest: &str| {
        let hex = value[digest].as_str().unwrap().trim_start_matches("sha256:").to_owned();
        json!({ "name": value["path"], "digest": { "sha256": hex } })
    };
    let artifacts = dist["artifacts"].as_array().unwrap().iter().map(|item| named(item, "sha256"));
    let images = dist["images"].as_array().unwrap().iter().map(|item| named(item, "digest"));
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": artifacts.chain(images).collect::<Vec<_>>(),
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {},
    });
    statement.to_string().into_bytes()
}

pub(crate) fn manifest(dist: &Dist) -> Value {
    serde_json::from_slice(&fs::read(dist.root().join("dist.json")).unwrap()).unwrap()
}

/// A pair of keys in a directory of its own, with that password or none.
struct Keys {
    minisign: PathBuf,
    dir: TempDir,
}

impl Keys {
    fn new(password: Option<&str>) -> Option<Self> {
        let keys = Keys { minisign: peer::find("minisign")?, dir: TempDir::new().unwrap() };
        let mut command = Command::new(&keys.minisign);
        command.arg("-G").arg("-p").arg(keys.public()).arg("-s").arg(keys.secret());
        if password.is_none() {
            command.arg("-W");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let twice = password.map_or(String::new(), |word| format!("{word}\n{word}\n"));
        child.stdin.take().unwrap().write_all(twice.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Some(keys)
    }

    fn public(&self) -> PathBuf {
        self.dir.path().join("pub")
    }

    fn secret(&self) -> PathBuf {
        self.dir.path().join("sec")
    }

    /// Returns the public key alone, as people put it on their pages.
    fn line(&self) -> String {
        let text = fs::read_to_string(self.public()).unwrap();
        text.lines().nth(1).unwrap().to_owned()
    }

    fn verifies(&self, file: &Path) -> String {
        let file = file.to_str().unwrap();
        peer::run(&self.minisign, ["-V", "-p", self.public().to_str().unwrap(), "-m", file])
    }
}

fn sign(home: &TempDir, dist: &Dist, key: &Path) -> Test {
    run(home.path(), &format!("sign --dist {}", dist.root().display()))
        .arg("--minisign-key")
        .arg(key)
        .env_remove("LONGSHORE_MINISIGN_PASSWORD")
}

fn verify(home: &TempDir, path: &Path, key: &str) -> Test {
    run(home.path(), "verify").arg(path).arg("--signature").arg(key)
}

#[test]
fn minisign_and_longshore_verify_each_others_signatures() {
    let Some(keys) = Keys::new(None) else { return };
    let (dist, home) = (release(), TempDir::new().unwrap());
    let sums = dist.root().join("archives/SHA256SUMS");
    let signature = dist.root().join("archives/SHA256SUMS.minisig");
    let ran = sign(&home, &dist, &keys.secret()).run();
    assert_eq!(ran.stdout, format!("{}\n", signature.display()));
    let said = keys.verifies(&sums);
    assert!(said.contains("Trusted comment: hello file:SHA256SUMS"), "{said}");
    let document = manifest(&dist)["documents"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(document["kind"], "minisign");
    assert_eq!(document["subject"], "archives/SHA256SUMS");
    assert_eq!(document["sha256"], Digest::sha256(&fs::read(&signature).unwrap()).to_string());
    let public = keys.public().display().to_string();
    for key in [&public, &keys.line()] {
        verify(&home, &dist.root(), key).stdout("SHA256SUMS` accepted").run();
    }
    // Signed again, it is told of once.
    sign(&home, &dist, &keys.secret()).run();
    assert_eq!(manifest(&dist)["documents"].as_array().unwrap().len(), 5);
    // One of minisign's, hashed first and not (`-l`).
    for legacy in [false, true] {
        fs::remove_file(&signature).unwrap();
        let mut args = vec!["-S", "-s", keys.dir.path().to_str().unwrap(), "-m"];
        let secret = keys.secret();
        args[2] = secret.to_str().unwrap();
        args.push(sums.to_str().unwrap());
        if legacy {
            args.push("-l");
        }
        peer::run(&keys.minisign, args);
        record(&dist, &signature);
        verify(&home, &dist.root(), &public).run();
    }
}

/// Has `dist.json` name the signature that is there now.
fn record(dist: &Dist, signature: &Path) {
    let bytes = fs::read(signature).unwrap();
    let mut edited = manifest(dist);
    let last = edited["documents"].as_array_mut().unwrap().last_mut().unwrap();
    last["size"] = json!(bytes.len());
    last["sha256"] = json!(Digest::sha256(&bytes));
    fs::write(dist.root().join("dist.json"), edited.to_string()).unwrap();
}

#[test]
fn keys_are_read_from_text_or_file() {
    let (Some(keys), Some(others)) = (Keys::new(None), Keys::new(None)) else { return };
    let (dist, home) = (release(), TempDir::new().unwrap());
    sign(&home, &dist, &others.secret()).run();
    // A file called as the key, with another key in it.
    let line = keys.line();
    if line.contains('/') {
        fs::create_dir_all(home.path().join(&line).parent().unwrap()).unwrap();
    }
    fs::copy(others.public(), home.path().join(&line)).unwrap();
    verify(&home, &dist.root(), &line).status(1).stdout("it is of the key ").run();
    verify(&home, &dist.root(), &others.line()).run();
}

/// All that is in a release is signed, or rejected: the image, the binary, and a release that names
/// fewer archives.
#[test]
fn files_without_signature_are_rejected() {
    let Some(keys) = Keys::new(None) else { return };
    let (dist, home) = (release(), TempDir::new().unwrap());
    let key = keys.public().display().to_string();
    sign(&home, &dist, &keys.secret()).run();
    verify(&home, &dist.root(), &key).run();
    let good = manifest(&dist);
    let uncovered = |name: &str| {
        let text = verify(&home, &dist.root(), &key).status(1).stdout("it is not signed").run();
        let line = format!("`{}` refused", dist.root().join(name).display());
        assert!(text.stdout.contains(&line), "no `{line}` in {}", text.stdout);
        fs::write(dist.root().join("dist.json"), good.to_string()).unwrap();
    };
    let change = |change: &dyn Fn(&mut Value)| {
        let mut edited = manifest(&dist);
        change(&mut edited);
        fs::write(dist.root().join("dist.json"), edited.to_string()).unwrap();
    };
    // Another binary, of which `dist.json` knows.
    let binary = dist.root().join("linux/amd64/bin/hello");
    let right = fs::read(&binary).unwrap();
    let mut evil = right.clone();
    *evil.get_mut(180).unwrap() ^= 1;
    fs::write(&binary, &evil).unwrap();
    change(&|item| item["artifacts"][0]["sha256"] = json!(Digest::sha256(&evil)));
    uncovered("linux/amd64/bin/hello");
    fs::write(&binary, &right).unwrap();
    // An image that was not there.
    let saved: Vec<_> = fs::read_dir(dist.root().join("archives"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (fs::read(&path).unwrap(), path))
        .collect();
    dist.image(&[]);
    for name in ["digests.txt", "SHA256SUMS"] {
        let _ = fs::remove_file(dist.root().join("archives").join(name));
    }
    for (bytes, path) in &saved {
        fs::write(path, bytes).unwrap();
    }
    change(&|item| item["documents"] = good["documents"].clone());
    uncovered("image/hello");
    fs::remove_dir_all(dist.root().join("image")).unwrap();
    // A document that only `dist.json` knows, and no provenance.
    fs::write(dist.root().join("note.txt"), "text").unwrap();
    change(&|item| {
        let note = json!({ "kind": "spdx", "path": "note.txt", "size": 4,
            "sha256": Digest::sha256(b"text") });
        item["documents"].as_array_mut().unwrap().push(note);
    });
    uncovered("note.txt");
    fs::remove_file(dist.root().join("note.txt")).unwrap();
    change(&|item| {
        item["documents"].as_array_mut().unwrap().retain(|item| item["kind"] != "provenance")
    });
    uncovered("linux/amd64/bin/hello");
    verify(&home, &dist.root(), &key).run();
    // A real release: digests.txt covers its image, its archive the binary.
    let dist = crate::verify_release::release();
    sign(&home, &dist, &keys.secret()).run();
    verify(&home, &dist.root(), &key).run();
}

#[test]
fn passwords_open_keys_and_are_never_shown() {
    let Some(keys) = Keys::new(Some("hunter2")) else { return };
    let (dist, home) = (release(), TempDir::new().unwrap());
    let file = home.path().join("password");
    let signature = dist.root().join("archives/SHA256SUMS.minisig");
    let signs = || sign(&home, &dist, &keys.secret());
    let word = "LONGSHORE_MINISIGN_PASSWORD";
    signs().env(word, "hunter3").status(2).stderr("is wrong").absent("hunter3").run();
    fs::write(&file, "other-word\n").unwrap();
    let by_file = || signs().arg("--password-file").arg(&file);
    by_file().status(2).stderr("the password for `").absent("other-word").run();
    fs::write(&file, "hunter2\nhunter2\n").unwrap();
    by_file().status(2).stderr("has no password").absent("hunter2").run();
    // Without a terminal nobody can be asked.
    let mut nobody = signs().status(2).stderr("is encrypted, and no password is given");
    let mut alone = Command::new(peer::find("setsid").unwrap());
    alone.arg(nobody.command.get_program()).args(nobody.command.get_args());
    alone.env_remove(word).stdin(Stdio::null());
    nobody.check_output(&alone.output().unwrap());
    nobody.command.arg("");
    assert!(!signature.exists());
    signs().env(word, "hunter2").absent("hunter2").run();
    keys.verifies(&dist.root().join("archives/SHA256SUMS"));
    fs::remove_file(&signature).unwrap();
    fs::write(&file, "hunter2\n").unwrap();
    by_file().run();
    keys.verifies(&dist.root().join("archives/SHA256SUMS"));
}

#[test]
fn invalid_keys_are_rejected_before_anything_is_written() {
    let Some(keys) = Keys::new(None) else { return };
    let (dist, home) = (release(), TempDir::new().unwrap());
    let refused = |key: &Path, why: &str| {
        sign(&home, &dist, key).status(2).stderr(why).stderr("\nhint: ").run();
    };
    let broken = home.path().join("broken");
    let secret = fs::read_to_string(keys.secret()).unwrap();
    refused(&keys.public(), "it is a public one");
    fs::write(&broken, "something else\n").unwrap();
    refused(&broken, "it has none");
    // 54 bytes lie before the number, 62 before the key, 126 before the checksum, if there is one.
    let line = secret.lines().nth(1).unwrap();
    for at in [66, 120] {
        let bytes = BASE64_STANDARD.decode(line).unwrap();
        let changed = |(n, byte): (usize, &u8)| if n == at { byte ^ 1 } else { *byte };
        let bytes: Vec<u8> = bytes.iter().enumerate().map(changed).collect();
        fs::write(&broken, secret.replace(line, &BASE64_STANDARD.encode(bytes))).unwrap();
        refused(&broken, "is damaged");
    }
    sign(&home, &dist, &home.path().join("gone")).status(2).stderr("there is no key").run();
    let nothing = run(home.path(), &format!("sign --dist {}", dist.root().display()));
    nothing.status(2).stderr("no key is given").run();
    assert!(!dist.root().join("archives/SHA256SUMS.minisig").exists());
    assert_eq!(manifest(&dist)["documents"].as_array().unwrap().len(), 4);
    // And what does not verify.
    let secret = keys.secret().display().to_string();
    for (key, why) in [
        (secret.as_str(), "it is a secret key"),
        (broken.to_str().unwrap(), "it is a secret key"),
        ("RWgone", "is not a key, and there is no such file"),
    ] {
        verify(&home, &dist.root(), key).status(2).stderr(why).run();
    }
}

#[test]
fn files_that_do_not_match_the_checksums_are_not_signed() {
    let Some(keys) = Keys::new(None) else { return };
    let (dist, home) = (release(), TempDir::new().unwrap());
    let archives = dist.root().join("archives");
    let archive = archives.join("a b.tar.gz");
    let refused = |why: &str| {
        let error = sign(&home, &dist, &keys.secret()).status(1).stderr(why).run().stderr;
        assert!(!archives.join("SHA256SUMS.minisig").exists(), "{error}");
    };
    fs::write(&archive, "two").unwrap();
    refused("and `SHA256SUMS` has `sha256:");
    fs::remove_file(&archive).unwrap();
    refused("it is missing");
    fs::write(&archive, "one").unwrap();
    fs::write(archives.join("more"), "").unwrap();
    refused("`SHA256SUMS` does not name it");
    fs::remove_file(archives.join("more")).unwrap();
    let mut other = manifest(&dist);
    other["documents"] = json!([{ "kind": "cyclonedx", "path": "archives/hello.cdx.json", "size": 2,
        "sha256": Digest::sha256(b"other") }]);
    fs::write(dist.root().join("dist.json"), other.to_string()).unwrap();
    refused("do not agree on `archives/hello.cdx.json`");
    fs::remove_file(archives.join("SHA256SUMS")).unwrap();
    refused("there is no `");
}

#[test]
fn files_changed_after_signing_are_rejected_by_name() {
    let (Some(keys), Some(others)) = (Keys::new(None), Keys::new(None)) else { return };
    let (dist, home) = (release(), TempDir::new().unwrap());
    let archives = dist.root().join("archives");
    let (sums, signature) = (archives.join("SHA256SUMS"), archives.join("SHA256SUMS.minisig"));
    sign(&home, &dist, &keys.secret()).run();
    let refused = |path: &Path, key: &Keys, why: &str| {
        let key = key.public().display().to_string();
        let text = verify(&home, path, &key).status(1).stdout("refused").run().stdout;
        assert!(text.contains(why), "no `{why}` in {text}");
        text
    };
    refused(&dist.root(), &others, "it is of the key ");
    fs::write(archives.join("a b.tar.gz"), "two").unwrap();
    let text = refused(&dist.root(), &keys, "and `SHA256SUMS` has `sha256:");
    assert!(text.contains("a b.tar.gz"), "{text}");
    fs::remove_file(archives.join("a b.tar.gz")).unwrap();
    refused(&archives, &keys, "it is missing");
    fs::write(archives.join("a b.tar.gz"), "one").unwrap();
    fs::write(archives.join("more"), "").unwrap();
    refused(&archives, &keys, "does not name it");
    // Where one file is meant, the others need not be there.
    let one = dist.root().join("archives/a b.tar.gz");
    let text =
        verify(&home, &one, &keys.line()).status(1).stdout("SHA256SUMS` accepted").run().stdout;
    assert!(!text.contains("signature: "), "{text}");
    fs::remove_file(archives.join("more")).unwrap();
    let right = fs::read_to_string(&sums).unwrap();
    fs::write(&sums, right.replace("a b", "a c")).unwrap();
    refused(&dist.root(), &keys, "signature verification failed");
    fs::write(&sums, &right).unwrap();
    let text = fs::read_to_string(&signature).unwrap();
    fs::write(&signature, text.replace("hello", "other")).unwrap();
    refused(&dist.root(), &keys, "comment signature verification failed");
    for broken in ["", "a\nb\nc\nd\n", &text.lines().take(3).collect::<Vec<_>>().join("\n")] {
        fs::write(&signature, broken).unwrap();
        refused(&dist.root(), &keys, "does not sign this");
    }
    // The library takes the length of the last line for granted.
    let last = text.lines().last().unwrap();
    fs::write(&signature, text.replace(last, "AAAA")).unwrap();
    refused(&dist.root(), &keys, "not a signature of minisign's");
    fs::remove_file(&signature).unwrap();
    refused(&dist.root(), &keys, "cannot read");
    refused(home.path(), &keys, "there is no `");
}
