//! A finished release under `verify`: each file that its `dist.json` names, each that it does not, and
//! which workspace may judge it.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use longshore::model::digest::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    push::run,
    sign::manifest,
    support::{
        command::{LONGSHORE, Test, plain},
        dist::Dist,
        program,
    },
};

/// Returns a release with an image, two archives and their checksums, in the workspace that made it.
pub(crate) fn release() -> Dist {
    let dist = Dist::new(&[("linux/amd64", &program::amd64()[..])], json!({}));
    dist.packages();
    dist.image(&[]);
    let lock = "version = 4\n\n[[package]]\nname = \"hello\"\nversion = \"0.1.0\"\n";
    fs::write(dist.beside("Cargo.lock"), lock).unwrap();
    package(&dist, &["--format", "tar.gz"], 0);
    dist
}

fn package(dist: &Dist, args: &[&str], status: i32) -> String {
    let mut command = plain(LONGSHORE);
    command.arg("package").arg(dist.root()).args(args).current_dir(dist.beside(""));
    let ran = command.output().unwrap();
    let error = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(status), "{error}");
    error
}

fn change(dist: &Dist, change: impl FnOnce(&mut Value)) {
    let mut json = manifest(dist);
    change(&mut json);
    fs::write(dist.root().join("dist.json"), json.to_string()).unwrap();
}

fn verify(path: &Path) -> Test {
    run(path.parent().unwrap(), "verify").arg(path)
}

#[track_caller]
fn rejected(dist: &Dist, name: &str, why: &str) {
    let text = verify(&dist.root()).status(1).stdout(why).run().stdout;
    let line = format!("`{}` refused", dist.root().join(name).display());
    assert!(text.contains(&line), "no `{line}` in {text}");
}

#[test]
fn every_document_is_compared_with_its_digest() {
    let dist = release();
    verify(&dist.root()).stdout("dist.json` accepted").run();
    let documents = manifest(&dist)["documents"].as_array().unwrap().clone();
    assert!(documents.len() >= 2, "{documents:?}");
    for document in &documents {
        let name = document["path"].as_str().unwrap();
        let path = dist.root().join(name);
        let right = fs::read(&path).unwrap();
        for wrong in [&b""[..], &right[1..], &[&right[..], b"x"].concat()] {
            fs::write(&path, wrong).unwrap();
            rejected(&dist, name, "deny record: the file does not match `dist.json`");
        }
        fs::remove_file(&path).unwrap();
        rejected(&dist, name, "cannot read");
        // The right bytes elsewhere are not a file of the release.
        fs::write(dist.beside("elsewhere"), &right).unwrap();
        symlink(dist.beside("elsewhere"), &path).unwrap();
        rejected(&dist, name, "it is not a regular file");
        fs::remove_file(&path).unwrap();
        fs::write(&path, &right).unwrap();
    }
    // Nor is a program a document, whatever its record is.
    let evil = program::fixed_amd64();
    let name = documents[0]["path"].as_str().unwrap().to_owned();
    fs::write(dist.root().join(&name), &evil).unwrap();
    change(&dist, |json| {
        json["documents"][0]["size"] = json!(evil.len());
        json["documents"][0]["sha256"] = json!(Digest::sha256(&evil));
    });
    rejected(&dist, &name, "it is a program, and recorded as something else");
    verify(&dist.root().join("dist.json")).status(1).stdout("recorded as something else").run();
}

#[test]
fn unlisted_files_are_rejected() {
    let dist = release();
    for name in [
        "evil",
        "archives/evil.tar.gz",
        "linux/amd64/bin/evil",
        "linux/amd64/other/x",
        "image/hello/evil",
        "image/hello/blobs/sha256/evil",
        ".hidden",
        "logs/evil.log",
    ] {
        let path = dist.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, program::fixed_amd64()).unwrap();
        rejected(&dist, name, "`dist.json` does not name it");
        fs::remove_file(&path).unwrap();
    }
    let text = dist.root().join("archives/readme");
    fs::write(&text, "text").unwrap();
    rejected(&dist, "archives/readme", "`dist.json` does not name it");
    fs::remove_file(text).unwrap();
    symlink("/bin", dist.root().join("bin")).unwrap();
    rejected(&dist, "bin", "it is a symbolic link");
    fs::remove_file(dist.root().join("bin")).unwrap();
    // A log is a text that no one records.
    fs::create_dir_all(dist.root().join("logs")).unwrap();
    fs::write(dist.root().join("logs/build.log"), "compiled\n").unwrap();
    verify(&dist.root()).stdout("build.log` not checked: a log of the build").run();
    fs::write(dist.root().join("logs/build.log"), "#!/bin/sh\n").unwrap();
    rejected(&dist, "logs/build.log", "`dist.json` does not name it");
}

