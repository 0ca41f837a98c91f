//! Parts that come whole: steps of tools that a provider ran, images, items that only this dialect knows.

use bytes::BytesMut;
use serde_json::{Map, Value, json};

use super::{blocks::Block, encoder::Encoder};
use crate::dialect::{
    canonical::{Delta, Part, PartKind, ServerStep, StateKind, WebResult},
    openai_responses::{
        ID,
        response::item::{self, Kind, Raw, Status, own_fields, take_id},
    },
};

/// A tool of the provider that was started and whose result may follow.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) place: usize,
    id: String,
    /// The id of the call, in its own dialect.
    call: String,
    what: What,
}

#[derive(Debug)]
enum What {
    Search { queries: Vec<String>, found: Option<Vec<WebResult>> },
    Code { code: String, output: Option<String> },
}

impl Step {
    pub(super) fn item(&self, status: Status) -> Value {
        match &self.what {
            What::Search { queries, found } => item::web_search(&self.id, status, queries, found.as_deref()),
            What::Code { code, output } => item::code(&self.id, status, code, output.as_deref()),
        }
    }

    fn fields(&self) -> Value {
        json!({ "item_id": self.id, "output_index": self.place })
    }
}

impl Encoder {
    /// Tells a part that came whole. What only another dialect's clients can read is not told, and has no place.
    pub(super) fn whole(&mut self, part: &Part, out: &mut BytesMut) {
        const NEVER_OPEN: u32 = u32::MAX;
        let own = own_fields(part);
        let (mut block, deltas) = match &part.kind {
            PartKind::Text { text, citations } => {
                let mut deltas = vec![Delta::Logprobs(part.logprobs.clone()), Delta::Text(text.clone())];
                deltas.extend(citations.iter().cloned().map(Delta::Citation));
                (Block::text(NEVER_OPEN, own), deltas)
            }
            PartKind::Refusal { text } => {
                (Block::refusal(NEVER_OPEN, own), vec![Delta::Refusal(text.clone())])
            }
            PartKind::Reasoning { text, state } => {
                let state = state.as_ref().filter(|it| it.kind == StateKind::Encrypted);
                let state = state.map(|it| Delta::State { kind: it.kind, data: it.data.clone() });
                let text = Delta::Reasoning(text.clone());
                (Block::reasoning(NEVER_OPEN, own), std::iter::once(text).chain(state).collect())
            }
            PartKind::ToolCall(call) => {
                let mut block = Block::call(NEVER_OPEN, &call.id, &call.name, call.custom, own);
                block.begin_call(self, out);
                (block, vec![Delta::Arguments(call.arguments.0.clone())])
            }
            PartKind::Media(media) => {
                if let Some(item) = item::image("", media) {
                    self.image(item, own, out);
                }
                return;
            }
            PartKind::Opaque { dialect: ID, raw } if item::is_content(part) => {
                return self.unknown_content(own, raw, out);
            }
            PartKind::ServerTool { dialect: ID, raw, .. } | PartKind::Opaque { dialect: ID, raw } => {
                return self.raw(raw, out);
            }
            PartKind::ServerTool { step: Some(step), .. } => return self.step(step, out),
            PartKind::ServerTool { .. } | PartKind::Opaque { .. } | PartKind::ToolResult(_) => return,
        };
        for delta in &deltas {
            block.take(delta, self, out);
        }
        block.end(self, out);
    }

    fn image(&mut self, mut image: Value, mut own: Map<String, Value>, out: &mut BytesMut) {
        let empty = |id: &str| json!({ "type": "image_generation_call", "id": id, "status": "in_progress", "result": null });
        let (place, id) = self.add_item(Kind::Image, take_id(&mut own).as_deref(), empty, out);
        image["id"] = id.as_str().into();
        for (key, value) in own {
            image[key] = value;
        }
        for stage in ["in_progress", "generating", "completed"] {
            self.stage("image_generation_call", stage, &json!({ "item_id": id, "output_index": place }), out);
        }
        self.finish_item(place, image, out);
    }

