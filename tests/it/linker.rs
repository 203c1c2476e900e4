//! The linker: rust-lld where the program allows it, zig otherwise, and the failures and messages of both.

use std::{fs, path::Path};

use longshore::build::linker::{musl, notice::NOTICES};
use serde_json::Value;

use crate::support::{
    command::{LONGSHORE, Test, cache, longshore, plain},
    peer,
    workspace::{Workspace, manifest},
};

const AMD64: &str = "x86_64-unknown-linux-musl";

fn dist(workspace: &Workspace, args: &str) -> Test {
    longshore(workspace, &format!("dist --message-format json --preset quick {args}"))
}

fn linker(json: &Value) -> (&str, &str) {
    let choice = &json["artifacts"][0]["linker"];
    (choice["linker"].as_str().unwrap(), choice["origin"].as_str().unwrap())
}

/// Returns a program with a function in C, compiled as the crate cc does.
fn with_c(more: &str) -> Workspace {
    let script = format!(
        "use std::{{env, process::Command}};\n\
         fn main() {{\n    let out = env::var(\"OUT_DIR\").unwrap();\n    \
         let target = env::var(\"TARGET\").unwrap().replace('-', \"_\");\n    \
         let tool = |name: &str| Command::new(env::var(format!(\"{{name}}_{{target}}\")).unwrap());\n    \
         let object = format!(\"{{out}}/a.o\");\n    \
         assert!(tool(\"CC\").args([\"-c\", \"-O2\", \"-fPIC\", \"a.c\", \"-o\", &object]).status().unwrap().success());\n    \
         let library = format!(\"{{out}}/liba.a\");\n    \
         assert!(tool(\"AR\").args([\"crs\", &library, &object]).status().unwrap().success());\n    \
         println!(\"cargo:rustc-link-search=native={{out}}\");\n    \
         println!(\"cargo:rustc-link-lib=static=a\");\n    \
         println!(\"cargo:rustc-link-lib=m\");\n{more}}}\n"
    );
    Workspace::hello()
        .file("build.rs", &script)
        .file(
            "a.c",
            "#include <math.h>\n#include <stdio.h>\nint twice(double x) {\n  char text[99];\n  \
             snprintf(text, 99, \"%d\", (int)(2 * cbrt(x)));\n  return text[0] - '0';\n}\n",
        )
        .file(
            "src/main.rs",
            "unsafe extern \"C\" { fn twice(x: f64) -> i32; }\nfn main() {\n    \
             let n = std::env::args().count() as f64;\n    \
             println!(\"{}\", unsafe { twice(n * 4.0) });\n}\n",
        )
}

#[test]
fn a_program_without_c_needs_no_library_of_zig() {
    let Some(readelf) = peer::find("readelf") else { return };
    if peer::find("qemu-aarch64-static").is_none() {
        return;
    }
    let workspace = Workspace::hello();
    let zig = Workspace::empty();
    let test = dist(&workspace, "").env("ZIG_GLOBAL_CACHE_DIR", zig.root());
    let json = test.run().json();
    assert_eq!(linker(&json), ("rust-lld", "auto: no C in the program"));
    let libraries = plain("find").arg(zig.root()).args(["-name", "lib*.a"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&libraries.stdout), "");
    for artifact in json["artifacts"].as_array().unwrap() {
        assert_eq!(artifact["smoke"]["output"], "hello from a fixture", "{artifact:#}");
        let file = workspace.dist().join(artifact["path"].as_str().unwrap());
        let dynamic = peer::run(&readelf, ["-d", file.to_str().unwrap()]);
        assert!(dynamic.contains("(RELR)") && dynamic.contains("PIE"), "{dynamic}");
    }
    let documents = json["documents"].as_array().unwrap();
    let provenance = documents.iter().find(|one| one["kind"] == "provenance").unwrap();
    let path = workspace.dist().join(provenance["path"].as_str().unwrap());
    let provenance: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let targets = &provenance["predicate"]["buildDefinition"]["internalParameters"]["targets"];
    assert_eq!(targets[AMD64]["linker"], "rust-lld");
    let text = longshore(&workspace, "plan").run().stdout;
    let line = format!("linker     {AMD64}: rust-lld  # auto: no C in the program");
    assert!(text.contains(&line), "{text}");
    assert!(text.contains("pack-relative-relocs"), "{text}");
}

