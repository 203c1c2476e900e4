//! Images as files: OCI image specification 1.1, image-layout.md.

use std::{borrow::Cow, collections::BTreeMap};

use super::{descriptor::Descriptor, image::OciImageSet, index::Index};
use crate::model::{
    digest::Digest,
    error::{Error, Result},
    json::{self, Style},
};

/// The file that marks a layout, and what is in it.
pub const LAYOUT_FILE: (&str, &[u8]) = ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);

/// The file that points at the images.
pub const INDEX: &str = "index.json";

/// The annotation that tools select an image of a layout by (annotations.md).
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The annotation that containerd and Docker take the image's complete name from.
pub const IMAGE_NAME: &str = "io.containerd.image.name";

/// Returns the path of the blob.
pub fn blob_path(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// A file of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutFile<'a> {
    /// Its path below the layout's directory, with `/` between the parts.
    pub path: String,
    /// Its content.
    pub content: FileContent<'a>,
}

/// The content of a file of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileContent<'a> {
    /// Bytes in memory.
    Bytes(Cow<'a, [u8]>),
    /// The layer of this digest and size, from where it was written to.
    Layer(Digest, u64),
}

/// A name for the image in a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageName<'a> {
    /// The tag, such as `1.0`: the one in `skopeo copy oci:DIRECTORY:TAG`.
    pub tag: &'a str,
    /// The complete name, tag included, such as `registry.example/team/tool:1.0`; for loaders.
    pub image: Option<&'a str>,
}

/// Returns the files of a layout that holds `set`.
///
/// `index.json` has exactly one descriptor, of the manifest or of the index. A flat list of several
/// manifests there is rejected by skopeo, and cannot be distinguished from several images.
///
/// The order is the one to write them in: `index.json` is last, so that a truncated layout refers
/// to no missing file.
///
/// # Errors
/// The name cannot be written down.
pub fn files<'a>(set: &'a OciImageSet, name: Option<ImageName<'_>>) -> Result<Vec<LayoutFile<'a>>> {
    let mut files = vec![LayoutFile {
        path: LAYOUT_FILE.0.into(),
        content: FileContent::Bytes(LAYOUT_FILE.1.into()),
    }];
    for blob in set.blobs() {
        files.push(LayoutFile {
            path: blob_path(blob.digest),
            content: match blob.bytes {
                Some(bytes) => FileContent::Bytes(bytes.into()),
                None => FileContent::Layer(blob.digest, blob.size),
            },
        });
    }
    files.push(LayoutFile {
        path: INDEX.into(),
        content: FileContent::Bytes(index(set.descriptor(), name)?.into()),
    });
    Ok(files)
}

/// Returns the bytes of an `index.json` that points at `descriptor` under `name`.
///
/// # Errors
/// The tag breaks the rule for `org.opencontainers.image.ref.name` (annotations.md), in the part
/// that tags have: letters, digits, `_`, `.` and `-`, at most 128 of them (OCI distribution
/// specification 1.1, "Pulling manifests").
pub fn index(mut descriptor: Descriptor, name: Option<ImageName<'_>>) -> Result<Vec<u8>> {
    if let Some(name) = name {
        let first = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let rest = |b: u8| first(b) || b == b'.' || b == b'-';
        let tag = name.tag.as_bytes();
        if tag.len() > 128
            || !tag.first().is_some_and(|&b| first(b))
            || !tag.iter().all(|&b| rest(b))
        {
            return Err(Error::usage(format!("`{}` is not a tag", name.tag))
                .hint("use at most 128 letters, digits, `_`, `.` and `-`"));
        }
        descriptor.annotations.insert(REF_NAME.into(), name.tag.into());
        if let Some(image) = name.image {
            descriptor.annotations.insert(IMAGE_NAME.into(), image.into());
        }
    }
    let index = Index::new(vec![descriptor], BTreeMap::new());
    json::to_bytes(&index, Style::Compact)
}
