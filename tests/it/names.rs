//! Names: of images, tags, files on a forge, and of files in a workspace that look like ours.

use std::process::Command;

use crate::support::{
    command::longshore,
    peer,
    workspace::{Workspace, manifest},
};

#[test]
fn an_image_has_a_name_that_engines_accept() {
    let workspace = Workspace::empty().package("MyTool", "");
    let dist = "dist --preset quick --target x86_64-unknown-linux-musl --no-smoke";
    let ran = longshore(&workspace, "plan").stdout("image mytool:0.1.0").run();
    assert!(!ran.stdout.contains("MyTool:0.1.0"), "{}", ran.stdout);
    let ran = longshore(&workspace, dist).run();
    assert!(ran.stderr.contains("oci:target/dist/image/mytool:0.1.0"), "{}", ran.stderr);
    if let Some(skopeo) = peer::find("skopeo") {
        let to = workspace.path("copy");
        let args = ["copy", "--quiet", "oci:target/dist/image/mytool:0.1.0"];
        let mut copy = Command::new(skopeo);
        copy.args(args).arg(format!("oci:{}:mytool", to.display())).current_dir(workspace.root());
        let output = copy.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // The package's name finds it, too.
    longshore(&workspace, "image --package MyTool").run();
    longshore(&workspace, "image --package mytool").run();
    longshore(&workspace, "image --package other").status(2).stderr("no image `other`").run();
}

#[test]
fn image_names_are_checked_in_the_plan() {
    let metadata = |text: &str| format!("[package.metadata.longshore.image]\nname = {text:?}");
    let workspace = Workspace::empty().package("hello", &metadata("me/hello"));
    longshore(&workspace, "plan").status(2).hint("`me-hello` can").run();
    let workspace = Workspace::empty().package("hello", &metadata("other"));
    longshore(&workspace, "plan").stdout("image other:0.1.0").run();
    let workspace = Workspace::members(&["a_b", "A_b"], "");
    longshore(&workspace, "plan").status(2).stderr("two images would be called `a_b`").run();
    let long = format!("0.1.0+{}", "b".repeat(130));
    let text = manifest("hello", "").replace("0.1.0", &long);
    let workspace = Workspace::hello().file("Cargo.toml", &text);
    longshore(&workspace, "plan --no-locked")
        .status(2)
        .hint("a tag has at most 128 characters")
        .run();
}

#[test]
fn debian_packages_of_prereleases_keep_their_file_names_on_a_forge() {
    let more = "description = \"Says hello\"\nauthors = [\"A <a@example.org>\"]\nlicense = \"MIT\"\n\
                [package.metadata.longshore]\ndeb = true";
    let text = manifest("hello", more).replace("0.1.0", "0.1.0-rc.1");
    let lock = crate::support::workspace::lock(&["hello"]).replace("0.1.0", "0.1.0-rc.1");
    let workspace = Workspace::hello()
        .file("Cargo.toml", &text)
        .file("Cargo.lock", &lock)
        .file("LICENSE", "text\n");
    longshore(&workspace, "dist --preset quick --target x86_64-unknown-linux-musl --no-smoke")
        .run();
    let deb = workspace.dist().join("archives/hello_0.1.0.rc.1-1_amd64.deb");
    assert!(deb.is_file());
    // Debian still sorts it before the release.
    if let Some(dpkg) = peer::find("dpkg-deb") {
        let version = peer::run(&dpkg, ["--field", deb.to_str().unwrap(), "Version"]);
        assert_eq!(version.trim(), "0.1.0~rc.1-1");
    }
    for name in std::fs::read_dir(workspace.dist().join("archives")).unwrap() {
        let name = name.unwrap().file_name().into_string().unwrap();
        let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
        assert!(name.chars().all(plain), "{name}");
    }
    if let Some(lintian) = peer::find("lintian") {
        let user = peer::root().map(|()| "--allow-root");
        let ran = Command::new(lintian).args(user).arg("--fail-on=error").arg(&deb).output();
        let ran = ran.unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    }
}

#[test]
fn a_directory_called_targets_may_be_a_package() {
    let workspace = Workspace::members(&["cli", "targets"], "");
    workspace.write("targets/rustfmt.toml", "max_width = 100\n");
    workspace.write("targets/rust-toolchain.toml", "[toolchain]\n");
    workspace.write("targets/a-b-c.toml/x", "");
    longshore(&workspace, "plan --package cli").run();
    // A target file is still read, and still checked.
    workspace.write("targets/x86_64-unknown-linux-musl.toml", "platfrom = 'linux/amd64'\n");
    longshore(&workspace, "plan --package cli").status(2).stderr("platfrom").run();
    let file = Workspace::hello().file("targets", "");
    longshore(&file, "plan").run();
}
