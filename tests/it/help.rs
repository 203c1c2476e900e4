//! Snapshots of `--help`, of every command: `snapshots/`. A change of text shows in the diff of a
//! snapshot; `UPDATE_EXPECT=1 cargo test --test it help::` rewrites them.

use std::{collections::BTreeSet, fs, path::PathBuf};

use expect_test::expect_file;

use crate::support::command::{LONGSHORE, plain};

fn snapshots() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/snapshots")
}

/// Returns what `--help` prints of the command `words`, as wide as for a pipe.
fn help(words: &[String]) -> String {
    let mut command = plain(LONGSHORE);
    let output = command.arg("longshore").args(words).arg("--help").env_remove("COLUMNS").output();
    let output = output.unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the names in the section `Commands:` of a help text; lines that go on are indented more.
fn commands(help: &str) -> Vec<String> {
    let Some((_, section)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let lines = section.lines().take_while(|line| !line.is_empty());
    let names =
        lines.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    let first = names.filter_map(|line| line.split_whitespace().next());
    first.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn each_command_prints_its_snapshot() {
    let mut open = vec![Vec::new()];
    let mut files = BTreeSet::new();
    while let Some(words) = open.pop() {
        let text = help(&words);
        for name in commands(&text) {
            open.push([&words[..], &[name]].concat());
        }
        let name = [&["longshore".to_owned()], &words[..]].concat().join("-") + ".txt";
        expect_file![snapshots().join(&name)].assert_eq(&text);
        files.insert(name);
    }
    assert!(files.len() > 15, "{files:?}");
    // No snapshot of a command that was removed.
    let there = fs::read_dir(snapshots()).unwrap();
    let there: BTreeSet<_> =
        there.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, files);
}
