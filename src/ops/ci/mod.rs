//! `ci`: files for CI systems, and the checks at the start of their jobs.

pub mod comment;
mod request;
mod tool;

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

pub use self::{
    request::{CiRequest, PreflightRequest, StaleFile, WorkspaceFile},
    tool::export_tool,
};
use crate::{
    build::{
        config::tool::ToolSource,
        launcher,
        plan::{chosen_targets, image, selection},
        request::BuildRequest,
        target::Targets,
        workspace::Workspace,
    },
    ci::pipeline::{self, GeneratedFile, PipelineInputs, RunEvent, Tag, difference},
    model::{
        collect::SortStable as _,
        error::{Error, Result},
        provider::Provider,
    },
    sys::{Context, cargo, fs, targets},
};

/// Writes the files that differ from the generated ones, and returns their paths.
///
/// # Errors
/// The workspace or its settings are wrong, or a file is there that was not generated; then nothing is
/// written.
pub fn generate(cx: &Context, request: &CiRequest) -> Result<Vec<String>> {
    let CurrentFiles { root, all: files, toolchain, tool } = current_files(cx, request)?;
    if let Some(version) = tool.filter(|version| version != env!("CARGO_PKG_VERSION")) {
        cx.warn(format!(
            "jobs will run longshore {version} (`ci.tool.version`), and this is {}: generate the files with \
             the version that jobs run",
            env!("CARGO_PKG_VERSION")
        ));
    }
    if toolchain.is_some_and(|name| is_moving(&name)) {
        cx.warn(
            "`rust-toolchain.toml` names a toolchain that changes; name a version, so that a new Rust \
             does not change a release",
        );
    }
    let mut changed = Vec::new();
    for (file, old) in &files {
        if let Some(old) = old
            && !pipeline::is_generated(&unix_lines(old))
        {
            return Err(foreign_file_error(file));
        }
        if old.as_deref().map(unix_lines).as_deref() != Some(&file.text) {
            changed.push((file, old.as_deref().is_some_and(|old| old.contains("\r\n"))));
        }
    }
    let real = fs::canonicalize(&root)?;
    for (file, _) in &changed {
        let location = fs::resolve(&real.join(&file.path))?;
        if !location.starts_with(&real) {
            let link = format!("`{}` leads to `{location}`, outside of the workspace", file.path);
            return Err(Error::usage(format!("cannot write `{}`: {link}", file.path))
                .hint("replace the link by a directory: files for CI belong to the repository"));
        }
    }
    for (file, windows_lines) in &changed {
        let text = if *windows_lines { file.text.replace('\n', "\r\n") } else { file.text.clone() };
        fs::write(&root.join(&file.path), text.as_bytes())?;
        cx.status("Wrote", format!("`{}`", file.path));
    }
    Ok(changed.into_iter().map(|(file, _)| file.path.clone()).collect())
}

/// Returns `text` without a byte order mark and with `\n` at the ends of lines: a checkout may have
/// added the one (an editor) or changed the other (`core.autocrlf`, `eol=crlf`), which CI systems
/// ignore.
fn unix_lines(text: &str) -> String {
    text.trim_start_matches('\u{feff}').replace("\r\n", "\n")
}

/// Returns the files that differ from the generated ones; nothing is written.
///
/// # Errors
/// The workspace or its settings are wrong.
pub fn check(cx: &Context, request: &CiRequest) -> Result<Vec<StaleFile>> {
    let mut different = Vec::new();
    for (file, old) in current_files(cx, request)?.all {
        let missing = old.is_none();
        let old = unix_lines(&old.unwrap_or_default());
        let difference = difference::unified_diff(&file.path, &old, &file.text);
        if !difference.is_empty() {
            different.push(StaleFile { path: file.path, missing, difference });
        }
    }
    Ok(different)
}

/// Checks the tag, the secrets and the platforms, before anything of a release is built.
///
/// # Errors
/// A secret is not set, the tag is not the version, or there is nothing to build.
pub fn preflight(cx: &Context, requested: &PreflightRequest) -> Result<()> {
    let manifest_path = requested.manifest_path.clone();
    let request = BuildRequest { manifest_path, ..BuildRequest::default() };
    let workspace = cargo::workspace(cx, &request)?;
    let targets = targets::known(&workspace.root)?;
    let chosen = chosen_targets(&workspace, &targets, &[])?;
    let selection = selection::select(&workspace, &request, &BTreeMap::new())?;
    let settings = &workspace.settings.ci;
    settings.check(&chosen)?;
    let unset = |name: &&str| cx.env.var(name).is_none();
    let secrets: &[String] = if requested.without_secrets { &[] } else { &settings.secrets };
    let missing: Vec<&str> = secrets.iter().map(String::as_str).filter(unset).collect();
    let event = match &requested.tag {
        Some(name) => RunEvent::Tag(Tag { name: name.clone(), origin: "`--tag`".to_owned() }),
        None => RunEvent::from_variables(|name| cx.env.var(name)),
    };
    let packages = selection.packages.iter();
    let packages: Vec<_> =
        packages.map(|(package, _)| (package.name.as_str(), package.version.as_str())).collect();
    pipeline::preflight(&event, &packages, &missing)?;
    let platforms: Vec<_> = chosen.iter().map(|target| target.spec.platform.to_string()).collect();
    let version = packages.first().map_or("", |(_, version)| version);
    let secrets = match secrets.len() {
        0 => String::new(),
        count => format!("; {count} secrets are set"),
    };
    cx.status("Checked", format!("v{version} for {}{secrets}", platforms.join(", ")));
    Ok(())
}

