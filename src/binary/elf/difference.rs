//! The differences between two builds of one program, in terms of its contents.

use std::ops::Range;

use goblin::elf::{
    section_header::{SHT_NOBITS, SectionHeader},
    sym::{STT_FUNC, STT_OBJECT, Sym},
};

use super::{
    file::{ElfFile, is_alloc, text},
    symbol,
};
use crate::model::source::{ReadError, Source};

/// The first place where two files differ that is not a mere consequence of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The first differing byte's offset in the first file, in the section that is named.
    pub offset: u64,
    /// The section that holds it; absent where only headers and what is between sections differ,
    /// or where the file cannot be read.
    pub section: Option<String>,
    /// The function or variable that holds it, where it has a symbol.
    pub symbol: Option<String>,
    /// The contents of the first and of the second file: text if it is printable, else bytes.
    pub content: [String; 2],
}

/// The number of bytes that are shown before the difference, and from it on.
const SHOWN: (u64, u64) = (16, 32);

/// Compares two stripped programs; `None` where they are the same. `unstripped` is what the first
/// was stripped from: loaded bytes have the same addresses there, and its symbols name them.
///
/// Sections that follow from others (addresses, unwind tables, the build id) are named only where
/// nothing else differs; among the rest one of another size comes first, since it moves what is
/// behind it.
///
/// # Errors
/// A file cannot be read.
pub fn find_difference<'a>(
    first: impl Into<Source<'a>>,
    second: impl Into<Source<'a>>,
    unstripped: impl Into<Source<'a>>,
) -> Result<Option<Difference>, ReadError> {
    let (first, second) = (first.into(), second.into());
    let (full_range, other) = (0..first.size(), 0..second.size());
    let Some(at) = first.first_difference(full_range.clone(), second, other.clone())? else {
        return Ok(None);
    };
    let found = match (ElfFile::read(first), ElfFile::read(second)) {
        (Ok(one), Ok(two)) => compare_sections(&one, &two, unstripped.into()).ok().flatten(),
        _ => None,
    };
    if found.is_some() {
        return Ok(found);
    }
    let content = [excerpt(first, full_range, at)?, excerpt(second, other, at)?];
    Ok(Some(Difference { offset: at, section: None, symbol: None, content }))
}

fn compare_sections(
    one: &ElfFile<'_>,
    two: &ElfFile<'_>,
    unstripped: Source<'_>,
) -> Result<Option<Difference>, ReadError> {
    let mut best: Option<((bool, bool, u64), Difference)> = None;
    let mut other_sections: Vec<Option<&SectionHeader>> = two.sections.iter().map(Some).collect();
    for section in &one.sections {
        let name = one.name(section);
        // The same name may be there several times, in the same order.
        let same = |other: &Option<&SectionHeader>| other.is_some_and(|it| two.name(it) == name);
        let index = other_sections.iter().position(same);
        let other = index.and_then(|at| other_sections.get_mut(at)?.take());
        let content = one.section_range(section)?;
        let other_content = other.map_or(Ok(0..0), |other| two.section_range(other))?;
        let same_size = other.is_some_and(|other| other.sh_size == section.sh_size);
        let at = one.source.first_difference(content.clone(), two.source, other_content.clone())?;
        if same_size && at.is_none() {
            continue;
        }
        let rank = (is_derived(name), same_size, section.sh_offset);
        if best.as_ref().is_some_and(|(other, _)| *other <= rank) {
            continue;
        }
        let at = at.filter(|_| section.sh_type != SHT_NOBITS).unwrap_or_default();
        let address = section.sh_addr.saturating_add(at);
        let found = Difference {
            offset: section.sh_offset.saturating_add(at),
            section: Some(text(name)),
            symbol: if is_alloc(section) { symbol_at(unstripped, address) } else { None },
            content: [excerpt(one.source, content, at)?, excerpt(two.source, other_content, at)?],
        };
        best = Some((rank, found));
    }
    Ok(best.map(|(_, found)| found))
}

/// Returns whether a section holds data that is derived from others: addresses, offsets, digests.
fn is_derived(name: &[u8]) -> bool {
    let starts: [&[u8]; 11] = [
        b".note.gnu.build-id",
        b".dyn",
        b".gnu.hash",
        b".hash",
        b".rel",
        b".eh_frame",
        b".gcc_except_table",
        b".got",
        b".init_array",
        b".shstrtab",
        b".gnu_debuglink",
    ];
    // `.rel.dyn`, `.rela.dyn` and `.relr.dyn`, but not `.relro_padding`.
    starts.iter().any(|start| name.starts_with(start)) && !name.starts_with(b".relro")
}

