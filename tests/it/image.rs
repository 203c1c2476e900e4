//! Images as other people's programs see them.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::Command,
};

use longshore::oci::{
    Compressor, Digest, Image, ImageSet, Platform, Recipe, archive,
    check::check,
    layer::{Tree, nothing_known},
    layout::{self, Name},
    tar::Meta,
};
use tempfile::TempDir;

use crate::support::{
    buildkit::BuildKit, engine::Engine, layout as support_layout, peer, program, registry::Registry,
};

const EPOCH: u64 = 1_700_000_000;

const NAME: Name<'_> = Name { tag: "1.0", image: Some("registry.example/hello:1.0") };

fn recipe() -> Recipe {
    Recipe {
        labels: [
            ("org.opencontainers.image.title", "hello"),
            ("org.opencontainers.image.licenses", "MIT OR Apache-2.0"),
        ]
        .map(|(key, value)| (key.into(), value.into()))
        .into(),
        ..Recipe::new(vec!["hello".into()])
    }
}

fn image(platform: &str, content: &[u8]) -> Image {
    let platform: Platform = platform.parse().unwrap();
    let contents = [("hello", content)].into();
    recipe().image(&platform, &contents, EPOCH, Compressor::Gzip, &nothing_known).unwrap()
}

fn pair() -> ImageSet {
    let images =
        vec![image("linux/arm64", &program::arm64()), image("linux/amd64", &program::amd64())];
    ImageSet::new(images, BTreeMap::new()).unwrap()
}

fn single() -> ImageSet {
    let images = vec![image("linux/amd64", &program::amd64())];
    ImageSet::new(images, BTreeMap::new()).unwrap()
}

/// `skopeo copy` of all platforms from a layout to `registry`.
fn push(skopeo: &Path, layout: &Path, registry: &Registry, name: &str) {
    let from = format!("oci:{}:1.0", layout.display());
    let to = registry.url(name);
    let args = ["copy", "--all", "--dest-tls-verify=false", &from, &to];
    peer::run(skopeo, args);
}

#[test]
fn a_written_layout_passes_the_check() {
    let dir = TempDir::new().unwrap();
    support_layout::write(dir.path(), &pair(), "1.0");
    let (found, faults) = check(&|path| fs::read(dir.path().join(path)).ok());
    assert_eq!(faults, []);
    let platforms: Vec<_> = found.iter().map(|f| f.platform.to_string()).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
}

#[test]
fn skopeo_copies_all_platforms_and_keeps_the_digest() {
    let (Some(skopeo), Some(registry)) = (peer::find("skopeo"), Registry::start()) else {
        return;
    };
    let set = pair();
    let dir = TempDir::new().unwrap();
    support_layout::write(dir.path(), &set, "1.0");
    push(&skopeo, dir.path(), &registry, "team/hello:1.0");
    let url = registry.url("team/hello:1.0");
    let inspect = |more: &[&str]| {
        let args = [&["inspect", "--tls-verify=false"], more, &[&url]].concat();
        peer::run(&skopeo, args)
    };
    let index = inspect(&["--raw"]);
    assert_eq!(Digest::of(index.as_bytes()), set.descriptor().digest);
    for image in set.images() {
        let arch = format!("--override-arch={}", image.platform().architecture);
        let config = inspect(&[&arch, "--config", "--raw"]);
        assert_eq!(Digest::of(config.as_bytes()), image.config().digest());
    }
}

#[test]
fn umoci_unpacks_the_file_with_its_mode_and_owner() {
    let (Some(umoci), Some(())) = (peer::find("umoci"), peer::root()) else {
        return;
    };
    let dir = TempDir::new().unwrap();
    support_layout::write(&dir.path().join("layout"), &single(), "1.0");
    let image = format!("{}:1.0", dir.path().join("layout").display());
    let out = dir.path().join("out");
    let out = out.to_str().unwrap();
    peer::run(&umoci, ["unpack", "--image", &image, out]);
    let file = Path::new(out).join("rootfs/usr/local/bin/hello");
    assert_eq!(fs::read(&file).unwrap(), program::amd64());
    let meta = fs::metadata(&file).unwrap();
    assert_eq!(meta.mode(), 0o100_755);
    assert_eq!((meta.uid(), meta.gid()), (0, 0));
    assert_eq!(meta.mtime(), EPOCH as i64);
}

