//! A conversation made short, for clients of Responses whose upstream cannot do it: the upstream writes a summary, and the
//! gateway seals it into the one `compaction` item the client sends back in its place.
//!
//! Codex asks in two ways and falls back from neither: `POST /v1/responses/compact`, and an input item `compaction_trigger`.

use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    Inbound, Pipeline, Refusal, Reply, ReplyBody, ReplyForm, Trail, conversation, error, question::Question,
};
use crate::{
    dialect::{DialectId, framing::sse::write_event, json as reading},
    kernel::error::{ErrorKind, GatewayError},
    routing::Route,
    upstream::Operation,
};

/// What the model is asked in the end.
const ASK: &str = "This conversation is about to be replaced by a summary of it, which is all that whoever goes on with \
the work will know. Write that summary now. Say what the user wants and every rule and preference they gave; what was \
done, decided and found out, with the names of files, functions, commands, identifiers and values that matter, and with \
errors and how they were solved; and in what state things are, with what is to be done next. Keep exact wording where it \
matters. Call no tool, and write nothing but the summary.";

/// Fields of a request that a summary has no use for.
const LEFT_OUT: [&str; 11] = [
    "text",
    "include",
    "background",
    "max_output_tokens",
    "max_tool_calls",
    "parallel_tool_calls",
    "top_logprobs",
    "truncation",
    "stream_options",
    "context_management",
    "prompt",
];

impl Pipeline {
    /// Makes a conversation short (`/v1/responses/compact`): by the upstream itself if it can.
    pub async fn compact(&self, inbound: Inbound) -> Result<Reply, Refusal> {
        let mut question = Question::read(inbound.dialect, &inbound.body, &inbound.told)?;
        question.stream = false;
        let route = self
            .routes
            .route(&inbound.scope, &question.model, inbound.upstream.as_deref())
            .map_err(|it| error::no_route(&it))?;
        let is_native = self.is_native(&route);
        let (mut question, _) = self.continued(&inbound, question, is_native).await?;
        question.stream = false;
        if self.compacts(&route) && question.is_verbatim() {
            question.compacts = true;
            return self.dispatch(&inbound, &question, &route).await;
        }
        let Summary { item, response, reply } = self.summary(&inbound, &question, &route).await?;
        let answer = json!({
            "id": response.get("id"),
            "object": "response.compaction",
            "created_at": response.get("created_at"),
            "output": [item],
            "usage": response.get("usage"),
        });
        Ok(Reply { body: ReplyBody::Whole(answer.to_string().into()), form: ReplyForm::Json, ..reply })
    }

    /// Answers a request that asks for compaction by an item, if its upstream cannot; `None`: it does not ask, or is asked
    /// as it is.
    pub(super) async fn compacted(
        &self,
        inbound: &Inbound,
        question: &Question,
        route: &Route,
    ) -> Result<Option<Reply>, Refusal> {
        if !is_triggered(question) || self.compacts(route) {
            return Ok(None);
        }
        let Summary { item, mut response, reply } = self.summary(inbound, question, route).await?;
        response.insert("output".to_owned(), json!([item]));
        response.insert("status".to_owned(), "completed".into());
        response.insert("incomplete_details".to_owned(), Value::Null);
        let (body, form) = if question.stream {
            (said_as_events(&response, &item), ReplyForm::Events)
        } else {
            (Bytes::from(Value::Object(response).to_string()), ReplyForm::Json)
        };
        Ok(Some(Reply { body: ReplyBody::Whole(body), form, ..reply }))
    }

    /// Whether the first target speaks Responses.
    pub(super) fn is_native(&self, route: &Route) -> bool {
        let first = route.targets().next();
        first
            .and_then(|it| Some(self.upstreams.get(&it.upstream)?.dialect(&it.model)))
            .is_some_and(|it| it == DialectId::OpenaiResponses)
    }

    /// Whether the first target makes conversations short by itself.
    fn compacts(&self, route: &Route) -> bool {
        let first = route.targets().next();
        self.is_native(route)
            && first
                .and_then(|it| self.upstreams.get(&it.upstream))
                .is_some_and(|it| it.has(Operation::Compact))
    }

    /// Has the upstream write a summary, and seals it.
    async fn summary(
        &self,
        inbound: &Inbound,
        question: &Question,
        route: &Route,
    ) -> Result<Summary, Refusal> {
        let asking = asking(question)?;
        let mut reply = self.dispatch(inbound, &asking, route).await?;
        let failed = |message: &str, trail: &Trail| Refusal {
            error: GatewayError::new(ErrorKind::UpstreamFailed, message),
            trail: trail.clone(),
        };
        let body = match &mut reply.body {
            ReplyBody::Whole(body) => std::mem::take(body),
            ReplyBody::Stream(_) => {
                return Err(failed(
                    "the upstream's summary came in a form that cannot be read",
                    &reply.trail,
                ));
            }
        };
        let Ok(Value::Object(response)) = serde_json::from_slice(&body) else {
            return Err(failed("the upstream's summary cannot be read", &reply.trail));
        };
        let text = text_of(&response);
        if text.trim().is_empty() {
            return Err(failed("the upstream wrote no summary of the conversation", &reply.trail));
        }
        let carrier = self.memory.envelope.seal_summary(inbound.scope.tenant(), &text);
        let carrier = carrier.ok_or_else(|| failed("the upstream's summary is too large", &reply.trail))?;
        let id = format!("cmp_{}", Uuid::now_v7().simple());
        let item = json!({"id": id, "type": "compaction", "encrypted_content": carrier});
        Ok(Summary { item, response, reply })
    }
}

