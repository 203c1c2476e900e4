//! The table for a terminal.

use std::fmt::Write as _;

use crate::{
    build::tune::CURRENT,
    model::{
        bytes::Size,
        command::quote,
        schema::{
            Tune,
            tune::{Measured, Spread, Variant},
        },
        seconds::Seconds,
    },
};

/// Returns the comparison as a table, and the lines for `Cargo.toml`, or the options, of each of the best variants.
pub fn format_tune(tune: &Tune) -> String {
    let command: Vec<String> = tune.args.iter().map(|arg| quote(arg)).collect();
    let (rounds, binary) = (tune.rounds, quote(&tune.binary));
    let mut text = format!(
        "{} {}, {}: {rounds} runs of `{}`\n\n",
        tune.package,
        tune.version,
        tune.target,
        [&[binary], &command[..]].concat().join(" ")
    );
    let width = tune.variants.iter().map(|variant| variant.name.len()).max().unwrap_or(0);
    let _ = writeln!(
        text,
        "  {:<width$}  {:>9}  {:>9}  {:>9}  {:>6}  {:>8}  {:>9}  {:>9}",
        "variant", "size", "in gzip", "median", "spread", "relative", "CPU", "memory"
    );
    let current = tune.variants.iter().find_map(|variant| variant.measured.as_ref());
    let base = current.map_or(0.0, |current| current.time.median);
    for variant in &tune.variants {
        row(&mut text, variant, width, base);
    }
    text.push_str("\n* no other variant is both smaller and faster\n");
    if let Some(spread) = current.map(|current| spread(&current.time)).filter(|s| *s > MAX_SPREAD) {
        let _ = writeln!(
            text,
            "note: the runs of `{CURRENT}` differ by {spread:.0} %: compare the CPU times, or repeat this when \
             the machine does nothing else"
        );
    }
    let best = tune.variants.iter().filter(|variant| {
        variant.name != CURRENT && variant.measured.as_ref().is_some_and(|measured| measured.best)
    });
    for variant in best {
        if !variant.flags.is_empty() {
            let (name, flags) = (&variant.name, variant.flags.join(" "));
            let _ = writeln!(text, "\n# {name}\ncargo longshore dist {flags}");
            continue;
        }
        let _ = writeln!(text, "\n# {} in Cargo.toml", variant.name);
        for change in &variant.changes {
            let _ = writeln!(text, "[{}]\n{}", change.table, change.line);
        }
    }
    text
}

/// The spread of the current settings, in percent, from which the order of the others may be chance.
const MAX_SPREAD: f64 = 10.0;

/// Returns the difference between the longest and the shortest run, in percent of the median.
fn spread(time: &Spread) -> f64 {
    if time.median > 0.0 { (time.max - time.min) / time.median * 100.0 } else { 0.0 }
}

fn row(text: &mut String, variant: &Variant, width: usize, base: f64) {
    let name = &variant.name;
    let _ = match (&variant.measured, &variant.same_as, &variant.failure) {
        (Some(measured), ..) => {
            let Measured { size, compressed, time, cpu, peak_memory, best } = measured;
            let mark = if *best { '*' } else { ' ' };
            writeln!(
                text,
                "{mark} {name:<width$}  {:>9}  {:>9}  {:>9}  {:>4.0} %  {:>8.2}  {:>9}  {:>9}",
                Size(*size),
                Size(*compressed),
                Seconds(time.median),
                spread(time),
                if base > 0.0 { time.median / base } else { 1.0 },
                Seconds(cpu.median),
                Size(*peak_memory),
            )
        }
        (None, Some(other), _) => writeln!(text, "  {name:<width$}  same as `{other}`"),
        (None, None, failure) => {
            let why = failure.as_deref().unwrap_or("not measured");
            let why = why.lines().next().unwrap_or_default();
            writeln!(text, "  {name:<width$}  failed: {why}")
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::tune::{Change, SCHEMA};

    #[test]
    fn the_table_has_a_line_for_each_variant_and_the_settings_of_the_best() {
        let spread = Spread { min: 0.011, median: 0.012, max: 0.0135 };
        let measured = Measured {
            size: 1_230_000,
            compressed: 600_000,
            time: spread,
            cpu: spread,
            peak_memory: 8_400_000,
            best: true,
        };
        let variant =
            |name: &str, measured, same_as: Option<&str>, failure: Option<&str>| Variant {
                name: name.to_owned(),
                changes: vec![Change {
                    table: "workspace.metadata.longshore".into(),
                    line: "preset = \"size\"".into(),
                }],
                flags: Vec::new(),
                measured,
                failure: failure.map(str::to_owned),
                same_as: same_as.map(str::to_owned),
            };
        let mut tune = Tune {
            schema: SCHEMA,
            binary: "hexyl".into(),
            package: "hexyl".into(),
            version: "0.16.0".into(),
            target: "x86_64-unknown-linux-musl".into(),
            args: vec!["a b".into()],
            rounds: 5,
            variants: vec![
                variant("current", None, None, Some("it failed\nin two lines")),
                variant("preset-size", Some(measured), None, None),
                variant("preset-quick", None, Some("current"), None),
            ],
        };
        let text = format_tune(&tune);
        assert!(
            text.starts_with("hexyl 0.16.0, x86_64-unknown-linux-musl: 5 runs of `hexyl 'a b'`")
        );
        assert!(text.contains("  current       failed: it failed\n"), "{text}");
        assert!(
            text.contains("* preset-size     1.23 MB  600.00 kB    12.0 ms    21 %      1.00"),
            "{text}"
        );
        assert!(text.contains("note: the runs of `current` differ by 21 %"), "{text}");
        assert!(text.contains("  preset-quick  same as `current`\n"), "{text}");
        let end =
            "# preset-size in Cargo.toml\n[workspace.metadata.longshore]\npreset = \"size\"\n";
        assert!(text.ends_with(end), "{text}");
        tune.variants[1].name = "pgo".into();
        tune.variants[1].flags = vec!["--pgo".into()];
        let text = format_tune(&tune);
        assert!(text.ends_with("# pgo\ncargo longshore dist --pgo\n"), "{text}");
    }
}
