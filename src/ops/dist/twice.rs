//! A second build, which checks that the same source gives the same bytes.

use camino::Utf8Path;

use crate::{
    binary::elf::find_difference,
    model::{
        error::{Error, Result},
        schema::plan::Job,
        source::Source,
    },
    ops::{
        dist::{
            bom,
            build::{self, Built},
            collect::{strip_binary, unstripped},
            planned::Planned,
        },
        output::stage::Stage,
    },
    sys::{Context, file, fs},
};

/// Checks that the directory of the second build, which is removed, is one that cargo built in.
///
/// # Errors
/// It holds something else.
pub(in crate::ops) fn check(planned: &Planned) -> Result<()> {
    let Some(again) = &planned.again else {
        return Ok(());
    };
    let directory = Utf8Path::new(&again.target_directory);
    let of_cargo = ["CACHEDIR.TAG", ".rustc_info.json"];
    if !directory.exists()
        || of_cargo.iter().any(|name| directory.join(name).exists())
        || fs::is_empty_dir(directory)?
    {
        return Ok(());
    }
    Err(Error::usage(format!("`{directory}` would be removed, and is not a directory of cargo"))
        .hint("rename or remove it, or choose another target directory with `--target-dir`"))
}

/// Builds everything again in a separate directory, if that was requested, and compares the results
/// with those of the first build.
///
/// # Errors
/// The second build failed, or at least one binary differs: where, and what is there.
pub(in crate::ops) fn build_again(
    cx: &Context,
    planned: &Planned,
    stage: &Stage,
    built: &Built,
) -> Result<()> {
    let Some(again) = &planned.again else {
        return Ok(());
    };
    cx.stage("build again");
    let directory = Utf8Path::new(&again.target_directory);
    fs::remove_dir_all(directory)?;
    let report = build::compile(cx, planned, again, stage, "again")?;
    let bills = bom::sboms(cx, planned, &report)?;
    let mut differing = Vec::new();
    for job in &planned.plan.jobs {
        let first = (unstripped(job, &built.report)?, built.bills.section(job));
        let second = (unstripped(job, &report)?, bills.section(job));
        differing.extend(compare(job, first, second)?);
    }
    let total = planned.plan.jobs.len();
    if differing.is_empty() {
        fs::remove_dir_all(directory)?;
        let binaries = if total == 1 { "binary" } else { "binaries" };
        cx.status("Reproduced", format!("{total} {binaries}: two builds gave the same bytes"));
        return Ok(());
    }
    let count = differing.len();
    Err(Error::check(format!("{count} of {total} binaries differ when they are built again"))
        .detail(differing.join("\n"))
        .hint(format!(
            "the usual cause is a build script or a macro that uses the time, a random number or a \
             directory's name: use the time of `SOURCE_DATE_EPOCH`; the second build is in \
             `{directory}`"
        )))
}

/// Returns the differences between the two builds of a job, each a file and its list of dependencies,
/// for people.
fn compare(
    job: &Job,
    (first, list): (&Utf8Path, Option<&[u8]>),
    (second, again): (&Utf8Path, Option<&[u8]>),
) -> Result<Option<String>> {
    let what = format!("{} {}", job.platform, job.binary);
    let (old, new) = (file::open(first)?, file::open(second)?);
    let (old, new) = (Source::File(&old), Source::File(&new));
    let (one, _) = strip_binary(job, first, old, list)?;
    let (two, _) = strip_binary(job, second, new, again)?;
    let found = find_difference(Source::File(&one), Source::File(&two), old)
        .map_err(|error| Error::build(format!("`{first}` cannot be compared: {error}")))?;
    let Some(found) = found else {
        return Ok(None);
    };
    let section = found.section.map_or("in its headers".to_owned(), |name| format!("in `{name}`"));
    let symbol = found.symbol.map_or_else(String::new, |name| format!(", in `{name}`"));
    let [one, two] = found.content;
    Ok(Some(format!(
        "{what} ({}): differs from offset {:#x} on, {section}{symbol}\n  first: {one}\n  again: {two}",
        job.target, found.offset
    )))
}
