//! What a request says, piece by piece: so that two requests can be compared however their turns are arranged.
//!
//! Cache marks are left out: they change what an answer costs and not what it says, and may go without a note.

use std::collections::HashMap;

use dragoman::dialect::{
    ChatRequest, Loss,
    canonical::{
        Builtin, Extra, Media, MediaSource, OutputFormat, Part, PartKind, ReasoningMode, Role, Tool,
        ToolChoice, ToolKind, Turn,
    },
};
use serde_json::{Value, json};

/// One thing that is said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fact {
    /// JSON pointers under which a loss of it may be noted.
    pub(crate) at: Vec<String>,
    /// What kind of thing it is.
    pub(crate) kind: &'static str,
    pub(crate) value: String,
}

/// Lists all that a request says. `names` leads from what an upstream was told back to what the client wrote.
pub(crate) fn of(request: &ChatRequest, names: &HashMap<String, String>) -> Vec<Fact> {
    let mut facts = Facts { list: Vec::new(), names };
    for turn in &request.conversation.turns {
        facts.turn(turn);
    }
    for tool in &request.tools {
        facts.tool(tool);
    }
    facts.settings(request);
    facts.list
}

/// What `asked` says that `told` does not, and that no loss accounts for.
pub(crate) fn lost_in_silence(asked: &[Fact], told: &[Fact], losses: &[Loss]) -> Vec<Fact> {
    let is_told = |fact: &Fact| {
        told.iter().any(|it| {
            // A refusal is a text where there is no other word for it.
            let kind = if fact.kind == "refusal" { "assistant text" } else { fact.kind };
            (it.kind == fact.kind || it.kind == kind)
                && (it.value == fact.value || (is_prose(fact.kind) && it.value.contains(&fact.value)))
        })
    };
    let is_noted = |fact: &Fact| losses.iter().any(|loss| fact.at.iter().any(|at| is_about(&loss.at, at)));
    asked.iter().filter(|it| !is_told(it) && !is_noted(it)).cloned().collect()
}

/// Whether a loss is about one of these facts.
pub(crate) fn concerns(loss: &Loss, facts: &[Fact]) -> bool {
    facts.iter().any(|fact| fact.at.iter().any(|at| is_about(&loss.at, at)))
}

/// Texts may be joined with others on their way.
fn is_prose(kind: &str) -> bool {
    matches!(kind, "system text" | "user text" | "assistant text" | "result text")
}

/// Whether one pointer is of the other's value or of something in it.
fn is_about(loss: &str, at: &str) -> bool {
    let within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|it| it.is_empty() || it.starts_with('/'))
    };
    !loss.is_empty() && (within(loss, at) || within(at, loss))
}

fn no_parameters() -> Value {
    json!({ "type": "object", "properties": {} })
}

/// A text that is an object's JSON without its spaces: dialects with objects for results keep no more of it.
fn compact(text: &str) -> String {
    match serde_json::from_str(text) {
        Ok(Value::Object(it)) => Value::Object(it).to_string(),
        _ => text.to_owned(),
    }
}

struct Facts<'n> {
    list: Vec<Fact>,
    names: &'n HashMap<String, String>,
}

