//! Deflate (RFC 1951): bits and codes, read without decoding the data.

/// The longest code (section 3.2.7).
const MAX_CODE: usize = 15;
/// The codes for literals, the end of a block, and lengths (section 3.2.5).
const LITERAL_CODES: usize = 288;
pub(super) const END: usize = 256;
/// The codes for distances.
const DISTANCE_CODES: usize = 30;
/// The order of the lengths of the codes for code lengths (section 3.2.7).
const LENGTH_ORDER: [usize; 19] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// The flags of a table entry, beside the number of bits to consume.
pub(super) const IS_LENGTH: u8 = 0x40;
pub(super) const IS_END: u8 = 0x80;
pub(super) const BITS: u8 = 0x3f;

/// A stream as bits, the lowest of each byte first (section 3.1.1).
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    buffer: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Bits { bytes, at: 0, buffer: 0, count: 0 }
    }

    /// Returns the following bits, the next one lowest; at least 56 bits after [`Bits::fill`], or
    /// zeros.
    #[inline]
    pub(super) fn peek(&self) -> u64 {
        self.buffer
    }

    pub(super) fn position(&self) -> usize {
        self.at * 8 - self.count as usize
    }

    /// Reads up to 56 bits into the buffer, or all that remain.
    #[inline]
    pub(super) fn fill(&mut self) {
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
    pub(super) fn consume(&mut self, count: u32) -> Option<()> {
        self.count = self.count.checked_sub(count)?;
        self.buffer >>= count;
        Some(())
    }

    pub(super) fn take(&mut self, count: u32) -> Option<usize> {
        self.fill();
        let value = self.buffer & ((1 << count) - 1);
        self.consume(count)?;
        Some(value as usize)
    }

    /// Skips a stored block, and returns its length in bytes (section 3.2.4).
    pub(super) fn skip_stored(&mut self) -> Option<usize> {
        let at = self.position().div_ceil(8);
        let length = u16::from_le_bytes(*self.bytes.get(at..)?.first_chunk()?);
        let next = at + 4 + usize::from(length);
        self.bytes.get(..next)?;
        (self.at, self.buffer, self.count) = (next, 0, 0);
        Some(length.into())
    }
}

/// The codes of a block: for each sequence of bits, the number of bits of the code with its extra
/// bits, and its kind.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) literals: Vec<u8>,
    pub(super) distances: Vec<u8>,
    /// The number of bits of the code of each literal, the end or length.
    pub(super) described: Vec<u8>,
}

impl Tables {
    /// Loads the fixed codes (section 3.2.6).
    pub(super) fn load_fixed(&mut self) -> Option<()> {
        let mut lengths = [8; LITERAL_CODES];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        self.described = lengths.to_vec();
        fill_table(&mut self.literals, &lengths, literal_entry)?;
        fill_table(&mut self.distances, &[5; DISTANCE_CODES], distance_entry)
    }

    /// Loads the codes that a dynamic block describes (section 3.2.7).
    pub(super) fn load_described(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        let literals = 257 + bits.take(5)?;
        let distances = 1 + bits.take(5)?;
        let described = 4 + bits.take(4)?;
        let mut lengths = [0; 19];
        for &at in LENGTH_ORDER.get(..described)? {
            *lengths.get_mut(at)? = bits.take(3)? as u8;
        }
        // The symbol of a code: here the symbol is needed, not only its length.
        let mut codes = Vec::new();
        fill_table(&mut codes, &lengths, |symbol, _| symbol as u8)?;
        let mask = codes.len() - 1;
        let mut all = [0; LITERAL_CODES + 32];
        let (mut at, mut previous) = (0, 0);
        while at < literals + distances {
            bits.fill();
            let symbol = *codes.get(bits.peek() as usize & mask)?;
            bits.consume(u32::from(*lengths.get(usize::from(symbol))?))?;
            let (length, times) = match symbol {
                16 => (previous, 3 + bits.take(2)?),
                17 => (0, 3 + bits.take(3)?),
                18 => (0, 11 + bits.take(7)?),
                length => (length, 1),
            };
            all.get_mut(at..at + times)?.fill(length);
            (at, previous) = (at + times, length);
        }
        self.described = all.get(..literals)?.to_vec();
        fill_table(&mut self.literals, &self.described, literal_entry)?;
        fill_table(&mut self.distances, all.get(literals..literals + distances)?, distance_entry)
    }

    /// Follows the codes to the end of the block.
    pub(super) fn skip_block(&self, bits: &mut Bits<'_>) -> Option<()> {
        let (literals, distances) = (&self.literals[..], &self.distances[..]);
        let (mask, far) = (literals.len() - 1, distances.len() - 1);
        loop {
            bits.fill();
            // At most 20 bits for a length, and 28 for a distance.
            let mut code = *literals.get(bits.peek() as usize & mask)?;
            bits.consume(u32::from(code & BITS))?;
            if code & (IS_LENGTH | IS_END) == 0 {
                // No code is of no bits.
                if code == 0 {
                    return None;
                }
                // 36 bits are left: enough for this, but not for a distance behind it.
                code = *literals.get(bits.peek() as usize & mask)?;
                if code & (IS_LENGTH | IS_END) == 0 && code != 0 {
                    bits.consume(u32::from(code))?;
                }
                continue;
            }
            if code & IS_END != 0 {
                return Some(());
            }
            let code = *distances.get(bits.peek() as usize & far)?;
            if code == 0 {
                return None;
            }
            bits.consume(u32::from(code))?;
        }
    }
}

/// Returns the entry of a literal, the end or a length, with the bits that follow its code (section
/// 3.2.5).
fn literal_entry(symbol: usize, length: u8) -> u8 {
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

/// Returns the entry of a distance, with the bits that follow its code (section 3.2.5).
fn distance_entry(symbol: usize, length: u8) -> u8 {
    length + (symbol / 2).saturating_sub(1) as u8
}

/// Fills `table` for the codes of these lengths: codes of one length are consecutive numbers, in
/// the order of the symbols (section 3.2.2). The stream has their highest bits first.
pub(super) fn fill_table(
    table: &mut Vec<u8>,
    lengths: &[u8],
    entry: impl Fn(usize, u8) -> u8,
) -> Option<()> {
    let longest = usize::from(lengths.iter().copied().max()?).max(1);
    if longest > MAX_CODE {
        return None;
    }
    table.clear();
    table.resize(1 << longest, 0);
    let mut code = 0_u32;
    for length in 1..=longest {
        let of_length = lengths.iter().enumerate().filter(|&(_, &own)| usize::from(own) == length);
        for (symbol, &own) in of_length {
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
