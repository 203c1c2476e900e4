//! An image with as many files as are read, in bounded memory; and an interrupt while a large archive
//! is read.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    support::{
        command::{LONGSHORE, plain},
        peer, program,
        random::random,
        tarball::{Entry, archive},
    },
    verify_archive::gzip,
    verify_cli::directory,
    verify_image::Layout,
};

/// The most files of an image (docs/policy.md, "Limits").
const FILES: usize = 1 << 18;

/// Runs it with 256 MiB of private memory (getrlimit(2), `RLIMIT_DATA`); gives the end of its output.
#[track_caller]
fn bounded(dir: &Path, args: &str) -> String {
    let script = format!("ulimit -d 262144; exec \"$0\" {args} >output 2>&1");
    let mut command = Command::new(peer::find("sh").unwrap());
    let status = command.args(["-c", &script, LONGSHORE]).current_dir(dir).status().unwrap();
    let output = fs::read_to_string(dir.join("output")).unwrap();
    let end: Vec<&str> = output.lines().rev().take(5).collect();
    assert_eq!(status.code(), Some(0), "{args}: {end:#?}");
    output
}

#[test]
fn an_image_with_the_maximum_number_of_files_takes_bounded_memory() {
    let mut noise = random(3);
    // As many bytes of names as there may be, less those of the program and its directory.
    let mut name = || (0..5).map(|_| format!("{:016x}", noise())).collect::<String>();
    let entries = (2..FILES).map(|_| Entry::file(format!("d/{}", name()), "").bytes());
    let good = Entry::file("ok", program::amd64()).bytes();
    let mut layout = Layout::new("bounds-files");
    layout.tar_layer(&archive(&[good].into_iter().chain(entries).collect::<Vec<_>>()));
    layout.write();
    let dir = layout.dir.parent().unwrap();
    assert!(bounded(dir, "verify layout").contains("accepted"));
    for args in ["", "--layers"] {
        let output = bounded(dir, &format!("image inspect {args} layout"));
        assert!(output.lines().count() >= FILES, "{args}: {} lines", output.lines().count());
    }
}

#[test]
fn a_program_in_a_compressed_archive_unpacks_to_a_bounded_file() {
    let dir = directory("bounds-program");
    // Some that cannot be compressed, so that 200 times as much is not a bomb.
    let mut noise = random(7);
    let noise: Vec<u8> = (0..1 << 19).flat_map(|_| noise().to_le_bytes()).collect();
    let mut program = program::amd64();
    program.resize(300 << 20, 0);
    let parts = [Entry::file("noise", noise).bytes(), Entry::file("app", program).bytes()];
    fs::write(dir.join("x.tar.gz"), gzip(&archive(&parts))).unwrap();
    let most = (64 << 20) + 20 * fs::metadata(dir.join("x.tar.gz")).unwrap().len();
    assert!(most < 300 << 20);
    // No file may become larger (in blocks of 512 bytes).
    let script = format!("ulimit -f {}; exec \"$0\" verify x.tar.gz", most / 512 + 2048);
    let mut command = Command::new(peer::find("sh").unwrap());
    let output = command.args(["-c", &script, LONGSHORE]).current_dir(&dir).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    let error = format!("`x.tar.gz!app`: it unpacks to more than {most} bytes");
    assert!(shown.contains(&error), "no `{error}` in {shown}");
}

/// Returns the number of bytes that a process has read (proc(5), `/proc/pid/io`), also one that has ended.
fn bytes_read(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/io")).unwrap();
    text.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

fn has_ended(process: u32) -> bool {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    text.rsplit(')').next().unwrap().trim_start().starts_with('Z')
}

#[test]
fn an_interrupt_ends_the_reading_of_one_large_entry() {
    if cfg!(not(target_os = "linux")) {
        return peer::skip("it reads `/proc`");
    }
    let dir = directory("bounds-interrupt");
    // Zeros that take no space: 15 GiB, of 16 that are read.
    let size = 15_u64 << 30;
    let mut number = *b"\x80\0\0\0\0\0\0\0\0\0\0\0";
    number[4..].copy_from_slice(&size.to_be_bytes());
    let entry = Entry::new(b'0', "zeros").field(124, number).bytes();
    let mut file = File::create(dir.join("x.tar")).unwrap();
    file.write_all(&entry).unwrap();
    file.set_len(size + 2048).unwrap();
    for args in [&["verify"][..], &["image", "inspect"]] {
        let mut command = plain(LONGSHORE);
        command.args(args).arg("x.tar").current_dir(&dir).stdout(Stdio::null());
        let mut running = command.stderr(Stdio::piped()).spawn().unwrap();
        while bytes_read(running.id()) < 64 << 20 {
            assert!(!has_ended(running.id()), "{args:?}");
            std::thread::yield_now();
        }
        kill_process(Pid::from_raw(running.id().cast_signed()).unwrap(), Signal::INT).unwrap();
        while !has_ended(running.id()) {
            std::thread::yield_now();
        }
        let bytes = bytes_read(running.id());
        assert!(bytes < size, "{args:?} read {bytes} bytes");
        let mut text = String::new();
        running.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(running.wait().unwrap().code(), Some(130), "{args:?}: {text}");
        assert!(text.contains("error: interrupted"), "{args:?}: {text}");
    }
}
