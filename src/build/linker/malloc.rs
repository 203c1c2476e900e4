//! `malloc` of C code in a program that brings a global allocator. That one serves Rust alone. The C library allocates,
//! too, for instance for each directory that is read, and musl's `malloc` returns that memory to the kernel at once. So
//! the link gives C code the program's allocator.

use std::iter;

use memchr::memmem;

/// An allocator with functions for C under separate names.
struct KnownAllocator {
    /// The crate that programs name.
    package: &'static str,
    /// The crate with its code, as rustc spells it.
    library: &'static str,
    /// The beginning of the names of its functions.
    prefix: &'static str,
}

const KNOWN: [KnownAllocator; 3] = [
    KnownAllocator { package: "jemallocator", library: "jemalloc_sys", prefix: "_rjem_" },
    KnownAllocator { package: "mimalloc", library: "libmimalloc_sys", prefix: "mi_" },
    KnownAllocator { package: "tikv-jemallocator", library: "tikv_jemalloc_sys", prefix: "_rjem_" },
];

/// The beginnings of the names of their functions.
pub const PREFIXES: [&str; 2] = ["_rjem_", "mi_"];

/// The functions of C that allocate and release memory (malloc(3), posix_memalign(3), malloc_usable_size(3)). musl's
/// other functions of this kind call these.
const FUNCTIONS: [&str; 7] = [
    "aligned_alloc",
    "calloc",
    "free",
    "malloc",
    "malloc_usable_size",
    "posix_memalign",
    "realloc",
];

/// The argument of a link that gives C code the allocator that is among the libraries of the link, if one is. For zig,
/// a `=` and the beginning of the paths of [`assembly`] follow.
pub const FLAG: &str = "--longshore-malloc";

/// The second name of `malloc` in [`assembly`].
pub const SECOND_NAME: &str = "longshore_malloc";

/// Returns the path of [`assembly`] for a prefix, by the beginning in [`FLAG`].
pub fn assembly_path(beginning: &str, prefix: &str) -> String {
    format!("{beginning}{prefix}.s")
}

/// Returns whether the allocator of the crate `package` can serve C code.
pub fn is_known(package: &str) -> bool {
    KNOWN.iter().any(|known| known.package == package)
}

/// Returns the beginning of the names of functions in a library of a link, by the name of its file, if it is that of
/// a known allocator.
pub fn library_prefix(file_name: &str) -> Option<&'static str> {
    let name = file_name.strip_suffix(".rlib")?.strip_prefix("lib")?;
    let (name, _) = name.rsplit_once('-')?;
    KNOWN.iter().find(|known| known.library == name).map(|known| known.prefix)
}

/// Returns whether the content of a library names all functions: features of its crate may give them other names.
pub fn names_all(library: &[u8], prefix: &str) -> bool {
    let names = FUNCTIONS.iter().map(|function| format!("{prefix}{function}\0"));
    names.into_iter().all(|name| memmem::find(library, name.as_bytes()).is_some())
}

/// Returns the arguments for lld that define the functions as those with the prefix.
pub fn definitions(prefix: &str) -> Vec<String> {
    let definition = |function: &&str| format!("-Wl,--defsym={function}={prefix}{function}");
    FUNCTIONS.iter().map(definition).collect()
}

/// Returns assembly that defines the functions as jumps to those with the prefix: zig has no argument for that.
/// `architecture` is the first part of the target's name.
pub fn assembly(architecture: &str, prefix: &str) -> String {
    let jump = if architecture == "x86_64" { "jmp" } else { "b" };
    let mut text = String::new();
    for function in FUNCTIONS {
        text.push_str(&format!(".section .text.{function},\"ax\",%progbits\n"));
        let second = (function == "malloc").then_some(SECOND_NAME);
        for name in iter::once(function).chain(second) {
            // A definition in the program takes precedence.
            text.push_str(&format!(".weak {name}\n.type {name},%function\n{name}:\n"));
        }
        text.push_str(&format!("{jump} {prefix}{function}\n"));
    }
    text + ".section .note.GNU-stack,\"\",%progbits\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_known_by_their_crate() {
        assert_eq!(library_prefix("libtikv_jemalloc_sys-0a1b.rlib"), Some("_rjem_"));
        assert_eq!(library_prefix("liblibmimalloc_sys-0a1b.rlib"), Some("mi_"));
        for other in ["libmimalloc-0a1b.rlib", "libjemalloc_sys.rlib", "libjemalloc_sys-1.a", ""] {
            assert_eq!(library_prefix(other), None, "{other}");
        }
        assert!(KNOWN.iter().all(|known| PREFIXES.contains(&known.prefix)));
        assert!(is_known("mimalloc") && !is_known("rpmalloc"));
    }

    #[test]
    fn a_library_without_one_of_the_functions_does_not_serve() {
        let table: String = FUNCTIONS.iter().map(|function| format!("mi_{function}\0")).collect();
        assert!(names_all(table.as_bytes(), "mi_"));
        assert!(!names_all(table.as_bytes(), "_rjem_"));
        assert!(!names_all(table.replace("mi_free", "free").as_bytes(), "mi_"));
    }

    #[test]
    fn functions_are_defined_as_those_of_the_allocator() {
        assert!(definitions("mi_").contains(&"-Wl,--defsym=free=mi_free".to_owned()));
        assert!(assembly("x86_64", "_rjem_").contains("malloc:\njmp _rjem_malloc\n"));
        assert!(assembly("aarch64", "mi_").contains("calloc:\nb mi_calloc\n"));
    }
}
