//! The paths on which conversations are answered, counted and kept, and the lists of models.

#![expect(dead_code, reason = "only the annotations are read")]

use super::schemas::{
    ChatError, ChatRequest, CountRequest, GeminiCountRequest, GeminiError, GeminiRequest, GeminiTokenCount,
    MessagesError, MessagesRequest, ResponsesRequest, TokenCount,
};

/// Answers a conversation in OpenAI's Chat dialect.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "inference", request_body = ChatRequest,
    responses(
        (status = 200, description = "The answer, whole or as events.", content(
            (Value = "application/json"), (String = "text/event-stream")
        )),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn chat_completions() {}

/// Answers a conversation in Anthropic's Messages dialect.
#[utoipa::path(
    post, path = "/v1/messages", tag = "inference", request_body = MessagesRequest,
    responses(
        (status = 200, description = "The answer, whole or as events.", content(
            (Value = "application/json"), (String = "text/event-stream")
        )),
        (status = "default", description = "Why there is none.", body = MessagesError)
    )
)]
fn messages() {}

/// The same as `/v1/messages`.
#[utoipa::path(
    post, path = "/anthropic/v1/messages", tag = "inference", request_body = MessagesRequest,
    responses(
        (status = 200, description = "The answer, whole or as events.", content(
            (Value = "application/json"), (String = "text/event-stream")
        )),
        (status = "default", description = "Why there is none.", body = MessagesError)
    )
)]
fn anthropic_messages() {}

/// Counts the tokens of a request in Anthropic's Messages dialect.
#[utoipa::path(
    post, path = "/v1/messages/count_tokens", tag = "inference", request_body = CountRequest,
    responses(
        (status = 200, description = "The count.", body = TokenCount),
        (status = "default", description = "Why there is none.", body = MessagesError)
    )
)]
fn count_tokens() {}

/// The same as `/v1/messages/count_tokens`.
#[utoipa::path(
    post, path = "/anthropic/v1/messages/count_tokens", tag = "inference", request_body = CountRequest,
    responses(
        (status = 200, description = "The count.", body = TokenCount),
        (status = "default", description = "Why there is none.", body = MessagesError)
    )
)]
fn anthropic_count_tokens() {}

