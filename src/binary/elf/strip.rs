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
    facts::detached,
    file::{File, is_alloc},
    table::{self, Section},
};
use crate::model::source::{ReadError, Source};

/// `SHT_ARM_ATTRIBUTES` and `SHT_RISCV_ATTRIBUTES`, which have one number in the two processors'
/// supplements: the program's requirements on the processor.
const SHT_ATTRIBUTES: u32 = 0x7000_0003;

/// The file cannot be stripped, and why, in one sentence without a capital or a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CannotStrip(String);

impl CannotStrip {
    pub(super) fn new(sentence: impl Into<String>) -> Self {
        CannotStrip(sentence.into())
    }
}

impl fmt::Display for CannotStrip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CannotStrip {}

impl From<ReadError> for CannotStrip {
    fn from(error: ReadError) -> Self {
        CannotStrip(error.to_string())
    }
}

/// The section with the list of dependencies, as cargo-auditable names it.
const DEPENDENCIES: &[u8] = b".dep-v0";

/// The sections to keep of those that are not loaded, and the ones to add. `.dep-v0`, the list of
/// dependencies that cargo-auditable adds, `.gnu_debuglink` and ARM's and RISC-V's attributes are
/// always kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep<'a> {
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
/// [`Keep::build_id`] is set otherwise. A file without section headers is returned as it is. Data after
/// the last section or segment, as in self-extracting archives, is dropped.
///
/// # Errors
/// It is not a readable ELF program or shared object.
pub fn strip<'a>(
    source: impl Into<Source<'a>>,
    keep: Keep<'_>,
) -> Result<Composite<'a>, CannotStrip> {
    let file = program(source.into())?;
    if file.sections.is_empty() {
        end_of_loaded(&file)?;
        let mut out = Composite::new(file.source);
        out.copy(0..file.source.size());
        return Ok(out);
    }
    rewrite(&file, keep, None)
}

/// Returns the file of a program or of a shared object.
pub(super) fn program(source: Source<'_>) -> Result<File<'_>, CannotStrip> {
    let file = File::read(source)?;
    if !matches!(file.header.e_type, ET_EXEC | ET_DYN) {
        return Err(CannotStrip::new(
            "it is neither a program nor a shared object (ET_EXEC, ET_DYN)",
        ));
    }
    if detached(&file) {
        return Err(CannotStrip::new(
            "it holds the debug information of a program, and not the program",
        ));
    }
    Ok(file)
}

/// Returns the stripped file, with `debug_link` as the content of a new `.gnu_debuglink`.
pub(super) fn rewrite<'a>(
    file: &File<'a>,
    keep: Keep<'_>,
    debug_link: Option<&[u8]>,
) -> Result<Composite<'a>, CannotStrip> {
    let end = end_of_loaded(file)?;
    let mut out = Composite::new(file.source);
    out.copy(0..end);
    let mut changed = table::header_fields(file.ctx.is_big()).to_vec();
    if let Some(id) = new_build_id(file, keep)? {
        let places = build_id::places(file, end)?;
        changed.extend_from_slice(&places);
        id.write(places, &mut out);
    }
    let kept = Kept::choose(file, keep, debug_link.is_some());
    let mut sections = Vec::with_capacity(kept.old.len() + 2);
    let mut left = file.source.size();
    for &index in &kept.old {
        let Some(old) = index.and_then(|index| file.sections.get(index)) else {
            sections.push(null(SectionHeader::default()));
            continue;
        };
        let mut header = old.clone();
        if header.sh_type == SHT_NULL {
            // Section 0, with counts in its other fields that do not fit elsewhere.
            (header.sh_size, header.sh_link) = (0, 0);
            sections.push(null(header));
            continue;
        }
        if !is_alloc(old) {
            let content = file.place(old)?;
            left = spend(left, &content)?;
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
        sections.push(added(&mut out, DEPENDENCIES, content, 1));
    }
    if let Some(content) = debug_link {
        sections.push(added(&mut out, b".gnu_debuglink", content, 4));
    }
    table::finish(&mut out, file.words(), sections, None)?;
    unchanged(&out, end, &changed)?;
    Ok(out)
}

