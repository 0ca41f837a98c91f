//! Schemas: JSON Schema as the subset of `OpenAPI` 3.0 that Gemini's `Schema` is, and that subset as JSON Schema.
//!
//! Pure and bounded. The walk knows where a schema stands and where a name does: a property called `format` is no keyword.
//! Field facts: `Schema` of the `google-genai` SDK.

mod keywords;
mod merge;
mod reduce;
mod restore;
mod unions;

use serde_json::{Map, Value, json};

pub(super) use restore::restore;

/// A schema in Gemini's subset, and what it no longer says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reduced {
    pub(super) schema: Value,
    pub(super) notes: Vec<Note>,
}

/// One thing that a schema no longer says, or says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) what: String,
    /// Whether other values fit now; else it is only said in another way.
    pub(super) matters: bool,
}

/// Reduces a schema of an answer.
pub(super) fn answer(schema: &Value) -> Reduced {
    let (reduced, mut notes) = reduce::reduce(schema);
    let reduced = Value::Object(reduced);
    if notes.is_empty() && restore(&reduced) != *schema {
        notes.push(Note { what: "it is said in fewer words".to_owned(), matters: false });
    }
    Reduced { schema: reduced, notes }
}

/// Reduces a schema of a tool's arguments: they are an object.
pub(super) fn arguments(schema: &Value) -> Reduced {
    let promoted = match schema {
        Value::Object(map) if merge::is_bare_properties(map) => {
            json!({"type": "object", "properties": schema})
        }
        other => other.clone(),
    };
    let mut reduced = answer(&promoted);
    if promoted != *schema {
        reduced.notes.push(Note { what: "a map of properties became a schema".to_owned(), matters: true });
    }
    let Value::Object(root) = &mut reduced.schema else { return reduced };
    if let Some(note) = object_root(root) {
        reduced.notes.push(note);
    }
    reduced
}

/// Whether a schema of arguments says that there are none.
pub(super) fn is_empty(schema: &Value) -> bool {
    let Value::Object(map) = schema else { return false };
    let object =
        map.get("type").is_none_or(|it| it.as_str().is_some_and(|it| it.eq_ignore_ascii_case("object")));
    let bare = |it: &str| map.get(it).is_none_or(|it| it.as_object().is_some_and(Map::is_empty));
    let says_more = ["anyOf", "oneOf", "allOf", "$ref", "patternProperties"];
    object
        && bare("properties")
        && !says_more.iter().any(|it| map.contains_key(*it))
        && !map.get("additionalProperties").is_some_and(|it| it.is_object() || *it == json!(true))
        && (map.contains_key("type") || map.contains_key("properties") || map.is_empty())
}

/// Makes the root of a reduced schema an object's: the variants of a union are put together, anything else is wrapped.
fn object_root(root: &mut Map<String, Value>) -> Option<Note> {
    if let Some(Value::Array(variants)) = root.get("anyOf") {
        if variants.iter().all(|it| it.get("type") == Some(&json!("OBJECT"))) {
            let merged = unions::together(variants);
            root.shift_remove("anyOf");
            root.shift_remove("nullable");
            root.extend(merged);
            return Some(Note { what: "a union at the root became one object".to_owned(), matters: true });
        }
    } else if root.get("type") == Some(&json!("OBJECT")) {
        root.shift_remove("nullable");
        return None;
    }
    let inner = std::mem::take(root);
    root.insert("type".to_owned(), json!("OBJECT"));
    root.insert("properties".to_owned(), json!({"value": inner}));
    root.insert("required".to_owned(), json!(["value"]));
    Some(Note {
        what: "arguments that are no object were wrapped in one, as `value`".to_owned(),
        matters: true,
    })
}

#[cfg(test)]
mod tests;
