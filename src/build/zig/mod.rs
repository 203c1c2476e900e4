//! The zig compiler: the version that is fetched if none is installed, and the versions that do not work.

pub mod bindgen;
pub mod compiler;
pub mod filter;
pub mod link;

use std::collections::BTreeMap;

use semver::{Version, VersionReq};
use serde::Deserialize;

use crate::{
    build::cargo::rustflags::Remap,
    model::error::{Error, Result},
};

/// The pinned version, fetched from the Python index when there is no zig.
pub const PINNED: &str = "0.15.2";

/// The pinned package with the digest of its wheel for each host, as a pip requirements file
/// (<https://pip.pypa.io/en/stable/topics/secure-installs/#hash-checking-mode>).
pub const REQUIREMENTS: &str = include_str!("requirements.txt");

const VERSIONS: &str = include_str!("versions.toml");

/// Versions that are known not to work, with their source.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct BadVersions {
    /// The zig versions.
    zig: VersionReq,
    /// The rustc versions that fail with them.
    rustc: VersionReq,
    /// The failure.
    why: String,
    /// The source of this information.
    source: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionTable {
    bad: Vec<BadVersions>,
}

/// Accepts a zig that is not known to fail with this rustc.
///
/// # Errors
/// It is known to fail: why, the source of that, and the version to take.
pub fn accept(zig: &Version, rustc: &Version) -> Result<()> {
    // The table is part of the program and parsed by a test; a broken one rejects nothing.
    let table: VersionTable = toml::from_str(VERSIONS).unwrap_or(VersionTable { bad: Vec::new() });
    // A nightly of zig or rustc behaves like the release it leads to.
    let release = |version: &Version| Version::new(version.major, version.minor, version.patch);
    let (zig, rustc) = (release(zig), release(rustc));
    match table.bad.iter().find(|bad| bad.zig.matches(&zig) && bad.rustc.matches(&rustc)) {
        None => Ok(()),
        Some(bad) => Err(Error::tool(format!(
            "zig {zig} is known not to work with rustc {rustc}: {} ({})",
            bad.why, bad.source
        ))
        .hint(format!("install zig {PINNED}: `python3 -m pip install ziglang=={PINNED}`"))),
    }
}

/// Set if flags for C compilers are written as for a shell
/// (<https://docs.rs/cc/latest/cc/#external-configuration-via-environment-variables>).
pub const ESCAPED: &str = "CC_SHELL_ESCAPED_FLAGS";

/// The variable with the directories, as `FROM=TO` separated by [`SEPARATOR`], that the wrapper of the C
/// compiler keeps out of its output. They are those that cannot be among `CFLAGS`: CMake and make split flags
/// at white space, whatever they are quoted with.
pub const PREFIX_MAP: &str = "LONGSHORE_C_PREFIX_MAP";

/// The separator of the entries of [`PREFIX_MAP`].
pub const SEPARATOR: char = '\u{1f}';

/// Returns whether neither white space nor a shell splits a word at this character.
fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || "-_./=:,+@%".contains(c)
}

/// Returns whether `path` can be the path of a tool for CMake, make and shells.
pub fn is_plain_path(path: &str) -> bool {
    path.chars().all(|c| c.is_alphanumeric() || "-_./+@%,=".contains(c))
}

