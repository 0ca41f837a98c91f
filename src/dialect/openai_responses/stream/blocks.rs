//! The blocks of a stream as items and parts of items: from `added` over deltas to `done`.

use bytes::BytesMut;
use serde_json::{Map, Value, json};

use super::{encoder::Encoder, frames::Head};
use crate::dialect::{
    canonical::{Arguments, Citation, Delta, StateKind, TokenLogprob, ToolCall},
    openai_responses::response::item::{self, Kind, Status, take_id},
    wire,
};

/// A block that is open.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) key: u32,
    pub(super) told: Told,
}

/// What a block is told as.
#[derive(Debug)]
pub(super) enum Told {
    /// Begins with its first text.
    Text(Content),
    Refusal(Content),
    Reasoning(Reasoning),
    Call(Call),
}

/// A part of a message.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// What the upstream says of its message.
    own: Map<String, Value>,
    place: Option<Place>,
    text: String,
    citations: Vec<Citation>,
    tokens: Vec<TokenLogprob>,
    /// How many of the tokens were told with a piece of the text.
    told_tokens: usize,
}

/// Where a part is.
#[derive(Debug)]
struct Place {
    item: usize,
    id: String,
    content: usize,
    head: Head,
}

impl Place {
    fn fields(&self) -> Value {
        json!({ "item_id": self.id, "output_index": self.item, "content_index": self.content })
    }
}

#[derive(Debug, Default)]
pub(super) struct Reasoning {
    own: Map<String, Value>,
    place: Option<(usize, String)>,
    head: Option<Head>,
    text: String,
    state: Option<String>,
}

#[derive(Debug)]
pub(super) struct Call {
    own: Map<String, Value>,
    place: usize,
    id: String,
    head: Option<Head>,
    made: ToolCall,
}

impl Block {
    /// `own`, here and in the others: what Responses alone says of the block.
    pub(super) fn text(key: u32, own: Map<String, Value>) -> Self {
        Self { key, told: Told::Text(Content { own, ..Content::default() }) }
    }

    pub(super) fn refusal(key: u32, own: Map<String, Value>) -> Self {
        Self { key, told: Told::Refusal(Content { own, ..Content::default() }) }
    }

    pub(super) fn reasoning(key: u32, own: Map<String, Value>) -> Self {
        Self { key, told: Told::Reasoning(Reasoning { own, ..Reasoning::default() }) }
    }

