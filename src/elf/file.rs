//! An ELF file's tables, each read on its own, so that no symbol table is read on the way.

use std::fmt;

use goblin::{
    container::Ctx,
    elf::{
        Elf,
        header::{self, Header},
        program_header::{PT_LOAD, ProgramHeader},
        section_header::{SHF_ALLOC, SHN_XINDEX, SHT_NOBITS, SHT_NULL, SectionHeader},
    },
};

use crate::target::Endian;

/// The file cannot be looked at, and why, in one sentence without a capital or a full stop. Whoever
/// decides something from a file takes this for a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub(super) String);

impl Unreadable {
    pub(super) fn new(sentence: impl Into<String>) -> Self {
        Unreadable(sentence.into())
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

/// The most of a section's name that is read: more than names in programs have, and small enough
/// that a table of names which all begin in one long string costs nothing.
const SECTION_NAME: usize = 256;

/// `e_phnum` of a file with more program headers than fit (gABI, "ELF Header", `PN_XNUM`).
const PN_XNUM: u16 = 0xffff;

/// The smallest number of sections that `e_shnum` cannot hold (gABI, `SHN_LORESERVE`).
const SHN_LORESERVE: u64 = 0xff00;

/// The tables of one file. Sections are empty where the file has no section headers.
pub(super) struct File<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) header: Header,
    pub(super) ctx: Ctx,
    pub(super) segments: Vec<ProgramHeader>,
    pub(super) sections: Vec<SectionHeader>,
    names: &'a [u8],
}

impl<'a> File<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let header = header(bytes)?;
        let (container, endian) = match (header.container(), header.endianness()) {
            (Ok(container), Ok(endian)) => (container, endian),
            _ => {
                return Err(Unreadable::new("its class or byte order is none that exists"));
            }
        };
        let ctx = Ctx::new(container, endian);
        let sections = sections(bytes, &header, ctx)?;
        let segments = segments(bytes, &header, ctx, sections.first())?;
        let names = names(bytes, &header, &sections)?;
        Ok(File { bytes, header, ctx, segments, sections, names })
    }

    pub(super) fn endian(&self) -> Endian {
        if self.ctx.is_little_endian() { Endian::Little } else { Endian::Big }
    }

    /// Reads fields in the file's byte order and class.
    pub(super) fn words(&self) -> Words {
        Words { wide: self.ctx.is_big(), little: self.ctx.is_little_endian() }
    }

    /// The first bytes of a section's name.
    pub(super) fn name(&self, section: &SectionHeader) -> &'a [u8] {
        until_nul(self.names, section.sh_name as u64, SECTION_NAME).unwrap_or_default()
    }

    /// The index of the section with the names of sections.
    pub(super) fn names_index(&self) -> Option<usize> {
        names_index(&self.header, self.sections.first()?)
    }

    /// A section's bytes; empty for one that has none in the file.
    pub(super) fn content(&self, section: &SectionHeader) -> Result<&'a [u8], Unreadable> {
        if matches!(section.sh_type, SHT_NOBITS | SHT_NULL) {
            return Ok(&[]);
        }
        slice(self.bytes, section.sh_offset, section.sh_size).ok_or_else(|| {
            let name = quote(self.name(section));
            Unreadable::new(format!("its section {name} ends after the file's end"))
        })
    }

    /// A segment's bytes in the file.
    pub(super) fn segment(&self, segment: &ProgramHeader) -> Result<&'a [u8], Unreadable> {
        // The offset of nothing may be anywhere: only its remainder by the alignment matters.
        if segment.p_filesz == 0 {
            return Ok(&[]);
        }
        slice(self.bytes, segment.p_offset, segment.p_filesz).ok_or_else(|| {
            let kind = super::kind_name(segment.p_type);
            Unreadable::new(format!("its segment {kind} ends after the file's end"))
        })
    }

    /// Where in the file the byte is that is loaded at `address`.
    pub(super) fn offset_of(&self, address: u64) -> Option<u64> {
        self.segments.iter().find_map(|segment| {
            let into = address.checked_sub(segment.p_vaddr)?;
            (segment.p_type == PT_LOAD && into < segment.p_filesz)
                .then(|| segment.p_offset.checked_add(into))?
        })
    }
}

/// Whether a section is part of what is loaded.
pub(super) fn is_alloc(section: &SectionHeader) -> bool {
    section.sh_flags & u64::from(SHF_ALLOC) != 0
}

fn header(bytes: &[u8]) -> Result<Header, Unreadable> {
    if !bytes.starts_with(header::ELFMAG) {
        let what = match bytes {
            [] => "it is empty".to_owned(),
            [b'#', b'!', ..] => "it is a script, and not an ELF file".to_owned(),
            _ => {
                let start = bytes.get(..4).unwrap_or(bytes);
                format!("it begins with {}, and not with ELF's magic", quote(start))
            }
        };
        return Err(Unreadable(what));
    }
    Elf::parse_header(bytes)
        .map_err(|error| Unreadable::new(format!("its ELF header cannot be read: {error}")))
}

