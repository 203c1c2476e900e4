//! The reader of tar archives: what it reads, and what it rejects because other readers of tar
//! disagree.

use longshore::archive::unpack::{self, EntryKind};

use crate::support::tarball::{END, Entry, GNU, V7, archive, extension, long, pax, record};

/// Returns the entries as `kind path`, or the error and its hint.
fn read(bytes: &[u8]) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let read = unpack::read_tar_strictly(&mut &bytes[..], &mut |entry, content| {
        let mut text = Vec::new();
        content
            .read_to_end(&mut text)
            .map_err(|error| longshore::Error::check("content").because(error))?;
        let kind = match &entry.kind {
            EntryKind::File => format!("f {} {}", entry.path, text.escape_ascii()),
            EntryKind::Directory => format!("d {}", entry.path),
            EntryKind::Link(to) => format!("l {} {to}", entry.path),
            EntryKind::HardLink(to) => format!("h {} {to}", entry.path),
            EntryKind::Special(what) => format!("s {} {what}", entry.path),
            EntryKind::Unknown(what) => format!("u {} {what}", entry.path),
        };
        found.push(kind);
        Ok(())
    });
    read.map(|()| found).map_err(|error| format!("{error:?}"))
}

#[track_caller]
fn reads(parts: &[Vec<u8>], expected: &[&str]) {
    assert_eq!(read(&archive(parts)).unwrap(), expected);
}

#[track_caller]
fn rejects(parts: &[Vec<u8>], error: &str) {
    let found = read(&archive(parts)).unwrap_err();
    assert!(found.contains(error), "expected `{error}`, found `{found}`");
    assert!(found.contains("\nhint: "), "{found}");
}

fn file(name: &str) -> Vec<u8> {
    Entry::file(name, "x").bytes()
}

#[test]
fn plain_entries_are_read() {
    let parts = [
        Entry::new(b'5', "a/").bytes(),
        file("a/f"),
        Entry::link(b'2', "a/l", "f").bytes(),
        Entry::link(b'1', "a/h", "a/f").bytes(),
        Entry::new(b'6', "a/p").bytes(),
        Entry::new(b'3', "a/c").field(329, b"0000001\0").field(337, b"0000003\0").bytes(),
        file("/abs"),
        Entry::file("b", "y").field(345, "pre/fix").bytes(),
        Entry::file("c", "").field(156, [0]).bytes(),
        Entry::new(0, "d/").bytes(),
    ];
    let expected = [
        "d a/",
        "f a/f x",
        "l a/l f",
        "h a/h a/f",
        "s a/p a pipe",
        "s a/c a device",
        "f /abs x",
        "f pre/fix/b y",
        "f c ",
        "d d/",
    ];
    reads(&parts, &expected);
    // The zeros at the end need not be two blocks, nor end there.
    let bytes = parts.concat();
    for zeros in [1, 512, 700, 1024, 10_240] {
        assert_eq!(read(&[&bytes[..], &vec![0; zeros]].concat()).unwrap(), expected);
    }
    let error = read(&bytes).unwrap_err();
    assert!(error.contains("the zeros at the end of a tar archive are missing"), "{error}");
    // A layer has a digest, so that its end need not be marked.
    unpack::read_tar(&mut &bytes[..], &mut |_, _| Ok(())).unwrap();
}

