//! The files of `init`, computed before anything is written.

use std::collections::BTreeMap;

use super::{
    InitPlan, InitRequest, InitState, PlannedFile,
    launcher::{self, LauncherState},
    relative, source,
};
use crate::{
    build::{
        config::{self, WorkspaceSettings, tool::ToolSource},
        edit,
        launcher::{ALIAS, FILES, NAME, VERSION},
        plan::selection,
        request::BuildRequest,
        workspace::{Package, Workspace},
    },
    image::dockerfile::builtin,
    model::{
        error::{Error, Result},
        feature::Feature,
        provider::Provider,
        schema::init::InitAction,
    },
    ops::ci,
    sys::{Context, access, fs, git},
};

/// The file for GitLab beside a `.gitlab-ci.yml` of the user.
const GITLAB_FILE: &str = ".gitlab/longshore.yml";
/// The Dockerfile of a release.
const DOCKERFILE: &str = "Dockerfile.release";

/// Computes the files of `init`. Nothing is written; the files of a release of longshore are downloaded, if one is
/// named, since their digests become a part of the settings.
///
/// # Errors
/// A setting or a file cannot be understood or extended, or there is no source of longshore.
pub fn plan(cx: &Context, state: &InitState, request: &InitRequest) -> Result<InitPlan> {
    Feature::Ci.require()?;
    let root = state.workspace.root.clone();
    let plan = InitPlan { root, files: Vec::new(), notes: Vec::new() };
    let mut planner = Planner { cx, state, request, plan };
    let launcher = planner.launcher()?;
    let providers = planner.providers()?;
    let manifest = planner.manifest(launcher, !providers.is_empty())?;
    let settings = settings(&manifest)?;
    if launcher || !providers.is_empty() {
        planner.check_tool(&settings)?;
    }
    planner.ignored()?;
    if request.image {
        planner.dockerfiles()?;
    }
    planner.ci_files(settings, &providers, launcher)?;
    if request.tool.is_some() && state.workspace.settings.ci.tool.is_some() {
        planner.note("`--tool` is not used: the workspace names a source of longshore");
    }
    Ok(planner.plan)
}

struct Planner<'a> {
    cx: &'a Context,
    state: &'a InitState,
    request: &'a InitRequest,
    plan: InitPlan,
}

