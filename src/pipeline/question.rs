//! What is asked: the few fields routing needs, read in one pass; the rest only if it must be translated.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{ReplyForm, Told, error};
use crate::{
    catalog::{Abilities, ModelName},
    dialect::{
        ChatRequest, DecodeError, DialectId, Pieces,
        beside::Lightened,
        canonical::Namespaced,
        places::Places,
        scan::{self, Scan, ValueKind},
        schema, state, verbatim,
    },
    kernel::error::{ErrorKind, GatewayError},
    upstream::Operation,
};

/// A request's body, looked at.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Question {
    pub dialect: DialectId,
    pub body: Bytes,
    pub scan: Scan,
    pub model: ModelName,
    pub stream: bool,
    /// Whether a Chat client asked for usage in the stream.
    pub include_usage: bool,
    /// The dialect the body is written in: not the client's own if it wrote Chat to the door of Responses, or the reverse.
    written: DialectId,
    told: Told,
    /// Whether the conversation is to be made short, not answered.
    pub compacts: bool,
    /// Why no other dialect's upstream can do this, if none can.
    pub openai_only: Option<GatewayError>,
    /// What the answer repeats of the question beside what is in the body.
    told_back: Map<String, Value>,
    /// Whether state that was sealed for this client may be in its history. Chat's clients carry none.
    may_hold_carriers: bool,
    /// The body without its long media, for translators.
    light: OnceLock<Lightened>,
    decoded: OnceLock<ChatRequest>,
}

