//! Cargo's configuration: one reader for all keys
//! (<https://doc.rust-lang.org/cargo/reference/config.html>).

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    cargo::{
        cpu,
        rustflags::{Flag, Place, UserFlags},
    },
    command::Command,
    error::{Error, Result},
    profile::Own,
    sys::{Context, fs},
};

/// Cargo's configuration, as it applies in the current directory.
#[derive(Debug)]
pub struct Config {
    whole: cargo_config2::Config,
    /// What it is without the variables that hide all other places for flags, where one is set.
    hidden: Option<cargo_config2::Config>,
    /// What cargo itself makes of the files, if one of them includes another.
    included: Option<Included>,
}

/// The configuration with everything that is included, as cargo prints it.
#[derive(Debug)]
struct Included {
    /// The complete text, as TOML: each line of a value ends in a comment with its file.
    text: String,
    /// A directory with that text as its only configuration.
    dir: fs::TempDir,
}

/// The variables that hide all other places for flags.
const HIDING: [&str; 2] = ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS"];

impl Config {
    /// Reads it.
    ///
    /// # Errors
    /// A configuration file is wrong.
    pub fn load(cx: &Context) -> Result<Self> {
        let included = included(cx)?;
        let load = |vars: Vec<(&str, &str)>| {
            let mut options = cargo_config2::ResolveOptions::default().env(vars);
            let mut dir = &cx.env.dir;
            if let Some(included) = &included {
                dir = &included.dir.path;
                options = options.cargo_home(None);
            }
            cargo_config2::Config::load_with_options(dir, options).map_err(|error| {
                Error::usage("cargo's configuration cannot be read").because(error)
            })
        };
        let whole = load(cx.env.vars().collect())?;
        let others: Vec<_> = cx.env.vars().filter(|(name, _)| !HIDING.contains(name)).collect();
        let hides = others.len() < cx.env.vars().count();
        let hidden = hides.then(|| load(others)).transpose()?;
        Ok(Config { whole, hidden, included })
    }

    /// The rustc that cargo calls, without what it starts it with.
    pub fn rustc(&self) -> String {
        let rustc = self.whole.rustc();
        // A wrapper comes first, and the compiler is its first argument.
        let wrapped = self.whole.build.rustc_wrapper.is_some()
            || self.whole.build.rustc_workspace_wrapper.is_some();
        let program = match rustc.args.last() {
            Some(program) if wrapped => program.as_os_str(),
            _ => rustc.path.as_os_str(),
        };
        program.to_string_lossy().into_owned()
    }

    /// `build.target-dir`, also of a variable.
    pub fn target_dir(&self) -> Option<Utf8PathBuf> {
        Utf8PathBuf::from_path_buf(self.whole.build.target_dir.clone()?).ok()
    }

    /// What cargo starts rustc with: `RUSTC_WRAPPER`, else `build.rustc-wrapper`.
    pub fn rustc_wrapper(&self) -> Option<String> {
        let path = self.whole.build.rustc_wrapper.as_ref()?;
        Some(path.to_string_lossy().into_owned()).filter(|path| !path.is_empty())
    }

    /// Returns the variables that choose C compilers for a target or hold flags for them, and the one
    /// that tells how flags are written: those of the process, and those of `[env]` that it does not
    /// set.
    ///
    /// # Errors
    /// `[env]` sets one of them with `force`, which would replace longshore's own value.
    pub fn c_variables(&self, cx: &Context) -> Result<BTreeMap<String, String>> {
        let mut all = BTreeMap::new();
        for (name, value) in &self.whole.env {
            if !is_for_c(name) {
                continue;
            }
            if value.force {
                return Err(Error::usage(format!(
                    "`[env]` in cargo's configuration sets `{name}` with `force = true`, which would \
                     replace what longshore adds to it"
                ))
                .hint("remove `force`: longshore adds its own flags after those"));
            }
            all.insert(name.clone(), value.value.to_string_lossy().into_owned());
        }
        let set = cx.env.vars().filter(|(name, _)| is_for_c(name));
        all.extend(set.map(|(name, value)| (name.to_owned(), value.to_owned())));
        Ok(all)
    }

