//! Embeddings: as they are to an upstream of the client's dialect, else through their canonical form.

use bytes::Bytes;

use super::wish::Wish;
use crate::{
    dialect::{
        DialectId, Loss, count,
        embedding::{self, EmbeddingRequest, Form},
        scan::Scan,
        verbatim,
    },
    pipeline::{attempt::Failed, error},
    routing::Target,
    upstream::{Next, Operation, Upstream},
};

/// A request in an upstream's words, and the way home.
pub(super) struct Said {
    pub operation: Operation,
    pub body: Bytes,
    pub losses: Vec<Loss>,
    pub way: Way,
}

/// How the answer comes home.
pub(super) enum Way {
    AsItIs,
    Translated { request: EmbeddingRequest, form: Form, client: DialectId, upstream: DialectId },
}

/// Whether the upstream can be asked at all.
pub(super) fn suits(upstream: &Upstream, operation: Operation) -> bool {
    upstream.has(operation) || (operation == Operation::EmbedContent && upstream.has(Operation::Embeddings))
}

/// Says what is to be embedded.
pub(super) fn say(
    client: DialectId,
    wish: &Wish,
    body: &Bytes,
    scan: &Scan,
    upstream: &Upstream,
    target: &Target,
) -> Result<Said, Failed> {
    let form = if wish.operation == Operation::EmbedContent { Form::One } else { Form::Many };
    let dialect = upstream.dialect(&target.model);
    let model = target.model.as_str();
    let bad = |it| Failed::here(error::decode(it), Next::GiveUp);
    let same = |operation, body| Said { operation, body, losses: Vec::new(), way: Way::AsItIs };
    match (client, dialect) {
        (DialectId::Gemini, DialectId::Gemini) if upstream.has(wish.operation) => {
            return embedding::gemini::rename(form, body, model)
                .map(|body| same(wish.operation, body))
                .map_err(bad);
        }
        (DialectId::Gemini, DialectId::Gemini) => {
            // An upstream that has the batch alone is asked for a batch of one.
            let request = embedding::decode_request(client, form, body).map_err(bad)?;
            let body = embedding::gemini::batch_of_one(body, model).map_err(bad)?;
            let way = Way::Translated { request, form, client, upstream: dialect };
            return Ok(Said { operation: Operation::Embeddings, body, losses: Vec::new(), way });
        }
        (DialectId::Gemini, _) | (_, DialectId::Gemini) => {}
        _ => return Ok(same(Operation::Embeddings, verbatim::rename(body, scan, &target.model))),
    }
    let request = embedding::decode_request(client, form, body).map_err(bad)?;
    let (body, losses) = embedding::encode_request(dialect, &request, model)
        .map_err(|it| Failed::here(error::encode(it), Next::NextTarget))?;
    let way = Way::Translated { request, form, client, upstream: dialect };
    Ok(Said { operation: Operation::Embeddings, body, losses, way })
}

impl Way {
    /// Brings an answer home.
    pub(super) fn home(&self, body: Bytes, model: &str) -> Result<Bytes, crate::dialect::DecodeError> {
        let Self::Translated { request, form, client, upstream } = self else { return Ok(body) };
        let response = embedding::decode_response(*upstream, &body)?;
        if response.vectors.len() != request.inputs.len() {
            let message =
                format!("{} embeddings came for {} inputs", response.vectors.len(), request.inputs.len());
            return Err(crate::dialect::DecodeError::new("", message));
        }
        let estimate = count::estimate_text(request.text_bytes());
        embedding::encode_response(*client, *form, &response, request, model, estimate)
    }
}
