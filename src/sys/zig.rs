//! zig as linker and C compiler, through cargo-zigbuild.
//!
//! cargo-zigbuild's wrappers start the running program again (`<program> zig cc -- …`), so every
//! program that builds with longshore has to answer: [`reenter`] does, as the first line of `main`.
//! cargo-zigbuild reads and changes the variables of its process and keeps what it found; it is
//! therefore asked in a child process of its own, through the same door.
#![allow(
    clippy::disallowed_methods,
    reason = "re-entry happens before anything else, and ends the process"
)]

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use camino::{Utf8Path, Utf8PathBuf};
use cargo_zigbuild::Zig as Wrapped;
use clap::Parser;
use serde::{Deserialize, Serialize};

use crate::{
    build::zig::{PREFIX_MAP, is_plain_path, link},
    model::{
        command::Command,
        digest::Digest,
        error::{Error, Result},
    },
    sys::{
        Context, access, confine, fs,
        process::{rustc, watchdog},
        toolchain::{self, Rust, Zig},
    },
};

/// Whether [`reenter`] was called in this process.
static ANSWERS: AtomicBool = AtomicBool::new(false);

/// Set for children of which only an answer is expected.
pub(super) const PROBE: &str = "LONGSHORE_REENTRY_PROBE";

const PROBE_VERB: &str = "longshore-probe";
const COMMAND_VERB: &str = "longshore-command";

/// The question that the child answers.
#[derive(Debug, Serialize, Deserialize)]
struct Question {
    /// Cargo's arguments, the first is `build`.
    args: Vec<String>,
}

/// Its answer.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    env: BTreeMap<String, Option<String>>,
}

/// Answers when this process was started as linker wrapper, and then never returns; returns at once
/// otherwise. It has to be the first line of `main` of every program that builds with longshore.
pub fn reenter() {
    let args: Vec<OsString> = std::env::args_os().collect();
    let name = args.first().map(Path::new).and_then(Path::file_stem).and_then(|s| s.to_str());
    let words = |from: usize| -> Vec<String> {
        // cargo-zigbuild passes text; a path that is not UTF-8 fails in the linker, by its name.
        let rest = args.get(from..).unwrap_or_default();
        rest.iter().map(|arg| arg.to_string_lossy().into_owned()).collect()
    };
    // cc calls the archiver by a link of that name, since it derives its manners from it.
    let by_name = match name {
        Some("ar") => Some(Wrapped::Ar { args: words(1) }),
        Some("lib") => Some(Wrapped::Lib { args: words(1) }),
        Some(rustc::NAME) => finish(rustc::start(&args)),
        _ => None,
    };
    if let Some(wrapped) = by_name {
        finish(wrapped.execute().map_err(|error| format!("{error:#}")));
    }
    if args.get(1).is_none_or(|arg| arg != "zig") {
        ANSWERS.store(true, Ordering::SeqCst);
        return;
    }
    let verb = args.get(2).and_then(|arg| arg.to_str()).unwrap_or_default();
    let rest = words(if args.get(3).is_some_and(|arg| arg == "--") { 4 } else { 3 });
    finish(match verb {
        PROBE_VERB => write_out(&std::env::var(PROBE).unwrap_or_default()),
        COMMAND_VERB => answer(),
        watchdog::VERB => watchdog::watch(),
        confine::OUTER_VERB => confine::outer(&args),
        confine::INNER_VERB => confine::inner(&args),
        "cc" => run(Wrapped::Cc { args: compiler_args(rest) }),
        "c++" => run(Wrapped::Cxx { args: compiler_args(rest) }),
        "ar" => run(Wrapped::Ar { args: rest }),
        "ranlib" => run(Wrapped::Ranlib { args: rest }),
        "lib" => run(Wrapped::Lib { args: rest }),
        "dlltool" => run(Wrapped::Dlltool { args: rest }),
        other => Err(format!("unknown zig tool `{other}`")),
    });
}

fn compiler_args(args: Vec<String>) -> Vec<String> {
    let maps = std::env::var(PREFIX_MAP).unwrap_or_default();
    link::with_prefix_map(link::for_any_cpu(args), &maps)
}

