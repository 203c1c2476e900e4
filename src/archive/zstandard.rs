//! Zstandard (RFC 8878).

pub(crate) use ::zstd::{Decoder, Encoder, zstd_safe::get_error_name};
