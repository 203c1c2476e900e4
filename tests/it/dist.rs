//! `dist` of real programs with the real toolchain: what is in `target/dist`, and what other
//! people's programs make of it.

use std::{
    collections::BTreeMap, fs, io::Read as _, os::unix::fs::MetadataExt as _, path::Path,
    sync::OnceLock,
};

use longshore::model::digest::Digest;
use serde_json::Value;

use crate::support::{
    command::{Test, longshore},
    engine::Engine,
    gate::{GATED, Gate},
    peer,
    registry::Registry,
    tree::{Entry, tree},
    workspace::{HELLO, Workspace},
};

const AMD64: &str = "x86_64-unknown-linux-musl";

/// Returns the command `dist` with the shortest build, and JSON on stdout.
pub(crate) fn dist(workspace: &Workspace, args: &str) -> Test {
    optimised(workspace, args)
        .env("CARGO_PROFILE_DIST_LTO", "off")
        .env("CARGO_PROFILE_DIST_OPT_LEVEL", "0")
}

/// Returns the command `dist` as users have it, and JSON on stdout.
pub(crate) fn optimised(workspace: &Workspace, args: &str) -> Test {
    longshore(workspace, &format!("dist --preset quick --message-format json {args}"))
}

/// The files that are shipped with a program.
const PACKED: &str = r#"
description = "hello says hello to everybody who starts it. It does nothing else."
license = "MIT"
authors = ["The authors of hello <hello@example.org>"]
repository = "https://example.org/hello"
build = "build.rs"

[package.metadata.longshore]
completions = { run = ["completions", "{shell}"] }
archive.formats = ["tar.gz", "tar.zst", "tar.xz", "zip"]
archive.include = ["doc", { from = "etc/*.conf", to = "examples/" }]
deb.files = { "etc/hello.conf" = "etc/hello.conf" }
rpm.files = { "etc/hello.conf" = "etc/hello.conf" }
wheel = true
npm.scope = "@fixture"
npm.name = "hello"
installer.url = "https://example.org/{package}/{version}/"
homebrew.url = "https://example.org/{package}/{version}"

[workspace.metadata.longshore]
checksum-files = true
"#;

/// A manual page, written where build scripts write.
const BUILD: &str = r#"fn main() {
    let dir = std::path::PathBuf::from(std::env::var_os("OUT_DIR").unwrap());
    std::fs::write(dir.join("hello.1"), ".TH HELLO 1
.SH NAME
hello \\- say hello
").unwrap();
    std::fs::write(dir.join("notes.txt"), "no page
").unwrap();
}
"#;

/// Returns a package with all that, and its `dist`.
pub(crate) fn packed(args: &str) -> (Workspace, Test) {
    let workspace = Workspace::empty()
        .package("hello", PACKED)
        .file("build.rs", BUILD)
        .file("README.md", "# hello\n")
        .file("LICENSE-MIT", "Copyright 2023 the authors of hello\n")
        .file("CHANGELOG.md", "## 0.1.0\n")
        .file("doc/guide.md", "guide\n")
        .file("etc/hello.conf", "greeting = hello\n");
    let test = dist(&workspace, args).env("SOURCE_DATE_EPOCH", "1700000000");
    (workspace, test)
}

/// Returns one `dist` of one package for both targets that several tests look at, and its `dist.json`.
pub(crate) fn shared() -> &'static (Workspace, Value) {
    static SHARED: OnceLock<(Workspace, Value)> = OnceLock::new();
    SHARED.get_or_init(|| {
        let (workspace, test) = packed("");
        (workspace, test.run().json())
    })
}

/// Returns the values of `key` in every element of an array.
fn each<'a>(array: &'a Value, key: &str) -> Vec<&'a str> {
    array.as_array().unwrap().iter().map(|element| element[key].as_str().unwrap()).collect()
}

