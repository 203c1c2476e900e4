//! The result of running a program on the baseline CPU of its target.

use super::{
    lint::{LintInput, Scope, Violation},
    policy::inputs,
};

/// The result of running a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunResult {
    /// It ran, and exited or was killed.
    Ran {
        /// The command, to be pasted.
        command: String,
        /// The processor that was emulated.
        cpu: String,
        /// The way it ended.
        end: RunEnd,
        /// The last lines that it, or the emulator, wrote.
        output: String,
    },
    /// It was not run, and why.
    NotRun(String),
}

/// The end of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// It exited with this status.
    Code(i32),
    /// By this signal (signal(7)).
    Signal(i32),
    /// It was still running when it timed out.
    TimedOut,
    /// It wrote more than the limit and was killed.
    TooMuchOutput,
}

/// `SIGILL` of every machine that Linux has (signal(7)).
const SIGILL: i32 = 4;

/// The exit status of a Rust program that panicked.
const PANIC_STATUS: i32 = 101;

pub(super) fn scope(input: &LintInput<'_>) -> Scope {
    let program = input.facts.interpreter.is_some()
        || matches!(
            input.facts.shape,
            crate::binary::elf::Shape::Fixed
                | crate::binary::elf::Shape::StaticPie
                | crate::binary::elf::Shape::Pie
        );
    match (program, &input.context.run) {
        (false, _) => Scope::NotApplied("it is not a program that can be started"),
        (true, None) => Scope::Missing(inputs::RUN.0, inputs::RUN.1),
        (true, Some(_)) => Scope::Applied,
    }
}

pub(super) fn runs(input: &LintInput<'_>) -> Vec<Violation> {
    let (command, cpu, end, output) = match &input.context.run {
        None => return Vec::new(),
        Some(RunResult::NotRun(why)) => {
            return vec![Violation::new(
                "the program was not run, so its requirements are unknown",
                why.clone(),
                "`--run` needs Linux with namespaces and `qemu-user-static`; or leave it out",
            )];
        }
        Some(RunResult::Ran { command, cpu, end, output }) => (command, cpu, *end, output),
    };
    // Nothing else distinguishes the emulator's status from the program's: the emulator starts, but not
    // a program with an interpreter, which an empty root does not have.
    let dynamic = input.facts.interpreter.is_some();
    let (message, hint) = match end {
        RunEnd::Signal(SIGILL) => (
            format!("the program is killed by an illegal instruction on the processor {cpu}"),
            "check the flags for `-C target-cpu` and `-C target-feature`, and those of C code for \
             `-march`",
        ),
        RunEnd::Signal(signal) => (
            format!("the program crashes: it is killed by signal {signal}"),
            "run the command by hand to see more; start files that do not fit its kind of \
             linking crash at once",
        ),
        RunEnd::Code(PANIC_STATUS) => {
            ("the program panics".to_owned(), "run it with arguments that it knows: `--run-arg`")
        }
        RunEnd::Code(code) if dynamic && code != 0 => (
            "the program does not start in an empty root: a file that it needs is missing"
                .to_owned(),
            "link it statically, or put the file into the image",
        ),
        RunEnd::TooMuchOutput => (
            "the program exceeded the limit on its output, and was killed".to_owned(),
            "run it with arguments that make it exit: `--run-arg`",
        ),
        // It does not know the arguments, or is a server that keeps running: it runs.
        RunEnd::Code(_) | RunEnd::TimedOut => return Vec::new(),
    };
    let last_line = output.lines().next_back().unwrap_or_default();
    let evidence = match last_line.is_empty() {
        true => format!("`{command}`"),
        false => {
            let last_line: String = last_line.chars().take(200).collect();
            format!("`{command}` wrote: {}", last_line.escape_debug())
        }
    };
    vec![Violation::new(message, evidence, hint)]
}
