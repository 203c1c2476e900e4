//! The page of `tune`: size against time, and the table. It has no script.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};

use super::{STYLE, fill, text::escape};
use crate::model::{
    bytes::Size,
    schema::{Tune, tune::Measured},
    seconds::Seconds,
};

const TEMPLATE: &str = include_str!("tune.html");

/// The size of the chart, in the units of SVG, and its margins: left, right, top, bottom.
const CHART: (f64, f64) = (900.0, 440.0);
const MARGIN: (f64, f64, f64, f64) = (74.0, 170.0, 30.0, 44.0);

/// The height of a label and the greatest width of one.
const LABEL: (f64, f64) = (15.0, 170.0);

/// Returns the page: the same bytes for the same values.
pub fn tune_page(tune: &Tune) -> String {
    let command = [std::slice::from_ref(&tune.binary), &tune.args].concat().join(" ");
    fill(TEMPLATE, |name| match name {
        "title" => escape(&format!("{} {}", tune.package, tune.version)),
        "generator" => format!("longshore {}", env!("CARGO_PKG_VERSION")),
        "style" => STYLE.to_owned(),
        "style-digest" => BASE64_STANDARD.encode(Sha256::digest(STYLE)),
        "command" => escape(&command),
        "target" => escape(&tune.target),
        "rounds" => tune.rounds.to_string(),
        "chart" => chart(tune),
        "rows" => rows(tune),
        _ => String::new(),
    })
}

fn measured(tune: &Tune) -> Vec<(&str, &Measured)> {
    let all = tune.variants.iter();
    all.filter_map(|variant| Some((variant.name.as_str(), variant.measured.as_ref()?))).collect()
}

/// A scale that begins at zero.
struct Axis {
    /// The coordinate of zero.
    start: f64,
    /// The coordinate of `end`.
    stop: f64,
    /// The largest value that is shown.
    end: f64,
    /// The distance of two grid lines.
    step: f64,
}

impl Axis {
    fn new(start: f64, stop: f64, largest: f64) -> Self {
        // The largest of 1, 2 and 5 times a power of ten that gives at least three steps.
        let power = 10f64.powf((largest / 3.0).log10().floor());
        let steps = [5.0, 2.0, 1.0].map(|factor| factor * power);
        let step = steps.into_iter().find(|step| largest / step >= 3.0).unwrap_or(power);
        Axis { start, stop, end: (largest / step).ceil() * step, step }
    }

    fn at(&self, value: f64) -> f64 {
        self.start + (self.stop - self.start) * value / self.end
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let count = (self.end / self.step).round() as u32;
        let step = self.step;
        (0..=count).map(move |at| f64::from(at) * step)
    }
}

/// Returns the chart: a circle and a name for each variant, a line through the best.
fn chart(tune: &Tune) -> String {
    let all = measured(tune);
    let longest = all.iter().map(|(_, one)| one.time.max).fold(0.0, f64::max).max(1e-6);
    let largest = all.iter().map(|(_, one)| one.size).max().unwrap_or(1).max(1) as f64;
    let (width, height) = CHART;
    let (left, right, top, bottom) = MARGIN;
    let x = Axis::new(left, width - right, longest);
    let y = Axis::new(height - bottom, top, largest);
    let mut text = grid(&x, &y);
    let mut best: Vec<_> = all.iter().filter(|(_, one)| one.best).collect();
    best.sort_by(|(_, a), (_, b)| a.time.median.total_cmp(&b.time.median));
    let points = best
        .iter()
        .map(|(_, one)| format!("{:.1},{:.1}", x.at(one.time.median), y.at(one.size as f64)));
    let points: Vec<String> = points.collect();
    text += &format!("<polyline class=\"s0\" points=\"{}\"/>\n", points.join(" "));
    // From top to bottom, so that labels that move down do not cross.
    let mut sorted = all;
    sorted.sort_by(|(_, a), (_, b)| b.size.cmp(&a.size));
    let mut labels: Vec<(f64, f64)> = Vec::new();
    for (name, one) in sorted {
        let (at, size) = (x.at(one.time.median), y.at(one.size as f64));
        let label = free_place(&labels, (at, size));
        labels.push(label);
        let class = if one.best { "s0" } else { "s5" };
        text += &format!(
            "<g class=\"{class}\"><line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{size:.1}\" y2=\"{size:.1}\"/>\
             <polyline class=\"grid\" points=\"{at:.1},{size:.1} {:.1},{:.1}\"/>\
             <path d=\"M{:.1} {size:.1}a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text></g>\n",
            x.at(one.time.min),
            x.at(one.time.max),
            label.0 - 3.0,
            label.1 - 4.0,
            at - 5.0,
            label.0,
            label.1,
            escape(name),
        );
    }
    format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"Size of each variant against its time\">\n{text}</svg>"
    )
}

