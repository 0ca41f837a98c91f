//! Anthropic's Messages: `POST /v1/messages`, both sides.

mod decode;
mod encode;
pub(super) mod error;
mod hosted;
mod models;
mod response;
mod stop;
mod stream;
pub(super) mod usage;

use bytes::Bytes;
use http::StatusCode;

use super::{
    ChatRequest, ChatResponse, ClientCodec, DecodeError, DialectId, EncodeError, Encoded, EventDecoder,
    EventEncoder, ModelEntry, Recall, ReplyContext, ServerCodec, WireError, canonical::FinishReason, schema,
    wire,
};
use crate::{
    catalog::{Abilities, UpstreamModel},
    kernel::{error::GatewayError, id::RequestId},
};

#[cfg(test)]
pub(super) use decode::client_tool;

/// This dialect.
const ID: DialectId = DialectId::AnthropicMessages;

/// The codec of the Messages dialect.
#[derive(Debug)]
pub struct AnthropicMessages;

pub static ANTHROPIC_MESSAGES: AnthropicMessages = AnthropicMessages;

impl ServerCodec for AnthropicMessages {
    fn id(&self) -> DialectId {
        ID
    }

    fn decode_request(&self, body: &[u8]) -> Result<ChatRequest, DecodeError> {
        decode::request(body, decode::Limit::Required)
    }

    fn decode_count_request(&self, body: &[u8]) -> Result<ChatRequest, DecodeError> {
        decode::request(body, decode::Limit::Optional)
    }

    fn encode_response(&self, response: &ChatResponse, context: &ReplyContext) -> Bytes {
        response::encode(response, context)
    }

    fn event_encoder(&self, context: &ReplyContext) -> Box<dyn EventEncoder> {
        Box::new(stream::MessageEncoder::new(context))
    }

    fn encode_error(&self, error: &GatewayError, request: RequestId) -> (StatusCode, Bytes) {
        error::encode(error, request)
    }

    fn keep_alive(&self) -> Bytes {
        Bytes::from_static(b"event: ping\ndata: {\"type\":\"ping\"}\n\n")
    }

    fn encode_models(&self, models: &[ModelEntry]) -> Bytes {
        models::list(models)
    }

    fn encode_model(&self, model: &ModelEntry) -> Bytes {
        models::one(model)
    }

    fn encode_count(&self, tokens: u64) -> Bytes {
        models::count(tokens)
    }
}

impl ClientCodec for AnthropicMessages {
    fn id(&self) -> DialectId {
        ID
    }

    fn encode_request(
        &self,
        request: &ChatRequest,
        model: &UpstreamModel,
        abilities: &Abilities,
    ) -> Result<Encoded, EncodeError> {
        schema::told(request, abilities, |it| encode::request(it, model, abilities))
    }

    fn decode_response(&self, body: &[u8], recall: &Recall) -> Result<ChatResponse, DecodeError> {
        response::decode(body, recall)
    }

    fn event_decoder(&self, recall: &Recall) -> Box<dyn EventDecoder> {
        Box::new(stream::MessageDecoder::new(recall))
    }

    fn decode_error(&self, status: StatusCode, body: &[u8]) -> WireError {
        error::decode(status, body)
    }
    fn finish_reason(&self, word: &str) -> FinishReason {
        stop::decode(Some(word), None, stop::Called::from(word == "tool_use")).reason
    }
}
