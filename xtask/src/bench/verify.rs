//! `cargo xtask bench verify [FILE]`: whole processes of `verify` and of the tools that look at the
//! same things, in one run.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a script")]

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::unstripped;
use crate::run::{Result, cargo, find, repository, step};

/// The number of files of the system that are verified together.
const FILES: usize = 1000;

/// Lints that read all that is loaded, and not only headers.
const TEXT_LINTS: [&str; 4] = ["static-glibc", "leftovers", "build-path", "allocator-page-size"];

/// The placeholder for the file's path in a command.
const FILE: &str = "{}";

/// Measures on `file`, or on the unstripped ripgrep that `bench dist` leaves.
pub(crate) fn verify(file: Option<&str>) -> Result {
    step("cargo-longshore", &mut cargo("build --quiet --locked --release --bin cargo-longshore"))?;
    let ours = repository().join("target/release/cargo-longshore");
    let file = file.map_or_else(unstripped, PathBuf::from);
    let size = fs::metadata(&file)
        .map_err(|error| format!("{}: {error}; name an unstripped program", file.display()))?
        .len();
    println!("\n{}, {:.1} MB, one process a file:\n", file.display(), size as f64 / 1e6);
    one(&ours, &file)?;
    let files = programs()?;
    println!("\n{} programs and libraries of this system, one process for all:\n", files.len());
    many(&ours, &files)
}

/// A command, by the name of its program, with [`FILE`] in its arguments.
pub(super) type Tool<'a> = (&'a str, &'a Path, Vec<&'a str>);

fn one(ours: &Path, file: &Path) -> Result {
    let peers: [(&str, &[&str]); 5] = [
        ("file", &["-b", FILE]),
        ("scanelf", &["-a", FILE]),
        ("readelf", &["-aW", FILE]),
        ("checksec", &["--file={}"]),
        ("hardening-check", &[FILE]),
    ];
    let found: Vec<_> = peers.iter().map(|(name, args)| (*name, find(name), *args)).collect();
    let mut tools: Vec<Tool<'_>> = vec![("longshore verify", ours, vec!["verify", FILE])];
    tools.push(("longshore verify --facts", ours, vec!["verify", "--facts", FILE]));
    for (name, program, args) in &found {
        match program {
            Some(program) => tools.push((name, program, args.to_vec())),
            None => eprintln!("    {name} is not installed"),
        }
    }
    let mut base = None;
    println!("| tool | best of ten, ms | of ours | peak memory, MiB |\n|---|---|---|---|");
    for (name, program, args) in tools {
        let path = file.to_string_lossy();
        let args: Vec<String> = args.iter().map(|arg| arg.replace(FILE, &path)).collect();
        row(name, program, &args, 10, &mut base)?;
    }
    Ok(())
}

fn many(ours: &Path, files: &[String]) -> Result {
    let allow = TEXT_LINTS.iter().flat_map(|lint| ["--allow", lint]);
    let structural: Vec<_> = ["verify"].into_iter().chain(allow).map(str::to_owned).collect();
    let scanelf = find("scanelf");
    let mut tools = vec![
        ("longshore verify, structural lints", ours, structural),
        ("longshore verify, every lint", ours, vec!["verify".to_owned()]),
    ];
    if let Some(scanelf) = &scanelf {
        tools.push(("scanelf -a", scanelf, vec!["-a".to_owned()]));
    }
    let mut base = None;
    println!("| tool | best of five, ms | of the first | peak memory, MiB |\n|---|---|---|---|");
    for (name, program, mut args) in tools {
        args.extend(files.iter().cloned());
        row(name, program, &args, 5, &mut base)?;
    }
    Ok(())
}

/// Measures and prints one row. Its ratio is to the first row.
pub(super) fn row(
    name: &str,
    program: &Path,
    args: &[String],
    times: usize,
    base: &mut Option<Duration>,
) -> Result {
    let mut best = Duration::MAX;
    for _ in 0..times {
        let start = Instant::now();
        run(Command::new(program).args(args))?;
        best = best.min(start.elapsed());
    }
    let base = base.get_or_insert(best);
    let memory = match find("time") {
        Some(time) => {
            let mut command = Command::new(time);
            command.args(["-f", "%M"]).arg(program).args(args);
            let output = command.stdout(Stdio::null()).output().map_err(|e| e.to_string())?;
            let text = String::from_utf8_lossy(&output.stderr);
            let kib = text.lines().last().and_then(|line| line.trim().parse::<f64>().ok());
            kib.map_or("?".to_owned(), |kib| format!("{:.1}", kib / 1024.0))
        }
        None => "? (no time(1))".to_owned(),
    };
    let ratio = best.as_secs_f64() / base.as_secs_f64();
    println!("| {name} | {:.1} | {ratio:.2} | {memory} |", best.as_secs_f64() * 1000.0);
    Ok(())
}

/// Runs to the end, whatever that is: what a tool thinks of the file is not asked.
fn run(command: &mut Command) -> Result {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().map(drop).map_err(|error| format!("{command:?}: {error}"))
}

/// Programs and libraries of this system, at most [`FILES`].
fn programs() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for dir in ["/usr/bin", "/usr/sbin", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"]
    {
        let Ok(entries) = fs::read_dir(dir) else { continue };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let mut magic = [0; 4];
            let regular = fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file());
            let read = regular
                && fs::File::open(&path).and_then(|mut file| file.read_exact(&mut magic)).is_ok();
            if read && &magic == b"\x7fELF" && found.len() < FILES {
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    match found.is_empty() {
        true => Err("there are no programs in /usr/bin".to_owned()),
        false => Ok(found),
    }
}
