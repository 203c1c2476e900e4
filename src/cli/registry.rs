//! The arguments of all commands that use registries.

use camino::Utf8PathBuf;
use clap::Args;

use crate::sys::registry::{ResponseLimits, Settings};

#[derive(Debug, Args)]
pub(super) struct RegistryArgs {
    /// Also trust the certificates in this file; repeatable
    #[arg(long = "ca", value_name = "FILE", help_heading = REGISTRY)]
    ca: Vec<Utf8PathBuf>,
    /// Allow plain HTTP with this registry, as with registries on this machine; repeatable
    #[arg(long = "insecure", value_name = "HOST", help_heading = REGISTRY)]
    insecure: Vec<String>,
    /// Log in to ghcr.io with `GITHUB_TOKEN`
    #[arg(long, help_heading = REGISTRY)]
    github_token: bool,
}

const REGISTRY: &str = "Registry options";

impl RegistryArgs {
    pub(super) fn settings(&self) -> Settings {
        Settings {
            ca: self.ca.clone(),
            insecure: self.insecure.clone(),
            github_token: self.github_token,
            limits: ResponseLimits::default(),
        }
    }
}
