//! The workspace's own scripts: `cargo xtask dist` packages longshore with longshore. Whatever is
//! no script here is a command of longshore's.

mod bench;
mod run;
mod schema;
mod test;

fn main() -> std::process::ExitCode {
    longshore::reenter();
    let args: Vec<_> = std::env::args_os().collect();
    let script = args.get(1).and_then(|arg| arg.to_str());
    match script {
        Some("test") => run::exit(test::test()),
        Some("schema") => run::exit(schema::write()),
        Some("bench") => run::exit(bench::bench(args.get(2).and_then(|arg| arg.to_str()))),
        _ => longshore::run(args),
    }
}
