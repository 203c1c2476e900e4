//! The writers of `interop` that need no daemon.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use longshore::model::digest::Digest;
use serde_json::{Value, json};

use crate::{
    interop::{Bench, Written, check},
    interop_rows::{BUILDAH, COSIGN, CRANE, LONGSHORE, OTHERS, PODMAN, SKOPEO, UMOCI},
    push::run,
    support::{
        dist::found,
        peer, program,
        tarball::{self, Entry},
    },
};

#[test]
fn images_of_longshore_are_accepted() {
    let Some(bench) = Bench::new() else { return };
    let amd64 = "--platform=linux/amd64";
    bench.longshore(&[amd64, "--compression=zstd", &bench.write("oci", "zstd")]);
    bench.longshore(&[amd64, "--compression=none", &bench.write("oci", "plain")]);
    bench.longshore(&[amd64, &bench.write("oci-archive", "oci.tar")]);
    bench.longshore(&[amd64, &bench.write("docker-archive", "docker.tar")]);
    bench.longshore(&[&bench.write("oci-archive", "two.oci.tar")]);
    bench.longshore(&[&bench.write("docker-archive", "two.docker.tar")]);
    let registry = bench.repository("longshore");
    run(&bench.dist.beside(""), &format!("push {registry}:1 --from {}", bench.path("one"))).run();
    check(
        &bench,
        LONGSHORE,
        &[
            Written::new("`image --output oci=`", "one", "one").named("1.0"),
            Written::new("`--compression zstd`", "zstd", "one").named("1.0"),
            Written::new("`--compression none`", "plain", "one").named("1.0"),
            Written::new("`--output oci-archive=`", "oci.tar", "one"),
            Written::new("`--output docker-archive=`", "docker.tar", "one"),
            Written::new("two platforms", "two", "two").named("1.0"),
            Written::new("two platforms, `oci-archive=`", "two.oci.tar", "two"),
            Written::new("two platforms, `docker-archive=`", "two.docker.tar", "two"),
            Written::new("`push`", &registry, "one").named("1"),
        ],
    );
}

#[test]
fn images_of_skopeo_are_accepted() {
    let Some(bench) = Bench::new() else { return };
    let amd64 = ["--platform=linux/amd64", "--compression=none"];
    bench.longshore(&[amd64[0], amd64[1], &bench.write("oci", "source")]);
    let (one, two) = (format!("oci:{}", bench.path("one")), format!("oci:{}", bench.path("two")));
    let source = format!("oci:{}", bench.path("source"));
    let to = |transport: &str, name: &str| format!("{transport}{}", bench.path(name));
    let url = |name: &str| format!("docker://{}:1", bench.repository(name));
    bench.copy(&[&one, &format!("{}:1", to("oci:", "layout"))]);
    bench.copy(&[
        "--dest-compress-format=zstd",
        "--dest-compress",
        &one,
        &format!("{}:1", to("oci:", "zstd")),
    ]);
    bench.copy(&[
        "--dest-oci-accept-uncompressed-layers",
        &source,
        &format!("{}:1", to("oci:", "plain")),
    ]);
    bench.copy(&[&one, &to("oci-archive:", "oci.tar")]);
    bench.copy(&[&one, &to("docker-archive:", "docker.tar")]);
    let tagged = format!("{}:x:1", to("docker-archive:", "tagged.tar"));
    bench.copy(&["--additional-tag=y:2", &one, &tagged]);
    bench.copy(&[&one, &to("dir:", "dir")]);
    bench.copy(&[&one, &url("oci")]);
    bench.copy(&["--format=v2s2", &one, &url("v2s2")]);
    bench.copy(&["--all", &two, &format!("{}:1", to("oci:", "both"))]);
    bench.copy(&["--all", &two, &url("both")]);
    let remote = |command, name: &str, original| {
        Written::new(command, &bench.repository(name), original).named("1")
    };
    check(
        &bench,
        SKOPEO,
        &[
            Written::new("`copy … oci:`", "layout", "one").named("1"),
            Written::new("`copy --dest-compress-format zstd`", "zstd", "one").named("1"),
            Written::new("`copy --dest-oci-accept-uncompressed-layers`", "plain", "one").named("1"),
            Written::new("`copy … oci-archive:`", "oci.tar", "one"),
            Written::new("`copy … docker-archive:`", "docker.tar", "one"),
            Written::new("`copy --additional-tag`", "tagged.tar", "one"),
            Written::new("`copy … dir:`", "dir", "one"),
            remote("`copy … docker://`", "oci", "one"),
            remote("`copy --format v2s2`", "v2s2", "one"),
            Written::new("`copy --all`", "both", "two").named("1"),
            remote("`copy --all … docker://`", "both", "two"),
        ],
    );
}

