//! `Dockerfile.release` of this repository: the recipe that longshore packs itself with, and what
//! BuildKit makes of it.

use std::{fs, path::Path};

use longshore::image::{
    dockerfile::builtin::{BIN, NONROOT, Recipe},
    oci::check::check,
};
use serde_json::Value;

use crate::{
    dist::dist,
    support::{buildkit::BuildKit, command::longshore, workspace::Workspace},
};

const EPOCH: u64 = 1_700_000_000;

fn dockerfile() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile.release")
}

#[test]
fn the_default_recipe_is_that_of_the_repository() {
    let empty = Workspace::empty();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let plan = longshore(&empty, "plan --message-format json --manifest-path").arg(manifest).run();
    let images = plan.json()["images"].clone();
    assert_eq!(images.as_array().unwrap().len(), 1);
    let names = images[0]["binaries"].as_array().unwrap().iter();
    let names = names.map(|name| name.as_str().unwrap().to_owned());
    let entrypoint = images[0]["entrypoint"].as_str().unwrap();
    let recipe = Recipe {
        user: images[0]["user"].as_str().unwrap().to_owned(),
        entrypoint: Some(format!("{BIN}/{entrypoint}")),
        ..Recipe::new(names.collect())
    };
    assert_eq!(recipe.user, NONROOT);
    assert_eq!(fs::read_to_string(dockerfile()).unwrap(), recipe.text().unwrap());
}

#[test]
fn buildkit_builds_the_same_image_as_dist() {
    let Some(buildkit) = BuildKit::start() else {
        return;
    };
    // A stand-in that is compiled in no time, under the names of this package.
    let workspace = Workspace::empty().package(
        "longshore",
        "license = \"MIT\"\n[[bin]]\nname = \"cargo-longshore\"\npath = \"src/main.rs\"\n",
    );
    workspace.write("LICENSE", "Do as you like.\n");
    let json = dist(&workspace, "").env("SOURCE_DATE_EPOCH", EPOCH.to_string()).run().json();
    let plan = longshore(&workspace, "plan --message-format json")
        .env("SOURCE_DATE_EPOCH", EPOCH.to_string())
        .run()
        .json();
    let labels = plan["images"][0]["labels"].as_object().unwrap().iter();
    let labels: Vec<_> =
        labels.map(|(key, value)| format!("--label={key}={}", value.as_str().unwrap())).collect();
    assert!(labels.len() > 3, "{labels:?}");
    let labels: Vec<_> = labels.iter().map(String::as_str).collect();
    let out = workspace.path("out");
    let paths = (dockerfile(), workspace.dist());
    buildkit.build((&paths.0, &paths.1, &out), "linux/amd64,linux/arm64", EPOCH, &labels);
    let (theirs, faults) = check(&|path| fs::read(out.join(path)).ok());
    assert_eq!(faults, []);
    let ours = json["images"][0]["platforms"].as_array().unwrap();
    assert_eq!(theirs.len(), ours.len());
    for (their, our) in theirs.iter().zip(ours) {
        assert_eq!(our["platform"], their.platform.to_string());
        let digest = our["config"].as_str().unwrap();
        let blob = workspace.dist().join("image/longshore/blobs").join(digest.replace(':', "/"));
        let config = fs::read_to_string(blob).unwrap();
        assert_eq!(String::from_utf8_lossy(their.config.bytes()), config);
        // The configuration lists the layers by what they hold.
        let parsed: Value = serde_json::from_str(&config).unwrap();
        assert_eq!(parsed["rootfs"]["diff_ids"][0], our["layers"][0]["diff-id"]);
    }
}
