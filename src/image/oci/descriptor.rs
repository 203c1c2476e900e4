//! The reference to a blob: OCI image specification 1.1, descriptor.md; and the media types.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::{digest::Digest, platform::Platform};

/// The type of the bytes behind a descriptor. An unknown type is preserved, never rejected
/// (media-types.md).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaType {
    /// `application/vnd.oci.image.index.v1+json`
    Index,
    /// `application/vnd.oci.image.manifest.v1+json`
    Manifest,
    /// `application/vnd.oci.image.config.v1+json`
    Config,
    /// `application/vnd.oci.image.layer.v1.tar`
    Layer,
    /// `application/vnd.oci.image.layer.v1.tar+gzip`
    LayerGzip,
    /// `application/vnd.oci.image.layer.v1.tar+zstd`
    LayerZstd,
    /// `application/vnd.docker.distribution.manifest.list.v2+json`
    DockerIndex,
    /// `application/vnd.docker.distribution.manifest.v2+json`
    DockerManifest,
    /// `application/vnd.docker.container.image.v1+json`
    DockerConfig,
    /// `application/vnd.docker.image.rootfs.diff.tar.gzip`
    DockerLayerGzip,
    /// Anything else.
    Other(String),
}

impl MediaType {
    const NAMES: [(MediaType, &'static str); 10] = [
        (Self::Index, "application/vnd.oci.image.index.v1+json"),
        (Self::Manifest, "application/vnd.oci.image.manifest.v1+json"),
        (Self::Config, "application/vnd.oci.image.config.v1+json"),
        (Self::Layer, "application/vnd.oci.image.layer.v1.tar"),
        (Self::LayerGzip, "application/vnd.oci.image.layer.v1.tar+gzip"),
        (Self::LayerZstd, "application/vnd.oci.image.layer.v1.tar+zstd"),
        (Self::DockerIndex, "application/vnd.docker.distribution.manifest.list.v2+json"),
        (Self::DockerManifest, "application/vnd.docker.distribution.manifest.v2+json"),
        (Self::DockerConfig, "application/vnd.docker.container.image.v1+json"),
        (Self::DockerLayerGzip, "application/vnd.docker.image.rootfs.diff.tar.gzip"),
    ];

    /// Returns the type's name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(name) => name,
            known => {
                Self::NAMES.iter().find(|(kind, _)| kind == known).map_or("", |(_, name)| name)
            }
        }
    }

    /// Returns whether it is an index, in OCI's or Docker's words.
    pub fn is_index(&self) -> bool {
        matches!(self, Self::Index | Self::DockerIndex)
    }

    /// Returns whether it is a manifest, in OCI's or Docker's words.
    pub fn is_manifest(&self) -> bool {
        matches!(self, Self::Manifest | Self::DockerManifest)
    }

    /// Returns whether engines accept it as the configuration of an image: also the variants of that
    /// type that old registries wrote (<https://github.com/moby/moby>, `defaultImageTypes` in
    /// `distribution`).
    pub fn is_config(&self) -> bool {
        match self {
            Self::Config | Self::DockerConfig => true,
            Self::Other(name) => ["", "application/octet-stream", "application/json", "text/html"]
                .contains(&name.as_str()),
            _ => false,
        }
    }

    /// Returns whether it is a layer, compressed or encrypted in any way (OCI image specification 1.1,
    /// media-types.md; containerd's `IsLayerType`).
    pub fn is_layer(&self) -> bool {
        let name = self.as_str();
        name.starts_with("application/vnd.oci.image.layer.")
            || name.starts_with("application/vnd.docker.image.rootfs.")
    }

    /// Returns the type of a manifest or an index without a type elsewhere: the one it declares, or
    /// that of its form.
    pub fn detect(bytes: &[u8]) -> Self {
        let value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
        match value.get("mediaType").and_then(|kind| kind.as_str()) {
            Some(kind) if !kind.is_empty() => kind.into(),
            _ if value.get("manifests").is_some() => MediaType::Index,
            _ => MediaType::Manifest,
        }
    }
}

/// No type at all, which some writers leave out of descriptors.
impl Default for MediaType {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

impl From<&str> for MediaType {
    fn from(name: &str) -> Self {
        Self::NAMES
            .into_iter()
            .find(|(_, known)| *known == name)
            .map_or_else(|| Self::Other(name.into()), |(kind, _)| kind)
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for MediaType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(String::deserialize(deserializer)?.as_str().into())
    }
}

/// A blob's type, digest and size, and further metadata. The order of the fields is that of Go's type,
/// so that the JSON is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The type of the blob.
    #[serde(default, deserialize_with = "nullable")]
    pub media_type: MediaType,
    /// The blob's digest.
    pub digest: Digest,
    /// The blob's size in bytes.
    pub size: u64,
    /// Notes by name (annotations.md has the usual names).
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The platform of the image; only in an index.
    #[serde(default, with = "object", skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// The type of an artifact that is not an image; only in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// Returns a descriptor with the required fields only.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Descriptor {
            media_type,
            digest,
            size,
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
        }
    }
}

