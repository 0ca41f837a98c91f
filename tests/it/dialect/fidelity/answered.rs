//! Answers: what an upstream says, as its client is told it.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
};

use dragoman::{
    dialect::{
        ChatResponse, DialectId, Recall,
        canonical::{Likelihood, MediaSource, PartKind, ServerStep, TokenLogprob},
        collect::unfold,
    },
    kernel::error::{ErrorKind, GatewayError},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::{Cell, Mark, Row, paths};
use crate::support::{
    fixtures,
    grammar::{self, Told},
    trip,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Feature {
    #[serde(rename = "feature")]
    name: String,
    /// By the name of the upstream's dialect: an answer that has it.
    answered: BTreeMap<String, Value>,
    /// The kinds of facts that it is about.
    facts: Vec<String>,
    /// What clients of a dialect are not told as it stood. One that does not happen is an error.
    #[serde(default)]
    known: Vec<Known>,
    /// Whether only these clients can have asked for it.
    #[serde(default)]
    clients: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    clients: Vec<String>,
    /// Only from these upstreams; absent: from all.
    #[serde(default)]
    upstreams: Vec<String>,
    /// Only in streams.
    #[serde(default)]
    streamed: bool,
    lost: bool,
    why: String,
}

impl Known {
    fn is_of(&self, client: DialectId, upstream: DialectId, streamed: bool) -> bool {
        let has = |names: &[String], dialect: DialectId| names.iter().any(|it| it == dialect.name());
        has(&self.clients, client)
            && (self.upstreams.is_empty() || has(&self.upstreams, upstream))
            && (streamed || !self.streamed)
    }
}

/// The table; what is not as it should be goes to `wrong`.
pub(super) fn rows(wrong: &mut Vec<String>) -> Vec<Row> {
    let text = fs::read(fixtures::root().join("fidelity/answers.json")).unwrap();
    let features: Vec<Feature> = serde_json::from_slice(&text).unwrap();
    features.into_iter().map(|it| row(it, wrong)).collect()
}

fn row(feature: Feature, wrong: &mut Vec<String>) -> Row {
    let mut happened = HashSet::new();
    let mut cells = Vec::new();
    for (client, upstream) in paths() {
        cells.push([false, true].map(|streamed| {
            let can_ask = feature.clients.is_empty() || feature.clients.iter().any(|it| it == client.name());
            let Some(answer) = feature.answered.get(upstream.name()).filter(|_| can_ask) else {
                return Cell::new(Mark::Unsaid);
            };
            let missing = missing(answer, client, upstream, streamed, &feature.facts);
            let known = feature.known.iter().position(|it| it.is_of(client, upstream, streamed));
            match (missing.is_empty(), known) {
                (true, None) => Cell::new(Mark::Survives),
                (false, Some(at)) => {
                    happened.insert(at);
                    let known = &feature.known[at];
                    let mark = if known.lost { Mark::Lost } else { Mark::Changed };
                    Cell::noted(mark, [known.why.clone()])
                }
                (is_whole, _) => {
                    let path = format!("{} for {}", upstream.name(), client.name());
                    wrong.push(format!(
                        "{}: {path}, streamed {streamed}, known but whole: {is_whole}: {missing:?}",
                        feature.name
                    ));
                    Cell::new(Mark::Lost)
                }
            }
        }));
    }
    if happened.len() < feature.known.len() {
        wrong.push(format!("{}: a loss is listed that never happens", feature.name));
    }
    Row { feature: feature.name, cells }
}

/// The facts that a client is not told.
fn missing(
    answer: &Value,
    client: DialectId,
    upstream: DialectId,
    streamed: bool,
    kinds: &[String],
) -> Vec<String> {
    let recall = Recall { custom_tools: HashSet::from(["patch".to_owned()]), ..Recall::default() };
    let title = format!("{} for {}: {answer}", upstream.name(), client.name());
    let given = upstream.client().decode_response(answer.to_string().as_bytes(), &recall).expect(&title);
    let said = said(&given, kinds);
    assert!(!said.is_empty(), "{title}: it says nothing");
    let told = if streamed {
        let stream = trip::write(upstream, unfold(given));
        let events = trip::read_with(upstream, &recall, &[&stream]);
        let out = trip::write(client, events);
        assert_eq!(grammar::check(client, &out), Ok(Told::Success), "{title}");
        trip::collect(trip::read(client, &[&out])).expect(&title)
    } else {
        let body = client.server().encode_response(&given, &trip::context());
        client.client().decode_response(&body, &Recall::default()).expect(&title)
    };
    let told = self::said(&told, kinds);
    said.into_iter().filter(|it| !told.contains(it)).collect()
}

/// What an answer says, of these kinds.
fn said(answer: &ChatResponse, kinds: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for choice in &answer.choices {
        let mut text = String::new();
        for part in &choice.parts {
            if let PartKind::Text { text: more, .. } = &part.kind {
                text.push_str(more);
            }
            all.extend(
                part_facts(&part.kind).into_iter().map(|(kind, it)| (kind, format!("{} {it}", choice.index))),
            );
        }
        let tokens: Vec<String> = choice.parts.iter().flat_map(|it| &it.logprobs).map(token).collect();
        all.extend((!tokens.is_empty()).then(|| ("logprobs", format!("{} {tokens:?}", choice.index))));
        if !text.is_empty() {
            all.push(("text", format!("{} {text}", choice.index)));
        }
        let finish = &choice.finish;
        all.push(("finish", format!("{} {:?}", finish.reason.name(), finish.stop_sequence)));
    }
    if let Some(usage) = &answer.usage {
        all.push(("sums", format!("{} {}", usage.total_input(), usage.total_output())));
        all.push(("cache read", format!("{:?}", usage.cache_read)));
        all.push(("cache write", usage.cache_write().to_string()));
        all.push(("reasoning usage", format!("{:?}", usage.reasoning)));
    }
    all.retain(|(kind, _)| kinds.iter().any(|it| it == kind));
    all.into_iter().map(|(kind, it)| format!("{kind}: {it}")).collect()
}

fn token(told: &TokenLogprob) -> String {
    let one = |it: &Likelihood| format!("{} {}", it.token, it.logprob);
    format!("{} of {:?}", one(&told.chosen), told.top.iter().map(one).collect::<Vec<_>>())
}

fn part_facts(kind: &PartKind) -> Vec<(&'static str, String)> {
    match kind {
        PartKind::Text { citations, .. } => citations
            .iter()
            .map(|it| match &it.url {
                Some(url) => ("citation", format!("{url} {:?}", it.title)),
                None => ("citation", it.raw.to_string()),
            })
            .collect(),
        PartKind::Reasoning { text, .. } => vec![("reasoning", text.clone())],
        PartKind::ToolCall(call) => {
            let arguments = if call.custom {
                call.arguments.0.clone()
            } else {
                Value::Object(call.arguments.to_object().0).to_string()
            };
            vec![("call", format!("{} {} {} {arguments}", call.id, call.name, call.custom))]
        }
        PartKind::Refusal { text } => vec![("refusal", text.clone())],
        PartKind::Media(media) => match &media.source {
            MediaSource::Inline(data) => vec![("media", data.clone())],
            other => vec![("media", format!("{other:?}"))],
        },
        PartKind::ServerTool { step: Some(step), .. } => match step {
            ServerStep::WebSearch { queries, .. } => vec![("step", format!("{queries:?}"))],
            ServerStep::WebSearchResults { results, .. } => {
                results.iter().map(|it| ("step", it.url.clone())).collect()
            }
            ServerStep::Code { code, .. } => vec![("step", code.clone())],
            ServerStep::CodeOutput { output, .. } => vec![("step", output.clone())],
        },
        _ => Vec::new(),
    }
}

/// Errors, before an answer and in its midst.
pub(super) fn errors() -> Vec<Row> {
    ["rate-limit", "context"].into_iter().map(refused).chain([broken()]).collect()
}

fn refused(name: &str) -> Row {
    let cell = |(client, upstream): (DialectId, DialectId)| {
        let fixtures = fixtures::of(upstream, "errors");
        let fixture = fixtures.iter().find(|it| it.name == name).unwrap().json();
        let status =
            StatusCode::from_u16(u16::try_from(fixture["status"].as_u64().unwrap()).unwrap()).unwrap();
        let before = upstream.client().decode_error(status, fixture["body"].to_string().as_bytes());
        let error = GatewayError::new(before.kind, before.message.clone());
        let (status, body) = client.server().encode_error(&error, trip::context().request);
        let after = client.client().decode_error(status, &body);
        // Clients go by the status; what a 429 is about, some tell by the upstream's own wording.
        let is_same = after.kind == before.kind
            || (status == StatusCode::TOO_MANY_REQUESTS && before.kind == ErrorKind::RateLimited);
        assert!(is_same, "{name}: {} for {}: {:?}", upstream.name(), client.name(), after.kind);
        let kept = after.message.contains(&before.message);
        let note = "Claude Code acts on one wording only: it is told that one";
        let cell =
            if kept { Cell::new(Mark::Survives) } else { Cell::noted(Mark::Changed, [note.to_owned()]) };
        assert!(kept || (name == "context" && client == DialectId::AnthropicMessages), "{}", after.message);
        [cell.clone(), cell]
    };
    let what = if name == "context" { "prompt too long" } else { "rate limit" };
    Row { feature: format!("error: {what}"), cells: paths().into_iter().map(cell).collect() }
}

fn broken() -> Row {
    let cell = |(client, upstream): (DialectId, DialectId)| {
        let streams = fixtures::of(upstream, "streams");
        let stream = streams.iter().find(|it| it.name == "error-midway").unwrap();
        let out = trip::relay(upstream, client, &[&stream.bytes]);
        assert_eq!(grammar::check(client, &out), Ok(Told::Error), "{} to {}", upstream.name(), client.name());
        [Cell::new(Mark::Unsaid), Cell::new(Mark::Survives)]
    };
    Row {
        feature: "error in the midst of a stream".to_owned(),
        cells: paths().into_iter().map(cell).collect(),
    }
}