/// A summary, sealed, with the answer it came in.
struct Summary {
    item: Value,
    response: Map<String, Value>,
    /// Without its body.
    reply: Reply,
}

/// The question whose answer is the summary.
fn asking(question: &Question) -> Result<Question, GatewayError> {
    let Value::Object(mut body) = reading::parse(&question.body).map_err(error::decode)? else {
        return Err(GatewayError::new(ErrorKind::BadRequest, "the body must be an object"));
    };
    for name in LEFT_OUT {
        body.shift_remove(name);
    }
    let mut input = conversation::of_input(body.shift_remove("input"));
    input.retain(|it| it["type"] != "compaction_trigger");
    input.push(conversation::user_message(ASK));
    // Calls in the history are only understood beside their tools.
    if body.get("tools").is_some_and(|it| it.as_array().is_some_and(|it| !it.is_empty())) {
        body.insert("tool_choice".to_owned(), "none".into());
    } else {
        body.shift_remove("tool_choice");
    }
    body.insert("input".to_owned(), Value::Array(input));
    body.insert("store".to_owned(), false.into());
    body.insert("stream".to_owned(), false.into());
    let mut asking = question.with_body(&body)?;
    asking.openai_only.clone_from(&question.openai_only);
    Ok(asking)
}

/// Whether the input has an item that asks for compaction.
fn is_triggered(question: &Question) -> bool {
    if question.written() != DialectId::OpenaiResponses
        || memchr::memmem::find(&question.body, b"\"compaction_trigger\"").is_none()
    {
        return false;
    }
    let input = question.scan.span("input").map(|it| &question.body[it]);
    let items = input.and_then(|it| serde_json::from_slice::<Vec<Value>>(it).ok());
    items.is_some_and(|it| it.iter().any(|it| it["type"] == "compaction_trigger"))
}

/// The text of an answer's messages.
fn text_of(response: &Map<String, Value>) -> String {
    let output = response.get("output").and_then(Value::as_array);
    let parts = output.into_iter().flatten().filter_map(|it| it["content"].as_array()).flatten();
    parts.filter(|it| it["type"] == "output_text").filter_map(|it| it["text"].as_str()).collect()
}

/// An answer of one item as a stream.
fn said_as_events(response: &Map<String, Value>, item: &Value) -> Bytes {
    let mut begun = response.clone();
    begun.insert("status".to_owned(), "in_progress".into());
    begun.insert("output".to_owned(), json!([]));
    begun.insert("usage".to_owned(), Value::Null);
    let mut out = BytesMut::new();
    let mut number = 0;
    let mut say = |name: &str, mut event: Value| {
        event["type"] = name.into();
        event["sequence_number"] = number.into();
        number += 1;
        write_event(&mut out, name, event.to_string().as_bytes());
    };
    say("response.created", json!({"response": begun}));
    say("response.in_progress", json!({"response": begun}));
    say("response.output_item.added", json!({"output_index": 0, "item": item}));
    say("response.output_item.done", json!({"output_index": 0, "item": item}));
    say("response.completed", json!({"response": response}));
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Told;

    fn question(body: &Value) -> Question {
        let body = Bytes::from(body.to_string());
        Question::read(DialectId::OpenaiResponses, &body, &Told::default()).unwrap()
    }

    #[test]
    fn the_summary_is_asked_for_after_the_conversation_and_of_tools_none() {
        let asked = asking(&question(&json!({
            "model": "m", "stream": true, "tools": [{"type": "function", "name": "f"}], "tool_choice": "auto",
            "text": {"format": {"type": "json_object"}}, "instructions": "Be brief.",
            "input": [{"role": "user", "content": "Hi"}, {"type": "compaction_trigger"}],
        })))
        .unwrap();
        assert!(!asked.stream);
        let body: Value = serde_json::from_slice(&asked.body).unwrap();
        assert_eq!(body["input"][0], json!({"role": "user", "content": "Hi"}));
        assert_eq!(body["input"][1]["content"][0]["text"], ASK);
        assert_eq!((&body["tool_choice"], &body["store"]), (&json!("none"), &json!(false)));
        assert_eq!((body.get("text"), &body["instructions"]), (None, &json!("Be brief.")));
    }

    #[test]
    fn a_word_in_a_text_triggers_nothing() {
        let said = json!({"model": "m", "input": "what is \"compaction_trigger\"?"});
        assert!(!is_triggered(&question(&said)));
        let asked = json!({"model": "m", "input": [{"type": "compaction_trigger"}]});
        assert!(is_triggered(&question(&asked)));
    }

    #[test]
    fn ec_050_the_stream_has_one_item_and_ends_with_it() {
        let item = json!({"id": "cmp_1", "type": "compaction", "encrypted_content": "dgm1.x.y"});
        let Value::Object(response) = json!({"id": "resp_1", "status": "completed", "output": [item]}) else {
            unreachable!()
        };
        let stream = String::from_utf8(said_as_events(&response, &item).to_vec()).unwrap();
        let events: Vec<Value> = stream
            .lines()
            .filter_map(|it| it.strip_prefix("data: "))
            .map(|it| serde_json::from_str(it).unwrap())
            .collect();
        let numbers: Vec<_> = events.iter().map(|it| it["sequence_number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4]);
        assert_eq!(events[0]["response"]["output"], json!([]));
        assert_eq!(events[3]["item"], item);
        assert_eq!(events[4]["type"], "response.completed");
        assert_eq!(events[4]["response"]["output"], json!([item]));
    }
}
