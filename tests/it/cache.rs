//! `cache save` and `cache restore` with real cargo: a clone compiles what changed, and never less.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use serde_json::Value;

use crate::support::{
    command::{Test, longshore},
    workspace::{Workspace, lock, manifest},
};

const TARGET: &str = "--target x86_64-unknown-linux-musl";

/// `app` prints what `lib` includes and what the build script of `script` read.
fn write(workspace: &Workspace) {
    let members = ["app", "lib", "listed", "script"];
    workspace
        .write("Cargo.toml", &format!("[workspace]\nmembers = {members:?}\nresolver = \"3\"\n"));
    let lock = lock(&members).replace(
        "name = \"app\"\nversion = \"0.1.0\"\n",
        "name = \"app\"\nversion = \"0.1.0\"\ndependencies = [\n \"lib\",\n \"listed\",\n \"script\",\n]\n",
    );
    workspace.write("Cargo.lock", &lock);
    let path = |name: &str| format!("{name} = {{ path = \"../{name}\" }}\n");
    let all = format!("[dependencies]\n{}{}{}", path("lib"), path("listed"), path("script"));
    workspace.write("app/Cargo.toml", &manifest("app", &all));
    let main = "fn main() {\n    println!(\"{} {} {}\", lib::X, listed::X, script::X);\n}\n";
    workspace.write("app/src/main.rs", main);
    workspace.write("lib/Cargo.toml", &manifest("lib", ""));
    workspace.write("lib/src/lib.rs", "pub const X: &str = include_str!(\"x.txt\");\n");
    workspace.write("lib/src/x.txt", "one");
    for name in ["listed", "script"] {
        workspace.write(&format!("{name}/Cargo.toml"), &manifest(name, ""));
        workspace.write(&format!("{name}/src/lib.rs"), "pub const X: &str = env!(\"X\");\n");
        workspace.write(&format!("{name}/in/x.txt"), "one");
    }
    // One names a directory, and the other nothing, so that cargo looks at its whole package.
    let read =
        "println!(\"cargo::rustc-env=X={}\", std::fs::read_to_string(\"in/x.txt\").unwrap());";
    let listed = format!("fn main() {{\n println!(\"cargo::rerun-if-changed=in\");\n {read}\n}}\n");
    workspace.write("listed/build.rs", &listed);
    workspace.write("script/build.rs", &format!("fn main() {{\n {read}\n}}\n"));
}

/// Returns the command `dist` with the shortest build.
fn dist(workspace: &Workspace, args: &str) -> Test {
    longshore(workspace, &format!("build --preset quick --message-format json {TARGET} {args}"))
        .env("CARGO_PROFILE_DIST_LTO", "off")
        .env("CARGO_PROFILE_DIST_OPT_LEVEL", "0")
}

fn compiled(test: Test) -> u64 {
    test.run().json()["units"]["compiled"].as_u64().unwrap()
}

/// A workspace that was built, and its cache. What tests change is a clone of it in its place, one
/// at a time, since a cache serves in the directory where it was saved.
struct Saved {
    root: Workspace,
    cache: Workspace,
    report: Value,
}

/// Returns the saved workspace, for one test at a time.
fn saved() -> std::sync::MutexGuard<'static, Saved> {
    static SAVED: OnceLock<std::sync::Mutex<Saved>> = OnceLock::new();
    let saved = SAVED.get_or_init(|| {
        let (root, cache) = (Workspace::empty(), Workspace::empty());
        write(&root);
        root.write("lib/src/x.txt", "stale");
        assert_ne!(compiled(dist(&root, "")), 0);
        root.write("lib/src/x.txt", "one");
        // Other flags leave other hashes, which are none of the cache's.
        compiled(dist(&root, "").env("RUSTFLAGS", "--cfg=stale"));
        compiled(dist(&root, ""));
        let report = save(&root, &cache).run().json();
        std::sync::Mutex::new(Saved { root, cache, report })
    });
    saved.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn save(root: &Workspace, cache: &Workspace) -> Test {
    longshore(root, "cache save --message-format json").arg(cache.root())
}

fn restore(root: &Workspace, cache: &Workspace) -> Test {
    longshore(root, "cache restore --message-format json").arg(cache.root())
}

impl Saved {
    /// Sets the state of a fresh clone: every file new, and nothing built.
    fn fresh_clone(&self) {
        for entry in fs::read_dir(self.root.root()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap()
            } else {
                fs::remove_file(path).unwrap()
            }
        }
        write(&self.root);
    }

    fn restore(&self) -> Value {
        restore(&self.root, &self.cache).run().json()
    }

    fn printed(&self) -> String {
        let file = self.root.dist().join("linux/amd64/bin/app");
        if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
            return String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
        }
        String::from_utf8(Command::new(file).output().unwrap().stdout).unwrap()
    }
}

/// Makes the file as old as files of old archives are.
fn age(path: &Path) {
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
}

