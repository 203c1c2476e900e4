//! The pinned program as a file of a release: downloaded, checked, unpacked.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    check_version, failed, json::Json, Failure, Result, Workspace, BUILD, CHECK, PIN, PROGRAM,
    REMOTE, TOOL, USAGE, VARIABLE,
};

/// The formats of files with the program.
pub const FORMATS: [&str; 4] = ["archive", "wheel", "npm", "deb"];

/// Returns the program, and downloads it if it is missing. It gets its name in one step, so that two runs at the
/// same time do not disturb each other.
pub fn provide(workspace: &Workspace, format: &str) -> Result<PathBuf> {
    let version = workspace.pinned("version")?;
    let platform = platform();
    let digest = workspace
        .tool
        .get("sha256")
        .and_then(|all| all.get(&platform));
    let digest = digest.and_then(Json::text).ok_or_else(|| {
        let message = format!("{PIN} has no SHA-256 for {platform}; set `{VARIABLE}`");
        Failure(USAGE, message)
    })?;
    let url = url(workspace, format, version, &platform)?;
    let short: String = digest.chars().take(16).collect();
    let directory = workspace.directory.join(format!("{version}-{short}"));
    let program = directory.join(PROGRAM);
    if program.is_file() {
        return Ok(program);
    }
    eprintln!("Downloading longshore {version} from {url}");
    let temporary = Temporary::new(&workspace.directory)?;
    let file = temporary.create("download")?.join("file");
    fetch(&url, &file)?;
    let found = sha256(&file)?;
    if found != digest {
        return Err(Failure(
            CHECK,
            format!("{url}: expected sha256 {digest}, got {found}"),
        ));
    }
    let unpacked = temporary.create("unpacked")?;
    unpack(format, &file, &unpacked)?;
    let found = find(&unpacked)
        .ok_or_else(|| Failure(CHECK, format!("{url} does not contain `{PROGRAM}`")))?;
    let complete = temporary.create("complete")?;
    let new = complete.join(PROGRAM);
    fs::rename(&found, &new).map_err(failed("move", &found))?;
    make_executable(&new)?;
    check_version(&new, version)?;
    match fs::rename(&complete, &directory) {
        // A run at the same time was first.
        Err(_) if program.is_file() => Ok(program),
        renamed => renamed
            .map(|()| program)
            .map_err(failed("create", &directory)),
    }
}

/// Returns the platform of this machine.
fn platform() -> String {
    let system = match env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let architecture = match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{system}/{architecture}")
}

/// Returns the URL of the file for a platform: one URL with placeholders, or one for each platform.
fn url(workspace: &Workspace, format: &str, version: &str, platform: &str) -> Result<String> {
    let source = workspace.tool.get(format);
    if let Some(url) = source
        .and_then(|urls| urls.get(platform))
        .and_then(Json::text)
    {
        return Ok(url.to_owned());
    }
    let url = source.and_then(Json::text);
    let url = url.ok_or_else(|| Failure(USAGE, format!("{PIN} has no URL for {platform}")))?;
    let (machine, system) = (env::consts::ARCH, env::consts::OS);
    let target = match system {
        "macos" => format!("{machine}-apple-darwin"),
        _ => format!("{machine}-unknown-{system}-musl"),
    };
    let architecture = platform.split('/').nth(1).unwrap_or_default();
    let url = url
        .replace("{version}", version)
        .replace("{target}", &target);
    Ok(url
        .replace("{architecture}", architecture)
        .replace("{machine}", machine))
}

/// A directory that is removed at the end.
struct Temporary(PathBuf);

impl Temporary {
    fn new(parent: &Path) -> Result<Self> {
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let path = parent.join(format!("tmp-{}-{}", process::id(), time.as_nanos()));
        fs::create_dir_all(&path).map_err(failed("create", &path))?;
        Ok(Temporary(path))
    }

