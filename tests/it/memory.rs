//! Memory functions: longshore's are in the result and right, the program's own come first, and those of
//! the C library can be chosen.

use std::{fs, path::Path};

use longshore::build::memory::FUNCTION_NAMES;
use serde_json::Value;

use crate::support::{
    command::{Test, longshore},
    peer,
    workspace::Workspace,
};

const AMD64: &str = "x86_64-unknown-linux-musl";
const ARM64: &str = "aarch64-unknown-linux-musl";

/// Returns the program that compares the functions with references, at each size and offset, between pages that cannot
/// be read.
fn checks(settings: &str) -> Workspace {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/memory");
    let read = |file: &str| fs::read_to_string(fixture.join(file)).unwrap();
    Workspace::empty()
        .file("Cargo.toml", &format!("{}{settings}", read("Cargo.toml")))
        .file("Cargo.lock", &read("Cargo.lock"))
        .file("src/main.rs", &read("src/main.rs"))
}

fn dist(workspace: &Workspace, args: &str) -> Test {
    longshore(workspace, &format!("dist --message-format json --preset quick {args}"))
}

/// Returns the address and the binding of each symbol of `names` in the program of `target`.
fn symbol(workspace: &Workspace, target: &str, name: &str) -> Option<(String, String)> {
    let readelf = peer::find("readelf")?;
    let file = workspace.path(&format!("target/longshore/{target}/dist"));
    let file = ["memory", "hello"].map(|name| file.join(name)).into_iter().find(|f| f.is_file());
    let text = peer::run(&readelf, ["-W", "-s", file.unwrap().to_str().unwrap()]);
    let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let found = lines.find(|words| words.last() == Some(&name));
    found.map(|words| (words[1].to_owned(), words[4].to_owned()))
}

