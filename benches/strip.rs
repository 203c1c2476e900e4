//! `cargo bench --bench strip [-- FILE…]`: strip and split of unstripped programs, by default of this
//! one.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a measurement")]
#![allow(clippy::expect_used, reason = "a measurement")]

use std::{hint::black_box, path::PathBuf, time::Instant};

use longshore::binary::elf::{StripOptions, split, strip};

const ROUNDS: usize = 15;

fn main() {
    let files = std::env::args_os().skip(1).filter(|arg| arg != "--bench").map(PathBuf::from);
    let mut files: Vec<PathBuf> = files.collect();
    if files.is_empty() {
        files.extend(std::env::current_exe());
    }
    println!("| file | MB | strip, ms | split, ms | stripped, MB |\n|---|---|---|---|---|");
    for file in files {
        let bytes = std::fs::read(&file).expect("the file can be read");
        let best = |work: &dyn Fn()| {
            let time = |_| {
                let start = Instant::now();
                work();
                start.elapsed()
            };
            (0..ROUNDS).map(time).min().unwrap_or_default().as_secs_f64() * 1e3
        };
        let strips = || {
            let stripped =
                strip(black_box(&bytes), StripOptions::default()).expect("it can be stripped");
            stripped.bytes().expect("it is in memory")
        };
        let splits = || {
            let both = split(black_box(&bytes), StripOptions::default(), "x.debug").ok();
            both.map(|both| (both.stripped.bytes(), both.debug.bytes()))
        };
        let stripped = strips();
        let (strips, splits) =
            (best(&|| drop(black_box(strips()))), best(&|| drop(black_box(splits()))));
        #[allow(clippy::cast_precision_loss, reason = "two decimals are shown")]
        let mb = |size: usize| size as f64 / 1e6;
        println!(
            "| {} | {:.1} | {strips:.1} | {splits:.1} | {:.2} |",
            file.display(),
            mb(bytes.len()),
            mb(stripped.len())
        );
    }
    println!("\nThe best of {ROUNDS}.");
}
