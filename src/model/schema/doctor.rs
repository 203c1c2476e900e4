//! What `doctor` found.

use serde::{Deserialize, Serialize};

/// The schema number of the reports that this version makes.
pub const SCHEMA: u32 = 1;

/// The state of everything that `dist` needs or can use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Doctor {
    /// The schema's number: 1.
    pub schema: u32,
    /// Whether `dist` has every required tool, or can install it.
    pub healthy: bool,
    /// One entry for each checked tool.
    pub checks: Vec<Check>,
}

/// The state of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Check {
    /// What was looked for.
    pub name: String,
    /// How it stands.
    pub state: State,
    /// The version and place found, or what is wrong.
    pub detail: String,
    /// A command that fixes it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fix: Option<String>,
}

/// How a thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is there and fit.
    Good,
    /// It is not there; `dist` gets it when it needs it.
    Provided,
    /// It is not there; something useful is left out without it.
    Optional,
    /// It is missing or unfit, and `dist` fails without it.
    Bad,
}
