//! `docs/FIDELITY.md`, written.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::{super::edge_cases, Mark, Row, letter, paths};

const HEAD: &str = "\
# What survives each path

<!-- Written by a test: `DRAGOMAN_BLESS=1 cargo test --test it fidelity`. Do not edit. -->

A client of one dialect asks an upstream of another. This page says of every feature what becomes of it, on each of the
sixteen paths `client→upstream`, whole and streamed. The tests make it: each mark is a request or an answer that was sent
through the codecs, read again on the other side and compared. A loss that is not noted fails them.

**C** Chat Completions · **R** Responses · **A** Messages · **G** Gemini

| mark | means |
|---|---|
| ✓ | it survives: the other side reads the same |
| ~ | it is told in another way, or in part; noted |
| ✗ | it is left out and noted, or the request is refused by name |
| · | nobody says it there: the dialect that would say it has no words for it, or its clients cannot have asked |

Two marks are whole and streamed, where they differ. What is noted of a request reaches the client in
`x-dragoman-translation` and the ledger, and is refused instead where the tenant wants it so (`strict`). An answer is never
refused for what its client's dialect has no words for: that is noted here alone. Where both sides speak the same dialect,
the gateway passes the client's own bytes on if nothing compels it to write anew; the marks are of the anew written.
The upstreams are taken to be able to do all that their dialect can say; what a single model cannot do is noted in the same way.
";

pub(super) fn write(requests: &[Row], answers: &[Row]) -> String {
    let mut page = HEAD.to_owned();
    for (title, rows) in [("Requests", requests), ("Answers", answers)] {
        let _ = write!(page, "\n## {title}\n\n");
        table(rows, &mut page);
        let _ = write!(page, "\n### Notes on {}\n\n", title.to_lowercase());
        notes(rows, &mut page);
    }
    page.push_str("\n## Counts\n\n");
    counts(&[("requests", requests), ("answers", answers)], &mut page);
    page.push_str("\n## Edge cases\n\n");
    cases(&mut page);
    page
}

fn table(rows: &[Row], page: &mut String) {
    page.push_str("| feature |");
    for (client, upstream) in paths() {
        let _ = write!(page, " {}→{} |", letter(client), letter(upstream));
    }
    page.push_str("\n|---|");
    page.push_str(&":-:|".repeat(paths().len()));
    page.push('\n');
    for row in rows {
        let _ = write!(page, "| {} |", row.feature);
        for [whole, streamed] in &row.cells {
            let (whole, streamed) = (whole.mark, streamed.mark);
            page.push(' ');
            page.push_str(whole.sign());
            if whole != streamed {
                let _ = write!(page, "/{}", streamed.sign());
            }
            page.push_str(" |");
        }
        page.push('\n');
    }
}

/// Each reason once for a feature, with the paths it is about.
fn notes(rows: &[Row], page: &mut String) {
    for row in rows {
        let mut reasons: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for (at, cells) in row.cells.iter().enumerate() {
            for note in cells.iter().flat_map(|it| &it.notes) {
                reasons.entry(note).or_default().insert(at);
            }
        }
        if reasons.is_empty() {
            continue;
        }
        let _ = writeln!(page, "- **{}**", row.feature);
        for (reason, at) in reasons {
            let names = paths();
            let told: Vec<String> =
                at.into_iter().map(|it| format!("{}→{}", letter(names[it].0), letter(names[it].1))).collect();
            let _ = writeln!(page, "  - {}: {reason}", told.join(", "));
        }
    }
}

fn counts(tables: &[(&str, &[Row])], page: &mut String) {
    page.push_str("| of | ✓ | ~ | ✗ | · |\n|---|--:|--:|--:|--:|\n");
    for (title, rows) in tables {
        let cells = || rows.iter().flat_map(|it| it.cells.iter().flatten());
        let of = |mark| cells().filter(|it| it.mark == mark).count();
        let [kept, changed, lost, unsaid] = [Mark::Survives, Mark::Changed, Mark::Lost, Mark::Unsaid].map(of);
        let _ = writeln!(page, "| {title} | {kept} | {changed} | {lost} | {unsaid} |");
    }
}

fn cases(page: &mut String) {
    page.push_str("Each tested case has a test of its name. The others say why there is none.\n\n");
    page.push_str("| how often it is met | cases | tested | not handled |\n|---|--:|--:|--:|\n");
    let tiers = [
        ("T1: every session", 1..=50),
        ("T2: most days", 51..=120),
        ("T3: weekly", 121..=180),
        ("T4: rare", 181..=210),
    ];
    let cases = edge_cases::reasons();
    for (title, numbers) in tiers {
        let of = || cases.iter().filter(|it| numbers.contains(it.0));
        let open = of().filter(|it| it.1.1.is_some()).count();
        let _ = writeln!(page, "| {title} | {} | {} | {open} |", of().count(), of().count() - open);
    }
    page.push('\n');
    for (number, (name, reason)) in &cases {
        if let Some(reason) = reason {
            let _ = writeln!(page, "- {number} `{name}`: {reason}");
        }
    }
}
