//! Schemas for upstreams that refuse a whole request over a keyword that others pass over: one profile for each of them.
//!
//! A profile is pure and idempotent, touches only what stands where a schema does, and notes each thing that it drops or says
//! otherwise, at its place. Which one a model wants its abilities say; Gemini's own is in `gemini::schema`.
//!
//! What is refused was seen, not guessed:
//! - `deepseek`: its validator reads `pattern` as Rust's `regex` does (`… is not a "regex"`, zed-industries/zed#64386,
//!   Dokploy/mcp#43, `NangoHQ/nango`#7547), and wants an object at the root of arguments (farion1231/cc-switch#5048).
//! - `moonshot`: `MoonshotAI/walle`, the vendor's own validator, at its level `strict`.
//! - `openai`: "regex lookaround is not supported" (tombii/better-ccflare#357, nicobailon/pi-interactive-shell#69). Not every
//!   account refuses it (pleaseai/shunt#558), so no model has it by itself.

mod moonshot;
mod patterns;
#[cfg(test)]
mod tests;
pub(in crate::dialect) mod walk;

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{
    EncodeError, Encoded, Loss, Severity,
    canonical::{ChatRequest, OutputFormat},
};
use crate::catalog::{
    Abilities,
    model::{SchemaProfile, StructuredOutput},
};

/// What a schema is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// The arguments of a tool: an object.
    Arguments,
    /// An answer: any value.
    Answer,
}

/// Whether a model refuses schemas over what others pass over.
pub fn is_picky(abilities: &Abilities) -> bool {
    !matches!(abilities.schema, SchemaProfile::Full | SchemaProfile::OpenApi)
}

/// Whether the schemas of a request can be told to a model as they are.
pub fn fits(request: &ChatRequest, abilities: &Abilities) -> bool {
    matches!(fitted(request, abilities).0, Cow::Borrowed(_))
}

/// Writes a request with its schemas as the model takes them, and notes what they no longer say.
pub(in crate::dialect) fn told(
    request: &ChatRequest,
    abilities: &Abilities,
    encode: impl FnOnce(&ChatRequest) -> Result<Encoded, EncodeError>,
) -> Result<Encoded, EncodeError> {
    let (request, losses) = fitted(request, abilities);
    let mut encoded = encode(&request)?;
    encoded.losses.extend(losses);
    Ok(encoded)
}

/// The request with schemas as the model takes them, and what they no longer say.
fn fitted<'a>(request: &'a ChatRequest, abilities: &Abilities) -> (Cow<'a, ChatRequest>, Vec<Loss>) {
    let mut fitted = Cow::Borrowed(request);
    let mut losses = Vec::new();
    if !is_picky(abilities) {
        return (fitted, losses);
    }
    for (index, tool) in request.tools.iter().enumerate() {
        let at = format!("/tools/{index}/parameters");
        let told = tool.schema.as_ref();
        let told = told.and_then(|it| profiled(it, abilities.schema, Subject::Arguments, &at, &mut losses));
        if told.is_some() {
            fitted.to_mut().tools[index].schema = told;
        }
    }
    // In a prompt a schema is prose.
    let is_schema = matches!(abilities.structured_output, StructuredOutput::Native | StructuredOutput::Tool);
    if is_schema
        && let OutputFormat::JsonSchema { schema, .. } = &request.output
        && let Some(told) = profiled(
            schema,
            abilities.schema,
            Subject::Answer,
            "/response_format/json_schema/schema",
            &mut losses,
        )
        && let OutputFormat::JsonSchema { schema, .. } = &mut fitted.to_mut().output
    {
        *schema = told;
    }
    (fitted, losses)
}

/// A schema as the profile has it; `None`: as it is.
fn profiled(
    schema: &Value,
    profile: SchemaProfile,
    subject: Subject,
    at: &str,
    losses: &mut Vec<Loss>,
) -> Option<Value> {
    let Value::Object(asked) = schema else { return None };
    let mut told = asked.clone();
    let mut noted = Vec::new();
    apply(profile, &mut told, subject, &mut noted);
    losses.extend(noted.into_iter().map(|it| Loss { at: format!("{at}{}", it.at), ..it }));
    (told != *asked).then_some(Value::Object(told))
}

/// Applies a profile; the places of losses begin at the schema's root.
fn apply(profile: SchemaProfile, root: &mut Map<String, Value>, subject: Subject, losses: &mut Vec<Loss>) {
    match profile {
        SchemaProfile::Full | SchemaProfile::OpenApi => {}
        SchemaProfile::Deepseek => {
            if subject == Subject::Arguments && root.get("type").is_none_or(Value::is_null) {
                root.insert("type".to_owned(), "object".into());
            }
            without_patterns(
                root,
                patterns::is_foreign_to_rust,
                "the upstream cannot read this pattern",
                losses,
            );
        }
        SchemaProfile::Openai => {
            without_patterns(root, patterns::looks_around, "the upstream takes no look-around", losses);
        }
        SchemaProfile::Moonshot => moonshot::fit(root, subject, losses),
    }
}

/// Drops the patterns, and the properties named by patterns, that are refused. A condition or a negation with one goes as a
/// whole: with less in it, it would exclude more.
fn without_patterns(
    root: &mut Map<String, Value>,
    is_refused: fn(&str) -> bool,
    reason: &str,
    losses: &mut Vec<Loss>,
) {
    walk::each(root, &mut |place, at| {
        let mut lose = |pointer: String| losses.push(Loss::dropped(pointer, Severity::Semantic, reason));
        for key in ["not", "if"] {
            let Some(Value::Object(inner)) = place.get_mut(key) else { continue };
            let mut found = false;
            walk::each(inner, &mut |it, _| found |= has_pattern(it, is_refused));
            if found {
                place.shift_remove(key);
                lose(format!("{at}/{key}"));
            }
        }
        if place.get("pattern").and_then(Value::as_str).is_some_and(is_refused) {
            place.shift_remove("pattern");
            lose(format!("{at}/pattern"));
        }
        if let Some(Value::Object(named)) = place.get_mut("patternProperties") {
            named.retain(|pattern, _| {
                let refused = is_refused(pattern);
                if refused {
                    lose(format!("{at}/patternProperties/{}", walk::escaped(pattern)));
                }
                !refused
            });
        }
    });
}

fn has_pattern(place: &Map<String, Value>, is_refused: fn(&str) -> bool) -> bool {
    let named = place.get("patternProperties").and_then(Value::as_object);
    place.get("pattern").and_then(Value::as_str).is_some_and(is_refused)
        || named.is_some_and(|it| it.keys().any(|pattern| is_refused(pattern)))
}
