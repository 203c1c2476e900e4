//! The page of sizes in a real browser: what it shows is what is in the data, by pointer and by
//! keyboard, on paper and in the dark, and it asks for nothing.

use std::{collections::BTreeMap, env, path::PathBuf};

use longshore::size::page::{self, Binary, Page};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    browser::{Browser, key},
    leaves,
};

/// A browser at the page.
struct Shown {
    page: Page,
    browser: Browser,
    _dir: TempDir,
}

/// The page of a large program, or nothing where there is no browser.
fn shown() -> Option<Shown> {
    let browser = Browser::start()?;
    browser.show(1400, 900, "light");
    let page = leaves::page();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("size.html");
    std::fs::write(&file, page::html(&page).unwrap()).unwrap();
    browser.open(&file);
    browser.wait("document.documentElement.classList.contains('live')");
    Some(Shown { page, browser, _dir: dir })
}

#[test]
fn the_page_of_thirty_thousand_symbols_is_below_a_megabyte() {
    let page = leaves::page();
    assert!(page.binaries.iter().all(|binary| binary.leaves.len() > 15_000));
    let html = page::html(&page).unwrap();
    eprintln!("{} bytes", html.len());
    assert!(html.len() < 1_000_000, "{}", html.len());
    assert_eq!(html, page::html(&page).unwrap());
    std::fs::write("/tmp/wt/shots/raw.html", html).unwrap();
}
