//! `image inspect` and `image diff` of all that is wrong with some images, or is none.

use std::{
    fs,
    io::{Read as _, Write as _},
};

use crate::{
    inspect::{entry, image, layered},
    support::workspace::Workspace,
    verify_archive::{gzip, tar},
    verify_image::Layout,
};

#[test]
fn digest_mismatches_are_rejected() {
    let damaged = "it is damaged, or was changed after it was made: copy or build it again";
    let broken = |name: &str, change: &dyn Fn(&Layout), error: &str| {
        let layout = layered(name);
        change(&layout);
        image(layout.dir.parent().unwrap(), "inspect layout")
            .status(1)
            .stderr("error: `layout!linux/amd64`: ")
            .stderr(error)
            .hint(damaged)
            .run();
    };
    let second = |layout: &Layout| layout.blob_path(&layout.layers[1]["digest"]);
    let place = "layer 2, `blobs/sha256/";
    broken(
        "inspect-lie",
        &|layout| fs::write(second(layout), gzip(&tar(&[("x", 0o644, b"other")]))).unwrap(),
        "` is not the one of the image: it has ",
    );
    let cut = |layout: &Layout| {
        let whole = fs::read(second(layout)).unwrap();
        fs::write(second(layout), &whole[..whole.len() / 2]).unwrap();
    };
    broken("inspect-cut", &cut, place);
    broken("inspect-gone", &|layout| fs::remove_file(second(layout)).unwrap(), "`: it is missing");
    let bomb = |layout: &Layout| {
        // One file of 256 MiB of zeros.
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..1].copy_from_slice(b"x");
        header.set_size(256 << 20);
        header.set_cksum();
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(header.as_bytes()).unwrap();
        std::io::copy(&mut std::io::repeat(0).take(256 << 20), &mut out).unwrap();
        fs::write(second(layout), out.finish().unwrap()).unwrap();
    };
    broken(
        "inspect-bomb",
        &bomb,
        "it unpacks to more than 200 times its size, like a \
            decompression bomb",
    );

    let layout = layered("inspect-config");
    let dir = layout.dir.parent().unwrap();
    let files = fs::read_dir(layout.dir.join("blobs/sha256")).unwrap();
    let config = files.map(|file| file.unwrap().path()).find(|path| {
        fs::read(path).unwrap().starts_with(b"{")
            && fs::read_to_string(path).unwrap().contains("rootfs")
    });
    let text = fs::read_to_string(config.as_ref().unwrap()).unwrap();
    fs::write(config.unwrap(), text.replace("A=1", "A=2")).unwrap();
    image(dir, "inspect layout").status(1).stderr("is corrupt: it has ").hint(damaged).run();
    image(dir, "diff layout layout").status(1).stderr("is corrupt: it has ").run();
}

#[test]
fn files_that_no_engine_unpacks_are_rejected() {
    use tar::EntryType as T;
    let broken = |name: &str, entries: &[(T, &str, &str)], error: &str| {
        let mut tar = tar::Builder::new(Vec::new());
        for (kind, path, link) in entries {
            entry(&mut tar, *kind, path, 0o644, link, b"");
        }
        let mut layout = Layout::new(name);
        layout.tar_layer(&tar.into_inner().unwrap()).write();
        let dir = layout.dir.parent().unwrap();
        image(dir, "inspect layout").status(1).stderr("layer 1, `").stderr(error).run();
    };
    broken("inspect-out", &[(T::Regular, "a/../../x", "")], "`a/../../x` leads out of the image");
    broken("inspect-none", &[(T::Regular, "a/.wh.", "")], "`a/.wh.` is a whiteout without a name");
    broken(
        "inspect-below",
        &[(T::Regular, "a", ""), (T::Regular, "a/b", "")],
        "`/a/b` is below `/a`, which is a file",
    );
    broken(
        "inspect-circle",
        &[(T::Symlink, "a", "b"), (T::Symlink, "b", "a"), (T::Regular, "a/x", "")],
        "`/a` leads through too many links",
    );
    broken(
        "inspect-hard",
        &[(T::Link, "a", "b")],
        "`/a` is a hard link to `/b`, which is not there",
    );
}

#[test]
fn other_files_are_rejected_as_images() {
    let deep = "[".repeat(1 << 20);
    let workspace = Workspace::empty()
        .file("text", "text")
        .file("empty/.keep", "")
        .file("absurd/oci-layout", "{}")
        .file("absurd/index.json", &deep)
        .file("none/oci-layout", "{}")
        .file("none/index.json", r#"{"schemaVersion":2,"manifests":[]}"#);
    let dir = workspace.root();
    let hint = "name an OCI layout, an OCI archive, or what `docker save` wrote";
    fs::write(dir.join("other.tar"), tar(&[("x", 0o644, b"x")])).unwrap();
    fs::write(dir.join("x.gz"), gzip(b"text")).unwrap();
    image(dir, "inspect gone").status(2).stderr("there is no `gone`").hint(hint).run();
    for (name, error) in [
        ("text", "`text` is not an image: it is not a tar archive"),
        ("empty", "`empty` is not an image: it is a directory with no layout in it"),
        ("other.tar", "`other.tar` is not an image: it is an archive of something else"),
        ("x.gz", "`x.gz` is not an image: its compressed content is not a tar archive"),
    ] {
        image(dir, &format!("inspect {name}")).status(1).stderr(error).hint(hint).run();
        image(dir, &format!("diff {name} gone")).status(1).stderr(error).hint(hint).run();
    }
    image(dir, "inspect absurd").status(1).stderr("`absurd`: not a valid image index").run();
    image(dir, "inspect none").status(1).stderr("`none` has no image").run();
    image(dir, "inspect x@sha256:00")
        .status(2)
        .stderr("there is no `x@sha256:00`")
        .hint(hint)
        .run();
    // A name that may be a path with a wrong letter is looked for nowhere else.
    for name in ["target/gone", "gone.tar:1.0", "./gone:1.0"] {
        let error = format!("there is no `{name}`");
        image(dir, &format!("inspect {name}")).status(2).stderr(&error).hint(hint).run();
    }
    for name in ["127.0.0.1:1/team/x:1", "docker://127.0.0.1:1/x"] {
        let error = "`127.0.0.1:1`: cannot talk to the registry: the connection is refused";
        let hint = "is the name `127.0.0.1:1` right";
        image(dir, &format!("inspect {name}")).status(5).stderr(error).hint(hint).run();
    }
}
