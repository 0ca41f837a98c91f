//! Tool calls of an answer: their ids, their arguments from pieces, and what the request told them as.

use serde_json::{Map, Value};

use super::part::{CallPiece, state};
use crate::dialect::{
    Recall,
    canonical::{Arguments, Part, PartKind, ToolCall, names::minted_id},
};

/// The longest JSON path of a partial argument, in steps.
const DEEPEST: usize = 64;

/// The calls of one candidate.
#[derive(Debug)]
pub(in crate::dialect::gemini) struct Calls {
    recall: Recall,
    /// Makes the same ids in every reading of the same answer.
    seed: String,
    /// The ids that were given out.
    ids: Vec<String>,
    /// The call whose arguments come in pieces.
    partial: Option<CallPiece>,
    called: bool,
}

impl Calls {
    pub(in crate::dialect::gemini) fn new(recall: &Recall, seed: String) -> Self {
        Self { recall: recall.clone(), seed, ids: Vec::new(), partial: None, called: false }
    }

    /// Whether a call was made; the tool that is the answer is none.
    pub(in crate::dialect::gemini) fn any(&self) -> bool {
        self.called
    }

    /// Takes a call or a piece of one in, and gives the calls that are whole now: as calls, or as the text that the tool
    /// of emulated structured output stands for.
    pub(in crate::dialect::gemini) fn take(&mut self, piece: CallPiece) -> Vec<Part> {
        let mut whole = Vec::new();
        match self.partial.take() {
            Some(mut open) if continues(&open, &piece) => {
                let is_last = !piece.will_continue;
                extend(&mut open, piece);
                if is_last {
                    whole.extend(self.finish(open));
                } else {
                    self.partial = Some(open);
                }
                return whole;
            }
            Some(open) => whole.extend(self.finish(open)),
            None => {}
        }
        if piece.will_continue {
            let mut open = CallPiece { partial: Vec::new(), ..piece };
            build(&mut open.args, piece.partial);
            self.partial = Some(open);
        } else {
            whole.extend(self.finish(piece));
        }
        whole
    }

    /// The stream has ended. A call whose last piece never came keeps arguments that nobody can take for whole ones.
    pub(in crate::dialect::gemini) fn end(&mut self) -> Option<Part> {
        let mut part = self.partial.take().and_then(|it| self.finish(it))?;
        if let PartKind::ToolCall(call) = &mut part.kind {
            call.arguments.0.pop();
        }
        Some(part)
    }

    /// A call without a name cannot be made, and is none.
    fn finish(&mut self, mut piece: CallPiece) -> Option<Part> {
        let partial = std::mem::take(&mut piece.partial);
        build(&mut piece.args, partial);
        if piece.name.is_empty() {
            return None;
        }
        let mut arguments = match piece.args {
            Value::Null => "{}".to_owned(),
            Value::String(text) => text,
            other => other.to_string(),
        };
        if self.recall.json_tool.as_deref() == Some(piece.name.as_str()) {
            return Some(Part::text(arguments));
        }
        self.called = true;
        let id = match piece.id {
            Some(id) if !self.ids.contains(&id) => id,
            _ => minted_id(&format!("{}/{}/{}/{arguments}", self.seed, self.ids.len(), piece.name)),
        };
        self.ids.push(id.clone());
        let custom = self.recall.custom_tools.contains(&piece.name);
        if custom {
            arguments = unwrap_input(arguments);
        }
        let name = self.recall.names.get(&piece.name).cloned().unwrap_or(piece.name);
        let call = ToolCall { id, name, arguments: Arguments(arguments), custom };
        Some(Part { state: piece.signature.map(state), ..Part::new(PartKind::ToolCall(call)) })
    }
}

