//! A finished `target/dist` with archives, without a build.

use std::{fs, path::PathBuf};

use longshore::model::digest::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::release_forge::COMMIT;

/// A directory `target/dist` below a temporary one.
#[derive(Debug)]
pub(crate) struct Finished {
    dir: TempDir,
    pub(crate) manifest: Value,
}

impl Finished {
    /// Returns a release of `hello` with that version: two archives, an installation script, an SBOM, and checksums.
    pub(crate) fn new(version: &str) -> Self {
        Self::with_files(
            version,
            &[
                ("hello-x86_64.tar.gz", b"the archive for amd64" as &[u8]),
                ("hello-aarch64.tar.gz", b"the archive for arm64"),
            ],
        )
    }

    /// Returns a release with these archives.
    pub(crate) fn with_files(version: &str, archives: &[(&str, &[u8])]) -> Self {
        let mut finished = Finished { dir: TempDir::new().unwrap(), manifest: Value::Null };
        fs::create_dir_all(finished.root().join("archives")).unwrap();
        let file = |name: &str, bytes: &[u8]| {
            fs::write(finished.root().join("archives").join(name), bytes).unwrap();
            let path = format!("archives/{name}");
            json!({ "path": path, "size": bytes.len(), "sha256": Digest::sha256(bytes) })
        };
        let with = |mut value: Value, more: Value| {
            value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            value
        };
        let mut sums = String::new();
        let mut line = |name: &str, bytes: &[u8]| {
            sums += &format!("{}  {name}\n", Digest::sha256(bytes).hex());
        };
        let mut recorded = Vec::new();
        for (name, bytes) in archives {
            line(name, bytes);
            let keys = json!({
                "kind": "binaries", "package": "hello", "version": version,
                "target": "x86_64-unknown-linux-musl", "platform": "linux/amd64", "contents": [],
            });
            recorded.push(with(file(name, bytes), keys));
        }
        let script: &[u8] = b"#!/bin/sh\n";
        line("hello-install.sh", script);
        let keys = json!({ "kind": "installer", "package": "hello", "version": version });
        let script = with(file("hello-install.sh", script), keys);
        let bom: &[u8] = b"{}";
        line("hello.cdx.json", bom);
        let bom = with(file("hello.cdx.json", bom), json!({ "kind": "cyclonedx" }));
        let sums = with(file("SHA256SUMS", sums.as_bytes()), json!({ "kind": "checksums" }));
        finished.manifest = json!({
            "schema": 1,
            "release": {
                "name": "hello", "version": version, "revision": COMMIT, "dirty": false,
                "source-date-epoch": 1, "tools": {},
            },
            "units": { "compiled": 0, "fresh": 0, "each": [] },
            "artifacts": [],
            "images": [],
            "archives": recorded,
            "channels": [script],
            "documents": [sums, bom],
        });
        finished.write();
        finished
    }

    /// Writes `dist.json`.
    pub(crate) fn write(&self) {
        fs::write(self.root().join("dist.json"), self.manifest.to_string()).unwrap();
    }

    /// Returns the directory above `target`.
    pub(crate) fn above(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Returns the directory with `dist.json`.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("target/dist")
    }

    /// Returns the files to publish, by name.
    pub(crate) fn files(&self) -> std::collections::BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(self.root().join("archives")).unwrap();
        let read = |entry: std::io::Result<fs::DirEntry>| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
        };
        entries.map(read).collect()
    }
}
