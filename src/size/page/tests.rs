use super::{Page, PageBinary, PageLeaf, html, text};

#[test]
fn the_page_has_each_part_once_and_no_outside_links() {
    let evil = "</script>{{data}}<b>\"'&\u{202e}\u{0}";
    let leaf = PageLeaf { krate: evil.into(), symbol: evil.into(), size: 3, ..PageLeaf::default() };
    let binary =
        PageBinary { name: evil.into(), size: 3, leaves: vec![leaf], ..PageBinary::default() };
    let page = Page { title: evil.into(), binaries: vec![binary], ..Page::default() };
    let html = html(&page).unwrap();
    let kept = "&lt;/script&gt;{{data}}&lt;b&gt;&quot;&#39;&amp;\\u{202e}\\u{0}";
    assert!(html.contains(&format!("<h1>{kept} <span>")), "{html}");
    assert!(html.contains(&format!("<th scope=\"row\">{kept}</th><td>3</td><td>100.0 %</td>")));
    assert_eq!(html.matches("</script>").count(), 2);
    assert_eq!(html.matches("<b>").count(), 2, "those of the caption");
    assert!(!html.contains(['\u{202e}', '\0']));
}

#[test]
fn the_policy_allows_this_script_and_this_style() {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use sha2::{Digest as _, Sha256};
    let html = html(&Page::default()).unwrap();
    for (open, close) in [("<style>", "</style>"), ("<script type=\"module\">", "</script>")] {
        let (_, rest) = html.split_once(open).unwrap();
        let (text, _) = rest.split_once(close).unwrap();
        let digest = BASE64_STANDARD.encode(Sha256::digest(text));
        assert!(html.contains(&format!("-src 'sha256-{digest}';")), "{open}");
    }
    assert!(html.contains("content=\"default-src 'none';"));
    // Each would be a way for text to become markup.
    for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
        assert!(!super::SCRIPT.contains(way), "{way}");
    }
}

#[test]
fn the_order_of_the_leaves_changes_nothing() {
    let leaf = |symbol: &str, size| PageLeaf {
        krate: "core".into(),
        symbol: symbol.into(),
        size,
        base: Some(size),
        ..PageLeaf::default()
    };
    let page_of = |leaves: Vec<PageLeaf>| {
        let binary = PageBinary { size: 6, base: Some(6), leaves, ..PageBinary::default() };
        html(&Page { binaries: vec![binary], ..Page::default() }).unwrap()
    };
    let one = page_of(vec![leaf("a", 1), leaf("b", 2), leaf("b", 3)]);
    assert_eq!(one, page_of(vec![leaf("b", 3), leaf("b", 2), leaf("a", 1)]));
}

#[test]
fn crates_beyond_the_first_are_summed() {
    let leaf = |n: u64| PageLeaf {
        krate: format!("crate{n:02}"),
        size: 1000 + n,
        base: (n != 49).then_some(1000),
        ..PageLeaf::default()
    };
    let leaves: Vec<PageLeaf> = (0..50).map(leaf).collect();
    let size = leaves.iter().map(|leaf| leaf.size).sum();
    let binary = PageBinary { size, base: Some(49_000), leaves, ..PageBinary::default() };
    let html = html(&Page { binaries: vec![binary], ..Page::default() }).unwrap();
    let row = |cells: &str| assert!(html.contains(cells), "{cells}");
    row("crate49</th><td>1,049</td><td>2.0 %</td><td>0</td><td>0</td><td>+1,049</td>");
    row("10 others</th><td>10,045</td><td>19.6 %</td><td>0</td><td>10,000</td><td>+45</td>");
    row("all</th><td>51,225</td><td>100.0 %</td><td>0</td><td>49,000</td><td>+2,225</td>");
    assert!(!html.contains("crate09"));
}

#[test]
fn numbers_are_exact_and_short() {
    assert_eq!(
        [0, 999, 1_000, 1_234_567].map(text::group_digits),
        ["0", "999", "1,000", "1,234,567"]
    );
    assert_eq!([text::format_change(5, 3), text::format_change(0, 1_000)], ["−2", "+1,000"]);
}
