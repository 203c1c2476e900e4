//! The runs of `--pgo`: training of the instrumented program, and comparison of the plain one with the optimised one.

use std::{collections::BTreeMap, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    build::{
        pgo::{compare, rounds},
        plan::selection,
        request::BuildRequest,
        target::Target,
        workspace::Workspace,
    },
    model::{
        error::{Error, Result},
        event::Event,
        schema::pgo::PgoComparison,
        suggest::nearest,
    },
    ops::dist::smoke::{self, Runner},
    sys::{
        Context, fs,
        process::measure::{self, Run},
    },
};

/// A command of `pgo.train` or `pgo.check`.
pub(super) struct PgoCommand {
    binary: String,
    args: Vec<String>,
    /// The directory of its package.
    dir: Utf8PathBuf,
    limit: Duration,
}

/// A program that was built for a training or a comparison.
pub(super) struct Program {
    pub(super) path: Utf8PathBuf,
    pub(super) runner: Option<Runner>,
}

/// Programs by target and name.
pub(super) type Programs = BTreeMap<(String, String), Program>;

/// The commands of the packages that are built.
pub(super) struct PgoCommands {
    /// Those of `pgo.train`.
    pub(super) train: TrainingCommands,
    /// Those of `pgo.check`.
    pub(super) check: Vec<PgoCommand>,
}

/// The commands of `pgo.train`.
pub(in crate::ops) struct TrainingCommands(pub(super) Vec<PgoCommand>);

impl TrainingCommands {
    /// Returns whether there are none.
    pub(in crate::ops) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that there is one.
    ///
    /// # Errors
    /// There is none.
    pub(in crate::ops) fn require(&self) -> Result<()> {
        if !self.is_empty() {
            return Ok(());
        }
        Err(Error::usage("`--pgo` needs commands to train with, and no package has any").hint(
            "set `train = [[\"BINARY\", \"ARGUMENT\"]]` in `[package.metadata.longshore.pgo]`",
        ))
    }

    /// Returns whether `command`, a binary and its arguments, is one of them.
    pub(in crate::ops) fn has(&self, command: &[String]) -> bool {
        let Some((binary, args)) = command.split_first() else { return false };
        self.0.iter().any(|one| one.binary == *binary && one.args == args)
    }
}

/// Returns the commands of all packages that are built.
///
/// # Errors
/// One starts no binary of its package.
pub(super) fn commands(workspace: &Workspace, request: &BuildRequest) -> Result<PgoCommands> {
    let (mut train, mut check) = (Vec::new(), Vec::new());
    for package in selection::built_together(workspace, request)? {
        let settings = &package.settings.pgo;
        let dir = package.manifest.parent().unwrap_or(&workspace.root);
        let limit = Duration::from_secs(settings.timeout.unwrap_or(DEFAULT_LIMIT));
        for (key, list, all) in
            [("train", &settings.train, &mut train), ("check", &settings.check, &mut check)]
        {
            for command in list {
                let names = package.bins.iter().map(|bin| bin.name.as_str());
                let binary = command.first().map_or("", String::as_str);
                if !names.clone().any(|name| name == binary) {
                    let error = Error::usage(format!(
                        "`pgo.{key}` of package `{}` starts `{binary}`, which is not a binary of it",
                        package.name
                    ));
                    return Err(match nearest(binary, names) {
                        Some(name) => error.hint(format!("did you mean `{name}`?")),
                        None => {
                            error.hint("the first word of each command is a binary of the package")
                        }
                    });
                }
                // Each binary needs its own training only.
                if !request.bins.is_empty() && !request.bins.iter().any(|name| name == binary) {
                    continue;
                }
                all.push(PgoCommand {
                    binary: binary.to_owned(),
                    args: command.get(1..).unwrap_or_default().to_vec(),
                    dir: dir.to_owned(),
                    limit,
                });
            }
        }
    }
    Ok(PgoCommands { train: TrainingCommands(train), check })
}

/// The time limit of one run, in seconds.
const DEFAULT_LIMIT: u64 = 300;

