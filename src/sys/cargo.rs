//! What cargo knows of the workspace and of its own configuration.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::{Metadata, MetadataCommand};

use crate::{
    cargo::rustflags::{Place, UserFlags},
    command::Command,
    error::{Error, Result},
    profile::Own,
    request::Request,
    sys::{Context, fs},
    workspace::Workspace,
};

/// The workspace around the current directory, or of `--manifest-path`.
///
/// # Errors
/// There is none, its manifests are wrong, or its longshore tables are.
pub fn workspace(cx: &Context, request: &Request) -> Result<Workspace> {
    let mut command = Command::new(cx.env.cargo())
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .dir(&cx.env.dir);
    if let Some(path) = &request.manifest_path {
        command = command.args(["--manifest-path", path.as_str()]);
    }
    if let Some(dir) = &request.target_dir {
        // `cargo metadata` has no such flag, but takes the variable.
        command = command.env("CARGO_TARGET_DIR", dir.as_str());
    }
    let text = told(cx, &command)?;
    let metadata = MetadataCommand::parse(text.trim()).map_err(|error| {
        Error::tool(format!("`{command}` printed something that is not understood")).because(error)
    })?;
    Workspace::new(&metadata)
}

/// The directory of the workspace around the current directory, or of that manifest, which takes
/// less time than all that is in it.
///
/// # Errors
/// There is none.
pub fn root(cx: &Context, manifest: Option<&Utf8Path>) -> Result<Utf8PathBuf> {
    let args = ["locate-project", "--workspace", "--message-format", "plain"];
    let mut command = Command::new(cx.env.cargo()).args(args).dir(&cx.env.dir);
    if let Some(path) = manifest {
        command = command.args(["--manifest-path", path.as_str()]);
    }
    let manifest = told(cx, &command)?;
    Ok(Utf8Path::new(manifest.trim()).parent().unwrap_or(&cx.env.dir).to_owned())
}

/// What cargo says of the workspace.
fn told(cx: &Context, command: &Command) -> Result<String> {
    let output = cx.children.output(command)?;
    if !output.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let said = said.trim_start_matches("error: ");
        let error = Error::usage(format!("cargo cannot read the workspace: {said}"));
        return Err(if said.contains("could not find `Cargo.toml`") {
            error.hint("run this inside a cargo workspace, or name one with `--manifest-path`")
        } else {
            error.hint(format!("`{command}` shows the same"))
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The packages that cargo resolves for `platforms`, with what each depends on. `resolution` are the
/// flags of the build that say which there are.
///
/// # Errors
/// Cargo cannot say it, or what it says is not understood.
pub fn resolved(
    cx: &Context,
    manifest: &Utf8Path,
    platforms: &BTreeSet<&str>,
    resolution: &[String],
) -> Result<Metadata> {
    let mut command = Command::new(cx.env.cargo())
        .args(["metadata", "--format-version", "1", "--manifest-path", manifest.as_str()])
        .args(resolution.iter().cloned())
        .dir(&cx.env.dir);
    // What other platforms need may never have been fetched.
    for platform in platforms {
        command = command.args(["--filter-platform", platform]);
    }
    let output = cx.children.output(&command)?;
    if !output.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::build("cargo cannot say which crates the binaries are made of")
            .detail(said)
            .hint("`cargo fetch` gets what it asks for, tests' dependencies among it"));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    MetadataCommand::parse(text.trim()).map_err(|error| {
        Error::tool(format!("`{command}` printed something that is not understood")).because(error)
    })
}

/// What rustc says of a target, as cargo asks it for conditions on dependencies: with the flags that
/// are for it.
///
/// # Errors
/// rustc does not know the target, or refuses a flag.
pub fn cfgs(
    cx: &Context,
    rustc: &str,
    target: &str,
    flags: &[&str],
    unstable: bool,
) -> Result<String> {
    let mut command = Command::new(rustc)
        .args(["--print=cfg", "--target", target])
        .args(flags.iter().copied())
        .dir(&cx.env.dir);
    if unstable {
        command = command.env("RUSTC_BOOTSTRAP", "1");
    }
    cx.children.read(&command)
}

/// Cargo's configuration, as it applies in the current directory.
#[derive(Debug)]
pub struct Config {
    whole: cargo_config2::Config,
    /// What it is without the variables that hide all other places for flags, where one is set.
    hidden: Option<cargo_config2::Config>,
}

/// The variables that hide all other places for flags.
const HIDING: [&str; 2] = ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS"];

impl Config {
    /// Reads it.
    ///
    /// # Errors
    /// A configuration file is wrong.
    pub fn load(cx: &Context) -> Result<Self> {
        let load = |vars: Vec<(&str, &str)>| {
            let options = cargo_config2::ResolveOptions::default().env(vars);
            cargo_config2::Config::load_with_options(&cx.env.dir, options).map_err(|error| {
                Error::usage("cargo's configuration cannot be read").because(error)
            })
        };
        let whole = load(cx.env.vars().collect())?;
        let others: Vec<_> = cx.env.vars().filter(|(name, _)| !HIDING.contains(name)).collect();
        let hides = others.len() < cx.env.vars().count();
        Ok(Config { whole, hidden: hides.then(|| load(others)).transpose()? })
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
        Ok(UserFlags { flags, place, origin: origin.to_owned(), hides })
    }
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

/// The variables with flags for C compilers that are set, with their values, and the one that says
/// how they are written.
pub fn c_flags(cx: &Context) -> BTreeMap<String, String> {
    let of_c = |name: &str| {
        name.contains("CFLAGS") || name.contains("CXXFLAGS") || name == crate::zig::ESCAPED
    };
    let set = cx.env.vars().filter(|(name, _)| of_c(name));
    set.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What the user set in each profile: the tables of the workspace's `Cargo.toml`, those of cargo's
/// configuration files, and `CARGO_PROFILE_*` variables, each over the ones before it
/// (<https://doc.rust-lang.org/cargo/reference/profiles.html>).
///
/// # Errors
/// One of the files cannot be read or is no TOML.
pub fn profiles(cx: &Context, root: &Utf8Path) -> Result<BTreeMap<String, Own>> {
    let mut all: BTreeMap<String, Own> = BTreeMap::new();
    let mut files = vec![root.join("Cargo.toml")];
    // From the outermost to the innermost, which wins.
    let mut walked: Vec<_> = cargo_config2::Walk::new(cx.env.dir.as_std_path())
        .filter_map(|path| camino::Utf8PathBuf::from_path_buf(path).ok())
        .collect();
    walked.reverse();
    files.extend(walked);
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
