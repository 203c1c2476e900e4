//! Sizes as CSV (RFC 4180).

use std::fmt::Write;

use crate::model::schema::size::Size;

/// Returns one line for each row of each binary, after a header line. Sizes are in bytes.
pub fn csv(size: &Size) -> String {
    let mut text = String::from("binary,target,name,crate,size,compressed,derived,guessed\r\n");
    for binary in &size.binaries {
        for row in &binary.rows {
            let number = |number: Option<u64>| number.map_or_else(String::new, |n| n.to_string());
            let _ = write!(
                text,
                "{},{},{},{},{},{},{},{}\r\n",
                field(&binary.name),
                field(binary.target.as_deref().unwrap_or_default()),
                field(&row.name),
                field(row.krate.as_deref().unwrap_or_default()),
                row.size,
                number(row.compressed),
                row.derived,
                row.guessed,
            );
        }
    }
    text
}

/// Returns a field, in quotes if it needs them. A space is put before what a spreadsheet would evaluate as a
/// formula.
fn field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@']);
    let text = if formula { format!(" {text}") } else { text.to_owned() };
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}
