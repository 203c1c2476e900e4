//! The directories that cargo builds in
//! (<https://doc.rust-lang.org/cargo/reference/build-cache.html>).

use camino::{Utf8Path, Utf8PathBuf};

/// The name of the platform that build scripts and procedural macros run on.
pub const HOST: &str = "host";

/// The directories of one cargo command, and the targets that it builds for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The target directory, and the build directory if that is a different one.
    roots: Vec<Utf8PathBuf>,
    targets: Vec<String>,
}

impl Layout {
    /// Returns the layout of a command that builds in `roots` for `targets`.
    pub fn new(roots: Vec<Utf8PathBuf>, targets: Vec<String>) -> Self {
        Layout { roots, targets }
    }

    /// Returns the target of the file at `path`, or [`HOST`]. Files for a target are below a directory with
    /// its name, directly below the target directory. Other directories may have such a name, too: a
    /// parent of the target directory, or one that a build script created.
    pub fn target(&self, path: &Utf8Path) -> &str {
        let below = self.roots.iter().filter_map(|root| path.strip_prefix(root).ok());
        // A root may be in another one.
        let below = below.min_by_key(|below| below.as_str().len());
        let is_named = |target: &&String| match below {
            Some(below) => below.iter().next() == Some(target.as_str()),
            None => path.iter().any(|part| part == target.as_str()),
        };
        self.targets.iter().find(is_named).map_or(HOST, String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_directory_names_the_target() {
        let names = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];
        let targets = names.map(str::to_owned).to_vec();
        let root = "/x86_64-unknown-linux-musl/ws/target";
        let roots = vec![root.into(), format!("{root}/build/aarch64-unknown-linux-musl").into()];
        let layout = Layout::new(roots, targets);
        let at = |path: &str| layout.target(format!("{root}/{path}").as_str().into()).to_owned();
        assert_eq!(at("dist/build/a-1/build-script-build"), HOST);
        assert_eq!(at("x86_64-unknown-linux-musl/dist/a"), names[0]);
        assert_eq!(at("aarch64-unknown-linux-musl/dist/a"), names[1]);
        assert_eq!(
            at("x86_64-unknown-linux-musl/dist/build/a-1/out/aarch64-unknown-linux-musl"),
            names[0]
        );
        assert_eq!(at("dist/build/a-1/out/aarch64-unknown-linux-musl"), HOST);
        assert_eq!(at("build/aarch64-unknown-linux-musl/dist/deps/a"), HOST);
        assert_eq!(at("build/aarch64-unknown-linux-musl/x86_64-unknown-linux-musl/a"), names[0]);
        // A directory that is not known.
        assert_eq!(layout.target("/b/aarch64-unknown-linux-musl/dist/a".into()), names[1]);
    }
}
