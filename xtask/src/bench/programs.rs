//! `cargo xtask bench programs [PROGRAM]`: published programs as `dist` builds them, against the same programs for
//! glibc with the same profile, at their own work.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a script")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use longshore::{
    model::event::Silent,
    sys::{
        Context,
        process::measure::{Run, Usage, measure},
    },
};

use super::{clean, place, source};
use crate::run::{Result, cargo, step};

mod inputs;

/// The target of the host.
const TARGET: &str = "x86_64-unknown-linux-musl";

/// The number of counted rounds. Each variant runs once in each.
const ROUNDS: usize = 15;

/// The limit of each ratio to glibc, and of their geometric mean.
const LIMITS: (f64, f64) = (1.05, 1.0);

/// A published program.
struct Program {
    name: &'static str,
    version: &'static str,
    bin: &'static str,
    preset: &'static str,
    /// Writes what it works on: into an empty directory, with the program for glibc.
    prepare: fn(&Path, &Path) -> Result,
    /// The work, run in that directory: arguments separated by spaces.
    work: &'static [&'static str],
}

/// The two large ones are built with preset `quick`, since LTO of all their crates takes half an hour.
const PROGRAMS: [Program; 5] = [
    Program {
        name: "ripgrep",
        version: "15.2.0",
        bin: "rg",
        preset: "balanced",
        prepare: inputs::library,
        work: &[
            r"-c fn\s[a-z_]+_mut library",
            "-ic unsafe|pointer library",
            r"-n \bimpl<T library",
            "-c --no-mmap allocation library",
            r"-c \w+Error\b.*\bsource\b all.rs",
            "-ic unsafe|pointer all.rs",
        ],
    },
    Program {
        name: "fd-find",
        version: "10.5.0",
        bin: "fd",
        preset: "balanced",
        prepare: inputs::tree,
        work: &[r"-u [37]\.txt$ tree", "-u -e rs . tree", "-u -tf -S +1b . tree"],
    },
    Program {
        name: "bat",
        version: "0.26.1",
        bin: "bat",
        preset: "balanced",
        prepare: inputs::library,
        work: &[
            "--no-config --paging never --color always --style full library/core/src/iter/traits/iterator.rs",
            "--no-config --paging never --color always --style full library/Cargo.lock",
            "--no-config --list-languages",
        ],
    },
    Program {
        name: "uv",
        version: "0.12.5",
        bin: "uv",
        preset: "quick",
        prepare: inputs::wheels,
        work: &[
            "pip compile -q --offline --no-index --no-config --find-links wheels --cache-dir cache few.in",
            "pip compile -q --offline --no-index --no-config --find-links wheels --cache-dir cache many.in",
        ],
    },
    Program {
        name: "jj-cli",
        version: "0.45.1",
        bin: "jj",
        preset: "quick",
        prepare: inputs::repository,
        work: &[
            "-R repository --ignore-working-copy log --no-graph -r all()",
            "-R repository --ignore-working-copy diff --git --from root() --to main",
            "-R repository --ignore-working-copy file annotate -r main repository/dir0/file0",
        ],
    },
];

pub(super) fn programs(only: Option<&str>) -> Result {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        return Err("the comparison needs Linux on x86-64 with glibc".to_owned());
    }
    let chosen: Vec<&Program> =
        PROGRAMS.iter().filter(|program| only.is_none_or(|only| only == program.name)).collect();
    if chosen.is_empty() {
        let names = PROGRAMS.map(|program| format!("`{}`", program.name)).join(", ");
        return Err(format!("no program `{}`: there are {names}", only.unwrap_or_default()));
    }
    let cx = Context::new(Arc::new(Silent)).map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    for program in chosen {
        let source = source(program.name, program.version)?;
        let [glibc, ours] = [program.glibc(&source)?, program.ours(&source)?];
        let place = place().join("programs").join(program.name);
        if !place.join("ready").exists() {
            let _ = fs::remove_dir_all(&place);
            fs::create_dir_all(&place).map_err(|error| format!("{}: {error}", place.display()))?;
            (program.prepare)(&place, &glibc)?;
            fs::write(place.join("ready"), "").map_err(|error| error.to_string())?;
        }
        for work in program.work {
            let args: Vec<String> = work.split(' ').map(str::to_owned).collect();
            same_output(&place, &glibc, &ours, &args)?;
            let times = rounds(&cx, &place, [&glibc, &ours], &args)?;
            rows.push((program, *work, times));
        }
        eprintln!("    {}: measured", program.name);
    }
    print(&rows);
    Ok(())
}

