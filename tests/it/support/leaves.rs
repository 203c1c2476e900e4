//! Invented symbols of a program: the same every time, with the distribution of ripgrep's.

use longshore::size::page::{HistoryPoint, Page, PageBinary, PageLeaf};

use super::random::random;

const CRATES: [(&str, u64); 40] = [
    ("std", 9),
    ("core", 9),
    ("alloc", 6),
    ("regex_automata", 10),
    ("regex_syntax", 6),
    ("grep_printer", 5),
    ("grep_searcher", 4),
    ("grep_regex", 3),
    ("grep_cli", 2),
    ("grep_matcher", 1),
    ("globset", 3),
    ("ignore", 4),
    ("rg", 7),
    ("aho_corasick", 5),
    ("memchr", 4),
    ("bstr", 2),
    ("encoding_rs", 4),
    ("encoding_rs_io", 1),
    ("serde_json", 2),
    ("serde", 1),
    ("crossbeam_epoch", 1),
    ("crossbeam_deque", 1),
    ("crossbeam_utils", 1),
    ("termcolor", 1),
    ("lexopt", 1),
    ("walkdir", 2),
    ("same_file", 1),
    ("textwrap", 1),
    ("anyhow", 1),
    ("log", 1),
    ("libc", 1),
    ("gimli", 3),
    ("addr2line", 2),
    ("object", 2),
    ("rustc_demangle", 2),
    ("miniz_oxide", 2),
    ("hashbrown", 3),
    ("compiler_builtins", 1),
    ("[C]", 3),
    ("[unknown]", 1),
];
const MODULES: [&str; 16] = [
    "",
    "fmt",
    "fmt::num",
    "iter::adapters::map",
    "util::prefilter",
    "meta::strategy",
    "hybrid::dfa",
    "dfa::onepass",
    "nfa::thompson::compiler",
    "nfa::thompson::pikevm",
    "slice::sort::stable::drift",
    "io::buffered",
    "sys::pal::unix::thread",
    "sync::mpmc::list",
    "collections::btree::map",
    "flags::parse",
];
const TYPES: [&str; 10] = [
    "alloc::vec::Vec<u8, alloc::alloc::Global>",
    "alloc::string::String",
    "core::result::Result<alloc::string::String, std::io::error::Error>",
    "core::option::Option<regex_automata::util::search::Match>",
    "alloc::sync::Arc<dyn regex_automata::meta::strategy::Strategy>",
    "std::path::PathBuf",
    "core::iter::adapters::map::Map<core::slice::iter::Iter<grep_searcher::sink::SinkMatch>, {closure#0}>",
    "hashbrown::raw::RawTable<(regex_syntax::hir::Hir, usize)>",
    "grep_printer::standard::StandardSink<grep_regex::matcher::RegexMatcher, termcolor::Ansi>",
    "u32",
];
const VERBS: [&str; 20] = [
    "drop_in_place",
    "clone",
    "fmt",
    "next",
    "search_slots",
    "find_fwd",
    "compile",
    "reserve_for_push",
    "write_all",
    "try_search_half",
    "insert",
    "from_iter",
    "parse_repetition",
    "push_class_op",
    "cache_next_state",
    "determinize",
    "spawn",
    "flush",
    "extend_from_slice",
    "serialize_field",
];
const SECTIONS: [(&str, u64); 6] = [
    (".text", 70),
    (".rodata", 78),
    (".eh_frame", 88),
    (".gcc_except_table", 93),
    (".rela.dyn", 97),
    (".data", 100),
];

/// Names that try to break out of the page, or out of a line.
pub(crate) fn hostile() -> [String; 7] {
    [
        "</script><script>document.title='broken'</script>".to_owned(),
        "<img src=x onerror=\"document.title='broken'\">'`{{data}}${1}".to_owned(),
        "]]></style><!--<script>".to_owned(),
        "bell\u{7}null\0escape\u{1b}[31m\nline\u{2028}end".to_owned(),
        "right\u{202e}tfel \u{5e9}\u{5dc}\u{5d5}\u{5dd}".to_owned(),
        "crab \u{1f980} family \u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}".to_owned(),
        format!("long::{}", "Generic<core::option::Option<u8>>::".repeat(143)),
    ]
}

/// Numbers without a pattern.
struct Numbers(Box<dyn FnMut() -> usize>);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        ((self.0)() as u64 >> 8) % end
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[usize::try_from(self.below(list.len() as u64)).unwrap()]
    }
}

