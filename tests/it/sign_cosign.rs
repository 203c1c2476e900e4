//! `sign` and `verify --signature` with the real cosign, 2 and 3. What needs Sigstore's own servers is
//! left out: `--cosign-arg` says so, as somebody without them would.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    attach,
    push::run,
    sign::{manifest, release},
    support::{
        command::Test,
        dist::{Dist, digest},
        peer,
        proxy::{Act, Proxy},
        registry::Registry,
    },
};

pub(crate) const PASSWORD: &str = "hunter2";

pub(crate) struct Cosign {
    pub(crate) program: PathBuf,
    home: TempDir,
    /// The flags that keep it from using Sigstore, for signing.
    pub(crate) offline: Vec<&'static str>,
}

impl Cosign {
    /// Returns every version, each with a pair of keys and a root of trust that trusts nobody.
    pub(crate) fn all() -> Vec<Self> {
        let with = |program: PathBuf| {
            let home = TempDir::new().unwrap();
            let root =
                r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#;
            fs::write(home.path().join("root.json"), root).unwrap();
            let mut generate = Command::new(&program);
            generate.arg("generate-key-pair").env("COSIGN_PASSWORD", PASSWORD);
            let made = generate.current_dir(home.path()).output().unwrap();
            assert!(made.status.success(), "{made:?}");
            let third = peer::output(&program, ["sign-blob", "--help"]);
            let third = String::from_utf8_lossy(&third.stdout).contains("--use-signing-config");
            let more = third.then_some("--cosign-arg=--use-signing-config=false");
            let offline = more.into_iter().chain(["--cosign-arg=--tlog-upload=false"]).collect();
            Cosign { program, home, offline }
        };
        peer::cosigns().into_iter().map(with).collect()
    }

