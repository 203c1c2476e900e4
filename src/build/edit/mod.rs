//! Additions to text files of a workspace: everything that is there stays as it is, with its comments, order and
//! line ends. Each edit of a TOML file is parsed again and compared, so that one that would change anything
//! else is an error.

mod ignore;
mod lock;
mod toml;

pub use self::{
    ignore::{add_ignored, is_ignored},
    lock::add_package,
    toml::{add_lines, add_member, quoted},
};

/// Returns the line end of a text: that of its first line.
fn line_end(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// Returns `text` with a line end after its last line.
fn closed(text: &str) -> String {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { line_end(text) };
    format!("{text}{end}")
}

#[cfg(test)]
mod tests;
