//! The documents of a release: merging, SBOM, provenance, signatures.

pub mod bom;
pub mod merge;
pub mod provenance;
pub mod publish;
pub mod reproduce;
pub mod signature;
