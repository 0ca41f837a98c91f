//! Fields Chat knows and the canonical form does not: kept as they stood, objects within objects too.

use serde_json::{Map, Value};

use super::CHAT;
use crate::{
    catalog::Abilities,
    dialect::{Loss, Severity, canonical::Extra},
};

/// OpenAI's own fields among those that are kept so, at any level. An upstream that answers 400 to fields it does not know
/// (`Abilities::unknown_fields`) is told no others.
const KNOWN: &[&str] = &[
    "annotations",
    "audio",
    "custom",
    "file",
    "function",
    "image_url",
    "input_audio",
    "modalities",
    "moderation",
    "prediction",
    "prompt_cache_breakpoint",
    "prompt_cache_options",
    "prompt_cache_retention",
    "response_format",
    "safety_identifier",
    "store",
    "stream_options",
];

/// Puts Chat's fields into `object`, never over what is there; notes those of another dialect, and those the upstream
/// would not take, as lost.
pub(super) fn write(
    extra: &Extra,
    object: &mut Map<String, Value>,
    abilities: &Abilities,
    losses: &mut Vec<Loss>,
) {
    let Some(fields) = extra.get() else { return };
    if fields.dialect != CHAT {
        extra.lose(losses);
        return;
    }
    for (key, value) in &fields.fields {
        if abilities.unknown_fields || KNOWN.contains(&key.as_str()) {
            insert(object, key, value);
        } else {
            losses.push(Loss::dropped(
                format!("{}/{key}", fields.at),
                Severity::Cosmetic,
                format!("the upstream does not know `{key}`"),
            ));
        }
    }
}

/// Puts Chat's fields of an answer into `object`, and drops another dialect's.
pub(super) fn write_answer(extra: &Extra, object: &mut Map<String, Value>) {
    let Some(fields) = extra.get().filter(|it| it.dialect == CHAT) else { return };
    for (key, value) in &fields.fields {
        insert(object, key, value);
    }
}

/// Inserts a field; two objects are merged, and anything else that is there stays.
fn insert(object: &mut Map<String, Value>, key: &str, value: &Value) {
    match (object.get_mut(key), value) {
        (Some(Value::Object(there)), Value::Object(fields)) => {
            for (key, value) in fields {
                insert(there, key, value);
            }
        }
        (Some(there), _) if !there.is_null() => {}
        _ => {
            object.insert(key.to_owned(), value.clone());
        }
    }
}

/// Adds what was left of an object within an object, under its key.
pub(super) fn nest(outer: Extra, key: &str, inner: &Extra) -> Extra {
    let Some(inner) = inner.get() else { return outer };
    let (at, mut fields) = match outer.get() {
        Some(outer) => (outer.at.clone(), outer.fields.clone()),
        None => (inner.at.rsplit_once('/').map_or_else(String::new, |(at, _)| at.to_owned()), Map::new()),
    };
    fields.insert(key.to_owned(), Value::Object(inner.fields.clone()));
    Extra::new(CHAT, at, fields)
}

/// Whether there are fields of Chat.
pub(super) fn is_ours(extra: &Extra) -> bool {
    extra.get().is_some_and(|it| it.dialect == CHAT)
}
