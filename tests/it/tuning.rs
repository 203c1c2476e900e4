//! Presets, allocators, debug files and the ledger: what the plan says, and what comes out.

use std::{fs, path::Path};

use serde_json::Value;

use crate::support::{
    command::{Test, longshore},
    peer,
    workspace::{HELLO, Workspace, lock, manifest},
};

const AMD64: &str = "x86_64-unknown-linux-musl";
const ARM64: &str = "aarch64-unknown-linux-musl";

fn plan(workspace: &Workspace, args: &str) -> Value {
    longshore(workspace, &format!("plan --message-format json {args}")).run().json()
}

/// Returns the allocator of the job number `n`, and the reason.
fn allocator(json: &Value, n: usize) -> (String, String) {
    let text = |key: &str| json["jobs"][n]["allocator"][key].as_str().unwrap().to_owned();
    (text("allocator"), text("origin"))
}

fn flags(json: &Value, n: usize) -> Vec<String> {
    let flags = json["jobs"][n]["rustflags"].as_array().unwrap().iter();
    flags.map(|flag| flag["flag"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_preset_is_printed_completely() {
    let workspace = Workspace::hello();
    let speed = plan(&workspace, "--preset speed");
    assert_eq!(speed["jobs"][0]["cpu"], "x86-64-v3");
    assert!(flags(&speed, 0).contains(&"-Ctarget-cpu=x86-64-v3".to_owned()));
    assert!(flags(&speed, 1).contains(&"-Ctarget-cpu=neoverse-n1".to_owned()));
    assert_eq!(allocator(&speed, 0).0, "mimalloc");
    let size = plan(&workspace, "--preset size");
    let setting = |json: &Value, key: &str| {
        let settings = json["profile"]["settings"].as_array().unwrap().iter();
        let mut found = settings.filter(|setting| setting["key"] == key);
        found.next().map(|setting| setting["value"].as_str().unwrap().to_owned())
    };
    assert_eq!(setting(&size, "panic").as_deref(), Some("\"abort\""));
    assert!(flags(&size, 0).contains(&"-Cforce-unwind-tables=no".to_owned()));
    assert_eq!(allocator(&size, 0), ("system".into(), "auto: preset size".into()));
    assert_eq!(size["jobs"][0]["cpu"], Value::Null);
    // A key of the user's own wins, and takes with it what only goes with the preset's.
    let own = longshore(&workspace, "plan --message-format json --preset size")
        .env("CARGO_PROFILE_DIST_PANIC", "unwind")
        .run()
        .json();
    assert!(!flags(&own, 0).contains(&"-Cforce-unwind-tables=no".to_owned()));
    // Unstable switches are asked for by name, and told.
    let unstable = plan(&workspace, "--preset size --unstable no-locations");
    assert_eq!(unstable["profile"]["unstable"], serde_json::json!(["no-locations"]));
    assert!(flags(&unstable, 0).contains(&"-Zlocation-detail=none".to_owned()));
    assert_eq!(unstable["builds"][0]["env"]["RUSTC_BOOTSTRAP"], "1");
    assert_eq!(size["builds"][0]["env"]["RUSTC_BOOTSTRAP"], Value::Null);
    longshore(&workspace, "plan --unstable no-location").status(2).stderr("no-locations").run();
}

/// The level of gzip decides about digests, so that later stages read it from `dist.json`.
#[test]
fn the_level_of_gzip_follows_the_preset_unless_it_is_set() {
    let levels = |json: &Value| {
        ["images", "archives"].map(|key| json[key][0]["gzip-level"].as_u64().unwrap())
    };
    let workspace = Workspace::hello();
    for (preset, level) in [("balanced", 4), ("speed", 4), ("size", 10), ("quick", 1)] {
        let json = plan(&workspace, &format!("--preset {preset}"));
        assert_eq!(levels(&json), [level; 2], "{preset}");
    }
    assert_eq!(levels(&plan(&workspace, "--profile release")), [4; 2]);
    let setting = |level: &str| {
        let metadata = format!("[workspace.metadata.longshore]\ngzip-level = {level}\n");
        Workspace::empty().package("hello", &metadata)
    };
    assert_eq!(levels(&plan(&setting("7"), "--preset quick")), [7; 2]);
    for level in ["0", "13", "300"] {
        let expected = format!("expected a level from 1 to 12, found {level}");
        longshore(&setting(level), "plan").status(2).stderr(&expected).run();
    }
}

#[test]
fn the_allocator_follows_the_program_and_the_request() {
    let auto = "auto: preset balanced".to_owned();
    let workspace = Workspace::hello();
    assert_eq!(allocator(&plan(&workspace, ""), 0), ("mimalloc".into(), auto.clone()));
    let asked = plan(&workspace, "--allocator system");
    assert_eq!(allocator(&asked, 1), ("system".into(), "--allocator".into()));
    assert!(!flags(&asked, 0).iter().any(|flag| flag.contains("mimalloc")));
    let metadata = "[workspace.metadata.longshore]\nallocator = \"system\"\n[workspace]\n";
    let set = Workspace::empty().package("hello", metadata);
    assert_eq!(allocator(&plan(&set, ""), 0), ("system".into(), "metadata".into()));
    // One that the program declares.
    let declares = "#[global_allocator]\nstatic A: std::alloc::System = std::alloc::System;\n";
    workspace.write("src/main.rs", &format!("{declares}{HELLO}"));
    let (name, why) = allocator(&plan(&workspace, ""), 0);
    assert_eq!(name, "system");
    assert!(why.contains("the program has its own") && why.contains("main.rs"), "{why}");
    // One that a dependency brings, and only where it is a dependency.
    let dependency =
        format!("[target.{AMD64}.dependencies]\nmimalloc = {{ path = \"mimalloc\" }}\n");
    let with = Workspace::empty()
        .package("hello", &dependency)
        .file("mimalloc/Cargo.toml", &manifest("mimalloc", ""))
        .file("mimalloc/src/lib.rs", "")
        .file("src/main.rs", &format!("{declares}// mimalloc\n{HELLO}"));
    let locked = lock(&["hello", "mimalloc"]);
    let hello = "name = \"hello\"\nversion = \"0.1.0\"\n";
    with.write(
        "Cargo.lock",
        &locked.replace(hello, &format!("{hello}dependencies = [\"mimalloc\"]\n")),
    );
    let json = plan(&with, "");
    assert!(allocator(&json, 0).1.contains("crate `mimalloc`"), "{:?}", allocator(&json, 0));
    assert_eq!(allocator(&json, 1), ("mimalloc".into(), auto));
}

/// Returns the command `dist` as by default, with a short build.
fn balanced(workspace: &Workspace, args: &str) -> Test {
    longshore(workspace, &format!("dist --message-format json {args}"))
        .env("CARGO_PROFILE_DIST_LTO", "off")
        .env("CARGO_PROFILE_DIST_OPT_LEVEL", "1")
}

/// Returns the address and the section of the symbol `name`.
fn symbol(readelf: &Path, file: &Path, name: &str) -> Option<String> {
    let text = peer::run(readelf, ["-W", "-s", file.to_str().unwrap()]);
    let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.find(|words| words.last() == Some(&name)).map(|words| words[1].to_owned())
}

#[test]
fn mimalloc_serves_threads_and_symbols_are_kept_apart() {
    let (Some(readelf), Some(gdb)) = (peer::find("readelf"), peer::find("gdb")) else {
        return;
    };
    let threads = "fn main() {\n    let thread = |n: usize| move || -> usize {\n        \
                   (0..1000).map(|m| vec![n; m].len()).sum()\n    };\n    \
                   let all: Vec<_> = (0..4).map(|n| std::thread::spawn(thread(n))).collect();\n    \
                   let sum: usize = all.into_iter().map(|one| one.join().unwrap()).sum();\n    \
                   println!(\"{sum}\");\n}\n";
    let workspace = Workspace::hello().file("src/main.rs", threads);
    let json = balanced(&workspace, "--debug-files").run().json();
    for (artifact, (target, machine)) in
        json["artifacts"].as_array().unwrap().iter().zip([(AMD64, "amd64"), (ARM64, "arm64")])
    {
        assert_eq!(artifact["allocator"]["allocator"], "mimalloc");
        assert_eq!(artifact["smoke"]["output"], "1998000", "{artifact:#}");
        let made = workspace.path(&format!("target/longshore/{target}/dist/hello"));
        let [malloc, mimalloc] = ["malloc", "mi_malloc"].map(|name| symbol(&readelf, &made, name));
        assert!(malloc.is_some() && malloc == mimalloc, "{malloc:?} {mimalloc:?}");
        // Debuggers look for the symbols beside the program.
        let debug = workspace.dist().join(artifact["debug"]["path"].as_str().unwrap());
        assert!(debug.ends_with(format!("linux/{machine}/debug/hello.debug")));
        let place = workspace.path(machine);
        fs::create_dir(&place).unwrap();
        let program = place.join("hello");
        fs::copy(workspace.dist().join(artifact["path"].as_str().unwrap()), &program).unwrap();
        fs::copy(&debug, place.join("hello.debug")).unwrap();
        let lines = peer::run(
            &gdb,
            ["-nx", "-batch", "-ex", "info line main.rs:7", program.to_str().unwrap()],
        );
        assert!(lines.contains("Line 7 of \"src/main.rs\" starts at"), "{lines}");
    }
    assert_eq!(json["release"]["tools"]["mimalloc"], longshore::build::allocator::MIMALLOC);
    // Again, everything is kept; without the request, the symbols go.
    let again = balanced(&workspace, "--debug-files").run().json();
    assert_eq!(again["artifacts"], json["artifacts"]);
    assert_eq!(again["units"]["compiled"], 0);
}

#[test]
fn size_aborts_and_is_smaller() {
    let workspace = Workspace::hello();
    let args = format!("dist --message-format json --target {AMD64} --allocator system --preset");
    let plan_with = |preset: &str| longshore(&workspace, &format!("{args} {preset}")).run().json();
    let size = |json: &Value| json["artifacts"][0]["size"].as_u64().unwrap();
    let (balanced, small) = (plan_with("balanced"), plan_with("size"));
    assert!(size(&small) * 10 < size(&balanced) * 8, "{} {}", size(&small), size(&balanced));
    assert_eq!(small["artifacts"][0]["smoke"]["output"], "hello from a fixture");
}

#[test]
fn target_files_tune_the_build() {
    let Some(readelf) = peer::find("readelf") else {
        return;
    };
    let (_, text) =
        longshore::build::target::EMBEDDED.iter().find(|(name, _)| *name == AMD64).unwrap();
    let tuning = "relocation-model = \"static\"\nframe-pointers = true\n\
                  link-args = [\"-Wl,-z,stack-size=1507328\"]\nallocator = \"mimalloc\"\n\n[elf]";
    let workspace =
        Workspace::hello().file(&format!("targets/{AMD64}.toml"), &text.replace("\n[elf]", tuning));
    let json = crate::dist::dist(&workspace, &format!("--target {AMD64}")).run().json();
    let artifact = &json["artifacts"][0];
    assert_eq!(artifact["smoke"]["output"], "hello from a fixture");
    assert_eq!(artifact["allocator"]["allocator"], "mimalloc");
    let file = workspace.dist().join(artifact["path"].as_str().unwrap());
    let shown = peer::run(&readelf, ["-W", "-h", "-l", file.to_str().unwrap()]);
    assert!(shown.contains("EXEC (Executable file)"), "{shown}");
    let stack = shown.lines().find(|line| line.contains("GNU_STACK")).unwrap();
    assert!(stack.contains("0x170000"), "{stack}");
    let log = fs::read_to_string(workspace.dist().join("logs/build.log")).unwrap();
    assert!(log.contains("-Cforce-frame-pointers=yes"), "{log}");
}

#[test]
fn a_unit_that_is_compiled_twice_is_an_error_with_its_cause() {
    let script = "const FLAGS: Option<&str> = option_env!(\"CARGO_ENCODED_RUSTFLAGS\");\n\
                  fn main() {\n    println!(\"cargo:rerun-if-changed=build.rs\");\n    \
                  println!(\"cargo:warning={}\", FLAGS.is_some());\n}\n";
    let hidden = format!("[target.{AMD64}]\nrustflags = [\"--cfg=hidden\"]\n");
    let workspace = Workspace::hello()
        .file("build.rs", script)
        .file(".cargo/config.toml", &hidden)
        .file(&format!("targets/{AMD64}.toml"), &with_flags());
    crate::dist::dist(&workspace, "--no-smoke")
        .env("RUSTFLAGS", "--cfg=mine")
        .status(4)
        .stderr("`hello 0.1.0` (custom-build) was compiled twice for host")
        .stderr("two cargo commands")
        .stderr("hint: move the flags to `build.rustflags`")
        .run();
}

/// Returns the target's file, with a flag that the other target has not.
fn with_flags() -> String {
    let (_, text) =
        longshore::build::target::EMBEDDED.iter().find(|(name, _)| *name == AMD64).unwrap();
    text.replace("\n[elf]", "rustflags = [\"--cfg=amd64\"]\n\n[elf]")
}

#[test]
fn the_ledger_has_every_unit_with_its_time() {
    let (workspace, json) = crate::dist::shared();
    let units = json["units"]["each"].as_array().unwrap();
    let mut found: Vec<_> = units
        .iter()
        .map(|unit| ["kind", "target"].map(|key| unit[key].as_str().unwrap()))
        .collect();
    found.sort_unstable();
    let script = ["custom-build", "host"];
    assert_eq!(found, [["bin", ARM64], ["bin", AMD64], script]);
    for unit in units {
        assert_eq!(unit["package"], "hello");
        assert!(unit["seconds"].as_f64().unwrap() > 0.0, "{unit}");
    }
    assert!(!workspace.path("target/longshore/cargo-timings").exists());
    let timed = Workspace::hello();
    crate::dist::dist(&timed, &format!("--no-smoke --timings --target {AMD64}")).run();
    let page = fs::read_to_string(timed.dist().join("logs/build-timing.html")).unwrap();
    assert!(page.contains("<html"), "{page:.100}");
}
