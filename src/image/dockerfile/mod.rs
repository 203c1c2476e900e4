//! Dockerfiles that only place files: what they say, and what they mean for one platform.
//!
//! [`parse`] and [`Dockerfile::evaluate`] take the part of the language that needs nothing to run,
//! and mean what BuildKit means by it: variables, stages, the image's configuration, and the text
//! of its history, byte for byte. Everything else is refused by name, with the line it is in.
//! Nothing here reads a file: a `COPY` comes out as what is to be copied where.
//!
//! The rules are those of the Dockerfile reference (<https://docs.docker.com/reference/dockerfile/>)
//! and, where that is silent, of BuildKit 0.26 (frontend/dockerfile); each is named where it is kept.
//!
//! Besides what would have to run or be fetched (`RUN`, `ADD`, `ONBUILD`, other images, heredocs, the
//! shell forms), these are refused although BuildKit takes them, since they are mistakes or need
//! files that an empty image has not: users by name where something is to belong to them, or without
//! an `/etc/passwd` in the image, symbolic modes, two stages of one name, a source that is empty once it is expanded, several sources for
//! what is no directory, ports of the host in `EXPOSE`, and flags of `ARG`, `STOPSIGNAL` and
//! `HEALTHCHECK NONE`, which BuildKit never looks at.

pub mod builtin;
mod evaluate;
mod expand;
mod expose;
mod file;
mod flag;
mod go;
pub mod ignore;
mod instruction;
mod line;
mod path;
pub mod pattern;
mod run;
mod shell;
mod source;
mod trim;
mod word;

#[cfg(test)]
mod error_tests;
#[cfg(test)]
mod evaluate_tests;
#[cfg(test)]
mod expand_tests;
#[cfg(test)]
mod parse_tests;

pub use evaluate::{Action, Arguments, Copy, Evaluated, Stage, Step};
pub use file::{Dockerfile, parse};
pub use source::Span;
