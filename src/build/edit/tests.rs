use super::*;

#[track_caller]
fn member(before: &str, after: &str) {
    let found = add_member("Cargo.toml", before, "xtask").unwrap();
    assert_eq!(found.as_deref(), Some(after));
    assert_eq!(add_member("Cargo.toml", after, "xtask").unwrap(), None, "it is there");
}

#[test]
fn a_member_is_added_and_everything_else_stays() {
    member(
        "[package]\nname = \"a\" # x\n",
        "[package]\nname = \"a\" # x\n\n[workspace]\nmembers = [\"xtask\"]\n",
    );
    member("[workspace]\nmembers = []\n", "[workspace]\nmembers = [\"xtask\"]\n");
    member("[workspace]\nmembers = [\"a\"] # x", "[workspace]\nmembers = [\"a\", \"xtask\"] # x");
    member("workspace.members = [ 'a', ]\n", "workspace.members = [ 'a', \"xtask\", ]\n");
    member("[workspace] # w\n\n[a]\n", "[workspace] # w\nmembers = [\"xtask\"]\n\n[a]\n");
    member(
        "[workspace]\nmembers = [\n  \"a\", # first\n  \"b\" # last\n  # more\n]\n",
        "[workspace]\nmembers = [\n  \"a\", # first\n  \"b\", # last\n  # more\n  \"xtask\",\n]\n",
    );
    member(
        "[workspace]\r\nmembers = [\r\n\t\"a\",\r\n]\r\n",
        "[workspace]\r\nmembers = [\r\n\t\"a\",\r\n\t\"xtask\",\r\n]\r\n",
    );
    member(
        "[workspace.metadata]\na = 1\n",
        "[workspace.metadata]\na = 1\n\n[workspace]\nmembers = [\"xtask\"]\n",
    );
}

#[test]
fn a_form_without_room_is_an_error_that_names_the_line() {
    let error = add_member("Cargo.toml", "workspace = {}\n", "xtask").unwrap_err();
    assert_eq!(error.to_string(), "`Cargo.toml` cannot be edited automatically");
    let hint = "add `members = [\"xtask\"]` to `[workspace]` yourself";
    assert_eq!(error.hint_text(), Some(hint));
    let x = ["x = 1".to_owned()];
    // The header is in a string.
    let text = "a = '''\n[alias]\n'''\n[alias]\nb = \"c\"\n";
    assert!(add_lines("config.toml", text, &["alias"], &x).is_err());
    assert!(add_lines("config.toml", "[", &["alias"], &x).is_err());
    assert!(add_lines("config.toml", "alias = 1", &["alias"], &x).is_err());
    let there = add_lines("config.toml", "[alias]\nx = 1", &["alias"], &x);
    assert!(there.is_err());
}

#[test]
fn keys_are_added_to_their_table() {
    let lines = ["x.'1' = 1".to_owned(), "x.'2' = []".to_owned()];
    let add = |text: &str| add_lines("c", text, &["a", "b"], &lines);
    let block = "x.'1' = 1\nx.'2' = []\n";
    assert_eq!(add("").unwrap(), format!("[a.b]\n{block}"));
    assert_eq!(add("[a.b] # c\nz = 0\n").unwrap(), format!("[a.b] # c\n{block}z = 0\n"));
    assert_eq!(add("[a]\nz = 0").unwrap(), format!("[a]\nz = 0\n\n[a.b]\n{block}"));
    assert!(add("[a.b]\nx = 0").is_err());
    assert!(add("[a]\nb = { z = 0 }").is_err());
}

#[test]
fn a_package_is_added_where_cargo_writes_it() {
    let package = |name: &str| format!("[[package]]\nname = \"{name}\"\nversion = \"0.0.0\"\n");
    let (a, x, z) = (package("a"), package("xtask"), package("zip"));
    let add = |text: &str| add_package(text, "xtask", "0.0.0").unwrap();
    let head = "# generated\nversion = 4\n";
    let between = format!("{head}\n{a}\n{x}\n{z}");
    assert_eq!(add(&format!("{head}\n{a}\n{z}")), Some(between.clone()));
    assert_eq!(add(&between), None);
    assert_eq!(add(&format!("{head}\n{a}")), Some(format!("{head}\n{a}\n{x}")));
    let patch = "[[patch.unused]]\nname = \"b\"\nversion = \"1.0.0\"\n";
    assert_eq!(add(&format!("{head}\n{a}\n{patch}")), Some(format!("{head}\n{a}\n{x}\n{patch}")));
    assert!(add_package("version", "xtask", "0.0.0").is_err());
}

#[test]
fn a_line_is_added_to_the_ignored_files() {
    assert_eq!(add_ignored("", "target"), "/target\n");
    assert_eq!(add_ignored("a\r\nb", "target"), "a\r\nb\r\n/target\r\n");
    for text in ["target", "/target\n", "a\ntarget/ \n"] {
        assert!(is_ignored(text, "target"), "{text}");
    }
    assert!(!is_ignored("!target\n# target\ntargets", "target"));
}
