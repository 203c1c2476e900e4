//! The smoke test: each binary is run once, confined in an empty root, so that a dependency on another file is
//! detected.

use std::{
    collections::BTreeMap,
    io::Write,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    binary::elf::{Facts, MINIMAL_STATUS, minimal_program},
    build::target::Target,
    model::{
        bytes::Size,
        command::Command,
        error::{Error, Result},
        machine::{Endian, machine_name},
        schema::{dist::Smoke, plan},
        source::Source,
    },
    sys::{
        Context,
        confine::{self, ProgramRoot},
        file, fs, host,
        process::{KeepOutput, Limits, MAX_OUTPUT, Output, printable},
    },
};

/// The number of bytes that are kept of the beginning and of the end of a program's output.
const MAX_LOGGED: usize = 64 << 10;

/// The exit code of a Rust program that panicked.
const PANIC_STATUS: i32 = 101;

/// The result of running a program.
#[derive(Debug)]
pub(in crate::ops) enum TestOutcome {
    /// It was started, and ended or was ended.
    Ran(Output),
    /// It was not started, and why.
    NotRun(String),
}

/// Returns the limits on a program that is run within `limit`.
pub(in crate::ops) fn limits(limit: Duration) -> Limits {
    Limits { time: Some(limit), output: MAX_OUTPUT, keep: KeepOutput::Ends(MAX_LOGGED) }
}

/// Runs the binary at `path` as `setting` describes. Its output is added to `log`.
///
/// # Errors
/// It crashed, panicked or wrote without end; or it did not end with 0 where that is required.
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
    let outcome = match dynamic_reason(path) {
        Some(reason) => TestOutcome::NotRun(reason),
        None => {
            let root = ProgramRoot::new(path, name, runner.emulator.as_deref())?;
            let limits = limits(Duration::from_secs(setting.timeout));
            run(cx, &root, &runner, args, limits, Some(log))?
        }
    };
    let output = match outcome {
        TestOutcome::Ran(output) => output,
        TestOutcome::NotRun(reason) => {
            let platform = &target.spec.platform;
            cx.warn(format!("`{name}` for {platform} was not smoke-tested: {reason}"));
            return Ok(Some(Smoke::NotRun { reason }));
        }
    };
    check_output(&output, name, target, args, setting)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let first = text.lines().next().map(|line| line.chars().take(200).collect::<String>());
    Ok(Some(Smoke::Ran {
        by: runner.name,
        empty_root: true,
        args: args.clone(),
        exit_code: output.code,
        output: first.map(|line| printable(&line)),
    }))
}

/// Returns the reason for which a dynamically linked program does not start in an empty root; `None`
/// for a static one.
fn dynamic_reason(path: &Utf8Path) -> Option<String> {
    let open = file::open(path).ok()?;
    let facts = Facts::read(Source::File(&open)).ok()?;
    let interpreter = facts.interpreter?;
    Some(format!("it needs `{}`, and is run in an empty root", printable(&interpreter)))
}

fn check_output(
    output: &Output,
    name: &str,
    target: &Target,
    args: &[String],
    setting: &plan::Smoke,
) -> Result<()> {
    let crashed = output.signal.is_some() || output.code == Some(PANIC_STATUS);
    // With default arguments, a program that needs others, or serves until it is ended, has shown that
    // it runs.
    let fine = if setting.must_succeed { output.success() } else { !crashed || output.timed_out };
    if fine && !output.excess {
        return Ok(());
    }
    let what = format!("`{name} {}` for `{}`", args.join(" "), target.name);
    let how = match output.excess {
        true => format!("it wrote more than {} and was ended", Size(MAX_OUTPUT)),
        false => format!("it ended with {}", output.ending()),
    };
    let error = Error::check(format!("{what} does not run: {how}")).detail(output.tail(10));
    Err(error.hint(if output.excess || setting.must_succeed && !crashed {
        "set `smoke` in `[package.metadata.longshore]` to arguments that end with 0, or to `false`"
    } else {
        "run it by hand to see more; `smoke` in `[package.metadata.longshore]` sets its arguments, as \
         `[\"--help\"]`, and `smoke = false` or `--no-smoke` disables the test"
    }))
}

/// The command that starts a binary.
#[derive(Clone, Debug)]
pub(in crate::ops) struct Runner {
    /// `native`, or the emulator's name.
    pub(in crate::ops) name: String,
    /// The emulator's program.
    pub(in crate::ops) emulator: Option<Utf8PathBuf>,
    /// The emulator's own arguments.
    pub(in crate::ops) flags: Vec<String>,
    /// The machine, class and byte order of the programs.
    pub(in crate::ops) machine: (u16, u8, Endian),
}

