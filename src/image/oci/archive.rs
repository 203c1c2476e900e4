//! Images as one file: a layout in a tar, for `docker load`, `podman load` and skopeo.

use std::io::{Read, Write};

use serde::Serialize;

use super::{
    image::ImageSet,
    layout::{self, Content, File, Name},
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
    set: &'a ImageSet,
    name: Option<Name<'_>>,
    platform: &Platform,
) -> Result<Vec<File<'a>>> {
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
    files.push(File {
        path: DOCKER_MANIFEST.into(),
        content: Content::Bytes(json::to_bytes(&[saved], Style::Compact)?.into()),
    });
    Ok(files)
}

/// Writes `files`, of [`files`] or [`layout::files`], as a tar to `out`. Every time in it is
/// `epoch`, in seconds since 1970. `open` gives the blobs of layers.
///
/// # Errors
/// `open` or `out` failed, or a blob does not have its size.
pub fn write<'b>(
    files: &[File<'_>],
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
            Content::Bytes(bytes) => tar.bytes(&entry.path, file, bytes)?,
            Content::Layer(digest, size) => {
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
            Image, Layer,
            config::Execution,
            image::{Description, Step},
        },
        model::schema::packaging::Compressor,
    };

    fn set(blob: &[u8]) -> ImageSet {
        let (digest, size) = (Digest::sha256(blob), blob.len() as u64);
        let layer = Layer::new(Digest::sha256(b"tar"), Compressor::Gzip, digest, size);
        let steps = vec![Step { created_by: "COPY a a".into(), layer: Some(layer) }];
        let image = Image::new(Description {
            platform: "linux/amd64".parse().unwrap(),
            epoch: 0,
            execution: Execution::default(),
            author: None,
            steps,
            annotations: BTreeMap::new(),
        })
        .unwrap();
        ImageSet::new(vec![image], BTreeMap::new()).unwrap()
    }

    #[test]
    fn a_layer_of_another_size_is_refused() {
        let set = set(b"blob");
        let name = Name { tag: "1.0", image: Some("a:1.0") };
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
    fn another_platform_is_refused() {
        let set = set(b"blob");
        let made = files(&set, None, &"linux/arm64".parse().unwrap());
        let error = made.unwrap_err();
        assert_eq!(error.to_string(), "there is no image for `linux/arm64`");
    }
}
