//! OpenAI's own API by its Responses interface, called with an API key; and whoever offers the same at another base URL.

use super::openai::{API, others_and};
use crate::{
    dialect::DialectId,
    upstream::kind::{Operation, Paths, UpstreamKind},
};

pub static OPENAI_RESPONSES: UpstreamKind = UpstreamKind {
    name: "openai-responses",
    paths: Paths {
        generate: "/responses",
        stream: None,
        count_tokens: Some("/responses/input_tokens"),
        models: Some("/models"),
        others: &others_and((Operation::Compact, "/responses/compact")),
    },
    dialect: |_| DialectId::OpenaiResponses,
    ..API
};
