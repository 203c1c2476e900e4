//! The results of files: steps, history and configuration.

use super::{Action, Arguments, Copy, Dockerfile, Evaluated, Span, parse};
use crate::image::oci::config::{DEFAULT_PATH, Execution, Healthcheck};

fn arguments(values: &[(&str, &str)]) -> Arguments {
    let values = values.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Arguments {
        platform: "linux/arm/v7".parse().unwrap(),
        build_platform: "linux/amd64".parse().unwrap(),
        values: values.collect(),
        target: None,
    }
}

fn file(text: &str) -> Dockerfile {
    parse("Dockerfile", text).unwrap_or_else(|error| panic!("{error:?}"))
}

fn evaluate(text: &str, values: &[(&str, &str)]) -> Evaluated {
    file(text).evaluate(&arguments(values)).unwrap_or_else(|error| panic!("{error:?}"))
}

/// Returns the history of the last stage.
fn history(text: &str, values: &[(&str, &str)]) -> Vec<String> {
    let evaluated = evaluate(text, values);
    let steps = evaluated.steps(evaluated.stages.len() - 1);
    steps.into_iter().map(|step| step.created_by.clone()).collect()
}

fn execution(text: &str) -> Execution {
    evaluate(text, &[]).stages.pop().unwrap().execution
}

/// Returns the copies of the last stage, without their locations.
fn copies(text: &str) -> Vec<Copy> {
    let evaluated = evaluate(text, &[]);
    let steps = evaluated.steps(evaluated.stages.len() - 1);
    let copies = steps.into_iter().filter_map(|step| match &step.action {
        Action::Copy(copy) => Some(Copy { span: Span::default(), ..copy.clone() }),
        _ => None,
    });
    copies.collect()
}

