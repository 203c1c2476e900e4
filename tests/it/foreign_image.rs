//! Images of other tools, which `image inspect`, `image diff`, `verify` and `push` accept as skopeo,
//! podman and umoci do.

use std::{fs, path::Path, process::Command};

use longshore::model::digest::Digest;
use serde_json::{Value, json};

use crate::{
    inspect::image,
    schema::valid,
    support::{
        command::longshore,
        dist::Dist,
        foreign::{
            Foreign, OCI, amd64, arm64, base, config, evil, of_platform, skopeo_reads, tagged,
        },
        peer, program,
        registry::Registry,
        workspace::Workspace,
    },
    verify_archive::{gzip, tar},
    verify_cli::{check, directory, fails},
};

fn inspect(dir: &Path, name: &str) -> Value {
    let ran = image(dir, &format!("inspect --message-format json {name}")).run();
    assert_ne!(valid("image.v1", &ran.stdout), Some(false));
    ran.json()["sources"][0].clone()
}

/// Checks that all three verbs accept it.
#[track_caller]
fn accepted(dir: &Path, name: &str) -> String {
    image(dir, &format!("inspect {name}")).run();
    image(dir, &format!("diff {name} {name}")).stdout("no difference").run();
    check(dir, &[name], 0)
}

/// Returns an archive as `docker load` reads it.
fn loadable(config: &str, layer: &str, layer_bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let saved = json!([{ "Config": config, "RepoTags": ["app:1"], "Layers": [layer] }]);
    let document = crate::support::foreign::config(&amd64(), &[base()]);
    vec![
        (config.trim_start_matches("./").to_owned(), document.to_string().into_bytes()),
        (layer.trim_start_matches("./").to_owned(), layer_bytes.to_vec()),
        ("manifest.json".to_owned(), saved.to_string().into_bytes()),
    ]
}