fn sections(bytes: &[u8], header: &Header, ctx: Ctx) -> Result<Vec<SectionHeader>, Unreadable> {
    if header.e_shoff == 0 {
        return Ok(Vec::new());
    }
    let unreadable = || Unreadable::new("its section headers are not where it says they are");
    let size = SectionHeader::size(ctx);
    let offset = usize::try_from(header.e_shoff).map_err(|_| unreadable())?;
    let mut count = u64::from(header.e_shnum);
    if count == 0 {
        // Either none, or more than fit, and then the first one says how many. A tool that
        // removes them may leave the offset: what stands there is not a section header then.
        let first = SectionHeader::parse_from(bytes, offset, 1, ctx).unwrap_or_default();
        count = match first.first() {
            Some(first) if first.sh_type == SHT_NULL && first.sh_size >= SHN_LORESERVE => {
                first.sh_size
            }
            _ => return Ok(Vec::new()),
        };
    }
    if usize::from(header.e_shentsize) != size {
        return Err(Unreadable::new(format!(
            "its section headers are said to have {} bytes each, and not {size}",
            header.e_shentsize
        )));
    }
    let count = usize::try_from(count).map_err(|_| unreadable())?;
    SectionHeader::parse_from(bytes, offset, count, ctx).map_err(|_| unreadable())
}

fn segments(
    bytes: &[u8],
    header: &Header,
    ctx: Ctx,
    first: Option<&SectionHeader>,
) -> Result<Vec<ProgramHeader>, Unreadable> {
    let unreadable = || Unreadable::new("its program headers are not where it says they are");
    let size = ProgramHeader::size(ctx);
    let count = match (header.e_phnum, first) {
        (0, _) => return Ok(Vec::new()),
        (PN_XNUM, Some(first)) => first.sh_info as usize,
        (PN_XNUM, None) => return Err(unreadable()),
        (count, _) => usize::from(count),
    };
    if usize::from(header.e_phentsize) != size {
        // The kernel refuses it too (fs/binfmt_elf.c, load_elf_phdrs).
        return Err(Unreadable::new(format!(
            "its program headers are said to have {} bytes each, and not {size}",
            header.e_phentsize
        )));
    }
    let offset = usize::try_from(header.e_phoff).map_err(|_| unreadable())?;
    ProgramHeader::parse(bytes, offset, count, ctx).map_err(|_| unreadable())
}

fn names<'a>(
    bytes: &'a [u8],
    header: &Header,
    sections: &[SectionHeader],
) -> Result<&'a [u8], Unreadable> {
    // A table of the null section alone says nothing.
    let [first, _, ..] = sections else {
        return Ok(&[]);
    };
    let index = names_index(header, first);
    // Debug sections are known by their names, so a file without them hides what it has.
    if index == Some(0) {
        return Err(Unreadable::new("its sections have no names"));
    }
    index
        .and_then(|index| sections.get(index))
        .filter(|section| section.sh_type != SHT_NOBITS)
        .and_then(|section| slice(bytes, section.sh_offset, section.sh_size))
        .ok_or_else(|| Unreadable::new("the names of its sections are not in the file"))
}

fn names_index(header: &Header, first: &SectionHeader) -> Option<usize> {
    usize::try_from(match u32::from(header.e_shstrndx) {
        SHN_XINDEX => first.sh_link,
        index => index,
    })
    .ok()
}

/// `len` bytes from `offset`, where that many are.
pub(super) fn slice(bytes: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(len).ok()?)?;
    bytes.get(start..end)
}

/// The string at `offset` of a string table without its NUL, cut after `most` bytes. None where it
/// begins after the table's end.
pub(super) fn until_nul(table: &[u8], offset: u64, most: usize) -> Option<&[u8]> {
    let rest = table.get(usize::try_from(offset).ok()?..)?;
    let rest = rest.get(..most).unwrap_or(rest);
    Some(rest.split(|&byte| byte == 0).next().unwrap_or_default())
}

/// Text from the file, as text that is safe to keep.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Text from the file between backticks, with nothing in it that a terminal would obey.
pub(crate) fn quote(bytes: &[u8]) -> String {
    format!("`{}`", String::from_utf8_lossy(bytes).escape_debug())
}

/// Reads and writes numbers in a file's byte order and class.
#[derive(Clone, Copy)]
pub(super) struct Words {
    pub(super) wide: bool,
    little: bool,
}

impl Words {
    /// The bytes of an address or an offset.
    pub(super) fn size(self) -> usize {
        if self.wide { 8 } else { 4 }
    }

    /// An unsigned number of `size` bytes, at most 8, at `offset`.
    pub(super) fn number(self, bytes: &[u8], offset: usize, size: usize) -> Option<u64> {
        let field = bytes.get(offset..offset.checked_add(size)?)?;
        let add = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
        Some(if self.little { field.iter().rev().fold(0, add) } else { field.iter().fold(0, add) })
    }

    /// Four bytes at `offset`.
    pub(super) fn u32(self, bytes: &[u8], offset: usize) -> Option<u64> {
        self.number(bytes, offset, 4)
    }

    /// An address or an offset at `offset`.
    pub(super) fn word(self, bytes: &[u8], offset: usize) -> Option<u64> {
        self.number(bytes, offset, self.size())
    }

    /// Appends the lowest `size` bytes, at most 8, of a number.
    pub(super) fn push(self, out: &mut Vec<u8>, number: u64, size: usize) {
        let size = size.min(8);
        if self.little {
            out.extend(number.to_le_bytes().iter().take(size));
        } else {
            out.extend(number.to_be_bytes().iter().skip(8 - size));
        }
    }
}