#[test]
fn images_of_buildah_are_accepted() {
    let (Some(bench), Some(buildah)) = (Bench::new(), peer::find("buildah")) else { return };
    let (recipe, root) = (bench.path("Dockerfile"), bench.dist.root());
    let root = root.to_str().unwrap();
    let buildah = |args: &[&str]| bench.stored(&buildah, "buildah", args);
    let bud = ["bud", "--layers=false", "--timestamp=1700000000", "-f", &recipe];
    buildah(&[&bud[..], &["-t", "x:1", "--platform=linux/amd64", root]].concat());
    let both = "--platform=linux/amd64,linux/arm64";
    buildah(&[&bud[..], &["--manifest=both", both, root]].concat());
    let to = |transport: &str, name: &str| format!("{transport}{}", bench.path(name));
    let url = |name: &str| format!("docker://{}:1", bench.repository(name));
    buildah(&["push", "x:1", &format!("{}:1", to("oci:", "layout"))]);
    buildah(&["push", "x:1", &to("oci-archive:", "oci.tar")]);
    buildah(&["push", "x:1", &format!("{}:x:1", to("docker-archive:", "docker.tar"))]);
    buildah(&["push", "x:1", &to("dir:", "dir")]);
    buildah(&["push", "--tls-verify=false", "x:1", &url("one")]);
    buildah(&["manifest", "push", "--all", "both", &format!("{}:1", to("oci:", "both"))]);
    buildah(&["manifest", "push", "--all", "--tls-verify=false", "both", &url("both")]);
    let remote = |command, name: &str, original| {
        Written::new(command, &bench.repository(name), original).named("1")
    };
    check(
        &bench,
        BUILDAH,
        &[
            Written::new("`push … oci:`", "layout", "one").named("1"),
            Written::new("`push … oci-archive:`", "oci.tar", "one"),
            Written::new("`push … docker-archive:`", "docker.tar", "one"),
            Written::new("`push … dir:`", "dir", "one"),
            remote("`push … docker://`", "one", "one"),
            Written::new("`manifest push --all … oci:`", "both", "two").named("1"),
            remote("`manifest push --all … docker://`", "both", "two"),
        ],
    );
}

#[test]
fn images_of_podman_are_accepted() {
    let Some(bench) = Bench::new() else { return };
    let podman = |args: &[&str]| bench.stored(&bench.podman, "podman", args);
    let source = bench.repository("source");
    bench.copy(&[&format!("oci:{}", bench.path("one")), &format!("docker://{source}:1")]);
    podman(&["pull", "--quiet", "--tls-verify=false", &format!("{source}:1")]);
    podman(&["tag", &format!("{source}:1"), "x:1"]);
    let other = bench.path("Dockerfile.other");
    fs::write(&other, "FROM localhost/x:1\nENV OTHER=1\n").unwrap();
    podman(&["build", "--quiet", "--layers=false", "-t", "y:2", "-f", &other]);
    let save = |format: &str, name: &str, more: &[&str]| {
        let format = format!("--format={format}");
        podman(&[&["save", "--quiet", &format, "-o", &bench.path(name)], more].concat());
    };
    save("docker-archive", "docker.tar", &["x:1"]);
    save("docker-archive", "several.tar", &["-m", "x:1", "y:2"]);
    save("oci-archive", "oci.tar", &["x:1"]);
    save("oci-dir", "layout", &["x:1"]);
    save("docker-dir", "dir", &["x:1"]);
    let pushed = bench.repository("podman");
    podman(&["push", "--tls-verify=false", "x:1", &format!("{pushed}:1")]);
    let compressed = |format: &str, name: &str| {
        let url = bench.repository(name);
        podman(&["push", "--tls-verify=false", format, "x:1", &format!("{url}:1")]);
        url
    };
    let zstd = compressed("--compression-format=zstd", "zstd");
    let chunked = compressed("--compression-format=zstd:chunked", "chunked");
    let local = |command, name: &str| Written::new(command, name, "one");
    check(
        &bench,
        PODMAN,
        &[
            local("`save`", "docker.tar"),
            local("`save -m`, several images", "several.tar").named("localhost/x:1"),
            local("`save --format oci-archive`", "oci.tar"),
            local("`save --format oci-dir`", "layout"),
            local("`save --format docker-dir`", "dir"),
            Written::new("`push`", &pushed, "one").named("1"),
            Written::new("`push --compression-format zstd`", &zstd, "one").named("1"),
            Written::new("`push --compression-format zstd:chunked`", &chunked, "one").named("1"),
        ],
    );
}

