//! The shell form of commands, as far as it means the same as an exec form.

/// Words that a shell does not take for the name of a program: reserved words, and utilities that are
/// only built in (POSIX.1-2024, Shell Command Language, 2.4 and 2.15, and `command -v` of dash).
const BUILT_IN: [&str; 42] = [
    ".", ":", "alias", "bg", "break", "case", "cd", "command", "continue", "do", "done", "elif",
    "else", "esac", "eval", "exec", "exit", "export", "fc", "fg", "fi", "for", "getopts", "hash",
    "if", "in", "jobs", "local", "read", "readonly", "return", "set", "shift", "source", "then",
    "times", "trap", "type", "ulimit", "umask", "unset", "until",
];

/// More of these.
const MORE_BUILT_IN: [&str; 4] = ["time", "unalias", "wait", "while"];

/// Returns the words of `command` if a shell would start the program that the first one names with the
/// others as they are written.
pub(super) fn words(command: &str) -> Option<Vec<&str>> {
    // Every other character means something to a shell, in some place of a word.
    let is_plain =
        |word: &&str| word.chars().all(|c| c.is_alphanumeric() || "_@%+=:,./-".contains(c));
    let words: Vec<&str> = command.split_whitespace().collect();
    let first = words.first()?;
    let is_program =
        !first.contains('=') && !BUILT_IN.contains(first) && !MORE_BUILT_IN.contains(first);
    (is_program && words.iter().all(is_plain)).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn only_plain_commands_have_an_exec_form() {
        for plain in ["/usr/bin/app --port=80 a,b", "app -v ./x", "a@b +1 50%"] {
            let expected: Vec<&str> = plain.split(' ').collect();
            assert_eq!(words(plain), Some(expected), "{plain}");
        }
        for shell in [
            "cd /srv && /usr/bin/app \"a b\" > /log",
            "exec /usr/bin/app",
            "/usr/bin/app $O",
            "app || exit 1",
            "A=b app",
            "app; app",
            "app 'x'",
            "app ~/x",
            "app *.txt",
            "app `x`",
            "app \\x",
            "app {a,b}",
            "app # x",
            "! app",
            "while true",
            ". /x",
            "",
        ] {
            assert_eq!(words(shell), None, "{shell}");
        }
    }
}
