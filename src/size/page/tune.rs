//! The page of `tune`: size against time, and the table. It has no script.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};

use super::{STYLE, fill, text::escape};
use crate::model::{
    bytes::Size,
    collect::SortStable as _,
    schema::{Tune, tune::Measured},
};

const TEMPLATE: &str = include_str!("tune.html");

/// The size of the chart and of its margins, in the units of SVG.
const CHART: (f64, f64) = (900.0, 420.0);
const MARGIN: (f64, f64) = (70.0, 40.0);

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

/// Returns the chart: a circle and a name for each variant, a line through the best.
fn chart(tune: &Tune) -> String {
    let all = measured(tune);
    let longest = all.iter().map(|(_, one)| one.time.max).fold(0.0, f64::max).max(1e-9);
    let largest = all.iter().map(|(_, one)| one.size).max().unwrap_or(1).max(1) as f64;
    // Both axes begin at zero, and end a tenth above the largest value.
    let (width, height) = (CHART.0 - 2.0 * MARGIN.0, CHART.1 - 2.0 * MARGIN.1);
    let x = |time: f64| MARGIN.0 + width * time / (longest * 1.1);
    let y = |size: f64| CHART.1 - MARGIN.1 - height * size / (largest * 1.1);
    let mut text = String::new();
    for step in 0..=4 {
        let part = f64::from(step) / 4.0;
        let (time, size) = (longest * part, largest * part);
        let (right, bottom) = (CHART.0 - MARGIN.0, CHART.1 - MARGIN.1);
        text += &format!(
            "<line class=\"grid\" x1=\"{:.1}\" x2=\"{right:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/>\
             <text class=\"quiet\" x=\"0\" y=\"{1:.1}\">{2}</text>\
             <text class=\"quiet\" x=\"{3:.1}\" y=\"{4:.1}\">{5:.1} ms</text>\n",
            MARGIN.0,
            y(size),
            Size(size as u64),
            x(time),
            bottom + 20.0,
            time * 1e3,
        );
    }
    let mut best: Vec<_> = all.iter().filter(|(_, one)| one.best).collect();
    best.sort_stable_by(|(_, a), (_, b)| a.time.median.total_cmp(&b.time.median));
    let points =
        best.iter().map(|(_, one)| format!("{:.1},{:.1}", x(one.time.median), y(one.size as f64)));
    let points: Vec<String> = points.collect();
    text += &format!("<polyline class=\"s0\" points=\"{}\"/>\n", points.join(" "));
    let mut labels: Vec<(f64, f64)> = Vec::new();
    for (name, one) in all {
        let (at, size) = (x(one.time.median), y(one.size as f64));
        let label = free_place(&labels, (at + 8.0, size - 7.0));
        labels.push(label);
        let class = if one.best { "s0" } else { "s5" };
        text += &format!(
            "<g class=\"{class}\"><line class=\"grid\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{size:.1}\" \
             y2=\"{size:.1}\"/><path d=\"M{:.1} {size:.1}a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text></g>\n",
            x(one.time.min),
            x(one.time.max),
            at - 5.0,
            label.0,
            label.1,
            escape(name),
        );
    }
    let (width, height) = CHART;
    format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"Size of each variant against its time\">\n{text}</svg>"
    )
}

/// Returns a place for a label at `wanted`, or as far below it as others have to be avoided.
fn free_place(labels: &[(f64, f64)], wanted: (f64, f64)) -> (f64, f64) {
    const LABEL: (f64, f64) = (170.0, 14.0);
    let (x, mut y) = wanted;
    let covers = |y: f64| {
        labels.iter().any(|other| (other.0 - x).abs() < LABEL.0 && (other.1 - y).abs() < LABEL.1)
    };
    while covers(y) {
        y += LABEL.1;
    }
    (x, y)
}

fn rows(tune: &Tune) -> String {
    let mut text = String::new();
    for variant in &tune.variants {
        let name = escape(&variant.name);
        let lines = variant.changes.iter();
        let lines: Vec<String> =
            lines.map(|change| escape(&format!("[{}] {}", change.table, change.line))).collect();
        let settings = lines.join("<br>");
        text += &match (&variant.measured, &variant.same_as) {
            (Some(one), _) => format!(
                "<tr><th scope=\"row\">{}{name}</th><td>{}</td><td>{}</td><td>{:.2} ms</td>\
                 <td>{:.2} – {:.2} ms</td><td>{:.2} ms</td><td>{}</td><td>{settings}</td></tr>\n",
                if one.best { "★ " } else { "" },
                Size(one.size),
                Size(one.compressed),
                one.time.median * 1e3,
                one.time.min * 1e3,
                one.time.max * 1e3,
                one.cpu.median * 1e3,
                Size(one.peak_memory),
            ),
            (None, Some(other)) => format!(
                "<tr><th scope=\"row\">{name}</th><td colspan=\"6\">same as {}</td>\
                 <td>{settings}</td></tr>\n",
                escape(other)
            ),
            (None, None) => format!(
                "<tr><th scope=\"row\">{name}</th><td colspan=\"6\">{}</td><td>{settings}</td></tr>\n",
                escape(variant.failure.as_deref().unwrap_or("not measured"))
            ),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::tune::{SCHEMA, Variant};

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
                measured: None,
                failure: Some("<i>".into()),
                same_as: None,
            }],
        });
        assert!(page.contains("&lt;b&gt; 1.0.0") && page.contains("&lt;i&gt;"), "{page}");
        assert!(!page.contains("<script") && !page.contains("{{"), "{page}");
    }
}
