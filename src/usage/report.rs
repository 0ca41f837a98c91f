//! Reports: what to sum, by what, and how it is shown.

use std::{fmt, fmt::Write as _, str::FromStr};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::kernel::{id::TenantId, money::NanoUsd};

/// What usage is summed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dimension {
    Key,
    Tenant,
    /// The model as the client wrote it.
    Model,
    UpstreamModel,
    Upstream,
    Credential,
    /// UTC.
    Day,
    /// UTC.
    Hour,
}

impl Dimension {
    pub const ALL: [Self; 8] = [
        Self::Key,
        Self::Tenant,
        Self::Model,
        Self::UpstreamModel,
        Self::Upstream,
        Self::Credential,
        Self::Day,
        Self::Hour,
    ];

    /// The name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Tenant => "tenant",
            Self::Model => "model",
            Self::UpstreamModel => "upstream-model",
            Self::Upstream => "upstream",
            Self::Credential => "credential",
            Self::Day => "day",
            Self::Hour => "hour",
        }
    }
}

/// A word that should be a dimension.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot report by `{0}`: use `key`, `tenant`, `model`, `upstream-model`, `upstream`, `credential`, `day` or `hour`"
)]
pub struct UnknownDimension(pub String);

impl FromStr for Dimension {
    type Err = UnknownDimension;

    fn from_str(name: &str) -> Result<Self, UnknownDimension> {
        Self::ALL.into_iter().find(|it| it.name() == name).ok_or_else(|| UnknownDimension(name.to_owned()))
    }
}

/// What to sum. Whole hours: `since` is rounded down, `until` up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportQuery {
    /// Attempts that started then or later.
    pub since: DateTime<Utc>,
    /// Attempts that started before.
    pub until: DateTime<Utc>,
    /// In this order; each once.
    pub by: Vec<Dimension>,
    /// Absent: every tenant, for operators.
    pub tenant: Option<TenantId>,
    /// The group of the last row of the page before.
    pub after: Option<Vec<GroupValue>>,
    /// How many rows at most.
    pub limit: u32,
}

/// The value of one dimension, by which pages are cut.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupValue {
    Id(Uuid),
    Text(String),
    /// Hours or days since 1970.
    Number(i64),
}

/// One dimension of a row: its value and how it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    pub dimension: Dimension,
    pub value: GroupValue,
    /// The name, or the id where there is no name.
    pub label: String,
}

/// Sums over attempts. Tokens as in `TokenUsage`, unsaid counting as none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub attempts: u64,
    pub completed: u64,
    pub failed: u64,
    pub abandoned: u64,
    pub truncated: u64,
    pub interrupted: u64,
    /// Attempts whose tokens are, wholly or in part, our own estimate.
    pub estimated: u64,
    pub input: u64,
    pub cache_read: u64,
    /// All cache writes, whatever their lifetime.
    pub cache_write: u64,
    pub output: u64,
    pub reasoning: u64,
    pub audio_input: u64,
    pub audio_output: u64,
    pub image_input: u64,
    pub web_searches: u64,
    pub web_fetches: u64,
    pub cost: NanoUsd,
    /// Attempts whose cost is not known.
    pub unpriced: u64,
    pub duration_ms: u64,
    /// Time to the first byte, summed over the attempts that had one.
    pub first_byte_ms: u64,
    pub first_bytes: u64,
}

/// One row of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRow {
    /// One for each dimension asked for, in that order.
    pub group: Vec<Cell>,
    pub totals: Totals,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Table,
    Csv,
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "table" => Ok(Self::Table),
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            _ => Err("a report is written as `table`, `csv` or `json`".to_owned()),
        }
    }
}

