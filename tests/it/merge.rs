//! `merge` of directories: parts that jobs made, without a build and with one.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use longshore::model::digest::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    dist::{packed, shared},
    push::run,
    sign::manifest,
    support::{
        command::{LONGSHORE, Ran, Test, plain},
        dist::{Dist, digest, found},
        peer, program,
        random::random,
        registry::Registry,
        tree::tree,
    },
};

pub(crate) const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];

pub(crate) fn bytes(platform: &str) -> Vec<u8> {
    if platform == "linux/amd64" { program::amd64() } else { program::arm64() }
}

/// Returns the output of a job for one platform.
pub(crate) fn part(platform: &str) -> Dist {
    let dist = part_of(platform, &bytes(platform));
    change(&dist, |json| json["release"]["platforms"] = json!(PLATFORMS));
    dist
}

/// As [`part`], of that program, and of no greater whole.
pub(crate) fn part_of(platform: &str, program: &[u8]) -> Dist {
    let dist = Dist::new(&[(platform, program)], json!({}));
    dist.image(&[]);
    dist
}

fn change(dist: &Dist, change: impl FnOnce(&mut Value)) {
    let mut json = manifest(dist);
    change(&mut json);
    fs::write(dist.root().join("dist.json"), json.to_string()).unwrap();
}

/// Returns the command `merge` of these parts in a directory of its own.
fn merge(home: &Path, parts: &[&Dist], more: &str) -> Test {
    let parts: Vec<String> = parts.iter().map(|part| part.root().display().to_string()).collect();
    run(home, &format!("merge {} {more}", parts.join(" ")))
}

fn done(home: &Path, parts: &[&Dist]) -> (Ran, PathBuf) {
    (merge(home, parts, "").run(), home.join("target/dist"))
}

