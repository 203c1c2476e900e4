//! The page of sizes in a real browser: what it shows is what is in the data, by pointer and by
//! keyboard, on paper and in the dark, and it asks for nothing.

use std::collections::BTreeMap;

use longshore::size::page::{self, Page, PageBinary};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    browser::{Browser, key},
    command::longshore,
    leaves,
    registry::Registry,
    shown::{show, shown},
    workspace::Workspace,
};

/// Bytes by a name of the leaves, in the order of a table: the most first.
fn sums(
    binaries: &[PageBinary],
    name: impl Fn(&page::PageLeaf) -> Option<String>,
    bytes: impl Fn(&page::PageLeaf) -> u64,
) -> Vec<Vec<String>> {
    let mut sums: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (at, binary) in binaries.iter().enumerate() {
        for leaf in &binary.leaves {
            if let Some(name) = name(leaf).filter(|_| leaf.size > 0) {
                sums.entry(name).or_insert_with(|| vec![0; binaries.len()])[at] += bytes(leaf);
            }
        }
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, sizes)| std::cmp::Reverse(sizes[0]));
    let row = |(name, sizes): (String, Vec<u64>)| {
        std::iter::once(name).chain(sizes.iter().map(u64::to_string)).collect()
    };
    sums.into_iter().map(row).collect()
}

/// Returns the name of a crate as the page shows it.
fn krate(leaf: &page::PageLeaf) -> String {
    leaf.krate.replace('\u{202e}', "\\u{202e}")
}

#[test]
fn the_tables_are_the_data() {
    let Some(shown) = shown() else { return };
    let binaries = &shown.page.binaries;
    assert_eq!(shown.rows("#list tbody tr"), sums(binaries, |l| Some(krate(l)), |l| l.size));
    let all = |bytes: &dyn Fn(&PageBinary) -> u64| {
        vec![vec![
            "all".to_owned(),
            bytes(&binaries[0]).to_string(),
            bytes(&binaries[1]).to_string(),
        ]]
    };
    assert_eq!(shown.rows("#list tfoot tr"), all(&|binary| binary.size));
    assert_eq!(shown.browser.run("return document.querySelectorAll('.map').length"), 2);
    shown.picture("map");

    shown.push("input[value=packed]");
    assert_eq!(shown.rows("#list tbody tr"), sums(binaries, |l| Some(krate(l)), |l| l.compressed));
    assert_eq!(shown.rows("#list tfoot tr"), all(&|binary| binary.compressed));
    shown.push("input[value=sizes]");

    // A crate's modules, and a module's symbols.
    let script = "[...document.querySelectorAll('#list tbody button')].find((b) => b.textContent === \
                  'regex_automata').click()";
    shown.browser.run(script);
    let modules =
        sums(binaries, |l| (l.krate == "regex_automata").then(|| l.module.clone()), |l| l.size);
    let root = |mut row: Vec<String>| {
        if row[0].is_empty() {
            row[0] = "(crate root)".to_owned();
        }
        row
    };
    let modules: Vec<_> = modules.into_iter().map(root).collect();
    assert_eq!(shown.rows("#list tbody tr"), modules);
    assert_eq!(shown.text("#path"), "rg\nregex_automata");

    // Of many rows, the last are a press away.
    shown.push("#path button");
    shown.browser.run(
        "[...document.querySelectorAll('#list tbody button')].find((b) => b.textContent === '[C]').click()",
    );
    let of_c: Vec<_> = binaries[0].leaves.iter().filter(|leaf| leaf.krate == "[C]").collect();
    assert_eq!(shown.rows("#list tbody tr").len(), 251);
    shown.push("#list tbody td button");
    let rows = shown.rows("#list tbody tr");
    let bytes: u64 = rows.iter().map(|row| row[1].parse::<u64>().unwrap()).sum();
    assert_eq!((rows.len(), bytes), (of_c.len(), of_c.iter().map(|leaf| leaf.size).sum()));
    shown.quiet();
}

