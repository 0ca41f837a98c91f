//! The ledger against the simulator's own record, row by row, and against what the clients saw.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use dragoman::{
    dialect::TokenUsage,
    kernel::{
        id::{AttemptId, RequestId},
        money::NanoUsd,
    },
    storage::{Database, DatabaseOptions, SqlLedger},
    usage::{AttemptQuery, Dimension, Ending, GroupValue, Ledger, ReportQuery, Totals, UsageRecord},
};
use serde::Deserialize;

use super::load::Saw;

/// A request as the simulator wrote it down.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Received {
    dialect: String,
    model: String,
    headers: Vec<(String, String)>,
    status: u16,
    outcome: String,
    usage: Option<Tokens>,
    answer_id: Option<String>,
}

/// Disjoint, but that `reasoning` is a part of `output`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Tokens {
    input: u64,
    cached: u64,
    cache_write: u64,
    output: u64,
    reasoning: u64,
}

/// What is held against the ledger.
pub(super) struct Evidence {
    pub(super) received: Vec<Received>,
    pub(super) seen: Vec<Saw>,
    /// The lives that were ended by `kill -9`.
    pub(super) killed: Vec<u64>,
    /// When the last of them was; whatever began later was not killed.
    pub(super) last_kill: DateTime<Utc>,
}

/// How the attempts ended, for the test to judge whether the load was worth its name.
pub(super) type Endings = BTreeMap<&'static str, usize>;

/// Everything the ledger holds.
pub(super) struct Books {
    rows: Vec<UsageRecord>,
    /// By upstream and key.
    report: HashMap<Vec<GroupValue>, Totals>,
    total: Totals,
}

impl Books {
    /// Opens the ledger as a process would that has nothing to do with the gateway.
    pub(super) async fn read(url: &str) -> Self {
        let database = Database::open(url, &DatabaseOptions::default()).await.unwrap();
        let ledger = SqlLedger::new(database.clone());
        let mut rows: Vec<UsageRecord> = Vec::new();
        loop {
            let after = rows.last().map(|it| it.intent.attempt);
            let query = AttemptQuery { tenant: None, request: None, after, limit: 1000 };
            let page = ledger.attempts(&query).await.unwrap();
            if page.is_empty() {
                break;
            }
            rows.extend(page);
        }
        let by = |by: &[Dimension]| ReportQuery {
            since: DateTime::UNIX_EPOCH,
            until: DateTime::from_timestamp(4_000_000_000, 0).unwrap(),
            by: by.to_vec(),
            tenant: None,
            after: None,
            limit: 10_000,
        };
        let report = ledger.report(&by(&[Dimension::UpstreamModel, Dimension::Key])).await.unwrap();
        let report = report
            .into_iter()
            .map(|it| (it.group.into_iter().map(|it| it.value).collect(), it.totals))
            .collect();
        let total = ledger.report(&by(&[])).await.unwrap().first().map(|it| it.totals).unwrap_or_default();
        database.close().await;
        Self { rows, report, total }
    }

    /// Lists every way in which the books and the evidence disagree.
    pub(super) fn audit(&self, evidence: &Evidence) -> (Vec<String>, Endings) {
        let mut faults = Vec::new();
        self.audit_attempts(evidence, &mut faults);
        self.audit_answers(evidence, &mut faults);
        self.audit_sums(&mut faults);
        let mut endings = Endings::new();
        for row in &self.rows {
            *endings.entry(row.ending.name()).or_default() += 1;
        }
        (faults, endings)
    }

