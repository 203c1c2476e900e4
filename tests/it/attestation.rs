//! Sigstore's bundles beside files: what `verify` compares without cosign, and the real cosign on attestations.

use std::{fs, path::Path, process::Command};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use longshore::model::digest::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    push::run,
    sign::release,
    sign_cosign::Cosign,
    support::{command::Test, program},
};

const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// Returns an attestation of files with these contents. Nobody signed it.
fn bundle(subjects: &[&[u8]]) -> Value {
    let subject =
        |bytes: &&[u8]| json!({ "name": "x", "digest": { "sha256": Digest::sha256(bytes).hex() } });
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": PROVENANCE,
        "subject": subjects.iter().map(subject).collect::<Vec<_>>(),
        "predicate": {},
    });
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": { "certificate": { "rawBytes": "AAAA" }, "tlogEntries": [] },
        "dsseEnvelope": {
            "payload": BASE64_STANDARD.encode(statement.to_string()),
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{ "sig": "AAAA" }],
        },
    })
}

/// Returns a directory with a program.
fn directory() -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("hello"), program::amd64()).unwrap();
    dir
}

fn verify(path: &Path) -> Test {
    run(path.parent().unwrap(), "verify --facts").arg(path)
}

#[test]
fn bundles_beside_a_file_must_have_its_digest() {
    let program = program::amd64();
    let (right, wrong) = (bundle(&[b"x", &program]).to_string(), bundle(&[b"x"]).to_string());
    let by_digest = format!("sha256:{}.jsonl", Digest::sha256(&program).hex());
    for name in ["hello.sigstore.json", "hello.sigstore", "hello.jsonl", &by_digest] {
        let dir = directory();
        let (hello, beside) = (dir.path().join("hello"), dir.path().join(name));
        // Named, and found in a directory.
        for path in [&hello, &dir.path().to_owned()] {
            fs::write(&beside, &right).unwrap();
            let ran = verify(path).run();
            assert!(
                ran.stdout.contains("format and digest checked, signature not"),
                "{}",
                ran.stdout
            );
            assert!(ran.stdout.contains(PROVENANCE), "{}", ran.stdout);
            fs::write(&beside, &wrong).unwrap();
            verify(path).status(1).stdout("it attests `sha256:").run();
            // Many other files have such a name.
            let other = name == "hello.jsonl";
            for text in ["{}", "", "x", "[["] {
                fs::write(&beside, text).unwrap();
                if other {
                    verify(path).run();
                } else {
                    verify(path).status(1).stdout("is not a bundle of Sigstore's: ").run();
                }
            }
            // Every one of several.
            fs::write(&beside, format!("{right}\n{right}\n")).unwrap();
            verify(path).run();
            fs::write(&beside, format!("{right}\n{wrong}\n")).unwrap();
            verify(path).status(1).stdout("it attests").run();
        }
    }
}

#[test]
fn bundles_without_their_file_are_rejected() {
    let dir = directory();
    let write = |name: &str| fs::write(dir.path().join(name), bundle(&[b"x"]).to_string()).unwrap();
    write("gone.sigstore.json");
    verify(dir.path()).status(1).stdout("there is no file `").run();
    fs::remove_file(dir.path().join("gone.sigstore.json")).unwrap();
    let other = format!("sha256-{}.jsonl", Digest::sha256(b"x").hex());
    write(&other);
    verify(dir.path()).status(1).stdout("no file beside it has the digest `sha256:").run();
    // It says nothing of a file that is named.
    let ran = verify(&dir.path().join("hello")).run();
    assert!(!ran.stdout.contains("attestation"), "{}", ran.stdout);
    // Other files may have such a name, and no bundle is read without end.
    fs::remove_file(dir.path().join(&other)).unwrap();
    fs::write(dir.path().join("events.jsonl"), "{\"a\":1}\n").unwrap();
    verify(dir.path()).run();
    let large = fs::File::create(dir.path().join("hello.sigstore.json")).unwrap();
    large.set_len(1 << 40).unwrap();
    verify(&dir.path().join("hello")).status(1).stdout("more than 33554432 bytes").run();
}