#[test]
fn history_texts() {
    let table = [
        ("ARG TARGETPLATFORM", "ARG TARGETPLATFORM=linux/arm/v7"),
        (
            "ARG TARGETOS TARGETARCH TARGETVARIANT",
            "ARG TARGETOS=linux TARGETARCH=arm TARGETVARIANT=v7",
        ),
        ("ARG BUILDPLATFORM BUILDVARIANT", "ARG BUILDPLATFORM=linux/amd64 BUILDVARIANT="),
        ("ARG TARGETSTAGE", "ARG TARGETSTAGE=default"),
        ("ARG A", "ARG A"),
        ("ARG A=", "ARG A="),
        ("ARG A=1 B=$A C=\"x y\"", "ARG A=1 B=1 C=x y"),
        ("ENV A=b", "ENV A=b"),
        ("env A=b C=\"d e\" F='$A'", "ENV A=b C=d e F=$A"),
        ("ENV A b  c", "ENV A=b  c"),
        ("ENV A \"b\"", "ENV A=b"),
        ("ENV A=a\\ b", "ENV A=a b"),
        ("ENV A=b B=$A", "ENV A=b B="),
        (
            "ENV PATH=/x:$PATH",
            "ENV PATH=/x:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ),
        ("LABEL a=b \"c d\"='e f'", "LABEL a=b c d=e f"),
        ("LABEL a.b-c=\"1\" \\\n  d=2", "LABEL a.b-c=1 d=2"),
        ("COPY a /b", "COPY a /b # buildkit"),
        ("COPY --chmod=0755 ./a/ b/ /c/", "COPY --chmod=0755 ./a/ b/ /c/ # buildkit"),
        (
            "COPY --link --chmod=755 --chown=1:2 --exclude=*.md a /",
            "COPY --chown=1:2 --chmod=755 a / # buildkit",
        ),
        ("COPY --parents a/./b /c/", "COPY --parents a/./b /c/ # buildkit"),
        ("COPY [\"a b\", \"/c\"]", "COPY a b /c # buildkit"),
        ("COPY a\"b\"'c' /c/", "COPY abc /c/ # buildkit"),
        ("USER 65532:65532", "USER 65532:65532"),
        ("WORKDIR /x/", "WORKDIR /x/"),
        ("WORKDIR x/../y", "WORKDIR /y"),
        ("WORKDIR /", "WORKDIR /"),
        ("EXPOSE 90/udp 80 8000-8002/TCP", "EXPOSE [80/tcp 8000/tcp 8001/tcp 8002/tcp 90/udp]"),
        ("VOLUME /a  /b", "VOLUME [/a /b]"),
        ("VOLUME [\"/a b\", \"/c\"]", "VOLUME [/a b /c]"),
        ("STOPSIGNAL SIGINT", "STOPSIGNAL SIGINT"),
        ("STOPSIGNAL 9", "STOPSIGNAL 9"),
        ("STOPSIGNAL rtmin+3", "STOPSIGNAL rtmin+3"),
        ("HEALTHCHECK NONE", r#"HEALTHCHECK &{["NONE"] "0s" "0s" "0s" "0s" '\x00'}"#),
        (
            "HEALTHCHECK --interval=90s --timeout=100ms --start-period=1h --start-interval=1.5s --retries=3 CMD [\"/a\", \"b c\"]",
            r#"HEALTHCHECK &{["CMD" "/a" "b c"] "1m30s" "100ms" "1h0m0s" "1.5s" '\x03'}"#,
        ),
        ("ENTRYPOINT [\"/a\", \"$A\"]", r#"ENTRYPOINT ["/a" "$A"]"#),
        ("ENTRYPOINT []", "ENTRYPOINT []"),
        ("CMD [\"a\\u000ab\", \"<é>\"]", r#"CMD ["a\nb" "<é>"]"#),
        ("SHELL [\"/bin/a\", \"-c\"]", "SHELL [/bin/a -c]"),
        ("MAINTAINER Ann <ann@example.com>", "MAINTAINER Ann <ann@example.com>"),
    ];
    for (line, expected) in table {
        assert_eq!(history(&format!("FROM scratch\n{line}\n"), &[]), [expected], "{line}");
    }
}

#[test]
fn the_release_recipe() {
    let text = r#"# syntax=docker/dockerfile:1
FROM scratch
ARG TARGETPLATFORM
LABEL org.opencontainers.image.title="a \"b\" \\ \$c & d"
COPY --chmod=0755 ${TARGETPLATFORM}/bin/hello ${TARGETPLATFORM}/bin/other /usr/local/bin/
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/hello"]
CMD ["--help", "a b"]
"#;
    let evaluated = evaluate(text, &[]);
    assert_eq!((evaluated.unused, evaluated.warnings), (vec![], vec![]));
    let stage = &evaluated.stages[0];
    let expected = Execution {
        user: "65532:65532".into(),
        env: vec![DEFAULT_PATH.into()],
        entrypoint: Some(vec!["/usr/local/bin/hello".into()]),
        cmd: Some(vec!["--help".into(), "a b".into()]),
        working_dir: "/".into(),
        labels: [("org.opencontainers.image.title".into(), "a \"b\" \\ $c & d".into())].into(),
        args_escaped: true,
        ..Execution::default()
    };
    assert_eq!(stage.execution, expected);
    let copy = Copy {
        from: None,
        sources: vec!["linux/arm/v7/bin/hello".into(), "linux/arm/v7/bin/other".into()],
        destination: "/usr/local/bin/".into(),
        chown: None,
        chmod: Some(0o755),
        link: false,
        parents: false,
        exclude: vec![],
        span: stage.steps[2].span,
    };
    assert_eq!(stage.steps[2].action, Action::Copy(copy));
    let others = stage.steps.iter().filter(|step| step.action == Action::Configure).count();
    assert_eq!(others, 5);
}

#[test]
fn copies_and_their_destinations() {
    let table = [
        ("COPY a /b", "a", "/b"),
        ("COPY a /b/", "a", "/b/"),
        ("COPY a /b/.", "a", "/b/"),
        ("COPY a /b/../c", "a", "/c"),
        ("COPY a b", "a", "/w/b"),
        ("COPY a .", "a", "/w/"),
        ("COPY a ./", "a", "/w/"),
        ("COPY a ..", "a", "/"),
        ("COPY a $NOTHING", "a", "/w/"),
        ("COPY a /", "a", "/"),
        ("COPY . /", ".", "/"),
        ("COPY / /", ".", "/"),
        ("COPY ./a//b/ /", "a/b", "/"),
        ("COPY ../../a /", "a", "/"),
        ("COPY /a/*.txt /", "a/*.txt", "/"),
        ("COPY --parents ./a/b /", "a/b", "/"),
        ("COPY --parents x/../y/./a/b/ c", "y/./a/b", "/w/c"),
        ("COPY x/./a /", "x/a", "/"),
    ];
    for (line, source, destination) in table {
        let copies = copies(&format!("FROM scratch\nWORKDIR /w\n{line}\n"));
        assert_eq!(copies.len(), 1, "{line}");
        assert_eq!(copies[0].sources, [source], "{line}");
        assert_eq!(copies[0].destination, destination, "{line}");
    }
    let copies = copies(
        "FROM scratch\nARG U=7\nCOPY --link=true --parents=false --exclude=*.md --exclude=$U \
         --chown=$U --chmod=0$U a b /\nCOPY --chown=root:5 --chmod= --from= a b",
    );
    let expected = Copy {
        from: None,
        sources: vec!["a".into(), "b".into()],
        destination: "/".into(),
        chown: Some((7, 7)),
        chmod: Some(7),
        link: true,
        parents: false,
        exclude: vec!["*.md".into(), "$U".into()],
        span: Span::default(),
    };
    assert_eq!(copies[0], expected);
    assert_eq!((copies[1].chown, copies[1].chmod), (Some((0, 5)), None));
}

#[test]
fn working_directories() {
    let evaluated = evaluate(
        "FROM scratch\nWORKDIR a\nUSER 5\nWORKDIR b/\nUSER 6:7\nWORKDIR /c/../d/\nWORKDIR $X\nWORKDIR /",
        &[],
    );
    let steps = evaluated.steps(0);
    let made: Vec<_> = steps.iter().map(|step| (&*step.created_by, &step.action)).collect();
    let directory = |path: &str, uid, gid| Action::WorkDir { path: path.into(), uid, gid };
    let expected = [
        ("WORKDIR /a", directory("/a", 0, 0)),
        ("USER 5", Action::Configure),
        ("WORKDIR /a/b", directory("/a/b", 5, 5)),
        ("USER 6:7", Action::Configure),
        ("WORKDIR /c/../d/", directory("/d", 6, 7)),
        ("WORKDIR /c/../d/", directory("/d", 6, 7)),
        ("WORKDIR /", Action::Configure),
    ];
    assert_eq!(made, expected.iter().map(|(text, action)| (*text, action)).collect::<Vec<_>>());
    assert_eq!(evaluated.stages[0].execution.working_dir, "/");
}

#[test]
fn configuration() {
    let made = execution(
        "FROM scratch\nENV A=1 B=2\nENV A=3\nEXPOSE 80 80/tcp 53/udp\nVOLUME /b /a\nSTOPSIGNAL INT\n\
         HEALTHCHECK --interval=5s CMD [\"/x\"]\nSHELL [\"/s\"]\nCMD []\nENTRYPOINT []\nLABEL a=1\nLABEL a=2",
    );
    let expected = Execution {
        env: vec![DEFAULT_PATH.into(), "A=3".into(), "B=2".into()],
        exposed_ports: ["53/udp".into(), "80/tcp".into()].into(),
        volumes: ["/a".into(), "/b".into()].into(),
        working_dir: "/".into(),
        labels: [("a".into(), "2".into())].into(),
        stop_signal: Some("INT".into()),
        args_escaped: true,
        healthcheck: Some(Healthcheck {
            test: vec!["CMD".into(), "/x".into()],
            interval: 5_000_000_000,
            ..Healthcheck::default()
        }),
        shell: vec!["/s".into()],
        ..Execution::default()
    };
    assert_eq!(made, expected);
    let author = evaluate("FROM scratch\nMAINTAINER me", &[]).stages[0].author.clone();
    assert_eq!(author.as_deref(), Some("me"));
}

#[test]
fn the_later_of_env_and_arg_wins() {
    let last = |text: &str| {
        let text = format!("ARG G=global\nFROM scratch\n{text}\nLABEL v=\"$A|$G\"");
        history(&text, &[("B", "given")]).pop().unwrap()
    };
    assert_eq!(last("ARG A=1\nENV A=2"), "LABEL v=2|");
    assert_eq!(last("ENV A=2\nARG A=1"), "LABEL v=1|");
    assert_eq!(last("ENV A=2\nARG A"), "LABEL v=2|");
    assert_eq!(last("ARG A=$B"), "LABEL v=|");
    assert_eq!(last("ARG B=default A=$B"), "LABEL v=given|");
    assert_eq!(last("ARG G"), "LABEL v=|global");
    assert_eq!(last("ARG G=own"), "LABEL v=|own");
    assert_eq!(
        last("ARG BUILDKIT_SBOM_SCAN_STAGE=1\nARG A=x$BUILDKIT_SBOM_SCAN_STAGE"),
        "LABEL v=x|"
    );
}

#[test]
fn build_arguments() {
    let text = "ARG A=1\nARG B=$A$BUILDARCH\nFROM scratch\nARG A B TARGETARCH HTTP_PROXY=p";
    assert_eq!(history(text, &[]), ["ARG A=1 B=1amd64 TARGETARCH=arm HTTP_PROXY=p"]);
    let values = [("A", "x"), ("TARGETARCH", "y"), ("HTTP_PROXY", "z")];
    assert_eq!(history(text, &values), ["ARG A=x B=xamd64 TARGETARCH=y HTTP_PROXY=z"]);
    let unused = |values| evaluate("FROM scratch\nARG A", values).unused;
    assert_eq!(unused(&[("A", ""), ("B", ""), ("C", "")]), ["B", "C"]);
    let known = [
        ("no_proxy", ""),
        ("HTTPS_PROXY", ""),
        ("BUILDKIT_INLINE_CACHE", "1"),
        ("SOURCE_DATE_EPOCH", "0"),
        ("TARGETARCH", "x"),
    ];
    assert_eq!(unused(&known), Vec::<String>::new());
}

#[test]
fn warnings() {
    let text = "FROM scratch\nARG NAME=1\nLABEL a=$TARGETARCH b=$NAEM \\\n  c=$ZZ d=${ZZ:-}";
    assert_eq!(
        evaluate(text, &[]).warnings,
        [
            "Dockerfile:3:9: `$TARGETARCH` is not set in this stage: it needs an `ARG TARGETARCH` before",
            "Dockerfile:3:23: `$NAEM` is not set; did you mean `$NAME`?",
            "Dockerfile:4:5: `$ZZ` is not set, so it is empty",
        ]
    );
}

#[test]
fn stages() {
    let text = "\
ARG BASE=one
FROM scratch AS One
ARG A=arg
ENV E=env
ARG E=over
CMD [\"one\"]
COPY a /a
FROM scratch AS unneeded
COPY $NOT${SET:?} /
FROM --platform=$BUILDPLATFORM scratch AS two
COPY --from=0 /a /b
FROM ${BASE}
LABEL l=$A$E
ENTRYPOINT [\"/a\"]
COPY --from=TWO /b /c
";
    let evaluated = evaluate(text, &[]);
    let names: Vec<_> = evaluated.stages.iter().map(|stage| stage.name.as_deref()).collect();
    assert_eq!(names, [Some("one"), Some("two"), None]);
    let last = &evaluated.stages[2];
    assert_eq!(
        (evaluated.stages[0].base, evaluated.stages[1].base, last.base),
        (None, None, Some(0))
    );
    let history: Vec<_> = evaluated.steps(2).iter().map(|step| step.created_by.as_str()).collect();
    assert_eq!(
        history,
        [
            "ARG A=arg",
            "ENV E=env",
            "ARG E=over",
            "CMD [\"one\"]",
            "COPY a /a # buildkit",
            "LABEL l=argenv",
            "ENTRYPOINT [\"/a\"]",
            "COPY /b /c # buildkit",
        ]
    );
    assert_eq!(last.execution.cmd, None);
    assert_eq!(last.execution.env, [DEFAULT_PATH, "E=env"]);
    let steps = evaluated.stages.iter().flat_map(|stage| &stage.steps);
    let froms: Vec<_> = steps
        .filter_map(|step| match &step.action {
            Action::Copy(copy) => Some(copy.from),
            _ => None,
        })
        .collect();
    assert_eq!(froms, [None, Some(0), Some(1)]);
}

#[test]
fn one_stage_can_be_the_target() {
    let text = "FROM scratch AS a\nARG TARGETSTAGE\nFROM a AS b\nCMD [\"x\"]\nENTRYPOINT [\"y\"]\n";
    let target = |name: &str| {
        let arguments = Arguments { target: Some(name.into()), ..arguments(&[]) };
        file(text).evaluate(&arguments).unwrap()
    };
    let one = target("A");
    assert_eq!(one.stages.len(), 1);
    assert_eq!(one.steps(0)[0].created_by, "ARG TARGETSTAGE=A");
    let two = target("b");
    assert_eq!(two.stages.len(), 2);
    // Its own `CMD` stays, in whatever order.
    assert_eq!(two.stages[1].execution.cmd, Some(vec!["x".into()]));
    assert!(two.stages[1].execution.args_escaped);
}

#[test]
fn nothing_grows_out_of_proportion() {
    let doubled = format!("FROM scratch\nENV A=xxxxxxxx\n{}", "ENV A=$A$A\n".repeat(60));
    let stages: String =
        (0..2_000).map(|n| format!("FROM s{n} AS s{}\nENV E{n}=x\n", n + 1)).collect();
    let stages = format!("FROM scratch AS s0\n{stages}");
    let path = format!("FROM scratch\n{}", "WORKDIR aaaaaaaaaa\n".repeat(1_000));
    let ports = format!("FROM scratch\n{}", "EXPOSE 1-65535\n".repeat(100));
    for text in [doubled, stages, path, ports] {
        let error = file(&text).evaluate(&arguments(&[])).unwrap_err();
        assert!(error.to_string().starts_with("Dockerfile:"), "{error}");
    }
}

/// Fragments with a meaning, combined in many ways: nothing panics.
#[test]
fn nothing_panics() {
    let fragments = [
        "FROM ",
        "scratch",
        "\n",
        " ",
        "\\",
        "COPY ",
        "--from=",
        "$A",
        "${A",
        ":-",
        "}",
        "\"",
        "'",
        "a",
        "ENV ",
        "=",
        "#",
        "<<",
        "[",
        "]",
        ",",
        "é",
        "\u{feff}",
        "\r\n",
        "ARG ",
        "/",
        "..",
        "*",
        "%",
        "HEALTHCHECK ",
        "CMD ",
        "--interval=",
        "1s",
        "EXPOSE ",
        "80",
        "-",
        "WORKDIR ",
        "LABEL ",
        "\t",
        "RUN ",
        "EOF",
        "# escape=`",
        "`",
        "--",
        "\u{85}",
        "\0",
        "AS ",
        "1",
        "FROM scratch\n",
        "USER ",
    ];
    let mut state = 1u64;
    let mut random = move |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut valid = 0;
    for _ in 0..20_000 {
        let mut text = String::from(if random(2) == 0 { "FROM scratch\n" } else { "" });
        for _ in 0..random(24) {
            text.push_str(fragments[random(fragments.len())]);
        }
        if let Ok(file) = parse("Dockerfile", &text) {
            valid += usize::from(file.evaluate(&arguments(&[("A", "x y")])).is_ok());
        }
        let _ = super::ignore::Ignore::parse("i", &text).map(|ignore| ignore.excludes("a/b"));
        let _ = super::pattern::matches(&text, "a/b");
    }
    assert!(valid > 100, "{valid}");
}
