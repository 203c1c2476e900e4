//! `verify` of programs that somebody hides: in layers, beside images, and between the readers of one
//! archive.

use std::{fs, path::Path, process::Command};

use serde_json::json;

use crate::{
    inspect::{image, on_disk, umoci_files},
    support::{
        command::longshore,
        peer, program,
        tarball::{END, Entry, archive, long, pax},
        workspace::Workspace,
    },
    verify_archive::gzip,
    verify_cli::{check, directory, write},
    verify_image::Layout,
};

/// A program that is always rejected.
const BAD: &[u8] = b"\x7fELF, and no more";

pub(crate) fn bad(name: &str) -> Vec<u8> {
    Entry::file(name, BAD).bytes()
}

/// Returns a layout with a good program and then these layers.
pub(crate) fn layout(name: &str, layers: &[&[Vec<u8>]]) -> Layout {
    let mut layout = Layout::new(name);
    let good = Entry::file("ok", program::amd64()).bytes();
    for (at, parts) in layers.iter().enumerate() {
        let first = if at == 0 { vec![good.clone()] } else { vec![] };
        layout.tar_layer(&archive(&[&first[..], parts].concat()));
    }
    layout.write();
    layout
}

/// The tree of the image is the one that umoci unpacks.
fn same_as_umoci(layout: &Layout) {
    let dir = layout.dir.parent().unwrap();
    let found = image(dir, "inspect --message-format json layout").run().json();
    let files = umoci_files(&found["sources"][0]["sets"][0]["images"][0]["files"]);
    let (Some(umoci), Some(())) = (peer::find("umoci"), peer::root()) else { return };
    let (image, out) = (format!("{}:1", layout.dir.display()), dir.join("out"));
    peer::run(&umoci, ["unpack", "--image", &image, out.to_str().unwrap()]);
    assert_eq!(files, on_disk(&out.join("rootfs")));
}

/// A name, the entries of each layer, and the path of a program in them that is rejected.
type Case<'a> = (&'a str, &'a [&'a [Vec<u8>]], &'a str);

#[test]
fn layers_hide_nothing() {
    let text = |name: &str| Entry::file(name, "text").bytes();
    let whiteout = |name: &str| Entry::file(name, "").bytes();
    let link = |name: &str, to: &str| Entry::link(b'2', name, to).mode(0o777).bytes();
    let dir = |name: &str| Entry::new(b'5', name).bytes();
    let utf8 = |last: u8, content: &[u8]| Entry::file([b'p', last], content).bytes();
    let cases: [Case<'_>; 12] = [
        ("plain", &[&[bad("bin/evil")]], "/bin/evil"),
        ("utf8", &[&[utf8(0xfe, BAD)], &[utf8(0xff, b"text")]], "/p\\\\xfe"),
        ("link", &[&[link("a", "b"), bad("a/evil")], &[whiteout(".wh.a")]], "/a/evil"),
        (
            "link-directory",
            &[&[dir("b/"), link("a", "b"), bad("a/evil")], &[whiteout(".wh.a")]],
            "/a/evil",
        ),
        (
            "usrmerge",
            &[
                &[dir("usr/"), dir("usr/bin/"), link("bin", "usr/bin"), bad("bin/evil")],
                &[whiteout(".wh.bin")],
            ],
            "/bin/evil",
        ),
        (
            "opaque",
            &[
                &[dir("b/"), link("a", "b"), bad("a/evil")],
                &[dir("a/"), whiteout("a/.wh..wh..opq")],
            ],
            "/a/evil",
        ),
        (
            "hard",
            &[
                &[bad("evil")],
                &[Entry::link(b'1', "kept", "evil").bytes()],
                &[whiteout(".wh.evil")],
            ],
            "/evil",
        ),
        ("replaced", &[&[bad("x")], &[text("x")]], "layer 1 (hidden)!/x"),
        ("same-layer", &[&[bad("x"), text("x")]], "layer 1 (hidden)!/x"),
        ("gone", &[&[bad("x")], &[whiteout(".wh.x")]], "layer 1 (hidden)!/x"),
        ("parent", &[&[bad("a/b/x")], &[text("a")]], "layer 1 (hidden)!/a/b/x"),
        ("whiteout", &[&[bad("bin/.wh.evil")]], "/bin/.wh.evil"),
    ];
    for (name, layers, path) in cases {
        let layout = layout(&format!("hidden-{name}"), layers);
        let shown = check(layout.dir.parent().unwrap(), &["layout"], 1);
        let hidden = format!("`layout!linux/amd64!layer 1 (hidden)!{path}` refused");
        let line = format!("`layout!linux/amd64!{path}` refused");
        assert!(shown.contains(&line) || shown.contains(&hidden), "{name}: {shown}");
        assert!(shown.contains("`layout!linux/amd64` accepted"), "{name}: {shown}");
        if name != "utf8" {
            same_as_umoci(&layout);
        }
    }
    // The file that AUFS reserves is one for Docker, which links to it.
    let aufs = layout("hidden-aufs", &[&[bad(".wh..wh.plnk/1.2")]]);
    assert!(check(aufs.dir.parent().unwrap(), &["layout"], 1).contains("plnk/1.2` refused"));
}

