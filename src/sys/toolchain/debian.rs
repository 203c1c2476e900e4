//! The source of std as a Debian package, for hosts that reach their distribution's mirror and not
//! rustup's server. The system is not changed and root is not needed: apt works on separate lists, with
//! the mirror and the key of the system.

use camino::{Utf8Path, Utf8PathBuf};
use semver::Version;

use crate::{
    model::{
        command::Command,
        error::{Error, Result},
    },
    sys::{
        Context, fs,
        seal::{self, Depth, SealState},
    },
};

/// Debian's suites that are newer than an installed one, by the names that stay.
const SUITES: [&str; 4] = ["stable", "stable-backports", "testing", "unstable"];

/// Debian's own key, which signs every suite (package `debian-archive-keyring`).
const KEY: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Returns the path of the unpacked source of std for `rustc`.
pub fn source_path(cx: &Context, rustc: &Version) -> Utf8PathBuf {
    cx.env.cache.join(format!("rust-src/{rustc}"))
}

/// Fetches the package of `rustc`'s very version, and unpacks it.
///
/// # Errors
/// Not a Debian host, or no suite has this version; what apt said.
pub fn rust_src(cx: &Context, rustc: &Version, offline: bool) -> Result<()> {
    let none = |why: &str| Error::tool(format!("Debian's package `rust-src` {rustc}: {why}"));
    let tools = ["apt-get", "apt-cache", "dpkg-deb"];
    if offline {
        return Err(none("it needs the network, and this is `--offline`"));
    }
    if tools.iter().any(|tool| cx.env.which(tool).is_none()) || fs::stamp(KEY.into()).is_none() {
        return Err(none("this is not a Debian host"));
    }
    let mirror = mirror(cx)?.ok_or_else(|| none("apt knows no mirror of Debian"))?;
    let _lock = fs::lock(&Utf8PathBuf::from(format!("{}.lock", source_path(cx, rustc))), || {
        cx.status(
            "Waiting",
            format!("for another longshore that fetches the source of std {rustc}"),
        );
    })?;
    // Another process may have fetched it meanwhile.
    if seal::check(&source_path(cx, rustc), Depth::Stamps) == SealState::Sound {
        return Ok(());
    }
    let work = fs::TempDir::new("longshore-apt")?;
    let apt = Apt::new(cx, &work.path, &mirror)?;
    cx.status("Fetching", format!("the source of std {rustc} from Debian's package `rust-src`"));
    apt.run("apt-get", &["update"])?;
    // `rust-src | 1.95.0+dfsg1-2 | mirror suite/main amd64 Packages`
    let listed = apt.run("apt-cache", &["madison", "rust-src"])?;
    let start = format!("{rustc}+");
    let version = listed
        .lines()
        .filter_map(|line| line.split('|').nth(1).map(str::trim))
        .find(|version| version.starts_with(&start) || *version == rustc.to_string())
        .ok_or_else(|| none("no suite has it"))?;
    apt.run("apt-get", &["download", &format!("rust-src={version}")])?;
    let files = fs::names(&work.path)?;
    let package = files.iter().find(|name| name.ends_with(".deb"));
    let package = package.ok_or_else(|| none("apt downloaded nothing"))?;
    let unpack = Command::new("dpkg-deb").args(["-x", package, "unpacked"]).dir(&work.path);
    cx.children.read(&unpack)?;
    let source = work.path.join(format!("unpacked/usr/src/rustc-{rustc}"));
    let location = source_path(cx, rustc);
    // The cache may be on another file system than temporary files are: copied, then renamed.
    let partial = Utf8PathBuf::from(format!("{location}.partial"));
    fs::remove_dir_all(&partial)?;
    fs::create_dir_all(&partial)?;
    let library = source.join("library");
    cx.children.read(&Command::new("cp").args(["-a", library.as_str(), partial.as_str()]))?;
    seal::remove(&location)?;
    fs::rename(&partial, &location)?;
    seal::seal(&location)
}

/// Returns the mirror of Debian that the system itself uses.
fn mirror(cx: &Context) -> Result<Option<String>> {
    let targets = Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(SITE) $(ORIGIN)",
        "Identifier: Packages",
    ]);
    let listed = cx.children.read(&targets)?;
    let sites = listed.lines().filter_map(|line| line.split_once(' '));
    let mut debian = sites.filter(|(site, origin)| {
        *origin == "Debian" && site.trim_end_matches('/').ends_with("/debian")
    });
    Ok(debian.next().map(|(site, _)| site.to_owned()))
}

/// apt over separate lists.
struct Apt<'a> {
    cx: &'a Context,
    dir: &'a Utf8Path,
}

impl<'a> Apt<'a> {
    fn new(cx: &'a Context, dir: &'a Utf8Path, mirror: &str) -> Result<Self> {
        let line = |suite: &&str| format!("deb [signed-by={KEY}] {mirror} {suite} main\n");
        let sources: String = SUITES.iter().map(line).collect();
        fs::write(&dir.join("sources.list"), sources.as_bytes())?;
        fs::create_dir_all(&dir.join("lists/partial"))?;
        fs::create_dir_all(&dir.join("cache/archives/partial"))?;
        Ok(Apt { cx, dir })
    }

    fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        let dir = self.dir;
        let command = Command::new(program)
            .args([
                "-o".to_owned(),
                format!("Dir::State::Lists={dir}/lists"),
                "-o".to_owned(),
                format!("Dir::Etc::SourceList={dir}/sources.list"),
                "-o".to_owned(),
                "Dir::Etc::SourceParts=/dev/null".to_owned(),
                "-o".to_owned(),
                format!("Dir::Cache={dir}/cache"),
                "-o".to_owned(),
                "Dir::State::status=/dev/null".to_owned(),
                // Our directory is not for apt's own user to write in.
                "-o".to_owned(),
                "APT::Sandbox::User=root".to_owned(),
            ])
            .args(args.iter().copied())
            .dir(dir);
        self.cx.children.read(&command)
    }
}
