use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::{
    image::oci::{
        Descriptor, Document, Index, MediaType, OciImage, OciImageSet,
        check::FoundImage,
        config::Execution,
        image::{Description, HistoryStep},
        walk::DEPTH,
    },
    model::{digest::Digest, machine::Endian},
};

/// Returns an image without layers; `more` makes a different one.
fn found(platform: &str, more: &str) -> FoundImage {
    let image = OciImage::new(Description {
        platform: platform.parse().unwrap(),
        epoch: 0,
        execution: Execution::default(),
        author: None,
        steps: vec![HistoryStep::empty(format!("CMD {more}"))],
        annotations: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
    })
    .unwrap();
    FoundImage {
        platform: image.platform().clone(),
        manifest: image.manifest().clone(),
        config: image.config().clone(),
    }
}

fn machine(platform: &str) -> Option<(u16, u8, Endian)> {
    let architecture = platform.split('/').nth(1).unwrap();
    crate::model::machine::Architecture::from_goarch(architecture)
        .map(crate::model::machine::Architecture::elf)
}

/// Returns the output of `dist --target` for one platform, with a binary of these bytes.
fn made(platform: &str, bytes: &str) -> Value {
    let (sha256, size) = (Digest::sha256(bytes.as_bytes()), bytes.len());
    let file = json!({ "size": size, "sha256": sha256 });
    let found = found(platform, bytes);
    let target = format!("{}-musl", platform.replace('/', "-"));
    let document = |kind: &str, subject: Value, path: &str| json!({ "kind": kind, "subject": subject, "path": path, "size": size, "sha256": sha256 });
    json!({
        "schema": 1,
        "release": {
            "name": "hello", "version": "1.0.0", "revision": "abc", "dirty": false,
            "source-date-epoch": 7, "tools": { "longshore": "0.1.0", "rustc": "1.89.0" },
            "platforms": ["linux/amd64", "linux/arm64"],
        },
        "units": { "compiled": 2, "fresh": 1, "seconds": 1.5, "each": [] },
        "artifacts": [{
            "name": "hello", "package": "hello", "version": "1.0.0", "target": target,
            "platform": platform, "path": format!("{platform}/bin/hello"),
            "size": size, "sha256": sha256, "unstripped": file,
            "allocator": { "allocator": "system", "origin": "it is so" },
            "verdict": { "accepted": true, "lints": [], "findings": [] },
        }],
        "recipes": [{
            "name": "hello", "tag": "1.0.0", "path": "image/hello", "binaries": ["hello"],
            "user": "1:1", "platforms": [platform], "labels": {},
        }],
        "images": [{
            "name": "hello", "tag": "1.0.0", "path": "image/hello",
            "digest": found.manifest.digest(),
            "media-type": "application/vnd.oci.image.manifest.v1+json",
            "platforms": [{
                "platform": platform, "manifest": found.manifest.digest(),
                "config": found.config.digest(), "layers": [], "size": 1,
                "binaries": { "/bin/hello": sha256 },
            }],
        }],
        "archives": [{
            "kind": "binaries", "package": "hello", "version": "1.0.0", "target": target,
            "platform": platform, "path": format!("archives/hello-{target}.tar.gz"),
            "size": size, "sha256": sha256, "contents": [],
        }],
        "documents": [
            document("cyclonedx", json!(format!("{platform}/bin")), &format!("archives/{target}.cdx.json")),
            document("spdx", json!("image/hello"), "archives/hello.image.spdx.json"),
            document("provenance", Value::Null, "archives/hello-1.0.0.intoto.json"),
            document("checksums", Value::Null, "archives/SHA256SUMS"),
            document("minisign", json!("archives/SHA256SUMS"), "archives/SHA256SUMS.minisig"),
        ],
    })
}

