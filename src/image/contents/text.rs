//! Inspections and differences for people. Strings of images are shown without control characters.

use std::fmt::Write;

use serde_json::Value;

use crate::{
    image::oci::config::Healthcheck,
    model::{
        bytes::Size,
        collect::SortStable as _,
        schema::image::{
            Change, Config, File, FileKind, Form, Image, ImageDiff, ImageSet, Inspection, Layer,
            Mode, Notes, PlatformDiff,
        },
    },
};

/// The widest column of names; what is longer moves the rest of its line.
const MAX_NAME_WIDTH: usize = 48;

/// Writes what is in images: of each platform what a container runs, the layers, and the files that it
/// sees, or with `layers`, those of each layer.
pub fn write_inspection(text: &mut dyn Write, inspection: &Inspection, layers: bool) {
    for (at, source) in inspection.sources.iter().enumerate() {
        if at > 0 {
            let _ = text.write_char('\n');
        }
        let _ = writeln!(text, "{}: {}", escape_text(&source.path), source.form);
        for (at, set) in source.sets.iter().enumerate() {
            if at > 0 {
                let _ = text.write_char('\n');
            }
            write_image_set(text, set, layers);
        }
        for platform in &source.absent {
            let noun = if source.form == Form::Registry { "registry" } else { "layout" };
            let _ = writeln!(text, "\n  {platform} is not in the {noun}");
        }
        for other in &source.others {
            let _ =
                writeln!(text, "\n  {}: {}", escape_text(&other.name), escape_text(&other.what));
        }
    }
}

/// Formats `text` for a terminal.
fn escape_text(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        // A character that represents itself, or is only escaped to be quoted.
        if c.is_control() || c.escape_debug().len() > 2 {
            shown.extend(c.escape_debug());
        } else {
            shown.push(c);
        }
    }
    shown
}

fn write_row(text: &mut dyn Write, name: &str, value: &str) {
    let _ = writeln!(text, "    {name:<12} {}", escape_text(value));
}

fn write_image_set(text: &mut dyn Write, set: &ImageSet, layers: bool) {
    let mut about = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<14} {}", escape_text(value));
    };
    if !set.names.is_empty() {
        about("names", &set.names.join(", "));
    }
    if let Some(digest) = set.digest {
        let kind = set.media_type.as_deref().unwrap_or("of no media type");
        about("digest", &format!("{digest} ({kind})"));
    }
    for (name, value) in &set.annotations {
        about("annotation", &format!("{name} = {value}"));
    }
    for found in &set.images {
        let _ = writeln!(text, "\n  {}", found.platform);
        write_image(text, found, layers);
    }
}

fn write_image(text: &mut dyn Write, image: &Image, layers: bool) {
    if let Some(digest) = image.manifest {
        write_row(text, "manifest", &digest.to_string());
    }
    write_row(text, "config", &image.config_digest.to_string());
    if let Some(size) = image.size {
        write_row(text, "size", &Size(size).to_string());
    }
    if let Some(created) = &image.created {
        write_row(text, "created", created);
    }
    for warning in &image.warnings {
        write_row(text, "warning", warning);
    }
    write_config(text, &image.config);
    write_notes(text, "annotation", &image.annotations);
    for (at, layer) in image.layers.iter().enumerate() {
        self::write_layer(text, at + 1, layer, layers);
    }
    if !layers {
        let several = image.layers.len() > 1;
        write_files(text, &image.files, several, &indented_name);
    }
}