impl Planner<'_> {
    fn workspace(&self) -> &Workspace {
        &self.state.workspace
    }

    fn note(&mut self, text: impl Into<String>) {
        self.plan.notes.push(text.into());
    }

    fn read(&self, path: &str) -> Result<Option<String>> {
        fs::read_to_string_if_exists(&self.plan.root.join(path))
    }

    /// Adds a file; one with a different content is kept.
    fn add(&mut self, path: &str, new: String, reason: &str) -> Result<()> {
        let old = self.read(path)?;
        let (action, reason) = match &old {
            None => (InitAction::Create, reason),
            Some(old) if old.replace("\r\n", "\n") == new => (InitAction::Unchanged, ""),
            Some(_) => (InitAction::Keep, "it is there with a different content"),
        };
        let (path, reason) = (path.to_owned(), reason.to_owned());
        self.plan.files.push(PlannedFile { path, action, reason, old, new });
        Ok(())
    }

    /// Adds a file to which lines are added.
    fn extend(&mut self, path: &str, old: Option<String>, new: String, reason: &str) {
        let action = match &old {
            None => InitAction::Create,
            Some(old) if *old == new => InitAction::Unchanged,
            Some(_) => InitAction::Extend,
        };
        let reason = if action == InitAction::Unchanged { "" } else { reason };
        let (path, reason) = (path.to_owned(), reason.to_owned());
        self.plan.files.push(PlannedFile { path, action, reason, old, new });
    }

    /// Adds the xtask and its alias; returns whether the workspace has that of `init`.
    fn launcher(&mut self) -> Result<bool> {
        if !self.request.xtask {
            return Ok(false);
        }
        let old_name = access::exists(&self.plan.root.join(".cargo/config"));
        let config = if old_name { ".cargo/config" } else { ".cargo/config.toml" };
        let text = self.read(config)?;
        let alias = launcher::alias(config, text.as_deref().unwrap_or_default())?;
        if let LauncherState::Foreign(reason) = launcher::state(self.state, alias.as_deref())? {
            let path = NAME.to_owned();
            let action = InitAction::Keep;
            let kept = PlannedFile { path, action, reason, old: None, new: String::new() };
            self.plan.files.push(kept);
            return Ok(false);
        }
        for (path, text) in FILES {
            self.add(path, text.to_owned(), "it runs the pinned longshore")?;
        }
        let new = match (&alias, &text) {
            (Some(_), Some(text)) => text.clone(),
            _ => {
                let line = format!("{} = {}", NAME, edit::quoted(ALIAS));
                edit::add_lines(config, text.as_deref().unwrap_or_default(), &["alias"], &[line])?
            }
        };
        self.extend(config, text, new, "the alias `cargo xtask`");
        match self.read("Cargo.lock")? {
            Some(old) => {
                let new = edit::add_package(&old, NAME, VERSION)?;
                let new = new.unwrap_or_else(|| old.clone());
                self.extend("Cargo.lock", Some(old), new, "the package `xtask`");
            }
            None => self.note(
                "there is no `Cargo.lock`, which `dist` requires: `cargo generate-lockfile` creates it",
            ),
        }
        Ok(true)
    }

    /// Returns the CI systems that files are written for.
    fn providers(&mut self) -> Result<Vec<Provider>> {
        if !self.request.ci {
            return Ok(Vec::new());
        }
        if let Some(top) = &self.state.other_top {
            let text = format!(
                "no CI files: the workspace is not in the root of its repository, which is `{top}`"
            );
            if !self.request.providers.is_empty() {
                return Err(Error::usage(text).hint("leave `--provider` out"));
            }
            self.note(text);
            return Ok(Vec::new());
        }
        let settings = &self.workspace().settings.ci.providers;
        let candidates = [&self.request.providers, settings, &self.state.generated];
        if let Some(providers) = candidates.into_iter().find(|providers| !providers.is_empty()) {
            return Ok(providers.clone());
        }
        let detected = self.state.provider.as_ref().map(|(provider, _)| *provider);
        Ok(vec![detected.unwrap_or(Provider::Github)])
    }

    /// Adds the root's `Cargo.toml`, and returns its new text.
    fn manifest(&mut self, launcher: bool, ci: bool) -> Result<String> {
        const MANIFEST: &str = "Cargo.toml";
        let old = self.state.manifest.clone();
        let mut text = old.clone();
        let mut reasons = Vec::new();
        if launcher && let Some(new) = edit::add_member(MANIFEST, &text, NAME)? {
            text = new;
            reasons.push("the member `xtask`");
        }
        let lines = self.ci_lines(ci)?;
        if !lines.is_empty() {
            text = edit::add_lines(MANIFEST, &text, &TABLE, &lines)?;
            reasons.push("the settings of CI files");
        }
        if (launcher || ci) && !self.state.has_tool() {
            let lines = source::tool_lines(self.cx, self.state, self.request)?;
            let table = [&TABLE[..], &["tool"]].concat();
            text = edit::add_lines(MANIFEST, &text, &table, &lines)?;
            reasons.push("the pinned version of longshore");
        }
        self.extend(MANIFEST, Some(old), text.clone(), &reasons.join(", "));
        Ok(text)
    }

    /// Checks the source of longshore.
    fn check_tool(&mut self, settings: &WorkspaceSettings) -> Result<()> {
        let own = env!("CARGO_PKG_VERSION");
        if let ToolSource::Download(download) = settings.ci.tool_source(self.workspace().xtask)?
            && download.version.to_string() != own
        {
            self.note(format!(
                "the workspace pins longshore {}, and this is {own}: `cargo xtask ci generate` writes the CI \
                 files of that version",
                download.version
            ));
        }
        Ok(())
    }

    /// Returns the settings of CI files that differ from the defaults.
    fn ci_lines(&mut self, ci: bool) -> Result<Vec<String>> {
        let settings = self.workspace().settings.ci.clone();
        let mut lines = Vec::new();
        let branch = self.state.branch.as_deref().filter(|name| *name != "main");
        if let Some(branch) = branch
            && ci
            && !self.state.has_ci()
            && settings.branches.is_none()
        {
            lines.push(format!("branches = [{}]", edit::quoted(branch)));
        }
        if let Some(name) = &self.request.repository
            && settings.repository.is_none()
        {
            lines.push(format!("repository = {}", edit::quoted(name)));
        }
        if ci
            && self.providers()?.contains(&Provider::Gitlab)
            && ci::has_foreign_gitlab_file(self.workspace())?
        {
            lines.push(format!("gitlab-file = {}", edit::quoted(GITLAB_FILE)));
            self.note(format!(
                "`.gitlab-ci.yml` is kept: include `{GITLAB_FILE}` in it, with pipelines for merge requests and tags"
            ));
        }
        Ok(lines)
    }

    /// Adds `.gitignore`, if the target directory is not ignored.
    fn ignored(&mut self) -> Result<()> {
        const IGNORE: &str = ".gitignore";
        let workspace = self.workspace();
        let Some(target) = relative(&workspace.root, &workspace.target_directory) else {
            return Ok(());
        };
        let target = target.as_str().to_owned();
        let old = self.read(IGNORE)?;
        let root = &self.plan.root;
        let ignored = match git::is_ignored(self.cx, root, &format!("{target}/longshore"))? {
            Some(ignored) => ignored,
            None => old.as_deref().is_some_and(|text| edit::is_ignored(text, &target)),
        };
        if git::is_ignored(self.cx, root, "Cargo.lock")? == Some(true) {
            self.note("git ignores `Cargo.lock`: `dist` requires the one of the commit");
        }
        if !ignored {
            let new = edit::add_ignored(old.as_deref().unwrap_or_default(), &target);
            self.extend(IGNORE, old, new, "cargo's target directory");
        }
        Ok(())
    }

    /// Adds the Dockerfile of each image, with the content of the built-in one.
    fn dockerfiles(&mut self) -> Result<()> {
        let selected =
            selection::select(&self.state.workspace, &BuildRequest::default(), &BTreeMap::new())?;
        let only = selected.packages.len() == 1;
        for (package, bins) in &selected.packages {
            let bins: Vec<&str> = bins.iter().map(|bin| bin.name.as_str()).collect();
            if package.settings.image.per_binary || package.settings.image.recipe.is_some() {
                self.note(format!("`{}` has settings of its image: no {DOCKERFILE}", package.name));
                continue;
            }
            let directory = package.manifest.parent().filter(|_| !only);
            let directory = directory.and_then(|path| relative(&self.plan.root, path));
            let path = directory.map_or(DOCKERFILE.into(), |path| path.join(DOCKERFILE));
            self.add(path.as_str(), dockerfile(package, &bins)?, "the image of the release")?;
        }
        Ok(())
    }

    /// Adds the files of CI systems for the new settings.
    fn ci_files(
        &mut self,
        settings: WorkspaceSettings,
        providers: &[Provider],
        launcher: bool,
    ) -> Result<()> {
        if providers.is_empty() {
            return Ok(());
        }
        let workspace = Workspace { settings, ..self.workspace().clone() };
        for file in ci::planned_files(&workspace, providers, launcher)? {
            let reason = match (&file.old, file.generated) {
                (Some(old), true) if *old != file.new => "it is outdated: `ci generate` updates it",
                (Some(_), false) => "it was not generated; docs/ci.md has the settings",
                _ => "",
            };
            if reason.is_empty() {
                self.add(&file.path, file.new, "generated; `ci generate` updates it")?;
                continue;
            }
            let (action, reason) = (InitAction::Keep, reason.to_owned());
            let (path, old, new) = (file.path, file.old, file.new);
            self.plan.files.push(PlannedFile { path, action, reason, old, new });
        }
        Ok(())
    }
}