#[test]
fn a_clone_with_its_cache_compiles_nothing() {
    let saved = saved();
    assert_eq!(saved.report["outcome"], "saved");
    saved.fresh_clone();
    let report = saved.restore();
    assert_eq!((&report["outcome"], &report["changed"]), (&"restored".into(), &0.into()));
    let json = dist(&saved.root, "").run().json();
    assert_eq!(json["units"]["compiled"], 0, "{report}");
    assert_eq!(saved.printed().trim(), "one one one");
    // What is restored can be saved again, as it was.
    let again = Workspace::empty();
    let report = save(&saved.root, &again).run().json();
    assert_eq!(
        (&report["units"], &report["files"]),
        (&saved.report["units"], &saved.report["files"])
    );
}

#[test]
fn changes_and_their_dependents_are_compiled_whatever_the_time() {
    let saved = saved();
    for (file, units, printed) in [
        ("lib/src/x.txt", 2, "two one one"),
        ("listed/in/x.txt", 2, "one two one"),
        ("script/in/x.txt", 2, "one one two"),
    ] {
        saved.fresh_clone();
        saved.root.write(file, "two");
        age(&saved.root.path(file));
        assert_eq!(saved.restore()["changed"], 1, "{file}");
        assert_eq!(compiled(dist(&saved.root, "")), units, "{file}");
        assert_eq!(saved.printed().trim(), printed);
        assert_eq!(compiled(dist(&saved.root, "")), 0, "{file}");
    }
}

#[test]
fn new_and_removed_files_are_detected() {
    let saved = saved();
    saved.fresh_clone();
    saved.root.write("script/in/new", "");
    age(&saved.root.path("script/in/new"));
    saved.restore();
    assert_eq!(compiled(dist(&saved.root, "")), 2);
    saved.fresh_clone();
    saved.root.write("listed/in/new", "");
    age(&saved.root.path("listed/in/new"));
    saved.restore();
    assert_eq!(compiled(dist(&saved.root, "")), 2);
}

#[test]
fn other_flags_compile_again() {
    let saved = saved();
    saved.fresh_clone();
    saved.restore();
    assert_ne!(compiled(dist(&saved.root, "").env("RUSTFLAGS", "--cfg=other")), 0);
}

#[test]
fn the_cache_has_the_last_build_only() {
    let saved = saved();
    saved.fresh_clone();
    saved.restore();
    let names = crate::support::tree::tree(&saved.root.path("target/longshore"));
    let mut apps = 0;
    for path in names.keys() {
        let text = path.to_str().unwrap();
        assert!(!text.contains("incremental") && !text.contains("rustc_info"), "{text}");
        apps += u32::from(text.contains("/.fingerprint/app-") && text.contains("invoked"));
    }
    assert_eq!(apps, 1, "{:#?}", names.keys());
    assert!(!saved.root.path("target/longshore.restoring").exists());
}

#[test]
fn builds_in_other_directories_detect_changed_files() {
    let saved = saved();
    saved.fresh_clone();
    // An everyday build of other content, then the content of the cache.
    saved.root.write("lib/src/x.txt", "other");
    let cargo = |verb: &str| {
        let mut command = crate::support::command::plain("cargo");
        command.args([verb, "--offline", "--package", "lib"]).current_dir(saved.root.root());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    cargo("build");
    saved.root.write("lib/src/x.txt", "one");
    let report = restore(&saved.root, &saved.cache)
        .stderr("unchanged files keep their new times")
        .run()
        .json();
    assert_ne!(report["withheld"], 0);
    assert!(cargo("build").contains("Compiling lib"));
}

/// Restoring is refused for `reason`, nothing is left of it, and the build begins from nothing.
fn rejected(saved: &Saved, cache: &Workspace, reason: &str) {
    saved.fresh_clone();
    let report = restore(&saved.root, cache).stderr("warning: the cache in").run().json();
    assert_eq!(report["outcome"], "refused");
    let reasons = report["reasons"].to_string();
    assert!(reasons.contains(reason), "no `{reason}` in {reasons}");
    assert!(!saved.root.path("target/longshore").exists());
    assert!(!saved.root.path("target/longshore.restoring").exists());
}

/// Returns a copy of the cache, and the path of its archive.
fn copy(saved: &Saved) -> (Workspace, std::path::PathBuf) {
    let copy = Workspace::empty();
    let mut archive = None;
    for entry in fs::read_dir(saved.cache.root()).unwrap() {
        let entry = entry.unwrap();
        let to = copy.root().join(entry.file_name());
        fs::copy(entry.path(), &to).unwrap();
        if to.extension().is_some_and(|extension| extension == "zst") {
            archive = Some(to);
        }
    }
    (copy, archive.unwrap())
}

/// Changes the header of a cache.
fn header(cache: &Workspace, change: impl FnOnce(&mut Value)) {
    let path = cache.path("longshore-cache.json");
    let mut header: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut header);
    fs::write(path, header.to_string()).unwrap();
}