fn write_config(text: &mut dyn Write, config: &Config) {
    let list = |list: &[String]| serde_json::to_string(list).unwrap_or_default();
    let mut write_if_set = |name: &str, value: String| {
        if !value.is_empty() && value != "[]" {
            write_row(text, name, &value);
        }
    };
    write_if_set("entrypoint", list(&config.entrypoint));
    write_if_set("cmd", list(&config.cmd));
    write_if_set("user", config.user.clone());
    write_if_set("working-dir", config.working_dir.clone());
    for variable in &config.env {
        write_if_set("env", variable.clone());
    }
    write_if_set("ports", config.exposed_ports.join(", "));
    write_if_set("volumes", config.volumes.join(", "));
    write_if_set("stop-signal", config.stop_signal.clone().unwrap_or_default());
    write_if_set(
        "healthcheck",
        config.healthcheck.as_ref().map(format_healthcheck).unwrap_or_default(),
    );
    write_notes(text, "label", &config.labels);
    for (name, value) in &config.other {
        write_row(text, "other", &format!("{name} = {value}"));
    }
}

/// Returns the test, and the values that differ from an engine's defaults.
fn format_healthcheck(value: &Value) -> String {
    let Ok(check) = serde_json::from_value::<Healthcheck>(value.clone()) else {
        return value.to_string();
    };
    let mut text = serde_json::to_string(&check.test).unwrap_or_default();
    let times = [
        ("interval", check.interval),
        ("timeout", check.timeout),
        ("start-period", check.start_period),
        ("start-interval", check.start_interval),
    ];
    for (name, time) in times.into_iter().filter(|(_, time)| *time > 0) {
        let time = humantime::format_duration(std::time::Duration::from_nanos(time));
        let _ = write!(text, ", {name} {time}");
    }
    if check.retries > 0 {
        let _ = write!(text, ", retries {}", check.retries);
    }
    text
}

fn write_notes(text: &mut dyn Write, name: &str, notes: &Notes) {
    for (key, value) in notes {
        write_row(text, name, &format!("{key} = {value}"));
    }
}

fn write_layer(text: &mut dyn Write, number: usize, layer: &Layer, with_files: bool) {
    let kind = layer.media_type.as_deref().unwrap_or("tar");
    let (packed, unpacked) = (Size(layer.size), Size(layer.unpacked_size));
    let size = match layer.digest == layer.diff_id {
        true => packed.to_string(),
        false => format!("{packed}, unpacked {unpacked}"),
    };
    write_row(text, &format!("layer {number}"), &format!("{size}, {kind}"));
    write_row(text, "  digest", &layer.digest.to_string());
    if layer.digest != layer.diff_id {
        write_row(text, "  diff-id", &layer.diff_id.to_string());
    }
    if let Some(made) = &layer.created_by {
        write_row(text, "  made by", made);
    }
    if with_files {
        write_files(text, &layer.files, false, &full_path);
    }
}

/// Returns a table of files: permissions in both forms, owner, size, and path.
fn write_files(
    text: &mut dyn Write,
    files: &[File],
    layers: bool,
    path_of: &dyn Fn(&File) -> String,
) {
    if files.is_empty() {
        return write_row(text, "files", "none");
    }
    let row = |file: &File| {
        let mode = format!("{} {}", format_permissions(file.kind, file.mode), file.mode);
        let owner = format!("{}:{}", file.uid, file.gid);
        let size = match (file.kind, file.device) {
            (FileKind::File | FileKind::HardLink | FileKind::Unknown, _) => {
                Size(file.size).to_string()
            }
            (_, Some((major, minor))) => format!("{major}, {minor}"),
            _ => "-".to_owned(),
        };
        (mode, owner, size)
    };
    // The rows themselves would take more memory than the files.
    let widths = files.iter().map(row).map(|(_, owner, size)| (owner.len(), size.len()));
    let (owners, sizes) =
        widths.fold((5, 4), |widest, width| (widest.0.max(width.0), widest.1.max(width.1)));
    let mut line = |mode: &str, owner: &str, size: &str, layer: &str, path_of: &str| {
        let layer = if layers { format!("{layer:>5}  ") } else { String::new() };
        let _ =
            writeln!(text, "    {mode:<15}  {owner:>owners$}  {size:>sizes$}  {layer}{path_of}");
    };
    line("mode", "owner", "size", "layer", "path");
    for file in files {
        let (mode, owner, size) = row(file);
        line(&mode, &owner, &size, &file.layer.to_string(), &path_of(file));
    }
}

