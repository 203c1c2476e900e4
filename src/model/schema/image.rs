//! The contents of images, and the differences between two of them.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

use crate::model::{digest::Digest, platform::Platform};

/// The schema number of the inspections that this version makes.
pub const SCHEMA: u32 = 1;

/// The schema number of the differences that this version makes.
pub const DIFF_SCHEMA: u32 = 1;

/// Annotations or labels, by name.
pub type Notes = BTreeMap<String, String>;

/// The contents of all images that were given to `image inspect`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Inspection {
    /// The schema's number: 1.
    pub schema: u32,
    /// One for each path.
    pub sources: Vec<Source>,
}

/// The images at one path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Source {
    /// The path, as it was given.
    pub path: String,
    /// The form in which images are stored there.
    pub form: Form,
    /// The requested images; those of several platforms under one name are together.
    pub sets: Vec<ImageSet>,
    /// The platforms that an index names, and that are not stored there.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub absent: Vec<Platform>,
    /// Manifests that are not images, such as attestations.
    pub others: Vec<Other>,
}

/// The form in which images are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// The directory of an OCI layout.
    OciLayout,
    /// An OCI layout in a tar archive.
    OciArchive,
    /// The output of `docker save`.
    DockerArchive,
    /// A registry.
    Registry,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Form::OciLayout => "OCI layout",
            Form::OciArchive => "OCI archive",
            Form::DockerArchive => "docker archive",
            Form::Registry => "registry",
        })
    }
}

/// A manifest in a layout that is not an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Other {
    /// Its name.
    pub name: String,
    /// Its type.
    pub what: String,
}

/// The images that go by the same names, one a platform.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct ImageSet {
    /// Their tags, and complete names with tags.
    pub names: Vec<String>,
    /// The digest of the index, or of the manifest of a single image; absent in what `docker save`
    /// wrote.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<Digest>,
    /// The media type of that.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub media_type: Option<String>,
    /// The index's annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub annotations: Notes,
    /// The images.
    pub images: Vec<Image>,
}

/// The image of one platform.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Image {
    /// The platform.
    pub platform: Platform,
    /// The digest of its manifest; absent in what `docker save` wrote.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub manifest: Option<Digest>,
    /// The digest of its configuration.
    pub config_digest: Digest,
    /// The bytes that a pull transfers; absent in what `docker save` wrote.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
    /// The time of creation, from the configuration.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created: Option<String>,
    /// The inconsistencies in its metadata that engines accept, one sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warnings: Vec<String>,
    /// The configuration of its containers.
    pub config: Config,
    /// The annotations of its manifest.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub annotations: Notes,
    /// The instructions that made it, one entry for each.
    pub history: Vec<Step>,
    /// Its layers, lowest first.
    pub layers: Vec<Layer>,
    /// The files that a container sees, in the order of a tree.
    pub files: Vec<File>,
}

/// The configuration of a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct Config {
    /// The program and its first arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// The arguments unless others are given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// The user of the process; root if absent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Variables, as `NAME=value`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The directory that it starts in.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Ports, such as `80/tcp`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exposed_ports: Vec<String>,
    /// Directories that outlive a container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// The signal that stops it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// The health check; times in nanoseconds, as in the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Value>,
    /// Labels by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: Notes,
    /// All other fields of the configuration, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub other: BTreeMap<String, Value>,
}

/// One instruction that made an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Step {
    /// The time, from the image.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created: Option<String>,
    /// The instruction.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created_by: Option<String>,
    /// The author.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub author: Option<String>,
    /// A remark about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub comment: Option<String>,
    /// The number of the layer that it made, from 1; absent where it made none, or where the history
    /// has not one entry for each layer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub layer: Option<usize>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Layer {
    /// The digest of its blob.
    pub digest: Digest,
    /// The digest of its tar.
    pub diff_id: Digest,
    /// The media type of its blob; absent in what `docker save` wrote.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub media_type: Option<String>,
    /// The size of its blob.
    pub size: u64,
    /// The size of its tar.
    pub unpacked_size: u64,
    /// The instruction that made it; absent where the history has not one entry for each layer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created_by: Option<String>,
    /// Its files, in the order of its tar.
    pub files: Vec<File>,
}

