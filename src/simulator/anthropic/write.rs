//! Messages answers, whole and as events. The field order is the vendor's.

use bytes::Bytes;

use crate::simulator::{
    ask::Ask,
    openai::js,
    reply::{Answer, Finish, Manner},
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
    if let Some(thinking) = &answer.reasoning {
        blocks.push(format!(
            r#"{{"type":"thinking","thinking":{},"signature":{}}}"#,
            js(thinking),
            js(&seal::sign(manner.account, thinking))
        ));
    }
    if !answer.text.is_empty() {
        blocks.push(format!(r#"{{"type":"text","text":{}}}"#, js(&answer.text)));
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
    if let Some(thinking) = &answer.reasoning {
        let mut deltas: Vec<String> = manner
            .deltas(thinking)
            .into_iter()
            .map(|it| format!(r#"{{"type":"thinking_delta","thinking":{}}}"#, js(it)))
            .collect();
        deltas.push(format!(
            r#"{{"type":"signature_delta","signature":{}}}"#,
            js(&seal::sign(manner.account, thinking))
        ));
        events.block(r#"{"type":"thinking","thinking":"","signature":""}"#, &deltas);
    }
    if !answer.text.is_empty() {
        let deltas: Vec<String> = manner
            .deltas(&answer.text)
            .into_iter()
            .map(|it| format!(r#"{{"type":"text_delta","text":{}}}"#, js(it)))
            .collect();
        events.block(r#"{"type":"text","text":""}"#, &deltas);
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