#[test]
fn paths_lead_to_files_of_the_release() {
    let dist = release();
    let good = manifest(&dist);
    let elsewhere = dist.beside("x.tar.gz").display().to_string();
    for path in ["../x.tar.gz", &elsewhere, "archives/../../x", "", ".", "dist.json", "logs/x"] {
        for pointer in
            ["/archives/0/path", "/artifacts/0/path", "/documents/0/path", "/images/0/path"]
        {
            change(&dist, |json| *json.pointer_mut(pointer).unwrap() = json!(path));
            verify(&dist.root()).status(1).stdout(&format!("it names `{path}`, which is ")).run();
            fs::write(dist.root().join("dist.json"), good.to_string()).unwrap();
        }
    }
    // An archive of debug information has no programs in it.
    change(&dist, |json| json["archives"][0]["kind"] = json!("debug"));
    verify(&dist.root()).run();
    // Nor has a file of it.
    let evil = dist.root().join("linux/amd64/bin/evil");
    fs::write(&evil, program::fixed_amd64()).unwrap();
    change(&dist, |json| {
        *json = good.clone();
        let bytes = program::fixed_amd64();
        json["artifacts"][0]["debug"] = json!({ "path": "linux/amd64/bin/evil",
            "size": bytes.len(), "sha256": Digest::sha256(&bytes) });
    });
    rejected(&dist, "linux/amd64/bin/evil", "it is not separate debug information");
}

/// Edits the binary, and what `dist.json` says of it.
fn swap(dist: &Dist, bytes: &[u8]) {
    fs::write(dist.root().join("linux/amd64/bin/hello"), bytes).unwrap();
    change(dist, |json| {
        let artifact = &mut json["artifacts"][0];
        artifact["size"] = json!(bytes.len());
        artifact["sha256"] = json!(Digest::sha256(bytes));
    });
}

#[test]
fn binaries_of_dist_json_are_verified_again_before_packing() {
    let dist = release();
    swap(&dist, &program::fixed_amd64());
    let error = dist.fails(1, &[]);
    assert!(error.contains("deny static-pie"), "{error}");
    assert!(package(&dist, &[], 1).contains("deny static-pie"));
    let home = TempDir::new().unwrap();
    let merge = |into: &str| {
        let into = home.path().join(into);
        run(home.path(), "merge").arg(dist.root()).arg("--into").arg(into)
    };
    let merge = merge("into").arg("--platform").arg("linux/amd64");
    merge.status(1).stderr("deny static-pie").run();
    assert!(!home.path().join("into").exists());
    // The workspace that the release is merged into decides, also before it has a target directory.
    let own = home.path().join("own");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("Cargo.toml"), ALLOW).unwrap();
    change(&dist, |json| json["images"] = json!([]));
    for (into, status) in [("elsewhere", 1), ("target/../other", 1), ("target/dist", 0)] {
        let merge = run(home.path(), "merge").arg(dist.root()).arg("--into").arg(into).dir(&own);
        merge.arg("--platform").arg("linux/amd64").status(status).run();
    }
    // The policy of the workspace that it belongs to may say otherwise.
    let text = fs::read_to_string(dist.beside("Cargo.toml")).unwrap();
    let own = "[workspace.metadata.longshore.verify]\nlinkage = 'static'\n[workspace]\n";
    fs::write(dist.beside("Cargo.toml"), format!("{text}{own}")).unwrap();
    package(&dist, &[], 0);
    change(&dist, |json| json["artifacts"][0]["path"] = json!("../../Cargo.toml"));
    assert!(dist.fails(1, &[]).contains("which is outside its directory"));
}

