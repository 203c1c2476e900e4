//! Tests of the source of longshore in the settings.

use super::*;
use crate::{build::config::ci::Settings, model::error::Status};

const AMD64: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const ARM64: &str = "a3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const REV: &str = "0123456789abcdef0123456789abcdef01234567";

fn read(toml: &str) -> Result<ToolSource> {
    toml::from_str::<ToolSettings>(toml).unwrap().source()
}

/// Returns the settings of an archive, with these lines in addition.
fn archive(more: &str) -> String {
    let url = "https://example.org/v{version}/longshore-{version}-{target}.tar.gz";
    let sha256 = format!("sha256.'linux/amd64' = '{AMD64}'\nsha256.'linux/arm64' = '{ARM64}'");
    format!("archive = '{url}'\nversion = '1.2.3-rc.1'\n{sha256}\n{more}\n")
}

fn rejected(toml: &str, message: &str, hint: &str) {
    let error = read(toml).expect_err(toml);
    assert_eq!(error.status(), Status::Usage);
    assert!(error.to_string().contains(message), "{toml}: {error}");
    assert!(error.hint_text().is_some_and(|text| text.contains(hint)), "{toml}: {error:?}");
}

fn download(toml: &str) -> ToolDownload {
    match read(toml) {
        Ok(ToolSource::Download(download)) => download,
        other => panic!("{toml}: {other:?}"),
    }
}

fn urls(download: &ToolDownload) -> Vec<(&'static str, &str)> {
    download.by_uname().into_iter().map(|(uname, file)| (uname, file.url.as_str())).collect()
}

#[test]
fn an_archive_has_a_url_and_a_digest_for_each_platform() {
    let download = download(&archive(""));
    assert_eq!(
        (download.format, download.version.to_string().as_str()),
        (ToolFormat::Archive, "1.2.3-rc.1")
    );
    let start = "https://example.org/v1.2.3-rc.1/longshore-1.2.3-rc.1-";
    let (amd64, arm64) = (
        format!("{start}x86_64-unknown-linux-musl.tar.gz"),
        format!("{start}aarch64-unknown-linux-musl.tar.gz"),
    );
    let expected = [("Linux/x86_64", amd64.as_str()), ("Linux/aarch64", arm64.as_str())];
    assert_eq!(urls(&download), expected);
    let digests: Vec<_> = download.files.values().map(|file| file.sha256.hex()).collect();
    assert_eq!(digests, [AMD64, ARM64]);
    let platforms = |names: &[&str]| -> Vec<Platform> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    };
    download.check_platforms(&platforms(&["linux/arm64", "linux/amd64"])).unwrap();
    let error = download.check_platforms(&platforms(&["linux/amd64", "darwin/arm64"])).unwrap_err();
    assert!(error.to_string().contains("no SHA-256 for `darwin/arm64`"), "{error}");
}

#[test]
fn packages_of_other_formats_have_urls_too() {
    let one = format!("version = '0.1.0'\nsha256.'linux/arm64' = '{ARM64}'\n");
    for (format, url, expected) in [
        (
            ToolFormat::Wheel,
            "longshore-{version}-py3-none-{machine}.whl",
            "longshore-0.1.0-py3-none-aarch64.whl",
        ),
        (ToolFormat::Deb, "longshore_{version}_{architecture}.deb", "longshore_0.1.0_arm64.deb"),
        (ToolFormat::Npm, "-/longshore-linux-arm64-0.1.0.tgz", "-/longshore-linux-arm64-0.1.0.tgz"),
    ] {
        let key = format.key();
        let template = download(&format!("{key} = 'https://a.b/{url}'\n{one}"));
        assert_eq!(template.format, format);
        assert_eq!(
            urls(&template),
            [("Linux/aarch64", format!("https://a.b/{expected}").as_str())]
        );
        let table = format!("{key}.'linux/arm64' = 'https://a.b/{expected}'\n{one}");
        assert_eq!(download(&table), template);
    }
}

#[test]
fn sources_that_are_compiled_have_no_digest() {
    let git = format!("git = 'https://example.org/longshore.git'\nrev = '{REV}'");
    let url = "https://example.org/longshore.git".to_owned();
    assert_eq!(read(&git).unwrap(), ToolSource::Git { url, rev: REV.to_owned() });
    assert_eq!(read("xtask = true").unwrap(), ToolSource::Xtask);
    assert_eq!(
        read("path = 'vendor/longshore-0.1'").unwrap(),
        ToolSource::Path("vendor/longshore-0.1".to_owned())
    );
}

#[test]
fn a_source_is_one_source_with_its_own_keys() {
    rejected("", "names no source", "`archive`, `wheel`");
    rejected(
        &archive("xtask = true"),
        "several sources: `tool.archive` and `tool.xtask`",
        "one of them",
    );
    rejected(&archive("wheel = 'https://a/b.whl'"), "`tool.archive` and `tool.wheel`", "one");
    rejected(
        &archive(&format!("rev = '{REV}'")),
        "`tool.rev` has no effect beside `tool.archive`",
        "`git`",
    );
    rejected("xtask = false", "`tool.xtask` is `false`", "different source");
    rejected("xtask = true\nversion = '1.0.0'", "`tool.version` has no effect", "`archive`");
    rejected(
        &format!("path = 'a'\nsha256.'linux/amd64' = '{AMD64}'"),
        "`tool.sha256` has no effect",
        "",
    );
    assert!(toml::from_str::<ToolSettings>("archives = 'x'").is_err());
}

