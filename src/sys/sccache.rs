//! sccache, if it is cargo's `RUSTC_WRAPPER`: its cache hits and misses.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    model::{command::Command, error::Result, schema::dist::Sccache},
    sys::Context,
};

/// The output of `sccache --show-stats --stats-format=json`, of which only the counts matter
/// (<https://github.com/mozilla/sccache>).
#[derive(Debug, Deserialize)]
struct StatsOutput {
    stats: Stats,
}

#[derive(Debug, Deserialize)]
struct Stats {
    cache_hits: Counts,
    cache_misses: Counts,
}

/// By language.
#[derive(Debug, Deserialize)]
struct Counts {
    counts: BTreeMap<String, u64>,
}

/// Runs `work`, and reports the requests to sccache during it, if `wrapper` is sccache.
///
/// # Errors
/// Those of `work`.
pub fn count_requests<T>(
    cx: &Context,
    wrapper: Option<&str>,
    work: impl FnOnce() -> Result<T>,
) -> Result<(T, Option<Sccache>)> {
    let program = program(wrapper);
    let current = || program.and_then(|program| read_counts(cx, program));
    let before = current();
    let done = work()?;
    let counts = before.zip(current()).map(|(before, after)| Sccache {
        hits: after.hits.saturating_sub(before.hits),
        misses: after.misses.saturating_sub(before.misses),
    });
    if let Some(Sccache { hits, misses }) = counts {
        cx.status("Asked", format!("sccache: {hits} hits, {misses} misses"));
    }
    Ok((done, counts))
}

/// Returns the program, if `wrapper`, cargo's `build.rustc-wrapper` or `RUSTC_WRAPPER`, is sccache.
fn program(wrapper: Option<&str>) -> Option<&str> {
    let wrapper = wrapper?;
    let stem = camino::Utf8Path::new(wrapper).file_stem()?;
    (stem == "sccache").then_some(wrapper)
}

/// Returns what the server of `program` has counted since it started; `None` when it does not answer.
fn read_counts(cx: &Context, program: &str) -> Option<Sccache> {
    let command = Command::new(program).args(["--show-stats", "--stats-format=json"]);
    let output = cx.children.output(&command).ok().filter(|output| output.success())?;
    parse(&output.stdout)
}

fn parse(text: &[u8]) -> Option<Sccache> {
    let StatsOutput { stats } = serde_json::from_slice(text).ok()?;
    let sum = |counts: Counts| counts.counts.values().sum();
    Some(Sccache { hits: sum(stats.cache_hits), misses: sum(stats.cache_misses) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_languages_are_added() {
        let text = br#"{"stats":{"compile_requests":9,"cache_hits":{"counts":{"Rust":3,"C/C++":1},
            "adv_counts":{}},"cache_misses":{"counts":{"Rust":2}}},"cache_size":1}"#;
        assert_eq!(parse(text), Some(Sccache { hits: 4, misses: 2 }));
        assert_eq!(parse(b"no server"), None);
    }

    #[test]
    fn the_wrapper_is_known_by_its_name() {
        assert_eq!(program(Some("/usr/bin/sccache")), Some("/usr/bin/sccache"));
        assert_eq!(program(Some("cachepot")), None);
        assert_eq!(program(None), None);
    }
}