#[test]
fn hostile_names_are_text() {
    let Some(shown) = shown() else { return };
    let script = "[...document.querySelectorAll('#list tbody button')].find((b) => \
                  b.textContent.startsWith('hostile')).click()";
    shown.browser.run(script);
    let names: Vec<String> =
        shown.rows("#list tbody tr").into_iter().map(|mut row| row.remove(0)).collect();
    let [script, image, comment, controls, direction, crab, long] = leaves::hostile();
    let controls = controls
        .replace('\u{7}', "\\u{7}")
        .replace('\0', "\\u{0}")
        .replace('\u{1b}', "\\u{1b}")
        .replace('\n', "\\u{a}")
        .replace('\u{2028}', "\\u{2028}");
    let direction = direction.replace('\u{202e}', "\\u{202e}");
    assert_eq!(names, [long, crab, direction, controls, comment, image, script]);
    shown.push("#list tbody button");
    assert!(shown.text("#detail").starts_with("long::Generic<core::option::Option<u8>>::Generic"));
    shown.quiet();
}

#[test]
fn click_zooms_and_escape_returns() {
    let Some(shown) = shown() else { return };
    let browser = &shown.browser;
    let (left, top) = shown.map(1);
    browser.point(left + 20.0, top + 8.0);
    let tip = shown.text("#tip");
    let name = tip.lines().next().unwrap().to_owned();
    let bytes = |krate: &str| -> u64 {
        let of_krate = shown.page.binaries[1].leaves.iter().filter(|leaf| leaf.krate == krate);
        of_krate.map(|leaf| leaf.size).sum()
    };
    let told: String = tip.lines().last().unwrap().split(" bytes").next().unwrap().replace(',', "");
    assert_eq!(told, bytes(&name).to_string(), "{tip}");
    browser.click();
    assert_eq!(shown.text("#path"), format!("rg\n{name}"));
    assert_eq!(shown.rows("#list tfoot tr")[0][2], bytes(&name).to_string());
    shown.picture("crate");

    // A module, and a symbol in it.
    browser.click();
    assert_eq!(shown.text("#path").lines().count(), 3);
    browser.point(left + 30.0, top + 60.0);
    let symbol = shown.text("#tip").lines().next().unwrap().to_owned();
    browser.click();
    assert!(shown.text("#detail").starts_with(&symbol));
    let known = shown.page.binaries[1].leaves.iter().any(|leaf| leaf.symbol == symbol);
    assert!(known && shown.text("#path").lines().count() == 3, "{symbol}");
    shown.picture("symbol");

    // The symbol is let go first.
    browser.press(key::ESCAPE);
    assert_eq!(browser.run("return document.getElementById('detail').hidden"), true);
    browser.press(key::ESCAPE);
    assert_eq!(shown.text("#path"), format!("rg\n{name}"));
    browser.press(key::BACKSPACE);
    assert_eq!(shown.text("#path"), "rg");
    shown.quiet();
}

#[test]
fn search_counts_what_it_finds() {
    let Some(shown) = shown() else { return };
    let binaries = &shown.page.binaries;
    let matches = |leaf: &page::PageLeaf| {
        ["drop_in", "util"].iter().all(|word| {
            let names = [&leaf.krate, &leaf.module, &leaf.symbol, &leaf.section];
            names.iter().any(|name| name.to_lowercase().contains(word))
        })
    };
    shown.browser.press("/");
    shown.browser.press("DROP_in util");
    let line = |short: &str, binary: &PageBinary| {
        let found: Vec<_> = binary.leaves.iter().filter(|leaf| matches(leaf)).collect();
        let bytes: u64 = found.iter().map(|leaf| leaf.size).sum();
        assert!(found.len() > 50);
        format!("{short}: {} found, {bytes} bytes", found.len())
    };
    let lines = [line("x86_64", &binaries[0]), line("aarch64", &binaries[1])];
    let told = shown.browser.run(
        "return [...document.querySelectorAll('#found span')].map((span) =>
           span.textContent.replaceAll(',', '').replace(/ \\(.*/, ''))",
    );
    let told = told.to_string().replace(" found ", " found, ");
    assert_eq!(told, json!(lines).to_string());
    let expected = sums(binaries, |l| matches(l).then(|| krate(l)), |l| l.size);
    assert_eq!(shown.rows("#list tbody tr"), expected);
    shown.picture("search");

    shown.browser.press(key::ESCAPE);
    assert_eq!(shown.text("#found"), "");
    shown.search("no such thing");
    assert_eq!(shown.rows("#list tbody tr"), Vec::<Vec<String>>::new());
    shown.quiet();
}

