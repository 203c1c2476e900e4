//! The environment, read once.
#![allow(clippy::disallowed_methods, reason = "this is the one place that reads it")]

use std::{collections::BTreeMap, fmt};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    error::{Error, Result},
    withheld::{PASS, is_withheld},
};

/// The process's variables, directories and program, as they were at the start.
#[derive(Clone)]
pub struct Env {
    vars: BTreeMap<String, String>,
    /// The current directory.
    pub dir: Utf8PathBuf,
    /// The running program, which is also the linker wrapper.
    pub exe: Utf8PathBuf,
    /// Where longshore caches what it provides: `LONGSHORE_CACHE_DIR`, else `longshore` in the
    /// user's cache directory.
    pub cache: Utf8PathBuf,
}

/// The names of variables only: some values are secrets.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env")
            .field("vars", &self.vars.keys())
            .field("dir", &self.dir)
            .field("exe", &self.exe)
            .field("cache", &self.cache)
            .finish()
    }
}

impl Env {
    /// Reads it.
    ///
    /// # Errors
    /// The current directory or the program's path cannot be read, or is not UTF-8.
    pub fn read() -> Result<Self> {
        let utf8 = |what: &str, path: std::path::PathBuf| {
            Utf8PathBuf::from_path_buf(path).map_err(|path| {
                Error::usage(format!("{what} `{}` is not UTF-8", path.display()))
                    .hint("cargo needs UTF-8 paths too; move to another directory")
            })
        };
        let dir = std::env::current_dir()
            .map_err(|error| Error::usage("cannot read the current directory").because(error))?;
        let exe = std::env::current_exe()
            .map_err(|error| Error::usage("cannot find the running program").because(error))?;
        // A variable that is not UTF-8 is inherited by children all the same; it only cannot be
        // asked for here.
        let vars: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let dir = utf8("current directory", dir)?;
        let cache = match vars.get("LONGSHORE_CACHE_DIR").filter(|value| !value.is_empty()) {
            Some(value) => dir.join(value),
            None => match dirs::cache_dir() {
                Some(path) => utf8("cache directory", path)?.join("longshore"),
                None => {
                    return Err(Error::usage("there is no cache directory: `HOME` is not set")
                        .hint("set `LONGSHORE_CACHE_DIR` to a directory that can be written"));
                }
            },
        };
        Ok(Env { vars, dir, exe: utf8("program", exe)?, cache })
    }

    /// A variable that is set and not empty.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Every variable.
    pub fn vars(&self) -> impl Iterator<Item = (&str, &str)> {
        self.vars.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The variables that children do not inherit, since they hold credentials.
    pub fn withheld(&self) -> Vec<String> {
        let names = self.vars.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name);
        names.filter(|name| is_withheld(name, |name| self.var(name))).cloned().collect()
    }

    /// The cargo that runs us, else the one on `PATH`.
    pub fn cargo(&self) -> &str {
        self.var("CARGO").unwrap_or("cargo")
    }

    /// Where cargo keeps its registry: `CARGO_HOME`, else `.cargo` in the home directory.
    pub fn cargo_home(&self) -> Option<Utf8PathBuf> {
        match self.var("CARGO_HOME") {
            Some(home) => Some(self.dir.join(home)),
            None => Some(self.home()?.join(".cargo")),
        }
    }

    /// The user's home directory.
    pub fn home(&self) -> Option<&Utf8Path> {
        self.var("HOME").map(Utf8Path::new)
    }

    /// Whether a continuous-integration system runs us.
    pub fn ci(&self) -> bool {
        self.var("CI").is_some_and(|value| value != "false" && value != "0")
    }

    /// The path of `program`: itself when it names a directory, else the first of that name on
    /// `PATH` that can be executed.
    pub fn which(&self, program: &str) -> Option<Utf8PathBuf> {
        let path = which::which_in(program, self.var("PATH"), &self.dir).ok()?;
        Utf8PathBuf::from_path_buf(path).ok()
    }
}

/// The variables of this process that children do not inherit, since they hold credentials.
pub fn withheld() -> Vec<String> {
    let pass = std::env::var(PASS).unwrap_or_default();
    let sccache = std::env::var("SCCACHE_GHA_ENABLED").unwrap_or_default();
    let var = |name: &str| match name {
        PASS => Some(pass.as_str()),
        "SCCACHE_GHA_ENABLED" => Some(sccache.as_str()).filter(|value| !value.is_empty()),
        _ => None,
    };
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| is_withheld(name, var)).collect()
}

/// Whether a runner of GitHub Actions reads the output.
pub fn github_actions() -> bool {
    std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}

/// Whether the user wants no colours (<https://no-color.org>).
pub fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
