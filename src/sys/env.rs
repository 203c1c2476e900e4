//! The environment, read once.
#![allow(clippy::disallowed_methods, reason = "this is the only module that reads it")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    model::{
        error::{Error, Result},
        provider::Provider,
        withheld::{PASS_VARIABLE, is_withheld},
    },
    sys::access::can_be_written,
};

/// The process's variables, directories and program, as they were at the start.
#[derive(Clone)]
pub struct Env {
    vars: BTreeMap<String, String>,
    /// The names of variables with a value that is not UTF-8.
    not_utf8: BTreeSet<String>,
    home: Option<Utf8PathBuf>,
    /// The current directory.
    pub dir: Utf8PathBuf,
    /// The running program, which is also the linker wrapper.
    pub exe: Utf8PathBuf,
    /// The directory of longshore's cache: `LONGSHORE_CACHE_DIR`, else `longshore` in the user's cache
    /// directory.
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
        let utf8 = |what: &str, path: PathBuf| {
            Utf8PathBuf::from_path_buf(path).map_err(|path| {
                Error::usage(format!("{what} `{}` is not UTF-8", path.display()))
                    .hint("cargo needs UTF-8 paths too; move to another directory")
            })
        };
        let dir = std::env::current_dir()
            .map_err(|error| Error::usage("cannot read the current directory").because(error))?;
        let exe = std::env::current_exe()
            .map_err(|error| Error::usage("cannot find the running program").because(error))?;
        // Children inherit a variable that is not UTF-8 all the same.
        let (mut vars, mut not_utf8) = (BTreeMap::new(), BTreeSet::new());
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => drop(vars.insert(name, value)),
                Err(_) => drop(not_utf8.insert(name)),
            }
        }
        if not_utf8.contains("LONGSHORE_CACHE_DIR") {
            return Err(Error::usage("`LONGSHORE_CACHE_DIR` is not UTF-8")
                .hint("set it to a directory with a UTF-8 path"));
        }
        let dir = utf8("current directory", dir)?;
        // An empty or relative `HOME` or `XDG_CACHE_HOME` counts as unset: everything would be
        // written into the current directory.
        let home = std::env::home_dir().and_then(|path| Utf8PathBuf::from_path_buf(path).ok());
        let home = home.filter(|home| home.is_absolute());
        let cache = match vars.get("LONGSHORE_CACHE_DIR").filter(|value| !value.is_empty()) {
            Some(value) => dir.join(value),
            None => match cache_home(home.as_deref()) {
                Some(path) => utf8("cache directory", path)?.join("longshore"),
                None => {
                    return Err(Error::usage(
                        "there is no cache directory: `HOME` is not an absolute path",
                    )
                    .hint("set `LONGSHORE_CACHE_DIR` to a directory that can be written"));
                }
            },
        };
        Ok(Env { vars, not_utf8, home, dir, exe: utf8("program", exe)?, cache })
    }

    /// Returns the value of a variable that is set, which may be empty.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str)
    }

    /// Returns whether a variable is set to a value that is not UTF-8.
    pub fn is_not_utf8(&self, name: &str) -> bool {
        self.not_utf8.contains(name)
    }

    /// Returns a variable that is set and not empty.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Sets variables to other values than they had at the start. Children do not get them.
    pub fn set(&mut self, variables: &BTreeMap<String, String>) {
        self.vars.extend(variables.iter().map(|(name, value)| (name.clone(), value.clone())));
    }

    /// Returns the CI system that runs this process, if any.
    pub fn provider(&self) -> Option<Provider> {
        Provider::detect(|name| self.var(name))
    }

    /// Returns every variable.
    pub fn vars(&self) -> impl Iterator<Item = (&str, &str)> {
        self.vars.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the variables that children do not inherit, since they hold credentials.
    pub fn withheld(&self) -> Vec<String> {
        let names = self.vars.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name);
        names.filter(|name| is_withheld(name, |name| self.var(name))).cloned().collect()
    }

    /// Returns the cargo that started longshore, else the one on `PATH`.
    pub fn cargo(&self) -> &str {
        self.var("CARGO").unwrap_or("cargo")
    }

    /// Returns the directory of cargo's registry: `CARGO_HOME`, else `.cargo` in the home directory.
    pub fn cargo_home(&self) -> Option<Utf8PathBuf> {
        match self.var("CARGO_HOME") {
            Some(home) => Some(self.dir.join(home)),
            None => Some(self.home()?.join(".cargo")),
        }
    }

    /// Returns the user's home directory: `HOME` if it is an absolute path, else that of the user
    /// database.
    pub fn home(&self) -> Option<&Utf8Path> {
        self.home.as_deref()
    }

    /// Returns the global cache of zig: the directory of zig itself (`ZIG_GLOBAL_CACHE_DIR`, else below
    /// `XDG_CACHE_HOME` or the home directory), else one in the cache directory of longshore. (zig 0.13
    /// to 0.17, `resolveGlobalCacheDir` in `introspect.zig`.)
    pub fn zig_cache(&self) -> Utf8PathBuf {
        if let Some(dir) = self.var("ZIG_GLOBAL_CACHE_DIR") {
            return self.dir.join(dir);
        }
        let xdg = self.var("XDG_CACHE_HOME").map(Utf8PathBuf::from);
        let xdg = xdg.filter(|dir| dir.is_absolute());
        let usual = xdg.or_else(|| Some(self.home()?.join(".cache"))).map(|dir| dir.join("zig"));
        match usual {
            Some(dir) if can_be_written(&dir) => dir,
            _ => self.cache.join("zig-cache"),
        }
    }

    /// Returns the local cache of zig: `ZIG_LOCAL_CACHE_DIR`, else the global one. zig's own choice is
    /// a `.zig-cache` beside the next `build.zig`, which may be in the source.
    pub fn zig_local_cache(&self) -> Utf8PathBuf {
        self.var("ZIG_LOCAL_CACHE_DIR").map_or_else(|| self.zig_cache(), |dir| self.dir.join(dir))
    }

    /// Returns the directory for temporary files: `TMPDIR`, else `/tmp`.
    pub fn temporary(&self) -> Utf8PathBuf {
        self.dir.join(self.var("TMPDIR").unwrap_or("/tmp"))
    }

    /// Returns whether longshore runs in a continuous-integration system.
    pub fn ci(&self) -> bool {
        self.var("CI").is_some_and(|value| value != "false" && value != "0")
    }

    /// Returns the path of `program`: itself if it names a directory, else the first of that name on
    /// `PATH` that can be executed.
    pub fn which(&self, program: &str) -> Option<Utf8PathBuf> {
        let path = which::which_in(program, self.var("PATH"), &self.dir).ok()?;
        Utf8PathBuf::from_path_buf(path).ok()
    }
}

/// Returns the variables of this process that children do not inherit, since they hold credentials.
pub fn withheld() -> Vec<String> {
    let pass = std::env::var(PASS_VARIABLE).unwrap_or_default();
    let sccache = std::env::var("SCCACHE_GHA_ENABLED").unwrap_or_default();
    let var = |name: &str| match name {
        PASS_VARIABLE => Some(pass.as_str()),
        "SCCACHE_GHA_ENABLED" => Some(sccache.as_str()).filter(|value| !value.is_empty()),
        _ => None,
    };
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| is_withheld(name, var)).collect()
}

/// Returns whether a runner of GitHub Actions reads the output.
pub fn github_actions() -> bool {
    Provider::detect(|name| std::env::var(name).ok()) == Some(Provider::Github)
}

/// Returns whether the user disabled colours (<https://no-color.org>).
pub fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Returns the user's cache directory: that of the XDG base directory specification, or of macOS.
fn cache_home(home: Option<&Utf8Path>) -> Option<PathBuf> {
    if cfg!(target_os = "macos") {
        return Some(home?.join("Library/Caches").into());
    }
    let set = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    set.filter(|path| path.is_absolute()).or_else(|| Some(home?.join(".cache").into()))
}
