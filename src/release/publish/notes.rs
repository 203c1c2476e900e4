//! The text of a release: the section of a changelog, generated notes, and the marker of drafts.

use std::fmt::Write as _;

use semver::Version;

use super::{DraftOrigin, ReleaseText};
use crate::model::{
    collect::SortStable as _,
    digest::Digest,
    error::{Error, Result},
    schema::Dist,
};

/// The beginning of the marker: a comment in Markdown that only a draft has.
const MARKER: &str = "<!-- longshore:draft ";

/// The end of the marker.
const MARKER_END: &str = " -->";

/// Returns the text of a draft, with the marker. The marker has the digest of the text, so that an edited text is
/// noticed.
pub(super) fn with_marker(text: &ReleaseText) -> String {
    format!("{}\n\n{MARKER}{}{MARKER_END}\n", text.notes.trim_end(), fingerprint(text))
}

/// Splits the notes of a draft into the text and the origin that the marker reports.
pub(super) fn parse_draft(title: &str, notes: &str) -> (ReleaseText, DraftOrigin) {
    let plain = |notes: &str| ReleaseText { title: title.to_owned(), notes: notes.to_owned() };
    let marked = notes.rfind(MARKER).and_then(|start| {
        let rest = notes.get(start + MARKER.len()..)?;
        let (print, behind) = rest.split_once(MARKER_END)?;
        Some((start, print, behind))
    });
    let Some((start, print, behind)) = marked else { return (plain(notes), DraftOrigin::Foreign) };
    let before = notes.get(..start).unwrap_or_default().trim_end();
    let behind = behind.trim();
    let separator = if behind.is_empty() || before.is_empty() { "" } else { "\n\n" };
    let text = plain(&format!("{before}{separator}{behind}"));
    let own = fingerprint(&text) == print;
    (text, if own { DraftOrigin::Own } else { DraftOrigin::Edited })
}

/// Returns a short digest of a text, in a form that is the same however the forge changes line ends.
fn fingerprint(text: &ReleaseText) -> String {
    let notes = text.notes.replace("\r\n", "\n");
    let all = format!("{}\n{}", text.title.trim(), notes.trim());
    Digest::sha256(all.as_bytes()).hex().chars().take(16).collect()
}

/// A heading of Markdown: its level and its text.
struct Heading<'a> {
    level: usize,
    text: &'a str,
    /// The index of its first line, and of the line after it.
    lines: (usize, usize),
}

/// Returns the headings of a text: `## TEXT`, or a text that is underlined (CommonMark 0.31, "ATX headings" and
/// "Setext headings"). Lines in fenced code are not headings.
fn headings<'a>(lines: &[&'a str]) -> Vec<Heading<'a>> {
    let mut found = Vec::new();
    let mut fence: Option<char> = None;
    for (at, line) in lines.iter().enumerate() {
        let text = line.trim();
        let mark = ['`', '~'].into_iter().find(|c| text.starts_with(&c.to_string().repeat(3)));
        match (fence, mark) {
            (Some(open), Some(mark)) if open == mark => {
                fence = None;
                continue;
            }
            (Some(_), _) => continue,
            (None, Some(mark)) => {
                fence = Some(mark);
                continue;
            }
            (None, None) => {}
        }
        let level = text.chars().take_while(|c| *c == '#').count();
        let rest = text.get(level..).unwrap_or_default();
        if (1..=6).contains(&level) && rest.starts_with([' ', '\t']) {
            let text = rest.trim().trim_end_matches('#').trim_end();
            found.push(Heading { level, text, lines: (at, at + 1) });
            continue;
        }
        let underline = |c: char| text.len() > 2 && text.chars().all(|other| other == c);
        let level = if underline('=') { 1 } else { 2 };
        if (underline('=') || underline('-'))
            && let Some(above) = at.checked_sub(1).and_then(|above| lines.get(above))
            && !above.trim().is_empty()
            && !above.trim_start().starts_with(['#', '-', '*', '|', '>'])
        {
            found.push(Heading { level, text: above.trim(), lines: (at - 1, at + 1) });
        }
    }
    found
}

/// Returns whether a heading is that of a version: `1.2.3`, `v1.2.3`, `[1.2.3] - 2026-01-31`, `NAME 1.2.3`,
/// `Version 1.2.3 (2026-01-31)`, `[v1.2.3](https://…)`.
fn names_version(heading: &str, version: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || ".-+_".contains(c);
    // The first word that is a version decides: a heading may name the previous one, too.
    let words = heading.split(|c: char| !inside(c)).filter_map(|word| {
        let word = word.trim_end_matches(['.', '-']);
        let word = word.rsplit_once("-v").map_or(word, |(_, version)| version);
        let number = word.strip_prefix(['v', 'V']).unwrap_or(word);
        Version::parse(number).ok().map(|_| number)
    });
    words.into_iter().next() == Some(version)
}

