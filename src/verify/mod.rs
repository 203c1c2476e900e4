//! Verdicts on binaries: lints over the facts that [`crate::elf`] reads.
