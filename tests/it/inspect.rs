//! `image inspect` and `image diff`: what they say, held against what other people's programs say
//! of the same images.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileTypeExt as _, MetadataExt as _},
    },
    path::Path,
    process::Command,
};

use longshore::model::digest::Digest;
use serde_json::{Value, json};

use crate::{
    schema::valid,
    support::{
        command::{Test, longshore},
        dist::{Dist, digest, found},
        peer, program,
        workspace::Workspace,
    },
    verify_image::Layout,
};

/// Returns the command `image ARGS`, where `dir` is.
pub(crate) fn image(dir: &Path, args: &str) -> Test {
    longshore(&Workspace::empty(), &format!("image {args}")).dir(dir)
}

fn inspect(dir: &Path, args: &str) -> Value {
    let json = image(dir, &format!("inspect --message-format json {args}")).run();
    assert_ne!(valid("image.v1", &json.stdout), Some(false));
    json.json()
}

fn pair() -> Dist {
    let programs = [("linux/arm64", &program::arm64()[..]), ("linux/amd64", &program::amd64())];
    Dist::new(&programs, json!({ "annotations": { "note": "n" } }))
}

/// An entry of a tar: its type, path, mode, owner, link and content.
pub(crate) fn entry(
    tar: &mut tar::Builder<Vec<u8>>,
    kind: tar::EntryType,
    path: &str,
    mode: u32,
    link: &str,
    content: &[u8],
) {
    let mut header = tar::Header::new_ustar();
    // Written as it is: whatever a path may be.
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_mode(mode);
    header.set_uid(7);
    header.set_gid(8);
    header.set_mtime(1_700_000_000);
    header.set_size(content.len() as u64);
    header.set_entry_type(kind);
    header.set_cksum();
    tar.append(&header, content).unwrap();
}

/// Returns two layers with one of each: files, links, a pipe, whiteouts, and ways through links.
pub(crate) fn layered(name: &str) -> Layout {
    use tar::EntryType as T;
    let mut lower = tar::Builder::new(Vec::new());
    entry(&mut lower, T::Directory, "usr/", 0o755, "", b"");
    entry(&mut lower, T::Directory, "usr/lib/", 0o755, "", b"");
    entry(&mut lower, T::Regular, "usr/lib/a", 0o644, "", b"lower");
    entry(&mut lower, T::Regular, "usr/lib/gone", 0o644, "", b"gone");
    entry(&mut lower, T::Symlink, "lib", 0o777, "usr/lib", b"");
    entry(&mut lower, T::Link, "usr/also-a", 0o644, "usr/lib/a", b"");
    entry(&mut lower, T::Fifo, "usr/pipe", 0o600, "", b"");
    entry(&mut lower, T::Directory, "opt/", 0o755, "", b"");
    entry(&mut lower, T::Directory, "opt/old/", 0o755, "", b"");
    entry(&mut lower, T::Regular, "opt/old/x", 0o4755, "", b"x");
    let mut upper = tar::Builder::new(Vec::new());
    entry(&mut upper, T::Regular, "usr/lib/.wh.gone", 0, "", b"");
    entry(&mut upper, T::Directory, "opt/", 0o700, "", b"");
    entry(&mut upper, T::Directory, "opt/old/", 0o1777, "", b"");
    entry(&mut upper, T::Regular, "opt/old/.wh..wh..opq", 0, "", b"");
    entry(&mut upper, T::Regular, "opt/old/new", 0o755, "", b"new");
    entry(&mut upper, T::Regular, "lib/b", 0o644, "", b"through a link");
    let mut layout = Layout::new(name);
    layout.tar_layer(&lower.into_inner().unwrap()).tar_layer(&upper.into_inner().unwrap());
    layout.config = json!({ "Env": ["A=1"], "Labels": { "l": "\u{1b}[31m" }, "Shell": ["sh"] });
    layout.write();
    layout
}

/// Path, kind, mode, owner and size.
pub(crate) type UmociFiles = BTreeMap<String, (String, String, String, u64)>;

pub(crate) fn umoci_files(files: &Value) -> UmociFiles {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let file = |file: &Value| {
        // Two names of one file are told from each other by their order only.
        let kind = text(&file["kind"]).replace("hard-link", "file");
        let owner = format!("{}:{}", file["uid"], file["gid"]);
        let size = file["size"].as_u64().unwrap();
        (text(&file["path"]), (kind, text(&file["mode"]), owner, size))
    };
    files.as_array().unwrap().iter().map(file).collect()
}

