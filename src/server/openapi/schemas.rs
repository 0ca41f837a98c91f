//! The schemas: what the gateway itself reads of a body. Fields beyond these pass, or are translated.

#![expect(dead_code, reason = "only the derived schemas are read")]

use serde_json::Value;
use utoipa::ToSchema;

/// A request in OpenAI's Chat dialect.
#[derive(ToSchema)]
pub(super) struct ChatRequest {
    /// A model, an alias, or `prefix/model`.
    model: String,
    #[schema(min_items = 1)]
    messages: Vec<Value>,
    /// Answer with server-sent events.
    stream: Option<bool>,
    stream_options: Option<Value>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    tools: Option<Vec<Value>>,
}

/// A request in Anthropic's Messages dialect.
#[derive(ToSchema)]
pub(super) struct MessagesRequest {
    /// A model, an alias, or `prefix/model`.
    model: String,
    #[schema(min_items = 1)]
    messages: Vec<Value>,
    max_tokens: u64,
    /// Answer with server-sent events.
    stream: Option<bool>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    stop_sequences: Option<Vec<String>>,
    tools: Option<Vec<Value>>,
}

/// A request in OpenAI's Responses dialect.
#[derive(ToSchema)]
pub(super) struct ResponsesRequest {
    /// A model, an alias, or `prefix/model`.
    model: String,
    /// A text, or a list of items.
    input: Option<Value>,
    instructions: Option<String>,
    /// Answer with server-sent events.
    stream: Option<bool>,
    /// The answer this one goes on from; only the tenant's own are there, and only where `responses.store` is on.
    previous_response_id: Option<String>,
    /// Whether the answer is kept, where `responses.store` is on.
    store: Option<bool>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    max_output_tokens: Option<u64>,
    reasoning: Option<Value>,
    text: Option<Value>,
    tools: Option<Vec<Value>>,
}

/// A request in Gemini's dialect, in camel or in snake case.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct GeminiRequest {
    #[schema(min_items = 1)]
    contents: Vec<Value>,
    system_instruction: Option<Value>,
    generation_config: Option<Value>,
    tools: Option<Vec<Value>>,
    tool_config: Option<Value>,
    safety_settings: Option<Vec<Value>>,
}

/// A request whose tokens are counted: `contents`, or a whole request.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct GeminiCountRequest {
    contents: Option<Vec<Value>>,
    generate_content_request: Option<Value>,
}

#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct GeminiTokenCount {
    /// The upstream's own count, or an estimate rounded up.
    total_tokens: u64,
}

/// A request whose tokens are counted: one in the Messages dialect that need not say `max_tokens`.
#[derive(ToSchema)]
pub(super) struct CountRequest {
    model: String,
    #[schema(min_items = 1)]
    messages: Vec<Value>,
}

#[derive(ToSchema)]
pub(super) struct TokenCount {
    /// The upstream's own count, or an estimate rounded up.
    input_tokens: u64,
}

/// Texts to embed, in OpenAI's dialect.
#[derive(ToSchema)]
pub(super) struct EmbeddingRequest {
    /// A model, an alias, or `prefix/model`.
    model: String,
    /// A text, texts, tokens, or lists of tokens.
    input: Value,
    dimensions: Option<u64>,
    /// `float` or `base64`.
    encoding_format: Option<String>,
}

/// A request for an operation that has a model; the rest is its upstream's to read.
#[derive(ToSchema)]
pub(super) struct ModelRequest {
    /// A model, an alias, or `prefix/model`.
    model: String,
    /// Answer with server-sent events, where the operation can.
    stream: Option<bool>,
}

#[derive(ToSchema)]
pub(super) struct BatchRequest {
    /// A file of the tenant's own.
    input_file_id: String,
    endpoint: String,
    completion_window: String,
}

/// An error as OpenAI tells it.
#[derive(ToSchema)]
pub(super) struct ChatError {
    error: ChatErrorBody,
}

#[derive(ToSchema)]
pub(super) struct ChatErrorBody {
    message: String,
    r#type: String,
    /// The field that is wrong: `messages[0].content`.
    #[schema(required)]
    param: Option<String>,
    #[schema(required)]
    code: Option<String>,
}

/// An error as Anthropic tells it.
#[derive(ToSchema)]
pub(super) struct MessagesError {
    /// `error`.
    r#type: String,
    error: MessagesErrorBody,
    request_id: String,
}

#[derive(ToSchema)]
pub(super) struct MessagesErrorBody {
    r#type: String,
    message: String,
}

/// An error as Google tells it.
#[derive(ToSchema)]
pub(super) struct GeminiError {
    error: GeminiErrorBody,
}

#[derive(ToSchema)]
pub(super) struct GeminiErrorBody {
    /// The HTTP status.
    code: u16,
    message: String,
    /// `INVALID_ARGUMENT`, `RESOURCE_EXHAUSTED` and the like.
    status: String,
}

#[derive(ToSchema)]
pub(super) struct Status {
    status: String,
}
