//! `verify` of what is not read: archives within archives, formats that it does not know, and the
//! files of a zip archive that its directory does not list.

use std::{fs, path::Path};

use rawzip::CompressionMethod;

use crate::{
    support::{
        program,
        tarball::{Entry, V7, archive},
    },
    verify_archive::{gzip, zip},
    verify_cli::{check, directory, write},
    verify_hidden::{bad, layout},
};

const BAD: &[u8] = b"\x7fELF, and no more";

#[test]
fn unread_archives_can_be_rejected() {
    let dir = directory("unread");
    let tar = archive(&[Entry::file("evil", BAD).bytes()]);
    write(&dir.join("app"), &program::amd64(), 0o755);
    write(&dir.join("note"), b"text", 0o644);
    let outer = [
        Entry::file("app", program::amd64()).bytes(),
        Entry::file("inner.tar", &tar).bytes(),
        Entry::file("inner.tar.gz", gzip(&tar)).bytes(),
    ];
    fs::write(dir.join("outer.tar"), archive(&outer)).unwrap();
    fs::write(dir.join("x.tar.bz2"), b"BZh91AY&SY").unwrap();
    fs::write(dir.join("x.cpio"), b"070701000000").unwrap();
    let unread = [
        ("./outer.tar!inner.tar", "a tar archive, in an archive"),
        ("./outer.tar!inner.tar.gz", "compressed with gzip, in an archive"),
        ("./x.tar.bz2", "compressed with bzip2, which is not read"),
        ("./x.cpio", "a cpio archive, which is not read"),
    ];
    let shown = check(&dir, &["."], 0);
    for (path, reason) in unread {
        assert!(shown.contains(&format!("`{path}` not checked: {reason}")), "{shown}");
    }
    let shown = check(&dir, &["--deny-unchecked", "."], 1);
    for (path, _) in unread {
        assert!(shown.contains(&format!("`{path}` refused")), "{path}: {shown}");
    }
    assert!(shown.contains("`./note` not checked: no program"), "{shown}");
    fs::create_dir(dir.join("plain")).unwrap();
    fs::copy(dir.join("app"), dir.join("plain/app")).unwrap();
    fs::copy(dir.join("note"), dir.join("plain/note")).unwrap();
    check(&dir, &["--deny-unchecked", "plain"], 0);
    // Archives of Unix version 7 have no magic, and are read.
    let old = Entry::file("evil", BAD).magic(V7).bytes();
    fs::write(dir.join("old.tar"), archive(&[old])).unwrap();
    assert!(check(&dir, &["."], 1).contains("`./old.tar!evil` refused"));
}

/// Returns the offset of the `number`th local header, or record of the directory.
fn header(zip: &[u8], signature: &[u8], number: usize) -> usize {
    memchr::memmem::find_iter(zip, signature).nth(number).unwrap()
}

#[test]
fn zip_archives_list_the_same_files_twice() {
    let dir = directory("zip-lists");
    let good = program::amd64();
    let files: [(&str, u32, &[u8]); 2] = [("app", 0o755, &good), ("evi", 0o755, BAD)];
    let (local, listed) = (b"PK\x03\x04", b"PK\x01\x02");
    let whole = zip(&files, CompressionMethod::STORE);
    let rejects = |bytes: &[u8], error: &str| {
        fs::write(dir.join("x.zip"), bytes).unwrap();
        let shown = check(&dir, &["x.zip"], 1);
        assert!(shown.contains(error), "{error}: {shown}");
    };
    rejects(&whole, "`x.zip!evi` refused");
    // A file that is not in the directory.
    let mut bytes = whole.clone();
    let (first, second) = (header(&bytes, listed, 0), header(&bytes, listed, 1));
    let end = header(&bytes, b"PK\x05\x06", 0);
    bytes.drain(second..end);
    let end = bytes.len() - 22;
    bytes[end + 8] = 1;
    bytes[end + 10] = 1;
    let size = u32::try_from(second - first).unwrap();
    bytes[end + 12..end + 16].copy_from_slice(&size.to_le_bytes());
    rejects(&bytes, "that its directory does not list");
    // Another name, method or size in the local header.
    for (at, value, error) in [
        (30, b'x', "the name is not the same"),
        (8, 8, "the method is not the same"),
        (6, 1, "the encryption is not the same"),
        (18, 77, "the size is not the same"),
    ] {
        let mut bytes = whole.clone();
        let first = header(&bytes, local, 0);
        bytes[first + at] = value;
        if at == 18 {
            // Without the flag that sizes follow.
            bytes[first + 6] = 0;
        }
        rejects(&bytes, error);
    }
    // A second end.
    let mut bytes = whole.clone();
    let end = bytes.split_off(bytes.len() - 22);
    bytes.extend([&end[..], &end].concat());
    rejects(&bytes, "cannot be read");
}