/// Returns the runner of each target that this machine runs. Names of functions contain the target, so that each one
/// needs its own training.
pub(super) fn runners(cx: &Context, targets: Vec<&Target>) -> Result<BTreeMap<String, Runner>> {
    let mut all = BTreeMap::new();
    for target in targets {
        let found = match smoke::runner(cx, target) {
            Ok(runner) => match smoke::unusable_reason(cx, &runner)? {
                Some(reason) if runner.emulator.is_some() => Err(reason),
                _ => Ok(runner),
            },
            Err(reason) => Err(reason),
        };
        match found {
            Ok(runner) => drop(all.insert(target.name.clone(), runner)),
            Err(reason) => cx.warn(format!("`{}` gets no profile: {reason}", target.name)),
        }
    }
    Ok(all)
}

/// Runs the commands, which write profiles into the directory `raw`, for each of the targets.
pub(super) fn run_training(
    cx: &Context,
    commands: &[PgoCommand],
    (targets, programs): (&[String], &Programs),
    raw: &Utf8Path,
) -> Result<()> {
    fs::remove_dir_all(raw)?;
    fs::create_dir_all(raw)?;
    let all = targets.iter().flat_map(|target| commands.iter().map(move |one| (target, one)));
    let total = (targets.len() * commands.len()) as u64;
    let mut written = 0;
    for (at, (target, command)) in all.enumerate() {
        let detail = format!("{} for {target}", command.binary);
        cx.emit(Event::Progress { verb: "Training", done: at as u64, total, detail });
        // Each process of a run writes a file.
        let file = raw.join(format!("{at:04}-%p-%m.profraw"));
        run(cx, command, target, programs, &[("LLVM_PROFILE_FILE", file.as_str())])?;
        let names = fs::names(raw)?.len();
        if names == written {
            return Err(Error::check(format!(
                "the training `{} {}` wrote no profile for `{target}`",
                command.binary,
                command.args.join(" ")
            ))
            .hint(
                "a profile is written when the program returns from `main` or calls `exit`: not by `_exit`, and \
                 not if it becomes another program by `exec`",
            ));
        }
        written = names;
    }
    cx.emit(Event::ProgressDone);
    Ok(())
}

/// Runs all commands on both programs for `target` in turn, in rounds.
pub(super) fn run_checks(
    cx: &Context,
    commands: &[PgoCommand],
    target: &str,
    programs: [&Programs; 2],
) -> Result<PgoComparison> {
    let mut seconds = [Vec::new(), Vec::new()];
    let mut round = 0;
    // The first round is not counted.
    while round <= rounds(&seconds[0], &seconds[1]) {
        let total = u64::from(rounds(&seconds[0], &seconds[1]) + 1) * 2;
        for turn in 0..2 {
            let at = ((round + turn) % 2) as usize;
            let (Some(programs), Some(seconds)) = (programs.get(at), seconds.get_mut(at)) else {
                continue;
            };
            let (done, detail) = (u64::from(round * 2 + turn), String::new());
            cx.emit(Event::Progress { verb: "Measuring", done, total, detail });
            let mut sum = 0.0;
            for command in commands {
                sum += run(cx, command, target, programs, &[])?.cpu.as_secs_f64();
            }
            if round > 0 {
                seconds.push(sum);
            }
        }
        round += 1;
    }
    cx.emit(Event::ProgressDone);
    let [plain, optimised] = seconds;
    Ok(compare(&plain, &optimised))
}

fn run(
    cx: &Context,
    command: &PgoCommand,
    target: &str,
    programs: &Programs,
    env: &[(&str, &str)],
) -> Result<measure::Usage> {
    let program = programs.get(&(target.to_owned(), command.binary.clone())).ok_or_else(|| {
        Error::usage(format!("`{}` was not built", command.binary))
            .hint("features have to select every binary of `pgo.train` and `pgo.check`")
    })?;
    let mut words = Vec::new();
    if let Some(runner) = &program.runner
        && let Some(emulator) = &runner.emulator
    {
        words.push(emulator.to_string());
        words.extend(runner.flags.iter().cloned());
    }
    words.push(program.path.to_string());
    words.extend(command.args.iter().cloned());
    let (first, args) = words.split_first().unwrap_or((&command.binary, &[]));
    let limit_hint =
        "`timeout` in `[package.metadata.longshore.pgo]` sets the limit of one run in seconds";
    measure::measure(
        cx,
        &Run {
            program: first,
            args,
            dir: &command.dir,
            env,
            limit: command.limit,
            offline: true,
            limit_hint,
        },
    )
}
