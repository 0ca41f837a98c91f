//! Chat answers, whole and as chunks. The field order is the vendor's.

use std::fmt::Write;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::simulator::{
    ask::Ask,
    reply::{Answer, Call, Cited, Finish, Manner},
    scenario::{ImageReply, Quirk, Tokens},
    seal,
};

/// When every answer was made; a fixed time keeps answers reproducible.
const CREATED: u64 = 1_767_225_600;

/// Text as a JSON string.
pub(in crate::simulator) fn js(text: &str) -> String {
    Value::from(text).to_string()
}

pub(super) fn whole(answer: &Answer, ask: &Ask, manner: Manner<'_>) -> String {
    let finish = js(&finish(answer, manner));
    let choices: Vec<String> = (0..ask.choices)
        .map(|index| {
            let message = message(answer, index, manner);
            format!(r#"{{"index":{index},"message":{message},"logprobs":null,"finish_reason":{finish}}}"#)
        })
        .collect();
    let usage = if manner.has(Quirk::MissingUsage) {
        String::new()
    } else {
        format!(r#","usage":{}"#, usage(answer.usage))
    };
    format!(
        r#"{{"id":"chatcmpl-{}","object":"chat.completion","created":{CREATED},"model":{},"choices":[{}]{usage},"service_tier":"default","system_fingerprint":"fp_sim"}}"#,
        answer.id,
        js(&answer.model),
        choices.join(",")
    )
}

fn message(answer: &Answer, index: u64, manner: Manner<'_>) -> String {
    let text = if answer.blocked.is_some() { "" } else { answer.text_of(index) };
    let silent = text.is_empty() && (!answer.calls.is_empty() || answer.refusal.is_some());
    let content = if silent { "null".into() } else { js(text) };
    let refusal = answer.refusal.as_deref().map_or("null".into(), js);
    let mut message = format!(
        r#"{{"role":"assistant","content":{content},"refusal":{refusal},"annotations":{}"#,
        annotations(answer)
    );
    if let Some(reasoning) = answer.reasoning.as_ref().filter(|_| !answer.redacted) {
        let _ = write!(message, r#","{}":{}"#, reasoning_field(manner), js(reasoning));
    }
    if let Some(details) = details(answer, manner) {
        let _ = write!(message, r#","reasoning_details":{details}"#);
    }
    if !answer.images.is_empty() {
        let _ = write!(message, r#","images":{}"#, images(answer));
    }
    if !answer.calls.is_empty() {
        let calls: Vec<String> = answer.calls.iter().map(|it| call(it, manner)).collect();
        let _ = write!(message, r#","tool_calls":[{}]"#, calls.join(","));
    }
    message.push('}');
    message
}

/// Offsets are characters of the text.
fn annotations(answer: &Answer) -> Value {
    let annotation = |it: &Cited| {
        json!({"type": "url_citation", "url_citation": {
            "start_index": it.characters.start, "end_index": it.characters.end, "title": it.title, "url": it.url,
        }})
    };
    answer.citations.iter().map(annotation).collect()
}

/// No field of OpenAI's, but the one in which others give images.
fn images(answer: &Answer) -> Value {
    let image = |it: &ImageReply| {
        let url = format!("data:{};base64,{}", it.media_type, it.data);
        json!({"type": "image_url", "image_url": {"url": url}})
    };
    answer.images.iter().map(image).collect()
}

/// Opaque state, as routers of many vendors give it: only if the scenario speaks of it.
fn details(answer: &Answer, manner: Manner<'_>) -> Option<Value> {
    let text = answer.reasoning.as_ref()?;
    let state = match &answer.state {
        Some(state) => state.clone(),
        None if answer.redacted => seal::seal(manner.account, text),
        None => return None,
    };
    Some(
        json!([{"type": "reasoning.encrypted", "id": format!("rs_{}", answer.id), "data": state, "index": 0}]),
    )
}

fn call(call: &Call, manner: Manner<'_>) -> String {
    if call.custom {
        return format!(
            r#"{{"id":{},"type":"custom","custom":{{"name":{},"input":{}}}}}"#,
            js(&call.id),
            js(&call.name),
            js(&call.arguments)
        );
    }
    let arguments =
        if manner.has(Quirk::ObjectArguments) { call.arguments.clone() } else { js(&call.arguments) };
    format!(
        r#"{{"id":{},"type":"function","function":{{"name":{},"arguments":{arguments}}}}}"#,
        js(&call.id),
        js(&call.name)
    )
}

fn reasoning_field(manner: Manner<'_>) -> &'static str {
    if manner.has(Quirk::ReasoningField) { "reasoning" } else { "reasoning_content" }
}

fn finish(answer: &Answer, manner: Manner<'_>) -> String {
    match &answer.finish {
        _ if answer.blocked.is_some() => "content_filter".into(),
        Finish::Tools if manner.has(Quirk::StopWithTools) => "stop".into(),
        Finish::Stop | Finish::StopSequence(_) | Finish::Refusal => "stop".into(),
        Finish::Length => "length".into(),
        Finish::Tools => "tool_calls".into(),
        Finish::Said(said) => said.clone(),
    }
}

/// Chat counts cached and written tokens inside the prompt.
pub(super) fn usage(it: Tokens) -> String {
    let prompt = it.input + it.cached + it.cache_write;
    format!(
        concat!(
            r#"{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},"#,
            r#""prompt_tokens_details":{{"cached_tokens":{},"cache_write_tokens":{},"audio_tokens":0}},"#,
            r#""completion_tokens_details":{{"reasoning_tokens":{},"audio_tokens":0,"#,
            r#""accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}}"#
        ),
        prompt,
        it.output,
        prompt + it.output,
        it.cached,
        it.cache_write,
        it.reasoning
    )
}

/// `chunk* usage? [DONE]`.
pub(super) fn frames(answer: &Answer, ask: &Ask, manner: Manner<'_>) -> Vec<Bytes> {
    let usage_field = match () {
        () if manner.has(Quirk::UsageInEveryChunk) => format!(r#","usage":{}"#, usage(answer.usage)),
        () if ask.include_usage => r#","usage":null"#.into(),
        () => String::new(),
    };
    let mut chunks = Chunks {
        head: format!(
            r#"{{"id":"chatcmpl-{}","object":"chat.completion.chunk","created":{CREATED},"model":{},"service_tier":"default","system_fingerprint":"fp_sim","choices":"#,
            answer.id,
            js(&answer.model)
        ),
        tail: usage_field,
        prefix: if manner.has(Quirk::NoSpace) { "data:" } else { "data: " },
        keepalives: manner.has(Quirk::Keepalives),
        frames: Vec::new(),
    };
    for index in 0..ask.choices {
        choice(&mut chunks, index, answer, manner);
    }
    let wanted = ask.include_usage || manner.has(Quirk::UsageUnasked);
    if wanted && !manner.has(Quirk::MissingUsage) && !manner.has(Quirk::UsageWithFinish) {
        chunks.raw("[]", &format!(r#","usage":{}"#, usage(answer.usage)));
    }
    if !manner.has(Quirk::MissingDone) {
        chunks.frames.push(format!("{}[DONE]\n\n", chunks.prefix).into());
    }
    chunks.frames
}

fn choice(chunks: &mut Chunks, index: u64, answer: &Answer, manner: Manner<'_>) {
    let role = if manner.has(Quirk::RepeatedRole) { r#""role":"assistant","# } else { "" };
    let opening = if answer.calls.is_empty() || !answer.text.is_empty() { r#""""# } else { "null" };
    chunks.delta(index, &format!(r#"{{"role":"assistant","content":{opening},"refusal":null}}"#));
    for piece in answer.reasoning.iter().filter(|_| !answer.redacted).flat_map(|it| manner.deltas(it)) {
        chunks.delta(index, &format!(r#"{{{role}"{}":{}}}"#, reasoning_field(manner), js(piece)));
    }
    if let Some(details) = details(answer, manner) {
        chunks.delta(index, &format!(r#"{{{role}"reasoning_details":{details}}}"#));
    }
    let text = if answer.blocked.is_some() { "" } else { answer.text_of(index) };
    for piece in manner.deltas(text) {
        chunks.delta(index, &format!(r#"{{{role}"content":{}}}"#, js(piece)));
    }
    if !answer.citations.is_empty() {
        chunks.delta(index, &format!(r#"{{{role}"annotations":{}}}"#, annotations(answer)));
    }
    if !answer.images.is_empty() {
        chunks.delta(index, &format!(r#"{{{role}"images":{}}}"#, images(answer)));
    }
    for piece in answer.refusal.iter().flat_map(|it| manner.deltas(it)) {
        chunks.delta(index, &format!(r#"{{{role}"refusal":{}}}"#, js(piece)));
    }
    tools(chunks, index, answer, manner);
    let tail = if manner.has(Quirk::UsageWithFinish) && !manner.has(Quirk::MissingUsage) {
        format!(r#","usage":{}"#, usage(answer.usage))
    } else {
        chunks.tail.clone()
    };
    let finish = js(&finish(answer, manner));
    chunks.raw(
        &format!(r#"[{{"index":{index},"delta":{{}},"logprobs":null,"finish_reason":{finish}}}]"#),
        &tail,
    );
}

/// The deltas of all calls, one call after the other or in turns.
fn tools(chunks: &mut Chunks, index: u64, answer: &Answer, manner: Manner<'_>) {
    let calls = answer.calls.iter().enumerate();
    let deltas: Vec<Vec<String>> = calls.map(|(number, call)| tool(number, call, manner)).collect();
    let mut tell = |delta: &str| chunks.delta(index, &format!(r#"{{"tool_calls":[{{{delta}}}]}}"#));
    if !answer.interleaved {
        deltas.iter().flatten().for_each(|it| tell(it));
        return;
    }
    let longest = deltas.iter().map(Vec::len).max().unwrap_or_default();
    for round in 0..longest {
        deltas.iter().filter_map(|it| it.get(round)).for_each(|it| tell(it));
    }
}

/// The fields of each delta of one call.
fn tool(number: usize, call: &Call, manner: Manner<'_>) -> Vec<String> {
    let place = match () {
        () if manner.has(Quirk::MissingIndex) => String::new(),
        () if manner.has(Quirk::IndexZeroTools) => r#""index":0,"#.into(),
        () => format!(r#""index":{number},"#),
    };
    let (kind, field) = if call.custom { ("custom", "input") } else { ("function", "arguments") };
    let id = format!(r#""id":{},"type":"{kind}","#, js(&call.id));
    let name = format!(r#""name":{},"#, js(&call.name));
    let told = |id: &str, name: &str, arguments: &str| {
        format!(r#"{place}{id}"{kind}":{{{name}"{field}":{}}}"#, js(arguments))
    };
    if manner.has(Quirk::WholeArguments) {
        return vec![told(&id, &name, &call.arguments)];
    }
    let mut deltas = vec![told(&id, &name, "")];
    for fragment in manner.fragments(&call.arguments) {
        let again = manner.has(Quirk::RepeatedNames);
        deltas.push(if again { told(&id, &name, fragment) } else { told("", "", fragment) });
    }
    deltas
}

/// The chunks written so far and what all of them share.
struct Chunks {
    head: String,
    tail: String,
    prefix: &'static str,
    keepalives: bool,
    frames: Vec<Bytes>,
}

impl Chunks {
    fn delta(&mut self, index: u64, delta: &str) {
        let tail = self.tail.clone();
        self.raw(
            &format!(r#"[{{"index":{index},"delta":{delta},"logprobs":null,"finish_reason":null}}]"#),
            &tail,
        );
    }

    fn raw(&mut self, choices: &str, tail: &str) {
        self.frames.push(format!("{}{}{choices}{tail}}}\n\n", self.prefix, self.head).into());
        if self.keepalives {
            self.frames.push(Bytes::from_static(b": keepalive\n\n"));
        }
    }
}
