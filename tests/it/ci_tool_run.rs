//! The ways in which jobs get longshore, run for real: releases with wrong content, packages of each format, and
//! a directory.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use longshore::model::digest::Digest;
use tempfile::TempDir;

use crate::{
    ci_run::{PROVIDERS, Provider, QUICK, generate_and_commit},
    support::{
        ci::{peers, yaml},
        command::{LONGSHORE, longshore},
        pipeline::{Run, path},
        tool::{PROGRAM, ToolServer, VERSION, starter, write_crate},
        workspace::Workspace,
    },
};

/// Returns a repository with the files of all providers and these settings of CI.
fn repository(settings: &str) -> Workspace {
    let workspace = with_settings(settings);
    generate_and_commit(&workspace);
    workspace
}

fn with_settings(settings: &str) -> Workspace {
    Workspace::empty()
        .package("hello", &format!("[workspace.metadata.longshore.ci]\n{settings}\n"))
        .file("rust-toolchain.toml", "[toolchain]\nchannel = \"stable\"\n")
        .file(".gitignore", "/target\n")
}

/// Runs the first job of a release, in which a program of a different version is the first on `PATH`.
fn plan(
    peers: &Path,
    provider: &Provider,
    source: &Workspace,
    server: &ToolServer,
) -> Result<String, String> {
    let dir = TempDir::new().unwrap();
    let other = dir.path().join("cargo-longshore");
    fs::write(&other, "#!/bin/sh\necho the program on PATH runs\nexit 1\n").unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::split_paths(&path()).collect::<Vec<_>>();
    let path = [dir.path().to_owned()].into_iter().chain(path);
    let path = std::env::join_paths(path).unwrap().into_string().unwrap();
    let variables = server.variables();
    let variables = variables.iter().map(|(name, value)| (*name, value.as_str()));
    let variables: Vec<_> = variables.chain([("PATH", path.as_str())]).collect();
    let jobs = (provider.read)(&yaml(peers, &source.path(provider.path)));
    let mut run = Run::new(jobs, source, provider.variables);
    let told = run.job(&format!("{}plan", provider.start), &variables);
    let (Ok(text) | Err(text)) = &told;
    assert!(!text.contains("the program on PATH runs"), "{text}");
    told
}

#[test]
fn jobs_run_the_release_that_the_settings_name_and_no_other() {
    let (Some(peers), Some(server)) = (peers(), ToolServer::start()) else { return };
    let archives = server.archives(LONGSHORE.as_ref(), VERSION);
    let good = repository(&archives);
    // The program of a release with the wrong version, and one that reports that it ran.
    let newer = repository_of_newer(&server);
    let dir = TempDir::new().unwrap();
    let (program, ran) = (dir.path().join("program"), dir.path().join("ran"));
    fs::write(&program, format!("#!/bin/sh\ntouch {}\n", ran.display())).unwrap();
    let unlike = archives.replace(VERSION, "0.3.0");
    server.archives(&program, "0.3.0");
    let unlike = repository_with_warning(&unlike);
    for provider in &PROVIDERS {
        let told = plan(&peers, provider, &good, &server).unwrap();
        assert!(told.contains("linux/amd64") && !told.contains("Compiling"), "{told}");
        // The release was replaced.
        let told = plan(&peers, provider, &unlike, &server).unwrap_err();
        let url = server.url("longshore-0.3.0-x86_64-unknown-linux-musl.tar.gz");
        assert!(told.contains(&format!("{url}: expected sha256 ")), "{told}");
        assert!(told.contains(", got ") && !told.contains("ci preflight"), "{told}");
        assert!(!ran.exists(), "{told}");
        // The archive is the right one, and the program in it has a different version.
        let told = plan(&peers, provider, &newer, &server).unwrap_err();
        assert!(told.contains(&format!("expected longshore 0.2.0, got {VERSION}")), "{told}");
    }
    let missing = server.path(&format!("longshore-{VERSION}-x86_64-unknown-linux-musl.tar.gz"));
    fs::remove_file(missing).unwrap();
    let told = plan(&peers, &PROVIDERS[0], &good, &server).unwrap_err();
    assert!(told.contains("404"), "{told}");
}

/// Returns a repository that names a release 0.2.0, which has the program under test.
fn repository_of_newer(server: &ToolServer) -> Workspace {
    repository_with_warning(&server.archives(LONGSHORE.as_ref(), "0.2.0"))
}

/// Returns a repository with a release of a different version than that which generates its files.
fn repository_with_warning(settings: &str) -> Workspace {
    let workspace = with_settings(settings);
    longshore(&workspace, "ci generate").stderr("generate the files with the version").run();
    generate_and_commit(&workspace);
    workspace
}

#[test]
fn packages_of_each_format_contain_the_program() {
    let (Some(peers), Some(server)) = (peers(), ToolServer::start()) else { return };
    let formats = "[package.metadata.longshore]\nsmoke = false\nwheel = true\nnpm = true\n\
                   deb.maintainer = \"me <me@example.org>\"\n";
    let description = "description = \"starts it\"\nlicense = \"MIT\"\n";
    let program = Workspace::empty()
        .package("longshore", &format!("{description}{PROGRAM}{formats}{}", QUICK))
        .file("src/main.rs", &starter());
    longshore(&program, "dist --target x86_64-unknown-linux-musl").run();
    let archives = program.dist().join("archives");
    let names = fs::read_dir(&archives).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<_> = names.collect();
    for name in &names {
        fs::copy(archives.join(name), server.path(name)).unwrap();
    }
    for (key, extension, file) in [
        ("archive", ".tar.gz", "longshore-{version}-{target}.tar.gz"),
        (
            "wheel",
            ".whl",
            "longshore-{version}-py3-none-manylinux_2_17_{machine}.manylinux2014_{machine}.musllinux_1_1_{machine}.whl",
        ),
        ("npm", ".tgz", ""),
        ("deb", ".deb", ""),
    ] {
        let found = names.iter().filter(|name| name.ends_with(extension));
        let found: Vec<_> =
            found.filter(|name| fs::metadata(archives.join(name)).unwrap().len() > 9000).collect();
        let [found] = found[..] else { panic!("{key}: {names:?}") };
        let url = server.url(if file.is_empty() { found } else { file });
        let digest = Digest::sha256(&fs::read(archives.join(found)).unwrap()).hex();
        let runner = "[workspace.metadata.longshore.ci.runners]\n\
                      aarch64-unknown-linux-musl = { github = \"ubuntu-24.04\", \
                      gitlab = \"saas-linux-small-amd64\", circleci = \"medium\" }";
        let source = repository(&format!(
            "tool.{key} = \"{url}\"\ntool.version = \"0.1.0\"\n\
             tool.sha256.\"linux/amd64\" = \"{digest}\"\n{runner}"
        ));
        let told = plan(&peers, &PROVIDERS[1], &source, &server)
            .unwrap_or_else(|told| panic!("{key}: {told}"));
        assert!(told.contains("linux/amd64"), "{key}: {told}");
    }
}

#[test]
fn a_directory_of_the_workspace_is_compiled_by_the_first_job() {
    let (Some(peers), Some(server)) = (peers(), ToolServer::start()) else { return };
    let workspace = with_settings("tool.path = \"vendor/longshore\"");
    write_crate(&workspace.path("vendor/longshore"));
    generate_and_commit(&workspace);
    let told = plan(&peers, &PROVIDERS[0], &workspace, &server).unwrap();
    assert!(told.contains("Checked v0.1.0 for linux/amd64"), "{told}");
}