/// Reads `null` as the default, as Go does.
pub(super) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A platform as the object of image-index.md, while it is a text elsewhere in longshore.
mod object {
    use super::{Deserialize, Deserializer, Platform, Serialize, Serializer};
    use crate::model::platform::normalise;
    use serde::de::Error as _;

    #[derive(Serialize, Deserialize)]
    struct Object {
        #[serde(default, deserialize_with = "super::nullable")]
        architecture: String,
        #[serde(default, deserialize_with = "super::nullable")]
        os: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        variant: Option<String>,
    }

    pub(super) fn serialize<S: Serializer>(
        platform: &Option<Platform>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        platform
            .as_ref()
            .map(|platform| Object {
                architecture: platform.architecture.clone(),
                os: platform.os.clone(),
                variant: platform.variant.clone(),
            })
            .serialize(serializer)
    }

    pub(super) fn deserialize<'de, De: Deserializer<'de>>(
        deserializer: De,
    ) -> Result<Option<Platform>, De::Error> {
        let Some(object) = Option::<Object>::deserialize(deserializer)? else {
            return Ok(None);
        };
        // Some writers, such as `crane append`, leave it so for an image without a platform.
        if object.os.is_empty() && object.architecture.is_empty() {
            return Ok(None);
        }
        let (os, architecture, variant) =
            normalise(&object.os, &object.architecture, object.variant.as_deref());
        super::platform(&os, &architecture, variant.as_deref()).map(Some).map_err(De::Error::custom)
    }
}

/// Returns a platform of its parts, with the normalisation and the checks of [`Platform`]'s text.
pub(super) fn platform(
    os: &str,
    architecture: &str,
    variant: Option<&str>,
) -> Result<Platform, crate::model::platform::ParsePlatformError> {
    match variant {
        None | Some("") => format!("{os}/{architecture}").parse(),
        Some(variant) => format!("{os}/{architecture}/{variant}").parse(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types() {
        for (kind, name) in MediaType::NAMES {
            assert_eq!(kind.as_str(), name);
            assert_eq!(MediaType::from(name), kind);
        }
        assert_eq!(MediaType::from("x/y").as_str(), "x/y");
        let detected = |text: &str| MediaType::detect(text.as_bytes());
        assert_eq!(detected(r#"{"mediaType":"","manifests":[]}"#), MediaType::Index);
        assert_eq!(detected(r#"{"layers":[]}"#), MediaType::Manifest);
        assert_eq!(detected(r#"{"mediaType":"x/y","manifests":[]}"#), MediaType::from("x/y"));
        for (name, layer, config) in [
            ("application/vnd.oci.image.layer.v1.tar+encrypted", true, false),
            ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", true, false),
            ("application/vnd.oci.image.config.v1+json", false, true),
            ("application/octet-stream", false, true),
            ("application/vnd.cncf.helm.config.v1+json", false, false),
            ("", false, true),
        ] {
            let kind = MediaType::from(name);
            assert_eq!((kind.is_layer(), kind.is_config()), (layer, config), "{name}");
        }
    }

    #[test]
    fn platforms_are_objects_and_normalised() {
        let text = r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0,"annotations":null,"platform":{"architecture":"arm64","os":"linux","variant":"v8"}}"#;
        let descriptor: Descriptor = serde_json::from_str(text).unwrap();
        assert_eq!(descriptor.platform, Some("linux/arm64".parse().unwrap()));
        let serialized = serde_json::to_string(&descriptor).unwrap();
        assert!(
            serialized.ends_with(r#""size":0,"platform":{"architecture":"arm64","os":"linux"}}"#),
            "{serialized}"
        );
        let unusual = text.replace("\"linux\"", "\"Linux\"").replace("\"arm64\"", "\"aarch64\"");
        let unusual: Descriptor = serde_json::from_str(&unusual).unwrap();
        assert_eq!(unusual, descriptor);
        let empty = text.replace("\"linux\"", "\"\"").replace("\"arm64\"", "null");
        let empty: Descriptor = serde_json::from_str(&empty).unwrap();
        assert_eq!(empty.platform, None);
        let escaping = text.replace("\"linux\"", "\"../linux\"");
        assert!(serde_json::from_str::<Descriptor>(&escaping).is_err());
    }
}
