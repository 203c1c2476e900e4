//! Writes the seed corpus of the targets `tar` and `layers` into `fuzz/corpus`.

use std::{fs, io, path::Path};

use longshore_fuzz::{append, append_pax, header};

fn main() -> io::Result<()> {
    let tar = tar().into_iter().map(|(name, bytes)| (name.to_owned(), bytes));
    write("tar", tar)?;
    let layers = LAYERS.iter().enumerate();
    write("layers", layers.map(|(at, text)| (at.to_string(), text.as_bytes().to_vec())))
}

fn write(target: &str, seeds: impl Iterator<Item = (String, Vec<u8>)>) -> io::Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&dir)?;
    seeds.into_iter().try_for_each(|(name, bytes)| fs::write(dir.join(name), bytes))
}

/// One archive for each kind of entry and extended header.
fn tar() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = Vec::new();
    let mut add = |name, build: &dyn Fn(&mut Vec<u8>)| {
        let mut tar = Vec::new();
        build(&mut tar);
        tar.resize(tar.len() + 1024, 0);
        seeds.push((name, tar));
    };
    let plain =
        |tar: &mut Vec<u8>, name: &[u8]| append(tar, &header(b'0', 0o755, name, b"", 5), b"hello");
    add("empty", &|_| {});
    add("files", &|tar| {
        append(tar, &header(b'5', 0o755, b"bin/", b"", 0), b"");
        plain(tar, b"bin/a");
        append(tar, &header(b'1', 0o755, b"bin/b", b"bin/a", 0), b"");
        append(tar, &header(b'2', 0o777, b"bin/c", b"../bin/a", 0), b"");
        append(tar, &header(b'3', 0o600, b"dev/null", b"", 0), b"");
        append(tar, &header(b'4', 0o600, b"dev/sda", b"", 0), b"");
        append(tar, &header(b'6', 0o600, b"fifo", b"", 0), b"");
        append(tar, &header(0, 0o644, b"old/", b"", 0), b"");
    });
    add("names", &|tar| {
        plain(tar, b"bin/p\xfe");
        plain(tar, b"bin/p\\xfe");
        plain(tar, b"../up");
        plain(tar, b".wh.a");
        plain(tar, b"d/.wh..wh..opq");
    });
    add("pax", &|tar| {
        let long = "a/".repeat(120);
        append_pax(tar, b'x', &[("path", long.as_bytes()), ("mtime", b"1700000000.5")]);
        plain(tar, b"short");
        append_pax(tar, b'x', &[("linkpath", long.as_bytes()), ("uid", b"7"), ("gid", b"8")]);
        append(tar, &header(b'2', 0o777, b"link", b"x", 0), b"");
        append_pax(
            tar,
            b'x',
            &[("SCHILY.xattr.security.capability", b"\x01\0\0\x02"), ("size", b"5")],
        );
        plain(tar, b"capable");
    });
    add("global", &|tar| {
        append_pax(tar, b'g', &[("comment", b"0123456789abcdef")]);
        plain(tar, b"a");
    });
    add("gnu", &|tar| {
        let long = b"x".repeat(150);
        for kind in [b'L', b'K'] {
            append(
                tar,
                &gnu(header(kind, 0o644, b"././@LongLink", b"", 151)),
                &[&long[..], b"\0"].concat(),
            );
        }
        append(tar, &gnu(header(b'2', 0o777, b"x", b"x", 0)), b"");
    });
    add("base256", &|tar| {
        let mut block = header(b'0', 0o755, b"a", b"", 5);
        block[124..136].copy_from_slice(b"\x80\0\0\0\0\0\0\0\0\0\0\x05");
        block[136..148].copy_from_slice(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe");
        append(tar, &block, b"hello");
        longshore_fuzz::set_checksums(tar);
    });
    add("prefix", &|tar| {
        let mut block = header(b'0', 0o755, b"name", b"", 5);
        block[345..351].copy_from_slice(b"prefix");
        append(tar, &block, b"hello");
        longshore_fuzz::set_checksums(tar);
    });
    add("v7", &|tar| {
        let mut block = header(0, 0o755, b"a", b"", 5);
        block[257..265].fill(0);
        append(tar, &block, b"hello");
        longshore_fuzz::set_checksums(tar);
    });
    seeds
}

/// The same header with GNU's magic.
fn gnu(mut block: [u8; 512]) -> [u8; 512] {
    block[257..265].copy_from_slice(b"ustar  \0");
    longshore_fuzz::set_checksums(&mut block);
    block
}

const LAYERS: [&str; 12] = [
    "d /a\nf /a/x\nf /a/y\nf /a-b\nd /c\nf /c/x\nd /e\nf /e/x\n=\nf /a/.wh.x\nf /c/.wh..wh..opq\nf /c/z\nf /e\nd /a\nf /a/x/1",
    "d /a\nf /a/x\n=\nl /a b",
    "f /a\n=\nf /.wh.a\n=\nd /a\nf /a/b",
    "d /usr\nd /usr/lib\nl /lib usr/lib\nl /up ../../usr\nf /usr/lib/x\n=\nf /lib/y\nf /lib/.wh.x\nf /up/z",
    "f /b\nh /a /b\n=\nf /.wh.b",
    "l /a b\nl /b a\nf /a/x",
    "d /\nf /x\n=\nf /.wh..wh..opq\nf /y",
    "s /bin/su\n=\nh /bin/x /bin/su\nx /bin/c abc\nh /bin/d /bin/c",
    "c /dev/null\np /fifo\nf /.wh..wh.plnk/1\nf /.wh..wh.aufs",
    "f bin/p\\xfe\nf ./bin//q\nf /../r",
    "f /d/e/f/g/h\n=\nf /d/e/.wh.f\nf /d/e/f/i\n=\nf /d/.wh.e",
    "P /long/path/of/pax\n=\nh /long/path/a /long/path/of/pax\n=\nf /long/.wh.path\nf /long/path/b",
];
