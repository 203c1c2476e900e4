//! Debian's packages: ar archives of three members, the last of which holds what is installed
//! (deb(5)).

use std::io::{self, Read};

use super::{ArchiveEntry, Budget, Compression, stream::unpack, tar};
use crate::model::error::{Error, Result};

const MAGIC: &[u8] = b"!<arch>\n";
const HEADER: usize = 60;

/// Returns whether `start` is the start of a Debian package, by its first member.
pub fn is_deb(start: &[u8]) -> bool {
    start.strip_prefix(MAGIC).is_some_and(|rest| rest.starts_with(b"debian-binary"))
}

/// A member of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// `control.tar`, or scripts of an RPM package: what is read and run when it is installed.
    Control,
    /// `data.tar`, or the payload of an RPM package: what is installed.
    Data,
}

/// Calls `each` with every entry of the members that are archives.
///
/// # Errors
/// The archive is broken, has no member `data.tar`, or `each` failed.
pub fn read_deb(
    mut archive: impl Read,
    each: &mut dyn FnMut(Member, &ArchiveEntry, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let broken = |error: io::Error| Error::check("the `.deb` cannot be read").because(error);
    let mut magic = [0; MAGIC.len()];
    archive.read_exact(&mut magic).map_err(broken)?;
    if magic != MAGIC {
        return Err(Error::check("it is not a `.deb`"));
    }
    loop {
        let mut header = [0; HEADER];
        archive
            .read_exact(&mut header)
            .map_err(|error| Error::check("the `.deb` has no member `data.tar`").because(error))?;
        let text = |range: std::ops::Range<usize>| {
            let field = header.get(range).unwrap_or_default();
            String::from_utf8_lossy(field).trim_end().to_owned()
        };
        let (name, size) = (text(0..16), text(48..58));
        let size: u64 = size.parse().map_err(|_| {
            Error::check(format!("the member `{name}` of the `.deb` has the size `{size}`"))
        })?;
        let mut member = (&mut archive).take(size);
        let kind = member_kind(&name);
        if let Some(kind) = kind {
            let mut start = Vec::new();
            (&mut member).take(8).read_to_end(&mut start).map_err(broken)?;
            let compression = Compression::detect(&start);
            let content = io::Cursor::new(start).chain(&mut member);
            let mut stream = unpack(content, compression, &Budget::default())?;
            tar::read_strictly(&mut stream, &mut |entry, content| each(kind, entry, content))?;
        }
        if kind != Some(Member::Data) {
            io::copy(&mut member, &mut io::sink()).map_err(broken)?;
            // Members begin at even places.
            io::copy(&mut (&mut archive).take(size % 2), &mut io::sink()).map_err(broken)?;
            continue;
        }
        // dpkg ignores what follows; other tools unpack it.
        let mut rest = [0; 2];
        let count = archive.take(2).read(&mut rest).map_err(broken)?;
        if rest.get(..count).is_some_and(|rest| !matches!(rest, [] | [b'\n'])) {
            return Err(Error::check("the `.deb` has a member after `data.tar`"));
        }
        return Ok(());
    }
}

/// Returns what the member of that name is, if it is an archive. Some writers of ar archives end names
/// with a slash.
fn member_kind(name: &str) -> Option<Member> {
    let (stem, compression) = name.trim_end_matches('/').split_once(".tar")?;
    if !["", ".gz", ".xz", ".zst"].contains(&compression) {
        return None;
    }
    match stem {
        "control" => Some(Member::Control),
        "data" => Some(Member::Data),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for (name, content) in members {
            let size = content.len();
            let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 100_644);
            bytes.extend(header.as_bytes());
            bytes.extend(*content);
            bytes.extend(std::iter::repeat_n(b'\n', size % 2));
        }
        bytes
    }

    #[test]
    fn installed_files_are_read() {
        let mut tar = tar_with(b"hello");
        for packed in [tar.clone(), zstd::encode_all(&tar[..], 1).unwrap()] {
            let control = tar_with(b"script");
            let members =
                [("debian-binary", &b"2.0"[..]), ("control.tar", &control), ("data.tar", &packed)];
            let bytes = archive(&members);
            assert!(is_deb(&bytes));
            let mut found = Vec::new();
            read_deb(&bytes[..], &mut |member, entry, content| {
                let mut text = String::new();
                content.read_to_string(&mut text).unwrap();
                found.push((member, entry.path.clone(), text));
                Ok(())
            })
            .unwrap();
            let path = "usr/bin/x".to_owned();
            let control = (Member::Control, path.clone(), "script".to_owned());
            assert_eq!(found, [control, (Member::Data, path, "hello".to_owned())]);
        }
        tar.truncate(700);
        let cut = archive(&[("debian-binary", b"2.0"), ("data.tar", &tar)]);
        let none = archive(&[("debian-binary", b"2.0")]);
        for bytes in [&b"!<arch>\n"[..], b"", &cut, &none, &cut[..90]] {
            assert!(
                read_deb(bytes, &mut |_, _, content| {
                    io::copy(content, &mut io::sink())
                        .map(drop)
                        .map_err(|error| Error::check("cut").because(error))
                })
                .is_err()
            );
        }
    }

    fn tar_with(content: &[u8]) -> Vec<u8> {
        let meta = crate::archive::tar::Meta { mode: 0o755, uid: 0, gid: 0, mtime: 0 };
        let mut tar = crate::archive::tar::Writer::new(Vec::new());
        tar.bytes("usr/bin/x", meta, content).unwrap();
        tar.finish().unwrap()
    }
}
