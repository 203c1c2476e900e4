//! cargo and rustc.

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
        cx.children.read(&Command::new(program).args(args.iter().copied())).map_err(missing)
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
        host: field("host:").ok_or_else(unclear)?,
        sysroot: sysroot.into(),
        version,
        cargo,
    })
}
