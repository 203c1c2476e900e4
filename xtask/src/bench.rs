//! Measurements against other programs, in one run. `cargo xtask bench dist [PROGRAM]`: `dist` against plain
//! cargo-zigbuild, on published programs. `bench build [PROGRAM]`: presets, allocators, cache, strip.
//! `bench memory`: memory functions against those of glibc; `bench programs [PROGRAM]`: whole programs. `bench verify [FILE]` and `bench size [FILE]`:
//! against other tools. `bench image [AMD64 ARM64]`, or `push`: images, archives and pushes.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a script")]

mod build;
mod memory;
mod programs;
mod size;
mod verify;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use longshore::{
    model::event::Silent,
    sys::{Context, toolchain},
};

use crate::run::{Result, cargo, repository, step};

/// Returns the variable for a cache of zig.
fn variable(zig_cache: Option<&Path>) -> Option<(&'static str, &Path)> {
    zig_cache.map(|cache| ("ZIG_GLOBAL_CACHE_DIR", cache))
}

/// Removes what the environment would change in a build.
fn clean(command: &mut Command) -> &mut Command {
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR"] {
        command.env_remove(name);
    }
    command
}

/// The plain way; its library is the one that longshore is built with.
const ZIGBUILD: &str = "0.24.1";

/// Programs from the registry: small, not so small, and with some 270 files in C.
const PROGRAMS: [(&str, &str); 3] = [("hexyl", "0.16.0"), ("ripgrep", "14.1.1"), ("bat", "0.26.1")];

const TARGETS: &str =
    "--target x86_64-unknown-linux-musl --target aarch64-unknown-linux-musl --locked";

/// Runs the measurement called `name`, on `program` or on all.
pub(crate) fn bench(name: Option<&str>, args: &[&str]) -> Result {
    let program = args.first().copied();
    let most = if matches!(name, Some("image" | "push")) { 2 } else { 1 };
    if let Some(surplus) = args.get(most) {
        return Err(format!("unexpected argument `{surplus}`"));
    }
    match name {
        Some("dist") => dist(program),
        Some("memory") => memory::memory(),
        Some("programs") => programs::programs(program),
        Some("build") => build::build(&Bench::new()?, program),
        Some("verify") => verify::verify(program),
        Some("size") => size::size(program),
        Some("image" | "push") => image(args),
        Some(other) => Err(format!(
            "no measurement `{other}`: there are `dist`, `build`, `memory`, `programs`, `verify`, `size`, `image` \
             and `push`"
        )),
        None => {
            Err("say which measurement: `dist`, `build`, `memory`, `programs`, `verify`, `size`, \
                  `image` or `push`"
                .to_owned())
        }
    }
}

/// Images of two programs, for amd64 and arm64, or of those that `bench dist ripgrep` leaves: it
/// runs where the tests' peers are.
fn image(programs: &[&str]) -> Result {
    let built = |machine: &str| {
        ripgrep().join("target/dist/linux").join(machine).join("bin/rg").display().to_string()
    };
    let files = match programs {
        [] => [built("amd64"), built("arm64")].join(":"),
        [amd64, arm64] => format!("{amd64}:{arm64}"),
        _ => return Err("two programs are required: for amd64 and for arm64".to_owned()),
    };
    if let Some(missing) = files.split(':').find(|file| !Path::new(file).is_file()) {
        return Err(format!("there is no file `{missing}`"));
    }
    let mut tests = cargo("test --release --locked --test it -- --ignored --nocapture measure::");
    step("image", tests.env("LONGSHORE_BENCH_FILES", files))
}

/// Returns the source of ripgrep, with what `bench dist` leaves there.
fn ripgrep() -> PathBuf {
    let [_, (name, version), _] = PROGRAMS;
    place().join("vendor").join(format!("{name}-{version}"))
}

/// Returns the unstripped ripgrep that `bench dist` leaves.
fn unstripped() -> PathBuf {
    ripgrep().join("target/longshore/x86_64-unknown-linux-musl/release/rg")
}