#[test]
fn images_of_umoci_are_accepted() {
    let Some(bench) = Bench::new() else { return };
    let umoci = |args: &[&str]| {
        peer::run(&bench.umoci, args);
    };
    let etc = bench.dist.root().join("etc");
    let hello = bench.dist.root().join("linux/amd64/bin/hello");
    for layout in ["inserted", "repacked"] {
        let layout = bench.path(layout);
        let image = format!("{layout}:1");
        umoci(&["init", "--layout", &layout]);
        umoci(&["new", "--image", &image]);
        umoci(&["insert", "--image", &image, etc.to_str().unwrap(), "/etc"]);
        umoci(&[
            "config",
            "--image",
            &image,
            "--os=linux",
            "--architecture=amd64",
            "--config.entrypoint=/usr/local/bin/hello",
            "--config.env=GREETING=hello",
            "--config.user=65532:65532",
            "--config.label=org.opencontainers.image.title=hello",
        ]);
    }
    let image = format!("{}:1", bench.path("inserted"));
    umoci(&["insert", "--image", &image, hello.to_str().unwrap(), "/usr/local/bin/hello"]);
    let (image, bundle) = (format!("{}:1", bench.path("repacked")), bench.path("bundle"));
    umoci(&["unpack", "--image", &image, &bundle]);
    let bin = Path::new(&bundle).join("rootfs/usr/local/bin");
    fs::create_dir_all(&bin).unwrap();
    fs::write(bin.join("hello"), program::amd64()).unwrap();
    fs::set_permissions(bin.join("hello"), fs::Permissions::from_mode(0o755)).unwrap();
    umoci(&["repack", "--image", &image, &bundle]);
    check(
        &bench,
        UMOCI,
        &[
            Written::new("`insert`", "inserted", "one").named("1"),
            Written::new("`repack`", "repacked", "one").named("1"),
        ],
    );
}

/// Packs the two layers of the image as somebody would by hand.
fn layers_by_hand(bench: &Bench, tar: &Path, more: &[&str]) -> [String; 2] {
    let bin = bench.dist.beside("tree/usr/local/bin");
    fs::create_dir_all(&bin).unwrap();
    fs::copy(bench.dist.root().join("linux/amd64/bin/hello"), bin.join("hello")).unwrap();
    let paths = [bench.path("etc.tar"), bench.path("usr.tar")];
    let (root, tree) = (bench.dist.root(), bench.dist.beside("tree"));
    for (path, dir, name) in [(&paths[0], &root, "etc"), (&paths[1], &tree, "usr")] {
        let dir = dir.to_str().unwrap();
        let owner = ["--numeric-owner", "--owner=0", "--group=0", "--sort=name"];
        peer::run(tar, [&owner[..], more, &["-C", dir, "-cf", path, name]].concat());
    }
    paths
}

