//! The running steps with their times, and when to report them. It reads no clock: every call passes the
//! time, counted from the start of the program.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::Limit;
use crate::model::{collect::SortStable as _, event::Event};

/// The share of the job's time after which a warning is printed, in percent.
const WARN_AT: u32 = 80;

/// The maximum number of units that a line names.
const MAX_NAMED: usize = 5;

/// The verb of the progress that names units.
const BUILDING: &str = "Building";

/// A line that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DueLine {
    /// A heartbeat.
    Alive(String),
    /// The warning that the job's time is running out.
    Late(String),
}

/// The state of the log, from the events.
#[derive(Debug)]
pub struct Heartbeat {
    every: Option<Duration>,
    /// The job's limit, until it was warned of.
    limit: Option<Limit>,
    printed: Duration,
    stage: Option<(&'static str, Duration)>,
    /// The units that are being compiled, with the times at which they were first listed. Those of several
    /// targets have the same name; the first of them is assumed to finish first.
    units: BTreeMap<String, VecDeque<Duration>>,
    /// The durations of finished units.
    done: Vec<(String, Duration)>,
    /// The last state of a bar.
    bar: Option<String>,
    /// The last step, in lowercase.
    step: Option<String>,
}

impl Heartbeat {
    /// Starts at the time 0. Without `every` there is no heartbeat, without `limit` no warning.
    pub fn new(every: Option<Duration>, limit: Option<Limit>) -> Self {
        Heartbeat {
            every,
            limit,
            printed: Duration::ZERO,
            stage: None,
            units: BTreeMap::new(),
            done: Vec::new(),
            bar: None,
            step: None,
        }
    }

    /// Records that something was printed.
    pub fn printed(&mut self, now: Duration) {
        self.printed = now;
    }

    /// Records an event.
    pub fn note(&mut self, event: &Event, now: Duration) {
        match event {
            Event::Stage { name } => {
                self.finish_units(now);
                self.step = None;
                self.stage = Some((name, now));
            }
            Event::Progress { verb, done, total, detail } => {
                if *verb == BUILDING {
                    self.record_units(detail, now);
                    self.bar = Some(format!("{done} of {total} units are done"));
                } else {
                    self.bar = Some(format!("{} {done} of {total}", verb.to_lowercase()));
                }
            }
            Event::ProgressDone => self.finish_units(now),
            Event::Summary { .. } => {
                self.finish_units(now);
                self.stage = None;
            }
            Event::Status { verb, message } => {
                self.step = Some(format!("{} {message}", verb.to_lowercase()));
            }
            Event::Warning { .. } | Event::Output { .. } => {}
        }
    }

    /// Records cargo's list of the units that it compiles: names, separated by commas, truncated with `...` if
    /// it is too long for the line.
    fn record_units(&mut self, list: &str, now: Duration) {
        let (list, whole) = match list.strip_suffix("...") {
            // The last name may be cut in the middle.
            Some(list) => (list.rsplit_once(',').map_or("", |(list, _)| list), false),
            None => (list, true),
        };
        let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for name in names {
            *counts.entry(name).or_default() += 1;
        }
        for (name, since) in &mut self.units {
            let count = counts.get(name.as_str()).copied().unwrap_or(0);
            // One that is not named may be behind the end of the line.
            while whole && since.len() > count {
                let time = now.saturating_sub(since.pop_front().unwrap_or(now));
                self.done.push((name.clone(), time));
            }
        }
        self.units.retain(|_, since| !since.is_empty());
        for (name, count) in counts {
            let since = self.units.entry(name.to_owned()).or_default();
            since.resize(since.len().max(count), now);
        }
    }

    /// Records that all units that were being compiled are finished.
    fn finish_units(&mut self, now: Duration) {
        for (name, since) in std::mem::take(&mut self.units) {
            let times = since.into_iter().map(|since| now.saturating_sub(since));
            self.done.extend(times.map(|time| (name.clone(), time)));
        }
        self.bar = None;
    }

