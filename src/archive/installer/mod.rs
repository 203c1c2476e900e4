//! An installation script for POSIX shells (IEEE 1003.1-2017, "Shell Command Language"), which has the digests of
//! what it downloads.

use std::fmt::Write as _;

use crate::model::{
    digest::Digest, machine::Architecture, platform::Platform, schema::plan::Installer,
};

/// An archive that the script downloads.
#[derive(Clone, Debug)]
pub struct InstallerArchive<'a> {
    /// The platform of its programs.
    pub platform: &'a Platform,
    /// Its file name.
    pub file: &'a str,
    /// Its digest.
    pub sha256: Digest,
    /// Its programs and their digests.
    pub programs: Vec<(&'a str, Digest)>,
}

/// Returns the platform's name of `uname -m`; `None` if it has none.
pub fn machine(platform: &Platform) -> Option<&'static str> {
    let known =
        Architecture::from_goarch(&platform.architecture).filter(|_| platform.os == "linux")?;
    known.uname(platform.variant.as_deref())
}

impl Installer {
    /// Returns the name of the script. It has no version in it, so that the URL of the latest one stays the same.
    pub fn file_name(&self) -> String {
        format!("{}-install.sh", self.name)
    }

    /// Returns the script.
    pub fn script(&self, version: &str, archives: &[InstallerArchive<'_>]) -> String {
        let (mut files, mut programs) = (String::new(), String::new());
        for archive in archives {
            let Some(machine) = machine(archive.platform) else { continue };
            let _ = writeln!(files, "{machine} {} {}", archive.sha256.hex(), archive.file);
            for (name, sha256) in &archive.programs {
                let _ = writeln!(programs, "{machine} {} {name}", sha256.hex());
            }
        }
        // No value has a quote: the plan accepts none.
        include_str!("install.sh")
            .replace("@script@", &self.file_name())
            .replace("@name@", &self.name)
            .replace("@version@", version)
            .replace("@url@", &self.url)
            .replace("@archives@\n", &files)
            .replace("@programs@\n", &programs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placeholder_is_replaced() {
        let installer =
            Installer { name: "hello".to_owned(), url: "https://example.org/x".to_owned() };
        let (amd64, arm) = ("linux/amd64".parse().unwrap(), "linux/arm/v7".parse().unwrap());
        let archive = |platform, file| InstallerArchive {
            platform,
            file,
            sha256: Digest::sha256(b"archive"),
            programs: vec![("hello", Digest::sha256(b"program"))],
        };
        let script =
            installer.script("1.0.0", &[archive(&amd64, "a.tar.gz"), archive(&arm, "b.tar.gz")]);
        let hex = Digest::sha256(b"archive").hex();
        assert!(script.contains(&format!("\narchives='\nx86_64 {hex} a.tar.gz\narmv7l {hex} b.")));
        for left in ["@script@", "@name@", "@version@", "@url@", "@archives@", "@programs@"] {
            assert!(!script.contains(left), "{left}");
        }
    }
}
