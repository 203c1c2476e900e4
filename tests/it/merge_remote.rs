//! `merge` of images in a registry, by their digests.

use longshore::model::digest::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    merge::{PLATFORMS, bytes, part},
    push::run,
    support::{
        command::Test,
        dist::{Dist, digest, found},
        peer,
        proxy::{Act, Asked, Proxy},
        registry::Registry,
        workspace::Workspace,
    },
};

/// Returns the parts, pushed to `repository` by their digests.
fn pushed(home: &TempDir, repository: &str) -> Vec<String> {
    let push = |platform| {
        let part = part(platform);
        let digest = digest(&part.root().join("image/hello"));
        let name = format!("{repository}@{digest}");
        let ran = run(home.path(), &format!("push {name} --dist {}", part.root().display())).run();
        assert_eq!(ran.stdout, format!("{name}\n"));
        name
    };
    PLATFORMS.map(push).into()
}

/// Returns the digest of one `dist` of all platforms.
fn whole() -> String {
    let whole = Dist::new(&PLATFORMS.map(|item| (item, &*bytes(item).leak())), json!({}));
    whole.image(&[]);
    digest(&whole.root().join("image/hello"))
}

fn merge(home: &TempDir, args: &str) -> Test {
    run(home.path(), &format!("merge {args}"))
}

/// Returns the requests that transfer bytes of blobs.
fn moved(asked: &[Asked]) -> Vec<&Asked> {
    let moves = |asked: &&Asked| asked.path.contains("/blobs/") && asked.method != "HEAD";
    asked.iter().filter(moves).collect()
}

#[test]
fn images_are_merged_without_transferring_layers() {
    let Some(registry) = Registry::start() else { return };
    let home = TempDir::new().unwrap();
    let layers: Vec<String> = PLATFORMS
        .iter()
        .map(|platform| {
            let part = part(platform);
            found(&part.root().join("image/hello"))[0].manifest.layers[0].digest.hex()
        })
        .collect();
    let proxy = Proxy::start(&registry.address, |_| Act::Pass);
    let repository = format!("{}/hello", proxy.address);
    let parts = pushed(&home, &repository);
    proxy.asked();
    let digest = whole();
    let ran = merge(&home, &format!("{} {} --push {repository}:1", parts[1], parts[0])).run();
    assert_eq!(ran.stdout, format!("{repository}@{digest}\n"));
    let asked = proxy.asked();
    let of_layers = |asked: &&&Asked| layers.iter().any(|hex| asked.path.contains(hex.as_str()));
    assert_eq!(moved(&asked).iter().filter(of_layers).count(), 0, "{asked:#?}");
    assert!(moved(&asked).iter().all(|asked| asked.method == "GET"), "{asked:#?}");
    // Into another repository: the registry takes them from this one.
    let other = format!("{}/other", proxy.address);
    let json = format!("{} {} --push {other}:1 --message-format json", parts[0], parts[1]);
    let told = merge(&home, &json).run().json();
    assert_eq!(told["digest"], digest.as_str());
    assert_eq!(told["repositories"][0]["uploaded"], json!([]));
    assert_eq!(told["repositories"][0]["mounted"].as_array().unwrap().len(), 4);
    assert_eq!(
        moved(&proxy.asked()).iter().filter(of_layers).filter(|a| a.method == "GET").count(),
        0
    );
    let Some(skopeo) = peer::find("skopeo") else { return };
    for name in ["hello:1", "other:1"] {
        let raw =
            peer::run(&skopeo, ["inspect", "--tls-verify=false", "--raw", &registry.url(name)]);
        assert_eq!(Digest::sha256(raw.as_bytes()).to_string(), digest);
        let to = home.path().join(name.replace(':', "-"));
        let copy = format!("oci:{}:x", to.display());
        peer::run(&skopeo, ["copy", "--all", "--src-tls-verify=false", &registry.url(name), &copy]);
        let platforms: Vec<_> = found(&to).iter().map(|item| item.platform.to_string()).collect();
        assert_eq!(platforms, PLATFORMS);
    }
}

#[test]
fn layers_are_copied_to_another_registry_on_request() {
    let (Some(from), Some(to)) = (Registry::start(), Registry::start()) else { return };
    let home = TempDir::new().unwrap();
    let parts = pushed(&home, &format!("{}/hello", from.address));
    let name = format!("{}/hello", to.address);
    let ran = merge(&home, &format!("{} {} --push {name}:1", parts[0], parts[1])).run();
    assert_eq!(ran.stdout, format!("{name}@{}\n", whole()));
    if let Some(crane) = peer::crane() {
        let name = format!("{name}:1");
        peer::run(&crane, ["validate", "--insecure", "--remote", &name]);
    }
}

/// Returns an index with these descriptors, in the registry.
fn index(registry: &Registry, manifests: &Value) -> String {
    let text = json!({ "schemaVersion": 2, "manifests": manifests,
        "mediaType": "application/vnd.oci.image.index.v1+json" });
    let body = text.to_string();
    let digest = Digest::sha256(body.as_bytes());
    put(registry, &digest, &body, "application/vnd.oci.image.index.v1+json");
    format!("{}/hello@{digest}", registry.address)
}

