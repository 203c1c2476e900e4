//! rust-lld, and the C library of a target, in the Rust toolchain.

use super::rust::Rust;
use crate::{
    build::linker::{RustLld, RustLldPaths},
    model::schema::plan::Std,
};

/// The files in the directory of a target's C library that each link needs.
const FILES: [&str; 10] = [
    "crt1.o",
    "crtbegin.o",
    "crtbeginS.o",
    "crtend.o",
    "crtendS.o",
    "crti.o",
    "crtn.o",
    "libc.a",
    "libunwind.a",
    "rcrt1.o",
];

/// Returns the state of rust-lld for links for `target` with `std`.
pub fn find(rust: &Rust, target: &str, std: &Std) -> RustLld {
    let rustlib = rust.sysroot.join("lib/rustlib");
    let program = rustlib.join(&rust.host).join("bin/rust-lld");
    if !program.is_file() {
        return RustLld::Missing("the Rust toolchain has no rust-lld".to_owned());
    }
    if *std == Std::Missing {
        return RustLld::Unknown;
    }
    let libraries = rustlib.join(target).join("lib/self-contained");
    match FILES.iter().find(|name| !libraries.join(name).is_file()) {
        Some(name) => RustLld::Missing(format!(
            "the Rust toolchain has no `{name}` for the target (`rustup target add {target}`)"
        )),
        None => RustLld::Found(RustLldPaths { program, libraries }),
    }
}
