//! The data of the page: columns of numbers over one list of strings, deflated.

use std::{collections::HashMap, io};

use libdeflater::{CompressionLvl, Compressor};
use serde::Serialize;

use super::{Page, PageBinary, PageLeaf, text};
use crate::model::collect::SortStable as _;

/// The data in the form that the script reads.
#[derive(Serialize)]
struct Data<'a> {
    texts: Vec<String>,
    binaries: Vec<Columns>,
    history: Vec<(usize, u64, usize, usize, u64)>,
    #[serde(skip)]
    known: HashMap<&'a str, usize>,
}

/// A binary. The columns of strings are differences from the row above: with sorted leaves and strings in the
/// order of their first use, most of them are 0 or 1.
#[derive(Serialize)]
struct Columns {
    name: usize,
    target: usize,
    size: u64,
    compressed: u64,
    base: Option<u64>,
    symbols: usize,
    krates: Vec<i64>,
    modules: Vec<i64>,
    names: Vec<i64>,
    sections: Vec<i64>,
    sizes: Vec<u64>,
    /// The size less that of the base, if there is one; most are 0.
    changes: Option<Vec<i64>>,
    packed: Vec<u64>,
}

/// Returns the data as a raw deflate stream (RFC 1951), which browsers call `deflate-raw`.
pub(super) fn pack(page: &Page) -> io::Result<Vec<u8>> {
    let mut data = Data {
        texts: Vec::new(),
        binaries: Vec::new(),
        history: Vec::new(),
        known: HashMap::new(),
    };
    for binary in &page.binaries {
        let columns = data.binary(binary);
        data.binaries.push(columns);
    }
    for point in &page.history {
        let row = (
            data.string_index(&point.release),
            point.time,
            data.string_index(&point.binary),
            data.string_index(&point.target),
            point.size,
        );
        data.history.push(row);
    }
    let json = serde_json::to_vec(&data)?;
    let level = CompressionLvl::new(9).map_err(|e| io::Error::other(format!("{e:?}")))?;
    let mut compressor = Compressor::new(level);
    let mut packed = vec![0; compressor.deflate_compress_bound(json.len())];
    let len = compressor.deflate_compress(&json, &mut packed);
    packed.truncate(len.map_err(|error| io::Error::other(error.to_string()))?);
    Ok(packed)
}

impl<'a> Data<'a> {
    /// Returns the index of the string `text`.
    fn string_index(&mut self, text: &'a str) -> usize {
        let texts = &mut self.texts;
        *self.known.entry(text).or_insert_with(|| {
            texts.push(text::escape_line(text));
            texts.len() - 1
        })
    }

    fn binary(&mut self, binary: &'a PageBinary) -> Columns {
        let mut leaves: Vec<&PageLeaf> = binary.leaves.iter().collect();
        leaves.sort_stable_by_key(|leaf| {
            let location = (&leaf.krate, &leaf.module, &leaf.symbol, &leaf.section);
            (location, leaf.size, leaf.base, leaf.compressed)
        });
        let changes =
            leaves.iter().map(|l| to_signed(l.size).saturating_sub(to_signed(l.base.unwrap_or(0))));
        Columns {
            name: self.string_index(&binary.name),
            target: self.string_index(&binary.target),
            size: binary.size,
            compressed: binary.compressed,
            base: binary.base,
            symbols: self.string_index(&binary.symbols),
            changes: binary.base.map(|_| changes.collect()),
            krates: self.column(&leaves, |leaf| &leaf.krate),
            modules: self.column(&leaves, |leaf| &leaf.module),
            names: self.column(&leaves, |leaf| &leaf.symbol),
            sections: self.column(&leaves, |leaf| &leaf.section),
            sizes: leaves.iter().map(|leaf| leaf.size).collect(),
            packed: leaves.iter().map(|leaf| leaf.compressed).collect(),
        }
    }

    fn column(
        &mut self,
        leaves: &[&'a PageLeaf],
        text: impl Fn(&'a PageLeaf) -> &'a str,
    ) -> Vec<i64> {
        let mut before = 0;
        let differences = leaves.iter().map(|leaf| {
            let index = i64::try_from(self.string_index(text(leaf))).unwrap_or(i64::MAX);
            let difference = index - before;
            before = index;
            difference
        });
        differences.collect()
    }
}

/// Converts a size; larger files do not exist.
fn to_signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