#[test]
fn names_that_are_not_utf8_stay_different() {
    let name = |last: u8| Entry::file([b'p', last], [last]).bytes();
    let layout = layout("hidden-bytes", &[&[name(0xfe)], &[name(0xff)]]);
    let dir = layout.dir.parent().unwrap();
    let found = image(dir, "inspect --message-format json layout").run().json();
    let files = found["sources"][0]["sets"][0]["images"][0]["files"].as_array().unwrap();
    let paths: Vec<_> = files.iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/ok", "/p\\xfe", "/p\\xff"]);
    check(dir, &["layout"], 0);
}

/// Checks that every command that reads tars rejects ambiguous ones.
#[test]
fn ambiguous_archives_are_rejected_everywhere() {
    let text = Entry::file("x", "text").bytes();
    let evil = bad("bin/evil");
    let size = evil.len() as u64;
    let cases: [(&str, Vec<Vec<u8>>, &str); 6] = [
        ("slash", vec![bad("bin/evil/")], "is a file with a slash at its end"),
        (
            "names",
            vec![long(b'L', b"other"), pax(b'x', &[("path", b"bin/evil")]), text],
            "an entry has two extended headers",
        ),
        (
            "size",
            vec![Entry::link(b'2', "l", "ok").size(size).bytes(), evil.clone()],
            "has no content and a size of 1024",
        ),
        (
            "pax-size",
            vec![
                pax(b'x', &[("size", b"1024")]),
                Entry::link(b'1', "l", "ok").bytes(),
                evil.clone(),
            ],
            "has no content and a size of 1024",
        ),
        ("behind", vec![END.to_vec(), evil], "data after the zeros"),
        (
            "escape",
            vec![Entry::file("\u{1b}]0;owned\u{7}", "x").field(156, b"q").bytes()],
            "`\\x1b]0;owned\\x07` is an entry of type q",
        ),
    ];
    for (name, parts, error) in cases {
        let layout = layout(&format!("ambiguous-{name}"), &[&parts]);
        let dir = layout.dir.parent().unwrap();
        let good = Entry::file("ok", program::amd64()).bytes();
        let tar = archive(&[&[good][..], &parts].concat());
        fs::write(dir.join("x.tar"), &tar).unwrap();
        fs::write(dir.join("x.tar.gz"), gzip(&tar)).unwrap();
        for path in ["layout", "x.tar", "x.tar.gz"] {
            let shown = check(dir, &[path], 1);
            assert!(shown.contains(error), "{name} {path}: {shown}");
            assert!(!shown.contains('\u{1b}'), "{shown:?}");
        }
        let shown = image(dir, "inspect layout").status(1).stderr(error).run().stderr;
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
        image(dir, "diff layout layout").status(1).stderr(error).run();
        for path in ["x.tar", "x.tar.gz"] {
            let list = longshore(&Workspace::empty(), &format!("package list {path}"));
            list.dir(dir).status(1).stderr(error).run();
        }
    }
}

#[test]
fn sizes_that_all_readers_ignore_hide_nothing() {
    let evil = bad("bin/evil");
    for (name, link) in
        [("hard", Entry::link(b'1', "bin/l", "ok")), ("directory", Entry::new(b'5', "bin/l"))]
    {
        let parts = [link.size(evil.len() as u64).bytes(), evil.clone()];
        let layout = layout(&format!("sized-{name}"), &[&parts]);
        let dir = layout.dir.parent().unwrap();
        let good = Entry::file("ok", program::amd64()).bytes();
        fs::write(dir.join("x.tar"), archive(&[&[good][..], &parts].concat())).unwrap();
        for (path, line) in [
            ("layout", "`layout!linux/amd64!/bin/evil` refused"),
            ("x.tar", "`x.tar!bin/evil` refused"),
        ] {
            assert!(check(dir, &[path], 1).contains(line), "{name}");
        }
        same_as_umoci(&layout);
        let list = longshore(&Workspace::empty(), "package list x.tar").dir(dir);
        list.stdout("bin/evil").run();
    }
    // A hard link with the size of its file, and no content.
    let size = program::amd64().len() as u64;
    let link = Entry::link(b'1', "l", "ok").size(size).bytes();
    let layout = layout("sized-harmless", &[&[link]]);
    check(layout.dir.parent().unwrap(), &["layout"], 0);
    same_as_umoci(&layout);
}

