//! Snapshots of what commands print for people: `snapshots/output-*.txt`, with placeholders for numbers, paths and
//! digests. `UPDATE_SNAPSHOTS=1 cargo test --workspace --test it shown_text::` rewrites them.

use crate::{
    help::compare,
    push,
    support::{
        command::{Ran, longshore},
        registry::Registry,
        workspace::Workspace,
    },
};

const TARGET: &str = "x86_64-unknown-linux-musl";

/// Lines of cargo, and of what is built once for all workspaces, which another test may have done before.
const OTHERS: [&str; 8] = [
    "Compiling",
    "Finished",
    "Building memory",
    "Building mimalloc",
    "Blocking",
    "$ ",
    "Fresh",
    "Waiting",
];

/// Returns both streams, with placeholders for what differs from run to run.
fn normalized(ran: &Ran) -> String {
    let lines = [("stdout", &ran.stdout), ("stderr", &ran.stderr)].map(|(name, text)| {
        let lines = text.lines().filter(|line| {
            let line = line.trim_start();
            !OTHERS.iter().any(|start| line.starts_with(start))
        });
        let lines: String = lines.map(|line| format!("{}\n", normalize_line(line))).collect();
        format!("--- {name}\n{lines}")
    });
    lines.concat()
}

/// Replaces each word with a placeholder in it, and each run of spaces after the first word by two.
fn normalize_line(line: &str) -> String {
    // As deep as the columns before it are wide.
    let indent = line.len() - line.trim_start().len();
    let mut out = " ".repeat(if indent > 12 { 12 } else { indent });
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let end = rest.find(' ').unwrap_or(rest.len());
        out.push_str(&normalize_word(&rest[..end]));
        let after = rest[end..].trim_start_matches(' ');
        out.push_str(&" ".repeat((rest[end..].len() - after.len()).min(2)));
        rest = after;
    }
    out
}

fn normalize_word(word: &str) -> String {
    if word.starts_with("127.0.0.1:") {
        let host = |name| normalize_word(&format!("<host>/{name}"));
        return word.split_once('/').map_or("<host>".to_owned(), |(_, name)| host(name));
    }
    if let Some((before, _)) = word.split_once("sha256:") {
        return format!("{before}sha256:<digest>");
    }
    let at = word.find('/').filter(|at| word[..*at].is_empty() || word[..*at].ends_with('='));
    if let Some(at) = at {
        return format!("{}<path>", &word[..at]);
    }
    // Names with digits stay: `x86_64`, `linux/amd64`, `sha1`.
    let number = |c: char| c.is_ascii_digit() || ".,:-()[~%".contains(c);
    let starts = |c: char| c.is_ascii_digit() || c == '(' || c == '[';
    if word.starts_with(starts) && word.chars().all(number) {
        return "<n>".to_owned();
    }
    let letters = word.chars().filter(char::is_ascii_hexdigit).count();
    if word.len() >= 7 && letters + 2 >= word.len() && word.contains(|c: char| c.is_ascii_digit()) {
        return "<hex>".to_owned();
    }
    word.to_owned()
}

fn hello() -> Workspace {
    let more = format!(
        "description = \"Says hello\"\n[workspace]\n[workspace.metadata.longshore]\n\
         preset = \"quick\"\ntargets = [{TARGET:?}]\n"
    );
    Workspace::empty().package("hello", &more)
}

#[test]
fn a_release_prints_its_snapshots() {
    let workspace = hello();
    let shown = |name: &str, ran: &Ran| compare(&format!("output-{name}.txt"), &normalized(ran));
    shown("plan", &longshore(&workspace, "plan").run());
    shown("dist", &longshore(&workspace, "dist --no-smoke").run());
    shown("dist-again", &longshore(&workspace, "dist --no-smoke").run());
    shown("verify", &longshore(&workspace, "verify target/dist").run());
    shown("size", &longshore(&workspace, "size --top 1").run());
    shown("package-list", &longshore(&workspace, "package list").run());
    shown("image-inspect", &longshore(&workspace, "image inspect target/dist/image/hello").run());
    let Some(registry) = Registry::start() else { return };
    let dist = workspace.dist();
    let args = format!("push {} --dist {}", registry.url("hello:1"), dist.display());
    shown("push", &push::run(workspace.root(), &args).run());
    shown("push-again", &push::run(workspace.root(), &args).run());
}

#[test]
fn words_that_differ_from_run_to_run_have_placeholders() {
    let line = "  hello 0.1.0  473.14 kB  /tmp/x --a=/b/c x86_64 127.0.0.1:9/a@sha256:00ff 12ab34cd56ef  \
                linux/amd64";
    let expected =
        "  hello <n>  <n> kB  <path> --a=<path> x86_64 <host>/a@sha256:<digest> <hex>  linux/amd64";
    assert_eq!(normalize_line(line), expected);
}
