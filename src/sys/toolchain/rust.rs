//! cargo and rustc.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use semver::Version;

use crate::{
    model::{
        command::Command,
        error::{Error, Result, Status},
    },
    sys::{Context, parallel},
};

/// The Rust toolchain that builds will use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rust {
    /// cargo's program.
    pub cargo: String,
    /// cargo's version, with commit and date.
    pub cargo_version: String,
    /// rustc's program.
    pub rustc: String,
    /// rustc's version.
    pub version: Version,
    /// rustc's version with commit and date, as `rustc --version` prints it after its name.
    pub rustc_version: String,
    /// rustc's commit; absent in builds from a distribution's source.
    pub commit: Option<String>,
    /// The version of rustc's LLVM; absent for another backend.
    pub llvm: Option<String>,
    /// The host of rustc.
    pub host: String,
    /// The directory of the toolchain.
    pub sysroot: Utf8PathBuf,
}

/// Finds cargo and rustc. `rustc` is the program that cargo's configuration names.
///
/// # Errors
/// One of them is missing, or has an output that cannot be parsed.
pub fn find(cx: &Context, rustc: &str) -> Result<Rust> {
    let hint = "install Rust with rustup: https://rustup.rs";
    let missing = |error: Error| error.with_status(Status::MissingTool).hint(hint);
    let cargo = cx.env.cargo().to_owned();
    let read = |program: &str, args: &[&str]| {
        // rustup selects a toolchain by the directory.
        let command = Command::new(program).args(args.iter().copied());
        cx.children.read(&command.dir(&cx.env.dir)).map_err(missing)
    };
    // Three programs, each behind rustup's proxy: queried at the same time.
    let (cargo_text, (sysroot, rustc_text)) = parallel::join(
        || read(&cargo, &["--version"]),
        || {
            parallel::join(
                || read(rustc, &["--print=sysroot"]),
                || read(rustc, &["--version", "--verbose"]),
            )
        },
    );
    let (cargo_text, sysroot, rustc_text) = (cargo_text?, sysroot?, rustc_text?);
    let field = |name: &str| {
        rustc_text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(|text| text.trim().to_owned())
    };
    let unclear = || {
        Error::tool(format!("`{rustc} --version --verbose` printed no version: {rustc_text}"))
            .hint(hint)
    };
    let release = field("release:").ok_or_else(unclear)?;
    let version = Version::parse(&release).map_err(|error| unclear().because(error))?;
    Ok(Rust {
        cargo_version: cargo_text.trim_start_matches("cargo ").to_owned(),
        rustc: rustc.to_owned(),
        rustc_version: field("rustc ").unwrap_or_else(|| release.clone()),
        commit: field("commit-hash:").filter(|commit| commit != "unknown"),
        llvm: field("LLVM version:"),
        host: field("host:").ok_or_else(unclear)?,
        sysroot: sysroot.into(),
        version,
        cargo,
    })
}