/// Returns the files of a layout as a tar, behind other entries.
fn packed(layout: &Path, first: &[Vec<u8>]) -> Vec<u8> {
    let mut parts = first.to_vec();
    let mut open = vec![layout.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(layout).unwrap().to_str().unwrap();
            // A digest is as long as the names of files may be at most.
            parts.push(Entry::file(name, fs::read(&path).unwrap()).bytes());
        }
    }
    archive(&parts)
}

#[test]
fn an_image_hides_nothing_beside_it() {
    let layout = layout("beside", &[&[]]);
    let dir = layout.dir.parent().unwrap();
    let blob = format!("blobs/sha256/{}", "0".repeat(64));
    let all = [bad("bin/evil"), bad(&blob), bad("image/oci-layout")];
    let names = ["bin/evil", &blob, "image/oci-layout"];
    let tar = packed(&layout.dir, &all);
    fs::write(dir.join("x.tar"), &tar).unwrap();
    fs::write(dir.join("x.tar.gz"), gzip(&tar)).unwrap();
    fs::write(dir.join("x.tar.zst"), zstd::encode_all(&tar[..], 1).unwrap()).unwrap();
    for path in ["x.tar", "x.tar.gz", "x.tar.zst"] {
        let shown = check(dir, &[path], 1);
        assert!(shown.contains(&format!("`{path}!linux/amd64!/ok` accepted")), "{shown}");
        for name in names {
            assert!(shown.contains(&format!("`{path}!{name}` refused")), "{path} {name}: {shown}");
        }
    }
    let shown = check(dir, &["layout"], 0);
    assert!(!shown.contains("not checked"), "{shown}");
    fs::create_dir_all(layout.dir.join("bin")).unwrap();
    for name in ["bin/evil", &blob, "evil"] {
        write(&layout.dir.join(name), BAD, 0o755);
    }
    write(&layout.dir.join("x.tar"), &archive(&[bad("inner")]), 0o644);
    write(&layout.dir.join("note"), b"text", 0o644);
    for path in ["layout", "."] {
        let prefix = if path == "." { "./layout" } else { "layout" };
        let shown = check(dir, &[path], 1);
        assert!(shown.contains(&format!("`{prefix}!linux/amd64!/ok` accepted")), "{shown}");
        for name in ["bin/evil", &blob, "evil", "x.tar!inner"] {
            assert!(
                shown.contains(&format!("`{prefix}/{name}` refused")),
                "{path} {name}: {shown}"
            );
        }
        assert!(shown.contains(&format!("`{prefix}/note` not checked")), "{shown}");
    }
    // A broken layout hides nothing either.
    fs::write(layout.dir.join("index.json"), "{").unwrap();
    let shown = check(dir, &["layout"], 1);
    assert!(
        shown.contains("`layout/evil` refused") && shown.contains("`layout` refused"),
        "{shown}"
    );
}

#[test]
fn an_image_does_not_excuse_its_archive() {
    let layout = layout("beside-outside", &[&[]]);
    let dir = layout.dir.parent().unwrap();
    for path in ["../../etc/cron.d/x", "/etc/cron.d/x"] {
        let first = [Entry::file(path, "text").bytes(), bad("evil")];
        let tar = packed(&layout.dir, &first);
        fs::write(dir.join("z.tar"), &tar).unwrap();
        fs::write(dir.join("z.tar.gz"), gzip(&tar)).unwrap();
        for name in ["z.tar", "z.tar.gz"] {
            let shown = check(dir, &[name], 1);
            assert!(shown.contains("deny archive") && shown.contains(path), "{shown}");
            assert!(shown.contains(&format!("`{name}!evil` refused")), "{shown}");
        }
    }
}

