//! Cargo's configuration: one reader for all keys
//! (<https://doc.rust-lang.org/cargo/reference/config.html>).

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::cargo_platform::Cfg;

use crate::{
    build::{
        cargo::{
            cpu,
            node::{Node, Origin},
            rustflags::{FlagSource, UserFlags},
            settings::{EnvEntry, FLAG_VARIABLES, Settings, VendoredSource},
        },
        profile::{DIST, UserProfile},
    },
    model::{
        collect::CollectOrdered as _,
        command::Command,
        error::{Error, Result},
        schema::plan::{Flag, Via},
    },
    release::bom::Platform,
    sys::{Context, cargo::cfgs, fs},
};

/// Cargo's configuration, as it applies in the current directory.
#[derive(Debug)]
pub struct Config(Settings);

impl Config {
    /// Reads it. `arguments` are those of `--config`.
    ///
    /// # Errors
    /// A configuration file or an argument is wrong.
    pub fn load(cx: &Context, arguments: &[String]) -> Result<Self> {
        let mut files = Node::empty();
        for file in config_files(cx) {
            files.merge(read(&file, &mut BTreeSet::new())?, false);
        }
        let mut set = Node::empty();
        for argument in arguments {
            set.merge(read_argument(&cx.env.dir, argument)?, true);
        }
        let vars = cx.env.vars().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Config(Settings::new(files, vars.collect_map(), set, &cx.env.dir)))
    }

    /// Returns the rustc that cargo calls, without its wrapper.
    pub fn rustc(&self) -> String {
        let rustc = self.0.program("RUSTC", &["build", "rustc"]);
        rustc.filter(|rustc| !rustc.is_empty()).unwrap_or_else(|| "rustc".to_owned())
    }

    /// Returns `build.target-dir`, also from a variable.
    pub fn target_dir(&self) -> Option<Utf8PathBuf> {
        self.0.target_dir()
    }

    /// Returns the wrapper that cargo starts rustc with: `RUSTC_WRAPPER`, else `build.rustc-wrapper`.
    pub fn rustc_wrapper(&self) -> Option<String> {
        let wrapper = self.0.program("RUSTC_WRAPPER", &["build", "rustc-wrapper"]);
        wrapper.filter(|wrapper| !wrapper.is_empty())
    }

    /// Returns the directories that replace other sources of packages.
    pub fn vendored(&self) -> Vec<VendoredSource> {
        self.0.vendored()
    }

    /// Returns the variable `name` of `[env]`, if cargo would use it: one of the process has precedence,
    /// unless `force` is set.
    pub fn env(&self, cx: &Context, name: &str) -> Option<EnvEntry> {
        let entry = self.0.env().remove(name);
        let is_set = cx.env.value(name).is_some() || cx.env.is_not_utf8(name);
        entry.filter(|entry| entry.force || !is_set)
    }

    /// Returns the variables that select C compilers for a target or hold flags for them, and the one
    /// that sets how flags are written: those of the process, and those of `[env]` that it does not
    /// set.
    ///
    /// # Errors
    /// `[env]` sets one for `targets` with `force`, which would replace longshore's own value.
    pub fn c_variables(&self, cx: &Context, targets: &[&str]) -> Result<BTreeMap<String, String>> {
        let set = cx.env.vars().filter(|(name, _)| is_for_c(name));
        let set = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut all: BTreeMap<String, String> = set.collect_map();
        for (name, entry) in self.0.env() {
            if entry.force && is_set_by_longshore(&name, targets) {
                return Err(Error::usage(format!(
                    "`[env]` in `{}` sets `{name}` with `force = true`, which would replace what \
                     longshore adds to it",
                    entry.file
                ))
                .hint("remove `force`: longshore adds its own flags after those"));
            }
            if is_for_c(&name) && (entry.force || !all.contains_key(&name)) {
                all.insert(name, entry.value);
            }
        }
        Ok(all)
    }

    /// Returns one sentence for each variable of `[env]` that longshore sets as well, to another value.
    pub fn replaced_variables(&self, cx: &Context) -> Vec<String> {
        let entries = super::FIXED_VARIABLES
            .into_iter()
            .filter_map(|(name, value)| Some((name, value, self.env(cx, name)?)));
        let others = entries.filter(|(_, value, entry)| entry.value != *value);
        let sentence = |(name, value, entry): (&str, &str, EnvEntry)| {
            let (users, file) = (&entry.value, &entry.file);
            if entry.force {
                format!("builds get `{name}={users}` of `[env]` in `{file}`, and not `{value}`")
            } else {
                format!("`{name}={users}` of `[env]` in `{file}` is not used: builds get `{value}`")
            }
        };
        others.map(sentence).collect()
    }

    /// Returns the user's settings in each profile: the tables of the workspace's `Cargo.toml`, those
    /// of cargo's configuration files, and `CARGO_PROFILE_*` variables, each over the ones before it
    /// (<https://doc.rust-lang.org/cargo/reference/profiles.html>).
    ///
    /// # Errors
    /// `Cargo.toml` cannot be read or is not TOML.
    pub fn profiles(&self, root: &Utf8Path) -> Result<BTreeMap<String, UserProfile>> {
        let mut all: BTreeMap<String, UserProfile> = BTreeMap::new();
        let table = read_table(&root.join("Cargo.toml"))?.unwrap_or_default();
        let profiles = table.get("profile").and_then(toml::Value::as_table);
        for (name, profile) in profiles.into_iter().flatten() {
            let own = all.entry(name.clone()).or_default();
            for (key, value) in profile.as_table().into_iter().flatten() {
                let origin = format!("[profile.{name}] in Cargo.toml");
                own.insert(key.clone(), (value.clone(), origin));
            }
        }
        let built_in = ["dev", "release", "test", "bench", DIST];
        let names: Vec<&str> = built_in.into_iter().chain(all.keys().map(String::as_str)).collect();
        for key in self.0.profiles(&names) {
            let shown = key.origin.strip_prefix(root).unwrap_or(&key.origin);
            let is_file = key.origin.is_absolute();
            let origin = if is_file {
                format!("[profile.{}] in {shown}", key.profile)
            } else {
                shown.to_string()
            };
            all.entry(key.profile).or_default().insert(key.key, (key.value, origin));
        }
        Ok(all)
    }

    /// Returns `build.target`, if it is set.
    pub fn build_targets(&self) -> Option<String> {
        Some(self.0.build_targets().join(", ")).filter(|names| !names.is_empty())
    }

    /// Returns what `target` is, if conditions of the configuration need it. Flags can change that, and
    /// other conditions apply then: cargo determines the flags twice at most.
    fn conditions(&self, cx: &Context, target: &str) -> Result<Option<Vec<Cfg>>> {
        if !self.0.has_conditions() {
            return Ok(None);
        }
        let (mut flags, _) = self.0.flags(target, None);
        let cfgs_with = |flags: &[String]| -> Result<Vec<Cfg>> {
            let words: Vec<&str> = flags.iter().map(String::as_str).collect();
            let text = cfgs(cx, &self.rustc(), target, &words, false)?;
            Ok(Platform::new(target, &text)?.cfgs)
        };
        let mut cfgs = cfgs_with(&flags)?;
        let (again, _) = self.0.flags(target, Some(&cfgs));
        if again != flags {
            flags = again;
            let more = cfgs_with(&flags)?;
            // Without a fixed point, cargo keeps the flags that it had.
            if self.0.flags(target, Some(&more)).0 == flags {
                cfgs = more;
            }
        }
        Ok(Some(cfgs))
    }

    /// Returns the flags that cargo would give rustc for `target`, and their single source.
    ///
    /// # Errors
    /// rustc cannot say what configuration the target has, which `target.'cfg(…)'` tables need.
    pub fn user_flags(&self, cx: &Context, target: &str) -> Result<UserFlags> {
        let cfgs = self.conditions(cx, target)?;
        let (flags, source) = self.0.flags(target, cfgs.as_deref());
        let hides = source == FlagSource::Environment
            && !self.0.target_flags(target, cfgs.as_deref()).is_empty();
        let origin = match source {
            FlagSource::Environment if cx.env.value(FLAG_VARIABLES[0]).is_some() => {
                FLAG_VARIABLES[0]
            }
            FlagSource::Environment => FLAG_VARIABLES[1],
            FlagSource::Target => "`target.*.rustflags` in cargo's configuration",
            FlagSource::Build => "`build.rustflags` in cargo's configuration",
            FlagSource::Nowhere => "",
        };
        let cpus = match cpu::chosen_cpu(&flags) {
            Some(_) => cpus(cx, &self.rustc(), target)?,
            None => Vec::new(),
        };
        let linker = self.0.linker(target, cfgs.as_deref());
        let linker = linker.map(|(flag, origin)| Flag { flag, origin, via: Via::default() });
        Ok(UserFlags { flags, source, origin: origin.to_owned(), hides, linker, cpus })
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

/// Returns whether rustc links the C library of `target` statically by default. A target that it does
/// not know is an error of the build.
pub fn is_static(cx: &Context, rustc: &str, target: &str) -> bool {
    let text = cfgs(cx, rustc, target, &[], false).unwrap_or_default();
    text.lines().any(|line| line == "target_feature=\"crt-static\"")
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
    Ok(features.map(|name| name.trim_end_matches('"').to_owned()).collect_set())
}

/// Returns the variables that hold flags for rustc and are set.
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

/// Returns the compilers that `variables` select for `target`, instead of zig's
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

/// Returns one sentence for each variable that chooses another tool for the C code of `target`, beside
/// compilers.
pub fn tool_notes(variables: &BTreeMap<String, String>, target: &str) -> Vec<String> {
    let mut notes = Vec::new();
    for kind in ["AR", "RANLIB", "CMAKE_TOOLCHAIN_FILE", "BINDGEN_EXTRA_CLANG_ARGS"] {
        let mut names =
            vec![format!("{kind}_{target}"), format!("{kind}_{}", target.replace('-', "_"))];
        if !["AR", "RANLIB"].contains(&kind) {
            names.push(kind.to_owned());
        }
        for name in names {
            let Some(value) = variables.get(&name) else { continue };
            notes.push(if kind == "BINDGEN_EXTRA_CLANG_ARGS" {
                format!(
                    "`{name}` is set: bindgen gets `{value}` for `{target}` before zig's arguments"
                )
            } else {
                format!("`{name}` is set: `{value}` is used for `{target}`, and not zig's")
            });
        }
    }
    notes
}

/// Returns whether the variable chooses a C compiler or one of its tools, or holds flags for it.
fn is_for_c(name: &str) -> bool {
    let starts =
        ["CC_", "CXX_", "AR_", "RANLIB_", "BINDGEN_EXTRA_CLANG_ARGS", "CMAKE_TOOLCHAIN_FILE"];
    name.contains("CFLAGS")
        || name.contains("CXXFLAGS")
        || name == crate::build::zig::ESCAPED
        || starts.iter().any(|start| name.starts_with(start))
}

/// Returns whether longshore sets the variable for the C code of `targets`.
fn is_set_by_longshore(name: &str, targets: &[&str]) -> bool {
    let bases = [
        "CC",
        "CXX",
        "AR",
        "RANLIB",
        "CFLAGS",
        "CXXFLAGS",
        "BINDGEN_EXTRA_CLANG_ARGS",
        "CMAKE_TOOLCHAIN_FILE",
    ];
    let own = ["LONGSHORE_", "CARGO_ZIGBUILD_"];
    name == crate::build::zig::ESCAPED
        || own.iter().any(|start| name.starts_with(start))
        || bases.iter().any(|base| {
            let for_target = |target: &&str| {
                name == format!("{base}_{target}")
                    || name == format!("{base}_{}", target.replace('-', "_"))
            };
            targets.iter().any(for_target)
        })
}

/// Returns the configuration files, from the innermost, which has precedence, to the outermost and that
/// of cargo's home directory.
fn config_files(cx: &Context) -> Vec<Utf8PathBuf> {
    let real = |dir: &Utf8Path| fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let mut dirs: Vec<Utf8PathBuf> = cx.env.dir.ancestors().map(|dir| dir.join(".cargo")).collect();
    if let Some(home) = cx.env.cargo_home()
        && !dirs.iter().any(|dir| real(dir) == real(&home))
    {
        dirs.push(home);
    }
    // The name without an ending has precedence.
    let file = |dir: Utf8PathBuf| {
        ["config", "config.toml"].map(|name| dir.join(name)).into_iter().find(|path| path.exists())
    };
    dirs.into_iter().filter_map(file).collect()
}

/// Returns the content of a TOML file, if there is one.
fn read_table(file: &Utf8Path) -> Result<Option<toml::Table>> {
    let Some(text) = fs::read_to_string_if_exists(file)? else { return Ok(None) };
    let table = toml::from_str(&text);
    table.map(Some).map_err(|error| Error::usage(format!("`{file}` is not TOML")).because(error))
}

/// Reads a configuration file and those that it includes, over which it has precedence
/// (<https://doc.rust-lang.org/cargo/reference/config.html#including-extra-configuration-files>).
/// `seen` are the files that are being read.
fn read(file: &Utf8Path, seen: &mut BTreeSet<Utf8PathBuf>) -> Result<Node> {
    let wrong = |what: String| {
        Error::usage(format!("cargo's configuration cannot be read: {what}"))
            .hint("cargo reads `include` since 1.94, as a list of paths that end in `.toml`")
    };
    if !seen.insert(file.to_owned()) {
        return Err(wrong(format!("`include` reaches `{file}` twice")));
    }
    let mut table = read_table(file)?.unwrap_or_default();
    let mut root = Node::empty();
    let includes = match table.remove("include") {
        None => Vec::new(),
        Some(toml::Value::Array(includes)) => includes,
        Some(_) => return Err(wrong(format!("`include` in `{file}` is not a list"))),
    };
    for include in includes {
        let path = include.as_str().or_else(|| include.get("path")?.as_str());
        let optional = include.get("optional").and_then(toml::Value::as_bool).unwrap_or_default();
        let Some(path) = path.filter(|path| path.ends_with(".toml")) else {
            return Err(wrong(format!("`include` in `{file}` has `{include}`")));
        };
        let path = file.parent().unwrap_or(file).join(path);
        if path.exists() {
            root.merge(read(&path, seen)?, true);
        } else if !optional {
            return Err(wrong(format!(
                "`include` in `{file}` names `{path}`, which does not exist"
            )));
        }
    }
    root.merge(Node::new(toml::Value::Table(table), &Origin::file(file)), true);
    Ok(root)
}

/// Reads an argument of `--config`: a file if there is one of that name, else `KEY=VALUE`
/// (<https://doc.rust-lang.org/cargo/reference/config.html#command-line-overrides>).
fn read_argument(dir: &Utf8Path, argument: &str) -> Result<Node> {
    let path = dir.join(argument);
    if !argument.is_empty() && path.exists() {
        return read(&path, &mut BTreeSet::new());
    }
    let wrong = || {
        Error::usage(format!("`--config {argument}` is neither a file nor `KEY=VALUE`"))
            .hint("the key is dotted, and the value is that of TOML: `--config 'build.jobs=2'`")
    };
    let table = toml::from_str::<toml::Table>(argument).map_err(|error| wrong().because(error))?;
    if table.is_empty() {
        return Err(wrong());
    }
    Ok(Node::new(toml::Value::Table(table), &Origin::argument(dir)))
}