fn leaf(numbers: &mut Numbers, variant: u64) -> PageLeaf {
    let weights: u64 = CRATES.iter().map(|(_, weight)| weight).sum();
    let mut at = numbers.below(weights);
    let found = CRATES.iter().find(|(_, weight)| match at < *weight {
        true => true,
        false => {
            at -= weight;
            false
        }
    });
    let krate = found.unwrap().0;
    // Few modules of each crate have most of it.
    let of_crate = numbers.below(16).min(numbers.below(16)).min(numbers.below(16)) as usize;
    let module = match krate.starts_with('[') {
        true => "",
        false => MODULES[(of_crate + krate.len()) % MODULES.len()],
    };
    let (verb, one, two) = (numbers.pick(&VERBS), numbers.pick(&TYPES), numbers.pick(&TYPES));
    let number = numbers.below(900);
    let symbol = match numbers.below(4) {
        _ if krate == "[C]" => format!("{verb}_{number}"),
        0 => format!("<{one} as {krate}::{module}::Trait{number}>::{verb}"),
        1 => format!(
            "{krate}::{module}::{verb}_{number}::<{one}, {two}>::{{closure#{}}}",
            number % 4
        ),
        _ => format!("{krate}::{module}::Type{number}::{verb}"),
    };
    let of_100 = numbers.below(100);
    let section = SECTIONS.iter().find(|(_, end)| of_100 < *end).unwrap().0;
    // Many small ones, and few large.
    let scale = numbers.below(10);
    let size = 16 + numbers.below(6 << scale);
    // The processors do not make the same code number it.
    let size = size + size * variant * numbers.below(20) / 100;
    let compressed = size * (25 + numbers.below(35)) / 100;
    let base = match numbers.below(100) {
        0..4 => None,
        4..7 => Some(size + 1 + numbers.below(size + 1)),
        7..12 => Some(size - numbers.below(size)),
        _ => Some(size),
    };
    let (krate, module) = (krate.to_owned(), module.to_owned());
    PageLeaf { krate, module, symbol, section: section.to_owned(), size, base, compressed }
}

/// Returns a binary of `count` symbols for `target`; `variant` tells targets apart.
fn binary(target: &str, variant: u64, count: usize) -> PageBinary {
    let mut numbers = Numbers(Box::new(random(7)));
    let mut leaves: Vec<PageLeaf> = (0..count).map(|_| leaf(&mut numbers, variant)).collect();
    for (at, symbol) in hostile().into_iter().enumerate() {
        let size = 4_000 + 1_000 * at as u64;
        leaves.push(PageLeaf {
            krate: "hostile</script>\u{202e}".to_owned(),
            symbol,
            section: ".text".to_owned(),
            size,
            base: Some(0),
            compressed: size / 3,
            ..PageLeaf::default()
        });
    }
    for (krate, size) in [("[headers]", 1_344), ("[padding]", 9_871 + variant)] {
        leaves.push(PageLeaf {
            krate: krate.to_owned(),
            symbol: krate.trim_matches(['[', ']']).to_owned(),
            size,
            base: Some(size),
            compressed: size / 20,
            ..PageLeaf::default()
        });
    }
    let gone = PageLeaf {
        krate: "lazy_static".to_owned(),
        symbol: "lazy_static::lazy::Lazy::get".to_owned(),
        section: ".text".to_owned(),
        base: Some(23_456),
        ..PageLeaf::default()
    };
    leaves.push(gone);
    PageBinary {
        name: "rg".to_owned(),
        target: target.to_owned(),
        size: leaves.iter().map(|leaf| leaf.size).sum(),
        compressed: leaves.iter().map(|leaf| leaf.compressed).sum(),
        base: Some(leaves.iter().filter_map(|leaf| leaf.base).sum()),
        symbols: "Symbols come from the separate debug file, matched by its build-id.".to_owned(),
        leaves,
    }
}

/// Returns a program of two targets with as many symbols as ripgrep has, and its releases.
pub(crate) fn page() -> Page {
    let targets = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];
    let target_binary = |variant: usize| binary(targets[variant], variant as u64, 15_000);
    let binaries = vec![target_binary(0), target_binary(1)];
    let releases = ["13.0.0", "14.0.0", "14.0.1", "14.0.2", "14.0.3", "14.1.0", "14.1.1", "15.0.0"];
    let mut history = Vec::new();
    for (at, release) in releases.into_iter().enumerate() {
        for (variant, binary) in binaries.iter().enumerate() {
            let left = (releases.len() - 1 - at) as u64;
            history.push(HistoryPoint {
                release: release.to_owned(),
                time: 1_623_000_000 + 15_000_000 * at as u64,
                binary: "rg".to_owned(),
                target: targets[variant].to_owned(),
                size: binary.size - binary.size / 40 * left + 20_000 * (left % 3),
            });
        }
    }
    let (title, generator) = ("ripgrep 15.0.0".to_owned(), "longshore 0.1.0".to_owned());
    Page { title, generator, binaries, history }
}
