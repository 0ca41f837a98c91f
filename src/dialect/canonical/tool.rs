//! Tools, and calls of them.

use serde_json::{Map, Value};

use super::{super::DialectId, CacheMark, Extra};

/// A tool the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    pub kind: ToolKind,
    pub name: String,
    pub description: Option<String>,
    /// JSON Schema of the arguments, untouched; absent: none was given.
    pub schema: Option<Value>,
    pub strict: Option<bool>,
    pub cache: Option<CacheMark>,
    pub extra: Extra,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ToolKind {
    /// Called with a JSON object.
    Function,
    /// Called with free text; `format` as in OpenAI's `custom` tools.
    Custom { format: Option<Value> },
    /// Known to the provider by its type (`web_search_20250305`); `raw` is the whole tool as it came.
    Builtin { dialect: DialectId, raw: Value },
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
