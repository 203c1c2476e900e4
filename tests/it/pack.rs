//! The contents of images.

use std::{
    fs,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt},
    process::Command,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use crate::support::{
    command::longshore,
    dist::{Dist, digest, found},
    engine::Engine,
    peer, program,
    workspace::Workspace,
};

fn pair(more: Value) -> Dist {
    let programs = [("linux/amd64", &program::amd64()[..]), ("linux/arm64", &program::arm64())];
    Dist::new(&programs, more)
}

#[test]
fn unverified_programs_are_not_packed() {
    let dist = pair(json!({}));
    fs::write(dist.root().join("other"), program::amd64().repeat(2)).unwrap();
    let recipe = dist.beside("Dockerfile");
    let file = ["-f", recipe.to_str().unwrap()];
    fs::write(&recipe, "FROM scratch\nCOPY other /usr/bin/other\n").unwrap();
    let error = dist.fails(1, &file);
    assert!(error.contains("`other` would be `/usr/bin/other` of the image, and was not verified"));
    // Nor those of another machine, and nor through another stage.
    let text =
        "FROM scratch AS a\nCOPY linux/amd64/bin /b\nFROM scratch\nCOPY --from=a /b/hello /x\n";
    fs::write(&recipe, text).unwrap();
    let error = dist.fails(1, &file);
    let expected = "`/x` of the image for `linux/arm64` would be the program for `linux/amd64`";
    assert!(error.contains(expected), "{error}");
    // What is not wanted of all that is there is no matter.
    let text = "FROM scratch AS a\nCOPY other /b\nFROM scratch\nCOPY dist.json /x\n";
    fs::write(&recipe, text).unwrap();
    dist.image(&file);
}

#[test]
fn files_changed_after_verification_are_not_packed() {
    let dist = pair(json!({}));
    let path = dist.root().join("linux/arm64/bin/hello");
    fs::write(&path, program::amd64()).unwrap();
    let error = dist.fails(1, &[]);
    assert!(error.contains("linux/arm64/bin/hello") && error.contains("its digest is"), "{error}");
    fs::remove_file(&path).unwrap();
    let error = dist.fails(4, &[]);
    assert!(error.contains("linux/arm64/bin/hello"), "{error}");
    assert!(!dist.root().join("image").exists());
}

#[test]
fn platforms_without_a_binary_are_rejected() {
    let dist = pair(json!({}));
    let error = dist.fails(2, &["--platform=linux/riscv64"]);
    assert!(error.contains("there is no binary for `linux/riscv64`"), "{error}");
    assert!(error.contains("linux/amd64, linux/arm64"), "{error}");
    let dist = Dist::new(
        &[("linux/amd64", &program::amd64())],
        json!({ "platforms": ["linux/amd64", "linux/arm64"] }),
    );
    let error = dist.fails(2, &[]);
    assert!(error.contains("there is no `linux/arm64/bin/hello` in the build context"), "{error}");
}

#[test]
fn a_damaged_layer_is_made_again() {
    let dist = pair(json!({}));
    let first = dist.image(&[]);
    let store = dist.beside("target/longshore/layers");
    let blobs = || {
        let entries = fs::read_dir(&store).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|e| e == "blob")).collect::<Vec<_>>()
    };
    assert_eq!(blobs().len(), 2);
    for blob in blobs() {
        // Another file of the same size: the layout has the old one still.
        let mut bytes = fs::read(&blob).unwrap();
        bytes[20] ^= 1;
        fs::remove_file(&blob).unwrap();
        fs::write(&blob, bytes).unwrap();
    }
    let ran = dist.run(&[]);
    let error = String::from_utf8(ran.stderr).unwrap();
    assert!(
        ran.status.success() && error.contains("is damaged; the layer is compressed again"),
        "{error}"
    );
    assert_eq!(String::from_utf8(ran.stdout).unwrap(), first);
    found(&dist.root().join("image/hello"));
    // And where nothing is wrong, nothing is made.
    let before: Vec<_> =
        blobs().iter().map(|path| fs::metadata(path).unwrap().modified().unwrap()).collect();
    assert_eq!(dist.image(&[]), first);
    let after: Vec<_> =
        blobs().iter().map(|path| fs::metadata(path).unwrap().modified().unwrap()).collect();
    assert_eq!(before, after);
}

