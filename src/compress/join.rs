//! Deflate streams that go on (RFC 1951). A compressor of whole buffers marks its last block as the
//! last of all. To put one stream behind another, that mark has to go, and it can be anywhere: the
//! blocks have no lengths and begin in the middle of bytes. So the codes are followed, without
//! making what they stand for.

/// The longest code (section 3.2.7).
const LONGEST: usize = 15;
/// The codes for literals, the end of a block, and lengths (section 3.2.5).
const LITERALS: usize = 288;
const END: usize = 256;
/// The codes for distances.
const DISTANCES: usize = 30;
/// In which order the lengths of the codes for code lengths come (section 3.2.7).
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// What is in a table beside how many bits to leave behind.
const IS_LENGTH: u8 = 0x40;
const IS_END: u8 = 0x80;
const BITS: u8 = 0x3f;

/// Takes the mark from the last block of `stream`, and ends it with an empty stored block, so that
/// another stream can follow at the next byte. False where it is no deflate stream.
pub(super) fn leave_open(stream: &mut Vec<u8>) -> bool {
    let Some(Last { start, end }) = last_block(stream) else {
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
struct Last {
    /// Where its header begins.
    start: usize,
    /// Where its last code ends.
    end: usize,
}

fn last_block(stream: &[u8]) -> Option<Last> {
    let mut bits = Bits { bytes: stream, at: 0, buffer: 0, count: 0 };
    let mut tables = Tables::default();
    loop {
        let start = bits.position();
        let last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => bits.skip_stored()?,
            1 => {
                tables.fixed()?;
                tables.skip(&mut bits)?;
            }
            2 => {
                tables.read(&mut bits)?;
                tables.skip(&mut bits)?;
            }
            _ => return None,
        }
        if last {
            return Some(Last { start, end: bits.position() });
        }
    }
}

/// A stream as bits, the lowest of each byte first (section 3.1.1).
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    buffer: u64,
    count: u32,
}

impl Bits<'_> {
    fn position(&self) -> usize {
        self.at * 8 - self.count as usize
    }

    /// Has 56 bits ready, or all that are left.
    #[inline]
    fn fill(&mut self) {
        if let Some(word) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
            self.buffer |= u64::from_le_bytes(*word) << self.count;
            let bytes = (63 - self.count) / 8;
            self.at += bytes as usize;
            self.count += 8 * bytes;
        } else {
            while let (true, Some(&byte)) = (self.count < 56, self.bytes.get(self.at)) {
                self.buffer |= u64::from(byte) << self.count;
                self.at += 1;
                self.count += 8;
            }
        }
    }

    #[inline]
    fn leave(&mut self, count: u32) -> Option<()> {
        self.count = self.count.checked_sub(count)?;
        self.buffer >>= count;
        Some(())
    }

    fn take(&mut self, count: u32) -> Option<usize> {
        self.fill();
        let value = self.buffer & ((1 << count) - 1);
        self.leave(count)?;
        Some(value as usize)
    }

    /// Section 3.2.4.
    fn skip_stored(&mut self) -> Option<()> {
        let at = self.position().div_ceil(8);
        let length = u16::from_le_bytes(*self.bytes.get(at..)?.first_chunk()?);
        let next = at + 4 + usize::from(length);
        self.bytes.get(..next)?;
        (self.at, self.buffer, self.count) = (next, 0, 0);
        Some(())
    }
}

/// The codes of a block: for each run of bits that can come, how many of them to leave behind with
/// what belongs to the code, and what it is.
#[derive(Default)]
struct Tables {
    literals: Vec<u8>,
    distances: Vec<u8>,
}

impl Tables {
    /// The codes that need no description (section 3.2.6).
    fn fixed(&mut self) -> Option<()> {
        let mut lengths = [8; LITERALS];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        table(&mut self.literals, &lengths, literal)?;
        table(&mut self.distances, &[5; DISTANCES], distance)
    }

    /// The codes that are described here (section 3.2.7).
    fn read(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        let literals = 257 + bits.take(5)?;
        let distances = 1 + bits.take(5)?;
        let described = 4 + bits.take(4)?;
        let mut lengths = [0; 19];
        for &at in ORDER.get(..described)? {
            *lengths.get_mut(at)? = bits.take(3)? as u8;
        }
        // Which bits are which symbol: here the symbol is wanted, not only its length.
        let mut codes = Vec::new();
        table(&mut codes, &lengths, |symbol, _| symbol as u8)?;
        let mask = codes.len() - 1;
        let mut all = [0; LITERALS + 32];
        let (mut at, mut previous) = (0, 0);
        while at < literals + distances {
            bits.fill();
            let symbol = *codes.get(bits.buffer as usize & mask)?;
            bits.leave(u32::from(*lengths.get(usize::from(symbol))?))?;
            let (length, times) = match symbol {
                16 => (previous, 3 + bits.take(2)?),
                17 => (0, 3 + bits.take(3)?),
                18 => (0, 11 + bits.take(7)?),
                length => (length, 1),
            };
            all.get_mut(at..at + times)?.fill(length);
            (at, previous) = (at + times, length);
        }
        table(&mut self.literals, all.get(..literals)?, literal)?;
        table(&mut self.distances, all.get(literals..literals + distances)?, distance)
    }