    /// What the user set in each profile: the tables of the workspace's `Cargo.toml`, those of cargo's
    /// configuration files, and `CARGO_PROFILE_*` variables, each over the ones before it
    /// (<https://doc.rust-lang.org/cargo/reference/profiles.html>).
    ///
    /// # Errors
    /// One of the files cannot be read or is no TOML.
    pub fn profiles(&self, cx: &Context, root: &Utf8Path) -> Result<BTreeMap<String, Own>> {
        let mut all: BTreeMap<String, Own> = BTreeMap::new();
        let mut files = vec![root.join("Cargo.toml")];
        if self.included.is_none() {
            files.extend(config_files(cx));
        }
        for file in files {
            let Some(text) = fs::read_to_string_if_there(&file)? else {
                continue;
            };
            let table: toml::Table = toml::from_str(&text)
                .map_err(|error| Error::usage(format!("`{file}` is no TOML")).because(error))?;
            let shown = file.strip_prefix(root).unwrap_or(&file);
            let profiles = table.get("profile").and_then(toml::Value::as_table);
            for (name, profile) in profiles.into_iter().flatten() {
                let own = all.entry(name.clone()).or_default();
                for (key, value) in profile.as_table().into_iter().flatten() {
                    let origin = format!("[profile.{name}] in {shown}");
                    own.insert(key.clone(), (value.clone(), origin));
                }
            }
        }
        for key in self.included.iter().flat_map(|included| included.profiles(root)) {
            let origin = format!("[profile.{}] in {}", key.profile, key.file);
            all.entry(key.profile).or_default().insert(key.key, (key.value, origin));
        }
        for (variable, value) in cx.env.vars() {
            let Some(rest) = variable.strip_prefix("CARGO_PROFILE_") else {
                continue;
            };
            if let Some((name, key)) = rest.split_once('_') {
                let own = all.entry(name.to_lowercase()).or_default();
                let key = key.to_lowercase().replace('_', "-");
                let value = value.parse().map_or_else(|_| value.into(), toml::Value::Integer);
                own.insert(key, (value, variable.to_owned()));
            }
        }
        Ok(all)
    }

    /// Returns the linker that the user chose for `target`.
    fn linker(&self, cx: &Context, target: &str) -> Result<Option<Flag>> {
        let linker = self.whole.linker(target).map_err(|error| {
            Error::usage(format!("cargo's linker for `{target}` cannot be determined"))
                .because(error)
        })?;
        let name = target.to_uppercase().replace(['-', '.'], "_");
        let variable = format!("CARGO_TARGET_{name}_LINKER");
        Ok(linker.map(|path| Flag {
            flag: path.to_string_lossy().into_owned(),
            origin: match cx.env.var(&variable) {
                Some(_) => variable,
                None => format!("`target.{target}.linker` in cargo's configuration"),
            },
        }))
    }

    /// Returns `build.target`, if it is set.
    pub fn build_targets(&self) -> Option<String> {
        let targets = self.whole.build.target.as_ref()?;
        let names: Vec<&str> = targets.iter().map(|target| target.triple()).collect();
        Some(names.join(", ")).filter(|names| !names.is_empty())
    }

    /// The flags that cargo would give rustc for `target`, and the one place they come from.
    ///
    /// # Errors
    /// rustc cannot say what configuration the target has, which `target.'cfg(…)'` tables need.
    pub fn user_flags(&self, cx: &Context, target: &str) -> Result<UserFlags> {
        let of = |config: &cargo_config2::Config| -> Result<(Vec<String>, bool)> {
            let flags = config.rustflags(target).map_err(|error| {
                Error::usage(format!("cargo's flags for `{target}` cannot be told")).because(error)
            })?;
            let flags = flags.map(|flags| flags.flags).unwrap_or_default();
            let build = config.build.rustflags.as_ref().map(|flags| &flags.flags);
            let of_build = build == Some(&flags);
            Ok((flags, of_build))
        };
        let (flags, of_build) = of(&self.whole)?;
        let hides = match &self.hidden {
            Some(config) => matches!(of(config)?, (flags, false) if !flags.is_empty()),
            None => false,
        };
        // An empty variable counts for cargo, and hides the places after it.
        let set = |name: &&&str| cx.env.vars().any(|(other, _)| other == **name);
        let (place, origin) = match HIDING.iter().find(set) {
            Some(variable) => (Place::Environment, *variable),
            None if flags.is_empty() => (Place::Nowhere, ""),
            None if of_build => (Place::Build, "`build.rustflags` in cargo's configuration"),
            None => (Place::Target, "`target.*.rustflags` in cargo's configuration"),
        };
        let cpus = match cpu::chosen_cpu(&flags) {
            Some(_) => cpus(cx, &self.rustc(), target)?,
            None => Vec::new(),
        };
        let linker = self.linker(cx, target)?;
        Ok(UserFlags { flags, place, origin: origin.to_owned(), hides, linker, cpus })
    }
}

/// A C or C++ compiler that the user chose for a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiler {
    /// The variable that names it.
    pub variable: String,
    /// The program, with arguments if the variable has any.
    pub program: String,
    /// The version that it prints for `-dumpversion`, which GCC and clang know.
    pub version: String,
}

