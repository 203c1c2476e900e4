//! The compressed size of parts of a file.
//!
//! The file is compressed as images and archives have it, and the stream is read code by code. A
//! literal costs its bits. A repetition costs the bits of its length and distance, in equal shares:
//! what is like something before it is cheap, and what came first pays for both. The description of
//! a block's codes is paid for by all bytes of that block alike. So the costs add up to the size of
//! the compressed file; another order of the same bytes would share them out otherwise.

use std::io;

use super::{
    ChunkCache,
    deflate::{BITS, Bits, END, IS_END, IS_LENGTH, Tables, fill_table},
    gzip::{CHUNK, HEADER},
};
use crate::model::source::Source;

/// The checksum and the size behind each member.
const TRAILER: u64 = 8;

/// The shortest repetition of each code from 257 on, and how many bits follow the code (RFC 1951,
/// section 3.2.5).
const LENGTHS: [(u32, u32); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

/// Returns the size of the part of a file's gzip form that precedes each of `offsets`, which are
/// offsets in their order. That at the file's end is the size of all.
///
/// # Errors
/// It cannot be read or compressed.
pub fn costs<'a>(
    source: impl Into<Source<'a>>,
    offsets: &[u64],
    chunks: &dyn ChunkCache,
) -> io::Result<Vec<u64>> {
    let source = source.into();
    let mut found = Vec::with_capacity(offsets.len());
    let mut rest = offsets.iter().copied().peekable();
    let mut before = 0;
    let mut start = 0;
    while start < source.size() {
        let plain = source.read_up_to(start, CHUNK as u64).map_err(io::Error::other)?;
        let len = plain.len();
        let packed = chunks.start(plain.into_owned())()?;
        let bits = bits_before_bytes(&packed, len)
            .ok_or_else(|| io::Error::other("the compressor made no deflate stream"))?;
        let end = start + len as u64;
        let overhead = HEADER.len() as u64 + TRAILER;
        while let Some(offset) = rest.next_if(|offset| *offset < end) {
            let into = usize::try_from(offset.saturating_sub(start)).unwrap_or_default();
            let used = u64::from(bits.get(into).copied().unwrap_or_default()) / 8;
            // What is not the stream is paid for by the first byte.
            found.push(before + used + if into > 0 { overhead } else { 0 });
        }
        before += packed.len() as u64 + overhead;
        start = end;
    }
    found.extend(rest.map(|_| before));
    Ok(found)
}

/// Returns the number of bits of `stream` that precede each of the `len` decoded bytes.
fn bits_before_bytes(stream: &[u8], len: usize) -> Option<Vec<u32>> {
    let mut bits = Bits::new(stream);
    let mut tables = Tables::default();
    let mut used = Vec::with_capacity(len);
    loop {
        let (from, start) = (bits.position(), used.len());
        let last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => {
                let count = bits.skip_stored()?;
                spread(&mut used, bits.position() - 8 * count, bits.position(), count);
            }
            kind @ (1 | 2) => {
                if kind == 1 {
                    tables.load_fixed()?
                } else {
                    tables.load_described(&mut bits)?
                }
                count_block(&tables, &mut bits, &mut used)?;
            }
            _ => return None,
        }
        share_header(&mut used, start, from, bits.position())?;
        if last {
            return (used.len() == len).then_some(used);
        }
    }
}

