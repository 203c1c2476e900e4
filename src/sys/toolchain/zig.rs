//! zig: found, or fetched from the Python index at a pinned version and digest.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use camino::{Utf8Path, Utf8PathBuf};
use semver::Version;

use crate::{
    build::zig::{PINNED, REQUIREMENTS, accept},
    model::{
        collect::CollectOrdered as _,
        command::Command,
        error::{Error, Result, Status},
    },
    sys::{
        Context, digests, fs,
        seal::{self, Depth, SealState},
        tree,
    },
};

/// A zig that works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zig {
    /// The program.
    pub program: Utf8PathBuf,
    /// Arguments before those for zig: `-m ziglang` for python3.
    pub args: Vec<String>,
    /// Its version.
    pub version: Version,
}

impl fmt::Display for Zig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "zig {} (`{}", self.version, self.program)?;
        for arg in &self.args {
            write!(f, " {arg}")?;
        }
        f.write_str("`)")
    }
}

/// Looks for a zig: `CARGO_ZIGBUILD_ZIG_PATH`, then `zig` on `PATH`, then the one that was fetched
/// before, then `python3 -m ziglang`. One that is not fit for `rustc` is passed over with a
/// warning, unless it was named. `None` when there is none.
///
/// # Errors
/// The zig that `CARGO_ZIGBUILD_ZIG_PATH` names is missing or not fit.
pub fn find(cx: &Context, rustc: &Version) -> Result<Option<Zig>> {
    if let Some(path) = cx.env.var("CARGO_ZIGBUILD_ZIG_PATH") {
        let named = |error: Error| {
            error
                .context(format!("`CARGO_ZIGBUILD_ZIG_PATH` names `{path}`"))
                .with_status(Status::MissingTool)
                .or_hint("unset it, and zig is found or fetched")
        };
        let program =
            cx.env.which(path).ok_or_else(|| named(Error::tool("there is no such program")));
        let zig = query(cx, program?, &[]).map_err(named)?;
        accept(&zig.version, rustc).map_err(named)?;
        return Ok(Some(zig));
    }
    let own = || {
        let program = fetched_program(cx);
        match program.exists().then(|| state(&package(cx)))? {
            SealState::Sound => Some(program),
            SealState::Damaged(why) => {
                cx.warn(format!("passing over the zig that was fetched: {why}"));
                None
            }
            SealState::Unsealed => None,
        }
    };
    type Finder<'a> = &'a dyn Fn() -> Option<Utf8PathBuf>;
    let candidates: [(Finder<'_>, &[&str]); 3] = [
        (&|| cx.env.which("zig"), &[]),
        (&own, &[]),
        (&|| cx.env.which("python3"), &["-m", "ziglang"]),
    ];
    for (program, args) in candidates {
        // Programs that do not answer, and a python3 without the package.
        let Some(Ok(zig)) = program().map(|program| query(cx, program, args)) else {
            continue;
        };
        match accept(&zig.version, rustc) {
            Ok(()) => return Ok(Some(zig)),
            Err(error) => cx.warn(format!("passing over `{}`: {error}", zig.program)),
        }
    }
    Ok(None)
}

/// Finds a zig, or fetches the pinned one with the user's own uv or pip, and their configuration.
///
/// # Errors
/// None is there and none can be fetched: what was tried and why it failed.
pub fn provide(cx: &Context, rustc: &Version, offline: bool) -> Result<Zig> {
    if let Some(zig) = find(cx, rustc)? {
        return Ok(zig);
    }
    let by_hand = "install zig 0.15 from https://ziglang.org/download and put it on `PATH`";
    if offline {
        return Err(Error::tool("zig is missing, and `--offline` keeps it from being fetched")
            .hint(format!("run once without `--offline`, or {by_hand}")));
    }
    let location = cx.env.cache.join(format!("zig/{PINNED}"));
    let _lock = fs::lock(&cx.env.cache.join("zig/lock"), || {
        cx.status("Waiting", "for another longshore that fetches zig");
    })?;
    // Another process may have fetched it meanwhile.
    if !fetched_program(cx).exists() || state(&package(cx)) != SealState::Sound {
        cx.status("Fetching", format!("zig {PINNED} from the Python index, into {location}"));
        fetch(cx, &location, REQUIREMENTS).map_err(|error| error.hint(by_hand))?;
    }
    query(cx, fetched_program(cx), &[])
}

/// Returns a zig of exactly this version: the one that [`find`] finds, one that was fetched before, or one that
/// is fetched from the Python index. Only the pinned version is compared with a known digest.
///
/// # Errors
/// It is not fit for `rustc`, or cannot be fetched: what was tried and why it failed.
pub fn provide_version(
    cx: &Context,
    version: &Version,
    rustc: &Version,
    offline: bool,
) -> Result<Zig> {
    accept(version, rustc)?;
    if let Ok(Some(zig)) = find(cx, rustc)
        && zig.version == *version
    {
        return Ok(zig);
    }
    let pinned = version.to_string() == PINNED;
    let text = version.to_string();
    let location = cx.env.cache.join(format!("zig/{text}"));
    let package = location.join("ziglang");
    let program = package.join("zig");
    let by_hand =
        format!("install zig {text} from https://ziglang.org/download and put it on `PATH`");
    let is_there = || program.exists() && seal::check(&package, Depth::Stamps) == SealState::Sound;
    if !is_there() {
        if offline {
            let message =
                format!("zig {text} is missing, and `--offline` keeps it from being fetched");
            return Err(Error::tool(message).hint(by_hand));
        }
        let _lock = fs::lock(&cx.env.cache.join("zig/lock"), || {
            cx.status("Waiting", "for another longshore that fetches zig");
        })?;
        if !is_there() {
            cx.status("Fetching", format!("zig {text} from the Python index, into {location}"));
            let requirements =
                if pinned { REQUIREMENTS.to_owned() } else { format!("ziglang=={text}\n") };
            fetch(cx, &location, &requirements).map_err(|error| error.hint(by_hand.clone()))?;
        }
    }
    let zig = query(cx, program, &[])?;
    if zig.version == *version {
        return Ok(zig);
    }
    Err(Error::tool(format!("`{}` is zig {}, expected {text}", zig.program, zig.version)))
}

/// Returns the directory of the Python package that is fetched.
fn package(cx: &Context) -> Utf8PathBuf {
    cx.env.cache.join(format!("zig/{PINNED}/ziglang"))
}

fn fetched_program(cx: &Context) -> Utf8PathBuf {
    package(cx).join("zig")
}

/// Identifies the compiler beyond its version: by the digest of its program, at any path.
///
/// # Errors
/// The program cannot be run or read.
pub fn identity(cx: &Context, zig: &Zig) -> Result<String> {
    let program = if zig.program == fetched_program(cx) {
        zig.program.clone()
    } else {
        // A script or `python3 -m ziglang` starts another program.
        let command = Command::new(zig.program.as_str()).args(zig.args.clone()).arg("env");
        let text = cx.children.read(&command)?;
        executable(&text).map_or_else(|| zig.program.clone(), Utf8PathBuf::from)
    };
    let digests = digests::digests(cx, [program.as_path()])?;
    let digest = digests.first().copied().flatten();
    let digest = digest.ok_or_else(|| Error::tool(format!("`{program}` is missing")))?;
    Ok(format!("{} {digest}", zig.version))
}

/// Returns the path of zig's program in the output of `zig env`: JSON before zig 0.15, ZON since.
fn executable(env: &str) -> Option<&str> {
    let line = env.lines().find(|line| line.contains("zig_exe"))?;
    let (_, value) = line.split_once(['=', ':'])?;
    value.trim().trim_end_matches(',').strip_prefix('"')?.strip_suffix('"')
}

/// Returns the identity of the zig that will be fetched if there is none.
pub fn pinned_identity() -> String {
    format!("{PINNED} fetched")
}

/// Returns whether the package that was fetched is complete. One without a seal, which an older version
/// fetched, gets one if it matches the list that its installer left.
fn state(package: &Utf8Path) -> SealState {
    match seal::check(package, Depth::Stamps) {
        SealState::Unsealed if matches_record(package) && seal::seal(package).is_ok() => {
            SealState::Sound
        }
        SealState::Unsealed => SealState::Damaged(format!("`{package}` is incomplete")),
        state => state,
    }
}

/// Returns whether the files of the package are those of the `RECORD` beside it, which has the digest
/// and size of each
/// (<https://packaging.python.org/en/latest/specifications/recording-installed-packages/>).
fn matches_record(package: &Utf8Path) -> bool {
    let record = package.with_file_name(format!("ziglang-{PINNED}.dist-info")).join("RECORD");
    let Ok(Some(text)) = fs::read_to_string_if_exists(&record) else { return false };
    let listed: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("ziglang/")?.split_once(",sha256="))
        .filter_map(|(path, rest)| Some((path, rest.split_once(',')?.0)))
        .collect_map();
    let caches = |path: &Utf8Path| path.file_name() == Some("__pycache__");
    let Ok(entries) = tree::walk(package, caches) else { return false };
    let files = entries.iter().filter(|entry| matches!(entry.kind, tree::EntryKind::File(_)));
    let files: Vec<&Utf8Path> = files.map(|entry| entry.path.as_path()).collect();
    files.len() == listed.len()
        && files.iter().all(|path| {
            let digest = fs::digest(&package.join(path)).map(|(digest, _)| digest);
            let encoded = digest.map(|digest| URL_SAFE_NO_PAD.encode(digest.bytes())).ok();
            encoded.as_deref() == listed.get(path.as_str()).copied()
        })
}

