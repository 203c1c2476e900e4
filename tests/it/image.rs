//! Images as other people's programs see them.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::Command,
};

use longshore::{
    archive::{
        tar::Meta,
        tree::{Content, FileStore, Tree},
    },
    image::dockerfile::builtin::Recipe,
    model::digest::Digest,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    buildkit::BuildKit,
    dist::{Dist, EPOCH, digest, found},
    engine::Engine,
    peer, program,
    registry::Registry,
};

fn pair() -> Dist {
    let programs = [("linux/arm64", &program::arm64()[..]), ("linux/amd64", &program::amd64())];
    Dist::new(&programs, json!({}))
}

fn single() -> Dist {
    Dist::new(&[("linux/amd64", &program::amd64())], json!({}))
}

/// A program of several chunks, each of which is compressed by any thread.
fn large(level: u8) -> Dist {
    let mut seed = 7_u64;
    let mut amd64 = program::amd64();
    let more = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        [b"the words", b"of a text", b"in a file"][(seed >> 33) as usize % 3]
    });
    amd64.extend(more.take(2_000_000).flatten());
    Dist::new(&[("linux/amd64", &amd64)], json!({ "gzip-level": level }))
}

/// Returns the only layer in `dist.json`.
fn layer(dist: &Dist) -> Value {
    let text = fs::read(dist.root().join("dist.json")).unwrap();
    let recorded: Value = serde_json::from_slice(&text).unwrap();
    recorded["images"][0]["platforms"][0]["layers"][0].clone()
}

#[test]
fn one_level_makes_one_blob_from_the_cache_and_without_it() {
    let dist = large(2);
    dist.image(&[]);
    let first = layer(&dist);
    assert_eq!(first["compressor"], "libdeflate-1.26/gzip/2/4MiB/cut");
    let blob = first["digest"].as_str().unwrap().replace(':', "/");
    let blob = dist.root().join("image/hello/blobs").join(blob);
    let before = fs::read(&blob).unwrap();
    let cache = dist.beside("target/longshore");
    let chunks = || fs::read_dir(cache.join("pieces")).unwrap().map(|chunk| chunk.unwrap().path());
    assert!(chunks().count() > 3);
    // Chunks in the cache are made one layer again.
    fs::remove_dir_all(cache.join("layers")).unwrap();
    dist.image(&[]);
    assert_eq!(layer(&dist), first);
    // A power loss can leave files without their content, which are not used.
    for chunk in chunks() {
        let file = fs::File::options().write(true).open(chunk).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    }
    fs::remove_dir_all(cache.join("layers")).unwrap();
    dist.image(&[]);
    assert_eq!(layer(&dist), first);
    assert!(fs::read(&blob).unwrap() == before);
    let other = large(9);
    other.image(&[]);
    let second = layer(&other);
    assert_eq!(second["diff-id"], first["diff-id"]);
    assert!(second["size"].as_u64() < first["size"].as_u64(), "{second} {first}");
    assert_eq!(second["compressor"], "libdeflate-1.26/gzip/9/4MiB/cut");
}

/// `skopeo copy` of all platforms to `registry`.
fn push(skopeo: &Path, from: &str, registry: &Registry, name: &str) {
    let to = registry.url(name);
    peer::run(skopeo, ["copy", "--all", "--dest-tls-verify=false", from, &to]);
}

#[test]
fn stdout_names_each_image_by_its_digest() {
    let dist = pair();
    let told = dist.image(&[]);
    let layout = dist.root().join("image/hello");
    assert_eq!(told, format!("hello@{}\n", digest(&layout)));
    let platforms: Vec<_> = found(&layout).iter().map(|f| f.platform.to_string()).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    // What dist.json says, and nothing of the stage is left.
    let text = fs::read(dist.root().join("dist.json")).unwrap();
    let recorded: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(recorded["images"][0]["digest"], digest(&layout).as_str());
    let binaries = &recorded["images"][0]["platforms"][0]["binaries"];
    assert_eq!(
        binaries["/usr/local/bin/hello"],
        Digest::sha256(&program::amd64()).to_string().as_str()
    );
    assert!(!dist.beside("target/dist.partial").exists());
}

#[test]
fn skopeo_copies_all_platforms_of_layout_and_archives_and_keeps_the_digest() {
    let (Some(skopeo), Some(registry)) = (peer::find("skopeo"), Registry::start()) else {
        return;
    };
    let dist = pair();
    let layout = dist.write("oci", "layout");
    let archive = dist.write("oci-archive", "archive.tar");
    let every = dist.write("docker-archive", "every.tar");
    let digest = digest(&layout);
    for (n, from) in [
        format!("oci:{}:1.0", layout.display()),
        format!("oci-archive:{}:1.0", archive.display()),
        format!("oci-archive:{}", every.display()),
    ]
    .iter()
    .enumerate()
    {
        let name = format!("team/hello:{n}");
        push(&skopeo, from, &registry, &name);
        let url = registry.url(&name);
        let inspect = |more: &[&str]| {
            let args = [&["inspect", "--tls-verify=false"], more, &[&url]].concat();
            peer::run(&skopeo, args)
        };
        let index = inspect(&["--raw"]);
        assert_eq!(Digest::sha256(index.as_bytes()).to_string(), digest, "{from}");
        for image in found(&layout) {
            let arch = format!("--override-arch={}", image.platform.architecture);
            let config = inspect(&[&arch, "--config", "--raw"]);
            assert_eq!(Digest::sha256(config.as_bytes()), image.config.digest(), "{from}");
        }
    }
}

