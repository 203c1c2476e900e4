//! The built-in recipe: verified binaries in an otherwise empty image. [`Recipe::text`] is the
//! Dockerfile that it stands for, and BuildKit makes the same layers and configuration of that.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    Platform,
    config::{DEFAULT_PATH, Execution},
    image::{Image, Step},
    layer::{Compressor, Known, Layer, Tree},
    tar::Meta,
};
use crate::error::{Error, Result};

/// Where the binaries go.
pub const BIN: &str = "/usr/local/bin";

/// The user and group of the built-in recipe: a number that distroless images, too, give to
/// "nonroot". A number, because an empty image has no `/etc/passwd` to look a name up in.
pub const NONROOT: &str = "65532:65532";

/// What a reader of the Dockerfile should know first.
const HEADER: &str = "\
# Copies binaries that were built and verified before; nothing is compiled here.
#   docker buildx build -f Dockerfile.release --platform linux/amd64,linux/arm64 target/dist
";

/// What is the same in the images of all platforms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    /// The binaries' file names. They are in the build context at `<platform>/bin/<name>`, and in
    /// the image in [`BIN`] with mode 0755, owned by root.
    pub binaries: Vec<String>,
    /// `LABEL`.
    pub labels: BTreeMap<String, String>,
    /// Labels that are not part of the recipe but change with each release, such as the revision:
    /// `docker build --label`. They leave no trace in the history, and win over `labels`.
    pub release_labels: BTreeMap<String, String>,
    /// `USER`: numbers, as `65532:65532` or `65532`.
    pub user: String,
    /// `ENTRYPOINT`: the program and its first arguments.
    pub entrypoint: Vec<String>,
    /// `CMD`: the arguments unless others are given; none for no `CMD` at all.
    pub cmd: Option<Vec<String>>,
}

impl Recipe {
    /// The recipe for `binaries`, of which the first is the entry point.
    pub fn new(binaries: Vec<String>) -> Self {
        let entrypoint = binaries.first().map(|name| format!("{BIN}/{name}"));
        Recipe {
            binaries,
            user: NONROOT.into(),
            entrypoint: entrypoint.into_iter().collect(),
            ..Recipe::default()
        }
    }

    /// The Dockerfile: `docker buildx build -f` it with `target/dist` as the context.
    ///
    /// # Errors
    /// A value cannot be written in a Dockerfile, or makes no sense in an empty image: names with
    /// characters that a Dockerfile expands, control characters, a user by name, no entry point.
    pub fn text(&self) -> Result<String> {
        self.check()?;
        let mut text = format!("{HEADER}FROM scratch\nARG TARGETPLATFORM\n");
        for (n, (key, value)) in self.labels.iter().enumerate() {
            let lead = if n == 0 { "LABEL" } else { " \\\n     " };
            let mut quoted = String::new();
            for c in value.chars() {
                // What the Dockerfile reference calls escaping in double quotes, and no expansion.
                if matches!(c, '"' | '\\' | '$') {
                    quoted.push('\\');
                }
                quoted.push(c);
            }
            let _ = write!(text, "{lead} {key}=\"{quoted}\"");
        }
        if !self.labels.is_empty() {
            text.push('\n');
        }
        let _ = writeln!(text, "{}", self.copy("${TARGETPLATFORM}"));
        let _ = writeln!(text, "USER {}", self.user);
        let _ = writeln!(text, "ENTRYPOINT {}", exec_form(&self.entrypoint));
        if let Some(cmd) = &self.cmd {
            let _ = writeln!(text, "CMD {}", exec_form(cmd));
        }
        Ok(text)
    }

