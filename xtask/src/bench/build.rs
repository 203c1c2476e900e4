//! `cargo xtask bench build [PROGRAM]`: sizes, build times and run times of the presets against the
//! program's own profiles and plain cargo-zigbuild; threads that allocate against glibc; what a
//! restored cache saves; strip and split.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use longshore::binary::elf::{StripOptions, strip};

use super::{Bench, source};
use crate::run::{Result, cargo, repository, step};

const AMD64: &str = "x86_64-unknown-linux-musl";

/// The number of rounds. Each variant runs once in each, so that a slower minute of the machine affects all of
/// them.
const ROUNDS: usize = 9;

/// A program, the profile its authors release it with, and how it is put to work on a tree or a
/// file.
struct Program {
    name: &'static str,
    version: &'static str,
    binary: &'static str,
    best: &'static str,
    work: fn(&Bench) -> Result<Vec<String>>,
}

const PROGRAMS: [Program; 2] = [
    Program { name: "hexyl", version: "0.17.0", binary: "hexyl", best: "release", work: on_a_file },
    Program {
        name: "ripgrep",
        version: "15.2.0",
        binary: "rg",
        best: "release-lto",
        work: on_a_tree,
    },
];

/// Returns `hexyl` over 24 MiB without a pattern.
fn on_a_file(bench: &Bench) -> Result<Vec<String>> {
    let file = bench.place.join("24M");
    let mut state = 1_u64;
    let next = || {
        // The multiplier of Knuth's MMIX generator.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    let bytes: Vec<u8> = std::iter::repeat_with(next).take(24 << 20).collect();
    fs::write(&file, bytes).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(vec!["--color=always".to_owned(), file.display().to_string()])
}

/// Returns `rg` over the sources of every crate that cargo has unpacked.
fn on_a_tree(_: &Bench) -> Result<Vec<String>> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let tree = home.ok_or("no home directory")?.join("registry/src");
    let words = ["--no-ignore", "--hidden", "--count", r"\w+Error\b.*\bsource\b"];
    let mut args: Vec<String> = words.map(str::to_owned).to_vec();
    args.push(tree.display().to_string());
    Ok(args)
}

/// One way to build.
struct Variant {
    name: String,
    binary: PathBuf,
    size: u64,
    built: Duration,
    best: Duration,
}

/// Runs all of it.
pub(super) fn build(bench: &Bench, program: Option<&str>) -> Result<()> {
    for one in PROGRAMS.iter().filter(|one| program.is_none_or(|name| name == one.name)) {
        presets(bench, one)?;
    }
    if program.is_none_or(|name| name == "threads") {
        threads(bench)?;
    }
    if program.is_none_or(|name| name == "cache") {
        cache(bench)?;
    }
    if program.is_none_or(|name| name == "strip") {
        symbols(bench)?;
    }
    Ok(())
}

fn longshore() -> PathBuf {
    repository().join("target/release/cargo-longshore")
}

/// Returns `dist` for amd64 with `args`, in an empty directory; what came out.
fn ours(bench: &Bench, source: &Path, name: &str, args: &str, binary: &str) -> Result<Variant> {
    let target = source.join("target/bench").join(name);
    let _ = fs::remove_dir_all(&target);
    let mut command = Command::new(longshore());
    command.args(["build", "--no-smoke", "--target", AMD64]).args(args.split_whitespace());
    command.arg("--target-dir").arg(&target);
    let built = bench.time(source, &mut command)?;
    let binary = target.join("dist/linux/amd64/bin").join(binary);
    let size = fs::metadata(&binary).map_err(|e| format!("{}: {e}", binary.display()))?.len();
    Ok(Variant { name: name.to_owned(), binary, size, built, best: Duration::MAX })
}

