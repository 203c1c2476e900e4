//! Images of every form, read without a registry.

pub mod annotation;
pub mod image;
pub mod layers;
pub mod layout;
pub mod platform;
pub mod saved;
