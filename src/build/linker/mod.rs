//! The linker of a program. zig links C and C++ of every kind with its own libraries; rust-lld, which is in each
//! toolchain of rustup, links Rust and C with the C library of the target's standard library, knows more
//! arguments, and needs nothing that has to be compiled first.

pub mod arguments;
pub mod malloc;
pub mod musl;
pub mod native;
pub mod notice;

use camino::Utf8PathBuf;
use semver::Version;

use crate::{
    build::target::Target,
    model::{
        error::{Error, Result},
        machine::Linkage,
        schema::linker::{Linker, LinkerChoice, LinkerSetting},
    },
};

impl LinkerSetting {
    /// Every setting.
    pub const ALL: [LinkerSetting; 3] =
        [LinkerSetting::Auto, LinkerSetting::Zig, LinkerSetting::RustLld];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            LinkerSetting::Auto => "auto",
            LinkerSetting::Zig => Linker::Zig.name(),
            LinkerSetting::RustLld => Linker::RustLld.name(),
        }
    }
}

impl Linker {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Linker::Zig => "zig",
            Linker::RustLld => "rust-lld",
        }
    }
}

/// The beginning of the name of the script that links with rust-lld, by which its failures are recognised.
pub const RUST_LLD_SCRIPT: &str = "ld-rust-lld-";

/// The settings for the linker that do not depend on the target.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkerSettings {
    /// `--linker`.
    pub option: Option<LinkerSetting>,
    /// `linker` in metadata.
    pub metadata: Option<LinkerSetting>,
}

/// The state of rust-lld for a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RustLld {
    /// It was not searched for yet.
    #[default]
    Unknown,
    /// It cannot be used, and why.
    Missing(String),
    /// It is there.
    Found(RustLldPaths),
}

/// The paths that a link with rust-lld needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RustLldPaths {
    /// The linker.
    pub program: Utf8PathBuf,
    /// The directory with the start files and the C library.
    pub libraries: Utf8PathBuf,
}

/// The code in other languages that the programs for a target contain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NativeCode {
    /// Not even C.
    #[default]
    None,
    /// C of packages that rust-lld is known to link, and one of them.
    Tested(String),
    /// The package that compiles C.
    C(String),
    /// The package that may compile C++.
    Cxx(String),
}

impl NativeCode {
    /// Returns the same without knowledge of tests.
    #[must_use]
    pub fn untested(&self) -> Self {
        match self {
            NativeCode::Tested(package) => NativeCode::C(package.clone()),
            other => other.clone(),
        }
    }
}

/// The facts that the choice depends on.
#[derive(Clone, Copy, Debug)]
pub struct LinkerFacts<'a> {
    /// rustc's version, once it is known.
    pub rustc: Option<&'a Version>,
    /// The state of rust-lld.
    pub rust_lld: &'a RustLld,
    /// The native code of the programs.
    pub native: &'a NativeCode,
    /// The flag that adds a library or an object to the link, and its origin.
    pub library: Option<&'a str>,
}

/// Returns the linker of binaries for `target`: that requested on the command line, else in the target's file,
/// else in metadata, each with its origin.
///
/// `auto` is rust-lld for static musl programs for x86-64 and arm64 without C++, and without C of packages that are not
/// tested: it packs relocations, and without C nothing of zig has to be compiled. With an older musl it has neither
/// advantage, and what C code is compiled for may be missing in that musl.
///
/// # Errors
/// rust-lld is requested, and the target is not one that it links, or the toolchain does not have it.
pub fn choose(
    target: &Target,
    settings: &LinkerSettings,
    facts: LinkerFacts<'_>,
) -> Result<LinkerChoice> {
    let of_target = target.spec.linker.map(|setting| (setting, target.origin.clone()));
    let option = settings.option.map(|setting| (setting, "--linker".to_owned()));
    let metadata = settings.metadata.map(|setting| (setting, "metadata".to_owned()));
    let requested = option.or(of_target).or(metadata);
    let (setting, origin) = requested.unwrap_or((LinkerSetting::Auto, "auto".to_owned()));
    let choice = |linker, origin| Ok(LinkerChoice { linker, origin });
    match setting {
        LinkerSetting::Zig => choice(Linker::Zig, origin),
        LinkerSetting::RustLld => {
            check_requested(target, &origin, facts.rust_lld)?;
            choice(Linker::RustLld, origin)
        }
        LinkerSetting::Auto => {
            let (linker, why) = automatic(target, facts);
            choice(linker, format!("auto: {why}"))
        }
    }
}

/// Returns whether the linker of binaries for `target` depends on the program.
pub fn is_automatic(target: &Target, settings: &LinkerSettings) -> bool {
    let requested = settings.option.or(target.spec.linker).or(settings.metadata);
    requested.is_none_or(|setting| setting == LinkerSetting::Auto) && unsupported(target).is_none()
}

fn automatic(target: &Target, facts: LinkerFacts<'_>) -> (Linker, String) {
    let zig = |why: String| (Linker::Zig, why);
    if let Some(why) = unsupported(target) {
        return zig(why.to_owned());
    }
    if let RustLld::Missing(why) = facts.rust_lld {
        return zig(why.clone());
    }
    if let Some(rustc) = facts.rustc.filter(|rustc| !musl::matches_headers(rustc)) {
        return zig(format!("the C library of rustc {rustc} is older than zig's"));
    }
    if let Some(flag) = facts.library {
        return zig(format!("{flag} adds to the link"));
    }
    match facts.native {
        NativeCode::Cxx(package) => zig(format!("`{package}` may contain C++")),
        NativeCode::C(package) => {
            zig(format!("`{package}` contains C, and is not tested with rust-lld"))
        }
        NativeCode::Tested(package) => {
            (Linker::RustLld, format!("the C of `{package}` is tested with it"))
        }
        NativeCode::None => (Linker::RustLld, "no C in the program".to_owned()),
    }
}

