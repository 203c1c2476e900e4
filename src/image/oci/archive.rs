//! Images as one file: a layout in a tar, for `docker load`, `podman load` and skopeo.

use std::io::{Read, Write};

use serde::Serialize;

use super::{
    image::OciImageSet,
    layout::{self, FileContent, ImageName, LayoutFile},
};
use crate::{
    archive::tar::{Meta, Writer},
    model::{
        digest::Digest,
        error::{Error, Result},
        json::{self, Style},
        platform::Platform,
    },
};

/// The file that `docker load` reads; the rest of the archive is a plain layout.
pub const DOCKER_MANIFEST: &str = "manifest.json";

/// The metadata that `docker save` writes about one image.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Saved<'a> {
    config: String,
    repo_tags: Vec<&'a str>,
    layers: Vec<String>,
}

/// Returns the files of an archive for every loader: those of a layout, and a `manifest.json` with
/// paths to the layout's blobs. Docker's classic image store knows only the latter, and so only the
/// image of `platform`; its containerd store and podman take their platform from the layout.
///
/// # Errors
/// There is no image of `platform`, or as [`layout::files`].
pub fn files<'a>(
    set: &'a OciImageSet,
    name: Option<ImageName<'_>>,
    platform: &Platform,
) -> Result<Vec<LayoutFile<'a>>> {
    let Some(image) = set.images().iter().find(|i| i.platform() == platform) else {
        return Err(Error::usage(format!("there is no image for `{platform}`")));
    };
    let layers = image.layers().iter();
    let saved = Saved {
        config: layout::blob_path(image.config().digest()),
        repo_tags: name.and_then(|name| name.image).into_iter().collect(),
        layers: layers.map(|l| layout::blob_path(l.descriptor().digest)).collect(),
    };
    let mut files = layout::files(set, name)?;
    files.push(LayoutFile {
        path: DOCKER_MANIFEST.into(),
        content: FileContent::Bytes(json::to_bytes(&[saved], Style::Compact)?.into()),
    });
    Ok(files)
}

/// Writes `files`, of [`files`] or [`layout::files`], as a tar to `out`. Every time in it is
/// `epoch`, in seconds since 1970. `open` returns the blobs of layers.
///
/// # Errors
/// `open` or `out` failed, or a blob does not have its size.
pub fn write<'b>(
    files: &[LayoutFile<'_>],
    epoch: u64,
    open: &mut dyn FnMut(Digest) -> Result<Box<dyn Read + 'b>>,
    out: impl Write,
) -> Result<()> {
    let file = Meta { mode: 0o644, uid: 0, gid: 0, mtime: epoch };
    let directory = Meta { mode: 0o755, ..file };
    let mut tar = Writer::new(out);
    tar.directory("blobs", directory)?;
    tar.directory("blobs/sha256", directory)?;
    for entry in files {
        match &entry.content {
            FileContent::Bytes(bytes) => tar.bytes(&entry.path, file, bytes)?,
            FileContent::Layer(digest, size) => {
                tar.file(&entry.path, file, *size, &mut open(*digest)?)?;
            }
        }
    }
    tar.finish().map(drop)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        image::oci::{
            Layer, OciImage,
            config::Execution,
            image::{Description, HistoryStep},
        },
        model::schema::packaging::{Compressor, GzipLevel},
    };

    fn set(blob: &[u8]) -> OciImageSet {
        let (digest, size) = (Digest::sha256(blob), blob.len() as u64);
        let layer = Layer::new(
            Digest::sha256(b"tar"),
            (Compressor::Gzip, GzipLevel::default()),
            digest,
            size,
        );
        let steps = vec![HistoryStep { created_by: "COPY a a".into(), layer: Some(layer) }];
        let image = OciImage::new(Description {
            platform: "linux/amd64".parse().unwrap(),
            epoch: 0,
            execution: Execution::default(),
            author: None,
            steps,
            annotations: BTreeMap::new(),
        })
        .unwrap();
        OciImageSet::new(vec![image], BTreeMap::new()).unwrap()
    }

    #[test]
    fn a_layer_of_a_different_size_is_rejected() {
        let set = set(b"blob");
        let name = ImageName { tag: "1.0", image: Some("a:1.0") };
        let files = files(&set, Some(name), &"linux/amd64".parse().unwrap()).unwrap();
        let archive = |blob: &'static [u8]| {
            let mut out = Vec::new();
            write(&files, 0, &mut |_| Ok(Box::new(blob)), &mut out).map(|()| out)
        };
        let out = archive(b"blob").unwrap();
        assert!(memchr::memmem::find(&out, b"\"RepoTags\":[\"a:1.0\"]").is_some());
        assert!(archive(b"blo").is_err());
        assert!(archive(b"blobs").is_err());
    }

    #[test]
    fn a_missing_platform_is_rejected() {
        let set = set(b"blob");
        let made = files(&set, None, &"linux/arm64".parse().unwrap());
        let error = made.unwrap_err();
        assert_eq!(error.to_string(), "there is no image for `linux/arm64`");
    }
}
