//! The headers of RPM packages: an index of tags, and the store of their values
//! (<https://rpm-software-management.github.io/rpm/manual/format_header.html>).

use std::{collections::BTreeMap, io::Read};

use super::tag;
use crate::model::error::{Error, Result};

/// The first bytes of a header: its magic, its version, and four reserved bytes.
const MAGIC: [u8; 8] = [0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];
/// The size of an entry of the index, and of the trailer of a region.
const ENTRY: usize = 16;
/// The size of everything before the index.
pub const PREAMBLE: usize = 16;
/// The maximum number of tags (`hdrchkTags` of rpm's `lib/header.c`).
const MAX_TAGS: u32 = 0xffff;
/// The maximum size of the values. rpm reads 256 MiB (`hdrchkData`); the values of Linux' sources, with
/// 90,000 files, have 12.
const MAX_DATA: u32 = 64 << 20;
/// The maximum number of values of one tag, and of strings of all tags. Linux' sources have 720,000.
const MAX_VALUES: usize = 1 << 20;

/// The value of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Numbers of 16 bits.
    Int16(Vec<u16>),
    /// Numbers of 32 bits.
    Int32(Vec<u32>),
    /// Numbers of 64 bits.
    Int64(Vec<u64>),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Strings.
    Texts(Vec<String>),
    /// Translations of a text, by the languages that the header lists.
    Translated(Vec<String>),
}

/// Tags and their values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header(BTreeMap<u32, Value>);

impl Header {
    /// Sets the value of a tag.
    pub fn set(&mut self, tag: u32, value: Value) {
        self.0.insert(tag, value);
    }

    /// Sets the value of a tag to a text.
    pub fn set_text(&mut self, tag: u32, text: impl Into<String>) {
        self.set(tag, Value::Text(text.into()));
    }

    /// Sets the value of a tag to a number.
    pub fn set_number(&mut self, tag: u32, number: u32) {
        self.set(tag, Value::Int32(vec![number]));
    }

    /// Removes a tag.
    pub fn remove(&mut self, tag: u32) {
        self.0.remove(&tag);
    }

