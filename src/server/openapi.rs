//! The inference paths as OpenAPI: functions that are never called, whose annotations say what the doors do.

use utoipa::{
    Modify, OpenApi, ToSchema,
    openapi::{
        Header, RefOr, Response,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

/// What every answer of an inference path may say about its way.
const HEADERS: [(&str, &str); 5] = [
    ("x-dragoman-request-id", "The exchange's id, as in the logs and the ledger."),
    ("x-dragoman-attempts", "How many times upstreams were asked."),
    ("x-dragoman-upstream", "Which upstream answered."),
    ("x-dragoman-model", "What that upstream calls the model."),
    (
        "x-dragoman-translation",
        "What the translation dropped or approximated: `dropped=/seed; approximated=/temperature`.",
    ),
];

/// The document of `openapi/inference.json`, with a line's end.
pub fn inference() -> String {
    let mut text = Inference::openapi().to_pretty_json().expect("a document is plain data");
    text.push('\n');
    text
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Dragoman: inference",
        description = "One URL that any client of a language model may call in its own dialect.\n\n\
            Every path below `/v1` also exists below `/{upstream}/v1`, which names the upstream that must answer; the header \
            `Model-Provider` does the same. A key may be shown in each of the four forms on each path."
    ),
    paths(
        stubs::chat_completions,
        stubs::messages,
        stubs::anthropic_messages,
        stubs::count_tokens,
        stubs::anthropic_count_tokens,
        stubs::models,
        stubs::anthropic_models,
        stubs::model,
        stubs::anthropic_model,
        stubs::embeddings,
        stubs::completions,
        stubs::image_generations,
        stubs::image_edits,
        stubs::image_variations,
        stubs::speech,
        stubs::transcriptions,
        stubs::translations,
        stubs::moderations,
        stubs::rerank,
        stubs::rerank_two,
        stubs::create_file,
        stubs::files,
        stubs::file,
        stubs::delete_file,
        stubs::file_content,
        stubs::create_batch,
        stubs::batches,
        stubs::batch,
        stubs::cancel_batch,
        stubs::realtime,
        stubs::embed_content,
        stubs::batch_embed_contents,
        stubs::healthz,
        stubs::readyz,
        stubs::metrics
    ),
    tags(
        (name = "inference", description = "Called with a tenant key."),
        (name = "operations", description = "Called by whoever runs the gateway.")
    ),
    modifiers(&Keys, &Trail)
)]
struct Inference;

/// The forms a key is shown in.
struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = |description: &str| {
            SecurityScheme::Http(
                HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description)).build(),
            )
        };
        let header = |name: &str| ApiKey::Header(ApiKeyValue::with_description(name, "A tenant key."));
        for (name, scheme) in [
            ("bearer", bearer("A tenant key.")),
            ("x-api-key", SecurityScheme::ApiKey(header("x-api-key"))),
            ("x-goog-api-key", SecurityScheme::ApiKey(header("x-goog-api-key"))),
            (
                "key",
                SecurityScheme::ApiKey(ApiKey::Query(ApiKeyValue::with_description("key", "A tenant key."))),
            ),
            (
                "operator",
                bearer("The operator's secret; wanted only if the gateway listens beyond loopback."),
            ),
        ] {
            components.add_security_scheme(name, scheme);
        }
    }
}

/// The headers of `HEADERS`, on every answer of an inference path.
struct Trail;

impl Modify for Trail {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for item in document.paths.paths.values_mut() {
            for operation in [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten() {
                if operation.tags.iter().flatten().any(|it| it == "inference") {
                    operation.responses.responses.values_mut().for_each(add_headers);
                }
            }
        }
    }
}

fn add_headers(response: &mut RefOr<Response>) {
    let RefOr::T(response) = response else { return };
    for (name, description) in HEADERS {
        let mut header = Header::default();
        header.description = Some(description.to_owned());
        response.headers.insert(name.to_owned(), RefOr::T(header));
    }
}

/// The schemas: what the gateway itself reads of a body. Fields beyond these pass, or are translated.
mod schemas {
    #![expect(dead_code, reason = "only the derived schemas are read")]

    use serde_json::Value;

    use super::ToSchema;

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

    #[derive(ToSchema)]
    pub(super) struct Status {
        status: String,
    }
}

mod stubs {
    #![expect(dead_code, reason = "only the annotations are read")]

    use super::schemas::{
        BatchRequest, ChatError, ChatRequest, CountRequest, EmbeddingRequest, MessagesError, MessagesRequest,
        ModelRequest, Status, TokenCount,
    };