/// The results of one program.
struct Row {
    name: &'static str,
    /// cargo-zigbuild with an empty cache of zig, and with one that has what the program needs.
    plain: [Duration; 2],
    /// `dist`, likewise.
    ours: [Duration; 2],
    again: Duration,
    xtask: Duration,
    compiled: u64,
    written: usize,
}

fn dist(program: Option<&str>) -> Result {
    let bench = Bench::new()?;
    let mut rows = Vec::new();
    for (name, version) in
        PROGRAMS.into_iter().filter(|(name, _)| program.is_none_or(|p| p == *name))
    {
        rows.push(bench.row(name, version)?);
    }
    print(&rows);
    Ok(())
}

struct Bench {
    place: PathBuf,
    zig: PathBuf,
}

impl Bench {
    /// Returns both programs, and zig.
    fn new() -> Result<Self> {
        let place = place();
        let install =
            format!("install --quiet --locked cargo-zigbuild --version {ZIGBUILD} --root");
        step("cargo-zigbuild", cargo(&install).arg(&place))?;
        let build = "build --quiet --locked --release --bin cargo-longshore";
        step("cargo-longshore", &mut cargo(build))?;
        let cx = Context::new(Arc::new(Silent)).map_err(|error| error.to_string())?;
        let zig = toolchain::rust::find(&cx, "rustc")
            .and_then(|rust| toolchain::zig::provide(&cx, &rust.version, false))
            .map_err(|error| format!("{error:?}"))?;
        let bench = Bench { place, zig: zig.program.into() };
        // Neither of the two has to fetch crates then, and zig's cache is filled.
        let (warm, version) = PROGRAMS[0];
        bench.plain(&source(warm, version)?, None)?;
        Ok(bench)
    }

    fn row(&self, name: &'static str, version: &str) -> Result<Row> {
        let source = source(name, version)?;
        let longshore = repository().join("target/release/cargo-longshore");
        let xtask = std::env::current_exe().map_err(|error| error.to_string())?;
        // In both orders, since what runs first may find a cooler machine.
        let fresh = self.empty_zig_cache()?;
        let plain = self.plain(&source, Some(&fresh))?;
        let fresh = self.empty_zig_cache()?;
        let ours = self.ours(&source, &longshore, true, Some(&fresh))?;
        let ours = [ours, self.ours(&source, &longshore, true, None)?];
        let plain = [plain, self.plain(&source, None)?];
        // The last cold `dist` is still there.
        let before = stamps(&source.join("target/dist"));
        let mut again = Duration::MAX;
        let mut of_xtask = Duration::MAX;
        for _ in 0..5 {
            again = again.min(self.ours(&source, &longshore, false, None)?);
            of_xtask = of_xtask.min(self.ours(&source, &xtask, false, None)?);
        }
        let after = stamps(&source.join("target/dist"));
        let written = after.iter().filter(|(path, stamp)| before.get(*path) != Some(stamp)).count();
        let compiled = compiled(&source.join("target/dist/dist.json"))?;
        eprintln!("    {name}: measured");
        Ok(Row { name, plain, ours, again, xtask: of_xtask, compiled, written })
    }

    /// cargo-zigbuild in an empty target directory.
    fn plain(&self, source: &Path, zig_cache: Option<&Path>) -> Result<Duration> {
        let mut command = Command::new(self.place.join("bin/cargo-zigbuild"));
        command.args(["zigbuild", "--release"]).args(TARGETS.split(' '));
        command.arg("--target-dir").arg(source.join("plain"));
        let _ = fs::remove_dir_all(source.join("plain"));
        let time = self.time(source, command.envs(variable(zig_cache)));
        let _ = fs::remove_dir_all(source.join("plain"));
        time
    }

