//! Dockerfiles that only copy files: their syntax, and their evaluation for one platform.
//!
//! [`parse`] and [`Dockerfile::evaluate`] take the part of the language that needs nothing to run, with
//! the meaning that BuildKit gives it: variables, stages, the image's configuration, and the text of
//! its history, byte for byte. Everything else is rejected by name, with its line. Nothing here reads a
//! file: a `COPY` evaluates to the list of files to copy.
//!
//! The rules are those of the Dockerfile reference (<https://docs.docker.com/reference/dockerfile/>)
//! and, where that is silent, of BuildKit 0.26 (frontend/dockerfile); each is named where it is kept.
//!
//! Besides instructions that would have to run or fetch something (`RUN`, `ADD`, `ONBUILD`, other
//! images, heredocs, the shell forms), these are rejected although BuildKit accepts them, since they
//! are mistakes or need files that an empty image lacks: users by name as owners of files, or without
//! an `/etc/passwd` in the image, symbolic modes, two stages of one name, a source that is empty once
//! it is expanded, several sources for a destination that is not a directory, ports of the host in
//! `EXPOSE`, and flags of `ARG`, `STOPSIGNAL` and `HEALTHCHECK NONE`, which BuildKit never reads.

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