/// A file, a directory, or another entry at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct File {
    /// Its path from the root of the image; for a whiteout, the path that it removes.
    pub path: String,
    /// Its type.
    pub kind: FileKind,
    /// The target of a link.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<String>,
    /// The permissions.
    pub mode: Mode,
    /// The number of the owner.
    pub uid: u64,
    /// The number of the group.
    pub gid: u64,
    /// The bytes of a file's content.
    pub size: u64,
    /// The digest of a file's content.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<Digest>,
    /// The modification time, in seconds since 1970.
    pub mtime: i64,
    /// The major and the minor number of a device.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub device: Option<(u32, u32)>,
    /// The digest of each extended attribute's value, by its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub xattrs: BTreeMap<String, Digest>,
    /// The number of the layer that it comes from, from 1.
    pub layer: usize,
}

/// The type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Another name of the file that it leads to.
    HardLink,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Pipe,
    /// Removes the file of lower layers at the path.
    Whiteout,
    /// Removes all files of lower layers below the path.
    OpaqueWhiteout,
    /// An unknown type, which is compared by its bytes.
    Unknown,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileKind::File => "file",
            FileKind::Directory => "directory",
            FileKind::Symlink => "symbolic link",
            FileKind::HardLink => "hard link",
            FileKind::CharacterDevice => "character device",
            FileKind::BlockDevice => "block device",
            FileKind::Pipe => "pipe",
            FileKind::Whiteout => "whiteout",
            FileKind::OpaqueWhiteout => "opaque whiteout",
            FileKind::Unknown => "unknown",
        })
    }
}

/// Permissions, as an octal text such as `0755`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mode(pub u32);

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u32::from_str_radix(&text, 8).map(Mode).map_err(D::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Mode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Mode".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-7]{4}$" })
    }
}

/// The differences between two images, or sets of images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct ImageDiff {
    /// The schema's number: 1.
    pub schema: u32,
    /// The path of the first, as it was given.
    pub before: String,
    /// The path of the second.
    pub after: String,
    /// Whether times were compared, too.
    pub times: bool,
    /// Whether they do not differ.
    pub equal: bool,
    /// Annotations of the indexes.
    pub annotations: Vec<Change>,
    /// Platforms that only the first has.
    pub only_before: Vec<Platform>,
    /// Platforms that only the second has.
    pub only_after: Vec<Platform>,
    /// One for each platform that both have.
    pub platforms: Vec<PlatformDiff>,
}

/// The differences between the images of one platform.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct PlatformDiff {
    /// The platform.
    pub platform: Platform,
    /// Whether they do not differ.
    pub equal: bool,
    /// The digest of each one's manifest, or where one has none, of its configuration. Images may
    /// be equal with other digests: compressed otherwise, or with other times.
    pub digests: (Digest, Digest),
    /// The differences of their configurations.
    pub config: Vec<Change>,
    /// The annotations of their manifests.
    pub annotations: Vec<Change>,
    /// The instructions that made them.
    pub history: Vec<Change>,
    /// Their layers.
    pub layers: LayersDiff,
    /// The files that containers of them see.
    pub files: FilesDiff,
}

/// The differences between the layers of two images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct LayersDiff {
    /// The number of layers of the first image.
    pub before: usize,
    /// The number of layers of the second image.
    pub after: usize,
    /// The number of equal layers, counted from the lowest.
    pub equal: usize,
    /// The number of those with identical tars.
    pub same: usize,
}

/// The differences between the files of two images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct FilesDiff {
    /// Those that only the second has.
    pub added: Vec<File>,
    /// Those that only the first has.
    pub removed: Vec<File>,
    /// Those that are not the same.
    pub changed: Vec<FileChange>,
}

/// The differences between two files at one path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct FileChange {
    /// The path.
    pub path: String,
    /// The differences.
    pub changes: Vec<Change>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Change {
    /// The field, by its name in an inspection.
    pub field: String,
    /// The key, if the field has several values: a variable, a label, the number of an instruction.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// The value in the first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<Value>,
    /// The value in the second.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<Value>,
}
