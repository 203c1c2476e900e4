//! Strips programs, for any machine on any host. What is loaded is copied as it is, and a new
//! section table follows it, so that nothing which runs can change; that is checked, too.

use std::{fmt, ops::Range};

use goblin::elf::{
    header::{EM_ARM, EM_RISCV, ET_DYN, ET_EXEC},
    program_header::PT_NULL,
    section_header::{
        SHF_INFO_LINK, SHT_NOBITS, SHT_NULL, SHT_PROGBITS, SHT_REL, SHT_RELA, SectionHeader,
    },
};

use super::{
    build_id::{self, BuildId},
    composite::Composite,
    facts::is_detached,
    file::{ElfFile, is_alloc},
    table::{self, Section},
};
use crate::model::source::{ReadError, Source};

/// `SHT_ARM_ATTRIBUTES` and `SHT_RISCV_ATTRIBUTES`, which have one number in the two processors'
/// supplements: the program's requirements on the processor.
const SHT_ATTRIBUTES: u32 = 0x7000_0003;

/// The reason why a file cannot be stripped, in one sentence without a capital or a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StripError(String);

impl StripError {
    pub(super) fn new(sentence: impl Into<String>) -> Self {
        StripError(sentence.into())
    }
}

impl fmt::Display for StripError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StripError {}

impl From<ReadError> for StripError {
    fn from(error: ReadError) -> Self {
        StripError(error.to_string())
    }
}

/// The section with the list of dependencies, as cargo-auditable names it.
const DEPENDENCIES: &[u8] = b".dep-v0";

/// The sections to keep of those that are not loaded, and the ones to add. `.dep-v0`, the list of
/// dependencies that cargo-auditable adds, `.gnu_debuglink` and ARM's and RISC-V's attributes are
/// always kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StripOptions<'a> {
    /// `.comment`, which names compilers and linkers with their versions.
    pub comment: bool,
    /// The linker's build id. Otherwise, where there is one, it is replaced by one of the same
    /// length that is computed from what is loaded alone, so that programs which differ only in
    /// what is stripped are equal afterwards. To be kept where separate debug information with
    /// that id already exists.
    pub build_id: bool,
    /// The content of a section `.dep-v0` for a program that has none, and that has section headers.
    pub dependencies: Option<&'a [u8]>,
}

/// Returns the program without symbols and debug information, and with a new build id unless
/// [`StripOptions::build_id`] is set otherwise. A file without section headers is returned as it is. Data after
/// the last section or segment, as in self-extracting archives, is dropped.
///
/// # Errors
/// It is not a readable ELF program or shared object.
pub fn strip<'a>(
    source: impl Into<Source<'a>>,
    keep: StripOptions<'_>,
) -> Result<Composite<'a>, StripError> {
    let file = read_program(source.into())?;
    if file.sections.is_empty() {
        end_of_loaded(&file)?;
        let mut out = Composite::new(file.source);
        out.copy(0..file.source.size());
        return Ok(out);
    }
    rewrite(&file, keep, None)
}

/// Returns the file of a program or of a shared object.
pub(super) fn read_program(source: Source<'_>) -> Result<ElfFile<'_>, StripError> {
    let file = ElfFile::read(source)?;
    if !matches!(file.header.e_type, ET_EXEC | ET_DYN) {
        return Err(StripError::new(
            "it is neither a program nor a shared object (ET_EXEC, ET_DYN)",
        ));
    }
    if is_detached(&file) {
        return Err(StripError::new("it contains only the debug information of a program"));
    }
    Ok(file)
}

/// Returns the stripped file, with `debug_link` as the content of a new `.gnu_debuglink`.
pub(super) fn rewrite<'a>(
    file: &ElfFile<'a>,
    keep: StripOptions<'_>,
    debug_link: Option<&[u8]>,
) -> Result<Composite<'a>, StripError> {
    let end = end_of_loaded(file)?;
    let mut out = Composite::new(file.source);
    out.copy(0..end);
    let mut changed = table::header_fields(file.ctx.is_big()).to_vec();
    if let Some(id) = new_build_id(file, keep)? {
        let ranges = build_id::find_ranges(file, end)?;
        changed.extend_from_slice(&ranges);
        id.write(ranges, &mut out);
    }
    let kept = KeptSections::choose(file, keep, debug_link.is_some());
    let mut sections = Vec::with_capacity(kept.old.len() + 2);
    let mut remaining = file.source.size();
    for &index in &kept.old {
        let Some(old) = index.and_then(|index| file.sections.get(index)) else {
            sections.push(null_section(SectionHeader::default()));
            continue;
        };
        let mut header = old.clone();
        if header.sh_type == SHT_NULL {
            // Section 0, with counts in its other fields that do not fit elsewhere.
            (header.sh_size, header.sh_link) = (0, 0);
            sections.push(null_section(header));
            continue;
        }
        if !is_alloc(old) {
            let content = file.section_range(old)?;
            remaining = charge(remaining, &content)?;
            header.sh_offset = table::pad(&mut out, header.sh_addralign);
            out.copy(content);
        }
        kept.relink(&mut header);
        let name = file.name(old);
        sections.push(Section { name, header });
    }
    if let Some(content) = keep.dependencies
        && !sections.iter().any(|section| section.name == DEPENDENCIES)
    {
        sections.push(add_section(&mut out, DEPENDENCIES, content, 1));
    }
    if let Some(content) = debug_link {
        sections.push(add_section(&mut out, b".gnu_debuglink", content, 4));
    }
    table::write_table(&mut out, file.words(), sections, None)?;
    check_unchanged(&out, end, &changed)?;
    Ok(out)
}