fn write(dir: &Path, files: &[(String, Vec<u8>)]) {
    let unpacked = dir.join("unpacked");
    let _ = fs::remove_dir_all(&unpacked);
    for (name, content) in files {
        let path = unpacked.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let entries: Vec<_> =
        files.iter().map(|(name, content)| (name.as_str(), 0o644, &content[..])).collect();
    fs::write(dir.join("x.tar"), tar(&entries)).unwrap();
}

#[test]
fn names_in_manifest_json_are_paths() {
    let dir = directory("foreign-names");
    let plain = base();
    let packed = gzip(&plain);
    let hex_digest = |bytes: &[u8]| Digest::sha256(bytes).hex().to_owned();
    let id = hex_digest(config(&amd64(), &[base()]).to_string().as_bytes());
    let other = hex_digest(b"other");
    for (config, layer, bytes) in [
        // go-containerregistry: crane, ko, kaniko.
        (format!("sha256:{id}"), format!("{}.tar.gz", hex_digest(&packed)), &packed),
        // jib.
        ("config.json".to_owned(), format!("{}.tar.gz", hex_digest(&packed)), &packed),
        // skopeo and podman.
        (format!("{id}.json"), format!("{}.tar", hex_digest(&plain)), &plain),
        // The old `docker save`, whose directories are called by something else.
        (format!("{id}.json"), format!("{other}/layer.tar"), &plain),
        // BuildKit, and the new `docker save`.
        (format!("blobs/sha256/{id}"), format!("blobs/sha256/{}", hex_digest(&packed)), &packed),
        ("a/b/c".to_owned(), "a/d/e.bin".to_owned(), &packed),
        ("./config.json".to_owned(), "./x/layer.tar".to_owned(), &plain),
    ] {
        write(&dir, &loadable(&config, &layer, bytes));
        for name in ["x.tar", "unpacked"] {
            let text = accepted(&dir, name);
            assert!(text.contains(&format!("`{name}!linux/amd64!/bin/app` accepted")), "{text}");
            assert!(!text.contains("not checked"), "{config}: {text}");
        }
        image(&dir, "diff x.tar unpacked").stdout("no difference").run();
        if !config.starts_with('.') {
            skopeo_reads(&dir, "docker-archive:x.tar");
        }
    }
    for (config, layer, what) in [
        (format!("{other}.json"), "layer.tar".to_owned(), "is corrupt: expected digest `sha256:"),
        (format!("sha256:{other}"), "layer.tar".to_owned(), "is corrupt: expected digest `sha256:"),
        ("config.json".to_owned(), format!("{other}.tar"), "and is called `"),
        ("config.json".to_owned(), format!("blobs/sha256/{other}"), "and is called `"),
    ] {
        write(&dir, &loadable(&config, &layer, &plain));
        for name in ["x.tar", "unpacked"] {
            assert!(check(&dir, &[name], 1).contains(what), "{config} {layer}");
            image(&dir, &format!("inspect {name}")).status(1).stderr(what).run();
        }
    }
    write(&dir, &loadable("config.json", "layer.tar", &gzip(&evil())));
    assert!(check(&dir, &["x.tar"], 1).contains("deny record"));
}

#[test]
fn layers_may_be_links() {
    let dir = directory("foreign-links");
    let files = loadable("config.json", "b/layer.tar", &base());
    write(&dir, &files);
    fs::create_dir(dir.join("unpacked/a")).unwrap();
    fs::rename(dir.join("unpacked/b/layer.tar"), dir.join("unpacked/a/layer.tar")).unwrap();
    std::os::unix::fs::symlink("../a/layer.tar", dir.join("unpacked/b/layer.tar")).unwrap();
    accepted(&dir, "unpacked");
    if let Some(tar) = peer::find("tar") {
        let args = ["-C", "unpacked", "-cf", "x.tar", "a", "b", "config.json", "manifest.json"];
        assert!(Command::new(tar).args(args).current_dir(&dir).status().unwrap().success());
        accepted(&dir, "x.tar");
        skopeo_reads(&dir, "docker-archive:x.tar");
    }
}

/// Returns an index for two platforms, and the descriptors of their manifests.
fn index(layout: &Foreign) -> [Value; 2] {
    let here = of_platform(layout.image(&amd64(), &[base()]), amd64());
    let layer = tar(&[("bin/app", 0o755, &program::arm64())]);
    let away = of_platform(layout.image(&arm64(), &[layer]), arm64());
    layout.index(&[layout.nested(&[here.clone(), away.clone()])]);
    [here, away]
}

/// Returns the same without what is only of arm64.
fn sparse(name: &str) -> (Foreign, [Value; 2]) {
    let layout = Foreign::new(name);
    let descriptors = index(&layout);
    let away: Value =
        serde_json::from_slice(&fs::read(layout.path(&descriptors[1])).unwrap()).unwrap();
    for blob in [&away["config"], &away["layers"][0], &descriptors[1]] {
        layout.remove(blob);
    }
    (layout, descriptors)
}

#[test]
fn absent_platforms_are_reported_and_the_others_verified() {
    const ABSENT: &str = "linux/arm64 is not in the layout";
    let (layout, [here, _]) = sparse("foreign-sparse");
    let dir = &layout.parent;
    // `docker save` of an image that containerd pulled for one platform.
    let manifest: Value = serde_json::from_slice(&fs::read(layout.path(&here)).unwrap()).unwrap();
    let blob =
        |value: &Value| value["digest"].as_str().unwrap().replace("sha256:", "blobs/sha256/");
    let saved = json!([{
        "Config": blob(&manifest["config"]), "RepoTags": ["app:1"],
        "Layers": [blob(&manifest["layers"][0])],
    }]);
    layout.pack(&[("manifest.json", 0o644, saved.to_string().as_bytes())]);
    for name in ["layout", "layout.tar", "layout:1", "layout.tar:1"] {
        let text = accepted(dir, name);
        assert!(text.contains(&format!("`{name}!linux/arm64` not checked: {ABSENT}\n")), "{text}");
        assert!(text.contains(&format!("`{name}!linux/amd64!/bin/app` accepted")), "{text}");
        image(dir, &format!("inspect {name}")).stdout(&format!("\n  {ABSENT}\n")).run();
        assert_eq!(inspect(dir, name)["absent"], json!(["linux/arm64"]));
        assert!(check(dir, &[name, "--deny-unchecked"], 1).contains(ABSENT));
        let text = check(dir, &[name, "--deny-unchecked", "--platform", "linux/amd64"], 0);
        assert!(text.contains("linux/arm64` not checked: `--platform` does not select"), "{text}");
        let both = ["--platform", "linux/amd64", "--platform", "linux/arm64"];
        let text = check(dir, &[&[name], &both[..]].concat(), 1);
        assert!(text.contains(&format!("`{name}!linux/arm64` refused")), "{text}");
        assert!(text.contains(ABSENT) && text.contains("linux/amd64!/bin/app` accepted"), "{text}");
        let text = check(dir, &[name, "--platform", "linux/s390x"], 1);
        assert!(text.contains("it has no image for `linux/s390x`: it has `linux/amd64`"), "{text}");
        let arm64 = format!("inspect --platform linux/arm64 {name}");
        image(dir, &arm64).status(2).stderr(ABSENT).hint("it has `linux/amd64`").run();
    }
    skopeo_reads(dir, "docker-archive:layout.tar");
    skopeo_reads(dir, "oci:layout:1");

    let digest = here["digest"].as_str().unwrap();
    let push = |args: &str| {
        longshore(&Workspace::empty(), &format!("push {args}")).dir(dir).env("HOME", dir)
    };
    let hint = format!("push linux/amd64 alone: `--from layout@{digest}`");
    let error = format!("`layout`: {ABSENT}");
    push("127.0.0.1:1/x:1 --from layout").status(1).stderr(&error).hint(&hint).run();
    if let Some(registry) = Registry::start() {
        let to = format!("{}/x:1", registry.address);
        push(&format!("{to} --from layout@{digest}")).run();
        check(dir, &[&to], 0);
    }
}

#[test]
fn incomplete_platforms_are_damaged() {
    let layout = Foreign::new("foreign-sparse-part");
    let dir = &layout.parent;
    let [_, away] = index(&layout);
    let manifest: Value = serde_json::from_slice(&fs::read(layout.path(&away)).unwrap()).unwrap();
    layout.remove(&manifest["config"]);
    assert!(check(dir, &["layout"], 1).contains("`layout!linux/arm64` refused"));
    check(dir, &["layout", "--platform", "linux/arm64"], 1);
    check(dir, &["layout", "--platform", "linux/amd64"], 0);
    // Metadata of all platforms, as containerd may pull it, and the layers of one.
    layout.document(&format!("{OCI}config.v1+json"), &config(&arm64(), &[]));
    layout.remove(&manifest["layers"][0]);
    assert!(check(dir, &["layout"], 0).contains("linux/arm64 is not in the layout"));
    // What `index.json` itself names has to be there.
    let layout = Foreign::new("foreign-sparse-top");
    let image = of_platform(layout.image(&amd64(), &[base()]), amd64());
    let away = of_platform(layout.image(&arm64(), &[evil()]), arm64());
    layout.remove(&away);
    layout.index(&[image, away]);
    assert!(check(&layout.parent, &["layout"], 1).contains("is missing"));
}

#[test]
fn a_release_is_complete() {
    let programs = [("linux/arm64", &program::arm64()[..]), ("linux/amd64", &program::amd64())];
    let dist = Dist::new(&programs, json!({}));
    dist.image(&[]);
    let root = dist.root();
    check(&root, &["dist.json"], 0);
    let layout = root.join("image/hello");
    let read = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
    let blob = |value: &Value| {
        let hex = value["digest"].as_str().unwrap().replace("sha256:", "");
        layout.join("blobs/sha256").join(hex)
    };
    let index = read(&blob(&read(&layout.join("index.json"))["manifests"][0]));
    fs::remove_file(blob(&index["manifests"][1])).unwrap();
    let text = check(&root, &["dist.json"], 1);
    assert!(text.contains("`image/hello!linux/arm64` refused"), "{text}");
    assert!(text.contains("linux/arm64 is not in the layout"), "{text}");
    let error = fails(&root, &["dist.json", "--platform", "linux/amd64"], 2);
    assert!(error.contains("`--platform` selects images, and `dist.json` is a release"), "{error}");
    check(&root, &["image/hello"], 0);
}

#[test]
fn a_signature_beside_an_image_is_not_an_image() {
    let layout = Foreign::new("foreign-cosign");
    let dir = &layout.parent;
    let mut image_of = layout.image(&amd64(), &[base()]);
    image_of["annotations"] = json!({ "kind": "dev.cosignproject.cosign/image" });
    let kind = "application/vnd.dev.cosign.simplesigning.v1+json";
    let payload = layout.blob(kind, br#"{"critical":{}}"#);
    let config = json!({
        "os": "", "architecture": "", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [payload["digest"]] },
    });
    let mut signature = layout.manifest(&config, &[payload]);
    signature["annotations"] = json!({ "kind": "dev.cosignproject.cosign/sigs" });
    layout.index(&[image_of.clone(), signature.clone()]).pack(&[]);
    let digest: Digest = signature["digest"].as_str().unwrap().parse().unwrap();
    let attached = "attached to an image, and not an image: its layers are of the type";
    for name in ["layout", "layout.tar"] {
        let text = accepted(dir, name);
        let line = format!("`{name}!{}` not checked: {attached} `{kind}`", digest.short());
        assert!(text.contains(&line), "{text}");
        image(dir, &format!("inspect {name}")).stdout(attached).run();
    }
    // It is the image that is pushed.
    let push = |args: &str| {
        longshore(&Workspace::empty(), &format!("push {args}")).dir(dir).env("HOME", dir)
    };
    if let Some(registry) = Registry::start() {
        let to = format!("{}/x:1", registry.address);
        let ran = push(&format!("{to} --from layout"));
        let ran = ran.stderr(&format!("warning: `layout@{digest}`: {attached}")).run();
        assert!(ran.stdout.contains(image_of["digest"].as_str().unwrap()), "{}", ran.stdout);
    }
    // Of two images, the hint names both, once.
    layout.index(&[image_of.clone(), layout.image(&arm64(), &[evil()]), signature.clone()]);
    let digest = image_of["digest"].as_str().unwrap();
    let hint = format!("its images have no names: name one by its digest, `layout@{digest}`, `");
    push("127.0.0.1:1/x:1 --from layout").status(2).stderr("several images").hint(&hint).run();
    // Alone it is not an image, and not accepted as one.
    layout.index(&[signature]);
    assert!(check(dir, &["layout"], 1).contains("it has no image"));
    image(dir, "inspect layout").status(1).stderr("`layout` has no image").run();
}

#[test]
fn a_history_may_have_any_length() {
    let step = |empty: bool| match empty {
        true => json!({ "created_by": "ENV a=b", "empty_layer": true }),
        false => json!({ "created_by": "COPY a b" }),
    };
    let two = [base(), tar(&[("etc/x", 0o644, b"x")])];
    for (name, steps, layers) in [
        ("one", vec![false], Some(1)),
        ("three", vec![false, true, false, false], Some(3)),
        ("empty", vec![true], Some(0)),
        ("right", vec![false, true, false], None),
        ("none", vec![], None),
    ] {
        let layout = Foreign::new(&format!("foreign-history-{name}"));
        let dir = &layout.parent;
        let mut config = config(&amd64(), &two);
        config["history"] = steps.iter().map(|empty| step(*empty)).collect();
        let layers_of: Vec<_> = two.iter().map(|tar| layout.layer(tar)).collect();
        layout.index(&[tagged(layout.manifest(&config, &layers_of))]);
        let text = accepted(dir, "layout");
        let found = &inspect(dir, "layout")["sets"][0]["images"][0];
        let made: Vec<_> = found["layers"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|layer| layer["created-by"].as_str())
            .collect();
        assert_eq!(found["history"].as_array().unwrap().len(), steps.len());
        if let Some(layers) = layers {
            let warning = format!("its history has {layers} layers, and its rootfs 2");
            assert_eq!(found["warnings"], json!([warning]));
            assert!(
                text.contains("warn record: the metadata") && text.contains(&warning),
                "{text}"
            );
            image(dir, "inspect layout").stdout(&warning).absent("made by").run();
            assert!(made.is_empty(), "{name}");
        } else {
            assert!(found.get("warnings").is_none() && !text.contains("warn"), "{text}");
            assert_eq!(made.len(), if steps.is_empty() { 0 } else { 2 });
        }
        skopeo_reads(dir, "oci:layout:1");
        if let (Some(umoci), Some(())) = (peer::find("umoci"), peer::root()) {
            let out = dir.join("out");
            let layout = format!("{}:1", layout.dir.display());
            peer::run(&umoci, ["unpack", "--image", &layout, out.to_str().unwrap()]);
        }
    }
    let dir = directory("foreign-history-one").with_file_name("foreign-history-three");
    image(&dir, "diff layout ../foreign-history-right/layout").status(1).stdout("history").run();
}

#[test]
fn platforms_may_omit_different_fields() {
    let names = |os: &str, architecture: &str, variant: &str| json!({ "os": os, "architecture": architecture, "variant": variant });
    let none = json!({});
    for (index, config, platform, warns) in [
        (names("linux", "amd64", ""), names("linux", "amd64", "v1"), "linux/amd64", true),
        (names("linux", "amd64", "v2"), names("linux", "amd64", ""), "linux/amd64/v2", true),
        (names("Linux", "AMD64", ""), names("linux", "amd64", ""), "linux/amd64", false),
        (names("linux", "x86_64", ""), names("linux", "amd64", ""), "linux/amd64", false),
        (names("linux", "amd64", ""), names("Linux", "x86_64", ""), "linux/amd64", true),
        (names("linux", "amd64", ""), names("", "", ""), "linux/amd64", true),
        (names("linux", "amd64", ""), none.clone(), "linux/amd64", true),
        (names("", "", ""), names("linux", "amd64", ""), "linux/amd64", false),
        (none.clone(), names("linux", "amd64", ""), "linux/amd64", false),
        // `crane append` without a base.
        (none.clone(), names("", "", ""), "unknown/unknown", true),
        (names("linux", "arm", "v7"), names("linux", "arm", ""), "linux/arm/v7", true),
        (names("linux", "arm", ""), names("linux", "arm", "v7"), "linux/arm/v7", true),
        (names("linux", "arm", "v6"), names("linux", "arm", ""), "linux/arm/v6", true),
        (names("linux", "arm64", "v8"), names("linux", "arm64", ""), "linux/arm64", false),
        (names("linux", "arm64", ""), names("linux", "aarch64", ""), "linux/arm64", true),
    ] {
        let layout = Foreign::new("foreign-platform");
        let dir = &layout.parent;
        let program = match platform {
            "linux/arm64" => program::arm64(),
            _ => program::amd64(),
        };
        let layer = tar(&[("bin/app", 0o755, &program)]);
        let found = tagged(of_platform(layout.image(&config, &[layer]), index.clone()));
        layout.index(&[found]);
        let status = i32::from(platform.contains("arm/"));
        let text = check(dir, &["layout"], status);
        // A program for amd64 is none for arm, whatever the two agree on.
        assert_eq!(text.contains("deny machine"), status == 1, "{text}");
        assert_eq!(text.contains("warn record"), warns, "{index} {config}: {text}");
        let json = inspect(dir, "layout");
        assert_eq!(json["sets"][0]["images"][0]["platform"], platform, "{index} {config}");
        assert_eq!(json["sets"][0]["images"][0].get("warnings").is_some(), warns);
        image(dir, "diff layout layout").stdout("no difference").run();
        skopeo_reads(dir, "oci:layout:1");
    }
    for (index, config) in [
        (names("linux", "arm", "v5"), names("linux", "arm", "v7")),
        (names("linux", "amd64", ""), names("linux", "arm64", "")),
        (names("linux", "amd64", ""), names("windows", "amd64", "")),
    ] {
        let layout = Foreign::new("foreign-platform");
        let found = of_platform(layout.image(&config, &[base()]), index);
        layout.index(&[found]);
        let text = check(&layout.parent, &["layout"], 1);
        assert!(text.contains("its index names `linux/a"), "{text}");
        image(&layout.parent, "inspect layout").status(1).stderr("and its configuration `").run();
    }
}
