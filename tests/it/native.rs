//! `dist` of programs with C, C++ and assembly in their dependencies, of the workspace in
//! `tests/fixtures/native`; docs/native.md has the table of what was tried.

use std::{fs, path::Path};

use longshore::binary::elf::{Facts, Shape};
use serde_json::Value;

use crate::{
    dist::dist,
    support::{
        command::{cache, plain},
        peer,
        workspace::Workspace,
    },
};

/// A program, and how the line begins and ends that it prints. Between them is the version of the
/// library.
type Program = (&'static str, &'static str, &'static str);

/// Those that are built every time: one for each way in which C, C++ or assembly is compiled, by the
/// crates cc (of one file and of many, with assembly, as an allocator), cxx and cmake. Checksums are the check values of
/// RFC 1950's CRC-32 (over the digits 1 to 9), digests those of FIPS 180 (over `abc`), and the hash of BLAKE3 is that of
/// its reference implementation.
const PROGRAMS: [Program; 6] = [
    ("native-blake3", "blake3", ": 6437b3ac"),
    ("native-cmake", "zlib-ng ", ": cbf43926"),
    ("native-libdeflate", "libdeflate", ": cbf43926"),
    ("native-mimalloc", "mimalloc, for C true", ": 6291456"),
    ("native-ring", "ring", ": ba7816bf"),
    ("native-zlib", "zlib ", ": cbf43926"),
];

/// The one with C++.
const CXX: [Program; 1] = [("native-cxx", "c++", ": is it linked static")];

/// Those with libraries that take long to compile, in the same ways.
const SLOW: [Program; 6] = [
    ("native-aws-lc", "aws-lc", ": ba7816bf"),
    ("native-git2", "libgit2 ", ": d670460b4b4aece5915caf5c68d12f560a9fe3e4"),
    ("native-jemalloc", "jemalloc, for C true", ": 6291456"),
    ("native-onig", "onig ", ": 12 34"),
    ("native-sqlite", "sqlite ", ": 42"),
    ("native-zstd", "zstd ", ": 6000 bytes restored"),
];

/// The same, of packages with C that is linked by zig.
const SLOW_ZIG: [Program; 1] = [("native-openssl", "OpenSSL ", ": ba7816bf")];

/// Builds these for both targets with `args`, and asserts that each binary is accepted, is static-pie, was linked by `linker`, and
/// ran.
fn ship(programs: &[Program], args: &str, linker: &str) {
    for name in ["cmake", "qemu-aarch64-static"] {
        if peer::find(name).is_none() {
            return;
        }
    }
    if cfg!(not(target_arch = "x86_64")) {
        return peer::skip("one of the targets is to run natively, and the other under qemu");
    }
    let fixture =
        Workspace::at(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/native"));
    let mut fetch = plain("cargo");
    let fetched = fetch.args(["fetch", "--locked"]).current_dir(fixture.root()).output().unwrap();
    if !fetched.status.success() {
        let said = String::from_utf8_lossy(&fetched.stderr).into_owned();
        return peer::skip(&format!("the crates cannot be had: {said}"));
    }
    let target = cache("native");
    let mut test = dist(&fixture, &format!("{args} --target-dir")).arg(&target);
    for (name, ..) in programs {
        test = test.arg("--package").arg(name);
    }
    let json = test.env("CARGO_PROFILE_DIST_OPT_LEVEL", "1").run().json();
    let artifacts = json["artifacts"].as_array().unwrap();
    assert_eq!(artifacts.len(), 2 * programs.len());
    for (name, start, end) in programs {
        let of_it: Vec<&Value> = artifacts.iter().filter(|it| it["name"] == *name).collect();
        assert_eq!(of_it.len(), 2, "{name}");
        for (artifact, by) in of_it.into_iter().zip(["native", "qemu-aarch64-static"]) {
            let said = artifact["smoke"]["output"].as_str().unwrap_or_default();
            assert!(said.starts_with(start) && said.ends_with(end), "{artifact:#}");
            assert_eq!(artifact["smoke"]["by"], by, "{artifact:#}");
            assert_eq!(artifact["smoke"]["exit-code"], 0, "{artifact:#}");
            assert_eq!(artifact["verdict"]["accepted"], true, "{artifact:#}");
            assert_eq!(artifact["linker"]["linker"], linker, "{artifact:#}");
            // A package that brings one is built with others that do not link it.
            let brings_one = name.ends_with("malloc");
            let allocator = if brings_one { "program" } else { "system" };
            assert_eq!(artifact["allocator"]["allocator"], allocator, "{artifact:#}");
            let file = target.join("dist").join(artifact["path"].as_str().unwrap());
            let facts = Facts::read(&fs::read(file).unwrap()).unwrap();
            assert_eq!((facts.shape, facts.interpreter), (Shape::StaticPie, None), "{name}");
            assert_eq!(facts.needed, Vec::<String>::new(), "{name}");
        }
    }
}

#[test]
fn programs_with_native_libraries_ship_for_both_targets() {
    ship(&CXX, "", "zig");
    if peer::slow() {
        ship(&SLOW_ZIG, "", "zig");
        ship(&[&PROGRAMS[..], &SLOW].concat(), "", "rust-lld");
    } else {
        ship(&PROGRAMS, "", "rust-lld");
    }
    // Both linkers give C the allocator of the program.
    ship(&PROGRAMS[3..4], "--linker zig", "zig");
}
