//! Measurements against other people's programs, in one run: `cargo xtask bench image`. Nothing is
//! asserted about time.

use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use libdeflater::{CompressionLvl, Compressor};
use longshore::model::digest::Digest;
use serde_json::json;

use crate::support::{
    buildkit::BuildKit,
    command::{LONGSHORE, plain},
    dist::Dist,
    peer,
    registry::Registry,
};

/// Runs of each; the median counts.
const RUNS: usize = 7;

const PLATFORMS: [&str; 2] = ["amd64", "arm64"];

/// The recipe for the peers.
const RECIPE: &str = "FROM scratch\nARG TARGETPLATFORM\n\
    COPY --chmod=0755 ${TARGETPLATFORM}/bin/hello /usr/local/bin/\n\
    USER 65532:65532\nENTRYPOINT [\"/usr/local/bin/hello\"]\n";

/// A program to its end, which has to be a good one.
fn run(program: &Path, args: &[&str]) {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

fn none() -> u64 {
    0
}

/// Returns the size in bytes of the files in a directory, and in those below it.
fn size(path: &Path) -> u64 {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => size(&entry.path()),
        data => data.map_or(0, |data| data.len()),
    };
    entries.map(of).sum()
}

struct Table {
    floor: Duration,
}

impl Table {
    /// Measures `run`, each time after `prepare`, and prints a row with the bytes that `size` finds after the
    /// last one; none if it is 0.
    fn row(
        &self,
        name: &str,
        mut prepare: impl FnMut(),
        mut run: impl FnMut(),
        size: impl FnOnce() -> u64,
    ) -> Duration {
        let mut times = Vec::new();
        for _ in 0..RUNS {
            prepare();
            let start = Instant::now();
            run();
            times.push(start.elapsed());
        }
        times.sort();
        let median = times[RUNS / 2];
        let floor = if self.floor.is_zero() { median } else { self.floor };
        let ratio = median.as_secs_f64() / floor.as_secs_f64();
        let bytes = match size() {
            0 => String::new(),
            bytes => format!("{:.2}", bytes as f64 / 1e6),
        };
        println!("| {name} | {:.0} | {ratio:.2} | {bytes} |", median.as_secs_f64() * 1e3);
        median
    }
}

/// Returns the size of `bytes` in gzip at `level`, in chunks as layers have them.
fn compressed_size(bytes: &[u8], level: i32) -> usize {
    const CHUNK: usize = 4 << 20;
    let mut gzip = Compressor::new(CompressionLvl::new(level).unwrap());
    let mut packed = vec![0; gzip.gzip_compress_bound(CHUNK)];
    bytes.chunks(CHUNK).map(|chunk| gzip.gzip_compress(chunk, &mut packed).unwrap()).sum()
}

/// Prints the time and the size of each level, on one thread. The rows of other programs have the sizes of theirs.
fn print_levels(programs: &[Vec<u8>]) {
    println!("\n| level of libdeflate | ms | MB, compressed |\n|---|---|---|");
    for level in 1..=12 {
        let start = Instant::now();
        let size: usize = programs.iter().map(|bytes| compressed_size(bytes, level)).sum();
        let time = start.elapsed().as_secs_f64() * 1e3;
        println!("| {level} | {time:.0} | {:.2} |", size as f64 / 1e6);
    }
}

#[test]
#[ignore = "a measurement: `cargo xtask bench image AMD64 ARM64`"]
fn image_builds_compared_with_other_programs() {
    let files = std::env::var("LONGSHORE_BENCH_FILES").expect("two programs, with `:` between");
    let programs: Vec<Vec<u8>> = files.split(':').map(|file| fs::read(file).unwrap()).collect();
    let [amd64, arm64] = &programs[..] else { panic!("two programs") };
    let dist = Dist::new(&[("linux/amd64", amd64), ("linux/arm64", arm64)], json!({}));
    let size = (amd64.len() + arm64.len()) as f64 / 1e6;
    println!("\nTwo programs of {size:.1} MB together, medians of {RUNS}:");
    print_levels(&programs);
    println!();
    println!("| what | ms | of the floor | MB, compressed |\n|---|---|---|---|");
    let mut table = Table { floor: Duration::ZERO };
    table.floor = table.row(
        "floor: SHA-256 and libdeflate 6, two threads",
        || {},
        || {
            std::thread::scope(|scope| {
                for bytes in &programs {
                    scope.spawn(|| (compressed_size(bytes, 6), Digest::sha256(bytes)));
                }
            });
        },
        none,
    );
    let place = dist.beside("peers");
    fs::create_dir(&place).unwrap();
    let (registry, repositories) = (Registry::start(), Cell::default());
    let peers = Peers { root: dist.root(), registry, place, repositories };
    ours(&table, &dist, &peers);
    peers.crane(&table);
    peers.umoci(&table);
    peers.buildah(&table);
    peers.buildx(&table);
}

