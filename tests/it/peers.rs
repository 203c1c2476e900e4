//! The list of programs that tests start, `support/peers.txt`: complete, and sufficient on a machine
//! that has nothing else.

use std::collections::BTreeSet;

use serde_json::json;
use tempfile::TempDir;

use crate::{
    support::{
        command::plain,
        dist::Dist,
        peer::{self, LIST, listed},
        program,
    },
    tidy::{files, repository},
};

/// Words of the shell that a command can begin with, and after which another command follows.
const LEADING: [&str; 13] =
    ["!", "{", "}", "(", "if", "then", "elif", "else", "while", "until", "do", "exec", "command"];

/// Words of the shell that are commands by themselves.
const BUILTIN: [&str; 30] = [
    ".", ":", "[", "break", "case", "cd", "continue", "done", "echo", "esac", "eval", "exit",
    "export", "false", "fi", "for", "kill", "printf", "pwd", "read", "return", "set", "shift",
    "test", "trap", "true", "type", "ulimit", "unset", "wait",
];

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || "+-._".contains(c))
}

/// Removes comments, here-documents and what stands in single quotes, which is data.
fn without_data(script: &str) -> String {
    let mut text = String::new();
    let mut end: Option<String> = None;
    for line in script.lines() {
        if let Some(word) = &end {
            if line.trim() == word {
                end = None;
            }
            continue;
        }
        if line.trim_start().starts_with('#') {
            continue;
        }
        if let Some((_, rest)) = line.split_once("<<") {
            let word = rest.trim_start_matches('-').trim_start().trim_start_matches(['\'', '"']);
            let word: String = word.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
            end = Some(word).filter(|word| !word.is_empty());
        }
        text.push_str(line.split(" # ").next().unwrap_or(line));
        text.push('\n');
    }
    let text = text.replace("\\\n", " ").replace("\\'", "");
    text.split('\'').step_by(2).collect::<Vec<_>>().join("''")
}

/// Returns the programs that a shell script starts: the first word of each command, except for what
/// the shell itself does, for functions of the script, and for variables.
fn started(script: &str) -> BTreeSet<String> {
    let text = without_data(script);
    let text = text.replace("$((", "").replace("$(", "\n").replace(";;", "\n").replace("&&", "\n");
    let commands = text.split(['\n', ';', '|', '`', '&', '(']);
    let functions: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.split_once("() {").or(line.split_once("()\n")))
        .map(|f| f.0.trim())
        .collect();
    let mut found = BTreeSet::new();
    for command in commands {
        let mut words = command.split_whitespace().map(|word| word.trim_matches('"'));
        let assigns = |word: &str| {
            let name = word.split('=').next().unwrap_or_default();
            word.contains('=') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        // `pattern)` of a `case` precedes a command.
        let precedes = |word: &str| LEADING.contains(&word) || assigns(word) || word.ends_with(')');
        let first = words.find(|word| !precedes(word));
        let known = |word: &str| BUILTIN.contains(&word) || functions.contains(word);
        found.extend(first.filter(|word| is_name(word) && !known(word)).map(str::to_owned));
    }
    found
}

/// Returns the string literals of Rust code, with their escapes undone as far as a script needs.
fn literals(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find(['"', '/', '\'']) {
        let (before, from) = rest.split_at(at);
        if from.starts_with("//") {
            rest = from.split_once('\n').map_or("", |(_, rest)| rest);
        } else if let Some(after) = from.strip_prefix('/') {
            rest = after;
        } else if from.starts_with('\'') {
            rest = &from[character(from)..];
        } else if let Some(hashes) = raw(before) {
            let end = format!("\"{}", "#".repeat(hashes));
            let (text, after) = from[1..].split_once(&end).unwrap();
            found.push(text.to_owned());
            rest = after;
        } else {
            let end = 1 + string(&from[1..]);
            found.push(unescaped(&from[1..end]));
            rest = &from[end + 1..];
        }
    }
    found
}

/// Returns the length of the character literal that `text` begins with, or of the quote of a lifetime.
fn character(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    if characters.next().is_some_and(|(_, c)| c == '\\') {
        return text[3..].find('\'').map_or(1, |at| at + 4);
    }
    characters.next().filter(|(_, c)| *c == '\'').map_or(1, |(at, _)| at + 1)
}

/// Returns the length of a string up to its closing quote.
fn string(text: &str) -> usize {
    let mut escaped = false;
    let end = |c: char| {
        let end = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        end
    };
    text.find(end).unwrap()
}

fn unescaped(text: &str) -> String {
    let mut lines = text.split("\\\n");
    let mut joined = lines.next().unwrap_or_default().to_owned();
    lines.for_each(|line| joined.push_str(line.trim_start()));
    joined.replace("\\n", "\n").replace("\\\"", "\"").replace("{{", "{").replace("}}", "}")
}

/// Returns the number of `#` with which a raw string begins, of which `before` has all up to its quote.
fn raw(before: &str) -> Option<usize> {
    let start = before.trim_end_matches('#');
    let hashes = before.len() - start.len();
    let lead = start.strip_suffix("br").or(start.strip_suffix('r'))?;
    (!lead.ends_with(|c: char| c.is_alphanumeric() || c == '_')).then_some(hashes)
}

