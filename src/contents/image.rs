//! An image read as a whole, each of its digests held against its content.

use std::io::Read;

use serde_json::{Map, Value};

use super::Tree;
use crate::{
    error::{Error, Result},
    oci::{self, Digest, Document, Manifest, digest::Hasher},
    schema::image::{Config, File, FileKind, Image, Layer, Mode, Notes, Step},
    unpack::{
        self, Budget, Entry, Kind,
        image::{self, OPAQUE, Store, WHITEOUT},
    },
};

/// The longest path, and the longest target of a link: Linux' `PATH_MAX`.
pub(super) const PATH: usize = 4096;

/// The deepest path.
const DEPTH: usize = 256;

/// How many times its size in memory a configuration becomes once it is read.
const READ: usize = 16;

/// How AUFS calls what it keeps for itself.
const AUFS: &str = ".wh..wh.";

/// What to do about an image that is not what it says.
pub const DAMAGED: &str = "it is damaged, or was changed after it was made: copy or build it again";

/// How much may be kept in memory of what is read.
#[derive(Clone, Debug)]
pub struct Limit {
    /// Files.
    pub entries: usize,
    /// Bytes of their names, and of what else grows with what is read.
    pub text: usize,
}

impl Limit {
    const ENTRIES: usize = 1 << 20;
    const TEXT: usize = 256 << 20;

    /// Notes that one more file is kept.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn take(&mut self, text: usize) -> Result<()> {
        match (self.entries.checked_sub(1), self.text.checked_sub(text)) {
            (Some(entries), Some(text)) => {
                *self = Limit { entries, text };
                Ok(())
            }
            (None, _) => Err(Error::check(format!("there are more than {} files", Self::ENTRIES))),
            (_, None) => {
                let message = format!("names and the like take more than {} bytes", Self::TEXT);
                Err(Error::check(message))
            }
        }
    }
}

impl Default for Limit {
    fn default() -> Self {
        Limit { entries: Self::ENTRIES, text: Self::TEXT }
    }
}

/// All that is in `image`.
///
/// # Errors
/// A part of it is missing, broken, or another one than its digest says, or `limit` is reached.
pub fn read(store: &dyn Store, image: &image::Image, limit: &mut Limit) -> Result<Image> {
    let (manifest, config) = image::documents(store, image).map_err(|error| error.hint(DAMAGED))?;
    limit.take(usize::try_from(config.size()).unwrap_or(usize::MAX).saturating_mul(READ))?;
    let budget = Budget::default();
    let mut made = config.history.iter().filter(|step| !step.empty_layer);
    let mut tree = Tree::default();
    let mut layers = Vec::new();
    for (at, layer) in image.layers.iter().enumerate() {
        let number = at + 1;
        let place = || format!("layer {number}, `{}`", layer.path.escape_debug());
        let mut files = Vec::new();
        let read = image::read(store, layer, &budget, &mut |entry, content| {
            files.extend(file(entry, content, number, limit)?);
            Ok(())
        });
        let was = read.map_err(|error| {
            Error::check(format!("{}: {error}", place())).hint(error.hint_text().unwrap_or(DAMAGED))
        })?;
        if !was.lies.is_empty() {
            let lies = was.lies.join(", and ");
            let message = format!("{} is not the one of the image: it {lies}", place());
            return Err(Error::check(message).hint(DAMAGED));
        }
        tree.add_layer(&files, limit)
            .map_err(|error| Error::check(format!("{}: {error}", place())))?;
        layers.push(Layer {
            digest: was.digest,
            diff_id: layer.diff_id,
            media_type: media_type(manifest.as_ref(), at),
            size: was.size,
            unpacked_size: was.unpacked_size,
            created_by: made.next().and_then(|step| step.created_by.clone()),
            files,
        });
    }
    Ok(Image {
        platform: image.platform.clone(),
        manifest: image.manifest.as_ref().map(|manifest| manifest.digest),
        config_digest: config.digest(),
        size: image.size,
        created: config.created.clone(),
        config: configuration(&config)?,
        annotations: manifest.map_or_else(Notes::new, |manifest| manifest.annotations.clone()),
        history: history(&config),
        layers,
        files: tree.into_files(),
    })
}

fn media_type(manifest: Option<&Document<Manifest>>, layer: usize) -> Option<String> {
    Some(manifest?.layers.get(layer)?.media_type.to_string())
}

fn history(config: &oci::Config) -> Vec<Step> {
    let mut layers = 0;
    let step = |step: &oci::config::History| Step {
        created: step.created.clone(),
        created_by: step.created_by.clone(),
        author: step.author.clone(),
        comment: step.comment.clone(),
        layer: (!step.empty_layer).then(|| {
            layers += 1;
            layers
        }),
    };
    config.history.iter().map(step).collect()
}

