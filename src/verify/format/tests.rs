use super::*;
use crate::model::schema::{dist::Verdict, verify::NotChecked};

/// Returns a rejected file, an accepted one and an unchecked one, with every character that a
/// format has to escape.
fn verification() -> Verification {
    let finding = |lint: &str, level| Finding {
        lint: lint.to_owned(),
        level,
        message: "50% of <it>, \"so\" | & more".to_owned(),
        evidence: "a\nb\u{1b}".to_owned(),
        hint: "c: d".to_owned(),
        waived: None,
    };
    let checked = |path: &str, findings: Vec<Finding>| Checked {
        path: path.to_owned(),
        target: None,
        sha256: None,
        verdict: Verdict {
            accepted: findings.iter().all(|found| found.level != Level::Deny),
            lints: vec!["readable".to_owned(), "static".to_owned(), "run-path".to_owned()],
            not_applied: Vec::new(),
            findings,
        },
        facts: Vec::new(),
    };
    Verification {
        schema: 1,
        accepted: false,
        checked: vec![
            checked(
                "bin/a b,c:d",
                vec![finding("static", Level::Deny), finding("run-path", Level::Warn)],
            ),
            checked("good", Vec::new()),
        ],
        not_checked: vec![NotChecked { path: "read.me".to_owned(), reason: "not ELF".to_owned() }],
        policies: Vec::new(),
    }
}

#[test]
fn accepted_files_are_summarised_for_people() {
    let text = human(&verification());
    assert!(text.contains("`bin/a b,c:d` refused: 1 denied, 1 warned of, 1 passed\n"), "{text}");
    assert!(text.contains("`good` accepted: 3 passed\n"), "{text}");
    assert!(
        text.ends_with("`read.me` not checked: not ELF\n1 accepted, 1 refused, 1 not checked\n")
    );
}

#[test]
fn github_has_one_annotation_for_each_finding() {
    let text = annotations(&verification());
    let expected = "::error file=bin/a b%2Cc%3Ad,title=static::bin/a b,c:d: 50%25 of <it>, \
                    \"so\" | & more%0Afound: a%0Ab\\u{1b}%0Ahint: c: d";
    assert_eq!(text.lines().next(), Some(expected));
    assert!(text.lines().nth(1).unwrap().starts_with("::warning file="));
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn markdown_tables_stay_tables() {
    let text = markdown(&verification());
    let rows: Vec<_> = text.lines().skip(4).collect();
    assert_eq!(rows.len(), 2, "{text}");
    let cells = |row: &str| row.matches('|').count();
    assert!(rows.iter().all(|row| cells(row) == 5), "{text}");
    assert!(rows[0].contains("50% of &lt;it&gt;"), "{text}");
    let mut good = verification();
    good.checked.remove(0);
    assert_eq!(markdown(&good), "**longshore verify**: 1 accepted, 1 not checked\n");
}

#[test]
fn junit_counts_failures() {
    let text = junit(&verification());
    assert!(text.contains("<testsuite name=\"bin/a b,c:d\" tests=\"3\" failures=\"1\">"), "{text}");
    assert!(text.contains("message=\"50% of &lt;it&gt;, &quot;so&quot; | &amp; more\""), "{text}");
    assert!(text.contains("<system-out>warning: ") && text.contains("b?\n"), "{text}");
    assert!(text.contains("<skipped message=\"not ELF\"/>"), "{text}");
}

#[test]
fn sarif_names_rules_and_locations() {
    let value = sarif(&verification());
    let run = &value["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    for result in results {
        let rule = &run["tool"]["driver"]["rules"][result["ruleIndex"].as_u64().unwrap() as usize];
        assert_eq!(rule["id"], result["ruleId"]);
    }
    assert_eq!(results[0]["level"], "error");
    let uri = &results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(uri, "bin/a%20b%2Cc%3Ad");
}
