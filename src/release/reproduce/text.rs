//! The report for a terminal.

use std::{collections::BTreeSet, fmt::Write};

use crate::model::{
    bytes::Size,
    schema::{
        Reproduction,
        reproduce::{Difference, Outcome, ReproducedArtifact},
    },
};

/// The widest column of paths.
const MAX_WIDTH: usize = 100;

/// Returns the report, in lines.
pub fn human(reproduction: &Reproduction) -> String {
    let mut text = String::new();
    let paths = reproduction.artifacts.iter().map(|artifact| artifact.path.len());
    let width = paths.max().unwrap_or(0).min(MAX_WIDTH);
    let mut shown = BTreeSet::new();
    for artifact in &reproduction.artifacts {
        row(&mut text, reproduction, artifact, width, &mut shown);
    }
    for path in &reproduction.unrecorded {
        let _ = writeln!(text, "{:<12}  {:<10}  {path}", "not recorded", "");
    }
    text.push('\n');
    for tool in reproduction.tools.iter().filter(|tool| tool.recorded != tool.used) {
        let version =
            |version: &Option<String>| version.clone().unwrap_or_else(|| "none".to_owned());
        let (recorded, used) = (version(&tool.recorded), version(&tool.used));
        let _ = writeln!(text, "tool: {}: recorded {recorded}, used {used}", tool.name);
    }
    for cause in &reproduction.causes {
        let _ = writeln!(text, "likely cause: {cause}");
    }
    if let Some(directory) = &reproduction.rebuild {
        let _ = writeln!(text, "the rebuild is in {directory}");
    }
    let _ = writeln!(text, "{}", verdict(reproduction));
    text
}

/// Returns the last line.
fn verdict(reproduction: &Reproduction) -> String {
    let name = match &reproduction.version {
        Some(version) => format!("{} {version}", reproduction.name),
        None => reproduction.name.clone(),
    };
    let short = reproduction.revision.get(..12).unwrap_or(&reproduction.revision);
    let artifacts = &reproduction.artifacts;
    let count = |outcome| artifacts.iter().filter(|it| it.outcome == outcome).count();
    let of = format!("of {} artifacts", artifacts.len());
    if !reproduction.rebuilt {
        let changed = count(Outcome::Changed);
        return format!(
            "not rebuilt: {changed} {of} of {name} do not match what the release records"
        );
    }
    let identical = count(Outcome::Identical);
    if reproduction.reproduced {
        let statements = match count(Outcome::Statement) {
            0 => String::new(),
            1 => "; 1 is a statement about the original build".to_owned(),
            more => format!("; {more} are statements about the original build"),
        };
        return format!(
            "reproduced: {name} from commit {short}: {identical} {of} are identical{statements}"
        );
    }
    let failed = artifacts.iter().filter(|artifact| artifact.outcome.is_failure()).count();
    format!("not reproduced: {name} from commit {short}: {failed} {of} differ or are missing")
}

/// Adds an artifact, with its difference. Values that are `shown` already are not repeated: a program is in
/// several artifacts.
fn row<'a>(
    text: &mut String,
    reproduction: &'a Reproduction,
    artifact: &'a ReproducedArtifact,
    width: usize,
    shown: &mut BTreeSet<[Option<&'a str>; 2]>,
) {
    let outcome = artifact.outcome.to_string();
    let size = artifact.size.map(|size| Size(size).to_string()).unwrap_or_default();
    let digest = artifact.sha256.short();
    let line = format!(
        "{outcome:<12}  {:<10}  {:<width$}  {size:>10}  sha256:{digest}",
        artifact.kind, artifact.path
    );
    let _ = writeln!(text, "{}", line.trim_end());
    if let Some(found) = artifact.found.filter(|found| *found != artifact.sha256) {
        let whose = match artifact.outcome {
            Outcome::Changed => "the file is",
            _ => "the rebuilt one is",
        };
        if artifact.outcome != Outcome::Statement {
            let _ = writeln!(text, "              {whose} {found}");
        }
    }
    let Some(difference) = &artifact.difference else { return };
    if let Some(path) = other_digest(reproduction, difference) {
        let _ = writeln!(text, "              {}: the digest of {path}", summary(difference));
        return;
    }
    let _ = writeln!(text, "              {}", summary(difference));
    if !shown.insert([difference.recorded.as_deref(), difference.rebuilt.as_deref()]) {
        return;
    }
    for (name, value) in [("recorded", &difference.recorded), ("rebuilt", &difference.rebuilt)] {
        if let Some(value) = value {
            let _ = writeln!(text, "              {name:>8}: {value}");
        }
    }
}

/// Returns the path of the different artifact with the digest that is the recorded value, or its first word.
fn other_digest<'a>(reproduction: &'a Reproduction, difference: &Difference) -> Option<&'a str> {
    let value = difference.recorded.as_deref()?.split_whitespace().next()?;
    let value = value.trim_start_matches("sha256:");
    let mut artifacts = reproduction.artifacts.iter().filter(|it| it.outcome.is_failure());
    artifacts.find(|it| it.sha256.hex() == value).map(|it| it.path.as_str())
}

/// Returns where a difference is, in one line.
fn summary(difference: &Difference) -> String {
    let mut parts = Vec::new();
    parts.extend(difference.file.as_ref().map(|file| format!("file `{file}`")));
    parts.extend(difference.section.as_ref().map(|section| format!("section `{section}`")));
    parts.extend(difference.symbol.as_ref().map(|symbol| format!("symbol `{symbol}`")));
    parts.extend(difference.field.as_ref().map(|field| format!("field `{field}`")));
    parts.extend(difference.offset.map(|offset| format!("offset {offset:#x}")));
    let place = parts.join(", ");
    match (&difference.note, place.is_empty()) {
        (Some(note), true) => note.clone(),
        (Some(note), false) => format!("{place}: {note}"),
        (None, _) => place,
    }
}