    pub(super) fn call(key: u32, id: &str, name: &str, custom: bool, own: Map<String, Value>) -> Self {
        let made =
            ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: Arguments::default(), custom };
        Self { key, told: Told::Call(Call { own, place: 0, id: String::new(), head: None, made }) }
    }

    /// Tells of a call: its name is known when its block begins.
    pub(super) fn begin_call(&mut self, encoder: &mut Encoder, out: &mut BytesMut) {
        let Told::Call(told) = &mut self.told else { return };
        let (kind, event) = if told.made.custom {
            (Kind::Custom, "response.custom_tool_call_input.delta")
        } else {
            (Kind::Function, "response.function_call_arguments.delta")
        };
        let context = encoder.context.clone();
        let own = take_id(&mut told.own);
        let item = |id: &str| item::call(id, Status::InProgress, &told.made, &context);
        let (place, id) = encoder.add_item(kind, own.as_deref(), item, out);
        told.head = Some(Head::new(event, &json!({ "item_id": id, "output_index": place })));
        (told.place, told.id) = (place, id);
    }

    /// Tells of a refusal before its words.
    pub(super) fn begin_refusal(mut self, encoder: &mut Encoder, out: &mut BytesMut) -> Self {
        if let Told::Refusal(content) = &mut self.told {
            content.begin("response.refusal.delta", &item::refusal(""), encoder, out);
            encoder.refused = true;
        }
        self
    }

    pub(super) fn take(&mut self, delta: &Delta, encoder: &mut Encoder, out: &mut BytesMut) {
        match (&mut self.told, delta) {
            (Told::Text(content), Delta::Text(text)) if !text.is_empty() => {
                let empty = item::output_text("", &[], &[]);
                content.begin("response.output_text.delta", &empty, encoder, out);
                content.push_text(text, encoder, out);
            }
            (Told::Text(content), Delta::Citation(citation)) => content.citations.push(citation.clone()),
            (Told::Text(content), Delta::Logprobs(tokens)) => content.tokens.extend_from_slice(tokens),
            (Told::Refusal(content), Delta::Refusal(text)) if !text.is_empty() => {
                encoder.refused = true;
                content.begin("response.refusal.delta", &item::refusal(""), encoder, out);
                content.push(text, b"", encoder, out);
            }
            (Told::Reasoning(thought), Delta::Reasoning(text)) if !text.is_empty() => {
                thought.push(text, encoder, out);
            }
            (Told::Reasoning(thought), Delta::State { kind: StateKind::Encrypted, data }) => {
                thought.begin(encoder, out);
                thought.state = Some(data.clone());
            }
            (Told::Call(told), Delta::Arguments(text)) if !text.is_empty() => {
                told.made.arguments.0.push_str(text);
                if let Some(head) = &told.head {
                    encoder.frames.put_delta(head, text, b"", out);
                }
            }
            _ => {}
        }
    }

    pub(super) fn end(self, encoder: &mut Encoder, out: &mut BytesMut) {
        match self.told {
            Told::Text(content) => content.end_text(encoder, out),
            Told::Refusal(content) => content.end_refusal(encoder, out),
            Told::Reasoning(thought) => thought.end(encoder, out),
            Told::Call(told) => told.end(encoder, out),
        }
    }

    /// Leaves what was said of the block in the answer, as cut.
    pub(super) fn cut(self, encoder: &mut Encoder) {
        match self.told {
            Told::Text(Content { place: Some(_), text, tokens, .. }) => {
                if let Some(message) = &mut encoder.message {
                    message.content.push(item::output_text(&text, &[], &tokens));
                }
            }
            Told::Refusal(Content { place: Some(_), text, .. }) => {
                if let Some(message) = &mut encoder.message {
                    message.content.push(item::refusal(&text));
                }
            }
            Told::Reasoning(Reasoning { place: Some((place, id)), text, .. }) => {
                encoder.cut_item(place, &item::reasoning(&id, Status::Incomplete, &text, None));
            }
            Told::Call(told) => {
                let item = item::call(&told.id, Status::Incomplete, &told.made, &encoder.context);
                encoder.cut_item(told.place, &item);
            }
            Told::Text(_) | Told::Refusal(_) | Told::Reasoning(_) => {}
        }
    }
}

impl Content {
    fn begin(&mut self, event: &str, empty: &Value, encoder: &mut Encoder, out: &mut BytesMut) {
        if self.place.is_some() {
            return;
        }
        let message = encoder.message(std::mem::take(&mut self.own), out);
        let (item, id, content) = (message.place, message.id.clone(), message.content.len());
        let fields = json!({ "item_id": id, "output_index": item, "content_index": content });
        let mut added = fields.clone();
        added["part"] = empty.clone();
        encoder.frames.put("response.content_part.added", &added, out);
        self.place = Some(Place { item, id, content, head: Head::new(event, &fields) });
    }

    fn push_text(&mut self, text: &str, encoder: &mut Encoder, out: &mut BytesMut) {
        let tokens = &self.tokens[self.told_tokens..];
        if tokens.is_empty() {
            return self.push(text, b",\"logprobs\":[]", encoder, out);
        }
        let mut tail = BytesMut::from(&b",\"logprobs\":"[..]);
        wire::write(&item::logprobs(tokens), &mut tail);
        self.told_tokens = self.tokens.len();
        self.push(text, &tail, encoder, out);
    }

    fn push(&mut self, text: &str, tail: &[u8], encoder: &mut Encoder, out: &mut BytesMut) {
        self.text.push_str(text);
        if let Some(place) = &self.place {
            encoder.frames.put_delta(&place.head, text, tail, out);
        }
    }

