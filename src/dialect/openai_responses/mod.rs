//! OpenAI Responses (`POST /v1/responses`), both sides.
//!
//! Field facts: the `openai` SDK's types and `openai/openai-openapi`; what other servers make of it is said where it is read.

pub(super) mod error;
mod request;
mod response;
mod stream;
pub(super) mod usage;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value};

use super::{
    ChatRequest, ChatResponse, ClientCodec, DecodeError, DialectId, EncodeError, Encoded, EventDecoder,
    EventEncoder, ModelEntry, Recall, ReplyContext, ServerCodec, WireError, canonical::FinishReason,
    openai_listing as listing, schema,
};
use crate::{
    catalog::{Abilities, UpstreamModel},
    kernel::{error::GatewayError, id::RequestId},
};

pub use response::response_id;

/// This dialect.
const ID: DialectId = DialectId::OpenaiResponses;

/// Both sides of the dialect.
#[derive(Debug)]
pub struct OpenaiResponses;
pub static OPENAI_RESPONSES: OpenaiResponses = OpenaiResponses;

impl ServerCodec for OpenaiResponses {
    fn id(&self) -> DialectId {
        ID
    }

    fn decode_request(&self, body: &[u8]) -> Result<ChatRequest, DecodeError> {
        request::decode(body)
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

    fn echo(&self, body: &[u8]) -> Map<String, Value> {
        response::echo(body)
    }

    fn keep_alive(&self) -> Bytes {
        Bytes::from_static(b": keep-alive\n\n")
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

impl ClientCodec for OpenaiResponses {
    fn id(&self) -> DialectId {
        ID
    }

    fn encode_request(
        &self,
        request: &ChatRequest,
        model: &UpstreamModel,
        abilities: &Abilities,
    ) -> Result<Encoded, EncodeError> {
        schema::told(request, abilities, |it| request::encode(it, model, abilities))
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