#[test]
fn the_keyboard_reaches_everything() {
    let Some(shown) = shown() else { return };
    let browser = &shown.browser;
    let mut reached = Vec::new();
    for _ in 0..24 {
        browser.press(key::TAB);
        let at = browser.run(
            "const at = document.activeElement;
             const name = at.id || at.name || at.dataset.key || at.className || at.parentNode.parentNode.id;
             return getComputedStyle(at).outlineStyle === 'none' ? `${name} without a frame` : name",
        );
        reached.push(at.as_str().unwrap().to_owned());
    }
    let order = ["theme", "tab-map", "count", "colour", "search", "path", "map", "map", "rows"];
    let order = order.iter().chain(&["name", "b0", "b1", "open"]);
    assert_eq!(reached.iter().take(13).collect::<Vec<_>>(), order.collect::<Vec<_>>());

    // The map by its keys alone.
    browser.run("document.querySelector('.map').focus()");
    browser.wait("!document.getElementById('tip').hidden");
    let first = shown.text("#tip").lines().next().unwrap().to_owned();
    browser.press(key::RIGHT);
    let second = shown.text("#say");
    assert!(!second.starts_with(&format!("{first},")) && second.contains(" bytes, "), "{second}");
    let second = second.split(',').next().unwrap();
    browser.press(key::ENTER);
    assert_eq!(shown.text("#path"), format!("rg\n{second}"));
    browser.press(key::ENTER);
    assert_eq!(shown.text("#path").lines().count(), 3);
    browser.press(key::BACKSPACE);
    browser.press(key::ESCAPE);
    assert_eq!(shown.text("#path"), "rg");
    // It is where it was.
    browser.press(key::ENTER);
    assert_eq!(shown.text("#path"), format!("rg\n{second}"));

    browser.run("document.getElementById('tab-map').focus()");
    browser.press(key::RIGHT);
    assert_eq!(browser.run("return document.getElementById('view-changes').hidden"), false);
    browser.press(key::RIGHT);
    assert_eq!(browser.run("return document.activeElement.id"), "tab-history");
    shown.quiet();
}

