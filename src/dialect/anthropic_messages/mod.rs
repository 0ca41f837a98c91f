//! Placeholder until its codec lands.

use bytes::Bytes;
use http::StatusCode;

use super::*;
use crate::kernel::{error::GatewayError, id::RequestId};

#[derive(Debug)]
pub struct AnthropicMessages;
pub static ANTHROPIC_MESSAGES: AnthropicMessages = AnthropicMessages;

impl ServerCodec for AnthropicMessages {
    fn id(&self) -> DialectId {
        DialectId::AnthropicMessages
    }
    fn decode_request(&self, _: &[u8]) -> Result<ChatRequest, DecodeError> {
        unimplemented!()
    }
    fn encode_response(&self, _: &ChatResponse, _: &ReplyContext) -> Bytes {
        unimplemented!()
    }
    fn event_encoder(&self, _: &ReplyContext) -> Box<dyn EventEncoder> {
        unimplemented!()
    }
    fn encode_error(&self, _: &GatewayError, _: RequestId) -> (StatusCode, Bytes) {
        unimplemented!()
    }
    fn keep_alive(&self) -> Bytes {
        unimplemented!()
    }
    fn encode_models(&self, _: &[ModelEntry]) -> Bytes {
        unimplemented!()
    }
    fn encode_model(&self, _: &ModelEntry) -> Bytes {
        unimplemented!()
    }
    fn encode_count(&self, _: u64) -> Bytes {
        unimplemented!()
    }
}

impl ClientCodec for AnthropicMessages {
    fn id(&self) -> DialectId {
        DialectId::AnthropicMessages
    }
    fn encode_request(
        &self,
        _: &ChatRequest,
        _: &UpstreamModel,
        _: &Abilities,
    ) -> Result<Encoded, EncodeError> {
        unimplemented!()
    }
    fn decode_response(&self, _: &[u8], _: &Recall) -> Result<ChatResponse, DecodeError> {
        unimplemented!()
    }
    fn event_decoder(&self, _: &Recall) -> Box<dyn EventDecoder> {
        unimplemented!()
    }
    fn decode_error(&self, _: StatusCode, _: &[u8]) -> WireError {
        unimplemented!()
    }
}