/// Returns whether a string literal is a script of the shell: it begins as one, or chains commands.
fn is_script(text: &str) -> bool {
    let shebang = text.starts_with("#!/bin/sh") || text.starts_with("#!/usr/bin/env bash");
    let first = text.split_whitespace().next().unwrap_or_default();
    let command = LIST.lines().any(|line| line.split_whitespace().next() == Some(first));
    let word = command || LEADING.contains(&first) || BUILTIN.contains(&first);
    let chained = [" && ", " || ", "$(", " | "].iter().any(|chain| text.contains(chain));
    // Prose has semicolons, too.
    let listed = text.contains("; ") && text.contains(['$', '/', '>', '"']);
    let exec = text.starts_with("exec \"") || text.starts_with("exec $");
    shebang || word && (chained || listed) || exec
}

/// Returns the programs that Rust code names where it starts or looks for one.
fn named(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for start in ["find(\"", "plain(\"", "Command::new(\""] {
        for (at, _) in code.match_indices(start) {
            let method =
                code[..at].ends_with(|c: char| c == '.' || c.is_alphanumeric() || c == '_');
            let name = code[at + start.len()..].split('"').next().unwrap_or_default();
            if !method && is_name(name) {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

#[test]
fn programs_of_a_script_are_found() {
    let script = "#!/bin/sh\nset -e\nhelp() {\n  head x\n}\nA=1 B='tar; rm' sed -n p | sort >out\n\
                  cat <<EOF\nwhoami\nEOF\nif ! cmp a b; then exec \"$0\"; fi\nid=$(id -u) && help\n\
                  case $1 in\n  one) touch x ;;\nesac\necho \"$(uname -m)\" # date\nmake \\\n  install\n";
    let found = started(script);
    let wanted = ["cat", "cmp", "head", "id", "make", "sed", "sort", "touch", "uname"];
    assert_eq!(found.into_iter().collect::<Vec<_>>(), wanted);
    let code = "// \"no; no\"\nlet a = 'x'; let b: &'static str = \"sh -c \\\"ls; ps\\\"\";\nr#\"cp \"a\" && mv b\"#";
    assert_eq!(literals(code), ["sh -c \"ls; ps\"", "cp \"a\" && mv b"]);
    assert!(is_script("cp a && mv b") && !is_script("Each word; another, && more"));
    let code = "peer::find(\"ar\"); text.find(\"nm\"); Command::new(\"ip\"); plain(LONGSHORE)";
    assert_eq!(named(code).into_iter().collect::<Vec<_>>(), ["ar", "ip"]);
}

#[test]
fn every_program_that_a_test_names_is_listed() {
    let mut missing = BTreeSet::new();
    let mut count = 0;
    let mut note = |file: &str, names: BTreeSet<String>| {
        count += names.len();
        let unlisted = names.into_iter().filter(|name| !listed(name));
        missing.extend(unlisted.map(|name| format!("{file}: `{name}`")));
    };
    for (file, text) in files("tests/it", &["rs"]) {
        // The examples above are not programs that a test starts.
        if file == "tests/it/peers.rs" {
            continue;
        }
        note(&file, named(&text));
        for script in literals(&text).iter().filter(|text| is_script(text)) {
            note(&file, started(script));
        }
    }
    for (file, text) in files("tests/it", &["sh"]) {
        note(&file, started(&text));
    }
    assert!(count > 100, "{count}");
    assert_eq!(missing, BTreeSet::new(), "add these to tests/it/support/peers.txt");
}

#[test]
fn the_list_is_sorted_and_has_one_line_for_each_program() {
    let mut last = "";
    for line in LIST.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [program, package] = fields[..] else {
            panic!("`{line}` is not a program and a package")
        };
        assert!(last < program, "`{last}` is before `{program}`");
        let of_debian = package.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        assert!(package == "-" || of_debian, "`{package}`");
        last = program;
    }
}

/// Installs the packages of the list, without those that they recommend, in a Debian that has nothing
/// else. Slow: it fetches 700 MB, and confirms what the comparison above and a run of CI on a
/// new machine show, too.
#[test]
fn the_listed_programs_suffice_in_an_empty_root() {
    if !peer::slow() {
        return;
    }
    let (Some(_), Some(())) = (peer::find("debootstrap"), peer::root()) else { return };
    let image = Dist::new(&[("linux/amd64", &program::amd64())], json!({}));
    let archive = image.write("docker-archive", "image.tar");
    let dir = TempDir::new().unwrap();
    let support = repository().join("tests/it/support");
    let mut command = plain("sh");
    command.arg(support.join("empty_root.sh")).arg(dir.path().join("root"));
    command.arg(support.join("peers.txt")).arg(archive);
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{errors}", output.status);
    // The program exits with the last byte of its user's number.
    let expected = format!("{}status: {}\n", program::TEXT, 65532 & 0xff);
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{errors}");
}
