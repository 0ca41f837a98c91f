//! Realtime over WebSocket, played: text in, text out.

use actix_web::{HttpRequest, HttpResponse, rt, web::Payload};
use actix_ws::{AggregatedMessage, Session};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::simulator::{
    ask::tokens,
    log::{Outcome, Ticket},
    scenario::Tokens,
};

/// Largest message taken, in bytes.
const LARGEST: usize = 16 << 20;

/// Opens the socket and talks until the peer closes it.
pub(super) fn open(
    request: &HttpRequest,
    payload: Payload,
    model: &str,
    serial: &str,
    ticket: Ticket,
) -> HttpResponse {
    let Ok((response, session, messages)) = actix_ws::handle(request, payload) else {
        return HttpResponse::BadRequest().finish();
    };
    let messages = messages.max_frame_size(LARGEST).aggregate_continuations().max_continuation_size(LARGEST);
    let talk = Talk {
        session,
        ticket,
        serial: serial.to_owned(),
        settings: json!({
            "id": format!("sess_{serial}"), "object": "realtime.session", "type": "realtime", "model": model,
            "output_modalities": ["text"], "instructions": "", "tools": [], "tool_choice": "auto",
        }),
        said: String::new(),
        events: 0,
        responses: 0,
        used: Tokens::default(),
    };
    rt::spawn(talk.go_on(messages));
    response
}

struct Talk {
    session: Session,
    ticket: Ticket,
    serial: String,
    settings: Value,
    /// What the user said last.
    said: String,
    events: u64,
    responses: u64,
    used: Tokens,
}

/// The peer has left.
struct Gone;

impl Talk {
    async fn go_on(mut self, mut messages: actix_ws::AggregatedMessageStream) {
        let session = self.settings.clone();
        let mut here = self.tell("session.created", json!({"session": session})).await.is_ok();
        while here && let Some(Ok(message)) = messages.next().await {
            here = match message {
                AggregatedMessage::Text(text) => self.hear(&text).await.is_ok(),
                AggregatedMessage::Ping(bytes) => self.session.pong(&bytes).await.is_ok(),
                AggregatedMessage::Close(_) => break,
                AggregatedMessage::Binary(_) | AggregatedMessage::Pong(_) => true,
            };
        }
        self.ticket.end(if here { Outcome::Finished } else { Outcome::Aborted });
        let _ = self.session.close(None).await;
    }

    async fn tell(&mut self, kind: &str, fields: Value) -> Result<(), Gone> {
        let mut event = json!({"type": kind, "event_id": format!("event_{}_{}", self.serial, self.events)});
        self.events += 1;
        if let (Value::Object(event), Value::Object(fields)) = (&mut event, fields) {
            event.extend(fields);
        }
        self.session.text(event.to_string()).await.map_err(|_| Gone)
    }

    async fn hear(&mut self, text: &str) -> Result<(), Gone> {
        let event: Value = serde_json::from_str(text).unwrap_or_default();
        match event["type"].as_str() {
            Some("session.update") => {
                for (name, value) in event["session"].as_object().into_iter().flatten() {
                    self.settings[name] = value.clone();
                }
                let session = self.settings.clone();
                self.tell("session.updated", json!({"session": session})).await
            }
            Some("conversation.item.create") => {
                let mut item = event["item"].clone();
                let parts = item["content"].as_array().into_iter().flatten();
                self.said = parts.filter_map(|it| it["text"].as_str()).collect::<Vec<_>>().join("\n");
                if item["id"].is_null() {
                    item["id"] = json!(format!("item_{}_{}", self.serial, self.events));
                }
                self.tell("conversation.item.added", json!({"previous_item_id": null, "item": item})).await?;
                self.tell("conversation.item.done", json!({"previous_item_id": null, "item": item})).await
            }
            Some("response.create") => self.respond().await,
            Some(other) => self.refuse("invalid_value", &format!("Invalid value: '{other}'.")).await,
            None => self.refuse("invalid_event", "The event is no JSON object with a type.").await,
        }
    }

    async fn refuse(&mut self, code: &str, message: &str) -> Result<(), Gone> {
        let error = json!({"type": "invalid_request_error", "code": code, "message": message, "param": null});
        self.tell("error", json!({"error": error})).await
    }

    async fn respond(&mut self) -> Result<(), Gone> {
        self.responses += 1;
        let text = format!("You wrote {} characters.", self.said.chars().count());
        let id = format!("resp_{}_{}", self.serial, self.responses);
        let item = format!("item_{}_r{}", self.serial, self.responses);
        let begun = json!({"object": "realtime.response", "id": id, "status": "in_progress", "output": [], "usage": null});
        self.tell("response.created", json!({"response": begun})).await?;
        let place = |more: Value| {
            let mut fields =
                json!({"response_id": id, "item_id": item, "output_index": 0, "content_index": 0});
            if let (Value::Object(fields), Value::Object(more)) = (&mut fields, more) {
                fields.extend(more);
            }
            fields
        };
        let message = |status: &str, content: Value| json!({"id": item, "object": "realtime.item", "type": "message", "status": status, "role": "assistant", "content": content});
        let empty = message("in_progress", json!([]));
        self.tell("response.output_item.added", json!({"response_id": id, "output_index": 0, "item": empty}))
            .await?;
        self.tell("response.content_part.added", place(json!({"part": {"type": "text", "text": ""}})))
            .await?;
        for delta in text.split_inclusive(' ') {
            self.tell("response.output_text.delta", place(json!({"delta": delta}))).await?;
        }
        self.tell("response.output_text.done", place(json!({"text": text}))).await?;
        self.tell("response.content_part.done", place(json!({"part": {"type": "text", "text": text}})))
            .await?;
        let full = message("completed", json!([{"type": "output_text", "text": text}]));
        self.tell("response.output_item.done", json!({"response_id": id, "output_index": 0, "item": full}))
            .await?;
        let (input, output) = (tokens(self.said.len()).max(1), tokens(text.len()));
        self.used.input += input;
        self.used.output += output;
        let used = self.used;
        self.ticket.note(|it| it.usage = Some(used));
        let usage = json!({
            "total_tokens": input + output, "input_tokens": input, "output_tokens": output,
            "input_token_details": {"text_tokens": input, "audio_tokens": 0, "cached_tokens": 0},
            "output_token_details": {"text_tokens": output, "audio_tokens": 0},
        });
        let done = json!({"object": "realtime.response", "id": id, "status": "completed", "output": [full], "usage": usage});
        self.tell("response.done", json!({"response": done})).await
    }
}
