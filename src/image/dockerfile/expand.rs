//! Variables, quotes and escapes in words, as frontend/dockerfile/shell/lex.go of BuildKit expands
//! them.

use std::{collections::BTreeMap, ops::Range};

use super::trim::{Pattern, TrimSide};

/// Variables by name.
pub(super) type Variables = BTreeMap<String, String>;

/// The maximum nesting depth of `${A:-${B:-…}}`.
const DEPTH: usize = 32;

/// The remaining budget of expansion. A few lines that double a variable would otherwise fill the
/// memory: `ENV A=$A$A`.
#[derive(Debug)]
pub(super) struct Fuel(usize);

impl Fuel {
    /// Returns the budget for one file's evaluation, in bytes.
    pub(super) fn new() -> Self {
        Fuel(16 << 20)
    }

    /// Uses it, unless there is not enough.
    pub(super) fn spend(&mut self, amount: usize) -> bool {
        match self.0.checked_sub(amount) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }
}

/// A word expanded.
#[derive(Debug, Default)]
pub(super) struct Expanded {
    pub(super) text: String,
    /// The words that it is after expansion, for instructions that take several.
    pub(super) words: Vec<String>,
    /// Variables that are not set and have no default, with where they are in the word.
    pub(super) unset: Vec<(String, Range<usize>)>,
}

/// An error in a word, and its location.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WordError {
    pub(super) message: String,
    pub(super) at: Range<usize>,
}

/// Expands `word`, in which `escape` takes a character's meaning away.
pub(super) fn expand(
    word: &str,
    escape: char,
    variables: &Variables,
    fuel: &mut Fuel,
) -> Result<Expanded, WordError> {
    let mut lexer =
        Lexer { word, at: 0, escape, raw: false, depth: 0, variables, fuel, unset: Vec::new() };
    let (text, words) = lexer.until(None, false)?;
    Ok(Expanded { text, words, unset: lexer.unset })
}

/// The words that a text is cut into, besides the text itself.
#[derive(Debug, Default)]
struct WordSplitter {
    words: Vec<String>,
    word: String,
    inside: bool,
}

impl WordSplitter {
    /// Appends a character that separates words if it is white space.
    fn push(&mut self, c: char) {
        if !c.is_whitespace() {
            self.push_raw(c);
        } else if self.inside && !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
            self.inside = false;
        }
    }

    fn push_raw(&mut self, c: char) {
        self.word.push(c);
        self.inside = true;
    }

    fn push_quoted(&mut self, text: &str) {
        self.word.push_str(text);
        self.inside = true;
    }

    fn finish(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.words.push(self.word);
        }
        self.words
    }
}

