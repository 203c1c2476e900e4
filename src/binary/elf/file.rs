//! An ELF file's tables, each read on its own, so that no symbol table is read on the way.

use std::{borrow::Cow, ops::Range};

use goblin::{
    container::Ctx,
    elf::{
        Elf,
        header::{self, Header},
        program_header::{PT_LOAD, ProgramHeader},
        section_header::{SHF_ALLOC, SHN_XINDEX, SHT_NOBITS, SHT_NULL, SectionHeader},
    },
};

use crate::model::{
    machine::Endian,
    source::{ReadError, Source},
};

/// The most of a section's name that is read: more than names in programs have, and small enough
/// that a table of names which all begin in one long string costs nothing.
const MAX_SECTION_NAME: usize = 256;

/// `e_phnum` of a file with more program headers than fit (gABI, "ELF Header", `PN_XNUM`).
pub(crate) const PN_XNUM: u16 = 0xffff;

/// The smallest number of sections that `e_shnum` cannot hold (gABI, `SHN_LORESERVE`).
const SHN_LORESERVE: u64 = 0xff00;

/// The size of the larger one of the two ELF headers.
const MAX_HEADER: u64 = 64;

/// The most sections that are read: programs have tens, and object files of one section for each
/// function some ten thousand.
const MAX_SECTIONS: u64 = 1 << 17;

/// The most program headers that are read. Linux rejects programs with more than 64 KiB of them
/// (fs/binfmt_elf.c, load_elf_phdrs); core dumps may have more.
const MAX_SEGMENTS: usize = 1 << 16;

/// The tables of one file. Sections are empty where the file has no section headers.
pub(crate) struct ElfFile<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) header: Header,
    pub(crate) ctx: Ctx,
    pub(crate) segments: Vec<ProgramHeader>,
    pub(crate) sections: Vec<SectionHeader>,
    names: Cow<'a, [u8]>,
}

impl<'a> ElfFile<'a> {
    pub(crate) fn read(source: impl Into<Source<'a>>) -> Result<Self, ReadError> {
        let source = source.into();
        let header = read_header(&source.read_up_to(0, MAX_HEADER)?)?;
        let (container, endian) = match (header.container(), header.endianness()) {
            (Ok(container), Ok(endian)) => (container, endian),
            _ => {
                return Err(ReadError::new("its class or byte order is invalid"));
            }
        };
        let ctx = Ctx::new(container, endian);
        let sections = read_sections(source, &header, ctx)?;
        let segments = read_segments(source, &header, ctx, sections.first())?;
        let names = read_names(source, &header, &sections)?;
        Ok(ElfFile { source, header, ctx, segments, sections, names })
    }

    pub(crate) fn endian(&self) -> Endian {
        if self.ctx.is_little_endian() { Endian::Little } else { Endian::Big }
    }

    /// Reads fields in the file's byte order and class.
    pub(crate) fn words(&self) -> NumberFormat {
        NumberFormat { wide: self.ctx.is_big(), little: self.ctx.is_little_endian() }
    }

    /// Returns the first bytes of a section's name.
    pub(crate) fn name(&self, section: &SectionHeader) -> &[u8] {
        until_nul(&self.names, section.sh_name as u64, MAX_SECTION_NAME).unwrap_or_default()
    }

    /// Returns whether a section is at the address that a segment loads it to, as it declares.
    pub(crate) fn is_loaded(&self, section: &SectionHeader) -> bool {
        let end = section.sh_offset.saturating_add(section.sh_size);
        is_alloc(section)
            && self.segments.iter().any(|segment| {
                segment.p_type == PT_LOAD
                    && segment.p_offset <= section.sh_offset
                    && end <= segment.p_offset.saturating_add(segment.p_filesz)
            })
    }

    /// Returns whether a section's name begins in the table of names.
    pub(crate) fn has_name(&self, section: &SectionHeader) -> bool {
        section.sh_name == 0 || section.sh_name < self.names.len()
    }

    /// Returns the index of the section with the names of sections.
    pub(crate) fn names_index(&self) -> Option<usize> {
        names_index(&self.header, self.sections.first()?)
    }

