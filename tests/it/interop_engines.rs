//! The writers of `interop` that are daemons: Docker Engine with each of its stores, and BuildKit.

use std::{fs, path::Path, process::Command};

use crate::{
    interop::{Bench, Written, check},
    interop_rows::{BUILDKIT, CLASSIC, CONTAINERD, OLD},
    support::{buildkit::BuildKit, dist::EPOCH, engine::Engine, peer},
};

/// Runs a command that has to succeed.
#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{error}", output.status);
}

/// Builds the image with `docker buildx build`.
fn buildx(bench: &Bench, kit: &BuildKit, platforms: &str, args: &[&str]) {
    let mut command = kit.buildx();
    command.env("SOURCE_DATE_EPOCH", EPOCH.to_string()).args(["--platform", platforms]).args(args);
    command.args(["-f", &bench.path("Dockerfile")]).arg(bench.dist.root());
    run(&mut command);
}

#[test]
fn images_of_buildkit_are_accepted() {
    let (Some(bench), Some(kit)) = (Bench::new(), BuildKit::start()) else { return };
    let output = |name: &str, more: &str| {
        format!("--output=type={more},dest={},rewrite-timestamp=true", bench.path(name))
    };
    let (amd64, both) = ("linux/amd64", "linux/amd64,linux/arm64");
    let plain = "compression=uncompressed,force-compression=true";
    let zstd = "compression=zstd,force-compression=true,tar=false";
    let registry = bench.repository("buildkit");
    let push = format!("--output=type=image,push=true,unpack=false,name={registry}:1");
    let build = |platforms: &str, args: &[&str]| buildx(&bench, &kit, platforms, args);
    build(amd64, &[&output("oci.tar", "oci")]);
    build(amd64, &[&output("zstd", &format!("oci,{zstd}"))]);
    build(amd64, &[&output("plain.tar", &format!("oci,{plain}"))]);
    build(amd64, &["-t", "x:1", &output("docker.tar", "docker")]);
    build(amd64, &["--provenance=true", &output("provenance.tar", "oci")]);
    build(both, &[&output("both.tar", "oci")]);
    build(amd64, &["-t", "x:1", "-t", "y:2", &output("names.tar", "oci")]);
    build(both, &["--provenance=true", &output("all.tar", "oci")]);
    build(amd64, &[&push]);
    build(amd64, &[&format!("--output=type=tar,dest={}", bench.path("files.tar"))]);
    check(
        &bench,
        BUILDKIT,
        &[
            Written::new("`--output type=oci`", "oci.tar", "one"),
            Written::new("`type=oci,tar=false,compression=zstd`", "zstd", "one"),
            Written::new("`type=oci,compression=uncompressed`", "plain.tar", "one"),
            Written::new("`type=docker`", "docker.tar", "one"),
            Written::new("`type=oci` with `--provenance=true`", "provenance.tar", "one"),
            Written::new("`type=oci`, two platforms", "both.tar", "two"),
            Written::new("`type=oci`, two names", "names.tar", "one"),
            Written::new("two platforms, `--provenance=true`", "all.tar", "two"),
            Written::new("`type=image,push=true`", &registry, "one").named("1"),
            Written::new("`type=tar`", "files.tar", "one"),
        ],
    );
}