struct Lexer<'a> {
    word: &'a str,
    at: usize,
    escape: char,
    /// Whether escape characters stay, for a pattern to read.
    raw: bool,
    depth: usize,
    variables: &'a Variables,
    fuel: &'a mut Fuel,
    unset: Vec<(String, Range<usize>)>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.word.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// Returns the error from `start` to here.
    fn fault<T>(&self, start: usize, message: impl Into<String>) -> Result<T, WordError> {
        Err(WordError { message: message.into(), at: start..self.at.max(start) })
    }

    fn spend(&mut self, start: usize, amount: usize) -> Result<(), WordError> {
        if self.fuel.spend(amount) {
            return Ok(());
        }
        self.fault(start, "the variables expand to more than a recipe can hold")
    }

    /// Returns everything up to `stop`, which is consumed, or to the end.
    fn until(&mut self, stop: Option<char>, raw: bool) -> Result<(String, Vec<String>), WordError> {
        let start = self.at;
        let outer = std::mem::replace(&mut self.raw, raw);
        let mut text = String::new();
        let mut words = WordSplitter::default();
        loop {
            let Some(c) = self.peek() else {
                if let Some(stop) = stop {
                    return self.fault(start, format!("`{stop}` is missing"));
                }
                break;
            };
            if Some(c) == stop {
                self.next();
                break;
            }
            match c {
                '$' => {
                    let value = self.expand_dollar()?;
                    value.chars().for_each(|c| words.push(c));
                    text.push_str(&value);
                }
                '\'' | '"' => {
                    let value = if c == '"' { self.double_quotes() } else { self.single_quotes() };
                    let value = value?;
                    words.push_quoted(&value);
                    text.push_str(&value);
                }
                _ => {
                    self.next();
                    if c != self.escape {
                        words.push(c);
                        text.push(c);
                        continue;
                    }
                    if self.raw {
                        words.push_raw(c);
                        text.push(c);
                    }
                    let Some(c) = self.next() else { continue };
                    words.push_raw(c);
                    text.push(c);
                }
            }
        }
        self.raw = outer;
        self.spend(start, text.len())?;
        Ok((text, words.finish()))
    }

    /// Reads single quotes, in which nothing has a meaning, not even the escape character.
    fn single_quotes(&mut self) -> Result<String, WordError> {
        let start = self.at;
        self.next();
        let rest = self.rest();
        let Some(end) = rest.find('\'') else {
            self.at = self.word.len();
            return self.fault(start, "the quote `'` is not closed");
        };
        self.at += end + 1;
        Ok(rest.get(..end).unwrap_or("").to_owned())
    }

    /// Reads double quotes, in which variables are expanded, and the escape character is one only
    /// before `"`, `$` and itself.
    fn double_quotes(&mut self) -> Result<String, WordError> {
        let start = self.at;
        self.next();
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return self.fault(start, "the quote `\"` is not closed"),
                Some('"') => {
                    self.next();
                    return Ok(text);
                }
                Some('$') => text.push_str(&self.expand_dollar()?),
                Some(c) => {
                    self.next();
                    if c != self.escape {
                        text.push(c);
                        continue;
                    }
                    if self.raw {
                        text.push(c);
                    }
                    match self.peek() {
                        None => {}
                        Some(next) if next == '"' || next == '$' || next == self.escape => {
                            self.next();
                            text.push(next);
                        }
                        Some(_) => text.push(c),
                    }
                }
            }
        }
    }

    /// Returns a variable's value. An unset variable is empty.
    fn value(&mut self, name: &str, start: usize) -> Result<Option<&'a str>, WordError> {
        let value = self.variables.get(name).map(String::as_str);
        self.spend(start, value.map_or(0, str::len))?;
        Ok(value)
    }

    /// Returns the value of a variable without a default or an error for its absence.
    fn plain_value(&mut self, name: String, start: usize) -> Result<String, WordError> {
        let value = self.value(&name, start)?.map(str::to_owned);
        if value.is_none() {
            self.unset.push((name, start..self.at));
        }
        Ok(value.unwrap_or_default())
    }

    fn expand_dollar(&mut self) -> Result<String, WordError> {
        let start = self.at;
        self.next();
        if self.peek() != Some('{') {
            let name = self.name();
            return if name.is_empty() { Ok("$".into()) } else { self.plain_value(name, start) };
        }
        self.next();
        match self.peek() {
            None => return self.fault(start, "`}` is missing"),
            Some('{' | '}' | ':') => {
                self.next();
                return self.fault(start, "`${` needs a variable's name");
            }
            _ => {}
        }
        let name = self.name();
        match self.next() {
            Some('}') => self.plain_value(name, start),
            Some('/') => self.expand_replacement(&name, start),
            Some(':') => {
                let operator = self.next();
                self.expand_operator(&name, operator, true, start)
            }
            operator => self.expand_operator(&name, operator, false, start),
        }
    }

    /// Enters one more level of `${…}`.
    fn expand_nested(&mut self, stop: char, raw: bool, start: usize) -> Result<String, WordError> {
        self.depth += 1;
        if self.depth > DEPTH {
            return self.fault(start, format!("`${{` is nested more than {DEPTH} deep"));
        }
        let (text, _) = self.until(Some(stop), raw)?;
        self.depth -= 1;
        Ok(text)
    }

    /// Expands `${name-word}` and the others; `empty` for those with a colon, which treat an empty
    /// value as unset.
    fn expand_operator(
        &mut self,
        name: &str,
        operator: Option<char>,
        empty: bool,
        start: usize,
    ) -> Result<String, WordError> {
        let operator = match operator {
            Some(c @ ('-' | '+' | '?' | '#' | '%')) => c,
            Some(c) => {
                let c = if empty { format!(":{c}") } else { c.to_string() };
                return self.fault(start, format!("`{c}` means nothing in `${{…}}`"));
            }
            None => return self.fault(start, "`}` is missing"),
        };
        let trims = matches!(operator, '#' | '%');
        let word = self.expand_nested('}', trims, start)?;
        let value = self.value(name, start)?;
        let given = value.filter(|value| !(empty && value.is_empty()));
        match operator {
            '-' => Ok(given.map_or(word, str::to_owned)),
            '+' => Ok(given.map_or(String::new(), |_| word)),
            '?' => match given {
                Some(value) => Ok(value.to_owned()),
                None if word.is_empty() => {
                    let what = if value.is_some() { "empty" } else { "not set" };
                    self.fault(start, format!("the variable `{name}` is {what}"))
                }
                None => self.fault(start, format!("{name}: {word}")),
            },
            _ => {
                let value = value.unwrap_or("");
                let (greedy, pattern) = match word.strip_prefix(operator) {
                    Some(pattern) => (true, pattern),
                    None => (false, word.as_str()),
                };
                let side = if operator == '#' { TrimSide::Prefix } else { TrimSide::Suffix };
                let trimmed = Pattern::parse(pattern)
                    .and_then(|pattern| pattern.trim(value, side, greedy, self.fuel));
                trimmed.or_else(|message| self.fault(start, message))
            }
        }
    }

    /// Expands `${name/pattern/replacement}`, or with two slashes for every match.
    fn expand_replacement(&mut self, name: &str, start: usize) -> Result<String, WordError> {
        let all = self.peek() == Some('/');
        if all {
            self.next();
        }
        let pattern = self.expand_nested('/', true, start)?;
        let replacement = self.expand_nested('}', true, start)?;
        let value = self.value(name, start)?.unwrap_or("");
        if all && replacement.contains('$') {
            // BuildKit reads it as a reference to a part of what was found.
            return self.fault(start, "`$` cannot be in the replacement of `${…//…}`");
        }
        let replaced = Pattern::parse(&pattern)
            .and_then(|pattern| pattern.replace(value, &replacement, all, self.fuel));
        replaced.or_else(|message| self.fault(start, message))
    }

    /// Returns a variable's name: letters, digits and `_`; or only digits; or one special character.
    fn name(&mut self) -> String {
        let rest = self.rest();
        let end = |inside: fn(char) -> bool| rest.find(|c| !inside(c)).unwrap_or(rest.len());
        let length = match self.peek() {
            Some(c) if is_digit(c) => end(is_digit),
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => 1,
            _ => end(|c| c.is_alphabetic() || is_digit(c) || c == '_'),
        };
        self.at += length;
        rest.get(..length).unwrap_or("").to_owned()
    }
}

/// Returns a decimal digit. Those beyond ASCII are not distinguished from other numbers, which no
/// variable has in its name.
fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}
