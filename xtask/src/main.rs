//! The workspace's own scripts: `cargo xtask dist` packages longshore with longshore. Whatever is
//! no script here is a command of longshore's.

mod bench;
mod peers;
mod run;
mod schema;
mod slowest;
mod test;

fn main() -> std::process::ExitCode {
    longshore::reenter();
    let args: Vec<_> = std::env::args_os().collect();
    let arg = |at: usize| args.get(at).and_then(|arg| arg.to_str());
    match arg(1) {
        Some("test") => run::exit(test::test()),
        Some("schema") => run::exit(schema::write()),
        Some("bench") => {
            let rest: Option<Vec<&str>> = args.iter().skip(3).map(|arg| arg.to_str()).collect();
            run::exit(bench::bench(arg(2), &rest.unwrap_or_default()))
        }
        _ => longshore::run(args),
    }
}
