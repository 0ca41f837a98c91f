//! What a reply that is not a conversation says was used, in each way such replies say it.

use serde::Deserialize;
use serde_json::Value;

use crate::dialect::{
    Excerpt, TokenUsage,
    scan::{self, ValueKind},
};

/// What Cohere's rerank says beside its results.
#[derive(Deserialize)]
struct Meta {
    tokens: Option<Value>,
}

/// Reads the usage of a whole JSON reply, and nothing else of it.
pub(super) fn of_reply(body: &[u8]) -> TokenUsage {
    let Ok(scan) = scan::scan(body) else { return TokenUsage::default() };
    let object = |name: &str| {
        scan.span(name).filter(|_| scan.kind(name) == Some(ValueKind::Object)).map(|it| &body[it])
    };
    if let Some(usage) = object("usage").or_else(|| object("usageMetadata")) {
        return read(usage);
    }
    let tokens = object("meta").and_then(|it| serde_json::from_slice::<Meta>(it).ok()?.tokens);
    tokens.map(|it| of_value(&it)).unwrap_or_default()
}

/// Reads an event's usage, wherever the event has it: `usage`, or `response.usage`.
pub(super) fn of_event(event: &[u8]) -> Option<TokenUsage> {
    memchr::memmem::find(event, b"\"usage\"")?;
    let scan = scan::scan(event).ok()?;
    let usage = match scan.kind("usage") {
        Some(ValueKind::Object) => scan.span("usage")?,
        _ => {
            let response = scan.nested(event, "response").ok()??;
            response.span("usage").filter(|_| response.kind("usage") == Some(ValueKind::Object))?
        }
    };
    Some(read(&event[usage])).filter(|it| !it.is_empty())
}

/// The text of a transcript or completion, to count if there is no usage.
pub(super) fn text(body: &[u8]) -> Excerpt {
    #[derive(Deserialize)]
    struct Texts {
        #[serde(default)]
        text: String,
        #[serde(default)]
        choices: Vec<Choice>,
    }
    #[derive(Deserialize)]
    struct Choice {
        #[serde(default)]
        text: String,
    }
    let mut excerpt = Excerpt::default();
    if let Ok(texts) = serde_json::from_slice::<Texts>(body) {
        for text in texts.choices.iter().map(|it| &it.text).chain([&texts.text]) {
            excerpt.cut();
            excerpt.push(text);
        }
    }
    excerpt
}

fn read(usage: &[u8]) -> TokenUsage {
    serde_json::from_slice(usage).map(|it| of_value(&it)).unwrap_or_default()
}

/// Chat's and completions' words, those of images, transcripts and realtime, Gemini's; a sum alone is all input.
fn of_value(usage: &Value) -> TokenUsage {
    let count = |names: &[&str]| names.iter().find_map(|it| whole(usage.get(*it)?));
    let details = |names: &[&str]| names.iter().find_map(|it| usage.get(*it)).unwrap_or(&Value::Null);
    let input = count(&["prompt_tokens", "input_tokens", "promptTokenCount"]);
    let output = count(&["completion_tokens", "output_tokens"]);
    let of_input = details(&["prompt_tokens_details", "input_tokens_details", "input_token_details"]);
    let of_output = details(&["completion_tokens_details", "output_tokens_details", "output_token_details"]);
    let part = |details: &Value, name: &str| whole(details.get(name)?);
    let cache_read = part(of_input, "cached_tokens");
    let reasoning = part(of_output, "reasoning_tokens");
    let input = match (input, output) {
        (None, None) => count(&["total_tokens", "totalTokenCount"]),
        (input, _) => input,
    };
    TokenUsage {
        input: input.map(|it| it.saturating_sub(cache_read.unwrap_or(0))),
        cache_read,
        output: output.map(|it| it.saturating_sub(reasoning.unwrap_or(0))),
        reasoning,
        audio_input: part(of_input, "audio_tokens"),
        audio_output: part(of_output, "audio_tokens"),
        image_input: part(of_input, "image_tokens"),
        ..TokenUsage::default()
    }
}

/// A count; some say it as `3.0`.
fn whole(value: &Value) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, saturating")]
    value.as_u64().or_else(|| value.as_f64().filter(|it| *it >= 0.0).map(|it| it as u64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dialect::tokenizer::Family;

    fn of(body: &Value) -> TokenUsage {
        of_reply(body.to_string().as_bytes())
    }

    #[test]
    fn usage_is_read_as_each_reply_says_it() {
        let embeddings = of(&json!({ "data": [], "usage": { "prompt_tokens": 8, "total_tokens": 8 } }));
        assert_eq!((embeddings.input, embeddings.output), (Some(8), None));
        let image = of(&json!({ "data": [], "usage": {
            "input_tokens": 50, "output_tokens": 4160, "total_tokens": 4210, "input_tokens_details": { "text_tokens": 10, "image_tokens": 40 }
        } }));
        assert_eq!((image.input, image.image_input, image.output), (Some(50), Some(40), Some(4160)));
        let transcript = of(&json!({ "text": "a", "usage": {
            "type": "tokens", "input_tokens": 14, "input_token_details": { "text_tokens": 0, "audio_tokens": 14 }, "output_tokens": 5
        } }));
        assert_eq!((transcript.audio_input, transcript.total_output()), (Some(14), 5));
        assert_eq!(of(&json!({ "results": [], "usage": { "total_tokens": 27 } })).input, Some(27));
        assert_eq!(of(&json!({ "meta": { "tokens": { "input_tokens": 3.0 } } })).input, Some(3));
        assert_eq!(
            of(&json!({ "embeddings": [], "usageMetadata": { "promptTokenCount": 4 } })).input,
            Some(4)
        );
    }

    #[test]
    fn a_duration_is_no_count_of_tokens() {
        for body in [
            json!({ "usage": { "type": "duration", "seconds": 12 } }),
            json!({ "usage": null }),
            json!({}),
            json!([]),
        ] {
            assert!(of(&body).is_empty(), "{body}");
        }
    }

    #[test]
    fn events_say_it_themselves_or_in_their_response() {
        let event = |it: Value| of_event(it.to_string().as_bytes());
        let done = json!({ "type": "response.done", "response": { "usage": {
            "input_tokens": 100, "output_tokens": 30, "input_token_details": { "cached_tokens": 60, "audio_tokens": 20 },
            "output_token_details": { "audio_tokens": 25 }
        } } });
        let usage = event(done).unwrap();
        assert_eq!((usage.input, usage.cache_read, usage.output), (Some(40), Some(60), Some(30)));
        assert_eq!((usage.audio_input, usage.audio_output), (Some(20), Some(25)));
        let text = json!({ "type": "transcript.text.done", "text": "a", "usage": { "input_tokens": 1, "output_tokens": 2 } });
        assert_eq!(event(text).unwrap().output, Some(2));
        assert_eq!(event(json!({ "type": "x", "delta": "\"usage\"" })), None);
        assert_eq!(of_event(b"\"usage\" no json"), None);
    }

    #[test]
    fn text_is_that_of_transcripts_and_of_choices() {
        let count = |body: &[u8]| text(body).count(Family::Openai);
        assert_eq!(count(br#"{"text":"hello world"}"#), 2);
        assert_eq!(count(br#"{"choices":[{"text":"hello world"},{"text":"hello"}]}"#), 3);
        assert!(text(b"plain").is_empty());
    }
}