fn foreign_file_error(file: &GeneratedFile) -> Error {
    let hint = match file.path.as_str() {
        ".gitlab-ci.yml" => {
            "set `gitlab-file = \".gitlab/longshore.yml\"` in \
             `[workspace.metadata.longshore.ci]`, and include that file in it"
        }
        ".circleci/config.yml" => {
            "CircleCI reads this one file: move its content to another file first"
        }
        _ => "remove it or give it another name; its behaviour can be configured in the settings",
    };
    Error::usage(format!("`{}` is there, and was not generated", file.path)).hint(hint)
}

/// Every file, with its current content.
struct CurrentFiles {
    root: Utf8PathBuf,
    all: Vec<(GeneratedFile, Option<String>)>,
    /// The toolchain that a file names.
    toolchain: Option<String>,
    /// The version of longshore that jobs download.
    tool: Option<String>,
}

fn current_files(cx: &Context, request: &CiRequest) -> Result<CurrentFiles> {
    let of_cargo =
        BuildRequest { manifest_path: request.manifest_path.clone(), ..BuildRequest::default() };
    let workspace = cargo::workspace(cx, &of_cargo)?;
    let root = workspace.root.clone();
    let toolchain_file = toolchain_file(&root)?;
    let mut all = Vec::new();
    let providers = providers(request, &workspace)?;
    for file in files_for(&workspace, &providers, has_xtask_alias(&workspace)?)? {
        let old = fs::read_to_string_if_exists(&root.join(&file.path))?;
        all.push((file, old));
    }
    let tool = match workspace.settings.ci.tool_source(workspace.xtask)? {
        ToolSource::Download(download) => Some(download.version.to_string()),
        _ => None,
    };
    Ok(CurrentFiles { root, all, toolchain: toolchain_file, tool })
}

/// Returns the files of a workspace for these CI systems; `xtask_alias` is whether `cargo xtask` is an alias for longshore in it.
///
/// # Errors
/// The settings are wrong, or nothing is built.
fn files_for(
    workspace: &Workspace,
    providers: &[Provider],
    xtask_alias: bool,
) -> Result<Vec<GeneratedFile>> {
    let targets: Targets = targets::known(&workspace.root)?;
    let chosen = chosen_targets(workspace, &targets, &[])?;
    let selection = selection::select(workspace, &BuildRequest::default(), &BTreeMap::new())?;
    let mut images: Vec<String> = Vec::new();
    for (package, bins) in &selection.packages {
        let bins: Vec<&str> = bins.iter().map(|bin| bin.name.as_str()).collect();
        images.extend(image::image_names(package, &bins)?);
    }
    let settings = &workspace.settings.ci;
    settings.check(&chosen)?;
    let tool = settings.tool_source(workspace.xtask)?;
    if let ToolSource::Path(path) = &tool {
        check_source(&workspace.root, path)?;
    }
    let toolchain_file = toolchain_file(&workspace.root)?;
    let inputs = PipelineInputs {
        workspace,
        targets: &chosen,
        images: &images,
        toolchain_file: toolchain_file.as_deref(),
        xtask_alias,
        tool: &tool,
    };
    let mut all = Vec::new();
    for provider in providers {
        all.extend(pipeline::generate_files(&inputs, *provider)?);
    }
    Ok(all)
}

/// Returns the files of a workspace for these CI systems, each with its current content.
///
/// # Errors
/// As `files_for`, or a file cannot be read.
pub fn planned_files(
    workspace: &Workspace,
    providers: &[Provider],
    xtask_alias: bool,
) -> Result<Vec<WorkspaceFile>> {
    let mut files = Vec::new();
    for file in files_for(workspace, providers, xtask_alias)? {
        let old = fs::read_to_string_if_exists(&workspace.root.join(&file.path))?;
        let old = old.map(|old| unix_lines(&old));
        let generated = old.as_deref().is_none_or(pipeline::is_generated);
        files.push(WorkspaceFile { path: file.path, new: file.text, old, generated });
    }
    Ok(files)
}