#[test]
fn podman_loads_both_archives() {
    let (Some(podman), Some(())) = (peer::find("podman"), peer::root()) else {
        return;
    };
    let set = pair();
    let (amd64, dir) = (&set.images()[0], TempDir::new().unwrap());
    let own = |name: &str| dir.path().join(name).display().to_string();
    let plain = layout::files(&set, Some(NAME)).unwrap();
    support_layout::archive(&dir.path().join("plain.tar"), &plain);
    let every = archive::files(&set, Some(NAME), amd64.platform()).unwrap();
    support_layout::archive(&dir.path().join("every.tar"), &every);
    for source in ["oci-archive", "docker-archive"] {
        let (root, runroot) = (own(source), own("run"));
        let podman = |args: &[&str]| {
            let store = ["--root", &root, "--runroot", &runroot, "--storage-driver=vfs"];
            peer::run(&podman, [&store, args].concat())
        };
        let file = match source {
            "oci-archive" => own("plain.tar"),
            _ => own("every.tar"),
        };
        let image = format!("{source}:{file}");
        let id = podman(&["pull", "--quiet", "--arch=amd64", &image]);
        let labels = ["image", "inspect", "--format={{.User}} {{.Labels}}", id.trim()];
        let labels = podman(&labels);
        assert!(labels.starts_with("65532:65532 map["), "{labels}");
        assert!(labels.contains("image.title:hello"), "{labels}");
        assert_eq!(id.trim(), amd64.config().digest().hex(), "{source}");
    }
}

#[test]
fn the_engine_loads_the_archive() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let set = pair();
    let amd64 = &set.images()[0];
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("every.tar");
    let every = archive::files(&set, Some(NAME), amd64.platform()).unwrap();
    support_layout::archive(&path, &every);
    engine.run(&["load", "--quiet", "--input", path.to_str().unwrap()]);
    let name = NAME.image.unwrap();
    let id = engine.run(&["image", "inspect", "--format={{.Id}}", name]);
    assert_eq!(id.trim(), amd64.config().digest().to_string());
}

#[test]
fn the_engine_runs_the_image_from_a_registry() {
    if cfg!(not(target_arch = "x86_64")) {
        return peer::skip("the engine runs amd64 images only on amd64");
    }
    let (Some(skopeo), Some(registry)) = (peer::find("skopeo"), Registry::start()) else {
        return;
    };
    let Some(engine) = Engine::start() else {
        return;
    };
    let set = pair();
    let dir = TempDir::new().unwrap();
    support_layout::write(dir.path(), &set, "1.0");
    push(&skopeo, dir.path(), &registry, "hello:1.0");
    let name = format!("{}/hello@{}", registry.address, set.descriptor().digest);
    engine.run(&["pull", "--quiet", &name]);
    let id = engine.run(&["image", "inspect", "--format={{.Id}}", &name]);
    assert_eq!(id.trim(), set.images()[0].config().digest().to_string());
    let ran = engine.output(&["run", "--rm", "--network", "none", &name]);
    let error = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), program::TEXT, "{error}");
    // The program exits with the last byte of its user's number.
    assert_eq!(ran.status.code(), Some(65532 & 0xff), "{error}");
}

#[test]
fn the_arm64_binary_runs_under_qemu() {
    let (Some(qemu), Some(umoci)) = (peer::find("qemu-aarch64-static"), peer::find("umoci")) else {
        return;
    };
    let dir = TempDir::new().unwrap();
    let images = vec![image("linux/arm64", &program::arm64())];
    let set = ImageSet::new(images, BTreeMap::new()).unwrap();
    support_layout::write(&dir.path().join("layout"), &set, "1.0");
    let layout = format!("{}:1.0", dir.path().join("layout").display());
    let out = dir.path().join("out");
    let out = out.to_str().unwrap();
    peer::run(&umoci, ["unpack", "--rootless", "--image", &layout, out]);
    let file = Path::new(out).join("rootfs/usr/local/bin/hello");
    let ran = peer::output(&qemu, [&file]);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), program::TEXT);
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(ran.status.code(), Some((uid & 0xff) as i32));
}

