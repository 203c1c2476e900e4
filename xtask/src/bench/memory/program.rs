//! Times memory functions, and work that depends on them. Prints the name of each case and the shortest
//! time of a round in nanoseconds.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasherDefault, DefaultHasher},
    hint::black_box,
    time::Instant,
};

/// The offsets of ranges: in real programs few are aligned to more than 16 bytes.
const OFFSETS: [(usize, usize); 16] = [
    (0, 0),
    (16, 16),
    (0, 32),
    (48, 16),
    (32, 0),
    (8, 40),
    (24, 24),
    (3, 17),
    (5, 5),
    (61, 2),
    (33, 12),
    (7, 50),
    (19, 63),
    (40, 9),
    (27, 44),
    (1, 0),
];

/// Prints the shortest time of several rounds of `work`, for each of `times` units of work in a round.
fn time(name: &str, times: usize, mut work: impl FnMut()) {
    let mut best = f64::MAX;
    let begin = Instant::now();
    let mut round = 0;
    while round < 5 || begin.elapsed().as_millis() < 40 {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed().as_nanos() as f64);
        round += 1;
    }
    println!("{name}\t{:.3}", best / times as f64);
}

fn size(n: usize) -> String {
    match n {
        _ if n >= 1 << 20 => format!("{} MiB", n >> 20),
        _ if n >= 1 << 10 => format!("{} KiB", n >> 10),
        _ => format!("{n} B"),
    }
}

fn ranges() {
    let most = 1 << 20;
    let (mut one, two) = (vec![7u8; most + 64], vec![7u8; most + 64]);
    for n in (4..=20).map(|bits| 1usize << bits) {
        let calls = (1 << 18) / n.max(64) / 16 + 1;
        let mut each = |name: &str, work: &mut dyn FnMut(&mut [u8], &[u8])| {
            let name = format!("{name} {}", size(n));
            time(&name, calls * 16, || {
                for _ in 0..calls {
                    for (a, b) in OFFSETS {
                        let n = black_box(n);
                        work(&mut one[a..a + n], &two[b..b + n]);
                    }
                }
            });
        };
        if n <= 4096 {
            each("order", &mut |a, b| {
                black_box((*a).cmp(b));
            });
            each("equal", &mut |a, b| {
                black_box(*a == *b);
            });
        }
        each("copy", &mut |a, b| a.copy_from_slice(black_box(b)));
        each("fill", &mut |a, _| black_box(a).fill(7));
    }
}

/// Paths as in a source tree: long common beginnings.
fn paths(count: u64) -> Vec<String> {
    let mut state = 1u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % below
    };
    let path = |_| {
        format!(
            "/srv/data/archive/project/crates/component-{:02}/src/module_{}/file_{}.rs",
            next(40),
            next(100),
            next(1_000_000)
        )
    };
    (0..count).map(path).collect()
}

fn work() {
    let formatted = paths(200_000);
    let paths: Vec<String> = formatted.iter().map(|path| path.as_str().into()).collect();
    // Allocators with sizes in powers of two put those with the capacity of `format!`, 128 bytes, into every second
    // line of the cache.
    for (name, paths) in [("", &paths), (" in 128 bytes each", &formatted)] {
        time(&format!("sort 200,000 paths{name}"), 1, || {
            let mut paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            paths.sort_unstable();
            black_box(paths);
        });
    }
    let keys = &paths[..20_000];
    let wanted: Vec<String> = keys.iter().rev().cloned().collect();
    // With a fixed state, so that each run does the same.
    let hashed: HashMap<&str, usize, BuildHasherDefault<DefaultHasher>> =
        keys.iter().enumerate().map(|(at, key)| (key.as_str(), at)).collect();
    time("HashMap, 20,000 lookups", 1, || {
        for key in &wanted {
            black_box(hashed.get(key.as_str()));
        }
    });
    let sorted: BTreeMap<&str, usize> =
        keys.iter().enumerate().map(|(at, key)| (key.as_str(), at)).collect();
    time("BTreeMap, 20,000 lookups", 1, || {
        for key in &wanted {
            black_box(sorted.get(key.as_str()));
        }
    });
}

fn main() {
    ranges();
    work();
}