    /// Returns what is due now. A heartbeat counts as printed.
    pub fn due(&mut self, now: Duration) -> Vec<DueLine> {
        let mut due = Vec::new();
        if let Some(limit) = self.limit
            && now >= warn_at(limit)
        {
            self.limit = None;
            due.push(DueLine::Late(self.limit_warning(limit, now)));
            self.printed = now;
        }
        if self.every.is_some_and(|every| now.saturating_sub(self.printed) >= every) {
            due.push(DueLine::Alive(self.describe_running(now)));
            self.printed = now;
        }
        due
    }

    /// Returns the time until something is due if nothing else happens; `None` if nothing ever will be.
    pub fn next_due(&self, now: Duration) -> Option<Duration> {
        let alive = self.every.map(|every| self.printed.saturating_add(every));
        let next = alive.into_iter().chain(self.limit.map(warn_at)).min()?;
        Some(next.saturating_sub(now))
    }

    /// Describes what is running, for people.
    fn describe_running(&self, now: Duration) -> String {
        let mut text = match self.stage {
            Some((name, since)) => {
                format!("{name}, for {}", format_duration(now.saturating_sub(since)))
            }
            None => format!("for {}", format_duration(now)),
        };
        if let Some(units) = self.describe_units(now) {
            text += &format!("; compiling {units}");
        }
        match (&self.bar, &self.step) {
            (Some(bar), _) => text += &format!("; {bar}"),
            (None, Some(step)) => text += &format!("; the last step: {step}"),
            (None, None) => {}
        }
        text
    }

    /// Returns the units that are being compiled, the slowest first.
    fn describe_units(&self, now: Duration) -> Option<String> {
        let times = |(name, since): (&'_ String, &VecDeque<Duration>)| {
            let times = since.iter().map(|since| (name.clone(), now.saturating_sub(*since)));
            times.collect::<Vec<_>>()
        };
        format_slowest(self.units.iter().flat_map(times).collect())
    }

    fn limit_warning(&self, limit: Limit, now: Duration) -> String {
        let whole = format_duration(limit.whole);
        let passed = limit.before.saturating_add(now);
        let mut text = match limit.whole.checked_sub(passed).filter(|left| left.as_secs() > 0) {
            Some(left) => {
                format!("{} left of the job's time limit of {whole}", format_duration(left))
            }
            None => format!("the job's time limit of {whole} has passed"),
        };
        if let Some((name, since)) = self.stage {
            text +=
                &format!("; running: {name}, for {}", format_duration(now.saturating_sub(since)));
        }
        if let Some(units) = self.describe_units(now) {
            text += &format!("; compiling {units}");
        }
        let long = self.done.iter().filter(|(_, time)| time.as_secs() > 0).cloned().collect();
        if let Some(done) = format_slowest(long) {
            text += &format!("; the slowest that are done: {done}");
        }
        text
    }
}

/// Returns the time at which the warning about a job's limit is due, on the program's clock.
fn warn_at(limit: Limit) -> Duration {
    (limit.whole / 100 * WARN_AT).saturating_sub(limit.before)
}

/// Formats the first of `units`, by their durations, and the number of the others.
fn format_slowest(mut units: Vec<(String, Duration)>) -> Option<String> {
    units
        .sort_stable_by(|(name, time), (other, than)| than.cmp(time).then_with(|| name.cmp(other)));
    let more = units.len().saturating_sub(MAX_NAMED);
    let named = units.iter().take(MAX_NAMED);
    let mut text: Vec<String> =
        named.map(|(name, time)| format!("{name} ({})", format_duration(*time))).collect();
    if more > 0 {
        text.push(format!("{more} more"));
    }
    (!text.is_empty()).then(|| text.join(", "))
}

/// Formats a time in seconds: `2 h 5 min 1 s`.
fn format_duration(time: Duration) -> String {
    let all = time.as_secs();
    let parts = [(all / 3600, "h"), (all / 60 % 60, "min"), (all % 60, "s")];
    let reported = parts.iter().filter(|(number, _)| *number > 0);
    let text: Vec<String> = reported.map(|(number, unit)| format!("{number} {unit}")).collect();
    if text.is_empty() { "0 s".to_owned() } else { text.join(" ") }
}
