//! Facts read from the bytes of an ELF file.
