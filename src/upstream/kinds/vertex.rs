//! Gemini on Vertex AI: in a project and a location with an account, or with an API key (express mode).

use super::gemini;
use crate::upstream::kind::{AuthScheme, Envelope, Paths, UpstreamKind, Version};

/// Called with the JSON of a service account, or of a login (`gcloud auth application-default login`).
pub static VERTEX: UpstreamKind = UpstreamKind {
    name: "vertex",
    default_base_url: Some("https://{location}-aiplatform.googleapis.com"),
    version: Version::IfBare("/v1/projects/{project}/locations/{location}/publishers/google"),
    auth: AuthScheme::GoogleToken,
    ..VERTEX_AI
};

/// Express mode: no project and no location in the path.
pub static VERTEX_API_KEY: UpstreamKind = UpstreamKind {
    name: "vertex-api-key",
    default_base_url: Some("https://aiplatform.googleapis.com"),
    version: Version::IfBare("/v1/publishers/google"),
    ..VERTEX_AI
};

/// Vertex lists the whole Model Garden if asked for its models, and has embeddings in another form.
const VERTEX_AI: UpstreamKind = UpstreamKind {
    provider: "gcp.vertex_ai",
    paths: Paths { models: None, others: &[], ..gemini::API.paths },
    envelope: Envelope::WithoutCallIds,
    // Which of the throughputs that were bought is used.
    client_headers: &[
        "x-server-timeout",
        "x-vertex-ai-llm-request-type",
        "x-vertex-ai-llm-shared-request-type",
    ],
    ..gemini::API
};
