//! Recipes, as longshore carries them out and as BuildKit does.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    time::{Duration, SystemTime},
};

use longshore::image::oci::check::FoundImage;
use serde_json::json;

use crate::support::{
    buildkit::BuildKit,
    command::longshore,
    dist::{Dist, EPOCH, found},
    peer,
    workspace::Workspace,
};

/// A name, a Dockerfile without its `FROM scratch`, and further arguments of both programs.
pub(crate) type Case = (&'static str, &'static str, &'static [&'static str]);

/// Recipes of which both make the same image.
pub(crate) const SAME: &[Case] = &[
    ("file to file", "COPY a.txt /x", &[]),
    ("file into a directory", "COPY a.txt /etc/x/", &[]),
    ("file to a deep path", "COPY a.txt /very/deep/path/x", &[]),
    ("file into an existing directory", "COPY dir /d\nCOPY a.txt /d", &[]),
    ("files into a directory", "COPY a.txt b.txt exec.sh /x/", &[]),
    ("directory's contents", "COPY dir /d", &[]),
    ("directory's contents, slash", "COPY dir/ /d/", &[]),
    ("directories together", "COPY dir closed /d/", &[]),
    ("directory over another", "COPY dir /d\nCOPY closed /d", &[]),
    ("file over another", "COPY a.txt /x\nCOPY b.txt /x", &[]),
    ("the same twice", "COPY a.txt /x\nCOPY a.txt /x", &[]),
    ("modes of files and directories", "COPY modes /m", &[]),
    ("a hidden file", "COPY dir/.hidden /", &[]),
    ("dot", "COPY sub/. /all/", &[]),
    ("relative destination", "WORKDIR /w\nCOPY a.txt .\nCOPY b.txt c/", &[]),
    ("relative destination, no workdir", "COPY a.txt b/c", &[]),
    ("parent in a source", "COPY dir/../a.txt /x", &[]),
    ("wildcard", "COPY *.txt /t/", &[]),
    ("wildcard for a directory", "COPY di* /t/", &[]),
    ("question mark and class", "COPY ?.txt [a-b].txt /t/", &[]),
    ("wildcard in a directory", "COPY dir/*/*r* /t/", &[]),
    ("escaped bracket", r#"COPY ["sp[[]ec]ial", "/"]"#, &[]),
    ("exec form with a space", r#"COPY ["name with space.txt", "/x y/"]"#, &[]),
    ("long and foreign names", "COPY names /n", &[]),
    ("links in a directory", "COPY links /l", &[]),
    ("a link as the source", "COPY links/file /x", &[]),
    ("a link to a directory as the source", "COPY links/dir /x", &[]),
    ("a link in the source's path", "COPY links/dir/one /x", &[]),
    ("a link in the destination", "COPY links /l\nCOPY a.txt /l/dir/", &[]),
    ("a link as the destination", "COPY links /l\nCOPY exec.sh /l/file", &[]),
    ("hard links", "COPY hard /h", &[]),
    ("hard links, one", "COPY hard/a /h", &[]),
    ("chmod", "COPY --chmod=0755 a.txt b.txt /x/y/", &[]),
    ("chmod of a directory", "COPY --chmod=750 dir /d", &[]),
    ("chmod without x", "COPY --chmod=0644 a.txt /x/y/", &[]),
    ("chmod with sticky", "COPY --chmod=1777 modes/empty /tmp", &[]),
    ("chmod of what has special bits", "COPY --chmod=0770 modes /m", &[]),
    ("chmod that others may write to", "COPY --chmod=0777 a.txt /x/y/", &[]),
    ("link, owned", "COPY --chown=3:4 dir /x\nCOPY --link --chown=5 a.txt /x/y/a", &[]),
    ("chown", "COPY --chown=65532:65532 a.txt /x/y/", &[]),
    ("chown, user only", "COPY --chown=7 dir /x/y", &[]),
    ("chown and chmod", "COPY --chown=1:2 --chmod=700 dir /x", &[]),
    ("user does not own", "USER 5:6\nCOPY a.txt /x", &[]),
    ("link", "COPY --link a.txt /x/y/", &[]),
    ("link over others", "COPY --chown=3:4 dir /x\nCOPY --link --chmod=600 a.txt /x/a", &[]),
    ("link and a link", "COPY links /l\nCOPY --link a.txt /l/dir/z", &[]),
    ("workdir", "WORKDIR /a/b", &[]),
    ("workdir twice", "WORKDIR /a\nWORKDIR b\nWORKDIR /a/b", &[]),
    ("workdir, root", "WORKDIR /", &[]),
    ("workdir owned by the user", "USER 7:8\nWORKDIR /a/b\nCOPY a.txt .", &[]),
    ("workdir over a copy", "COPY --chown=3 dir /a\nWORKDIR /a/sub", &[]),
    (
        "stages",
        "COPY dir /d\nFROM scratch AS other\nCOPY --from=0 /d/sub /e\nFROM other\nCOPY --from=other /e/t* /f/",
        &[],
    ),
    (
        "owners and modes from a stage",
        "COPY --chown=5:6 --chmod=4711 exec.sh /x/\nFROM scratch\nCOPY --from=0 / /",
        &[],
    ),
    ("hard links from a stage", "COPY hard /h\nFROM scratch\nCOPY --from=0 /h /i", &[]),
    ("a stage that nobody needs", "COPY a.txt /a\nFROM scratch\nCOPY b.txt /b", &[]),
    ("stage by name and case", "COPY a.txt /a\nFROM scratch AS Two\nCOPY b.txt /b\nFROM two", &[]),
    ("env", "ENV A=b C=\"d e\" E=f\\ g\nENV H i  j \nENV A=$C-${H}", &[]),
    ("env order", "ENV Z=1 B=2\nENV A=3\nENV Z=4", &[]),
    ("env path", "ENV PATH=/app:$PATH", &[]),
    (
        "expansion",
        "ARG X=x\nARG E=\nENV A=$X B=${X} C=${N:-d} D=${X:+y} E1=${E-e} F=${E:-f} G='$X' H=\"$X\" I=\\$X J=${N}",
        &[],
    ),
    (
        "expansion with patterns",
        "ARG P=a/b.c/b.c\nENV A=${P#*/} B=${P##*/} C=${P%/*} D=${P%%/*} E=${P/b/x} F=${P//b/x}",
        &[],
    ),
    ("expansion in sources", "ARG N=a\nCOPY ${N}.txt /$N/", &[]),
    ("dollar in a name", r"COPY dollar\$x /", &[]),
    (
        "args",
        "ARG A=1 B\nARG C=$A\nLABEL a=$A b=$B c=$C",
        &["--build-arg=B=2", "--build-arg=A=x=y"],
    ),
    ("env wins over arg", "ENV A=env\nARG A=arg\nLABEL a=$A", &["--build-arg=A=given"]),
    (
        "automatic args",
        "ARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT\nARG BUILDPLATFORM BUILDOS BUILDARCH\nLABEL t=$TARGETPLATFORM-$TARGETOS-$TARGETARCH-$TARGETVARIANT b=$BUILDPLATFORM",
        &[],
    ),
    ("automatic args need ARG", "LABEL t=x$TARGETARCH", &[]),
    (
        "labels",
        "LABEL b=1 a=\"two words\" \"c d\"='e f'\nLABEL old style of label",
        &["--label=z=1"],
    ),
    ("labels over several lines", "LABEL a=1 \\\n# between\n\n  b=2", &[]),
    ("user", "USER 65532", &[]),
    ("user by name", "COPY a.txt /etc/passwd\nCOPY a.txt /etc/group\nUSER nobody:nogroup", &[]),
    ("expose", "EXPOSE 80 443/tcp 53/udp\nEXPOSE 8000-8002", &[]),
    ("volume", "VOLUME /data /more\nVOLUME [\"/json\", \"/x y\"]", &[]),
    ("stopsignal", "STOPSIGNAL SIGINT", &[]),
    (
        "healthcheck",
        "HEALTHCHECK --interval=5s --timeout=1m30s --retries=2 CMD [\"/x\", \"y\"]",
        &[],
    ),
    (
        "healthcheck, start",
        "HEALTHCHECK --start-period=1h --start-interval=500ms CMD [\"/x\"]",
        &[],
    ),
    ("no healthcheck", "HEALTHCHECK NONE", &[]),
    (
        "entrypoint and cmd",
        "ENTRYPOINT [\"/x\", \"a b\"]\nCMD [\"<&>\", \"$HOME\", \"é\\\"\"]",
        &[],
    ),
    ("cmd before entrypoint", "CMD [\"a\"]\nENTRYPOINT [\"/x\"]", &[]),
    (
        "entrypoint resets an inherited cmd",
        "CMD [\"b\"]\nFROM scratch AS n\nCMD [\"a\"]\nFROM n\nENTRYPOINT [\"/x\"]",
        &[],
    ),
    ("empty cmd", "ENTRYPOINT [\"/x\"]\nCMD []", &[]),
    ("shell", "SHELL [\"/bin/x\", \"-c\"]", &[]),
    ("maintainer", "MAINTAINER somebody <a@b.example>", &[]),
    ("lower case", "copy a.txt /x\nenv a=b\nentrypoint [\"/x\"]", &[]),
    ("older files", "COPY old /old", &[]),
    ("an older file", "COPY old/file /old", &[]),
    ("older files from a stage", "COPY old /d/e\nFROM scratch\nCOPY --from=0 /d /x", &[]),
    ("the same older files", "COPY old /d\nCOPY old /d\nCOPY --chmod=700 old/file /d/", &[]),
    ("a directory with its own mode", "COPY closed /n", &[]),
    ("nothing at all", "", &[]),
];

/// Writes the files that the cases copy.
pub(crate) fn context(root: &Path) {
    let file = |path: &str, mode: u32| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("{}\n", path.file_name().unwrap().to_string_lossy())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let mode = |path: &str, mode: u32| {
        fs::create_dir_all(root.join(path)).unwrap();
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    for path in ["a.txt", "dir/one", "dir/.hidden", "dir/sub/three", "dir/sub/deep/four", "sub/s"] {
        file(path, 0o644);
    }
    for path in ["name with space.txt", "sp[ec]ial", "dollar$x", "closed/x", "closed/sub/y"] {
        file(path, 0o644);
    }
    file("b.txt", 0o600);
    file("exec.sh", 0o755);
    file("modes/setuid", 0o4755);
    file("modes/none", 0o000);
    file("modes/all", 0o777);
    file(&format!("names/{}", "long".repeat(30)), 0o644);
    file(&format!("names/{}/{}", "d".repeat(90), "é".repeat(60)), 0o644);
    file("names/ünï.txt", 0o644);
    mode("modes/sticky", 0o1777);
    mode("modes/setgid", 0o2750);
    mode("modes/empty", 0o755);
    mode("closed", 0o700);
    for dir in ["dir", "dir/sub", "dir/sub/deep", "closed/sub", "sub", "names", "modes"] {
        mode(dir, 0o755);
    }
    mode(&format!("names/{}", "d".repeat(90)), 0o755);
    for (at, target) in [
        ("file", "../a.txt"),
        ("dir", "../dir"),
        ("absolute", "/a.txt"),
        ("broken", "nowhere"),
        ("long", &"../links/".repeat(20)),
    ] {
        mode("links", 0o755);
        symlink(target, root.join("links").join(at)).unwrap();
    }
    // Older than the images.
    file("old/file", 0o644);
    file("old/sub/deep", 0o644);
    mode("old", 0o711);
    mode("old/sub", 0o700);
    // Directories are not: BuildKit gives those this time or another, as its cache has it.
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH - 1_000_000);
    for path in ["old/file", "old/sub/deep"] {
        fs::File::open(root.join(path)).unwrap().set_modified(old).unwrap();
    }
    mode("hard", 0o755);
    file("hard/b", 0o644);
    fs::hard_link(root.join("hard/b"), root.join("hard/a")).unwrap();
    fs::hard_link(root.join("hard/b"), root.join("hard/c")).unwrap();
}

/// Recipes of which BuildKit, or this version of it, makes a different image or none: a name, a Dockerfile, and
/// the paths in the last layer.
const OWN: &[(&str, &str, &[&str])] = &[
    (
        "parents",
        "COPY --parents dir/sub/three a.txt /p/",
        &["p/", "p/a.txt", "p/dir/", "p/dir/sub/", "p/dir/sub/three"],
    ),
    (
        "parents and a pattern",
        "COPY --parents dir/*/t* /p/",
        &["p/", "p/dir/", "p/dir/sub/", "p/dir/sub/three"],
    ),
    (
        "parents and a pivot",
        "COPY --parents dir/./sub/deep /p/",
        &["p/", "p/sub/", "p/sub/deep/", "p/sub/deep/four"],
    ),
    (
        "parents, all below",
        "COPY --parents **/four /p/",
        &["p/", "p/dir/", "p/dir/sub/", "p/dir/sub/deep/", "p/dir/sub/deep/four"],
    ),
    ("exclude", "COPY --exclude=sub dir /d", &["d/", "d/.hidden", "d/one"]),
    (
        "exclude with an exception",
        "COPY --exclude=* --exclude=!sub/deep dir /d",
        &["d/", "d/sub/", "d/sub/deep/", "d/sub/deep/four"],
    ),
    ("an image without a layer", "LABEL a=b", &[]),
];

#[test]
fn unsupported_by_this_version_of_buildkit() {
    let dist = Dist::new(&[], json!({ "labels": {} }));
    context(&dist.root());
    for (name, text, paths) in OWN {
        let recipe = dist.beside("Dockerfile");
        fs::write(&recipe, format!("FROM scratch\n{text}\n")).unwrap();
        let out = dist.beside(name);
        let found = ours(&dist, &recipe, &out, &["--platform=linux/amd64"]).unwrap();
        let listed = match found[0].manifest.layers.last() {
            Some(layer) => {
                let blob = out.join("blobs/sha256").join(layer.digest.hex());
                let mut archive = tar::Archive::new(fs::File::open(blob).unwrap());
                let path = |entry: tar::Entry<'_, fs::File>| {
                    String::from_utf8(entry.path_bytes().into_owned()).unwrap()
                };
                archive.entries().unwrap().map(|entry| path(entry.unwrap())).collect()
            }
            None => Vec::new(),
        };
        assert_eq!(listed, *paths, "{name}");
    }
}

/// A Dockerfile, and what is said of it: the beginning of the error, and the hint.
const WRONG: &[(&str, &str, &str)] = &[
    ("COPY nothing /x", "2:1: there is no `nothing` in the build context", "is it built"),
    ("COPY a.tx /x", "2:1: there is no `a.tx` in the build context", "there is `a.txt`"),
    ("COPY z*.txt /x", "2:1: `z*.txt` matches nothing in the build context", "leave files out"),
    ("COPY [[ /x", "2:", ""),
    ("COPY ../../etc/passwd /x", "2:1: there is no `etc/passwd` in the build context", ""),
    (
        "COPY links/out /x",
        "2:1: there is no `links/out` in the build context",
        "it is a symbolic link to `../../../../outside`",
    ),
    ("COPY links/loop /x", "2:1: `links/loop` leads through too many symbolic links", ""),
    ("COPY a.txt /x\nCOPY dir /x", "3:1: `/x` in the image is a file, not a directory", ""),
    ("COPY a.txt /x\nCOPY b.txt /x/y", "3:1: `/x` in the image is a file, not a directory", ""),
    (
        "COPY dir /d\nCOPY a.txt /d/sub/deep/\nCOPY dir/one /d/\nCOPY sub /d/one",
        "5:1: `/d/one`",
        "",
    ),
    ("RUN echo", "2:1: ", "docker buildx build"),
    ("ADD https://example.invalid/x /x", "2:1: ", "docker buildx build"),
    ("COPI a b", "2:1: ", "did you mean `COPY`?"),
    ("COPY --chmood=1 a.txt b", "2:6: ", "did you mean `--chmod`?"),
    ("ENTRYPOINT /x --y", "2:12: ", "`ENTRYPOINT [\"/x\", \"--y\"]`"),
    ("CMD cd /srv && /x", "2:5: ", "only a shell understands"),
    ("USER daemon", "2:1: user `daemon` is a name", "USER 65532:65532"),
    ("USER 7:staff", "2:1: group `staff` is a name", "USER 65532:65532"),
];

#[test]
fn errors_in_recipes_have_line_and_hint() {
    let dist = Dist::new(&[], json!({}));
    context(&dist.root());
    symlink("../../../../outside", dist.root().join("links/out")).unwrap();
    symlink("loop", dist.root().join("links/loop")).unwrap();
    let recipe = dist.beside("Dockerfile");
    for (text, start, hint) in WRONG {
        fs::write(&recipe, format!("FROM scratch\n{text}\n")).unwrap();
        let error = dist.fails(2, &["-f", recipe.to_str().unwrap()]);
        let place = format!("{}:{start}", recipe.display());
        assert!(error.contains(&place), "{text}: {error}");
        assert!(error.contains(hint) && error.contains("^"), "{text}: {error}");
        assert!(!dist.root().join("image").exists(), "{text}");
    }
}

#[test]
fn what_cannot_start_is_reported_by_plan_and_image() {
    let copy = "FROM scratch\nARG TARGETPLATFORM\nCOPY ${TARGETPLATFORM}/bin/hello /usr/bin/\n";
    let workspace = Workspace::hello();
    let plan = |more: &str| {
        workspace.write("Dockerfile.release", &format!("{copy}{more}"));
        longshore(&workspace, "plan")
    };
    plan("ENTRYPOINT [\"hello\"]\n").absent("Dockerfile.release:").run();
    plan("ENTRYPOINT [\"/usr/bin/helo\"]\n")
        .stderr("warning: Dockerfile.release:4:1: `/usr/bin/helo` is not a file in the image")
        .run();
    plan("CMD [\"helo\"]\n").stderr("`helo` is not in a directory of `PATH`").run();
    plan("COPY --chmod=644 linux/amd64/bin/hello /x\nCMD [\"/x\"]\n")
        .stderr("release:5:1: `/x` is not executable by root")
        .run();
    plan("USER daemon\n").status(2).stderr("Dockerfile.release:4:1: user `daemon`").run();
    // Files that only a build makes.
    plan("COPY other /x\nCMD [\"/y\"]\n").absent("Dockerfile.release:").run();

    let dist = Dist::new(&[], json!({}));
    context(&dist.root());
    let path = dist.beside("Dockerfile");
    fs::write(&path, "FROM scratch\nCOPY a.txt /x\nENTRYPOINT [\"/x\"]\n").unwrap();
    let ran = dist.run(&["-f", path.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{told}");
    assert!(told.contains(":3:1: `/x` is not executable by root"), "{told}");
}

#[test]
fn recipes_in_other_encodings_are_usage_errors() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let workspace = Workspace::hello();
    let bytes = [&b"FROM scratch\nLABEL a=caf\xe9\n"[..], &[0xff, 0xfe], &utf16("FROM scratch\n")];
    let path = workspace.path("Dockerfile.release");
    fs::write(&path, bytes[0]).unwrap();
    longshore(&workspace, "plan")
        .status(2)
        .stderr("Dockerfile.release:2: expected UTF-8 text, found byte 0xe9")
        .hint("convert it, for example with `iconv -f ISO-8859-1 -t UTF-8`")
        .run();
    fs::write(&path, bytes[1..].concat()).unwrap();
    longshore(&workspace, "plan")
        .status(2)
        .stderr("Dockerfile.release:1: expected UTF-8 text, found byte 0xff")
        .hint("convert it, for example with `iconv -f UTF-16 -t UTF-8`")
        .run();
    fs::write(&path, bytes[2]).unwrap();
    longshore(&workspace, "plan").status(2).stderr("Dockerfile.release:1:1").run();
}

#[test]
fn the_ignore_file_beside_the_recipe_wins() {
    let Some(buildkit) = BuildKit::start() else {
        return;
    };
    let dist = Dist::new(&[], json!({ "labels": {} }));
    context(&dist.root());
    let recipe = dist.beside("Dockerfile.release");
    fs::write(&recipe, "FROM scratch\nCOPY . /all/\n").unwrap();
    let cases = [
        "*\n!dir\n",
        "*\n!dir/sub/deep\n# comment\n",
        "dir/**/t*\n**/*.txt\n!b.txt\nnames\nlinks\n",
        "/modes\nnames/*\n!names/ünï.txt\nhard/[ab]\n",
        "**\n!**/one\n",
        "dir/\ndir/sub/\n  closed  \n./sub\nnames/../old\n",
    ];
    for (number, ignored) in cases.into_iter().enumerate() {
        let at = |side: &str| dist.beside(&format!("{number}.{side}"));
        fs::write(dist.beside("Dockerfile.release.dockerignore"), ignored).unwrap();
        let (theirs, root) = (at("theirs"), dist.root());
        buildkit.build((&recipe, &root, &theirs), "linux/amd64", EPOCH, &[]);
        let ours = ours(&dist, &recipe, &at("ours"), &["--platform=linux/amd64"]).unwrap();
        let mut told = differences(&ours, &found(&theirs));
        if let Some(tar) = peer::find("tar").filter(|_| !told.is_empty()) {
            told += &listings(&tar, &[at("ours"), theirs]);
        }
        assert!(told.is_empty(), "{ignored}: {told}");
    }
}

/// Returns longshore's image of the recipe, or its error.
pub(crate) fn ours(
    dist: &Dist,
    recipe: &Path,
    out: &Path,
    more: &[&str],
) -> Result<Vec<FoundImage>, String> {
    let output = format!("--output=oci={}", out.display());
    let args = ["-f", recipe.to_str().unwrap(), "--compression=none", &output];
    let ran = dist.run(&[&args, more].concat());
    match ran.status.success() {
        true => Ok(found(out)),
        false => Err(String::from_utf8_lossy(&ran.stderr).into_owned()),
    }
}

/// Returns the differences between images: their configuration, which has the digests of the layers' tars.
pub(crate) fn differences(ours: &[FoundImage], theirs: &[FoundImage]) -> String {
    let mut text = String::new();
    for (our, their) in ours.iter().zip(theirs) {
        if our.config.bytes() != their.config.bytes() {
            text += &format!(
                "{}:\n  ours   {}\n  theirs {}\n",
                our.platform,
                String::from_utf8_lossy(our.config.bytes()),
                String::from_utf8_lossy(their.config.bytes())
            );
        }
    }
    if ours.len() != theirs.len() {
        text += &format!("{} images and {}\n", ours.len(), theirs.len());
    }
    text
}

#[test]
fn buildkit_builds_the_same_from_every_instruction() {
    let Some(buildkit) = BuildKit::start() else {
        return;
    };
    let dist = Dist::new(&[], json!({ "labels": {} }));
    context(&dist.root());
    let only = std::env::var("LONGSHORE_RECIPE").ok();
    let mut wrong = String::new();
    for (number, (name, text, more)) in SAME.iter().enumerate() {
        if only.as_ref().is_some_and(|only| !only.split(';').any(|only| only == *name)) {
            continue;
        }
        let recipe = dist.beside(&format!("{number}.Dockerfile"));
        // An image without a layer is a special case of its own.
        let layer = if text.to_uppercase().contains("COPY") { "" } else { "COPY a.txt /layer\n" };
        fs::write(&recipe, format!("FROM scratch\n{text}\n{layer}")).unwrap();
        let at = |side: &str| dist.beside(&format!("{number}.{side}"));
        let theirs = at("theirs");
        let paths = (recipe.as_path(), dist.root(), theirs.as_path());
        let platforms = "linux/amd64,linux/arm64";
        let built = buildkit.try_build((paths.0, &paths.1, paths.2), platforms, EPOCH, more);
        let told = match (ours(&dist, &recipe, &at("ours"), more), built) {
            (Ok(ours), Ok(())) => differences(&ours, &found(&theirs)),
            (Err(our), Err(their)) => format!("both fail:\n{our}\n{their}"),
            (Err(error), _) | (_, Err(error)) => error,
        };
        if !told.is_empty() {
            wrong += &format!("{name}: {text:?}\n{told}\n");
            if let Some(tar) = peer::find("tar").filter(|_| only.is_some()) {
                wrong += &listings(&tar, &[at("ours"), theirs]);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Returns the contents of the layers, for people.
pub(crate) fn listings(tar: &Path, layouts: &[std::path::PathBuf]) -> String {
    let mut text = String::new();
    for layout in layouts.iter().filter(|layout| layout.exists()) {
        for found in found(layout).iter().take(1) {
            for layer in &found.manifest.layers {
                let blob = layout.join("blobs/sha256").join(layer.digest.hex());
                let list = peer::run(tar, ["-tvf", blob.to_str().unwrap()]);
                text += &format!("{}\n{list}\n", layout.display());
            }
        }
    }
    text
}