    /// Returns a section's bytes; empty for one that has none in the file.
    pub(crate) fn content(&self, section: &SectionHeader) -> Result<Cow<'a, [u8]>, ReadError> {
        let range = self.section_range(section)?;
        let len = range.end - range.start;
        Ok(self.source.read(range.start, len)?.unwrap_or_default())
    }

    /// Returns the bytes as [`ElfFile::content`] does, for a table that has to be in memory in full.
    pub(crate) fn table(&self, section: &SectionHeader) -> Result<Cow<'a, [u8]>, ReadError> {
        let range = self.section_range(section)?;
        Ok(self.source.read_table(range.start, range.end - range.start)?.unwrap_or_default())
    }

    /// Returns the range of a section's bytes; empty for a section without bytes in the file.
    pub(crate) fn section_range(&self, section: &SectionHeader) -> Result<Range<u64>, ReadError> {
        if matches!(section.sh_type, SHT_NOBITS | SHT_NULL) {
            return Ok(0..0);
        }
        self.checked_range(section.sh_offset, section.sh_size).ok_or_else(|| {
            let name = quote(self.name(section));
            ReadError::new(format!("its section {name} ends after the file's end"))
        })
    }

    /// Returns the range of a segment's bytes in the file.
    pub(crate) fn segment_range(&self, segment: &ProgramHeader) -> Result<Range<u64>, ReadError> {
        // The offset of nothing may be anywhere: only its remainder by the alignment matters.
        if segment.p_filesz == 0 {
            return Ok(0..0);
        }
        self.checked_range(segment.p_offset, segment.p_filesz).ok_or_else(|| {
            let kind = super::segment_type_name(segment.p_type);
            ReadError::new(format!("its segment {kind} ends after the file's end"))
        })
    }

    fn checked_range(&self, offset: u64, len: u64) -> Option<Range<u64>> {
        let end = offset.checked_add(len)?;
        (end <= self.source.size()).then_some(offset..end)
    }

    /// Returns the offset in the file of the byte that is loaded at `address`.
    pub(crate) fn offset_of(&self, address: u64) -> Option<u64> {
        self.segments.iter().find_map(|segment| {
            let into = address.checked_sub(segment.p_vaddr)?;
            (segment.p_type == PT_LOAD && into < segment.p_filesz)
                .then(|| segment.p_offset.checked_add(into))?
        })
    }
}

/// Returns whether a section is part of what is loaded.
pub(crate) fn is_alloc(section: &SectionHeader) -> bool {
    section.sh_flags & u64::from(SHF_ALLOC) != 0
}

fn read_header(bytes: &[u8]) -> Result<Header, ReadError> {
    if !bytes.starts_with(header::ELFMAG) {
        let what = match bytes {
            [] => "it is empty".to_owned(),
            [b'#', b'!', ..] => "it is a script, and not an ELF file".to_owned(),
            _ => {
                let start = bytes.get(..4).unwrap_or(bytes);
                format!("it begins with {}, expected ELF's magic", quote(start))
            }
        };
        return Err(ReadError(what));
    }
    Elf::parse_header(bytes)
        .map_err(|error| ReadError::new(format!("its ELF header cannot be read: {error}")))
}

fn read_sections(
    source: Source<'_>,
    header: &Header,
    ctx: Ctx,
) -> Result<Vec<SectionHeader>, ReadError> {
    if header.e_shoff == 0 {
        return Ok(Vec::new());
    }
    let unreadable = || ReadError::new("its section headers are not at their offset");
    let size = SectionHeader::size(ctx);
    let mut count = u64::from(header.e_shnum);
    if count == 0 {
        // Either none, or more than fit, and then the first one has the number. A tool that removes
        // them may leave the offset: the bytes there are not a section header then.
        let first = source.read_up_to(header.e_shoff, size as u64)?;
        let first = SectionHeader::parse_from(&first, 0, 1, ctx).unwrap_or_default();
        count = match first.first() {
            Some(first) if first.sh_type == SHT_NULL && first.sh_size >= SHN_LORESERVE => {
                first.sh_size
            }
            _ => return Ok(Vec::new()),
        };
    }
    if usize::from(header.e_shentsize) != size {
        return Err(ReadError::new(format!(
            "expected section headers of {size} bytes each, found {}",
            header.e_shentsize
        )));
    }
    if count > MAX_SECTIONS {
        return Err(ReadError::new(format!("it has more than {MAX_SECTIONS} sections")));
    }
    let table = source.read(header.e_shoff, count * size as u64)?.ok_or_else(unreadable)?;
    let count = usize::try_from(count).map_err(|_| unreadable())?;
    SectionHeader::parse_from(&table, 0, count, ctx).map_err(|_| unreadable())
}