/// Tools that load an archive disagree on which of two lists of images they read.
#[test]
fn every_list_of_images_counts() {
    let good = layout("lists-good", &[&[]]);
    let evil = layout("lists-evil", &[&[bad("evil")]]);
    let dir = good.dir.parent().unwrap();
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(evil.dir.join("index.json")).unwrap()).unwrap();
    let blob = |layout: &Layout, digest: &str| {
        let path = layout.blob_path(&json!(digest));
        (
            path.strip_prefix(&layout.dir).unwrap().to_str().unwrap().to_owned(),
            fs::read(path).unwrap(),
        )
    };
    let (_, manifest) = blob(&evil, index["manifests"][0]["digest"].as_str().unwrap());
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let (config, config_bytes) = blob(&evil, manifest["config"]["digest"].as_str().unwrap());
    let (layer, layer_bytes) = blob(&evil, manifest["layers"][0]["digest"].as_str().unwrap());
    let saved = json!([{ "Config": config, "RepoTags": ["x:1"], "Layers": [layer] }]).to_string();
    let extra = [
        Entry::file("manifest.json", saved).bytes(),
        Entry::file(&config, config_bytes).bytes(),
        Entry::file(&layer, layer_bytes).bytes(),
    ];
    fs::write(dir.join("both.tar"), packed(&good.dir, &extra)).unwrap();
    let shown = check(dir, &["both.tar"], 1);
    assert!(shown.contains("!/evil` refused") && shown.contains("!/ok` accepted"), "{shown}");
    // Without the mark of a layout, an index still names images.
    fs::remove_file(evil.dir.join("oci-layout")).unwrap();
    let unmarked = evil.dir.parent().unwrap();
    fs::write(unmarked.join("x.tar"), packed(&evil.dir, &[])).unwrap();
    for path in ["x.tar", "layout"] {
        assert!(check(unmarked, &[path], 1).contains("!/evil` refused"), "{path}");
    }
}

#[test]
fn names_in_an_archive_of_an_image_are_there_once() {
    let layout = layout("twice", &[&[]]);
    let dir = layout.dir.parent().unwrap();
    let index = fs::read(layout.dir.join("index.json")).unwrap();
    for name in ["index.json", "./index.json", ".//index.json"] {
        for second in [Entry::file(name, &index), Entry::link(b'2', name, "other")] {
            let tar = packed(&layout.dir, &[second.bytes()]);
            fs::write(dir.join("x.tar"), &tar).unwrap();
            fs::write(dir.join("x.tar.gz"), gzip(&tar)).unwrap();
            for path in ["x.tar", "x.tar.gz"] {
                let error = "index.json` is there twice: some tools take the first one";
                assert!(check(dir, &[path], 1).contains(error), "{path} {name}");
                image(dir, &format!("inspect {path}")).status(1).stderr(error).run();
            }
        }
    }
}

#[test]
fn a_program_that_is_an_archive_as_well_is_a_program() {
    let dir = directory("polyglot");
    let good = Entry::file("ok", program::amd64()).bytes();
    let mut head = BAD.to_vec();
    head.resize(60, 0);
    let tar = archive(&[Entry::file(&head, "x").bytes(), good]);
    assert!(tar.starts_with(b"\x7fELF"));
    write(&dir.join("x"), &tar, 0o755);
    for path in ["x", "."] {
        let name = if path == "." { "./x" } else { "x" };
        assert!(check(&dir, &[path], 1).contains(&format!("`{name}` refused")), "{path}");
    }
}

/// `inspect` and `verify` give one verdict on what no engine should unpack.
#[test]
fn inspect_and_verify_reject_the_same_images() {
    let text = |name: &str| Entry::file(name, "text").bytes();
    let link = |kind: u8, name: &str, to: &str| Entry::link(kind, name, to).bytes();
    let cases: [(&str, &[Vec<u8>], &str); 9] = [
        ("dotdot", &[text("../evil")], "`../evil` leads out of the image's root"),
        ("inner", &[text("a/../x")], "`a/../x` has `..` in its path"),
        ("missing", &[link(b'1', "bin/alias", "bin/none")], "`/bin/none`, which is not there"),
        ("early", &[link(b'1', "x", "y"), text("y")], "`/y`, which is not there"),
        ("outside", &[link(b'1', "x", "../ok")], "`x` is a hard link to a path with `..`"),
        ("self", &[text("y"), link(b'1', "y", "y")], "`/y`, which is not there"),
        ("below", &[text("a"), text("a/b")], "`/a/b` is below `/a`, which is a file"),
        (
            "loop",
            &[link(b'2', "a", "b"), link(b'2', "b", "a"), text("a/x")],
            "`/a` leads through too many links",
        ),
        ("nothing", &[text("a/.wh.")], "`a/.wh.` is a whiteout without a name"),
    ];
    for (name, parts, error) in cases {
        let layout = layout(&format!("same-{name}"), &[parts]);
        let dir = layout.dir.parent().unwrap();
        let shown = check(dir, &["layout"], 1);
        assert!(shown.contains(error), "{name}: {shown}");
        assert!(shown.contains("`layout!linux/amd64!/ok` accepted"), "{name}: {shown}");
        image(dir, "inspect layout").status(1).stderr(error).run();
    }
}

