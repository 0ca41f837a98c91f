//! One `chat.completion.chunk`, with only the fields we read; what a client never sees as text stays unparsed.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

#[derive(Debug, Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow, default)]
    pub id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub created: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub choices: Option<Vec<ChunkChoice<'a>>>,
    #[serde(borrow, default)]
    pub usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub error: Option<&'a RawValue>,
    /// Groq's own: usage is in it.
    #[serde(borrow, default)]
    pub x_groq: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ChunkChoice<'a> {
    #[serde(default)]
    pub index: Option<u32>,
    #[serde(borrow, default)]
    pub delta: Option<Delta<'a>>,
    /// Some clones end with the whole message, or send nothing else.
    #[serde(borrow, default)]
    pub message: Option<Delta<'a>>,
    #[serde(borrow, default)]
    pub logprobs: Option<&'a RawValue>,
    #[serde(default)]
    pub finish_reason: Option<String>,
    /// vLLM: the stop sequence that was met, or the number of a token.
    #[serde(borrow, default)]
    pub stop_reason: Option<&'a RawValue>,
    /// `SGLang`: the same.
    #[serde(borrow, default)]
    pub matched_stop: Option<&'a RawValue>,
    /// Kimi counts here.
    #[serde(borrow, default)]
    pub usage: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Delta<'a> {
    #[serde(default)]
    pub content: Content,
    #[serde(default)]
    pub reasoning_content: Content,
    #[serde(default)]
    pub reasoning: Content,
    #[serde(borrow, default)]
    pub reasoning_details: Option<&'a RawValue>,
    #[serde(default)]
    pub refusal: Option<String>,
    #[serde(default)]
    pub tool_calls: Option<Vec<Fragment>>,
    #[serde(default)]
    pub function_call: Option<Function>,
    #[serde(borrow, default)]
    pub annotations: Option<&'a RawValue>,
}

/// A piece of a tool call.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Fragment {
    #[serde(default)]
    pub index: Option<u32>,
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default)]
    pub function: Option<Function>,
    #[serde(default)]
    pub custom: Option<Custom>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Function {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub arguments: Loose,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Custom {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub input: Option<String>,
}

/// A string; or, from Mistral, parts; or something we do not read.
#[derive(Debug, Default)]
pub(super) enum Content {
    #[default]
    None,
    Text(String),
    Parts(Vec<Value>),
}

impl Content {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::Text(text) => text.is_empty(),
            Self::Parts(parts) => parts.is_empty(),
        }
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or parts")
    }

    fn visit_str<E>(self, text: &str) -> Result<Content, E> {
        Ok(Content::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Content, E> {
        Ok(Content::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Content, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = seq.next_element()? {
            parts.push(part);
        }
        Ok(Content::Parts(parts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Content::None)
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Content, E> {
        Ok(Content::None)
    }
}

/// Arguments: text, or the object itself, as some clones send it.
#[derive(Debug, Default)]
pub(super) struct Loose(pub String);

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            value @ (Value::Object(_) | Value::Array(_)) => value.to_string(),
            _ => String::new(),
        }))
    }
}

/// The text of a field, if it is one and says something.
pub(super) fn text(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str::<String>(raw?.get()).ok().filter(|it| !it.is_empty())
}

/// A field as a value; `null` counts as absent.
pub(super) fn value(raw: Option<&RawValue>) -> Option<Value> {
    serde_json::from_str::<Value>(raw?.get()).ok().filter(|it| !it.is_null())
}
