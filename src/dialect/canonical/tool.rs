//! Tools, and calls of them.

use serde_json::{Map, Value, json};

use super::{super::DialectId, CacheMark, Extra};

/// A tool the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    pub kind: ToolKind,
    /// Flat: a tool in a namespace is called `namespace__tool` here, so that codecs without namespaces need not know of them.
    pub name: String,
    /// What the flat name stands for, if the client keeps the tool in a namespace (Responses).
    pub namespaced: Option<Namespaced>,
    pub description: Option<String>,
    /// JSON Schema of the arguments, untouched; absent: none was given.
    pub schema: Option<Value>,
    pub strict: Option<bool>,
    pub cache: Option<CacheMark>,
    /// JSON pointer of the tool in the client's request, for losses.
    pub at: String,
    pub extra: Extra,
}

/// The field by which Chat asks for a search of the web: no tool there, but one to everyone else.
pub const WEB_SEARCH_OPTIONS: &str = "web_search_options";

impl Tool {
    /// The field of a Chat request that this is, if it is none of its tools.
    pub fn field(&self) -> Option<&'static str> {
        let ToolKind::Builtin { dialect: DialectId::OpenaiChat, raw, .. } = &self.kind else { return None };
        (raw.get("type").is_none() && raw.get(WEB_SEARCH_OPTIONS).is_some()).then_some(WEB_SEARCH_OPTIONS)
    }

    /// A tool of free text for those who know functions only: a function with one string, `input`. Its grammar, if it has
    /// one, goes into the description. Chat nests the grammar in its `format`, Responses does not.
    pub fn as_function_of_text(&self, format: Option<&Value>) -> (Option<String>, Value) {
        let mut description = self.description.clone().unwrap_or_default();
        let grammar = format.map(|it| it.get("grammar").unwrap_or(it));
        if let Some(definition) = grammar.and_then(|it| it.get("definition")).and_then(Value::as_str) {
            let syntax = grammar.and_then(|it| it.get("syntax")).and_then(Value::as_str).unwrap_or("given");
            description = format!("{description}\n\n`input` must match this {syntax} grammar:\n{definition}");
        }
        let schema = json!({
            "type": "object",
            "properties": {"input": {"type": "string"}},
            "required": ["input"],
            "additionalProperties": false,
        });
        (Some(description.trim().to_owned()).filter(|it| !it.is_empty()), schema)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum ToolKind {
    /// Called with a JSON object.
    Function,
    /// Called with free text; `format` as in OpenAI's `custom` tools.
    Custom { format: Option<Value> },
    /// Known to the provider by its type (`web_search_20250305`); `raw` is the whole tool as it came, `family` what it is
    /// to everyone, where others have the like.
    Builtin { dialect: DialectId, raw: Value, family: Option<Builtin> },
}

/// A tool's place in a namespace of Responses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespaced {
    pub namespace: String,
    /// What the namespace is for, as the client says.
    pub description: Option<String>,
    /// The tool's name in it.
    pub name: String,
}

/// What stands between a namespace and a tool's name in it, unless the namespace ends so.
const SEPARATOR: &str = "__";

impl Namespaced {
    /// The name a tool in a namespace has for those who know no namespaces, unless another tool is called so.
    pub fn flat_name(namespace: &str, name: &str) -> String {
        let separator = if namespace.ends_with(SEPARATOR) { "" } else { SEPARATOR };
        format!("{namespace}{separator}{name}")
    }

    /// What `Recall` calls a tool that its upstream was told in a namespace: no tool's own name has a slash there.
    pub fn key(namespace: &str, name: &str) -> String {
        format!("{namespace}/{name}")
    }
}

/// What a provider's own tool does, in nobody's dialect.
#[derive(Debug, Clone, PartialEq)]
pub enum Builtin {
    /// The provider searches the web.
    WebSearch(WebSearch),
    /// The provider reads a page whose address is in the conversation.
    UrlFetch,
    /// The provider runs code.
    CodeExecution,
    /// The client runs it (`bash_…`, `text_editor_…`): a function with a schema that is published.
    ClientRun { description: &'static str, schema: Value },
}

/// How the web is to be searched.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WebSearch {
    pub max_uses: Option<u64>,
    pub allowed_domains: Vec<String>,
    pub blocked_domains: Vec<String>,
    pub location: Option<Location>,
    /// How much of what was found the model is shown: `low`, `medium`, `high` (OpenAI).
    pub context_size: Option<String>,
}

/// Roughly where the person is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Location {
    pub city: Option<String>,
    pub region: Option<String>,
    /// Two letters.
    pub country: Option<String>,
    /// As in the IANA database.
    pub timezone: Option<String>,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// Pairs the call with its result; empty if the upstream gave none.
    pub id: String,
    pub name: String,
    pub arguments: Arguments,
    /// Whether the arguments are free text (a custom tool).
    pub custom: bool,
}

/// The arguments of a call, as text: an object's JSON, or a custom tool's input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments(pub String);

impl Arguments {
    /// Writes an object compactly; order and the text of numbers are kept.
    pub fn of(object: &Value) -> Self {
        Self(object.to_string())
    }

    /// The arguments as an object for history: empty → `{}`; a string that holds an object → that object;
    /// anything else → `{"_raw": text}`, and `false` to say so.
    pub fn to_object(&self) -> (Map<String, Value>, bool) {
        let text = self.0.trim();
        if text.is_empty() {
            return (Map::new(), true);
        }
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(map)) => (map, true),
            Ok(Value::Null) => (Map::new(), true),
            Ok(Value::String(inner)) => match serde_json::from_str::<Value>(&inner) {
                Ok(Value::Object(map)) => (map, true),
                _ => (raw(&self.0), false),
            },
            _ => (raw(&self.0), false),
        }
    }
}

fn raw(text: &str) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("_raw".to_owned(), Value::String(text.to_owned()));
    map
}

/// Whether and which tool must be called.
#[derive(Debug, Clone, PartialEq)]
pub enum ToolChoice {
    Auto,
    None,
    /// Some tool.
    Required,
    Named(String),
    /// One of these; `required` says whether one must be called.
    Allowed {
        names: Vec<String>,
        required: bool,
    },
    /// A form only `dialect` knows.
    Other {
        dialect: DialectId,
        raw: Value,
    },
}