#[test]
fn c_is_linked_by_both() {
    if peer::find("qemu-aarch64-static").is_none() {
        return;
    }
    let workspace = with_c("");
    let json = dist(&workspace, "--linker rust-lld").run().json();
    assert_eq!(linker(&json), ("rust-lld", "--linker"));
    let by_zig = dist(&workspace, &format!("--target {AMD64}")).run().json();
    let why = "auto: `hello` contains C, and is not tested with rust-lld";
    assert_eq!(linker(&by_zig), ("zig", why));
    for artifact in [&json["artifacts"], &by_zig["artifacts"]].map(|all| all.as_array().unwrap()) {
        let outputs = artifact.iter().map(|artifact| &artifact["smoke"]["output"]);
        outputs.for_each(|output| assert_eq!(output, "4"));
    }
}

/// Returns the linker of the plan for amd64, with its reason.
fn planned(test: Test) -> String {
    let json = test.run().json();
    let choice = &json["jobs"][0]["linker"];
    format!("{} {}", choice["linker"].as_str().unwrap(), choice["origin"].as_str().unwrap())
}

#[test]
fn what_adds_to_a_link_is_detected() {
    let plan = |workspace: &Workspace| {
        longshore(workspace, &format!("plan --no-locked --message-format json --target {AMD64}"))
    };
    let workspace = Workspace::hello();
    let with = |flags: &str| planned(plan(&workspace).env("RUSTFLAGS", flags));
    let reason = "zig auto: `-lx` from RUSTFLAGS adds to the link";
    assert_eq!(with("-Clink-arg=-lx"), reason);
    assert_eq!(with("-Clink-arg=-Wl,--icf=all"), "rust-lld auto: no C in the program");
    // A library for build scripts prints the line for cargo, or calls the crate cc, which knows C++, too.
    const CC: &str = "pub const LINES: [&str; 2] = [\"cargo:rustc-link-lib=\", \"stdc++\"];\n";
    let helper = |dependency: &str, source: &str| {
        Workspace::empty()
            .package("hello", "[workspace]\n[build-dependencies]\nhelper = { path = \"helper\" }\n")
            .file("build.rs", "fn main() { helper::link() }\n")
            .file("src/main.rs", "fn main() {}\n")
            .file("helper/Cargo.toml", &manifest("helper", dependency))
            .file("helper/src/lib.rs", source)
            .file("cc/Cargo.toml", &manifest("cc", ""))
            .file("cc/src/lib.rs", CC)
    };
    let zig = "zig auto: `hello` contains C, and is not tested with rust-lld";
    let prints = "pub fn link() { println!(\"cargo:rustc-link-lib=a\") }\n";
    assert_eq!(planned(plan(&helper("", prints))), zig);
    let calls = "[dependencies]\ncc = { path = \"../cc\" }\n";
    assert_eq!(planned(plan(&helper(calls, "pub fn link() {}\n"))), zig);
    let direct = helper("", "")
        .package("hello", "[workspace]\n[build-dependencies]\ncc = { path = \"cc\" }\n")
        .file("build.rs", "fn main() {}\n");
    assert_eq!(planned(plan(&direct)), zig);
    let neither = planned(plan(&helper("", "pub fn link() {}\n")));
    assert_eq!(neither, "rust-lld auto: no C in the program");
}

#[test]
fn arguments_of_build_scripts_reach_rust_lld() {
    let script = "fn main() {\n    for arg in [\"-Wl,--defsym=answer=42\", \"-u\", \"kept\", \
                  \"-rdynamic\", \"-Wl,--icf=all\", \"-lm\", \"-Wl,-z,stack-size=2097152\"] {\n        \
                  println!(\"cargo:rustc-link-arg={arg}\");\n    }\n}\n";
    let main = "unsafe extern \"C\" { static answer: u8; }\n\
                #[unsafe(no_mangle)] extern \"C\" fn kept() {}\n\
                fn main() { println!(\"{}\", &raw const answer as usize & 0xff) }\n";
    let workspace = Workspace::hello().file("build.rs", script).file("src/main.rs", main);
    let test = dist(&workspace, &format!("--target {AMD64}"));
    let json = test.run().json();
    assert_eq!(linker(&json), ("rust-lld", "auto: no C in the program"));
    assert_eq!(json["artifacts"][0]["smoke"]["output"], "42");
}

