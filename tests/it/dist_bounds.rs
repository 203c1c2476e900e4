//! `dist` of a large program, in memory that does not grow with it.

use std::{fs, process::Stdio, time::Duration};

use crate::{
    dist::dist,
    support::{peer, tree::tree, workspace::Workspace},
};

/// A program with 300 MB of data. `main` names them, so that the linker leaves them in.
const LARGE: &str = r#"
core::arch::global_asm!(
    ".section .rodata.large,\"a\",@progbits",
    ".globl large",
    "large:",
    ".set count, 0",
    ".rept 300",
    ".fill 250000, 4, 0x5eed5eed + 77777 * count",
    ".set count, count + 1",
    ".endr",
    ".text",
);

unsafe extern "C" {
    static large: u8;
}

fn main() {
    println!("{:p} {}", &raw const large, unsafe { large });
}
"#;

/// The most memory of longshore itself, in KiB. What it takes is for compressors above all.
const MOST: u64 = 150 << 10;

/// The most memory that the process has had so far, in KiB (proc_pid_status(5), `VmHWM`); none once
/// it has ended.
fn peak(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[test]
fn a_large_program_is_packed_in_bounded_memory() {
    if cfg!(not(target_os = "linux")) {
        return peer::skip("it reads `/proc`");
    }
    let archive = "[package.metadata.longshore]\narchive.formats = [\"tar.gz\", \"tar.zst\"]\n";
    let workspace = Workspace::empty().package("large", archive).file("src/main.rs", LARGE);
    let mut test = dist(&workspace, "--target x86_64-unknown-linux-musl --debug-files");
    let log = fs::File::create(workspace.path("log")).unwrap();
    let mut running = test.command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let mut most = 0;
    let status = loop {
        if let Some(status) = running.try_wait().unwrap() {
            break status;
        }
        most = most.max(peak(running.id()).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(5));
    };
    let log = fs::read_to_string(workspace.path("log")).unwrap();
    assert!(status.success(), "{log}");
    let size = fs::metadata(workspace.dist().join("linux/amd64/bin/large")).unwrap().len();
    assert!(size > 300_000_000, "{size}: {:#?}", tree(&workspace.dist()));
    assert!(most < MOST, "{most} KiB for {size} bytes");
}
