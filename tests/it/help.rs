//! Snapshots of `--help`, of every command: `snapshots/`. A change of text shows in the diff of a
//! snapshot; `UPDATE_SNAPSHOTS=1 cargo test --workspace --test it help::` rewrites them.

use std::{collections::BTreeSet, env, fs, path::PathBuf};

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

/// Compares `text` with the snapshot `name`, or writes it there if the user says so. A crate for this
/// would change the features of once_cell, with which cargo compiles longshore twice.
pub(crate) fn compare(name: &str, text: &str) {
    let path = snapshots().join(name);
    if env::var("UPDATE_SNAPSHOTS").is_ok_and(|update| update == "1") {
        fs::write(&path, text).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let differs = |(at, (new, old)): (usize, (&str, &str))| {
        (new != old).then(|| format!("line {}: expected `{old}`, found `{new}`", at + 1))
    };
    let pad = |text: &'_ str| format!("{text}\n<end>\n");
    let (new, old) = (pad(text), pad(&expected));
    let difference = new.lines().zip(old.lines()).enumerate().find_map(differs);
    assert!(
        text == expected,
        "tests/it/snapshots/{name}: {}; hint: if the text was meant to change, run the test with \
         `UPDATE_SNAPSHOTS=1`",
        difference.unwrap_or_default()
    );
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
        compare(&name, &text);
        files.insert(name);
    }
    assert!(files.len() > 15, "{files:?}");
    // No snapshot of a command that was removed.
    let there = fs::read_dir(snapshots()).unwrap();
    let there = there.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // Those of outputs are in the same directory.
    let there: BTreeSet<_> = there.filter(|name| name.starts_with("longshore")).collect();
    assert_eq!(there, files);
}