#[test]
fn unusable_caches_are_rejected_and_the_build_continues() {
    let saved = saved();
    rejected(&saved, &Workspace::empty(), "there is no `longshore-cache.json`");
    let (other, archive) = copy(&saved);
    header(&other, |header| header["key"]["rustc"] = "1.2.3".into());
    rejected(&saved, &other, "its rustc is `1.2.3`, here it is");
    header(&other, |header| header["key"]["longshore"] = "0.0.1".into());
    rejected(&saved, &other, "its longshore is `0.0.1`");
    header(&other, |header| header["schema"] = 99.into());
    rejected(&saved, &other, "its format is 99");
    fs::write(other.path("longshore-cache.json"), "{").unwrap();
    rejected(&saved, &other, "is damaged");

    let (cut, path) = copy(&saved);
    let size = fs::metadata(&path).unwrap().len();
    fs::File::options().write(true).open(&path).unwrap().set_len(size / 2).unwrap();
    rejected(&saved, &cut, "bytes instead of");
    header(&cut, |header| header["size"] = (size / 2).into());
    rejected(&saved, &cut, "digest differs");
    fs::remove_file(&path).unwrap();
    rejected(&saved, &cut, "cannot read");
    // The unharmed one still serves after all of that, and a refusal has not changed it.
    drop(archive);
    assert_eq!(saved.restore()["outcome"], "restored");
}

#[test]
fn archives_with_outside_paths_are_rejected() {
    let saved = saved();
    let (evil, path) = copy(&saved);
    for (name, reason) in
        [("target/../../evil", "leads outside"), ("elsewhere/evil", "leads outside")]
    {
        let mut tar = tar::Builder::new(zstd::Encoder::new(Vec::new(), 1).unwrap());
        let mut add = |name: &str, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            // The crate would refuse to write such a name.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            tar.append(&header, bytes).unwrap();
        };
        add("manifest.json", br#"{"times":{},"inputs":{},"links":{},"packages":{},"units":{}}"#);
        add(name, b"evil");
        let bytes = tar.into_inner().unwrap().finish().unwrap();
        fs::write(&path, &bytes).unwrap();
        header(&evil, |header| {
            header["size"] = bytes.len().into();
            header["sha256"] = longshore::model::digest::Digest::sha256(&bytes).to_string().into();
        });
        rejected(&saved, &evil, reason);
        assert!(!saved.root.path("evil").exists() && !saved.root.path("target/evil").exists());
    }
}

#[test]
fn save_needs_a_build() {
    let workspace = Workspace::hello();
    longshore(&workspace, "cache save there")
        .status(2)
        .stderr("nothing to save: `")
        .hint("run `dist` or `build` first")
        .run();
    assert!(!workspace.path("there").exists());
}

#[test]
fn sccache_counts_are_reported() {
    let (workspace, place) = (Workspace::hello(), Workspace::empty());
    // As sccache has it: a wrapper that counts, and says so in JSON. (The real one is too large a
    // peer for what is tested here: that a wrapper is no rustc, and that the counts arrive.)
    let wrapper = place.path("sccache");
    let count = place.path("count");
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = --show-stats ]; then\n  n=$(wc -l < '{0}' 2>/dev/null || echo 0)\n  \
         echo '{{\"stats\":{{\"cache_hits\":{{\"counts\":{{\"Rust\":5}}}},\"cache_misses\":\
         {{\"counts\":{{\"Rust\":'$n'}}}}}}}}'\nelse\n  case \"$*\" in *'--crate-name hello '*) \
         echo >> '{0}';; esac\n  exec \"$@\"\nfi\n",
        count.display()
    );
    fs::write(&count, "").unwrap();
    fs::write(&wrapper, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&wrapper, mode).unwrap();
    let json = dist(&workspace, "")
        .env("RUSTC_WRAPPER", &wrapper)
        .stderr("Asked sccache: 0 hits, 1 misses")
        .run()
        .json();
    assert_eq!(json["sccache"], serde_json::json!({ "hits": 0, "misses": 1 }));
    let json = dist(&workspace, "").run().json();
    assert_eq!(json["sccache"], Value::Null);
}

#[test]
fn zig_objects_are_built_in_parallel_and_saved() {
    // Only where zig's cache has it already is this a matter of seconds.
    let (workspace, cache) = (Workspace::hello(), Workspace::empty());
    dist(&workspace, "--linker zig").run();
    let record = fs::read_to_string(workspace.path("target/longshore/longshore-units.json"));
    let record: Value = serde_json::from_str(&record.unwrap()).unwrap();
    let parts = record["zig"].as_array().unwrap();
    assert_eq!(parts.len(), 1);
    // The second build finds it done, and starts nothing.
    workspace.write("src/main.rs", "fn main() {}\n");
    dist(&workspace, "--linker zig").run();
    assert!(!workspace.dist().join("logs/warm.log").exists());
    save(&workspace, &cache).run();
}