    /// One platform's image of `contents`, the bytes of each binary by its name. Every time in it
    /// is `epoch`, in seconds since 1970.
    ///
    /// # Errors
    /// As [`Recipe::text`]; a binary has no bytes given, or `epoch` is after the year 2242, the
    /// last that a tar can hold.
    pub fn image(
        &self,
        platform: &Platform,
        contents: &BTreeMap<&str, &[u8]>,
        epoch: u64,
        compressor: Compressor,
        known: &Known<'_>,
    ) -> Result<Image> {
        self.check()?;
        let meta = Meta { mode: 0o755, uid: 0, gid: 0, mtime: epoch };
        let mut tree = Tree::new(meta);
        for name in &self.binaries {
            let content = contents.get(name.as_str()).ok_or_else(|| {
                Error::usage(format!("there is no binary `{name}` for `{platform}`"))
            })?;
            tree.file(&format!("{BIN}/{name}"), meta, content)?;
        }
        let copy = Step {
            created_by: format!("{} # buildkit", self.copy(&platform.to_string())),
            layer: Some(Layer::new(&tree, compressor, known)?),
        };
        let mut steps = vec![Step::empty(format!("ARG TARGETPLATFORM={platform}"))];
        if !self.labels.is_empty() {
            let labels = self.labels.iter();
            let pairs: String = labels.map(|(k, v)| format!(" {k}={v}")).collect();
            steps.push(Step::empty(format!("LABEL{pairs}")));
        }
        steps.push(copy);
        steps.push(Step::empty(format!("USER {}", self.user)));
        steps.push(Step::empty(format!("ENTRYPOINT {}", listed(&self.entrypoint))));
        if let Some(cmd) = &self.cmd {
            steps.push(Step::empty(format!("CMD {}", listed(cmd))));
        }
        let mut labels = self.labels.clone();
        labels.extend(self.release_labels.clone());
        let execution = Execution {
            user: self.user.clone(),
            env: vec![DEFAULT_PATH.into()],
            entrypoint: Some(self.entrypoint.clone()),
            cmd: self.cmd.clone(),
            working_dir: "/".into(),
            labels,
            args_escaped: self.cmd.is_some(),
            ..Execution::default()
        };
        Image::new(platform.clone(), epoch, execution, steps, BTreeMap::new())
    }

    /// The `COPY` instruction. Files by name, not their directory, so that an image holds its own
    /// package's binaries even where the workspace has others.
    fn copy(&self, platform: &str) -> String {
        let mut text = String::from("COPY --chmod=0755");
        for name in &self.binaries {
            let _ = write!(text, " {platform}/bin/{name}");
        }
        let _ = write!(text, " {BIN}/");
        text
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
        if self.entrypoint.is_empty() {
            return Err(Error::usage("an image needs an entry point"));
        }
        let words = self.entrypoint.iter().chain(self.cmd.iter().flatten());
        let labels = self.labels.iter().chain(&self.release_labels);
        for text in words.chain(labels.clone().map(|(_, value)| value)) {
            if text.contains(char::is_control) {
                return Err(Error::usage(format!(
                    "`{}` has a control character, which a Dockerfile cannot hold",
                    text.escape_debug()
                )));
            }
        }
        for (key, _) in labels {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
            if key.is_empty() || !key.bytes().all(plain) {
                return Err(Error::usage(format!("`{key}` cannot be a label's key"))
                    .hint("use letters, digits, `-`, `_`, `.` and `/`"));
            }
        }
        Ok(())
    }
}

/// Words in a Dockerfile's exec form: a JSON array.
fn exec_form(words: &[String]) -> String {
    let quote = |word: &String| serde_json::Value::from(word.as_str()).to_string();
    let words: Vec<String> = words.iter().map(quote).collect();
    format!("[{}]", words.join(", "))
}