    /// Answers a conversation in OpenAI's Chat dialect.
    #[utoipa::path(
        post, path = "/v1/chat/completions", tag = "inference", request_body = ChatRequest,
        responses(
            (status = 200, description = "The answer, whole or as events.", content(
                (Value = "application/json"), (String = "text/event-stream")
            )),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
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
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
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
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn anthropic_messages() {}

    /// Counts the tokens of a request in Anthropic's Messages dialect.
    #[utoipa::path(
        post, path = "/v1/messages/count_tokens", tag = "inference", request_body = CountRequest,
        responses(
            (status = 200, description = "The count.", body = TokenCount),
            (status = "default", description = "Why there is none.", body = MessagesError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn count_tokens() {}

    /// The same as `/v1/messages/count_tokens`.
    #[utoipa::path(
        post, path = "/anthropic/v1/messages/count_tokens", tag = "inference", request_body = CountRequest,
        responses(
            (status = 200, description = "The count.", body = TokenCount),
            (status = "default", description = "Why there is none.", body = MessagesError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn anthropic_count_tokens() {}

    /// Lists the models this key can call; in Anthropic's shape for a caller that sends `anthropic-version`.
    #[utoipa::path(
        get, path = "/v1/models", tag = "inference",
        responses(
            (status = 200, description = "The models.", body = Value),
            (status = "default", description = "Why there are none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn models() {}

    /// Lists the models this key can call, in Anthropic's shape.
    #[utoipa::path(
        get, path = "/anthropic/v1/models", tag = "inference",
        responses(
            (status = 200, description = "The models.", body = Value),
            (status = "default", description = "Why there are none.", body = MessagesError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn anthropic_models() {}

    /// Describes a model.
    #[utoipa::path(
        get, path = "/v1/models/{model}", tag = "inference",
        params(("model" = String, Path, description = "Its name; may contain slashes.")),
        responses(
            (status = 200, description = "The model.", body = Value),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn model() {}

    /// Describes a model, in Anthropic's shape.
    #[utoipa::path(
        get, path = "/anthropic/v1/models/{model}", tag = "inference",
        params(("model" = String, Path, description = "Its name; may contain slashes.")),
        responses(
            (status = 200, description = "The model.", body = Value),
            (status = "default", description = "Why there is none.", body = MessagesError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn anthropic_model() {}

    /// Embeds texts; also by upstreams that speak Gemini.
    #[utoipa::path(
        post, path = "/v1/embeddings", tag = "inference", request_body = EmbeddingRequest,
        responses(
            (status = 200, description = "The vectors.", body = Value),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn embeddings() {}

    /// Goes on with a text (legacy).
    #[utoipa::path(
        post, path = "/v1/completions", tag = "inference", request_body = ModelRequest,
        responses(
            (status = 200, description = "The answer, whole or as events.", content((Value = "application/json"), (String = "text/event-stream"))),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn completions() {}

    /// Draws images.
    #[utoipa::path(
        post, path = "/v1/images/generations", tag = "inference", request_body = ModelRequest,
        responses(
            (status = 200, description = "The images, whole or as events.", content((Value = "application/json"), (String = "text/event-stream"))),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn image_generations() {}

    /// Changes an image.
    #[utoipa::path(
        post, path = "/v1/images/edits", tag = "inference", request_body(content = String, content_type = "multipart/form-data", description = "`model` among the fields; passed on while it comes."),
        responses(
            (status = 200, description = "The images, whole or as events.", content((Value = "application/json"), (String = "text/event-stream"))),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn image_edits() {}

    /// Varies an image.
    #[utoipa::path(
        post, path = "/v1/images/variations", tag = "inference", request_body(content = String, content_type = "multipart/form-data", description = "`model` among the fields; passed on while it comes."),
        responses(
            (status = 200, description = "The images.", body = Value),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn image_variations() {}

    /// Speaks a text.
    #[utoipa::path(
        post, path = "/v1/audio/speech", tag = "inference", request_body = ModelRequest,
        responses(
            (status = 200, description = "The sound as it is made, or events.", content((String = "audio/*"), (String = "text/event-stream"))),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn speech() {}

    /// Writes down what is said.
    #[utoipa::path(
        post, path = "/v1/audio/transcriptions", tag = "inference", request_body(content = String, content_type = "multipart/form-data", description = "`model` among the fields; passed on while it comes."),
        responses(
            (status = 200, description = "The text, whole or as events.", content((Value = "application/json"), (String = "text/plain"), (String = "text/event-stream"))),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn transcriptions() {}

    /// Writes down in English what is said.
    #[utoipa::path(
        post, path = "/v1/audio/translations", tag = "inference", request_body(content = String, content_type = "multipart/form-data", description = "`model` among the fields; passed on while it comes."),
        responses(
            (status = 200, description = "The text.", content((Value = "application/json"), (String = "text/plain"))),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn translations() {}

    /// Judges texts and images.
    #[utoipa::path(
        post, path = "/v1/moderations", tag = "inference", request_body = Value,
        responses(
            (status = 200, description = "The judgement.", body = Value),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn moderations() {}

    /// Puts documents in the order of their bearing on a question.
    #[utoipa::path(
        post, path = "/v1/rerank", tag = "inference", request_body = ModelRequest,
        responses(
            (status = 200, description = "The order.", body = Value),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn rerank() {}

    /// The same as `/v1/rerank`.
    #[utoipa::path(
        post, path = "/v2/rerank", tag = "inference", request_body = ModelRequest,
        responses(
            (status = 200, description = "The order.", body = Value),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn rerank_two() {}

    /// Keeps a file at the upstream that is named, or the only one that can.
    #[utoipa::path(
        post, path = "/v1/files", tag = "inference", request_body(content = String, content_type = "multipart/form-data", description = "Passed on while it comes."),
        responses(
            (status = 200, description = "The file.", body = Value),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn create_file() {}

    /// Lists the tenant's own files.
    #[utoipa::path(
        get, path = "/v1/files", tag = "inference",
        responses(
            (status = 200, description = "The list.", body = Value),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn files() {}

    /// Describes a file.
    #[utoipa::path(
        get, path = "/v1/files/{id}", tag = "inference",
        params(("id" = String, Path, description = "The upstream's own id; only its tenant's own are there.")),
        responses(
            (status = 200, description = "The file.", body = Value),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn file() {}

    /// Deletes a file.
    #[utoipa::path(
        delete, path = "/v1/files/{id}", tag = "inference",
        params(("id" = String, Path, description = "The upstream's own id; only its tenant's own are there.")),
        responses(
            (status = 200, description = "That it is gone.", body = Value),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn delete_file() {}

    /// Gives what is in a file.
    #[utoipa::path(
        get, path = "/v1/files/{id}/content", tag = "inference",
        params(("id" = String, Path, description = "The upstream's own id; only its tenant's own are there.")),
        responses(
            (status = 200, description = "The content.", body = String, content_type = "application/octet-stream"),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn file_content() {}

    /// Has the requests in a file of the tenant's own carried out later.
    #[utoipa::path(
        post, path = "/v1/batches", tag = "inference", request_body = BatchRequest,
        responses(
            (status = 200, description = "The batch.", body = Value),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn create_batch() {}

    /// Lists the tenant's own batches.
    #[utoipa::path(
        get, path = "/v1/batches", tag = "inference",
        responses(
            (status = 200, description = "The list.", body = Value),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn batches() {}

    /// Describes a batch.
    #[utoipa::path(
        get, path = "/v1/batches/{id}", tag = "inference",
        params(("id" = String, Path, description = "The upstream's own id; only its tenant's own are there.")),
        responses(
            (status = 200, description = "The batch.", body = Value),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn batch() {}

    /// Ends a batch.
    #[utoipa::path(
        post, path = "/v1/batches/{id}/cancel", tag = "inference",
        params(("id" = String, Path, description = "The upstream's own id; only its tenant's own are there.")),
        responses(
            (status = 200, description = "The batch.", body = Value),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn cancel_batch() {}

    /// Opens a WebSocket to a session with a model.
    #[utoipa::path(
        get, path = "/v1/realtime", tag = "inference",
        params(("model" = String, Query, description = "A model, an alias, or `prefix/model`.")),
        responses(
            (status = 200, description = "Never: a session begins with status 101.", body = Value),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn realtime() {}

    /// Embeds one text, as Gemini's clients ask; also by upstreams that speak OpenAI.
    #[utoipa::path(
        post, path = "/v1beta/models/{model}:embedContent", tag = "inference", request_body = Value,
        params(("model" = String, Path, description = "Its name; may contain slashes.")),
        responses(
            (status = 200, description = "The vector.", body = Value),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn embed_content() {}

    /// Embeds texts, as Gemini's clients ask.
    #[utoipa::path(
        post, path = "/v1beta/models/{model}:batchEmbedContents", tag = "inference", request_body = Value,
        params(("model" = String, Path, description = "Its name; may contain slashes.")),
        responses(
            (status = 200, description = "The vectors.", body = Value),
            (status = "default", description = "Why there is none.", body = ChatError)
        ),
        security(("bearer" = []), ("x-api-key" = []), ("x-goog-api-key" = []), ("key" = []))
    )]
    fn batch_embed_contents() {}

    /// Says whether the process runs.
    #[utoipa::path(
        get, path = "/healthz", tag = "operations",
        responses((status = 200, description = "It runs.", body = Status))
    )]
    fn healthz() {}

    /// Says whether the process takes work.
    #[utoipa::path(
        get, path = "/readyz", tag = "operations",
        responses(
            (status = 200, description = "It does.", body = Status),
            (status = 503, description = "It stops, or its usage spool is full.", body = Status)
        )
    )]
    fn readyz() {}

    /// Tells the numbers, in Prometheus's text format.
    #[utoipa::path(
        get, path = "/metrics", tag = "operations",
        responses(
            (status = 200, description = "The numbers.", body = String, content_type = "text/plain"),
            (status = 401, description = "The operator's secret is wanted.")
        ),
        security((), ("operator" = []))
    )]
    fn metrics() {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::door::Entry;

    #[test]
    fn every_path_of_the_document_is_a_door_that_takes_its_method() {
        let document = Inference::openapi();
        assert_eq!(document.paths.paths.len(), 32);
        for (path, item) in &document.paths.paths {
            let entry = Entry::of(&path.replace("{model}", "a/b").replace("{id}", "a"), "")
                .unwrap_or_else(|| panic!("{path}"));
            let method = if item.post.is_some() { "POST" } else { "GET" };
            assert!(entry.methods().contains(&method), "{path}");
        }
    }
}
