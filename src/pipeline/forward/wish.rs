//! What is asked beside answers: the model, and a body that is here or on its way.

use bytes::Bytes;
use parking_lot::Mutex;

use super::{
    embed,
    upload::{Opened, Upload},
};
use crate::{
    catalog::ModelName,
    dialect::{
        DialectId, Prompt,
        scan::{self, Scan},
    },
    kernel::error::{ErrorKind, GatewayError},
    pipeline::{Inbound, error},
    upstream::Operation,
};

/// A request for an operation that has a model.
pub(super) struct Wish {
    pub operation: Operation,
    pub model: ModelName,
    /// Whether the client waits for events.
    pub streams: bool,
    /// Whether a client of completions asked for usage in the stream.
    pub include_usage: bool,
    pub prompt: Prompt,
    pub body: Body,
}

pub(super) enum Body {
    Json {
        bytes: Bytes,
        scan: Scan,
    },
    /// Taken by the one attempt there can be.
    Upload(Mutex<Option<Opened>>),
}

impl Wish {
    /// Reads a body that is here.
    pub(super) fn held(inbound: &Inbound, operation: Operation) -> Result<Self, GatewayError> {
        let bytes = inbound.body.clone();
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(GatewayError::new(ErrorKind::BadRequest, "the body is empty: send a JSON object"));
        }
        let scan = scan::scan(&bytes).map_err(error::decode)?;
        if scan.duplicates().iter().any(|it| it == "model") && inbound.dialect != DialectId::Gemini {
            let message = "`model` is given twice: give it once";
            return Err(GatewayError::new(ErrorKind::BadRequest, message).at("/model"));
        }
        let named = match &inbound.told.model {
            Some(model) => Some(model.as_str().into()),
            None => scan.string(&bytes, "model").map_err(error::decode)?,
        };
        let model = match (&named, default_model(operation)) {
            (Some(model), _) => model,
            (None, Some(model)) => model,
            (None, None) => {
                return Err(GatewayError::new(ErrorKind::BadRequest, "`model` is missing").at("/model"));
            }
        };
        let model = parse(model)?;
        let sends_events = match operation {
            Operation::Completions
            | Operation::ImageGeneration
            | Operation::ImageEdit
            | Operation::Transcription => {
                scan.bool(&bytes, "stream").map_err(error::decode)?.unwrap_or(false)
            }
            Operation::Speech => {
                scan.string(&bytes, "stream_format").map_err(error::decode)?.as_deref() == Some("sse")
            }
            _ => false,
        };
        let options = scan.nested(&bytes, "stream_options").ok().flatten();
        let include_usage =
            options.and_then(|it| it.bool(&bytes, "include_usage").ok().flatten()).unwrap_or(false);
        let prompt = match operation {
            Operation::Embeddings | Operation::EmbeddingBatch => {
                Prompt::of_embeddings(inbound.dialect, embed::form(inbound.dialect, operation), &bytes)
            }
            _ => Prompt::of_other(&bytes),
        };
        Ok(Self {
            operation,
            model,
            streams: sends_events,
            include_usage,
            prompt,
            body: Body::Json { bytes, scan },
        })
    }

    /// Reads as much of a body on its way as is needed to know its model.
    pub(super) async fn on_its_way(
        operation: Operation,
        upload: Upload,
        limit: usize,
    ) -> Result<Self, GatewayError> {
        let opened = Opened::read(upload, limit).await?;
        Ok(Self {
            operation,
            model: parse(opened.model())?,
            streams: false,
            include_usage: false,
            prompt: Prompt::default(),
            body: Body::Upload(Mutex::new(Some(opened))),
        })
    }
}

fn parse(model: &str) -> Result<ModelName, GatewayError> {
    ModelName::parse(model)
        .map_err(|it| GatewayError::new(ErrorKind::BadRequest, it.to_string()).at("/model"))
}

/// What `OpenAI` takes for a model that is not named (its SDK's documentation of the field).
const fn default_model(operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::Moderation => Some("omni-moderation-latest"),
        Operation::ImageGeneration | Operation::ImageEdit | Operation::ImageVariation => Some("dall-e-2"),
        _ => None,
    }
}
