//! How long two binaries take to an index of two platforms, in memory, against the floor: hashing
//! and compressing the same bytes on as many threads. `cargo bench --bench assemble [FILE…]`.
#![allow(missing_docs, clippy::disallowed_methods, clippy::disallowed_macros, clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use longshore::oci::{
    Digest, Platform,
    image::ImageSet,
    layer::{Compressor, Known, nothing_known},
    recipe::Recipe,
};

/// Runs of each; the median counts.
const RUNS: usize = 7;

fn main() {
    let files: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    // This program itself, where no other is named: a real one of some megabytes.
    let own = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    let read = |at: usize| std::fs::read(files.get(at).or(files.first()).unwrap_or(&own)).unwrap();
    let contents = [("linux/amd64", read(0)), ("linux/arm64", read(1))];
    let size: usize = contents.iter().map(|(_, bytes)| bytes.len()).sum();

    let floor = median(|| {
        std::thread::scope(|scope| {
            for (_, bytes) in &contents {
                scope.spawn(|| {
                    let digest = Digest::of(bytes);
                    let blob = Compressor::Gzip.compress(bytes.clone()).unwrap();
                    (digest, Digest::of(&blob))
                });
            }
        });
    });
    let first = median(|| drop(assemble(&contents, &nothing_known)));
    let set = assemble(&contents, &nothing_known);
    let layers: BTreeMap<Digest, (Digest, u64)> = set
        .images()
        .iter()
        .flat_map(|image| image.layers())
        .map(|layer| (layer.diff_id(), (layer.descriptor().digest, layer.descriptor().size)))
        .collect();
    let known = |diff_id: Digest, _: Compressor| layers.get(&diff_id).copied();
    let again = median(|| drop(assemble(&contents, &known)));

    println!("{:.1} MB in two binaries, medians of {RUNS}", size as f64 / 1e6);
    for (name, time) in [("floor", floor), ("assembled", first), ("again, unchanged", again)] {
        let ratio = time.as_secs_f64() / floor.as_secs_f64();
        println!("{name:<18} {:>8.1} ms  {ratio:>5.2} of the floor", time.as_secs_f64() * 1e3);
    }
}

fn assemble(contents: &[(&str, Vec<u8>)], known: &Known<'_>) -> ImageSet {
    let recipe = Recipe::new(vec!["program".to_owned()]);
    let images = std::thread::scope(|scope| {
        let threads: Vec<_> = contents
            .iter()
            .map(|(platform, bytes)| {
                let recipe = &recipe;
                scope.spawn(move || {
                    let platform: Platform = platform.parse().unwrap();
                    let files = BTreeMap::from([("program", bytes.as_slice())]);
                    recipe.image(&platform, &files, 0, Compressor::Gzip, known).unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    ImageSet::new(images, BTreeMap::new()).unwrap()
}

fn median(mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[RUNS / 2]
}
