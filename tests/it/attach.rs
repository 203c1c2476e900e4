//! Documents attached to pushed images: in a registry without the referrers API, and in one with it.

use std::fs;

use longshore::model::digest::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    push::{pair, run},
    sign::manifest,
    support::{
        dist::{Dist, digest},
        peer,
        proxy::{Act, Proxy},
        registry::Registry,
    },
};

/// Returns a release with an image, what it is made of, how, and a document of something else.
pub(crate) fn release() -> Dist {
    let dist = pair();
    dist.image(&[]);
    fs::create_dir(dist.root().join("archives")).unwrap();
    let document = |kind: &str, name: &str, subject: Option<&str>| {
        let (path, bytes) = (format!("archives/{name}"), format!("{{\"{name}\": 1}}\n"));
        fs::write(dist.root().join(&path), &bytes).unwrap();
        json!({ "kind": kind, "path": path, "size": bytes.len(), "subject": subject,
            "sha256": Digest::sha256(bytes.as_bytes()) })
    };
    let mut edited = manifest(&dist);
    edited["documents"] = json!([
        document("provenance", "hello.intoto.json", None),
        document("cyclonedx", "hello-image.cdx.json", Some("image/hello")),
        document("cyclonedx", "hello.cdx.json", Some("archives/hello.tar.gz")),
        document("checksums", "SHA256SUMS", None),
    ]);
    fs::write(dist.root().join("dist.json"), edited.to_string()).unwrap();
    dist
}

const KINDS: [&str; 2] = ["application/vnd.in-toto+json", "application/vnd.cyclonedx+json"];

fn crane(args: &[&str]) -> Option<String> {
    Some(peer::run(&peer::crane()?, [args, &["--insecure"]].concat()))
}

#[test]
fn documents_reference_the_unchanged_image() {
    let Some(registry) = Registry::start() else { return };
    let (dist, home) = (release(), TempDir::new().unwrap());
    let image = digest(&dist.root().join("image/hello"));
    let name = format!("{}/hello", registry.address);
    let push = |args: &str| {
        run(home.path(), &format!("push {name}:1 --dist {} {args}", dist.root().display())).run()
    };
    let dry = push("--dry-run --message-format json").json();
    let attached = dry["repositories"][0]["attached"].as_array().unwrap();
    assert_eq!(attached.len(), 2);
    let ran = push("");
    assert_eq!(ran.stdout, format!("{name}@{image}\n"));
    let said = format!("Attached hello.intoto.json, hello-image.cdx.json to {name}@{image}");
    assert!(ran.stderr.contains(&said), "{}", ran.stderr);
    if let Some(skopeo) = peer::find("skopeo") {
        let url = registry.url("hello:1");
        let raw = peer::run(&skopeo, ["inspect", "--tls-verify=false", "--raw", &url]);
        assert_eq!(Digest::sha256(raw.as_bytes()).to_string(), image);
        let to = format!("oci:{}:x", home.path().join("copy").display());
        peer::run(&skopeo, ["copy", "--all", "--src-tls-verify=false", &url, &to]);
    }
    // The registry lists nothing itself: the tag does.
    let tag = format!("{name}:{}", image.replace(':', "-"));
    let Some(list) = crane(&["manifest", &tag]) else { return };
    let value: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(value["mediaType"], "application/vnd.oci.image.index.v1+json");
    let listed = value["manifests"].as_array().unwrap();
    assert_eq!(listed.len(), 2);
    for (referrer, (kind, told)) in listed.iter().zip(KINDS.iter().zip(attached)) {
        assert_eq!(referrer["artifactType"], *kind);
        assert_eq!(referrer["digest"], told["digest"]);
        let at = |digest: &Value| format!("{name}@{}", digest.as_str().unwrap());
        let text = crane(&["manifest", &at(&referrer["digest"])]).unwrap();
        assert_eq!(referrer["size"], text.len());
        let referrer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(referrer["subject"]["digest"], image);
        assert_eq!(referrer["artifactType"], *kind);
        let content = crane(&["blob", &at(&referrer["layers"][0]["digest"])]).unwrap();
        let file = told["name"].as_str().unwrap();
        assert_eq!(content, fs::read_to_string(dist.root().join("archives").join(file)).unwrap());
    }
    // Again: nothing changes. Beside others': theirs stays.
    push("");
    assert_eq!(crane(&["manifest", &tag]).unwrap(), list);
    let again = push("--message-format json").json();
    assert_eq!(again["repositories"][0]["attached"][1]["present"], true);
    let tags = crane(&["ls", &name]).unwrap();
    assert_eq!(tags.lines().count(), 2, "{tags}");
}

#[test]
fn registries_with_referrers_get_no_tag() {
    let Some(registry) = Registry::start() else { return };
    let (dist, home) = (release(), TempDir::new().unwrap());
    let image = digest(&dist.root().join("image/hello"));
    let subject = image.clone();
    let proxy =
        Proxy::start(&registry.address, move |asked| match asked.is("PUT", "/manifests/sha256:") {
            true => Act::With("OCI-Subject", subject.clone()),
            false => Act::Pass,
        });
    let name = format!("{}/hello", proxy.address);
    let args = format!("push {name}:1 --dist {}", dist.root().display());
    run(home.path(), &args).run();
    let asked = proxy.asked();
    let at = |part: &str| asked.iter().position(|request| request.is("PUT", part));
    assert_eq!(at("/manifests/sha256-"), None);
    // All that is attached is there before the tag is.
    let last = asked.iter().rposition(|request| request.is("PUT", "/manifests/sha256:"));
    assert!(last < at("/manifests/1"), "{asked:?}");
    run(home.path(), &format!("{args} --no-attach")).absent("Attached").run();
    assert!(!proxy.asked().iter().any(|proxy| proxy.method == "PUT"));
}

#[test]
fn attach_errors_are_reported_and_lose_nothing() {
    let Some(registry) = Registry::start() else { return };
    let (dist, home) = (release(), TempDir::new().unwrap());
    let image = digest(&dist.root().join("image/hello"));
    let args = |address: &str| format!("push {address}/hello:1 --dist {}", dist.root().display());
    // A list that somebody else writes again and again.
    let proxy =
        Proxy::start(&registry.address, |asked| match asked.is("GET", "/manifests/sha256-") {
            true => Act::Answer(404, Vec::new(), Vec::new()),
            false => Act::Pass,
        });
    let lost = run(home.path(), &args(&proxy.address)).status(5);
    lost.stderr("does not store the list").run();
    // Something under that tag that is no list.
    let tag = format!("{}/other:{}", registry.address, image.replace(':', "-"));
    let from = dist.root().join("image/hello");
    run(home.path(), &format!("push {tag} --from {}", from.display())).run();
    let wrong = "{\"schemaVersion\":2}".as_bytes().to_vec();
    let proxy = Proxy::start(&registry.address, move |asked| {
        let kind = ("content-type", "application/vnd.oci.image.manifest.v1+json".to_owned());
        match asked.is("GET", "/manifests/sha256-") {
            true => Act::Answer(200, vec![kind], wrong.clone()),
            false => Act::Pass,
        }
    });
    let refused = run(home.path(), &args(&proxy.address)).status(5).hint("`--no-attach` leaves");
    refused.stderr("does not point at an index").run();
    // A document that changed, before anything is sent.
    let proxy = Proxy::start("", |_| Act::Pass);
    fs::write(dist.root().join("archives/hello.intoto.json"), "{}").unwrap();
    let changed = run(home.path(), &args(&proxy.address)).status(1);
    changed.stderr("does not match `dist.json`").run();
    assert_eq!(proxy.asked().len(), 0);
}
