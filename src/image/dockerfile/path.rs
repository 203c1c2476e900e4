//! Paths in an image and in a build context, as text with `/`, on every host.

/// Returns the shortest path that means the same (Go's `path.Clean`): no empty parts, no `.`, and no
/// `..` but at the start of a relative path.
pub(super) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => drop(parts.pop()),
                _ if rooted => {}
                _ => parts.push(".."),
            },
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    match (rooted, path.is_empty()) {
        (true, _) => format!("/{path}"),
        (false, true) => ".".into(),
        (false, false) => path,
    }
}

/// Joins `path` to `directory` unless it is absolute, and cleans it; no result is outside the root.
pub(super) fn absolute(directory: &str, path: &str) -> String {
    if path.starts_with('/') { clean(path) } else { clean(&format!("/{directory}/{path}")) }
}

/// Returns `path` from the root, without the slash: `.` for the root itself.
pub(super) fn from_root(path: &str) -> String {
    let path = absolute("/", path);
    match path.trim_start_matches('/') {
        "" => ".".into(),
        rest => rest.into(),
    }
}
