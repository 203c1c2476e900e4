//! Errors as people see them.

use std::collections::BTreeMap;

use super::{Arguments, parse};

use crate::model::error::{Error, Status};

fn arguments(target: Option<&str>) -> Arguments {
    Arguments {
        platform: "linux/arm64".parse().unwrap(),
        build_platform: "linux/amd64".parse().unwrap(),
        values: BTreeMap::new(),
        target: target.map(Into::into),
    }
}

/// Returns the complete error of an invalid file.
fn error(text: &str) -> String {
    let error = match parse("Dockerfile", text) {
        Err(error) => error,
        Ok(file) => match file.evaluate(&arguments(None)) {
            Err(error) => error,
            Ok(evaluated) => panic!("{text}: {evaluated:?}"),
        },
    };
    assert_eq!(error.status(), Status::Usage);
    format!("{error:?}")
}

#[test]
fn run_is_shown_with_its_line() {
    assert_eq!(
        error("FROM scratch\n  RUN cargo build\n"),
        "\
Dockerfile:2:3: `RUN` needs a container, and none is started here
  |
2 |   RUN cargo build
  |   ^^^
hint: an image that needs it is built by `docker buildx build`; this recipe only places files that \
were built before"
    );
}

#[test]
fn all_problems_are_shown_at_once() {
    let text = "\
# syntax=docker/dockerfile:1
FROM alpine AS base
\tCPOY a \\
  # between
  b /
RUN <<EOF
FROM nothing
EOF
COPY --chwon=1 a b
CMD echo hi
";
    assert_eq!(
        error(text),
        "\
Dockerfile:2:6: the base image `alpine` is not fetched here
  |
2 | FROM alpine AS base
  |      ^^^^^^
Dockerfile:3:2: `CPOY` is not an instruction
  |
3 |     CPOY a \\
  |     ^^^^
  = hint: did you mean `COPY`?
Dockerfile:6:1: `RUN` needs a container, and none is started here
  |
6 | RUN <<EOF
  | ^^^
  = hint: an image that needs it is built by `docker buildx build`; this recipe only places files \
that were built before
Dockerfile:9:6: `COPY` has no flag `--chwon`
  |
9 | COPY --chwon=1 a b
  |      ^^^^^^^^^
  = hint: did you mean `--chown`?
Dockerfile:10:5: the shell form of `CMD` needs `/bin/sh`
   |
10 | CMD echo hi
   |     ^^^^^^^
   = hint: write the exec form: `CMD [\"echo\", \"hi\"]`
hint: begin with `FROM scratch`; an image on top of another is built by `docker buildx build`"
    );
}

#[test]
fn many_problems_are_counted() {
    let text = format!("FROM scratch\n{}", "RUN a\n".repeat(50));
    assert!(error(&text).contains("\nand 29 more\n"), "{}", error(&text));
}

#[test]
fn the_location_in_a_word_is_underlined() {
    assert_eq!(
        error("FROM scratch\nLABEL a=b \\\n      c=\"é ${X:?give X}\"\n"),
        "\
Dockerfile:3:12: X: give X
  |
3 |       c=\"é ${X:?give X}\"
  |            ^^^^^^^^^^^^"
    );
}

#[test]
fn long_lines_are_cut() {
    let long = "x".repeat(10_000);
    let error = error(&format!("FROM scratch\nCOPY {long} ${{ {long}\n"));
    assert!(error.len() < 1_000, "{error}");
    assert!(error.starts_with("Dockerfile:2:10007: `"), "{error}");
    let error = self::error(&format!("FROM scratch\n{long} a\nUSER $X${{X:?{long}}}\n"));
    assert!(error.len() < 2_000, "{error}");
}

