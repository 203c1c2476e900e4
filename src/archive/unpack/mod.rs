//! Archives and images, read as streams: nothing is written anywhere, and memory does not grow with
//! what is in them.

mod ar;
mod entry;
mod format;
mod library;
pub(crate) mod limit;
mod rpm;
pub(crate) mod stream;
pub(crate) mod tar;
mod zip;

pub use ar::{Member, is_deb, read_deb};
pub use entry::{ArchiveEntry, DEPTH, Device, EntryKind, MAX_PATH, Stat, escaped};
pub use format::ArchiveFormat;
pub use library::library_symbols;
pub use limit::{Budget, MAX_RATIO, MAX_UNPACKED};
pub use rpm::{RpmHeaders, is_rpm, read_rpm, read_rpm_headers};
pub use stream::{Compression, HashingReader, unpack};
pub use tar::{
    SPARSE, is_tar, read as read_tar, read_listing as read_tar_listing,
    read_strictly as read_tar_strictly,
};
pub use zip::{is_zip, read as read_zip};

/// The most entries of an archive, or of an image's layers together.
pub const MAX_ENTRIES: usize = 1 << 18;
