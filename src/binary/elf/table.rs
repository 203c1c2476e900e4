//! Writes section tables: contents, names, headers, and the fields of the ELF header with their
//! offsets.

use std::collections::HashMap;

use goblin::elf::section_header::{SHT_STRTAB, SectionHeader};

use super::{composite::Composite, file::NumberFormat, strip::StripError};
use crate::model::source::ReadAt as _;

/// The maximum alignment of contents in the file. An address may need more, an offset in a file
/// does not, and small sections with page alignment would enlarge it.
const ALIGN: u64 = 64;

/// The first index that a section header cannot have (gABI, `SHN_LORESERVE`). Files with more
/// sections are objects, which are not stripped here.
const SHN_LORESERVE: usize = 0xff00;

/// One section to be written. Its header already has the offset of its content.
pub(super) struct Section<'a> {
    pub(super) name: &'a [u8],
    pub(super) header: SectionHeader,
}

/// Appends zeros up to the next multiple of `align`; returns that offset.
pub(super) fn pad(out: &mut Composite<'_>, align: u64) -> u64 {
    let align = align.clamp(1, ALIGN);
    let more = out.size().next_multiple_of(align) - out.size();
    out.push(&[0; ALIGN as usize][..more as usize]);
    out.size()
}

/// Appends the names and the headers of `sections`, and points the ELF header at the beginning of
/// `out` to them. `sections` begins with the null section; the one at `names_index` becomes that
/// of the names, or else a new one at the end.
pub(super) fn write_table(
    out: &mut Composite<'_>,
    words: NumberFormat,
    mut sections: Vec<Section<'_>>,
    names_index: Option<usize>,
) -> Result<(), StripError> {
    let names_index = names_index.unwrap_or(sections.len());
    if sections.len() >= SHN_LORESERVE {
        return Err(StripError::new("it has more sections than a program can have"));
    }
    if names_index == sections.len() {
        sections.push(Section {
            name: b".shstrtab",
            header: SectionHeader {
                sh_type: SHT_STRTAB,
                sh_addralign: 1,
                ..SectionHeader::default()
            },
        });
    }
    let names = name_table(&mut sections);
    let at = out.size();
    out.push(&names);
    if let Some(Section { header, .. }) = sections.get_mut(names_index) {
        header.sh_offset = at;
        header.sh_size = names.len() as u64;
    }
    let start = pad(out, words.size() as u64);
    let mut headers = Vec::new();
    for section in &sections {
        push_section_header(&mut headers, words, &section.header);
    }
    out.push(&headers);
    update_file_header(out, words, start, sections.len() as u64, names_index as u64)
}

/// Returns the string table of the names, each once, in the order of their sections.
fn name_table(sections: &mut [Section<'_>]) -> Vec<u8> {
    let mut table = vec![0];
    let mut known: HashMap<&[u8], usize> = HashMap::from([(&b""[..], 0)]);
    for Section { name, header } in sections {
        header.sh_name = *known.entry(name).or_insert_with(|| {
            let at = table.len();
            table.extend_from_slice(name);
            table.push(0);
            at
        });
    }
    table
}

/// Appends a section header (gABI, "Section Header Table").
fn push_section_header(out: &mut Vec<u8>, words: NumberFormat, header: &SectionHeader) {
    let word = words.size();
    let fields = [
        (header.sh_name as u64, 4),
        (header.sh_type.into(), 4),
        (header.sh_flags, word),
        (header.sh_addr, word),
        (header.sh_offset, word),
        (header.sh_size, word),
        (header.sh_link.into(), 4),
        (header.sh_info.into(), 4),
        (header.sh_addralign, word),
        (header.sh_entsize, word),
    ];
    for (number, size) in fields {
        words.push(out, number, size);
    }
}

/// Returns the offset and the size of a field of the ELF header that describes section headers (gABI,
/// "ELF Header"): `e_shoff`, then `e_shentsize`, `e_shnum` and `e_shstrndx`, which are adjacent.
pub(super) fn header_fields(wide: bool) -> [std::ops::Range<u64>; 2] {
    if wide { [40..48, 58..64] } else { [32..36, 46..52] }
}

fn update_file_header(
    out: &mut Composite<'_>,
    words: NumberFormat,
    start: u64,
    count: u64,
    names: u64,
) -> Result<(), StripError> {
    let entry = if words.wide { 64 } else { 40 };
    let [offset, counts] = header_fields(words.wide);
    let mut fields = Vec::new();
    words.push(&mut fields, start, words.size());
    overwrite(out, offset.start, &fields)?;
    fields.clear();
    for number in [entry, count, names] {
        words.push(&mut fields, number, 2);
    }
    overwrite(out, counts.start, &fields)
}

/// Overwrites a field of a header of `out`.
pub(super) fn overwrite(out: &mut Composite<'_>, at: u64, bytes: &[u8]) -> Result<(), StripError> {
    out.overwrite(at, bytes).ok_or_else(|| StripError::new("its ELF header is truncated"))
}