#[test]
fn crane_validates_the_images() {
    let (Some(skopeo), Some(registry)) = (peer::find("skopeo"), Registry::start()) else {
        return;
    };
    let Some(crane) = peer::crane() else { return };
    let dist = pair();
    let layout = dist.write("oci", "layout");
    push(&skopeo, &format!("oci:{}:1.0", layout.display()), &registry, "hello:1.0");
    let name = format!("{}/hello:1.0", registry.address);
    assert_eq!(peer::run(&crane, ["digest", &name]).trim(), digest(&layout));
    for platform in ["linux/amd64", "linux/arm64"] {
        let said = peer::run(&crane, ["validate", "--remote", &name, "--platform", platform]);
        assert!(said.starts_with("PASS"), "{said}");
    }
    let every = dist.write("docker-archive", "every.tar");
    let said = peer::run(&crane, ["validate", "--tarball", every.to_str().unwrap()]);
    assert!(said.starts_with("PASS"), "{said}");
}

/// Both architectures, the other one by the kernel's binfmt_misc and qemu.
#[test]
fn podman_runs_both() {
    let (Some(podman), Some(())) = (peer::find("podman"), peer::root()) else {
        return;
    };
    // Podman's default may be runc, which does not run containers without control groups.
    let Some(crun) = peer::find("crun") else { return };
    let (Some(unshare), Some(_binfmt)) = (peer::find("unshare"), peer::Binfmt::arm64()) else {
        return;
    };
    let dist = pair();
    let archive = dist.write("docker-archive", "every.tar");
    let (root, runs) = (dist.beside("store"), dist.beside("runs"));
    let store = format!(
        "{} --runtime {} --root {} --runroot {} --storage-driver=vfs",
        podman.display(),
        crun.display(),
        root.display(),
        runs.display()
    );
    for platform in ["linux/amd64", "linux/arm64"] {
        // In cgroups of its own, whatever those around it are.
        let script = format!(
            "umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && \
             id=$({store} pull --quiet --platform {platform} oci-archive:{}) && \
             exec {store} run --rm --platform {platform} --network none --cgroups disabled \
             --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 $id",
            archive.display()
        );
        let ran = peer::output(&unshare, ["-m", "sh", "-c", &script]);
        let error = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(String::from_utf8_lossy(&ran.stdout), program::TEXT, "{platform}: {error}");
        assert_eq!(ran.status.code(), Some(65532 & 0xff), "{platform}: {error}");
    }
}

#[test]
fn umoci_unpacks_the_file_with_its_mode_and_owner() {
    let (Some(umoci), Some(())) = (peer::find("umoci"), peer::root()) else {
        return;
    };
    let dist = single();
    for compression in ["gzip", "none"] {
        let layout = dist.beside(compression);
        let output = format!("--output=oci={}", layout.display());
        dist.image(&[&output, "--compression", compression]);
        let image = format!("{}:1.0", layout.display());
        let out = dist.beside(&format!("{compression}.out"));
        peer::run(&umoci, ["unpack", "--image", &image, out.to_str().unwrap()]);
        let file = out.join("rootfs/usr/local/bin/hello");
        assert_eq!(fs::read(&file).unwrap(), program::amd64());
        let meta = fs::metadata(&file).unwrap();
        assert_eq!(meta.mode(), 0o100_755);
        assert_eq!((meta.uid(), meta.gid()), (0, 0));
        assert_eq!(meta.mtime(), EPOCH as i64);
    }
}

#[test]
fn podman_loads_both_archives() {
    let (Some(podman), Some(())) = (peer::find("podman"), peer::root()) else {
        return;
    };
    let dist = pair();
    let own = |name: &str| dist.beside(name).display().to_string();
    let config = found(&dist.write("oci", "layout"))[0].config.digest().hex();
    for (source, form) in [("oci-archive", "oci-archive"), ("docker-archive", "docker-archive")] {
        let (root, runroot) = (own(source), own("run"));
        let podman = |args: &[&str]| {
            let store = ["--root", &root, "--runroot", &runroot, "--storage-driver=vfs"];
            peer::run(&podman, [&store, args].concat())
        };
        let file = dist.write(form, &format!("{form}.tar"));
        let image = format!("{source}:{}", file.display());
        let id = podman(&["pull", "--quiet", "--arch=amd64", &image]);
        let labels = ["image", "inspect", "--format={{.User}} {{.Labels}}", id.trim()];
        let labels = podman(&labels);
        assert!(labels.starts_with("65532:65532 map["), "{labels}");
        assert!(labels.contains("image.title:hello"), "{labels}");
        assert_eq!(id.trim(), config, "{source}");
    }
}