/// Formats a mode as ls(1) does: `drwxr-xr-x`; whiteouts are `w` and `o`.
fn format_permissions(kind: FileKind, mode: Mode) -> String {
    let first = match kind {
        FileKind::File | FileKind::HardLink => '-',
        FileKind::Directory => 'd',
        FileKind::Symlink => 'l',
        FileKind::CharacterDevice => 'c',
        FileKind::BlockDevice => 'b',
        FileKind::Pipe => 'p',
        FileKind::Whiteout => 'w',
        FileKind::OpaqueWhiteout => 'o',
        FileKind::Unknown => '?',
    };
    let mut text = String::from(first);
    let special = [(0o4000, 's', 'S'), (0o2000, 's', 'S'), (0o1000, 't', 'T')];
    for (shift, (bit, with, without)) in [6, 3, 0].into_iter().zip(special) {
        let bits = mode.0 >> shift;
        text.push(if bits & 4 > 0 { 'r' } else { '-' });
        text.push(if bits & 2 > 0 { 'w' } else { '-' });
        text.push(match (bits & 1 > 0, mode.0 & bit > 0) {
            (true, false) => 'x',
            (true, true) => with,
            (false, true) => without,
            (false, false) => '-',
        });
    }
    text
}

/// Returns the suffix of a name: a slash, or the target of a link.
fn name_suffix(file: &File) -> String {
    let target = escape_text(file.target.as_deref().unwrap_or_default());
    match file.kind {
        FileKind::Directory if file.path != "/" => "/".to_owned(),
        FileKind::Symlink => format!(" -> {target}"),
        FileKind::HardLink => format!(" = {target}"),
        FileKind::Whiteout => " (removed)".to_owned(),
        FileKind::OpaqueWhiteout => " (emptied)".to_owned(),
        _ => String::new(),
    }
}

fn full_path(file: &File) -> String {
    format!("{}{}", escape_text(&file.path), name_suffix(file))
}

/// Returns the name below that of its directory.
fn indented_name(file: &File) -> String {
    let depth = file.path.matches('/').count().saturating_sub(1);
    if depth == 0 {
        return full_path(file);
    }
    let name = file.path.rsplit('/').next().unwrap_or_default();
    format!("{}{}{}", "  ".repeat(depth), escape_text(name), name_suffix(file))
}

/// Formats the differences between two images: `+` before items that only the second has, `-` before
/// those that only the first has, `~` before those that both have and that differ.
pub fn format_difference(diff: &ImageDiff) -> String {
    let mut text = String::new();
    if diff.equal {
        let but = if diff.times { "" } else { "; times were not compared" };
        let _ = writeln!(text, "no difference{but}");
        return text;
    }
    push_table(&mut text, diff.annotations.iter().map(change_row).collect());
    for (sign, platforms, path_of) in
        [('-', &diff.only_before, &diff.before), ('+', &diff.only_after, &diff.after)]
    {
        for platform in platforms {
            let _ = writeln!(text, "{sign} {platform}: only in {}", escape_text(path_of));
        }
    }
    for platform in &diff.platforms {
        if platform.equal {
            let _ = writeln!(text, "{}: no difference", platform.platform);
        } else {
            let _ = writeln!(text, "{}", platform.platform);
            push_platform(&mut text, platform);
        }
    }
    text
}

