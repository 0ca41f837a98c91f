//! The inference paths as OpenAPI: functions that are never called, whose annotations say what the doors do.

mod answers;
mod around;
mod operations;
mod schemas;

use utoipa::{
    Modify, OpenApi,
    openapi::{
        Header, RefOr, Response,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
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
        answers::chat_completions,
        answers::messages,
        answers::anthropic_messages,
        answers::count_tokens,
        answers::anthropic_count_tokens,
        answers::responses,
        answers::compact,
        answers::input_tokens,
        answers::stored_response,
        answers::forget_response,
        answers::input_items,
        answers::cancel_response,
        answers::generate_content,
        answers::stream_generate_content,
        answers::gemini_count_tokens,
        answers::gemini_models,
        answers::gemini_model,
        answers::models,
        answers::anthropic_models,
        answers::model,
        answers::anthropic_model,
        around::embeddings,
        around::completions,
        around::image_generations,
        around::image_edits,
        around::image_variations,
        around::speech,
        around::transcriptions,
        around::translations,
        around::moderations,
        around::rerank,
        around::rerank_two,
        around::create_file,
        around::files,
        around::file,
        around::delete_file,
        around::file_content,
        around::create_batch,
        around::batches,
        around::batch,
        around::cancel_batch,
        around::realtime,
        around::embed_content,
        around::batch_embed_contents,
        operations::healthz,
        operations::readyz,
        operations::metrics
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

/// What all inference paths have: a tenant's key is wanted, in any of its forms, and every answer has the headers of
/// `HEADERS`.
struct Trail;

impl Modify for Trail {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for item in document.paths.paths.values_mut() {
            for operation in [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten() {
                if operation.tags.iter().flatten().any(|it| it == "inference") {
                    let forms = ["bearer", "x-api-key", "x-goog-api-key", "key"];
                    let wanted = forms.map(|it| SecurityRequirement::new(it, Vec::<String>::new()));
                    operation.security = Some(wanted.into());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::door::Entry;

    #[test]
    fn every_path_of_the_document_is_a_door_that_takes_its_method() {
        let document = Inference::openapi();
        assert_eq!(document.paths.paths.len(), 43);
        for (path, item) in &document.paths.paths {
            let entry = Entry::of(&path.replace("{model}", "a/b").replace("{id}", "a"), "")
                .unwrap_or_else(|| panic!("{path}"));
            for (method, told) in [("GET", &item.get), ("POST", &item.post), ("DELETE", &item.delete)] {
                let opens = entry.methods().contains(&method);
                assert!(opens || told.is_none(), "{method} {path}");
                // The same page under two names is described once.
                assert!(
                    !opens || told.is_some() || path.ends_with("health"),
                    "{method} {path} is not told of"
                );
            }
        }
    }
}
