//! Parts, and what functions gave.

use serde_json::{Map, Value, json};

use super::{
    super::{super::ID, decode::note, results},
    Called, Writer,
    talk::{Written, is_noted},
};
use crate::dialect::{
    EncodeError, Severity,
    canonical::{Citation, OpaqueState, Part, PartKind, StateKind, ToolCall, ToolResult, media},
    foreign,
};

/// What a function gave that gave nothing but media.
const ATTACHED: &str = "see the attached media";

type Fields = Map<String, Value>;

fn fields(value: Value) -> Fields {
    match value {
        Value::Object(map) => map,
        _ => Fields::new(),
    }
}

impl Writer<'_> {
    /// Writes a part. `at`: where it stood in the client's request.
    pub(super) fn part(&mut self, part: &Part, at: &str) -> Result<Written, EncodeError> {
        let mut written = match &part.kind {
            PartKind::Text { text, citations } => self.text(text, citations, part.state.is_some(), at),
            PartKind::Refusal { text } => self.text(text, &[], false, at),
            PartKind::Reasoning { text, state } => self.reasoning(part, text, state.as_ref(), at),
            PartKind::ToolCall(call) => vec![self.call(part, call, at)],
            PartKind::ToolResult(result) => return self.result(part, result, at),
            PartKind::Media(media) => self.media(media, is_noted(&part.extra, "named"), at)?,
            PartKind::ServerTool { dialect, raw, .. } | PartKind::Opaque { dialect, raw } => {
                if *dialect == ID && raw.get("groundingMetadata").is_some() {
                    self.drop(at, Severity::Cosmetic, "the sources of an answer are no part of a history");
                    return Ok(Written::Parts(Vec::new()));
                }
                if *dialect == ID {
                    let mut raw = raw.clone();
                    if let (Value::Object(fields), Some(state)) = (&mut raw, part.state.as_ref()) {
                        self.state(Some(state), fields, at);
                    }
                    return Ok(Written::Parts(vec![raw]));
                }
                let reason = format!("only {} knows this part", dialect.name());
                self.drop(at, foreign::severity(*dialect, raw), reason);
                Vec::new()
            }
        };
        match written.first_mut() {
            Some(first) => {
                self.state(part.state.as_ref(), first, at);
                self.extra(&part.extra, first);
            }
            None => part.extra.lose(&mut self.losses),
        }
        Ok(Written::Parts(written.into_iter().map(Value::Object).collect()))
    }

    /// An empty text says nothing: it is left out, unless a signature rides on it.
    fn text(&mut self, text: &str, citations: &[Citation], signed: bool, at: &str) -> Vec<Fields> {
        if !citations.is_empty() {
            self.drop(at, Severity::Cosmetic, "the dialect has no citations in a history");
        }
        if text.is_empty() && !signed {
            return Vec::new();
        }
        vec![fields(json!({"text": text}))]
    }

    /// Thoughts go back to their maker: what is another's is left out, its text too.
    fn reasoning(&mut self, part: &Part, text: &str, state: Option<&OpaqueState>, at: &str) -> Vec<Fields> {
        let own =
            state.is_some_and(|it| it.dialect == ID) || (state.is_none() && is_noted(&part.extra, "thought"));
        if !own || (text.is_empty() && state.is_none()) {
            self.drop(at, Severity::Cosmetic, "a thought that is not of this dialect's making");
            return Vec::new();
        }
        let mut written = fields(json!({"text": text, "thought": true}));
        self.state(state, &mut written, at);
        vec![written]
    }

    /// Puts a signature on its part. Google refuses one that is no base64.
    fn state(&mut self, state: Option<&OpaqueState>, written: &mut Fields, at: &str) {
        let Some(state) = state else { return };
        let readable =
            state.kind == StateKind::ThoughtSignature && media::normalize_base64(&state.data).is_some();
        if state.dialect == ID && readable {
            written.insert("thoughtSignature".to_owned(), json!(state.data));
        } else {
            self.drop(at, Severity::Cosmetic, "a signature that is not of this dialect's making");
        }
    }

    fn call(&mut self, part: &Part, call: &ToolCall, at: &str) -> Fields {
        let arguments = if call.custom {
            Some(fields(json!({"input": call.arguments.0})))
        } else {
            let (arguments, whole) = call.arguments.to_object();
            if !whole {
                let reason = "the arguments are no object and were wrapped in one";
                self.approximate(at, Severity::Semantic, reason);
            }
            (!call.arguments.0.is_empty()).then_some(arguments)
        };
        let name = self.names.wire(&call.name).to_owned();
        let has_id = self.abilities.call_ids && !is_noted(&part.extra, "id");
        let mut written = Fields::new();
        if has_id {
            written.insert("id".to_owned(), json!(call.id));
        }
        written.insert("name".to_owned(), json!(name));
        if let Some(arguments) = arguments {
            written.insert("args".to_owned(), Value::Object(arguments));
        }
        let order = self.calls.len();
        self.calls.insert(call.id.clone(), Called { name, order, has_id });
        fields(json!({"functionCall": written}))
    }

    fn result(&mut self, part: &Part, result: &ToolResult, at: &str) -> Result<Written, EncodeError> {
        let mut texts = Vec::new();
        let (mut within, mut beside) = (Vec::new(), Vec::new());
        // What a client of this dialect wrote stays as it is.
        let unwrapped =
            if is_noted(&part.extra, "name") { None } else { foreign::stringified(&result.content) };
        let content = unwrapped.as_deref().unwrap_or(&result.content);
        for (index, it) in content.iter().enumerate() {
            let at = if result.plain { at.to_owned() } else { format!("{at}/content/{index}") };
            match &it.kind {
                PartKind::Text { text, .. } => {
                    it.extra.lose(&mut self.losses);
                    texts.push(text.as_str());
                }
                PartKind::ToolResult(_) => self.drop(at, Severity::Semantic, "a result within a result"),
                _ => {
                    let Written::Parts(parts) = self.part(it, &at)? else { continue };
                    let inside =
                        |it: &Value| self.abilities.tool_result_media && it.get("inlineData").is_some();
                    let (inner, outer): (Vec<Value>, Vec<Value>) = parts.into_iter().partition(inside);
                    if !outer.is_empty() {
                        self.approximate(
                            &at,
                            Severity::Cosmetic,
                            "media of a result stands beside the result",
                        );
                    }
                    within.extend(inner);
                    beside.extend(outer);
                }
            }
        }
        let called = self.calls.get(&result.call_id);
        let mut response = Fields::new();
        if called.is_some_and(|it| it.has_id) {
            response.insert("id".to_owned(), json!(result.call_id));
        }
        response.insert("name".to_owned(), json!(called.map_or("", |it| it.name.as_str())));
        let order = called.map_or(usize::MAX, |it| it.order);
        let attached = texts.is_empty() && !(within.is_empty() && beside.is_empty());
        let text = if attached { ATTACHED.to_owned() } else { texts.join("\n") };
        let given = results::Given { text, failed: result.is_error == Some(true) };
        response.insert("response".to_owned(), Value::Object(as_written(part, &given)));
        if !within.is_empty() {
            response.insert("parts".to_owned(), Value::Array(within));
        }
        let mut written = fields(json!({"functionResponse": response}));
        self.state(part.state.as_ref(), &mut written, at);
        self.extra(&part.extra, &mut written);
        Ok(Written::Result { order, response: Value::Object(written), beside })
    }
}

/// The object the client of this dialect wrote, if it still says what was given; else one made anew.
fn as_written(part: &Part, given: &results::Given) -> Fields {
    let text = |key: &str| note(&part.extra, key);
    let name = text("name").and_then(Value::as_str).unwrap_or_default();
    match text("response") {
        Some(Value::Object(own)) if results::read(own, name) == *given => own.clone(),
        _ => results::write(given),
    }
}