/// The text of a free-text tool that was told as a function; whatever the model wrote, if it did not keep to that.
fn unwrap_input(arguments: String) -> String {
    match serde_json::from_str::<Value>(&arguments) {
        Ok(Value::Object(mut map)) => match map.shift_remove("input") {
            Some(Value::String(input)) => input,
            _ => arguments,
        },
        _ => arguments,
    }
}

fn continues(open: &CallPiece, piece: &CallPiece) -> bool {
    let same_id = piece.id.is_none() || piece.id == open.id;
    same_id && (piece.name.is_empty() || (piece.name == open.name && !piece.partial.is_empty()))
}

fn extend(open: &mut CallPiece, piece: CallPiece) {
    build(&mut open.args, piece.partial);
    if let (Value::Object(_), true) = (&piece.args, open.args.is_null()) {
        open.args = piece.args;
    }
    if open.signature.is_none() {
        open.signature = piece.signature;
    }
}

/// Puts values at their paths: `{jsonPath: "$.foo[0].bar", stringValue: "…"}`. Texts of one path are joined.
fn build(args: &mut Value, pieces: Vec<Value>) {
    for piece in pieces {
        let Value::Object(piece) = piece else { continue };
        let Some(steps) = piece.get("jsonPath").and_then(Value::as_str).and_then(steps) else { continue };
        if args.is_null() {
            *args = Value::Object(Map::new());
        }
        if let Some(place) = place(args, &steps) {
            put(place, &piece);
        }
    }
}

fn put(place: &mut Value, piece: &Map<String, Value>) {
    match (piece.get("stringValue"), &mut *place) {
        (Some(Value::String(more)), Value::String(text)) => text.push_str(more),
        (Some(text @ Value::String(_)), _) => *place = text.clone(),
        _ => {
            let value = piece.get("numberValue").or_else(|| piece.get("boolValue"));
            *place = value.cloned().unwrap_or_default();
        }
    }
}

#[derive(Debug, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Reads a JSON path of names and indices (RFC 9535): `$.a.b[0]["c d"]`.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() && steps.len() < DEEPEST {
        if let Some(name) = rest.strip_prefix('.') {
            let end = name.find(['.', '[']).unwrap_or(name.len());
            steps.push(Step::Key(name[..end].to_owned()));
            rest = &name[end..];
        } else {
            let inner = rest.strip_prefix('[')?;
            let quote = inner.chars().next().filter(|it| matches!(it, '"' | '\''));
            let (step, end) = match quote {
                Some(quote) => {
                    let end = inner[1..].find(quote)? + 1;
                    (Step::Key(inner[1..end].to_owned()), end + 1)
                }
                None => {
                    let end = inner.find(']')?;
                    (Step::Index(inner[..end].parse().ok()?), end)
                }
            };
            steps.push(step);
            rest = inner[end..].strip_prefix(']')?;
        }
    }
    rest.is_empty().then_some(steps).filter(|it| !it.is_empty())
}