/// Answers a conversation in OpenAI's Responses dialect. With `upgrade: websocket` (and `GET`) it opens a session of many turns.
#[utoipa::path(
    post, path = "/v1/responses", tag = "inference", request_body = ResponsesRequest,
    responses(
        (status = 200, description = "The answer, whole or as events.", content(
            (Value = "application/json"), (String = "text/event-stream")
        )),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn responses() {}

/// Makes a conversation short: the items to go on from.
#[utoipa::path(
    post, path = "/v1/responses/compact", tag = "inference", request_body = ResponsesRequest,
    responses(
        (status = 200, description = "The compacted conversation.", body = Value),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn compact() {}

/// Counts the tokens of a request in OpenAI's Responses dialect.
#[utoipa::path(
    post, path = "/v1/responses/input_tokens", tag = "inference", request_body = ResponsesRequest,
    responses(
        (status = 200, description = "The count.", body = TokenCount),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn input_tokens() {}

/// Reads a stored answer; only where `responses.store` is on.
#[utoipa::path(
    get, path = "/v1/responses/{id}", tag = "inference",
    params(("id" = String, Path, description = "Its id; only the tenant's own are there.")),
    responses(
        (status = 200, description = "The answer.", body = Value),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn stored_response() {}

/// Forgets a stored answer.
#[utoipa::path(
    delete, path = "/v1/responses/{id}", tag = "inference",
    params(("id" = String, Path, description = "Its id; only the tenant's own are there.")),
    responses(
        (status = 200, description = "It is forgotten.", body = Value),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn forget_response() {}

/// Lists what was asked for a stored answer.
#[utoipa::path(
    get, path = "/v1/responses/{id}/input_items", tag = "inference",
    params(("id" = String, Path, description = "Its id; only the tenant's own are there."),
        ("after" = Option<String>, Query, description = "The item before the first one listed."),
        ("limit" = Option<u64>, Query, description = "1 to 100; 20 if it is not said."),
        ("order" = Option<String>, Query, description = "`asc` or `desc`.")
    ),
    responses(
        (status = 200, description = "A page of items.", body = Value),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn input_items() {}

/// Always refused: no answers are made in the background.
#[utoipa::path(
    post, path = "/v1/responses/{id}/cancel", tag = "inference",
    params(("id" = String, Path, description = "Its id; only the tenant's own are there.")),
    responses(
        (status = 200, description = "The answer.", body = Value),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn cancel_response() {}

/// Answers a conversation in Gemini's dialect. The same under `/v1/models/{model}:generateContent`.
#[utoipa::path(
    post, path = "/v1beta/models/{model}:generateContent", tag = "inference", request_body = GeminiRequest,
    params(("model" = String, Path, description = "Its name; may contain slashes.")),
    responses(
        (status = 200, description = "The answer.", body = Value),
        (status = "default", description = "Why there is none.", body = GeminiError)
    )
)]
fn generate_content() {}

/// Answers a conversation in Gemini's dialect as a stream: events with `alt=sse`, else a JSON array.
#[utoipa::path(
    post, path = "/v1beta/models/{model}:streamGenerateContent", tag = "inference", request_body = GeminiRequest,
    params(("model" = String, Path, description = "Its name; may contain slashes."),
        ("alt" = Option<String>, Query, description = "`sse`")
    ),
    responses(
        (status = 200, description = "The answer in pieces.", content(
            (String = "text/event-stream"), (Value = "application/json")
        )),
        (status = "default", description = "Why there is none.", body = GeminiError)
    )
)]
fn stream_generate_content() {}

/// Counts the tokens of a request in Gemini's dialect.
#[utoipa::path(
    post, path = "/v1beta/models/{model}:countTokens", tag = "inference", request_body = GeminiCountRequest,
    params(("model" = String, Path, description = "Its name; may contain slashes.")),
    responses(
        (status = 200, description = "The count.", body = GeminiTokenCount),
        (status = "default", description = "Why there is none.", body = GeminiError)
    )
)]
fn gemini_count_tokens() {}

/// Lists the models this key can call, in Google's shape.
#[utoipa::path(
    get, path = "/v1beta/models", tag = "inference",
    responses(
        (status = 200, description = "The list.", body = Value),
        (status = "default", description = "Why there is none.", body = GeminiError)
    )
)]
fn gemini_models() {}

/// Describes a model, in Google's shape.
#[utoipa::path(
    get, path = "/v1beta/models/{model}", tag = "inference",
    params(("model" = String, Path, description = "Its name; may contain slashes.")),
    responses(
        (status = 200, description = "The model.", body = Value),
        (status = "default", description = "Why there is none.", body = GeminiError)
    )
)]
fn gemini_model() {}

/// Lists the models this key can call; in Anthropic's shape for a caller that sends `anthropic-version`.
#[utoipa::path(
    get, path = "/v1/models", tag = "inference",
    responses(
        (status = 200, description = "The models.", body = Value),
        (status = "default", description = "Why there are none.", body = ChatError)
    )
)]
fn models() {}

/// Lists the models this key can call, in Anthropic's shape.
#[utoipa::path(
    get, path = "/anthropic/v1/models", tag = "inference",
    responses(
        (status = 200, description = "The models.", body = Value),
        (status = "default", description = "Why there are none.", body = MessagesError)
    )
)]
fn anthropic_models() {}

/// Describes a model.
#[utoipa::path(
    get, path = "/v1/models/{model}", tag = "inference",
    params(("model" = String, Path, description = "Its name; may contain slashes.")),
    responses(
        (status = 200, description = "The model.", body = Value),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn model() {}

/// Describes a model, in Anthropic's shape.
#[utoipa::path(
    get, path = "/anthropic/v1/models/{model}", tag = "inference",
    params(("model" = String, Path, description = "Its name; may contain slashes.")),
    responses(
        (status = 200, description = "The model.", body = Value),
        (status = "default", description = "Why there is none.", body = MessagesError)
    )
)]
fn anthropic_model() {}
