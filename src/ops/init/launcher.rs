//! The xtask that runs the pinned longshore, in a workspace.

use super::{InitState, relative};
use crate::{
    build::launcher::{FILES, NAME, is_launcher},
    model::error::{Error, Result},
    sys::{access, fs},
};

/// The state of the xtask in a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LauncherState {
    /// There is none.
    Absent,
    /// It is that of `init`, in full or in part.
    Present,
    /// It belongs to the user; with the reason.
    Foreign(String),
}

/// Returns the state of the xtask. `alias` is the current value of the alias.
///
/// # Errors
/// A file cannot be read.
pub(super) fn state(init: &InitState, alias: Option<&str>) -> Result<LauncherState> {
    let root = &init.workspace.root;
    let ci = &init.workspace.settings.ci;
    if ci.tool.is_none() && ci.command.is_some() {
        return Ok(LauncherState::Foreign("`ci.command` starts longshore".to_owned()));
    }
    let package = init.workspace.packages.iter().find(|package| package.name == NAME);
    let foreign = |reason: String| Ok(LauncherState::Foreign(reason));
    if let Some(package) = package {
        let path = relative(root, &package.manifest);
        if path.is_none_or(|path| path != FILES[0].0) {
            return foreign(format!("the package `{NAME}` is in `{}`", package.manifest));
        }
    }
    let manifest = fs::read_to_string_if_exists(&root.join(FILES[0].0))?;
    match manifest {
        Some(text) if is_launcher(&text) => {}
        Some(_) if init.workspace.xtask => {
            return foreign(format!("`{NAME}` depends on longshore"));
        }
        Some(_) => return foreign(format!("`{}` was not written by `init`", FILES[0].0)),
        None if access::exists(&root.join(NAME)) && !is_partial(init)? => {
            return foreign(format!("`{NAME}` is there, and was not written by `init`"));
        }
        None if alias.is_some_and(|alias| !runs_package(alias)) => {
            return foreign("`cargo xtask` is an alias for something else".to_owned());
        }
        None => return Ok(LauncherState::Absent),
    }
    Ok(LauncherState::Present)
}

/// Returns whether an alias runs the package `xtask`, also if it is not that of `init`.
fn runs_package(alias: &str) -> bool {
    let words: Vec<&str> = alias.split_whitespace().collect();
    let package = |pair: &[&str]| ["-p", "--package"].contains(&pair[0]) && pair[1] == NAME;
    let named = words.windows(2).any(package) || words.contains(&"--package=xtask");
    named && ["run", "r"].contains(words.first().unwrap_or(&"")) && words.last() == Some(&"--")
}

/// Returns whether the directory has nothing but files that `init` would write.
fn is_partial(init: &InitState) -> Result<bool> {
    let root = &init.workspace.root;
    // A run that was killed leaves its temporary files.
    let names = |path: &str| -> Vec<String> {
        let names = fs::names(&root.join(path)).unwrap_or_default();
        names.into_iter().filter(|name| !name.ends_with(".tmp")).collect()
    };
    if names(NAME).iter().any(|name| name != "src") {
        return Ok(false);
    }
    for (path, text) in FILES {
        if fs::read_to_string_if_exists(&root.join(path))?.is_some_and(|old| old != text) {
            return Ok(false);
        }
    }
    let known =
        |name: &String| FILES.iter().any(|(path, _)| path.strip_prefix("xtask/src/") == Some(name));
    Ok(names("xtask/src").iter().all(known))
}

/// Returns the alias `xtask` in a configuration file of cargo: a text, or the words of a list.
///
/// # Errors
/// The file is not TOML.
pub(super) fn alias(path: &str, text: &str) -> Result<Option<String>> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        Error::usage(format!("`{path}` is not TOML")).because(error.message().to_owned())
    })?;
    let value = table.get("alias").and_then(|alias| alias.get(NAME));
    Ok(value.map(|value| match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(words) => {
            let words: Vec<_> = words.iter().filter_map(toml::Value::as_str).collect();
            words.join(" ")
        }
        other => other.to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::launcher::ALIAS;

    #[test]
    fn an_alias_for_the_package_is_kept_and_used() {
        for alias in [ALIAS, "run --package xtask --", "r -q -p xtask --", "run --package=xtask --"]
        {
            assert!(runs_package(alias), "{alias}");
        }
        for alias in ["", "run", "run --package xtask", "run --bin xtask --", "test -p xtask --"] {
            assert!(!runs_package(alias), "{alias}");
        }
    }
}
