//! A `target/dist` as `build` leaves it, without a build.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Output,
};

use longshore::{
    image::oci::check::{FoundImage, check},
    model::digest::Digest,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::command::{LONGSHORE, plain};

/// Every time in the images.
pub(crate) const EPOCH: u64 = 1_700_000_000;

/// A directory with `dist.json`.
#[derive(Debug)]
pub(crate) struct Dist {
    dir: TempDir,
}

impl Dist {
    /// Returns one that holds the program `hello` for each of the platforms, each of which was accepted. `more`
    /// are further keys of its image's recipe.
    pub(crate) fn new(programs: &[(&str, &[u8])], more: Value) -> Self {
        let dist = Dist { dir: TempDir::new().unwrap() };
        let mut artifacts = Vec::new();
        for (platform, bytes) in programs {
            let path = format!("{platform}/bin/hello");
            let file = dist.root().join(&path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, bytes).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
            let file = json!({ "size": bytes.len(), "sha256": Digest::sha256(bytes) });
            artifacts.push(json!({
                "name": "hello", "package": "hello", "version": "1.0.0",
                "target": target(platform), "platform": platform, "path": path,
                "size": bytes.len(), "sha256": Digest::sha256(bytes), "unstripped": file,
                "allocator": { "allocator": "system", "origin": "it is so" },
                "verdict": { "accepted": true, "lints": [], "findings": [] },
            }));
        }
        let platforms: Vec<&str> = match programs {
            [] => vec!["linux/amd64", "linux/arm64"],
            programs => programs.iter().map(|(platform, _)| *platform).collect(),
        };
        let mut recipe = json!({
            "name": "hello", "tag": "1.0", "path": "image/hello", "binaries": ["hello"],
            "entrypoint": "hello", "user": "65532:65532", "platforms": platforms,
            "labels": { "org.opencontainers.image.title": "hello" },
        });
        let keys = more.as_object().cloned().unwrap_or_default();
        recipe.as_object_mut().unwrap().extend(keys);
        let manifest = json!({
            "schema": 1,
            "release": { "name": "hello", "source-date-epoch": EPOCH, "tools": {} },
            "units": { "compiled": 0, "fresh": 0, "each": [] },
            "artifacts": artifacts, "recipes": [recipe], "images": [],
        });
        fs::create_dir_all(dist.root()).unwrap();
        fs::write(dist.root().join("dist.json"), manifest.to_string()).unwrap();
        dist
    }

    /// Has it know of an archive for each of its programs, and a workspace be around it.
    pub(crate) fn packages(&self) {
        let place = self.root().join("dist.json");
        let mut dist: Value = serde_json::from_slice(&fs::read(&place).unwrap()).unwrap();
        let platform_image = |artifact: &Value| {
            let machine = artifact["platform"].as_str().unwrap().replace('/', "-");
            json!({
                "name": format!("hello-1.0.0-{machine}"), "package": "hello", "version": "1.0.0",
                "target": artifact["target"], "platform": artifact["platform"],
                "formats": ["tar.gz"], "binaries": ["hello"], "files": {}, "licenses": [],
                "completions": { "from": "nowhere" }, "man": { "from": "nowhere" },
            })
        };
        let packages: Value =
            dist["artifacts"].as_array().unwrap().iter().map(platform_image).collect();
        dist["packages"] = packages;
        fs::write(&place, dist.to_string()).unwrap();
        let manifest = super::workspace::manifest("hello", "");
        fs::write(self.beside("Cargo.toml"), manifest).unwrap();
        fs::create_dir_all(self.beside("src")).unwrap();
        fs::write(self.beside("src/main.rs"), super::workspace::HELLO).unwrap();
    }

    /// Returns its path.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("target/dist")
    }

    /// Returns a place beside it that goes with it.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs `image` with `args`.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let mut command = plain(LONGSHORE);
        command.arg("image").arg(self.root()).args(args);
        command.output().unwrap()
    }

    /// Returns the output of `image`; it must succeed.
    #[track_caller]
    pub(crate) fn image(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        let error = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{args:?}: {}\n{error}", ran.status);
        String::from_utf8(ran.stdout).unwrap()
    }

    /// Returns the error of `image`, which must fail with `status`.
    #[track_caller]
    pub(crate) fn fails(&self, status: i32, args: &[&str]) -> String {
        let ran = self.run(args);
        let error = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(status), "{args:?}: {error}");
        assert!(ran.stdout.is_empty(), "{args:?}");
        error
    }

    /// Returns the file `name` beside it, which `image` writes as `form`.
    pub(crate) fn write(&self, form: &str, name: &str) -> PathBuf {
        let path = self.beside(name);
        self.image(&["--output", &format!("{form}={}", path.display())]);
        path
    }
}

/// Returns the target of rustc for a platform.
fn target(platform: &str) -> String {
    let machine = match platform {
        "linux/amd64" => "x86_64",
        "linux/arm64" => "aarch64",
        other => other,
    };
    format!("{machine}-unknown-linux-musl")
}

/// Returns the images of a layout in which nothing is wrong, sorted by platform.
#[track_caller]
pub(crate) fn found(layout: &Path) -> Vec<FoundImage> {
    let (mut found, faults) = check(&|path| fs::read(layout.join(path)).ok());
    assert_eq!(faults, []);
    found.sort_by(|a, b| a.platform.cmp(&b.platform));
    found
}

/// Returns the digest of what the layout's one descriptor points at.
pub(crate) fn digest(layout: &Path) -> String {
    let index: Value =
        serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    index["manifests"][0]["digest"].as_str().unwrap().to_owned()
}
