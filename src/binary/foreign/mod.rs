//! Facts of programs for other systems than Linux: Mach-O and PE files, read in chunks, so that a
//! complete release can be inspected.

mod macho;
mod pe;

use std::{borrow::Cow, io};

pub use macho::{Slice, is_fat as is_universal, read_slices};

use crate::model::source::{ReadAt, ReadError, Source};

/// The most libraries, and the most search paths, that are read.
const MAX_NAMES: usize = 4096;

/// The longest name that is read.
const MAX_NAME: u64 = 4096;

/// The facts that a program records about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignFacts {
    /// The kind of the file.
    pub format: ForeignFormat,
    /// The size of the file, or of the part that is for one machine.
    pub size: u64,
    /// 32 or 64.
    pub class: u8,
    /// The machine, as its makers call it, or the number where it has no name here.
    pub machine: Cow<'static, str>,
    /// The kind of program.
    pub kind: ProgramKind,
    /// The shared libraries that it needs.
    pub libraries: Vec<String>,
    /// The search path for its libraries (`LC_RPATH`).
    pub run_paths: Vec<String>,
    /// Whether it has a signature. The signer and the validity are not checked.
    pub signed: bool,
    /// Whether it has symbols that are not needed to run.
    pub symbols: bool,
    /// Whether it has debug information, not only a reference to some.
    pub debug: bool,
    /// Whether it can be loaded at any address.
    pub any_address: bool,
    /// Whether its stack may be executed.
    pub executable_stack: bool,
    /// The oldest version of the system that it supports.
    pub system: Option<String>,
    /// The id of its debug information: `LC_UUID`.
    pub id: Option<Vec<u8>>,
}

/// The format of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignFormat {
    /// Mach-O, of macOS.
    MachO,
    /// Portable Executable, of Windows.
    Pe,
}

impl ForeignFormat {
    /// Returns the usual name of such a file.
    pub fn name(self) -> &'static str {
        match self {
            ForeignFormat::MachO => "Mach-O",
            ForeignFormat::Pe => "PE",
        }
    }
}

/// The kind of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramKind {
    /// To be started.
    Program,
    /// To be loaded by programs.
    Library,
    /// To be linked, or read by a debugger.
    Other(&'static str),
}

/// Returns the kind of a file with the beginning `start`, of at least 8 bytes, if it is a program for
/// another system.
pub fn format(start: &[u8]) -> Option<ForeignFormat> {
    match start {
        [b'M', b'Z', ..] => Some(ForeignFormat::Pe),
        _ if macho::is_thin(start) => Some(ForeignFormat::MachO),
        _ => None,
    }
}

/// Returns the facts of a file for one machine.
///
/// # Errors
/// It is not of that format, or a table is not wholly in it.
pub fn read(source: Source<'_>, format: ForeignFormat) -> Result<ForeignFacts, ReadError> {
    match format {
        ForeignFormat::MachO => macho::read(source),
        ForeignFormat::Pe => pe::read(source),
    }
}

/// A part of a file, read as a separate file.
#[derive(Clone, Copy, Debug)]
pub struct FileRange<'a> {
    source: Source<'a>,
    start: u64,
    size: u64,
}

impl<'a> FileRange<'a> {
    /// Returns the `size` bytes from `start`; `None` if there are fewer.
    pub fn new(source: Source<'a>, start: u64, size: u64) -> Option<Self> {
        let end = start.checked_add(size)?;
        (end <= source.size()).then_some(FileRange { source, start, size })
    }
}

impl ReadAt for FileRange<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let outside = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let len = buffer.len() as u64;
        offset.checked_add(len).filter(|end| *end <= self.size).ok_or_else(outside)?;
        let start = self.start.checked_add(offset).ok_or_else(outside)?;
        let bytes = self.source.read(start, len).map_err(io::Error::other)?.ok_or_else(outside)?;
        buffer.copy_from_slice(&bytes);
        Ok(())
    }
}

/// Returns a number of `size` bytes, at most 8, at `at`.
fn number(bytes: &[u8], at: usize, size: usize, little: bool) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(size)?)?;
    let add = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
    Some(if little { field.iter().rev().fold(0, add) } else { field.iter().fold(0, add) })
}

/// Returns the text up to the first NUL.
fn text(bytes: &[u8]) -> String {
    let name = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
pub(crate) use tests::{macho_sample, pe_sample};
#[cfg(test)]
mod tests;