#[test]
fn zip_entries_that_are_not_files_have_no_programs() {
    let dir = directory("zip-kinds");
    let good = program::amd64();
    for (name, kind) in [("evil", 0o120_000), ("evil", 0o010_000), ("evil/", 0o100_000)] {
        let files: [(&str, u32, &[u8]); 2] = [("app", 0o755, &good), (name, 0o755, BAD)];
        let mut bytes = zip(&files, CompressionMethod::STORE);
        let record = header(&bytes, b"PK\x01\x02", 1);
        let attributes = ((kind | 0o755_u32) << 16).to_le_bytes();
        bytes[record + 38..record + 42].copy_from_slice(&attributes);
        if kind == 0o120_000 {
            // A target that is a program.
            bytes = zip(&[("app", 0o755, &good), (name, 0o755, &good)], CompressionMethod::STORE);
            let record = header(&bytes, b"PK\x01\x02", 1);
            bytes[record + 38..record + 42].copy_from_slice(&attributes);
        }
        fs::write(dir.join("x.zip"), &bytes).unwrap();
        let shown = check(&dir, &["x.zip"], 1);
        assert!(shown.contains(&format!("`x.zip!{name}` refused")), "{kind:o}: {shown}");
    }
}

#[test]
fn layouts_in_directories_of_an_archive_are_verified() {
    let evil = layout("nested-evil", &[&[], &[bad("evil")]]);
    let good = layout("nested-good", &[&[]]);
    let dir = evil.dir.parent().unwrap();
    let below = |layout: &Path, prefix: &str| {
        let mut parts = Vec::new();
        for file in ["oci-layout", "index.json"] {
            let bytes = fs::read(layout.join(file)).unwrap();
            parts.push(Entry::file(format!("{prefix}{file}").as_str(), bytes).bytes());
        }
        for entry in fs::read_dir(layout.join("blobs/sha256")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let name = format!("{prefix}blobs/sha256/{name}");
            parts.push(Entry::file(name.as_str(), fs::read(&path).unwrap()).bytes());
        }
        parts
    };
    let parts = [below(&good.dir, "a/"), below(&evil.dir, "b/c/"), below(&good.dir, "")].concat();
    for (name, parts) in [("all.tar", &parts[..]), ("two.tar", &parts[..parts.len() - 5])] {
        let tar = archive(parts);
        fs::write(dir.join(name), &tar).unwrap();
        let packed = format!("{name}.gz");
        fs::write(dir.join(&packed), gzip(&tar)).unwrap();
        for path in [name, &packed] {
            let shown = check(dir, &[path], 1);
            assert!(shown.contains(&format!("`{path}!a!linux/amd64!/ok` accepted")), "{shown}");
            assert!(shown.contains(&format!("`{path}!b/c!linux/amd64!/evil` refused")), "{shown}");
        }
    }
    let shown = check(dir, &["all.tar"], 1);
    assert!(shown.contains("`all.tar!linux/amd64!/ok` accepted"), "{shown}");
    // Without the mark, as some tools write it; and damaged.
    let unmarked = below(&evil.dir, "b/").split_off(1);
    fs::write(dir.join("unmarked.tar"), archive(&unmarked)).unwrap();
    let shown = check(dir, &["unmarked.tar"], 1);
    assert!(shown.contains("`unmarked.tar!b!linux/amd64!/evil` refused"), "{shown}");
    let good = Entry::file("bin/x", program::amd64()).bytes();
    let damaged = [good.clone(), Entry::file("b/oci-layout", "{").bytes()];
    fs::write(dir.join("damaged.tar"), archive(&damaged)).unwrap();
    let shown = check(dir, &["damaged.tar"], 1);
    assert!(shown.contains("`damaged.tar!b` refused"), "{shown}");
    // Other archives have such names, too.
    let other = [
        good,
        Entry::file("a/index.json", "{").bytes(),
        Entry::file("a/manifest.json", "[").bytes(),
    ];
    fs::write(dir.join("other.tar"), archive(&other)).unwrap();
    check(dir, &["other.tar"], 0);
}