fn ours(table: &Table, dist: &Dist, peers: &Peers) {
    let (root, out) = (dist.root(), dist.beside("ours.tar"));
    let output = format!("--output=oci-archive={}", out.display());
    let image = |args: &[&str]| {
        let mut command = plain(LONGSHORE);
        command.arg("image").arg(&root).args(args).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().unwrap().success());
    };
    let clean = || drop(fs::remove_dir_all(dist.beside("target/longshore")));
    let layout = || size(&root.join("image"));
    let file = || fs::metadata(&out).map_or(0, |data| data.len());
    table.row("longshore, layout", clean, || image(&[]), layout);
    table.row("longshore, archive", clean, || image(&[&output]), file);
    if let Some(registry) = &peers.registry {
        let push = |name: &str| {
            let mut command = plain(LONGSHORE);
            command.args(["push", name, "--dist"]).arg(&root);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            assert!(command.status().unwrap().success());
        };
        let both = || {
            image(&[]);
            push(&peers.repository(registry));
        };
        table.row("longshore image, push, registry", clean, both, || peers.size(registry));
        let alone = || push(&peers.repository(registry));
        table.row("longshore push, registry", || {}, alone, || peers.size(registry));
        let there = peers.repository(registry);
        push(&there);
        table.row("longshore push, all of it there", || {}, || push(&there), none);
    }
    table.row("longshore, layout, nothing changed", || {}, || image(&[]), layout);
    dist.packages();
    let package = || {
        let mut command = plain(LONGSHORE);
        command.arg("package").arg(&root).current_dir(dist.beside("."));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().unwrap().success());
    };
    let both = "longshore, layout and archives, by two commands";
    let empty = || {
        clean();
        drop(fs::remove_dir_all(root.join("archives")));
    };
    let commands = || {
        image(&[]);
        package();
    };
    let archives = || size(&root.join("archives"));
    table.row(both, empty, commands, || layout() + archives());
    let remove = || drop(fs::remove_dir_all(root.join("archives")));
    table.row("longshore, archives after the layout", remove, package, archives);
    table.row("longshore, archives alone", empty, package, archives);
    let time = Path::new("/usr/bin/time");
    if time.exists() {
        clean();
        let mut command = Command::new(time);
        command.args(["-f", "%M", LONGSHORE, "image"]).arg(&root);
        let told = command.output().unwrap().stderr;
        let told = String::from_utf8_lossy(&told);
        println!("\npeak memory of longshore: {} KiB\n", told.lines().last().unwrap_or_default());
        println!("| what | ms | of the floor | MB, compressed |\n|---|---|---|---|");
    }
}

struct Peers {
    root: PathBuf,
    place: PathBuf,
    repositories: Cell<usize>,
    registry: Option<Registry>,
}

impl Peers {
    fn path(&self, name: &str) -> String {
        self.place.join(name).display().to_string()
    }

    fn program(&self, platform: &str) -> String {
        self.root.join("linux").join(platform).join("bin/hello").display().to_string()
    }

    /// Returns a repository that has nothing yet.
    fn repository(&self, registry: &Registry) -> String {
        self.repositories.set(self.repositories.get() + 1);
        format!("{}/r{}", registry.address, self.repositories.get())
    }

    /// Returns the size in bytes of what the repository that was made last has.
    fn size(&self, registry: &Registry) -> u64 {
        registry.size(&format!("r{}", self.repositories.get()))
    }

    /// Returns a layer of each program, as people make it for crane.
    fn tar(&self, platform: &str) -> String {
        let path = self.path(&format!("{platform}.tar"));
        let directory = self.root.join("linux").join(platform).join("bin");
        let rename = "--transform=s,^,usr/local/bin/,";
        let directory = directory.to_str().unwrap();
        run("tar".as_ref(), &["-cf", &path, rename, "-C", directory, "hello"]);
        path
    }

    fn crane(&self, table: &Table) {
        let Some(home) = peer::crane() else { return };
        table.row(
            "crane append, two archives without an index",
            || {},
            || {
                for platform in PLATFORMS {
                    let (tar, out) = (self.tar(platform), self.path("crane.tar"));
                    let tag = format!("registry.example/x/y:{platform}");
                    run(&home, &["append", "-f", &tar, "-t", &tag, "-o", &out]);
                }
            },
            none,
        );
        let Some(registry) = &self.registry else { return };
        table.row(
            "crane append, index append, registry",
            || {},
            || {
                let name = self.repository(registry);
                let mut index = vec!["index".to_owned(), "append".to_owned(), "-t".to_owned()];
                index.push(format!("{name}:1"));
                for platform in PLATFORMS {
                    let tag = format!("{name}:{platform}");
                    let tar = self.tar(platform);
                    run(&home, &["append", "--oci-empty-base", "-f", &tar, "-t", &tag]);
                    let set = format!("linux/{platform}");
                    let entry = "--entrypoint=/usr/local/bin/hello";
                    run(&home, &["mutate", &tag, "--set-platform", &set, entry, "-t", &tag]);
                    index.extend(["-m".to_owned(), tag]);
                }
                run(&home, &index.iter().map(String::as_str).collect::<Vec<_>>());
            },
            || self.size(registry),
        );
    }

