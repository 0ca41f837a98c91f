//! A stream, folded into the whole answer it is, in the upstream's own words: for a client of its dialect that wants it whole.
//!
//! What no canonical form has a place for (fields of one upstream, log probabilities) stays. What cannot be folded without
//! loss (an event that was invented later, arguments in pieces) is not: then the canonical form has to do.

mod chat;
mod gemini;
mod messages;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::dialect::{DialectId, SseFrame, json, scan};

/// An answer in the making.
#[derive(Debug)]
pub struct Fold(Option<Answer>);

#[derive(Debug)]
enum Answer {
    Chat(chat::Answer),
    Messages(messages::Answer),
    Gemini(gemini::Answer),
    /// Responses: the terminal event has all of it.
    Responses {
        whole: Option<Bytes>,
        /// Whether an item was told that the terminal event should have.
        has_items: bool,
    },
}

/// What cannot be folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unknown;

impl Fold {
    pub fn new(dialect: DialectId) -> Self {
        Self(Some(match dialect {
            DialectId::OpenaiChat => Answer::Chat(chat::Answer::default()),
            DialectId::OpenaiResponses => Answer::Responses { whole: None, has_items: false },
            DialectId::AnthropicMessages => Answer::Messages(messages::Answer::default()),
            DialectId::Gemini => Answer::Gemini(gemini::Answer::default()),
        }))
    }

    /// Takes the next event.
    pub fn push(&mut self, frame: &SseFrame) {
        let Some(answer) = &mut self.0 else { return };
        if frame.data.trim_ascii() == b"[DONE]" {
            return;
        }
        let folded = match answer {
            Answer::Responses { whole, has_items } => terminal(frame, whole, has_items),
            Answer::Chat(answer) => object(frame).and_then(|it| answer.push(it)),
            Answer::Messages(answer) => object(frame).and_then(|it| answer.push(it)),
            Answer::Gemini(answer) => object(frame).and_then(|it| answer.push(it)),
        };
        if folded.is_err() {
            self.0 = None;
        }
    }

    /// The whole answer, once the stream has come to its proper end; `None`: it could not be folded.
    pub fn finish(self) -> Option<Bytes> {
        let whole = match self.0? {
            Answer::Responses { whole, .. } => return whole,
            Answer::Chat(answer) => answer.finish()?,
            Answer::Messages(answer) => answer.finish()?,
            Answer::Gemini(answer) => answer.finish()?,
        };
        Some(Value::Object(whole).to_string().into())
    }
}

fn object(frame: &SseFrame) -> Result<Map<String, Value>, Unknown> {
    match json::parse(&frame.data) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(Unknown),
    }
}

/// Looks for the event of Responses that has the whole answer; one whose output is empty although there were items is none.
fn terminal(frame: &SseFrame, whole: &mut Option<Bytes>, has_items: &mut bool) -> Result<(), Unknown> {
    let scan = scan::scan(&frame.data).map_err(|_| Unknown)?;
    let kind = scan.string(&frame.data, "type").map_err(|_| Unknown)?;
    match kind.as_deref() {
        Some("response.output_item.added" | "response.output_item.done") => *has_items = true,
        Some("response.completed" | "response.incomplete" | "response.done") => {
            let response = scan.nested(&frame.data, "response").ok().flatten().ok_or(Unknown)?;
            let output = response.span("output").map(|it| frame.data.slice(it)).ok_or(Unknown)?;
            let is_empty = output[1..].trim_ascii_start().starts_with(b"]");
            if is_empty && *has_items {
                return Err(Unknown);
            }
            *whole = scan.span("response").map(|it| frame.data.slice(it));
        }
        _ => {}
    }
    Ok(())
}

/// Takes every field that says something; a later value takes the place of an earlier one.
fn merge(into: &mut Map<String, Value>, fields: Map<String, Value>) {
    for (name, value) in fields {
        if !value.is_null() || !into.contains_key(&name) {
            into.insert(name, value);
        }
    }
}