#[test]
fn images_of_crane_are_accepted() {
    let (Some(bench), Some(crane), Some(tar)) = (Bench::new(), peer::crane(), peer::find("tar"))
    else {
        return;
    };
    let crane = |args: &[&str]| {
        peer::run(&crane, [args, &["--insecure"]].concat());
    };
    let [etc, usr] = layers_by_hand(&bench, &tar, &[]);
    let url = |name: &str| format!("{}:1", bench.repository(name));
    for (layout, name) in [("one", "one"), ("two", "two"), ("one", "other")] {
        let to = format!("docker://{}", url(name));
        bench.copy(&["--all", &format!("oci:{}", bench.path(layout)), &to]);
    }
    let new = format!("--new_layer={etc},{usr}");
    crane(&["append", &new, "-t", &url("appended"), "-o", &bench.path("appended.tar")]);
    crane(&["append", &new, "-t", &url("appended")]);
    crane(&[
        "mutate",
        &url("appended"),
        "-t",
        &url("mutated"),
        "--set-platform=linux/amd64",
        "--entrypoint=/usr/local/bin/hello",
        "--env=GREETING=hello",
        "--user=65532:65532",
        "--label=org.opencontainers.image.title=hello",
    ]);
    crane(&["pull", &url("one"), &bench.path("tarball.tar")]);
    crane(&["pull", &url("one"), &url("mutated"), &bench.path("several.tar")]);
    crane(&["pull", "--format=legacy", &url("one"), &bench.path("legacy.tar")]);
    crane(&["pull", "--format=oci", &url("one"), &bench.path("layout")]);
    crane(&["pull", "--format=oci", "--annotate-ref", &url("one"), &bench.path("annotated")]);
    crane(&["pull", "--format=oci", &url("two"), &bench.path("both")]);
    crane(&["export", &url("one"), &bench.path("files.tar")]);
    let amd64 = "--platform=linux/amd64";
    bench.longshore(&[amd64, "--compression=zstd", &bench.write("oci", "zstd")]);
    bench.copy(&[&format!("oci:{}", bench.path("zstd")), &format!("docker://{}", url("zstd"))]);
    crane(&["index", "append", "-m", &url("one"), "-m", &url("zstd"), "-t", &url("both")]);
    check(
        &bench,
        CRANE,
        &[
            Written::new("`pull`", "tarball.tar", "one"),
            Written::new("`pull`, several images", "several.tar", "one").named(&url("one")),
            Written::new("`pull --format legacy`", "legacy.tar", "one"),
            Written::new("`pull --format oci`", "layout", "one"),
            Written::new("`pull --format oci --annotate-ref`", "annotated", "one"),
            Written::new("`pull --format oci`, two platforms", "both", "two"),
            Written::new("`append --output`", "appended.tar", "one"),
            Written::new("`append`, `mutate`", &bench.repository("mutated"), "one").named("1"),
            Written::new("`index append`, two compressions", &bench.repository("both"), "one")
                .named("1"),
            Written::new("`export`", "files.tar", "one"),
        ],
    );
}

#[test]
fn images_of_cosign_are_accepted() {
    let Some(bench) = Bench::new() else { return };
    let cosigns = peer::cosigns();
    if cosigns.len() < 2 {
        return;
    }
    let mut written = Vec::new();
    let commands = ["`cosign 2.5 save`", "`cosign 3.1 save`"];
    for (cosign, command) in cosigns.iter().zip(commands) {
        written.push(saved(&bench, cosign, command));
    }
    check(&bench, COSIGN, &written);
}

/// Pushes the image, signs it with cosign, and saves both.
fn saved(bench: &Bench, cosign: &PathBuf, command: &'static str) -> Written {
    let name = &command[1..command.len() - 1].replace([' ', '.'], "-");
    let (repository, dir) = (bench.repository(name), bench.path(name));
    let keys = bench.path(&format!("{name}-keys"));
    fs::create_dir(&keys).unwrap();
    let one = format!("oci:{}", bench.path("one"));
    bench.copy(&[&one, &format!("docker://{repository}:1")]);
    let run = |args: &[&str]| {
        let mut command = Command::new(cosign);
        command.env("COSIGN_PASSWORD", "x").current_dir(&keys).args(args);
        let output = command.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {error}");
    };
    run(&["generate-key-pair"]);
    let help = peer::output(cosign, ["sign", "--help"]);
    let third = String::from_utf8_lossy(&help.stdout).contains("--use-signing-config");
    let image = format!("{repository}:1");
    let more: &[&str] = if third { &["--use-signing-config=false"] } else { &[] };
    let sign = ["sign", "--key=cosign.key", "--tlog-upload=false", "--allow-http-registry", "-y"];
    run(&[&sign[..], more, &[&image]].concat());
    run(&["save", "--allow-http-registry", "--dir", &dir, &image]);
    Written::new(command, name, "one")
}

