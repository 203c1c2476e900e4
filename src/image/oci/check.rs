//! Checks that a layout matches its digests and sizes. Every failure is reported, not only the first.

use std::{collections::BTreeSet, fmt};

use super::{
    config::Config,
    descriptor::{Descriptor, MediaType},
    document::{Document, Model},
    index::Index,
    layout::{INDEX, LAYOUT_FILE, blob_path},
    manifest::Manifest,
    walk::{Walk, WalkStep},
};
use crate::model::{
    digest::{Digest, Hasher},
    platform::Platform,
};

/// One problem of a layout.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LayoutFault {
    /// The file it is in.
    pub path: String,
    /// The problem, as a sentence without a capital or a full stop.
    pub message: String,
}

impl fmt::Display for LayoutFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.path, self.message)
    }
}

/// An image found in a layout.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundImage {
    /// The platform that its configuration declares.
    pub platform: Platform,
    /// Its manifest.
    pub manifest: Document<Manifest>,
    /// Its configuration.
    pub config: Document<Config>,
}

impl FoundImage {
    /// Returns its descriptor in an index.
    pub fn descriptor(&self) -> Descriptor {
        let manifest = &self.manifest;
        let media_type = manifest.media_type.clone().unwrap_or(MediaType::Manifest);
        let mut descriptor = Descriptor::new(media_type, manifest.digest(), manifest.size());
        descriptor.platform = Some(self.platform.clone());
        descriptor
    }
}

/// Checks all of a layout through `read`, which returns the bytes of the file at a path below the
/// layout's directory; `None` if there is no such file. Returns the images, and the faults:
///
/// - a file that is missing, cannot be parsed, or does not have the digest or size that points at it;
/// - a configuration that disagrees with its index's platform or its manifest's number of layers;
/// - a layer with a tar that does not have the digest that the configuration gives (gzip and plain tar;
///   zstd is not opened);
/// - two images of one platform in one index.
pub fn check(read: &dyn Fn(&str) -> Option<Vec<u8>>) -> (Vec<FoundImage>, Vec<LayoutFault>) {
    let mut check = Checker { read, seen: BTreeSet::new(), found: Vec::new(), faults: Vec::new() };
    check.check_layout_file();
    if let Some(index) = check.bytes(INDEX).and_then(|bytes| check.document::<Index>(INDEX, bytes))
    {
        check.index(&index);
    }
    (check.found, check.faults)
}

struct Checker<'a> {
    read: &'a dyn Fn(&str) -> Option<Vec<u8>>,
    seen: BTreeSet<Digest>,
    found: Vec<FoundImage>,
    faults: Vec<LayoutFault>,
}

