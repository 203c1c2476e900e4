//! Lines, words, and Go's string formats.

use super::{
    go,
    line::read,
    path::{absolute, clean, from_root},
    source::SourceText,
    word,
};

/// Returns the instructions of a file, each as one line.
fn lines(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let lines = read(&SourceText::new("Dockerfile", text), &mut problems);
    assert_eq!(problems, []);
    lines.lines.into_iter().map(|line| line.text).collect()
}

#[test]
fn continuations_and_comments() {
    let table: [(&str, &[&str]); 17] = [
        ("", &[]),
        ("A\nB", &["A", "B"]),
        ("A\r\nB\r\n", &["A", "B"]),
        ("\u{feff}A", &["A"]),
        ("  A b  \n", &["A b  "]),
        ("# c\nA\n  # c\n\nB", &["A", "B"]),
        ("A \\\nb", &["A b"]),
        ("A \\  \t\n  b", &["A   b"]),
        ("A \\\r\nb\r\n", &["A b"]),
        ("A \\\n# c\n  # c\nb", &["A b"]),
        ("A \\\n\n \nb", &["A b"]),
        ("A \\\n\\\nb", &["A b"]),
        ("A \\\\\nB", &["A \\\\", "B"]),
        ("A \\", &["A "]),
        ("\\\nA", &["A"]),
        ("# escape=`\nA `\nb\\\nC", &["A b\\", "C"]),
        ("RUN <<a <<-\"b\"\nx\na\ny\n\tb\nB", &["RUN <<a <<-\"b\"", "B"]),
    ];
    for (text, expected) in table {
        assert_eq!(lines(text), expected, "{text:?}");
    }
}

#[test]
fn texts_that_are_not_heredocs() {
    for text in
        ["RUN echo \"<<a\"\nB", "ENV A=<<a\nB", "RUN [\"<<a\"]\nB", "RUN a <<<b\nB", "COPY << a\nB"]
    {
        assert_eq!(lines(text).len(), 2, "{text}");
    }
}

#[test]
fn directives_come_first() {
    let escape = |text| {
        let mut problems = Vec::new();
        read(&SourceText::new("Dockerfile", text), &mut problems).escape
    };
    for text in [
        "# escape=`",
        "#escape = ` ",
        "  # ESCAPE=`",
        "# syntax=x\n# check=skip=all\n# escape=`",
        "\u{feff}# escape=`",
    ] {
        assert_eq!(escape(text), '`', "{text}");
    }
    for text in ["\n# escape=`", "# a\n# escape=`", "# other=a\n# escape=`", "A\n# escape=`"] {
        assert_eq!(escape(text), '\\', "{text}");
    }
}

#[test]
fn flags_and_the_rest() {
    let table: [(&str, &[&str], &str); 8] = [
        ("a b", &[], "a b"),
        ("--x a b", &["--x"], "a b"),
        ("--x=1  --y='a b' c", &["--x=1", "--y=a b"], "c"),
        ("--x=a\\ b c", &["--x=a b"], "c"),
        ("--x=\"a'b\" c", &["--x=a'b"], "c"),
        ("-- --x a", &[], "--x a"),
        ("--x", &["--x"], ""),
        ("a --x", &[], "a --x"),
    ];
    for (text, expected, rest) in table {
        let (flags, range) = word::flags(text, 0..text.len(), '\\');
        let flags: Vec<_> = flags.into_iter().map(|(flag, _)| flag).collect();
        assert_eq!(flags, expected, "{text}");
        assert_eq!(&text[range], rest, "{text}");
    }
}

#[test]
fn quoted_words_stay_together() {
    let table: [(&str, &[&str]); 7] = [
        ("a  b", &["a", "b"]),
        ("a=\"b c\" d", &["a=\"b c\"", "d"]),
        ("a='b \\' c", &["a='b \\'", "c"]),
        ("a=b\\ c", &["a=b\\ c"]),
        ("\"a\\\" b\" c", &["\"a\\\" b\"", "c"]),
        ("a\\", &["a"]),
        ("\"a b", &["\"a b"]),
    ];
    for (text, expected) in table {
        let words = word::quoted(text, 0..text.len(), '\\');
        let words: Vec<_> = words.into_iter().map(|(word, _)| word).collect();
        assert_eq!(words, expected, "{text}");
    }
}

#[test]
fn strings_in_gos_formats() {
    let table = [
        ("a b", "\"a b\""),
        ("a\"b\\c'", "\"a\\\"b\\\\c'\""),
        ("\n\t\u{7}\u{b}", "\"\\n\\t\\a\\v\""),
        ("\0\u{1b}\u{7f}", "\"\\x00\\x1b\\x7f\""),
        ("é☺e\u{301}", "\"é☺e\u{301}\""),
        ("\u{a0}\u{200b}\u{e000}", "\"\\u00a0\\u200b\\ue000\""),
        ("\u{10fffd}", "\"\\U0010fffd\""),
    ];
    for (text, expected) in table {
        assert_eq!(go::quote(text), expected);
    }
    for (number, expected) in
        [(0, "'\\x00'"), (3, "'\\x03'"), (10, "'\\n'"), (39, "'\\''"), (65, "'A'"), (34, "'\"'")]
    {
        assert_eq!(go::quote_number(number), expected);
    }
    assert_eq!(go::quote_list(&[]), "[]");
    assert_eq!(go::list(&["a".into(), "b c".into()]), "[a b c]");
}

#[test]
fn durations() {
    let table = [
        ("0", 0, "0s"),
        ("5s", 5_000_000_000, "5s"),
        ("1m30s", 90_000_000_000, "1m30s"),
        ("90s", 90_000_000_000, "1m30s"),
        ("1.5h", 5_400_000_000_000, "1h30m0s"),
        ("2h", 7_200_000_000_000, "2h0m0s"),
        ("1500ms", 1_500_000_000, "1.5s"),
        ("100ms", 100_000_000, "100ms"),
        ("1.5us", 1_500, "1.5\u{b5}s"),
        ("1\u{3bc}s1ns", 1_001, "1.001\u{b5}s"),
        ("+.5s", 500_000_000, "500ms"),
        ("7ns", 7, "7ns"),
        ("61.25s", 61_250_000_000, "1m1.25s"),
    ];
    for (text, nanoseconds, printed) in table {
        assert_eq!(go::parse_duration(text), Some(nanoseconds), "{text}");
        assert_eq!(go::format_duration(nanoseconds), printed, "{text}");
    }
    let long = format!("{}s", "9".repeat(100));
    for text in ["", "5", "s", "-5s", "5 s", "1d", ".s", "1.2.3s", "10000000h", &long] {
        assert_eq!(go::parse_duration(text), None, "{text}");
    }
}

#[test]
fn paths() {
    for (path, expected) in [
        ("", "."),
        ("/", "/"),
        ("a/./b//c/", "a/b/c"),
        ("/a/../../b", "/b"),
        ("../a/..", ".."),
        ("a/..", "."),
    ] {
        assert_eq!(clean(path), expected, "{path}");
    }
    assert_eq!(absolute("/a", "b/../c"), "/a/c");
    assert_eq!(absolute("/a", "/b/"), "/b");
    assert_eq!(absolute("/a", "../../b"), "/b");
    assert_eq!(from_root("/a/b/"), "a/b");
    assert_eq!(from_root("../.."), ".");
}