    /// Each request the simulator received is in the ledger once; what it never received was interrupted on the way.
    fn audit_attempts(&self, evidence: &Evidence, faults: &mut Vec<String>) {
        let mut rows = Unmatched::of(&self.rows);
        let mut anonymous = Vec::new();
        for received in &evidence.received {
            match received.attempt() {
                Some(attempt) => match rows.take(attempt) {
                    Some(row) => compare(received, row, evidence, faults),
                    None => faults.push(format!("missing, or received twice: {received:?}")),
                },
                None => anonymous.push(received),
            }
        }
        // Those that were answered know their row by the answer's id; the others take what is left of their model.
        let (answered, others): (Vec<_>, Vec<_>) = anonymous
            .into_iter()
            .partition(|it| rows.by_answer.contains_key(it.answer_id.as_deref().unwrap_or("")));
        for received in answered {
            let attempt = rows.by_answer[received.answer_id.as_deref().unwrap_or("")];
            match rows.take(attempt) {
                Some(row) => compare(received, row, evidence, faults),
                None => faults.push(format!("two answers of one id: {received:?}")),
            }
        }
        for received in others {
            match rows.take_of_model(received) {
                Some(row) => compare(received, row, evidence, faults),
                None => faults.push(format!("missing: {received:?}")),
            }
        }
        for row in rows.left.into_values() {
            if !is_killed(row, evidence) {
                faults.push(format!("the simulator never saw {}", show(row)));
            }
        }
    }

    /// What a client saw to the end is completed in the ledger, and nothing breaks but by a kill.
    fn audit_answers(&self, evidence: &Evidence, faults: &mut Vec<String>) {
        let mut completed: HashMap<RequestId, usize> = HashMap::new();
        for row in self.rows.iter().filter(|it| it.ending == Ending::Completed) {
            *completed.entry(row.intent.request).or_default() += 1;
        }
        for saw in &evidence.seen {
            match saw {
                Saw::Whole(request) if completed.get(request) != Some(&1) => {
                    faults.push(format!("{request} was answered, and is not completed once"));
                }
                Saw::Error(_, request) if completed.contains_key(request) => {
                    faults.push(format!("{request} failed, and is completed"));
                }
                Saw::Broken(life) if !evidence.killed.contains(life) => {
                    faults.push(format!("a connection broke in life {life}, which nobody killed"));
                }
                _ => {}
            }
        }
    }

    /// The hourly sums are the sums of the rows.
    fn audit_sums(&self, faults: &mut Vec<String>) {
        let mut sums: HashMap<Vec<GroupValue>, Totals> = HashMap::new();
        let mut total = Totals::default();
        for row in &self.rows {
            let group = vec![
                GroupValue::Text(row.intent.upstream_model.clone()),
                GroupValue::Id(*row.intent.key.as_uuid()),
            ];
            add(sums.entry(group).or_default(), row);
            add(&mut total, row);
        }
        if total != self.total {
            faults.push(format!("the rows sum to {total:?}, the report to {:?}", self.total));
        }
        if sums != self.report {
            faults.push(format!("{} groups of rows are not the report's {}", sums.len(), self.report.len()));
        }
    }
}

/// Rows nobody has asked for yet.
struct Unmatched<'a> {
    left: BTreeMap<AttemptId, &'a UsageRecord>,
    by_answer: HashMap<&'a str, AttemptId>,
    by_model: HashMap<&'a str, Vec<AttemptId>>,
}

impl<'a> Unmatched<'a> {
    fn of(rows: &'a [UsageRecord]) -> Self {
        let mut by_model: HashMap<&str, Vec<AttemptId>> = HashMap::new();
        for row in rows {
            by_model.entry(&row.intent.upstream_model).or_default().push(row.intent.attempt);
        }
        let answered = |row: &'a UsageRecord| Some((row.upstream_id.as_deref()?, row.intent.attempt));
        Self {
            left: rows.iter().map(|it| (it.intent.attempt, it)).collect(),
            by_answer: rows.iter().filter_map(answered).collect(),
            by_model,
        }
    }

    fn take(&mut self, attempt: AttemptId) -> Option<&'a UsageRecord> {
        self.left.remove(&attempt)
    }

    /// Of the rows of the same model the one that heard the same status, else one that heard nothing.
    fn take_of_model(&mut self, received: &Received) -> Option<&'a UsageRecord> {
        let attempts = self.by_model.get(received.model.as_str())?;
        let heard = |status| {
            let mut rows = attempts.iter().filter_map(|it| self.left.get(it));
            rows.find(|it| it.status == status).map(|it| it.intent.attempt)
        };
        let attempt = heard(Some(received.status)).or_else(|| heard(None))?;
        self.take(attempt)
    }
}

