//! Re-entry: the same program started again as a linker, compiler or helper process.
#![allow(clippy::disallowed_methods, reason = "it finds the program that is running")]

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{
    model::{
        command::Command,
        error::{Error, Result},
    },
    sys::Context,
};

/// A flag that is set once [`crate::reenter`] was called in this process.
static ANSWERS: AtomicBool = AtomicBool::new(false);

/// Set for children of which only an answer is expected.
pub(super) const PROBE: &str = "LONGSHORE_REENTRY_PROBE";

/// The argument of a child that prints the value of [`PROBE`].
pub(super) const VERB: &str = "longshore-probe";

/// Records that this process answers when it is started again.
pub(super) fn set_answers() {
    ANSWERS.store(true, Ordering::SeqCst);
}

/// Returns the running program, if it answers when it is started again as a helper.
pub(super) fn program() -> Option<PathBuf> {
    ANSWERS.load(Ordering::SeqCst).then(|| std::env::current_exe().ok()).flatten()
}

/// Fails when this program would not answer as linker wrapper, before anything is built.
///
/// # Errors
/// It does not; the line to add is in the hint.
pub fn check(cx: &Context) -> Result<()> {
    let line = "make `longshore::reenter();` the first line of `main`";
    let exe = &cx.env.exe;
    if cx.env.var(PROBE).is_some() {
        // We are the child of the check below, and came this far: the line is in the wrong place.
        return Err(Error::usage(format!("`{exe}` started a build instead of linking")).hint(line));
    }
    let unfit =
        |how: &str| Error::usage(format!("`{exe}` cannot be the linker wrapper: {how}")).hint(line);
    if !ANSWERS.load(Ordering::SeqCst) {
        return Err(unfit("it never calls `longshore::reenter`"));
    }
    let token = format!("longshore-{}", std::process::id());
    let probe = Command::new(exe.as_str()).args(["zig", VERB, "--"]).env(PROBE, token.as_str());
    let output = cx.children.output(&probe)?;
    if output.text() != token {
        return Err(unfit("it does other things before it calls `longshore::reenter`"));
    }
    Ok(())
}

/// Checks like [`check`]; a program that was found to answer is not started again for that.
///
/// # Errors
/// The errors of [`check`].
pub(super) fn check_once(cx: &Context) -> Result<()> {
    static CHECKED: AtomicBool = AtomicBool::new(false);
    if !CHECKED.load(Ordering::SeqCst) {
        check(cx)?;
        CHECKED.store(true, Ordering::SeqCst);
    }
    Ok(())
}
