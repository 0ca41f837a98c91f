//! Chat answers, whole and as chunks. The field order is the vendor's.

use std::fmt::Write;

use bytes::Bytes;

use crate::simulator::{
    ask::Ask,
    reply::{Answer, Call, Finish, Manner},
    scenario::{Quirk, Tokens},
};

/// When every answer was made; a fixed time keeps answers reproducible.
const CREATED: u64 = 1_767_225_600;

/// Text as a JSON string.
pub(in crate::simulator) fn js(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

pub(super) fn whole(answer: &Answer, ask: &Ask, manner: Manner<'_>) -> String {
    let message = message(answer, manner);
    let finish = js(&finish(answer, manner));
    let choices: Vec<String> = (0..ask.choices)
        .map(|index| {
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

fn message(answer: &Answer, manner: Manner<'_>) -> String {
    let silent = answer.text.is_empty() && (!answer.calls.is_empty() || answer.refusal.is_some());
    let content = if silent { "null".into() } else { js(&answer.text) };
    let refusal = answer.refusal.as_deref().map_or("null".into(), js);
    let mut message =
        format!(r#"{{"role":"assistant","content":{content},"refusal":{refusal},"annotations":[]"#);
    if let Some(reasoning) = &answer.reasoning {
        let _ = write!(message, r#","{}":{}"#, reasoning_field(manner), js(reasoning));
    }
    if !answer.calls.is_empty() {
        let calls: Vec<String> = answer.calls.iter().map(|it| call(it, manner)).collect();
        let _ = write!(message, r#","tool_calls":[{}]"#, calls.join(","));
    }
    message.push('}');
    message
}

fn call(call: &Call, manner: Manner<'_>) -> String {
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
    for piece in answer.reasoning.iter().flat_map(|it| manner.deltas(it)) {
        chunks.delta(index, &format!(r#"{{{role}"{}":{}}}"#, reasoning_field(manner), js(piece)));
    }
    for piece in manner.deltas(&answer.text) {
        chunks.delta(index, &format!(r#"{{{role}"content":{}}}"#, js(piece)));
    }
    for piece in answer.refusal.iter().flat_map(|it| manner.deltas(it)) {
        chunks.delta(index, &format!(r#"{{{role}"refusal":{}}}"#, js(piece)));
    }
    for (number, call) in answer.calls.iter().enumerate() {
        tool(chunks, index, number, call, manner);
    }
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

fn tool(chunks: &mut Chunks, index: u64, number: usize, call: &Call, manner: Manner<'_>) {
    let place = match () {
        () if manner.has(Quirk::MissingIndex) => String::new(),
        () if manner.has(Quirk::IndexZeroTools) => r#""index":0,"#.into(),
        () => format!(r#""index":{number},"#),
    };
    let id = format!(r#""id":{},"type":"function","#, js(&call.id));
    let name = format!(r#""name":{},"#, js(&call.name));
    let mut tell = |id: &str, name: &str, arguments: &str| {
        chunks.delta(
            index,
            &format!(
                r#"{{"tool_calls":[{{{place}{id}"function":{{{name}"arguments":{}}}}}]}}"#,
                js(arguments)
            ),
        );
    };
    if manner.has(Quirk::WholeArguments) {
        tell(&id, &name, &call.arguments);
        return;
    }
    tell(&id, &name, "");
    for fragment in manner.fragments(&call.arguments) {
        if manner.has(Quirk::RepeatedNames) { tell(&id, &name, fragment) } else { tell("", "", fragment) }
    }
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