impl Facts<'_> {
    fn add(&mut self, at: &str, kind: &'static str, value: impl std::fmt::Display) {
        self.list.push(Fact { at: vec![at.to_owned()], kind, value: value.to_string() });
    }

    /// Adds a setting that the dialects write in fields of several names.
    fn set(&mut self, fields: &[&str], kind: &'static str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            let at = fields.iter().map(|it| format!("/{it}")).collect();
            self.list.push(Fact { at, kind, value: value.to_string() });
        }
    }

    fn name(&self, name: &str) -> String {
        self.names.get(name).map_or(name, String::as_str).to_owned()
    }

    fn extra(&mut self, extra: &Extra) {
        if let Some(fields) = extra.get() {
            for (key, value) in fields.fields.iter().filter(|it| !it.0.starts_with(Extra::NOTE)) {
                self.add(&format!("{}/{key}", fields.at), "field", format!("{key}: {value}"));
            }
        }
    }

    fn turn(&mut self, turn: &Turn) {
        for part in &turn.parts {
            self.part(part, turn);
        }
        if let Some(name) = &turn.name {
            self.add(&turn.at, "speaker", name);
        }
        self.extra(&turn.extra);
    }

    fn part(&mut self, part: &Part, turn: &Turn) {
        let at = turn.at.as_str();
        self.extra(&part.extra);
        match &part.kind {
            PartKind::Text { text, citations } => {
                let kind = match turn.role {
                    Role::System | Role::Developer => "system text",
                    Role::User => "user text",
                    Role::Assistant => "assistant text",
                };
                if !text.trim().is_empty() {
                    self.add(at, kind, text);
                }
                for citation in citations {
                    self.add(at, "citation", &citation.raw);
                }
            }
            PartKind::Reasoning { text, state } => {
                self.add(at, "reasoning", text);
                if let Some(state) = state {
                    self.add(at, "state", &state.data);
                }
            }
            PartKind::ToolCall(call) => {
                let arguments = Value::Object(call.arguments.to_object().0);
                let name = self.name(&call.name);
                self.add(at, "call", format!("{} {name} {arguments}", call.id));
            }
            PartKind::ToolResult(result) => {
                self.add(at, "result", &result.call_id);
                if result.is_error == Some(true) {
                    self.add(at, "failed result", &result.call_id);
                }
                for inner in &result.content {
                    match inner.as_text() {
                        Some(text) => self.add(at, "result text", compact(text)),
                        None => self.part(inner, turn),
                    }
                }
            }
            PartKind::Media(media) => self.media(media, turn),
            PartKind::Refusal { text } => self.add(at, "refusal", text),
            PartKind::ServerTool { raw, .. } => self.add(at, "server tool", raw),
            PartKind::Opaque { raw, .. } => self.add(at, "unknown part", raw),
        }
    }

    fn media(&mut self, media: &Media, turn: &Turn) {
        let at = turn.at.as_str();
        match &media.source {
            MediaSource::Inline(data) => self.add(at, "media", format!("{:?} {data}", media.kind)),
            MediaSource::Url(url) => self.add(at, "media", format!("{:?} {url}", media.kind)),
            MediaSource::FileId(id) => self.add(at, "media", format!("{:?} {id}", media.kind)),
            MediaSource::Text(text) => self.add(at, "user text", text),
            MediaSource::Parts(parts) => parts.iter().for_each(|it| self.part(it, turn)),
        }
        if let Some(name) = &media.name {
            self.add(at, "media name", name);
        }
        if let Some(detail) = &media.detail {
            self.add(at, "media detail", detail);
        }
    }

    fn tool(&mut self, tool: &Tool) {
        let at = vec![tool.at.clone()];
        let name = self.name(&tool.name);
        let value = match &tool.kind {
            // The settings of a search are its tool's: those that are not told are noted.
            ToolKind::Builtin { family: Some(Builtin::WebSearch(_)), .. } => "web search".to_owned(),
            ToolKind::Builtin { family: Some(Builtin::UrlFetch), .. } => "reads pages".to_owned(),
            ToolKind::Builtin { family: Some(Builtin::CodeExecution), .. } => "runs code".to_owned(),
            ToolKind::Builtin { raw, .. } => raw.to_string(),
            // Chat nests a grammar, Responses does not.
            ToolKind::Custom { format } => {
                let grammar = format.as_ref().map(|it| it.get("grammar").unwrap_or(it));
                format!("custom {name} {:?}", grammar.and_then(|it| it.get("definition")))
            }
            ToolKind::Function => {
                // That there are no parameters is said in several ways.
                let schema = tool.schema.as_ref().filter(|it| **it != json!({}) && **it != no_parameters());
                format!("{name} {:?} {schema:?}", tool.description)
            }
        };
        self.list.push(Fact { at: at.clone(), kind: "tool", value });
        if tool.strict == Some(true) {
            self.list.push(Fact { at, kind: "strict tool", value: name });
        }
        self.extra(&tool.extra);
    }

    fn settings(&mut self, request: &ChatRequest) {
        let choice = request.tool_choice.as_ref().map(|it| match it {
            ToolChoice::Named(name) => format!("named {}", self.name(name)),
            other => format!("{other:?}"),
        });
        self.set(&["tool_choice", "function_call"], "tool choice", choice);
        self.set(&["parallel_tool_calls", "tool_choice"], "parallel calls", request.parallel_tool_calls);
        let schema = match &request.output {
            OutputFormat::Text => None,
            OutputFormat::JsonObject => Some("any object".to_owned()),
            OutputFormat::JsonSchema { schema, .. } => Some(schema.to_string()),
        };
        self.set(&["response_format", "output_config", "output_format", "text"], "output", schema);
        self.set(&["max_tokens", "max_completion_tokens", "max_output_tokens"], "limit", request.max_tokens);
        let stop = (!request.stop.is_empty()).then(|| format!("{:?}", request.stop));
        self.set(&["stop", "stop_sequences"], "stops", stop);
        let mode = match request.reasoning.mode {
            ReasoningMode::Default => None,
            // An effort is the same wherever it is written.
            ReasoningMode::Adaptive(Some(effort)) => Some(format!("{:?}", ReasoningMode::Effort(effort))),
            mode => Some(format!("{mode:?}")),
        };
        self.set(&["reasoning_effort", "reasoning", "thinking", "output_config"], "reasoning mode", mode);
        self.set(&["user", "safety_identifier", "metadata"], "end user", request.end_user.as_ref());
        let metadata = request.metadata.as_ref().map(|it| Value::Object(it.clone()));
        self.set(&["metadata"], "metadata", metadata);
        self.set(&["service_tier"], "tier", request.service_tier.as_ref());
        self.set(&["prompt_cache_key"], "cache key", request.prompt_cache_key.as_ref());
        self.set(&["stream"], "stream", request.stream.enabled.then_some(true));
        self.sampling(request);
        self.extra(&request.extra);
        // A field that says again who asks: that is a fact already.
        let again =
            request.end_user.as_ref().map(|it| format!("safety_identifier: {}", Value::from(it.as_str())));
        self.list.retain(|it| it.kind != "field" || Some(&it.value) != again.as_ref());
    }

    fn sampling(&mut self, request: &ChatRequest) {
        let it = &request.sampling;
        self.set(&["temperature"], "temperature", it.temperature.as_ref());
        self.set(&["top_p"], "top_p", it.top_p.as_ref());
        self.set(&["top_k"], "top_k", it.top_k);
        self.set(&["frequency_penalty"], "frequency penalty", it.frequency_penalty.as_ref());
        self.set(&["presence_penalty"], "presence penalty", it.presence_penalty.as_ref());
        self.set(&["seed"], "seed", it.seed.as_ref());
        self.set(&["logit_bias"], "logit bias", it.logit_bias.as_ref());
        self.set(&["logprobs"], "logprobs", it.logprobs);
        self.set(&["top_logprobs"], "top logprobs", it.top_logprobs);
        self.set(&["n"], "choices", it.choices.filter(|it| *it != 1));
        self.set(&["verbosity"], "verbosity", it.verbosity.as_ref());
    }
}
