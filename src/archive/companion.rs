//! The paths of completions and manual pages.

use crate::model::schema::packaging::Shell;

impl Shell {
    /// All shells.
    pub const ALL: [Self; 6] =
        [Self::Bash, Self::Zsh, Self::Fish, Self::Elvish, Self::Powershell, Self::Nushell];

    /// Returns the shell's name, which programs take as an argument.
    pub fn name(self) -> &'static str {
        match self {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
            Shell::Elvish => "elvish",
            Shell::Powershell => "powershell",
            Shell::Nushell => "nushell",
        }
    }

    /// Returns the path of its completions for `program`, below `/usr` or a different prefix, where each shell
    /// searches by default, according to its manual. Shells without such a directory get a separate
    /// one.
    pub fn completion_path(self, program: &str) -> String {
        match self {
            Shell::Bash => format!("share/bash-completion/completions/{program}"),
            Shell::Zsh => format!("share/zsh/site-functions/_{program}"),
            Shell::Fish => format!("share/fish/vendor_completions.d/{program}.fish"),
            Shell::Elvish => format!("share/elvish/lib/{program}.elv"),
            Shell::Powershell => format!("share/powershell/completions/_{program}.ps1"),
            Shell::Nushell => format!("share/nushell/vendor/autoload/{program}.nu"),
        }
    }
}

/// Returns the path of the file `name` of one of `programs`, below `/usr` or a different prefix:
/// completions as clap_complete names them, and manual pages (man-pages(7), "Sections within a
/// manual page"). `None` for any other file that a build script writes.
pub fn companion_path(name: &str, programs: &[&str]) -> Option<String> {
    for program in programs {
        let shell = Shell::ALL.into_iter().find(|shell| match shell {
            Shell::Bash => name == format!("{program}.bash"),
            Shell::Zsh => name == format!("_{program}"),
            Shell::Fish => name == format!("{program}.fish"),
            Shell::Elvish => name == format!("{program}.elv"),
            Shell::Powershell => name == format!("_{program}.ps1"),
            Shell::Nushell => name == format!("{program}.nu"),
        });
        if let Some(shell) = shell {
            return Some(shell.completion_path(program));
        }
        if let Some((stem, section)) = name.rsplit_once('.')
            && matches!(section.as_bytes(), [b'1'..=b'8'])
            && (stem == *program || stem.starts_with(&format!("{program}-")))
        {
            return Some(format!("share/man/man{section}/{name}"));
        }
    }
    None
}

/// Returns whether the file at `path` belongs to `program`, by the names of [`companion_path`] and
/// [`Shell::completion_path`].
pub fn is_companion_of(path: &str, program: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    Shell::ALL.iter().any(|shell| shell.completion_path(program) == path)
        || path.starts_with("share/man/") && companion_path(name, &[program]).is_some()
}

#[cfg(test)]
mod tests {
    use super::{companion_path, is_companion_of};

    #[test]
    fn companions_are_recognised_by_file_name() {
        let path_of = |name| companion_path(name, &["rg", "grep"]);
        assert_eq!(path_of("rg.bash").unwrap(), "share/bash-completion/completions/rg");
        assert_eq!(path_of("_rg").unwrap(), "share/zsh/site-functions/_rg");
        assert_eq!(path_of("rg.fish").unwrap(), "share/fish/vendor_completions.d/rg.fish");
        assert_eq!(path_of("grep.1").unwrap(), "share/man/man1/grep.1");
        assert_eq!(path_of("rg-config.5").unwrap(), "share/man/man5/rg-config.5");
        assert!(is_companion_of("share/zsh/site-functions/_rg", "rg"));
        assert!(is_companion_of("share/man/man5/rg-config.5", "rg"));
        assert!(!is_companion_of("share/man/man1/grep.1", "rg"));
        assert!(!is_companion_of("share/fish/vendor_completions.d/grep.fish", "rg"));
        for other in ["rg", "rg.rs", "ripgrep.1", "rg.1.html", "rg.0", "libz.a", "_other"] {
            assert_eq!(path_of(other), None, "{other}");
        }
    }
}