/// Returns the context of the byte `at` of `range`: as text if nearly all of it is text, else the bytes
/// from there on.
fn excerpt(source: Source<'_>, range: Range<u64>, at: u64) -> Result<String, ReadError> {
    if at >= range.end - range.start {
        return Ok("(its end)".to_owned());
    }
    let at = range.start + at;
    let start = at.saturating_sub(SHOWN.0).max(range.start);
    let around = source.read_up_to(start, at.saturating_add(SHOWN.1).min(range.end) - start)?;
    let printable = around.iter().filter(|byte| matches!(byte, b' '..=b'~')).count();
    if printable * 4 >= around.len() * 3 {
        return Ok(format!("`{}`", around.escape_ascii()));
    }
    let hex = around.iter().skip((at - start) as usize).take(16);
    Ok(hex.map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "))
}

/// Returns the innermost function or variable at `address`.
fn symbol_at(unstripped: Source<'_>, address: u64) -> Option<String> {
    let mut best: Option<(u64, String)> = None;
    let visit = |symbol: &Sym, name: &[u8]| {
        let inside = address.checked_sub(symbol.st_value).is_some_and(|at| at < symbol.st_size);
        let kind = [STT_OBJECT, STT_FUNC].contains(&symbol.st_type());
        if inside && kind && best.as_ref().is_none_or(|(size, _)| symbol.st_size < *size) {
            best = Some((symbol.st_size, text(name)));
        }
    };
    symbol::for_each_symbol(&ElfFile::read(unstripped).ok()?, visit).ok()?;
    best.map(|(_, name)| name).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::elf::fixture::{Fixture, MACHINES, SHT_PROGBITS, SHT_SYMTAB, mutate};

    #[test]
    fn equal_files_do_not_differ() {
        let bytes = Fixture::new(MACHINES[0]).build();
        assert_eq!(find_difference(&bytes, &bytes, &bytes), Ok(None));
    }

    #[test]
    fn causes_come_before_derived_differences() {
        for machine in MACHINES {
            let mut fixture = Fixture::new(machine);
            fixture.text = b"made at 12:00:01, and more text than that".to_vec();
            let one = fixture.build();
            // The build id is in front of it, and differs too.
            fixture.build_id = Some(vec![0xcd; 20]);
            fixture.text = b"made at 12:00:02, and more text than that".to_vec();
            let found = find_difference(&one, &fixture.build(), &one).unwrap().unwrap();
            assert_eq!(found.section.as_deref(), Some(".text"));
            assert_eq!(one[found.offset as usize], b'1');
            assert!(one[..found.offset as usize].ends_with(b"made at 12:00:0"));
            assert!(found.content[0].contains("12:00:01"), "{found:?}");
            assert!(found.content[1].contains("12:00:02"), "{found:?}");
            assert_eq!(found.symbol, None);
        }
    }

    #[test]
    fn a_section_that_is_longer_comes_first() {
        let mut fixture = Fixture::new(MACHINES[0]);
        fixture.sections.push((".late", SHT_PROGBITS, b"short".to_vec()));
        let one = fixture.build();
        fixture.text = b"Some text".to_vec();
        fixture.sections.last_mut().unwrap().2 = b"shorter?".to_vec();
        let found = find_difference(&one, &fixture.build(), &one).unwrap().unwrap();
        assert_eq!(found.section.as_deref(), Some(".late"));
        assert_eq!(found.content[0], "(its end)");
        // One that was removed.
        fixture.text = b"some text".to_vec();
        fixture.sections.pop();
        let found = find_difference(&one, &fixture.build(), &one).unwrap().unwrap();
        assert_eq!(found.section.as_deref(), Some(".late"));
    }

    #[test]
    fn the_symbol_is_named() {
        let mut fixture = Fixture::new(MACHINES[0]);
        let one = fixture.build();
        let text = crate::binary::elf::Facts::read(&one).unwrap().size; // beyond every address in it
        let at = one.windows(9).position(|part| part == b"some text").unwrap() as u64;
        let mut table = vec![0; 24];
        for (name, info, value, len) in
            [(1_u32, 2_u8, at, 9_u64), (8, 1, at + 1, 2), (1, 0, at + 1, 1), (1, 2, text, 1)]
        {
            table.extend(name.to_le_bytes());
            table.extend([info, 0, 1, 0]);
            table.extend((0x1_0000 + value).to_le_bytes());
            table.extend(len.to_le_bytes());
        }
        fixture.sections.push((".symtab", SHT_SYMTAB, table));
        fixture.sections.push((".strtab", 3, b"\0whole.\0part\0".to_vec()));
        let mut unstripped = fixture.build();
        // The table's `sh_link` is that of its names: after null, build id, dynamic, text, comment.
        let headers = u64::from_le_bytes(unstripped[40..48].try_into().unwrap()) as usize;
        let link = headers + 5 * 64 + 40;
        unstripped[link..link + 4].copy_from_slice(&6_u32.to_le_bytes());
        let changed = |into: usize| {
            let mut two = one.clone();
            two[at as usize + into] ^= 1;
            find_difference(&one, &two, &unstripped).unwrap().unwrap().symbol
        };
        assert_eq!(changed(0).as_deref(), Some("whole."));
        assert_eq!(changed(2).as_deref(), Some("part"));
    }

    #[test]
    fn unreadable_files_still_differ() {
        let found = find_difference(b"abc", b"abd", b"").unwrap().unwrap();
        assert_eq!((found.offset, found.section), (2, None));
        let good = Fixture::new(MACHINES[0]).build();
        let mut state = 0x9e37_79b9_7f4a_7c15;
        for _ in 0..2000 {
            let (one, two) = (mutate(&good, &mut state), mutate(&good, &mut state));
            assert_eq!(find_difference(&one, &two, &one).unwrap().is_none(), one == two);
        }
    }
}