/// Returns `verify` in 256 MiB of address space and 20 seconds of the processor.
#[track_caller]
fn bounded(dir: &Path, args: &str, status: i32) -> String {
    let sh = peer::find("sh").unwrap();
    let script = format!("ulimit -v 262144; ulimit -t 20; exec \"$0\" {args}");
    let mut command = Command::new(sh);
    command.args(["-c", &script, env!("CARGO_BIN_EXE_cargo-longshore")]).current_dir(dir);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let text = text + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{text}");
    text
}

#[test]
fn hostile_layers_take_bounded_memory_and_time() {
    let long_path = |number: usize| {
        let path = format!("{number:08}{}", "x".repeat(1_000_000));
        [pax(b'x', &[("path", path.as_bytes())]), Entry::file("x", "").bytes()].concat()
    };
    let deep = pax(b'x', &[("path", "a/".repeat(520_000).as_bytes())]);
    let path = |number: usize| {
        let path = format!("{number:08}{}", "/y".repeat(200) + &"z".repeat(3000));
        [pax(b'x', &[("path", path.as_bytes())]), Entry::file("x", "").bytes()].concat()
    };
    // Each link leads through all directories of the one before.
    let circles = |number: usize| {
        let target = format!("{}l{}", "d/../".repeat(800), number + 1);
        let link = Entry::link(b'2', format!("l{number}"), "x");
        [pax(b'x', &[("linkpath", target.as_bytes())]), link.bytes()].concat()
    };
    let below = |number: usize| Entry::file(format!("l0/{number}"), "").bytes();
    let circular = (0..39).map(circles).chain([Entry::new(b'5', "l39").bytes()]);
    let circular = [Entry::new(b'5', "d").bytes()].into_iter().chain(circular);
    let program = |number: usize| bad(&format!("{number}"));
    let cases: [(&str, Vec<Vec<u8>>, &str); 5] = [
        ("long", (0..100).map(long_path).collect(), "is too long or too deep"),
        ("deep", vec![deep, Entry::file("x", "text").bytes()], "is too long or too deep"),
        ("many", (0..12_000).map(path).collect(), "names and the like take more than"),
        (
            "links",
            circular.chain((0..20_000).map(below)).collect(),
            "its paths lead through more than",
        ),
        ("programs", (0..40_000).map(program).collect(), "it has more than 32768 programs"),
    ];
    for (name, parts, error) in cases {
        let layout = layout(&format!("bounded-{name}"), &[&parts]);
        let dir = layout.dir.parent().unwrap();
        let shown = bounded(dir, "verify layout", 1);
        assert!(shown.contains(error), "{name}: {}", &shown[..shown.len().min(2000)]);
        if name != "programs" {
            let shown = bounded(dir, "image inspect layout", 1);
            assert!(shown.contains(error), "{name}: {}", &shown[..shown.len().min(2000)]);
        }
    }
}

#[test]
fn a_layout_in_a_compressed_archive_unpacks_to_a_bounded_file() {
    let layout = layout("bounded-spool", &[&[]]);
    let dir = layout.dir.parent().unwrap();
    // 4 MiB that cannot be compressed, so that 200 times as much is not a bomb.
    let mut noise = crate::support::random::random(7);
    let noise: Vec<u8> = (0..1 << 19).flat_map(|_| noise().to_le_bytes()).collect();
    let first =
        [Entry::file("noise", noise).bytes(), Entry::file("zeros", vec![0; 300 << 20]).bytes()];
    fs::write(dir.join("x.tar.gz"), gzip(&packed(&layout.dir, &first))).unwrap();
    let size = fs::metadata(dir.join("x.tar.gz")).unwrap().len();
    let most = (64 << 20) + 20 * size;
    assert!(most < 300 << 20);
    let error = format!("it unpacks to more than {most} bytes");
    // No file may become larger (in blocks of 512 bytes).
    let script = format!("ulimit -f {}; exec \"$0\" verify x.tar.gz", most / 512 + 2048);
    let mut command = Command::new(peer::find("sh").unwrap());
    command.args(["-c", &script, env!("CARGO_BIN_EXE_cargo-longshore")]).current_dir(dir);
    let output = command.output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains(&error), "{shown}");
    image(dir, "inspect x.tar.gz").status(1).stderr(&error).run();
}
