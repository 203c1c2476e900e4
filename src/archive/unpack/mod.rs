//! Archives and images, read as streams: nothing is written anywhere, and memory does not grow with
//! what is in them.

mod ar;
mod entry;
mod format;
pub(crate) mod gauge;
mod library;
pub(crate) mod stream;
pub(crate) mod tar;
mod zip;

pub use ar::{Member, deb, is_deb};
pub use entry::{DEPTH, Device, Entry, Kind, PATH, Stat, escaped};
pub use format::Format;
pub use gauge::{Budget, MOST, TIMES};
pub use library::library_symbols;
pub use stream::{Packing, Tee, unpack};
pub use tar::{SPARSE, is_tar, read as tar, read_listing as tar_list, read_strictly as tar_file};
pub use zip::{is_zip, read as zip};

/// The most entries of an archive, or of an image's layers together.
pub const ENTRIES: usize = 1 << 18;