#[test]
fn the_engine_loads_the_archive() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let dist = pair();
    let path = dist.write("docker-archive", "every.tar");
    engine.run(&["load", "--quiet", "--input", path.to_str().unwrap()]);
    let id = engine.run(&["image", "inspect", "--format={{.Id}}", "hello:1.0"]);
    let config = found(&dist.write("oci", "layout"))[0].config.digest();
    assert_eq!(id.trim(), config.to_string());
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
    let dist = pair();
    let layout = dist.write("oci", "layout");
    push(&skopeo, &format!("oci:{}:1.0", layout.display()), &registry, "hello:1.0");
    let name = format!("{}/hello@{}", registry.address, digest(&layout));
    engine.run(&["pull", "--quiet", &name]);
    let id = engine.run(&["image", "inspect", "--format={{.Id}}", &name]);
    assert_eq!(id.trim(), found(&layout)[0].config.digest().to_string());
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
    let dist = Dist::new(&[("linux/arm64", &program::arm64())], json!({}));
    let layout = format!("{}:1.0", dist.write("oci", "layout").display());
    let out = dist.beside("out");
    peer::run(&umoci, ["unpack", "--rootless", "--image", &layout, out.to_str().unwrap()]);
    let file = out.join("rootfs/usr/local/bin/hello");
    let ran = peer::output(&qemu, [&file]);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), program::TEXT);
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(ran.status.code(), Some((uid & 0xff) as i32));
}

struct NoFiles;

impl FileStore for NoFiles {
    fn open(&self, name: &str) -> longshore::Result<Box<dyn std::io::Read + '_>> {
        panic!("{name}")
    }
}

#[test]
fn gnu_tar_lists_a_layer_with_long_names() {
    let Some(tar) = peer::find("tar") else {
        return;
    };
    let meta = Meta { mode: 0o755, uid: 0, gid: 0, mtime: EPOCH };
    let long = format!("opt/{}/{}", "d".repeat(120), "é".repeat(30));
    let mut tree = Tree::default();
    tree.add_file("/usr/local/bin/hello", meta, meta, Content::bytes(*b"hello")).unwrap();
    tree.add_file(&format!("/{long}"), meta, meta, Content::bytes(*b"long")).unwrap();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("layer.tar");
    tree.write(&NoFiles, fs::File::create(&file).unwrap()).unwrap();
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
fn an_engine_with_containerds_store_loads_the_archive_and_runs_both() {
    let Some(engine) = BuildKit::start() else {
        return;
    };
    let dist = pair();
    let path = dist.write("docker-archive", "every.tar");
    engine.run(&["load", "--quiet", "--input", path.to_str().unwrap()]);
    // This store names images by what they were pulled by, and keeps every platform.
    let id = engine.run(&["image", "inspect", "--format={{.Id}}", "hello:1.0"]);
    assert_eq!(id.trim(), digest(&dist.write("oci", "layout")));
    let Some(_binfmt) = peer::Binfmt::arm64() else { return };
    for platform in ["linux/amd64", "linux/arm64"] {
        let run = ["run", "--rm", "--network=none", "--platform", platform, "hello:1.0"];
        let ran = engine.output(&run);
        let error = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(String::from_utf8_lossy(&ran.stdout), program::TEXT, "{platform}: {error}");
        assert_eq!(ran.status.code(), Some(65532 & 0xff), "{platform}: {error}");
    }
}

/// The built-in recipe, without a file: its Dockerfile is what BuildKit is given.
#[test]
fn buildkit_builds_the_same_from_the_built_in_recipe() {
    let Some(buildkit) = BuildKit::start() else {
        return;
    };
    let platforms = ["linux/amd64", "linux/arm64"];
    let programs = [(platforms[0], &program::amd64()[..]), (platforms[1], &program::arm64())];
    let labels = json!({ "labels": { "awkward": r#"a "b" 'c' \ \n $HOME ${d} # é  ,<&>"# } });
    let dist = Dist::new(&programs, labels);
    for platform in platforms {
        // A mode that `--chmod` has to mend.
        let path = dist.root().join(platform).join("bin/hello");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let dockerfile = dist.beside("Dockerfile");
    fs::write(&dockerfile, Recipe::new(vec!["hello".into()]).text().unwrap()).unwrap();
    let theirs = dist.beside("theirs");
    let label = r#"--label=awkward=a "b" 'c' \ \n $HOME ${d} # é  ,<&>"#;
    let paths = (dockerfile.as_path(), dist.root(), theirs.as_path());
    buildkit.build((paths.0, &paths.1, paths.2), &platforms.join(","), EPOCH, &[label]);
    let (ours, theirs) = (found(&dist.write("oci", "ours")), found(&theirs));
    assert_eq!((ours.len(), theirs.len()), (2, 2));
    for (our, their) in ours.iter().zip(&theirs) {
        assert_eq!(
            String::from_utf8_lossy(our.config.bytes()),
            String::from_utf8_lossy(their.config.bytes()),
        );
    }
}
