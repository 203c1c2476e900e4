//! An instruction's flags, as frontend/dockerfile/instructions/bflag.go of BuildKit reads them.

use std::ops::Range;

use super::{
    line::Line,
    source::{Problem, nearest_short},
    word::Word,
};

/// The kind of a flag's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FlagKind {
    /// Nothing, or `true` or `false`.
    Bool,
    /// One value.
    One,
    /// A value, as often as it is given.
    Many,
}

/// The flags that were given.
#[derive(Debug, Default)]
pub(super) struct Flags(Vec<(&'static str, Word)>);

impl Flags {
    /// Reads `given`, the flags of an instruction that has the flags `known`.
    pub(super) fn read(
        line: &Line,
        instruction: &str,
        given: &[(String, Range<usize>)],
        known: &'static [(&'static str, FlagKind)],
    ) -> Result<Self, Problem> {
        let mut flags = Flags::default();
        for (text, at) in given {
            let span = line.span(at.clone());
            let problem = |message: String| Problem::new(span, message);
            let bare = text.strip_prefix("--").unwrap_or(text);
            let (name, value) = match bare.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (bare, None),
            };
            let Some((name, kind)) = known.iter().find(|(known, _)| *known == name) else {
                let near = nearest_short(name, known.iter().map(|(known, _)| *known));
                let near = near.map(|near| format!("--{near}"));
                return Err(problem(format!("`{instruction}` has no flag `--{name}`"))
                    .did_you_mean(near.as_deref()));
            };
            if *kind != FlagKind::Many && flags.0.iter().any(|(given, _)| given == name) {
                return Err(problem(format!("the flag `--{name}` is given twice")));
            }
            let value = match (kind, value) {
                (FlagKind::Bool, None) => "true".to_owned(),
                (FlagKind::Bool, Some(value)) => match value.to_ascii_lowercase().as_str() {
                    value @ ("true" | "false") => value.to_owned(),
                    _ => {
                        let message = format!("`--{name}` is `true` or `false`, not `{value}`");
                        return Err(problem(message));
                    }
                },
                (_, Some(value)) => value.to_owned(),
                (_, None) => {
                    return Err(problem(format!("the flag `--{name}` needs a value"))
                        .hint(format!("write `--{name}=value`")));
                }
            };
            let start = (at.start + name.len() + 3).min(at.end);
            let location =
                if line.part(start..at.end) == value { start..at.end } else { at.clone() };
            flags.0.push((*name, Word::new(line, value, location)));
        }
        Ok(flags)
    }

    /// Returns the flag's value, if it was given.
    pub(super) fn take_one(&mut self, name: &'static str) -> Option<Word> {
        let at = self.0.iter().position(|(given, _)| *given == name)?;
        Some(self.0.remove(at).1)
    }

    /// Returns all the flag's values.
    pub(super) fn take_many(&mut self, name: &'static str) -> Vec<Word> {
        self.0.extract_if(.., |(given, _)| *given == name).map(|(_, word)| word).collect()
    }

    /// Returns whether the flag was given, and not as `false`.
    pub(super) fn is_set(&self, name: &'static str) -> bool {
        self.0.iter().any(|(given, word)| *given == name && word.text == "true")
    }
}