#[test]
fn the_output_matches_the_documentation_and_dist_json() {
    let (workspace, json) = shared();
    let files = tree(&workspace.dist());
    let has = |path: &str| files.contains_key(Path::new(path));
    for path in ["dist.json", "linux/amd64/bin/hello", "linux/arm64/bin/hello", "logs/build.log"] {
        assert!(has(path), "no {path} in {files:#?}");
    }
    assert!(has("image/hello/index.json") && has("image/hello/oci-layout"), "{files:#?}");
    for left in ["dist.partial", "dist.failed", "dist.old"] {
        assert!(!workspace.path("target").join(left).exists(), "{left}");
    }
    let written = fs::read_to_string(workspace.dist().join("dist.json")).unwrap();
    assert_eq!(&serde_json::from_str::<Value>(&written).unwrap(), json);
    assert_eq!(json["schema"], 1);
    assert_eq!(each(&json["artifacts"], "platform"), ["linux/amd64", "linux/arm64"]);
    for artifact in json["artifacts"].as_array().unwrap() {
        let bytes = fs::read(workspace.dist().join(artifact["path"].as_str().unwrap())).unwrap();
        assert_eq!(artifact["size"], bytes.len());
        assert_eq!(artifact["sha256"], Digest::sha256(&bytes).to_string());
        assert_eq!(artifact["verdict"]["accepted"], true);
        assert_eq!(artifact["verdict"]["findings"], serde_json::json!([]));
    }
    let image = &json["images"][0];
    assert_eq!(image["path"], "image/hello");
    let blob = |digest: &Value| {
        let name = digest.as_str().unwrap().replace(':', "/");
        fs::read(workspace.dist().join("image/hello/blobs").join(name)).unwrap()
    };
    let index: Value = serde_json::from_slice(&blob(&image["digest"])).unwrap();
    let manifests = &index["manifests"];
    assert_eq!(each(manifests, "digest"), each(&image["platforms"], "manifest"));
    for (platform, artifact) in
        image["platforms"].as_array().unwrap().iter().zip(json["artifacts"].as_array().unwrap())
    {
        // One and the same file, by digest, in the image and beside it.
        assert_eq!(platform["binaries"]["/usr/local/bin/hello"], artifact["sha256"]);
        let layer = &platform["layers"][0];
        assert_eq!(layer["size"], blob(&layer["digest"]).len());
        assert_eq!(Digest::sha256(&blob(&platform["config"])).to_string(), platform["config"]);
    }
    let log = fs::read_to_string(workspace.dist().join("logs/build.log")).unwrap();
    assert!(log.starts_with("$ ") && log.contains("Compiling hello"), "{log}");
}

#[test]
fn readelf_finds_static_pie_without_symbols() {
    let Some(readelf) = peer::find("readelf") else {
        return;
    };
    let (workspace, _) = shared();
    for (platform, machine) in [("amd64", "X86-64"), ("arm64", "AArch64")] {
        let file = workspace.dist().join(format!("linux/{platform}/bin/hello"));
        let text = peer::run(&readelf, ["-W", "-h", "-l", "-d", "-S", file.to_str().unwrap()]);
        for wanted in ["DYN (Position-Independent Executable file)", "Flags: NOW PIE", machine] {
            assert!(text.contains(wanted), "{platform}: no `{wanted}` in\n{text}");
        }
        for unwanted in ["INTERP", "(NEEDED)", ".symtab", ".debug_info"] {
            assert!(!text.contains(unwanted), "{platform}: `{unwanted}` in\n{text}");
        }
        assert_eq!(fs::metadata(&file).unwrap().mode(), 0o100_755);
    }
}

#[test]
fn binaries_were_run_natively_and_under_qemu() {
    if peer::find("qemu-aarch64-static").is_none() || cfg!(not(target_arch = "x86_64")) {
        return;
    }
    let (_, json) = shared();
    let by = |n: usize| &json["artifacts"][n]["smoke"];
    assert_eq!(by(0)["by"], "native");
    assert_eq!(by(1)["by"], "qemu-aarch64-static");
    for n in [0, 1] {
        assert_eq!(by(n)["outcome"], "ran");
        assert_eq!(by(n)["exit-code"], 0);
        assert_eq!(by(n)["output"], "hello from a fixture");
    }
}

#[test]
fn skopeo_takes_the_layout_and_an_engine_runs_it() {
    let (Some(skopeo), Some(registry)) = (peer::find("skopeo"), Registry::start()) else {
        return;
    };
    let (workspace, json) = shared();
    let image = &json["images"][0];
    let layout = workspace.dist().join("image/hello");
    let from = format!("oci:{}:{}", layout.display(), image["tag"].as_str().unwrap());
    let to = registry.url("hello:0.1.0");
    peer::run(&skopeo, ["copy", "--all", "--dest-tls-verify=false", &from, &to]);
    let raw = peer::run(&skopeo, ["inspect", "--tls-verify=false", "--raw", &to]);
    assert_eq!(Digest::sha256(raw.as_bytes()).to_string(), image["digest"]);
    let index: Value = serde_json::from_str(&raw).unwrap();
    let manifests = index["manifests"].as_array().unwrap().iter();
    let platforms: Vec<_> = manifests.map(|m| m["platform"]["architecture"].clone()).collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
    if cfg!(not(target_arch = "x86_64")) {
        return peer::skip("the engine runs amd64 images only on amd64");
    }
    let Some(engine) = Engine::start() else {
        return;
    };
    let name = format!("{}/hello@{}", registry.address, image["digest"].as_str().unwrap());
    engine.run(&["pull", "--quiet", &name]);
    let user = engine.run(&["image", "inspect", "--format={{.Config.User}}", &name]);
    assert_eq!(user.trim(), "65532:65532");
    let said = engine.run(&["run", "--rm", "--network", "none", &name]);
    assert_eq!(said, "hello from a fixture\n");
}