impl Question {
    /// Reads a body; the error names the field that is wrong.
    pub fn read(dialect: DialectId, body: &Bytes, told: &Told) -> Result<Self, GatewayError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(GatewayError::new(ErrorKind::BadRequest, "the body is empty: send a JSON object"));
        }
        let scan = scan::scan(body).map_err(error::decode)?;
        if scan.duplicates().iter().any(|it| it == "model") {
            let message = "`model` is given twice: give it once";
            return Err(GatewayError::new(ErrorKind::BadRequest, message).at("/model"));
        }
        let written = written(dialect, &scan);
        let model = match &told.model {
            Some(model) => {
                check_same_model(model, &scan, body)?;
                model.as_str().into()
            }
            None => scan.string(body, "model").map_err(error::decode)?.ok_or_else(|| missing("model"))?,
        };
        let model = ModelName::parse(&model)
            .map_err(|it| GatewayError::new(ErrorKind::BadRequest, it.to_string()).at("/model"))?;
        let stream = match told.stream {
            Some(stream) => stream,
            None => scan.bool(body, "stream").map_err(error::decode)?.unwrap_or(false),
        };
        check_turns(written, &scan, body)?;
        check_kinds(written, &scan).map_err(error::decode)?;
        let include_usage = stream
            && written == DialectId::OpenaiChat
            && scan
                .nested(body, "stream_options")
                .map_err(error::decode)?
                .map(|options| options.bool(body, "include_usage"))
                .transpose()
                .map_err(error::decode)?
                .flatten()
                .unwrap_or(false);
        Ok(Self {
            dialect,
            body: body.clone(),
            scan,
            model,
            stream,
            include_usage,
            written,
            told: told.clone(),
            compacts: false,
            openai_only: None,
            told_back: Map::new(),
            may_hold_carriers: dialect != DialectId::OpenaiChat && state::may_hold_carriers(body),
            light: OnceLock::new(),
            decoded: OnceLock::new(),
        })
    }

    /// What the answer's body will be.
    pub fn form(&self) -> ReplyForm {
        match (self.stream, self.told.json_array) {
            (false, _) => ReplyForm::Json,
            (true, false) => ReplyForm::Events,
            (true, true) => ReplyForm::JsonArray,
        }
    }

    /// That a request for an answer says how long it may be, where the dialect wants that. A count of tokens need not.
    pub fn check_limit(&self) -> Result<(), GatewayError> {
        if self.written != DialectId::AnthropicMessages {
            return Ok(());
        }
        if self.scan.count(&self.body, "max_tokens").map_err(error::decode)?.is_some() {
            return Ok(());
        }
        let message = "`max_tokens` is missing: say how many tokens the answer may have at most";
        Err(GatewayError::new(ErrorKind::BadRequest, message).at("/max_tokens"))
    }

    /// Whether the body can go to an upstream of its own dialect as it is.
    pub fn is_verbatim(&self) -> bool {
        self.written == self.dialect
            && !self.told.json_array
            && !self.may_hold_carriers
            && (self.told.model.is_none() || self.scan.field("model").is_none())
            && !verbatim::needs_canonical(&self.scan)
    }

    /// Whether a model of its own dialect takes the body, and its client the answer, as they are: schemas that the model
    /// refuses are put right, and an answer with its reasoning in the text is taken apart.
    pub fn passes(&self, abilities: &Abilities) -> bool {
        if self.dialect == DialectId::OpenaiChat && abilities.think_tags {
            return false;
        }
        let may_hold_schemas = ["tools", "functions", "response_format", "text", "output_config"]
            .iter()
            .any(|it| self.scan.span(it).is_some());
        // What cannot be read is its upstream's to judge.
        !may_hold_schemas
            || !schema::is_picky(abilities)
            || self.decoded().map_or(true, |it| schema::fits(it, abilities))
    }

    /// The whole request, decoded once. Its long media lie beside: what is made of it goes through [`Self::restored`].
    pub fn decoded(&self) -> Result<&ChatRequest, GatewayError> {
        if let Some(it) = self.decoded.get() {
            return Ok(it);
        }
        let light = self.light();
        let mut request = self.written.server().decode_request(light.body()).map_err(error::decode)?;
        request.model = self.model.clone();
        request.stream.enabled = self.stream;
        Ok(self.decoded.get_or_init(|| request))
    }

    /// A body made of the decoded request, its long media put back.
    pub fn restored(&self, written: Bytes) -> Pieces {
        self.light().restore(written)
    }

    /// Where in the client's words things stand.
    pub(super) fn places(&self) -> Places {
        Places::of(self.written, self.light().body())
    }

    fn light(&self) -> &Lightened {
        self.light.get_or_init(|| Lightened::of(&self.body))
    }

    /// The fields that the answer repeats.
    pub fn echo(&self) -> Arc<Map<String, Value>> {
        let mut echo = self.dialect.server().echo(&self.body);
        for (name, value) in &self.told_back {
            echo.insert(name.clone(), value.clone());
        }
        Arc::new(echo)
    }

    /// Whether it goes on from an answer that its upstream does not know.
    pub fn is_continued(&self) -> bool {
        self.told_back.contains_key("previous_response_id")
    }

    /// The dialect the body is written in.
    pub fn written(&self) -> DialectId {
        self.written
    }

    /// What is asked of an upstream, which answers as a stream or not.
    pub fn operation(&self, streams: bool) -> Operation {
        match (self.compacts, streams) {
            (true, _) => Operation::Compact,
            (false, true) => Operation::Stream,
            (false, false) => Operation::Generate,
        }
    }

    /// The same question with another body.
    pub fn with_body(&self, body: &Map<String, Value>) -> Result<Self, GatewayError> {
        let body = serde_json::to_vec(body).expect("JSON is written as JSON");
        Self::read(self.dialect, &body.into(), &self.told)
    }

    /// Has the answer say (Responses) what it goes on from, and whether it is kept.
    pub fn tell_of_keeping(&mut self, previous: Option<String>, is_kept: bool) {
        if let Some(previous) = previous {
            self.told_back.insert("previous_response_id".to_owned(), previous.into());
        }
        self.told_back.insert("store".to_owned(), is_kept.into());
    }

    /// Tools that the client keeps in namespaces, by the flat names everyone else knows.
    pub fn namespaced(&self) -> Arc<HashMap<String, Namespaced>> {
        let tools = self.decoded().map(|it| it.tools.as_slice()).unwrap_or_default();
        let in_namespaces = tools.iter().filter_map(|it| Some((it.name.clone(), it.namespaced.clone()?)));
        Arc::new(in_namespaces.collect())
    }
}

