//! Items of Responses, as far as a conversation's history depends on them. Read as JSON: what is not looked at stays as it is.

use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The items of an `input`: a text is a message of the user.
pub(in crate::pipeline) fn of_input(input: Option<Value>) -> Vec<Value> {
    match input {
        Some(Value::Array(items)) => items,
        Some(Value::String(text)) => vec![user_message(&text)],
        _ => Vec::new(),
    }
}

pub(in crate::pipeline) fn user_message(text: &str) -> Value {
    message("user", text)
}

pub(super) fn developer_message(text: &str) -> Value {
    message("developer", text)
}

fn message(role: &str, text: &str) -> Value {
    json!({"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]})
}

/// The id an item refers to. `type` may be left out of a reference.
pub(super) fn reference(item: &Value) -> Option<&str> {
    let is_reference = match item.get("type") {
        None | Some(Value::Null) => item.get("role").is_none(),
        Some(kind) => kind == "item_reference",
    };
    item.get("id").filter(|_| is_reference)?.as_str()
}

/// The carrier of a summary that this gateway made.
pub(super) fn summary(item: &Value) -> Option<&str> {
    let is_compaction = matches!(item["type"].as_str(), Some("compaction" | "compaction_summary"));
    let carrier = item["encrypted_content"].as_str().filter(|_| is_compaction)?;
    crate::dialect::state::is_carrier(carrier).then_some(carrier)
}

/// Items whose id may be left out.
fn needs_no_id(item: &Map<String, Value>) -> Option<&'static str> {
    match item.get("type").and_then(Value::as_str) {
        Some("message") => Some("msg"),
        None if item.contains_key("role") => Some("msg"),
        Some("function_call") => Some("fc"),
        Some("function_call_output") => Some("fco"),
        Some("custom_tool_call") => Some("ctc"),
        Some("custom_tool_call_output") => Some("ctco"),
        _ => None,
    }
}

/// A stored item as it may be sent again: ids are for who gave them, and may be nobody here. `None`: it says nothing to a
/// server that did not keep it.
pub fn sendable(item: Value, is_native: bool) -> Option<Value> {
    let Value::Object(mut item) = item else { return Some(item) };
    if needs_no_id(&item).is_some() {
        item.shift_remove("id");
        item.shift_remove("status");
        in_words(&mut item);
    }
    let is_bare_thought = item.get("type").is_some_and(|it| it == "reasoning")
        && !item.get("encrypted_content").is_some_and(Value::is_string);
    (!(is_bare_thought && is_native)).then_some(Value::Object(item))
}

/// A message that has no id may, by the published types, hold its text but not parts of it.
fn in_words(item: &mut Map<String, Value>) {
    let Some([part]) = item.get("content").and_then(Value::as_array).map(Vec::as_slice) else { return };
    let is_empty = |name: &str| part[name].as_array().is_none_or(Vec::is_empty);
    if part["type"] == "output_text" && is_empty("annotations") && is_empty("logprobs") {
        let text = part["text"].clone();
        item.insert("content".to_owned(), text);
    }
}

/// Gives items ids by which they can be listed and referred to.
pub(super) fn with_ids(mut items: Vec<Value>) -> Vec<Value> {
    for item in &mut items {
        if let Value::Object(item) = item
            && !item.get("id").is_some_and(Value::is_string)
            && let Some(prefix) = needs_no_id(item)
        {
            item.insert("id".to_owned(), format!("{prefix}_{}", Uuid::now_v7().simple()).into());
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_message_of_the_user() {
        assert_eq!(
            of_input(Some("Hi".into())),
            [json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]})]
        );
        assert!(of_input(None).is_empty());
    }

    #[test]
    fn a_reference_may_leave_its_type_out() {
        for item in [json!({"id": "msg_1"}), json!({"type": "item_reference", "id": "msg_1"})] {
            assert_eq!(reference(&item), Some("msg_1"));
        }
        for item in [json!({"role": "user", "id": "msg_1"}), json!({"type": "message", "id": "msg_1"})] {
            assert_eq!(reference(&item), None);
        }
    }

    #[test]
    fn what_is_sent_again_has_no_ids_of_others() {
        let call = json!({"type": "function_call", "id": "fc_1", "status": "completed", "call_id": "c"});
        assert_eq!(sendable(call, true), Some(json!({"type": "function_call", "call_id": "c"})));
        let part = json!({"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []});
        let said = json!({"type": "message", "id": "msg_1", "role": "assistant", "content": [part]});
        let again = json!({"type": "message", "role": "assistant", "content": "Hi"});
        assert_eq!(sendable(said, true), Some(again));
        let search = json!({"type": "web_search_call", "id": "ws_1"});
        assert_eq!(sendable(search.clone(), true), Some(search));
        let thought = json!({"type": "reasoning", "id": "rs_1", "summary": []});
        assert_eq!(sendable(thought.clone(), true), None);
        assert_eq!(sendable(thought.clone(), false), Some(thought));
        let sealed = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "g"});
        assert_eq!(sendable(sealed.clone(), true), Some(sealed));
    }

    #[test]
    fn items_get_ids_to_be_listed_by() {
        let items = with_ids(vec![
            user_message("Hi"),
            json!({"type": "message", "id": "msg_1"}),
            json!({"type": "x"}),
        ]);
        assert!(items[0]["id"].as_str().unwrap().starts_with("msg_"));
        assert_eq!(items[1]["id"], "msg_1");
        assert_eq!(items[2].get("id"), None);
    }
}
