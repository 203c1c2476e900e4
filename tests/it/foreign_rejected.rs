//! Images of other tools that `verify` must not accept, and forms that are only reported.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::{
    inspect::image,
    support::{
        command::longshore,
        foreign::{Foreign, OCI, amd64, base, config, evil, manifest, of_platform, tagged},
        peer,
        workspace::Workspace,
    },
    verify_archive::gzip,
    verify_cli::{check, directory},
};

/// Returns a layout with a good image, and one with a program that is rejected, which `change` changes.
fn beside(test: &str, tar: &[u8], layer: &dyn Fn(&Foreign) -> Value) -> (Foreign, Value, Value) {
    let layout = Foreign::new(test);
    let good = layout.image(&amd64(), &[base()]);
    let layer = layer(&layout);
    let config = config(&amd64(), &[tar.to_vec()]);
    let config = layout.document(&format!("{OCI}config.v1+json"), &config);
    (layout, good, manifest(&config, &[layer]))
}

/// Checks that the image is judged: in a directory each blob is, too, so that is not the test.
#[track_caller]
fn verified(layout: &Foreign, manifests: &[Value]) {
    layout.index(manifests).pack(&[]);
    let text = check(&layout.parent, &["layout.tar"], 1);
    assert!(text.contains("/bin/evil` refused"), "{text}");
    assert!(text.contains("`layout.tar!linux/amd64@") && text.contains("/bin/app` acc"), "{text}");
}

