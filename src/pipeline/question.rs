//! What is asked: the few fields routing needs, read in one pass; the rest only if it must be translated.

use std::sync::OnceLock;

use bytes::Bytes;

use super::error;
use crate::{
    catalog::ModelName,
    dialect::{
        ChatRequest, DecodeError, DialectId,
        scan::{self, Scan, ValueKind},
        verbatim,
    },
    kernel::error::{ErrorKind, GatewayError},
};

/// A request's body, looked at.
#[derive(Debug)]
pub struct Question {
    pub dialect: DialectId,
    pub body: Bytes,
    pub scan: Scan,
    pub model: ModelName,
    pub stream: bool,
    /// Whether a Chat client asked for usage in the stream.
    pub include_usage: bool,
    decoded: OnceLock<ChatRequest>,
}

impl Question {
    /// Reads a body; the error names the field that is wrong.
    pub fn read(dialect: DialectId, body: &Bytes) -> Result<Self, GatewayError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(GatewayError::new(ErrorKind::BadRequest, "the body is empty: send a JSON object"));
        }
        let scan = scan::scan(body).map_err(error::decode)?;
        if scan.duplicates().iter().any(|it| it == "model") {
            let message = "`model` is given twice: give it once";
            return Err(GatewayError::new(ErrorKind::BadRequest, message).at("/model"));
        }
        let model = scan.string(body, "model").map_err(error::decode)?.ok_or_else(|| missing("model"))?;
        let model = ModelName::parse(&model)
            .map_err(|it| GatewayError::new(ErrorKind::BadRequest, it.to_string()).at("/model"))?;
        let stream = scan.bool(body, "stream").map_err(error::decode)?.unwrap_or(false);
        check_messages(&scan, body)?;
        check_kinds(dialect, &scan).map_err(error::decode)?;
        let include_usage = stream
            && dialect == DialectId::OpenaiChat
            && scan
                .nested(body, "stream_options")
                .map_err(error::decode)?
                .map(|options| options.bool(body, "include_usage"))
                .transpose()
                .map_err(error::decode)?
                .flatten()
                .unwrap_or(false);
        Ok(Self { dialect, body: body.clone(), scan, model, stream, include_usage, decoded: OnceLock::new() })
    }

    /// That a request for an answer says how long it may be, where the dialect wants that. A count of tokens need not.
    pub fn check_limit(&self) -> Result<(), GatewayError> {
        if self.dialect != DialectId::AnthropicMessages {
            return Ok(());
        }
        match self.scan.count(&self.body, "max_tokens").map_err(error::decode)? {
            Some(_) => Ok(()),
            None => {
                let message = "`max_tokens` is missing: say how many tokens the answer may have at most";
                Err(GatewayError::new(ErrorKind::BadRequest, message).at("/max_tokens"))
            }
        }
    }

    /// Whether the body can go to an upstream of its own dialect as it is.
    pub fn is_verbatim(&self) -> bool {
        !verbatim::needs_canonical(&self.scan)
    }

    /// The whole request, decoded once.
    pub fn decoded(&self) -> Result<&ChatRequest, GatewayError> {
        if let Some(it) = self.decoded.get() {
            return Ok(it);
        }
        let request = self.dialect.server().decode_request(&self.body).map_err(error::decode)?;
        Ok(self.decoded.get_or_init(|| request))
    }
}

/// The kinds of well-known fields: cheaper to say here than to learn from an upstream, and the same in both lanes.
/// Values are the upstream's to judge: some take a `max_tokens` of -1.
fn check_kinds(dialect: DialectId, scan: &Scan) -> Result<(), DecodeError> {
    for name in ["temperature", "top_p", "top_k", "max_tokens"] {
        scan.expect(name, &[ValueKind::Number])?;
    }
    scan.expect("tools", &[ValueKind::Array])?;
    match dialect {
        DialectId::OpenaiChat => {
            scan.expect("max_completion_tokens", &[ValueKind::Number])?;
            scan.expect("n", &[ValueKind::Number])?;
            scan.expect("stop", &[ValueKind::String, ValueKind::Array])?;
            scan.expect("stream_options", &[ValueKind::Object])
        }
        DialectId::AnthropicMessages => scan.expect("stop_sequences", &[ValueKind::Array]),
    }
}

fn missing(field: &str) -> GatewayError {
    GatewayError::new(ErrorKind::BadRequest, format!("`{field}` is missing")).at(format!("/{field}"))
}

/// Every dialect we answer so far has `messages`, a list with something in it.
fn check_messages(scan: &Scan, body: &[u8]) -> Result<(), GatewayError> {
    match scan.kind("messages") {
        None | Some(ValueKind::Null) => Err(missing("messages")),
        Some(ValueKind::Array) => {
            let empty =
                scan.span("messages").is_some_and(|it| body[it].iter().all(|it| b"[] \t\r\n".contains(it)));
            if empty {
                let message = "`messages` must have at least one message";
                return Err(GatewayError::new(ErrorKind::BadRequest, message).at("/messages"));
            }
            Ok(())
        }
        Some(_) => {
            Err(GatewayError::new(ErrorKind::BadRequest, "`messages` must be an array").at("/messages"))
        }
    }
}