impl Checker<'_> {
    fn add_fault(&mut self, path: &str, message: impl Into<String>) {
        self.faults.push(LayoutFault { path: path.into(), message: message.into() });
    }

    fn bytes(&mut self, path: &str) -> Option<Vec<u8>> {
        let bytes = (self.read)(path);
        if bytes.is_none() {
            self.add_fault(path, "is missing");
        }
        bytes
    }

    fn document<T: Model>(&mut self, path: &str, bytes: Vec<u8>) -> Option<Document<T>> {
        Document::parse(bytes).map_err(|error| self.add_fault(path, error.to_string())).ok()
    }

    fn check_layout_file(&mut self) {
        let Some(bytes) = self.bytes(LAYOUT_FILE.0) else {
            return;
        };
        let version = serde_json::from_slice::<serde_json::Value>(&bytes).ok();
        let version = version.as_ref().and_then(|v| v.get("imageLayoutVersion"));
        if version.and_then(|v| v.as_str()) != Some("1.0.0") {
            self.add_fault(LAYOUT_FILE.0, "does not say that the layout's version is 1.0.0");
        }
    }

    /// Returns the bytes of a blob that match its descriptor.
    fn blob(&mut self, descriptor: &Descriptor) -> Option<Vec<u8>> {
        let path = blob_path(descriptor.digest);
        let bytes = self.bytes(&path)?;
        let (digest, size) = (Digest::sha256(&bytes), bytes.len() as u64);
        if size != descriptor.size {
            let declared = descriptor.size;
            self.add_fault(&path, format!("has {size} bytes, not {declared}"));
        }
        if digest != descriptor.digest {
            self.add_fault(&path, format!("has the digest `{digest}`"));
            return None;
        }
        Some(bytes)
    }

    fn index(&mut self, index: &Index) {
        self.check_platforms(INDEX, index);
        let mut walk = Walk::new(index.manifests.clone());
        while let Some(step) = walk.next() {
            let WalkStep::Visit(descriptor) = step else { continue };
            // A blob that two indexes share is read once.
            if !self.seen.insert(descriptor.digest) {
                continue;
            }
            let Some(bytes) = self.blob(&descriptor) else {
                continue;
            };
            let blob = blob_path(descriptor.digest);
            if descriptor.media_type.is_index() {
                let Some(inner) = self.document::<Index>(&blob, bytes) else { continue };
                self.check_platforms(&blob, &inner);
                if let Err(error) = walk.descend(descriptor, inner.manifests.clone()) {
                    self.add_fault(&blob, error.to_string());
                }
            } else if descriptor.media_type.is_manifest() {
                if let Some(manifest) = self.document::<Manifest>(&blob, bytes) {
                    self.manifest(&blob, manifest, descriptor.platform.as_ref());
                }
            } else {
                let path = walk.enclosing().next_back();
                let path = path.map_or(INDEX.to_owned(), |index| blob_path(index.digest));
                let kind = &descriptor.media_type;
                self.add_fault(&path, format!("points at a blob of the type `{kind}`"));
            }
        }
    }

    /// Checks that the index at `path` has one image for each platform.
    fn check_platforms(&mut self, path: &str, index: &Index) {
        let mut platforms = BTreeSet::new();
        for platform in index.manifests.iter().filter_map(|descriptor| descriptor.platform.as_ref())
        {
            if platform.os != "unknown" && !platforms.insert(platform) {
                self.add_fault(path, format!("has two images for `{platform}`"));
            }
        }
    }

    fn manifest(&mut self, path: &str, manifest: Document<Manifest>, declared: Option<&Platform>) {
        let layers: Vec<_> = manifest.layers.iter().map(|l| (l.clone(), self.blob(l))).collect();
        let config = self.blob(&manifest.config);
        // Attestations and other artifacts have their own kinds of configuration.
        let image =
            matches!(manifest.config.media_type, MediaType::Config | MediaType::DockerConfig);
        let unknown = declared.is_some_and(|platform| platform.os == "unknown");
        if !image || unknown {
            return;
        }
        let config_path = blob_path(manifest.config.digest);
        let Some(config) = config.and_then(|b| self.document::<Config>(&config_path, b)) else {
            return;
        };
        match config.platform() {
            Err(error) => self.add_fault(&config_path, error.to_string()),
            Ok(platform) => {
                if let Some(declared) = declared
                    && *declared != platform
                {
                    let message = format!("is for `{platform}`, and the index says `{declared}`");
                    self.add_fault(&config_path, message);
                }
                let ids = &config.rootfs.diff_ids;
                if let Some(count) = config.mismatched_history() {
                    let layers = ids.len();
                    let message =
                        format!("its history has {count} layers, and its rootfs {layers}");
                    self.add_fault(&config_path, message);
                }
                if ids.len() != layers.len() {
                    let (has, declared) = (layers.len(), ids.len());
                    self.add_fault(
                        path,
                        format!("has {has} layers, and its configuration {declared}"),
                    );
                }
                for ((layer, bytes), diff_id) in layers.into_iter().zip(ids) {
                    if let Some(bytes) = bytes {
                        self.layer(&layer, bytes, *diff_id);
                    }
                }
                self.found.push(FoundImage { platform, manifest, config });
            }
        }
    }

    fn layer(&mut self, layer: &Descriptor, bytes: Vec<u8>, diff_id: Digest) {
        let path = blob_path(layer.digest);
        let found = match layer.media_type {
            MediaType::Layer => Ok(Digest::sha256(&bytes)),
            MediaType::LayerGzip | MediaType::DockerLayerGzip => gunzip(&bytes),
            _ => return,
        };
        match found {
            Err(why) => self.add_fault(&path, why),
            Ok(found) if found != diff_id => {
                let message = format!("holds a tar `{found}`, not `{diff_id}`");
                self.add_fault(&path, message);
            }
            Ok(_) => {}
        }
    }
}