/// Writes a manifest as it is.
fn put(registry: &Registry, digest: &Digest, body: &str, kind: &str) {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(&registry.address).unwrap();
    let head = format!(
        "PUT /v2/hello/manifests/{digest} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

#[test]
fn merge_errors_are_reported_together() {
    let Some(registry) = Registry::start() else { return };
    let home = TempDir::new().unwrap();
    let repository = format!("{}/hello", registry.address);
    let parts = pushed(&home, &repository);
    let (amd64, arm64) = (&parts[0], &parts[1]);
    merge(&home, amd64).status(2).hint("name it with `--push REPOSITORY:TAG`").run();
    let here = format!("{amd64} . --push {repository}");
    merge(&home, &here).status(2).stderr("is in a registry, and `.` is not").run();
    let told = format!("{amd64} {repository}:1 --push {repository}:1 --platform linux/arm64");
    merge(&home, &told)
        .status(1)
        .stderr("for 3 reasons")
        .stderr("has no digest")
        .stderr("no part is for `linux/arm64`")
        .stderr("a part is for `linux/amd64`, which was not requested")
        .run();
    // Another image for the same platform, of another version.
    let other = Dist::new(
        &[("linux/amd64", &bytes("linux/amd64"))],
        json!({ "labels": { "org.opencontainers.image.version": "2.0.0" } }),
    );
    other.image(&[]);
    let other_name = format!("{repository}@{}", digest(&other.root().join("image/hello")));
    let push = format!("push {other_name} --dist {}", other.root().display());
    run(home.path(), &push).run();
    merge(&home, &format!("{amd64} {arm64} {other_name} --push {repository}:1"))
        .status(1)
        .stderr("`linux/amd64` is in ")
        .stderr("the label `version` differs: `2.0.0` in")
        .stderr("the label `title` differs: `hello` in")
        .run();
    let gone = format!("{repository}@{}", Digest::sha256(b"x"));
    merge(&home, &format!("{amd64} {gone} --push {repository}:1")).status(5).run();
    let descriptor = |name: &str| {
        let (_, digest) = name.split_once('@').unwrap();
        let raw = seen(&registry, digest);
        json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest,
            "size": raw.len() })
    };
    // What BuildKit puts beside an image.
    let mut copied = descriptor(amd64);
    copied["platform"] = json!({ "os": "linux", "architecture": "amd64" });
    let mut attestation = descriptor(&other_name);
    attestation["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
    let kind = "vnd.docker.reference.type";
    attestation["annotations"] = json!({ kind: "attestation-manifest" });
    let attested = index(&registry, &json!([copied, attestation]));
    let args = format!("{attested} {arm64} --push {repository}:1");
    merge(&home, &args).status(1).stderr("has an attestation, which").run();
    let dropped = merge(&home, &format!("{args} --attestations drop")).run();
    assert_eq!(dropped.stdout, format!("{repository}@{}\n", whole()));
    let kept = merge(&home, &format!("{args} --attestations keep")).run();
    let kept: Value =
        serde_json::from_str(&seen(&registry, kept.stdout.trim().split('@').nth(1).unwrap()))
            .unwrap();
    assert_eq!(kept["manifests"].as_array().unwrap().len(), 3);
    assert_eq!(kept["manifests"][2], attestation);
    // An index of it, which is merged as what is in it.
    let (_, digest) = attested.split_once('@').unwrap();
    let size = seen(&registry, digest).len();
    let media_type = "application/vnd.oci.image.index.v1+json";
    let inner = json!({ "mediaType": media_type, "digest": digest, "size": size });
    let outer = index(&registry, &json!([inner]));
    let args = format!("{outer} {arm64} --push {repository}:1");
    merge(&home, &args).status(1).stderr("has an attestation, which").run();
    let dropped = merge(&home, &format!("{args} --attestations drop")).run();
    assert_eq!(dropped.stdout, format!("{repository}@{}\n", whole()));
}

/// Returns the manifest of that digest, as the registry has it.
fn seen(registry: &Registry, digest: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(&registry.address).unwrap();
    let ask = format!(
        "GET /v2/hello/manifests/{digest} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         accept: application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json\r\n\r\n"
    );
    stream.write_all(ask.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn a_job_pushes_its_part_by_its_digest() {
    let Some(registry) = Registry::start() else { return };
    let proxy = Proxy::start(&registry.address, |_| Act::Pass);
    let repository = format!("{}/hello", proxy.address);
    let plain = |workspace: &Workspace, args: &str| {
        let args = format!("dist --preset quick --no-smoke {args}");
        crate::support::command::longshore(workspace, &args)
            .env("CARGO_PROFILE_DIST_LTO", "off")
            .env("CARGO_PROFILE_DIST_OPT_LEVEL", "0")
    };
    let workspace = Workspace::hello();
    let one = format!("--target x86_64-unknown-linux-musl --push-by-digest {repository}");
    plain(&workspace, &format!("{one}:1")).status(2).stderr("has a tag or a digest").run();
    let members = Workspace::members(&["one", "two"], "");
    plain(&members, &one)
        .status(2)
        .stderr("`--push-by-digest` pushes one image, and the plan has 2")
        .hint("choose one with `--package`: `one`, `two`")
        .run();
    let ran = plain(&workspace, &one).run();
    let digest = digest(&workspace.dist().join("image/hello"));
    assert_eq!(ran.stdout, format!("{repository}@{digest}\n"));
    let tags = proxy.asked().into_iter().filter(|asked| asked.is("PUT", "/manifests/"));
    // By digests; the list of what is attached is called after one.
    let tags: Vec<_> = tags.filter(|asked| !asked.path.contains("sha256")).collect();
    assert!(tags.is_empty(), "{tags:#?}");
    assert!(workspace.dist().join("dist.json").is_file());
    let home = TempDir::new().unwrap();
    let name = format!("{}/release:1", proxy.address);
    let ran = merge(&home, &format!("{} --push {name}", ran.stdout.trim())).run();
    assert!(ran.stdout.ends_with(&format!("@{digest}\n")), "{}", ran.stdout);
}