/// The table of the settings of CI files.
const TABLE: [&str; 4] = ["workspace", "metadata", "longshore", "ci"];

/// Returns the settings in the text of a manifest.
fn settings(manifest: &str) -> Result<WorkspaceSettings> {
    let wrong = |error: &dyn std::error::Error| {
        Error::usage("`Cargo.toml` cannot be read").because(error.to_string())
    };
    let table: toml::Table = manifest.parse().map_err(|error: toml::de::Error| wrong(&error))?;
    let metadata = table.get("workspace").and_then(|workspace| workspace.get("metadata"));
    let metadata = serde_json::to_value(metadata).map_err(|error| wrong(&error))?;
    config::read_settings(&metadata, "`[workspace.metadata.longshore]` in `Cargo.toml`")
}

/// Returns the built-in Dockerfile of a package's image.
fn dockerfile(package: &Package, bins: &[&str]) -> Result<String> {
    let entrypoint = package.entrypoint(bins).map(|name| format!("{}/{name}", builtin::BIN));
    let user = package.settings.image.user.clone();
    builtin::Recipe {
        binaries: bins.iter().map(|name| (*name).to_owned()).collect(),
        user: user.unwrap_or_else(|| builtin::NONROOT.to_owned()),
        entrypoint,
    }
    .text()
}
