//! Images that are read in full, with each digest compared with its content.

use serde_json::{Map, Value};

use super::{Tree, scan::scan};
use crate::{
    archive::unpack::MAX_ENTRIES,
    image::{
        oci::{self, Document, Manifest},
        read::image::{self, Store},
    },
    model::{
        collect::CollectOrdered as _,
        digest::Hasher,
        error::{Error, Result},
        schema::image::{Config, File, FileKind, Image, Layer, Notes, Step},
    },
};

/// The ratio of a configuration's size in memory to its size in the image.
const MEMORY_RATIO: usize = 16;

/// The hint for an image that does not match its digests.
pub const DAMAGED: &str = "it is damaged, or was changed after it was made: copy or build it again";

/// The most that is kept in memory of what is read.
#[derive(Clone, Debug)]
pub struct MemoryLimit {
    entries: usize,
    text: usize,
    most_entries: usize,
    most_text: usize,
}

impl MemoryLimit {
    /// Returns a limit of so many files, and so many bytes of their names and of other data that grows
    /// with the image.
    pub fn new(entries: usize, text: usize) -> Self {
        MemoryLimit { entries, text, most_entries: entries, most_text: text }
    }

    /// Returns the limit for one image.
    pub(super) fn for_image() -> Self {
        MemoryLimit::new(MAX_ENTRIES, 24 << 20)
    }

    /// Counts one more file.
    ///
    /// # Errors
    /// The limit is reached.
    pub fn take(&mut self, text: usize) -> Result<()> {
        match (self.entries.checked_sub(1), self.text.checked_sub(text)) {
            (Some(entries), Some(text)) => {
                (self.entries, self.text) = (entries, text);
                Ok(())
            }
            (None, _) => {
                Err(Error::check(format!("there are more than {} files", self.most_entries)))
            }
            (_, None) => {
                let message = format!("names and the like take more than {} bytes", self.most_text);
                Err(Error::check(message))
            }
        }
    }
}

impl Default for MemoryLimit {
    /// Returns the limit for all images of a command.
    fn default() -> Self {
        MemoryLimit::new(1 << 20, 256 << 20)
    }
}

/// Returns the contents of `image`.
///
/// # Errors
/// A part of it is missing, broken, or another one than its digest says, or `limit` is reached.
pub fn read(
    store: &dyn Store,
    image: &image::StoredImage,
    limit: &mut MemoryLimit,
) -> Result<Image> {
    let (manifest, config) = image::documents(store, image).map_err(|error| error.hint(DAMAGED))?;
    limit
        .take(usize::try_from(config.size()).unwrap_or(usize::MAX).saturating_mul(MEMORY_RATIO))?;
    let mut files: Vec<Vec<File>> = image.layers.iter().map(|_| Vec::new()).collect();
    let scan = scan(store, image, limit, &mut |item, content| {
        let Some(file) = item.file else { return Ok(()) };
        if matches!(file.kind, FileKind::File | FileKind::Unknown) {
            let mut hasher = Hasher::default();
            std::io::copy(content, &mut hasher).map_err(|error| {
                let path = item.entry.path.escape_debug();
                Error::check(format!("`{path}` cannot be read")).because(error)
            })?;
            let (digest, size) = hasher.finish();
            (file.sha256, file.size) = (Some(digest), size);
        }
        if let Some(files) = files.get_mut(item.layer - 1) {
            files.push(file.clone());
        }
        Ok(())
    })?;
    if let Some(fault) = scan.faults.into_iter().next() {
        return Err(Error::check(fault.message).hint(fault.hint));
    }
    let known = config.mismatched_history().is_none();
    let mut made = config.history.iter().filter(|step| known && !step.empty_layer);
    let read = image.layers.iter().zip(scan.layers).zip(files).enumerate();
    let layers = read.map(|(at, ((layer, was), files))| Layer {
        digest: was.digest,
        diff_id: layer.diff_id,
        media_type: media_type(manifest.as_ref(), at),
        size: was.size,
        unpacked_size: was.unpacked_size,
        created_by: made.next().and_then(|step| step.created_by.clone()),
        files,
    });
    let layers = layers.collect();
    Ok(Image {
        platform: image.platform.clone(),
        manifest: image.manifest.as_ref().map(|manifest| manifest.digest),
        config_digest: config.digest(),
        size: image.size,
        created: config.created.clone(),
        warnings: image.warnings.clone(),
        config: configuration(&config)?,
        annotations: manifest.map_or_else(Notes::new, |manifest| manifest.annotations.clone()),
        history: history(&config),
        layers,
        files: scan.tree.map(Tree::into_files).unwrap_or_default(),
    })
}

fn media_type(manifest: Option<&Document<Manifest>>, layer: usize) -> Option<String> {
    Some(manifest?.layers.get(layer)?.media_type.to_string())
}

fn history(config: &oci::Config) -> Vec<Step> {
    let known = config.mismatched_history().is_none();
    let mut layers = 0;
    let step = |step: &oci::config::History| Step {
        created: step.created.clone(),
        created_by: step.created_by.clone(),
        author: step.author.clone(),
        comment: step.comment.clone(),
        layer: (known && !step.empty_layer).then(|| {
            layers += 1;
            layers
        }),
    };
    config.history.iter().map(step).collect()
}

/// Returns the known fields of a configuration, and separately all others in its bytes.
fn configuration(config: &Document<oci::Config>) -> Result<Config> {
    const KNOWN_TOP: [&str; 7] =
        ["architecture", "config", "created", "history", "os", "rootfs", "variant"];
    const KNOWN_CONFIG: [&str; 10] = [
        "User",
        "ExposedPorts",
        "Env",
        "Entrypoint",
        "Cmd",
        "Volumes",
        "WorkingDir",
        "Labels",
        "StopSignal",
        "Healthcheck",
    ];
    let read_error = |error| Error::check("the configuration cannot be read").because(error);
    let mut all: Map<String, Value> = serde_json::from_slice(config.bytes()).map_err(read_error)?;
    let mut own = match all.get_mut("config").map(Value::take) {
        Some(Value::Object(own)) => own,
        _ => Map::new(),
    };
    let healthcheck = own.remove("Healthcheck").filter(|value| !is_empty(value));
    let top = all.into_iter().filter(|(key, _)| !KNOWN_TOP.contains(&key.as_str()));
    let own = own.into_iter().filter(|(key, _)| !KNOWN_CONFIG.contains(&key.as_str()));
    let own = own.map(|(key, value)| (format!("config.{key}"), value));
    let runs = &config.config;
    Ok(Config {
        entrypoint: runs.entrypoint.clone().unwrap_or_default(),
        cmd: runs.cmd.clone().unwrap_or_default(),
        user: runs.user.clone(),
        env: runs.env.clone(),
        working_dir: runs.working_dir.clone(),
        exposed_ports: runs.exposed_ports.iter().cloned().collect(),
        volumes: runs.volumes.iter().cloned().collect(),
        stop_signal: runs.stop_signal.clone().filter(|signal| !signal.is_empty()),
        healthcheck,
        labels: runs.labels.clone(),
        other: top.chain(own).filter(|(_, value)| !is_empty(value)).collect_map(),
    })
}

/// Returns whether the value means the same as its absence: writers in Go may leave such values out.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) => false,
    }
}