#[test]
fn archives_hold_no_program_that_was_not_verified() {
    let dist = release();
    let elf = program::fixed_amd64();
    let macho = [&[0xcf, 0xfa, 0xed, 0xfe][..], &[0; 64]].concat();
    let pe = [&b"MZ"[..], &[0; 128]].concat();
    for (bytes, status) in [
        (&elf[..], 1),
        (&macho, 1),
        (&pe, 1),
        (&b"#!/bin/sh\nexit 0\n"[..], 0),
        (&program::amd64(), 0),
    ] {
        fs::write(dist.beside("helper"), bytes).unwrap();
        let _ = fs::remove_file(dist.beside("link"));
        symlink("helper", dist.beside("link")).unwrap();
        for from in ["helper", "link"] {
            change(&dist, |json| {
                json["packages"][0]["files"] = json!({ "lib/helper": from });
                json["packages"][0]["deb"] = Value::Null;
            });
            let error = package(&dist, &[], status);
            assert_eq!(error.contains("and was not verified"), status == 1, "{error}");
        }
    }
}

/// Returns a release that cannot pass under the built-in policy, below `at`, and what was named there.
fn weak(at: &Path) -> PathBuf {
    let dist = Dist::new(&[("linux/amd64", &program::fixed_amd64()[..])], json!({}));
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    fs::rename(dist.root(), at).unwrap();
    at.to_owned()
}

const ALLOW: &str = "[workspace]\n[workspace.metadata.longshore.verify]\nallow = ['static-pie']\n";

#[test]
fn workspace_policies_apply_below_the_target_directory_only() {
    let home = TempDir::new().unwrap();
    let own = home.path().join("own");
    weak(&own.join("target/dist"));
    fs::write(own.join("Cargo.toml"), ALLOW).unwrap();
    let foreign = home.path().join("foreign");
    weak(&foreign);
    fs::write(foreign.join("Cargo.toml"), ALLOW).unwrap();
    let inside = own.join("download");
    weak(&inside);
    let verify = |dir: &Path, path: &str| run(home.path(), "verify").arg(path).dir(dir);
    let table = "[workspace.metadata.longshore.verify] of ";
    let ran = verify(&own, "target/dist").stdout(table).run();
    assert!(ran.stdout.contains("for `target/dist/dist.json`"), "{}", ran.stdout);
    verify(&own, "target/dist").arg("--no-workspace").status(1).stdout("deny static-pie").run();
    let json = verify(&own, "target/dist").arg("--message-format").arg("json").run();
    assert_ne!(crate::schema::valid("verify.v1", &json.stdout), Some(false));
    assert_eq!(json.json()["policies"][0]["paths"], json!(["target/dist/dist.json"]));
    // An unpacked release with a `Cargo.toml`, from within, from the workspace, and within it.
    for (dir, path) in [
        (&foreign, "."),
        (&foreign, "dist.json"),
        (&own, "../foreign"),
        (&own, "download"),
        (&own, "target/../download"),
    ] {
        let text = verify(dir, path).status(1).stdout("deny static-pie").run().stdout;
        assert!(!text.contains(table), "{text}");
    }
    // A link in the target directory leads elsewhere.
    symlink(&inside, own.join("target/link")).unwrap();
    verify(&own, "target/link").status(1).stdout("refused").run();
    // The directory that the environment names, and no more.
    let moved = home.path().join("moved");
    fs::create_dir(&moved).unwrap();
    fs::rename(own.join("target/dist"), moved.join("dist")).unwrap();
    let name = moved.join("dist").display().to_string();
    verify(&own, &name).status(1).stdout("refused").run();
    verify(&own, &name).env("CARGO_TARGET_DIR", &moved).stdout(table).run();
    verify(&own, &name)
        .env("CARGO_TARGET_DIR", moved.join("dist"))
        .status(1)
        .stdout("refused")
        .run();
    // A configuration of cargo's does not make the workspace itself a target directory.
    fs::create_dir(foreign.join(".cargo")).unwrap();
    fs::write(foreign.join(".cargo/config.toml"), "build.target-dir = '.'\n").unwrap();
    verify(&foreign, "dist.json").status(1).stdout("deny static-pie").run();
}

/// Adds a table to the settings of the workspace.
fn settings(dir: &Path, keys: &str) {
    let text = format!("[workspace]\n[workspace.metadata.longshore.verify]\n{keys}\n");
    fs::write(dir.join("Cargo.toml"), text).unwrap();
}