/// Returns the CPUs that rustc knows for `target`: the first word of each line of
/// `--print=target-cpus` that begins with white space.
fn cpus(cx: &Context, rustc: &str, target: &str) -> Result<Vec<String>> {
    let print = ["--print=target-cpus", "--target", target];
    let text = cx.children.read(&Command::new(rustc).args(print).dir(&cx.env.dir))?;
    let lines = text.lines().filter(|line| line.starts_with(' '));
    Ok(lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// Returns the features that rustc enables for `target` with `flags`, the unstable ones among them.
///
/// # Errors
/// rustc rejects the flags.
pub fn cpu_features(
    cx: &Context,
    rustc: &str,
    target: &str,
    flags: &[String],
) -> Result<BTreeSet<String>> {
    let command = Command::new(rustc)
        .args(["--print=cfg", "--target", target])
        .args(flags)
        .dir(&cx.env.dir)
        .env("RUSTC_BOOTSTRAP", "1");
    let output = cx.children.output(&command)?;
    if !output.success() {
        return Err(Error::usage(format!("rustc rejects the flags `{}`", flags.join(" ")))
            .detail(output.tail(10))
            .hint("remove them from `RUSTFLAGS` or cargo's configuration"));
    }
    let text = output.text();
    let features = text.lines().filter_map(|line| line.strip_prefix("target_feature=\""));
    Ok(features.map(|name| name.trim_end_matches('"').to_owned()).collect())
}

/// The variables that hold flags for rustc and are set.
pub fn flag_variables(cx: &Context) -> Vec<String> {
    let names = ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS"];
    let of_target = |name: &str| name.starts_with("CARGO_TARGET_") && name.ends_with("_RUSTFLAGS");
    cx.env
        .vars()
        .map(|(name, _)| name)
        .filter(|name| names.contains(name) || of_target(name))
        .map(str::to_owned)
        .collect()
}

/// Returns the compilers that `variables` choose for `target`, in place of zig's
/// (<https://docs.rs/cc/latest/cc/#external-configuration-via-environment-variables>).
pub fn compilers(
    cx: &Context,
    variables: &BTreeMap<String, String>,
    target: &str,
) -> Vec<Compiler> {
    let mut found = Vec::new();
    for kind in ["CC", "CXX"] {
        for suffix in [target.to_owned(), target.replace('-', "_")] {
            let variable = format!("{kind}_{suffix}");
            let Some(program) = variables.get(&variable).cloned() else { continue };
            let mut words = program.split_whitespace();
            let command =
                words.next().map(|first| Command::new(first).args(words).arg("-dumpversion"));
            let output = command.and_then(|command| cx.children.output(&command).ok());
            let version = output.filter(|output| output.success()).map(|output| output.text());
            let version = version.unwrap_or_else(|| "unknown".to_owned());
            found.push(Compiler { variable, program, version });
        }
    }
    found
}

/// Returns whether the variable chooses a C compiler or one of its tools, or holds flags for it.
fn is_for_c(name: &str) -> bool {
    let starts =
        ["CC_", "CXX_", "AR_", "RANLIB_", "BINDGEN_EXTRA_CLANG_ARGS", "CMAKE_TOOLCHAIN_FILE"];
    name.contains("CFLAGS")
        || name.contains("CXXFLAGS")
        || name == crate::zig::ESCAPED
        || starts.iter().any(|start| name.starts_with(start))
}

/// Returns the configuration files, from the outermost to the innermost, which wins.
fn config_files(cx: &Context) -> Vec<Utf8PathBuf> {
    let walked = cargo_config2::Walk::new(cx.env.dir.as_std_path());
    let mut files: Vec<_> =
        walked.filter_map(|path| Utf8PathBuf::from_path_buf(path).ok()).collect();
    files.reverse();
    files
}

/// Asks cargo for its configuration, if one of the files includes another (`include`, since cargo
/// 1.94). The command is unstable, so it is used only then.
fn included(cx: &Context) -> Result<Option<Included>> {
    let mut including = None;
    for file in config_files(cx) {
        let text = fs::read_to_string_if_there(&file)?.unwrap_or_default();
        if text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("include")) {
            including = Some(file);
        }
    }
    let Some(including) = including else { return Ok(None) };
    let command = Command::new(cx.env.cargo())
        .args(["-Zunstable-options", "config", "get", "--format", "toml", "--show-origin"])
        .dir(&cx.env.dir)
        .env("RUSTC_BOOTSTRAP", "1");
    let output = cx.children.output(&command)?;
    if !output.success() {
        return Err(Error::usage(format!(
            "`{including}` has `include`, and cargo cannot read its configuration"
        ))
        .detail(output.tail(10))
        .hint("cargo reads `include` since 1.94"));
    }
    let text = output.text();
    let dir = fs::TempDir::new("longshore-config")?;
    fs::write(&dir.path.join(".cargo/config.toml"), text.as_bytes())?;
    Ok(Some(Included { text, dir }))
}

/// One key of a profile in cargo's configuration.
struct ProfileKey {
    profile: String,
    key: String,
    value: toml::Value,
    /// The file that sets it.
    file: String,
}

impl Included {
    /// Returns the keys of all profiles: `profile.NAME.KEY = VALUE # FILE`.
    fn profiles(&self, root: &Utf8Path) -> Vec<ProfileKey> {
        let key = |line: &str| {
            let (setting, file) = line.rsplit_once(" # ")?;
            let table: toml::Table = setting.parse().ok()?;
            let (name, profile) = table.get("profile")?.as_table()?.iter().next()?;
            let (key, value) = profile.as_table()?.iter().next()?;
            let file = Utf8Path::new(file);
            let file = file.strip_prefix(root).unwrap_or(file).to_string();
            Some(ProfileKey { profile: name.clone(), key: key.clone(), value: value.clone(), file })
        };
        self.text.lines().filter(|line| line.starts_with("profile.")).filter_map(key).collect()
    }
}
