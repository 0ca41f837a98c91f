//! Every client before every upstream: one question in four languages, and upstreams of all four kinds.

use dragoman::dialect::DialectId;
use serde_json::{Value, json};

use super::{fixtures::DIALECTS, gateway::KEY, http::Request};

/// An upstream of each kind, with a model each.
pub(crate) const EVERY_KIND: &str = "
upstreams:
  - name: chat
    kind: openai-compatible
    base-url: {sim}/v1
    proxy-url: direct
    credentials: [{ name: chat-1, api-key: sk-upstream-chat-1111, priority: 2 }, { name: chat-2, api-key: sk-upstream-chat-2222 }]
    strategy: fill-first
    models: [{ name: chat-sim }]
  - name: responses
    kind: openai-responses
    base-url: {sim}/v1
    proxy-url: direct
    credentials: [{ name: responses-1, api-key: sk-upstream-resp-1111, priority: 2 }, { name: responses-2, api-key: sk-upstream-resp-2222 }]
    strategy: fill-first
    models: [{ name: responses-sim }]
  - name: messages
    kind: anthropic
    base-url: {sim}
    proxy-url: direct
    credentials: [{ name: messages-1, api-key: sk-upstream-mess-1111, priority: 2 }, { name: messages-2, api-key: sk-upstream-mess-2222 }]
    strategy: fill-first
    models: [{ name: messages-sim }]
  - name: gemini
    kind: gemini
    base-url: {sim}
    proxy-url: direct
    credentials: [{ name: gemini-1, api-key: sk-upstream-gem-1111, priority: 2 }, { name: gemini-2, api-key: sk-upstream-gem-2222 }]
    strategy: fill-first
    models: [{ name: gemini-sim }]
abilities:
  - { model: chat-sim, thinking: effort, efforts: [low, medium, high] }
  - { model: responses-sim, thinking: effort, efforts: [low, medium, high] }
  - { model: messages-sim, thinking: budget }
";

/// `EVERY_KIND` with something more said of each upstream.
pub(crate) fn every_kind(more: &str) -> String {
    EVERY_KIND.replace("proxy-url: direct", &format!("proxy-url: direct\n    {more}"))
}

/// A client and an upstream, by what they speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) client: DialectId,
    pub(crate) upstream: DialectId,
}

/// All sixteen.
pub(crate) fn pairs() -> impl Iterator<Item = Pair> {
    let of = |client| DIALECTS.into_iter().map(move |upstream| Pair { client, upstream });
    DIALECTS.into_iter().flat_map(of)
}

/// What is wanted of an answer beside its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Whole,
    Stream,
}

impl Pair {
    /// The name of the upstream's model.
    pub(crate) fn model(self) -> &'static str {
        match self.upstream {
            DialectId::OpenaiChat => "chat-sim",
            DialectId::OpenaiResponses => "responses-sim",
            DialectId::AnthropicMessages => "messages-sim",
            DialectId::Gemini => "gemini-sim",
        }
    }

    /// Asks something; the tool `get_weather` may be called, and thoughts may be shown.
    pub(crate) fn ask(self, text: &str, wish: Wish) -> Request {
        let (path, body) = self.question(text, wish);
        Request::post(&path, body.to_string()).bearer(KEY)
    }

    fn question(self, text: &str, wish: Wish) -> (String, Value) {
        let model = self.model();
        let stream = wish == Wish::Stream;
        let description = "Tells the weather";
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        match self.client {
            DialectId::OpenaiChat => {
                let function =
                    json!({"name": "get_weather", "description": description, "parameters": schema});
                let mut body = json!({
                    "model": model, "stream": stream, "reasoning_effort": "high",
                    "messages": [{"role": "user", "content": text}],
                    "tools": [{"type": "function", "function": function}],
                });
                if stream {
                    body["stream_options"] = json!({"include_usage": true});
                }
                ("/v1/chat/completions".to_owned(), body)
            }
            DialectId::OpenaiResponses => {
                let body = json!({
                    "model": model, "stream": stream, "store": false, "input": text,
                    "reasoning": {"effort": "high", "summary": "auto"},
                    "tools": [{"type": "function", "name": "get_weather", "description": description, "parameters": schema, "strict": false}],
                });
                ("/v1/responses".to_owned(), body)
            }
            DialectId::AnthropicMessages => {
                let body = json!({
                    "model": model, "stream": stream, "max_tokens": 4000,
                    "thinking": {"type": "enabled", "budget_tokens": 2000},
                    "messages": [{"role": "user", "content": text}],
                    "tools": [{"name": "get_weather", "description": description, "input_schema": schema}],
                });
                ("/v1/messages".to_owned(), body)
            }
            DialectId::Gemini => {
                let body = json!({
                    "contents": [{"role": "user", "parts": [{"text": text}]}],
                    "generationConfig": {"thinkingConfig": {"includeThoughts": true, "thinkingBudget": 2000}},
                    "tools": [{"functionDeclarations": [{"name": "get_weather", "description": description, "parameters": schema}]}],
                });
                let deed = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
                (format!("/v1beta/models/{model}:{deed}"), body)
            }
        }
    }
}