/// Returns the files below a directory, as the file system has them.
pub(crate) fn on_disk(root: &Path) -> UmociFiles {
    let mut found = UmociFiles::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let (kind, size) = match meta.file_type() {
                kind if kind.is_dir() => ("directory", 0),
                kind if kind.is_symlink() => ("symlink", 0),
                kind if kind.is_fifo() => ("pipe", 0),
                _ => ("file", meta.len()),
            };
            let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes();
            let name = format!("/{}", longshore::archive::unpack::escaped(name));
            let owner = format!("{}:{}", meta.uid(), meta.gid());
            let mode = format!("{:04o}", meta.mode() & 0o7777);
            found.insert(name, (kind.to_owned(), mode, owner, size));
            if meta.is_dir() {
                open.push(path);
            }
        }
    }
    found
}

#[test]
fn the_files_are_those_that_umoci_unpacks() {
    let layout = layered("inspect-umoci");
    let dir = layout.dir.parent().unwrap();
    let found = inspect(dir, "layout:1");
    let files = &found["sources"][0]["sets"][0]["images"][0]["files"];
    let seen = umoci_files(files);
    assert_eq!(seen["/opt/old"].1, "1777");
    assert!(!seen.contains_key("/usr/lib/gone") && !seen.contains_key("/opt/old/x"), "{seen:?}");
    let link = files.as_array().unwrap().iter().find(|file| file["path"] == "/usr/lib/a").unwrap();
    assert_eq!((&link["kind"], &link["target"]), (&json!("hard-link"), &json!("/usr/also-a")));
    let (Some(umoci), Some(())) = (peer::find("umoci"), peer::root()) else { return };
    let (layout, out) = (format!("{}:1", layout.dir.display()), dir.join("out"));
    peer::run(&umoci, ["unpack", "--image", &layout, out.to_str().unwrap()]);
    assert_eq!(seen, on_disk(&out.join("rootfs")));
}

#[test]
fn human_output_has_a_tree_and_each_layer() {
    let layout = layered("inspect-tree");
    let dir = layout.dir.parent().unwrap();
    let lines = [
        "layout: OCI layout\n  names          1\n",
        "\n  linux/amd64\n    manifest     sha256:",
        "\n    env          A=1\n    label        l = \\u{1b}[31m\n",
        "\n    other        config.Shell = [\"sh\"]\n",
        "    layer 2      ",
        "\n    mode             owner  size  layer  path\n",
        "\n    lrwxrwxrwx 0777    7:8     -      1  /lib -> usr/lib\n",
        "\n    -rw-r--r-- 0644    7:8   5 B      1    also-a\n",
        "\n    -rw-r--r-- 0644    7:8   5 B      1      a = /usr/also-a\n",
        "\n    drwxrwxrwt 1777    7:8     -      2    old/\n",
        "\n    prw------- 0600    7:8     -      1    pipe\n",
    ];
    let shown = lines.into_iter().fold(image(dir, "inspect layout"), Test::stdout).run().stdout;
    assert!(!shown.contains("gone") && !shown.contains('\u{1b}'), "{shown}");
    image(dir, "inspect --layers layout")
        .stdout("  /usr/also-a = /usr/lib/a\n")
        .stdout("\n    w--------- 0000    7:8     -  /usr/lib/gone (removed)\n")
        .stdout("\n    o--------- 0000    7:8     -  /opt/old (emptied)\n")
        .stdout("  /lib/b\n")
        .run();
}

