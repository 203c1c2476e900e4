//! Values that every wing uses.

pub mod bytes;
pub mod collect;
pub mod command;
pub mod digest;
pub mod error;
pub mod event;
pub mod feature;
pub mod http;
pub mod json;
pub mod license;
pub mod machine;
pub mod markup;
pub mod platform;
pub mod provider;
pub mod reference;
pub mod schema;
pub mod seconds;
pub mod secret;
pub mod source;
pub mod suggest;
pub mod url;
pub mod withheld;
