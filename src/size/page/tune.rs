//! The page of `tune`: size against time, and the table. It has no script.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};

use super::{STYLE, fill, text::escape};
use crate::model::{
    bytes::Size,
    collect::SortStable as _,
    schema::{Tune, tune::Measured},
    seconds::Seconds,
};

const TEMPLATE: &str = include_str!("tune.html");

/// The size of the chart, in the units of SVG, and its margins: left, right, top, bottom.
const CHART: (f64, f64) = (900.0, 440.0);
const MARGIN: (f64, f64, f64, f64) = (74.0, 170.0, 30.0, 44.0);

/// The height of a line of text, the width of a character, and the radius of a point with some space around it.
const TEXT: (f64, f64) = (15.0, 6.8);
const POINT: f64 = 8.0;

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
    best.sort_stable_by(|(_, a), (_, b)| a.time.median.total_cmp(&b.time.median));
    let points = best
        .iter()
        .map(|(_, one)| format!("{:.1},{:.1}", x.at(one.time.median), y.at(one.size as f64)));
    let points: Vec<String> = points.collect();
    text += &format!("<polyline class=\"s0\" points=\"{}\"/>\n", points.join(" "));
    // From top to bottom, so that labels that move down do not cross.
    let mut sorted = all;
    sorted.sort_stable_by_key(|(_, one)| std::cmp::Reverse(one.size));
    let places: Vec<(f64, f64)> =
        sorted.iter().map(|(_, one)| (x.at(one.time.median), y.at(one.size as f64))).collect();
    let mut labels: Vec<Label> = Vec::new();
    for (name, one) in sorted {
        let (at, size) = (x.at(one.time.median), y.at(one.size as f64));
        let width = name.chars().count() as f64 * TEXT.1;
        let label = free_place(&labels, &places, (at, size), width);
        labels.push(label);
        let class = if one.best { "s0" } else { "s5" };
        text += &format!(
            "<g class=\"{class}\"><line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{size:.1}\" y2=\"{size:.1}\"/>\
             <polyline points=\"{at:.1},{size:.1} {:.1},{:.1}\"/>\
             <path d=\"M{:.1} {size:.1}a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text></g>\n",
            x.at(one.time.min),
            x.at(one.time.max),
            label.x - 3.0,
            label.y,
            at - 5.0,
            label.x,
            label.y + 4.0,
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

/// The rectangle that a label covers, from its left end; `y` is the middle.
#[derive(Clone, Copy)]
struct Label {
    x: f64,
    y: f64,
    width: f64,
}

impl Label {
    fn covers(&self, other: &Label) -> bool {
        let across = self.x < other.x + other.width && other.x < self.x + self.width;
        across && (self.y - other.y).abs() < TEXT.0
    }

    fn covers_point(&self, (x, y): (f64, f64)) -> bool {
        let across = self.x - POINT < x && x < self.x + self.width + POINT;
        across && (self.y - y).abs() < TEXT.0 / 2.0 + POINT - 2.0
    }
}

/// Returns a place for the label of a point: beside it, or as far below as other labels and points have to be avoided.
fn free_place(labels: &[Label], points: &[(f64, f64)], point: (f64, f64), width: f64) -> Label {
    let mut label = Label { x: point.0 + 20.0, y: point.1 - 10.0, width };
    // Each step passes one of them at least, so that this ends.
    for _ in 0..=(labels.len() + points.len()) * 4 {
        let covers = labels.iter().any(|other| label.covers(other))
            || points.iter().any(|other| label.covers_point(*other));
        if !covers {
            break;
        }
        label.y += TEXT.0 / 2.0;
    }
    label
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
    fn labels_cover_neither_labels_nor_points() {
        let points: Vec<(f64, f64)> =
            (0..20).map(|at| (f64::from(at * 7 % 30), f64::from(at % 3))).collect();
        let mut labels = Vec::new();
        for point in &points {
            let label = free_place(&labels, &points, *point, 60.0);
            assert!(!points.iter().any(|point| label.covers_point(*point)));
            assert!(!labels.iter().any(|other| label.covers(other)));
            labels.push(label);
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
