//! The ELF files that other ELF tools are tested with: of many machines, old, odd and broken.

use std::{
    fs,
    path::{Path, PathBuf},
};

use longshore::{
    binary::elf::{Facts, StripOptions, split, strip},
    build::target::Targets,
    verify::{Policy, Report, verify},
};

use crate::{support::peer, verify::tool};

/// Returns every file below `dir` that begins as ELF files do.
fn elf_files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut open = vec![dir.to_owned()];
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if meta.is_file() {
            let bytes = fs::read(&path).unwrap();
            if bytes.starts_with(b"\x7fELF") {
                files.push((path, bytes));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn files_of_other_tools_tests_are_classified_without_panic() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/corpus");
    if !dir.join("ready").exists() {
        peer::skip("the corpus is not there: `sh tests/it/support/corpus.sh target/peers/corpus`");
        return;
    }
    let Some(readelf) = tool("readelf") else { return };
    let files = elf_files(&dir.join("files"));
    assert!(files.len() > 300, "{}", files.len());
    let any = Policy::for_any();
    let targets = Targets::new([]).unwrap();
    let policies: Vec<_> = targets.iter().map(|target| target.policy()).collect();
    let (mut read, mut machines) = (0, std::collections::BTreeSet::new());
    for (path, bytes) in &files {
        let _ = Report::new("x", &verify(bytes, &any)).to_string();
        for policy in &policies {
            let verdict = verify(bytes, policy);
            let facts = Facts::read(bytes);
            // What the target's policy accepts has no interpreter and needs nothing.
            let dynamic = facts.is_ok_and(|f| f.interpreter.is_some() || !f.needed.is_empty());
            assert!(!(verdict.accepted && dynamic), "{}", path.display());
        }
        let _ = strip(bytes, StripOptions::default());
        let _ = split(bytes, StripOptions::default(), "x.debug");
        let Ok(facts) = Facts::read(bytes) else { continue };
        read += 1;
        machines.insert(facts.machine);
        let is_static = facts.interpreter.is_none() && facts.needed.is_empty();
        let mut command = std::process::Command::new(&readelf);
        let output = command.args(["-ldW"]).arg(path).env("LC_ALL", "C").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let says = text.contains("Shared library: [") || text.contains("program interpreter: /");
        // A file of debug information has the headers of a dynamic program, and not the program.
        assert!(!(is_static && says) || facts.detached, "{}: {text}", path.display());
    }
    eprintln!("{} files, {read} readable, {} machines", files.len(), machines.len());
    assert!(machines.len() > 10);
}
