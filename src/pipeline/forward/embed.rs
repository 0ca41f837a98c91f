//! Embeddings: as they are to an upstream of the client's dialect, else through their canonical form.

use bytes::Bytes;

use super::wish::Wish;
use crate::{
    dialect::{
        DecodeError, DialectId, Loss, Pieces,
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
    pub body: Pieces,
    pub losses: Vec<Loss>,
    pub way: Way,
}

/// How the answer comes home.
pub(super) enum Way {
    AsItIs,
    Translated { request: EmbeddingRequest, form: Form, client: DialectId, upstream: DialectId },
}

/// What an upstream is asked: Gemini has one call for one text and another for many.
fn operation(client: DialectId, asked: Operation, upstream: DialectId) -> Operation {
    match (upstream, form(client, asked)) {
        (DialectId::Gemini, Form::Many) => Operation::EmbeddingBatch,
        _ => Operation::Embeddings,
    }
}

pub(super) fn form(client: DialectId, asked: Operation) -> Form {
    if client == DialectId::Gemini && asked == Operation::Embeddings { Form::One } else { Form::Many }
}

/// Whether the upstream can be asked at all.
pub(super) fn suits(upstream: &Upstream, target: &Target, client: DialectId, asked: Operation) -> bool {
    match asked {
        Operation::Embeddings | Operation::EmbeddingBatch => {
            upstream.has(operation(client, asked, upstream.dialect(&target.model)))
        }
        other => upstream.has(other),
    }
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
    let form = form(client, wish.operation);
    let dialect = upstream.dialect(&target.model);
    let operation = operation(client, wish.operation, dialect);
    let model = target.model.as_str();
    let bad = |it| Failed::here(error::decode(it), Next::GiveUp);
    let same = |body: Pieces| Said { operation, body, losses: Vec::new(), way: Way::AsItIs };
    match (client, dialect) {
        (DialectId::Gemini, DialectId::Gemini) => {
            return embedding::gemini::rename(form, body, model).map(|it| same(it.into())).map_err(bad);
        }
        (DialectId::Gemini, _) | (_, DialectId::Gemini) => {}
        _ => return Ok(same(verbatim::rename(body, scan, &target.model))),
    }
    let request = embedding::decode_request(client, form, body).map_err(bad)?;
    let (body, losses) = embedding::encode_request(dialect, &request, model)
        .map_err(|it| Failed::here(error::encode(it), Next::NextTarget))?;
    Ok(Said {
        operation,
        body: body.into(),
        losses,
        way: Way::Translated { request, form, client, upstream: dialect },
    })
}

impl Way {
    /// Brings an answer home; `count` counts what was asked, for an upstream that did not.
    pub(super) fn home(
        &self,
        body: Bytes,
        model: &str,
        count: impl FnOnce() -> u64,
    ) -> Result<Bytes, DecodeError> {
        let Self::Translated { request, form, client, upstream } = self else { return Ok(body) };
        let response = embedding::decode_response(*upstream, &body)?;
        if response.vectors.len() != request.inputs.len() {
            let message =
                format!("{} embeddings came for {} inputs", response.vectors.len(), request.inputs.len());
            return Err(DecodeError::new("", message));
        }
        let asked = response.usage.input.unwrap_or_else(count);
        embedding::encode_response(*client, *form, &response, request, model, asked)
    }
}
