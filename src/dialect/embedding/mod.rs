//! Embeddings: texts in, vectors out, between OpenAI's `/v1/embeddings` and Gemini's `:embedContent`, `:batchEmbedContents`.
//!
//! Field facts: the types of the `openai` and `google-genai` SDKs. A vector passes in the form it came in: its numbers are
//! only read if the other side wants base64, or the reverse.

pub mod gemini;
pub mod openai;
mod vector;

#[cfg(test)]
mod tests;

use bytes::Bytes;

use super::{DecodeError, DialectId, EncodeError, Loss, TokenUsage};

pub use vector::Vector;

/// What is to be embedded, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingRequest {
    pub inputs: Vec<Input>,
    /// Whether the client wrote one input, not a list of one.
    pub single: bool,
    pub dimensions: Option<u64>,
    /// Whether vectors are wanted as base64 of little-endian `f32`.
    pub base64: bool,
    /// What the client said that only its own dialect knows: noted as lost elsewhere.
    pub lost: Vec<Loss>,
}

/// One text, in the words of either side.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Text(String),
    /// Numbers of a tokenizer: only its owner can read them.
    Tokens(Vec<u64>),
}

/// The vectors, in the order of the inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingResponse {
    /// The upstream's own name for the model.
    pub model: Option<String>,
    pub vectors: Vec<Vector>,
    pub usage: TokenUsage,
}

/// How a client of Gemini asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// OpenAI's, and Gemini's batch: a list.
    Many,
    /// Gemini's `:embedContent`: one vector.
    One,
}

/// Reads a client's request.
pub fn decode_request(client: DialectId, form: Form, body: &[u8]) -> Result<EmbeddingRequest, DecodeError> {
    match client {
        DialectId::Gemini => gemini::decode_request(form, body),
        _ => openai::decode_request(body),
    }
}

/// Says a request to an upstream, and what it could not say.
pub fn encode_request(
    upstream: DialectId,
    request: &EmbeddingRequest,
    model: &str,
) -> Result<(Bytes, Vec<Loss>), EncodeError> {
    match upstream {
        DialectId::Gemini => gemini::encode_request(request, model),
        _ => Ok((openai::encode_request(request, model), request.lost.clone())),
    }
}

/// Reads an upstream's answer.
pub fn decode_response(upstream: DialectId, body: &[u8]) -> Result<EmbeddingResponse, DecodeError> {
    match upstream {
        DialectId::Gemini => gemini::decode_response(body),
        _ => openai::decode_response(body),
    }
}

/// Says an answer to a client. `model` is what it asked for, `estimate` the tokens if the upstream did not say.
pub fn encode_response(
    client: DialectId,
    form: Form,
    response: &EmbeddingResponse,
    request: &EmbeddingRequest,
    model: &str,
    estimate: u64,
) -> Result<Bytes, DecodeError> {
    match client {
        DialectId::Gemini => gemini::encode_response(form, response),
        _ => openai::encode_response(response, request.base64, model, estimate),
    }
}