#[test]
fn both_platforms_match_skopeo() {
    let dist = pair();
    let dir = &dist.beside("");
    let layout = dist.write("oci", "layout");
    let seen = inspect(dir, "layout");
    let umoci_files = &seen["sources"][0]["sets"][0];
    assert_eq!(umoci_files["names"], json!(["docker.io/library/hello:1.0", "1.0"]));
    assert_eq!(umoci_files["digest"], json!(digest(&layout)));
    assert_eq!(umoci_files["media-type"], "application/vnd.oci.image.index.v1+json");
    assert_eq!(umoci_files["annotations"]["note"], "n");
    let skopeo = peer::find("skopeo");
    for (image, umoci_files) in found(&layout).iter().zip(umoci_files["images"].as_array().unwrap())
    {
        assert_eq!(umoci_files["platform"], json!(image.platform));
        assert_eq!(umoci_files["manifest"], json!(image.manifest.digest()));
        assert_eq!(umoci_files["config-digest"], json!(image.config.digest()));
        let size = image.manifest.size() + image.manifest.content_size();
        assert_eq!(umoci_files["size"], json!(size));
        let Some(skopeo) = &skopeo else { continue };
        let arch = format!("--override-arch={}", image.platform.architecture);
        let said = |args: &[&str]| -> Value {
            let layout = format!("oci:{}:1.0", dir.join("layout").display());
            let said = peer::run(skopeo, [&["inspect", &arch], args, &[&layout]].concat());
            serde_json::from_str(&said).unwrap()
        };
        let config = said(&["--config"]);
        let runs = &config["config"];
        assert_eq!(umoci_files["created"], config["created"]);
        assert_eq!(umoci_files["config"]["entrypoint"], runs["Entrypoint"]);
        assert_eq!(umoci_files["config"]["env"], runs["Env"]);
        assert_eq!(umoci_files["config"]["user"], runs["User"]);
        assert_eq!(umoci_files["config"]["working-dir"], runs["WorkingDir"]);
        assert_eq!(umoci_files["config"]["labels"], runs["Labels"]);
        let history = umoci_files["history"].as_array().unwrap();
        assert_eq!(history.len(), config["history"].as_array().unwrap().len());
        let layers: Vec<_> = umoci_files["layers"].as_array().unwrap().iter().collect();
        let digests: Vec<_> = layers.iter().map(|layer| layer["digest"].clone()).collect();
        assert_eq!(json!(digests), said(&[])["Layers"]);
        let diff_ids: Vec<_> = layers.iter().map(|layer| layer["diff-id"].clone()).collect();
        assert_eq!(json!(diff_ids), config["rootfs"]["diff_ids"]);
        for (layer, listed) in image.manifest.layers.iter().zip(layers) {
            assert_eq!(listed["size"], json!(layer.size));
            assert_eq!(listed["media-type"], json!(layer.media_type));
            assert!(listed["created-by"].as_str().unwrap().starts_with("COPY"), "{listed}");
        }
    }
    let one = inspect(dir, "layout:1.0 --platform linux/arm64/v8");
    let images = one["sources"][0]["sets"][0]["images"].as_array().unwrap();
    assert_eq!((images.len(), &images[0]["platform"]), (1, &json!("linux/arm64")));
}

