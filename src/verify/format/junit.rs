//! JUnit XML, which nearly every continuous-integration system shows
//! (<https://github.com/testmoapp/junitxml> describes what they agree on).

use std::fmt::Write;

use super::{level_name, summary};
use crate::model::schema::{
    dist::{Finding, Level},
    verify::{Checked, Verification},
};

/// Returns a test suite for each file, with a test case for each lint. Warnings are output of their
/// case, since the format has nothing between success and failure.
pub fn junit(verification: &Verification) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(text, "<!-- {} -->", summary(verification));
    text.push_str("<testsuites name=\"longshore verify\">\n");
    for checked in &verification.checked {
        push_suite(&mut text, checked);
    }
    if !verification.not_checked.is_empty() {
        let count = verification.not_checked.len();
        let _ = writeln!(
            text,
            "  <testsuite name=\"not checked\" tests=\"{count}\" skipped=\"{count}\">"
        );
        for file in &verification.not_checked {
            let _ = writeln!(
                text,
                "    <testcase classname=\"{0}\" name=\"{0}\"><skipped message=\"{1}\"/></testcase>",
                escape_xml(&file.path),
                escape_xml(&file.reason)
            );
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

fn push_suite(text: &mut String, checked: &Checked) {
    let verdict = &checked.verdict;
    let finding_of = |lint: &str, level| {
        let findings = verdict.findings.iter();
        findings.filter(move |found| found.lint == lint && found.level == level).collect()
    };
    let cases: Vec<(&str, Vec<&Finding>, Vec<&Finding>)> = verdict
        .lints
        .iter()
        .map(|lint| (lint.as_str(), finding_of(lint, Level::Deny), finding_of(lint, Level::Warn)))
        .collect();
    let failed = cases.iter().filter(|(_, denied, _)| !denied.is_empty()).count();
    let path = escape_xml(&checked.path);
    let count = cases.len();
    let _ = writeln!(text, "  <testsuite name=\"{path}\" tests=\"{count}\" failures=\"{failed}\">");
    for (lint, denied, warned) in cases {
        let _ = write!(text, "    <testcase classname=\"{path}\" name=\"{}\"", escape_xml(lint));
        if denied.is_empty() && warned.is_empty() {
            text.push_str("/>\n");
            continue;
        }
        text.push('>');
        if let Some(first) = denied.first() {
            let all: Vec<_> = denied.iter().map(|found| format_finding(found)).collect();
            let message = escape_xml(&first.message);
            let all = escape_xml(&all.join("\n"));
            let _ = write!(
                text,
                "<failure type=\"{}\" message=\"{message}\">{all}</failure>",
                escape_xml(lint)
            );
        }
        if !warned.is_empty() {
            let all: Vec<_> = warned.iter().map(|found| format_finding(found)).collect();
            let _ = write!(text, "<system-out>{}</system-out>", escape_xml(&all.join("\n")));
        }
        text.push_str("</testcase>\n");
    }
    text.push_str("  </testsuite>\n");
}

fn format_finding(found: &Finding) -> String {
    format!(
        "{}: {}\nfound: {}\nhint: {}",
        level_name(found.level),
        found.message,
        found.evidence,
        found.hint
    )
}

/// Escapes text for XML 1.0 ("Characters"): characters that XML cannot represent become a question
/// mark.
fn escape_xml(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('?'),
            c => out.push(c),
        }
    }
    out
}