    /// Returns the bytes of a tag.
    pub fn bytes(&self, tag: u32) -> Option<&[u8]> {
        match self.0.get(&tag)? {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns the text of a tag: the first one if there are several.
    pub fn text(&self, tag: u32) -> Option<&str> {
        match self.0.get(&tag)? {
            Value::Text(text) => Some(text),
            Value::Texts(texts) | Value::Translated(texts) => texts.first().map(String::as_str),
            _ => None,
        }
    }

    /// Returns the strings of a tag; none if it has none.
    pub fn texts(&self, tag: u32) -> &[String] {
        match self.0.get(&tag) {
            Some(Value::Texts(texts) | Value::Translated(texts)) => texts,
            Some(Value::Text(text)) => std::slice::from_ref(text),
            _ => &[],
        }
    }

    /// Returns the numbers of a tag; none if it has none.
    pub fn numbers(&self, tag: u32) -> Vec<u64> {
        match self.0.get(&tag) {
            Some(Value::Int16(numbers)) => numbers.iter().map(|&number| number.into()).collect(),
            Some(Value::Int32(numbers)) => numbers.iter().map(|&number| number.into()).collect(),
            Some(Value::Int64(numbers)) => numbers.clone(),
            _ => Vec::new(),
        }
    }

    /// Returns the first number of a tag.
    pub fn number(&self, tag: u32) -> Option<u64> {
        self.numbers(tag).first().copied()
    }

    /// Returns the encoded header, in which `region` is the tag of the region that covers all tags.
    ///
    /// # Errors
    /// A value does not fit.
    pub fn encode(&self, region: u32) -> Result<Vec<u8>> {
        let (mut index, mut data) = (Vec::new(), Vec::new());
        for (tag, value) in &self.0 {
            let (kind, align, count) = value.form();
            data.resize(data.len().next_multiple_of(align), 0);
            for number in [*tag, kind, to_u32(data.len())?, to_u32(count)?] {
                index.extend(number.to_be_bytes());
            }
            value.append(&mut data);
        }
        let count = to_u32(self.0.len() + 1)?;
        let trailer = to_u32(data.len())?;
        // The trailer has the distance to the index, as a negative number.
        let back = (count * ENTRY as u32).wrapping_neg();
        for number in [region, tag::BYTES, back, ENTRY as u32] {
            data.extend(number.to_be_bytes());
        }
        let mut bytes = MAGIC.to_vec();
        for number in [count, to_u32(data.len())?, region, tag::BYTES, trailer, ENTRY as u32] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(index);
        bytes.extend(data);
        Ok(bytes)
    }

    /// Reads a header, and returns it with its bytes. Its first tag must be `region`, and cover all
    /// others if `sealed` is set: rpm reads tags beside the region, but checks no digest of them.
    ///
    /// # Errors
    /// It is cut off, too large, or inconsistent.
    pub fn read(archive: &mut dyn Read, region: u32, sealed: bool) -> Result<(Self, Vec<u8>)> {
        let mut preamble = [0; PREAMBLE];
        archive.read_exact(&mut preamble).map_err(|error| broken("is cut off").because(error))?;
        let Some(rest) = preamble.strip_prefix(&MAGIC[..]) else {
            return Err(broken("does not begin with `8eade801`"));
        };
        let (count, size) = (u32_at(rest, 0).unwrap_or(0), u32_at(rest, 4).unwrap_or(0));
        if count == 0 || count > MAX_TAGS || size > MAX_DATA {
            return Err(broken(&format!(
                "has {count} tags with {size} bytes, expected at most {MAX_TAGS} with {MAX_DATA}"
            )));
        }
        let index_size = count as usize * ENTRY;
        let total = index_size as u64 + u64::from(size);
        let mut bytes = preamble.to_vec();
        let read = archive.take(total).read_to_end(&mut bytes);
        read.map_err(|error| broken("cannot be read").because(error))?;
        if bytes.len() as u64 != PREAMBLE as u64 + total {
            return Err(broken("is cut off"));
        }
        let body = bytes.get(PREAMBLE..).unwrap_or_default();
        let (index, data) = body.split_at_checked(index_size).unwrap_or_default();
        let mut header = Header::default();
        let (mut end, mut text_count) = (0, 0);
        for (number, entry) in index.chunks_exact(ENTRY).enumerate() {
            let field = |at| u32_at(entry, at).unwrap_or(0);
            let (tag, kind, offset, count) = (field(0), field(4), field(8), field(12));
            if number == 0 {
                check_region(
                    &IndexEntry { tag, kind, offset, count },
                    region,
                    data,
                    sealed.then_some(index_size),
                )?;
                continue;
            }
            let (offset, count) = (offset as usize, count as usize);
            let value = Value::read(kind, offset, count, data);
            let Some((value, size)) = value.filter(|_| count <= MAX_VALUES || kind == tag::BYTES)
            else {
                return Err(broken(&format!("has an invalid value of tag {tag}")));
            };
            // rpm requires this order, too (`hdrblobVerifyInfo`): values that share bytes could be much
            // larger than the header.
            if offset < end {
                return Err(broken(&format!("has a value of tag {tag} in that of another tag")));
            }
            end = offset + size;
            if let Some(Value::Texts(texts) | Value::Translated(texts)) = &value {
                text_count += texts.len();
            }
            if text_count > MAX_VALUES {
                return Err(broken(&format!("has more than {MAX_VALUES} strings")));
            }
            if let Some(value) = value
                && header.0.insert(tag, value).is_some()
            {
                return Err(broken(&format!("has tag {tag} twice")));
            }
        }
        Ok((header, bytes))
    }
}

/// An entry of an index.
struct IndexEntry {
    tag: u32,
    kind: u32,
    offset: u32,
    count: u32,
}

/// Checks the entry of a region, and its trailer.
fn check_region(entry: &IndexEntry, region: u32, data: &[u8], sealed: Option<usize>) -> Result<()> {
    let trailer = data.get(entry.offset as usize..).and_then(|rest| rest.get(..ENTRY));
    let back = trailer.and_then(|trailer| u32_at(trailer, 8)).map(u32::wrapping_neg);
    let is_complete =
        back.is_some_and(|back| sealed.is_none_or(|index_size| back as usize == index_size));
    let is_region = entry.tag == region && entry.kind == tag::BYTES && entry.count == ENTRY as u32;
    if is_region && is_complete {
        return Ok(());
    }
    Err(broken("has no region that covers all of its tags"))
}

impl Value {
    /// Returns the number of its type, the alignment, and the count.
    fn form(&self) -> (u32, usize, usize) {
        match self {
            Value::Int16(numbers) => (3, 2, numbers.len()),
            Value::Int32(numbers) => (4, 4, numbers.len()),
            Value::Int64(numbers) => (5, 8, numbers.len()),
            Value::Text(_) => (6, 1, 1),
            Value::Bytes(bytes) => (tag::BYTES, 1, bytes.len()),
            Value::Texts(texts) => (8, 1, texts.len()),
            Value::Translated(texts) => (9, 1, texts.len()),
        }
    }

    fn append(&self, data: &mut Vec<u8>) {
        match self {
            Value::Int16(numbers) => data.extend(numbers.iter().flat_map(|n| n.to_be_bytes())),
            Value::Int32(numbers) => data.extend(numbers.iter().flat_map(|n| n.to_be_bytes())),
            Value::Int64(numbers) => data.extend(numbers.iter().flat_map(|n| n.to_be_bytes())),
            Value::Text(text) => append_text(text, data),
            Value::Bytes(bytes) => data.extend(bytes),
            Value::Texts(texts) | Value::Translated(texts) => {
                texts.iter().for_each(|text| append_text(text, data));
            }
        }
    }

    /// Reads a value, and returns it with its size; without the value for a type that no tag of interest has.
    /// `None` if it is invalid.
    fn read(kind: u32, offset: usize, count: usize, data: &[u8]) -> Option<(Option<Self>, usize)> {
        fn numbers<const SIZE: usize, T>(bytes: &[u8], from: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
            bytes.chunks_exact(SIZE).filter_map(|chunk| chunk.try_into().ok()).map(from).collect()
        }
        let rest = data.get(offset..)?;
        let sized = |size: usize| rest.get(..count.checked_mul(size)?);
        if count == 0 {
            return None;
        }
        let fixed = |value: Option<Self>, bytes: &[u8]| Some((value, bytes.len()));
        match kind {
            0..=2 => fixed(None, sized(1)?),
            3 => fixed(Some(Value::Int16(numbers(sized(2)?, u16::from_be_bytes))), sized(2)?),
            4 => fixed(Some(Value::Int32(numbers(sized(4)?, u32::from_be_bytes))), sized(4)?),
            5 => fixed(Some(Value::Int64(numbers(sized(8)?, u64::from_be_bytes))), sized(8)?),
            7 => fixed(Some(Value::Bytes(sized(1)?.to_vec())), sized(1)?),
            6 if count == 1 => {
                let (mut texts, size) = texts(rest, 1)?;
                Some((Some(Value::Text(texts.pop()?)), size))
            }
            8 => texts(rest, count).map(|(texts, size)| (Some(Value::Texts(texts)), size)),
            9 => texts(rest, count).map(|(texts, size)| (Some(Value::Translated(texts)), size)),
            _ => None,
        }
    }
}

/// Reads strings that end with a zero byte each, and returns them with their size. Bytes that are not UTF-8 are
/// replaced.
fn texts(data: &[u8], count: usize) -> Option<(Vec<String>, usize)> {
    let mut rest = data;
    let mut texts = Vec::new();
    for _ in 0..count.min(MAX_VALUES + 1) {
        let end = memchr::memchr(0, rest)?;
        texts.push(String::from_utf8_lossy(rest.get(..end)?).into_owned());
        rest = rest.get(end + 1..)?;
    }
    Some((texts, data.len() - rest.len()))
}

fn append_text(text: &str, data: &mut Vec<u8>) {
    // A zero byte would end it.
    data.extend(text.bytes().filter(|byte| *byte != 0));
    data.push(0);
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.get(..4)?;
    bytes.try_into().ok().map(u32::from_be_bytes)
}

fn to_u32(number: usize) -> Result<u32> {
    u32::try_from(number).map_err(|_| Error::build("a header of the `.rpm` is too large"))
}

fn broken(why: &str) -> Error {
    Error::check(format!("a header of the `.rpm` {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let mut header = Header::default();
        header.set_text(1000, "hello");
        header.set(1004, Value::Translated(vec!["Greets".to_owned()]));
        header.set(1030, Value::Int16(vec![0o755, 0o644]));
        header.set(1117, Value::Texts(vec!["a".to_owned(), String::new()]));
        header.set_number(1009, 7);
        header.set(5009, Value::Int64(vec![1 << 40]));
        header.set(5000, Value::Bytes(vec![0, 1, 2]));
        header
    }

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let bytes = header().encode(tag::IMMUTABLE).unwrap();
        let (read, raw) = Header::read(&mut &bytes[..], tag::IMMUTABLE, true).unwrap();
        assert_eq!((read.clone(), raw), (header(), bytes));
        assert_eq!(read.text(1004), Some("Greets"));
        assert_eq!(read.numbers(1030), [0o755, 0o644]);
        assert_eq!(read.number(5009), Some(1 << 40));
        assert_eq!(read.texts(1117), ["a", ""]);
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_read_or_rejected() {
        let bytes = header().encode(tag::IMMUTABLE).unwrap();
        for end in 0..bytes.len() {
            assert!(Header::read(&mut &bytes[..end], tag::IMMUTABLE, true).is_err(), "{end}");
        }
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] = value;
                drop(Header::read(&mut &bytes[..], tag::IMMUTABLE, true));
            }
        }
    }

    #[test]
    fn values_that_share_bytes_are_rejected() {
        let mut bytes = header().encode(tag::IMMUTABLE).unwrap();
        // The offset of the third tag becomes that of the second.
        let entry = PREAMBLE + 3 * ENTRY + 8;
        bytes.copy_within(entry - ENTRY..entry - ENTRY + 4, entry);
        let error = Header::read(&mut &bytes[..], tag::IMMUTABLE, true).unwrap_err();
        assert!(error.to_string().contains("in that of another tag"), "{error}");
    }

    #[test]
    fn tags_outside_of_the_region_are_rejected() {
        let mut bytes = header().encode(tag::IMMUTABLE).unwrap();
        let trailer = bytes.len() - 16;
        bytes[trailer + 11] = bytes[trailer + 11].wrapping_add(16);
        let error = Header::read(&mut &bytes[..], tag::IMMUTABLE, true).unwrap_err();
        assert!(error.to_string().contains("no region"), "{error}");
        assert!(Header::read(&mut &bytes[..], tag::IMMUTABLE, false).is_ok());
    }
}
