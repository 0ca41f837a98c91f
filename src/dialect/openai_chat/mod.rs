//! OpenAI Chat Completions (`POST /v1/chat/completions`), and what its many clones make of it.
//!
//! Field facts: the `openai` SDK's types and `openai/openai-openapi`; what clones add is said where it is read.

mod annotations;
mod content;
mod extra;
mod finish;
mod format;
mod logprobs;
mod messages;
mod request;
mod response;
mod stream;
mod think_tags;
mod tools;
pub(super) mod usage;

use bytes::Bytes;
use http::StatusCode;

use super::{
    ChatRequest, ChatResponse, ClientCodec, DecodeError, DialectId, EncodeError, Encoded, EventDecoder,
    EventEncoder, ModelEntry, Recall, ReplyContext, ServerCodec, WireError, canonical::FinishReason,
    openai_error as error, openai_listing as listing, schema,
};
use crate::{
    catalog::{Abilities, UpstreamModel},
    kernel::{error::GatewayError, id::RequestId},
};

/// The dialect's name, for the fields that only it knows.
const CHAT: DialectId = DialectId::OpenaiChat;

/// Both sides of the dialect.
#[derive(Debug)]
pub struct OpenaiChat;
pub static OPENAI_CHAT: OpenaiChat = OpenaiChat;

impl ServerCodec for OpenaiChat {
    fn id(&self) -> DialectId {
        CHAT
    }

    fn decode_request(&self, body: &[u8]) -> Result<ChatRequest, DecodeError> {
        request::decode::decode(body)
    }

    fn encode_response(&self, response: &ChatResponse, context: &ReplyContext) -> Bytes {
        response::encode::encode(response, context)
    }

    fn event_encoder(&self, context: &ReplyContext) -> Box<dyn EventEncoder> {
        Box::new(stream::encoder::Encoder::new(context))
    }

    fn encode_error(&self, error: &GatewayError, _: RequestId) -> (StatusCode, Bytes) {
        error::encode(error, CHAT)
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

impl ClientCodec for OpenaiChat {
    fn id(&self) -> DialectId {
        CHAT
    }

    fn encode_request(
        &self,
        request: &ChatRequest,
        model: &UpstreamModel,
        abilities: &Abilities,
    ) -> Result<Encoded, EncodeError> {
        schema::told(request, abilities, |it| request::encode::encode(it, model, abilities))
    }

    fn decode_response(&self, body: &[u8], recall: &Recall) -> Result<ChatResponse, DecodeError> {
        response::decode::decode(body, recall)
    }

    fn event_decoder(&self, recall: &Recall) -> Box<dyn EventDecoder> {
        Box::new(stream::decoder::Decoder::new(recall))
    }

    fn decode_error(&self, status: StatusCode, body: &[u8]) -> WireError {
        error::decode(status, body)
    }
    fn finish_reason(&self, word: &str) -> FinishReason {
        let held = finish::Held { calls: matches!(word, "tool_calls" | "function_call"), refusal: false };
        finish::decode(Some(word), None, held).reason
    }
}
