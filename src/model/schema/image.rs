//! What is in images, and in what two of them differ.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

use crate::model::{digest::Digest, platform::Platform};

/// The schema number of the inspections that this version makes.
pub const SCHEMA: u32 = 1;

/// The schema number of the differences that this version makes.
pub const DIFF_SCHEMA: u32 = 1;

/// Notes, labels and the like, by name.
pub type Notes = BTreeMap<String, String>;

/// What is in all that was given to `image inspect`.
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

/// What is at one path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Source {
    /// The path, as it was given.
    pub path: String,
    /// How images are stored there.
    pub form: Form,
    /// The requested images; those of several platforms under one name are together.
    pub sets: Vec<ImageSet>,
    /// The platforms that an index names, and that are not stored there.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub absent: Vec<Platform>,
    /// Manifests that are not images, such as attestations.
    pub others: Vec<Other>,
}

/// How images are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// The directory of an OCI layout.
    OciLayout,
    /// An OCI layout in a tar archive.
    OciArchive,
    /// What `docker save` writes.
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
    /// What it is called.
    pub name: String,
    /// What it is.
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
    /// What it runs on.
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
    /// Where its metadata is inconsistent in a way that engines accept, one sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warnings: Vec<String>,
    /// What a container of it runs.
    pub config: Config,
    /// The annotations of its manifest.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub annotations: Notes,
    /// How it was made, one entry an instruction.
    pub history: Vec<Step>,
    /// Its layers, lowest first.
    pub layers: Vec<Layer>,
    /// The files that a container sees, in the order of a tree.
    pub files: Vec<File>,
}

/// What a container runs.
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
    /// Who it runs as; root where it is absent.
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
    /// What ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// How an engine finds out whether it is well; times in nanoseconds, as the image has it.
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
    /// Who made it.
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
    /// What is in it, in the order of its tar.
    pub files: Vec<File>,
}

/// A file, a directory, or what else is at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct File {
    /// Where it is, from the root of the image. For a whiteout, what that takes away.
    pub path: String,
    /// What it is.
    pub kind: FileKind,
    /// Where a link leads.
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

/// What is at a path.
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
    /// A device for characters.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Pipe,
    /// Takes away what lower layers have at the path.
    Whiteout,
    /// Takes away what lower layers have below the path.
    OpaqueWhiteout,
    /// Something that is not understood, and is compared by its bytes.
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

/// In what two images, or sets of them, differ.
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

/// In what the images of one platform differ.
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

/// In what the layers of two images differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct LayersDiff {
    /// How many the first has.
    pub before: usize,
    /// How many the second has.
    pub after: usize,
    /// How many of the lowest are equal.
    pub equal: usize,
    /// How many of those have the very same tar.
    pub same: usize,
}

/// In what the files of two images differ.
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

/// In what two files of one path differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct FileChange {
    /// The path.
    pub path: String,
    /// What is different.
    pub changes: Vec<Change>,
}

/// One thing that is different.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Change {
    /// What it is: a name that inspections have.
    pub field: String,
    /// Which one, where there are several: a variable, a label, the number of an instruction.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// What the first has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<Value>,
    /// What the second has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<Value>,
}