/// Returns the variables with the flags that every build with C and C++ compilers of `target` needs, after
/// those that the user set: the names of directories kept out of the result, as for rustc, `tuning`, and those
/// that this zig needs. `user` has the variables with such flags that are set.
pub fn c_flags(
    target: &str,
    zig: &Option<Version>,
    remap: &Remap,
    tuning: &[&str],
    user: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let maps = remap.0.iter().map(|(from, to)| format!("{from}={to}"));
    let (maps, by_wrapper): (Vec<_>, Vec<_>) = maps.partition(|map| map.chars().all(is_plain));
    let mut longshore_flags: Vec<String> =
        maps.iter().map(|map| format!("-ffile-prefix-map={map}")).collect();
    longshore_flags.extend(tuning.iter().map(|flag| (*flag).to_owned()));
    let pinned = Version::parse(PINNED).ok();
    let zig = zig.as_ref().or(pinned.as_ref()).map(|zig| (zig.major, zig.minor));
    // clang 18 to 21 require `evex512` on functions with 512-bit vectors, clang 22 does not know it,
    // and libraries with such code (libdeflate 1.25 and newer) are written for one side. It only
    // allows the features that AVX-512 code enables.
    let clang_18_to_21 = zig.is_some_and(|zig| ((0, 13)..(0, 17)).contains(&zig));
    let evex512 = target.starts_with("x86_64-") && clang_18_to_21;
    let underscored = target.replace('-', "_");
    let mut set = BTreeMap::new();
    let own = |variable: &str| {
        user.contains_key(&format!("{variable}_{target}"))
            || user.contains_key(&format!("{variable}_{underscored}"))
    };
    if !by_wrapper.is_empty() {
        set.insert(PREFIX_MAP.to_owned(), by_wrapper.join(&SEPARATOR.to_string()));
    }
    // The crate cc splits the text at white space or, if configured, as a shell does.
    let escaped = user.contains_key(ESCAPED);
    let escape =
        escaped || longshore_flags.iter().any(|flag| flag.contains(|c: char| !is_plain(c)));
    if escape {
        longshore_flags =
            longshore_flags.iter().map(|flag| crate::model::command::quote(flag)).collect();
        set.insert(ESCAPED.to_owned(), "1".to_owned());
    }
    for (base, compiler) in [("CFLAGS", "CC"), ("CXXFLAGS", "CXX")] {
        // The order in which the crate cc looks for them; newer versions take all of them.
        let names = [
            format!("{base}_{target}"),
            format!("{base}_{underscored}"),
            format!("TARGET_{base}"),
            base.to_owned(),
        ];
        let found = names.iter().position(|name| user.contains_key(name));
        let users = found.and_then(|at| user.get(&names[at]));
        let mut flags: Vec<String> = match users {
            Some(text) if escaped => vec![text.clone()],
            Some(text) if escape => {
                text.split_whitespace().map(crate::model::command::quote).collect()
            }
            Some(text) => text.split_whitespace().map(str::to_owned).collect(),
            None => Vec::new(),
        };
        flags.extend(longshore_flags.iter().cloned());
        // Another compiler need not know a flag of zig's clang.
        if evex512 && !own(compiler) {
            flags.push("-mevex512".to_owned());
        }
        // Under the name that wins.
        let name = &names[usize::from(found != Some(0))];
        set.insert(name.clone(), flags.join(" "));
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_parses_and_takes_the_pinned_version() {
        let table: VersionTable = toml::from_str(VERSIONS).unwrap();
        assert!(!table.bad.is_empty());
        assert!(table.bad.iter().all(|bad| !bad.source.is_empty() && !bad.why.is_empty()));
        accept(&PINNED.parse().unwrap(), &Version::new(1, 95, 0)).unwrap();
        assert!(REQUIREMENTS.starts_with(&format!("ziglang=={PINNED}")));
    }

    #[test]
    fn bad_versions_are_rejected_by_name() {
        let error = accept(&Version::new(0, 9, 1), &Version::new(1, 95, 0)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("0.9.1") && text.contains("1.95.0"), "{text}");
        assert!(error.hint_text().unwrap().contains(PINNED));
    }

    #[test]
    fn c_flags_of_the_user_stay_first() {
        let user = BTreeMap::from([("TARGET_CFLAGS".to_owned(), "-DA -DB".to_owned())]);
        let remap = Remap(vec![("/w".into(), "/workspace".to_owned())]);
        let flags = |zig| c_flags("x86_64-unknown-linux-musl", &Some(zig), &remap, &["-g0"], &user);
        let old = flags(Version::new(0, 15, 2));
        assert_eq!(
            old["CFLAGS_x86_64_unknown_linux_musl"],
            "-DA -DB -ffile-prefix-map=/w=/workspace -g0 -mevex512"
        );
        let new = flags(Version::new(0, 17, 1));
        assert_eq!(
            new["CXXFLAGS_x86_64_unknown_linux_musl"],
            "-ffile-prefix-map=/w=/workspace -g0"
        );
    }

    #[test]
    fn other_compilers_get_no_flags_of_clang() {
        let target = "x86_64-unknown-linux-musl";
        for variable in ["CC_x86_64_unknown_linux_musl", "CC_x86_64-unknown-linux-musl"] {
            let user = BTreeMap::from([(variable.to_owned(), "musl-gcc".to_owned())]);
            let zig = Some(Version::new(0, 15, 2));
            let flags = c_flags(target, &zig, &Remap::default(), &[], &user);
            assert_eq!(flags["CFLAGS_x86_64_unknown_linux_musl"], "");
            assert_eq!(flags["CXXFLAGS_x86_64_unknown_linux_musl"], "-mevex512");
        }
    }

    #[test]
    fn directories_that_cmake_would_split_are_mapped_by_the_wrapper() {
        let remap = Remap(vec![
            ("/it's mine".into(), "/workspace".to_owned()),
            ("/a;b".into(), "/cargo".to_owned()),
            ("/plain".into(), "/rust".to_owned()),
        ]);
        let target = "aarch64-unknown-linux-musl";
        let flags = |user: &[(&str, &str)]| {
            let user = user.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            c_flags(target, &Some(Version::new(0, 17, 1)), &remap, &[], &user)
        };
        let longshore_flags = "-ffile-prefix-map=/plain=/rust";
        let name = "CFLAGS_aarch64_unknown_linux_musl";
        let none = flags(&[]);
        assert_eq!(none[PREFIX_MAP], "/it's mine=/workspace\u{1f}/a;b=/cargo");
        assert_eq!((none.get(ESCAPED), none[name].as_str()), (None, longshore_flags));
        let escaped = flags(&[("CFLAGS", "'-DA=b c'"), (ESCAPED, "1")]);
        assert_eq!(escaped[name], format!("'-DA=b c' {longshore_flags}"));
        assert_eq!(escaped[ESCAPED], "1");
    }

    #[test]
    fn paths_of_tools_are_plain() {
        for plain in ["/usr/lib/zig-0.15", "/data/jörg@example.org/a+b,c=d%e"] {
            assert!(is_plain_path(plain), "{plain}");
        }
        for other in ["/a b", "/a;b", "/a'b", "/a\"b", "/a$b", "/a:b", "/a[b]", "/a*b", "/a#b"] {
            assert!(!is_plain_path(other), "{other}");
        }
    }
}