#[test]
fn directory_user_umask_and_time_have_no_effect() {
    let made = |mask: &str, later: u64, order: &[usize]| {
        let programs = [("linux/amd64", program::amd64()), ("linux/arm64", program::arm64())];
        let programs: Vec<_> =
            order.iter().map(|&at| (programs[at].0, &programs[at].1[..])).collect();
        let dist = Dist::new(&programs, json!({ "extras": ["tmp", "user", "ca-certificates"] }));
        let time = SystemTime::now() + Duration::from_secs(later);
        for platform in ["linux/amd64", "linux/arm64"] {
            let path = dist.root().join(platform).join("bin/hello");
            fs::File::open(path).unwrap().set_modified(time).unwrap();
        }
        let mut command = Command::new("sh");
        let script = format!("umask {mask}; exec \"$0\" image \"$1\"");
        command.args(["-c", &script, crate::support::command::LONGSHORE]);
        let ran = command.arg(dist.root()).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    };
    assert_eq!(made("022", 0, &[0, 1]), made("077", 3600, &[1, 0]));
}

#[test]
fn extras_are_separate_layers() {
    let dist = pair(json!({ "extras": ["tmp", "user"] }));
    let layout = dist.beside("layout");
    let output = format!("--output=oci={}", layout.display());
    let json = dist.image(&[&output, "--extra=ca-certificates", "--message-format=json"]);
    let images: Value = serde_json::from_str(&json).unwrap();
    let layers = images[0]["platforms"][0]["layers"].as_array().unwrap().clone();
    let by: Vec<_> = layers.iter().map(|layer| layer["created-by"].as_str().unwrap()).collect();
    assert_eq!(by[..2], ["longshore extra: tmp", "longshore extra: user"]);
    assert!(by[2].starts_with("longshore extra: ca-certificates (webpki-root-certs "), "{by:?}");
    assert!(by[3].starts_with("COPY "), "{by:?}");
    // Both platforms share them.
    let other = &images[0]["platforms"][1]["layers"];
    assert_eq!(layers[2]["digest"], other[2]["digest"]);
    assert_ne!(layers[3]["digest"], other[3]["digest"]);
    let (Some(umoci), Some(())) = (peer::find("umoci"), peer::root()) else {
        return;
    };
    let single = dist.beside("single");
    let output = format!("--output=oci={}", single.display());
    dist.image(&[&output, "--platform=linux/amd64"]);
    let out = dist.beside("out");
    let image = format!("{}:1.0", single.display());
    peer::run(&umoci, ["unpack", "--image", &image, out.to_str().unwrap()]);
    let tmp = fs::metadata(out.join("rootfs/tmp")).unwrap();
    assert_eq!(tmp.permissions().mode() & 0o7777, 0o1777);
    let passwd = fs::read_to_string(out.join("rootfs/etc/passwd")).unwrap();
    assert!(passwd.contains("\nnonroot:x:65532:65532:"), "{passwd}");
}

#[test]
fn openssl_reads_the_certificates() {
    let (Some(openssl), Some(tar)) = (peer::find("openssl"), peer::find("tar")) else {
        return;
    };
    let dist = pair(json!({ "extras": ["ca-certificates"] }));
    let layout = dist.beside("layout");
    dist.image(&[&format!("--output=oci={}", layout.display()), "--compression=none"]);
    let layer = found(&layout)[0].manifest.layers[0].digest.hex();
    let blob = layout.join("blobs/sha256").join(layer);
    let file = "etc/ssl/certs/ca-certificates.crt";
    let dir = dist.beside("");
    peer::run(&tar, ["-xf", blob.to_str().unwrap(), "-C", dir.to_str().unwrap(), file]);
    let bundle = dist.beside(file);
    let args = ["storeutl", "-noout", "-certs", bundle.to_str().unwrap()];
    let told = peer::run(&openssl, args);
    let count = fs::read_to_string(bundle).unwrap().matches("BEGIN CERTIFICATE").count();
    assert!(told.contains(&format!("Total found: {count}")), "{told}");
}

