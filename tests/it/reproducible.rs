//! The same source gives the same bytes: wherever, whenever and by whom it is built.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    dist::{dist, optimised},
    support::{bom, command::Test, peer, tree::tree, workspace::Workspace},
};

const ONE: &str = "--target x86_64-unknown-linux-musl --no-smoke";

/// A program with a dependency from the registry, whose panics name its files, and with C code,
/// which names its own.
const FILES: [(&str, &str); 5] = [
    ("LICENSE", "Do as you like.\n"),
    ("build.rs", "fn main() { cc::Build::new().file(\"part.c\").compile(\"part\"); }\n"),
    ("part.h", "static const char *header(void) { return __FILE__; }\n"),
    (
        "part.c",
        "#include <assert.h>\n#include \"part.h\"\n\
         const char *part(int n) {\n    assert(n < 9);\n    \
         const char *all[] = {__FILE__, __func__, header()};\n    \
         return all[n % 3];\n}\n",
    ),
    (
        "src/main.rs",
        "extern \"C\" { fn part(n: i32) -> *const std::ffi::c_char; }\n\
         fn main() {\n    let args = std::env::args().collect::<String>();\n    \
         for n in 0..3 {\n        println!(\"{:?} {:?} {}\", \
         memchr::memmem::find(args.as_bytes(), b\"x\"), \
         unsafe { std::ffi::CStr::from_ptr(part(n)) }, file!());\n    \
         }\n}\n",
    ),
];

fn checkout(workspace: &Workspace, lock: &str) {
    let manifest = "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
                    license = \"MIT\"\ndescription = \"says hello\"\n[dependencies]\nmemchr = \"2\"\n\
                    [build-dependencies]\ncc = \"1\"\n\
                    [target.'cfg(windows)'.dependencies]\nstrsim = \"0.11\"\n\
                    [dev-dependencies]\nhumantime = \"2\"\n\
                    [package.metadata.longshore]\ndeb.maintainer = \"A <a@example.org>\"\n\
                    archive.formats = [\"tar.gz\", \"tar.zst\", \"tar.xz\", \"zip\"]\n";
    for (path, text) in FILES.into_iter().chain([("Cargo.toml", manifest), ("Cargo.lock", lock)]) {
        workspace.write(path, text);
    }
}

/// Runs `test` with this umask.
fn with_umask(mut test: Test, mask: u32) -> Test {
    #[allow(unsafe_code)]
    // SAFETY: umask(2) is async-signal-safe and touches no memory.
    unsafe {
        test.command.pre_exec(move || {
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
            Ok(())
        });
    }
    test.env("SOURCE_DATE_EPOCH", "1700000000")
}

/// Everything in `target/dist` but logs, with its digest and mode; `dist.json` without what tells of
/// the run: how much was compiled, and the files that were stripped, whose debug information names
/// the directories in which zig's own objects were compiled.
fn everything(workspace: &Workspace) -> (BTreeMap<PathBuf, (String, u32)>, Value) {
    let mut files = BTreeMap::new();
    for (path, entry) in tree(&workspace.dist()) {
        if !path.starts_with("logs") && path != Path::new("dist.json") {
            let mode = fs::metadata(workspace.dist().join(&path)).unwrap().mode();
            // What others may do with a file is the user's matter; whether it is a program is ours.
            files.insert(path, (entry.digest.to_string(), mode & 0o100));
        }
    }
    let json = fs::read(workspace.dist().join("dist.json")).unwrap();
    let mut json: Value = serde_json::from_slice(&json).unwrap();
    json.as_object_mut().unwrap().remove("units");
    for artifact in json["artifacts"].as_array_mut().unwrap() {
        artifact.as_object_mut().unwrap().remove("unstripped");
    }
    (files, json)
}

#[test]
fn two_checkouts_of_different_users_give_the_same_bytes() {
    let one = Workspace::hello();
    checkout(&one, "");
    one.remove("Cargo.lock");
    peer::lock(&one);
    let outer = Workspace::empty();
    let two = Workspace::at(&outer.path("another user's/much longer path/checkout"));
    checkout(&two, &fs::read_to_string(one.path("Cargo.lock")).unwrap());
    with_umask(optimised(&one, "--allocator mimalloc"), 0o022).run();
    // Another home, with cargo's registry in it under another name.
    let home = outer.path("home");
    fs::create_dir_all(home.join("cargo")).unwrap();
    let registry = peer::cargo_home().join("registry");
    std::os::unix::fs::symlink(registry, home.join("cargo/registry")).unwrap();
    // zig's own cache, where there is time: it then compiles musl anew.
    let zig_cache = if peer::slow() { home.join("zig") } else { peer::zig_cache() };
    with_umask(optimised(&two, "--allocator mimalloc"), 0o077)
        .env("CARGO_HOME", home.join("cargo"))
        .env("RUSTUP_HOME", peer::rustup_home())
        .env("LONGSHORE_CACHE_DIR", home.join("longshore"))
        .env("CARGO_ZIGBUILD_ZIG_PATH", peer::zig())
        .env("ZIG_GLOBAL_CACHE_DIR", zig_cache)
        .env("HOME", &home)
        .env("TZ", "Asia/Tokyo")
        .env("LANG", "de_DE.UTF-8")
        .env("LC_ALL", "de_DE.UTF-8")
        .run();
    let (files, json) = everything(&one);
    assert!(files.len() > 8, "{files:#?}");
    bom::check(&one, &json);
    assert_eq!(everything(&two), (files, json));
    let mode = |path: &str| fs::metadata(two.dist().join(path)).unwrap().mode() & 0o777;
    assert_eq!(mode("linux/amd64/bin/hello"), 0o755);
}

#[test]
fn twice_accepts_equal_builds_and_leaves_no_files() {
    let workspace = Workspace::empty();
    checkout(&workspace, "");
    workspace.remove("Cargo.lock");
    peer::lock(&workspace);
    dist(&workspace, &format!("{ONE} --twice"))
        .stderr("Reproduced 1 binary: two builds gave the same bytes")
        .run();
    assert!(!workspace.path("target/longshore-again").exists());
    assert!(workspace.dist().join("logs/again.log").exists());
}

#[test]
fn twice_detects_a_time_and_its_location() {
    let script = r#"
use std::{env, fs, time::SystemTime};
fn main() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let line = format!("pub const TIME: [u8; 32] = *b\"made at {:024}\";", now.as_nanos());
    fs::write(format!("{}/time.rs", env::var("OUT_DIR").unwrap()), line).unwrap();
}
"#;
    let main = "include!(concat!(env!(\"OUT_DIR\"), \"/time.rs\"));\n\
                #[no_mangle] pub static STAMP_OF_THIS_BUILD: [u8; 32] = TIME;\n\
                fn main() { println!(\"{:?}\", std::hint::black_box(&STAMP_OF_THIS_BUILD)) }\n";
    let workspace = Workspace::hello().file("build.rs", script).file("src/main.rs", main);
    let again = workspace.path("target/longshore-again");
    dist(&workspace, &format!("{ONE} --twice"))
        .status(1)
        .stderr("error: 1 of 1 binaries differ when they are built again\n")
        .stderr("linux/amd64 hello (x86_64-unknown-linux-musl): differs from offset 0x")
        .stderr(" on, in `.rodata`, in `STAMP_OF_THIS_BUILD`\n")
        .stderr("first: `")
        .stderr("again: `")
        .hint("the usual cause is a build script or a macro that uses the time")
        .stderr(&format!("the second build is in `{}`", again.display()))
        .absent("Packed")
        .run();
    assert!(again.exists());
    assert!(!workspace.dist().exists());
}