#[test]
fn names_are_bytes() {
    let name = |name: &[u8]| Entry::file(name, "x").bytes();
    reads(
        &[name(b"p\xfe"), name(b"p\xff"), name(b"p\\xfe"), name(b"p\0q")],
        &["f p\\xfe x", "f p\\xff x", "f p\\x5cxfe x", "f p x"],
    );
    let long_name = "d/".repeat(100) + "f";
    reads(&[long(b'L', long_name.as_bytes()), file("x")], &[&format!("f {long_name} x")]);
    reads(&[pax(b'x', &[("path", b"p\xfe")]), file("x")], &["f p\\xfe x"]);
    let target = "t".repeat(300);
    let link = Entry::link(b'2', "l", "x").bytes();
    reads(&[long(b'K', target.as_bytes()), link.clone()], &[&format!("l l {target}")]);
    reads(&[long(b'L', b"m"), long(b'K', b"t"), link.clone()], &["l m t"]);
    reads(&[pax(b'x', &[("path", b"m"), ("linkpath", b"t")]), link.clone()], &["l m t"]);

    rejects(&[long(b'L', b"a"), pax(b'x', &[("path", b"b")]), file("c")], "two extended headers");
    rejects(&[pax(b'x', &[("path", b"b")]), long(b'L', b"a"), file("c")], "two names");
    rejects(&[pax(b'x', &[("mtime", b"1")]), long(b'L', b"a"), file("c")], "two names");
    rejects(&[long(b'L', b"a"), long(b'L', b"b"), file("c")], "two names");
    let twice = pax(b'x', &[("comment", b"1")]);
    rejects(&[twice.clone(), twice, file("c")], "two extended headers");
    rejects(&[pax(b'x', &[("path", b"a"), ("path", b"b")]), file("c")], "`path` is there twice");
    rejects(&[pax(b'x', &[("path", b"a\0b")]), file("c")], "the pax record `path` has the value");
    rejects(&[pax(b'x', &[("path", b"")]), file("c")], "the pax record `path` has the value");
    rejects(&[long(b'L', b"a\0b"), file("c")], "a GNU long name is empty or has a NUL");
    rejects(&[long(b'L', b""), file("c")], "a GNU long name is empty or has a NUL");
    rejects(&[pax(b'x', &[("linkpath", b"a")]), file("c")], "is not a link, and has a target");
    rejects(&[long(b'K', b"a"), file("c")], "is not a link, and has a target");
    rejects(&[Entry::new(b'2', "l").bytes()], "is a link to a path of 0 bytes");
    rejects(&[file("")], "an entry has no path");
    rejects(&[file("a/.")], "is not a directory, by its type");
    for last in [long(b'L', b"a"), pax(b'x', &[("a", b"b")]), pax(b'g', &[("a", b"b")])] {
        let error = read(&archive(&[file("a"), last])).unwrap_err();
        assert!(error.contains("an extended header is its last entry"), "{error}");
    }
}

#[test]
fn paths_are_bounded() {
    let path = |len: usize, depth: usize| {
        let path = "a/".repeat(depth) + &"b".repeat(len - 2 * depth);
        [pax(b'x', &[("path", path.as_bytes())]), file("x")]
    };
    assert_eq!(read(&archive(&path(4096, 10))).unwrap().len(), 1);
    assert_eq!(read(&archive(&path(1000, 255))).unwrap().len(), 1);
    rejects(&path(4097, 10), "is too long or too deep");
    rejects(&path(1000, 256), "is too long or too deep");
    let target = pax(b'x', &[("linkpath", "t".repeat(4097).as_bytes())]);
    rejects(&[target, Entry::link(b'2', "l", "x").bytes()], "is a link to a path of 4097 bytes");
    let large = extension(b'x', &vec![b'x'; (1 << 20) + 1]);
    rejects(&[large, file("x")], "it is an extended header of 1048577 bytes");
}

#[test]
fn a_size_without_content_is_ignored_where_all_readers_do() {
    let next = Entry::file("evil", [b'x'; 600]).bytes();
    let content = format!("f evil {}", "x".repeat(600));
    let size = next.len() as u64;
    for magic in [crate::support::tarball::USTAR, GNU] {
        let hard = Entry::link(b'1', "l", "a").magic(magic).size(size).bytes();
        reads(&[file("a"), hard.clone(), next.clone()], &["f a x", "h l a", &content]);
        reads(&[file("a"), hard], &["f a x", "h l a"]);
        let directory = Entry::new(b'5', "d").magic(magic).size(size).bytes();
        reads(&[directory, next.clone()], &["d d", &content]);
    }
    for (kind, target) in [(b'2', "a"), (b'3', ""), (b'4', ""), (b'6', "")] {
        let link = Entry::link(kind, "l", target).size(size).bytes();
        rejects(&[link, next.clone()], "has no content and a size of 1536: readers disagree");
    }
    // libarchive goes by the size once there was a pax header.
    let time = pax(b'x', &[("mtime", b"1")]);
    let hard = Entry::link(b'1', "l", "a").size(size).bytes();
    rejects(&[time, file("a"), hard, next.clone()], "`l` has no content and a size");
    for kind in [b'1', b'2', b'3', b'4', b'5', b'6'] {
        let sized = pax(b'x', &[("size", size.to_string().as_bytes())]);
        let link = Entry::link(kind, "l", "a").bytes();
        rejects(&[sized, link, next.clone()], "`l` has no content and a size of 1536");
    }
}

