//! `verify` of archives: the same program in each, and all that is wrong with some.

use std::{
    fs,
    io::{Cursor, Read as _, Write as _},
    path::Path,
    process::Command,
};

use rawzip::{CompressionMethod, ZipArchiveWriter};

use crate::{
    support::{peer, program, random::random},
    verify_cli::{check, directory, write},
};

/// Path, mode and content.
pub(crate) type File<'a> = (&'a str, u32, &'a [u8]);

/// Returns an entry of a tar archive, whatever its path is.
fn header(path: &str, mode: u32, size: u64, kind: tar::EntryType, link: &str) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_mode(mode);
    header.set_size(size);
    header.set_entry_type(kind);
    header.set_cksum();
    header
}

pub(crate) fn tar(files: &[File<'_>]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, mode, content) in files {
        let header = header(path, *mode, content.len() as u64, tar::EntryType::Regular, "");
        tar.append(&header, *content).unwrap();
    }
    tar.into_inner().unwrap()
}

/// Returns a tar archive of one entry without content.
fn special(path: &str, kind: tar::EntryType, link: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(tar(&[("bin/x", 0o755, &program::amd64())]));
    // What is there already ends with two blocks of zeros.
    let len = tar.get_ref().len() - 1024;
    tar.get_mut().truncate(len);
    tar.append(&header(path, 0o777, 0, kind, link), &b""[..]).unwrap();
    tar.into_inner().unwrap()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

pub(crate) fn zip(files: &[File<'_>], method: CompressionMethod) -> Vec<u8> {
    let mut out = Vec::new();
    let mut zip = ZipArchiveWriter::new(&mut out);
    for (path, mode, content) in files {
        let name = rawzip::path::EntryPath::verbatim(path.as_bytes());
        let file =
            zip.new_file(name).compression_method(method).unix_permissions(*mode | 0o100_000);
        let (mut entry, config) = file.start().unwrap();
        let encoder: Box<dyn std::io::Write + '_> = match method {
            CompressionMethod::DEFLATE => {
                let fast = flate2::Compression::fast();
                Box::new(flate2::write::DeflateEncoder::new(&mut entry, fast))
            }
            _ => Box::new(&mut entry),
        };
        let mut writer = config.wrap(encoder);
        writer.write_all(content).unwrap();
        let (encoder, descriptor) = writer.finish().unwrap();
        drop(encoder);
        entry.finish(descriptor).unwrap();
    }
    zip.finish().unwrap();
    out
}

pub(crate) fn xz(bytes: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(1);
    let mut xz = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    xz.write_all(bytes).unwrap();
    xz.finish().unwrap()
}

/// Returns a package of Debian's that installs what is in the tar (deb(5)).
pub(crate) fn deb(data: &[u8]) -> Vec<u8> {
    members(&[("debian-binary", b"2.0\n"), ("data.tar.gz", data)])
}

/// Returns an archive with these members, as `ar` writes it.
fn members(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut deb = b"!<arch>\n".to_vec();
    for (name, content) in members {
        deb.extend(format!("{name:<16}{:<32}{:<10}`\n", 0, content.len()).as_bytes());
        deb.extend(*content);
        deb.extend(std::iter::repeat_n(b'\n', content.len() % 2));
    }
    deb
}

/// Returns the same files in every archive that there is.
fn archives(files: &[File<'_>]) -> Vec<(&'static str, Vec<u8>)> {
    let tar = tar(files);
    vec![
        ("a.tar.gz", gzip(&tar)),
        ("a.tar.zst", zstd::encode_all(&tar[..], 1).unwrap()),
        ("a.tar.xz", xz(&tar)),
        ("a.deb", deb(&gzip(&tar))),
        ("a.tar", tar),
        ("stored.zip", zip(files, CompressionMethod::STORE)),
        ("deflated.zip", zip(files, CompressionMethod::DEFLATE)),
    ]
}

#[test]
fn archive_contents_are_verified() {
    let dir = directory("archives");
    let good = program::amd64();
    let files: [File<'_>; 2] = [("x-1.0/bin/x", 0o755, &good), ("x-1.0/read.me", 0o644, b"text")];
    for (name, bytes) in archives(&files) {
        write(&dir.join(name), &bytes, 0o644);
        let text = check(&dir, &[name], 0);
        assert!(text.contains(&format!("`{name}` accepted")), "{text}");
        assert!(text.contains(&format!("`{name}!x-1.0/bin/x` accepted")), "{text}");
        assert!(text.contains(&format!("`{name}!x-1.0/read.me` not checked")), "{text}");
    }
    write(&dir.join("x.gz"), &gzip(&good), 0o644);
    assert!(check(&dir, &["x.gz"], 0).contains("`x.gz!x` accepted"));
    // A directory of all of them, as of a release.
    let text = check(&dir, &["."], 0);
    assert!(text.contains("`./a.tar.gz!x-1.0/bin/x` accepted"), "{text}");
    let json = check(&dir, &[".", "--facts", "--message-format", "json"], 0);
    assert_ne!(crate::schema::valid("verify.v1", &json), Some(false));
}

#[test]
fn package_scripts_are_verified() {
    let dir = directory("deb-control");
    let data = gzip(&tar(&[("./usr/bin/x", 0o755, &program::amd64())]));
    let bad = program::fixed_amd64();
    let target = ["--target", "x86_64-unknown-linux-musl"];
    let files: [File<'_>; 2] = [("./control", 0o644, b"Package: x\n"), ("./postinst", 0o755, &bad)];
    let control = tar(&files);
    for (name, control) in [
        ("control.tar", control.clone()),
        ("control.tar.gz", gzip(&control)),
        ("control.tar.xz", xz(&control)),
        ("control.tar.zst/", zstd::encode_all(&control[..], 1).unwrap()),
    ] {
        let parts = [("debian-binary", &b"2.0\n"[..]), (name, &control), ("data.tar.gz", &data)];
        write(&dir.join("x.deb"), &members(&parts), 0o644);
        let text = check(&dir, &[&["x.deb"][..], &target].concat(), 1);
        assert!(text.contains("`x.deb!control.tar/postinst` refused"), "{name}: {text}");
        assert!(text.contains("`x.deb!./usr/bin/x` accepted"), "{name}: {text}");
    }
    let script: [File<'_>; 1] = [("./postinst", 0o755, b"#!/bin/sh\n")];
    let control = tar(&script);
    let parts =
        [("debian-binary", &b"2.0\n"[..]), ("control.tar", &control), ("data.tar.gz", &data)];
    write(&dir.join("x.deb"), &members(&parts), 0o644);
    let text = check(&dir, &["x.deb"], 0);
    assert!(text.contains("`x.deb!control.tar/postinst` not checked"), "{text}");
    // A damaged one hides nothing.
    let parts = [
        ("debian-binary", &b"2.0\n"[..]),
        ("control.tar", &control[..700]),
        ("data.tar.gz", &data),
    ];
    write(&dir.join("x.deb"), &members(&parts), 0o644);
    check(&dir, &["x.deb"], 1);
}

#[test]
fn modes_in_archives_count() {
    let dir = directory("archive-modes");
    let good = program::amd64();
    for (name, bytes) in archives(&[("x", 0o4755, &good), ("y", 0o644, &good)]) {
        write(&dir.join(name), &bytes, 0o644);
        let text = check(&dir, &[name], 1);
        assert!(text.contains("deny privileges") && text.contains("setuid (mode 4755)"), "{text}");
        assert!(text.contains("warn mode"), "{text}");
    }
}

#[test]
fn truncated_and_empty_archives_are_rejected() {
    let dir = directory("archive-cut");
    let good = program::amd64();
    for (name, bytes) in archives(&[("x", 0o755, &good), ("y", 0o755, &[0; 5000])]) {
        // A tar archive's last bytes are zeros, of which one block tells its end.
        let tail = if name == "a.tar" { 1100 } else { 7 };
        for cut in [bytes.len() / 3, bytes.len() / 2, bytes.len() - tail] {
            write(&dir.join(name), &bytes[..cut], 0o644);
            let text = check(&dir, &[name], 1);
            assert!(text.contains(&format!("`{name}` refused")), "{name} {cut}: {text}");
        }
    }
    // Between two entries.
    let whole = tar(&[("x", 0o755, &good)]);
    write(&dir.join("b.tar"), &whole[..whole.len() - 1024], 0o644);
    assert!(check(&dir, &["b.tar"], 1).contains("it is truncated"));
    for (name, bytes) in archives(&[("read.me", 0o644, b"text")]) {
        write(&dir.join(name), &bytes, 0o644);
        assert!(check(&dir, &[name], 1).contains("no program is in it"), "{name}");
    }
    // Where nobody asked for it by name, it may hold what it likes.
    write(&dir.join("program"), &good, 0o755);
    fs::remove_file(dir.join("b.tar")).unwrap();
    check(&dir, &["."], 0);
}

#[test]
fn archives_with_outside_paths_are_rejected() {
    let dir = directory("archive-outside");
    let good = program::amd64();
    for path in ["../x", "/usr/bin/x", "a/../../x"] {
        for (name, bytes) in archives(&[(path, 0o755, &good)]) {
            write(&dir.join(name), &bytes, 0o644);
            let text = check(&dir, &[name], 1);
            assert!(text.contains("deny archive") && text.contains(path), "{name}: {text}");
        }
    }
    use tar::EntryType as Kind;
    for (kind, link, status, told) in [
        (Kind::Symlink, "../../etc/passwd", 1, "deny archive"),
        (Kind::Symlink, "/etc/passwd", 1, "deny archive"),
        (Kind::Link, "../x", 1, "deny archive"),
        (Kind::Symlink, "x", 0, "not checked: a symbolic link to `x`"),
        (Kind::Link, "bin/x", 0, "not checked: another name of `bin/x`"),
        (Kind::Char, "", 0, "not checked: a device"),
        (Kind::Fifo, "", 0, "not checked: a pipe"),
        (Kind::new(b'q'), "", 1, "an entry of type q"),
        (Kind::GNUSparse, "", 1, "sparse"),
    ] {
        write(&dir.join("b.tar"), &special("bin/y", kind, link), 0o644);
        let text = check(&dir, &["b.tar"], status);
        assert!(text.contains(told), "{kind:?} {link}: {text}");
    }
}

#[test]
fn extended_headers_are_read_and_bounded() {
    let dir = directory("archive-extended");
    let good = program::amd64();
    let long = format!("{}/x", "d".repeat(200));
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_pax_extensions([("path", long.as_bytes())]).unwrap();
    let size = good.len() as u64;
    let regular = header("short", 0o755, size, tar::EntryType::Regular, "");
    tar.append(&regular, &good[..]).unwrap();
    tar.append_pax_extensions([("SCHILY.xattr.security.capability", &b"\x01"[..])]).unwrap();
    tar.append(&regular, &good[..]).unwrap();
    write(&dir.join("a.tar"), &tar.into_inner().unwrap(), 0o644);
    let text = check(&dir, &["a.tar"], 1);
    assert!(text.contains(&format!("`a.tar!{long}` accepted")), "{text}");
    assert!(
        text.contains("`a.tar!short` refused") && text.contains("security.capability"),
        "{text}"
    );

    // A name of 100 MB is not read into memory, and two sizes are none.
    let mut tar = tar::Builder::new(Vec::new());
    let size = 100_000_000;
    let long = header("x", 0o644, size, tar::EntryType::GNULongName, "");
    tar.append(&long, std::io::repeat(b'x').take(size)).unwrap();
    write(&dir.join("b.tar.zst"), &zstd::encode_all(tar.get_ref().as_slice(), 1).unwrap(), 0o644);
    assert!(check(&dir, &["b.tar.zst"], 1).contains("it is an extended header of 100000000 bytes"));
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_pax_extensions([("size", &b"7"[..])]).unwrap();
    tar.append(&regular, &good[..]).unwrap();
    write(&dir.join("c.tar"), &tar.into_inner().unwrap(), 0o644);
    assert!(check(&dir, &["c.tar"], 1).contains("two sizes"));
}

#[test]
fn bombs_are_rejected() {
    let dir = directory("bombs");
    let zeros = vec![0; 100 << 20];
    let bomb = tar(&[("x", 0o755, &zeros)]);
    write(&dir.join("a.tar.gz"), &gzip(&bomb), 0o644);
    write(&dir.join("a.tar.zst"), &zstd::encode_all(&bomb[..], 1).unwrap(), 0o644);
    let mut program = program::amd64();
    program.resize(100 << 20, 0);
    write(&dir.join("a.zip"), &zip(&[("x", 0o755, &program)], CompressionMethod::DEFLATE), 0o644);
    write(&dir.join("a.gz"), &gzip(&zeros), 0o644);
    write(&dir.join("a.tar.xz"), &xz(&bomb), 0o644);
    write(&dir.join("a.deb"), &deb(&gzip(&bomb)), 0o644);
    for name in ["a.tar.gz", "a.tar.zst", "a.zip", "a.gz", "a.tar.xz", "a.deb"] {
        let text = check(&dir, &[name], 1);
        assert!(text.contains("decompression bomb"), "{name}: {text}");
    }
    // Two entries of the directory that share their bytes.
    let good = program::amd64();
    let files: [File<'_>; 2] = [("x", 0o755, &good), ("x", 0o755, &good)];
    let mut bytes = zip(&files, CompressionMethod::STORE);
    let second = memchr::memmem::rfind(&bytes, b"PK\x01\x02").unwrap();
    bytes[second + 42..second + 46].fill(0);
    write(&dir.join("b.zip"), &bytes, 0o644);
    assert_eq!(check(&dir, &["b.zip"], 1).matches("bytes in common").count(), 1);
    // What cannot be unpacked is not passed.
    for (flag, place, value) in [("encrypted", 8, 1), ("method", 10, 12)] {
        let mut bytes = zip(&[("x", 0o755, &good)], CompressionMethod::STORE);
        let entry = memchr::memmem::rfind(&bytes, b"PK\x01\x02").unwrap();
        bytes[entry + place] |= value;
        // The local header, whose fields are two bytes earlier.
        bytes[place - 2] |= value;
        write(&dir.join("c.zip"), &bytes, 0o644);
        let text = check(&dir, &["c.zip"], 1);
        assert!(text.contains("`c.zip!x` refused") && text.contains(flag), "{text}");
    }
}

/// The largest program and archive take no more memory than a small one (`ulimit -d`: the data that
/// a process may have, stacks of threads among it).
#[test]
fn memory_is_bounded_for_every_file() {
    let dir = directory("memory");
    let Some(sh) = peer::find("sh") else { return };
    let mut large = program::amd64();
    // What is loaded is all of it: `p_filesz` and `p_memsz` of the first program header.
    let size: u64 = 300 << 20;
    for at in [64 + 32, 64 + 40] {
        large[at..at + 8].copy_from_slice(&size.to_le_bytes());
    }
    let mut file = fs::File::create(dir.join("large")).unwrap();
    file.write_all(&large).unwrap();
    file.set_len(size).unwrap();
    // Noise, so that it is no bomb; the window is the largest that is read.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(20 << 20)
    .collect();
    let mut inner = program::amd64();
    inner.extend(noise.repeat(5));
    let tar = tar(&[("x", 0o755, &inner)]);
    let mut out = zstd::Encoder::new(Vec::new(), 1).unwrap();
    out.window_log(25).unwrap();
    out.write_all(&tar).unwrap();
    fs::write(dir.join("a.tar.zst"), out.finish().unwrap()).unwrap();
    let mut out = zstd::Encoder::new(Vec::new(), 1).unwrap();
    out.window_log(27).unwrap();
    out.write_all(&tar).unwrap();
    fs::write(dir.join("long.tar.zst"), out.finish().unwrap()).unwrap();
    let run = |name: &str| {
        let script = format!("ulimit -d 65536; exec \"$0\" verify {name} --message-format json");
        let mut command = Command::new(&sh);
        command.args(["-c", &script, env!("CARGO_BIN_EXE_cargo-longshore")]).current_dir(&dir);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text + &String::from_utf8_lossy(&output.stderr))
    };
    for name in ["large", "a.tar.zst"] {
        let (status, text) = run(name);
        assert_eq!(status, Some(0), "{name}: {text}");
    }
    let (status, text) = run("long.tar.zst");
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("its zstd window is larger than 32 MiB"), "{text}");
}

#[test]
fn no_mutation_of_an_archive_panics() {
    let dir = directory("archive-mutations");
    let good = program::amd64();
    let mut random = random(0x9e37_79b9_7f4a_7c15);
    let mut run = 0;
    for (_, bytes) in archives(&[("bin/x", 0o755, &good), ("read.me", 0o644, b"text")]) {
        for _ in 0..2000 {
            let mut bytes = bytes.clone();
            for _ in 0..=random() % 4 {
                let at = random() % bytes.len();
                bytes[at] = random() as u8;
            }
            if random().is_multiple_of(8) {
                bytes.truncate(random() % bytes.len());
            }
            list_contents(&bytes);
            run += 1;
        }
    }
    eprintln!("{run} archives");
    drop(dir);
}

/// Reads an archive to its end, as `verify` does.
pub(crate) fn list_contents(bytes: &[u8]) {
    use longshore::archive::unpack::{self, Budget, Compression};
    let mut each = |entry: &unpack::ArchiveEntry, content: &mut dyn std::io::Read| {
        let _ = entry.hazard();
        let mut held = Vec::new();
        let _ = content.take(1 << 20).read_to_end(&mut held);
        Ok(())
    };
    if unpack::is_zip(bytes) {
        let _ = unpack::read_zip(bytes.into(), &mut each);
    } else if unpack::is_deb(bytes) {
        let _ = unpack::read_deb(bytes, &mut |_, entry, content| each(entry, content));
    } else {
        let stream = Cursor::new(bytes.to_vec());
        let budget = Budget::default();
        if let Ok(mut stream) = unpack::unpack(stream, Compression::detect(bytes), &budget) {
            let _ = unpack::read_tar_strictly(&mut stream, &mut each);
        }
    }
}

#[test]
fn gnu_tar_and_info_zip_are_read() {
    let dir = directory("archive-peers");
    write(&dir.join("x"), &program::amd64(), 0o755);
    std::os::unix::fs::symlink("x", dir.join("y")).unwrap();
    let long = "d".repeat(150);
    fs::create_dir_all(dir.join(&long)).unwrap();
    fs::copy(dir.join("x"), dir.join(&long).join("z")).unwrap();
    let run = |program: &Path, args: &[&str]| {
        let output = Command::new(program).args(args).current_dir(&dir).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    if let Some(tar) = peer::find("tar") {
        for format in ["gnu", "pax", "ustar", "oldgnu"] {
            let name = format!("{format}.tar");
            let mut files = vec!["--format", format, "-cf", &name, "x", "y"];
            if format != "ustar" {
                files.push(&long);
            }
            run(&tar, &files);
            let text = check(&dir, &[&name], 0);
            assert!(text.contains(&format!("`{name}!x` accepted")), "{text}");
            assert_eq!(text.contains(&format!("{long}/z` accepted")), format != "ustar", "{text}");
            assert!(text.contains("y` not checked: a symbolic link to `x`"), "{text}");
        }
    }
    if let Some(python) = peer::find("python3") {
        let script = "import zipfile; z = zipfile.ZipFile('p.zip', 'w', zipfile.ZIP_DEFLATED); \
                      z.write('x'); z.close()";
        run(&python, &["-c", script]);
        assert!(check(&dir, &["p.zip"], 0).contains("`p.zip!x` accepted"));
    }
}