#[test]
fn changes_are_listed_by_crate_and_by_symbol() {
    let Some(shown) = shown() else { return };
    let binary = &shown.page.binaries[0];
    shown.push("input[value=change]");
    shown.picture("change");
    // What is gone takes no place on the map; the table has it.
    let list = shown.rows("#list tbody tr");
    let gone = ["lazy_static", "0", "-23456", "0", "-23456"];
    assert!(list.iter().any(|row| row[..] == gone), "{list:?}");

    // All that is new has the colour of what is new, and with the other colours that of code.
    shown.browser.run(
        "[...document.querySelectorAll('#list tbody button')].find((b) => \
         b.textContent.startsWith('hostile')).click()",
    );
    assert_eq!(shown.colour(".d8"), shown.colour("canvas"));
    shown.push("input[value=section]");
    assert_eq!(shown.colour(".k0"), shown.colour("canvas"));

    shown.push("#tab-changes");
    let mut crates: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for leaf in &binary.leaves {
        let sum = crates.entry(krate(leaf)).or_default();
        *sum = (sum.0 + leaf.base.unwrap_or(0), sum.1 + leaf.size);
    }
    let mut expected: Vec<_> = crates.iter().collect();
    let change = |(base, size): (u64, u64)| size.cast_signed() - base.cast_signed();
    expected.sort_by_key(|(_, sum)| std::cmp::Reverse(change(**sum)));
    let rows = shown.rows("#crates tbody tr");
    for (row, (name, sum)) in rows.iter().zip(&expected) {
        let told = [&row[0], &row[1], &row[2]].map(String::as_str);
        assert_eq!(told, [name.as_str(), &sum.0.to_string(), &sum.1.to_string()]);
        assert_eq!(row[3].trim_start_matches('+'), change(**sum).to_string(), "{name}");
    }
    assert_eq!(rows.len(), expected.len());
    assert_eq!(shown.rows("#crates tfoot tr")[0][1], binary.base.unwrap().to_string());

    // The symbols of another crate, by name.
    let script = "[...document.querySelectorAll('#crates button')].find((b) => b.textContent === \
                  'core').click()";
    shown.browser.run(script);
    shown.push("#symbols [data-key=name]");
    let mut symbols: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for leaf in binary.leaves.iter().filter(|leaf| leaf.krate == "core") {
        let sum = symbols.entry(&leaf.symbol).or_default();
        *sum = (sum.0 + leaf.base.unwrap_or(0), sum.1 + leaf.size);
    }
    symbols.retain(|_, (base, size)| base != size);
    let names: Vec<&str> = symbols.into_keys().collect();
    let rows = shown.rows("#symbols tbody tr");
    assert_eq!(rows.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), names);
    shown.picture("changes");
    shown.quiet();
}

#[test]
fn releases_are_a_chart_and_a_table() {
    let Some(shown) = shown() else { return };
    shown.push("#tab-history");
    let rows = shown.rows("#releases tbody tr");
    let points = &shown.page.history;
    assert_eq!(rows.len() * 2, points.len());
    for point in points {
        let row = rows.iter().find(|row| row[0] == point.release).unwrap();
        let column = if point.target.starts_with("x86_64") { 2 } else { 4 };
        assert_eq!(row[column], point.size.to_string());
    }
    assert_eq!(rows[0][..2], ["15.0.0", "2024-10-04"]);
    let marks = shown.browser.run("return document.querySelectorAll('#chart g > path').length");
    assert_eq!(marks, points.len());
    shown.picture("releases");
    shown.quiet();
}

#[test]
fn the_page_is_readable_in_print_dark_mode_and_on_phones() {
    let Some(shown) = shown() else { return };
    let browser = &shown.browser;
    let light =
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every((c) => c > 200)";
    let dark =
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every((c) => c < 60)";
    browser.wait(light);
    browser.show(1400, 900, "dark");
    browser.wait(dark);
    shown.picture("dark");
    shown.push("#theme");
    browser.wait(light);
    shown.push("#theme");
    browser.wait(dark);

    browser.show(420, 800, "light");
    let wide = browser.run("return document.documentElement.scrollWidth");
    assert!(wide.as_u64().unwrap() <= 420, "{wide}");
    let tops = "return [...document.querySelectorAll('.map')].map((map) => map.getBoundingClientRect().top)";
    let tops: Vec<f64> = serde_json::from_value(browser.run(tops)).unwrap();
    assert!(tops[1] > tops[0] + 200.0, "one below the other: {tops:?}");

    let seen =
        "return ['app', 'static'].map((id) => document.getElementById(id).checkVisibility())";
    assert_eq!(browser.run(seen), json!([true, false]));
    browser.cdp("Emulation.setEmulatedMedia", json!({ "media": "print" }));
    assert_eq!(browser.run(seen), json!([false, true]));
    let largest = sums(&shown.page.binaries[..1], |l| Some(krate(l)), |l| l.size);
    let rows = shown.rows("#static tbody tr");
    assert_eq!(
        rows[..40].iter().map(|row| &row[..2]).collect::<Vec<_>>(),
        largest[..40].iter().collect::<Vec<_>>()
    );
    shown.picture("print");
    shown.quiet();

    // Without scripts it says as much as on paper.
    browser.show(1400, 900, "light");
    browser.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    browser.reload();
    browser.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": false }));
    assert_eq!(browser.run(seen), json!([false, true]));
    assert_eq!(browser.run("return document.getElementById('theme').checkVisibility()"), false);
    shown.picture("scriptless");
}

