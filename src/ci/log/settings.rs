//! The settings of the log from the environment: the interval of the heartbeat, and the job's time limit.

use std::time::Duration;

use crate::model::error::{Error, Result};

/// The default interval of the heartbeat.
const HEARTBEAT: u64 = 60;

/// The maximum difference between the clocks of the provider and the job, in seconds.
const SKEW: u64 = 3600;

/// The values of the variables.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The time without output before a heartbeat; `None` disables it.
    pub heartbeat: Option<Duration>,
    /// The time limit of the job.
    pub limit: Option<Limit>,
}

/// The time limit of a job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// The time limit of the job.
    pub whole: Duration,
    /// The time that had passed when this program started.
    pub before: Duration,
}

impl Settings {
    /// Reads `LONGSHORE_HEARTBEAT`, `LONGSHORE_TIME_LIMIT` and `LONGSHORE_JOB_STARTED`; `var` gives
    /// the variables that are not empty, and `now` is in seconds since 1970.
    ///
    /// # Errors
    /// One of them has no such value.
    pub fn read<'a>(var: impl Fn(&str) -> Option<&'a str>, now: u64) -> Result<Self> {
        let rejected = |name: &str, value: &str, hint: &str| {
            Error::usage(format!("`{name}` is `{}`", value.escape_debug())).hint(hint)
        };
        let heartbeat = match var("LONGSHORE_HEARTBEAT") {
            None => HEARTBEAT,
            Some(value) => value.parse::<u32>().map(u64::from).map_err(|_| {
                let hint = "expected a number of seconds; 0 disables the heartbeat";
                rejected("LONGSHORE_HEARTBEAT", value, hint)
            })?,
        };
        let started = match var("LONGSHORE_JOB_STARTED") {
            None => now,
            Some(value) => {
                let hint = "it is when the job began, in seconds since 1970: `date +%s`";
                let started =
                    value.parse::<u64>().ok().filter(|at| *at <= now.saturating_add(SKEW));
                started.ok_or_else(|| rejected("LONGSHORE_JOB_STARTED", value, hint))?
            }
        };
        let limit = match var("LONGSHORE_TIME_LIMIT") {
            None => None,
            Some(value) => {
                let minutes = value.parse::<f64>().ok().filter(|minutes| *minutes > 0.0);
                let whole = minutes
                    .and_then(|minutes| Duration::try_from_secs_f64(minutes * 60.0).ok())
                    .filter(|whole| *whole < Duration::from_secs(1 << 40));
                let hint = "it is how many minutes the job may take";
                let whole = whole.ok_or_else(|| rejected("LONGSHORE_TIME_LIMIT", value, hint))?;
                Some(Limit { whole, before: Duration::from_secs(now.saturating_sub(started)) })
            }
        };
        let heartbeat = (heartbeat > 0).then(|| Duration::from_secs(heartbeat));
        Ok(Settings { heartbeat, limit })
    }
}
