//! Smoke: each binary is run once, in an empty root, so that what it needs besides itself shows.

use std::{collections::BTreeMap, io::Write, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    command::Command,
    error::{Error, Result},
    schema::{dist::Smoke, plan},
    sys::{Context, fs, host, process::Output},
    target::Target,
};

/// The exit code of a Rust program that panicked.
const PANIC: i32 = 101;

/// Runs the binary at `path` as `setting` says. All that it writes goes to `log`, too.
///
/// # Errors
/// It crashed, panicked or was not able to start; or it did not end with 0 where that was asked.
pub fn smoke(
    cx: &Context,
    target: &Target,
    path: &Utf8Path,
    name: &str,
    setting: &plan::Smoke,
    log: &Utf8Path,
) -> Result<Option<Smoke>> {
    let Some(args) = &setting.args else {
        return Ok(None);
    };
    let runner = match runner(cx, target) {
        Ok(runner) => runner,
        Err(reason) => return Ok(Some(Smoke::NotRun { reason })),
    };
    let limit = Duration::from_secs(setting.timeout);
    let root = Root::new(path, name, runner.emulator.as_deref())?;
    let (output, empty_root) = run(cx, &root, &runner, args, limit, Some(log))?;
    judge(&output, name, target, args, setting)?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(Some(Smoke::Ran {
        by: runner.name,
        empty_root,
        args: args.clone(),
        exit_code: output.code,
        output: text.lines().next().map(|line| line.chars().take(200).collect()),
    }))
}

fn judge(
    output: &Output,
    name: &str,
    target: &Target,
    args: &[String],
    setting: &plan::Smoke,
) -> Result<()> {
    let crashed = output.signal.is_some() || output.code == Some(PANIC);
    // Where nobody chose the arguments, a program that wants others, or serves until it is ended,
    // has shown that it runs.
    let fine = if setting.must_succeed { output.success() } else { !crashed || output.timed_out };
    if fine {
        return Ok(());
    }
    let what = format!("`{name} {}` for `{}`", args.join(" "), target.name);
    let error = Error::check(format!("{what} does not run: it ended with {}", output.ending()))
        .detail(output.tail(10));
    Err(error.hint(if setting.must_succeed && !crashed {
        "set `smoke` in `[package.metadata.longshore]` to arguments that end with 0, or to `false`"
    } else {
        "run it by hand to see more; `--no-smoke` leaves this out"
    }))
}

/// How a binary is started.
#[derive(Debug)]
pub(super) struct Runner {
    /// `native`, or the emulator's name.
    pub(super) name: String,
    /// The emulator's program.
    pub(super) emulator: Option<Utf8PathBuf>,
    /// The emulator's own arguments.
    pub(super) flags: Vec<String>,
}

/// How programs for `target` are started here; else why they are not.
pub(super) fn runner(cx: &Context, target: &Target) -> std::result::Result<Runner, String> {
    let platform = &target.spec.platform;
    if platform.os != std::env::consts::OS {
        return Err(format!("{platform} binaries do not run on {}", std::env::consts::OS));
    }
    let run = &target.spec.run;
    if run.native.iter().any(|name| name == host::machine()) {
        return Ok(Runner { name: "native".into(), emulator: None, flags: Vec::new() });
    }
    for name in &run.emulators {
        if let Some(path) = cx.env.which(name) {
            return Ok(Runner { name: name.clone(), emulator: Some(path), flags: Vec::new() });
        }
    }
    Err(match run.emulators.first() {
        Some(name) => format!("this host is {}, and `{name}` is not there", host::machine()),
        None => format!("this host is {}, and no emulator is known", host::machine()),
    })
}

/// A directory that holds the binary, its emulator, and nothing else.
#[derive(Debug)]
pub(super) struct Root {
    dir: fs::TempDir,
    binary: String,
    emulator: Option<String>,
}

impl Root {
    pub(super) fn new(path: &Utf8Path, name: &str, emulator: Option<&Utf8Path>) -> Result<Self> {
        let dir = fs::TempDir::new("longshore-smoke")?;
        fs::link(path, &dir.path.join(name))?;
        let mut inside = None;
        if let Some(emulator) = emulator {
            fs::link(emulator, &dir.path.join(".emulator"))?;
            inside = Some("/.emulator".to_owned());
        }
        Ok(Root { dir, binary: format!("/{name}"), emulator: inside })
    }
}

/// Runs it with the directory as root where this user may, else in it. Gives what it wrote, and
/// whether its root was empty. `log` gets all of it, too.
pub(super) fn run(
    cx: &Context,
    root: &Root,
    runner: &Runner,
    args: &[String],
    limit: Duration,
    log: Option<&Utf8Path>,
) -> Result<(Output, bool)> {
    let dir = root.dir.path.as_str();
    let inside = |command: Command| {
        let command = command.args(root.emulator.clone()).args(runner.flags.clone());
        let command = command.arg(&root.binary).args(args.to_vec());
        Command { env: env(), ..command.env_clear() }
    };
    // chroot(1) needs root; a user name space gives anyone a root of their own where the kernel
    // allows it.
    let mut ways = Vec::new();
    if host::is_root() {
        ways.extend(cx.env.which("chroot").map(|tool| inside(Command::new(tool).arg(dir))));
    }
    let unshare = |tool| inside(Command::new(tool).args(["--map-root-user", "--root", dir]));
    ways.extend(cx.env.which("unshare").map(unshare));
    for command in ways {
        // Whether the way itself works shows with a program that is not there: 127 says that it
        // came as far as looking for it.
        let probe = Command { args: vec![], ..command.clone() };
        let flags = command.args.iter().take_while(|arg| arg.as_str() != dir).cloned();
        let probe = probe.args(flags).args([dir, "/.longshore-no-such-program"]);
        let works = cx.children.output(&probe)?.code == Some(127);
        if works {
            let output = tell(log, &command, cx.children.output_within(&command, Some(limit)))?;
            // An emulator that is not static does not start in there (the shell's 126 and 127).
            if runner.emulator.is_none() || !matches!(output.code, Some(126 | 127)) {
                return Ok((output, true));
            }
        }
    }
    let binary = root.dir.path.join(root.binary.trim_start_matches('/'));
    let program = runner.emulator.clone().unwrap_or_else(|| binary.clone());
    let mut command = Command::new(program).dir(dir).env_clear();
    if runner.emulator.is_some() {
        command = command.args(runner.flags.clone()).arg(binary);
    }
    let command = Command { env: env(), ..command.args(args.to_vec()) };
    let output = tell(log, &command, cx.children.output_within(&command, Some(limit)))?;
    Ok((output, false))
}

/// Adds a run to `log`, whole.
fn tell(log: Option<&Utf8Path>, command: &Command, output: Result<Output>) -> Result<Output> {
    let output = output?;
    let Some(log) = log else { return Ok(output) };
    let mut text = format!("$ {command}\n").into_bytes();
    for stream in [&output.stdout, &output.stderr] {
        text.extend_from_slice(stream);
        if stream.last().is_some_and(|last| *last != b'\n') {
            text.push(b'\n');
        }
    }
    text.extend_from_slice(format!("{}\n", output.ending()).as_bytes());
    let written = fs::append(log)?.write_all(&text);
    written.map_err(|error| fs::failed("write", log, error))?;
    Ok(output)
}

fn env() -> BTreeMap<String, Option<String>> {
    BTreeMap::from([("PATH".to_owned(), Some("/".to_owned()))])
}
