//! The form of a Gemini request: which names each message knows. Field lists: the official SDK's types (google-genai 3.4).

use serde_json::Value;

use crate::simulator::{
    gemini::{read::snake, schema},
    vendor::{Complaint, base64},
};

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Bytes,
    Bool,
    /// A 32-bit integer.
    Int,
    Number,
    /// Any JSON object.
    Struct,
    /// Anything; not looked at.
    Any,
    Word(&'static [&'static str]),
    Of(Message),
    Many(&'static Kind),
    Schema,
}

pub(super) type Message = &'static [(&'static str, Kind)];

use Kind::{Any, Bool, Bytes, Int, Many, Number, Of, Schema, Struct, Text, Word};

pub(super) const REQUEST: Message = &[
    ("cachedContent", Text),
    ("contents", Many(&Of(CONTENT))),
    ("generationConfig", Of(CONFIG)),
    ("model", Text),
    ("safetySettings", Many(&Of(SAFETY))),
    ("serviceTier", Text),
    ("store", Bool),
    ("systemInstruction", Of(CONTENT)),
    ("toolConfig", Of(TOOL_CONFIG)),
    ("tools", Many(&Of(TOOL))),
];

pub(super) const VERTEX_REQUEST: Message = &[
    ("cachedContent", Text),
    ("contents", Many(&Of(CONTENT))),
    ("generationConfig", Of(CONFIG)),
    ("labels", Struct),
    ("model", Text),
    ("modelArmorConfig", Any),
    ("safetySettings", Many(&Of(SAFETY))),
    ("serviceTier", Text),
    ("systemInstruction", Of(CONTENT)),
    ("toolConfig", Of(TOOL_CONFIG)),
    ("tools", Many(&Of(TOOL))),
];

pub(super) const COUNT: Message =
    &[("contents", Many(&Of(CONTENT))), ("generateContentRequest", Of(REQUEST))];

/// Vertex takes the request's fields themselves.
pub(super) const VERTEX_COUNT: Message = &[
    ("contents", Many(&Of(CONTENT))),
    ("generationConfig", Of(CONFIG)),
    ("model", Text),
    ("systemInstruction", Of(CONTENT)),
    ("tools", Many(&Of(TOOL))),
];

const CONTENT: Message = &[("parts", Many(&Of(PART))), ("role", Text)];

const PART: Message = &[
    ("codeExecutionResult", Any),
    ("executableCode", Any),
    ("fileData", Of(FILE)),
    ("functionCall", Of(CALL)),
    ("functionResponse", Of(RESPONSE)),
    ("inlineData", Of(BLOB)),
    ("mediaProcessing", Any),
    ("mediaResolution", Any),
    ("partMetadata", Struct),
    ("text", Text),
    ("thought", Bool),
    ("thoughtSignature", Bytes),
    ("toolCall", Any),
    ("toolResponse", Any),
    ("videoMetadata", Any),
];

const BLOB: Message = &[("data", Bytes), ("displayName", Text), ("mimeType", Text)];
const FILE: Message = &[("displayName", Text), ("fileUri", Text), ("mimeType", Text)];
const CALL: Message =
    &[("args", Struct), ("id", Text), ("name", Text), ("partialArgs", Any), ("willContinue", Bool)];
const RESPONSE: Message = &[
    ("id", Text),
    ("name", Text),
    ("parts", Many(&Of(RESPONSE_PART))),
    ("response", Struct),
    ("scheduling", Text),
    ("willContinue", Bool),
];
const RESPONSE_PART: Message = &[("fileData", Of(FILE)), ("inlineData", Of(BLOB)), ("mediaResolution", Any)];

const TOOL: Message = &[
    ("codeExecution", Struct),
    ("computerUse", Any),
    ("enterpriseWebSearch", Any),
    ("fileSearch", Any),
    ("functionDeclarations", Many(&Of(DECLARATION))),
    ("googleMaps", Any),
    ("googleSearch", Any),
    ("googleSearchRetrieval", Any),
    ("mcpServers", Any),
    ("retrieval", Any),
    ("urlContext", Any),
];

const DECLARATION: Message = &[
    ("behavior", Text),
    ("description", Text),
    ("name", Text),
    ("parameters", Schema),
    ("parametersJsonSchema", Any),
    ("response", Schema),
    ("responseJsonSchema", Any),
];

const TOOL_CONFIG: Message = &[
    (
        "functionCallingConfig",
        Of(&[
            ("allowedFunctionNames", Many(&Text)),
            ("mode", Word(&["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"])),
            ("streamFunctionCallArguments", Bool),
        ]),
    ),
    ("includeServerSideToolInvocations", Bool),
    ("retrievalConfig", Any),
];

const SAFETY: Message = &[
    (
        "category",
        Word(&[
            "HARM_CATEGORY_UNSPECIFIED",
            "HARM_CATEGORY_HARASSMENT",
            "HARM_CATEGORY_HATE_SPEECH",
            "HARM_CATEGORY_SEXUALLY_EXPLICIT",
            "HARM_CATEGORY_DANGEROUS_CONTENT",
            "HARM_CATEGORY_CIVIC_INTEGRITY",
            "HARM_CATEGORY_JAILBREAK",
        ]),
    ),
    ("method", Text),
    (
        "threshold",
        Word(&[
            "HARM_BLOCK_THRESHOLD_UNSPECIFIED",
            "BLOCK_LOW_AND_ABOVE",
            "BLOCK_MEDIUM_AND_ABOVE",
            "BLOCK_ONLY_HIGH",
            "BLOCK_NONE",
            "OFF",
        ]),
    ),
];

