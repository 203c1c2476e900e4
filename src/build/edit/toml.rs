//! Manifests and configuration files of cargo.

use serde::Deserialize;
use toml::{Spanned, Table, Value};

use super::{closed, line_end};
use crate::model::error::{Error, Result};

/// The positions that an edit needs.
#[derive(Deserialize)]
struct Manifest {
    workspace: Option<WorkspaceTable>,
}

#[derive(Deserialize)]
struct WorkspaceTable {
    members: Option<Spanned<Vec<Spanned<String>>>>,
}

/// Returns a manifest with the member `path` in its workspace; `None` if it is listed. A manifest without
/// `[workspace]` gets one, in which its own package is the root.
///
/// # Errors
/// `name` is not TOML, or has its workspace in a form to which no line can be added.
pub fn add_member(name: &str, text: &str, path: &str) -> Result<Option<String>> {
    let old = parse(name, text)?;
    let manifest: Manifest = toml::from_str(text).map_err(|error| not_toml(name, &error))?;
    let members = manifest.workspace.and_then(|workspace| workspace.members);
    let Some(members) = members else {
        let line = format!("members = [{}]", quoted(path));
        return add_lines(name, text, &["workspace"], &[line]).map(Some);
    };
    if members.get_ref().iter().any(|member| member.get_ref().trim_end_matches('/') == path) {
        return Ok(None);
    }
    let new = insert_item(text, &members, &quoted(path));
    let mut expected = old;
    let list = expected.get_mut("workspace").and_then(|workspace| workspace.get_mut("members"));
    if let Some(Value::Array(list)) = list {
        list.push(path.into());
    }
    checked(name, new, &expected, &format!("add `{}` to `workspace.members`", quoted(path)))
        .map(Some)
}

/// Returns the text with one more item at the end of an array of strings.
fn insert_item(text: &str, list: &Spanned<Vec<Spanned<String>>>, item: &str) -> String {
    let close = list.span().end.saturating_sub(1);
    let Some(last) = list.get_ref().last().map(Spanned::span) else {
        // Comments may be between the brackets.
        return format!("{}{item}{}", &text[..close], &text[close..]);
    };
    let has_comma = has_comma(&text[last.end..close]);
    let comma = if has_comma { "" } else { "," };
    let line = text[..close].rfind('\n').map_or(0, |at| at + 1);
    let alone = line > last.end && text[line..close].trim().is_empty();
    if !alone {
        let before_close = text[..close].trim_end().len().max(last.end);
        return if has_comma {
            format!("{} {item},{}", &text[..before_close], &text[before_close..])
        } else {
            format!("{}, {item}{}", &text[..last.end], &text[last.end..])
        };
    }
    let start = text[..last.start].rfind('\n').map_or(0, |at| at + 1);
    let indent = &text[start..last.start];
    let indent = if indent.trim().is_empty() { indent } else { "    " };
    let end = line_end(text);
    format!(
        "{}{comma}{}{indent}{item},{end}{}",
        &text[..last.end],
        &text[last.end..line],
        &text[line..]
    )
}

/// Returns whether there is a comma outside of comments.
fn has_comma(text: &str) -> bool {
    text.lines().any(|line| line.split('#').next().unwrap_or_default().contains(','))
}

/// Returns the text with these lines in the table `path`, which is created at the end if it is not there. Each line
/// is a key and its value.
///
/// # Errors
/// `name` is not TOML, one of the keys is there, or the table is written in a form to which no line can be
/// added.
pub fn add_lines(name: &str, text: &str, path: &[&str], lines: &[String]) -> Result<String> {
    let mut expected = parse(name, text)?;
    let end = line_end(text);
    let header = format!("[{}]", path.join("."));
    let block: String = lines.iter().map(|line| format!("{line}{end}")).collect();
    let what = format!("add `{}` to `{header}`", lines.join("`, `"));
    let text = closed(text);
    let new = match header_end(&text, &header) {
        Some(at) => format!("{}{block}{}", &text[..at], &text[at..]),
        None if text.trim().is_empty() => format!("{text}{header}{end}{block}"),
        None => format!("{text}{end}{header}{end}{block}"),
    };
    let mut table = &mut expected;
    for step in path {
        let next = table.entry(*step).or_insert_with(|| Value::Table(Table::new()));
        table = match next {
            Value::Table(next) => next,
            _ => return Err(cannot_edit(name, &what)),
        };
    }
    if !merge(table, parse("lines", &lines.join("\n"))?) {
        return Err(cannot_edit(name, &what));
    }
    checked(name, new, &expected, &what)
}

/// Adds keys to a table; returns whether none of them was there.
fn merge(table: &mut Table, new: Table) -> bool {
    new.into_iter().all(|(key, value)| match (table.get_mut(&key), value) {
        (None, value) => table.insert(key, value).is_none(),
        (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
        (Some(_), _) => false,
    })
}

/// Returns the position after the line with the header of a table.
fn header_end(text: &str, header: &str) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        at += line.len();
        let code: String = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        if code == header {
            return Some(at);
        }
    }
    None
}

/// Returns a string in TOML.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn parse(name: &str, text: &str) -> Result<Table> {
    text.parse().map_err(|error: toml::de::Error| not_toml(name, &error))
}

fn not_toml(name: &str, error: &toml::de::Error) -> Error {
    Error::usage(format!("`{name}` is not TOML")).because(error.message().to_owned())
}

fn cannot_edit(name: &str, what: &str) -> Error {
    Error::usage(format!("`{name}` cannot be edited automatically"))
        .hint(format!("{what} yourself"))
}

/// Returns `new`, if it means `expected`.
fn checked(name: &str, new: String, expected: &Table, what: &str) -> Result<String> {
    match new.parse::<Table>() {
        Ok(found) if found == *expected => Ok(new),
        _ => Err(cannot_edit(name, what)),
    }
}
