//! The archives that `docker load` reads, and their `manifest.json`. There is no specification: the
//! writers are `docker save`, skopeo, go-containerregistry (crane, ko, kaniko), jib and others, and
//! each names configurations and layers in its own way.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    image::{DOCUMENTS, Image, Images, Layer, MANIFESTS, Set, Store, Told, add_names, less, small},
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
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// Returns whether these bytes list images.
pub(crate) fn is_saved(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Vec<Saved>>(bytes).is_ok_and(|saved| !saved.is_empty())
}

/// Adds the images that `manifest` lists.
///
/// # Errors
/// It is not such a list.
pub(crate) fn read(store: &dyn Store, manifest: &[u8], found: &mut Images) -> Result<()> {
    let bad = |error| Error::check(format!("`{DOCKER_MANIFEST}` cannot be read")).because(error);
    let saved: Vec<Saved> = serde_json::from_slice(manifest).map_err(bad)?;
    if saved.len() > MANIFESTS {
        return Err(Error::check(format!("it has more than {MANIFESTS} images")));
    }
    let mut bytes = DOCUMENTS;
    found.files.insert(DOCKER_MANIFEST.to_owned());
    for mut saved in saved {
        let paths = [&mut saved.config].into_iter().chain(saved.layers.iter_mut().flatten());
        paths.for_each(|path| *path = plain(path));
        found.files.insert(saved.config.clone());
        found.files.extend(saved.layers.iter().flatten().cloned());
        let name = saved.repo_tags.iter().flatten().next().unwrap_or(&saved.config).clone();
        let mut own = Set { names: Vec::new(), descriptor: None, annotations: BTreeMap::new() };
        add_names(&mut own, saved.repo_tags.iter().flatten());
        let set = found.sets.len();
        found.sets.push(own);
        match image(store, &saved, set, &mut bytes) {
            Ok(image) => found.images.push(image),
            Err(error) => {
                found.broken.push(Told { name, what: error.to_string(), set, platform: None })
            }
        }
    }
    Ok(())
}

/// Returns a path without `.`, which names the same file.
fn plain(path: &str) -> String {
    let mut path = path;
    while let Some(rest) = path.strip_prefix("./") {
        path = rest.trim_start_matches('/');
    }
    path.to_owned()
}

/// Returns the digest that a file is named after. Most names are only paths: `config.json`,
/// `x/layer.tar`.
fn named(path: &str) -> Option<Digest> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name.strip_prefix("sha256:").unwrap_or(name);
    let stem = name.split('.').next().unwrap_or(name);
    format!("sha256:{stem}").parse().ok()
}

fn image(store: &dyn Store, saved: &Saved, set: usize, left: &mut u64) -> Result<Image> {
    let path = &saved.config;
    let missing = || Error::check(format!("`{path}` is missing"));
    let bytes = small(store, path)?.ok_or_else(missing)?;
    *left = less(*left, bytes.len() as u64)?;
    let digest = Digest::sha256(&bytes);
    if let Some(named) = named(path).filter(|named| *named != digest) {
        let message = format!("`{path}` is corrupt: expected digest `{named}`, got `{digest}`");
        return Err(Error::check(message));
    }
    let config = Document::<Config>::parse(bytes)?;
    let paths = saved.layers.as_deref().unwrap_or_default();
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != paths.len() {
        let (has, said) = (paths.len(), diff_ids.len());
        return Err(Error::check(format!("it has {has} layers, and its configuration {said}")));
    }
    let layers = paths.iter().zip(diff_ids).map(|(path, diff_id)| Layer {
        path: path.clone(),
        blob: None,
        named: named(path),
        diff_id: *diff_id,
    });
    let (platform, warning) = resolve(None, &config)?;
    Ok(Image {
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
                assert_eq!(named(&path), Some(Digest::sha256(b"")), "{path}");
            }
        }
        let directory = format!("{hex}/layer.tar");
        for path in ["config.json", "", "sha256:12", &directory, &hex[1..], &format!("x{hex}")] {
            assert_eq!(named(path), None, "{path}");
        }
        assert_eq!(plain(".//./a/./b"), "a/./b");
    }
}