#[test]
fn settings_choose_by_precedence() {
    let plan = |workspace: &Workspace, args: &str| {
        planned(longshore(workspace, &format!("plan --message-format json {args}")))
    };
    let table = "[workspace.metadata.longshore]\nlinker = \"zig\"\n";
    let workspace = Workspace::empty().package("hello", table);
    let target = format!("--target {AMD64}");
    assert_eq!(plan(&workspace, &target), "zig metadata");
    let (_, text) =
        longshore::build::target::EMBEDDED.iter().find(|(name, _)| *name == AMD64).unwrap();
    let file = text.replace("\n[elf]", "\nlinker = \"rust-lld\"\n[elf]");
    workspace.write(&format!("targets/{AMD64}.toml"), &file);
    assert!(plan(&workspace, &target).starts_with("rust-lld "));
    assert_eq!(plan(&workspace, &format!("{target} --linker zig")), "zig --linker");
    let wrong = Workspace::empty().package("hello", &table.replace("zig", "mold"));
    longshore(&wrong, "plan").status(2).stderr("unknown variant `mold`").run();
    let gnu = text.replace("static-pie", "dynamic");
    workspace.write("targets/x86_64-unknown-linux-gnu.toml", &gnu);
    longshore(&workspace, "plan --target x86_64-unknown-linux-gnu --linker rust-lld")
        .status(2)
        .stderr("`linker = \"rust-lld\"` from --linker cannot link `x86_64-unknown-linux-gnu`")
        .hint("`linker = \"zig\"`")
        .run();
}

#[test]
fn failures_name_the_linker() {
    let missing =
        "unsafe extern \"C\" { fn nowhere(); }\nfn main() {\n    unsafe { nowhere() };\n}\n";
    let workspace = Workspace::hello().file("src/main.rs", missing);
    dist(&workspace, &format!("--target {AMD64}"))
        .status(4)
        .stderr("undefined symbol: nowhere")
        .stderr("rust-lld failed to link")
        .hint("`linker = \"zig\"`")
        .run();
    // Without a build script, no C++ is compiled; the library is requested for nothing.
    let attribute = "#[link(name = \"stdc++\")]\nunsafe extern \"C\" {}\nfn main() {}\n";
    let workspace = Workspace::hello().file("src/main.rs", attribute);
    dist(&workspace, &format!("--target {AMD64}"))
        .status(4)
        .stderr("`-lstdc++` requests a C++ library")
        .hint("`linker = \"zig\"`")
        .run();
    // What may be C++ is linked by zig; rust-lld has no library of it.
    let workspace = with_c("    println!(\"cargo:rustc-link-lib=stdc++\");\n");
    let plan = longshore(&workspace, "plan").run().stdout;
    assert!(plan.contains("zig  # auto: `hello` may contain C++"), "{plan}");
    dist(&workspace, &format!("--target {AMD64} --linker rust-lld"))
        .status(4)
        .stderr("`-lstdc++` requests a C++ library")
        .hint("`linker = \"zig\"`")
        .run();
}

#[test]
fn notices_of_zig_do_not_reach_rustc() {
    let other = "ld.lld: warning: a.o: missing .note.GNU-stack section";
    let mut zig = "#!/bin/sh\n".to_owned();
    for line in NOTICES.iter().map(|notice| notice.example).chain([other]) {
        zig += &format!("echo \"{line}\" >&2\n");
    }
    let workspace = Workspace::empty().file("zig", &format!("{zig}exit 7\n"));
    let program = workspace.path("zig");
    let run = |args: &[&str]| {
        let mut command = plain(LONGSHORE);
        command.args(["zig", "cc", "0.15.2", "/bin/sh"]).arg(&program).arg("--").args(args);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let target = ["-target", "x86_64-linux-musl"];
    let link = [&target[..], &["a.o", "-o", "a"]].concat();
    assert_eq!(run(&link), (Some(7), format!("{other}\n")));
    // A compiler's messages are all passed on.
    let compile = [&target[..], &["-c", "a.c"]].concat();
    assert!(run(&compile).1.starts_with(NOTICES[0].example));
}

#[test]
fn the_toolchain_has_the_version_of_musl_in_the_table() {
    let Some(rustc) = peer::find("rustc") else { return };
    let sysroot = peer::run(&rustc, ["--print=sysroot"]);
    let library =
        Path::new(sysroot.trim()).join("lib/rustlib").join(AMD64).join("lib/self-contained/libc.a");
    let Ok(content) = fs::read(&library) else {
        return peer::skip(&format!("`rustup target add {AMD64}` first"));
    };
    let version = peer::run(&rustc, ["--version"]);
    let version = version.split_whitespace().nth(1).unwrap().parse().unwrap();
    let (major, minor, patch) = musl::bundled(&version).unwrap();
    let text = format!("\0{major}.{minor}.{patch}\0");
    assert!(content.windows(text.len()).any(|window| window == text.as_bytes()), "{text:?}");
}

#[test]
fn std_may_come_from_a_directory_with_spaces() {
    let workspace = Workspace::at(&cache("linker with 'quotes'"));
    workspace.write("Cargo.toml", &manifest("hello", ""));
    workspace.write("src/main.rs", "fn main() {\n    println!(\"quoted\");\n}\n");
    let test = dist(&workspace, &format!("--no-locked --target {AMD64} --linker rust-lld"));
    assert_eq!(test.run().json()["artifacts"][0]["smoke"]["output"], "quoted");
}
