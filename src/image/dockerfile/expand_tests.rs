//! The complete table of expansions.

use super::expand::{Expanded, Fuel, Variables, WordError, expand};

fn variables() -> Variables {
    [
        ("A", "abc"),
        ("B", "b"),
        ("EMPTY", ""),
        ("PATHS", "/usr/lib/a.tar.gz"),
        ("SPACES", "a  b c"),
        ("STAR", "*"),
        ("é", "accent"),
        ("1", "one"),
        ("_x1", "under"),
        ("DOLLAR", "$A"),
        ("QUOTE", "\"q\""),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .into()
}

fn run(word: &str, escape: char) -> Result<Expanded, WordError> {
    let mut fuel = Fuel::new();
    expand(word, escape, &variables(), &mut fuel)
}

/// A word and what it expands to.
const VALUES: &[(&str, &str)] = &[
    ("", ""),
    ("plain", "plain"),
    ("$A", "abc"),
    ("${A}", "abc"),
    ("$A$B", "abcb"),
    ("x${A}y", "xabcy"),
    ("$A-x", "abc-x"),
    ("$A.x", "abc.x"),
    ("$AB", ""),
    ("$_x1", "under"),
    ("$é", "accent"),
    ("$1", "one"),
    ("$1x", "onex"),
    ("${1}", "one"),
    ("$", "$"),
    ("a$", "a$"),
    ("$ a", "$ a"),
    ("$%", "$%"),
    // Special parameters are names that nothing sets.
    ("a$@b", "ab"),
    ("$$A", "A"),
    ("$UNSET", ""),
    ("${UNSET}", ""),
    ("$EMPTY", ""),
    // The value of a variable is not expanded again.
    ("$DOLLAR", "$A"),
    ("$QUOTE", "\"q\""),
    // Defaults.
    ("${A:-d}", "abc"),
    ("${A-d}", "abc"),
    ("${EMPTY:-d}", "d"),
    ("${EMPTY-d}", ""),
    ("${UNSET:-d}", "d"),
    ("${UNSET-d}", "d"),
    ("${UNSET:-}", ""),
    ("${UNSET:-$A}", "abc"),
    ("${UNSET:-${EMPTY:-${B}}}", "b"),
    ("${UNSET:-a b}", "a b"),
    ("${UNSET:-\"a}b\"}", "a}b"),
    ("${UNSET:-a\\}b}", "a}b"),
    ("${UNSET:-'$A'}", "$A"),
    // Alternatives.
    ("${A:+d}", "d"),
    ("${A+d}", "d"),
    ("${EMPTY:+d}", ""),
    ("${EMPTY+d}", "d"),
    ("${UNSET:+d}", ""),
    ("${UNSET+d}", ""),
    // Requirements that are met.
    ("${A:?e}", "abc"),
    ("${A?e}", "abc"),
    ("${EMPTY?e}", ""),
    // Quotes and escapes.
    ("\"$A\"", "abc"),
    ("'$A'", "$A"),
    ("'a\\'", "a\\"),
    ("\"a'b\"", "a'b"),
    ("'a\"b'", "a\"b"),
    ("\\$A", "$A"),
    ("\"\\$A\"", "$A"),
    ("\\a", "a"),
    ("\"\\a\"", "\\a"),
    ("\"\\\"\"", "\""),
    ("\"\\\\\"", "\\"),
    ("\\\\", "\\"),
    ("a\\", "a"),
    ("\\'", "'"),
    ("\"\"", ""),
    ("a\\ b", "a b"),
    ("he\"llo $A\"'$B'", "hello abc$B"),
    // A prefix taken off.
    ("${A#a}", "bc"),
    ("${A#x}", "abc"),
    ("${A#?}", "bc"),
    ("${A#*}", "abc"),
    ("${A##*}", ""),
    ("${PATHS#*/}", "usr/lib/a.tar.gz"),
    ("${PATHS##*/}", "a.tar.gz"),
    ("${A:#a}", "bc"),
    ("${UNSET#a}", ""),
    ("${A#$STAR}", "abc"),
    ("${A#\\*}", "abc"),
    ("${STAR#\\*}", ""),
    // A suffix.
    ("${A%c}", "ab"),
    ("${A%x}", "abc"),
    ("${PATHS%.*}", "/usr/lib/a.tar"),
    ("${PATHS%%.*}", "/usr/lib/a"),
    ("${PATHS%/*}", "/usr/lib"),
    ("${PATHS%%/*}", ""),
    ("${PATHS%t?r*}", "/usr/lib/a."),
    // Replacements.
    ("${A/b/x}", "axc"),
    ("${A/x/y}", "abc"),
    ("${A/b/}", "ac"),
    ("${A/?/x}", "xbc"),
    ("${A//?/x}", "xxx"),
    ("${A/*/x}", "x"),
    ("${A//*/x}", "x"),
    ("${A///x}", "xaxbxcx"),
    ("${PATHS//a/${B}}", "/usr/lib/b.tbr.gz"),
    ("${PATHS//\\//_}", "_usr_lib_a.tar.gz"),
    ("${A/b/'}'}", "a}c"),
    ("${UNSET/a/b}", ""),
    ("${A/b/\\x}", "a\\xc"),
];

#[test]
fn values() {
    for (word, expected) in VALUES {
        let expanded = run(word, '\\').unwrap_or_else(|e| panic!("{word}: {e:?}"));
        assert_eq!(expanded.text, *expected, "{word}");
    }
}

#[test]
fn the_escape_character_can_be_a_backtick() {
    for (word, expected) in
        [("`$A", "$A"), ("\\$A", "\\abc"), ("a\\b", "a\\b"), ("\"``\"", "`"), ("'`'", "`")]
    {
        assert_eq!(run(word, '`').unwrap().text, expected, "{word}");
    }
}

#[test]
fn words() {
    let table: [(&str, &[&str]); 9] = [
        ("", &[]),
        ("a b", &["a", "b"]),
        (" a  b ", &["a", "b"]),
        ("$SPACES", &["a", "b", "c"]),
        ("x$SPACES", &["xa", "b", "c"]),
        ("\"$SPACES\"", &["a  b c"]),
        ("a\\ b c", &["a b", "c"]),
        ("'a b'c", &["a bc"]),
        ("\"\" a", &["a"]),
    ];
    for (word, expected) in table {
        assert_eq!(run(word, '\\').unwrap().words, expected, "{word}");
    }
}

#[test]
fn faults() {
    let deep = format!("{}A{}", "${A:-".repeat(40), "}".repeat(40));
    let table = [
        ("${", "`}` is missing", 0..2),
        ("x${A", "`}` is missing", 1..4),
        ("${A:-b", "`}` is missing", 5..6),
        ("${}", "`${` needs a variable's name", 0..3),
        ("${:-a}", "`${` needs a variable's name", 0..3),
        ("${{A}}", "`${` needs a variable's name", 0..3),
        ("ab${A!b}", "`!` means nothing in `${…}`", 2..6),
        ("${A:xb}", "`:x` means nothing in `${…}`", 0..5),
        ("${.A}", "`.` means nothing in `${…}`", 0..3),
        ("'a", "the quote `'` is not closed", 0..2),
        ("a\"b", "the quote `\"` is not closed", 1..3),
        ("${UNSET?}", "the variable `UNSET` is not set", 0..9),
        ("${UNSET:?}", "the variable `UNSET` is not set", 0..10),
        ("${EMPTY:?}", "the variable `EMPTY` is empty", 0..10),
        ("a ${EMPTY:?say $A}", "EMPTY: say abc", 2..18),
        ("${A#\\x}", "`\\x` means nothing in a pattern", 0..7),
        ("${A/a}", "`/` is missing", 4..6),
        ("${A/a/b", "`}` is missing", 6..7),
        ("${A//a/$DOLLAR}", "`$` cannot be in the replacement of `${…//…}`", 0..15),
        (&deep, "`${` is nested more than 32 deep", 160..165),
    ];
    for (word, message, at) in table {
        let fault = run(word, '\\').unwrap_err();
        assert_eq!(fault, WordError { message: message.into(), at }, "{word}");
    }
}

#[test]
fn unset_variables_are_reported() {
    let unset = |word| run(word, '\\').unwrap().unset;
    assert_eq!(unset("a${X}b$Y"), [("X".to_owned(), 1..5), ("Y".to_owned(), 6..8)]);
    assert_eq!(unset("${X:-d}${X+d}${X#d}$EMPTY"), []);
}

#[test]
fn growth_is_bounded() {
    let variables = [("A".to_owned(), "x".repeat(1 << 20))].into();
    let word = "$A".repeat(1 << 10);
    let fault = expand(&word, '\\', &variables, &mut Fuel::new()).unwrap_err();
    assert!(fault.message.contains("more than a recipe can hold"), "{fault:?}");
    let word = format!("${{A##{}y}}", "*x".repeat(1 << 10));
    let fault = expand(&word, '\\', &variables, &mut Fuel::new()).unwrap_err();
    assert!(fault.message.contains("too long"), "{fault:?}");
}
