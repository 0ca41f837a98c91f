//! Gemini (`POST /v1beta/models/{model}:generateContent`), both sides.
//!
//! Field facts: the `google-genai` SDK's types and ai.google.dev/api; Vertex says the same with other paths.

pub(super) mod error;
mod listing;
mod request;
mod response;
mod schema;
pub(super) mod stream;
pub(super) mod usage;

pub use error::retry_delay;

use bytes::Bytes;
use http::StatusCode;

use super::{
    ChatRequest, ChatResponse, ClientCodec, DecodeError, DialectId, EncodeError, Encoded, EventDecoder,
    EventEncoder, ModelEntry, Recall, ReplyContext, ServerCodec, WireError,
    canonical::FinishReason,
    scan::{self, ValueKind},
};
use crate::{
    catalog::{Abilities, UpstreamModel},
    kernel::{error::GatewayError, id::RequestId},
};

/// This dialect.
const ID: DialectId = DialectId::Gemini;

/// Both sides of the dialect.
#[derive(Debug)]
pub struct Gemini;
pub static GEMINI: Gemini = Gemini;

impl ServerCodec for Gemini {
    fn id(&self) -> DialectId {
        ID
    }

    fn decode_request(&self, body: &[u8]) -> Result<ChatRequest, DecodeError> {
        request::decode(body)
    }

    /// The body is that of a question, or holds a whole one.
    fn decode_count_request(&self, body: &[u8]) -> Result<ChatRequest, DecodeError> {
        let scan = scan::scan(body)?;
        let whole = ["generateContentRequest", "generate_content_request"]
            .into_iter()
            .find_map(|it| scan.span(it).filter(|_| scan.kind(it) == Some(ValueKind::Object)));
        request::decode(whole.map_or(body, |it| &body[it]))
    }

    fn encode_response(&self, response: &ChatResponse, context: &ReplyContext) -> Bytes {
        response::encode(response, context)
    }

    fn event_encoder(&self, context: &ReplyContext) -> Box<dyn EventEncoder> {
        stream::encoder(context)
    }

    fn encode_error(&self, error: &GatewayError, _: RequestId) -> (StatusCode, Bytes) {
        error::encode(error)
    }

    fn keep_alive(&self) -> Bytes {
        Bytes::from_static(b"\n")
    }

    fn encode_models(&self, models: &[ModelEntry]) -> Bytes {
        listing::models(models)
    }

    fn encode_model(&self, model: &ModelEntry) -> Bytes {
        listing::model(model)
    }

    fn encode_count(&self, tokens: u64) -> Bytes {
        listing::count(tokens)
    }
}

impl ClientCodec for Gemini {
    fn id(&self) -> DialectId {
        ID
    }

    fn encode_request(
        &self,
        request: &ChatRequest,
        model: &UpstreamModel,
        abilities: &Abilities,
    ) -> Result<Encoded, EncodeError> {
        request::encode(request, model, abilities)
    }

    fn decode_response(&self, body: &[u8], recall: &Recall) -> Result<ChatResponse, DecodeError> {
        response::decode(body, recall)
    }

    fn event_decoder(&self, recall: &Recall) -> Box<dyn EventDecoder> {
        stream::decoder(recall)
    }

    fn decode_error(&self, status: StatusCode, body: &[u8]) -> WireError {
        error::decode(status, body)
    }

    fn finish_reason(&self, word: &str) -> FinishReason {
        response::finish_reason(word)
    }
}
