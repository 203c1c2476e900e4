//! Images as other tools write them: every field of their documents is free.

use std::{fs, path::PathBuf, process::Command};

use longshore::model::digest::Digest;
use serde_json::{Value, json};

use super::{peer, program};
use crate::{
    verify_archive::{File, gzip, tar},
    verify_cli::directory,
};

pub(crate) const OCI: &str = "application/vnd.oci.image.";

/// A directory with an OCI layout.
pub(crate) struct Foreign {
    /// The directory that the layout is in.
    pub(crate) parent: PathBuf,
    pub(crate) dir: PathBuf,
}

/// Returns a layer with the program `bin/app`.
pub(crate) fn base() -> Vec<u8> {
    tar(&[("bin/app", 0o755, &program::amd64())])
}

/// Returns a layer with a program that `verify` rejects.
pub(crate) fn evil() -> Vec<u8> {
    tar(&[("bin/evil", 0o755, b"\x7fELF, and no more")])
}

impl Foreign {
    /// Returns an empty one, called `layout`.
    pub(crate) fn new(test: &str) -> Self {
        let parent = directory(test);
        let dir = parent.join("layout");
        fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
        fs::write(dir.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Foreign { parent, dir }
    }

    /// Writes a blob; its descriptor.
    pub(crate) fn blob(&self, kind: &str, bytes: &[u8]) -> Value {
        let digest = Digest::sha256(bytes);
        fs::write(self.dir.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        json!({ "mediaType": kind, "digest": digest.to_string(), "size": bytes.len() })
    }

    pub(crate) fn document(&self, kind: &str, value: &Value) -> Value {
        self.blob(kind, value.to_string().as_bytes())
    }

    pub(crate) fn layer(&self, tar: &[u8]) -> Value {
        self.blob(&format!("{OCI}layer.v1.tar+gzip"), &gzip(tar))
    }

    /// Writes a manifest of the layers; its descriptor.
    pub(crate) fn manifest(&self, config: &Value, layers: &[Value]) -> Value {
        let config = self.document(&format!("{OCI}config.v1+json"), config);
        self.document(&format!("{OCI}manifest.v1+json"), &manifest(&config, layers))
    }

    /// Writes an image of these tar archives.
    pub(crate) fn image(&self, platform: &Value, tars: &[Vec<u8>]) -> Value {
        let layers: Vec<_> = tars.iter().map(|tar| self.layer(tar)).collect();
        self.manifest(&config(platform, tars), &layers)
    }

    /// Writes an index; its descriptor, with the tag `1`.
    pub(crate) fn nested(&self, manifests: &[Value]) -> Value {
        let kind = format!("{OCI}index.v1+json");
        let index = json!({ "schemaVersion": 2, "mediaType": kind, "manifests": manifests });
        tagged(self.document(&kind, &index))
    }

    /// Writes `index.json`.
    pub(crate) fn index(&self, manifests: &[Value]) -> &Self {
        let index = json!({ "schemaVersion": 2, "manifests": manifests });
        fs::write(self.dir.join("index.json"), index.to_string()).unwrap();
        self
    }

    pub(crate) fn path(&self, descriptor: &Value) -> PathBuf {
        let hex = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        self.dir.join("blobs/sha256").join(hex)
    }

    /// Removes a blob.
    pub(crate) fn remove(&self, descriptor: &Value) {
        fs::remove_file(self.path(descriptor)).unwrap();
    }

    /// Packs the layout into `layout.tar`, with more files.
    pub(crate) fn pack(&self, more: &[File<'_>]) {
        let mut names = Vec::new();
        for blob in fs::read_dir(self.dir.join("blobs/sha256")).unwrap() {
            names.push(format!("blobs/sha256/{}", blob.unwrap().file_name().to_str().unwrap()));
        }
        names.sort();
        names.extend(["index.json", "oci-layout"].map(str::to_owned));
        let read = |name: &String| fs::read(self.dir.join(name)).unwrap();
        let contents: Vec<_> = names.iter().map(read).collect();
        let files = names.iter().zip(&contents);
        let mut files: Vec<File<'_>> =
            files.map(|(name, content)| (name.as_str(), 0o644, &content[..])).collect();
        files.extend_from_slice(more);
        fs::write(self.parent.join("layout.tar"), tar(&files)).unwrap();
    }
}

/// Returns a manifest of a configuration and layers, by their descriptors.
pub(crate) fn manifest(config: &Value, layers: &[Value]) -> Value {
    let kind = format!("{OCI}manifest.v1+json");
    json!({ "schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers })
}

/// Returns a configuration for these tar archives, with the keys of `platform`.
pub(crate) fn config(platform: &Value, tars: &[Vec<u8>]) -> Value {
    let diff_ids: Vec<_> = tars.iter().map(|tar| Digest::sha256(tar).to_string()).collect();
    let mut config = json!({ "config": {}, "rootfs": { "type": "layers", "diff_ids": diff_ids } });
    let object = config.as_object_mut().unwrap();
    object.extend(platform.as_object().unwrap().clone());
    config
}

pub(crate) fn amd64() -> Value {
    json!({ "os": "linux", "architecture": "amd64" })
}

pub(crate) fn arm64() -> Value {
    json!({ "os": "linux", "architecture": "arm64" })
}

/// Returns the descriptor with a platform.
pub(crate) fn of_platform(mut descriptor: Value, platform: Value) -> Value {
    descriptor["platform"] = platform;
    descriptor
}

/// Returns the descriptor with the tag `1`.
pub(crate) fn tagged(mut descriptor: Value) -> Value {
    descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": "1" });
    descriptor
}

/// Checks that skopeo reads the image, too.
#[track_caller]
pub(crate) fn skopeo_reads(dir: &std::path::Path, name: &str) {
    let Some(skopeo) = peer::find("skopeo") else { return };
    let output = Command::new(skopeo).args(["inspect", "--config", name]).current_dir(dir).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
}