impl Totals {
    /// Every figure with its name, in the order of columns.
    fn figures(&self) -> [(&'static str, Figure); 22] {
        use Figure::{Count, Money};
        [
            ("attempts", Count(self.attempts)),
            ("completed", Count(self.completed)),
            ("failed", Count(self.failed)),
            ("abandoned", Count(self.abandoned)),
            ("truncated", Count(self.truncated)),
            ("interrupted", Count(self.interrupted)),
            ("estimated", Count(self.estimated)),
            ("input", Count(self.input)),
            ("cache_read", Count(self.cache_read)),
            ("cache_write", Count(self.cache_write)),
            ("output", Count(self.output)),
            ("reasoning", Count(self.reasoning)),
            ("audio_input", Count(self.audio_input)),
            ("audio_output", Count(self.audio_output)),
            ("image_input", Count(self.image_input)),
            ("web_searches", Count(self.web_searches)),
            ("web_fetches", Count(self.web_fetches)),
            ("cost_usd", Money(self.cost)),
            ("unpriced", Count(self.unpriced)),
            ("duration_ms", Count(self.duration_ms)),
            ("first_byte_ms", Count(self.first_byte_ms)),
            ("first_bytes", Count(self.first_bytes)),
        ]
    }

    /// The figures a person reads first, already averaged.
    fn glance(&self) -> [(&'static str, String); 9] {
        [
            ("attempts", self.attempts.to_string()),
            ("completed", self.completed.to_string()),
            ("input", self.input.to_string()),
            ("cached", self.cache_read.to_string()),
            ("cache write", self.cache_write.to_string()),
            ("output", self.output.to_string()),
            ("reasoning", self.reasoning.to_string()),
            ("cost usd", if self.unpriced == self.attempts { "-".to_owned() } else { dollars(self.cost) }),
            (
                "ms/attempt",
                self.duration_ms
                    .checked_div(self.attempts)
                    .map_or_else(|| "-".to_owned(), |it| it.to_string()),
            ),
        ]
    }
}

enum Figure {
    Count(u64),
    Money(NanoUsd),
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Money(money) => f.write_str(&dollars(*money)),
        }
    }
}

/// Writes a report, ending in a line feed. `by` names the columns even if there are no rows.
pub fn render(by: &[Dimension], rows: &[ReportRow], format: Format) -> String {
    match format {
        Format::Table => table(by, rows),
        Format::Csv => csv(by, rows),
        Format::Json => json(rows),
    }
}

fn table(by: &[Dimension], rows: &[ReportRow]) -> String {
    let mut lines: Vec<Vec<String>> = vec![
        by.iter()
            .map(|it| it.name().to_owned())
            .chain(Totals::default().glance().map(|it| it.0.to_owned()))
            .collect(),
    ];
    lines.extend(rows.iter().map(|row| {
        let group = row.group.iter().map(|it| printable(&it.label));
        group.chain(row.totals.glance().map(|it| it.1)).collect()
    }));
    let widths: Vec<usize> = (0..lines[0].len())
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for line in &lines {
        let mut text = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            // Names to the left, figures to the right.
            let _ = if column < by.len() {
                write!(text, "{gap}{cell:<width$}")
            } else {
                write!(text, "{gap}{cell:>width$}")
            };
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

/// RFC 4180, with line feeds.
fn csv(by: &[Dimension], rows: &[ReportRow]) -> String {
    let figures = Totals::default().figures();
    let header: Vec<&str> = by.iter().map(|it| it.name()).chain(figures.iter().map(|it| it.0)).collect();
    let mut out = header.join(",") + "\n";
    for row in rows {
        let group = row.group.iter().map(|it| csv_text(&it.label));
        let cells: Vec<String> = group.chain(row.totals.figures().map(|it| it.1.to_string())).collect();
        out += &(cells.join(",") + "\n");
    }
    out
}

/// Quotes a text, and disarms what a spreadsheet would take for a formula: names come from clients.
fn csv_text(text: &str) -> String {
    let armed = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '|', '%']);
    let text = if armed { format!("'{text}") } else { text.to_owned() };
    if armed || text.contains(['"', ',', '\n', '\r', ';', '\t', '\'']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// An array of objects. Costs are decimal text: they are exact, and JSON numbers are not for everybody.
fn json(rows: &[ReportRow]) -> String {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            let mut object = Map::new();
            for cell in &row.group {
                object.insert(cell.dimension.name().replace('-', "_"), cell.label.clone().into());
            }
            for (name, figure) in row.totals.figures() {
                let value = match figure {
                    Figure::Count(count) => count.into(),
                    Figure::Money(money) => dollars(money).into(),
                };
                object.insert(name.to_owned(), value);
            }
            Value::Object(object)
        })
        .collect();
    format!("{:#}\n", Value::Array(rows))
}