#[test]
fn images_of_the_containerd_store_are_accepted() {
    let (Some(bench), Some(kit)) = (Bench::new(), BuildKit::start()) else { return };
    let save = |name: &str, images: &[&str]| {
        kit.run(&[&["save", "-o", &bench.path(name)], images].concat());
    };
    buildx(&bench, &kit, "linux/amd64", &["-t", "x:1", "--load"]);
    save("one.tar", &["x:1"]);
    let other = bench.path("Dockerfile.other");
    fs::write(&other, "FROM scratch\nCOPY etc /etc/\n").unwrap();
    let mut build = kit.buildx();
    run(build.args(["-t", "y:2", "--load", "-f", &other]).arg(bench.dist.root()));
    save("two.tar", &["x:1", "y:2"]);
    let pushed = bench.repository("containerd");
    kit.run(&["tag", "x:1", &format!("{pushed}:1")]);
    kit.run(&["push", "--quiet", &format!("{pushed}:1")]);
    kit.ctr(&["images", "export", &bench.path("ctr.tar"), "docker.io/library/x:1"]);
    let both = bench.repository("both");
    bench.copy(&["--all", &format!("oci:{}", bench.path("two")), &format!("docker://{both}:1")]);
    kit.run(&["pull", "--quiet", "--platform=linux/amd64", &format!("{both}:1")]);
    save("sparse.tar", &[&format!("{both}:1")]);
    check(
        &bench,
        CONTAINERD,
        &[
            Written::new("`docker save`", "one.tar", "one"),
            Written::new("`docker save`, several images", "two.tar", "one").named("x:1"),
            Written::new("`docker save` of one platform of two", "sparse.tar", "two"),
            Written::new("`ctr images export`", "ctr.tar", "one"),
            Written::new("`docker push`", &pushed, "one").named("1"),
        ],
    );
}

#[test]
fn images_of_the_classic_store_are_accepted() {
    let (Some(bench), Some(kit)) = (Bench::new(), BuildKit::start_classic()) else { return };
    buildx(&bench, &kit, "linux/amd64", &["-t", "x:1", "--load"]);
    kit.run(&["save", "-o", &bench.path("one.tar"), "x:1"]);
    let pushed = bench.repository("classic");
    kit.run(&["tag", "x:1", &format!("{pushed}:1")]);
    kit.run(&["push", "--quiet", &format!("{pushed}:1")]);
    check(
        &bench,
        CLASSIC,
        &[
            Written::new("`docker save`", "one.tar", "one"),
            Written::new("`docker push`", &pushed, "one").named("1"),
        ],
    );
}

#[test]
fn images_of_docker_20_are_accepted() {
    let (Some(bench), Some(engine)) = (Bench::new(), Engine::start()) else { return };
    let (Some(gzip), Some(xz), Some(zstd)) =
        (peer::find("gzip"), peer::find("xz"), peer::find("zstd"))
    else {
        return;
    };
    let (recipe, root) = (bench.path("Dockerfile"), bench.dist.root());
    let root: &Path = &root;
    let root = root.to_str().unwrap();
    let platform = "--build-arg=TARGETPLATFORM=linux/amd64";
    engine.run(&["build", "-q", "-t", "x:1", platform, "-f", &recipe, root]);
    let other = bench.path("Dockerfile.other");
    fs::write(&other, "FROM scratch\nCOPY etc /etc/\n").unwrap();
    engine.run(&["build", "-q", "-t", "y:2", "-f", &other, root]);
    engine.run(&["save", "-o", &bench.path("one.tar"), "x:1"]);
    engine.run(&["save", "-o", &bench.path("two.tar"), "x:1", "y:2"]);
    let packed = bench.path("packed.tar");
    engine.run(&["save", "-o", &packed, "x:1"]);
    peer::run(&zstd, ["--quiet", &packed]);
    peer::run(&xz, ["--keep", &packed]);
    peer::run(&gzip, [&packed]);
    engine.run(&["load", "-i", &bench.path("packed.tar.gz")]);
    let pushed = bench.repository("docker20");
    engine.run(&["tag", "x:1", &format!("{pushed}:1")]);
    engine.run(&["push", "--quiet", &format!("{pushed}:1")]);
    check(
        &bench,
        OLD,
        &[
            Written::new("`docker save`", "one.tar", "one"),
            Written::new("`docker save`, several images", "two.tar", "one")
                .named("docker.io/library/x:1"),
            Written::new("`docker save \\| gzip`", "packed.tar.gz", "one"),
            Written::new("`docker save \\| xz`", "packed.tar.xz", "one"),
            Written::new("`docker save \\| zstd`", "packed.tar.zst", "one"),
            Written::new("`docker push`", &pushed, "one").named("1"),
        ],
    );
}
