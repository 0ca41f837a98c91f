//! Upstreams that say nonsense: whatever of a recorded answer is missing or of another kind, clients get what they can read.
//!
//! The fuzz targets try the same with any bytes; this tries it with what is nearly right.

use dragoman::dialect::{DialectId, Recall, collect::unfold};
use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};

use crate::support::{fixtures, grammar, trip};

/// One thing that is not as it was recorded.
#[derive(Debug, Clone)]
struct Change {
    /// Which value of the answer.
    at: Index,
    /// What stands there instead; absent: nothing does.
    to: Option<Value>,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let odd = prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(7),
        json!(""),
        json!("x"),
        json!("in_progress"),
        json!([]),
        json!([1]),
        json!({}),
        json!({"type": "unheard-of"}),
        json!([{"type": "unheard-of", "text": 1}]),
    ]);
    let change = (any::<Index>(), prop::option::weighted(0.7, odd)).prop_map(|(at, to)| Change { at, to });
    prop::collection::vec(change, 1..4)
}

/// Every place in a value but the value itself.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let mut go = |key: &str, inner: &Value| {
        let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        places(inner, &at, found);
        found.push(at);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, inner)| go(key, inner)),
        Value::Array(list) => list.iter().enumerate().for_each(|(at, inner)| go(&at.to_string(), inner)),
        _ => {}
    }
}

fn apply(change: &Change, value: &mut Value) {
    let mut all = Vec::new();
    places(value, "", &mut all);
    if all.is_empty() {
        return;
    }
    let at = change.at.get(&all);
    match &change.to {
        Some(to) => *value.pointer_mut(at).unwrap() = to.clone(),
        None => {
            let (outer, key) = at.rsplit_once('/').unwrap();
            match value.pointer_mut(outer).unwrap() {
                Value::Object(map) => drop(map.shift_remove(&key.replace("~1", "/").replace("~0", "~"))),
                Value::Array(list) => drop(list.remove(key.parse().unwrap())),
                _ => unreachable!("it holds something"),
            }
        }
    }
}

/// A stream of which some events are not as they were, and one may come twice or never.
fn changed_stream(text: &str, which: &[Index], changes: &[Change], again: Option<&Index>) -> String {
    let mut events: Vec<String> = text.split_inclusive("\n\n").map(str::to_owned).collect();
    for (which, change) in which.iter().zip(changes) {
        let event = &mut events[which.index(text.split_inclusive("\n\n").count())];
        let Some((head, data)) = event.split_once("data: ") else { continue };
        let Ok(mut value) = serde_json::from_str::<Value>(data) else { continue };
        apply(change, &mut value);
        *event = format!("{head}data: {value}\n\n");
    }
    if let Some(at) = again {
        let at = at.index(events.len());
        let event = events[at].clone();
        if at % 2 == 0 { events.insert(at, event) } else { drop(events.remove(at)) }
    }
    events.concat()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn nonsense_in_an_answer_reaches_no_client(at in any::<Index>(), changes in changes()) {
        let answers = fixtures::all("answers");
        let fixture = at.get(&answers);
        let mut body = fixture.json();
        for change in &changes {
            apply(change, &mut body);
        }
        let text = body.to_string();
        if let Ok(answer) = fixture.dialect.client().decode_response(text.as_bytes(), &Recall::default()) {
            for client in fixtures::DIALECTS {
                let whole = client.server().encode_response(&answer, &trip::context());
                prop_assert!(serde_json::from_slice::<Value>(&whole).unwrap().is_object());
                let stream = trip::write(client, unfold(answer.clone()));
                well_formed(client, &stream, &text)?;
            }
        }
    }

    #[test]
    fn nonsense_in_a_stream_reaches_no_client(
        at in any::<Index>(),
        which in prop::collection::vec(any::<Index>(), 3),
        changes in changes(),
        again in prop::option::of(any::<Index>()),
    ) {
        let streams = fixtures::all("streams");
        let fixture = at.get(&streams);
        let text = changed_stream(std::str::from_utf8(&fixture.bytes).unwrap(), &which, &changes, again.as_ref());
        let events = trip::read(fixture.dialect, &[text.as_bytes()]);
        for client in fixtures::DIALECTS {
            let stream = trip::write(client, events.clone());
            well_formed(client, &stream, &text)?;
        }
    }
}

fn well_formed(client: DialectId, stream: &[u8], said: &str) -> Result<(), TestCaseError> {
    let told = grammar::check_form(client, stream);
    let stream = String::from_utf8_lossy(stream);
    prop_assert!(told.is_ok(), "to {}: {told:?}\n{said}\nbecame\n{stream}", client.name());
    Ok(())
}
