//! What clients of the four dialects ask, for load.

use std::str::FromStr;

use serde_json::{Value, json};

use crate::simulator::load::Expect;

/// Whose dialect a request is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    Chat,
    Responses,
    Messages,
    Gemini,
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no client: `chat`, `responses`, `messages` or `gemini`")]
pub struct NoClient(String);

impl FromStr for Client {
    type Err = NoClient;

    fn from_str(name: &str) -> Result<Self, NoClient> {
        Ok(match name {
            "chat" => Self::Chat,
            "responses" => Self::Responses,
            "messages" => Self::Messages,
            "gemini" => Self::Gemini,
            other => return Err(NoClient(other.to_owned())),
        })
    }
}

/// A request, but for where it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Client {
    /// Asks `model` a question of so many bytes, with this API key.
    pub fn question(self, model: &str, key: &str, expect: Expect, bytes: usize) -> Question {
        let text = "x".repeat(bytes);
        let stream = expect == Expect::Stream;
        let bearer = || vec![("authorization".to_owned(), format!("Bearer {key}"))];
        let (path, headers, body) = match self {
            Self::Chat => ("/v1/chat/completions".to_owned(), bearer(), chat(model, &text, stream)),
            Self::Responses => {
                let body = json!({"model": model, "input": [{"role": "user", "content": text}], "stream": stream, "store": false});
                ("/v1/responses".to_owned(), bearer(), body)
            }
            Self::Messages => {
                let headers = [("x-api-key", key), ("anthropic-version", "2023-06-01")];
                let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
                let body = json!({"model": model, "max_tokens": 1024, "stream": stream,
                    "messages": [{"role": "user", "content": text}]});
                ("/v1/messages".to_owned(), headers, body)
            }
            Self::Gemini => {
                let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
                let headers = vec![("x-goog-api-key".to_owned(), key.to_owned())];
                let body = json!({"contents": [{"role": "user", "parts": [{"text": text}]}]});
                (format!("/v1beta/models/{model}:{method}"), headers, body)
            }
        };
        Question { path, headers, body: body.to_string().into_bytes() }
    }
}

fn chat(model: &str, text: &str, stream: bool) -> Value {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": text}], "stream": stream});
    if stream {
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}