/// Whether a request wants a stream, as far as its body can be read.
pub fn is_stream_asked(body: &[u8], told: &Told) -> bool {
    told.stream.unwrap_or_else(|| {
        scan::scan(body).ok().and_then(|it| it.bool(body, "stream").ok().flatten()).unwrap_or(false)
    })
}

/// That a body does not name another model than its path.
fn check_same_model(told: &str, scan: &Scan, body: &[u8]) -> Result<(), GatewayError> {
    let named = scan.string(body, "model").map_err(error::decode)?;
    match named.as_deref().map(|it| it.strip_prefix("models/").unwrap_or(it)) {
        Some(named) if named != told => {
            let message = "`model` is another one than the path's: leave it out";
            Err(GatewayError::new(ErrorKind::BadRequest, message).at("/model"))
        }
        _ => Ok(()),
    }
}

/// Which dialect a body is written in: some clients send Chat's `messages` to Responses, or Responses' `input` to Chat.
/// Only where it cannot be mistaken.
fn written(dialect: DialectId, scan: &Scan) -> DialectId {
    let has = |name: &str| scan.kind(name).is_some_and(|it| it != ValueKind::Null);
    match dialect {
        DialectId::OpenaiChat if has("input") && !has("messages") => DialectId::OpenaiResponses,
        DialectId::OpenaiResponses
            if scan.kind("messages") == Some(ValueKind::Array)
                && !["input", "instructions", "previous_response_id", "conversation", "prompt"]
                    .into_iter()
                    .any(has) =>
        {
            DialectId::OpenaiChat
        }
        it => it,
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
        DialectId::OpenaiResponses => {
            scan.expect("max_output_tokens", &[ValueKind::Number])?;
            scan.expect("instructions", &[ValueKind::String, ValueKind::Array])?;
            scan.expect("reasoning", &[ValueKind::Object])?;
            scan.expect("text", &[ValueKind::Object])?;
            scan.expect("include", &[ValueKind::Array])
        }
        DialectId::Gemini => {
            scan.expect("generationConfig", &[ValueKind::Object])?;
            scan.expect("generation_config", &[ValueKind::Object])
        }
    }
}

fn missing(field: &str) -> GatewayError {
    GatewayError::new(ErrorKind::BadRequest, format!("`{field}` is missing")).at(format!("/{field}"))
}

/// Every dialect has a list of turns with something in it. Responses takes a text too, and nothing where it goes on.
fn check_turns(dialect: DialectId, scan: &Scan, body: &[u8]) -> Result<(), GatewayError> {
    let name = match dialect {
        DialectId::OpenaiChat | DialectId::AnthropicMessages => "messages",
        DialectId::Gemini => "contents",
        DialectId::OpenaiResponses => return check_input(scan),
    };
    match scan.kind(name) {
        None | Some(ValueKind::Null) => Err(missing(name)),
        Some(ValueKind::Array) => {
            let empty = scan.span(name).is_some_and(|it| body[it].iter().all(|it| b"[] \t\r\n".contains(it)));
            if empty {
                let message = format!("`{name}` must have at least one message");
                return Err(GatewayError::new(ErrorKind::BadRequest, message).at(format!("/{name}")));
            }
            Ok(())
        }
        // Protobuf's JSON takes one turn for a list of one.
        Some(ValueKind::Object) if dialect == DialectId::Gemini => Ok(()),
        Some(_) => {
            let message = format!("`{name}` must be an array");
            Err(GatewayError::new(ErrorKind::BadRequest, message).at(format!("/{name}")))
        }
    }
}

fn check_input(scan: &Scan) -> Result<(), GatewayError> {
    let has = |name: &str| scan.kind(name).is_some_and(|it| it != ValueKind::Null);
    match scan.kind("input") {
        Some(ValueKind::String | ValueKind::Array) => Ok(()),
        None | Some(ValueKind::Null)
            if ["previous_response_id", "conversation", "prompt", "instructions"].into_iter().any(has) =>
        {
            Ok(())
        }
        None | Some(ValueKind::Null) => Err(missing("input")),
        Some(_) => {
            let message = "`input` must be a string or an array";
            Err(GatewayError::new(ErrorKind::BadRequest, message).at("/input"))
        }
    }
}
