//! The built-in recipe: verified binaries in an otherwise empty image, as the Dockerfile that it
//! stands for.

use std::fmt::Write as _;

use crate::model::error::{Error, Result};

/// The directory of the binaries.
pub const BIN: &str = "/usr/local/bin";

/// The user and group of the built-in recipe: a number that distroless images, too, give to
/// "nonroot". A number, because an empty image has no `/etc/passwd` to look a name up in.
pub const NONROOT: &str = "65532:65532";

/// The comment at the beginning of the Dockerfile.
const HEADER: &str = "\
# Copies binaries that were built and verified before; nothing is compiled here.
#   docker buildx build -f Dockerfile.release --platform linux/amd64,linux/arm64 target/dist
";

/// The settings that are the same in the images of all platforms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    /// The binaries' file names. They are in the build context at `<platform>/bin/<name>`, and in
    /// the image in [`BIN`] with mode 0755, owned by root.
    pub binaries: Vec<String>,
    /// `USER`: numbers, as `65532:65532` or `65532`.
    pub user: String,
    /// `ENTRYPOINT`: the path of a program; `None` if several are possible, or none.
    pub entrypoint: Option<String>,
}

impl Recipe {
    /// Returns the recipe for `binaries`, of which the first is the entry point.
    pub fn new(binaries: Vec<String>) -> Self {
        let entrypoint = binaries.first().map(|name| format!("{BIN}/{name}"));
        Recipe { binaries, user: NONROOT.into(), entrypoint }
    }

    /// Returns the Dockerfile: `docker buildx build -f` it with `target/dist` as the context.
    ///
    /// # Errors
    /// A value cannot be written in a Dockerfile, or makes no sense in an empty image: names with
    /// characters that a Dockerfile expands, a user by name, no binary.
    pub fn text(&self) -> Result<String> {
        self.check()?;
        let mut text = format!("{HEADER}FROM scratch\nARG TARGETPLATFORM\nCOPY --chmod=0755");
        // Files by name, not their directory, so that an image holds its own package's binaries
        // even where the workspace has others.
        for name in &self.binaries {
            let _ = write!(text, " ${{TARGETPLATFORM}}/bin/{name}");
        }
        let _ = writeln!(text, " {BIN}/\nUSER {}", self.user);
        if let Some(entrypoint) = &self.entrypoint {
            let _ = writeln!(text, "ENTRYPOINT [{}]", serde_json::Value::from(entrypoint.as_str()));
        }
        Ok(text)
    }

    fn check(&self) -> Result<()> {
        if self.binaries.is_empty() {
            return Err(Error::usage("an image needs a binary"));
        }
        for name in &self.binaries {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.+".contains(&b);
            if !name.bytes().all(plain) || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
                return Err(Error::usage(format!(
                    "`{name}` cannot be a binary's name in an image"
                ))
                .hint("use letters, digits, `-`, `_`, `.` and `+`"));
            }
        }
        let number = |text: &str| text.parse::<u32>().is_ok_and(|n| n.to_string() == text);
        let (user, group) = match self.user.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (self.user.as_str(), None),
        };
        if !number(user) || !group.is_none_or(number) {
            return Err(Error::usage(format!(
                "`{}` is not a user that an empty image knows",
                self.user
            ))
            .hint("give numbers, such as `65532:65532`"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe() -> Recipe {
        Recipe::new(vec!["hello".into(), "other".into()])
    }

    #[test]
    fn text() {
        let expected = r#"# Copies binaries that were built and verified before; nothing is compiled here.
#   docker buildx build -f Dockerfile.release --platform linux/amd64,linux/arm64 target/dist
FROM scratch
ARG TARGETPLATFORM
COPY --chmod=0755 ${TARGETPLATFORM}/bin/hello ${TARGETPLATFORM}/bin/other /usr/local/bin/
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/hello"]
"#;
        assert_eq!(recipe().text().unwrap(), expected);
        let none = Recipe { entrypoint: None, ..recipe() };
        assert_eq!(none.text().unwrap().lines().last(), Some("USER 65532:65532"));
    }

    #[test]
    fn invalid_values_are_rejected() {
        let refused: [fn(&mut Recipe); 5] = [
            |r| r.binaries.clear(),
            |r| r.binaries.push("a*".into()),
            |r| r.binaries.push("../a".into()),
            |r| r.user = "nonroot".into(),
            |r| r.user = "65532:".into(),
        ];
        for (n, change) in refused.iter().enumerate() {
            let mut recipe = recipe();
            change(&mut recipe);
            assert!(recipe.text().is_err(), "{n}");
        }
    }
}
