//! Patterns in `${name#pattern}`, `${name%pattern}` and `${name/pattern/replacement}`, as
//! frontend/dockerfile/shell/lex.go of BuildKit turns them into regular expressions: `*` and `?`
//! match anything but a newline, and there are no brackets.

use super::expand::Fuel;

/// The end of a value that a pattern is removed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrimSide {
    Prefix,
    Suffix,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    Character(char),
    /// `?`
    Any,
    /// `*`
    Star,
}

/// A pattern, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Element>);

/// The message for a pattern that costs too much to match.
const COSTLY_MESSAGE: &str = "the pattern takes too long to match";

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut elements = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            elements.push(match c {
                '*' => Element::Star,
                '?' => Element::Any,
                // These end the pattern, and are escaped for that alone.
                '\\' if matches!(chars.peek(), Some('}' | '/')) => continue,
                '\\' => match chars.next() {
                    Some(c @ ('*' | '?' | '\\')) => Element::Character(c),
                    Some(c) => return Err(format!("`\\{c}` means nothing in a pattern")),
                    None => return Err("a pattern cannot end in `\\`".into()),
                },
                c => Element::Character(c),
            });
        }
        Ok(Pattern(elements))
    }

    /// Returns `value` without the match at one end: the longest when `greedy`, else the shortest.
    pub(super) fn trim(
        mut self,
        value: &str,
        side: TrimSide,
        greedy: bool,
        fuel: &mut Fuel,
    ) -> Result<String, String> {
        let mut chars: Vec<char> = value.chars().collect();
        if side == TrimSide::Suffix {
            chars.reverse();
            self.0.reverse();
        }
        let end = self.match_end(&chars, 0, greedy, fuel)?.unwrap_or(0);
        let mut rest = chars.split_off(end.min(chars.len()));
        if side == TrimSide::Suffix {
            rest.reverse();
        }
        Ok(rest.into_iter().collect())
    }

    /// Returns `value` with `replacement` for matches, the first or `all`.
    pub(super) fn replace(
        &self,
        value: &str,
        replacement: &str,
        all: bool,
        fuel: &mut Fuel,
    ) -> Result<String, String> {
        let chars: Vec<char> = value.chars().collect();
        let mut result = String::new();
        // The text before it is in the result.
        let mut done = 0;
        let mut at = 0;
        while at <= chars.len() {
            let Some(end) = self.match_end(&chars, at, true, fuel)? else {
                at += 1;
                continue;
            };
            result.extend(chars.get(done..at).unwrap_or(&[]));
            // Nothing right after something that was found is not found again.
            if end > done || at == 0 {
                if !fuel.spend(replacement.len()) {
                    return Err(COSTLY_MESSAGE.into());
                }
                result.push_str(replacement);
            }
            done = end;
            if !all {
                break;
            }
            at = end.max(at + 1);
        }
        result.extend(chars.get(done..).unwrap_or(&[]));
        Ok(result)
    }

    /// Returns the end of a match that starts at `start`: the last possible one when `greedy`, else the
    /// first.
    fn match_end(
        &self,
        chars: &[char],
        start: usize,
        greedy: bool,
        fuel: &mut Fuel,
    ) -> Result<Option<usize>, String> {
        // Every place that the elements so far can end at, in order.
        let mut ends = vec![start];
        for element in &self.0 {
            let holds = |at: &usize| match (element, chars.get(*at)) {
                (_, None) => false,
                (Element::Character(wanted), Some(c)) => wanted == c,
                (_, Some(c)) => *c != '\n',
            };
            let mut next = Vec::new();
            if *element == Element::Star {
                for mut at in ends {
                    // Places that an earlier start has reached are not visited again.
                    if next.last().is_some_and(|last| *last >= at) {
                        continue;
                    }
                    next.push(at);
                    while holds(&at) {
                        at += 1;
                        next.push(at);
                    }
                }
            } else {
                next.extend(ends.iter().filter(|at| holds(at)).map(|at| at + 1));
            }
            if !fuel.spend(next.len() + 1) {
                return Err(COSTLY_MESSAGE.into());
            }
            if next.is_empty() {
                return Ok(None);
            }
            ends = next;
        }
        Ok(if greedy { ends.last() } else { ends.first() }.copied())
    }
}