#[test]
fn the_index_equals_that_of_one_dist() {
    let parts = PLATFORMS.map(part);
    let whole = Dist::new(&PLATFORMS.map(|item| (item, &*bytes(item).leak())), json!({}));
    let told = whole.image(&[]);
    let (home, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (ran, root) = done(home.path(), &[&parts[1], &parts[0]]);
    assert_eq!(ran.stdout, told);
    assert!(ran.stderr.contains("Merged 2 parts for linux/amd64, linux/arm64"), "{}", ran.stderr);
    // In the other order, and one of them twice.
    let (_, again) = done(other.path(), &[&parts[0], &parts[0], &parts[1]]);
    let text = |root: &Path| fs::read_to_string(root.join("dist.json")).unwrap();
    assert_eq!(text(&again), text(&root));
    let files = |root: &Path| -> BTreeMap<PathBuf, Digest> {
        tree(root).into_iter().map(|(path, entry)| (path, entry.digest)).collect()
    };
    assert_eq!(files(&again), files(&root));
    let layout = "image/hello";
    assert_eq!(files(&root.join(layout)), files(&whole.root().join(layout)));
    assert_eq!(found(&root.join(layout)).len(), 2);
    let (ours, one): (Value, Value) =
        (serde_json::from_str(&text(&root)).unwrap(), manifest(&whole));
    for key in ["artifacts", "recipes", "images"] {
        let by = |value: &Value| -> BTreeMap<String, Value> {
            let all = value[key].as_array().unwrap().iter();
            all.map(|entry| (format!("{}{}", entry["platform"], entry["name"]), entry.clone()))
                .collect()
        };
        let platforms = |entry: &Value| {
            let mut entry = by(entry);
            // A recipe's are in the order that they were asked for in.
            for value in entry.values_mut().filter(|_| key == "recipes") {
                value["platforms"].as_array_mut().unwrap().sort_by_key(Value::to_string);
            }
            entry
        };
        assert_eq!(platforms(&ours), platforms(&one), "{key}");
    }
}

#[test]
fn other_programs_read_the_result() {
    let parts = PLATFORMS.map(part);
    let home = TempDir::new().unwrap();
    let (ran, root) = done(home.path(), &[&parts[0], &parts[1]]);
    let layout = root.join("image/hello");
    let index = digest(&layout);
    assert_eq!(ran.stdout, format!("hello@{index}\n"));
    let (Some(skopeo), Some(registry)) = (peer::find("skopeo"), Registry::start()) else { return };
    let (from, to) = (format!("oci:{}:1.0", layout.display()), registry.url("hello:1.0"));
    peer::run(&skopeo, ["copy", "--all", "--dest-tls-verify=false", &from, &to]);
    for platform in PLATFORMS {
        let architecture = platform.rsplit('/').next().unwrap();
        let copy = home.path().join(architecture);
        let to_copy = format!("oci:{}:x", copy.display());
        let arch = format!("--override-arch={architecture}");
        let args = [&arch, "copy", "--src-tls-verify=false", &to, &to_copy];
        peer::run(&skopeo, args);
        assert_eq!(found(&copy)[0].platform.to_string(), platform);
        let Some(umoci) = peer::find("umoci") else { continue };
        let out = home.path().join(format!("{architecture}-out"));
        let image = format!("{}:x", copy.display());
        let out_text = out.to_str().unwrap();
        peer::run(&umoci, ["raw", "unpack", "--rootless", "--image", &image, out_text]);
        let program = fs::read(out.join("usr/local/bin/hello")).unwrap();
        assert_eq!(program, bytes(platform));
    }
    // And with the push of its own.
    let name = format!("{}/other", registry.address);
    let ran = merge(home.path(), &[&parts[0], &parts[1]], &format!("--push {name}:2")).run();
    assert_eq!(ran.stdout, format!("{name}@{index}\n"));
    if let Some(crane) = peer::crane() {
        let name = format!("{name}:2");
        peer::run(&crane, ["validate", "--insecure", "--remote", &name]);
    }
}

#[test]
fn parts_may_lose_modes_and_times_in_transport() {
    let parts = PLATFORMS.map(part);
    for part in &parts {
        for (path, _) in tree(&part.root()) {
            let path = part.root().join(path);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        }
    }
    let home = TempDir::new().unwrap();
    let (ran, root) = done(home.path(), &[&parts[0], &parts[1]]);
    for platform in PLATFORMS {
        let meta = fs::metadata(root.join(platform).join("bin/hello")).unwrap();
        assert_eq!(meta.mode() & 0o777, 0o755);
        assert_eq!(meta.mtime(), 1_700_000_000);
        // Those of the part are as they were.
        let files = parts.iter().map(|part| part.root().join(platform).join("bin/hello"));
        let files: Vec<_> = files.filter_map(|path| fs::metadata(path).ok()).collect();
        assert_eq!((files[0].mode() & 0o777, files[0].mtime()), (0o600, 0));
    }
    // An image that is made of it is the same one.
    let image = run(home.path(), "image target/dist").run();
    assert_eq!(image.stdout, ran.stdout);
    // And nothing is written again.
    let before = tree(&root);
    let files = |all: BTreeMap<PathBuf, _>| {
        all.into_iter()
            .filter(|(path, _)| path != Path::new("dist.json"))
            .collect::<BTreeMap<_, _>>()
    };
    done(home.path(), &[&parts[0], &parts[1]]);
    assert_eq!(files(tree(&root)), files(before));
}

#[test]
fn a_merged_release_is_a_part_too() {
    let parts = PLATFORMS.map(part);
    let (home, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (ran, root) = done(home.path(), &[&parts[0], &parts[1]]);
    let args = format!("merge {} {}", root.display(), parts[1].root().display());
    let again = run(other.path(), &args).run();
    assert_eq!(again.stdout, ran.stdout);
}

/// Returns the only blob of a layout's that is neither a manifest nor a configuration.
fn layer(part: &Dist) -> PathBuf {
    let layout = part.root().join("image/hello");
    let digest = found(&layout)[0].manifest.layers[0].digest;
    layout.join("blobs/sha256").join(digest.hex())
}

#[test]
fn every_reason_is_reported_and_nothing_is_written() {
    let home = TempDir::new().unwrap();
    let good = PLATFORMS.map(part);
    let (_, root) = done(home.path(), &[&good[0], &good[1]]);
    let before = tree(&root);
    let refused = |parts: &[&Dist], more: &str| merge(home.path(), parts, more).status(1);
    refused(&[&good[0]], "")
        .stderr("error: these are not the parts of one release, for 1 reason\n  no part is for `linux/arm64`\n")
        .hint("build all parts from the same source with the same longshore; nothing was written")
        .run();
    refused(&[&good[0], &good[1]], "--platform linux/riscv64")
        .stderr("for 3 reasons")
        .stderr("no part is for `linux/riscv64`")
        .stderr("a part is for `linux/amd64`, which was not requested")
        .run();
    merge(home.path(), &[&good[0]], "--platform linux/amd64 --into one").run();
    // A part of a newer longshore, one that is not there, and one that is none, all at once.
    let newer = part("linux/arm64");
    change(&newer, |json| {
        json["schema"] = json!(2);
        json["artifacts"] = json!("something else");
    });
    let empty = home.path().join("empty");
    fs::create_dir(&empty).unwrap();
    refused(&[&good[0], &newer], "nowhere empty")
        .stderr("is not a release manifest: expected schema 1, found 2")
        .stderr("/nowhere/dist.json`")
        .stderr("/empty/dist.json`")
        .stderr("no part is for `linux/arm64`")
        .run();
    // Other bytes, another machine, and a layer that is missing.
    let changed = part("linux/arm64");
    let program = changed.root().join("linux/arm64/bin/hello");
    fs::write(&program, program::amd64()).unwrap();
    fs::remove_file(layer(&changed)).unwrap();
    change(&changed, |json| json["release"]["revision"] = json!("abc"));
    refused(&[&good[0], &changed], "")
        .stderr("for 4 reasons")
        .stderr("`linux/arm64/bin/hello` does not match its dist.json: it has the digest `sha256:")
        .stderr("`linux/arm64/bin/hello` is for `linux/arm64`, and its ELF header says X86_64")
        .stderr("`: is missing")
        .stderr("the revision differs: `abc` in")
        .run();
    let outside = part("linux/arm64");
    change(&outside, |json| json["artifacts"][0]["path"] = json!("../../hello"));
    refused(&[&good[0], &outside], "")
        .stderr("it names `../../hello`, which is outside its directory")
        .run();
    assert_eq!(tree(&root), before);
    assert!(!home.path().join("target/dist.partial").exists());
}

#[test]
fn an_index_within_an_index_is_merged_to_one() {
    let home = TempDir::new().unwrap();
    let nested = Dist::new(&PLATFORMS.map(|item| (item, &*bytes(item).leak())), json!({}));
    let flat = nested.image(&[]);
    let layout = nested.root().join("image/hello");
    let inner = fs::read(layout.join("index.json")).unwrap();
    let around = Digest::sha256(&inner);
    fs::write(layout.join("blobs/sha256").join(around.hex()), &inner).unwrap();
    let index = json!({ "schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "digest": around, "size": inner.len(),
    }] });
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    change(&nested, |json| json["images"][0]["digest"] = json!(around));
    let (ran, root) = done(home.path(), &[&nested]);
    assert_eq!(ran.stdout, flat);
    assert_eq!(found(&root.join("image/hello")).len(), PLATFORMS.len());
}