    /// Follows the codes to the end of the block.
    fn skip(&self, bits: &mut Bits<'_>) -> Option<()> {
        let (literals, distances) = (&self.literals[..], &self.distances[..]);
        let (mask, far) = (literals.len() - 1, distances.len() - 1);
        loop {
            bits.fill();
            // At most 20 bits for a length, and 28 for a distance.
            let mut code = *literals.get(bits.buffer as usize & mask)?;
            bits.leave(u32::from(code & BITS))?;
            if code & (IS_LENGTH | IS_END) == 0 {
                // No code is of no bits.
                if code == 0 {
                    return None;
                }
                // 36 bits are left: enough for this, but not for a distance behind it.
                code = *literals.get(bits.buffer as usize & mask)?;
                if code & (IS_LENGTH | IS_END) == 0 && code != 0 {
                    bits.leave(u32::from(code))?;
                }
                continue;
            }
            if code & IS_END != 0 {
                return Some(());
            }
            let code = *distances.get(bits.buffer as usize & far)?;
            if code == 0 {
                return None;
            }
            bits.leave(u32::from(code))?;
        }
    }
}

/// A code for a literal, the end or a length, with the bits that follow it (section 3.2.5).
fn literal(symbol: usize, length: u8) -> u8 {
    match symbol {
        0..END => length,
        END => length | IS_END,
        285 => length | IS_LENGTH,
        _ => {
            let extra = ((symbol - 257) / 4).saturating_sub(1);
            (length + extra as u8) | IS_LENGTH
        }
    }
}

/// A code for a distance, with the bits that follow it (section 3.2.5).
fn distance(symbol: usize, length: u8) -> u8 {
    length + (symbol / 2).saturating_sub(1) as u8
}

/// Fills `table` for the codes of these lengths: codes of one length are consecutive numbers, in
/// the order of the symbols (section 3.2.2). The stream has their highest bits first.
fn table(table: &mut Vec<u8>, lengths: &[u8], entry: impl Fn(usize, u8) -> u8) -> Option<()> {
    let longest = usize::from(lengths.iter().copied().max()?).max(1);
    if longest > LONGEST {
        return None;
    }
    table.clear();
    table.resize(1 << longest, 0);
    let mut code = 0_u32;
    for length in 1..=longest {
        let of_it = lengths.iter().enumerate().filter(|&(_, &own)| usize::from(own) == length);
        for (symbol, &own) in of_it {
            let first = (code.reverse_bits() >> (32 - length)) as usize;
            // More codes than there is room for.
            table.get(first).filter(|_| code >> length == 0)?;
            for slot in table.iter_mut().skip(first).step_by(1 << length) {
                *slot = entry(symbol, own);
            }
            code += 1;
        }
        code <<= 1;
    }
    Some(())
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

    /// Text of one kind after the other, so that blocks of each type come up.
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
                assert!(leave_open(&mut packed), "{seed} {length} {level}");
                packed.extend(deflated(&second, level));
                assert!(inflated(&packed) == [first, second].concat(), "{seed} {length} {level}");
            }
        }
    }

    #[test]
    fn other_compressors_too() {
        let plain = sample(7, 300_000);
        for level in [1, 6, 9] {
            let mut packed = Vec::new();
            let level = flate2::Compression::new(level);
            flate2::read::DeflateEncoder::new(&plain[..], level).read_to_end(&mut packed).unwrap();
            assert!(leave_open(&mut packed));
            packed.extend(deflated(b"x", 6));
            assert!(inflated(&packed) == [&plain[..], b"x"].concat());
        }
    }

    #[test]
    fn what_is_broken_is_refused() {
        let packed = deflated(&sample(3, 50_000), 6);
        for end in 0..packed.len() {
            assert!(!leave_open(&mut packed[..end].to_vec()), "{end}");
        }
        assert!(!leave_open(&mut vec![7]));
        // Nothing but that it ends is asked of other bytes.
        for seed in 1..2_000 {
            leave_open(&mut sample(seed, 300));
        }
    }
}
