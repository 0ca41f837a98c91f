//! What became of one request: its attempts in order, and what each upstream was not told as the client said it.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::{
    UsageRecord,
    losses::{KeptLoss, Losses},
    report::{dollars, printable},
};

/// Rows of cells, to be aligned.
pub type Rows = Vec<Vec<String>>;

/// The attempts of one request. Those that ended before anything was sent have no record: they are known by their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    attempts: Vec<UsageRecord>,
    /// The tenant's name, and its key's, if they still have one.
    tenant: Option<String>,
    key: Option<String>,
}

impl Explanation {
    /// Explains the attempts of one request; `None`: there are none.
    pub fn of(mut attempts: Vec<UsageRecord>) -> Option<Self> {
        attempts.sort_by_key(|it| (it.intent.number, it.intent.attempt));
        (!attempts.is_empty()).then_some(Self { attempts, tenant: None, key: None })
    }

    /// Gives tenant and key the names they have now.
    #[must_use]
    pub fn named(self, tenant: Option<String>, key: Option<String>) -> Self {
        Self { tenant, key, ..self }
    }

    /// An attempt that says what all of them have in common.
    pub fn first(&self) -> &UsageRecord {
        &self.attempts[0]
    }

    /// The numbers of attempts that ended before anything was sent.
    pub fn unsent(&self) -> Vec<u32> {
        let last = self.attempts.iter().map(|it| it.intent.number).max().unwrap_or(0);
        (1..=last).filter(|number| self.attempts.iter().all(|it| it.intent.number != *number)).collect()
    }

    /// What the attempts have in common, one line each.
    pub fn question(&self) -> Rows {
        let intent = &self.first().intent;
        let named = |id: String, name: &Option<String>| match name {
            Some(name) => format!("{} ({id})", printable(name)),
            None => id,
        };
        let form = if intent.streamed { "streamed" } else { "whole" };
        rows([
            ("request", intent.request.to_string()),
            ("tenant", named(intent.tenant.to_string(), &self.tenant)),
            ("key", named(intent.key.to_string(), &self.key)),
            ("dialect", intent.client_dialect.clone()),
            ("model", printable(&intent.model_name)),
            ("operation", format!("{}, {form}", printable(&intent.operation))),
        ])
    }

    /// Each attempt a column.
    pub fn tries(&self) -> Rows {
        let mut table = Rows::new();
        for record in &self.attempts {
            for (line, (name, cell)) in facts(record).into_iter().enumerate() {
                match table.get_mut(line) {
                    Some(row) => row.push(cell),
                    None => table.push(vec![name.to_owned(), cell]),
                }
            }
        }
        table
    }

    /// Each loss a line, below a head; nothing if nothing was lost.
    pub fn losses(&self) -> Rows {
        let mut table = Rows::new();
        for record in &self.attempts {
            let Some(losses) = record.intent.losses.as_deref() else { continue };
            let number = record.intent.number.to_string();
            table.extend(losses.kept.iter().map(|it| loss_row(&number, it)));
            if losses.left_out > 0 {
                let more = format!("and {} more", losses.left_out);
                table.push(vec![number, more]);
            }
        }
        if !table.is_empty() {
            let head = ["attempt", "lost", "severity", "where", "why"];
            table.insert(0, head.map(str::to_owned).to_vec());
        }
        table
    }

    /// Everything, for programs.
    pub fn json(&self) -> Value {
        let intent = &self.first().intent;
        json!({
            "request": intent.request,
            "tenant": { "id": intent.tenant, "name": self.tenant },
            "key": { "id": intent.key, "name": self.key },
            "client_dialect": intent.client_dialect,
            "model_name": intent.model_name,
            "operation": intent.operation,
            "streamed": intent.streamed,
            "unsent": self.unsent(),
            "attempts": self.attempts.iter().map(attempt_json).collect::<Vec<_>>(),
        })
    }
}