    /// Tells an item as it came, with the events that its type has.
    fn raw(&mut self, raw: &Value, out: &mut BytesMut) {
        let Some(Raw { kind, id: own, fields: mut item }) = item::raw(raw) else { return };
        let mut begun = item.clone();
        if begun.contains_key("status") {
            begun.insert("status".to_owned(), "in_progress".into());
        }
        let added = |id: &str| {
            begun.insert("id".to_owned(), id.into());
            Value::Object(begun)
        };
        let (place, id) = self.add_item(kind, own.as_deref(), added, out);
        item.insert("id".to_owned(), id.as_str().into());
        let kind = item.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let ended = item.get("status").and_then(Value::as_str).is_none_or(|it| it == "completed");
        let fields = json!({ "item_id": id, "output_index": place });
        for stage in stages(&kind) {
            if ended || *stage != "completed" {
                self.stage(&kind, stage, &fields, out);
            }
        }
        self.finish_item(place, Value::Object(item), out);
    }

    /// Tells a part of a message as it came.
    fn unknown_content(&mut self, own: Map<String, Value>, raw: &Value, out: &mut BytesMut) {
        let message = self.message(own, out);
        let (place, index) = (message.place, message.content.len());
        let fields = json!({
            "item_id": message.id, "output_index": place, "content_index": index, "part": raw,
        });
        message.content.push(raw.clone());
        for event in ["response.content_part.added", "response.content_part.done"] {
            self.frames.put(event, &fields, out);
        }
    }

    fn stage(&mut self, kind: &str, stage: &str, fields: &Value, out: &mut BytesMut) {
        self.frames.put(&format!("response.{kind}.{stage}"), fields, out);
    }

    fn step(&mut self, step: &ServerStep, out: &mut BytesMut) {
        match step {
            ServerStep::WebSearch { id, queries } => {
                let item = |id: &str| item::web_search(id, Status::InProgress, queries, None);
                let (place, item_id) = self.add_item(Kind::WebSearch, None, item, out);
                let what = What::Search { queries: queries.clone(), found: None };
                let step = Step { place, id: item_id, call: id.clone(), what };
                for stage in ["in_progress", "searching"] {
                    self.stage("web_search_call", stage, &step.fields(), out);
                }
                self.step = Some(step);
            }
            ServerStep::Code { id, code, .. } => self.code(id, code, out),
            ServerStep::WebSearchResults { call_id, results } => {
                if let Some(Step { call, what: What::Search { found, .. }, .. }) = &mut self.step
                    && call == call_id
                {
                    *found = Some(results.clone());
                    self.end_step(out);
                }
            }
            ServerStep::CodeOutput { call_id, output: printed, .. } => {
                if let Some(Step { call, what: What::Code { output, .. }, .. }) = &mut self.step
                    && call == call_id
                {
                    *output = Some(printed.clone());
                    self.end_step(out);
                }
            }
        }
    }

    fn code(&mut self, call: &str, code: &str, out: &mut BytesMut) {
        let item = |id: &str| item::code(id, Status::InProgress, "", None);
        let (place, id) = self.add_item(Kind::Code, None, item, out);
        let what = What::Code { code: code.to_owned(), output: None };
        let step = Step { place, id, call: call.to_owned(), what };
        let fields = step.fields();
        self.stage("code_interpreter_call", "in_progress", &fields, out);
        let mut told = fields.clone();
        told["delta"] = code.into();
        self.frames.put("response.code_interpreter_call_code.delta", &told, out);
        let mut told = fields.clone();
        told["code"] = code.into();
        self.frames.put("response.code_interpreter_call_code.done", &told, out);
        self.stage("code_interpreter_call", "interpreting", &fields, out);
        self.step = Some(step);
    }

    /// Ends the tool that runs, whether or not its result came.
    pub(super) fn end_step(&mut self, out: &mut BytesMut) {
        let Some(step) = self.step.take() else { return };
        let kind = match step.what {
            What::Search { .. } => "web_search_call",
            What::Code { .. } => "code_interpreter_call",
        };
        self.stage(kind, "completed", &step.fields(), out);
        self.finish_item(step.place, step.item(Status::Completed), out);
    }
}

/// What the API tells of an item between its `added` and its `done`, by its type.
fn stages(kind: &str) -> &'static [&'static str] {
    match kind {
        "web_search_call" | "file_search_call" => &["in_progress", "searching", "completed"],
        "code_interpreter_call" => &["in_progress", "interpreting", "completed"],
        "image_generation_call" => &["in_progress", "generating", "completed"],
        "mcp_call" | "mcp_list_tools" => &["in_progress", "completed"],
        _ => &[],
    }
}
