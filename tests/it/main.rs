//! The integration tests: one binary, so that it links once.
// Tests start peers and write files; only the library leaves that to one place.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)]
// A helper that fails fails its test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod agreement;
mod agreement_peers;
mod archive;
mod attach;
mod blame;
mod cache;
mod ci;
mod ci_check_run;
mod ci_comment;
mod ci_logs;
mod ci_run;
mod cli;
mod corpus;
mod dist;
mod failure;
mod faults;
mod image;
mod inspect;
mod inspect_refused;
mod measure;
mod merge;
mod merge_remote;
mod native;
mod pack;
mod plan;
mod provenance;
mod published;
mod push;
mod recipe;
mod recipe_buildah;
mod recipe_random;
mod reentry;
mod registry;
mod registry_tls;
mod release;
mod reproducible;
mod schema;
mod sign;
mod sign_cosign;
mod size;
mod size_page;
mod size_real;
mod support;
mod tags;
mod tidy;
mod tuning;
mod usage;
mod verify;
mod verify_archive;
mod verify_cli;
mod verify_image;
mod verify_policy;