/// The place of a path, made if it is not there. An index may be one past the end and no more.
fn place<'v>(value: &'v mut Value, steps: &[Step]) -> Option<&'v mut Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    let inner = match step {
        Step::Key(key) => {
            if value.is_null() {
                *value = Value::Object(Map::new());
            }
            value.as_object_mut()?.entry(key.as_str()).or_insert(Value::Null)
        }
        Step::Index(index) => {
            if value.is_null() {
                *value = Value::Array(Vec::new());
            }
            let list = value.as_array_mut()?;
            if *index == list.len() {
                list.push(Value::Null);
            }
            list.get_mut(*index)?
        }
    };
    place(inner, rest)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::needless_pass_by_value, reason = "a case is written shorter so")]

    use serde_json::json;

    use super::*;

    fn piece(name: &str, partial: Value, will_continue: bool) -> CallPiece {
        let partial = partial.as_array().cloned().unwrap_or_default();
        CallPiece { name: name.to_owned(), partial, will_continue, ..CallPiece::default() }
    }

    fn arguments(part: &Part) -> &str {
        match &part.kind {
            PartKind::ToolCall(call) => &call.arguments.0,
            _ => panic!("no call"),
        }
    }

    #[test]
    fn arguments_that_come_in_pieces_become_one_call() {
        let mut calls = Calls::new(&Recall::default(), "s".to_owned());
        assert!(calls.take(piece("weather", json!([]), true)).is_empty());
        let first = json!([
            {"jsonPath": "$.city", "stringValue": "New ", "willContinue": true},
            {"jsonPath": "$.days[0].n", "numberValue": 1},
            {"jsonPath": "$['a b']", "boolValue": true}
        ]);
        assert!(calls.take(piece("", first, true)).is_empty());
        let second = json!([{"jsonPath": "$.city", "stringValue": "York"}, {"jsonPath": "$.x", "nullValue": "NULL_VALUE"}]);
        assert!(calls.take(piece("", second, true)).is_empty());
        let whole = calls.take(piece("", json!([]), false));
        assert_eq!(arguments(&whole[0]), r#"{"city":"New York","days":[{"n":1}],"a b":true,"x":null}"#);
        assert!(calls.any() && calls.end().is_none());
    }

    #[test]
    fn a_call_whose_last_piece_never_came_cannot_be_taken_for_whole() {
        let mut calls = Calls::new(&Recall::default(), String::new());
        calls.take(piece("weather", json!([{"jsonPath": "$.city", "stringValue": "Par"}]), true));
        let part = calls.end().unwrap();
        assert_eq!(arguments(&part), r#"{"city":"Par""#);
    }

    #[test]
    fn a_path_cannot_make_a_list_of_endless_length() {
        let mut args = Value::Null;
        build(&mut args, vec![json!({"jsonPath": "$.a[4000000000]", "numberValue": 1})]);
        assert_eq!(args, json!({"a": []}));
        assert_eq!(steps("$"), None);
        assert_eq!(steps("$.a[b"), None);
    }

    #[test]
    fn ids_are_unique_and_the_same_in_every_reading() {
        let read = || {
            let mut calls = Calls::new(&Recall::default(), "r/0".to_owned());
            let call = |id: Option<&str>| CallPiece {
                id: id.map(str::to_owned),
                name: "f".to_owned(),
                args: json!({}),
                ..CallPiece::default()
            };
            let parts: Vec<Part> = [call(Some("a")), call(Some("a")), call(None), call(None)]
                .into_iter()
                .flat_map(|it| calls.take(it))
                .collect();
            parts
                .into_iter()
                .filter_map(|it| match it.kind {
                    PartKind::ToolCall(call) => Some(call.id),
                    _ => None,
                })
                .collect::<Vec<String>>()
        };
        let ids = read();
        assert_eq!(ids[0], "a");
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), 4);
        assert_eq!(read(), ids);
    }

    #[test]
    fn what_the_request_renamed_is_recalled() {
        let recall = Recall {
            names: [("files_read".to_owned(), "files.read".to_owned())].into(),
            json_tool: Some("answer".to_owned()),
            custom_tools: ["patch".to_owned()].into(),
            ..Recall::default()
        };
        let mut calls = Calls::new(&recall, String::new());
        let mut take = |name: &str, args: Value| {
            calls.take(CallPiece { name: name.to_owned(), args, ..CallPiece::default() }).remove(0)
        };
        assert_eq!(take("answer", json!({"a": 10.0})).as_text(), Some(r#"{"a":10.0}"#));
        let PartKind::ToolCall(call) = take("files_read", Value::Null).kind else { panic!("no call") };
        assert_eq!((call.name.as_str(), call.arguments.0.as_str()), ("files.read", "{}"));
        let PartKind::ToolCall(call) = take("patch", json!({"input": "*** Begin"})).kind else {
            panic!("no call")
        };
        assert_eq!((call.custom, call.arguments.0.as_str()), (true, "*** Begin"));
    }
}
