//! Where in a client's own request a loss is: encoders name fields as the canonical form does (Chat's names, mostly), and
//! this says how the client's dialect calls them and where it has them.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use super::{DialectId, EncodeError, Loss, json};

/// A field of the canonical form, and the places where a dialect may have it, the likeliest first.
type Row = (&'static str, &'static [&'static str]);

const CHAT: &[Row] = &[
    ("/max_tokens", &["/max_completion_tokens"]),
    ("/reasoning_effort", &["/reasoning_effort", "/reasoning", "/thinking"]),
    ("/thinking", &["/thinking", "/reasoning_effort", "/reasoning"]),
    ("/thinking/budget_tokens", &["/thinking/budget_tokens", "/reasoning/max_tokens"]),
    ("/thinking/display", &["/reasoning/exclude"]),
    ("/tool_choice", &["/tool_choice", "/function_call"]),
    ("/user", &["/user", "/safety_identifier"]),
];

const RESPONSES: &[Row] = &[
    ("/logprobs", &["/include"]),
    ("/max_tokens", &["/max_output_tokens"]),
    ("/messages", &["/input"]),
    ("/output_config/effort", &["/reasoning/effort"]),
    ("/reasoning_effort", &["/reasoning/effort", "/reasoning"]),
    ("/response_format", &["/text/format"]),
    ("/system", &["/instructions"]),
    ("/thinking", &["/reasoning/effort", "/reasoning"]),
    ("/thinking/display", &["/reasoning/summary", "/reasoning/generate_summary"]),
    ("/user", &["/user", "/safety_identifier"]),
    ("/verbosity", &["/text/verbosity"]),
];

const MESSAGES: &[Row] = &[
    ("/parallel_tool_calls", &["/tool_choice/disable_parallel_tool_use"]),
    ("/reasoning_effort", &["/output_config/effort", "/thinking"]),
    ("/response_format", &["/output_config/format", "/output_format"]),
    ("/stop", &["/stop_sequences"]),
    ("/thinking", &["/thinking", "/output_config/effort"]),
    ("/user", &["/metadata/user_id"]),
];

const GEMINI: &[Row] = &[
    ("/frequency_penalty", &["/generationConfig/frequencyPenalty"]),
    ("/logprobs", &["/generationConfig/responseLogprobs"]),
    ("/max_tokens", &["/generationConfig/maxOutputTokens"]),
    ("/messages", &["/contents"]),
    ("/n", &["/generationConfig/candidateCount"]),
    ("/output_config/effort", THINKING),
    ("/parallel_tool_calls", &["/toolConfig/functionCallingConfig", "/toolConfig"]),
    ("/presence_penalty", &["/generationConfig/presencePenalty"]),
    ("/reasoning_effort", THINKING),
    (
        "/response_format",
        &[
            "/generationConfig/responseJsonSchema",
            "/generationConfig/_responseJsonSchema",
            "/generationConfig/responseSchema",
            "/generationConfig/responseMimeType",
        ],
    ),
    ("/seed", &["/generationConfig/seed"]),
    ("/service_tier", &["/serviceTier"]),
    ("/stop", &["/generationConfig/stopSequences"]),
    ("/system", &["/systemInstruction"]),
    ("/temperature", &["/generationConfig/temperature"]),
    ("/thinking", THINKING),
    ("/thinking/budget_tokens", THINKING),
    ("/thinking/display", &["/generationConfig/thinkingConfig/includeThoughts"]),
    ("/tool_choice", &["/toolConfig/functionCallingConfig", "/toolConfig"]),
    ("/top_k", &["/generationConfig/topK"]),
    ("/top_logprobs", &["/generationConfig/logprobs"]),
    ("/top_p", &["/generationConfig/topP"]),
];

const THINKING: &[&str] = &[
    "/generationConfig/thinkingConfig/thinkingLevel",
    "/generationConfig/thinkingConfig/thinkingBudget",
    "/generationConfig/thinkingConfig",
];

/// What may stand elsewhere in a tool or a part than the encoders say, by the end of its pointer.
const ENDS: &[(&str, &str)] = &[
    ("/strict", "/function/strict"),
    ("/blocked_domains", "/filters/blocked_domains"),
    ("/image_url/detail", "/detail"),
];

/// What a tool's `parameters` are called, where they are not called so or not there.
const PARAMETERS: &[&str] = &["/function/parameters", "/input_schema", "/parametersJsonSchema"];

/// The places of one request.
#[derive(Debug)]
pub struct Places {
    dialect: DialectId,
    asked: Shape,
}

impl Places {
    /// `body`: the client's request, in its own words.
    pub fn of(dialect: DialectId, body: &[u8]) -> Self {
        let read = |it: &[u8]| serde_json::from_slice::<Shape>(it).ok();
        let repaired = || json::without_lone_surrogates(body).ok().and_then(|it| read(&it));
        let text = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        Self { dialect, asked: read(text).or_else(repaired).unwrap_or(Shape::Leaf) }
    }

    pub fn put(&self, losses: &mut [Loss]) {
        for loss in losses {
            loss.at = self.find(&loss.at);
        }
    }

    pub fn put_error(&self, error: EncodeError) -> EncodeError {
        EncodeError { at: self.find(&error.at), ..error }
    }

    /// Finds the pointer into the request that is meant by one of the canonical form's. Of what the request has not there, the
    /// innermost that it has is told; of a field that it has not at all, where its dialect would have it.
    pub fn find(&self, at: &str) -> String {
        let meant = self.meant(at);
        let mut best = Found { pointer: String::new(), depth: 0, whole: false };
        for pointer in &meant {
            let found = self.asked.resolve(pointer);
            if found.whole {
                return found.pointer;
            }
            // What holds many fields says nothing of one of them, unless the pointer is the client's own.
            let says = found.depth > 1 || pointer == at;
            if says && found.depth > best.depth {
                best = found;
            }
        }
        match meant.into_iter().next() {
            Some(first) if best.depth == 0 => first,
            _ => best.pointer,
        }
    }

    /// What the client may call it: as its dialect does, or as it is.
    fn meant(&self, at: &str) -> Vec<String> {
        let rows = match self.dialect {
            DialectId::OpenaiChat => CHAT,
            DialectId::OpenaiResponses => RESPONSES,
            DialectId::AnthropicMessages => MESSAGES,
            DialectId::Gemini => GEMINI,
        };
        let mut meant = Vec::new();
        let mut known: Vec<_> =
            rows.iter().filter_map(|(key, to)| Some((key, rest_of(at, key)?, to))).collect();
        // The longest name is the most exact.
        known.sort_by_key(|(key, ..)| std::cmp::Reverse(key.len()));
        for (_, rest, places) in known {
            meant.extend(places.iter().map(|it| format!("{it}{rest}")));
        }
        let moved = |(end, to): &(&str, &str)| Some(format!("{}{to}", at.strip_suffix(end)?));
        meant.extend(ENDS.iter().filter_map(moved));
        if let Some((tool, rest)) = at.split_once("/parameters").filter(|_| at.starts_with("/tools/")) {
            meant.extend(PARAMETERS.iter().map(|it| format!("{tool}{it}{rest}")));
        }
        meant.push(at.to_owned());
        meant
    }
}

/// What follows `key` in a pointer that is of it or of something in it.
fn rest_of<'a>(at: &'a str, key: &str) -> Option<&'a str> {
    at.strip_prefix(key).filter(|it| it.is_empty() || it.starts_with('/'))
}

