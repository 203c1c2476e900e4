//! The page of sizes of a large program in a browser.

use std::{env, path::PathBuf};

use longshore::size::page::{self, Page};
use serde_json::Value;
use tempfile::TempDir;

use super::{browser::Browser, leaves};

/// A browser at the page.
#[derive(Debug)]
pub(crate) struct Shown {
    /// The page.
    pub(crate) page: Page,
    /// The browser that shows it.
    pub(crate) browser: Browser,
    _dir: TempDir,
}

/// Returns the page of a large program, or nothing where there is no browser.
pub(crate) fn shown() -> Option<Shown> {
    let page = leaves::page();
    let html = page::html(&page).unwrap();
    Some(Shown { page, ..show(&html)? })
}

/// Returns that page in a browser, or nothing where there is none.
pub(crate) fn show(html: &str) -> Option<Shown> {
    let browser = Browser::start()?;
    browser.show(1400, 900, "light");
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("size.html");
    std::fs::write(&file, html).unwrap();
    browser.open(&file);
    browser.wait("document.documentElement.classList.contains('live')");
    Some(Shown { page: Page::default(), browser, _dir: dir })
}

impl Shown {
    /// Presses the element that `selector` finds.
    #[track_caller]
    pub(crate) fn push(&self, selector: &str) {
        self.browser.run(&format!("document.querySelector({selector:?}).click()"));
    }

    /// Returns the text of an element.
    #[track_caller]
    pub(crate) fn text(&self, selector: &str) -> String {
        let text =
            self.browser.run(&format!("return document.querySelector({selector:?}).innerText"));
        text.as_str().unwrap().to_owned()
    }

    /// Returns the texts of a table's cells; the sign of a number is a hyphen, and its digits are together.
    #[track_caller]
    pub(crate) fn rows(&self, selector: &str) -> Vec<Vec<String>> {
        let script = format!(
            "return [...document.querySelectorAll({selector:?})].map((row) =>
               [...row.cells].map((cell) => cell.textContent))"
        );
        let rows: Vec<Vec<String>> = serde_json::from_value(self.browser.run(&script)).unwrap();
        let number = |text: String| match text.trim_start_matches(['+', '−']).replace(',', "") {
            digits if digits.parse::<u64>().is_ok() => text.replace(',', "").replace('−', "-"),
            _ => text,
        };
        rows.into_iter().map(|row| row.into_iter().map(number).collect()).collect()
    }

    /// Returns the colour of an element; of a canvas, the one that most of it has.
    #[track_caller]
    pub(crate) fn colour(&self, selector: &str) -> String {
        let script = format!(
            "const at = document.querySelector({selector:?});
             if (at.tagName !== 'CANVAS') return getComputedStyle(at).backgroundColor;
             const copy = new OffscreenCanvas(at.width, at.height);
             const context = copy.getContext('2d', {{ willReadFrequently: true }});
             context.drawImage(at, 0, 0);
             const {{ data }} = context.getImageData(0, 0, at.width, at.height);
             const counts = new Map();
             for (let i = 0; i < data.length; i += 4) {{
               const name = `rgb(${{data[i]}}, ${{data[i + 1]}}, ${{data[i + 2]}})`;
               counts.set(name, (counts.get(name) || 0) + 1);
             }}
             return [...counts].sort((a, b) => b[1] - a[1])[0][0]"
        );
        self.browser.run(&script).as_str().unwrap().to_owned()
    }

    /// Types into the search field.
    pub(crate) fn search(&self, query: &str) {
        self.browser.run("document.getElementById('search').focus()");
        self.browser.press(query);
    }

    /// Returns the position of the map of a target.
    pub(crate) fn map(&self, at: usize) -> (f64, f64) {
        let script = format!(
            "const box = document.querySelectorAll('.map')[{at}].getBoundingClientRect();
             return [box.left, box.top]"
        );
        serde_json::from_value(self.browser.run(&script)).unwrap()
    }

    /// Keeps a picture where `LONGSHORE_PICTURES` names a directory, to be looked at.
    pub(crate) fn picture(&self, name: &str) {
        if let Some(dir) = env::var_os("LONGSHORE_PICTURES") {
            self.browser.picture(&PathBuf::from(dir).join(format!("{name}.png")));
        }
    }

    /// Nothing was logged, asked for, or broken out of the data.
    #[track_caller]
    pub(crate) fn quiet(&self) {
        assert_eq!(self.browser.log("browser"), Vec::<Value>::new());
        let mut asked = Vec::new();
        for entry in self.browser.log("performance") {
            let message: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            if message["message"]["method"] == "Network.requestWillBeSent" {
                let url = message["message"]["params"]["request"]["url"].as_str().unwrap();
                asked.push(url.to_owned());
            }
        }
        asked.retain(|url| !url.starts_with("data:,"));
        assert!(matches!(&asked[..], [page] if page.ends_with("/size.html")), "{asked:?}");
        assert_eq!(self.browser.run("return document.title"), "ripgrep 15.0.0: size");
        assert_eq!(self.browser.run("return document.scripts.length"), 2);
    }
}