    pub(crate) fn key(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Returns a command that finds it, and its password.
    fn with(&self, test: Test) -> Test {
        let dir = self.program.parent().unwrap().display().to_string();
        let path = format!("{dir}:{}", std::env::var("PATH").unwrap());
        test.env("PATH", path).env("COSIGN_PASSWORD", PASSWORD)
    }

    fn sign(&self, dist: &Dist, key: &str) -> Test {
        let args = format!("sign --dist {}", dist.root().display());
        let test = self.with(run(self.home.path(), &args));
        let test = test.arg("--cosign-key").arg(self.key(key));
        self.offline.iter().fold(test, |test, arg| test.arg(arg))
    }

    pub(crate) fn verify(&self, path: &Path, key: &str) -> Test {
        let root = format!("--cosign-arg=--trusted-root={}", self.key("root.json").display());
        let test = run(self.home.path(), "verify").arg(path);
        let test = test.arg("--signature").arg(self.key(key));
        self.with(test.arg("--cosign-arg=--insecure-ignore-tlog=true").arg(root))
    }
}

#[test]
fn cosign_versions_verify_each_others_signatures() {
    let all = Cosign::all();
    for cosign in &all {
        let dist = release();
        let bundle = dist.root().join("archives/SHA256SUMS.sigstore.json");
        let wrong = cosign.sign(&dist, "cosign.key").env("COSIGN_PASSWORD", "wrong-word");
        wrong.status(2).stderr("cosign cannot read the key").absent("wrong-word").run();
        cosign.sign(&dist, "cosign.pub").status(2).stderr("cosign cannot read the key").run();
        assert!(!bundle.exists());
        let ran = cosign.sign(&dist, "cosign.key").run();
        assert_eq!(ran.stdout, format!("{}\n", bundle.display()));
        let documents = manifest(&dist)["documents"].as_array().unwrap().clone();
        assert_eq!(documents.last().unwrap()["kind"], "sigstore");
        for other in &all {
            fs::copy(cosign.key("cosign.pub"), other.key("theirs.pub")).unwrap();
            other.verify(&dist.root(), "theirs.pub").stdout("SHA256SUMS` accepted").run();
        }
        // Another pair's key does not verify it, nor does its own something else.
        let stranger = release();
        let others = Cosign::all();
        let other = others.first().unwrap();
        other.verify(&dist.root(), "cosign.pub").status(1).stdout("cosign rejects it").run();
        let secret = cosign.verify(&dist.root(), "cosign.key").status(2);
        secret.stderr("is a secret key of cosign's").run();
        cosign.verify(&stranger.root(), "cosign.pub").status(1).stdout("there is no `").run();
        let sums = dist.root().join("archives/SHA256SUMS");
        let right = fs::read_to_string(&sums).unwrap();
        fs::write(&sums, right.replace("a b", "a c")).unwrap();
        let changed = cosign.verify(&dist.root(), "cosign.pub").status(1);
        changed.stdout("cosign rejects it").run();
    }
}

#[test]
fn without_cosign_nothing_is_signed_and_nothing_passes() {
    let (dist, home) = (release(), TempDir::new().unwrap());
    let nowhere = |test: Test| test.env("PATH", home.path()).status(3);
    let args = format!("sign --dist {} --cosign", dist.root().display());
    nowhere(run(home.path(), &args)).stderr("`cosign` is not installed").run();
    fs::write(dist.root().join("archives/SHA256SUMS.sigstore.json"), "{}").unwrap();
    let verify = run(home.path(), "verify --signature awskms:///x").arg(dist.root());
    nowhere(verify).stderr("`cosign` is not installed").run();
}

#[test]
fn images_are_signed_by_digest() {
    let Some(registry) = Registry::start() else { return };
    for (n, cosign) in Cosign::all().iter().enumerate() {
        let dist = attach::release();
        let image = digest(&dist.root().join("image/hello"));
        let name = format!("{}/hello{n}", registry.address);
        let push = format!("push {name}:1 --dist {}", dist.root().display());
        run(cosign.home.path(), &push).run();
        // The fixture's checksums are none.
        let archives = dist.root().join("archives");
        let names = fs::read_dir(&archives).unwrap().map(|entry| entry.unwrap().file_name());
        let names: Vec<_> = names.filter(|name| name != "SHA256SUMS").collect();
        let mut sums = Command::new("sha256sum");
        let output = sums.args(names).current_dir(&archives).output().unwrap();
        fs::write(archives.join("SHA256SUMS"), output.stdout).unwrap();
        let mut edited = manifest(&dist);
        edited["documents"].as_array_mut().unwrap().pop();
        fs::write(dist.root().join("dist.json"), edited.to_string()).unwrap();

        let sign = |image: &str| cosign.sign(&dist, "cosign.key").arg("--image").arg(image);
        sign(&format!("{name}:1")).status(2).stderr("has no digest").run();
        let other = longshore::model::digest::Digest::sha256(b"other");
        let other = sign(&format!("{name}@{other}")).status(1);
        other.stderr("is not an image of this release").run();
        let reference = format!("{name}@{image}");
        sign(&reference).stderr(&format!("Signed {reference}")).run();
        let path = PathBuf::from(&reference);
        let verify = |key: &str| {
            let test = run(cosign.home.path(), "verify").arg(&path);
            let test = test.arg("--signature").arg(cosign.key(key));
            cosign.with(test.arg("--cosign-arg=--insecure-ignore-tlog=true"))
        };
        let text = verify("cosign.pub").run().stdout;
        assert!(text.contains(&format!("`{reference}` accepted")), "{text}");
        let unsigned = format!("{}/plain{n}", registry.address);
        run(cosign.home.path(), &push.replace(&name, &unsigned)).run();
        let mut refused = verify("cosign.pub").status(1).stdout("cosign rejects it");
        refused.command.args([format!("{unsigned}@{image}")]);
        refused.run();
        // cosign 3 lists its signature where ours is listed: neither lost the other's.
        let Some(crane) = peer::crane() else { continue };
        let tag = format!("{name}:{}", image.replace(':', "-"));
        let list: Value =
            serde_json::from_str(&peer::run(&crane, ["manifest", "--insecure", &tag])).unwrap();
        let before = list["manifests"].as_array().unwrap().len();
        run(cosign.home.path(), &push).run();
        let list: Value =
            serde_json::from_str(&peer::run(&crane, ["manifest", "--insecure", &tag])).unwrap();
        let after = list["manifests"].as_array().unwrap();
        assert_eq!(after.len(), before);
        let ours = after
            .iter()
            .filter(|item| item["annotations"].get("org.opencontainers.image.title").is_some());
        assert_eq!(ours.count(), 2, "{list}");
        verify("cosign.pub").run();
    }
}

/// A registry that gives another image for the tag, except to cosign.
#[test]
fn cosign_verifies_the_image_that_was_read() {
    let Some(registry) = Registry::start() else { return };
    for (n, cosign) in Cosign::all().iter().enumerate() {
        let dist = attach::release();
        let name = format!("hello{n}");
        let (host, home) = (&registry.address, cosign.home.path());
        let push = |tag: &str, dist: &Dist| {
            let args =
                format!("push {host}/{name}:{tag} --no-attach --dist {}", dist.root().display());
            run(home, &args).run().stdout.trim().to_owned()
        };
        let good = push("1", &dist);
        let other = Dist::new(
            &[("linux/amd64", &crate::support::program::amd64()[..])],
            serde_json::json!({ "labels": { "other": "1" } }),
        );
        other.image(&[]);
        let evil = push("evil", &other);
        let mut sign = Command::new(&cosign.program);
        sign.args(["sign", "--yes", "--key"]).arg(cosign.key("cosign.key"));
        for arg in &cosign.offline {
            sign.arg(arg.trim_start_matches("--cosign-arg="));
        }
        let signed = sign.arg(&good).env("COSIGN_PASSWORD", PASSWORD).output().unwrap();
        assert!(signed.status.success(), "{signed:?}");

        let (index, bytes) = blob(&other, &evil);
        let flip = Proxy::start(host, move |asked| {
            let ours = !asked.header("user-agent").to_lowercase().contains("cosign");
            if ours && asked.path.ends_with("/manifests/1") {
                let kind = if index { "index" } else { "manifest" };
                let kind = format!("application/vnd.oci.image.{kind}.v1+json");
                return Act::Answer(200, vec![("content-type", kind)], bytes.clone());
            }
            Act::Pass
        });
        let verify = |reference: String| {
            let test = run(home, "verify").arg(reference);
            let test = test.arg("--signature").arg(cosign.key("cosign.pub"));
            cosign.with(test.arg("--cosign-arg=--insecure-ignore-tlog=true"))
        };
        verify(format!("{host}/{name}:1")).stdout("accepted").run();
        let flipped = verify(format!("{}/{name}:1", flip.address)).status(1);
        flipped.stdout("cosign rejects it").run();
    }
}

/// Returns the bytes of the image of that reference, and whether it is an index.
fn blob(dist: &Dist, reference: &str) -> (bool, Vec<u8>) {
    let digest = reference.rsplit_once("@sha256:").unwrap().1;
    let path = dist.root().join("image/hello/blobs/sha256").join(digest);
    let bytes = fs::read(path).unwrap();
    let value: Value = serde_json::from_slice(&bytes).unwrap();
    (value.get("manifests").is_some(), bytes)
}
