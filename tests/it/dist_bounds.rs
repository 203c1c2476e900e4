//! `dist` of a large program, in memory that does not grow with it.

use std::{fs, process::Command};

use crate::{
    dist::dist,
    support::{peer, workspace::Workspace},
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

/// The most private memory of longshore, in KiB (getrlimit(2), `RLIMIT_DATA`): compressors need most of it.
const MOST: u64 = 160 << 10;

/// Returns the same command with a limit on its private memory.
fn limited(command: &Command) -> Command {
    let script = format!("ulimit -d {MOST} && exec \"$0\" \"$@\"");
    let mut limited = Command::new("sh");
    limited.args(["-c", &script]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited.current_dir(command.get_current_dir().unwrap());
    limited
}

#[test]
fn a_large_program_is_packed_in_bounded_memory() {
    if cfg!(not(target_os = "linux")) {
        return peer::skip("other systems do not count private memory for this limit");
    }
    let archive = "[package.metadata.longshore]\narchive.formats = [\"tar.gz\", \"tar.zst\"]\n";
    let workspace = Workspace::empty().package("large", archive).file("src/main.rs", LARGE);
    let arguments = "--target x86_64-unknown-linux-musl --debug-files";
    let first = dist(&workspace, arguments).run().json();
    // Compilers need more. Nothing is compiled again, and everything else is done again.
    fs::remove_dir_all(workspace.dist()).unwrap();
    fs::remove_dir_all(workspace.path("target/longshore/pieces")).unwrap();
    let mut again = dist(&workspace, arguments);
    again.command = limited(&again.command);
    let second = again.run().json();
    assert_eq!(second["images"], first["images"]);
    let size = second["artifacts"][0]["size"].as_u64().unwrap();
    assert!(size > 300_000_000, "{size}");
}