fn part(name: &str, made: &Value, bytes: &str) -> ReleasePart {
    let dist: Dist = serde_json::from_value(made.clone()).unwrap();
    let platform = dist.artifacts[0].platform.to_string();
    let file = PartFile {
        size: bytes.len() as u64,
        sha256: Digest::sha256(bytes.as_bytes()),
        machine: machine(&platform),
    };
    let files = ReleasePart::paths(&dist).into_iter().map(|path| (path.to_owned(), file)).collect();
    let found = found(&platform, bytes);
    let seen = PartLayout {
        root: Some(found.manifest.digest()),
        contents: IndexContents { images: vec![found], ..IndexContents::default() },
        faults: Vec::new(),
    };
    let layouts = BTreeMap::from([("image/hello".to_owned(), seen)]);
    ReleasePart { name: name.to_owned(), dist, files, layouts }
}

fn pair() -> Vec<ReleasePart> {
    ["linux/arm64", "linux/amd64"].map(|item| part(item, &made(item, item), item)).into()
}

fn reasons(parts: Vec<ReleasePart>) -> Vec<String> {
    reasons_of(parts, &MergeOptions::default())
}

/// Returns the reasons, which must not depend on the order of the parts.
fn reasons_of(mut parts: Vec<ReleasePart>, options: &MergeOptions) -> Vec<String> {
    let reported = |parts: &[ReleasePart]| {
        let rejected = merge(parts.to_vec(), options, Reasons::default()).unwrap_err();
        rejected.iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let first = reported(&parts);
    parts.reverse();
    assert_eq!(reported(&parts), first);
    first
}

/// Returns the reasons after this change of the second of two parts.
fn with(change: impl FnOnce(&mut ReleasePart)) -> Vec<String> {
    let mut parts = pair();
    change(&mut parts[1]);
    reasons(parts)
}

fn ok(parts: Vec<ReleasePart>) -> MergedRelease {
    merge(parts, &MergeOptions::default(), Reasons::default()).unwrap()
}

#[test]
fn two_parts_are_one_release_in_any_order() {
    let merged = ok(pair());
    let mut turned = pair();
    turned.reverse();
    let again = ok(turned);
    assert_eq!(again.dist, merged.dist);
    assert_eq!(again.files, merged.files);
    let dist = &merged.dist;
    let platforms: Vec<_> =
        dist.artifacts.iter().map(|artifact| artifact.platform.to_string()).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    assert_eq!(dist.recipes[0].platforms.len(), 2);
    assert_eq!(dist.archives.len(), 2);
    assert_eq!((dist.units.compiled, dist.units.seconds), (4, Some(3.0)));
    // The index is that of one `dist` of both.
    let images = ["linux/amd64", "linux/arm64"].map(|item| {
        let steps = vec![HistoryStep::empty(format!("CMD {item}"))];
        let annotations = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let (platform, execution) = (item.parse().unwrap(), Execution::default());
        OciImage::new(Description {
            platform,
            epoch: 0,
            execution,
            author: None,
            steps,
            annotations,
        })
    });
    let images = images.into_iter().map(Result::unwrap).collect();
    let annotations = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    let set = OciImageSet::new(images, annotations).unwrap();
    assert_eq!(dist.images[0].digest, set.descriptor().digest);
    assert_eq!(merged.images[0].joined.descriptor, set.descriptor());
    let documents: Vec<_> = dist.documents.iter().map(|document| document.path.as_str()).collect();
    assert_eq!(
        documents,
        [
            "archives/hello-1.0.0-linux-amd64-musl.intoto.json",
            "archives/hello-1.0.0-linux-arm64-musl.intoto.json",
            "archives/linux-amd64-musl.cdx.json",
            "archives/linux-arm64-musl.cdx.json",
        ]
    );
    let dropped: Vec<_> = merged.dropped.iter().map(String::as_str).collect();
    assert_eq!(dropped, ["archives/SHA256SUMS.minisig", "archives/hello.image.spdx.json"]);
    assert_eq!(merged.files["linux/amd64/bin/hello"].part, "linux/amd64");
    assert!(merged.files["linux/amd64/bin/hello"].program);
}

#[test]
fn the_same_content_twice_is_one() {
    let mut parts = pair();
    let mut twice = part("again", &made("linux/amd64", "linux/amd64"), "linux/amd64");
    // What differs from run to run, and is in nothing that people get.
    twice.dist.artifacts[0].unstripped.sha256 = Digest::sha256(b"another");
    twice.dist.units.compiled = 0;
    parts.push(twice);
    let merged = ok(parts.clone());
    assert_eq!(merged.dist.artifacts.len(), 2);
    assert_eq!(merged.dist.images[0].digest, ok(pair()).dist.images[0].digest);
    parts.reverse();
    assert_eq!(ok(parts).dist, merged.dist);
}

#[test]
fn a_release_for_one_platform_has_no_index() {
    let mut only = pair().remove(0);
    only.dist.release.platforms.clear();
    let merged = ok(vec![only.clone()]);
    assert_eq!(merged.dist.images, only.dist.images);
    assert!(merged.images[0].joined.index.is_none());
    // Its documents are true of it.
    assert_eq!(merged.dist.documents.len(), 3);
}

#[test]
fn missing_platforms_are_reported() {
    let only = || vec![pair().remove(0)];
    assert_eq!(reasons(only()), ["no part is for `linux/amd64`"]);
    let requested = |names: &[&str]| MergeOptions {
        platforms: names.iter().map(|name| name.parse().unwrap()).collect(),
        ..MergeOptions::default()
    };
    // The request takes precedence over the plan.
    assert!(merge(only(), &requested(&["linux/arm64"]), Reasons::default()).is_ok());
    let three = requested(&["linux/amd64", "linux/arm64", "linux/riscv64"]);
    assert_eq!(reasons_of(pair(), &three), ["no part is for `linux/riscv64`"]);
    let more = reasons_of(pair(), &requested(&["linux/arm64"]));
    assert_eq!(more, ["a part is for `linux/amd64`, which was not requested"]);
}

#[test]
fn duplicate_platforms_with_different_content_are_reported() {
    let mut parts = pair();
    parts.push(part("again", &made("linux/amd64", "else"), "else"));
    let reported = reasons(parts);
    let first = "`linux/amd64` is in `again` and in `linux/amd64`, and differs: \
                 `archives/hello-linux-amd64-musl.tar.gz`, `image hello`, `linux/amd64/bin/hello`";
    assert!(reported.contains(&first.to_owned()), "{reported:#?}");
}

/// A change of a part.
type Change = fn(&mut Dist);

#[test]
fn differences_between_parts_are_reported() {
    let cases: [(Change, &str); 8] = [
        (|d| d.release.version = None, "the version differs: `1.0.0` in `linux/arm64`; `none` in"),
        (|d| d.release.revision = Some("def".into()), "the revision differs: `abc` in"),
        (|d| d.release.source_date_epoch = 8, "the source-date-epoch differs: `7` in"),
        (|d| d.release.dirty = Some(true), "the state of the source differs: `clean` in"),
        (
            |d| drop(d.release.tools.insert("longshore".into(), "0.2.0".into())),
            "the version of longshore differs: `0.1.0` in",
        ),
        (
            |d| drop(d.release.tools.insert("rustc".into(), "1.90.0".into())),
            "the version of rustc differs: `1.89.0` in",
        ),
        (
            |d| d.recipes[0].user = "2:2".into(),
            "the `user` in the recipe of the image `hello` differs: `\"1:1\"` in",
        ),
        (|d| d.artifacts[0].version = "2.0.0".into(), "the version of `hello` differs: `1.0.0` in"),
    ];
    for (change, options) in cases {
        let reported = with(|part| change(&mut part.dist));
        assert_eq!(reported.len(), 1, "{reported:#?}");
        assert!(reported[0].starts_with(options), "{reported:#?}");
    }
    // A tool that only one of them uses is not a difference, nor is the directory of the source.
    let mut parts = pair();
    parts[0].dist.release.name = "elsewhere".into();
    parts[0].dist.release.tools.insert("mimalloc".into(), "3".into());
    assert!(ok(parts).dist.release.tools.contains_key("mimalloc"));
}

#[test]
fn files_that_do_not_match_dist_json_are_reported() {
    let reported = with(|part| {
        for file in part.files.values_mut() {
            file.sha256 = Digest::sha256(b"changed");
        }
    });
    assert_eq!(reported.len(), 5, "{reported:#?}");
    assert!(reported[0].contains("does not match its dist.json: it has the digest `sha256:"));
    let reported = with(|part| {
        let machine = machine("linux/arm64");
        part.files.get_mut("linux/amd64/bin/hello").unwrap().machine = machine;
    });
    let machine = "`linux/amd64`: `linux/amd64/bin/hello` is for `linux/amd64`, and its ELF header says \
         AARCH64 with 64 bits";
    assert_eq!(reported, [machine]);
    let reported = with(|part| {
        part.files.get_mut("linux/amd64/bin/hello").unwrap().machine = None;
    });
    assert_eq!(reported, ["`linux/amd64`: `linux/amd64/bin/hello` is not an ELF file"]);
    let reported = with(|part| part.dist.artifacts[0].verdict = None);
    assert_eq!(reported.len(), 1, "{reported:#?}");
    assert!(reported[0].starts_with("`linux/amd64`: "), "{reported:#?}");
}

#[test]
fn images_that_do_not_match_dist_json_are_reported() {
    let reported = with(|part| {
        let seen = part.layouts.get_mut("image/hello").unwrap();
        seen.contents.images = vec![found("linux/arm64", "x")];
    });
    let prefix = "`linux/amd64`: `image/hello`: ";
    assert_eq!(
        reported,
        [
            format!("{prefix}it has no image for `linux/amd64`, expected by dist.json"),
            format!("{prefix}it is for `linux/arm64`, which dist.json does not list"),
        ]
    );
    let reported = with(|part| {
        let seen = part.layouts.get_mut("image/hello").unwrap();
        seen.contents.images = vec![found("linux/amd64", "x")];
        seen.root = Some(Digest::sha256(b"x"));
        seen.faults.push("`blobs/x`: is missing".to_owned());
    });
    assert_eq!(reported.len(), 3, "{reported:#?}");
    assert!(reported.contains(&format!("{prefix}`blobs/x`: is missing")));
    let reported = with(|part| {
        let binaries = &mut part.dist.images[0].platforms[0].binaries;
        binaries.insert("/bin/other".into(), Digest::sha256(b"x"));
    });
    assert_eq!(
        reported,
        [format!("{prefix}`/bin/other` for `linux/amd64` is not a binary of the part")]
    );
}

#[test]
fn attestations_are_rejected_kept_or_dropped() {
    let attested = || {
        let mut parts = pair();
        let seen = parts[0].layouts.get_mut("image/hello").unwrap();
        let mut descriptor = Descriptor::new(MediaType::Manifest, Digest::sha256(b"a"), 1);
        descriptor.platform = Some("unknown/unknown".parse().unwrap());
        let blobs = vec![Descriptor::new(MediaType::Config, Digest::sha256(b"b"), 1)];
        seen.contents.attestations.push(Attestation { descriptor, blobs });
        parts
    };
    let reported = reasons(attested());
    assert_eq!(reported.len(), 1);
    assert!(
        reported[0].starts_with("`linux/arm64/image/hello` has an attestation, which"),
        "{reported:?}"
    );
    let with = |attestations| {
        let options = MergeOptions { attestations, ..MergeOptions::default() };
        merge(attested(), &options, Reasons::default()).unwrap()
    };
    let dropped = with(Attestations::Drop);
    assert_eq!(dropped.dist, ok(pair()).dist);
    let kept = with(Attestations::Keep);
    assert_eq!(kept.images[0].joined.index.as_ref().unwrap().manifests.len(), 3);
    assert_eq!(kept.files.len(), dropped.files.len() + 2);
}

#[test]
fn missing_files_of_a_part_are_reported() {
    let reported = with(|part| part.dist.images.clear());
    assert_eq!(reported, ["`linux/amd64` has no image `hello` for `linux/amd64`"]);
    let reported = with(|part| part.dist.archives.clear());
    assert_eq!(reported, ["`linux/amd64` has no archive of `hello` for `linux/amd64`"]);
    let reported = with(|part| {
        let mut more = part.dist.artifacts[0].clone();
        more.name = "more".into();
        part.dist.artifacts.push(more);
    });
    assert_eq!(reported, ["`linux/arm64` has no binary `more` for `linux/arm64`"]);
}

#[test]
fn archives_with_the_same_name_are_reported() {
    let mut parts = pair();
    for part in &mut parts {
        let path = "archives/hello.tar.gz".to_owned();
        let archive = &mut part.dist.archives[0];
        let file = part.files[&archive.path];
        part.files.insert(path.clone(), file);
        archive.path = path;
    }
    let reported = reasons(parts);
    let options =
        "`archives/hello.tar.gz` is in `linux/amd64` and in `linux/arm64`, and differs".to_owned();
    assert_eq!(reported, [options]);
}

#[test]
fn all_reasons_are_reported_together() {
    let mut parts = pair();
    parts[0].dist.release.revision = None;
    parts[1].dist.release.dirty = Some(true);
    parts[1].files.get_mut("linux/amd64/bin/hello").unwrap().machine = machine("linux/arm64");
    let mut read = Reasons::default();
    read.add("there is no `third/dist.json`");
    let reported = merge(parts, &MergeOptions::default(), read).unwrap_err();
    assert_eq!(reported.iter().len(), 4, "{reported:#?}");
    assert_eq!(
        merge(Vec::new(), &MergeOptions::default(), reported.clone()).unwrap_err(),
        reported
    );
}

#[test]
fn paths_from_outside_stay_below() {
    for path in ["a", "a/b", "linux/amd64/bin/x"] {
        assert!(is_below(path), "{path}");
    }
    for path in ["", "/a", "../a", "a/../b", "a//b", "a/.", "a\\b", "a\0"] {
        assert!(!is_below(path), "{path:?}");
    }
    let mut part = pair().remove(0);
    part.dist.archives[0].path = "../x".into();
    part.dist.images[0].path = "dist.json".into();
    assert_eq!(rejected_paths(&part.dist).into_iter().collect::<Vec<_>>(), ["../x", "dist.json"]);
}

#[test]
fn images_of_registries_are_joined() {
    let contents = |platform: &str, more: &str| {
        let images = vec![found(platform, more)];
        IndexContents { images, ..IndexContents::default() }
    };
    let pair = || {
        let part_contents = |name: &str| (name.to_owned(), contents(name, name));
        vec![part_contents("linux/arm64"), part_contents("linux/amd64")]
    };
    let joined =
        |parts: &[_]| join_registry_images(parts, &MergeOptions::default(), Reasons::default());
    let one = joined(&pair()).unwrap();
    assert_eq!(one.descriptor.digest, ok(super::tests::pair()).dist.images[0].digest);
    let mut more = pair();
    more.reverse();
    more.push(more[0].clone());
    assert_eq!(joined(&more).unwrap().descriptor, one.descriptor);
    more.push(("other".to_owned(), contents("linux/amd64", "x")));
    let reported = joined(&more).unwrap_err();
    let reported: Vec<_> = reported.iter().collect();
    assert_eq!(reported, ["`linux/amd64` is in `linux/amd64` and in `other`, and differs"]);
    let mut labelled = pair();
    let image = &mut labelled[0].1.images[0];
    let mut config = (*image.config).clone();
    let label = "org.opencontainers.image.version".to_owned();
    config.config.labels.insert(label, "2".to_owned());
    image.config = crate::image::oci::Document::new(config).unwrap();
    let reported = joined(&labelled).unwrap_err();
    let reported: Vec<_> = reported.iter().collect();
    let options = "the label `version` differs: `2` in `linux/arm64`; `none` in `linux/amd64`";
    assert_eq!(reported, [options]);
    assert!(joined(&[]).is_err());
}

#[test]
fn indexes_that_are_nested_too_deep_are_reported() {
    let mut documents: BTreeMap<Digest, Vec<u8>> = BTreeMap::new();
    let mut root = None;
    for depth in 0..=DEPTH {
        let document = Document::new(Index::new(root.into_iter().collect(), BTreeMap::new()));
        let document = document.unwrap();
        root = Some(Descriptor::new(MediaType::Index, document.digest(), document.size()));
        documents.insert(document.digest(), document.bytes().to_vec());
        let contents = read(root.as_ref().unwrap(), &|item| documents.get(&item.digest).cloned());
        assert_eq!(contents.faults.len(), usize::from(depth == DEPTH), "{:?}", contents.faults);
    }
}
