//! Names of rustc's legacy scheme, which resemble those of C++: `_ZN`, components with their lengths, among
//! them a hash as the last, `E`. They are meant to be read by people, so the crate is a guess if an
//! implementation or a type is named.

use super::Name;

/// Crates that implement traits only for their own types, or generically.
const STD: [&str; 3] = ["std", "core", "alloc"];

/// Returns `None` if the name is not of this scheme.
pub(super) fn parse(raw: &str) -> Option<Name> {
    let demangled = rustc_demangle::try_demangle(raw).ok()?;
    let (with, text) = (demangled.to_string(), format!("{demangled:#}"));
    // Without a digest it is C++.
    let digest = with.strip_prefix(&text)?.get(..19)?;
    digest.starts_with("::h").then_some(())?;
    let path = path_parts(&text);
    let (first, rest) = path.split_first()?;
    let (defining, in_type) = match first.strip_prefix('<') {
        Some(inside) => (impl_crate(inside.strip_suffix('>').unwrap_or(inside))?, true),
        None => (*first, false),
    };
    let rest: Vec<&str> = rest.iter().copied().filter(|part| !part.starts_with("{{")).collect();
    let modules = rest.split_last().map_or(&[][..], |(_, modules)| modules);
    let module = match in_type {
        true => type_modules(first),
        false => modules.join("::"),
    };
    let krate = dropped_type_crate(&text).unwrap_or(defining).to_owned();
    let guessed = in_type || krate != defining || STD.contains(&defining);
    Some(Name { krate, defining: defining.to_owned(), module, symbol: text.clone(), guessed })
}

/// Returns the parts of a path, separated by each `::` outside of brackets.
fn path_parts(text: &str) -> Vec<&str> {
    let (mut found, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'<' | b'(' | b'[' => depth += 1,
            // The arrow of a function's type closes nothing.
            b'>' if at.checked_sub(1).and_then(|at| bytes.get(at)) == Some(&b'-') => {}
            b'>' | b')' | b']' => depth = depth.saturating_sub(1),
            b':' if depth == 0 && bytes.get(at + 1) == Some(&b':') => {
                found.extend(text.get(start..at));
                start = at + 2;
            }
            _ => {}
        }
    }
    found.extend(text.get(start..));
    found
}

/// Returns the crate of `Type as Trait`: that of the type, unless only the trait can be of a user's crate.
fn impl_crate(inside: &str) -> Option<&str> {
    let mut depth = 0_usize;
    let cut = inside.char_indices().find(|(at, c)| {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && inside.get(*at..).is_some_and(|rest| rest.starts_with(" as "))
    });
    let (implementing, by) = match cut {
        Some((at, _)) => (inside.get(..at)?, inside.get(at + 4..)),
        None => (inside, None),
    };
    let (implementing, by) = (crate_of(implementing), by.and_then(crate_of));
    match (implementing, by) {
        (Some(implementing), Some(by)) if STD.contains(&implementing) => Some(by),
        (Some(implementing), _) => Some(implementing),
        (None, by) => by.or(Some("core")),
    }
}

/// Returns the crate that a type's path begins with; `None` if it has no path.
fn crate_of(text: &str) -> Option<&str> {
    let mut text = text;
    loop {
        let before = text.len();
        for prefix in ["&", "*const ", "*mut ", "mut ", "dyn ", "[", "(", "<"] {
            text = text.strip_prefix(prefix).unwrap_or(text);
        }
        if text.len() == before {
            break;
        }
    }
    let (name, _) = text.split_once("::")?;
    let word = |c: char| c == '_' || c.is_ascii_alphanumeric();
    (!name.is_empty() && name.chars().all(word)).then_some(name)
}

/// Returns the modules of the type in `<Type as Trait>`.
fn type_modules(first: &str) -> String {
    let inside = first.trim_start_matches('<');
    let path = inside.split(" as ").next().unwrap_or_default();
    let path = path.split(['<', '>', ' ']).next().unwrap_or_default();
    let parts: Vec<&str> = path.split("::").collect();
    match parts.as_slice() {
        [_, modules @ .., _] => modules.join("::"),
        _ => String::new(),
    }
}

/// Returns the crate for which a destructor was compiled: it is the one function with its type in its name.
fn dropped_type_crate(text: &str) -> Option<&str> {
    let dropped = text.strip_prefix("core::ptr::drop_in_place<")?;
    crate_of(dropped).filter(|name| !STD.contains(name))
}
