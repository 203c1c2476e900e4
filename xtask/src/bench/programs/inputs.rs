//! What the programs work on: the source of the standard library, and files that are the same in every run.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a script")]

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use crate::run::{Result, step};

/// Copies the source of the standard library of this toolchain to `library`, and all of its Rust ten times to `all.rs`.
pub(super) fn library(place: &Path, _: &Path) -> Result {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let output = Command::new(rustc).args(["--print", "sysroot"]).output();
    let output = output.map_err(|error| format!("rustc: {error}"))?;
    let source = Path::new(String::from_utf8_lossy(&output.stdout).trim())
        .join("lib/rustlib/src/rust/library");
    if !source.is_dir() {
        return Err("the source of std is missing: `rustup component add rust-src`".to_owned());
    }
    let mut copy = Command::new("cp");
    step("library", copy.arg("-rL").arg(source).arg(place.join("library")))?;
    let join =
        "for n in 1 2 3 4 5 6 7 8 9 10; do find library -name '*.rs' -exec cat {} +; done > all.rs";
    step("all.rs", Command::new("sh").args(["-c", join]).current_dir(place))
}

/// Writes a tree of 20,000 short files.
pub(super) fn tree(place: &Path, _: &Path) -> Result {
    for number in 0..20_000 {
        let dir = place.join(format!("tree/dir{}/dir{}", number % 20, number % 400));
        let end = if number % 5 == 0 { "rs" } else { "txt" };
        let file = dir.join(format!("file-{number}.{end}"));
        fs::create_dir_all(&dir)
            .and_then(|()| fs::write(&file, number.to_string()))
            .map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

/// Writes packages for Python, and what is to be resolved of them.
pub(super) fn wheels(place: &Path, _: &Path) -> Result {
    let mut python = Command::new("python3");
    python.args(["-c", include_str!("wheels.py")]).arg(place.join("wheels"));
    step("wheels", &mut python)?;
    for (name, count) in [("few.in", 4), ("many.in", 40)] {
        let lines: String = (0..count).map(|n| format!("package-{}\n", n * 9)).collect();
        fs::write(place.join(name), lines).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

/// Writes a repository of 3,000 commits.
pub(super) fn repository(place: &Path, jj: &Path) -> Result {
    let repository = place.join("repository");
    step("git", Command::new("git").args(["init", "--quiet", "-b", "main"]).arg(&repository))?;
    let mut import = Command::new("git");
    import.args(["fast-import", "--quiet"]).current_dir(&repository).stdin(Stdio::piped());
    let mut import = import.spawn().map_err(|error| format!("git: {error}"))?;
    let mut stream = import.stdin.take().ok_or("no input of git")?;
    stream.write_all(history().as_bytes()).map_err(|error| format!("git: {error}"))?;
    drop(stream);
    let status = import.wait().map_err(|error| format!("git: {error}"))?;
    if !status.success() {
        return Err(format!("git fast-import ended with {status}"));
    }
    let mut init = Command::new(jj);
    init.args(["git", "init", "--quiet", "--colocate"]).arg(&repository);
    step("jj", init.env("HOME", place).env("JJ_CONFIG", ""))
}

/// Returns the commits for `git fast-import` (git-fast-import(1)): each appends to three of 600 files.
fn history() -> String {
    let mut stream = String::new();
    for commit in 0..3000 {
        let author = format!("A <a@example.org> {} +0000", 1_700_000_000 + commit * 60);
        let message = format!("Change {commit}");
        stream += &format!(
            "commit refs/heads/main\nauthor {author}\ncommitter {author}\ndata {}\n{message}\n",
            message.len()
        );
        for file in 0..3 {
            // The first file changes often, so that it has a history to be read.
            let number =
                if file == 0 && commit % 10 == 0 { 0 } else { (commit * 7 + file * 211) % 600 };
            let content: String =
                (0..=commit / 10).map(|line| format!("line {line} of {number}\n")).collect();
            let path = format!("dir{}/file{number}", number % 30);
            stream += &format!("M 644 inline {path}\ndata {}\n{content}\n", content.len());
        }
    }
    stream
}
