//! The crate of a symbol, by its name.

mod legacy;
mod v0;

/// The name in the column of crates for code from outside of Rust.
pub(super) const C: &str = "[C]";
/// The same for C++.
pub(super) const CPLUSPLUS: &str = "[C++]";

/// The origin of a symbol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name {
    /// The crate for which it was compiled: for a generic function the one that uses it. That of its
    /// source if the name does not contain it.
    pub krate: String,
    /// The crate that its source is in.
    pub defining: String,
    /// The modules in that crate, with `::` between them.
    pub module: String,
    /// The name as in source, without the parts that differ from build to build.
    pub symbol: String,
    /// Whether the crate is a guess: names of the legacy scheme do not contain the crate for which they were
    /// compiled, nor that of an implementation.
    pub guessed: bool,
}

impl Name {
    /// Parses the name `raw` of a symbol table.
    pub fn parse(raw: &str) -> Self {
        if raw.starts_with("_R")
            && let Some(v0::ParsedName { path, instantiating }) = v0::parse(raw)
        {
            return path_name(raw, &path, instantiating);
        }
        if raw.starts_with("_ZN")
            && let Some(name) = legacy::parse(raw)
        {
            return name;
        }
        // LLVM names tables after the function that they are of.
        if let Some((what, inner)) = raw.split_once("_R").or_else(|| raw.split_once("_ZN"))
            && what.ends_with('.')
        {
            let start = what.len();
            let mut name = Name::parse(raw.get(start..).unwrap_or(inner));
            if name.defining != C {
                name.symbol.insert_str(0, what);
                return name;
            }
        }
        let symbol = stable_name(raw);
        let krate = match raw {
            "rust_eh_personality" | "rust_begin_unwind" | "rust_panic" => "std",
            _ if raw.starts_with("__rust_") || raw.starts_with("__rdl_") => "std",
            _ if raw.starts_with("_Z") => CPLUSPLUS,
            _ => C,
        };
        Name { krate: krate.into(), defining: krate.into(), symbol, ..Name::default() }
    }
}

fn path_name(raw: &str, path: &[String], instantiating: Option<String>) -> Name {
    // The compiler's own symbols, such as the allocator's entry, are in a crate of no source.
    let of_std = |name: String| if name == "__rustc" { "std".to_owned() } else { name };
    let defining = of_std(path.first().cloned().unwrap_or_default());
    let inner = |part: &&String| !part.starts_with('{');
    let modules: Vec<&str> = path.iter().skip(1).filter(inner).map(String::as_str).collect();
    let modules = modules.split_last().map_or(&[][..], |(_, modules)| modules);
    Name {
        krate: instantiating.map_or_else(|| defining.clone(), of_std),
        defining,
        module: modules.join("::"),
        symbol: format!("{:#}", rustc_demangle::demangle(raw)),
        guessed: false,
    }
}

/// Returns a name without the parts that differ from build to build: hashes, and numbers that compilers append
/// to distinguish equal names.
fn stable_name(raw: &str) -> String {
    let mut parts: Vec<&str> = raw.split('.').collect();
    let is_number = |part: &&str| {
        let digits = part.strip_prefix('h').unwrap_or(part);
        let hex = |byte: u8| byte.is_ascii_hexdigit();
        let number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        number || (digits.len() >= 16 && digits.bytes().all(hex))
    };
    while parts.len() > 1 && parts.last().is_some_and(|part| is_number(part) || *part == "llvm") {
        parts.pop();
    }
    parts.retain(|part| begins_with(raw, part) || !is_number(part));
    let name = parts.join(".");
    match name.split_once('_') {
        // rustc's name for a constant without one.
        Some(("alloc", digest)) if is_number(&digest) => "alloc".to_owned(),
        _ => match name.strip_prefix("GCC_except_table") {
            Some(_) => "GCC_except_table".to_owned(),
            None => name,
        },
    }
}

/// Returns whether `raw` begins with `part`: this is preserved as it is.
fn begins_with(raw: &str, part: &str) -> bool {
    std::ptr::eq(raw.as_ptr(), part.as_ptr())
}

#[cfg(test)]
mod tests;