#[test]
fn versions_digests_and_platforms_are_complete() {
    let with = |from: &str, to: &str| {
        let text = archive("");
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    };
    rejected(&with("version = '1.2.3-rc.1'\n", ""), "`tool.archive` has no `version`", "set");
    rejected(&with("'1.2.3-rc.1'", "'1.2'"), "`tool.version` is `1.2`", "`0.1.0`");
    for wrong in [&AMD64.to_uppercase(), &AMD64[1..], "", &format!("sha256:{AMD64}")] {
        let message =
            format!("`tool.sha256.linux/amd64`: expected 64 lowercase hex digits, found `{wrong}`");
        rejected(&with(AMD64, wrong), &message, "sha256sum");
    }
    rejected("archive = 'https://a/b.tar.gz'\nversion = '1.0.0'", "has no `sha256`", "linux/amd64");
    rejected(
        &with("linux/arm64", "linux/riscv64"),
        "not released for `linux/riscv64`",
        "`darwin/arm64`",
    );
    let table = format!(
        "archive.'linux/amd64' = 'https://a/b.tar.gz'\narchive.'linux/arm64' = 'https://a/c.tar.gz'\n\
         version = '1.0.0'\nsha256.'linux/amd64' = '{AMD64}'\n"
    );
    rejected(&table, "`tool.archive.linux/arm64` has no SHA-256", "sha256.\"linux/arm64\"");
    let table = table.replace("archive.'linux/amd64' = 'https://a/b.tar.gz'\n", "");
    rejected(&table.replace("archive.'linux/arm64'", "archive.'darwin/arm64'"), "darwin/arm64", "");
    rejected(
        &format!(
            "deb = 'https://a/{{machine}}.deb'\nversion = '1.0.0'\nsha256.'darwin/arm64' = '{ARM64}'"
        ),
        "`tool.deb` is for Linux only",
        "`archive`",
    );
}

#[test]
fn urls_are_encrypted_and_without_credentials() {
    let url = |url: &str| {
        format!("archive = \"{url}\"\nversion = '1.0.0'\nsha256.'linux/amd64' = '{AMD64}'\n")
    };
    for (wrong, message) in [
        ("http://a.b/c.tar.gz", "is not an `https` URL"),
        ("file://a.b/c.tar.gz", "is not an `https` URL"),
        ("http://127.0.0.1.a.b/c.tar.gz", "is not an `https` URL"),
        ("c.tar.gz", "is not an `https` URL"),
        ("https://me:secret@a.b/c.tar.gz", "has credentials"),
        ("https://a.b/c.tar.gz?token=x", "has a query"),
        ("https://a.b/c.tar.gz#x", "has a query or a fragment"),
        ("https:///c.tar.gz", "is not a URL"),
        ("https://a.b/'; true '.tar.gz", "is not a URL"),
        ("https://a.b/$HOME.tar.gz", "is not a URL"),
        ("https://a.b/c d.tar.gz", "is not a URL"),
        ("https://a.b/c\\nd.tar.gz", "is not a URL"),
        ("https://a.b/c.zip", "does not end with `.tar.gz`"),
        ("https://a.b/{plattform}.tar.gz", "has an unknown placeholder"),
        ("https://a.b/{}.tar.gz", "has an unknown placeholder"),
    ] {
        rejected(&url(wrong), message, "");
    }
    // Servers and files of this machine.
    for right in ["file:///c.tar.gz", "http://127.0.0.1:8080/c.tar.gz", "http://localhost/c.tar.gz"]
    {
        assert!(read(&url(right)).is_ok(), "{right}");
    }
    rejected(
        &archive("").replace("{target}", "x"),
        "is one URL for `linux/amd64` and `linux/arm64`",
        "`{target}`",
    );
    rejected(&format!("git = 'http://a.b/c'\nrev = '{REV}'"), "`tool.git`", "encrypted");
    rejected(&format!("git = 'ssh://git@a.b/c'\nrev = '{REV}'"), "is not an `https` URL", "");
}

#[test]
fn a_commit_is_a_full_hash() {
    let git = "git = 'https://a.b/c'\n";
    rejected(git, "`tool.git` has no `rev`", "full hash");
    for rev in ["main", "v1.0.0", "0123456", &REV.to_uppercase(), &format!("{REV}0"), ""] {
        rejected(&format!("{git}rev = '{rev}'"), &format!("found `{rev}`"), "git rev-parse");
    }
}

#[test]
fn a_path_is_inside_of_the_workspace() {
    for path in ["", "/a", "../a", "a/../..", "a//b", "a/", "-a", "a b", "$HOME", "a'"] {
        rejected(&format!("path = \"{path}\""), "`tool.path` is `", "vendor/longshore");
    }
}

#[test]
fn an_xtask_with_longshore_is_the_default() {
    let source = |toml: &str, xtask| toml::from_str::<Settings>(toml).unwrap().tool_source(xtask);
    assert_eq!(source("", true).unwrap(), ToolSource::Xtask);
    assert_eq!(source("tool.xtask = true", true).unwrap(), ToolSource::Xtask);
    assert_eq!(
        source("command = ' my tool '", true).unwrap(),
        ToolSource::Command("my tool".to_owned())
    );
    assert_eq!(source("tool.path = 'a'", true).unwrap(), ToolSource::Path("a".to_owned()));
    let error = source("tool.xtask = true", false).unwrap_err();
    assert!(error.to_string().contains("no member `xtask` depends on `longshore`"), "{error}");
    let error = source("command = 'x'\ntool.path = 'a'", false).unwrap_err();
    assert!(error.to_string().contains("both `tool` and `command` are set"), "{error}");
    let error = source("", false).unwrap_err();
    assert_eq!(error.status(), Status::Usage);
    let hint = error.hint_text().unwrap();
    for choice in ["archive = ", "`wheel`, `npm`, `deb`", "git = ", "rev = ", "path = ", "`xtask`"]
    {
        assert!(hint.contains(choice), "{choice}: {hint}");
    }
}
