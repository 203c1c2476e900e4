//! Documentation, `--help` and comments use the field's terms: search engines find them, and a newcomer
//! understands them on first reading.

use std::fs;

use crate::tidy::{files, repository};

/// Phrases to avoid, each with its replacement. A space matches any white space; case is ignored.
const PHRASES: [(&str, &str); 71] = [
    ("anew", "again"),
    ("anybody", "every user"),
    ("are no", "are not"),
    ("are said", "are set, are recorded"),
    ("asked", "requested"),
    ("asks", "requests, requires"),
    ("become of", "the result of"),
    ("becomes of", "the result of"),
    ("beforehand", "in advance"),
    ("bill of materials", "SBOM"),
    ("bills of materials", "SBOMs"),
    ("by itself", "separately, automatically"),
    ("by themselves", "separately, automatically"),
    ("cannot be known", "limitations"),
    ("come to rest", "stabilise"),
    ("comes of", "results from"),
    ("comes to rest", "stabilises"),
    ("gives way", "yields"),
    ("go on", "continue, resume"),
    ("goes on", "continues, resumes"),
    ("held against", "compared with, checked against"),
    ("hold files against", "check files against"),
    ("hold sizes against", "compare sizes with"),
    ("in its stead", "instead"),
    ("in place of", "instead of"),
    ("is no", "is not a"),
    ("is said", "is set, is recorded"),
    ("lends", "hosts"),
    ("lie", "be"),
    ("lies", "is corrupt, does not match, is"),
    ("look at", "check, read, inspect"),
    ("look into", "inspect"),
    ("looked at", "checked, read, inspected"),
    ("looking at", "checking, reading"),
    ("looks at", "checks, reads, inspects"),
    ("looks into", "inspects"),
    ("mend", "fix"),
    ("mends", "fixes"),
    ("moves never", "is immutable"),
    ("nobody", "no user, no process"),
    ("none where", "`None` if"),
    ("of its own", "separate"),
    ("of ours", "of longshore"),
    ("of their own", "separate"),
    ("of your own", "custom"),
    ("oldest processor", "baseline CPU"),
    ("piece", "chunk, segment"),
    ("pieces", "chunks, segments"),
    ("refusal", "rejection"),
    ("refuse", "reject, deny"),
    ("refused", "rejected, denied"),
    ("refuses", "rejects, denies"),
    ("said of", "recorded about"),
    ("sign of life", "heartbeat"),
    ("signs of life", "heartbeats"),
    ("somebody", "a user, a process"),
    ("speak of", "describe"),
    ("speaks", "describes, covers"),
    ("tell", "report, print, distinguish"),
    ("telling", "reporting, distinguishing"),
    ("tells", "reports, prints"),
    ("texts", "strings, string literals"),
    ("told", "reported, printed"),
    ("tried out", "smoke-tested"),
    ("tries out", "smoke-tests"),
    ("try out", "smoke-test"),
    ("wanted", "expected, requested"),
    ("weighs", "has the size"),
    ("whoever", "the user, the caller"),
    ("whole", "complete, entire"),
    ("whose", "with, of which"),
];

/// Text in which a phrase is right, and quotations of values and messages.
const ALLOWED: [&str; 10] = [
    "there is no",
    "there are no",
    "is no larger",
    "is no longer",
    "is no more",
    // A message of the operating system, and a count in the summary of `verify`.
    "the connection is refused",
    ", refused",
    // A message of the table of exit statuses.
    "the registry refused or was unreachable",
    // Values of `merge --attestations`.
    "[default: refuse]",
    "[possible values: refuse, keep, drop]",
];

/// Returns the phrases of [`PHRASES`] in `text`, each with a few words around it.
fn phrases(text: &str) -> Vec<String> {
    let words: Vec<_> = text.split_whitespace().collect();
    let mut text = words.join(" ").to_lowercase();
    for allowed in ALLOWED {
        text = text.replace(allowed, "…");
    }
    let mut found = Vec::new();
    for (phrase, instead) in PHRASES {
        for (at, _) in text.match_indices(phrase) {
            let (before, after) = (&text[..at], &text[at + phrase.len()..]);
            let inside = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
            if !before.ends_with(inside) && !after.starts_with(inside) {
                let start = before.char_indices().rev().nth(30).map_or(0, |(start, _)| start);
                let end = after.char_indices().nth(30).map_or(after.len(), |(end, _)| end);
                let around = format!("{}{phrase}{}", &before[start..], &after[..end]);
                found.push(format!("`{phrase}` in `{around}`; write: {instead}"));
            }
        }
    }
    found
}

