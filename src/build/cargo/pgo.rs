//! Flags of the user that concern profiles of a program's runs.

use super::rustflags::{UserFlags, codegen_options, flag_groups};
use crate::{
    build::target::Target,
    model::{
        error::{Error, Result},
        schema::plan::Flag,
    },
};

/// Checks that no flag of the user's chooses a profile, of which longshore would then record another one.
///
/// # Errors
/// One does.
pub fn check_flags(user: &UserFlags, target: &Target, profile: &[Flag]) -> Result<()> {
    let keys = ["profile-use", "profile-generate", "instrument-coverage"];
    for group in flag_groups(user, target, profile) {
        let found = codegen_options(&group.flags).find(|setting| {
            let key = setting.split('=').next().unwrap_or(setting);
            keys.contains(&key)
        });
        if let Some(setting) = found {
            return Err(Error::usage(format!(
                "`-C {setting}` from {} contradicts `--pgo` and `--pgo-profile`",
                group.origin
            ))
            .hint("remove the flag: longshore passes the profile to rustc"));
        }
    }
    Ok(())
}