#[test]
fn controls_without_data_are_hidden() {
    let Some(browser) = Browser::start() else { return };
    let mut alone = leaves::page();
    alone.binaries.truncate(1);
    alone.binaries[0].base = None;
    alone.history.clear();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("size.html");
    for (page, maps) in [(alone, 1), (Page::default(), 0)] {
        std::fs::write(&file, page::html(&page).unwrap()).unwrap();
        browser.open(&file);
        browser.wait("document.documentElement.classList.contains('live')");
        let seen = "return ['tabs', 'colour', 'binary', 'search'].map((id) =>
                      document.getElementById(id).checkVisibility())";
        assert_eq!(browser.run(seen), json!([false, false, false, true]));
        let found = browser.run("return document.querySelectorAll('.map').length");
        assert_eq!(found, maps);
    }
    assert_eq!(browser.log("browser"), Vec::<Value>::new());
}

#[test]
fn the_page_of_thirty_thousand_symbols_is_below_a_megabyte() {
    let page = leaves::page();
    assert!(page.binaries.iter().all(|binary| binary.leaves.len() > 15_000));
    let html = page::html(&page).unwrap();
    assert!(html.len() < 1_000_000, "{}", html.len());
    assert_eq!(html, page::html(&page).unwrap());
}

/// As users get it: what the page of a real release says is what the JSON says.
#[test]
fn the_page_of_a_release_is_its_json() {
    let (workspace, _) = crate::dist::shared();
    let Some(registry) = Registry::start() else { return };
    for tag in ["1.0.0", "1.10.0", "nightly"] {
        let name = registry.url(&format!("hello:{tag}"));
        longshore(workspace, "push --no-attach").arg(name).run();
    }
    let place = Workspace::empty();
    let html = place.path("size.html");
    let json = longshore(workspace, "size --message-format json --html")
        .arg(&html)
        .arg("--history")
        .arg(registry.url("hello"))
        .arg("--history")
        .arg(workspace.dist())
        .run()
        .json();
    let Some(shown) = show(&std::fs::read_to_string(&html).unwrap()) else { return };
    let crates = |binary: &Value| -> BTreeMap<String, String> {
        let rows = binary["rows"].as_array().unwrap().iter();
        rows.map(|row| (row["name"].as_str().unwrap().into(), row["size"].to_string())).collect()
    };
    let (amd64, arm64) = (crates(&json["binaries"][0]), crates(&json["binaries"][1]));
    let rows = shown.rows("#list tbody tr");
    assert!(rows.len() > 10, "{rows:?}");
    for row in &rows {
        let [name, first, second] = &row[..] else { panic!("{row:?}") };
        let crate_size =
            |crates: &BTreeMap<String, String>| crates.get(name).cloned().unwrap_or("0".into());
        assert_eq!((first, second), (&crate_size(&amd64), &crate_size(&arm64)), "{name}");
    }
    let names = |column: usize| {
        let name = |row: &&Vec<String>| row[column] != "0";
        rows.iter().filter(name).count()
    };
    assert_eq!((names(1), names(2)), (amd64.len(), arm64.len()));
    shown.push("#tab-history");
    let releases = shown.rows("#releases tbody tr");
    let releases: Vec<_> = releases.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(releases, ["0.1.0", "1.10.0", "1.0.0"]);
    assert_eq!(shown.browser.log("browser"), Vec::<Value>::new());
}