/// Returns the runner for programs of `target`; else the reason why there is none.
pub(in crate::ops) fn runner(cx: &Context, target: &Target) -> std::result::Result<Runner, String> {
    let platform = &target.spec.platform;
    if platform.os != std::env::consts::OS {
        return Err(format!("{platform} binaries do not run on {}", std::env::consts::OS));
    }
    let (run, elf) = (&target.spec.run, &target.spec.elf);
    let machine = (elf.machine.number(), elf.class, elf.endian);
    if run.native.iter().any(|name| name == host::machine()) {
        return Ok(Runner { name: "native".into(), emulator: None, flags: Vec::new(), machine });
    }
    for name in &run.emulators {
        if let Some(path) = cx.env.which(name) {
            let (name, emulator) = (name.clone(), Some(path));
            return Ok(Runner { name, emulator, flags: Vec::new(), machine });
        }
    }
    Err(match run.emulators.first() {
        Some(name) => format!(
            "this host is {}, and the emulator `{name}` is not installed (Debian and Ubuntu: `apt \
             install qemu-user-static`; Fedora: `dnf install qemu-user-static`)",
            host::machine()
        ),
        None => format!("this host is {}, and no emulator is known", host::machine()),
    })
}

/// Runs the program in `root`, confined. Its output is added to `log`.
///
/// # Errors
/// An interrupt came, or the log cannot be written.
pub(in crate::ops) fn run(
    cx: &Context,
    root: &ProgramRoot,
    runner: &Runner,
    args: &[String],
    limits: Limits,
    log: Option<&Utf8Path>,
) -> Result<TestOutcome> {
    if runner.emulator.is_some()
        && let Some(reason) = unusable_reason(cx, runner)?
    {
        return Ok(TestOutcome::NotRun(reason));
    }
    let argv = root.command(&runner.flags, args);
    Ok(match confine::run(cx, &root.path(), &argv, limits)? {
        confine::RunOutcome::Ran(output) => {
            let program = argv.first().cloned().unwrap_or_default();
            let command = Command::new(program).args(argv.into_iter().skip(1)).env_clear();
            append_log(log, &command.env("PATH", "/"), &output)?;
            TestOutcome::Ran(output)
        }
        confine::RunOutcome::NotStarted(error) => {
            TestOutcome::NotRun(not_started("the system does not start it", &error))
        }
        confine::RunOutcome::Unavailable(why) => {
            TestOutcome::NotRun(format!("it cannot be confined: {why}"))
        }
    })
}

/// Returns the reason for which no program can be run by `runner`; `None` if longshore's test program
/// can. Each emulator is tested once.
///
/// # Errors
/// An interrupt came, or the program cannot be written.
pub(in crate::ops) fn unusable_reason(cx: &Context, runner: &Runner) -> Result<Option<String>> {
    type RunnerKey = (Option<Utf8PathBuf>, Vec<String>, u16);
    static TESTED: Mutex<BTreeMap<RunnerKey, Option<String>>> = Mutex::new(BTreeMap::new());
    let (machine, class, endian) = runner.machine;
    let name = &runner.name;
    let Some(program) = minimal_program(machine, class, endian) else {
        let machine = machine_name(machine);
        return Ok(Some(format!("`{name}` cannot be tested: there is no program for {machine}")));
    };
    let mut tested = TESTED.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (runner.emulator.clone(), runner.flags.clone(), machine);
    if let Some(known) = tested.get(&key) {
        return Ok(known.clone());
    }
    /// The time limit for the start of an emulator on a busy machine.
    const LIMIT: Duration = Duration::from_secs(60);
    let root = ProgramRoot::from_bytes(&program, "minimal", runner.emulator.as_deref())?;
    let argv = root.command(&runner.flags, &[]);
    let unfit = match confine::run(cx, &root.path(), &argv, limits(LIMIT))? {
        confine::RunOutcome::Ran(output) if output.code == Some(MINIMAL_STATUS) => None,
        confine::RunOutcome::Ran(output) => {
            let (how, reported) = (output.ending(), output.tail(1));
            Some(format!("`{name}` cannot run the smallest program: {how}; {reported}"))
        }
        confine::RunOutcome::NotStarted(error) => {
            Some(not_started(&format!("the system does not start `{name}`"), &error))
        }
        confine::RunOutcome::Unavailable(why) => Some(format!("it cannot be confined: {why}")),
    };
    tested.insert(key, unfit.clone());
    Ok(unfit)
}

/// Returns the error of `execve` in an empty root, with the usual reason.
fn not_started(what: &str, error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    let reason = match error.kind() {
        ErrorKind::NotFound => "; only a static program starts there",
        ErrorKind::PermissionDenied => "; is `TMPDIR` on a file system that is mounted `noexec`?",
        _ => "",
    };
    format!("{what} in an empty root: {error}{reason}")
}

/// Adds a run to `log`.
pub(in crate::ops) fn append_log(
    log: Option<&Utf8Path>,
    command: &Command,
    output: &Output,
) -> Result<()> {
    let Some(log) = log else { return Ok(()) };
    let mut text = format!("$ {command}\n").into_bytes();
    for stream in [&output.stdout, &output.stderr] {
        text.extend_from_slice(stream);
        if stream.last().is_some_and(|last| *last != b'\n') {
            text.push(b'\n');
        }
    }
    text.extend_from_slice(format!("{}\n", output.ending()).as_bytes());
    let written = fs::append(log)?.write_all(&text);
    written.map_err(|error| fs::file_error("write", log, error))
}