/// Returns the reason for which rust-lld does not link programs for `target`.
fn unsupported(target: &Target) -> Option<&'static str> {
    if !target.name.contains("-linux-musl") || target.spec.linkage == Linkage::Dynamic {
        Some("the target's C library is not a static musl")
    } else if !target.is_amd64_or_arm64() {
        Some("rust-lld is tested for x86-64 and arm64 only")
    } else {
        None
    }
}

fn check_requested(target: &Target, origin: &str, rust_lld: &RustLld) -> Result<()> {
    let cannot = |why: &str| {
        format!("`linker = \"rust-lld\"` from {origin} cannot link `{}`: {why}", target.name)
    };
    let hint = "`linker = \"zig\"` or `auto` links it with zig";
    match (unsupported(target), rust_lld) {
        (Some(why), _) => Err(Error::usage(cannot(why)).hint(hint)),
        (None, RustLld::Missing(why)) => Err(Error::tool(cannot(why)).hint(hint)),
        (None, _) => Ok(()),
    }
}

/// Returns the argument with which `linker` packs the relocations of programs of `linkage`, with the reason, if the
/// C library unpacks them. Identical functions are not folded: `--icf=safe` changes nothing in code of rustc, which
/// does not mark addresses that are compared, and `--icf=all` would make such addresses equal.
pub fn packed_relocations(
    linker: Linker,
    linkage: Linkage,
    rustc: Option<&Version>,
) -> Option<(&'static str, &'static str)> {
    let unpacked = rustc.is_some_and(musl::reads_packed_relocations);
    let packs = linker == Linker::RustLld && linkage == Linkage::StaticPie && unpacked;
    packs.then_some((
        "-Wl,-z,pack-relative-relocs",
        "longshore: smaller, and the C library unpacks them",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::target::Targets;

    const AMD64: &str = "x86_64-unknown-linux-musl";

    fn chosen(
        name: &str,
        setting: Option<LinkerSetting>,
        facts: (&str, RustLld, NativeCode),
    ) -> Result<String> {
        let targets = Targets::new([(
            name.to_owned(),
            "targets/it.toml".to_owned(),
            crate::build::target::EMBEDDED[1].1.to_owned(),
        )])?;
        let (rustc, rust_lld, native) = facts;
        let rustc = rustc.parse().ok();
        let facts = LinkerFacts {
            rustc: rustc.as_ref(),
            rust_lld: &rust_lld,
            native: &native,
            library: None,
        };
        let settings = LinkerSettings { option: None, metadata: setting };
        let choice = choose(targets.get(name)?, &settings, facts)?;
        Ok(format!("{} {}", choice.linker.name(), choice.origin))
    }

    #[test]
    fn auto_depends_on_the_program_and_the_toolchain() {
        let there = || RustLld::Unknown;
        let auto =
            |rustc, rust_lld, native| chosen(AMD64, None, (rustc, rust_lld, native)).unwrap();
        let c = || NativeCode::C("zlib".into());
        let tested = || NativeCode::Tested("ring".into());
        for (rustc, rust_lld, native, expected) in [
            ("1.95.0", there(), NativeCode::None, "rust-lld auto: no C in"),
            ("1.95.0", there(), c(), "zig auto: `zlib` contains C, and is not tested"),
            ("1.95.0", there(), tested(), "rust-lld auto: the C of `ring` is tested"),
            ("1.92.0", there(), tested(), "zig auto: the C library of rustc 1.92.0 is older"),
            ("1.92.0", there(), NativeCode::None, "zig auto: the C library of rustc 1.92.0"),
            ("1.95.0", there(), NativeCode::Cxx("cxx".into()), "zig auto: `cxx` may contain C++"),
            (
                "1.95.0",
                RustLld::Missing("no rust-lld".into()),
                NativeCode::None,
                "zig auto: no rust-lld",
            ),
        ] {
            let choice = auto(rustc, rust_lld, native);
            assert!(choice.starts_with(expected), "{choice}");
        }
        let gnu = ("1.95.0", there(), NativeCode::None);
        let gnu = chosen("x86_64-unknown-linux-gnu", None, gnu).unwrap();
        assert_eq!(gnu, "zig auto: the target's C library is not a static musl");
    }

    #[test]
    fn a_requested_linker_is_chosen_or_rejected() {
        let setting = Some(LinkerSetting::RustLld);
        let facts = |rust_lld| ("1.95.0", rust_lld, NativeCode::Cxx("cxx".into()));
        let there = chosen(AMD64, setting, facts(RustLld::Unknown)).unwrap();
        assert_eq!(there, "rust-lld metadata");
        let missing = RustLld::Missing("it is gone".into());
        let error = chosen(AMD64, setting, facts(missing)).unwrap_err();
        assert!(error.to_string().contains("it is gone"), "{error}");
        let gnu = "x86_64-unknown-linux-gnu";
        let error = chosen(gnu, setting, facts(RustLld::Unknown)).unwrap_err();
        assert!(error.to_string().contains("static musl"), "{error}");
    }

    #[test]
    fn packed_relocations_are_for_programs_that_unpack_them() {
        let args = |linker, linkage, rustc: &str| {
            packed_relocations(linker, linkage, Some(&rustc.parse().unwrap())).is_some()
        };
        assert!(args(Linker::RustLld, Linkage::StaticPie, "1.95.0"));
        assert!(!args(Linker::RustLld, Linkage::Static, "1.95.0"));
        assert!(!args(Linker::RustLld, Linkage::StaticPie, "1.92.0"));
        assert!(!args(Linker::Zig, Linkage::StaticPie, "1.95.0"));
    }
}
