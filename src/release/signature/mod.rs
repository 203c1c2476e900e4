//! Signatures over a release: the checksums that are signed, and minisign's format. The signed checksums
//! prove that a file is correct.

pub mod bundle;
pub mod checksums;
#[cfg_attr(not(feature = "sign"), path = "without/minisign.rs")]
pub mod minisign;

pub use checksums::Checksums;

/// The file of checksums.
pub const CHECKSUMS: &str = "SHA256SUMS";

/// minisign's signature of it, as minisign itself would name it.
pub const MINISIGN: &str = "SHA256SUMS.minisig";

/// Sigstore's bundle of it.
pub const SIGSTORE: &str = "SHA256SUMS.sigstore.json";