/// The beginnings of messages, and the text of the hints, for a line after `FROM scratch`.
const UNSUPPORTED: &[(&str, &str, &str)] = &[
    ("ADD a b", "2:1: `ADD` is not supported", "COPY"),
    ("ONBUILD COPY a b", "2:1: `ONBUILD` leaves", "buildx"),
    ("HELTHCHECK NONE", "2:1: `HELTHCHECK` is not an instruction", "`HEALTHCHECK`?"),
    ("foo", "2:1: `foo` is not an instruction", ""),
    ("COPY", "2:1: `COPY` needs a source", ""),
    ("COPY a", "2:6: `COPY` needs a source", ""),
    ("COPY []", "2:6: `COPY` needs a source", ""),
    ("COPY [1, \"a\"]", "2:6: a JSON array here", ""),
    ("COPY <<EOF /a\nx\nEOF", "2:6: a heredoc", "build context"),
    ("COPY --from", "2:6: the flag `--from` needs a value", "--from=value"),
    ("COPY --link=2 a b", "2:6: `--link` is `true` or `false`", ""),
    ("COPY --link --link a b", "2:13: the flag `--link` is given twice", ""),
    ("COPY --chown=me a b", "2:14: an empty image knows no user `me`", "65532"),
    ("COPY --chown=1: a b", "2:14: an empty image knows no user `1:`", "65532"),
    ("COPY --chown=-1 a b", "2:14: an empty image knows no user", ""),
    ("COPY --chmod=u+x a b", "2:14: the mode `u+x` is not octal", "0755"),
    ("COPY --chmod=+755 a b", "2:14: the mode `+755` is not octal", ""),
    ("COPY --chmod=10000 a b", "2:14: the mode `10000` is not octal", ""),
    ("COPY --chmod=0o755 a b", "2:14: the mode", ""),
    ("COPY --from=alpine a b", "2:13: there is no stage `alpine`", "buildx"),
    ("COPY --from=0 a b", "2:13: a stage cannot copy from itself", ""),
    ("COPY --from=1 a b", "2:13: there is no stage `1`", ""),
    ("COPY --from=-1 a b", "2:13: there is no stage `-1`", ""),
    ("COPY --from=$X a b", "2:13: variables are not expanded", ""),
    ("COPY a b c", "2:10: several files need a directory", "`c/`"),
    ("COPY $X /", "2:6: there is nothing to copy", ""),
    ("COPY \"a b\" /", "2:6: the quote `\"` is not closed", "JSON form"),
    ("COPY https://x/y /", "2:6: `COPY` takes files", ""),
    ("ENV", "2:1: `ENV` needs an argument", ""),
    ("ENV A", "2:5: `ENV` needs a value", "`ENV A=value`"),
    ("ENV A=b c", "2:9: `c` has no `=`", "quote"),
    ("ENV =b", "2:5: there is no name", ""),
    ("LABEL --x a=b", "2:7: `LABEL` has no flag `--x`", ""),
    ("ARG", "2:1: `ARG` needs a name", ""),
    ("ARG =a", "2:5: there is no name", ""),
    ("ARG A=${", "2:7: `}` is missing", ""),
    ("ENV A=\"b", "2:7: the quote `\"`", ""),
    ("USER", "2:1: `USER` needs an argument", ""),
    ("WORKDIR", "2:1: `WORKDIR` needs an argument", ""),
    ("USER me\nWORKDIR /a", "3:9: the directory would belong to `me`", "USER"),
    ("EXPOSE", "2:1: `EXPOSE` needs a port", ""),
    ("EXPOSE a", "2:8: `a` is not a port", "53/udp"),
    ("EXPOSE 80/x", "2:8: `x` is not a protocol", ""),
    ("EXPOSE 1:2", "2:8: `1:2` has a port of the host", ""),
    ("EXPOSE 9-8", "2:8: `9-8` is not a port", ""),
    ("EXPOSE 65536", "2:8: `65536` is not a port", ""),
    ("EXPOSE +1", "2:8: `+1` is not a port", ""),
    ("VOLUME", "2:1: `VOLUME` needs a path", ""),
    ("VOLUME [\" \"]", "2:8: a volume's path is empty", ""),
    ("VOLUME $X", "2:8: a volume's path is empty", ""),
    ("STOPSIGNAL FOO", "2:12: `FOO` is not a signal", "SIGTERM"),
    ("STOPSIGNAL 0", "2:12: `0` is not a signal", ""),
    ("HEALTHCHECK", "2:1: `HEALTHCHECK` needs", ""),
    ("HEALTHCHECK foo", "2:13: `HEALTHCHECK` takes", ""),
    ("HEALTHCHECK NONE x", "2:13: `HEALTHCHECK NONE` takes no", ""),
    ("HEALTHCHECK CMD", "2:13: `HEALTHCHECK CMD` needs", ""),
    ("HEALTHCHECK CMD []", "2:13: `HEALTHCHECK CMD` needs", ""),
    ("HEALTHCHECK CMD a b", "2:17: the shell form of `HEALTHCHECK CMD`", "[\"a\", \"b\"]"),
    ("HEALTHCHECK --timeout=5 CMD [\"a\"]", "2:23: `5` is not a time", "`30s`"),
    ("HEALTHCHECK --timeout=1us CMD [\"a\"]", "2:23: `1us` is not a time", ""),
    ("HEALTHCHECK --timeout=-5s CMD [\"a\"]", "2:23: `-5s` is not a time", ""),
    ("HEALTHCHECK --retries=x CMD [\"a\"]", "2:23: `x` is not a number", ""),
    ("HEALTHCHECK --retries=-1 CMD [\"a\"]", "2:23: `-1` is not a number", ""),
    ("CMD", "2:1: `CMD` needs an argument", ""),
    ("CMD ['a']", "2:5: the argument of `CMD` is not a JSON array", "double quotes"),
    ("ENTRYPOINT a", "2:12: the shell form of `ENTRYPOINT`", "`ENTRYPOINT [\"a\"]`"),
    ("ENTRYPOINT exec /a $O", "2:12: the shell form of `ENTRYPOINT`", "only a shell understands"),
    ("HEALTHCHECK CMD a || exit 1", "2:17: the shell form", "`HEALTHCHECK CMD [\"/program\""),
    ("SHELL a", "2:7: `SHELL` needs a JSON array", ""),
    ("SHELL []", "2:7: `SHELL` needs a JSON array", ""),
    ("FROM", "2:1: `FROM` needs an image", ""),
    ("FROM a b", "2:6: `FROM` takes one image", ""),
    ("FROM scratch AS 1a", "2:17: `1a` cannot be a stage's name", ""),
    ("FROM scratch AS a/b", "2:17: `a/b` cannot be a stage's name", ""),
    ("FROM scrach", "2:6: the base image `scrach`", "`scratch`?"),
    ("FROM $X", "2:6: the base image `$X` is empty", "ARG NAME=value"),
    ("FROM \"alpine\"", "2:6: the base image `alpine`", ""),
    ("FROM --platform=x scratch", "2:17: `x` is not a platform", ""),
    ("FROM --platform=$X scratch", "2:17: `` is not a platform", ""),
    ("FROM scratch AS a\nFROM scratch AS A", "3:17: there are two stages `a`", ""),
    ("FROM b\nFROM scratch AS b", "2:6: the stage `b` is not there before", ""),
    ("COPY --from=b a c\nFROM scratch AS b", "2:13: the stage `b` is not there before", ""),
    ("FROM scratch AS build\nFROM buidl", "3:6: the base image `buidl`", "`build`?"),
];

