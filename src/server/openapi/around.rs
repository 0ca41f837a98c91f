//! The paths beside conversations: vectors, pictures, sounds, files, batches, sessions.

#![expect(dead_code, reason = "only the annotations are read")]

use super::schemas::{BatchRequest, ChatError, EmbeddingRequest, GeminiError, ModelRequest};

/// Embeds texts; also by upstreams that speak Gemini.
#[utoipa::path(
    post, path = "/v1/embeddings", tag = "inference", request_body = EmbeddingRequest,
    responses(
        (status = 200, description = "The vectors.", body = Value),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn embeddings() {}

/// Goes on with a text (legacy).
#[utoipa::path(
    post, path = "/v1/completions", tag = "inference", request_body = ModelRequest,
    responses(
        (status = 200, description = "The answer, whole or as events.", content((Value = "application/json"), (String = "text/event-stream"))),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn completions() {}

/// Draws images.
#[utoipa::path(
    post, path = "/v1/images/generations", tag = "inference", request_body = ModelRequest,
    responses(
        (status = 200, description = "The images, whole or as events.", content((Value = "application/json"), (String = "text/event-stream"))),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn image_generations() {}

/// Changes an image.
#[utoipa::path(
    post, path = "/v1/images/edits", tag = "inference", request_body(content = String, content_type = "multipart/form-data", description = "`model` among the fields; passed on while it comes."),
    responses(
        (status = 200, description = "The images, whole or as events.", content((Value = "application/json"), (String = "text/event-stream"))),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn image_edits() {}

/// Varies an image.
#[utoipa::path(
    post, path = "/v1/images/variations", tag = "inference", request_body(content = String, content_type = "multipart/form-data", description = "`model` among the fields; passed on while it comes."),
    responses(
        (status = 200, description = "The images.", body = Value),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn image_variations() {}

/// Speaks a text.
#[utoipa::path(
    post, path = "/v1/audio/speech", tag = "inference", request_body = ModelRequest,
    responses(
        (status = 200, description = "The sound as it is made, or events.", content((String = "audio/*"), (String = "text/event-stream"))),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn speech() {}

/// Writes down what is said.
#[utoipa::path(
    post, path = "/v1/audio/transcriptions", tag = "inference", request_body(content = String, content_type = "multipart/form-data", description = "`model` among the fields; passed on while it comes."),
    responses(
        (status = 200, description = "The text, whole or as events.", content((Value = "application/json"), (String = "text/plain"), (String = "text/event-stream"))),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn transcriptions() {}

/// Writes down in English what is said.
#[utoipa::path(
    post, path = "/v1/audio/translations", tag = "inference", request_body(content = String, content_type = "multipart/form-data", description = "`model` among the fields; passed on while it comes."),
    responses(
        (status = 200, description = "The text.", content((Value = "application/json"), (String = "text/plain"))),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn translations() {}

/// Judges texts and images.
#[utoipa::path(
    post, path = "/v1/moderations", tag = "inference", request_body = Value,
    responses(
        (status = 200, description = "The judgement.", body = Value),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn moderations() {}

/// Puts documents in the order of their bearing on a question.
#[utoipa::path(
    post, path = "/v1/rerank", tag = "inference", request_body = ModelRequest,
    responses(
        (status = 200, description = "The order.", body = Value),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn rerank() {}

/// The same as `/v1/rerank`.
#[utoipa::path(
    post, path = "/v2/rerank", tag = "inference", request_body = ModelRequest,
    responses(
        (status = 200, description = "The order.", body = Value),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn rerank_two() {}

/// Keeps a file at the upstream that is named, or the only one that can.
#[utoipa::path(
    post, path = "/v1/files", tag = "inference", request_body(content = String, content_type = "multipart/form-data", description = "Passed on while it comes."),
    responses(
        (status = 200, description = "The file.", body = Value),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn create_file() {}

/// Lists the tenant's own files.
#[utoipa::path(
    get, path = "/v1/files", tag = "inference",
    responses(
        (status = 200, description = "The list.", body = Value),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn files() {}

/// Describes a file.
#[utoipa::path(
    get, path = "/v1/files/{id}", tag = "inference",
    params(("id" = String, Path, description = "The upstream's own id; only its tenant's own are there.")),
    responses(
        (status = 200, description = "The file.", body = Value),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn file() {}

/// Deletes a file.
#[utoipa::path(
    delete, path = "/v1/files/{id}", tag = "inference",
    params(("id" = String, Path, description = "The upstream's own id; only its tenant's own are there.")),
    responses(
        (status = 200, description = "That it is gone.", body = Value),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn delete_file() {}

/// Gives what is in a file.
#[utoipa::path(
    get, path = "/v1/files/{id}/content", tag = "inference",
    params(("id" = String, Path, description = "The upstream's own id; only its tenant's own are there.")),
    responses(
        (status = 200, description = "The content.", body = String, content_type = "application/octet-stream"),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn file_content() {}

/// Has the requests in a file of the tenant's own carried out later.
#[utoipa::path(
    post, path = "/v1/batches", tag = "inference", request_body = BatchRequest,
    responses(
        (status = 200, description = "The batch.", body = Value),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn create_batch() {}

/// Lists the tenant's own batches.
#[utoipa::path(
    get, path = "/v1/batches", tag = "inference",
    responses(
        (status = 200, description = "The list.", body = Value),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn batches() {}

/// Describes a batch.
#[utoipa::path(
    get, path = "/v1/batches/{id}", tag = "inference",
    params(("id" = String, Path, description = "The upstream's own id; only its tenant's own are there.")),
    responses(
        (status = 200, description = "The batch.", body = Value),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn batch() {}

/// Ends a batch.
#[utoipa::path(
    post, path = "/v1/batches/{id}/cancel", tag = "inference",
    params(("id" = String, Path, description = "The upstream's own id; only its tenant's own are there.")),
    responses(
        (status = 200, description = "The batch.", body = Value),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn cancel_batch() {}

/// Opens a WebSocket to a session with a model.
#[utoipa::path(
    get, path = "/v1/realtime", tag = "inference",
    params(("model" = String, Query, description = "A model, an alias, or `prefix/model`.")),
    responses(
        (status = 200, description = "Never: a session begins with status 101.", body = Value),
        (status = "default", description = "Why there is none.", body = ChatError)
    )
)]
fn realtime() {}

/// Embeds one text, as Gemini's clients ask; also by upstreams that speak OpenAI.
#[utoipa::path(
    post, path = "/v1beta/models/{model}:embedContent", tag = "inference", request_body = Value,
    params(("model" = String, Path, description = "Its name; may contain slashes.")),
    responses(
        (status = 200, description = "The vector.", body = Value),
        (status = "default", description = "Why there is none.", body = GeminiError)
    )
)]
fn embed_content() {}

/// Embeds texts, as Gemini's clients ask.
#[utoipa::path(
    post, path = "/v1beta/models/{model}:batchEmbedContents", tag = "inference", request_body = Value,
    params(("model" = String, Path, description = "Its name; may contain slashes.")),
    responses(
        (status = 200, description = "The vectors.", body = Value),
        (status = "default", description = "Why there is none.", body = GeminiError)
    )
)]
fn batch_embed_contents() {}
