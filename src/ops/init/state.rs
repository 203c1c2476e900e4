//! The state of a workspace before `init`.

use camino::{Utf8Path, Utf8PathBuf};

use super::origin;
use crate::{
    build::{config::tool::RequestedTool, request::BuildRequest, workspace::Workspace},
    model::{error::Result, provider::Provider, url},
    ops::ci,
    sys::{Context, access, cargo, fs, git},
};

/// The state of a workspace before `init`.
#[derive(Clone, Debug)]
pub struct InitState {
    pub(super) workspace: Workspace,
    /// The root's `Cargo.toml`.
    pub(super) manifest: String,
    /// The default branch.
    pub(super) branch: Option<String>,
    /// The top directory of the repository, if that is not the workspace's.
    pub(super) other_top: Option<Utf8PathBuf>,
    /// The CI systems with generated files.
    pub(super) generated: Vec<Provider>,
    /// The CI system of the remote, and the reason for it.
    pub provider: Option<(Provider, String)>,
    /// The source that longshore was installed from.
    pub installed: Option<RequestedTool>,
}

impl InitState {
    /// Returns whether the workspace names a source of longshore.
    pub fn has_tool(&self) -> bool {
        let ci = &self.workspace.settings.ci;
        ci.tool.is_some() || ci.command.is_some() || self.workspace.xtask
    }

    /// Returns whether there are CI files, or settings for them.
    pub fn has_ci(&self) -> bool {
        !self.generated.is_empty() || !self.workspace.settings.ci.providers.is_empty()
    }

    /// Returns whether the release's image has a repository.
    pub fn has_repository(&self) -> bool {
        self.workspace.settings.ci.repository.is_some()
    }
}

/// Returns the state of the workspace around the current directory, or of `manifest_path`.
///
/// # Errors
/// There is no workspace, or one of its files or its repository cannot be read.
pub fn inspect(cx: &Context, manifest_path: Option<&Utf8Path>) -> Result<InitState> {
    let request = BuildRequest {
        manifest_path: manifest_path.map(Utf8Path::to_owned),
        ..BuildRequest::default()
    };
    let workspace = cargo::workspace(cx, &request)?;
    let root = &workspace.root;
    let manifest = fs::read_to_string_if_exists(&root.join("Cargo.toml"))?.unwrap_or_default();
    let repository = git::repository(cx, root)?;
    let real = fs::canonicalize(root)?;
    let other_top = repository.map(|repository| repository.top).filter(|top| *top != real);
    Ok(InitState {
        manifest,
        branch: git::default_branch(cx, root)?,
        other_top,
        generated: ci::providers_with_files(&workspace)?,
        provider: detect_provider(cx, &workspace)?,
        installed: origin::installed(cx)?,
        workspace,
    })
}

/// Returns the CI system of the git remote `origin`, of a package's `repository`, or of files for it.
fn detect_provider(cx: &Context, workspace: &Workspace) -> Result<Option<(Provider, String)>> {
    let remote = git::remote_url(cx, &workspace.root, "origin")?;
    if let Some(provider) = remote.as_deref().and_then(provider_of) {
        return Ok(Some((provider, "the git remote `origin`".to_owned())));
    }
    for package in &workspace.packages {
        if let Some(provider) = package.about.repository.as_deref().and_then(provider_of) {
            return Ok(Some((provider, format!("`repository` of `{}`", package.name))));
        }
    }
    let files = [
        (".github/workflows", Provider::Github),
        (".gitlab-ci.yml", Provider::Gitlab),
        (".circleci", Provider::Circleci),
    ];
    let found = files.iter().find(|(path, _)| access::exists(&workspace.root.join(path)));
    Ok(found.map(|(path, provider)| (*provider, format!("`{path}`"))))
}

/// Returns the CI system of a forge: `https://HOST/…`, `ssh://git@HOST/…` or `git@HOST:…`.
fn provider_of(text: &str) -> Option<Provider> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let (host, _) = url::host_and_port(host);
    let host = host.to_ascii_lowercase();
    match host.split('.').next() {
        Some("github") => Some(Provider::Github),
        Some("gitlab") => Some(Provider::Gitlab),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_is_that_of_the_host() {
        for (url, provider) in [
            ("https://github.com/me/tool", Some(Provider::Github)),
            ("git@github.com:me/tool.git", Some(Provider::Github)),
            ("ssh://git@gitlab.example.org:2222/me/tool", Some(Provider::Gitlab)),
            ("https://me:secret@gitlab.com/me/tool", Some(Provider::Gitlab)),
            ("https://codeberg.org/github.com/tool", None),
            ("/srv/github.com", None),
            ("", None),
        ] {
            assert_eq!(provider_of(url), provider, "{url}");
        }
    }
}
