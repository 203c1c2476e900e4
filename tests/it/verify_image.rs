//! `verify` of images: as a layout, as archives, and with all that is wrong with some.

use std::{fs, path::Path, process::Command};

use longshore::model::digest::Digest;
use serde_json::{Value, json};

use crate::{
    support::{peer, program, random::random},
    verify_archive::{File, gzip, tar},
    verify_cli::{check, directory, write},
};

/// A layout of one image, written down by hand so that each part of it can lie.
pub(crate) struct Layout {
    pub(crate) dir: std::path::PathBuf,
    pub(crate) layers: Vec<Value>,
    pub(crate) diff_ids: Vec<String>,
    architecture: &'static str,
    /// More fields of its configuration.
    pub(crate) config: Value,
}

impl Layout {
    pub(crate) fn new(name: &str) -> Self {
        let dir = directory(name).join("layout");
        fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
        fs::write(dir.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let (layers, diff_ids) = (Vec::new(), Vec::new());
        Layout { dir, layers, diff_ids, architecture: "amd64", config: json!({}) }
    }

    fn blob(&self, kind: &str, bytes: &[u8]) -> Value {
        let digest = Digest::sha256(bytes);
        fs::write(self.dir.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        json!({ "mediaType": kind, "digest": digest.to_string(), "size": bytes.len() })
    }

    /// Adds a layer above the others.
    pub(crate) fn layer(&mut self, files: &[File<'_>]) -> &mut Self {
        self.tar_layer(&tar(files))
    }

    /// Adds a layer that is this tar.
    pub(crate) fn tar_layer(&mut self, tar: &[u8]) -> &mut Self {
        let kind = "application/vnd.oci.image.layer.v1.tar+gzip";
        self.layers.push(self.blob(kind, &gzip(tar)));
        self.diff_ids.push(Digest::sha256(tar).to_string());
        self
    }

    /// Writes it down, tagged `1`.
    pub(crate) fn write(&self) {
        let json = |value: Value| serde_json::to_vec(&value).unwrap();
        let config = json(json!({
            "architecture": self.architecture, "os": "linux",
            "rootfs": { "type": "layers", "diff_ids": self.diff_ids },
            "config": self.config,
        }));
        let config = self.blob("application/vnd.oci.image.config.v1+json", &config);
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json(json!({
            "schemaVersion": 2, "mediaType": kind, "config": config, "layers": self.layers,
        }));
        let mut manifest = self.blob(kind, &manifest);
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "1" });
        let index = json(json!({ "schemaVersion": 2, "manifests": [manifest] }));
        fs::write(self.dir.join("index.json"), index).unwrap();
    }

    #[track_caller]
    fn check(&self, args: &[&str], status: i32) -> String {
        self.write();
        check(self.dir.parent().unwrap(), &[&["layout"], args].concat(), status)
    }

    pub(crate) fn blob_path(&self, digest: &Value) -> std::path::PathBuf {
        let hex = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
        self.dir.join("blobs/sha256").join(hex)
    }
}

#[test]
fn every_program_of_every_layer_is_verified() {
    let good = program::amd64();
    let bad = b"\x7fELF, and no more";
    let mut layout = Layout::new("image-layers");
    layout.layer(&[
        ("bin/gone", 0o755, &good),
        ("bin/replaced", 0o755, bad),
        ("opt/old/x", 0o755, bad),
        ("lib/kept", 0o755, &good),
        ("srv/a/x", 0o755, bad),
    ]);
    layout.layer(&[
        ("bin/.wh.gone", 0o644, b""),
        ("bin/replaced", 0o755, &good),
        ("opt/old/.wh..wh..opq", 0o644, b""),
        ("opt/old/y", 0o755, &good),
        ("srv/.wh.a", 0o644, b""),
    ]);
    let text = layout.check(&[], 1);
    for name in ["/bin/replaced", "/opt/old/y", "/lib/kept", "layer 1 (hidden)!/bin/gone"] {
        assert!(text.contains(&format!("`layout!linux/amd64!{name}` accepted")), "{text}");
    }
    for name in ["/bin/replaced", "/opt/old/x", "/srv/a/x"] {
        let line = format!("`layout!linux/amd64!layer 1 (hidden)!{name}` refused");
        assert!(text.contains(&line), "{text}");
    }
    // A whiteout does not hide what is beside it in its own layer, nor what a higher layer brings.
    let mut layout = Layout::new("image-whiteout");
    layout.layer(&[("bin/gone", 0o4755, &good), ("bin/.wh.gone", 0o644, b"")]);
    let text = layout.check(&[], 1);
    assert!(text.contains("`layout!linux/amd64!/bin/gone` refused"), "{text}");
}

#[test]
fn a_hard_link_adds_no_privileges() {
    let good = program::amd64();
    let fresh = |name: &str, mode: u32| {
        let mut archive = tar::Builder::new(Vec::new());
        let mut file = tar::Header::new_ustar();
        file.set_mode(0o755);
        file.set_size(good.len() as u64);
        archive.append_data(&mut file, "bin/a", &good[..]).unwrap();
        let mut link = tar::Header::new_ustar();
        link.set_entry_type(tar::EntryType::Link);
        link.set_mode(mode);
        link.set_size(0);
        archive.append_link(&mut link, "bin/b", "bin/a").unwrap();
        let archive = archive.into_inner().unwrap();
        let mut layout = Layout::new(name);
        layout.tar_layer(&archive);
        write(&layout.dir.with_file_name("a.tar"), &archive, 0o644);
        layout
    };
    let mut layout = fresh("image-links", 0o755);
    let text = layout.check(&[], 0);
    assert!(text.contains("`layout!linux/amd64!/bin/b` not checked: another name of"), "{text}");
    let dir = layout.dir.parent().unwrap();
    assert!(check(dir, &["a.tar"], 0).contains("`a.tar!bin/b` not checked: another name of"));
    // The file stays, under its other name, when the first one is gone.
    layout.layer(&[("bin/.wh.a", 0o644, b"")]);
    let text = layout.check(&[], 0);
    assert!(text.contains("`layout!linux/amd64!/bin/a` accepted"), "{text}");
    let layout = fresh("image-links-setuid", 0o4755);
    let text = layout.check(&[], 1);
    assert!(text.contains("without its setuid, setgid or capabilities"), "{text}");
    let text = check(layout.dir.parent().unwrap(), &["a.tar"], 1);
    assert!(text.contains("it gives `bin/a` setuid, setgid or capabilities"), "{text}");
}

#[test]
fn corrupt_images_are_rejected() {
    let good = program::amd64();
    let fresh = |name: &str| {
        let mut layout = Layout::new(name);
        layout.layer(&[("bin/x", 0o755, &good)]);
        layout
    };
    let mut lying = fresh("image-diff-id");
    lying.diff_ids[0] = Digest::sha256(b"").to_string();
    assert!(lying.check(&[], 1).contains("deny record: the image does not match"));

    let layout = fresh("image-blob");
    let path = layout.blob_path(&layout.layers[0]["digest"]);
    let other = gzip(&tar(&[("bin/y", 0o755, &good)]));
    fs::write(&path, other).unwrap();
    let text = layout.check(&[], 1);
    assert!(text.contains("deny record") && text.contains("and the digest"), "{text}");
    fs::remove_file(&path).unwrap();
    assert!(layout.check(&[], 1).contains("is missing"));
    fs::write(&path, &fs::read(layout.dir.join("index.json")).unwrap()[..9]).unwrap();
    assert!(layout.check(&[], 1).contains("`layout!linux/amd64` refused"));

    let mut foreign = fresh("image-machine");
    foreign.architecture = "arm64";
    let text = foreign.check(&[], 1);
    assert!(text.contains("deny machine: the file does not run on `linux/arm64`"), "{text}");

    let mut fewer = fresh("image-count");
    fewer.diff_ids.clear();
    assert!(fewer.check(&[], 1).contains("it has 1 layers, and its configuration 0"));

    let none = Layout::new("image-none");
    assert!(none.check(&[], 1).contains("no program is in it"));
    fs::remove_file(none.dir.join("index.json")).unwrap();
    let text = check(none.dir.parent().unwrap(), &["layout"], 1);
    assert!(text.contains("`index.json` is missing"), "{text}");
}

#[test]
fn every_form_of_an_image_has_the_same_verdict() {
    let good = program::amd64();
    let mut layout = Layout::new("image-forms");
    layout.layer(&[("bin/x", 0o755, &good)]);
    layout.layer(&[("bin/y", 0o755, &program::arm64())]);
    layout.check(&["--allow", "machine"], 0);
    let dir = layout.dir.parent().unwrap();
    let wanted = |name: &str| {
        let text = check(dir, &[name], 1);
        assert!(text.contains(&format!("`{name}!linux/amd64` accepted")), "{text}");
        assert!(text.contains(&format!("`{name}!linux/amd64!/bin/x` accepted")), "{text}");
        assert!(text.contains(&format!("`{name}!linux/amd64!/bin/y` refused")), "{text}");
    };
    wanted("layout");
    for form in ["sarif", "junit", "github", "markdown", "json"] {
        let text = check(dir, &["layout", "--message-format", form], 1);
        if form == "sarif" {
            assert_ne!(crate::schema::valid_sarif(&text), Some(false));
        }
        assert!(text.contains("machine") && text.contains("layout"), "{form}: {text}");
    }
    if let Some(tar) = peer::find("tar") {
        for (name, flags, order) in [
            ("a.tar", "-cf", ["blobs", "index.json", "oci-layout"]),
            ("a.tar.gz", "-czf", ["index.json", "oci-layout", "blobs"]),
            ("dot.tar", "-cf", [".", "./index.json", "./oci-layout"]),
        ] {
            let args = [&["-C", "layout", flags, name][..], &order].concat();
            // `-f` is relative to where tar was started.
            assert!(Command::new(&tar).args(args).current_dir(dir).status().unwrap().success());
            wanted(name);
        }
        // As somebody may have packed it, after a file of another name.
        fs::write(dir.join("layout/0"), "").unwrap();
        let args = ["-C", "layout", "-czf", "odd.tar.gz", "0", "blobs", "index.json", "oci-layout"];
        assert!(Command::new(&tar).args(args).current_dir(dir).status().unwrap().success());
        wanted("odd.tar.gz");
    }
    if let Some(skopeo) = peer::find("skopeo") {
        for to in ["oci-archive:o.tar", "docker-archive:d.tar:x:1"] {
            let mut command = Command::new(&skopeo);
            command.args(["copy", "--quiet", "oci:layout", to]).current_dir(dir);
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        wanted("o.tar");
        wanted("d.tar");
        corrupt(&dir.join("d.tar"));
        assert!(check(dir, &["d.tar"], 1).contains("deny record"));
    }
}

/// Changes one byte of a program in an archive, in a part of the file that no header is in.
fn corrupt(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let at = memchr::memmem::find(&bytes, program::TEXT.as_bytes()).unwrap();
    bytes[at] ^= 1;
    write(path, &bytes, 0o644);
}

#[test]
fn complete_dist_outputs_are_verified() {
    let (workspace, _) = crate::dist::shared();
    let dir = workspace.dist();
    let text = check(&dir, &["dist.json"], 0);
    for name in ["linux/amd64/bin/hello", "image/hello!linux/arm64!/usr/local/bin/hello"] {
        assert!(text.contains(&format!("`{name}` accepted")), "{text}");
    }
    let scratch = directory("image-dist");
    let policy = scratch.join("policy.toml");
    let policy = policy.to_str().unwrap();
    let args = ["dist.json", "--base", "dist.json", "--policy", policy];
    fs::write(policy, "max-growth.file = 0\nmax-growth.image = '0%'\nmax-size.image = '1 GB'")
        .unwrap();
    check(&dir, &args, 0);
    fs::write(policy, "max-size.image = '1 kB'\nmax-size.file = '1 kB'").unwrap();
    let text = check(&dir, &args, 1);
    assert!(text.contains("the image is larger than 1.00 kB"), "{text}");
    assert!(text.contains("the program is larger than 1.00 kB"), "{text}");
    // A layout of another image is not the one of the release.
    let mut copy = Command::new("cp");
    assert!(copy.arg("-r").arg(&dir).arg(scratch.join("dist")).status().unwrap().success());
    let index = scratch.join("dist/image/hello/index.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
    json["manifests"][0]["digest"] = Digest::sha256(b"").to_string().into();
    fs::write(&index, json.to_string()).unwrap();
    let text = check(&scratch.join("dist"), &["dist.json"], 1);
    assert!(text.contains("`image/hello` refused") && text.contains("does not point at"), "{text}");
}

/// The files of a layout, in memory.
struct Files(std::collections::BTreeMap<String, Vec<u8>>);

impl longshore::image::read::image::Store for Files {
    fn open(&self, path: &str) -> longshore::Result<Option<Box<dyn std::io::Read + '_>>> {
        Ok(self.0.get(path).map(|bytes| Box::new(&bytes[..]) as Box<dyn std::io::Read>))
    }
}

#[test]
fn mutations_of_an_image_do_not_panic_or_pass() {
    use longshore::image::{contents, read::image};
    let good = program::amd64();
    let mut layout = Layout::new("image-mutations");
    layout.layer(&[("bin/x", 0o755, &good)]).layer(&[("bin/.wh.x", 0o644, b"")]);
    layout.write();
    let mut files = std::collections::BTreeMap::new();
    for name in ["oci-layout", "index.json"] {
        files.insert(name.to_owned(), fs::read(layout.dir.join(name)).unwrap());
    }
    for entry in fs::read_dir(layout.dir.join("blobs/sha256")).unwrap() {
        let entry = entry.unwrap();
        let name = format!("blobs/sha256/{}", entry.file_name().into_string().unwrap());
        files.insert(name, fs::read(entry.path()).unwrap());
    }
    let look = |files: &Files| {
        let found = image::read_images(files)?;
        let mut faults = found.broken.len();
        for image in &found.images {
            let limit = &mut contents::MemoryLimit::default();
            let scan = contents::scan(files, image, limit, &mut |_, content| {
                drop(std::io::copy(content, &mut std::io::sink()));
                Ok(())
            })?;
            faults += scan.faults.len();
            let whole = contents::read(files, image, &mut contents::MemoryLimit::default());
            // Whoever wants it whole is told the same.
            assert_eq!(whole.is_ok(), faults == 0);
        }
        Ok::<_, longshore::model::error::Error>((found.images.len(), faults))
    };
    assert_eq!(look(&Files(files.clone())).unwrap(), (1, 0));
    let names: Vec<_> = files.keys().cloned().collect();
    let mut random = random(0x2545_f491_4f6c_dd1d);
    for round in 0..6000 {
        let name = &names[round % names.len()];
        let mut changed = files.clone();
        let bytes = changed.get_mut(name).unwrap();
        let at = random() % bytes.len();
        bytes[at] ^= 1 << (random() % 8);
        if random().is_multiple_of(8) {
            bytes.truncate(at);
        }
        let told = look(&Files(changed));
        // A blob that is another one is told; what points at blobs may lose an image.
        if name.starts_with("blobs/") {
            assert!(!matches!(told, Ok((1, 0))), "{name} {at}");
        }
    }
}

#[test]
fn unreachable_registries_are_rejected() {
    let dir = directory("image-reference");
    for name in ["127.0.0.1:1/x:1", "docker://127.0.0.1:1/x"] {
        assert!(check(&dir, &[name], 1).contains("the connection is refused"), "{name}");
    }
    assert!(check(&dir, &["x@sha256:00"], 1).contains("is not an image reference"));
}
