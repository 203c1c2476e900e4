//! The workspace's own scripts: `cargo xtask dist` packages longshore with longshore.

fn main() -> std::process::ExitCode {
    longshore::reenter();
    longshore::run(std::env::args_os())
}