/// Returns Markdown without code.
fn prose(markdown: &str) -> String {
    let mut fenced = false;
    let lines = markdown.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    // Every second part is between backticks.
    text.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// Returns the comments of Rust source, each as one paragraph.
fn comments(source: &str) -> Vec<String> {
    let mut comments = vec![String::new()];
    for line in source.lines() {
        let comment =
            line.trim_start().strip_prefix("//").map(|rest| rest.trim_start_matches(['/', '!']));
        match (comment, comments.last_mut()) {
            (Some(comment), Some(last)) => *last += &format!("{comment}\n"),
            (None, Some(last)) if !last.is_empty() => comments.push(String::new()),
            _ => {}
        }
    }
    comments
}

/// Returns the string literals of Rust source that have several words, without code and without the values
/// that they are formatted with.
fn messages(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n").replace("'\"'", "");
    let mut found = Vec::new();
    let mut rest = code.as_str();
    while let Some((_, literal)) = rest.split_once('"') {
        let mut escaped = false;
        let end = literal.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let Some(end) = end else { break };
        let text = literal[..end].replace("\\\n", "");
        rest = &literal[end + 1..];
        // Every second part is a value.
        let text: String = text.split(['{', '}']).step_by(2).collect();
        if text.split_whitespace().count() > 1 {
            found.push(prose(&text));
        }
    }
    found
}

#[test]
fn phrases_are_found() {
    assert_eq!(phrases("There is\nno file; the retold piecemeal."), Vec::<String>::new());
    assert_eq!(phrases("It is no\nfile.").len(), 1);
    assert_eq!(phrases(&prose("Write `told`.\n```\ntold\n```\nTold.")).len(), 1);
    let code = "f(\"a `told` \\\n   {told} b\\\"c\"); '\"' g(\"told\", \"it told\")";
    assert_eq!(messages(code).len(), 2, "{:?}", messages(code));
    assert_eq!(messages(code).iter().flat_map(|text| phrases(text)).count(), 1);
    assert_eq!(comments("/// a\n/// b\nfn f() {} // c\n    // d\n"), [" a\n b\n", " d\n"]);
}

#[test]
fn documentation_help_messages_and_comments_use_the_terms_of_the_field() {
    let mut wrong = Vec::new();
    let mut check = |file: &str, text: &str| {
        wrong.extend(phrases(text).into_iter().map(|found| format!("{file}: {found}")));
    };
    for name in ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"] {
        check(name, &prose(&fs::read_to_string(repository().join(name)).unwrap()));
    }
    for (name, text) in files("docs", &["md"]) {
        check(&name, &prose(&text));
    }
    for (name, text) in files("tests/it/snapshots", &["txt"]) {
        check(&name, &text);
    }
    for (name, text) in files("src", &["rs"]) {
        for comment in comments(&text) {
            check(&name, &prose(&comment));
        }
        for message in messages(&text).into_iter().filter(|_| !name.ends_with("tests.rs")) {
            check(&name, &message);
        }
    }
    assert!(wrong.is_empty(), "{} phrases to replace:\n{}", wrong.len(), wrong.join("\n"));
}

/// Openings of doc comments that hide the kind of an item.
const OPENINGS: [&str; 6] = ["What", "Where", "How", "Which", "Who", "Whether"];

/// Names of types that do not say what a value is.
const TYPES: [&str; 9] = ["Of", "Told", "Found", "Seen", "Place", "Wish", "Open", "Said", "Ours"];

/// Returns the first word of `text`, without punctuation.
fn word(text: &str) -> &str {
    let text = text.trim_start();
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(text)
}

