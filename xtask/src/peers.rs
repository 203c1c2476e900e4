//! Other projects' programs, which tests run: finds them, and installs those that are missing.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a script")]

use std::{path::PathBuf, process::Command, thread};

use crate::run::{Result, ci, command, find, quiet_step, repository};

/// Programs that tests start, and the Debian packages that contain them.
const LIST: &str = include_str!("../../tests/it/support/peers.txt");

/// Peers that are unpacked or installed into a directory below target/peers: the name of each, and
/// the script with its arguments. Two versions of cosign have different arguments.
const SCRIPTS: [(&str, &str); 10] = [
    ("CI files", "ci.sh target/peers/ci"),
    ("SBOMs", "bom.sh target/peers/bom"),
    ("corpus of ELF files", "corpus.sh target/peers/corpus"),
    ("BuildKit", "buildkit.sh target/peers/buildkit"),
    ("cosign 2", "cosign.sh target/peers/cosign2 trixie"),
    ("cosign 3", "cosign.sh target/peers/cosign3 forky"),
    ("crane", "crane.sh target/peers/crane"),
    ("schema of SARIF", "sarif.sh target/peers/sarif"),
    ("Python packages", "python-index.sh target/peers/python-index"),
    ("npm", "npm.sh target/peers/npm"),
];

/// Python packages, each in a directory below target/peers: its name, the module that is then in
/// it, and the package.
const PYTHON: [(&str, &str, &str); 2] = [
    ("check-jsonschema", "check_jsonschema", "check-jsonschema==0.39.0"),
    ("in-toto", "in_toto_attestation", "in-toto-attestation==0.9.3"),
];

/// The number of these that are fetched in parallel. They wait for the network, or have one thread.
const AT_ONCE: usize = 2;

/// Finds or installs the peers. Returns the names of those that are still missing, which is an error
/// in CI.
pub(crate) fn provide() -> Result<Vec<String>> {
    let packages = missing(|_, package| package.to_owned());
    if !packages.is_empty() {
        install(&packages);
    }
    let mut left = missing(|program, package| format!("{program} (package {package})"));
    let mut scripts: Vec<(&str, Command)> = Vec::new();
    for (name, script) in SCRIPTS {
        scripts.push((name, command("sh", &format!("tests/it/support/{script}"))));
    }
    scripts
        .extend(PYTHON.iter().filter_map(|(name, module, package)| python(name, module, package)));
    let mut queues: Vec<Vec<(&str, Command)>> = (0..AT_ONCE).map(|_| Vec::new()).collect();
    for (at, script) in scripts.into_iter().enumerate() {
        queues[at % AT_ONCE].push(script);
    }
    let fetch = |queue: Vec<(&str, Command)>| -> Vec<String> {
        let failed = |(name, mut command): (&str, Command)| {
            let error = quiet_step(name, &mut command).err()?;
            eprintln!("    {error}");
            Some(name.to_owned())
        };
        queue.into_iter().filter_map(failed).collect()
    };
    thread::scope(|scope| {
        let threads: Vec<_> =
            queues.into_iter().map(|queue| scope.spawn(|| fetch(queue))).collect();
        for thread in threads {
            left.extend(
                thread.join().unwrap_or_else(|_| vec!["a thread that fetches peers".into()]),
            );
        }
    });
    if ci() && !left.is_empty() {
        return Err(format!("missing in CI: {}", left.join(", ")));
    }
    Ok(left)
}

/// Returns what `describe` makes of each program of the list that is missing and its package; each
/// once.
fn missing(describe: impl Fn(&str, &str) -> String) -> Vec<String> {
    let mut found = Vec::new();
    for line in LIST.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split_whitespace();
        let (Some(program), Some(package)) = (fields.next(), fields.next()) else { continue };
        if package == "-" || is_there(program) {
            continue;
        }
        let text = describe(program, package);
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}

/// Returns whether a program of the list is on this machine.
fn is_there(program: &str) -> bool {
    // pip may be there as a module alone.
    let module =
        || command("python3", "-m pip --version").output().is_ok_and(|o| o.status.success());
    find(program).is_some() || program == "pip3" && module()
}

/// Installs Debian packages, if this is Debian and the user may.
fn install(packages: &[String]) {
    let list = packages.join(" ");
    if find("apt-get").is_none() {
        eprintln!("    not installed, and there is no apt-get: {list}");
        return;
    }
    let root = is_root();
    if !root && find("sudo").is_none() {
        eprintln!("    not installed: `apt-get install {list}` as root installs them");
        return;
    }
    let apt = |args: &str| {
        // A laptop's owner may not want to give a password for this.
        let mut command = if root {
            command("apt-get", args)
        } else {
            command("sudo", &format!("-n DEBIAN_FRONTEND=noninteractive apt-get {args}"))
        };
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    let install =
        |list: &str| apt(&format!("install --quiet --yes --no-install-recommends {list}"));
    if let Err(error) = quiet_step("package lists", &mut apt("update --quiet")) {
        eprintln!("    {error}");
    }
    let Err(error) = quiet_step(&format!("packages {list}"), &mut install(&list)) else { return };
    eprintln!("    {error}");
    if packages.len() == 1 {
        return;
    }
    // One that conflicts with what is installed, or does not exist, does not keep out the others.
    for package in packages {
        if let Err(error) = quiet_step(&format!("package {package}"), &mut install(package)) {
            eprintln!("    {error}");
        }
    }
}

/// Returns whether this is root, according to `id`, which is everywhere.
fn is_root() -> bool {
    command("id", "-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

/// Returns the command that installs a Python package into the directory `name`, in which `module`
/// is then found; `None` if it is there.
fn python<'a>(name: &'a str, module: &str, package: &str) -> Option<(&'a str, Command)> {
    let dir: PathBuf = repository().join("target/peers").join(name);
    if dir.join(module).exists() {
        return None;
    }
    let mut pip = command("python3", "-m pip install --quiet --disable-pip-version-check --target");
    pip.arg(&dir).arg(package);
    Some((name, pip))
}
