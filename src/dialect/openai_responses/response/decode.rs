//! Reads a whole answer, as faithfully as its stream would be read.

use serde_json::{Map, Value};

use super::{finish, parts::Reader};
use crate::dialect::{
    ChatResponse, DecodeError, Recall,
    canonical::{Choice, Extra},
    json,
    openai_responses::{ID, error, usage},
};

pub(in crate::dialect::openai_responses) fn decode(
    body: &[u8],
    recall: &Recall,
) -> Result<ChatResponse, DecodeError> {
    let Value::Object(mut fields) = json::parse(body)? else {
        return Err(DecodeError::new("", "the answer is not an object"));
    };
    if let Some(told) = error::told(&fields) {
        return Err(DecodeError::new("/error", told.message));
    }
    let Some(Value::Array(output)) = fields.shift_remove("output") else {
        return Err(DecodeError::new("/output", "the answer has no output"));
    };
    let (id, model) = (text(&fields, "id"), text(&fields, "model"));
    let mut reader = Reader::new(recall);
    reader.seed = id.clone().unwrap_or_default();
    let parts = output.into_iter().flat_map(|it| reader.item(it)).collect();
    let finish = finish::decode(&fields, reader.held);
    let created = created(fields.get("created_at"));
    let usage = fields.get("usage").filter(|it| it.is_object()).map(usage::decode);
    let choice = Choice { index: 0, parts, finish, extra: Extra::default() };
    Ok(ChatResponse { id, model, created, choices: vec![choice], usage, extra: extra(fields) })
}

/// A text; an empty one says nothing.
pub(in crate::dialect::openai_responses) fn text(fields: &Map<String, Value>, key: &str) -> Option<String> {
    fields.get(key).and_then(Value::as_str).filter(|it| !it.is_empty()).map(str::to_owned)
}

/// Unix seconds, whole or not.
pub(in crate::dialect::openai_responses) fn created(value: Option<&Value>) -> Option<i64> {
    let number = value?.as_number()?;
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and a time is not that large")]
    number.as_i64().or_else(|| number.as_f64().map(|it| it as i64))
}

/// What only this dialect tells of an answer. What is repeated of the request is not: our request was not the client's.
fn extra(mut fields: Map<String, Value>) -> Extra {
    fields.retain(|key, it| {
        !it.is_null()
            && matches!(
                key.as_str(),
                "service_tier"
                    | "tool_usage"
                    | "input_transformations"
                    | "moderation"
                    | "billing"
                    | "conversation"
            )
    });
    Extra::new(ID, "", fields)
}