fn push_platform(text: &mut String, diff: &PlatformDiff) {
    let changes = [&diff.config, &diff.annotations, &diff.history];
    let mut rows: Vec<_> = changes.into_iter().flatten().map(change_row).collect();
    let layers = diff.layers;
    if layers.before != layers.after || layers.equal != layers.after {
        let counts = match layers.before == layers.after {
            true => format!("{} of {} equal", layers.equal, layers.after),
            false => format!("{} → {}, {} equal", layers.before, layers.after, layers.equal),
        };
        rows.push(('~', "layers".to_owned(), counts));
    }
    push_table(text, rows);
    let files = &diff.files;
    let file_row = |sign: char, file: &File| {
        let about = format!("{} {} {}:{}", file.kind, file.mode, file.uid, file.gid);
        let size = match file.kind {
            FileKind::File | FileKind::HardLink => format!(" {}", Size(file.size)),
            _ => String::new(),
        };
        (sign, full_path(file), format!("{about}{size}"))
    };
    let mut rows: Vec<_> = files.removed.iter().map(|file| file_row('-', file)).collect();
    rows.extend(files.added.iter().map(|file| file_row('+', file)));
    rows.extend(files.changed.iter().map(|file| {
        let changes: Vec<_> = file.changes.iter().map(describe_change).collect();
        ('~', escape_text(&file.path), changes.join(", "))
    }));
    rows.sort_stable_by(|a, b| a.1.cmp(&b.1));
    push_table(text, rows);
}

fn describe_change(change: &Change) -> String {
    match (change.field.as_str(), &change.key) {
        ("sha256", _) => "content".to_owned(),
        ("xattrs", Some(key)) => format!("attribute {}", escape_text(key)),
        (field, _) => {
            format!("{field} {} → {}", format_value(&change.before), format_value(&change.after))
        }
    }
}

fn change_row(change: &Change) -> (char, String, String) {
    let name = match &change.key {
        Some(key) => format!("{} {}", singular_name(&change.field), escape_text(key)),
        None => change.field.clone(),
    };
    let (before, after) = (format_value(&change.before), format_value(&change.after));
    match (&change.before, &change.after) {
        (None, _) => ('+', name, after),
        (_, None) => ('-', name, before),
        _ => ('~', name, format!("{before} → {after}")),
    }
}

fn singular_name(field: &str) -> &str {
    match field {
        "labels" => "label",
        "annotations" => "annotation",
        field => field,
    }
}

/// Returns a value in one line.
fn format_value(value: &Option<Value>) -> String {
    match value {
        None => "none".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "\"\"".to_owned(),
        Some(Value::String(text)) => escape_text(text),
        // Instructions are distinguished by their text.
        Some(Value::Object(step)) if step.contains_key("created-by") => {
            format_value(&step.get("created-by").cloned())
        }
        Some(value) => escape_text(&value.to_string()),
    }
}

fn push_table(text: &mut String, rows: Vec<(char, String, String)>) {
    let widths = rows.iter().map(|(_, name, _)| name.chars().count());
    let width = widths.max().unwrap_or(0).min(MAX_NAME_WIDTH);
    for (sign, name, value) in rows {
        let _ = writeln!(text, "  {sign} {name:<width$}  {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_those_of_ls() {
        let text = |kind, mode| format_permissions(kind, Mode(mode));
        assert_eq!(text(FileKind::Directory, 0o1777), "drwxrwxrwt");
        assert_eq!(text(FileKind::File, 0o6750), "-rwsr-s---");
        assert_eq!(text(FileKind::File, 0o4644), "-rwSr--r--");
        assert_eq!(text(FileKind::Symlink, 0o777), "lrwxrwxrwx");
    }

    #[test]
    fn healthchecks_have_times_for_people() {
        let text = r#"{"Test":["CMD","/x"],"Interval":90000000000,"Retries":3}"#;
        let value = serde_json::from_str(text).unwrap();
        assert_eq!(format_healthcheck(&value), r#"["CMD","/x"], interval 1m 30s, retries 3"#);
        assert_eq!(format_healthcheck(&Value::from(1)), "1");
    }

    #[test]
    fn terminals_get_no_control_characters() {
        assert_eq!(escape_text("a\u{1b}[31m\n\u{202e}\"é'\\"), "a\\u{1b}[31m\\n\\u{202e}\"é'\\");
    }
}
