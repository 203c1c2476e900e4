//! The results of `doctor`.

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

/// The state of one tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Check {
    /// The checked tool or directory.
    pub name: String,
    /// Its state.
    pub state: State,
    /// The version and path that were found, or the problem.
    pub detail: String,
    /// A command that fixes it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fix: Option<String>,
}

/// The state of a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It exists and works.
    Good,
    /// It is missing; `dist` installs it when needed.
    Provided,
    /// It is missing; an optional feature does not work without it.
    Optional,
    /// It is missing or does not work, and `dist` fails without it.
    Bad,
}
