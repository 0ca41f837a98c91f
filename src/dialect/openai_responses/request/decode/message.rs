//! Messages among the items: the easy form and the full one.

use serde_json::{Map, Value};

use super::{
    super::super::ID,
    items::Item,
    parts::{self, Content},
};
use crate::dialect::{
    DecodeError,
    canonical::{Extra, Part, Role},
    fields::Fields,
};

/// Says of a part that it stands in the same message as the part before it.
pub(in super::super) const SAME_ITEM: &str = "item";
/// Where the fields of a part are kept that is the first of its message: the message's own fields are beside it.
pub(in super::super) const FIRST_PART: &str = "content";

pub(super) fn read(value: Value, at: &str) -> Result<Item, DecodeError> {
    let mut fields = Fields::of(value, at)?;
    fields.any("type");
    let role = match fields.required_string("role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        "developer" => Role::Developer,
        other => {
            return Err(DecodeError::new(
                fields.at("role"),
                format!("`role` must be `user`, `assistant`, `system` or `developer`, not `{other}`"),
            ));
        }
    };
    let content = parts::take(&mut fields, "content")?.ok_or_else(|| fields.missing("content"))?;
    let extra = fields.rest(ID);
    let Content { mut parts, plain } = content;
    if role != Role::Assistant {
        return Ok(Item { role, parts, plain, extra });
    }
    if parts.is_empty() {
        parts.push(Part::text(""));
    }
    for (index, part) in parts.iter_mut().enumerate() {
        part.extra = if index == 0 { first(part, &extra, at) } else { following(part, at, index) };
    }
    Ok(Item { role, parts, plain, extra: Extra::default() })
}

/// The fields of a message, which its first part bears, and those of that part within.
fn first(part: &Part, item: &Extra, at: &str) -> Extra {
    let mut fields = item.get().map(|it| it.fields.clone()).unwrap_or_default();
    if let Some(own) = part.extra.get() {
        fields.insert(FIRST_PART.to_owned(), Value::Object(own.fields.clone()));
    }
    Extra::new(ID, at, fields)
}

fn following(part: &Part, at: &str, index: usize) -> Extra {
    let mut fields: Map<String, Value> = part.extra.get().map(|it| it.fields.clone()).unwrap_or_default();
    fields.insert(SAME_ITEM.to_owned(), "same".into());
    Extra::new(ID, format!("{at}/content/{index}"), fields)
}