/// Returns whether a line of code is a field of the type `bool` or `Option<bool>`.
fn is_bool_field(code: &str) -> bool {
    let field = code.split_once(": ").map(|(_, kind)| kind.trim_end_matches(','));
    matches!(field, Some("bool" | "Option<bool>"))
}

/// Returns the lines of Rust source with a doc comment or a name to avoid: comments of functions start with a
/// verb, those of types with a noun phrase, and names are verbs or nouns of the field.
fn unclear(source: &str) -> Vec<String> {
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let doc = |line: &str| line.strip_prefix("///").or(line.strip_prefix("//!")).map(str::to_owned);
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let starts = at == 0 || doc(lines[at - 1]).is_none();
        if let Some(text) = doc(line).filter(|_| starts) {
            let mut code = lines[at..].iter().filter(|line| doc(line).is_none());
            let code = code.find(|line| !line.starts_with("#[")).unwrap_or(&"");
            let opening = word(&text);
            if OPENINGS.contains(&opening) && !(opening == "Whether" && is_bool_field(code)) {
                found.push(format!("{}: {line}", at + 1));
            }
        }
        let named = |keyword: &str, names: &[&str]| {
            let name = line.split(keyword).nth(1).filter(|_| !line.starts_with("//"));
            name.is_some_and(|name| names.contains(&word(name)))
        };
        let types = ["struct ", "enum ", "trait ", "type "];
        if named("fn ", &["of"]) || types.iter().any(|keyword| named(keyword, &TYPES)) {
            found.push(format!("{}: {line}", at + 1));
        }
    }
    found
}

#[test]
fn unclear_comments_and_names_are_found() {
    let count = |source: &str| unclear(source).len();
    assert_eq!(
        count("/// What it is.\nfn f() {}\n/// Returns it.\n/// Where it is.\nfn g() {}"),
        1
    );
    assert_eq!(count("/// Whether it is.\n#[serde(default)]\npub is: bool,"), 0);
    assert_eq!(count("/// Whether it is.\npub fn is() -> bool {"), 1);
    assert_eq!(
        count("pub fn of(x: u8) {}\npub(crate) struct Told;\nstruct OpenFile;\nfn offset() {}"),
        2
    );
}

#[test]
fn comments_and_names_say_what_an_item_is() {
    let files = files("src", &["rs"]).into_iter();
    let wrong: Vec<_> = files
        .flat_map(|(name, text)| {
            unclear(&text).into_iter().map(move |line| format!("{name}:{line}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} lines to reword:\n{}", wrong.len(), wrong.join("\n"));
}

/// Returns the anchor that GitHub gives to a heading.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || ['-', '_', ' '].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_in_documentation_have_a_target() {
    let mut documents = files("docs", &["md"]);
    for name in ["README.md", "CONTRIBUTING.md"] {
        documents.push((name.to_owned(), fs::read_to_string(repository().join(name)).unwrap()));
    }
    let mut wrong = Vec::new();
    for (name, text) in &documents {
        let here = repository().join(name);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            if path.starts_with("http") {
                continue;
            }
            let to = if path.is_empty() { here.clone() } else { here.with_file_name(path) };
            let found = if heading.is_empty() {
                to.exists()
            } else {
                let text = fs::read_to_string(&to).unwrap_or_default();
                text.lines().any(|line| line.starts_with('#') && anchor(line) == heading)
            };
            if !found {
                wrong.push(format!("{name}: {link}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// The README's picture is the rendering of the recorded session.
#[test]
fn the_picture_of_the_session_is_up_to_date() {
    let Some(python) = crate::support::peer::find("python3") else { return };
    let docs = repository().join("docs");
    let copy = crate::support::workspace::Workspace::empty();
    for name in ["record.py", "session.txt"] {
        fs::copy(docs.join(name), copy.path(name)).unwrap();
    }
    let mut render = crate::support::command::plain(python);
    let output = render.arg(copy.path("record.py")).arg("render").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |path| fs::read_to_string(path).unwrap();
    let rendered = read(copy.path("session.svg"));
    assert!(rendered == read(docs.join("session.svg")), "run `python3 docs/record.py render`");
}
