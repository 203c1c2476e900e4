//! What zig builds once for each target is built while cargo compiles, and not after it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    sync::{Mutex, mpsc},
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    command::Command,
    error::{Error, Result},
    oci::Digest,
    ops::{plan::Planned, stage::Stage},
    schema::plan::Build,
    sys::{Context, fs, process::Children, warm},
};

/// The environment of a build's command.
type Env = BTreeMap<String, Option<String>>;

/// One target whose links need something of zig's.
#[derive(Debug)]
struct Part {
    name: String,
    target: String,
    command: Command,
}

/// The parts of zig's cache that the links of `builds` need, by their names.
#[derive(Debug)]
pub(super) struct Warm {
    parts: Vec<Part>,
}

impl Warm {
    /// What the links of `build` need, started with `env`.
    pub(super) fn new(planned: &Planned, build: &Build, env: &Env) -> Self {
        let part = |target: &String| {
            let job = planned.plan.jobs.iter().find(|job| job.target == *target)?;
            let upper = target.to_uppercase().replace(['-', '.'], "_");
            let linker = env.get(&format!("CARGO_TARGET_{upper}_LINKER"))?.clone()?;
            let flags: Vec<&str> = job.rustflags.iter().map(|flag| flag.flag.as_str()).collect();
            // Names of directories and of the result change nothing of what zig builds.
            let counts =
                |flag: &&&str| !flag.contains("-path-prefix") && !flag.contains("build-id");
            let counting: Vec<&str> = flags.iter().filter(counts).copied().collect();
            let key = Digest::of(format!("{counting:?} {}", planned.rust.version).as_bytes());
            let zig = planned.zig.as_ref()?;
            let command = Command { env: env.clone(), ..Command::new(&planned.rust.rustc) }
                .args(["--crate-name", "longshore_warm", "--crate-type", "bin", "--target"])
                .args([target.as_str(), "--edition", "2021", "-Copt-level=3", "-"])
                .arg(format!("-Clinker={linker}"))
                .args(flags);
            let name = format!("{}-{target}-{}", zig.version, key.short());
            Some(Part { name, target: target.clone(), command })
        };
        Warm { parts: build.targets.iter().filter_map(part).collect() }
    }

    /// The names.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.parts.iter().map(|part| part.name.clone()).collect()
    }

    /// Runs `work`, and has zig build what is missing beside it, from when `work` calls what it is
    /// given. When `work` fails, it is stopped; when it goes well, its own links have had the same
    /// built, and little is left to do. Nothing of this can fail a build: a link builds what is
    /// missing by itself.
    pub(super) fn beside<T>(
        &self,
        cx: &Context,
        stage: &Stage,
        work: impl FnOnce(&(dyn Fn() + Sync)) -> Result<T>,
    ) -> Result<T> {
        let Some(zig_cache) = warm::zig_cache(cx) else { return work(&|| {}) };
        let cold: Vec<&Part> =
            self.parts.iter().filter(|part| !warm::is_warm(&zig_cache, &part.name)).collect();
        if cold.is_empty() {
            return work(&|| {});
        }
        let children = cx.children.nested();
        let (begin, begun) = mpsc::channel();
        let beside =
            Beside { cx, children: &children, zig_cache, log: stage.path("logs/warm.log") };
        std::thread::scope(|scope| {
            scope.spawn(move || {
                if begun.recv().is_ok() {
                    beside.warm(&cold);
                }
            });
            let begin = Mutex::new(Some(begin));
            let result = work(&|| {
                let begin = begin.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
                if let Some(begin) = begin {
                    // The thread waits for it until it ends.
                    let _ = begin.send(());
                }
            });
            drop(begin);
            if result.is_err() {
                children.interrupt();
            }
            result
        })
    }
}

/// What the thread beside a build needs.
struct Beside<'a> {
    cx: &'a Context,
    children: &'a Children,
    zig_cache: Utf8PathBuf,
    log: Utf8PathBuf,
}

impl Beside<'_> {
    /// Has zig build what each part needs; then keeps what was built.
    fn warm(&self, parts: &[&Part]) {
        let mut made = Vec::new();
        for part in parts {
            match self.one(part) {
                Ok(Some(before)) => made.push((*part, before)),
                Ok(None) => {}
                Err(error) => self.note(&format!("{}: {error}\n", part.target)),
            }
        }
        for (part, before) in made {
            let place = warm::place(self.cx, &part.name);
            let dir = Utf8PathBuf::from(format!("{place}.{}.tmp", std::process::id()));
            let kept = self.keep(part, &before, &dir);
            if let Err(error) = kept.and(fs::remove_dir_all(&dir)) {
                self.note(&format!("{}: {error}\n", part.target));
            }
        }
    }

    /// Has zig build what the part needs, in its own cache. Gives what was there before; nothing
    /// when it was kept from another time and only had to be copied.
    fn one(&self, part: &Part) -> Result<Option<warm::Entries>> {
        if warm::place(self.cx, &part.name).exists() {
            warm::merge(self.cx, &self.zig_cache, &part.name)?;
            return Ok(None);
        }
        let before = warm::entries(&self.zig_cache)?;
        self.link(part, &self.zig_cache)?;
        warm::mark_warm(&self.zig_cache, &part.name)?;
        Ok(Some(before))
    }

    /// Keeps what zig built for the part, once a link with nothing else went well.
    fn keep(&self, part: &Part, before: &warm::Entries, dir: &Utf8Path) -> Result<()> {
        fs::remove_dir_all(dir)?;
        if !warm::copy_new(&self.zig_cache, before, dir)? {
            return Ok(());
        }
        self.link(part, dir)?;
        warm::keep(self.cx, dir, &part.name)
    }

    /// Links the smallest program with the build's own flags.
    fn link(&self, part: &Part, zig_cache: &Utf8Path) -> Result<()> {
        let out = fs::TempDir::new("longshore-warm")?;
        let command = part.command.clone().args(["-o", out.path.join("warm").as_str()]);
        let command = command.env("ZIG_GLOBAL_CACHE_DIR", zig_cache.as_str());
        self.note(&format!("$ {command}\n"));
        let mut said = Vec::new();
        let source = b"fn main() {}\n".to_vec();
        let take = |_, line: &[u8]| said.extend_from_slice(line);
        let output = self.children.stream(&command, Some(source), take)?;
        self.note(&String::from_utf8_lossy(&said));
        if output.success() {
            return Ok(());
        }
        Err(Error::build(format!("rustc ended with {}", output.ending())))
    }

    /// Writes to the log, which is only for who looks there.
    fn note(&self, text: &str) {
        let _ = fs::append(&self.log).map(|mut file| file.write_all(text.as_bytes()));
    }
}
