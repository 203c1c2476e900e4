//! The functions of C that compare, search, copy and fill memory. Those of zig and musl go byte by byte;
//! longshore's (`runtime/memory`), linked as an object before the C library, use vectors.

use std::collections::BTreeMap;

use crate::{
    build::target::Target,
    model::{
        machine::Linkage,
        platform::Platform,
        schema::memory::{MemoryChoice, MemoryFunctions},
    },
};

/// The files of longshore's functions, which rustc compiles for each target: the root of the crate, then its modules.
pub const SOURCES: [(&str, &str); 8] = [
    ("lib.rs", include_str!("../../runtime/memory/lib.rs")),
    ("block.rs", include_str!("../../runtime/memory/block.rs")),
    ("chunk.rs", include_str!("../../runtime/memory/chunk.rs")),
    ("compare.rs", include_str!("../../runtime/memory/compare.rs")),
    ("copy.rs", include_str!("../../runtime/memory/copy.rs")),
    ("find.rs", include_str!("../../runtime/memory/find.rs")),
    ("narrow.rs", include_str!("../../runtime/memory/narrow.rs")),
    ("wide.rs", include_str!("../../runtime/memory/wide.rs")),
];

impl MemoryFunctions {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            MemoryFunctions::Fast => "fast",
            MemoryFunctions::System => "system",
        }
    }
}

/// Returns the implementation for binaries for `target`: that requested in the target's file, else in
/// metadata, else longshore's. A target without longshore's gets that of its C library in any case.
pub fn choose(target: &Target, metadata: Option<MemoryFunctions>) -> MemoryChoice {
    let of_target = target.spec.memory_functions.map(|setting| (setting, target.origin.clone()));
    let requested = of_target.or(metadata.map(|setting| (setting, "metadata".to_owned())));
    let (functions, origin) =
        requested.unwrap_or((MemoryFunctions::Fast, "default for static musl".to_owned()));
    match missing(target) {
        Some(why) if functions == MemoryFunctions::Fast => MemoryChoice {
            functions: MemoryFunctions::System,
            origin: why.to_owned(),
            others: Vec::new(),
        },
        _ => MemoryChoice { functions, origin, others: Vec::new() },
    }
}

/// Returns the reason why there are no functions of longshore for `target`.
fn missing(target: &Target) -> Option<&'static str> {
    if !target.name.contains("-musl") || target.spec.linkage == Linkage::Dynamic {
        Some("the target's C library is not a static musl")
    } else if !target.is_amd64_or_arm64() {
        Some("there are fast ones for x86-64 and arm64 only")
    } else {
        None
    }
}

/// The functions, and the second name that each has in longshore's object. Those for arm64 are the first
/// five.
pub const FUNCTION_NAMES: [(&str, &str); 8] = [
    ("bcmp", "longshore_bcmp"),
    ("memchr", "longshore_memchr"),
    ("memcmp", "longshore_memcmp"),
    ("memrchr", "longshore_memrchr"),
    ("strlen", "longshore_strlen"),
    ("memcpy", "longshore_memcpy"),
    ("memmove", "longshore_memmove"),
    ("memset", "longshore_memset"),
];

/// Returns whether longshore's object has the function `name` for `platform`, and every linker takes it from there:
/// zig 0.15 and newer have a `strlen` that cannot be replaced.
pub fn is_replaced(platform: &Platform, name: &str) -> bool {
    let searches = ["bcmp", "memchr", "memcmp", "memrchr"].contains(&name);
    let copies = ["memcpy", "memmove", "memset"].contains(&name);
    searches || copies && platform.architecture == "amd64"
}

/// The functions in a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedFunctions {
    /// Those of longshore.
    pub own: Vec<&'static str>,
    /// Those of the program itself or of the C library.
    pub others: Vec<&'static str>,
}

impl LinkedFunctions {
    /// Returns those in a program with symbols at these addresses. The linker leaves out functions that are
    /// never called.
    pub fn new(addresses: &BTreeMap<&str, u64>) -> Self {
        let mut linked = LinkedFunctions { own: Vec::new(), others: Vec::new() };
        for (name, own) in FUNCTION_NAMES.iter().filter(|(name, _)| addresses.contains_key(name)) {
            match addresses.get(name) == addresses.get(own) {
                true => linked.own.push(name),
                false => linked.others.push(name),
            }
        }
        linked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::target::Targets;

    fn chosen(name: &str, change: &[(&str, &str)], metadata: Option<MemoryFunctions>) -> String {
        let (_, text) = crate::build::target::EMBEDDED[1];
        let text = change.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
        let targets = Targets::new([(name.to_owned(), "targets/it.toml".to_owned(), text)]);
        let choice = choose(targets.unwrap().get(name).unwrap(), metadata);
        format!("{} {}", choice.functions.name(), choice.origin)
    }

    #[test]
    fn settings_and_the_target_choose() {
        let name = "x86_64-unknown-linux-musl";
        let set = ("\n[elf]", "memory-functions = \"system\"\n[elf]");
        let system = Some(MemoryFunctions::System);
        assert_eq!(chosen(name, &[], None), "fast default for static musl");
        assert_eq!(chosen(name, &[], Some(MemoryFunctions::Fast)), "fast metadata");
        assert_eq!(chosen(name, &[], system), "system metadata");
        assert_eq!(chosen(name, &[set], Some(MemoryFunctions::Fast)), "system targets/it.toml");
        let gnu = chosen("x86_64-unknown-linux-gnu", &[], Some(MemoryFunctions::Fast));
        assert_eq!(gnu, "system the target's C library is not a static musl");
        let riscv = [("\"x86_64\"", "\"riscv\"")];
        let riscv = chosen("riscv64gc-unknown-linux-musl", &riscv, None);
        assert_eq!(riscv, "system there are fast ones for x86-64 and arm64 only");
    }

    #[test]
    fn equal_addresses_show_the_implementation() {
        let addresses = [("memcmp", 16), ("longshore_memcmp", 16), ("strlen", 32)];
        let linked = LinkedFunctions::new(&BTreeMap::from(addresses));
        assert_eq!(linked, LinkedFunctions { own: vec!["memcmp"], others: vec!["strlen"] });
    }

    #[test]
    fn names_are_those_of_the_source() {
        for (name, symbol) in FUNCTION_NAMES {
            assert!(SOURCES[0].1.contains(&format!("fn {name} = {symbol}(")), "{name}");
        }
    }
}
