//! `cargo xtask bench size [FILE]`: whole processes of `size` and of the tools that say whose the bytes
//! of a program are, in one run.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a script")]

use std::{fs, path::PathBuf, time::Duration};

use super::{
    unstripped,
    verify::{Tool, row},
};
use crate::run::{Result, cargo, find, repository, step};

/// Measures on `file`, or on the unstripped ripgrep that `bench dist` leaves.
pub(crate) fn size(file: Option<&str>) -> Result {
    step("cargo-longshore", &mut cargo("build --quiet --locked --release --bin cargo-longshore"))?;
    let ours = repository().join("target/release/cargo-longshore");
    let file = file.map_or_else(unstripped, PathBuf::from);
    let bytes = fs::metadata(&file)
        .map_err(|error| format!("{}: {error}; name an unstripped program", file.display()))?
        .len();
    let path = file.to_string_lossy().into_owned();
    println!("\n{path}, {:.1} MB:\n", bytes as f64 / 1e6);
    let (bloaty, bloat) = (find("bloaty"), find("cargo-bloat"));
    let mut tools: Vec<Tool<'_>> = vec![
        ("longshore size", &ours, vec!["size", &path]),
        ("longshore size --by symbol", &ours, vec!["size", &path, "--by", "symbol"]),
        ("longshore size --compressed", &ours, vec!["size", &path, "--compressed"]),
    ];
    match &bloaty {
        Some(bloaty) => {
            tools.push(("bloaty -d sections", bloaty, vec!["-d", "sections", &path]));
            tools.push(("bloaty -d symbols", bloaty, vec!["-d", "symbols", &path]));
        }
        None => eprintln!("    bloaty is not installed"),
    }
    // It measures what cargo builds: here nothing is left to be built.
    let package = file.ancestors().find(|dir| dir.join("Cargo.toml").is_file());
    let manifest = package.map(|dir| dir.join("Cargo.toml").to_string_lossy().into_owned());
    match (&bloat, &manifest) {
        (Some(bloat), Some(manifest)) => {
            let args = vec!["bloat", "--manifest-path", manifest, "--release"];
            tools.push(("cargo bloat --crates", bloat, [&args[..], &["--crates"]].concat()));
            tools.push(("cargo bloat", bloat, args));
        }
        _ => eprintln!("    cargo-bloat is not installed, or {path} is in no package"),
    }
    let mut base: Option<Duration> = None;
    println!("| tool | best of ten, ms | of ours | peak memory, MiB |\n|---|---|---|---|");
    for (name, program, args) in tools {
        let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        row(name, program, &args, 10, &mut base)?;
    }
    Ok(())
}
