//! The attribution that is kept beside a binary.

use std::collections::HashMap;

use super::{Attribution, Leaf};
use crate::model::{
    digest::Digest,
    schema::size::{self, Dependency, SCHEMA},
};

/// What is kept of the attribution of the binary with that digest.
pub fn write(of: &Attribution, sha256: Digest, dependencies: Vec<Dependency>) -> size::Attribution {
    let mut strings: Vec<String> = Vec::new();
    let mut places: HashMap<&str, u64> = HashMap::new();
    let mut leaves = Vec::with_capacity(of.leaves.len());
    let mut place = |text| {
        *places.entry(text).or_insert_with(|| {
            strings.push(String::from(text));
            strings.len() as u64 - 1
        })
    };
    for leaf in &of.leaves {
        let texts = [&leaf.krate, &leaf.defining, &leaf.module, &leaf.symbol, &leaf.section];
        let texts = texts.map(|text| place(text.as_str()));
        let [krate, defining, module, symbol, section] = texts;
        let Leaf { size, derived, guessed, compressed, .. } = *leaf;
        leaves.push([krate, defining, module, symbol, section, size, derived, guessed, compressed]);
    }
    size::Attribution {
        schema: SCHEMA,
        sha256,
        size: of.size,
        compressed: of.compressed,
        symbols: of.symbols,
        dependencies,
        strings,
        leaves,
    }
}

/// What was kept.
///
/// # Errors
/// It contradicts itself: why, in one sentence.
pub fn read(record: &size::Attribution) -> Result<Attribution, String> {
    if record.schema != SCHEMA {
        return Err(format!("its schema is {}, and not {SCHEMA}", record.schema));
    }
    let text = |place: u64| {
        let found = usize::try_from(place).ok().and_then(|place| record.strings.get(place));
        found.cloned().ok_or_else(|| format!("it has no text {place}"))
    };
    let mut leaves = Vec::with_capacity(record.leaves.len());
    let (mut sum, mut packed) = (0_u64, 0_u64);
    for &[krate, defining, module, symbol, section, size, derived, guessed, compressed] in
        &record.leaves
    {
        sum = sum.saturating_add(size);
        packed = packed.saturating_add(compressed);
        leaves.push(Leaf {
            krate: text(krate)?,
            defining: text(defining)?,
            module: text(module)?,
            symbol: text(symbol)?,
            section: text(section)?,
            size,
            derived,
            guessed,
            compressed,
        });
    }
    if sum != record.size || record.compressed.is_some_and(|all| all != packed) {
        return Err("its leaves do not add up to its size".to_owned());
    }
    Ok(Attribution {
        size: record.size,
        compressed: record.compressed,
        symbols: record.symbols,
        leaves,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::size::SymbolSource;

    #[test]
    fn what_is_read_is_what_was_written() {
        let leaf = |krate: &str, size: u64| Leaf {
            krate: krate.into(),
            defining: "core".into(),
            symbol: format!("{krate}::f"),
            section: ".text".into(),
            size,
            compressed: 1,
            ..Leaf::default()
        };
        let of = Attribution {
            size: 3,
            compressed: Some(2),
            symbols: SymbolSource::Separate,
            leaves: vec![leaf("a", 1), leaf("b", 2)],
        };
        let mut record = write(&of, Digest::sha256(b"x"), Vec::new());
        assert_eq!(read(&record), Ok(of));
        record.size = 4;
        assert!(read(&record).unwrap_err().contains("add up"));
        record.leaves[0][0] = 99;
        assert_eq!(read(&record).unwrap_err(), "it has no text 99");
        record.schema = 2;
        assert_eq!(read(&record).unwrap_err(), "its schema is 2, and not 1");
    }
}
