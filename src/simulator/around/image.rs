//! Images: always the same small one.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::simulator::{
    around::{CREATED, Done, Errand, demand},
    delivery::Delivery,
    scenario::Tokens,
    vendor::{Complaint, require},
};

/// One transparent pixel.
const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

const KNOWN: &[&str] = &[
    "background",
    "image",
    "input_fidelity",
    "mask",
    "moderation",
    "n",
    "output_compression",
    "output_format",
    "partial_images",
    "prompt",
    "quality",
    "response_format",
    "size",
    "stream",
    "style",
    "user",
    "model",
];

/// What one image costs.
const TOKENS: u64 = 272;

/// Images of a prompt, or of the file in the field `source`.
pub(super) fn generated(errand: &Errand<'_>, source: Option<&str>) -> Result<Done, Complaint> {
    demand(errand, &[], KNOWN)?;
    let ask = errand.ask;
    match source {
        None => {
            require(errand.body["prompt"].is_string(), "prompt", "Missing required parameter: 'prompt'.")?;
        }
        Some(field) => {
            let sent = errand.files.iter().any(|it| it.field.trim_end_matches("[]") == field);
            require(sent, field, "Missing required parameter: 'image'.")?;
        }
    }
    let used = Tokens { input: ask.prompt_tokens, output: TOKENS * ask.choices, ..Tokens::default() };
    let usage = json!({
        "input_tokens": used.input, "output_tokens": used.output, "total_tokens": used.input + used.output,
        "input_tokens_details": {"text_tokens": used.input, "image_tokens": 0},
    });
    if !ask.stream {
        let by_url = errand.body["response_format"] == "url";
        let image =
            if by_url { json!({"url": "https://example.com/image.png"}) } else { json!({"b64_json": PIXEL}) };
        let data: Vec<Value> = (0..ask.choices).map(|_| image.clone()).collect();
        let answer = json!({"created": CREATED, "data": data, "output_format": "png", "size": "1024x1024",
            "quality": "low", "background": "auto", "usage": usage});
        return Ok(Done::json(&answer, Some(used)));
    }
    let kind = if source.is_some() { "image_edit" } else { "image_generation" };
    let event = |which: &str, more: Value| {
        let mut event = json!({"type": format!("{kind}.{which}"), "b64_json": PIXEL, "created_at": CREATED,
            "size": "1024x1024", "quality": "low", "background": "auto", "output_format": "png"});
        if let (Some(event), Value::Object(more)) = (event.as_object_mut(), more) {
            event.extend(more);
        }
        Bytes::from(format!("event: {kind}.{which}\ndata: {event}\n\n"))
    };
    let frames = vec![
        event("partial_image", json!({"partial_image_index": 0})),
        event("completed", json!({"usage": usage})),
    ];
    Ok(Done { delivery: Delivery::stream(frames), usage: Some(used) })
}