/// Returns the digest of the contents of a gzip file, in one member or several.
fn gunzip(bytes: &[u8]) -> Result<Digest, String> {
    let mut hasher = Hasher::default();
    std::io::copy(&mut flate2::read::MultiGzDecoder::new(bytes), &mut hasher)
        .map_err(|error| format!("is not gzip: {error}"))?;
    Ok(hasher.finish().0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        archive::{
            tar::Meta,
            tree::{self, Tree},
        },
        image::oci::{
            Layer, OciImage, OciImageSet,
            config::Execution,
            image::{Description, HistoryStep},
            layout::{FileContent, ImageName, files},
        },
        model::schema::packaging::Compressor,
    };

    type Files = BTreeMap<String, Vec<u8>>;

    struct NoFiles;

    impl tree::FileStore for NoFiles {
        fn open(&self, name: &str) -> crate::model::error::Result<Box<dyn std::io::Read + '_>> {
            panic!("{name}")
        }
    }

    fn layout(platforms: &[&str]) -> Files {
        let mut result = Files::new();
        let meta = Meta { mode: 0o755, uid: 0, gid: 0, mtime: 0 };
        let mut image = |platform: &&str| {
            let mut tree = Tree::default();
            let content = tree::Content::bytes(platform.as_bytes());
            tree.add_file("/usr/local/bin/hello", meta, meta, content).unwrap();
            let (layer, blob) = Layer::write(
                &tree,
                &NoFiles,
                Compressor::Gzip,
                &crate::archive::compress::NoCache,
                Vec::new(),
            )
            .unwrap();
            result.insert(blob_path(layer.descriptor().digest), blob);
            OciImage::new(Description {
                platform: platform.parse().unwrap(),
                epoch: 0,
                execution: Execution::default(),
                author: None,
                steps: vec![HistoryStep { created_by: "COPY a b".into(), layer: Some(layer) }],
                annotations: BTreeMap::new(),
            })
            .unwrap()
        };
        let images = platforms.iter().map(&mut image).collect();
        let set = OciImageSet::new(images, BTreeMap::new()).unwrap();
        let name = ImageName { tag: "1.0", image: Some("registry.example/hello:1.0") };
        for file in files(&set, Some(name)).unwrap() {
            if let FileContent::Bytes(bytes) = file.content {
                result.insert(file.path, bytes.into_owned());
            }
        }
        result
    }

    fn faults(files: &Files) -> Vec<String> {
        let (_, faults) = check(&|path| files.get(path).cloned());
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn there_is_one_descriptor_for_any_number_of_platforms() {
        for platforms in [&["linux/amd64"][..], &["linux/amd64", "linux/arm64"]] {
            let files = layout(platforms);
            let index = Document::<Index>::parse(files[INDEX].clone()).unwrap();
            assert_eq!(index.manifests.len(), 1);
            assert_eq!(index.manifests[0].annotations.len(), 2);
            assert_eq!(files.len(), 2 + 3 * platforms.len() + usize::from(platforms.len() > 1));
            let (found, faults) = check(&|path| files.get(path).cloned());
            assert_eq!(faults, []);
            assert_eq!(found.len(), platforms.len());
            // An index made again of what was found is the one that was there.
            let rebuilt = found.iter().map(FoundImage::descriptor).collect();
            let rebuilt = Document::new(Index::new(rebuilt, BTreeMap::new())).unwrap();
            assert_eq!(rebuilt.digest() == index.manifests[0].digest, found.len() > 1);
        }
    }

    #[test]
    fn every_fault_is_reported() {
        assert_eq!(faults(&Files::new()), ["`oci-layout`: is missing", "`index.json`: is missing"]);
        let good = layout(&["linux/amd64", "linux/arm64"]);
        for path in good.keys() {
            let mut files = good.clone();
            files.remove(path);
            assert_eq!(faults(&files), [format!("`{path}`: is missing")]);
            let mut files = good.clone();
            files.get_mut(path).unwrap().push(b'x');
            let faults_text = faults(&files).join("\n");
            assert!(faults_text.contains(path), "{path}: {faults_text}");
        }
    }

    #[test]
    fn random_layouts_are_rejected_without_a_panic() {
        let good = layout(&["linux/amd64"]);
        for (path, bytes) in &good {
            for at in 0..bytes.len().min(2000) {
                let mut files = good.clone();
                let target = files.get_mut(path).unwrap();
                target[at] ^= 1 << (at % 8);
                // A changed bit in `index.json` can be in an annotation, which nothing checks.
                assert!(path == INDEX || !faults(&files).is_empty(), "{path} {at}");
            }
        }
    }

    #[test]
    fn an_index_that_contradicts_its_images_is_rejected() {
        let mut files = layout(&["linux/amd64", "linux/arm64"]);
        let outer = Document::<Index>::parse(files[INDEX].clone()).unwrap();
        let path = blob_path(outer.manifests[0].digest);
        let mut index = (*Document::<Index>::parse(files[&path].clone()).unwrap()).clone();
        let amd64 = index.manifests[0].platform.clone();
        index.manifests[1].platform = amd64;
        let lying = Document::new(index).unwrap();
        let mut descriptor = outer.manifests[0].clone();
        (descriptor.digest, descriptor.size) = (lying.digest(), lying.size());
        let outer = Document::new(Index::new(vec![descriptor], BTreeMap::new())).unwrap();
        files.insert(INDEX.into(), outer.bytes().to_vec());
        files.insert(blob_path(lying.digest()), lying.bytes().to_vec());
        let faults_text = faults(&files);
        assert_eq!(faults_text.len(), 2, "{faults_text:?}");
        assert!(faults_text[0].contains("two images for `linux/amd64`"));
        assert!(faults_text[1].contains("is for `linux/arm64`, and the index says `linux/amd64`"));
    }
}
