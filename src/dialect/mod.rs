//! The languages: what a request, an answer and a stream mean, whoever's words they are in. Pure: values in, values out.
//!
//! A dialect has two sides. A *server codec* faces clients: it decodes their requests and encodes their answers.
//! A *client codec* faces upstreams: it encodes requests and decodes answers. Between them stands one canonical form.

pub mod anthropic_messages;
pub mod beside;
mod callee;
pub mod canonical;
pub mod collect;
pub mod count;
pub mod embedding;
mod excerpt;
pub mod fields;
mod foreign;
pub mod framing;
pub mod gemini;
pub mod json;
pub mod loss;
pub mod openai_chat;
mod openai_error;
mod openai_listing;
mod openai_logprobs;
pub mod openai_responses;
pub mod pieces;
pub mod places;
mod prompt;
pub mod scan;
pub mod schema;
pub mod state;
pub mod tokenizer;
mod upstream_words;
pub mod verbatim;
mod wire;

use std::{collections::HashMap, sync::Arc};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use serde_json::{Map, Value};

use crate::{
    catalog::{Abilities, UpstreamModel},
    kernel::{
        error::{ErrorKind, GatewayError},
        id::RequestId,
    },
};

pub use canonical::{ChatEvent, ChatRequest, ChatResponse, TokenUsage};
use canonical::{FinishReason, tool::Namespaced};
pub use excerpt::Excerpt;
pub use fields::DecodeError;
pub use framing::sse::SseFrame;
pub use loss::{Loss, LossAction, Severity};
pub use pieces::Pieces;
pub use prompt::Prompt;

/// A wire language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DialectId {
    OpenaiChat,
    OpenaiResponses,
    AnthropicMessages,
    Gemini,
}

impl DialectId {
    /// The name used in configuration, logs and the ledger.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai-chat",
            Self::OpenaiResponses => "openai-responses",
            Self::AnthropicMessages => "anthropic-messages",
            Self::Gemini => "gemini",
        }
    }

    pub fn server(self) -> &'static dyn ServerCodec {
        match self {
            Self::OpenaiChat => &openai_chat::OPENAI_CHAT,
            Self::OpenaiResponses => &openai_responses::OPENAI_RESPONSES,
            Self::AnthropicMessages => &anthropic_messages::ANTHROPIC_MESSAGES,
            Self::Gemini => &gemini::GEMINI,
        }
    }

    pub fn client(self) -> &'static dyn ClientCodec {
        match self {
            Self::OpenaiChat => &openai_chat::OPENAI_CHAT,
            Self::OpenaiResponses => &openai_responses::OPENAI_RESPONSES,
            Self::AnthropicMessages => &anthropic_messages::ANTHROPIC_MESSAGES,
            Self::Gemini => &gemini::GEMINI,
        }
    }
}

/// Every dialect we answer clients in.
pub static SERVERS: &[&dyn ServerCodec] = &[
    &openai_chat::OPENAI_CHAT,
    &openai_responses::OPENAI_RESPONSES,
    &anthropic_messages::ANTHROPIC_MESSAGES,
    &gemini::GEMINI,
];
/// Every dialect we ask upstreams in.
pub static CLIENTS: &[&dyn ClientCodec] = &[
    &openai_chat::OPENAI_CHAT,
    &openai_responses::OPENAI_RESPONSES,
    &anthropic_messages::ANTHROPIC_MESSAGES,
    &gemini::GEMINI,
];

/// What the answering side has to know of the question.
#[derive(Debug, Clone)]
pub struct ReplyContext {
    pub request: RequestId,
    /// The model's name in the answer, if the upstream does not name one.
    pub model: String,
    /// Unix seconds, if the upstream does not say when.
    pub created: i64,
    /// Whether the client asked for usage in the stream (Chat's `stream_options.include_usage`).
    pub include_usage: bool,
    /// Whether the client asked with the legacy `functions` (Chat).
    pub legacy_functions: bool,
    /// Whether the stream is to be a JSON array instead of events (Gemini without `alt=sse`).
    pub json_array: bool,
    /// The fields of the request that the answer repeats (Responses), as the client wrote them.
    pub echo: Arc<Map<String, Value>>,
    /// Tools that the client keeps in a namespace (Responses), by the flat name everyone else knows.
    pub namespaced: Arc<HashMap<String, Namespaced>>,
}

impl ReplyContext {
    /// A context that knows nothing but the request's id, the model's name and the time.
    pub fn new(request: RequestId, model: impl Into<String>, created: i64) -> Self {
        Self {
            request,
            model: model.into(),
            created,
            include_usage: false,
            legacy_functions: false,
            json_array: false,
            echo: Arc::default(),
            namespaced: Arc::default(),
        }
    }
}

