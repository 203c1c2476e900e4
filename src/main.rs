//! `cargo longshore`.
#![allow(missing_docs)]

fn main() -> std::process::ExitCode {
    longshore::reenter();
    longshore::run(std::env::args_os())
}