/// Words as Go's `%q` prints a slice of strings, which is what history entries show. `check` has
/// refused the characters that it would escape beyond quotes and backslashes.
fn listed(words: &[String]) -> String {
    let quote = |word: &String| format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""));
    let words: Vec<String> = words.iter().map(quote).collect();
    format!("[{}]", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{ImageSet, layer::nothing_known};

    fn recipe() -> Recipe {
        Recipe {
            labels: [
                ("org.opencontainers.image.title", "hello"),
                ("org.opencontainers.image.description", r#"a "b" \ $c & d"#),
            ]
            .map(|(k, v)| (k.into(), v.into()))
            .into(),
            cmd: Some(vec!["--help".into(), "a b".into()]),
            ..Recipe::new(vec!["hello".into(), "other".into()])
        }
    }

    fn image(platform: &str) -> Image {
        let contents = [("hello", &b"hello"[..]), ("other", platform.as_bytes())].into();
        let platform = platform.parse().unwrap();
        let gzip = Compressor::Gzip;
        recipe().image(&platform, &contents, 1_700_000_000, gzip, &nothing_known).unwrap()
    }

    #[test]
    fn text() {
        let expected = r#"# Copies binaries that were built and verified before; nothing is compiled here.
#   docker buildx build -f Dockerfile.release --platform linux/amd64,linux/arm64 target/dist
FROM scratch
ARG TARGETPLATFORM
LABEL org.opencontainers.image.description="a \"b\" \\ \$c & d" \
      org.opencontainers.image.title="hello"
COPY --chmod=0755 ${TARGETPLATFORM}/bin/hello ${TARGETPLATFORM}/bin/other /usr/local/bin/
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/hello"]
CMD ["--help", "a b"]
"#;
        assert_eq!(recipe().text().unwrap(), expected);
    }

    #[test]
    fn history_shows_the_instructions_expanded() {
        let image = image("linux/arm64");
        let steps: Vec<_> = image.config().history.iter().collect();
        let texts: Vec<_> = steps.iter().filter_map(|s| s.created_by.as_deref()).collect();
        assert_eq!(
            texts,
            [
                "ARG TARGETPLATFORM=linux/arm64",
                r#"LABEL org.opencontainers.image.description=a "b" \ $c & d org.opencontainers.image.title=hello"#,
                "COPY --chmod=0755 linux/arm64/bin/hello linux/arm64/bin/other /usr/local/bin/ # buildkit",
                "USER 65532:65532",
                r#"ENTRYPOINT ["/usr/local/bin/hello"]"#,
                r#"CMD ["--help" "a b"]"#,
            ]
        );
        assert_eq!(steps.iter().filter(|s| !s.empty_layer).count(), 1);
        assert!(image.config().config.args_escaped);
    }

    #[test]
    fn the_same_twice_and_in_any_order() {
        let of = |platforms: [&str; 3]| {
            let images = platforms.map(image).into();
            ImageSet::new(images, BTreeMap::new()).unwrap()
        };
        let one = of(["linux/arm64", "linux/amd64", "linux/arm/v7"]);
        let two = of(["linux/arm/v7", "linux/arm64", "linux/amd64"]);
        assert_eq!(one, two);
        let platforms: Vec<_> = one.images().iter().map(|i| i.platform().to_string()).collect();
        assert_eq!(platforms, ["linux/amd64", "linux/arm/v7", "linux/arm64"]);
        // A change of these digests is a change of every image that users rebuild: say so.
        assert_eq!(one.images()[0].layers()[0].diff_id().short(), "329d4b57255d");
        assert_eq!(one.images()[0].config().digest().short(), "8aff78ba2967");
        assert_eq!(one.descriptor().digest.short(), "ba8713017d14");
    }

    #[test]
    fn two_images_of_one_platform_are_refused() {
        let images = vec![image("linux/arm64"), image("linux/arm64/v8")];
        let error = ImageSet::new(images, BTreeMap::new()).unwrap_err();
        assert_eq!(error.to_string(), "there are two images for `linux/arm64`");
        assert!(ImageSet::new(Vec::new(), BTreeMap::new()).is_err());
    }

    #[test]
    fn release_labels_leave_no_history() {
        let mut recipe = recipe();
        let text = recipe.text().unwrap();
        recipe.release_labels = [("org.opencontainers.image.revision".into(), "abc".into())].into();
        assert_eq!(recipe.text().unwrap(), text);
    }

    #[test]
    fn refused() {
        let refused: [fn(&mut Recipe); 9] = [
            |r| r.binaries.clear(),
            |r| r.binaries.push("a*".into()),
            |r| r.binaries.push("../a".into()),
            |r| r.user = "nonroot".into(),
            |r| r.user = "65532:".into(),
            |r| r.entrypoint.clear(),
            |r| r.cmd = Some(vec!["a\nb".into()]),
            |r| drop(r.labels.insert("a b".into(), "c".into())),
            |r| drop(r.release_labels.insert("a".into(), "b\nc".into())),
        ];
        for (n, change) in refused.iter().enumerate() {
            let mut recipe = recipe();
            change(&mut recipe);
            assert!(recipe.text().is_err(), "{n}");
        }
        let none = BTreeMap::new();
        let platform = "linux/amd64".parse().unwrap();
        let made = recipe().image(&platform, &none, 0, Compressor::Gzip, &nothing_known);
        assert!(made.unwrap_err().to_string().contains("no binary `hello`"));
    }
}