    /// Creates a directory in it.
    fn create(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        fs::create_dir(&path).map_err(failed("create", &path))?;
        Ok(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes the file at a URL to `file`.
fn fetch(url: &str, file: &Path) -> Result<()> {
    if let Some(path) = url.strip_prefix("file://") {
        let copied = fs::copy(path, file).map(drop);
        return copied.map_err(|error| Failure(REMOTE, format!("cannot read `{path}`: {error}")));
    }
    // A server with TLS must not redirect to one without it.
    let protocols = if url.starts_with("https:") {
        "=https"
    } else {
        "=http,https"
    };
    let mut curl = Command::new("curl");
    curl.args([
        "--fail",
        "--silent",
        "--show-error",
        "--location",
        "--retry",
        "3",
    ])
    .args([
        "--connect-timeout",
        "30",
        "--speed-limit",
        "1",
        "--speed-time",
        "60",
    ])
    .args(["--proto", protocols, "--output"])
    .arg(file)
    .args(["--", url]);
    let mut wget = Command::new("wget");
    wget.args(["-q", "-T", "60", "-O"])
        .arg(file)
        .args(["--", url]);
    if run_first(&mut [curl, wget])? {
        Ok(())
    } else {
        Err(Failure(REMOTE, format!("cannot download {url}")))
    }
}

/// Returns the SHA-256 of a file. The system's programs are faster than code of a debug build.
fn sha256(file: &Path) -> Result<String> {
    for (program, args) in [("sha256sum", &[][..]), ("shasum", &["-a", "256"])] {
        let input = fs::File::open(file).map_err(failed("read", file))?;
        let mut command = Command::new(program);
        match command
            .args(args)
            .stdin(input)
            .stderr(Stdio::inherit())
            .output()
        {
            Ok(output) if output.status.success() => {
                let text = String::from_utf8_lossy(&output.stdout);
                return Ok(text
                    .split_whitespace()
                    .next()
                    .unwrap_or_default()
                    .to_owned());
            }
            Ok(_) => return Err(Failure(CHECK, format!("`{program}` failed"))),
            Err(_) => {}
        }
    }
    Err(Failure(
        TOOL,
        "not installed: sha256sum or shasum".to_owned(),
    ))
}

/// Unpacks a file with the right digest.
fn unpack(format: &str, file: &Path, directory: &Path) -> Result<()> {
    let command = |program: &str, before: &[&str], between: &[&str]| {
        let mut command = Command::new(program);
        command.args(before).arg(file).args(between).arg(directory);
        command
    };
    let mut commands = match format {
        "deb" => vec![command("dpkg-deb", &["--extract"], &[])],
        "wheel" => vec![
            command("unzip", &["-q"], &["-d"]),
            command("python3", &["-m", "zipfile", "-e"], &[]),
        ],
        _ => vec![command("tar", &["-xzf"], &["-C"])],
    };
    if run_first(&mut commands)? {
        Ok(())
    } else {
        Err(Failure(
            BUILD,
            format!("cannot unpack `{}`", file.display()),
        ))
    }
}

/// Runs the first of these programs that is installed, and returns whether it ended with 0.
fn run_first(commands: &mut [Command]) -> Result<bool> {
    for command in commands.iter_mut() {
        // Its output does not belong to that of longshore.
        if let Ok(output) = command
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
        {
            return Ok(output.status.success());
        }
    }
    let names = commands
        .iter()
        .map(|command| command.get_program().to_string_lossy());
    let names: Vec<_> = names.collect();
    Err(Failure(
        TOOL,
        format!("not installed: {}", names.join(" or ")),
    ))
}

/// Returns the program below a directory.
fn find(directory: &Path) -> Option<PathBuf> {
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).ok()?.flatten() {
            let kind = entry.file_type().ok()?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() && entry.file_name() == PROGRAM {
                return Some(entry.path());
            }
        }
    }
    None
}

#[cfg(unix)]
fn make_executable(program: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(program, mode).map_err(failed("set the mode of", program))
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> Result<()> {
    Ok(())
}