#[test]
fn every_form_of_an_image_is_equal_to_the_others() {
    let layout = layered("inspect-forms");
    let dir = layout.dir.parent().unwrap();
    let run = |program: &Path, args: &[&str]| {
        let output = Command::new(program).args(args).current_dir(dir).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let same = |other: &str, form: &str| {
        assert_eq!(inspect(dir, other)["sources"][0]["form"], form);
        image(dir, &format!("diff --times layout {other}")).stdout("no difference\n").run();
    };
    if let Some(tar) = peer::find("tar") {
        let all = ["-C", "layout", "blobs", "index.json", "oci-layout"];
        run(&tar, &[&["-cf", "a.tar"][..], &all].concat());
        same("a.tar:1", "oci-archive");
        run(&tar, &[&["-czf", "a.tar.gz"][..], &all].concat());
        same("a.tar.gz", "oci-archive");
        let packed = fs::read(dir.join("a.tar")).unwrap();
        fs::write(dir.join("a.tar.zst"), zstd::encode_all(&packed[..], 1).unwrap()).unwrap();
        same("a.tar.zst:1", "oci-archive");
    }
    if let Some(skopeo) = peer::find("skopeo") {
        for to in ["oci-archive:o.tar:2", "docker-archive:d.tar:team/x:1", "oci:zstd:1"] {
            let more: &[&str] =
                if to.starts_with("oci:") { &["--dest-compress-format", "zstd"] } else { &[] };
            run(&skopeo, &[&["copy", "--quiet"], more, &["oci:layout:1", to]].concat());
        }
        same("o.tar:2", "oci-archive");
        same("zstd", "oci-layout");
        let found = inspect(dir, "d.tar:1");
        let set = &found["sources"][0]["sets"][0];
        assert_eq!(set["names"], json!(["docker.io/team/x:1"]));
        assert_eq!((&set["digest"], &set["images"][0]["size"]), (&Value::Null, &Value::Null));
        assert_eq!(umoci_files(&set["images"][0]["files"]).len(), 10);
        same("d.tar:docker.io/team/x:1", "docker-archive");
    }
}

#[test]
fn differences_are_listed() {
    let mut a = Layout::new("inspect-diff-a");
    a.layer(&[("bin/x", 0o644, b"12 characters"), ("bin/y", 0o644, b"y"), ("same", 0o644, b"")]);
    a.config = json!({ "User": "0", "Env": ["P=1", "Q=1"], "Labels": { "old": "1" } });
    a.write();
    let mut b = Layout::new("inspect-diff-b");
    b.layer(&[("bin/x", 0o755, b"1234"), ("bin/z", 0o755, b"z"), ("same", 0o644, b"")]);
    b.config = json!({ "User": "7", "Env": ["P=2", "Q=1"], "Labels": { "new": "1" } });
    b.write();
    let paths = format!("{} {}", a.dir.display(), b.dir.display());
    let dir = a.dir.as_path();
    let wanted = "linux/amd64
  ~ user       0 → 7
  ~ env P      1 → 2
  + label new  1
  - label old  1
  ~ layers     0 of 1 equal
  ~ /bin/x  mode 0644 → 0755, size 13 → 4, content
  - /bin/y  file 0644 0:0 1 B
  + /bin/z  file 0755 0:0 1 B
";
    let text = image(dir, &format!("diff {paths}")).status(1).stdout("linux/amd64").run().stdout;
    assert_eq!(text, wanted);
    let json = image(dir, &format!("diff --message-format json {paths}"));
    let json = json.status(1).stdout("\"equal\": false").run();
    assert_ne!(valid("image-diff.v1", &json.stdout), Some(false));
    let diff = &json.json()["platforms"][0];
    assert_eq!(diff["files"]["changed"][0]["changes"][0]["field"], "mode");
    assert_eq!(diff["files"]["added"][0]["path"], "/bin/z");
    assert_eq!(diff["layers"], json!({ "before": 1, "after": 1, "equal": 0, "same": 0 }));
}

#[test]
fn missing_times_and_platforms_are_reported() {
    let dist = pair();
    let dir = &dist.beside("");
    dist.write("oci", "both");
    dist.image(&["--platform=linux/amd64", &format!("--output=oci={}", dir.join("one").display())]);
    image(dir, "diff both one")
        .status(1)
        .stdout("  - annotation note  ")
        .stdout("  hello\n- linux/arm64: only in both\nlinux/amd64: no difference\n")
        .run();
    image(dir, "diff one both").status(1).stdout("+ linux/arm64: only in both\n").run();
    let manifest = dist.root().join("dist.json");
    let text = fs::read_to_string(&manifest).unwrap();
    for (name, epoch) in [("early", "1"), ("late", "2")] {
        fs::write(&manifest, text.replace("1700000000", epoch)).unwrap();
        let output = format!("--output=oci={}", dir.join(name).display());
        dist.image(&["--platform=linux/amd64", "--compression=none", &output]);
    }
    image(dir, "diff early late").stdout("no difference; times were not compared\n").run();
    image(dir, "diff --times early late")
        .status(1)
        .stdout("  ~ created    1970-01-01T00:00:01Z → 1970-01-01T00:00:02Z\n")
        .stdout("  ~ layers     0 of 1 equal\n")
        .stdout("  ~ /usr/local/bin/hello  mtime 1 → 2\n")
        .run();
}

#[test]
fn one_of_several_images_is_chosen_by_its_name() {
    let layout = layered("inspect-tags");
    let dir = layout.dir.parent().unwrap();
    let index = layout.dir.join("index.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
    let first = json["manifests"][0].clone();
    let mut again = first.clone();
    again["annotations"]["org.opencontainers.image.ref.name"] = "latest".into();
    let mut other = layered("inspect-tags-other");
    other.config = json!({ "User": "7" });
    other.write();
    let mut theirs = adopt(&layout, &other);
    theirs["annotations"]["org.opencontainers.image.ref.name"] = "2".into();
    let digest = theirs["digest"].as_str().unwrap().to_owned();
    json["manifests"] = json!([first, again, theirs]);
    fs::write(&index, json.to_string()).unwrap();
    let found = inspect(dir, "layout");
    let names: Vec<_> = found["sources"][0]["sets"].as_array().unwrap().iter().collect();
    assert_eq!((&names[0]["names"], &names[1]["names"]), (&json!(["1", "latest"]), &json!(["2"])));
    for name in ["layout:2", &format!("layout@{digest}")] {
        let found = inspect(dir, name);
        let sets = &found["sources"][0]["sets"];
        assert_eq!((sets.as_array().unwrap().len(), &sets[0]["digest"]), (1, &json!(digest)));
    }
    image(dir, "diff layout:1 layout:latest").run();
    image(dir, "diff layout:1 layout:2").status(1).stdout("user").run();
    image(dir, "diff layout layout:2")
        .status(2)
        .stderr("`layout` has several images for `linux/amd64`")
        .hint("name one as `layout:TAG`: it has `1`, `latest`, `2`")
        .run();
    image(dir, "inspect layout:3")
        .status(2)
        .stderr("`layout` has no image `3`")
        .hint("it has `1`, `latest`, `2`")
        .run();
    image(dir, "inspect layout --platform linux/arm64")
        .status(2)
        .stderr("`layout` has no image for `linux/arm64`")
        .hint("it has `linux/amd64`")
        .run();
}

/// Adds the blobs of `other`, and returns the descriptor of its image.
fn adopt(layout: &Layout, other: &Layout) -> Value {
    for file in fs::read_dir(other.dir.join("blobs/sha256")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), layout.dir.join("blobs/sha256").join(file.file_name())).unwrap();
    }
    let index = fs::read(other.dir.join("index.json")).unwrap();
    let mut index: Value = serde_json::from_slice(&index).unwrap();
    index["manifests"][0].take()
}

