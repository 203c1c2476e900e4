//! The list of the images of several platforms: OCI image specification 1.1, image-index.md.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    descriptor::{Descriptor, MediaType, nullable},
    document::Model,
};
use crate::model::{collect::SortStable as _, json::Style};

/// A list of manifests, or of further indexes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The index's own type; some writers leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The type of an artifact that is not an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifests that it points at.
    #[serde(deserialize_with = "nullable")]
    pub manifests: Vec<Descriptor>,
    /// The subject, for an attestation or a signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Notes by name.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// Returns an index of `manifests`, sorted by platform and then by digest, so that its own digest
    /// does not depend on their order. Those without a platform come last.
    pub fn new(mut manifests: Vec<Descriptor>, annotations: BTreeMap<String, String>) -> Self {
        manifests.sort_stable_by(|a, b| {
            let key = |d: &Descriptor| (d.platform.is_none(), d.platform.clone(), d.digest);
            key(a).cmp(&key(b))
        });
        Index {
            schema_version: 2,
            media_type: Some(MediaType::Index),
            artifact_type: None,
            manifests,
            subject: None,
            annotations,
        }
    }
}

impl Model for Index {
    const NAME: &'static str = "image index";
    const STYLE: Style = Style::Indented;

    fn check(&self) -> Result<(), String> {
        if self.schema_version != 2 {
            return Err(format!("schema version {} is not 2", self.schema_version));
        }
        match &self.media_type {
            Some(other) if !other.is_index() => Err(format!("its media type is `{other}`")),
            _ => Ok(()),
        }
    }
}