/// Returns the configuration and the layers of the image, as bytes.
fn blobs(bench: &Bench) -> (Vec<u8>, Vec<Vec<u8>>) {
    let found = found(Path::new(&bench.path("one")));
    let blob = |digest: Digest| {
        fs::read(bench.path(&format!("one/blobs/sha256/{}", digest.hex()))).unwrap()
    };
    let layers = found[0].manifest.layers.iter().map(|layer| blob(layer.digest)).collect();
    (blob(found[0].config.digest()), layers)
}

/// Writes an archive for `docker load` of these files: the configuration, and then the layers.
fn archive(path: &str, files: &[(String, Vec<u8>)]) {
    let (config, layers) = files.split_first().unwrap();
    let layers: Vec<_> = layers.iter().map(|(name, _)| name).collect();
    let manifest = json!([{ "Config": config.0, "RepoTags": ["x:1"], "Layers": layers }]);
    let manifest = ("manifest.json".to_owned(), manifest.to_string().into_bytes());
    let entry = |(name, bytes): &(String, Vec<u8>)| Entry::file(name, bytes).mode(0o644).bytes();
    let entries: Vec<_> = files.iter().chain([&manifest]).map(entry).collect();
    fs::write(path, tarball::archive(&entries)).unwrap();
}

/// jib: `ImageTarball.java` of jib-core; rules_oci: `tarball.sh.tpl`; Nix:
/// `stream_layered_image.py` of nixpkgs, with names in layers that begin with `/`.
#[test]
fn archives_of_tools_that_are_not_installed_are_accepted() {
    let (Some(bench), Some(tar)) = (Bench::new(), peer::find("tar")) else { return };
    let (config, layers) = blobs(&bench);
    let hex = |bytes: &[u8]| Digest::sha256(bytes).hex();
    let with = |config_name: String, layer_name: &dyn Fn(String) -> String| {
        let layers = layers.iter().map(|layer| (layer_name(hex(layer)), layer.clone()));
        [(config_name, config.clone())].into_iter().chain(layers).collect::<Vec<_>>()
    };
    let jib = with("config.json".to_owned(), &|hex| format!("{hex}.tar.gz"));
    archive(&bench.path("jib.tar"), &jib);
    let blob = format!("blobs/sha256/{}", hex(&config));
    let rules = with(blob, &|hex| format!("blobs/sha256/{hex}.tar.gz"));
    archive(&bench.path("rules.tar"), &rules);
    let absolute: Vec<_> = layers_by_hand(&bench, &tar, &["-P", "--transform=s,^,/,"])
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    let mut config: Value = serde_json::from_slice(&config).unwrap();
    config["rootfs"]["diff_ids"] = absolute.iter().map(|tar| json!(Digest::sha256(tar))).collect();
    let config = config.to_string().into_bytes();
    let nix = absolute.into_iter().map(|tar| (format!("{}/layer.tar", hex(&tar)), tar));
    let nix: Vec<_> = [(format!("{}.json", hex(&config)), config)].into_iter().chain(nix).collect();
    archive(&bench.path("nix.tar"), &nix);
    let local = |command, name: &str| Written::new(command, name, "one");
    check(
        &bench,
        OTHERS,
        &[
            local("jib, `buildTar`", "jib.tar"),
            local("rules_oci, `oci_load`", "rules.tar"),
            local("Nix, `streamLayeredImage`", "nix.tar"),
        ],
    );
}