/// The running program, if it answers when it is started again as a helper.
pub(super) fn program() -> Option<PathBuf> {
    ANSWERS.load(Ordering::SeqCst).then(|| std::env::current_exe().ok()).flatten()
}

fn run(wrapped: Wrapped) -> Result<(), String> {
    wrapped.execute().map_err(|error| format!("{error:#}"))
}

fn finish(result: Result<(), String>) -> ! {
    if let Err(message) = &result {
        let _ = writeln!(std::io::stderr(), "error: {message}");
    }
    std::process::exit(i32::from(result.is_err()))
}

fn write_out(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| error.to_string())
}

fn answer() -> Result<(), String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| error.to_string())?;
    let question: Question = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let cargo =
        cargo_options::Build::try_parse_from(&question.args).map_err(|error| error.to_string())?;
    let before: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    let build = cargo_zigbuild::Build { cargo, enable_zig_ar: true, ..Default::default() };
    let command = build.build_command().map_err(|error| format!("{error:#}"))?;
    let text = |name: &std::ffi::OsStr| name.to_string_lossy().into_owned();
    let mut env: BTreeMap<_, _> =
        command.get_envs().map(|(name, value)| (text(name), value.map(text))).collect();
    // What it wrote into its own environment, for bindgen.
    for (name, value) in std::env::vars_os() {
        if before.get(&name) != Some(&value) {
            env.insert(text(&name), Some(text(&value)));
        }
    }
    write_out(&serde_json::to_string(&Answer { env }).map_err(|error| error.to_string())?)
}

/// Fails when this program would not answer as linker wrapper, before anything is built.
///
/// # Errors
/// It does not; the line to add is in the hint.
pub fn check_reentry(cx: &Context) -> Result<()> {
    let line = "make `longshore::reenter();` the first line of `main`";
    let exe = &cx.env.exe;
    if cx.env.var(PROBE).is_some() {
        // We are the child of the check below, and came this far: the line is in the wrong place.
        return Err(
            Error::usage(format!("`{exe}` started a build while it was asked to link")).hint(line)
        );
    }
    let unfit =
        |how: &str| Error::usage(format!("`{exe}` cannot be the linker wrapper: {how}")).hint(line);
    if !ANSWERS.load(Ordering::SeqCst) {
        return Err(unfit("it never calls `longshore::reenter`"));
    }
    let token = format!("longshore-{}", std::process::id());
    let probe =
        Command::new(exe.as_str()).args(["zig", PROBE_VERB, "--"]).env(PROBE, token.as_str());
    let output = cx.children.output(&probe)?;
    if output.text() != token {
        return Err(unfit("it does other things before it calls `longshore::reenter`"));
    }
    Ok(())
}

/// As [`check_reentry`]; a program that was found to answer is not started again for that.
///
/// # Errors
/// As [`check_reentry`].
pub(super) fn check_reentry_once(cx: &Context) -> Result<()> {
    static CHECKED: AtomicBool = AtomicBool::new(false);
    if !CHECKED.load(Ordering::SeqCst) {
        check_reentry(cx)?;
        CHECKED.store(true, Ordering::SeqCst);
    }
    Ok(())
}