#[test]
fn zstd_layers_are_read_by_others() {
    let Some(skopeo) = peer::find("skopeo") else {
        return;
    };
    let dist = pair(json!({ "compression": "zstd" }));
    let layout = dist.write("oci", "layout");
    let images = found(&layout);
    let layer = &images[0].manifest.layers[0];
    assert_eq!(layer.media_type.as_str(), "application/vnd.oci.image.layer.v1.tar+zstd");
    let blob = fs::read(layout.join("blobs/sha256").join(layer.digest.hex())).unwrap();
    let tar = zstd::decode_all(&blob[..]).unwrap();
    let diff_id = longshore::model::digest::Digest::sha256(&tar);
    assert_eq!(diff_id, images[0].config.rootfs.diff_ids[0]);
    // The same tar as with gzip, and skopeo makes it gzip.
    let gzip = dist.beside("gzip");
    dist.image(&[&format!("--output=oci={}", gzip.display()), "--compression=gzip"]);
    assert_eq!(images[0].config.bytes(), found(&gzip)[0].config.bytes());
    let (from, to) = (format!("oci:{}:1.0", layout.display()), dist.beside("copied"));
    let to = format!("dir:{}", to.display());
    peer::run(&skopeo, ["copy", "--override-arch=amd64", "--dest-decompress", &from, &to]);
    let tar = fs::read(dist.beside("copied").join(diff_id.hex())).unwrap();
    assert_eq!(longshore::model::digest::Digest::sha256(&tar), diff_id);
}

#[test]
fn annotations_are_on_index_and_manifests() {
    let dist = pair(json!({ "annotations": { "example.team": "x" } }));
    let layout = dist.beside("layout");
    let output = format!("--output=oci={}", layout.display());
    dist.image(&[&output, "--annotation=more=y", "--label=also=z"]);
    let read = |digest: &str| -> Value {
        let path = layout.join("blobs/sha256").join(digest.trim_start_matches("sha256:"));
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    };
    let index = read(&digest(&layout));
    let manifest = read(index["manifests"][0]["digest"].as_str().unwrap());
    for annotations in [&index["annotations"], &manifest["annotations"]] {
        assert_eq!(annotations["example.team"], "x");
        assert_eq!(annotations["more"], "y");
        assert_eq!(annotations["org.opencontainers.image.title"], "hello");
        assert_eq!(annotations["also"], Value::Null);
    }
    assert_eq!(found(&layout)[0].config.config.labels["also"], "z");
}

#[test]
fn images_are_loaded_into_running_engines() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let (host, client) = engine.reach();
    let dist = pair(json!({}));
    let mut command = crate::support::command::plain(crate::support::command::LONGSHORE);
    command.arg("image").arg(dist.root()).arg("--output=docker-daemon");
    command.env("DOCKER_HOST", host).env("PATH", client);
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let id = engine.run(&["image", "inspect", "--format={{.Id}}", "hello:1.0"]);
    let config = found(&dist.write("oci", "layout"))[0].config.digest();
    assert_eq!(id.trim(), config.to_string());
    if let Some(podman) = peer::find("podman") {
        let storage = dist.beside("storage.conf");
        let (root, runs) = (dist.beside("root"), dist.beside("runs"));
        let text =
            format!("[storage]\ndriver = \"vfs\"\ngraphroot = {root:?}\nrunroot = {runs:?}\n");
        fs::write(&storage, text).unwrap();
        let mut command = crate::support::command::plain(crate::support::command::LONGSHORE);
        command.arg("image").arg(dist.root()).arg("--output=podman");
        let ran = command.env("CONTAINERS_STORAGE_CONF", &storage).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let mut command = Command::new(podman);
        command.args(["image", "exists", "hello:1.0"]);
        let there = command.env("CONTAINERS_STORAGE_CONF", &storage).status().unwrap();
        assert!(there.success());
    }
    // Without an engine, the file is what helps.
    let mut command = crate::support::command::plain(crate::support::command::LONGSHORE);
    command.arg("image").arg(dist.root()).arg("--output=podman").env("PATH", "/nowhere");
    let ran = command.output().unwrap();
    assert_eq!(ran.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("docker-archive=FILE"));
}

