//! Writing the files of `init`: all of them, or none.

use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::{InitPlan, PlannedFile};
use crate::{
    model::{
        error::{Error, Result},
        schema::{Init, init::InitAction},
    },
    sys::{
        Context, access,
        fs::{self, Draft, FileType},
    },
};

/// A file that is ready to get its name.
struct Ready<'a> {
    file: &'a PlannedFile,
    /// Its path, without links.
    path: Utf8PathBuf,
    mode: u32,
    draft: Draft,
}

/// Writes the files. All of them are complete before the first gets its name; if one cannot get its name, those
/// before it are as they were.
///
/// # Errors
/// A file cannot be written, leads outside of the workspace, or has changed since the plan was made.
pub fn write(cx: &Context, plan: &InitPlan) -> Result<Init> {
    let root = fs::canonicalize(&plan.root)?;
    let files = plan.files.iter().filter(|file| file.is_written());
    let mut directories = Directories::default();
    let prepared = files.map(|file| prepare(&root, file, &mut directories)).collect();
    let prepared: Vec<Ready<'_>> = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            directories.remove();
            return Err(error);
        }
    };
    let mut done: Vec<(&PlannedFile, Utf8PathBuf, u32)> = Vec::new();
    let mut failed = cx.children.check().err();
    for Ready { file, path, mode, draft } in prepared {
        if failed.is_some() {
            break;
        }
        match check_unchanged(file, &path).and_then(|()| draft.persist_with_mode(&path, mode)) {
            Ok(()) => done.push((file, path, mode)),
            Err(error) => failed = Some(error),
        }
    }
    if let Some(error) = failed {
        let left: Vec<_> = done
            .iter()
            .filter(|(file, path, mode)| restore(file, path, *mode).is_err())
            .map(|(file, ..)| format!("`{}`", file.path))
            .collect();
        directories.remove();
        return Err(if left.is_empty() {
            error
        } else {
            error.hint(format!("these files could not be restored: {}", left.join(", ")))
        });
    }
    for (file, ..) in &done {
        let verb = if file.action == InitAction::Create { "Created" } else { "Extended" };
        cx.status(verb, describe(file));
    }
    Ok(plan.report(false))
}

/// Returns a file and the reason of its action, for people.
pub(super) fn describe(file: &PlannedFile) -> String {
    match file.reason.as_str() {
        "" => format!("`{}`", file.path),
        reason => format!("`{}`: {reason}", file.path),
    }
}

/// The directories that were created.
#[derive(Default)]
struct Directories(Vec<Utf8PathBuf>);

impl Directories {
    fn create(&mut self, path: &Utf8Path) -> Result<()> {
        let missing: Vec<_> = path.ancestors().take_while(|path| access::is_absent(path)).collect();
        let missing: Vec<_> = missing.into_iter().rev().map(Utf8Path::to_owned).collect();
        fs::create_dir_all(path)?;
        self.0.extend(missing);
        Ok(())
    }

    /// Removes those that are empty.
    fn remove(&self) {
        for path in self.0.iter().rev() {
            if fs::names(path).is_ok_and(|names| names.is_empty()) {
                let _ = fs::remove_dir_all(path);
            }
        }
    }
}

/// Writes a file beside its name.
fn prepare<'a>(
    root: &Utf8Path,
    file: &'a PlannedFile,
    directories: &mut Directories,
) -> Result<Ready<'a>> {
    let path = fs::resolve(&root.join(&file.path))?;
    if !path.starts_with(root) {
        let link = format!("`{}` leads to `{path}`, outside of the workspace", file.path);
        return Err(Error::usage(format!("cannot write `{}`: {link}", file.path))
            .hint("replace the link by a directory or file"));
    }
    fs::check_replaceable(&path)?;
    let mode = match fs::file_type(&path, true) {
        Ok(FileType::File { mode, .. }) => mode,
        _ => 0o644,
    };
    let parent = path.parent().unwrap_or(root).to_owned();
    directories.create(&parent)?;
    let mut draft = fs::draft(&parent)?;
    draft.write_all(file.new.as_bytes()).map_err(|error| fs::file_error("write", &path, error))?;
    Ok(Ready { file, path, mode, draft })
}

/// Checks that the file has the content on which the plan is based.
fn check_unchanged(file: &PlannedFile, path: &Utf8Path) -> Result<()> {
    if fs::read_to_string_if_exists(path)? == file.old {
        return Ok(());
    }
    Err(Error::usage(format!("`{}` has changed meanwhile", file.path)).hint("run `init` again"))
}

/// Gives a file its previous content, or removes it.
fn restore(file: &PlannedFile, path: &Utf8Path, mode: u32) -> Result<()> {
    match &file.old {
        Some(old) => fs::write_mode(path, old.as_bytes(), mode),
        None => fs::remove_file(path),
    }
}