const CONFIG: Message = &[
    ("audioTimestamp", Bool),
    ("candidateCount", Int),
    ("enableAffectiveDialog", Bool),
    ("enableEnhancedCivicAnswers", Bool),
    ("frequencyPenalty", Number),
    ("imageConfig", Any),
    ("logprobs", Int),
    ("maxOutputTokens", Int),
    ("mediaResolution", Text),
    ("modelSelectionConfig", Any),
    ("presencePenalty", Number),
    ("responseFormat", Any),
    ("responseJsonSchema", Any),
    ("responseLogprobs", Bool),
    ("responseMimeType", Text),
    ("responseModalities", Many(&Word(&["MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "AUDIO", "VIDEO"]))),
    ("responseSchema", Schema),
    ("routingConfig", Any),
    ("seed", Int),
    ("speechConfig", Any),
    ("stopSequences", Many(&Text)),
    ("temperature", Number),
    (
        "thinkingConfig",
        Of(&[
            ("includeThoughts", Bool),
            ("thinkingBudget", Int),
            (
                "thinkingLevel",
                Word(&[
                    "THINKING_LEVEL_UNSPECIFIED",
                    "MINIMAL",
                    "LOW",
                    "MEDIUM",
                    "HIGH",
                    "XHIGH",
                    "minimal",
                    "low",
                    "medium",
                    "high",
                    "xhigh",
                ]),
            ),
        ]),
    ),
    ("topK", Number),
    ("topP", Number),
];

/// Refuses names `message` does not know, and values that are not what it holds.
pub(super) fn judge(value: &Value, message: Message, at: &str) -> Result<(), Complaint> {
    let Some(fields) = value.as_object() else {
        return invalid(at, value, "an object");
    };
    for (name, value) in fields {
        let known = message.iter().find(|(it, _)| *it == name || snake(it) == *name);
        let Some((field, kind)) = known else { return unknown(name, at) };
        let at = if at.is_empty() { snake(field) } else { format!("{at}.{}", snake(field)) };
        // Null is absent.
        if !value.is_null() {
            holds(value, *kind, &at)?;
        }
    }
    Ok(())
}

pub(super) fn unknown<T>(name: &str, at: &str) -> Result<T, Complaint> {
    let place = if at.is_empty() { String::new() } else { format!(" at '{at}'") };
    Complaint::of(
        at,
        format!("Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field."),
    )
}

pub(super) fn invalid<T>(at: &str, value: &Value, wanted: &str) -> Result<T, Complaint> {
    Complaint::of(at, format!("Invalid value at '{at}' ({wanted}), {value}"))
}

fn holds(value: &Value, kind: Kind, at: &str) -> Result<(), Complaint> {
    let fits = match kind {
        Any => true,
        Text => value.is_string(),
        Bool => value.is_boolean(),
        Struct => value.is_object(),
        Number => value.is_number(),
        Int => {
            let whole = value.as_i64().or_else(|| value.as_str()?.parse().ok());
            // A whole number may be written as 10.0.
            let whole = whole.or_else(|| exact(value.as_f64()?));
            whole.is_some_and(|it| i32::try_from(it).is_ok())
        }
        Bytes => {
            let text = value.as_str().unwrap_or_default();
            value.is_string() && (base64(text).is_some() || url_safe(text))
        }
        Word(words) => value.as_str().is_some_and(|it| words.contains(&it)),
        Of(message) => return judge(value, message, at),
        Schema => return schema::judge(value, at),
        Many(kind) => {
            // One value counts as a list of one, as in protobuf.
            let Some(items) = value.as_array() else { return holds(value, *kind, &format!("{at}[0]")) };
            return items
                .iter()
                .enumerate()
                .try_for_each(|(number, it)| holds(it, *kind, &format!("{at}[{number}]")));
        }
    };
    if fits {
        return Ok(());
    }
    let wanted = match kind {
        Bytes => "TYPE_BYTES",
        Int => "TYPE_INT32",
        Bool => "TYPE_BOOL",
        Number => "TYPE_FLOAT",
        Word(_) => "TYPE_ENUM",
        Text => "TYPE_STRING",
        _ => "TYPE_MESSAGE",
    };
    invalid(at, &shortened(value), wanted)
}

fn exact(number: f64) -> Option<i64> {
    (number.fract() == 0.0).then(|| format!("{number:.0}").parse().ok())?
}

fn url_safe(text: &str) -> bool {
    use base64::{
        Engine,
        engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD},
    };
    URL_SAFE.decode(text).is_ok() || URL_SAFE_NO_PAD.decode(text).is_ok()
}

/// Nothing long is repeated.
fn shortened(value: &Value) -> Value {
    value.as_str().map_or_else(|| value.clone(), |it| it.chars().take(40).collect::<String>().into())
}
