//! The parts of one image: OCI image specification 1.1, manifest.md.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    descriptor::{Descriptor, MediaType, nullable},
    document::Model,
};
use crate::model::json::Style;

/// An image's configuration and its layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// The manifest's own type; some writers leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The type of an artifact that is not an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, lowest first.
    #[serde(deserialize_with = "nullable")]
    pub layers: Vec<Descriptor>,
    /// The subject, for an attestation or a signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Notes by name.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Returns a manifest of `config` and `layers`.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Manifest {
            schema_version: 2,
            media_type: Some(MediaType::Manifest),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Returns the bytes that a pull transfers beside the manifest: configuration and layers.
    pub fn content_size(&self) -> u64 {
        self.layers.iter().fold(self.config.size, |sum, layer| sum.saturating_add(layer.size))
    }
}

impl Model for Manifest {
    const NAME: &'static str = "image manifest";
    const STYLE: Style = Style::Indented;

    fn check(&self) -> Result<(), String> {
        if self.schema_version != 2 {
            return Err(format!("schema version {} is not 2", self.schema_version));
        }
        match &self.media_type {
            Some(other) if !other.is_manifest() => Err(format!("its media type is `{other}`")),
            _ => Ok(()),
        }
    }
}
