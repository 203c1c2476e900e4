//! One section of a file.

use super::file::ElfFile;

use crate::model::source::{ReadError, Source};

/// Returns the bytes of the first section called `name`; `None` if it is absent.
///
/// # Errors
/// It is not an ELF file that can be read.
pub fn read_section<'a>(
    source: impl Into<Source<'a>>,
    name: &str,
) -> Result<Option<Vec<u8>>, ReadError> {
    let file = ElfFile::read(source)?;
    let found = file.sections.iter().find(|section| file.name(section) == name.as_bytes());
    found.map(|section| file.content(section).map(std::borrow::Cow::into_owned)).transpose()
}
