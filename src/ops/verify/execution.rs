//! Running programs on the baseline CPU of their target.

use camino::Utf8Path;

use super::RunOptions;
use crate::{
    binary::elf::Facts,
    build::target::{Target, Targets},
    model::{
        command::Command,
        machine::{Architecture, Machine, TargetFacts, machine_name},
    },
    ops::dist::smoke::{self, Runner, TestOutcome},
    sys::{Context, confine::ProgramRoot},
    verify::{CpuLevel, Policy, RunEnd, RunResult},
};

/// The name that the program gets in its root.
const PROGRAM_NAME: &str = "program";

/// Runs the program at `run_path`, of which `facts` were read.
pub(super) fn run(
    cx: &Context,
    targets: &Targets,
    policy: &Policy,
    facts: &Facts,
    run_path: &Utf8Path,
    trial: &RunOptions,
) -> RunResult {
    let known = || targets.iter().map(Target::facts).find(|target| is_for(target, facts));
    let target = policy.target().cloned().or_else(known);
    let target = target.as_ref();
    if let Some(target) = target.filter(|target| !is_for(target, facts)) {
        let machine = machine_name(facts.machine);
        return RunResult::NotRun(format!("it is for {machine}, and not for `{}`", target.name));
    }
    let cpu = match baseline_cpu(target, policy, facts) {
        Ok(cpu) => cpu,
        Err(why) => return RunResult::NotRun(why),
    };
    let names = match target {
        Some(target) => target.run.emulators.clone(),
        None => emulator_names(facts),
    };
    let Some(emulator) = names.iter().find_map(|name| cx.env.which(name)) else {
        let machine = machine_name(facts.machine);
        return RunResult::NotRun(match names.first() {
            Some(name) => format!("`{name}` is not on `PATH`"),
            None => format!("no emulator of {machine} is known"),
        });
    };
    let runner = Runner {
        name: emulator.file_name().unwrap_or("qemu").to_owned(),
        flags: cpu.iter().flat_map(|cpu| ["-cpu".to_owned(), cpu.clone()]).collect(),
        emulator: Some(emulator),
        machine: (facts.machine, facts.class, facts.endian),
    };
    let command = Command::new(runner.name.clone()).args(runner.flags.clone());
    let command = command.arg(run_path.as_str()).args(trial.args.clone());
    let outcome =
        ProgramRoot::new(run_path, PROGRAM_NAME, runner.emulator.as_deref()).and_then(|root| {
            smoke::run(cx, &root, &runner, &trial.args, smoke::limits(trial.limit), None)
        });
    let output = match outcome {
        Ok(TestOutcome::Ran(output)) => output,
        Ok(TestOutcome::NotRun(why)) => return RunResult::NotRun(why),
        Err(error) => return RunResult::NotRun(error.to_string()),
    };
    let end = match output.signal {
        _ if output.timed_out => RunEnd::TimedOut,
        _ if output.excess => RunEnd::TooMuchOutput,
        Some(signal) => RunEnd::Signal(signal),
        None => RunEnd::Code(output.code.unwrap_or_default()),
    };
    let cpu = cpu.unwrap_or_else(|| "that the emulator uses by default".to_owned());
    RunResult::Ran { command: command.to_string(), cpu, end, output: output.tail(5) }
}

/// Returns the processor to run on; `None` for the emulator's default.
fn baseline_cpu(
    target: Option<&TargetFacts>,
    policy: &Policy,
    facts: &Facts,
) -> std::result::Result<Option<String>, String> {
    const X86_64: u16 = Machine::X86_64.number();
    if let Some(level) = policy.declared_cpu().filter(|_| facts.machine == X86_64) {
        // The first of each level that qemu has.
        return match level {
            CpuLevel::V1 => Ok(Some("Opteron_G1".to_owned())),
            CpuLevel::V2 => Ok(Some("Nehalem".to_owned())),
            CpuLevel::V3 => Ok(Some("Haswell".to_owned())),
            CpuLevel::V4 => Err("qemu emulates no processor of x86-64-v4".to_owned()),
        };
    }
    Ok(target.and_then(|target| target.run.cpu.clone()))
}

fn is_for(target: &TargetFacts, facts: &Facts) -> bool {
    let elf = &target.elf;
    (elf.machine.number(), elf.class, elf.endian) == (facts.machine, facts.class, facts.endian)
}

/// Names of emulators, best first.
fn emulator_names(facts: &Facts) -> Vec<String> {
    let known = Architecture::from_elf((facts.machine, facts.class, facts.endian));
    let names = |known: &Architecture| {
        vec![format!("qemu-{}-static", known.qemu), format!("qemu-{}", known.qemu)]
    };
    known.map(names).unwrap_or_default()
}
