//! Build scripts that run cargo: it inherits the flags for the target, and uses them for the host.

use std::process::Command;

use crate::support::{
    command::longshore,
    workspace::{Workspace, lock, manifest},
};

const BUILD: &str = r#"use std::{env, fs, path::PathBuf, process::Command};
fn main() {
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    let cargo = |verb: &str, args: &[&str]| {
        let mut cargo = Command::new(env::var("CARGO").unwrap());
        cargo.arg(verb).args(["--release", "--manifest-path", "tool/Cargo.toml", "--target-dir"]);
        let output = cargo.arg(out.join("t")).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    cargo("build", &[]);
    let tool = Command::new(out.join("t/release/tool")).output().unwrap();
    assert!(tool.status.success(), "tool: {}", tool.status);
    fs::write(out.join("seven.txt"), tool.stdout).unwrap();
    let cfg = cargo("rustc", &["--", "--print", "cfg"]);
    assert!(cfg.contains("unix"), "{cfg}");
    assert_eq!(cfg.contains("crt-static"), cfg!(target_feature = "crt-static"), "{cfg}");
    println!("cargo:rerun-if-changed=build.rs");
}
"#;

fn with_tool() -> Workspace {
    let tool = manifest("tool", "[workspace]\n");
    Workspace::hello()
        .file("tool/Cargo.toml", &tool)
        .file("tool/Cargo.lock", &lock(&["tool"]))
        .file("tool/src/main.rs", "fn main() {\n    println!(\"seven\");\n}\n")
        .file("build.rs", BUILD)
        .file(
            "src/main.rs",
            "fn main() {\n    print!(\"{}\", include_str!(concat!(env!(\"OUT_DIR\"), \"/seven.txt\")));\n}\n",
        )
}

#[test]
fn a_build_script_that_runs_cargo_builds_for_the_host() {
    let workspace = with_tool();
    let program = workspace.dist().join("linux/amd64/bin/hello");
    // For two targets, with mimalloc, and with the profile that the nested build has.
    for args in ["--preset quick", "--preset quick --allocator mimalloc", "--profile release"] {
        longshore(&workspace, &format!("build --no-smoke {args}")).run();
        if cfg!(target_arch = "x86_64") {
            assert_eq!(Command::new(&program).output().unwrap().stdout, b"seven\n", "{args}");
        }
    }
}

#[test]
fn other_arguments_for_the_linker_link_again() {
    let workspace = Workspace::hello();
    let program = workspace.dist().join("linux/amd64/bin/hello");
    let build = |allocator: &str| {
        let args = "build --preset quick --no-smoke --target x86_64-unknown-linux-musl";
        longshore(&workspace, &format!("{args} --allocator {allocator}")).run();
        std::fs::read(&program).unwrap()
    };
    let system = build("system");
    let mimalloc = build("mimalloc");
    assert!(mimalloc.len() > system.len());
    assert!(build("system") == system, "a program with mimalloc was not linked again");
    // They are in the plan, and not among the flags that build scripts get.
    let plan = longshore(&workspace, "plan --message-format json").run().json();
    let build = &plan["builds"][0];
    let args = build["link-args"]["x86_64-unknown-linux-musl"].as_array().unwrap();
    assert!(args.iter().any(|arg| arg == "-pie"), "{args:?}");
    assert!(args.iter().any(|arg| arg.as_str().unwrap().contains("mimalloc")), "{args:?}");
    let passed = build["env"]["CARGO_ENCODED_RUSTFLAGS"].as_str().unwrap();
    for flag in ["link-arg", "crt-static", "mimalloc"] {
        assert!(!passed.contains(flag), "{passed}");
    }
    let flags = plan["jobs"][0]["rustflags"].as_array().unwrap();
    let via = |flag: &str| {
        flags.iter().find(|entry| entry["flag"] == flag).map(|flag| flag["via"].clone())
    };
    assert_eq!(via("-Clink-arg=-pie").unwrap(), "linker");
    assert_eq!(via("-Ctarget-feature=+crt-static").unwrap(), "default");
    assert_eq!(via("-Csymbol-mangling-version=v0").unwrap(), "rustflags");
}