#[test]
fn longshores_functions_are_linked_and_correct() {
    for name in ["readelf", "qemu-aarch64-static", "qemu-x86_64-static"] {
        if peer::find(name).is_none() {
            return;
        }
    }
    let workspace = checks("");
    let json = dist(&workspace, "").run().json();
    for (artifact, target) in json["artifacts"].as_array().unwrap().iter().zip([AMD64, ARM64]) {
        let choice = &artifact["memory-functions"];
        assert_eq!(choice["functions"], "fast", "{artifact:#}");
        assert_eq!(choice["origin"], "default for static musl");
        // That of zig 0.15 cannot be replaced, and those of arm64 are zig's.
        let others: Vec<&str> = choice["others"]
            .as_array()
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let expected = if target == AMD64 { &FUNCTION_NAMES[..] } else { &FUNCTION_NAMES[..5] };
        for (name, ours) in expected.iter().filter(|(name, _)| *name != "strlen") {
            assert!(!others.contains(name), "{choice:#}");
            let [function, ours] = [*name, *ours].map(|name| symbol(&workspace, target, name));
            assert_eq!(function.unwrap().0, ours.unwrap().0, "{name}");
        }
        assert!(artifact["smoke"]["output"].as_str().unwrap().ends_with(" checks passed"));
    }
    // Without AVX2.
    let file = workspace.dist().join("linux/amd64/bin/memory");
    let output = peer::run(
        &peer::find("qemu-x86_64-static").unwrap(),
        ["-cpu", "Nehalem", file.to_str().unwrap(), "500"],
    );
    assert!(output.ends_with(" checks passed\n"), "{output}");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_newer_cpu_gets_wider_vectors() {
    if !std::is_x86_feature_detected!("avx2") {
        return peer::skip("the machine has no AVX2");
    }
    let workspace = checks("");
    let (_, text) =
        longshore::build::target::EMBEDDED.iter().find(|(name, _)| *name == AMD64).unwrap();
    let text = text.replace("speed-cpu = ", "cpu = ");
    workspace.write(&format!("targets/{AMD64}.toml"), &text);
    let json = dist(&workspace, &format!("--target {AMD64}")).run().json();
    let artifact = &json["artifacts"][0];
    assert!(artifact["smoke"]["output"].as_str().unwrap().ends_with(" checks passed"));
    assert_eq!(artifact["memory-functions"]["functions"], "fast");
}

#[test]
fn the_functions_of_the_c_library_can_be_chosen() {
    let settings = "memory-functions = \"system\"\n";
    let workspace = checks(settings);
    let json = dist(&workspace, &format!("--target {AMD64}")).run().json();
    let choice = serde_json::json!({ "functions": "system", "origin": "metadata" });
    assert_eq!(json["artifacts"][0]["memory-functions"], choice);
    assert_eq!(symbol(&workspace, AMD64, "longshore_memcmp"), None);
    let wrong = checks(&settings.replace("system", "slow"));
    longshore(&wrong, "plan").status(2).stderr("expected `fast` or `system`").run();
}

#[test]
fn a_programs_own_function_comes_first() {
    let main = "use std::sync::atomic::{AtomicBool, Ordering::Relaxed};\n\
                static CALLED: AtomicBool = AtomicBool::new(false);\n\
                #[unsafe(no_mangle)]\n\
                unsafe extern \"C\" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {\n    \
                CALLED.store(true, Relaxed);\n    \
                for at in 0..n {\n        \
                let (x, y) = unsafe { (a.add(at).read_volatile(), b.add(at).read_volatile()) };\n        \
                if x != y {\n            return i32::from(x) - i32::from(y);\n        }\n    }\n    0\n}\n\
                fn main() {\n    let words: Vec<String> = std::env::args().collect();\n    \
                let mut sorted = words.clone();\n    sorted.sort();\n    sorted.extend(words);\n    \
                sorted.sort();\n    println!(\"{}\", CALLED.load(Relaxed));\n}\n";
    for lto in ["off", "fat"] {
        let workspace = Workspace::hello().file("src/main.rs", main);
        let json = dist(&workspace, &format!("--target {AMD64}"))
            .env("CARGO_PROFILE_DIST_LTO", lto)
            .run()
            .json();
        let artifact = &json["artifacts"][0];
        assert_eq!(artifact["smoke"]["output"], "true", "{artifact:#}");
        let none = Vec::new();
        let others = artifact["memory-functions"]["others"].as_array().unwrap_or(&none);
        assert!(!others.contains(&"memcpy".into()), "{artifact:#}");
        // With `fat` it is inlined.
        assert!(lto == "fat" || others.contains(&"memcmp".into()), "{artifact:#}");
    }
}

#[test]
fn the_object_calls_nothing() {
    let Some(readelf) = peer::find("readelf") else { return };
    let json = longshore(&Workspace::hello(), "plan --message-format json").run().json();
    let jobs = json["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), 2);
    // Other tests may not have compiled it yet.
    longshore(&Workspace::hello(), "build --preset quick").run();
    for job in jobs {
        let flags = job["rustflags"].as_array().unwrap();
        let of_object = |flag: &&Value| flag["origin"] == "longshore: memory functions fast";
        let flag = flags.iter().find(of_object).unwrap()["flag"].as_str().unwrap();
        let object = flag.strip_prefix("-Clink-arg=").unwrap();
        let symbols = peer::run(&readelf, ["-W", "-s", object]);
        let undefined: Vec<&str> = symbols
            .lines()
            .filter(|line| line.contains(" UND ") && !line.ends_with("UND "))
            .collect();
        assert_eq!(undefined, [""; 0], "{symbols}");
        // A function that the compiler replaced with a call of itself would be called by its name.
        let relocations = peer::run(&readelf, ["-W", "-r", object]);
        let by_name = |line: &&str| {
            let name = line.split_whitespace().nth(4).unwrap_or_default();
            FUNCTION_NAMES.iter().any(|(function, ours)| [*function, *ours].contains(&name))
        };
        let calls: Vec<&str> = relocations.lines().filter(by_name).collect();
        assert_eq!(calls, [""; 0], "{relocations}");
    }
}

#[test]
fn the_plan_names_the_functions_and_their_origin() {
    let text = longshore(&Workspace::hello(), "plan").run().stdout;
    let line = format!("memory     {AMD64}: fast  # default for static musl");
    assert!(text.contains(&line), "{text}");
}
