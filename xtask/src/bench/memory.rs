//! `cargo xtask bench memory`: memory functions, and work that depends on them, with glibc, with longshore's
//! functions and with those of zig's library.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::clean;
use crate::run::{Result, cargo, repository, step};

const PROGRAM: &str = include_str!("memory/program.rs");

/// The target of the host.
const TARGET: &str = "x86_64-unknown-linux-musl";

/// The number of rounds. Each variant runs once in each.
const ROUNDS: usize = 5;

/// The limit of each ratio to glibc, and of their geometric mean.
const LIMITS: (f64, f64) = (1.1, 1.0);

struct Variant {
    name: &'static str,
    program: PathBuf,
    /// The shortest time of each case in nanoseconds.
    times: BTreeMap<String, f64>,
}

pub(super) fn memory() -> Result {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        return Err("the comparison needs Linux on x86-64 with glibc".to_owned());
    }
    let mut variants = [glibc()?, longshore("fast")?, longshore("system")?];
    let mut cases = Vec::new();
    for _ in 0..ROUNDS {
        for variant in &mut variants {
            cases = run(variant)?;
        }
    }
    print(&cases, &variants);
    Ok(())
}

/// Returns the program as a package in a separate directory.
fn package(name: &str, more: &str) -> Result<PathBuf> {
    let source = repository().join("target/bench/memory").join(name);
    let io = |error: std::io::Error| format!("{}: {error}", source.display());
    fs::create_dir_all(source.join("src")).map_err(io)?;
    let manifest = format!(
        "[package]\nname = \"memory\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n{more}"
    );
    fs::write(source.join("Cargo.toml"), manifest).map_err(io)?;
    fs::write(source.join("src/main.rs"), PROGRAM).map_err(io)?;
    step("memory", cargo("generate-lockfile --quiet").current_dir(&source))?;
    Ok(source)
}

/// Returns the program for glibc, with the values of preset `balanced`.
fn glibc() -> Result<Variant> {
    let source = package("glibc", "[profile.release]\nlto = \"fat\"\ncodegen-units = 1\n")?;
    let mut build = cargo("build --release --quiet --target-dir target");
    step("glibc", clean(&mut build).current_dir(&source))?;
    let program = source.join("target/release/memory");
    Ok(Variant { name: "glibc", program, times: BTreeMap::new() })
}

fn longshore(functions: &'static str) -> Result<Variant> {
    let settings = format!("[workspace.metadata.longshore]\nmemory-functions = \"{functions}\"\n");
    let source = package(functions, &settings)?;
    let xtask = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut build = Command::new(xtask);
    build.args(["dist", "--no-smoke", "--quiet", "--preset", "balanced", "--target", TARGET]);
    step(functions, clean(&mut build).current_dir(&source))?;
    let program = source.join("target/dist/linux/amd64/bin/memory");
    Ok(Variant { name: functions, program, times: BTreeMap::new() })
}

/// Runs the program once. Returns the names of the cases in their order.
fn run(variant: &mut Variant) -> Result<Vec<String>> {
    let format_time = |path: &Path| path.display().to_string();
    let output = Command::new(&variant.program)
        .output()
        .map_err(|error| format!("{}: {error}", format_time(&variant.program)))?;
    if !output.status.success() {
        return Err(format!("{} ended with {}", format_time(&variant.program), output.status));
    }
    let mut cases = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let (name, time) = line.split_once('\t').ok_or("a line without a time")?;
        let time: f64 = time.parse().map_err(|error| format!("`{time}`: {error}"))?;
        let best = variant.times.entry(name.to_owned()).or_insert(f64::MAX);
        *best = best.min(time);
        cases.push(name.to_owned());
    }
    Ok(cases)
}

fn print(cases: &[String], variants: &[Variant]) {
    let [glibc, fast, system] = variants else { return };
    println!("\n| work | {} | {} | {} |", glibc.name, fast.name, system.name);
    println!("|---|---|---|---|");
    let mut above = 0;
    for case in cases {
        let base = glibc.times[case];
        let ratio = |variant: &Variant| variant.times[case] / base;
        above += usize::from(ratio(fast) > LIMITS.0);
        println!("| {case} | {} | {:.2} | {:.2} |", format_time(base), ratio(fast), ratio(system));
    }
    let mean = |variant: &Variant| {
        let logs = cases.iter().map(|case| (variant.times[case] / glibc.times[case]).ln());
        (logs.sum::<f64>() / cases.len() as f64).exp()
    };
    println!("| geometric mean | | {:.2} | {:.2} |", mean(fast), mean(system));
    println!(
        "\nThe shortest of {ROUNDS} runs in turn; longshore's as ratios to glibc. {above} of {} cases are \
         above {}, and the mean is to be at most {}.",
        cases.len(),
        LIMITS.0,
        LIMITS.1
    );
}

/// Formats a time in a suitable unit.
fn format_time(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 1e3 => format!("{n:.1} ns"),
        n if n < 1e6 => format!("{:.1} µs", n / 1e3),
        n => format!("{:.1} ms", n / 1e6),
    }
}
