//! String literals that are searched for in files.

use std::hint::black_box;

/// The longest text.
const MAX_LENGTH: usize = 48;

/// The value that every byte of a text is stored with (exclusive or): no ASCII text stays ASCII.
const KEY: u8 = 0x80;

/// A text that is searched for in files, stored so that the finished program does not contain it. A
/// check that searches for a text in a file would otherwise find it in this very program, and in every
/// program that uses this library.
pub(crate) struct Needle {
    hidden: [u8; MAX_LENGTH],
    len: usize,
}

/// The text that UPX writes behind the program headers of a packed file.
pub(crate) const UPX: Needle = Needle::new("UPX!");

/// The text of musl's `strerror` for a number that it does not know, with its end.
pub(crate) const MUSL: Needle = Needle::new("No error information\0");

/// The name of glibc's modules for character sets.
pub(crate) const GCONV: Needle = Needle::new("gconv");

/// The message of `core` when a debug assertion on an unsafe function's contract fails.
pub(crate) const ASSERTION: Needle = Needle::new("unsafe precondition(s) violated");

/// The class of the exceptions that Rust's panics are (`library/panic_unwind/src/gcc.rs`,
/// `RUST_EXCEPTION_CLASS`), which x86-64 code has as one number.
pub(crate) const EXCEPTION: Needle = Needle::new("MOZ\0RUST");

/// The message that jemalloc prints before it aborts.
pub(crate) const JEMALLOC: Needle = Needle::new("<jemalloc>: Unsupported system page size");

/// The parents of home directories on the systems that people build on.
pub(crate) const HOMES: [Needle; 2] = [Needle::new("/home/"), Needle::new("/Users/")];

impl Needle {
    /// Encodes a text. Call it for constants only: then the compiler, and not the program, has the
    /// text.
    const fn new(text: &str) -> Self {
        let text = text.as_bytes();
        let mut hidden = [0; MAX_LENGTH];
        let mut at = 0;
        while at < text.len() {
            hidden[at] = text[at] ^ KEY;
            at += 1;
        }
        Needle { hidden, len: text.len() }
    }

    /// Returns the text. The key is hidden from the optimiser, which would store the result instead.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let key = black_box(KEY);
        self.hidden.iter().take(self.len).map(|byte| byte ^ key).collect()
    }

    /// Returns the text between backticks, for evidence.
    pub(crate) fn quoted(&self) -> String {
        super::quote(&self.bytes())
    }

    /// Returns whether the text is in `bytes`.
    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        memchr::memmem::find(bytes, &self.bytes()).is_some()
    }
}

#[cfg(test)]
pub(crate) fn all() -> impl Iterator<Item = Needle> {
    [UPX, MUSL, GCONV, ASSERTION, JEMALLOC].into_iter().chain(HOMES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_texts_differ_from_the_texts() {
        for needle in all() {
            let text = needle.bytes();
            assert!(!text.is_empty() && text.is_ascii(), "{text:?}");
            assert!(needle.hidden[..needle.len].iter().all(|byte| !byte.is_ascii()));
            assert!(needle.is_in(&text) && !needle.is_in(&needle.hidden));
        }
        assert_eq!(JEMALLOC.quoted(), "`<jemalloc>: Unsupported system page size`");
    }
}