#[test]
fn layouts_of_different_images_are_rejected() {
    let (home, good) = (TempDir::new().unwrap(), part("linux/amd64"));
    // A configuration for another platform than the record has.
    let lying = part("linux/arm64");
    let other = good.root().join("image/hello");
    let own = lying.root().join("image/hello");
    fs::remove_dir_all(&own).unwrap();
    peer::run(Path::new("cp"), [Path::new("-r"), &other, &own]);
    merge(home.path(), &[&good, &lying], "")
        .status(1)
        .stderr("it is for `linux/amd64`, which dist.json does not list")
        .stderr("it has no image for `linux/arm64`, expected by dist.json")
        .run();
    let two = part("linux/arm64");
    let path = two.root().join("image/hello/index.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let more = index["manifests"][0].clone();
    index["manifests"].as_array_mut().unwrap().push(more);
    fs::write(&path, index.to_string()).unwrap();
    let told = "its `index.json` points at 2 images, and not at one";
    merge(home.path(), &[&good, &two], "").status(1).stderr(told).run();
}

#[test]
fn archives_of_one_name_clash() {
    let home = TempDir::new().unwrap();
    let parts = PLATFORMS.map(|platform| {
        let part = part(platform);
        let text = format!("an archive for {platform}");
        fs::create_dir(part.root().join("archives")).unwrap();
        fs::write(part.root().join("archives/hello.tar.gz"), &text).unwrap();
        let (size, sha256) = (text.len(), Digest::sha256(text.as_bytes()));
        change(&part, |json| {
            json["archives"] = json!([{
                "kind": "binaries", "package": "hello", "version": "1.0.0",
                "target": format!("{platform}-musl"), "platform": platform,
                "path": "archives/hello.tar.gz", "size": size, "sha256": sha256, "contents": [],
            }]);
        });
        part
    });
    let told = "`archives/hello.tar.gz` is in ";
    merge(home.path(), &[&parts[0], &parts[1]], "").status(1).stderr(told).run();
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_or_the_new_release() {
    let one = PLATFORMS.map(part);
    let two = PLATFORMS.map(part);
    for part in &two {
        // Another release, with another layout.
        part.image(&["--label", "a=b"]);
        change(part, |json| json["release"]["platforms"] = json!(PLATFORMS));
    }
    let home = TempDir::new().unwrap();
    let root = home.path().join("target/dist");
    let files = || -> BTreeMap<PathBuf, Digest> {
        tree(&root).into_iter().map(|(path, entry)| (path, entry.digest)).collect()
    };
    let mut known = Vec::new();
    let mut took = Duration::ZERO;
    for parts in [&one, &two] {
        let start = Instant::now();
        done(home.path(), &[&parts[0], &parts[1]]);
        took = took.max(start.elapsed());
        known.push(files());
    }
    assert_ne!(known[0], known[1]);
    let mut random = random(7);
    let (mut killed, mut seen) = (0, [0, 0]);
    for round in 0..100 {
        let parts = if round % 2 == 0 { &one } else { &two };
        let moment = took.mul_f64((random() % 1000) as f64 / 1000.0);
        let start = Instant::now();
        let mut child = merge(home.path(), &[&parts[0], &parts[1]], "").spawn();
        while start.elapsed() < moment {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        killed += usize::from(child.wait().unwrap().code().is_none());
        let is = known.iter().position(|known| *known == files());
        seen[is.unwrap_or_else(|| panic!("round {round}: {:#?}", files()))] += 1;
    }
    // Some were done, and more were not.
    assert!(killed > 20, "{killed}");
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    done(home.path(), &[&one[0], &one[1]]);
    assert_eq!(files(), known[0]);
    assert!(!home.path().join("target/dist.partial").exists());
}

/// A shell script for a mount name space of its own: $1 is the directory that becomes a small file
/// system, the rest the command, which runs there, and again when it is full.
const FULL: &str = r#"
mount -t tmpfs -o size=256k none "$1" || exit 99
cd "$1" && shift
"$@" >/dev/null || exit 98
before=$(find target/dist -type f -exec sha256sum {} + | sort)
dd if=/dev/zero of=fill bs=4k 2>/dev/null
"$@"
echo "status $?"
test "$before" = "$(find target/dist -type f -exec sha256sum {} + | sort)" && echo same
"#;

#[test]
fn a_full_disk_keeps_the_previous_output() {
    let (Some(unshare), Some(())) = (peer::find("unshare"), peer::root()) else { return };
    if cfg!(not(target_os = "linux")) {
        return peer::skip("it mounts a tmpfs");
    }
    let (home, parts) = (TempDir::new().unwrap(), PLATFORMS.map(part));
    let mut command = plain(unshare);
    command
        .args(["--mount", "--propagation=private", "sh", "-c", FULL, "sh"])
        .args([home.path(), Path::new(LONGSHORE), Path::new("merge")])
        .args(parts.each_ref().map(Dist::root));
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "status 4\nsame\n", "{stderr}");
    assert!(stderr.to_lowercase().contains("no space left on device"), "{stderr}");
}

/// Everything but what tells of the run, and what is of one part: how much was compiled, files with
/// symbols, smoke runs.
fn released(root: &Path) -> (BTreeMap<PathBuf, Digest>, Value) {
    let own = |path: &Path| {
        let name = path.to_str().unwrap();
        let of_one = [".intoto.json", ".image.cdx.json", ".image.spdx.json", "SHA256SUMS"];
        path.starts_with("logs")
            || name == "dist.json"
            || of_one.iter().any(|end| name.ends_with(end))
    };
    let files = tree(root).into_iter().filter(|(path, _)| !own(path));
    let files = files.map(|(path, entry)| (path, entry.digest)).collect();
    let mut json: Value =
        serde_json::from_slice(&fs::read(root.join("dist.json")).unwrap()).unwrap();
    for artifact in json["artifacts"].as_array_mut().unwrap() {
        artifact.as_object_mut().unwrap().remove("unstripped");
    }
    let all = json.as_object_mut().unwrap();
    all.remove("units");
    let documents = all["documents"].as_array_mut().unwrap();
    documents.retain(|document| !own(Path::new(document["path"].as_str().unwrap())));
    (files, json)
}

/// Returns the digest of the image that one `dist` made.
fn whole_digest(whole: &crate::support::workspace::Workspace) -> String {
    digest(&whole.dist().join("image/hello"))
}

#[test]
fn built_parts_merge_to_the_release_of_one_machine() {
    // It writes the completions of the part for arm64.
    if peer::find("qemu-aarch64-static").is_none() {
        return;
    }
    let (whole, json) = shared();
    let parts = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"].map(|target| {
        let (workspace, test) = packed(&format!("--target {target}"));
        test.run();
        workspace
    });
    let home = TempDir::new().unwrap();
    let one = parts[1].dist();
    run(home.path(), &format!("merge {}", one.display()))
        .status(1)
        .stderr("no part is for `linux/amd64`")
        .run();
    let args = format!("merge {} {}", one.display(), parts[0].dist().display());
    let ran = run(home.path(), &args).run();
    assert_eq!(ran.stdout, format!("hello@{}\n", json["images"][0]["digest"].as_str().unwrap()));
    assert!(ran.stderr.contains("hello-0.1.0.image.cdx.json"), "{}", ran.stderr);
    let root = home.path().join("target/dist");
    let (files, json) = released(&root);
    assert!(files.len() > 8, "{files:#?}");
    assert_eq!((files, json), released(&whole.dist()));
    // The checksums are of all that is there, and `sha256sum` agrees.
    let archives = root.join("archives");
    let sums = fs::read_to_string(archives.join("SHA256SUMS")).unwrap();
    assert_eq!(sums.lines().count() + 1, fs::read_dir(&archives).unwrap().count());
    if let Some(sha256sum) = peer::find("sha256sum") {
        let mut command = plain(sha256sum);
        let checked = command.args(["--check", "--strict", "SHA256SUMS"]).current_dir(&archives);
        assert!(checked.output().unwrap().status.success());
    }
    let provenance: Vec<_> = sums.lines().filter(|line| line.ends_with(".intoto.json")).collect();
    assert_eq!(provenance.len(), 2, "{sums}");
    // What is merged holds to every check.
    run(home.path(), "verify target/dist").run();
    // And goes out under the tags of its version.
    let (Some(skopeo), Some(registry)) = (peer::find("skopeo"), Registry::start()) else {
        return;
    };
    let name = format!("{}/hello", registry.address);
    let args = format!("{args} --push {name} --tags release --allow-dirty --verify");
    let ran = run(home.path(), &args).run();
    let digest = whole_digest(whole);
    assert_eq!(ran.stdout, format!("{name}@{digest}\n"));
    for tag in ["0.1.0", "0.1", "latest"] {
        let url = registry.url(&format!("hello:{tag}"));
        let raw = peer::run(&skopeo, ["inspect", "--tls-verify=false", "--raw", &url]);
        assert_eq!(Digest::sha256(raw.as_bytes()).to_string(), digest, "{tag}");
    }
    run(home.path(), &format!("merge {} --tags release", one.display())).status(2).run();
}