#[test]
fn gnu_tar_lists_a_layer_with_long_names() {
    let Some(tar) = peer::find("tar") else {
        return;
    };
    let meta = Meta { mode: 0o755, uid: 0, gid: 0, mtime: EPOCH };
    let long = format!("opt/{}/{}", "d".repeat(120), "é".repeat(30));
    let mut tree = Tree::new(meta);
    tree.file("/usr/local/bin/hello", meta, b"hello").unwrap();
    tree.file(&format!("/{long}"), meta, b"long").unwrap();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("layer.tar");
    tree.write(fs::File::create(&file).unwrap()).unwrap();
    let mut command = Command::new(tar);
    command.args(["--utc", "--full-time", "--numeric-owner", "--quoting-style=literal"]);
    command.env("LC_ALL", "C.UTF-8");
    let listed = command.arg("-tvf").arg(&file).output().unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let listed = String::from_utf8(listed.stdout).unwrap();
    let lines: Vec<_> = listed.lines().collect();
    assert_eq!(lines.len(), 7, "{listed}");
    assert!(lines[2].ends_with(&long), "{listed}");
    assert_eq!(
        lines[6].split_whitespace().collect::<Vec<_>>(),
        ["-rwxr-xr-x", "0/0", "5", "2023-11-14", "22:13:20", "usr/local/bin/hello"]
    );
}

#[test]
fn an_engine_with_containerds_store_loads_the_archive() {
    let Some(engine) = BuildKit::start() else {
        return;
    };
    let set = pair();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("every.tar");
    let every = archive::files(&set, Some(NAME), set.images()[0].platform()).unwrap();
    support_layout::archive(&path, &every);
    engine.run(&["load", "--quiet", "--input", path.to_str().unwrap()]);
    let name = NAME.image.unwrap();
    // This store names images by what they were pulled by, and keeps every platform.
    let id = engine.run(&["image", "inspect", "--format={{.Id}}", name]);
    assert_eq!(id.trim(), set.descriptor().digest.to_string());
}

/// Lays binaries out as a build context for `recipe` on `platforms`.
fn context(dir: &Path, recipe: &Recipe, platforms: &[&str]) {
    for platform in platforms {
        let bin = dir.join(platform).join("bin");
        fs::create_dir_all(&bin).unwrap();
        for name in &recipe.binaries {
            // A mode that `--chmod` has to mend.
            let path = bin.join(name);
            fs::write(&path, format!("{name} for {platform}")).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

#[test]
fn buildkit_makes_the_same_layers_and_configuration_of_the_recipe() {
    let Some(buildkit) = BuildKit::start() else {
        return;
    };
    let long = format!("long-{}", "x".repeat(120));
    let awkward = Recipe {
        labels: [
            ("org.opencontainers.image.title", "hello"),
            ("org.opencontainers.image.url", "https://x.example/?a=1&b=<2>"),
            ("awkward", r#"a "b" 'c' \ \n $HOME ${d} # é  ,"#),
            ("empty", ""),
        ]
        .map(|(key, value)| (key.into(), value.into()))
        .into(),
        release_labels: [("org.opencontainers.image.revision".into(), "abc".into())].into(),
        cmd: Some([r#"--a "b""#, r"c\d", "$HOME", "<&>", "é"].map(Into::into).into()),
        ..Recipe::new(["hello", "B-2", "a.b", &long].map(Into::into).into())
    };
    let plain = Recipe::new(vec!["hello".into()]);
    let platforms = ["linux/amd64", "linux/arm64", "linux/arm/v7"];
    for recipe in [awkward, plain] {
        let dir = TempDir::new().unwrap();
        context(dir.path(), &recipe, &platforms);
        let dockerfile = dir.path().join("Dockerfile.release");
        fs::write(&dockerfile, recipe.text().unwrap()).unwrap();
        let labels = recipe.release_labels.iter();
        let labels: Vec<_> = labels.map(|(k, v)| format!("--label={k}={v}")).collect();
        let labels: Vec<_> = labels.iter().map(String::as_str).collect();
        let out = dir.path().join("out");
        let paths = (dockerfile.as_path(), dir.path(), out.as_path());
        buildkit.build(paths, &platforms.join(","), EPOCH, &labels);
        let (theirs, faults) = check(&|path| fs::read(out.join(path)).ok());
        assert_eq!(faults, []);
        assert_eq!(theirs.len(), platforms.len());
        for their in theirs {
            let contents: Vec<_> = recipe
                .binaries
                .iter()
                .map(|name| {
                    let path = dir.path().join(their.platform.path()).join("bin").join(name);
                    (name.as_str(), fs::read(path).unwrap())
                })
                .collect();
            let contents = contents.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
            let our = recipe
                .image(&their.platform, &contents, EPOCH, Compressor::Gzip, &nothing_known)
                .unwrap();
            assert_eq!(
                String::from_utf8_lossy(our.config().bytes()),
                String::from_utf8_lossy(their.config.bytes()),
            );
        }
    }
}