/// The variables that make zig linker and C compiler of the cargo command `args`. `env` holds the
/// variables that command will get besides (flags among them: zig's `-mcpu` follows rustc's), and
/// `target_directory` is where cargo builds; one build at a time may use it. `link_args` are added to
/// the links for each target.
///
/// # Errors
/// cargo-zigbuild refuses a target, or cannot run zig.
pub fn environment(
    cx: &Context,
    rust: &Rust,
    zig: &Zig,
    target_directory: &str,
    args: &[String],
    link_args: &BTreeMap<String, Vec<String>>,
    env: &BTreeMap<String, Option<String>>,
) -> Result<BTreeMap<String, Option<String>>> {
    let mut command = Command::new(cx.env.exe.as_str()).args(["zig", COMMAND_VERB, "--"]);
    let cache = plain_path(&cx.env.cache)?;
    if !is_plain_path(cx.env.exe.as_str()) {
        // cargo-zigbuild takes the path of this program from here, and writes it into scripts.
        let exe = plain_path(&cx.env.exe)?;
        command = command.env("CARGO_BIN_EXE_cargo-zigbuild", exe.as_str());
    }
    // Said once here, so that it is not asked of rustc and zig again and again; the wrappers read
    // these when they run.
    let told = [
        ("CARGO_ZIGBUILD_ZIG_COMMAND", zig.program.to_string()),
        ("CARGO_ZIGBUILD_ZIG_COMMAND_ARGS", zig.args.join(" ")),
        ("CARGO_ZIGBUILD_ZIG_VERSION", zig.version.to_string()),
        ("CARGO_ZIGBUILD_RUSTC_VERSION", rust.version.to_string()),
        ("CARGO_ZIGBUILD_CACHE_DIR", cache.to_string()),
        ("ZIG_GLOBAL_CACHE_DIR", cx.env.zig_cache().into_string()),
        ("ZIG_LOCAL_CACHE_DIR", cx.env.zig_local_cache().into_string()),
    ];
    let told = told.map(|(name, value)| (name.to_owned(), Some(value)));
    command.env.extend(env.clone());
    command.env.extend(told.clone());
    // The compiler itself, and not rustup's proxy before it.
    let rustc = rust.sysroot.join("bin/rustc");
    if rustc.exists() {
        command = command.env("RUSTC", rustc.as_str());
    }
    let mut answer = ask(cx, zig, &command, args)?.env;
    answer.extend(told);
    let dir = steady_wrappers(&cache, zig, target_directory, &mut answer)?;
    for (target, args) in link_args {
        let name =
            format!("CARGO_TARGET_{}_LINKER", target.to_uppercase().replace(['-', '.'], "_"));
        if let Some(linker) = answer.get_mut(&name).and_then(Option::as_mut) {
            *linker = linker_wrapper(&dir, target, linker, args)?.into_string();
        }
    }
    Ok(answer)
}

/// The C compiler of zig for `target` and `cpu`, and the variables that it needs: independent of the
/// workspace, its settings and its environment. `dir` holds no settings of cargo's.
///
/// # Errors
/// cargo-zigbuild rejects the target, or cannot run zig.
pub fn compiler(
    cx: &Context,
    rust: &Rust,
    zig: &Zig,
    target: &str,
    cpu: Option<&str>,
    dir: &Utf8Path,
) -> Result<(String, BTreeMap<String, Option<String>>)> {
    let mut env = toolchain::unset(cx);
    let flags = cpu.map_or_else(String::new, |cpu| format!("-Ctarget-cpu={cpu}"));
    for (name, value) in [
        ("CARGO_ENCODED_RUSTFLAGS", flags.as_str()),
        ("LC_ALL", "C"),
        ("RUSTC", rust.rustc.as_str()),
        ("CARGO_ZIGBUILD_ZIG_COMMAND", zig.program.as_str()),
        ("CARGO_ZIGBUILD_ZIG_COMMAND_ARGS", zig.args.join(" ").as_str()),
        ("CARGO_ZIGBUILD_ZIG_VERSION", zig.version.to_string().as_str()),
        ("CARGO_ZIGBUILD_RUSTC_VERSION", rust.version.to_string().as_str()),
        ("CARGO_ZIGBUILD_CACHE_DIR", cx.env.cache.as_str()),
    ] {
        env.insert(name.to_owned(), Some(value.to_owned()));
    }
    let mut command = Command::new(cx.env.exe.as_str()).args(["zig", COMMAND_VERB, "--"]).dir(dir);
    command.env = env.clone();
    let args = ["build", "--target", target].map(str::to_owned);
    let answer = ask(cx, zig, &command, &args)?.env;
    let name = format!("CC_{}", target.replace('-', "_"));
    let compiler = answer.get(&name).cloned().flatten();
    let compiler = compiler
        .ok_or_else(|| Error::tool(format!("cargo-zigbuild named no C compiler for `{target}`")))?;
    Ok((compiler, env))
}

