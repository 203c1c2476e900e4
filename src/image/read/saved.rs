//! The archives that `docker load` reads, and their `manifest.json`. There is no specification: the
//! writers are `docker save`, skopeo, go-containerregistry (crane, ko, kaniko), jib and others, and
//! each names configurations and layers in its own way.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    image::{
        EntryNote, Images, MAX_DOCUMENTS, MAX_MANIFESTS, Store, StoredImage, StoredLayer,
        StoredSet, add_names, charge, read_small,
    },
    platform::resolve,
};
use crate::{
    image::oci::{Config, Document, archive::DOCKER_MANIFEST},
    model::{
        digest::Digest,
        error::{Error, Result},
    },
};

/// One image in `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// Returns whether these bytes list images.
pub(crate) fn is_saved(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Vec<SavedImage>>(bytes).is_ok_and(|saved| !saved.is_empty())
}

/// Adds the images that `manifest` lists.
///
/// # Errors
/// It is not such a list.
pub(crate) fn read(store: &dyn Store, manifest: &[u8], found: &mut Images) -> Result<()> {
    let read_error =
        |error| Error::check(format!("`{DOCKER_MANIFEST}` cannot be read")).because(error);
    let saved: Vec<SavedImage> = serde_json::from_slice(manifest).map_err(read_error)?;
    if saved.len() > MAX_MANIFESTS {
        return Err(Error::check(format!("it has more than {MAX_MANIFESTS} images")));
    }
    let mut bytes = MAX_DOCUMENTS;
    found.files.insert(DOCKER_MANIFEST.to_owned());
    for mut saved in saved {
        let paths = [&mut saved.config].into_iter().chain(saved.layers.iter_mut().flatten());
        paths.for_each(|path| *path = normalise_path(path));
        found.files.insert(saved.config.clone());
        found.files.extend(saved.layers.iter().flatten().cloned());
        let name = saved.repo_tags.iter().flatten().next().unwrap_or(&saved.config).clone();
        let mut saved_set =
            StoredSet { names: Vec::new(), descriptor: None, annotations: BTreeMap::new() };
        add_names(&mut saved_set, saved.repo_tags.iter().flatten());
        let set = found.sets.len();
        found.sets.push(saved_set);
        match image(store, &saved, set, &mut bytes) {
            Ok(image) => found.images.push(image),
            Err(error) => found.broken.push(EntryNote {
                name,
                description: error.to_string(),
                set,
                platform: None,
            }),
        }
    }
    Ok(())
}

/// Returns a path without `.`, which names the same file.
fn normalise_path(path: &str) -> String {
    let mut path = path;
    while let Some(rest) = path.strip_prefix("./") {
        path = rest.trim_start_matches('/');
    }
    path.to_owned()
}

/// Returns the digest that a file is named after. Most names are only paths: `config.json`,
/// `x/layer.tar`.
fn digest_in_name(path: &str) -> Option<Digest> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name.strip_prefix("sha256:").unwrap_or(name);
    let stem = name.split('.').next().unwrap_or(name);
    format!("sha256:{stem}").parse().ok()
}

fn image(
    store: &dyn Store,
    saved: &SavedImage,
    set: usize,
    remaining: &mut u64,
) -> Result<StoredImage> {
    let path = &saved.config;
    let missing = || Error::check(format!("`{path}` is missing"));
    let bytes = read_small(store, path)?.ok_or_else(missing)?;
    *remaining = charge(*remaining, bytes.len() as u64)?;
    let digest = Digest::sha256(&bytes);
    if let Some(named) = digest_in_name(path).filter(|named| *named != digest) {
        let message = format!("`{path}` is corrupt: expected digest `{named}`, got `{digest}`");
        return Err(Error::check(message));
    }
    let config = Document::<Config>::parse(bytes)?;
    let paths = saved.layers.as_deref().unwrap_or_default();
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != paths.len() {
        let (has, declared) = (paths.len(), diff_ids.len());
        return Err(Error::check(format!("it has {has} layers, and its configuration {declared}")));
    }
    let layers = paths.iter().zip(diff_ids).map(|(path, diff_id)| StoredLayer {
        path: path.clone(),
        blob: None,
        named_digest: digest_in_name(path),
        diff_id: *diff_id,
    });
    let (platform, warning) = resolve(None, &config)?;
    Ok(StoredImage {
        name: String::new(),
        platform,
        size: None,
        layers: layers.collect(),
        set,
        manifest: None,
        config: (path.clone(), digest),
        warnings: warning.into_iter().chain(super::image::history_warning(&config)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_names_are_digests() {
        let hex = Digest::sha256(b"").hex().to_owned();
        for name in ["", "sha256:", "blobs/sha256/", "./a/"] {
            for end in ["", ".json", ".tar", ".tar.gz"] {
                let path = format!("{name}{hex}{end}");
                assert_eq!(digest_in_name(&path), Some(Digest::sha256(b"")), "{path}");
            }
        }
        let directory = format!("{hex}/layer.tar");
        for path in ["config.json", "", "sha256:12", &directory, &hex[1..], &format!("x{hex}")] {
            assert_eq!(digest_in_name(path), None, "{path}");
        }
        assert_eq!(normalise_path(".//./a/./b"), "a/./b");
    }
}