fn query(cx: &Context, program: Utf8PathBuf, args: &[&str]) -> Result<Zig> {
    let command = Command::new(program.as_str()).args(args.iter().copied()).arg("version");
    let text = cx.children.read(&command)?;
    let version = Version::parse(&text).map_err(|error| {
        Error::tool(format!("`{command}` printed `{text}`, which is not a version")).because(error)
    })?;
    Ok(Zig { program, args: args.iter().map(|arg| (*arg).to_owned()).collect(), version })
}

/// Fetches into a temporary directory and renames it, so that an installed zig is complete. Digests in
/// `text`, a requirements file, are compared.
fn fetch(cx: &Context, location: &Utf8Path, text: &str) -> Result<()> {
    let temporary = Utf8PathBuf::from(format!("{location}.tmp"));
    fs::remove_dir_all(&temporary)?;
    let requirements = temporary.join("requirements.txt");
    fs::write(&requirements, text.as_bytes())?;
    let hashed = text.contains("--hash=").then_some("--require-hashes");
    let install = |command: Command| {
        command.args(["--target", temporary.as_str(), "--no-deps"]).args(hashed).args([
            "--only-binary",
            ":all:",
            "-r",
            requirements.as_str(),
        ])
    };
    let commands = [
        install(Command::new("uv").args(["pip", "install", "--quiet"])),
        install(Command::new("python3").args(["-m", "pip", "install", "--quiet"])),
        install(Command::new("pip3").args(["install", "--quiet"])),
    ];
    let mut tried = Vec::new();
    for command in commands {
        if cx.env.which(&command.program).is_none() {
            tried.push(format!("`{}` is not there", command.program));
            continue;
        }
        let output = cx.run_reported(&command)?;
        if output.success() && temporary.join("ziglang/zig").exists() {
            let package = location.join("ziglang");
            seal::remove(&package)?;
            fs::remove_dir_all(location)?;
            fs::rename(&temporary, location)?;
            return seal::seal(&package);
        }
        tried.push(format!("`{command}` ended with {}: {}", output.ending(), output.tail(4)));
    }
    fs::remove_dir_all(&temporary)?;
    Err(Error::tool(format!("zig is missing and cannot be fetched:\n  {}", tried.join("\n  "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_read_from_both_formats() {
        let zon = ".{\n    .zig_exe = \"/opt/a b/zig\",\n    .lib_dir = \"/opt/lib\",\n}\n";
        assert_eq!(executable(zon), Some("/opt/a b/zig"));
        let json = "{\n \"zig_exe\": \"/opt/zig\",\n \"lib_dir\": \"/opt/lib\"\n}";
        assert_eq!(executable(json), Some("/opt/zig"));
        assert_eq!(executable("error"), None);
    }
}
