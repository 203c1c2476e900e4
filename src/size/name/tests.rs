use super::*;

fn parse(raw: &str) -> (String, String, String, String) {
    let Name { krate, defining, module, symbol, .. } = Name::parse(raw);
    (krate, defining, module, symbol)
}

fn check(raw: &str, krate: &str, defining: &str, module: &str, symbol: &str) {
    let expected = (krate.into(), defining.into(), module.into(), symbol.into());
    assert_eq!(parse(raw), expected, "{raw}");
}

/// Compares names with those of rustc 1.95.
#[test]
fn names_of_v0() {
    check(
        "_RNvNtNtNtCs7BliBxkEZsN_4core7unicode12unicode_data10alphabetic7OFFSETS",
        "core",
        "core",
        "unicode::unicode_data::alphabetic",
        "core::unicode::unicode_data::alphabetic::OFFSETS",
    );
    check(
        "_RNvNvMs0_NtNtNtCsaz6eC2DG7lh_3std12backtrace_rs9symbolize5gimliNtB7_5Cache11with_global14MAPPINGS_CACHE",
        "std",
        "std",
        "backtrace_rs::symbolize::gimli::with_global",
        "<std::backtrace_rs::symbolize::gimli::Cache>::with_global::MAPPINGS_CACHE",
    );
    // A generic function of one crate, made for another.
    check(
        "_RINvNtCs7BliBxkEZsN_4core3ptr13drop_in_placeNtCsabc_5regex5RegexECsdef_2rg",
        "rg",
        "core",
        "ptr",
        "core::ptr::drop_in_place::<regex::Regex>",
    );
    // A method that a trait provides belongs to the trait's crate.
    check(
        "_RNvYNtCsabc_5regex5RegexNtNtCs7BliBxkEZsN_4core3fmt5Debug3fmtCsdef_2rg",
        "rg",
        "core",
        "fmt::Debug",
        "<regex::Regex as core::fmt::Debug>::fmt",
    );
}

#[test]
fn names_of_the_older_scheme() {
    check(
        "_ZN11encoding_rs4data13BIG5_LOW_BITS17hb8c96cf5c6caddacE",
        "encoding_rs",
        "encoding_rs",
        "data",
        "encoding_rs::data::BIG5_LOW_BITS",
    );
    check(
        "_ZN60_$LT$alloc..string..String$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE",
        "core",
        "core",
        "string",
        "<alloc::string::String as core::fmt::Display>::fmt",
    );
    check(
        "_ZN44_$LT$regex..Regex$u20$as$u20$my..Matcher$GT$4find17h0123456789abcdefE",
        "regex",
        "regex",
        "",
        "<regex::Regex as my::Matcher>::find",
    );
    check(
        "_ZN4core3ptr33drop_in_place$LT$regex..Regex$GT$17h0123456789abcdefE",
        "regex",
        "core",
        "ptr",
        "core::ptr::drop_in_place<regex::Regex>",
    );
    assert!(Name::parse("_ZN4core3ptr5write17h0123456789abcdefE").guessed);
}

#[test]
fn names_of_other_languages() {
    check("memcpy", C, C, "", "memcpy");
    check("_ZN3foo3barEv", CPLUSPLUS, CPLUSPLUS, "", "_ZN3foo3barEv");
    check("rust_eh_personality", "std", "std", "", "rust_eh_personality");
}

#[test]
fn unstable_parts_are_dropped() {
    assert_eq!(parse("anon.9f86d081884c7d659a2feaa0c55ad015.12").3, "anon");
    assert_eq!(parse("alloc_9f86d081884c7d659a2feaa0c55ad015").3, "alloc");
    assert_eq!(parse("GCC_except_table17").3, "GCC_except_table");
    assert_eq!(parse("state.llvm.1234567890123456789").3, "state");
    assert_eq!(parse("sysconf.values").3, "sysconf.values");
    assert_eq!(parse("12").3, "12");
    check(
        "switch.table._ZN5regex4next17h0123456789abcdefE",
        "regex",
        "regex",
        "",
        "switch.table.regex::next",
    );
}

#[test]
fn unusual_names_are_parsed() {
    for raw in
        ["_R", "_RB_", "_RNvB_B_", "_RC99999999999999999999a", "_ZN", "_ZN17h", "", ".", "_RY"]
    {
        let _ = Name::parse(raw);
    }
    // Each reference back doubles what is to be read.
    let mut bomb = String::from("_RINvC1a1b");
    for _ in 0..60 {
        bomb.push_str("TBa_Ba_E");
    }
    let _ = Name::parse(&bomb);
    let _ = Name::parse(&format!("_R{}", "IN".repeat(100_000)));
    let _ = Name::parse(&format!("_RINvC1a1b{}", "S".repeat(100_000)));
}