fn ask(cx: &Context, zig: &Zig, command: &Command, args: &[String]) -> Result<Answer> {
    let question = serde_json::to_vec(&Question { args: args.to_vec() })
        .map_err(|error| Error::build("cannot write JSON").because(error))?;
    let output = cx.children.ask(command, question)?;
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().trim_start_matches("error: ");
    if !output.success() {
        return Err(Error::tool(format!("cargo-zigbuild cannot use {zig}: {said}"))
            .hint("`cargo longshore doctor` shows the state of the toolchain"));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| {
        Error::tool(format!("`{}` gave no answer: {said}", command.program)).because(error)
    })
}

/// Gives the wrappers a path that names the zig version, and not the program that answers for them.
/// Cargo compiles anew when the path of linker or C compiler changes: so another zig does that, and
/// `cargo xtask` after `cargo longshore`, or the same program in another place, does not. Each
/// target directory has its own: a build never runs through the program of another.
fn steady_wrappers(
    cache: &Utf8Path,
    zig: &Zig,
    target_directory: &str,
    env: &mut BTreeMap<String, Option<String>>,
) -> Result<Utf8PathBuf> {
    let key = Digest::of(target_directory.as_bytes()).short();
    let dir = cache.join(format!("linker/{key}"));
    let of_linker = |(name, value): (&String, &Option<String>)| {
        let path = Utf8PathBuf::from(value.clone()?);
        let dir = path.parent()?;
        let made = name.ends_with("_LINKER") && dir.parent()?.file_name() == Some("wrappers");
        made.then(|| dir.to_owned())
    };
    let Some(made) = env.iter().find_map(of_linker) else {
        return Ok(dir);
    };
    let steady = dir.join(format!("zig-{}", zig.version));
    fs::symlink(&made, &steady)?;
    for value in env.values_mut().flatten() {
        *value = value.replace(made.as_str(), steady.as_str());
    }
    Ok(dir)
}

/// Writes a script to `dir` that calls `linker` with `args` after those of rustc, and returns its path.
/// The path names the content: cargo compares the path only, and links anew when it changes.
fn linker_wrapper(
    dir: &Utf8Path,
    target: &str,
    linker: &str,
    args: &[String],
) -> Result<Utf8PathBuf> {
    let quote = |word: &str| format!("'{}'", word.replace('\'', r"'\''"));
    let words: Vec<String> = args.iter().map(|arg| quote(arg)).collect();
    let text = format!("#!/bin/sh\nexec {} \"$@\" {}\n", quote(linker), words.join(" "));
    let path = dir.join(format!("zigld-{target}-{}.sh", Digest::of(text.as_bytes()).short()));
    if fs::read_to_string_if_there(&path)?.as_ref() != Some(&text) {
        fs::write_mode(&path, text.as_bytes(), 0o755)?;
    }
    Ok(path)
}

/// `path`, or a link to it if it has characters in it that CMake, make and shells would split the path
/// of a compiler at. The link is below `/tmp` or `/var/tmp`, in a directory of this user, and has the
/// same name each time: cargo compiles anew when the path of a linker changes.
fn plain_path(path: &Utf8Path) -> Result<Utf8PathBuf> {
    if is_plain_path(path.as_str()) {
        return Ok(path.to_owned());
    }
    let user = rustix::process::geteuid().as_raw();
    let name = Digest::of(path.as_str().as_bytes()).short();
    let mut reasons = Vec::new();
    for base in ["/tmp", "/var/tmp"] {
        let dir = Utf8PathBuf::from(format!("{base}/longshore-{user}"));
        let link = dir.join(&name);
        match access::private_dir(&dir).and_then(|()| fs::symlink(path, &link)) {
            Ok(()) => return Ok(link),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    Err(Error::usage(format!(
        "`{path}` has characters in its path that C builds split, and no link to it can be made: {}",
        reasons.join("; ")
    ))
    .hint("set `LONGSHORE_CACHE_DIR` to a directory without spaces, quotes and `;:$*?[]#` in its path"))
}