impl Program {
    /// Returns the program for glibc, with the profile of the preset.
    fn glibc(&self, source: &Path) -> Result<PathBuf> {
        let (lto, units) = if self.preset == "quick" { ("thin", 16) } else { ("fat", 1) };
        let mut build = cargo("build --locked --release --quiet --target-dir target/glibc --bin");
        build.arg(self.bin);
        build.args(["--config", &format!("profile.release.lto=\"{lto}\"")]);
        build.args(["--config", &format!("profile.release.codegen-units={units}")]);
        step(&format!("{} for glibc", self.name), clean(&mut build).current_dir(source))?;
        Ok(source.join("target/glibc/release").join(self.bin))
    }

    /// Returns the program of `dist`.
    fn ours(&self, source: &Path) -> Result<PathBuf> {
        let xtask = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut build = Command::new(xtask);
        build.args(["dist", "--locked", "--no-smoke", "--quiet", "--preset", self.preset]);
        build.args(["--target", TARGET, "--bin", self.bin]);
        step(&format!("{} by dist", self.name), clean(&mut build).current_dir(source))?;
        Ok(source.join("target/dist/linux/amd64/bin").join(self.bin))
    }
}

/// The variables of each run: no configuration of the user, and no version of Python that is not there.
fn variables(place: &Path) -> Result<[(&'static str, &str); 4]> {
    let place = place.to_str().ok_or("a path that is not UTF-8")?;
    Ok([("HOME", place), ("XDG_CONFIG_HOME", place), ("JJ_CONFIG", ""), ("NO_COLOR", "1")])
}

/// Checks that both do the same work.
fn same_output(place: &Path, glibc: &Path, ours: &Path, args: &[String]) -> Result {
    let run = |program: &Path| {
        let mut command = Command::new(program);
        command.args(args).current_dir(place).envs(variables(place)?).stdin(Stdio::null());
        let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
        if !output.status.success() || output.stdout.is_empty() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{command:?} ended with {}\n{said}", output.status));
        }
        // Several threads print in any order.
        let mut lines: Vec<Vec<u8>> =
            output.stdout.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        lines.sort();
        Ok(lines)
    };
    if run(glibc)? != run(ours)? {
        return Err(format!("{} and {} print different lines", glibc.display(), ours.display()));
    }
    Ok(())
}

/// Runs both in turn, and returns what each run took.
fn rounds(
    cx: &Context,
    place: &Path,
    programs: [&Path; 2],
    args: &[String],
) -> Result<[Vec<Usage>; 2]> {
    let dir = place.to_str().ok_or("a path that is not UTF-8")?;
    let env = variables(place)?;
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        // Each begins in every second round.
        for which in [round % 2, 1 - round % 2] {
            let program = programs[which].to_str().ok_or("a path that is not UTF-8")?;
            let run = Run {
                program,
                args,
                dir: dir.as_ref(),
                env: &env,
                offline: false,
                limit: Duration::from_secs(300),
                limit_hint: "",
            };
            let usage = measure(cx, &run).map_err(|error| format!("{error:?}"))?;
            // The first round fills caches.
            if round > 0 {
                times[which].push(usage);
            }
        }
    }
    Ok(times)
}

fn median(runs: &[Usage], of: fn(&Usage) -> Duration) -> f64 {
    let mut times: Vec<Duration> = runs.iter().map(of).collect();
    times.sort();
    times.get(times.len() / 2).map_or(f64::NAN, Duration::as_secs_f64)
}

fn print(rows: &[(&Program, &str, [Vec<Usage>; 2])]) {
    println!(
        "\n| program | work | glibc, ms | elapsed | CPU | memory |\n|---|---|---|---|---|---|"
    );
    let mut logs = [0.0, 0.0];
    let mut above = 0;
    for (program, work, [glibc, ours]) in rows {
        let elapsed = median(glibc, |usage| usage.time);
        let ratio = |of| median(ours, of) / median(glibc, of);
        let [time, cpu] = [ratio(|usage| usage.time), ratio(|usage| usage.cpu)];
        let most = |runs: &[Usage]| runs.iter().map(|usage| usage.memory).max().unwrap_or(0) as f64;
        logs = [logs[0] + f64::ln(time), logs[1] + f64::ln(cpu)];
        above += usize::from(time > LIMITS.0);
        println!(
            "| {} {} | `{} {}` | {:.1} | {time:.2} | {cpu:.2} | {:.2} |",
            program.name,
            program.version,
            program.bin,
            work.replace('|', "\\|"),
            elapsed * 1000.0,
            most(ours) / most(glibc),
        );
    }
    let [time, cpu] = logs.map(|sum| (sum / rows.len() as f64).exp());
    println!("| geometric mean | | | {time:.2} | {cpu:.2} | |");
    println!(
        "\nMedians of {ROUNDS} runs in turn, longshore's as ratios to glibc's. {above} of {} are above {}, and the \
         mean is to be at most {}.",
        rows.len(),
        LIMITS.0,
        LIMITS.1
    );
}