/// Names without what moves a terminal's cursor.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { '\u{fffd}' } else { it }).collect()
}

/// Dollars with nine decimals at most and two at least.
pub(super) fn dollars(money: NanoUsd) -> String {
    let sign = if money.0 < 0 { "-" } else { "" };
    let nano = money.0.unsigned_abs();
    let decimals = format!("{:09}", nano % 1_000_000_000);
    let kept = decimals.trim_end_matches('0').len().max(2);
    format!("{sign}{}.{}", nano / 1_000_000_000, &decimals[..kept])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(label: &str) -> ReportRow {
        ReportRow {
            group: vec![Cell {
                dimension: Dimension::UpstreamModel,
                value: GroupValue::Text(label.to_owned()),
                label: label.to_owned(),
            }],
            totals: Totals {
                attempts: 3,
                completed: 2,
                input: 1000,
                cost: NanoUsd(1_500_000),
                duration_ms: 301,
                ..Totals::default()
            },
        }
    }

    fn csv_label(label: &str) -> String {
        let csv = csv(&[Dimension::UpstreamModel], &[row(label)]);
        let line = csv.split_once('\n').unwrap().1;
        line.strip_suffix(&line[line.rfind(",3,2,0").unwrap()..]).unwrap().to_owned()
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        assert_eq!(csv_label("gpt-4o"), "gpt-4o");
        assert_eq!(csv_label("a,b"), "\"a,b\"");
        assert_eq!(csv_label("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(csv_label("two\nlines"), "\"two\nlines\"");
    }

    #[test]
    fn csv_holds_no_formula() {
        for armed in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "=HYPERLINK(\"x\")"] {
            assert!(csv_label(armed).starts_with("\"'"), "{armed}");
        }
    }

    #[test]
    fn every_csv_line_has_as_many_columns_as_its_header() {
        let csv = csv(&[Dimension::UpstreamModel], &[row("m")]);
        let columns: Vec<usize> = csv.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(columns, [23, 23]);
    }

    #[test]
    fn json_says_the_same_with_exact_money() {
        let json: Value = serde_json::from_str(&json(&[row("m")])).unwrap();
        assert_eq!(json[0]["upstream_model"], "m");
        assert_eq!(json[0]["attempts"], 3);
        assert_eq!(json[0]["cost_usd"], "0.0015");
    }

    #[test]
    fn a_table_is_aligned_and_harmless_to_a_terminal() {
        let table = table(&[Dimension::UpstreamModel], &[row("m\u{1b}[2J"), row("a-long-model-name")]);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(!table.contains('\u{1b}'));
        assert_eq!(lines[1].chars().count(), lines[2].chars().count());
        assert!(lines[2].starts_with("a-long-model-name         3          2   1000"), "{}", lines[2]);
    }

    #[test]
    fn no_rows_still_have_a_header() {
        assert!(render(&[Dimension::Key], &[], Format::Csv).starts_with("key,attempts,"));
        assert_eq!(render(&[Dimension::Key], &[], Format::Json), "[]\n");
        assert!(render(&[Dimension::Key], &[], Format::Table).starts_with("key  attempts"));
    }

    #[test]
    fn money_is_exact() {
        assert_eq!(dollars(NanoUsd(0)), "0.00");
        assert_eq!(dollars(NanoUsd(1)), "0.000000001");
        assert_eq!(dollars(NanoUsd(-12_340_000_000)), "-12.34");
        assert_eq!(dollars(NanoUsd(i64::MIN)), "-9223372036.854775808");
    }
}
