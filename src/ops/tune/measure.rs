//! The measurements, in rounds: each variant runs once in each, so that a change of the machine's speed concerns all.

use std::{
    io::{self, Read as _, Write},
    time::Duration,
};

use super::{Candidate, Program};
use crate::{
    archive::compress::{Framing, Gzip, NoCache},
    build::tune::CURRENT,
    model::{
        error::{Error, Result},
        event::Event,
        schema::tune::{Measured, Spread},
        source::ReadAt as _,
    },
    sys::{
        Context, file,
        process::measure::{self, Run, Usage},
    },
};

/// Measures the built variants on `args`. The first run of each is not counted.
///
/// # Errors
/// The program with the current settings fails, or an interrupt came. What another one fails with is in its
/// place.
pub(super) fn measure(
    cx: &Context,
    candidates: &[Candidate],
    args: &[String],
    rounds: u32,
    limit: Duration,
) -> Result<Vec<Option<Result<Measured>>>> {
    let mut runs: Vec<Option<Result<Vec<Usage>>>> =
        candidates.iter().map(|one| one.program().map(|_| Ok(Vec::new()))).collect();
    let count = runs.iter().flatten().count() as u64;
    let total = count * (u64::from(rounds) + 1);
    let mut done = 0;
    for round in 0..=rounds {
        for at in order(candidates.len(), round) {
            let Some((candidate, run)) = candidates.get(at).zip(runs.get_mut(at)) else { continue };
            let (Some(program), Some(Ok(usages))) = (candidate.program(), &mut *run) else {
                continue;
            };
            let name = &candidate.variant.name;
            cx.emit(Event::Progress { verb: "Measuring", done, total, detail: name.clone() });
            let one = Run {
                program: program.path.as_str(),
                args,
                dir: &cx.env.dir,
                env: &[],
                offline: false,
                limit,
                limit_hint: "`--limit` sets the time limit of one run",
            };
            match measure::measure(cx, &one) {
                Ok(usage) if round > 0 => usages.push(usage),
                Ok(_) => {}
                Err(error) if name == CURRENT => return Err(error),
                Err(error) => {
                    cx.children.check()?;
                    *run = Some(Err(error));
                }
            }
            done += 1;
        }
    }
    cx.emit(Event::ProgressDone);
    let measured = runs.into_iter().zip(candidates).map(|(run, candidate)| {
        let program = candidate.program()?;
        Some(run?.and_then(|usages| summarize(program, &usages)))
    });
    let mut measured: Vec<Option<Result<Measured>>> = measured.collect();
    mark_best(measured.iter_mut().flatten().flatten().collect());
    Ok(measured)
}

/// Returns the order of a round: a different one is the first in each.
fn order(count: usize, round: u32) -> impl Iterator<Item = usize> {
    let start = if count == 0 { 0 } else { round as usize % count };
    (start..count).chain(0..start)
}

fn summarize(program: &Program, usages: &[Usage]) -> Result<Measured> {
    let spread = |value: &dyn Fn(&Usage) -> Duration| {
        let mut seconds: Vec<f64> = usages.iter().map(|one| value(one).as_secs_f64()).collect();
        seconds.sort_unstable_by(f64::total_cmp);
        let at = |at: usize| seconds.get(at).copied().unwrap_or_default();
        let (low, high) = (at(seconds.len().saturating_sub(1) / 2), at(seconds.len() / 2));
        Spread {
            min: at(0),
            median: f64::midpoint(low, high),
            max: at(seconds.len().saturating_sub(1)),
        }
    };
    Ok(Measured {
        size: program.artifact.size,
        compressed: compressed_size(program)?,
        time: spread(&|one| one.time),
        cpu: spread(&|one| one.cpu),
        peak_memory: usages.iter().map(|one| one.memory).max().unwrap_or(0),
        best: false,
    })
}

/// Marks those for which there is no other that is at least as small and at least as fast.
fn mark_best(mut all: Vec<&mut Measured>) {
    let points: Vec<(u64, f64)> = all.iter().map(|one| (one.size, one.time.median)).collect();
    for (one, &(size, time)) in all.iter_mut().zip(&points) {
        one.best = !points.iter().any(|&(other, faster)| {
            other <= size && faster <= time && (other < size || faster < time)
        });
    }
}

/// Returns the size of the program in gzip, as archives and layers have it.
fn compressed_size(program: &Program) -> Result<u64> {
    let open = file::open(&program.path)?;
    let size = open.size();
    let mut reader = open.into_reader(0..size);
    let packed = || -> io::Result<u64> {
        let mut gzip = Gzip::new(CountingWriter(0), Framing::Members, &NoCache);
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = reader.read(&mut buffer)?;
            let Some(part) = buffer.get(..count).filter(|part| !part.is_empty()) else { break };
            gzip.write_all(part)?;
        }
        Ok(gzip.finish()?.0.0)
    };
    let mut packed = packed;
    packed().map_err(|error| {
        Error::build(format!("`{}` cannot be compressed", program.path)).because(error)
    })
}

/// Counts the bytes that are written to it.
struct CountingWriter(u64);

impl Write for CountingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(size: u64, median: f64) -> Measured {
        let spread = Spread { min: median, median, max: median };
        Measured { size, compressed: 0, time: spread, cpu: spread, peak_memory: 0, best: false }
    }

    #[test]
    fn the_best_are_those_that_no_other_beats_in_both() {
        let mut all = [measured(5, 1.0), measured(4, 2.0), measured(6, 1.0), measured(4, 2.5)];
        mark_best(all.iter_mut().collect());
        assert_eq!(all.map(|one| one.best), [true, true, false, false]);
        let mut equal = [measured(1, 1.0), measured(1, 1.0)];
        mark_best(equal.iter_mut().collect());
        assert_eq!(equal.map(|one| one.best), [true, true]);
    }

    #[test]
    fn each_round_begins_with_another_variant() {
        let orders: Vec<Vec<usize>> = (0..3).map(|round| order(3, round).collect()).collect();
        assert_eq!(orders, [[0, 1, 2], [1, 2, 0], [2, 0, 1]]);
        assert_eq!(order(0, 2).count(), 0);
    }
}
