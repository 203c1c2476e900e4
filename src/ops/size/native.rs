//! The packages that brought symbols that are not Rust's: the static libraries that build scripts made
//! list their symbols.

use std::collections::HashMap;

use camino::Utf8Path;

use crate::{
    archive::unpack,
    build::cargo::{message::BuildReport, units::name_and_version},
    model::schema::{allocator::Allocator, memory::MemoryFunctions, plan::Job},
    sys::{
        fs,
        tree::{self, EntryKind},
    },
};

/// The maximum number of bytes of a library that are read: its table of symbols comes first.
const MAX_TABLE: u64 = 32 << 20;

/// Names of symbols, and the package of each.
#[derive(Debug, Default)]
pub(super) struct NativeSymbols {
    packages: HashMap<Vec<u8>, String>,
    mimalloc: bool,
    memory: bool,
}

impl NativeSymbols {
    /// Returns the output of build scripts for the job's target. A library that cannot be read has no
    /// names: its symbols then have no owner.
    pub(super) fn new(report: &BuildReport, job: &Job) -> Self {
        let mut packages = HashMap::new();
        for out_dir in report.out_dirs.iter().filter(|out_dir| out_dir.target == job.target) {
            let (name, _) = name_and_version(&out_dir.package);
            let entries = tree::walk(&out_dir.path, |_: &Utf8Path| false).unwrap_or_default();
            let libraries = entries.into_iter().filter(|entry| {
                matches!(entry.kind, EntryKind::File(_)) && entry.path.extension() == Some("a")
            });
            for library in libraries {
                let start = fs::read_start(&out_dir.path.join(&library.path), MAX_TABLE)
                    .unwrap_or_default();
                for symbol in unpack::library_symbols(&start) {
                    packages.entry(symbol.to_vec()).or_insert_with(|| name.replace('-', "_"));
                }
            }
        }
        let mimalloc = job.allocator.allocator == Allocator::Mimalloc;
        let memory = job.memory_functions.functions == MemoryFunctions::Fast;
        NativeSymbols { packages, mimalloc, memory }
    }

    /// Returns the package that brought the symbol, if one is known.
    pub(super) fn package(&self, symbol: &str) -> Option<String> {
        // The objects are longshore's, and no package's.
        let mimalloc = ["mi_", "_mi_", "mi."].iter().any(|start| symbol.starts_with(start));
        if self.mimalloc && mimalloc {
            return Some("mimalloc".to_owned());
        }
        if self.memory && symbol.starts_with("longshore_") {
            return Some("longshore_memory".to_owned());
        }
        self.packages.get(symbol.as_bytes()).cloned()
    }
}