#[test]
fn images_of_a_release_follow_its_policies() {
    let dist = release();
    let home = dist.beside("");
    let verify = || run(&home, "verify").arg(dist.root()).dir(&home);
    settings(&home, "max-size.image = '1 kB'");
    let image = format!("{}!linux/amd64", dist.root().join("image/hello").display());
    let text =
        verify().status(1).stdout("deny size: the image is larger than 1.00 kB").run().stdout;
    assert!(text.contains(&format!("`{image}` refused")), "{text}");
    verify().arg("--no-workspace").run();
    // The programs in it, too, with the target of its platform; a waiver names their paths.
    settings(&home, "warn = ['audit-data']");
    let text = verify().run().stdout;
    let places =
        ["linux/amd64/bin/hello", "archives/", "image/hello!linux/amd64!/usr/local/bin/hello"];
    assert_eq!(text.matches("warn audit-data").count(), places.len(), "{text}");
    settings(&home, "max-size.file = '100 B'");
    let program = format!("{image}!/usr/local/bin/hello` refused");
    verify().status(1).stdout(&program).run();
    let waive = "[[workspace.metadata.longshore.verify.waive]]\nlint = 'size'\nreason = 'known'\n\
                 paths = ['linux/amd64/bin/*', 'image/**', 'archives/**']";
    settings(&home, &format!("max-size.file = '100 B'\n{waive}"));
    verify().run();
}

#[test]
fn budgets_of_a_workspace_are_for_its_own_files() {
    let home = TempDir::new().unwrap();
    let own = home.path().join("own");
    weak(&own.join("target/dist"));
    settings(&own, "max-size.file = '100 B'");
    weak(&own.join("download"));
    let foreign = home.path().join("foreign");
    weak(&foreign);
    settings(&foreign, "max-size.file = '100 B'");
    // It is not even read.
    fs::create_dir(foreign.join("targets")).unwrap();
    fs::write(foreign.join("targets/a-b-c.toml"), "x = 1\n").unwrap();
    let size = |dir: &Path, args: &str| run(home.path(), &format!("size {args}")).dir(dir);
    let table = "policy `[workspace.metadata.longshore.verify] of ";
    let ran = size(&own, "target/dist").status(1).stdout("over budget").stdout(table).run();
    assert!(ran.stdout.contains("` for `target/dist`"), "{}", ran.stdout);
    size(&own, "").status(1).stdout("over budget").run();
    size(&own, "target/dist/linux/amd64/bin/hello").status(1).stdout("over budget").run();
    let json = size(&own, "target/dist --message-format json").status(1).stdout("policies").run();
    assert_ne!(crate::schema::valid("size.v1", &json.stdout), Some(false));
    assert_eq!(json.json()["policies"][0]["paths"], json!(["target/dist"]));
    for (dir, args) in [
        (&own, "target/dist --no-workspace"),
        (&own, "download"),
        (&own, "../foreign/dist.json"),
        (&foreign, "dist.json"),
        (&foreign, "linux/amd64/bin/hello"),
        (&foreign, "."),
    ] {
        let text = size(dir, args).run().stdout;
        assert!(!text.contains("over budget") && !text.contains(table), "{args}: {text}");
    }
    fs::write(own.join("own.toml"), "max-size.file = '100 B'\n").unwrap();
    size(&own, "download --policy own.toml").status(1).stdout("policy `own.toml` for").run();
    size(&own, "--target-dir target").status(1).stdout("over budget").run();
}