/// Returns the id that the stripped program and its debug information get instead of the linker's.
pub(super) fn new_build_id(
    file: &ElfFile<'_>,
    keep: StripOptions<'_>,
) -> Result<Option<BuildId>, StripError> {
    if keep.build_id {
        return Ok(None);
    }
    Ok(BuildId::compute(file, end_of_loaded(file)?)?)
}

fn null_section(header: SectionHeader) -> Section<'static> {
    Section { name: b"", header }
}

/// Subtracts the size of `content` from the budget: contents may overlap, and copies of them would
/// be larger than the file.
pub(super) fn charge(remaining: u64, content: &Range<u64>) -> Result<u64, StripError> {
    let remaining = remaining.checked_sub(content.end - content.start);
    remaining.ok_or_else(|| StripError::new("its sections overlap"))
}

/// Returns a section that is not loaded.
fn add_section<'a>(
    out: &mut Composite<'_>,
    name: &'a [u8],
    content: &[u8],
    align: u64,
) -> Section<'a> {
    let sh_offset = table::pad(out, align);
    out.push(content);
    let header = SectionHeader {
        sh_type: SHT_PROGBITS,
        sh_offset,
        sh_size: content.len() as u64,
        sh_addralign: align,
        ..SectionHeader::default()
    };
    Section { name, header }
}

/// Returns the end of the last byte that a header, a segment or a loaded section has.
fn end_of_loaded(file: &ElfFile<'_>) -> Result<u64, StripError> {
    let header = u64::from(if file.ctx.is_big() { 64_u8 } else { 52 });
    let count = file.segments.len() as u64;
    let table = count.saturating_mul(file.header.e_phentsize.into());
    let mut end = header.max(file.header.e_phoff.saturating_add(table));
    for segment in file.segments.iter().filter(|s| s.p_type != PT_NULL) {
        if segment.p_filesz > 0 {
            file.segment_range(segment)?;
            end = end.max(segment.p_offset.saturating_add(segment.p_filesz));
        }
    }
    for section in file.sections.iter().filter(|section| is_alloc(section)) {
        if !file.section_range(section)?.is_empty() {
            end = end.max(section.sh_offset.saturating_add(section.sh_size));
        }
    }
    if end > file.source.size() {
        return Err(StripError::new("its headers end after the file's end"));
    }
    Ok(end)
}

/// The sections that stay, and their offsets.
struct KeptSections {
    /// For every new section its old index; `None` for one that only keeps the index of a removed
    /// one.
    old: Vec<Option<usize>>,
    /// For every old section its new index; 0 for one that is removed.
    new: Vec<u32>,
}

impl KeptSections {
    /// Sections up to the last loaded one keep their indices, since loaded symbols name them by
    /// index (`st_shndx` in `.dynsym`); linkers put what is not loaded behind them anyhow.
    fn choose(file: &ElfFile<'_>, keep: StripOptions<'_>, replace_link: bool) -> Self {
        let last = file.sections.iter().rposition(is_alloc).unwrap_or_default();
        let mut kept =
            KeptSections { old: Vec::new(), new: Vec::with_capacity(file.sections.len()) };
        for (index, section) in file.sections.iter().enumerate() {
            let stays = index == 0 || is_kept(file, section, keep, replace_link);
            let new_index = u32::try_from(kept.old.len()).unwrap_or_default();
            kept.new.push(if stays { new_index } else { 0 });
            if stays || index < last {
                kept.old.push(stays.then_some(index));
            }
        }
        kept
    }

    /// Replaces a header's references to other sections by those of the new table.
    fn relink(&self, header: &mut SectionHeader) {
        let new = |old: u32| {
            let index = usize::try_from(old).ok();
            index.and_then(|index| self.new.get(index)).copied().unwrap_or_default()
        };
        header.sh_link = new(header.sh_link);
        let names_section = header.sh_flags & u64::from(SHF_INFO_LINK) != 0;
        if names_section || matches!(header.sh_type, SHT_REL | SHT_RELA) {
            header.sh_info = new(header.sh_info);
        }
    }
}

fn is_kept(
    file: &ElfFile<'_>,
    section: &SectionHeader,
    keep: StripOptions<'_>,
    replace_link: bool,
) -> bool {
    if is_alloc(section) {
        return section.sh_type != SHT_NULL;
    }
    if section.sh_type == SHT_ATTRIBUTES {
        return matches!(file.header.e_machine, EM_ARM | EM_RISCV);
    }
    if matches!(section.sh_type, SHT_NOBITS | SHT_NULL) {
        return false;
    }
    match file.name(section) {
        DEPENDENCIES => true,
        b".comment" => keep.comment,
        b".gnu_debuglink" => !replace_link,
        _ => false,
    }
}

/// Checks that nothing of the first `end` bytes differs from the old file but what is in one of the
/// ranges `allowed`: the fields of the ELF header that say where the section headers are, and the
/// build id.
fn check_unchanged(
    out: &Composite<'_>,
    end: u64,
    allowed: &[Range<u64>],
) -> Result<(), StripError> {
    let allowed = |changed: Range<u64>| {
        allowed.iter().any(|allowed| allowed.start <= changed.start && changed.end <= allowed.end)
    };
    if out.changed_ranges(end).all(allowed) {
        return Ok(());
    }
    Err(StripError::new("stripping would change loaded bytes"))
}
