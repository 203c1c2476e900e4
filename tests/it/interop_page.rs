//! `docs/interoperability.md`: its table and notes are those that `interop` holds programs to.

use std::{collections::BTreeSet, env, fs};

use crate::{
    interop_notes::NOTES,
    interop_rows::{Kind, ROWS, Reader},
    tidy::repository,
};

/// Returns the table of the page, and the notes that it refers to.
fn page() -> String {
    let number = |name: &str| {
        let at = NOTES.iter().position(|note| note.name == name);
        format!("[{}]", at.unwrap_or_else(|| panic!("no note `{name}`")) + 1)
    };
    let mut page = String::from("| writer | command | form |");
    for reader in Reader::ALL {
        page += &format!(" {} |", reader.name());
    }
    page += "\n|---|---|---|---|---|---|---|---|---|---|\n";
    for row in &ROWS {
        page += &format!("| {} | {} | {} |", row.writer, row.command, row.kind.name());
        for reader in Reader::ALL {
            let rejected = row.rejected.iter().find(|(by, _)| *by == reader);
            let differs: Vec<_> = row.differs.iter().map(|name| number(name)).collect();
            page += &match rejected {
                _ if reader == Reader::Umoci && row.kind != Kind::Layout => " |".to_owned(),
                Some((_, name)) => format!(" no {} |", number(name)),
                None if reader == Reader::Diff && differs.is_empty() => " equal |".to_owned(),
                None if reader == Reader::Diff => format!(" {} |", differs.join(" ")),
                None => " yes |".to_owned(),
            };
        }
        page += "\n";
    }
    page += "\n";
    for (at, note) in NOTES.iter().enumerate() {
        page += &format!("{}. {}\n", at + 1, note.why);
    }
    page
}

#[test]
fn the_page_on_interoperability_has_the_table() {
    let mut used = BTreeSet::new();
    for row in &ROWS {
        used.extend(row.rejected.iter().map(|(_, name)| *name).chain(row.differs.iter().copied()));
    }
    let notes: BTreeSet<_> = NOTES.iter().map(|note| note.name).collect();
    assert_eq!(notes, used, "every note explains something");
    let path = repository().join("docs/interoperability.md");
    let written = fs::read_to_string(&path).unwrap();
    let (before, rest) = written.split_once("<!-- table -->\n").unwrap();
    let (table, after) = rest.split_once("<!-- end of table -->\n").unwrap();
    let wanted = page();
    if env::var("UPDATE_SNAPSHOTS").is_ok_and(|update| update == "1") {
        let page = format!("{before}<!-- table -->\n{wanted}<!-- end of table -->\n{after}");
        fs::write(&path, page).unwrap();
        return;
    }
    assert_eq!(table, wanted, "`UPDATE_SNAPSHOTS=1 cargo test --workspace --test it interop`");
}
