//! Tar archives written field by field, so that every part of a header can be wrong.

/// The two blocks of zeros that end an archive.
pub(crate) const END: [u8; 1024] = [0; 1024];

pub(crate) const USTAR: &[u8; 8] = b"ustar\x0000";
pub(crate) const GNU: &[u8; 8] = b"ustar  \0";
pub(crate) const V7: &[u8; 8] = &[0; 8];

/// A header and its content.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    block: [u8; 512],
    content: Vec<u8>,
}

impl Entry {
    pub(crate) fn new(kind: u8, name: impl AsRef<[u8]>) -> Self {
        let entry = Entry { block: [0; 512], content: Vec::new() };
        let entry = entry.field(0, name).field(156, [kind]).magic(USTAR).mode(0o755);
        let zero = b"0000000\0";
        entry.field(108, zero).field(116, zero).size(0).field(136, b"00000000000\0")
    }

    pub(crate) fn file(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        Entry { content: content.to_vec(), ..Entry::new(b'0', name).size(content.len() as u64) }
    }

    pub(crate) fn link(kind: u8, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Entry::new(kind, name).field(157, target)
    }

    /// Writes bytes into the header.
    pub(crate) fn field(mut self, at: usize, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.block[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(crate) fn magic(self, magic: &[u8; 8]) -> Self {
        self.field(257, magic)
    }

    pub(crate) fn mode(self, mode: u32) -> Self {
        self.field(100, format!("{mode:07o}\0"))
    }

    /// Returns the size in the header, whatever the content is.
    pub(crate) fn size(self, size: u64) -> Self {
        self.field(124, format!("{size:011o}\0"))
    }

    /// Returns the header, with its checksum, and the content up to the end of its last block.
    pub(crate) fn bytes(mut self) -> Vec<u8> {
        self.block[148..156].fill(b' ');
        let sum: u32 = self.block.iter().map(|&byte| u32::from(byte)).sum();
        self.field(148, format!("{sum:06o}\0 ")).unchecked()
    }

    /// Returns the same with the checksum that was written into it.
    pub(crate) fn unchecked(mut self) -> Vec<u8> {
        self.content.resize(self.content.len().next_multiple_of(512), 0);
        [&self.block[..], &self.content].concat()
    }
}

/// Returns one pax record.
pub(crate) fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let body = [b" ", key, b"=", value, b"\n"].concat();
    let mut len = body.len();
    while len.to_string().len() + body.len() != len {
        len = len.to_string().len() + body.len();
    }
    [len.to_string().as_bytes(), &body].concat()
}

/// Returns a pax header: `x` for the next entry, `g` for all that follow.
pub(crate) fn pax(kind: u8, records: &[(&str, &[u8])]) -> Vec<u8> {
    let records: Vec<_> =
        records.iter().map(|(key, value)| record(key.as_bytes(), value)).collect();
    extension(kind, &records.concat())
}

/// Returns a GNU long name (`L`) or long target (`K`).
pub(crate) fn long(kind: u8, name: &[u8]) -> Vec<u8> {
    extension(kind, &[name, b"\0"].concat())
}

/// Returns an extended header with any content.
pub(crate) fn extension(kind: u8, content: &[u8]) -> Vec<u8> {
    let name = if matches!(kind, b'L' | b'K') { "././@LongLink" } else { "PaxHeader" };
    Entry::file(name, content).field(156, [kind]).bytes()
}

/// Returns an archive of these parts.
pub(crate) fn archive(parts: &[Vec<u8>]) -> Vec<u8> {
    [&parts.concat()[..], &END].concat()
}