/// What an encoder did to a request that the decoder of its answer must undo.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recall {
    /// Tool names as the upstream was told them → as the client wrote them; only those that differ.
    pub names: HashMap<String, String>,
    /// The tool whose arguments are the answer's text: structured output was emulated.
    pub json_tool: Option<String>,
    /// Tools of free text that were told as functions with one string `input`, by the name the upstream was told.
    pub custom_tools: std::collections::HashSet<String>,
    /// Whether a `<think>` that an answer's text begins with holds its reasoning (Chat).
    pub think_tags: bool,
}

/// A request in an upstream's words.
#[derive(Debug, Clone)]
pub struct Encoded {
    pub body: Bytes,
    pub losses: Vec<Loss>,
    pub recall: Recall,
    /// Headers the body needs beside it (`anthropic-beta` values, one an entry).
    pub betas: Vec<String>,
}

/// Why a request cannot be said to this upstream at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EncodeError {
    /// JSON pointer as in a `Loss`.
    pub at: String,
    pub message: String,
}

/// An upstream's error, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireError {
    pub kind: ErrorKind,
    /// The upstream's own words, or a sentence made from the status.
    pub message: String,
    /// The upstream's own `type`.
    pub error_type: Option<String>,
    /// The upstream's own `code`.
    pub code: Option<String>,
    /// Where in the request, if it said so.
    pub param: Option<String>,
}

/// One entry of a list of models.
#[derive(Debug, Clone)]
pub struct ModelEntry {
    pub id: String,
    pub owned_by: String,
    /// Unix seconds.
    pub created: i64,
    pub context_window: Option<u64>,
    pub max_output_tokens: Option<u64>,
}

/// The side that faces clients.
pub trait ServerCodec: Send + Sync {
    fn id(&self) -> DialectId;
    /// Reads a request. A dialect that names the model in the path, and there says whether to stream (Gemini), reads them
    /// from the body if they are there; the caller knows them better and puts them into what is returned.
    fn decode_request(&self, body: &[u8]) -> Result<ChatRequest, DecodeError>;
    /// Reads a request for a token count: a request that need not say how long the answer may be.
    fn decode_count_request(&self, body: &[u8]) -> Result<ChatRequest, DecodeError> {
        self.decode_request(body)
    }
    fn encode_response(&self, response: &ChatResponse, context: &ReplyContext) -> Bytes;
    fn event_encoder(&self, context: &ReplyContext) -> Box<dyn EventEncoder>;
    fn encode_error(&self, error: &GatewayError, request: RequestId) -> (StatusCode, Bytes);
    /// The fields of a request that every answer to it repeats (Responses); none in other dialects.
    fn echo(&self, _body: &[u8]) -> Map<String, Value> {
        Map::new()
    }
    /// Bytes that keep a silent stream alive and that this dialect's clients ignore.
    fn keep_alive(&self) -> Bytes;
    fn encode_models(&self, models: &[ModelEntry]) -> Bytes;
    fn encode_model(&self, model: &ModelEntry) -> Bytes;
    fn encode_count(&self, tokens: u64) -> Bytes;
}

/// The side that faces upstreams.
pub trait ClientCodec: Send + Sync {
    fn id(&self) -> DialectId;
    fn encode_request(
        &self,
        request: &ChatRequest,
        model: &UpstreamModel,
        abilities: &Abilities,
    ) -> Result<Encoded, EncodeError>;
    fn decode_response(&self, body: &[u8], recall: &Recall) -> Result<ChatResponse, DecodeError>;
    fn event_decoder(&self, recall: &Recall) -> Box<dyn EventDecoder>;
    fn decode_error(&self, status: StatusCode, body: &[u8]) -> WireError;
    /// What the dialect's own word for the end of an answer means.
    fn finish_reason(&self, word: &str) -> FinishReason;
}

/// Frames in, canonical events out. One for each stream; holds that stream's state and nothing shared.
pub trait EventDecoder: Send {
    fn decode(&mut self, frame: &SseFrame, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError>;
    /// The upstream's bytes have ended. Emits what was held back; a stream without its terminal ends in
    /// `ChatEvent::Error` of kind `Truncated`, never in success.
    fn finish(&mut self, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError>;
}

/// Canonical events in, bytes out.
pub trait EventEncoder: Send {
    fn encode(&mut self, event: &ChatEvent, out: &mut BytesMut);
    /// Ends the stream well; called once, after the last event.
    fn finish(&mut self, out: &mut BytesMut);
    /// Ends the stream with an error, in the dialect's own form.
    fn abort(&mut self, error: &GatewayError, out: &mut BytesMut);
}
