//! The old completions, whole and as chunks.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::simulator::{
    around::{CREATED, Done, Errand, demand},
    ask::tokens,
    delivery::Delivery,
    scenario::Tokens,
    vendor::Complaint,
};

const KNOWN: &[&str] = &[
    "best_of",
    "echo",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_tokens",
    "n",
    "presence_penalty",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "suffix",
    "temperature",
    "top_p",
    "user",
];

pub(super) fn completions(errand: &Errand<'_>) -> Result<Done, Complaint> {
    demand(errand, &["model", "prompt"], KNOWN)?;
    let ask = errand.ask;
    let said = format!("You wrote {} characters.", ask.user_text.chars().count());
    let echoed = if errand.body["echo"] == true { ask.user_text.as_str() } else { "" };
    let text = format!("{echoed}{said}");
    let used =
        Tokens { input: ask.prompt_tokens, output: tokens(text.len()) * ask.choices, ..Tokens::default() };
    let usage = json!({"prompt_tokens": used.input, "completion_tokens": used.output, "total_tokens": used.input + used.output});
    let envelope = |choices: Vec<Value>| {
        json!({"id": format!("cmpl-{}", errand.serial), "object": "text_completion", "created": CREATED,
            "model": ask.model, "choices": choices})
    };
    let choice = |index: u64, text: &str, finish: Option<&str>| json!({"text": text, "index": index, "logprobs": null, "finish_reason": finish});
    if !ask.stream {
        let mut whole = envelope((0..ask.choices).map(|it| choice(it, &text, Some("stop"))).collect());
        whole["usage"] = usage;
        return Ok(Done::json(&whole, Some(used)));
    }
    let mut events = Vec::new();
    for index in 0..ask.choices {
        for word in text.split_inclusive(' ') {
            events.push(envelope(vec![choice(index, word, None)]));
        }
        events.push(envelope(vec![choice(index, "", Some("stop"))]));
    }
    if ask.include_usage {
        let mut last = envelope(Vec::new());
        last["usage"] = usage;
        events.push(last);
    }
    let mut frames: Vec<Bytes> = events.iter().map(|it| format!("data: {it}\n\n").into()).collect();
    frames.push(Bytes::from_static(b"data: [DONE]\n\n"));
    Ok(Done { delivery: Delivery::stream(frames), usage: Some(used) })
}