/// Returns the id that the stripped program and its debug information get instead of the linker's.
pub(super) fn new_build_id(
    file: &File<'_>,
    keep: Keep<'_>,
) -> Result<Option<BuildId>, CannotStrip> {
    if keep.build_id {
        return Ok(None);
    }
    Ok(BuildId::of(file, end_of_loaded(file)?)?)
}

fn null(header: SectionHeader) -> Section<'static> {
    Section { name: b"", header }
}

/// Contents may overlap, and copies of them would be larger than the file.
pub(super) fn spend(left: u64, content: &Range<u64>) -> Result<u64, CannotStrip> {
    let left = left.checked_sub(content.end - content.start);
    left.ok_or_else(|| CannotStrip::new("its sections lie over each other"))
}

/// Returns a section that is not loaded.
fn added<'a>(out: &mut Composite<'_>, name: &'a [u8], content: &[u8], align: u64) -> Section<'a> {
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
fn end_of_loaded(file: &File<'_>) -> Result<u64, CannotStrip> {
    let header = u64::from(if file.ctx.is_big() { 64_u8 } else { 52 });
    let count = file.segments.len() as u64;
    let table = count.saturating_mul(file.header.e_phentsize.into());
    let mut end = header.max(file.header.e_phoff.saturating_add(table));
    for segment in file.segments.iter().filter(|s| s.p_type != PT_NULL) {
        if segment.p_filesz > 0 {
            file.segment(segment)?;
            end = end.max(segment.p_offset.saturating_add(segment.p_filesz));
        }
    }
    for section in file.sections.iter().filter(|section| is_alloc(section)) {
        if !file.place(section)?.is_empty() {
            end = end.max(section.sh_offset.saturating_add(section.sh_size));
        }
    }
    if end > file.source.size() {
        return Err(CannotStrip::new("its headers end after the file's end"));
    }
    Ok(end)
}

/// The sections that stay, and their offsets.
struct Kept {
    /// For every new section its old index; none for one that only keeps the place of another.
    old: Vec<Option<usize>>,
    /// For every old section its new index; 0 for one that is removed.
    new: Vec<u32>,
}

impl Kept {
    /// Sections up to the last loaded one keep their indices, since loaded symbols name them by
    /// index (`st_shndx` in `.dynsym`); linkers put what is not loaded behind them anyhow.
    fn choose(file: &File<'_>, keep: Keep<'_>, replace_link: bool) -> Self {
        let last = file.sections.iter().rposition(is_alloc).unwrap_or_default();
        let mut kept = Kept { old: Vec::new(), new: Vec::with_capacity(file.sections.len()) };
        for (index, section) in file.sections.iter().enumerate() {
            let stays = index == 0 || is_kept(file, section, keep, replace_link);
            let place = u32::try_from(kept.old.len()).unwrap_or_default();
            kept.new.push(if stays { place } else { 0 });
            if stays || index < last {
                kept.old.push(stays.then_some(index));
            }
        }
        kept
    }

    /// Makes a header's references to other sections those of the new table.
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

fn is_kept(file: &File<'_>, section: &SectionHeader, keep: Keep<'_>, replace_link: bool) -> bool {
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
/// ranges `may`: the fields of the ELF header that say where the section headers are, and the
/// build id.
fn unchanged(out: &Composite<'_>, end: u64, may: &[Range<u64>]) -> Result<(), CannotStrip> {
    let allowed = |changed: Range<u64>| {
        may.iter().any(|may| may.start <= changed.start && changed.end <= may.end)
    };
    if out.changed(end).all(allowed) {
        return Ok(());
    }
    Err(CannotStrip::new("stripping would change what is loaded"))
}
