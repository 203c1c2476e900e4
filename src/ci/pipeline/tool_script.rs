//! The scripts with which jobs get longshore, for a POSIX shell: a download that is compared with the digest in
//! the pipeline, a compilation, and a program that another job compiled.

use super::{
    job::Run,
    script::run,
    tool::{OUTPUT, TOOL_NAME, TOOLS, Tool},
};
use crate::{
    build::config::tool::{ToolDownload, ToolFile, ToolFormat},
    model::{command::quote, platform::Platform, provider::Provider},
};

/// The directory into which cargo installs longshore; the program is in `bin`.
pub(super) const INSTALLED: &str = "target/ci-tool/installed";

/// Sets `found` to the SHA-256 of `$file`, and fails if it is not `$expected`.
const COMPARE: &str = r#"if command -v sha256sum >/dev/null; then
  found=$(sha256sum "$file")
else
  found=$(shasum -a 256 "$file")
fi
"#;

/// Returns the command that compiles and starts longshore from a directory of the workspace.
pub(super) fn run_from_path(path: &str) -> String {
    let manifest = quote(&format!("{path}/Cargo.toml"));
    format!("cargo run --quiet --locked --manifest-path {manifest} --bin {TOOL_NAME} --")
}

/// Returns the lines that compile a commit. cargo ignores the settings of the workspace for it.
pub(super) fn install(url: &str, rev: &str) -> String {
    format!(
        "rm -rf {INSTALLED}\n\
         cargo install --locked --no-track --root {INSTALLED} --bin {TOOL_NAME} \\\n  \
         --git {} --rev {rev} longshore",
        quote(url)
    )
}

/// Compiles longshore, copies the program to `directory`, and hands on its digest, as the provider can: by an
/// output of the step (<https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands>),
/// by a variable (<https://docs.gitlab.com/ci/variables/dotenv_variables/>), or by a file beside it.
pub(super) fn compile_and_hand_on(
    tool: &Tool,
    provider: Provider,
    directory: &str,
    variable: &str,
) -> Run {
    let compile = match tool {
        Tool::Installed { url, rev } => install(url, rev),
        _ => "# Without debug information: the program is handed to other jobs.\n\
              export CARGO_PROFILE_DEV_DEBUG=0"
            .to_owned(),
    };
    let program = tool.command();
    let hand_on = match provider {
        Provider::Github => "echo \"value=$digest\" >>\"$GITHUB_OUTPUT\"".to_owned(),
        Provider::Gitlab => format!("echo \"{variable}=$digest\" >{}", dotenv(OUTPUT)),
        Provider::Circleci => format!("echo \"$digest\" >{directory}/sha256"),
    };
    run(
        "Compile longshore",
        format!(
            "{compile}\n\
             digest=$({program} ci tool --into {directory})\n\
             echo \"$digest\"\n\
             {hand_on}"
        ),
    )
}

/// Returns the file of variables that a job of GitLab hands on.
pub(super) fn dotenv(output: &str) -> String {
    format!("target/{output}.env")
}

/// Compares a program with the digest that the job that compiled it handed on, before anything runs it.
pub(super) fn check(provider: Provider, directory: &str, variable: &str) -> Run {
    let expected = match provider {
        Provider::Github | Provider::Gitlab => format!("${variable}"),
        // Only the job that compiled it writes to that path of the workspace.
        Provider::Circleci => format!("$(cat {directory}/sha256)"),
    };
    run(
        "Check the digest of longshore",
        format!(
            r#"file={directory}/{TOOL_NAME}
expected={expected}
{COMPARE}if [ "${{found%% *}}" != "$expected" ]; then
  echo "$file: expected sha256 $expected, got ${{found%% *}}" >&2
  exit 1
fi
chmod +x "$file""#
        ),
    )
}

/// Downloads longshore, compares the file with its digest before anything reads it, unpacks the program, and
/// compares its version. A program on `PATH` is not used. The script is for `platform`, or for all that have a
/// file.
pub(super) fn download(download: &ToolDownload, platform: Option<&Platform>) -> Run {
    let file = platform.and_then(|platform| download.files.get(platform));
    let values = match file {
        Some(file) => pins(file, ""),
        None => {
            let case = |(uname, file): (&str, &ToolFile)| {
                format!("  {uname})\n{}    ;;\n", pins(file, "    "))
            };
            let cases: String = download.by_uname().into_iter().map(case).collect();
            format!(
                "case \"$(uname -s)/$(uname -m)\" in\n{cases}  *)\n    \
                 echo \"the settings name no longshore for $(uname -s)/$(uname -m)\" >&2\n    \
                 exit 1\n    ;;\nesac\n"
            )
        }
    };
    let unpack = unpack(download.format);
    let version = &download.version;
    // Others than `https` are of this machine only.
    let protocol = download.files.values().find_map(|file| file.url.split("://").next());
    let protocol = protocol.unwrap_or("https");
    run(
        "Download longshore",
        format!(
            r#"{values}rm -rf {TOOLS}
mkdir -p {TOOLS}/unpacked
file={TOOLS}/download
curl --fail --silent --show-error --location --proto '={protocol}' --proto-redir '=https' \
  --retry 3 --output "$file" "$url"
{COMPARE}if [ "${{found%% *}}" != "$expected" ]; then
  echo "$url: expected sha256 $expected, got ${{found%% *}}" >&2
  exit 1
fi
{unpack}
program=$(find {TOOLS}/unpacked -type f -name {TOOL_NAME})
if [ ! -f "$program" ]; then
  echo "$url: expected one file {TOOL_NAME} in it, got: $program" >&2
  exit 1
fi
mv "$program" {TOOLS}/{TOOL_NAME}
chmod +x {TOOLS}/{TOOL_NAME}
rm -rf "$file" {TOOLS}/unpacked
found=$({TOOLS}/{TOOL_NAME} --version)
if [ "${{found##* }}" != "{version}" ]; then
  echo "$url: expected longshore {version}, got ${{found##* }}" >&2
  exit 1
fi"#
        ),
    )
}

/// Returns the lines that set URL and digest.
fn pins(file: &ToolFile, indent: &str) -> String {
    let url = quote(&file.url);
    format!("{indent}url={url}\n{indent}expected={}\n", file.sha256.hex())
}

/// Returns the lines that unpack `$file`.
fn unpack(format: ToolFormat) -> String {
    match format {
        ToolFormat::Archive | ToolFormat::Npm => {
            format!("tar -xzf \"$file\" -C {TOOLS}/unpacked")
        }
        // Some images have Python and not unzip.
        ToolFormat::Wheel => format!(
            "if command -v unzip >/dev/null; then\n  unzip -q \"$file\" -d {TOOLS}/unpacked\n\
             else\n  python3 -m zipfile -e \"$file\" {TOOLS}/unpacked\nfi"
        ),
        ToolFormat::Deb => format!("dpkg-deb --extract \"$file\" {TOOLS}/unpacked"),
    }
}