/// Returns lines at round values, with their labels.
fn grid(x: &Axis, y: &Axis) -> String {
    let mut text = String::new();
    for size in y.ticks() {
        let at = y.at(size);
        text += &format!(
            "<line class=\"grid\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"quiet\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
            x.start,
            x.stop,
            x.start - 8.0,
            at + 4.0,
            Size(size.round() as u64),
        );
    }
    for time in x.ticks() {
        let at = x.at(time);
        text += &format!(
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>\
             <text class=\"quiet\" text-anchor=\"middle\" x=\"{at:.1}\" y=\"{:.1}\">{}</text>\n",
            y.start,
            y.stop,
            y.start + 18.0,
            Seconds(time),
        );
    }
    text += &format!(
        "<text class=\"quiet\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">Size</text>\
         <text class=\"quiet\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">Median time</text>\n",
        x.start - 8.0,
        y.stop - 16.0,
        x.stop,
        y.start + 36.0,
    );
    text
}

/// Returns a place for the label of a point: beside it, or as far below as others have to be avoided.
fn free_place(labels: &[(f64, f64)], point: (f64, f64)) -> (f64, f64) {
    let (x, y) = (point.0 + 22.0, point.1 - 6.0);
    let mut at = y;
    loop {
        let covered = labels
            .iter()
            .filter(|other| (other.0 - x).abs() < LABEL.1 && (other.1 - at).abs() < LABEL.0);
        match covered.map(|other| other.1).reduce(f64::max) {
            Some(other) => at = other + LABEL.0,
            None => return (x, at),
        }
    }
}

fn rows(tune: &Tune) -> String {
    let mut text = String::new();
    for variant in &tune.variants {
        let name = escape(&variant.name);
        let lines = variant.changes.iter();
        let lines: Vec<String> =
            lines.map(|change| escape(&format!("[{}] {}", change.table, change.line))).collect();
        let flags = variant.flags.iter().map(|flag| format!("<code>{}</code>", escape(flag)));
        let settings = lines.into_iter().chain(flags).collect::<Vec<_>>().join("<br>");
        text += &match (&variant.measured, &variant.same_as) {
            (Some(one), _) => format!(
                "<tr><th scope=\"row\">{}{name}</th><td>{}</td><td>{}</td><td>{}</td><td>{} – {}</td>\
                 <td>{}</td><td>{}</td><td class=\"words\">{settings}</td></tr>\n",
                if one.best { "★ " } else { "" },
                Size(one.size),
                Size(one.compressed),
                Seconds(one.time.median),
                Seconds(one.time.min),
                Seconds(one.time.max),
                Seconds(one.cpu.median),
                Size(one.peak_memory),
            ),
            (None, Some(other)) => unmeasured(&name, &format!("same as {other}"), &settings),
            (None, None) => {
                let why = variant.failure.as_deref().unwrap_or("not measured");
                unmeasured(&name, why, &settings)
            }
        };
    }
    text
}

/// Returns the row of a variant without measurements.
fn unmeasured(name: &str, why: &str, settings: &str) -> String {
    format!(
        "<tr><th scope=\"row\">{name}</th><td class=\"words quiet\" colspan=\"6\">{}</td>\
         <td class=\"words\">{settings}</td></tr>\n",
        escape(why)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::tune::{SCHEMA, Variant};

    #[test]
    fn grid_lines_are_at_round_values() {
        let ticks = |largest: f64| {
            let axis = Axis::new(0.0, 100.0, largest);
            (axis.ticks().collect::<Vec<_>>(), axis.at(axis.end))
        };
        assert_eq!(ticks(551.0), (vec![0.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0], 100.0));
        assert_eq!(ticks(15.0), (vec![0.0, 5.0, 10.0, 15.0], 100.0));
        assert_eq!(ticks(7.0), (vec![0.0, 2.0, 4.0, 6.0, 8.0], 100.0));
    }

    #[test]
    fn labels_do_not_cover_each_other() {
        let mut labels = Vec::new();
        for at in 0..20 {
            let label = free_place(&labels, (f64::from(at), f64::from(at % 3)));
            labels.push(label);
        }
        for (at, one) in labels.iter().enumerate() {
            let others = labels.iter().skip(at + 1);
            assert!(others.into_iter().all(|other| (one.1 - other.1).abs() >= LABEL.0));
        }
    }

    #[test]
    fn names_are_escaped_and_nothing_is_requested() {
        let page = tune_page(&Tune {
            schema: SCHEMA,
            binary: "a".into(),
            package: "<b>".into(),
            version: "1.0.0".into(),
            target: "t".into(),
            args: vec!["</style><script>".into()],
            rounds: 1,
            variants: vec![Variant {
                name: "current".into(),
                changes: Vec::new(),
                flags: Vec::new(),
                measured: None,
                failure: Some("<i>".into()),
                same_as: None,
            }],
        });
        assert!(page.contains("&lt;b&gt; 1.0.0") && page.contains("&lt;i&gt;"), "{page}");
        assert!(!page.contains("<script") && !page.contains("{{"), "{page}");
    }
}