fn read_segments(
    source: Source<'_>,
    header: &Header,
    ctx: Ctx,
    first: Option<&SectionHeader>,
) -> Result<Vec<ProgramHeader>, ReadError> {
    let unreadable = || ReadError::new("its program headers are not at their offset");
    let size = ProgramHeader::size(ctx);
    let count = match (header.e_phnum, first) {
        (0, _) => return Ok(Vec::new()),
        (PN_XNUM, Some(first)) => first.sh_info as usize,
        (PN_XNUM, None) => return Err(unreadable()),
        (count, _) => usize::from(count),
    };
    if usize::from(header.e_phentsize) != size {
        // The kernel does not accept it either (fs/binfmt_elf.c, load_elf_phdrs).
        return Err(ReadError::new(format!(
            "expected program headers of {size} bytes each, found {}",
            header.e_phentsize
        )));
    }
    if count > MAX_SEGMENTS {
        return Err(ReadError::new(format!("it has more than {MAX_SEGMENTS} program headers")));
    }
    let len = count as u64 * size as u64;
    let table = source.read(header.e_phoff, len)?.ok_or_else(unreadable)?;
    ProgramHeader::parse(&table, 0, count, ctx).map_err(|_| unreadable())
}

fn read_names<'a>(
    source: Source<'a>,
    header: &Header,
    sections: &[SectionHeader],
) -> Result<Cow<'a, [u8]>, ReadError> {
    // A table of the null section alone has no information.
    let [first, _, ..] = sections else {
        return Ok(Cow::Borrowed(&[]));
    };
    let index = names_index(header, first);
    // Debug sections are known by their names, so a file without them hides what it has.
    if index == Some(0) {
        return Err(ReadError::new("its sections have no names"));
    }
    let section = index.and_then(|index| sections.get(index));
    let names = match section.filter(|section| section.sh_type != SHT_NOBITS) {
        Some(section) => source.read(section.sh_offset, section.sh_size)?,
        None => None,
    };
    names.ok_or_else(|| ReadError::new("the names of its sections are not in the file"))
}

fn names_index(header: &Header, first: &SectionHeader) -> Option<usize> {
    usize::try_from(match u32::from(header.e_shstrndx) {
        SHN_XINDEX => first.sh_link,
        index => index,
    })
    .ok()
}

/// Returns the string at `offset` of a string table without its NUL, truncated to `most` bytes. `None`
/// if it begins after the table's end.
pub(crate) fn until_nul(table: &[u8], offset: u64, most: usize) -> Option<&[u8]> {
    let rest = table.get(usize::try_from(offset).ok()?..)?;
    let rest = rest.get(..most).unwrap_or(rest);
    rest.get(..memchr::memchr(0, rest).unwrap_or(rest.len()))
}

/// Returns text from the file in a form that is safe to store.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Returns text from the file between backticks, without control sequences of terminals.
pub(crate) fn quote(bytes: &[u8]) -> String {
    format!("`{}`", String::from_utf8_lossy(bytes).escape_debug())
}

/// Reads and writes numbers in a file's byte order and class.
#[derive(Clone, Copy)]
pub(crate) struct NumberFormat {
    pub(crate) wide: bool,
    pub(crate) little: bool,
}

impl NumberFormat {
    /// Returns the bytes of an address or an offset.
    pub(crate) fn size(self) -> usize {
        if self.wide { 8 } else { 4 }
    }

    /// Returns an unsigned number of `size` bytes, at most 8, at `offset`.
    pub(crate) fn number(self, bytes: &[u8], offset: usize, size: usize) -> Option<u64> {
        let field = bytes.get(offset..offset.checked_add(size)?)?;
        let add = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
        Some(if self.little { field.iter().rev().fold(0, add) } else { field.iter().fold(0, add) })
    }

    /// Reads four bytes at `offset`.
    pub(crate) fn u32(self, bytes: &[u8], offset: usize) -> Option<u64> {
        self.number(bytes, offset, 4)
    }

    /// Returns an address or an offset at `offset`.
    pub(crate) fn word(self, bytes: &[u8], offset: usize) -> Option<u64> {
        self.number(bytes, offset, self.size())
    }

    /// Appends the lowest `size` bytes, at most 8, of a number.
    pub(crate) fn push(self, out: &mut Vec<u8>, number: u64, size: usize) {
        let size = size.min(8);
        if self.little {
            out.extend(number.to_le_bytes().iter().take(size));
        } else {
            out.extend(number.to_be_bytes().iter().skip(8 - size));
        }
    }
}