/// A request without what it says: nothing in it is copied but names.
#[derive(Debug)]
enum Shape {
    Object(Vec<(String, Shape)>),
    Array(Vec<Shape>),
    Leaf,
}

/// As much of a pointer as there is, in the client's own spelling.
struct Found {
    pointer: String,
    depth: usize,
    whole: bool,
}

impl Shape {
    fn resolve(&self, pointer: &str) -> Found {
        let mut found = Found { pointer: String::new(), depth: 0, whole: true };
        let mut here = self;
        for token in pointer.split('/').skip(1) {
            let next = match here {
                Self::Object(fields) => {
                    let name = token.replace("~1", "/").replace("~0", "~");
                    let exact = fields.iter().find(|it| it.0 == name);
                    exact.or_else(|| fields.iter().find(|it| is_same_name(&it.0, &name)))
                }
                .map(|(key, it)| (key.replace('~', "~0").replace('/', "~1"), it)),
                Self::Array(list) => {
                    token.parse::<usize>().ok().and_then(|at| Some((token.to_owned(), list.get(at)?)))
                }
                Self::Leaf => None,
            };
            let Some((key, inner)) = next else {
                found.whole = false;
                return found;
            };
            found.pointer.push('/');
            found.pointer.push_str(&key);
            found.depth += 1;
            here = inner;
        }
        found
    }
}

/// Whether two names differ in their case only: Gemini's clients write `generationConfig` or `generation_config`.
fn is_same_name(told: &str, wanted: &str) -> bool {
    fn letters(name: &str) -> impl Iterator<Item = u8> {
        name.bytes().filter(|it| *it != b'_').map(|it| it.to_ascii_lowercase())
    }
    letters(told).eq(letters(wanted))
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut fields = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            fields.push((key, map.next_value()?));
        }
        Ok(Shape::Object(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let mut list = Vec::new();
        while let Some(it) = seq.next_element()? {
            list.push(it);
        }
        Ok(Shape::Array(list))
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Leaf)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Leaf)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Leaf)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Leaf)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Leaf)
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Leaf)
    }
}

#[cfg(test)]
mod tests;