#[test]
fn wrong_requests_list_the_choices() {
    let dist = pair(json!({}));
    let error = dist.fails(2, &["-p", "nobody"]);
    assert!(error.contains("there is no image `nobody`") && error.contains("hello"), "{error}");
    let error = dist.fails(2, &["--output=oci-archiv=x"]);
    assert!(error.contains("did you mean `oci-archive`?"), "{error}");
    let error = dist.fails(2, &["--output=oci"]);
    assert!(error.contains("`oci=PATH`"), "{error}");
    let full = dist.beside("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("precious"), "").unwrap();
    let error = dist.fails(2, &[&format!("--output=oci={}", full.display())]);
    assert!(error.contains("it is not empty, and is not an OCI layout"), "{error}");
    assert!(full.join("precious").exists());
    let error = dist.fails(2, &["-f", "/nowhere/Dockerfile"]);
    assert!(error.contains("there is no recipe `/nowhere/Dockerfile`"), "{error}");
    fs::write(dist.root().join("dist.json"), "{}").unwrap();
    let error = dist.fails(1, &[]);
    assert!(error.contains("dist.json` is not a release manifest"), "{error}");
}

/// Memory does not grow with what is packed (`ulimit -d`: the data that a process may have, in KiB;
/// getrlimit(2), `RLIMIT_DATA`).
#[test]
fn a_large_file_is_streamed() {
    let dist = Dist::new(&[("linux/amd64", &program::amd64())], json!({}));
    let recipe = dist.beside("Dockerfile");
    fs::write(&recipe, "FROM scratch\nCOPY large /large\n").unwrap();
    let large = fs::File::create(dist.root().join("large")).unwrap();
    for (size, limit) in [(24 << 20, 48 << 10), (2_u64 << 30, 256 << 10)] {
        large.set_len(size).unwrap();
        let mut command = Command::new("sh");
        let script = format!("ulimit -d {limit}; exec \"$0\" image \"$1\" -f \"$2\"");
        command.args(["-c", &script, crate::support::command::LONGSHORE]);
        let ran = command.arg(dist.root()).arg(&recipe).output().unwrap();
        assert!(ran.status.success(), "{size}: {}", String::from_utf8_lossy(&ran.stderr));
    }
}

#[test]
fn files_that_cannot_be_packed_are_named() {
    let dist = Dist::new(&[("linux/amd64", &program::amd64())], json!({}));
    let recipe = dist.beside("Dockerfile");
    fs::write(&recipe, "FROM scratch\nCOPY large /large\n").unwrap();
    let file = ["-f", recipe.to_str().unwrap()];
    let large = dist.root().join("large");
    fs::File::create(&large).unwrap().set_len(9 << 30).unwrap();
    let error = dist.fails(2, &file);
    assert!(error.contains("`large` has 9663676416 bytes"), "{error}");
    fs::remove_file(large).unwrap();
    let name = std::ffi::OsStr::from_bytes(b"not-\xff-text");
    fs::write(dist.root().join(name), "").unwrap();
    let error = dist.fails(4, &file);
    assert!(error.contains("is not UTF-8") && error.contains("not-"), "{error}");
    fs::remove_file(dist.root().join(name)).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        dist.root().join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let error = dist.fails(4, &file);
    assert!(error.contains("pipe` is not a file, directory or link"), "{error}");
}

/// One that a workspace's metadata asks for.
#[test]
fn each_binary_can_have_a_separate_image() {
    let workspace = Workspace::empty().package(
        "tools",
        "[package.metadata.longshore.image]\nper-binary = true\nextras = ['tmp']\n\
         [[bin]]\nname = \"one\"\npath = \"src/main.rs\"\n\
         [[bin]]\nname = \"two\"\npath = \"src/main.rs\"\n",
    );
    let plan = longshore(&workspace, "plan --message-format json").run().json();
    let images = plan["images"].as_array().unwrap();
    let names: Vec<_> = images.iter().map(|image| image["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["one", "two"]);
    for image in images {
        assert_eq!(image["entrypoint"], image["name"]);
        assert_eq!(image["binaries"], json!([image["name"]]));
        assert_eq!(image["extras"], json!(["tmp"]));
    }
    // A wrong recipe is told before anything is built, and one recipe cannot be that of both.
    let recipe = workspace.root().join("Dockerfile.release");
    fs::write(&recipe, "FROM scratch\n").unwrap();
    let error = longshore(&workspace, "plan").status(2).run().stderr;
    assert!(error.contains("requests one image for each of 2 binaries"), "{error}");
    fs::write(&recipe, "FROM scratch\nRUN make\n").unwrap();
    let error = longshore(&workspace, "dist --bin one").status(2).run().stderr;
    assert!(error.contains("error: Dockerfile.release:2:1: "), "{error}");
    assert!(!workspace.root().join("target/longshore").exists());
    let manifest = workspace.root().join("Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("per-binary", "recipe = false\nper-binary")).unwrap();
    longshore(&workspace, "plan").run();
}
