//! Concatenates deflate streams (RFC 1951). A compressor of complete buffers marks its last block as the
//! last of all. To append a stream, that mark has to be removed, and it can be anywhere: the blocks have
//! no lengths and begin in the middle of bytes. So the codes are followed, without decoding the data that
//! they stand for.

use super::deflate::{Bits, Tables};

/// Removes the mark from the last block of `stream`, and ends it with an empty stored block, so that
/// another stream can follow at the next byte. Returns false if it is not a deflate stream.
pub(super) fn clear_last_mark(stream: &mut Vec<u8>) -> bool {
    let Some(LastBlock { start, end }) = find_last_block(stream) else {
        return false;
    };
    let Some(byte) = stream.get_mut(start / 8) else {
        return false;
    };
    *byte &= !(1 << (start % 8));
    // An empty stored block is three zero bits, zeros to the next byte, and a length of zero with
    // its complement (section 3.2.4).
    let rest = end % 8;
    stream.truncate(end.div_ceil(8));
    if let Some(last) = stream.last_mut().filter(|_| rest > 0) {
        *last &= (1 << rest) - 1;
    }
    if rest == 0 || rest > 5 {
        stream.push(0);
    }
    stream.extend([0, 0, 0xff, 0xff]);
    true
}

/// The last block of a stream, in bits from its beginning.
struct LastBlock {
    /// The offset of its header.
    start: usize,
    /// The end of its last code.
    end: usize,
}

fn find_last_block(stream: &[u8]) -> Option<LastBlock> {
    let mut bits = Bits::new(stream);
    let mut tables = Tables::default();
    loop {
        let start = bits.position();
        let last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => drop(bits.skip_stored()?),
            1 => {
                tables.load_fixed()?;
                tables.skip_block(&mut bits)?;
            }
            2 => {
                tables.load_described(&mut bits)?;
                tables.skip_block(&mut bits)?;
            }
            _ => return None,
        }
        if last {
            return Some(LastBlock { start, end: bits.position() });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use libdeflater::{CompressionLvl, Compressor};

    use super::*;

    fn deflated(plain: &[u8], level: i32) -> Vec<u8> {
        let mut deflate = Compressor::new(CompressionLvl::new(level).unwrap());
        let mut packed = vec![0; deflate.deflate_compress_bound(plain.len())];
        let len = deflate.deflate_compress(plain, &mut packed).unwrap();
        packed.truncate(len);
        packed
    }

    fn inflated(packed: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        flate2::read::DeflateDecoder::new(packed).read_to_end(&mut plain).unwrap();
        plain
    }

    /// Returns text of different kinds, for which compressors use blocks of each type.
    fn sample(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut plain = Vec::new();
        while plain.len() < len {
            let run = next() as usize % 40_000;
            match next() % 4 {
                0 => plain.extend((0..run).map(|_| next() as u8)),
                1 => plain.extend((0..run).map(|_| (next() % 7) as u8)),
                2 => plain.extend(std::iter::repeat_n(next() as u8, run)),
                _ => plain.extend((0..run).map(|n| (n * n / 9) as u8)),
            }
        }
        plain.truncate(len);
        plain
    }

    #[test]
    fn joined_streams_are_one() {
        let lengths = [0, 1, 2, 3, 100, 5_000, 70_000, 700_000];
        for (seed, &length) in (1..).zip(lengths.iter().cycle().take(40)) {
            for level in [0, 1, 6, 12] {
                let (first, second) = (sample(seed, length), sample(seed + 100, length / 2 + 9));
                let mut packed = deflated(&first, level);
                assert!(clear_last_mark(&mut packed), "{seed} {length} {level}");
                packed.extend(deflated(&second, level));
                assert!(inflated(&packed) == [first, second].concat(), "{seed} {length} {level}");
            }
        }
    }

    #[test]
    fn streams_of_other_compressors_are_joined() {
        let plain = sample(7, 300_000);
        for level in [1, 6, 9] {
            let mut packed = Vec::new();
            let level = flate2::Compression::new(level);
            flate2::read::DeflateEncoder::new(&plain[..], level).read_to_end(&mut packed).unwrap();
            assert!(clear_last_mark(&mut packed));
            packed.extend(deflated(b"x", 6));
            assert!(inflated(&packed) == [&plain[..], b"x"].concat());
        }
    }

    #[test]
    fn broken_streams_are_rejected() {
        let packed = deflated(&sample(3, 50_000), 6);
        for end in 0..packed.len() {
            assert!(!clear_last_mark(&mut packed[..end].to_vec()), "{end}");
        }
        assert!(!clear_last_mark(&mut vec![7]));
        // Other bytes only have to end.
        for seed in 1..2_000 {
            clear_last_mark(&mut sample(seed, 300));
        }
    }
}
