//! The properties of the host.

use crate::model::machine::Architecture;

/// Returns the machine's architecture as `uname -m` names it.
pub fn machine() -> &'static str {
    static MACHINE: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    MACHINE.get_or_init(|| {
        let uname = rustix::system::uname();
        uname.machine().to_string_lossy().into_owned()
    })
}

/// Returns the OCI name of the host: `linux/amd64`.
pub fn platform() -> String {
    let architecture = Architecture::from_alias(machine()).map_or(machine(), |(known, _)| known.go);
    format!("{}/{architecture}", std::env::consts::OS)
}

/// Returns the platform that containers run on here: Linux, also if the host is something else and an
/// engine keeps a virtual machine for them.
pub fn container_platform() -> String {
    let host = platform();
    format!("linux/{}", host.rsplit('/').next().unwrap_or("amd64"))
}

/// Returns whether longshore runs as the superuser.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
