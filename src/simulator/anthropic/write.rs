//! Messages answers, whole and as events. The field order is the vendor's.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::simulator::{
    ask::Ask,
    openai::js,
    reply::{Answer, Cited, Finish, Manner},
    scenario::{Quirk, Tokens},
    seal,
};

pub(super) fn whole(answer: &Answer, _ask: &Ask, manner: Manner<'_>) -> String {
    let usage = if manner.has(Quirk::MissingUsage) { "null".into() } else { usage(answer.usage) };
    format!(
        r#"{{"id":"msg_{}","type":"message","role":"assistant","model":{},"content":[{}],{},"usage":{usage}}}"#,
        answer.id,
        js(&answer.model),
        blocks(answer, manner).join(","),
        stop(answer)
    )
}

fn blocks(answer: &Answer, manner: Manner<'_>) -> Vec<String> {
    let mut blocks = Vec::new();
    if answer.blocked.is_some() {
        return blocks;
    }
    if let Some(thinking) = &answer.reasoning {
        blocks.push(if answer.redacted {
            redacted(thinking, answer, manner)
        } else {
            let signature = signature(thinking, answer, manner);
            format!(r#"{{"type":"thinking","thinking":{},"signature":{}}}"#, js(thinking), js(&signature))
        });
    }
    blocks.extend(searches(answer, manner));
    for span in spans(answer) {
        let citations = span.citation(manner).map_or(String::new(), |it| format!(r#","citations":[{it}]"#));
        blocks.push(format!(r#"{{"type":"text","text":{}{citations}}}"#, js(span.text)));
    }
    for call in &answer.calls {
        let input = if call.arguments.is_empty() { "{}" } else { &call.arguments };
        blocks.push(format!(
            r#"{{"type":"tool_use","id":{},"name":{},"input":{input}}}"#,
            js(&id(&call.id)),
            js(&call.name)
        ));
    }
    blocks
}

fn signature(thinking: &str, answer: &Answer, manner: Manner<'_>) -> String {
    answer.state.clone().unwrap_or_else(|| seal::sign(manner.account, thinking))
}

fn redacted(thinking: &str, answer: &Answer, manner: Manner<'_>) -> String {
    let data = answer.state.clone().unwrap_or_else(|| seal::seal(manner.account, thinking));
    format!(r#"{{"type":"redacted_thinking","data":{}}}"#, js(&data))
}

/// Each search and what it found: the sources of the citations.
fn searches(answer: &Answer, manner: Manner<'_>) -> Vec<String> {
    let found: Vec<Value> = answer
        .citations
        .iter()
        .map(|it| {
            json!({"type": "web_search_result", "url": it.url, "title": it.title, "page_age": null,
                "encrypted_content": seal::seal(manner.account, &it.url)})
        })
        .collect();
    let blocks = answer.searches.iter().enumerate().flat_map(|(number, query)| {
        let id = format!("srvtoolu_{}_{number}", answer.id);
        [
            json!({"type": "server_tool_use", "id": id, "name": "web_search", "input": {"query": query}})
                .to_string(),
            json!({"type": "web_search_tool_result", "tool_use_id": id, "content": found}).to_string(),
        ]
    });
    blocks.collect()
}

/// A part of the text that has a source, or has none.
struct Span<'a> {
    text: &'a str,
    source: Option<&'a Cited>,
}

impl Span<'_> {
    fn citation(&self, manner: Manner<'_>) -> Option<Value> {
        let source = self.source?;
        Some(json!({"type": "web_search_result_location", "cited_text": self.text, "url": source.url,
            "title": source.title, "encrypted_index": seal::seal(manner.account, &source.url)}))
    }
}

/// The text, cut where citations begin and end: here a whole block is cited.
fn spans(answer: &Answer) -> Vec<Span<'_>> {
    let mut sources: Vec<&Cited> = answer.citations.iter().collect();
    sources.sort_by_key(|it| it.bytes.start);
    let mut spans = Vec::new();
    let mut from = 0;
    for it in sources.into_iter().filter(|it| !it.bytes.is_empty()) {
        if it.bytes.start < from {
            continue;
        }
        spans.push(Span { text: &answer.text[from..it.bytes.start], source: None });
        spans.push(Span { text: &answer.text[it.bytes.clone()], source: Some(it) });
        from = it.bytes.end;
    }
    spans.push(Span { text: &answer.text[from..], source: None });
    spans.retain(|it| !it.text.is_empty());
    spans
}

/// Our own ids get the vendor's prefix; those of a scenario stay.
fn id(id: &str) -> String {
    id.strip_prefix("call_sim").map_or_else(|| id.to_owned(), |it| format!("toolu_sim{it}"))
}

fn stop(answer: &Answer) -> String {
    let (reason, sequence) = match &answer.finish {
        Finish::Stop => ("end_turn", None),
        Finish::StopSequence(sequence) => ("stop_sequence", Some(sequence)),
        Finish::Length => ("max_tokens", None),
        Finish::Tools => ("tool_use", None),
        Finish::Refusal => ("refusal", None),
        Finish::Said(said) => (said.as_str(), None),
    };
    let sequence = sequence.map_or("null".into(), |it| js(it));
    let details = answer.refusal.as_ref().map_or(String::new(), |it| {
        format!(r#","stop_details":{{"type":"refusal","category":null,"explanation":{}}}"#, js(it))
    });
    format!(r#""stop_reason":{},"stop_sequence":{sequence}{details}"#, js(reason))
}

/// Messages counts cached and written tokens beside the input.
pub(super) fn usage(it: Tokens) -> String {
    format!("{{{}}}", usage_fields(it, it.output))
}

/// `message_delta` tells less than the whole answer does.
fn last_usage(it: Tokens) -> String {
    format!(
        concat!(
            r#"{{"input_tokens":{},"cache_creation_input_tokens":{},"cache_read_input_tokens":{},"#,
            r#""output_tokens":{},"output_tokens_details":{{"thinking_tokens":{}}}}}"#
        ),
        it.input, it.cache_write, it.cached, it.output, it.reasoning
    )
}

fn usage_fields(it: Tokens, output: u64) -> String {
    format!(
        concat!(
            r#""input_tokens":{},"cache_creation_input_tokens":{},"cache_read_input_tokens":{},"#,
            r#""cache_creation":{{"ephemeral_5m_input_tokens":{},"ephemeral_1h_input_tokens":0}},"#,
            r#""output_tokens":{},"output_tokens_details":{{"thinking_tokens":{}}},"service_tier":"standard""#
        ),
        it.input,
        it.cache_write,
        it.cached,
        it.cache_write,
        output,
        it.reasoning.min(output)
    )
}

/// `message_start block* message_delta message_stop`.
pub(super) fn frames(answer: &Answer, _ask: &Ask, manner: Manner<'_>) -> Vec<Bytes> {
    let mut events = Events { frames: Vec::new(), index: 0, manner };
    let start = if manner.has(Quirk::UsageAtEnd) {
        r#""input_tokens":0,"output_tokens":0"#.into()
    } else {
        usage_fields(answer.usage, answer.usage.output.min(1))
    };
    events.tell(
        "message_start",
        &format!(
            r#""message":{{"id":"msg_{}","type":"message","role":"assistant","model":{},"content":[],"stop_reason":null,"stop_sequence":null,"usage":{{{start}}}}}"#,
            answer.id,
            js(&answer.model)
        ),
    );
    events.tell("ping", "");
    content(&mut events, answer);
    let usage = match () {
        () if manner.has(Quirk::MissingUsage) => r#"{"output_tokens":0}"#.into(),
        () => last_usage(answer.usage),
    };
    events.tell("message_delta", &format!(r#""delta":{{{}}},"usage":{usage}"#, stop(answer)));
    if !manner.has(Quirk::MissingDone) {
        events.tell("message_stop", "");
    }
    events.frames
}

fn content(events: &mut Events<'_>, answer: &Answer) {
    let manner = events.manner;
    if answer.blocked.is_some() {
        return;
    }
    if let Some(thinking) = answer.reasoning.as_ref().filter(|_| answer.redacted) {
        events.block(&redacted(thinking, answer, manner), &[]);
    } else if let Some(thinking) = &answer.reasoning {
        let mut deltas: Vec<String> = manner
            .deltas(thinking)
            .into_iter()
            .map(|it| format!(r#"{{"type":"thinking_delta","thinking":{}}}"#, js(it)))
            .collect();
        let signature = signature(thinking, answer, manner);
        deltas.push(format!(r#"{{"type":"signature_delta","signature":{}}}"#, js(&signature)));
        events.block(r#"{"type":"thinking","thinking":"","signature":""}"#, &deltas);
    }
    for block in searches(answer, manner) {
        search(events, &block);
    }
    for span in spans(answer) {
        let mut deltas: Vec<String> = manner
            .deltas(span.text)
            .into_iter()
            .map(|it| format!(r#"{{"type":"text_delta","text":{}}}"#, js(it)))
            .collect();
        let citation = span.citation(manner);
        deltas.extend(citation.iter().map(|it| format!(r#"{{"type":"citations_delta","citation":{it}}}"#)));
        let start = if citation.is_some() {
            r#"{"type":"text","text":"","citations":[]}"#
        } else {
            r#"{"type":"text","text":""}"#
        };
        events.block(start, &deltas);
    }
    for call in &answer.calls {
        let start = format!(
            r#"{{"type":"tool_use","id":{},"name":{},"input":{{}}}}"#,
            js(&id(&call.id)),
            js(&call.name)
        );
        // The vendor opens with an empty fragment; `{}` comes as nothing more than that.
        let arguments = if call.arguments == "{}" { "" } else { &call.arguments };
        let deltas: Vec<String> = std::iter::once("")
            .chain(manner.fragments(arguments))
            .map(|it| format!(r#"{{"type":"input_json_delta","partial_json":{}}}"#, js(it)))
            .collect();
        events.block(&start, &deltas);
    }
}

/// The input of a search comes in deltas, its result at once.
fn search(events: &mut Events<'_>, block: &str) {
    let mut start: Value = serde_json::from_str(block).unwrap_or_default();
    if start["type"] != "server_tool_use" {
        return events.block(block, &[]);
    }
    let input = start["input"].to_string();
    start["input"] = json!({});
    let delta = |it: &str| format!(r#"{{"type":"input_json_delta","partial_json":{}}}"#, js(it));
    events.block(&start.to_string(), &[delta(""), delta(&input)]);
}

/// The events written so far.
struct Events<'a> {
    frames: Vec<Bytes>,
    index: usize,
    manner: Manner<'a>,
}

impl Events<'_> {
    fn block(&mut self, start: &str, deltas: &[String]) {
        let index = self.index;
        self.index += 1;
        self.tell("content_block_start", &format!(r#""index":{index},"content_block":{start}"#));
        for delta in deltas {
            self.tell("content_block_delta", &format!(r#""index":{index},"delta":{delta}"#));
        }
        self.tell("content_block_stop", &format!(r#""index":{index}"#));
    }

    fn tell(&mut self, event: &str, fields: &str) {
        let comma = if fields.is_empty() { "" } else { "," };
        let space = if self.manner.has(Quirk::NoSpace) { "" } else { " " };
        self.frames.push(
            format!("event:{space}{event}\ndata:{space}{{\"type\":\"{event}\"{comma}{fields}}}\n\n").into(),
        );
        if self.manner.has(Quirk::Keepalives) && event != "message_stop" && event != "ping" {
            self.frames.push(Bytes::from_static(b"event: ping\ndata: {\"type\":\"ping\"}\n\n"));
        }
    }
}