/// Files whose content is a matter of what was built, without the logs.
fn outputs(workspace: &Workspace) -> BTreeMap<std::path::PathBuf, Entry> {
    let mut files = tree(&workspace.dist());
    files.retain(|path, _| !path.starts_with("logs") && path != Path::new("dist.json"));
    files
}

/// Returns the numbers of compiled and fresh units.
fn units(json: &Value) -> (u64, u64) {
    let count = |key: &str| json["units"][key].as_u64().unwrap();
    (count("compiled"), count("fresh"))
}

#[test]
fn a_second_dist_compiles_and_writes_nothing() {
    let workspace = Workspace::members(&["one", "two"], "");
    let first = dist(&workspace, "").run().json();
    assert_eq!(units(&first), (4, 0));
    let before = outputs(&workspace);
    let second = dist(&workspace, "").run().json();
    assert_eq!(units(&second), (0, 4));
    // Inodes and times too.
    assert_eq!(outputs(&workspace), before);
    assert_eq!(second["images"], first["images"]);

    // One program changed: that one, its image, and nothing else.
    workspace.write("two/src/main.rs", &HELLO.replace("a fixture", "another fixture"));
    let third = dist(&workspace, "").run().json();
    assert_eq!(units(&third), (2, 2));
    let after = outputs(&workspace);
    let of_one = |path: &Path| path.starts_with("image/one") || path.ends_with("bin/one");
    for (path, entry) in &before {
        match of_one(path) {
            true => assert_eq!(after.get(path), Some(entry), "{}", path.display()),
            false if path.ends_with("bin/two") => {
                assert_ne!(after[path].digest, entry.digest, "{}", path.display());
            }
            false => {}
        }
    }

    // What is no longer asked for is gone.
    dist(&workspace, "--package one --target x86_64-unknown-linux-musl --no-smoke").run();
    let files = tree(&workspace.dist());
    assert!(files.keys().all(|path| !path.starts_with("linux/arm64")), "{files:#?}");
    assert!(files.keys().all(|path| !path.starts_with("image/two")), "{files:#?}");
}

#[test]
fn a_damaged_output_is_made_again() {
    let workspace = Workspace::hello();
    let args = "--no-smoke --target x86_64-unknown-linux-musl";
    let first = dist(&workspace, args).run().json();
    let digests = |files: BTreeMap<std::path::PathBuf, Entry>| -> BTreeMap<_, _> {
        files.into_iter().map(|(path, entry)| (path, entry.digest)).collect()
    };
    let good = digests(outputs(&workspace));
    for path in good.keys() {
        let path = workspace.dist().join(path);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    let second = dist(&workspace, args).run().json();
    assert_eq!(digests(outputs(&workspace)), good);
    assert_eq!(second["images"], first["images"]);
    // And one whose record is gone.
    fs::write(workspace.dist().join("dist.json"), "{}").unwrap();
    dist(&workspace, args).run();
    assert_eq!(digests(outputs(&workspace)), good);
}

#[test]
fn a_second_dist_waits_for_the_first() {
    let workspace = Workspace::empty().package("hello", "").file("build.rs", GATED);
    let gate = Gate::new();
    let args = "--no-smoke --target x86_64-unknown-linux-musl";
    let mut first = dist(&workspace, args).env("GATE", gate.dir()).spawn();
    gate.reached();
    let mut second = dist(&workspace, args).env("GATE", gate.dir()).spawn();
    let mut seen = Vec::new();
    let mut stderr = second.stderr.take().unwrap();
    // To the end of the line; the second ends or says so.
    let mut byte = [0];
    while !seen.ends_with(b"Waiting") {
        assert_eq!(stderr.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
    assert_eq!(first.try_wait().unwrap(), None);
    gate.open();
    // Both pipes of both are read to the end, so that nobody waits for room.
    let rest = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    dist(&workspace, args).check_output(&first.wait_with_output().unwrap());
    let second = second.wait_with_output().unwrap();
    assert!(second.status.success(), "{}", rest.join().unwrap());
    let json: Value = serde_json::from_slice(&second.stdout).unwrap();
    assert_eq!(json["units"]["compiled"], 0);
    assert_eq!(each(&json["artifacts"], "target"), [AMD64]);
}

#[test]
fn user_flags_of_one_target_are_merged_with_longshores() {
    let workspace = Workspace::hello()
        .file(".cargo/config.toml", &format!("[target.{AMD64}]\nrustflags = [\"--cfg=mine\"]\n"))
        .file("src/main.rs", "fn main() { println!(\"{}\", cfg!(mine)) }\n");
    // Both targets by one cargo, and verified: ours are what makes them static-pie.
    let json = dist(&workspace, "").run().json();
    let artifacts = json["artifacts"].as_array().unwrap().iter();
    let said: Vec<_> = artifacts
        .map(|artifact| [&artifact["platform"], &artifact["smoke"]["output"]])
        .map(|pair| pair.map(|text| text.as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(said, [["linux/amd64", "true"], ["linux/arm64", "false"]]);
    assert!(!workspace.dist().join("logs/build-2.log").exists());
}
