//! Optimisation by a profile of a program's runs.

use serde::{Deserialize, Serialize};

use super::tune::Spread;
use crate::model::digest::Digest;

/// The profile of a program, and whether it was optimised with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct PgoChoice {
    /// The digest of the profile, a file in the indexed format of LLVM.
    pub profile: Digest,
    /// Whether the program is optimised with it.
    pub used: bool,
    /// The option that chose the profile, and the reason if it is not used.
    pub origin: String,
    /// The times of the program with and without the profile; absent if they were not measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub comparison: Option<PgoComparison>,
}

/// The processor times in seconds of all `check` commands together, in user and system mode.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct PgoComparison {
    /// The number of rounds.
    pub rounds: u32,
    /// The number of rounds in which the program was faster with the profile.
    pub faster: u32,
    /// Without the profile.
    pub plain: Spread,
    /// With it.
    pub optimised: Spread,
}