#[test]
fn sizes_have_one_meaning() {
    let sized = |size: &[u8]| pax(b'x', &[("size", size)]);
    reads(&[sized(b"1"), file("a")], &["f a x"]);
    reads(&[Entry::file("a", "x").field(124, b"\x80\0\0\0\0\0\0\0\0\0\0\x01").bytes()], &["f a x"]);
    reads(&[Entry::file("a", "x").field(124, b"          1 ").bytes()], &["f a x"]);
    for size in [&b"0"[..], b"2", b"513"] {
        rejects(&[sized(size), file("a"), file("b")], "a file in it has two sizes");
    }
    for size in [&b"+1"[..], b"-1", b" 1", b"1 ", b"0x1", b"", b"18446744073709551616"] {
        rejects(&[sized(size), file("a")], "the pax record `size` has the value");
    }
    for size in [&b"-0000000001\0"[..], b"0000000\x00001\0", b"\x0000000001\0\0", b"0000000001x\0"]
    {
        rejects(&[Entry::file("a", "x").field(124, size).bytes()], "field `size` is not a number");
    }
    rejects(&[Entry::file("a", "").field(124, [0; 12]).bytes()], "the field `size` is blank");
    let negative = Entry::file("a", "x").field(124, [0xff; 12]).bytes();
    rejects(&[negative], "the field `size` is negative: -1");
    // As large as it says, and then the archive is truncated.
    let large = Entry::file("a", "x").field(124, b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
    let error = read(&archive(&[large.bytes()])).unwrap_err();
    assert!(error.contains("it is truncated"), "{error}");
}

#[test]
fn types_have_one_meaning() {
    rejects(&[file("a/")], "`a/` is a file with a slash at its end");
    let old = |name: &str, content: &str| Entry::file(name, content).field(156, [0]).bytes();
    reads(&[old("a/", ""), old("b", "x")], &["d a/", "f b x"]);
    rejects(&[old("a/", "x")], "is a file or a directory, as readers differ");
    rejects(&[long(b'L', b"b"), old("a/", "")], "is a file or a directory, as readers differ");
    rejects(&[pax(b'x', &[("path", b"b/")]), old("a", "")], "is a file or a directory");
    for kind in *b"7AXVMNDEZsq8" {
        let parts = [Entry::file("a", "x").field(156, [kind]).bytes()];
        rejects(&parts, &format!("`a` is an entry of type {}", kind as char));
    }
    let hint = "archive without `--sparse`";
    rejects(&[Entry::new(b'S', "a").magic(GNU).bytes()], hint);
    for (key, value) in [
        ("GNU.sparse.size", "1"),
        ("GNU.sparse.map", "0,1"),
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.name", "a"),
        ("SCHILY.realsize", "1"),
    ] {
        rejects(&[pax(b'x', &[(key, value.as_bytes())]), file("a")], hint);
    }
    reads(&[pax(b'g', &[("comment", b"c")]), file("a")], &["f a x"]);
    for key in ["path", "linkpath", "size", "uid", "mtime", "SCHILY.xattr.a", "GNU.sparse.size"] {
        let error = format!("a global pax header sets `{key}`");
        rejects(&[pax(b'g', &[(key, b"1")]), file("a")], &error);
    }
    let between = [pax(b'x', &[("path", b"b")]), pax(b'g', &[("comment", b"c")]), file("a")];
    rejects(&between, "it is between an extended header and its entry");
}

#[test]
fn headers_have_one_meaning() {
    reads(&[Entry::file("a", "x").magic(V7).bytes()], &["f a x"]);
    for magic in [b"ustar\x0001", b"ustar\0  "] {
        reads(&[Entry::file("a", "x").magic(magic).bytes()], &["f a x"]);
    }
    for magic in [b"ustar   ", b"ustar00\0", b"ustarxxx"] {
        rejects(&[Entry::file("a", "x").magic(magic).bytes()], "is unknown");
    }
    rejects(&[file("a"), Entry::file("b", "x").magic(V7).bytes()], "it has no magic");
    for magic in [V7, GNU] {
        let prefixed = Entry::file("a", "x").magic(magic).field(345, "p").bytes();
        rejects(&[prefixed], "readers disagree on whether `a` has a prefix");
    }
    let star = Entry::file("a", "x").field(508, b"tar\0");
    reads(&[star.clone().field(345, "p").bytes()], &["f p/a x"]);
    rejects(&[star.field(345, [b'p'; 140]).bytes()], "has a prefix");
    // Added as numbers with a sign.
    let name = b"\xe9";
    let sum = |entry: &Entry| {
        let bytes = entry.clone().field(148, b"        ").unchecked();
        bytes[..512].iter().map(|&byte| i64::from(byte.cast_signed())).sum::<i64>()
    };
    let signed = Entry::file(name, "x");
    let signed = signed.clone().field(148, format!("{:06o}\0 ", sum(&signed))).unchecked();
    reads(&[signed], &["f \\xe9 x"]);
    rejects(&[Entry::file("a", "x").field(148, b"000000\0 ").unchecked()], "checksum");
    for (at, name) in [(100, "mode"), (108, "uid"), (116, "gid")] {
        let bad = Entry::file("a", "x").field(at, b"\x00000755\0").bytes();
        rejects(&[bad], &format!("the field `{name}` is not a number: `\\x00000755\\x00`"));
    }
    for damaged in
        ["5 path=x\n", "9 path=x", "09 path=x\n", "8 pathx\n", "6 =x12\n", "x", "9 path=x\n\0"]
    {
        rejects(&[extension(b'x', damaged.as_bytes()), file("a")], "a pax record is damaged");
    }
    let charset = record(b"hdrcharset", b"UTF-16");
    rejects(&[extension(b'x', &charset), file("a")], "the pax record `hdrcharset`");
}

#[test]
fn nothing_follows_the_end() {
    let zero = vec![0; 512];
    rejects(&[file("a"), zero.clone(), file("b")], "data after the zeros that end");
    rejects(&[file("a"), END.to_vec(), file("b")], "data after the zeros that end");
    let mut garbage = archive(&[file("a")]);
    garbage.extend([0; 4000]);
    garbage.push(1);
    for bytes in [&garbage[..], b"\x1b]0;owned\x07"] {
        let error = read(bytes).unwrap_err();
        assert!(!error.contains('\u{1b}'), "{error}");
    }
    // A layer is read to its end as well.
    assert!(unpack::read_tar(&mut &garbage[..], &mut |_, _| Ok(())).is_err());
    let whole = archive(&[Entry::file("a", [b'x'; 700]).bytes()]);
    for end in 1..whole.len() - 1024 {
        assert!(read(&whole[..end]).is_err(), "{end}");
        let layer = unpack::read_tar(&mut &whole[..end], &mut |_, _| Ok(()));
        // What fills its last block may be missing.
        assert_eq!(layer.is_ok(), end >= 512 + 700, "{end}");
    }
    let header = extension(b'x', &record(b"path", b"b"));
    for end in [513, 600, 1023, 1024] {
        let layer = unpack::read_tar(&mut &header[..end], &mut |_, _| Ok(()));
        assert!(layer.unwrap_err().to_string().contains("truncated"), "{end}");
    }
}

#[test]
fn messages_have_no_control_characters() {
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[31m";
    for parts in [
        [Entry::file(evil, "x").field(156, b"q").bytes(), vec![]],
        [Entry::file("a", "x").field(100, &evil.as_bytes()[..8]).bytes(), vec![]],
        [pax(b'x', &[(evil, b"1"), (evil, b"1")]), file("a")],
        [pax(b'x', &[("size", evil.as_bytes())]), file("a")],
        [pax(b'g', &[("GNU.\u{1b}", b"1")]), file("a")],
        [long(b'L', &[evil.as_bytes(), b"\0x"].concat()), file("a")],
    ] {
        let error = read(&archive(&parts)).unwrap_err();
        assert!(!error.contains(|c: char| c.is_control() && c != '\n'), "{error:?}");
    }
}