#[test]
fn layers_of_unknown_types_are_verified() {
    let manifest_type = format!("{OCI}manifest.v1+json");
    let evil = evil();
    for (name, kind, packed) in [
        ("gzip", "application/x-foo", true),
        ("plain", "text/plain", false),
        ("signature", "application/vnd.dev.cosign.simplesigning.v1+json", true),
        ("none", "", true),
    ] {
        let layer = |layout: &Foreign| {
            let bytes = if packed { gzip(&evil) } else { evil.clone() };
            layout.blob(kind, &bytes)
        };
        let (layout, good, manifest) = beside(&format!("foreign-evil-{name}"), &evil, &layer);
        verified(&layout, &[good, tagged(layout.document(&manifest_type, &manifest))]);
        // podman unpacks such layers: what is not judged would run.
        let (Some(podman), Some(())) = (peer::find("podman"), peer::root()) else { continue };
        let store = tempfile::TempDir::new().unwrap();
        let (root, run) = (store.path().join("root"), store.path().join("run"));
        let mut command = Command::new(podman);
        command.args(["--storage-driver=vfs", "--root"]).arg(&root).arg("--runroot").arg(&run);
        command.args(["pull", "--quiet"]).arg(format!("oci:{}:1", layout.dir.display()));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn archives_of_every_kind_make_an_image() {
    // What no engine of today unpacks by this type may be unpacked by another one.
    for (name, start) in [
        ("bzip2", &b"BZh91AY&SY"[..]),
        ("skippable", b"\x50\x2a\x4d\x18\x04\0\0\0text"),
        ("xz", b"\xfd7zXZ\0"),
        ("zeros", &[0; 1024]),
    ] {
        let layer = |layout: &Foreign| layout.blob("application/x-foo", start);
        let (layout, good, manifest) = beside(&format!("foreign-archive-{name}"), b"", &layer);
        let manifest = layout.document(&format!("{OCI}manifest.v1+json"), &manifest);
        layout.index(&[good, manifest]);
        let text = check(&layout.parent, &["layout"], 1);
        assert!(!text.contains("attached"), "{name}: {text}");
    }
}

#[test]
fn a_platform_alone_makes_no_attestation() {
    let unknown = json!({ "os": "unknown", "architecture": "unknown" });
    let (layout, good, manifest) =
        beside("foreign-attestation", &evil(), &|layout| layout.layer(&evil()));
    let manifest = layout.document(&format!("{OCI}manifest.v1+json"), &manifest);
    layout.index(&[good.clone(), tagged(of_platform(manifest, unknown.clone()))]).pack(&[]);
    let text = check(&layout.parent, &["layout.tar"], 1);
    assert!(text.contains("and its configuration `linux/amd64`"), "{text}");
    // Its configuration may agree.
    let tars = [evil()];
    let evil = layout.manifest(&config(&unknown, &tars), &[layout.layer(&tars[0])]);
    layout.index(&[good.clone(), tagged(of_platform(evil, unknown.clone()))]).pack(&[]);
    let text = check(&layout.parent, &["layout.tar"], 1);
    assert!(text.contains("`layout.tar!unknown/unknown!/bin/evil` refused"), "{text}");
    // As BuildKit writes it.
    let layout = Foreign::new("foreign-attestation");
    let good = layout.image(&amd64(), &[base()]);
    let statement = layout.blob("application/vnd.in-toto+json", b"{}");
    let mut unknown_config = config(&unknown, &[]);
    unknown_config["rootfs"]["diff_ids"] = json!([statement["digest"]]);
    let attestation = of_platform(layout.manifest(&unknown_config, &[statement]), unknown);
    layout.index(&[good, attestation]).pack(&[]);
    for name in ["layout", "layout.tar"] {
        let text = check(&layout.parent, &[name], 0);
        assert!(text.contains("not checked: an attestation, not an image"), "{text}");
    }
}

#[test]
fn omitted_types_follow_from_the_content() {
    let without = |mut descriptor: Value| {
        descriptor.as_object_mut().unwrap().remove("mediaType");
        descriptor
    };
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    let oci = format!("{OCI}manifest.v1+json");
    for (name, config_type, manifest_type) in [
        ("none", None, None),
        ("octet", Some("application/octet-stream"), Some(oci.as_str())),
        ("html", Some("text/html"), Some(docker)),
        ("docker", Some("application/vnd.foo+json"), Some(docker)),
    ] {
        let evil = evil();
        let (layout, good, mut manifest) =
            beside(&format!("foreign-types-{name}"), &evil, &|layout| layout.layer(&evil));
        manifest["layers"][0] = without(manifest["layers"][0].clone());
        match config_type {
            None => manifest["config"] = without(manifest["config"].clone()),
            Some(kind) => manifest["config"]["mediaType"] = kind.into(),
        }
        let manifest = match manifest_type {
            None => without(layout.document("", &without(manifest))),
            Some(kind) => {
                manifest["mediaType"] = kind.into();
                layout.document(kind, &manifest)
            }
        };
        // In an index that has no type either, too.
        let nested = without(layout.nested(&[of_platform(manifest.clone(), amd64())]));
        verified(&layout, &[good.clone(), tagged(manifest)]);
        verified(&layout, &[good, nested]);
    }
}

#[test]
fn a_directory_of_skopeo_is_reported() {
    let layout = Foreign::new("foreign-dir");
    let dir = &layout.parent;
    layout.index(&[tagged(layout.image(&amd64(), &[base()]))]);
    let Some(skopeo) = peer::find("skopeo") else { return };
    let copy = |from: &str, to: &str| {
        let args = ["copy", "--quiet", from, to];
        let output = Command::new(&skopeo).args(args).current_dir(dir).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    copy("oci:layout:1", "dir:x");
    let error = "`x` holds an image in the form of `dir:`, which is not read";
    let hint = "`skopeo copy dir:x oci:LAYOUT:1` makes a layout of it";
    image(dir, "inspect x").status(1).stderr(error).hint(hint).run();
    image(dir, "diff x layout").status(1).stderr(error).hint(hint).run();
    let push = longshore(&Workspace::empty(), "push 127.0.0.1:1/x:1 --from x");
    push.dir(dir).status(1).stderr(error).hint(hint).run();
    let text = check(dir, &["x"], 1);
    assert!(text.contains("`x` refused") && text.contains(hint), "{text}");
    assert!(text.contains("!bin/app` accepted"), "{text}");
    // Found beside others, it is one more thing that is not checked.
    fs::create_dir(dir.join("all")).unwrap();
    fs::rename(dir.join("x"), dir.join("all/x")).unwrap();
    let line = "`all/x` not checked: an image in the form of `dir:`, which is not read";
    assert!(check(dir, &["all"], 0).contains(line));
    assert!(check(dir, &["all", "--deny-unchecked"], 1).contains("`all/x` refused"));
    // The hint is right.
    copy("dir:all/x", "oci:y:1");
    check(dir, &["y:1"], 0);
}

#[test]
fn prefixes_of_transports_have_a_hint() {
    let dir = directory("foreign-prefix");
    for (name, hint) in [
        ("oci:x", "omit the prefix `oci:`: `x`"),
        ("oci:a/x:1", "omit the prefix `oci:`: `a/x:1`"),
        ("oci-archive:x.tar", "omit the prefix `oci-archive:`: `x.tar`"),
        ("docker-archive:x.tar", "omit the prefix `docker-archive:`: `x.tar`"),
        ("dir:x", "`skopeo copy dir:x oci:LAYOUT:1` makes a layout of it"),
        ("docker-daemon:x:1", "`skopeo copy docker-daemon:x:1 oci:LAYOUT:1` makes a layout of it"),
    ] {
        let error = format!("there is no `{name}`");
        image(&dir, &format!("inspect {name}")).status(2).stderr(&error).hint(hint).run();
        image(&dir, &format!("diff {name} y")).status(2).stderr(&error).hint(hint).run();
        let push = longshore(&Workspace::empty(), &format!("push 127.0.0.1:1/x:1 --from {name}"));
        push.dir(&dir).status(2).stderr(&error).hint(hint).run();
        let text = check(&dir, &[name], 1);
        assert!(text.contains(&error) && text.contains(hint), "{text}");
    }
    // A path that is there wins, and so does a registry with a port.
    let layout = Foreign::new("foreign-prefix");
    layout.index(&[tagged(layout.image(&amd64(), &[base()]))]);
    fs::rename(&layout.dir, dir.join("oci:x")).unwrap();
    check(&dir, &["oci:x"], 0);
    image(&dir, "inspect oci:x:1").run();
    image(&dir, "inspect dir:1/x:1").status(5).stderr("`dir:1`").run();
}

#[test]
fn sparse_files_are_listed_and_not_read() {
    let dir = directory("foreign-sparse-files");
    let Some(tar) = peer::find("tar") else { return };
    let file = fs::File::create(dir.join("holes")).unwrap();
    let mut expected = 0;
    // More ranges than the first header of GNU's form holds.
    for range in 0..40 {
        use std::os::unix::fs::FileExt as _;
        file.write_all_at(b"x", range << 16).unwrap();
        expected = (range << 16) + 1;
    }
    fs::write(dir.join("plain"), "plain").unwrap();
    for form in ["gnu", "pax", "pax --sparse-version=0.0", "pax --sparse-version=0.1"] {
        let mut command = Command::new(&tar);
        command.arg("--sparse").arg("--hole-detection=raw").args(["-cf", "x.tar"]);
        command.args(format!("--format={form}").split(' ')).args(["holes", "plain"]);
        assert!(command.current_dir(&dir).status().unwrap().success());
        let what = "`holes` is a sparse file: readers of tar differ on it";
        let list = |args: &str| {
            let test = longshore(&Workspace::empty(), &format!("package list x.tar {args}"));
            test.dir(&dir).stderr(&format!("warning: `x.tar`: {what}")).run()
        };
        assert!(list("").stdout.contains(" no digest holes\n"), "{form}");
        let listed = list("--message-format json").json()[0]["contents"].clone();
        let [holes, plain] = &listed.as_array().unwrap()[..] else { panic!("{listed}") };
        assert_eq!((&holes["path"], &holes["size"]), (&json!("holes"), &json!(expected)));
        assert!(holes.get("sha256").is_none() && holes["note"].is_string(), "{form}");
        assert_eq!((&plain["path"], &plain["size"]), (&json!("plain"), &json!(5)), "{form}");
        assert!(plain["sha256"].is_string() && plain.get("note").is_none(), "{form}");
        // A gate does not pass what it does not read.
        let text = check(&dir, &["x.tar"], 1);
        assert!(text.contains(what), "{form}: {text}");
    }
}