/// cargo-zigbuild with one of the program's own profiles, stripped afterwards.
fn plain(bench: &Bench, source: &Path, profile: &str, binary: &str) -> Result<Variant> {
    let target = source.join("target/bench/plain").join(profile);
    let _ = fs::remove_dir_all(&target);
    let mut command = Command::new(bench.place.join("bin/cargo-zigbuild"));
    command.args(["zigbuild", "--profile", profile, "--target", AMD64, "--locked"]);
    command.arg("--target-dir").arg(&target);
    let built = bench.time(source, &mut command)?;
    let made = target.join(AMD64).join(profile).join(binary);
    let bytes = fs::read(&made).map_err(|error| format!("{}: {error}", made.display()))?;
    // A profile that strips leaves nothing to strip.
    let stripped =
        strip(&bytes, StripOptions::default()).ok().and_then(|stripped| stripped.bytes().ok());
    let bytes = stripped.unwrap_or(bytes);
    fs::write(&made, &bytes).map_err(|error| format!("{}: {error}", made.display()))?;
    let name = format!("cargo zigbuild, profile {profile}");
    Ok(Variant { name, binary: made, size: bytes.len() as u64, built, best: Duration::MAX })
}

fn run(binary: &Path, args: &[String]) -> Result<Duration> {
    let mut command = Command::new(binary);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status().map_err(|error| format!("{}: {error}", binary.display()))?;
    if !status.success() {
        return Err(format!("{} ended with {status}", binary.display()));
    }
    Ok(start.elapsed())
}

/// Runs every variant in turn, and keeps the best time of each.
fn race(variants: &mut [Variant], args: &[String]) -> Result<()> {
    for _ in 0..ROUNDS {
        for variant in variants.iter_mut() {
            variant.best = variant.best.min(run(&variant.binary, args)?);
        }
    }
    Ok(())
}

fn presets(bench: &Bench, program: &Program) -> Result<()> {
    let source = source(program.name, program.version)?;
    let mut variants = vec![plain(bench, &source, "release", program.binary)?];
    if program.best != "release" {
        variants.push(plain(bench, &source, program.best, program.binary)?);
    }
    let own = variants.len() - 1;
    for (name, args) in [
        ("quick", "--preset quick"),
        ("balanced", "--preset balanced"),
        ("balanced, zig", "--preset balanced --linker zig"),
        ("speed", "--preset speed"),
        ("size", "--preset size"),
        ("size, zig", "--preset size --linker zig"),
        ("size, unstable", "--preset size --unstable immediate-abort --unstable no-locations"),
    ] {
        variants.push(ours(bench, &source, name, args, program.binary)?);
        eprintln!("    {} {name}: built", program.name);
    }
    race(&mut variants, &(program.work)(bench)?)?;
    let (first, best) = (variants[0].size, variants[own].best);
    println!(
        "\n| {} {} | built in, s | size, MB | of plain | run, s | of own best |",
        program.name, program.version
    );
    println!("|---|---|---|---|---|---|");
    for variant in &variants {
        println!(
            "| {} | {:.1} | {:.2} | {:.2} | {:.3} | {:.3} |",
            variant.name,
            variant.built.as_secs_f64(),
            variant.size as f64 / 1e6,
            variant.size as f64 / first as f64,
            variant.best.as_secs_f64(),
            variant.best.as_secs_f64() / best.as_secs_f64(),
        );
    }
    println!("\nThe best of {ROUNDS} runs, in turn; amd64; sizes once stripped.");
    Ok(())
}

/// Four threads that allocate and free; with an argument they fill what they get, too, which is more
/// `memset` than `malloc`.
const THREADS: &str = "fn main() {
    let fill = std::env::args().len() > 1;
    let work = |seed: u64| move || -> u64 {
        let (mut kept, mut sum) = (Vec::<Vec<u8>>::new(), 0);
        for n in 0..1_000_000_u64 {
            let size = ((n * 7919 + seed) % 500) as usize + 1;
            let mut bytes = Vec::with_capacity(size);
            bytes.resize(if fill { size } else { 1 }, n as u8);
            kept.push(bytes);
            if kept.len() > 1000 {
                sum += u64::from(kept.swap_remove((n * 31 % 1000) as usize)[0]);
            }
        }
        sum
    };
    let all: Vec<_> = (0..4).map(|seed| std::thread::spawn(work(seed))).collect();
    println!(\"{}\", all.into_iter().map(|one| one.join().unwrap()).sum::<u64>());
}
";