#[test]
fn unsupported_instructions() {
    for (line, message, hint) in UNSUPPORTED {
        let error = error(&format!("FROM scratch\n{line}\n"));
        assert!(error.starts_with(&format!("Dockerfile:{message}")), "{line}\n{error}");
        let hinted = error.rsplit("hint: ").next().unwrap_or("");
        assert!(hinted.contains(hint), "{line}\n{error}");
    }
}

#[test]
fn whole_files() {
    let table = [
        ("", "1:1: there is no `FROM` in it"),
        ("# a comment\n", "1:1: there is no `FROM` in it"),
        ("ARG A\n", "1:1: there is no `FROM` in it"),
        ("COPY a b\nFROM scratch\n", "1:1: only `ARG` can be before the first `FROM`"),
        ("# escape=x\nFROM scratch\n", "1:1: `x` cannot be the escape character"),
        ("# syntax=a\n# syntax=b\nFROM scratch\n", "2:1: the directive `syntax` is given twice"),
        ("FROM scratch\nCOPY <<EOF /\nnever ends", "2:6: a heredoc"),
        ("FROM scratch\n\\", "2:1: there is not an instruction here"),
    ];
    for (text, message) in table {
        let error = error(text);
        assert!(error.starts_with(&format!("Dockerfile:{message}")), "{text}\n{error}");
    }
}

#[test]
fn a_missing_stage() {
    let file = parse("Dockerfile", "FROM scratch AS final\n").unwrap();
    let error = file.evaluate(&arguments(Some("finale"))).unwrap_err();
    assert_eq!(format!("{error:?}"), "there is no stage `finale`\nhint: did you mean `final`?");
}

#[test]
fn errors_of_later_steps_have_locations() {
    let file = parse("Dockerfile", "FROM scratch\nCOPY a /\n").unwrap();
    let evaluated = file.evaluate(&arguments(None)).unwrap();
    let span = evaluated.steps(0)[0].span;
    assert_eq!(span.line(), 2);
    let error = Error::usage("`a` is not there").hint("copy another");
    let error = file.located(span, &error);
    assert_eq!(error.to_string(), "Dockerfile:2:1: `a` is not there");
    assert_eq!(error.hint_text(), Some("copy another"));
}