    fn umoci(&self, table: &Table) {
        let (Some(umoci), Some(skopeo)) = (peer::find("umoci"), peer::find("skopeo")) else {
            return;
        };
        let layout = self.path("umoci");
        let clean = || drop(fs::remove_dir_all(&layout));
        let make = || {
            run(&umoci, &["init", "--layout", &layout]);
            for platform in PLATFORMS {
                let image = format!("{layout}:{platform}");
                run(&umoci, &["new", "--image", &image]);
                let file = self.program(platform);
                run(&umoci, &["insert", "--image", &image, &file, "/usr/local/bin/hello"]);
                let entry = "--config.entrypoint=/usr/local/bin/hello";
                let architecture = format!("--architecture={platform}");
                run(&umoci, &["config", "--image", &image, entry, &architecture]);
            }
        };
        let bytes = || size(Path::new(&layout));
        table.row("umoci insert, config, two images without an index", clean, make, bytes);
        let Some(registry) = &self.registry else { return };
        let copy = || {
            make();
            let name = format!("docker://{}", self.repository(registry));
            for platform in PLATFORMS {
                let (from, to) = (format!("oci:{layout}:{platform}"), format!("{name}:{platform}"));
                let arch = format!("--override-arch={platform}");
                run(&skopeo, &[&arch, "copy", "--dest-tls-verify=false", &from, &to]);
            }
        };
        table.row("umoci, skopeo copy to a registry", clean, copy, || self.size(registry));
    }

    fn recipe(&self) -> String {
        let recipe = self.path("Dockerfile");
        fs::write(&recipe, RECIPE).unwrap();
        recipe
    }

    fn buildah(&self, table: &Table) {
        let (Some(buildah), Some(())) = (peer::find("buildah"), peer::root()) else {
            return;
        };
        let (store, runs, recipe) = (self.path("b"), self.path("r"), self.recipe());
        let root = self.root.display().to_string();
        let run_in = |args: &[&str]| {
            let store = ["--root", &store, "--runroot", &runs, "--storage-driver=vfs"];
            run(&buildah, &[&store, args].concat());
        };
        let clean = || {
            drop(fs::remove_dir_all(&store));
            drop(fs::remove_dir_all(&runs));
        };
        let bud = || {
            let platforms = "--platform=linux/amd64,linux/arm64";
            let args = ["bud", "--no-cache", "--timestamp=0", platforms, "--manifest=m"];
            run_in(&[&args[..], &["-f", &recipe, &root]].concat());
        };
        let layout = format!("oci:{}", self.path("buildah.oci"));
        let write = || {
            bud();
            run_in(&["manifest", "push", "--all", "m", &layout]);
        };
        let bytes = || size(Path::new(&self.path("buildah.oci")));
        table.row("buildah bud, manifest push, layout", clean, write, bytes);
        let Some(registry) = &self.registry else { return };
        let push = || {
            bud();
            let to = format!("docker://{}:1", self.repository(registry));
            run_in(&["manifest", "push", "--all", "--tls-verify=false", "m", &to]);
        };
        table.row("buildah bud, manifest push, registry", clean, push, || self.size(registry));
        clean();
    }

    fn buildx(&self, table: &Table) {
        let Some(buildkit) = BuildKit::start() else {
            return;
        };
        let recipe = self.recipe();
        let build = |output: &str| {
            let mut command = buildkit.buildx();
            command.args(["--no-cache", "--platform=linux/amd64,linux/arm64", "--output", output]);
            command.args(["-f", &recipe]).arg(&self.root);
            let built = command.output().unwrap();
            assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        };
        let archive = format!("type=oci,dest={}", self.path("buildx.tar"));
        let bytes = || fs::metadata(self.path("buildx.tar")).map_or(0, |data| data.len());
        table.row("docker buildx build, archive", || {}, || build(&archive), bytes);
        let Some(registry) = &self.registry else { return };
        table.row(
            "docker buildx build, registry",
            || {},
            || {
                build(&format!("type=image,name={}:1,push=true", self.repository(registry)));
            },
            || self.size(registry),
        );
    }
}
