//! The list of edge cases and the tests named after them say the same.
//!
//! `tests/fixtures/edge-cases.json` has one entry for each case that concerns the dialects we have: its number and name in
//! the catalogue, whether a test `ec_NNN_…` holds it, or why nothing does.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::support::fixtures;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    number: u32,
    name: String,
    status: Status,
    /// Why it is not handled.
    reason: Option<String>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Status {
    Tested,
    NotHandled,
}

fn cases() -> BTreeMap<u32, Case> {
    let list: Vec<Case> =
        serde_json::from_slice(&fs::read(fixtures::root().join("edge-cases.json")).unwrap()).unwrap();
    let length = list.len();
    let cases: BTreeMap<u32, Case> = list.into_iter().map(|it| (it.number, it)).collect();
    assert_eq!(cases.len(), length, "a number is listed twice");
    cases
}

/// Every case by its number: its name, and why it is not handled.
pub(super) fn reasons() -> BTreeMap<u32, (String, Option<String>)> {
    cases().into_iter().map(|(number, it)| (number, (it.name, it.reason))).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

/// The numbers of all tests that are named after a case; a name may have several (`ec_072_and_ec_076_…`).
fn tested() -> BTreeSet<u32> {
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    }
    let mut numbers = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        for line in text.lines() {
            let Some(name) = line.trim_start().trim_start_matches("async ").strip_prefix("fn ec_") else {
                continue;
            };
            let name = format!("ec_{}", name.split('(').next().unwrap());
            let parts = name.split("ec_").skip(1).filter_map(|it| it.get(..3)?.parse::<u32>().ok());
            numbers.extend(parts);
        }
    }
    numbers
}

#[test]
fn every_case_that_is_listed_as_tested_has_its_test() {
    let tested = tested();
    let missing: Vec<String> = cases()
        .values()
        .filter(|it| it.status == Status::Tested && !tested.contains(&it.number))
        .map(|it| format!("ec_{:03}_{}", it.number, it.name))
        .collect();
    assert!(missing.is_empty(), "no test is named after {missing:#?}");
}

#[test]
fn every_test_of_a_case_is_listed() {
    let cases = cases();
    let unlisted: Vec<u32> = tested()
        .into_iter()
        .filter(|it| cases.get(it).is_none_or(|case| case.status != Status::Tested))
        .collect();
    assert!(
        unlisted.is_empty(),
        "tests are named after {unlisted:?}, which the list does not have as tested"
    );
}

#[test]
fn every_case_of_the_catalogue_is_listed_and_the_frequent_ones_are_tested() {
    let cases = cases();
    assert!(cases.keys().copied().eq(1..=210), "the catalogue has 210 cases");
    let open: Vec<u32> =
        cases.values().filter(|it| it.status != Status::Tested).map(|it| it.number).collect();
    assert!(open.iter().all(|it| *it > 120), "cases of every session or most days are open: {open:?}");
}

#[test]
fn every_case_that_is_not_handled_says_why() {
    for case in cases().values() {
        assert!(!case.name.is_empty(), "{} has no name", case.number);
        let said = case.reason.as_ref().is_some_and(|it| !it.is_empty());
        assert_eq!(
            said,
            case.status == Status::NotHandled,
            "{}: a reason, if and only if not handled",
            case.number
        );
    }
}