/// Returns the variables that select the toolchain in which rustc prints `recorded` as its version, which is
/// installed by rustup if it is missing. None if that is the current one.
///
/// # Errors
/// There is no rustup, it does not have that toolchain, or its rustc is a different build of the version.
pub fn select(
    cx: &Context,
    rustc: &str,
    recorded: &str,
    offline: bool,
) -> Result<BTreeMap<String, String>> {
    let current = find(cx, rustc);
    if current.as_ref().is_ok_and(|rust| rust.rustc_version == recorded) {
        return Ok(BTreeMap::new());
    }
    let found = current.map_or_else(|error| error.to_string(), |rust| rust.rustc_version);
    let missing = |why: &str| {
        Error::tool(format!("expected rustc {recorded}, found {found}: {why}")).hint(
            "install that toolchain, or build with the current one and `--any-tools`, which then may be \
             the cause of differences",
        )
    };
    let name = toolchain_name(recorded)
        .ok_or_else(|| missing("its version is not one that rustup has a name for"))?;
    if cx.env.which("rustup").is_none() {
        return Err(missing("there is no rustup to install it with"));
    }
    let selected = BTreeMap::from([
        // A cargo that is started by another one would be that of the same toolchain.
        ("CARGO".to_owned(), "cargo".to_owned()),
        ("RUSTC".to_owned(), "rustc".to_owned()),
        ("RUSTUP_TOOLCHAIN".to_owned(), name.clone()),
        // The variable names an installed toolchain: cargo and rustc do not install it themselves.
        ("RUSTUP_AUTO_INSTALL".to_owned(), "0".to_owned()),
    ]);
    let there = cx.with_variables(cx.env.dir.clone(), &selected);
    let mut rust = find(&there, "rustc");
    if rust.is_err() && !offline {
        let args = ["toolchain", "install", &name, "--profile", "minimal", "--no-self-update"];
        let install = Command::new("rustup").args(args);
        cx.status("Installing", format!("with `{install}`"));
        let output = cx.run_reported(&install)?;
        if !output.success() {
            let tail = output.tail(3).replace('\n', "; ");
            return Err(missing(&format!("`{install}` ended with {}: {tail}", output.ending())));
        }
        rust = find(&there, "rustc");
    }
    match rust {
        Ok(rust) if rust.rustc_version == recorded => Ok(selected),
        Ok(rust) => {
            let found = rust.rustc_version;
            Err(missing(&format!("rustup's toolchain `{name}` has {found}")))
        }
        Err(_) if offline => {
            Err(missing(&format!("rustup does not have `{name}`, and this is `--offline`")))
        }
        Err(error) => {
            Err(missing(&format!("rustup's toolchain `{name}` does not work")).because(error))
        }
    }
}

/// Returns rustup's name of the toolchain with a rustc that prints `recorded`: the version, or for a nightly
/// the day after its commit (<https://rust-lang.github.io/rustup/concepts/channels.html>).
fn toolchain_name(recorded: &str) -> Option<String> {
    let mut words = recorded.split_whitespace();
    let version = Version::parse(words.next()?).ok()?;
    if version.pre.is_empty() {
        return Some(version.to_string());
    }
    let date = words.nth(1)?.strip_suffix(')')?;
    let next = next_day(date)?;
    version.pre.as_str().starts_with("nightly").then(|| format!("nightly-{next}"))
}

/// Returns the day after `date`, both as `2026-12-31`.
fn next_day(date: &str) -> Option<String> {
    let mut parts = date.split('-');
    let mut number = || parts.next()?.parse::<u32>().ok();
    let (mut year, mut month, mut day) = (number()?, number()?, number()?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    day = day.checked_add(1)?;
    if day > last {
        (month, day) = (month + 1, 1);
    }
    if month > 12 {
        (year, month) = (year.checked_add(1)?, 1);
    }
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toolchains_have_the_names_of_rustup() {
        let name = |recorded: &str| toolchain_name(recorded);
        assert_eq!(name("1.95.0 (59807616e 2026-04-14)").as_deref(), Some("1.95.0"));
        assert_eq!(name("1.95.0").as_deref(), Some("1.95.0"));
        let nightly = |date: &str| name(&format!("1.97.0-nightly (0123abcde {date})"));
        assert_eq!(nightly("2026-12-31").as_deref(), Some("nightly-2027-01-01"));
        assert_eq!(nightly("2028-02-28").as_deref(), Some("nightly-2028-02-29"));
        assert_eq!(nightly("2026-02-28").as_deref(), Some("nightly-2026-03-01"));
        for recorded in
            ["", "stable", "--help", "1.95", "1.97.0-dev", "1.97.0-nightly (x y)", "../x"]
        {
            assert_eq!(name(recorded), None, "{recorded}");
        }
        assert_eq!(nightly("4294967295-12-31"), None);
    }
}