/// Follows the codes to the end of the block.
fn count_block(tables: &Tables, bits: &mut Bits<'_>, used: &mut Vec<u32>) -> Option<()> {
    let (literals, distances) = (&tables.literals[..], &tables.distances[..]);
    // Which length it is: for literals it does not matter.
    let mut which = Vec::new();
    fill_table(&mut which, &tables.described, |symbol, _| symbol.saturating_sub(END + 1) as u8)?;
    let (mask, far) = (literals.len() - 1, distances.len() - 1);
    loop {
        bits.fill();
        let from = bits.position();
        let index = bits.peek() as usize & mask;
        let code = *literals.get(index)?;
        if code & IS_END != 0 {
            return bits.consume(u32::from(code & BITS));
        }
        if code & IS_LENGTH == 0 {
            (code != 0).then_some(())?;
            bits.consume(u32::from(code))?;
            used.push(u32::try_from(from).ok()?);
            continue;
        }
        let (shortest, extra) = *LENGTHS.get(usize::from(*which.get(index)?))?;
        let all = u32::from(code & BITS);
        bits.consume(all.checked_sub(extra)?)?;
        let more = bits.peek() as u32 & ((1 << extra) - 1);
        bits.consume(extra)?;
        let code = *distances.get(bits.peek() as usize & far)?;
        (code != 0).then_some(())?;
        bits.consume(u32::from(code))?;
        spread(used, from, bits.position(), (shortest + more) as usize);
    }
}

/// Divides the bits from `from` to `to` among `count` bytes.
fn spread(used: &mut Vec<u32>, from: usize, to: usize, count: usize) {
    let share = |at: usize| (from + (to - from) * at / count) as u32;
    used.extend((0..count).map(share));
}

/// Adds to each byte of a block, the first of which is `start`, its share of the bits before the
/// first code: the block's bits are from `from` to `to`, and bytes have only their own so far.
fn share_header(used: &mut [u32], start: usize, from: usize, to: usize) -> Option<()> {
    let block = used.get_mut(start..)?;
    let Some(first) = block.first().copied() else {
        return Some(());
    };
    let (before, count) = (u64::from(first).checked_sub(from as u64)?, block.len() as u64);
    for (at, offset) in block.iter_mut().enumerate() {
        // Those before it have paid their shares, and it has not.
        let paid = before * at as u64 / count;
        *offset = u32::try_from(u64::from(*offset) - before + paid).ok()?;
    }
    debug_assert!(block.last().is_none_or(|last| *last as usize <= to));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::compress::{Framing, Gzip, NoCache};

    fn packed(plain: &[u8]) -> u64 {
        let mut gzip = Gzip::new(Vec::new(), Framing::Members, &NoCache);
        io::Write::write_all(&mut gzip, plain).unwrap();
        gzip.finish().unwrap().0.len() as u64
    }

    #[test]
    fn costs_add_up_to_the_compressed_file() {
        let mut seed = 9_u64;
        let mut plain = Vec::new();
        while plain.len() < 5_000_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            let run = (seed >> 40) as usize % 9_000;
            match seed >> 62 {
                0 => plain.extend((0..run).map(|n| ((n as u64).wrapping_mul(seed) >> 32) as u8)),
                1 => plain.extend(std::iter::repeat_n(3, run)),
                _ => plain.extend((0..run).map(|n| (n % 61) as u8)),
            }
        }
        let offsets: Vec<u64> = (0..=plain.len() as u64).step_by(777).collect();
        let end = plain.len() as u64;
        let found = costs(&plain, &[&offsets[..], &[end]].concat(), &NoCache).unwrap();
        assert!(found.is_sorted());
        assert_eq!(found.first(), Some(&0));
        assert_eq!(found.last(), Some(&packed(&plain)));
    }

    #[test]
    fn repetitions_are_cheap() {
        let mut seed = 5_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            (seed >> 33) as u8
        })
        .take(20_000)
        .collect();
        let twice = noise.repeat(2);
        let found = costs(&twice, &[0, 20_000, 40_000], &NoCache).unwrap();
        let (first, second) = (found[1], found[2] - found[1]);
        assert!(second * 10 < first, "{first} {second}");
    }

    #[test]
    fn empty_and_small_files() {
        assert_eq!(costs(b"", &[0], &NoCache).unwrap(), [0]);
        assert_eq!(costs(b"a", &[0, 1], &NoCache).unwrap(), [0, packed(b"a")]);
    }
}