fn threads(bench: &Bench) -> Result<()> {
    let source = bench.place.join("threads");
    let io = |error: std::io::Error| format!("{}: {error}", source.display());
    fs::create_dir_all(source.join("src")).map_err(io)?;
    let manifest =
        "[package]\nname = \"threads\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[workspace]\n";
    fs::write(source.join("Cargo.toml"), manifest).map_err(io)?;
    fs::write(source.join("src/main.rs"), THREADS).map_err(io)?;
    step("threads", cargo("generate-lockfile --quiet").current_dir(&source))?;
    let target = source.join("target/bench/glibc");
    let mut host = cargo("build --release --quiet --target-dir");
    let built = bench.time(&source, host.arg(&target))?;
    let binary = target.join("release/threads");
    let size = fs::metadata(&binary).map_err(io)?.len();
    let glibc =
        Variant { name: "cargo build, glibc".into(), binary, size, built, best: Duration::MAX };
    let mut variants = vec![
        glibc,
        plain(bench, &source, "release", "threads")?,
        ours(bench, &source, "balanced", "--preset balanced", "threads")?,
        ours(bench, &source, "system", "--preset balanced --allocator system", "threads")?,
    ];
    for (what, args) in [("allocate", vec![]), ("allocate and fill", vec!["fill".to_owned()])] {
        variants.iter_mut().for_each(|variant| variant.best = Duration::MAX);
        race(&mut variants, &args)?;
        println!("\n| four threads that {what} | run, s | of glibc |\n|---|---|---|");
        let first = variants[0].best.as_secs_f64();
        for variant in &variants {
            let best = variant.best.as_secs_f64();
            println!("| {} | {best:.3} | {:.2} |", variant.name, best / first);
        }
    }
    Ok(())
}

/// Returns a cold `dist` of hexyl for both targets, and one after a clone and `cache restore`.
fn cache(bench: &Bench) -> Result<()> {
    let Program { name, version, .. } = PROGRAMS[0];
    let source = source(name, version)?;
    let saved = bench.place.join("saved");
    let target = source.join("target");
    let _ = fs::remove_dir_all(&target);
    let _ = fs::remove_dir_all(&saved);
    let ask = |args: &str| {
        let mut command = Command::new(longshore());
        command.args(args.split_whitespace());
        if args.starts_with("cache") {
            command.arg(&saved);
        }
        bench.time(&source, &mut command)
    };
    let cold = ask("dist")?;
    let save = ask("cache save")?;
    fs::remove_dir_all(&target).map_err(|error| error.to_string())?;
    // As after a clone: every file of the source is newer than what was made of it.
    touch(&source)?;
    let restore = ask("cache restore")?;
    let again = ask("dist")?;
    let units = super::compiled(&source.join("target/dist/dist.json"))?;
    let size: u64 = fs::read_dir(&saved)
        .map_err(|error| error.to_string())?
        .filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()))
        .sum();
    let both = (restore + again).as_secs_f64();
    println!("\n| {name} {version} | s | of cold |\n|---|---|---|");
    println!("| cold `dist` | {:.1} | 1 |", cold.as_secs_f64());
    println!("| `cache save`, {:.1} MB | {:.2} | |", size as f64 / 1e6, save.as_secs_f64());
    println!(
        "| `cache restore` and `dist`, {units} units compiled | {both:.2} | {:.3} |",
        both / cold.as_secs_f64()
    );
    Ok(())
}

/// Gives every file of the source the present time.
fn touch(source: &Path) -> Result<()> {
    let now = std::time::SystemTime::now();
    let mut open = vec![source.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).map_err(|error| error.to_string())?;
            open.extend(entries.flatten().map(|entry| entry.path()));
        } else {
            let file = fs::File::open(&path).and_then(|file| file.set_modified(now));
            file.map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    Ok(())
}

/// Strip and split of ripgrep with all debug information, for both targets.
fn symbols(bench: &Bench) -> Result<()> {
    let Program { name, version, binary, .. } = PROGRAMS[1];
    let source = source(name, version)?;
    let target = source.join("target/bench/debug");
    let mut command = Command::new(longshore());
    command.args(["build", "--no-smoke", "--preset", "quick"]);
    command.env("CARGO_PROFILE_DIST_DEBUG", "2").arg("--target-dir").arg(&target);
    bench.time(&source, &mut command)?;
    let files = [AMD64, "aarch64-unknown-linux-musl"]
        .map(|triple| target.join("longshore").join(triple).join("dist").join(binary));
    step("strip", cargo("bench --quiet --locked --bench strip --").args(files))
}
