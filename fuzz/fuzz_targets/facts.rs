//! Facts of, and verdicts on, any bytes; stripping them; and the same read in pieces.
#![no_main]

use std::io;

use libfuzzer_sys::fuzz_target;
use longshore::{
    binary::{
        elf::{Facts, StripOptions, split, strip},
        foreign,
    },
    build::target::Targets,
    model::source::{ReadAt, Source},
    verify::{self, FileContext, Policy, Report},
};

/// A file of which only pieces are read.
struct Pieces<'a>(&'a [u8]);

impl ReadAt for Pieces<'_> {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.checked_add(buffer.len());
        let piece = end.and_then(|end| self.0.get(start..end));
        buffer.copy_from_slice(piece.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let pieces = Pieces(bytes);
    let source = Source::File(&pieces);
    let facts = Facts::read(bytes);
    assert_eq!(facts, Facts::read(source));
    let targets = Targets::new([]).unwrap();
    let target = targets.get("x86_64-unknown-linux-musl").unwrap();
    for policy in [Policy::for_any(), target.policy()] {
        let verdict = verify::verify(bytes, &policy);
        assert_eq!(verdict, verify::verify(source, &policy));
        let _ = Report::new("x", &verdict).to_string();
    }
    if let Ok(facts) = &facts {
        let _ = verify::fact::list_facts(facts);
        let _ = verify::fact::panic_facts(source, facts);
    }
    let _ = strip(bytes, StripOptions::default());
    let _ = split(bytes, StripOptions::default(), "x.debug");
    for slice in foreign::read_slices(source).unwrap_or_default() {
        let _ = foreign::FileRange::new(source, slice.start, slice.size);
    }
    if let Some(format) = foreign::format(bytes)
        && let Ok(facts) = foreign::read(source, format)
    {
        let _ = verify::judge_foreign(source, &facts, &FileContext::default(), &Policy::for_any());
        let _ = verify::foreign_facts(&facts);
    }
});