    fn end_text(self, encoder: &mut Encoder, out: &mut BytesMut) {
        let Some(place) = self.place else { return };
        let length = self.text.chars().count();
        let annotations: Vec<Value> =
            self.citations.iter().filter_map(|it| item::annotation(it, length)).collect();
        for (index, annotation) in annotations.iter().enumerate() {
            let mut fields = place.fields();
            fields["annotation_index"] = index.into();
            fields["annotation"] = annotation.clone();
            encoder.frames.put("response.output_text.annotation.added", &fields, out);
        }
        let mut fields = place.fields();
        fields["text"] = self.text.as_str().into();
        fields["logprobs"] = item::logprobs(&self.tokens);
        encoder.frames.put("response.output_text.done", &fields, out);
        end_part(&place, item::output_text(&self.text, &annotations, &self.tokens), encoder, out);
    }

    fn end_refusal(self, encoder: &mut Encoder, out: &mut BytesMut) {
        let Some(place) = self.place else { return };
        let mut fields = place.fields();
        fields["refusal"] = self.text.as_str().into();
        encoder.frames.put("response.refusal.done", &fields, out);
        end_part(&place, item::refusal(&self.text), encoder, out);
    }
}

fn end_part(place: &Place, part: Value, encoder: &mut Encoder, out: &mut BytesMut) {
    let write = |out: &mut BytesMut| wire::write(&part, out);
    encoder.frames.put_with("response.content_part.done", &place.fields(), "part", write, out);
    if let Some(message) = &mut encoder.message {
        message.content.push(part);
    }
}

impl Reasoning {
    fn begin(&mut self, encoder: &mut Encoder, out: &mut BytesMut) -> (usize, String) {
        if let Some(place) = &self.place {
            return place.clone();
        }
        let item = |id: &str| item::reasoning(id, Status::InProgress, "", None);
        let own = take_id(&mut self.own);
        let place = encoder.add_item(Kind::Reasoning, own.as_deref(), item, out);
        self.place = Some(place.clone());
        place
    }

    fn push(&mut self, text: &str, encoder: &mut Encoder, out: &mut BytesMut) {
        if self.head.is_none() {
            let (place, id) = self.begin(encoder, out);
            let fields = json!({ "item_id": id, "output_index": place, "summary_index": 0 });
            let mut added = fields.clone();
            added["part"] = item::summary_text("");
            encoder.frames.put("response.reasoning_summary_part.added", &added, out);
            self.head = Some(Head::new("response.reasoning_summary_text.delta", &fields));
        }
        self.text.push_str(text);
        if let Some(head) = &self.head {
            encoder.frames.put_delta(head, text, b"", out);
        }
    }

    fn end(self, encoder: &mut Encoder, out: &mut BytesMut) {
        let Some((place, id)) = self.place else { return };
        if self.head.is_some() {
            let fields = json!({ "item_id": id, "output_index": place, "summary_index": 0 });
            let mut done = fields.clone();
            done["text"] = self.text.as_str().into();
            encoder.frames.put("response.reasoning_summary_text.done", &done, out);
            let mut done = fields;
            done["part"] = item::summary_text(&self.text);
            encoder.frames.put("response.reasoning_summary_part.done", &done, out);
        }
        let item = item::reasoning(&id, Status::Completed, &self.text, self.state.as_deref());
        encoder.finish_item(place, item, out);
    }
}

impl Call {
    fn end(mut self, encoder: &mut Encoder, out: &mut BytesMut) {
        let arguments = &mut self.made.arguments.0;
        if !self.made.custom && arguments.trim().is_empty() {
            arguments.push_str("{}");
            if let Some(head) = &self.head {
                encoder.frames.put_delta(head, "{}", b"", out);
            }
        }
        let (event, field) = if self.made.custom {
            ("response.custom_tool_call_input.done", "input")
        } else {
            ("response.function_call_arguments.done", "arguments")
        };
        let mut fields = json!({ "item_id": self.id, "output_index": self.place });
        fields[field] = self.made.arguments.0.as_str().into();
        encoder.frames.put(event, &fields, out);
        let item = item::call(&self.id, Status::Completed, &self.made, &encoder.context);
        encoder.finish_item(self.place, item, out);
    }
}