/// What is known of a configuration, and beside it all else that is in its bytes.
fn configuration(config: &Document<oci::Config>) -> Result<Config> {
    const TOP: [&str; 7] =
        ["architecture", "config", "created", "history", "os", "rootfs", "variant"];
    const KNOWN: [&str; 10] = [
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
    let bad = |error| Error::check("the configuration cannot be read").because(error);
    let mut all: Map<String, Value> = serde_json::from_slice(config.bytes()).map_err(bad)?;
    let mut own = match all.get_mut("config").map(Value::take) {
        Some(Value::Object(own)) => own,
        _ => Map::new(),
    };
    let healthcheck = own.remove("Healthcheck").filter(|value| !is_empty(value));
    let top = all.into_iter().filter(|(key, _)| !TOP.contains(&key.as_str()));
    let own = own.into_iter().filter(|(key, _)| !KNOWN.contains(&key.as_str()));
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
        other: top.chain(own).filter(|(_, value)| !is_empty(value)).collect(),
    })
}

/// Whether it says what its absence would: writers in Go leave such values out, or do not.
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

/// What an entry is; nothing for what AUFS keeps for itself.
fn file(
    entry: &Entry,
    content: &mut dyn Read,
    layer: usize,
    limit: &mut Limit,
) -> Result<Option<File>> {
    let mut target = match &entry.kind {
        Kind::Link(to) => Some(to.clone()),
        Kind::HardLink(to) => Some(unpack::absolute(to)),
        _ => None,
    };
    let bad = |what: &str| {
        let path: String = entry.path.chars().take(120).collect();
        Error::check(format!("`{}` {what}", path.escape_debug()))
    };
    if entry.leaves_root() {
        return Err(bad("leads out of the image's root").hint("do not unpack this image"));
    }
    let mut path = unpack::absolute(&entry.path);
    let longest = path.len().max(target.as_ref().map_or(0, String::len));
    if longest > PATH || path.matches('/').count() > DEPTH {
        let message = format!("is longer than {PATH} bytes, or deeper than {DEPTH} directories");
        return Err(bad(&message));
    }
    let attributes = entry.stat.xattrs.keys().map(|name| name.len() + size_of::<Digest>());
    limit.take(path.len() + target.as_ref().map_or(0, String::len) + attributes.sum::<usize>())?;
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
    let mut kind = kind(entry);
    if name == OPAQUE {
        kind = FileKind::OpaqueWhiteout;
        path = if directory.is_empty() { "/".to_owned() } else { directory.to_owned() };
    } else if name.starts_with(AUFS) {
        return Ok(None);
    } else if let Some(gone) = name.strip_prefix(WHITEOUT) {
        if ["", ".", ".."].contains(&gone) {
            return Err(bad("is a whiteout of nothing"));
        }
        kind = FileKind::Whiteout;
        path = format!("{directory}/{gone}");
    }
    if matches!(kind, FileKind::Whiteout | FileKind::OpaqueWhiteout) {
        target = None;
    }
    let (sha256, size) = match kind {
        FileKind::File | FileKind::Unknown => {
            let mut hasher = Hasher::default();
            std::io::copy(content, &mut hasher)
                .map_err(|error| bad("cannot be read").because(error))?;
            let (digest, size) = hasher.finish();
            (Some(digest), size)
        }
        _ => (None, 0),
    };
    let stat = &entry.stat;
    Ok(Some(File {
        path,
        kind,
        target,
        mode: Mode(entry.mode.unwrap_or(0)),
        uid: stat.uid,
        gid: stat.gid,
        size,
        sha256,
        mtime: stat.mtime,
        device: stat.device.map(|device| (device.major, device.minor)),
        xattrs: stat.xattrs.clone(),
        layer,
    }))
}

fn kind(entry: &Entry) -> FileKind {
    match (&entry.kind, entry.stat.device) {
        (Kind::File, _) => FileKind::File,
        (Kind::Directory, _) => FileKind::Directory,
        (Kind::Link(_), _) => FileKind::Symlink,
        (Kind::HardLink(_), _) => FileKind::HardLink,
        (Kind::Special(_), Some(device)) if device.block => FileKind::BlockDevice,
        (Kind::Special(_), Some(_)) => FileKind::CharacterDevice,
        (Kind::Special(_), None) => FileKind::Pipe,
        (Kind::Unknown(_), _) => FileKind::Unknown,
    }
}