fn rows<const N: usize>(lines: [(&str, String); N]) -> Rows {
    lines.into_iter().map(|(name, cell)| vec![name.to_owned(), cell]).collect()
}

/// What is known of an attempt, with the names of the lines.
fn facts(record: &UsageRecord) -> [(&'static str, String); 20] {
    let (intent, usage) = (&record.intent, &record.usage);
    let cache_write = [usage.cache_write_5m, usage.cache_write_1h, usage.cache_write_other];
    let cache_write = cache_write.iter().any(Option::is_some).then(|| usage.cache_write());
    [
        ("attempt", intent.number.to_string()),
        ("id", intent.attempt.to_string()),
        ("began", time(intent.started_at)),
        ("upstream", printable(&intent.upstream)),
        ("credential", intent.credential.to_string()),
        ("dialect", intent.upstream_dialect.clone()),
        ("model", model(record)),
        ("outcome", record.ending.name().to_owned()),
        ("error", text(record.error.as_ref())),
        ("status", said(record.status)),
        ("finish", text(record.finish.as_ref())),
        ("first byte ms", said(record.first_byte_ms)),
        ("duration ms", record.duration_ms.to_string()),
        ("input", said(usage.input)),
        ("cached", said(usage.cache_read)),
        ("cache write", said(cache_write)),
        ("output", said(usage.output)),
        ("reasoning", said(usage.reasoning)),
        ("estimated", if record.estimated { "yes" } else { "no" }.to_owned()),
        ("cost usd", said(record.cost.map(dollars))),
    ]
}

/// The upstream's model, and what it calls itself if that is something else.
fn model(record: &UsageRecord) -> String {
    let asked = printable(&record.intent.upstream_model);
    match &record.answered_model {
        Some(answered) => format!("{asked} ({})", printable(answered)),
        None => asked,
    }
}

fn loss_row(number: &str, loss: &KeptLoss) -> Vec<String> {
    let at = if loss.at.is_empty() { "the whole request".to_owned() } else { printable(&loss.at) };
    vec![number.to_owned(), printable(&loss.action), printable(&loss.severity), at, printable(&loss.reason)]
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn text(value: Option<&String>) -> String {
    value.map_or_else(|| "-".to_owned(), |it| printable(it))
}

fn said(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |it| it.to_string())
}

/// Costs are decimal text, as in reports.
fn attempt_json(record: &UsageRecord) -> Value {
    let intent = &record.intent;
    let losses = intent.losses.as_deref();
    let fields = [
        ("attempt", json!(intent.attempt)),
        ("number", json!(intent.number)),
        ("started_at", time(intent.started_at).into()),
        ("ended_at", time(record.ended_at).into()),
        ("upstream", json!(intent.upstream)),
        ("credential", json!(intent.credential)),
        ("upstream_dialect", json!(intent.upstream_dialect)),
        ("upstream_model", json!(intent.upstream_model)),
        ("answered_model", json!(record.answered_model)),
        ("upstream_id", json!(record.upstream_id)),
        ("outcome", record.ending.name().into()),
        ("error", json!(record.error)),
        ("status", json!(record.status)),
        ("finish", json!(record.finish)),
        ("first_byte_ms", json!(record.first_byte_ms)),
        ("duration_ms", json!(record.duration_ms)),
        ("usage", json!(record.usage)),
        ("estimated", json!(record.estimated)),
        ("cost_usd", json!(record.cost.map(dollars))),
        ("losses", json!(losses.map_or(&[][..], |it: &Losses| &it.kept))),
        ("losses_left_out", json!(losses.map_or(0, |it| it.left_out))),
    ];
    Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dialect::{Loss, Severity},
        kernel::{id::RequestId, money::NanoUsd},
        usage::{
            Ending,
            fixture::{intent, record},
        },
    };

    /// A first attempt that failed, and a third that answered; the second was never sent.
    fn explanation() -> Explanation {
        let mut failed = record(intent(1), Ending::Failed);
        failed.error = Some("rate_limited".to_owned());
        failed.status = Some(429);
        let mut answered = record(intent(3), Ending::Completed);
        answered.intent.request = failed.intent.request;
        answered.intent.number = 3;
        answered.answered_model = Some("um-2\u{1b}[2J".to_owned());
        answered.cost = Some(NanoUsd(1_500_000));
        let lost = Loss::dropped("/seed", Severity::Semantic, "the model does not take `seed`");
        answered.intent.losses = Losses::of(&[lost]);
        Explanation::of(vec![answered, failed]).unwrap()
    }

    fn line(rows: &Rows, name: &str) -> Vec<String> {
        rows.iter().find(|it| it[0] == name).unwrap()[1..].to_vec()
    }

    #[test]
    fn nothing_known_is_nothing_explained() {
        assert_eq!(Explanation::of(Vec::new()), None);
    }

    #[test]
    fn attempts_stand_side_by_side_in_their_order() {
        let tries = explanation().tries();
        assert_eq!(line(&tries, "attempt"), ["1", "3"]);
        assert_eq!(line(&tries, "outcome"), ["failed", "completed"]);
        assert_eq!(line(&tries, "error"), ["rate_limited", "-"]);
        assert_eq!(line(&tries, "status"), ["429", "200"]);
        assert_eq!(line(&tries, "cost usd"), ["-", "0.0015"]);
        assert_eq!(line(&tries, "model"), ["um", "um (um-2\u{fffd}[2J)"]);
        assert_eq!(line(&tries, "input"), ["3", "3"]);
        assert_eq!(line(&tries, "cache write"), ["-", "-"]);
        assert!(tries.iter().all(|it| it.len() == 3));
    }

    #[test]
    fn what_was_never_sent_is_known_by_its_number() {
        assert_eq!(explanation().unsent(), [2]);
    }

    #[test]
    fn losses_are_told_for_each_attempt() {
        let mut explanation = explanation();
        let losses = explanation.losses();
        assert_eq!(losses.len(), 2);
        assert_eq!(losses[1], ["3", "dropped", "semantic", "/seed", "the model does not take `seed`"]);
        explanation.attempts[1].intent.losses.as_mut().unwrap().left_out = 7;
        assert_eq!(explanation.losses()[2], ["3", "and 7 more"]);
        explanation.attempts[1].intent.losses = None;
        assert!(explanation.losses().is_empty());
    }

    #[test]
    fn names_stand_before_ids() {
        let explanation = explanation().named(Some("acme".to_owned()), None);
        let question = explanation.question();
        assert!(line(&question, "tenant")[0].starts_with("acme (ten_"), "{question:?}");
        assert!(line(&question, "key")[0].starts_with("key_"), "{question:?}");
        assert_eq!(line(&question, "operation"), ["chat, whole"]);
    }

    #[test]
    fn json_says_everything() {
        let explanation = explanation();
        let json = explanation.json();
        let request: RequestId = json["request"].as_str().unwrap().parse().unwrap();
        assert_eq!(request, explanation.first().intent.request);
        assert_eq!(json["unsent"], json!([2]));
        let [failed, answered] = json["attempts"].as_array().unwrap().as_slice() else { panic!("{json}") };
        assert_eq!((&failed["error"], &failed["losses"]), (&json!("rate_limited"), &json!([])));
        assert_eq!((&answered["cost_usd"], &answered["usage"]["output"]), (&json!("0.0015"), &json!(5)));
        let loss = json!({
            "at": "/seed", "action": "dropped", "severity": "semantic", "reason": "the model does not take `seed`"
        });
        assert_eq!((&answered["losses"], &answered["losses_left_out"]), (&json!([loss]), &json!(0)));
        assert_eq!(answered["started_at"], "2023-11-14T22:13:20.000Z");
    }
}