/// Returns the section of a version in a changelog, without its heading; `None` if it has none. Link definitions
/// at the end of the changelog that the section uses are added.
///
/// # Errors
/// There are two such sections.
pub fn changelog_section(changelog: &str, version: &str) -> Result<Option<String>> {
    let changelog = changelog.trim_start_matches('\u{feff}');
    let lines: Vec<&str> = changelog.lines().collect();
    let headings = headings(&lines);
    let mut sections =
        headings.iter().enumerate().filter(|(_, heading)| names_version(heading.text, version));
    let Some((index, heading)) = sections.next() else { return Ok(None) };
    if let Some((_, second)) = sections.find(|(_, second)| second.level == heading.level) {
        return Err(Error::check(format!(
            "the changelog has two sections of version {version}, in line {} and line {}",
            heading.lines.0 + 1,
            second.lines.0 + 1
        ))
        .hint("remove one, or name a file with `--notes`"));
    }
    let end = headings.iter().skip(index + 1).find(|next| next.level <= heading.level);
    let end = end.map_or(lines.len(), |next| next.lines.0);
    let body = lines.get(heading.lines.1..end).unwrap_or_default();
    let is_definition = |line: &&&str| line.starts_with('[') && line.contains("]: ");
    let mut text: String = body
        .iter()
        .filter(|line| !is_definition(line))
        .map(|line| format!("{}\n", line.trim_end()))
        .collect();
    text = text.trim().to_owned();
    let used: Vec<&str> = lines
        .iter()
        .filter(is_definition)
        .filter(|line| {
            line.split_once("]: ").is_some_and(|(label, _)| text.contains(&format!("{label}]")))
        })
        .copied()
        .collect();
    if !used.is_empty() {
        text = format!("{text}\n\n{}", used.join("\n"));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// Returns notes from the release manifest, for a release without a changelog.
pub fn generated_notes(dist: &Dist, version: &Version) -> String {
    let mut text = format!("{} {version}", dist.release.name);
    if let Some(revision) = &dist.release.revision {
        let _ = write!(text, ", built from commit {revision}");
    }
    text.push_str(".\n");
    let mut platforms: Vec<String> =
        dist.artifacts.iter().map(|artifact| artifact.platform.to_string()).collect();
    platforms.sort_stable();
    platforms.dedup();
    if !platforms.is_empty() {
        let _ = write!(text, "\nPlatforms: {}.\n", platforms.join(", "));
    }
    if !dist.images.is_empty() {
        text.push_str("\n| image | digest |\n| --- | --- |\n");
        for image in &dist.images {
            let _ = writeln!(text, "| `{}:{}` | `{}` |", image.name, image.tag, image.digest);
        }
    }
    text.push_str("\nCheck downloads with `sha256sum --check --ignore-missing SHA256SUMS`.");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: &str = "# Changelog\n\n## [Unreleased]\n\n- next\n\n## [1.2.3] - 2026-01-31\n\n### Fixed\n\n\
                        - a bug ([#7])\n\n```\n## 1.2.2\n```\n\n## [1.2.2] - 2026-01-01\n\n- old\n\n\
                        [1.2.3]: https://x/1.2.3\n[#7]: https://x/7\n";

    #[test]
    fn sections_are_found_under_headings_of_several_styles() {
        let section = changelog_section(KEEP, "1.2.3").unwrap().unwrap();
        assert_eq!(
            section,
            "### Fixed\n\n- a bug ([#7])\n\n```\n## 1.2.2\n```\n\n[#7]: https://x/7"
        );
        assert_eq!(changelog_section(KEEP, "1.2.2").unwrap().as_deref(), Some("- old"));
        for missing in ["1.2", "2.3", "1.2.33", "1.2.3-rc.1", "11.2.3"] {
            assert_eq!(changelog_section(KEEP, missing).unwrap(), None, "{missing}");
        }
        for heading in [
            "# 1.2.3",
            "## v1.2.3",
            "## Version 1.2.3 (2026-01-31)",
            "## hello 1.2.3",
            "## hello-v1.2.3",
            "### [v1.2.3](https://x/v1.2.2...v1.2.3) (2026-01-31) ##",
            "1.2.3 (2026-01-31)\n==================",
            "v1.2.3\n------",
            "## 1.2.3, after 1.2.2",
        ] {
            let text = format!(
                "{heading}\r\n\r\n- new\r\n\r\n{}\r\n- old",
                heading.replace("1.2.3", "1.2.1")
            );
            let section = changelog_section(&text, "1.2.3").unwrap();
            assert_eq!(section.as_deref(), Some("- new"), "{heading}");
        }
        for text in
            ["", "#", "## 1.2.3", "## 1.2.3\n\n", "```\n## 1.2.3\n- x", "\u{feff}## 1.2.4\nx"]
        {
            assert_eq!(changelog_section(text, "1.2.3").unwrap(), None, "{text:?}");
        }
        assert!(changelog_section("## 1.2.3\na\n## v1.2.3\nb", "1.2.3").is_err());
    }

    #[test]
    fn edits_of_a_draft_are_noticed() {
        let text = ReleaseText { title: "v1".to_owned(), notes: "a\n\nb".to_owned() };
        let marked = with_marker(&text);
        assert_eq!(parse_draft("v1", &marked), (text.clone(), DraftOrigin::Own));
        let (parsed, origin) = parse_draft("v1 ", &marked.replace('\n', "\r\n"));
        assert_eq!((parsed.title.trim(), origin), ("v1", DraftOrigin::Own));
        assert_eq!(parse_draft("v2", &marked).1, DraftOrigin::Edited);
        let (parsed, origin) = parse_draft("v1", &format!("{marked}\nmore"));
        assert_eq!((&*parsed.notes, origin), ("a\n\nb\n\nmore", DraftOrigin::Edited));
        assert_eq!(parse_draft("v1", "a\n\nb").1, DraftOrigin::Foreign);
        assert_eq!(parse_draft("v1", "a <!-- longshore:draft 1").1, DraftOrigin::Foreign);
    }
}