/// Adds to a text; an absent or null one begins.
fn append(into: &mut Map<String, Value>, name: &str, more: &str) {
    match into.get_mut(name) {
        Some(Value::String(text)) => text.push_str(more),
        _ => {
            into.insert(name.to_owned(), more.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(dialect: DialectId, events: &[&str]) -> Option<String> {
        let mut fold = Fold::new(dialect);
        for event in events {
            fold.push(&SseFrame { event: None, data: Bytes::copy_from_slice(event.as_bytes()) });
        }
        fold.finish().map(|it| String::from_utf8(it.to_vec()).unwrap())
    }

    #[test]
    fn a_chat_answer_keeps_what_only_its_upstream_knows() {
        let whole = fold(
            DialectId::OpenaiChat,
            &[
                r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":null}"#,
                r#"{"id":"c","x_odd":1.50,"choices":[{"index":0,"delta":{"content":"Hi"},"logprobs":{"content":[{"token":"Hi"}],"refusal":null}}]}"#,
                r#"{"id":"c","choices":[{"index":0,"delta":{"content":" you","tool_calls":[{"index":0,"id":"t","type":"function","function":{"name":"f","arguments":""}}]},"logprobs":{"content":[{"token":" you"}]}}]}"#,
                r#"{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#,
                r#"{"id":"c","choices":[],"usage":{"prompt_tokens":1}}"#,
                "[DONE]",
            ],
        );
        let expected = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","x_odd":1.50,"choices":[{"index":0,"message":{"role":"assistant","content":"Hi you","tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}]},"logprobs":{"content":[{"token":"Hi"},{"token":" you"}],"refusal":null},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1}}"#;
        assert_eq!(whole.as_deref(), Some(expected));
    }

    #[test]
    fn a_messages_answer_keeps_what_only_its_upstream_knows() {
        let whole = fold(
            DialectId::AnthropicMessages,
            &[
                r#"{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","content":[],"container":null,"stop_reason":null,"usage":{"input_tokens":3,"output_tokens":1,"service_tier":"standard"}}}"#,
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"","x_odd":7}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#,
                r#"{"type":"content_block_stop","index":0}"#,
                r#"{"type":"message_delta","delta":{"stop_reason":"refusal","stop_details":{"category":null}},"usage":{"output_tokens":2}}"#,
                r#"{"type":"message_stop"}"#,
            ],
        );
        let expected = r#"{"id":"m","type":"message","role":"assistant","content":[{"type":"text","text":"Hi","x_odd":7}],"container":null,"stop_reason":"refusal","usage":{"input_tokens":3,"output_tokens":2,"service_tier":"standard"},"stop_details":{"category":null}}"#;
        assert_eq!(whole.as_deref(), Some(expected));
    }

    #[test]
    fn a_gemini_answer_keeps_what_only_its_upstream_knows() {
        let whole = fold(
            DialectId::Gemini,
            &[
                r#"{"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"Hm","thought":true}]}}],"responseId":"r"}"#,
                r#"{"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"Hi"}]}}],"responseId":"r"}"#,
                r#"{"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":" you","thoughtSignature":"s"}]},"finishReason":"STOP","avgLogprobs":-0.5}],"usageMetadata":{"promptTokensDetails":[{"tokenCount":3}]},"responseId":"r"}"#,
            ],
        );
        let expected = r#"{"responseId":"r","usageMetadata":{"promptTokensDetails":[{"tokenCount":3}]},"candidates":[{"index":0,"finishReason":"STOP","avgLogprobs":-0.5,"content":{"role":"model","parts":[{"text":"Hm","thought":true},{"text":"Hi you","thoughtSignature":"s"}]}}]}"#;
        let read = |it: &str| serde_json::from_str::<Value>(it).unwrap();
        assert_eq!(read(&whole.unwrap()), read(expected));
    }

    #[test]
    fn what_cannot_be_folded_without_loss_is_not() {
        let start = r#"{"type":"message_start","message":{"content":[]}}"#;
        for (dialect, events) in [
            (DialectId::OpenaiChat, &["no json"][..]),
            (DialectId::OpenaiChat, &[r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#]),
            (
                DialectId::AnthropicMessages,
                &[
                    start,
                    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}"#,
                ],
            ),
            (
                DialectId::AnthropicMessages,
                &[
                    start,
                    r#"{"type":"content_block_start","index":0,"content_block":{"type":"x"}}"#,
                    r#"{"type":"content_block_delta","index":0,"delta":{"type":"x_delta"}}"#,
                ],
            ),
            (DialectId::AnthropicMessages, &[start]),
            (
                DialectId::Gemini,
                &[
                    r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","willContinue":true}}]}}]}"#,
                ],
            ),
            (DialectId::OpenaiResponses, &[r#"{"type":"response.created","response":{}}"#]),
            (
                DialectId::OpenaiResponses,
                &[
                    r#"{"type":"response.output_item.added"}"#,
                    r#"{"type":"response.completed","response":{"output":[ ]}}"#,
                ],
            ),
        ] {
            assert_eq!(fold(dialect, events), None, "{events:?}");
        }
        let whole =
            fold(DialectId::OpenaiResponses, &[r#"{"type":"response.completed","response":{"output":[]}}"#]);
        assert_eq!(whole.as_deref(), Some(r#"{"output":[]}"#));
    }
}