#[test]
fn attestations_may_be_added_to_a_release() {
    let dist = release();
    let archives = dist.root().join("archives");
    let beside = archives.join("a b.tar.gz.sigstore.json");
    let verify = || run(dist.root().as_path(), "verify --facts").arg(dist.root());
    let before = verify().status(0);
    before.run();
    fs::write(&beside, bundle(&[b"one"]).to_string()).unwrap();
    verify().stdout("format and digest checked, signature not").run();
    fs::write(&beside, bundle(&[b"two"]).to_string()).unwrap();
    verify().status(1).stdout("it attests `sha256:").run();
    fs::remove_file(&beside).unwrap();
    // Nothing else is an attestation because of its name.
    fs::write(archives.join("a b.tar.gz.jsonl"), program::amd64()).unwrap();
    verify().status(1).stdout("`dist.json` does not name it").run();
    fs::remove_file(archives.join("a b.tar.gz.jsonl")).unwrap();
    fs::write(dist.root().join("x.sigstore.json"), bundle(&[b"one"]).to_string()).unwrap();
    verify().status(1).stdout("`dist.json` does not name it").run();
}

#[test]
fn cosign_verifies_attestations_with_a_key() {
    let all = Cosign::all();
    for cosign in &all {
        let dir = directory();
        let (hello, beside) = (dir.path().join("hello"), dir.path().join("hello.sigstore.json"));
        let predicate = dir.path().join("predicate.json");
        fs::write(&predicate, r#"{"buildDefinition":{},"runDetails":{}}"#).unwrap();
        let mut attest = Command::new(&cosign.program);
        attest.args(["attest-blob", "--yes", "--type", PROVENANCE, "--predicate"]).arg(&predicate);
        attest.arg("--key").arg(cosign.key("cosign.key")).arg("--bundle").arg(&beside);
        let flags = cosign.offline.iter().map(|flag| flag.trim_start_matches("--cosign-arg="));
        let third = cosign.offline.len() > 1;
        attest.args(flags).args((!third).then_some("--new-bundle-format")).arg(&hello);
        let output = attest.env("COSIGN_PASSWORD", crate::sign_cosign::PASSWORD).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        fs::remove_file(&predicate).unwrap();
        verify(&hello).stdout("format and digest checked, signature not").run();
        // Without cosign, too.
        verify(&hello).env("PATH", dir.path()).stdout("signature not").run();
        for other in &all {
            fs::copy(cosign.key("cosign.pub"), other.key("theirs.pub")).unwrap();
            let ran = other.verify(&hello, "theirs.pub").arg("--facts").run();
            assert!(ran.stdout.contains("attestation  cosign: "), "{}", ran.stdout);
        }
        // A different key; and a signature over something else, with the digest of this.
        let stranger = Cosign::all();
        let stranger = stranger.first().unwrap();
        stranger.verify(&hello, "cosign.pub").status(1).stdout("cosign rejects it").run();
        let mut forged: Value = serde_json::from_slice(&fs::read(&beside).unwrap()).unwrap();
        forged["dsseEnvelope"]["payload"] =
            bundle(&[&program::amd64()])["dsseEnvelope"]["payload"].clone();
        fs::write(&beside, forged.to_string()).unwrap();
        verify(&hello).stdout("signature not").run();
        cosign.verify(&hello, "cosign.pub").status(1).stdout("cosign rejects it").run();
        // Nothing signs the file without it.
        fs::remove_file(&beside).unwrap();
        cosign.verify(&hello, "cosign.pub").status(1).stdout("there is no `").run();
        let nowhere = cosign.verify(&hello, "cosign.pub").env("PATH", dir.path());
        fs::write(&beside, bundle(&[&program::amd64()]).to_string()).unwrap();
        nowhere.status(1).stdout("there is no `").run();
    }
}