/// Returns whether the workspace has a `.gitlab-ci.yml` that was not generated, and no setting for a different
/// file.
///
/// # Errors
/// It cannot be read.
pub fn has_foreign_gitlab_file(workspace: &Workspace) -> Result<bool> {
    if workspace.settings.ci.gitlab_file.is_some() {
        return Ok(false);
    }
    let path = workspace.root.join(pipeline::GITLAB);
    let text = fs::read_to_string_if_exists(&path)?;
    Ok(text.is_some_and(|text| !pipeline::is_generated(&unix_lines(&text))))
}

/// Returns the change of a file as a unified diff.
pub fn unified_diff(path: &str, old: &str, new: &str) -> String {
    difference::unified_diff(path, old, new)
}

/// Returns the CI systems with generated files in the workspace.
///
/// # Errors
/// A file cannot be read.
pub fn providers_with_files(workspace: &Workspace) -> Result<Vec<Provider>> {
    let mut found = Vec::new();
    for provider in Provider::ALL {
        for path in pipeline::paths(&workspace.settings.ci, provider) {
            let text = fs::read_to_string_if_exists(&workspace.root.join(path))?;
            if text.is_some_and(|text| pipeline::is_generated(&text)) {
                found.push(provider);
            }
        }
    }
    found.dedup();
    Ok(found)
}

/// Checks that a directory of the workspace has the source of longshore.
fn check_source(root: &Utf8Path, path: &str) -> Result<()> {
    let manifest = root.join(path).join("Cargo.toml");
    let text = fs::read_to_string_if_exists(&manifest)?.unwrap_or_default();
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        Error::usage(format!("`{manifest}` is not TOML")).because(error)
    })?;
    let package = table.get("package").and_then(|package| package.get("name"));
    match package.and_then(toml::Value::as_str) {
        Some("longshore") => Ok(()),
        found => {
            let found = found.map_or("no package".to_owned(), |name| format!("`{name}`"));
            let message = format!(
                "`ci.tool.path`: `{manifest}`: expected the package `longshore`, found {found}"
            );
            Err(Error::usage(message).hint("set the directory of its `Cargo.toml`"))
        }
    }
}

/// Returns the CI systems that files are for: those requested, those of the settings, those with
/// generated files, or GitHub.
fn providers(request: &CiRequest, workspace: &Workspace) -> Result<Vec<Provider>> {
    let settings = &workspace.settings.ci;
    let mut chosen = match (&request.providers[..], &settings.providers[..]) {
        ([], []) => Vec::new(),
        ([], reported) => reported.to_vec(),
        (requested, _) => requested.to_vec(),
    };
    if chosen.is_empty() {
        chosen = providers_with_files(workspace)?;
    }
    if chosen.is_empty() {
        chosen.push(Provider::Github);
    }
    chosen.sort_stable();
    chosen.dedup();
    Ok(chosen)
}

/// Returns whether a toolchain is a channel without a version or date.
fn is_moving(name: &str) -> bool {
    let channel = ["stable", "beta", "nightly"].into_iter().find_map(|it| name.strip_prefix(it));
    channel.is_some_and(|rest| !rest.starts_with("-2"))
}

/// Returns the toolchain that a file in the workspace names, or an empty text if that file names none
/// (<https://rust-lang.github.io/rustup/overrides.html#the-toolchain-file>).
fn toolchain_file(root: &Utf8Path) -> Result<Option<String>> {
    // rustup reads the file without the extension first.
    for name in ["rust-toolchain", "rust-toolchain.toml"] {
        let Some(text) = fs::read_to_string_if_exists(&root.join(name))? else { continue };
        let channel = match text.parse::<toml::Table>() {
            Ok(table) => {
                let entry = table.get("toolchain").and_then(|entry| entry.get("channel"));
                entry.and_then(toml::Value::as_str).unwrap_or_default().to_owned()
            }
            // The older form is one line.
            Err(_) => text.trim().to_owned(),
        };
        return Ok(Some(channel));
    }
    Ok(None)
}

/// Returns whether `cargo xtask` is an alias for longshore in the workspace's own configuration of cargo: the
/// configuration of the user that generates the files is on no other machine.
fn has_xtask_alias(workspace: &Workspace) -> Result<bool> {
    let root = &workspace.root;
    let manifest = fs::read_to_string_if_exists(&root.join(launcher::FILES[0].0))?;
    if !workspace.xtask && !manifest.is_some_and(|text| launcher::is_launcher(&text)) {
        return Ok(false);
    }
    for name in [".cargo/config.toml", ".cargo/config"] {
        let path = root.join(name);
        if let Some(text) = fs::read_to_string_if_exists(&path)? {
            let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
                Error::usage(format!("`{path}` is not TOML")).because(error)
            })?;
            return Ok(table.get("alias").is_some_and(|alias| alias.get("xtask").is_some()));
        }
    }
    Ok(false)
}
