//! Licences, from the form of manifests to that of SPDX.

/// Converts `text` to an expression of SPDX's (SPDX 2.3, annex D); `None` if it does not have the form of one.
/// The `/` with which older manifests separate alternatives is `OR`
/// (<https://doc.rust-lang.org/cargo/reference/manifest.html#the-license-and-license-file-fields>).
pub fn parse_expression(text: &str) -> Option<String> {
    let text = text.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut depth = 0_usize;
    // Whether the next word has to be a licence, or an operator.
    let mut operand = true;
    let mut exception = false;
    for word in &words {
        match (*word, operand) {
            ("(", true) if !exception => depth = depth.checked_add(1)?,
            (")", false) => depth = depth.checked_sub(1)?,
            ("AND" | "OR", false) => operand = true,
            ("WITH", false) => (operand, exception) = (true, true),
            ("AND" | "OR" | "WITH" | "(" | ")", _) => return None,
            (_, true) if is_name(word) => (operand, exception) = (false, false),
            _ => return None,
        }
    }
    let complete = depth == 0 && !operand;
    complete.then(|| words.join(" ").replace("( ", "(").replace(" )", ")"))
}

/// Returns whether `word` is an identifier of SPDX's: letters, digits, `-` and `.`, and a `+` for later
/// versions.
fn is_name(word: &str) -> bool {
    let name = word.strip_suffix('+').unwrap_or(word);
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_recognised_by_their_form() {
        for (text, expected) in [
            ("MIT", "MIT"),
            ("MIT/Apache-2.0", "MIT OR Apache-2.0"),
            ("MIT / Apache-2.0", "MIT OR Apache-2.0"),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", "(MIT OR Apache-2.0) AND Unicode-3.0"),
            ("Apache-2.0 WITH LLVM-exception", "Apache-2.0 WITH LLVM-exception"),
            ("GPL-2.0+", "GPL-2.0+"),
        ] {
            assert_eq!(parse_expression(text).as_deref(), Some(expected));
        }
        for text in ["", "MIT OR", "do what you like", "(MIT", "MIT)", "MIT, BSD", "AND MIT", "()"]
        {
            assert_eq!(parse_expression(text), None, "{text}");
        }
    }
}