impl Received {
    /// The attempt's id, if the upstream is told it. Asking twice for a row finds it once.
    fn attempt(&self) -> Option<AttemptId> {
        if self.dialect != "openai-chat" {
            return None;
        }
        let (_, id) = self.headers.iter().find(|(name, _)| name == "x-client-request-id").unwrap();
        Some(id.parse().unwrap())
    }
}

fn compare(received: &Received, row: &UsageRecord, evidence: &Evidence, faults: &mut Vec<String>) {
    let agrees = match row.ending {
        Ending::Completed => {
            received.status == 200
                && row.status == Some(200)
                && received.answer_id == row.upstream_id
                && received.usage.is_some_and(|it| it.are(&row.usage))
                && !row.estimated
        }
        // Refused, or broken off before there was any content: then somebody else was asked.
        Ending::Failed => match row.status {
            Some(500) => received.status == 500 && row.usage == TokenUsage::default(),
            _ => received.outcome == "cut" && row.usage.total_output() <= 1,
        },
        Ending::Truncated => received.outcome == "cut",
        // The client left, whatever the upstream would still have said.
        Ending::Abandoned => row.status.is_none_or(|it| it == received.status),
        Ending::Interrupted => {
            is_killed(row, evidence)
                && row.estimated
                && row.usage
                    == TokenUsage { input: Some(row.intent.estimated_input), ..TokenUsage::default() }
        }
    };
    if !agrees || row.intent.upstream_model != received.model {
        faults.push(format!("{} is not {received:?}", show(row)));
    }
}

/// Whether a kill is why nobody knows how the attempt ended.
fn is_killed(row: &UsageRecord, evidence: &Evidence) -> bool {
    row.ending == Ending::Interrupted && row.intent.started_at <= evidence.last_kill
}

impl Tokens {
    /// Whether the ledger's buckets, which do not overlap, say the same.
    fn are(self, usage: &TokenUsage) -> bool {
        let said = |tokens: Option<u64>| tokens.unwrap_or(0);
        said(usage.input) == self.input
            && said(usage.cache_read) == self.cached
            && usage.cache_write() == self.cache_write
            && usage.total_output() == self.output
            && said(usage.reasoning) == self.reasoning
    }
}

fn add(totals: &mut Totals, row: &UsageRecord) {
    let said = |tokens: Option<u64>| tokens.unwrap_or(0);
    let usage = &row.usage;
    let of_ending = match row.ending {
        Ending::Completed => &mut totals.completed,
        Ending::Failed => &mut totals.failed,
        Ending::Abandoned => &mut totals.abandoned,
        Ending::Truncated => &mut totals.truncated,
        Ending::Interrupted => &mut totals.interrupted,
    };
    *of_ending += 1;
    totals.attempts += 1;
    totals.estimated += u64::from(row.estimated);
    totals.input += said(usage.input);
    totals.cache_read += said(usage.cache_read);
    totals.cache_write += usage.cache_write();
    totals.output += said(usage.output);
    totals.reasoning += said(usage.reasoning);
    totals.unpriced += u64::from(row.cost.unwrap_or(NanoUsd::ZERO) == NanoUsd::ZERO);
    totals.duration_ms += row.duration_ms;
    totals.first_byte_ms += said(row.first_byte_ms);
    totals.first_bytes += u64::from(row.first_byte_ms.is_some());
}

fn show(row: &UsageRecord) -> String {
    let UsageRecord { intent, ending, error, status, upstream_id, usage, estimated, .. } = row;
    format!(
        "{} ({} to {}, attempt {} of {}, {}): {} {error:?} {status:?} {upstream_id:?} {usage:?} estimated {estimated}",
        intent.attempt,
        intent.upstream_model,
        intent.upstream,
        intent.number,
        intent.request,
        intent.started_at,
        ending.name(),
    )
}