#[test]
fn manifests_of_one_platform_are_one_image_if_their_configuration_is() {
    let layout = layered("inspect-same");
    let dir = layout.dir.parent().unwrap();
    let mut packed = layered("inspect-same-zstd");
    for layer in &mut packed.layers {
        let path =
            packed.dir.join("blobs").join(layer["digest"].as_str().unwrap().replace(':', "/"));
        let mut tar = Vec::new();
        flate2::read::MultiGzDecoder::new(&fs::read(path).unwrap()[..])
            .read_to_end(&mut tar)
            .unwrap();
        let bytes = zstd::encode_all(&tar[..], 1).unwrap();
        let digest = Digest::sha256(&bytes);
        fs::write(packed.dir.join("blobs/sha256").join(digest.hex()), &bytes).unwrap();
        *layer = json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd",
            "digest": digest, "size": bytes.len() });
    }
    packed.write();
    let mut other = layered("inspect-same-other");
    other.config = json!({ "User": "7" });
    other.write();
    let gzip = adopt(&layout, &layout);
    let with = |second: Value| {
        let index = json!({ "schemaVersion": 2, "manifests": [gzip, second],
            "mediaType": "application/vnd.oci.image.index.v1+json" });
        let bytes = index.to_string().into_bytes();
        let digest = Digest::sha256(&bytes);
        fs::write(layout.dir.join("blobs/sha256").join(digest.hex()), &bytes).unwrap();
        let index = json!({ "schemaVersion": 2, "manifests": [{ "digest": digest,
            "mediaType": "application/vnd.oci.image.index.v1+json", "size": bytes.len() }] });
        fs::write(layout.dir.join("index.json"), index.to_string()).unwrap();
        second["digest"].as_str().unwrap().to_owned()
    };
    let packed_dir = packed.dir.display();
    with(adopt(&layout, &packed));
    image(dir, &format!("diff --times layout {packed_dir}")).stdout("no difference\n").run();
    let digest = with(adopt(&layout, &other));
    let first = gzip["digest"].as_str().unwrap();
    image(dir, &format!("diff layout {packed_dir}"))
        .status(2)
        .stderr("`layout` has several images for `linux/amd64`")
        .hint(&format!("name one as `layout@DIGEST`: it has `{first}`, `{digest}`"))
        .run();
    image(dir, &format!("diff layout@{first} {packed_dir}")).run();
}
