//! `tune`: variants are built and measured on a command, equal ones once, and what fails is named.

use std::fs;

use crate::support::{command::longshore, workspace::Workspace};

/// The target of this machine, which can run the programs.
#[cfg(target_arch = "x86_64")]
const NATIVE: &str = "x86_64-unknown-linux-musl";
#[cfg(target_arch = "aarch64")]
const NATIVE: &str = "aarch64-unknown-linux-musl";

/// A program that keeps as many MiB in memory as its argument says, and fails with the argument `fail`.
const MAIN: &str = "fn main() {\n    \
    let word = std::env::args().nth(1).unwrap();\n    \
    if word == \"fail\" {\n        eprintln!(\"it fails\");\n        std::process::exit(3);\n    }\n    \
    let bytes = vec![1u8; word.parse::<usize>().unwrap() << 20];\n    \
    println!(\"{}\", bytes.iter().map(|b| u64::from(*b)).sum::<u64>());\n}\n";

fn program(settings: &str) -> Workspace {
    Workspace::empty()
        .package("hello", &format!("[workspace]\n[workspace.metadata.longshore]\n{settings}"))
        .file("src/main.rs", MAIN)
}

#[test]
fn variants_are_measured_and_equal_ones_built_once() {
    let workspace = program("preset = \"quick\"\ntune.run = [\"hello\", \"64\"]\n");
    let page = workspace.path("page.html");
    let args = format!(
        "tune --message-format json --target {NATIVE} --rounds 2 --html {} --variant preset-quick \
         --variant panic-abort",
        page.display()
    );
    let json = longshore(&workspace, &args).run().json();
    let variants = json["variants"].as_array().unwrap();
    let names: Vec<_> = variants.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["current", "preset-quick", "panic-abort"]);
    assert_eq!(variants[1]["same-as"], "current");
    let measured = |at: usize| &variants[at]["measured"];
    // Without unwind tables and what reads them.
    assert!(measured(2)["size"].as_u64() < measured(0)["size"].as_u64(), "{json:#}");
    for at in [0, 2] {
        let memory = measured(at)["peak-memory"].as_u64().unwrap();
        assert!((64 << 20..96 << 20).contains(&memory), "{memory}");
        let time = &measured(at)["time"];
        assert!(time["min"].as_f64() <= time["median"].as_f64(), "{time}");
        assert!(time["median"].as_f64() <= time["max"].as_f64(), "{time}");
        assert!(measured(at)["compressed"].as_u64() < measured(at)["size"].as_u64());
    }
    let change = &variants[2]["changes"][0];
    assert_eq!(
        (&change["table"], &change["line"]),
        (&"profile.dist".into(), &"panic = \"abort\"".into())
    );
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("panic-abort") && page.contains("<svg"), "{page}");
    // Nothing is compiled again, and `target/dist` is not touched.
    let again = longshore(&workspace, &args).run();
    assert!(!again.stderr.contains("Compiling"), "{}", again.stderr);
    assert!(!workspace.dist().exists());
}

#[test]
fn a_profile_of_the_training_is_a_variant() {
    let workspace = Workspace::empty()
        .package(
            "hello",
            "[workspace]\n[workspace.metadata.longshore]\npreset = \"quick\"\n\
             [package.metadata.longshore.pgo]\ntrain = [[\"hello\", \"3\"]]\n",
        )
        .file("src/main.rs", MAIN);
    let tune = |command: &str| {
        let args = format!(
            "tune --message-format json --target {NATIVE} --rounds 1 --variant pgo -- {command}"
        );
        longshore(&workspace, &args)
    };
    let json = tune("hello 2").absent("has the measured command").run().json();
    let pgo = &json["variants"][1];
    assert_eq!((&pgo["name"], &pgo["flags"][0]), (&"pgo".into(), &"--pgo".into()));
    assert!(pgo["measured"]["size"].as_u64() > Some(0), "{pgo:#}");
    tune("hello 3").stderr("`pgo.train` has the measured command").absent("Compiling").run();
}

#[test]
fn what_cannot_be_measured_is_named() {
    let workspace = program("preset = \"quick\"\n");
    let tune =
        |args: &str| longshore(&workspace, &format!("tune --target {NATIVE} --rounds 1 {args}"));
    tune("").status(2).stderr("there is no command to measure").run();
    tune("--variant preset-sise -- hello 1").status(2).stderr("did you mean `preset-size`?").run();
    tune("--variant pgo -- hello 1").status(2).stderr("no package has any").run();
    tune("--pgo -- hello 1").status(2).stderr("`--pgo` requests one for all variants").run();
    tune("-- helo 1").status(2).stderr("`helo`").run();
    let other = if cfg!(target_arch = "x86_64") { "aarch64" } else { "x86_64" };
    let other = format!("tune --target {other}-unknown-linux-musl -- hello 1");
    longshore(&workspace, &other).status(2).stderr("no chosen target is for this machine").run();
    tune("--variant preset-quick -- hello fail")
        .status(1)
        .stderr("ended with exit status: 3")
        .stderr("it fails")
        .run();
}
