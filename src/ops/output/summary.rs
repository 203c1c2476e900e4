//! The summary of a `dist`: its files, their sizes, and the command to run them.

use std::fmt::Write;

use camino::Utf8Path;

use crate::{
    model::{
        bytes::Size,
        schema::{
            Dist,
            dist::{Artifact, Release, Smoke},
            units::Units,
        },
    },
    sys::{Context, host},
};

/// Warns of a source that differs from its commit.
pub(in crate::ops) fn warn_about_source(cx: &Context, release: &Release) {
    if let (Some(hash), Some(changes)) = (&release.revision, &release.changes) {
        let short = hash.get(..12).unwrap_or(hash);
        let files = if changes.count == 1 { "file differs" } else { "files differ" };
        cx.warn(format!("{} {files} from commit `{short}`: {changes}", changes.count));
    }
    if let Some(reason) = &release.no_revision {
        cx.status("Source", format!("without a revision: {reason}"));
    }
}

/// Reports the result of the smoke test of one binary.
pub(in crate::ops) fn report_smoke_test(cx: &Context, artifact: &Artifact) {
    let name = format!("{} {}", artifact.platform, artifact.name);
    match &artifact.smoke {
        None => {}
        Some(Smoke::NotRun { reason }) => cx.status("Not run", format!("{name}: {reason}")),
        Some(Smoke::Ran { by, empty_root, args, exit_code, output }) => {
            let location = if *empty_root { "in an empty root" } else { "without a separate root" };
            let ended = match (exit_code, output) {
                (Some(0), Some(line)) => line.clone(),
                (Some(0), None) => "succeeded without output".to_owned(),
                (Some(code), _) => format!("started, and ended with exit status {code}"),
                (None, _) => "was still running when its time was up".to_owned(),
            };
            let args = args.join(" ");
            cx.status("Ran", format!("{name} {args} ({by}, {location}): {ended}"));
        }
    }
}

/// Returns the list of the files that were made, on separate lines.
pub(in crate::ops) fn summary(cx: &Context, dist: &Dist, output: &Utf8Path) -> String {
    let shown = output.strip_prefix(&cx.env.dir).unwrap_or(output);
    let mut text = String::new();
    let _ = writeln!(text, "\n{shown}/  ({})", format_units(&dist.units));
    let artifacts = dist.artifacts.iter().map(|artifact| artifact.path.len());
    let archives = dist.archives.iter().map(|archive| archive.path.len());
    let channels = dist.channels.iter().map(|channel| channel.path.len());
    let images = dist.images.iter().map(|image| image.path.len());
    let width = artifacts.chain(archives).chain(channels).chain(images).max();
    let width = width.unwrap_or(0);
    for artifact in &dist.artifacts {
        let _ = writeln!(text, "  {:<width$}  {:>9}", artifact.path, Size(artifact.size));
    }
    for image in &dist.images {
        let line = |p: &crate::model::schema::dist::PlatformImage| {
            format!("{} {}", p.platform, Size(p.size))
        };
        let platforms: Vec<_> = image.platforms.iter().map(line).collect();
        let _ = writeln!(text, "  {:<width$}  {}", image.path, platforms.join(", "));
        let _ = writeln!(text, "  {:<width$}  {}", "", image.digest);
    }
    for archive in &dist.archives {
        let _ = writeln!(text, "  {:<width$}  {:>9}", archive.path, Size(archive.size));
    }
    for channel in &dist.channels {
        let _ = writeln!(text, "  {:<width$}  {:>9}", channel.path, Size(channel.size));
    }
    let native = host::platform();
    if let Some(artifact) = dist.artifacts.iter().find(|a| a.platform.to_string() == native) {
        let _ = write!(text, "run it:   {shown}/{}", artifact.path);
    }
    if let Some(image) = dist.images.first() {
        let _ = write!(
            text,
            "\nload it:  skopeo copy oci:{shown}/{}:{} docker-daemon:{}:{}",
            image.path, image.tag, image.name, image.tag
        );
    }
    text
}

/// Returns the number of compiled crates, the time in seconds, and the slowest ones.
fn format_units(units: &Units) -> String {
    let noun = if units.compiled == 1 { "unit" } else { "units" };
    let mut text = format!("{} {noun} compiled, {} fresh", units.compiled, units.fresh);
    if let Some(seconds) = units.seconds.filter(|_| units.compiled > 0) {
        let _ = write!(text, "; {seconds:.1} s");
    }
    for (at, (unit, seconds)) in units.slowest(3).into_iter().enumerate() {
        let start = if at == 0 { ", longest " } else { ", " };
        let _ = write!(text, "{start}{} for {} {seconds:.1} s", unit.name, unit.target);
    }
    text
}

/// Reports the binaries that are left out, with the reasons.
pub(in crate::ops) fn report_skipped(cx: &Context, plan: &crate::model::schema::Plan) {
    for skipped in &plan.skipped {
        let what = format!("{} ({}): {}", skipped.binary, skipped.package, skipped.reason);
        cx.status("Skipping", what);
    }
}
