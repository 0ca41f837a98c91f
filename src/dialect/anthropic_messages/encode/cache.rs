//! Cache marks, at the end of it all: at most four, and none of an hour after one of five minutes.

use serde_json::{Map, Value, json};

use crate::dialect::{Loss, Severity, canonical::CacheMark};

/// How many marks Anthropic takes in one request.
const MOST: usize = 4;

const MARK: &str = "cache_control";

/// A mark, as it is written.
pub(super) fn mark(mark: &CacheMark) -> Value {
    match &mark.ttl {
        Some(ttl) => json!({"type": "ephemeral", "ttl": ttl}),
        None => json!({"type": "ephemeral"}),
    }
}

/// Settles the marks of a whole body. An upstream without marks gets none, unnoted: that costs speed, not meaning.
pub(super) fn settle(body: &mut Map<String, Value>, understood: bool, losses: &mut Vec<Loss>) {
    if !understood {
        body.shift_remove(MARK);
        each_marked(body, &mut |it| drop(it.shift_remove(MARK)));
        return;
    }
    let mut count = usize::from(body.contains_key(MARK));
    each_marked(body, &mut |_| count += 1);
    let surplus = count.saturating_sub(MOST);
    if surplus > 0 {
        let mut left = surplus;
        each_marked(body, &mut |it| {
            if left > 0 {
                left -= 1;
                it.shift_remove(MARK);
            }
        });
        let reason = format!("a request takes {MOST} cache marks: the first {surplus} were dropped");
        losses.push(Loss::dropped("/cache_control", Severity::Cosmetic, reason));
    }
    shorten(body, losses);
}

/// An hour's mark after one of five minutes is refused: it becomes one of five minutes.
fn shorten(body: &mut Map<String, Value>, losses: &mut Vec<Loss>) {
    let (mut short, mut changed) = (false, false);
    each_marked(body, &mut |it| {
        let Some(Value::Object(mark)) = it.get_mut(MARK) else { return };
        let lasting = mark.get("ttl").and_then(Value::as_str) == Some("1h");
        if lasting && short {
            mark.insert("ttl".to_owned(), json!("5m"));
            changed = true;
        }
        short |= !lasting;
    });
    if changed {
        let reason = "a cache mark of an hour must not follow one of five minutes";
        losses.push(Loss::approximated("/cache_control", Severity::Cosmetic, reason));
    }
}

/// Visits every marked tool, system block, and block of a message or of a tool result, in the order of the prompt.
fn each_marked(body: &mut Map<String, Value>, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    for key in ["tools", "system", "messages"] {
        if let Some(value) = body.get_mut(key) {
            each_in(value, visit);
        }
    }
}

fn each_in(value: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    let Value::Array(items) = value else { return };
    for item in items {
        let Value::Object(map) = item else { continue };
        if let Some(content) = map.get_mut("content") {
            each_in(content, visit);
        }
        if map.get(MARK).is_some_and(|it| !it.is_null()) {
            visit(map);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(body: Value, understood: bool) -> (Value, usize) {
        let Value::Object(mut map) = body else { unreachable!() };
        let mut losses = Vec::new();
        settle(&mut map, understood, &mut losses);
        (Value::Object(map), losses.len())
    }

    fn marked(ttl: &str) -> Value {
        json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": ttl}})
    }

    #[test]
    fn ec_203_of_five_marks_the_last_four_stay() {
        let blocks = vec![marked("5m"); 4];
        let body = json!({"system": [marked("5m")], "messages": [{"role": "user", "content": blocks}]});
        let (body, losses) = settled(body, true);
        assert!(body["system"][0].get("cache_control").is_none());
        assert!((0..4).all(|it| body["messages"][0]["content"][it].get("cache_control").is_some()));
        assert_eq!(losses, 1);
    }

    #[test]
    fn ec_203_an_hour_does_not_follow_five_minutes() {
        let body = json!({"system": [marked("1h"), marked("5m")],
            "messages": [{"role": "user", "content": [marked("1h")]}]});
        let (body, losses) = settled(body, true);
        assert_eq!(body["system"][0]["cache_control"]["ttl"], "1h");
        assert_eq!(body["messages"][0]["content"][0]["cache_control"]["ttl"], "5m");
        assert_eq!(losses, 1);
    }

    #[test]
    fn a_clone_gets_no_marks() {
        let result =
            json!({"type": "tool_result", "content": [marked("5m")], "cache_control": {"type": "x"}});
        let body = json!({"tools": [marked("5m")], "messages": [{"role": "user", "content": [result]}]});
        let (body, losses) = settled(body, false);
        assert!(!body.to_string().contains("cache_control"));
        assert_eq!(losses, 0);
    }
}