    /// Returns `dist` of the same.
    fn ours(
        &self,
        source: &Path,
        program: &Path,
        cold: bool,
        zig_cache: Option<&Path>,
    ) -> Result<Duration> {
        let mut command = Command::new(program);
        command.args(["dist", "--profile", "release", "--no-smoke"]).args(TARGETS.split(' '));
        if cold {
            let _ = fs::remove_dir_all(source.join("target"));
        }
        self.time(source, command.envs(variable(zig_cache)))
    }

    /// Returns an empty directory for zig's cache, as on a new machine.
    fn empty_zig_cache(&self) -> Result<PathBuf> {
        let cache = self.place.join("zig-cache");
        let _ = fs::remove_dir_all(&cache);
        fs::create_dir_all(&cache).map_err(|error| format!("{}: {error}", cache.display()))?;
        Ok(cache)
    }

    fn time(&self, source: &Path, command: &mut Command) -> Result<Duration> {
        clean(command).env("CARGO_ZIGBUILD_ZIG_PATH", &self.zig).current_dir(source);
        command.stdin(Stdio::null());
        let start = Instant::now();
        let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
        let time = start.elapsed();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{command:?} ended with {}\n{said}", output.status));
        }
        Ok(time)
    }
}

/// Returns the directory of everything that measurements build.
fn place() -> PathBuf {
    repository().join("target/bench")
}

/// Returns the unpacked source of a published program, as its author packed it.
fn source(name: &str, version: &str) -> Result<PathBuf> {
    let source = place().join("vendor").join(format!("{name}-{version}"));
    if source.join("Cargo.toml").exists() {
        return Ok(source);
    }
    let fetch = place().join("fetch");
    let text = format!(
        "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         [lib]\npath = \"lib.rs\"\n[dependencies]\n{name} = \"={version}\"\n"
    );
    let io = |error: std::io::Error| format!("{}: {error}", fetch.display());
    fs::create_dir_all(&fetch).map_err(io)?;
    fs::write(fetch.join("Cargo.toml"), text).map_err(io)?;
    fs::write(fetch.join("lib.rs"), "").map_err(io)?;
    let _ = fs::remove_file(fetch.join("Cargo.lock"));
    let all = fetch.join("vendor");
    step("source", cargo("vendor --quiet").arg(&all).current_dir(&fetch))?;
    fs::create_dir_all(place().join("vendor")).map_err(io)?;
    fs::rename(all.join(name), &source).map_err(io)?;
    fs::remove_dir_all(&all).map_err(io)?;
    Ok(source)
}

/// Returns the inode and time of each blob, which distinguish its states.
fn stamps(root: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let mut open = vec![root.join("image"), root.join("linux")];
    let mut found = BTreeMap::new();
    while let Some(path) = open.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            open.extend(entries.map(|entry| entry.path()));
        } else {
            found.insert(path, (meta.ino(), meta.mtime(), meta.mtime_nsec()));
        }
    }
    found
}

/// Returns the number of units that the last `dist` compiled.
fn compiled(path: &Path) -> Result<u64> {
    let text = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let dist: longshore::model::schema::Dist =
        serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(dist.units.compiled)
}

fn print(rows: &[Row]) {
    println!(
        "\n| program | zig's cache | cargo zigbuild, s | dist, s | ratio | 1.05 x + 3 s | again, s | by an xtask, s \
         | compiled | rewritten |\n|---|---|---|---|---|---|---|---|---|---|"
    );
    let seconds = |time: Duration| time.as_secs_f64();
    for row in rows {
        for ((plain, ours), cache) in row.plain.iter().zip(row.ours).zip(["empty", "filled"]) {
            let (plain, ours) = (seconds(*plain), seconds(ours));
            let limit = 1.05 * plain + 3.0;
            println!(
                "| {} | {cache} | {plain:.1} | {ours:.1} | {:.2} | {limit:.1} ({}) | {:.2} | {:.2} | {} | {} |",
                row.name,
                ours / plain,
                if ours <= limit { "kept" } else { "broken" },
                seconds(row.again),
                seconds(row.xtask),
                row.compiled,
                row.written,
            );
        }
    }
    println!("\nOne cold run each; the best of five, again.");
}