#[test]
fn targets_of_the_current_directory_describe_its_own_files_only() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("own");
    weak(&dir.join("target/dist"));
    weak(&dir.join("foreign"));
    fs::write(dir.join("x"), program::fixed_amd64()).unwrap();
    fs::write(dir.join("Cargo.toml"), "[workspace]\n").unwrap();
    fs::create_dir(dir.join("targets")).unwrap();
    let name = "x86_64-unknown-linux-musl";
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built_in = fs::read_to_string(root.join(format!("targets/{name}.toml"))).unwrap();
    let weaker = built_in.replace("\"static-pie\"", "\"static\"");
    let file = format!("targets/{name}.toml");
    fs::write(dir.join(&file), &weaker).unwrap();
    let verify = |args: &str| run(home.path(), &format!("verify {args}")).dir(&dir);
    verify("target/dist").stdout(&file).run();
    verify("target/dist --no-workspace").status(1).stdout("deny static-pie").run();
    verify("foreign").status(1).stdout("deny static-pie").run();
    verify(&format!("x --target {name}")).status(1).stdout("deny static-pie").run();
    // A name that only the workspace knows is meant where it is written, and shown.
    fs::write(dir.join("targets/own.toml"), &weaker).unwrap();
    verify("x --target own").stdout("targets/own.toml` for `x`").run();
    verify("x --target own --no-workspace").status(2).stderr("unknown target `own`").run();
    // A broken file is an error of those that need it.
    fs::write(dir.join("targets/broken-linux-musl.toml"), "hello = 1").unwrap();
    verify("x").run();
    verify("foreign").status(1).stdout("deny static-pie").run();
    verify("x --target own").run();
    verify("target/dist").status(2).stderr("targets/broken-linux-musl.toml").run();
    verify("target/dist --no-workspace").status(1).stdout("refused").run();
    fs::write(dir.join("Cargo.toml"), "broken").unwrap();
    verify("x").run();
}

#[test]
fn a_waiver_is_for_complete_paths() {
    let home = TempDir::new().unwrap();
    let dir = home.path();
    fs::create_dir_all(dir.join("d/bin")).unwrap();
    fs::create_dir_all(dir.join("d/evil/bin")).unwrap();
    let (weak, tar) = (program::fixed_amd64(), crate::verify_archive::tar);
    for path in ["d/bin/tool", "d/evil/bin/tool"] {
        crate::verify_cli::write(&dir.join(path), &weak, 0o755);
    }
    fs::write(dir.join("a.tar"), tar(&[("evil/bin/tool", 0o755, &weak)])).unwrap();
    fs::write(dir.join("b.tar"), tar(&[("bin/tool", 0o755, &weak)])).unwrap();
    let policy = |path: &str| {
        let text = format!(
            "linkage = 'static-pie'\n[[waive]]\nlint = 'static-pie'\nreason = 'x'\npaths = ['{path}']\n"
        );
        fs::write(dir.join("policy.toml"), text).unwrap();
    };
    let verify = |path: &str, status| {
        run(dir, &format!("verify {path} --policy policy.toml")).status(status).stdout("").run();
    };
    policy("bin/tool");
    for path in ["a.tar", "b.tar", "d", "d/evil", "d/bin/tool"] {
        verify(path, i32::from(path != "d/evil"));
    }
    policy("d/bin/tool");
    verify("d/bin/tool", 0);
    verify("d/evil/bin/tool", 1);
    policy("b.tar!bin/tool");
    verify("b.tar", 0);
    verify("a.tar", 1);
    policy("*.tar!bin/*");
    verify("b.tar", 0);
    verify("a.tar", 1);
    policy("**/bin/tool");
    verify("a.tar", 0);
}

#[test]
fn a_tag_of_a_layout_means_the_same_for_every_command() {
    let dist = release();
    let layout = dist.root().join("image/hello");
    let home = TempDir::new().unwrap();
    // Without a network, so that nothing else can be meant.
    let at = |args: &str, tag: &str| {
        let name = format!("{}:{tag}", layout.display());
        run(home.path(), args).arg(name).env("HTTPS_PROXY", "http://127.0.0.1:1")
    };
    at("verify", "1.0").stdout("hello:1.0!linux/amd64").run();
    at("image inspect", "1.0").run();
    at("size", "1.0").run();
    at("verify", "9.9").status(1).stdout("has no image `9.9`").run();
    let missing = at("image inspect", "9.9").status(2).stderr("has no image `9.9`").run();
    assert!(missing.stderr.contains("1.0"), "{}", missing.stderr);
    let other = run(home.path(), "image diff").arg(&layout);
    other.arg(format!("{}:1.0", layout.display())).run();
    at("verify --signature RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3", "1.0")
        .status(1)
        .stdout("SHA256SUMS")
        .run();
    // A directory of the name's beginning is not one of a registry's.
    fs::create_dir(home.path().join("docker")).unwrap();
    let remote = run(home.path(), "verify docker://127.0.0.1:1/x:1").status(1);
    remote.stdout("127.0.0.1:1").run();
}
