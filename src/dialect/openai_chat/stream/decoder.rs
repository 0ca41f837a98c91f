//! Frames to events. The finish is remembered and told at the stream's end, so that usage that comes late is told before it.

use bytes::Bytes;
use serde_json::Value;

use super::{
    chunk::{self, Chunk, ChunkChoice, Content, Delta as ChunkDelta, Fragment},
    fragments::{Calls, Sink},
    kind::Kind,
};
use crate::{
    dialect::{
        DecodeError, EventDecoder, Recall, SseFrame, WireError,
        canonical::{ChatEvent, Delta, TokenLogprob},
        json,
        openai_chat::{
            annotations, error, finish,
            logprobs::{self, Logprobs},
            response::decode::{details, texts},
            think_tags::{self, Splitter},
            usage,
        },
    },
    kernel::error::ErrorKind,
};

/// One stream's state.
#[derive(Debug)]
pub(in crate::dialect::openai_chat) struct Decoder {
    recall: Recall,
    started: bool,
    /// The answer's id, empty if it has none.
    id: String,
    next_block: u32,
    choices: Vec<ChoiceState>,
    ended: bool,
}

#[derive(Debug, Default)]
struct ChoiceState {
    index: u32,
    open: Option<(Kind, u32)>,
    calls: Calls,
    /// What was said while a call was not whole yet.
    held: Vec<(Kind, String)>,
    /// How likely the tokens were of what is said next.
    likely: Logprobs,
    /// Takes reasoning out of the text, where it may be in there.
    splitter: Option<Splitter>,
    refused: bool,
    spoke: bool,
    finish: Option<String>,
    matched: Option<String>,
}

impl Decoder {
    pub(in crate::dialect::openai_chat) fn new(recall: &Recall) -> Self {
        Self {
            recall: recall.clone(),
            started: false,
            id: String::new(),
            next_block: 0,
            choices: Vec::new(),
            ended: false,
        }
    }

    fn chunk(&mut self, chunk: Chunk<'_>, data: &[u8], events: &mut Vec<ChatEvent>) {
        if chunk.error.is_some() || chunk.choices.is_none() {
            let error = serde_json::from_slice::<Value>(data).ok();
            if let Some(error) =
                error.as_ref().and_then(Value::as_object).and_then(|it| error::told(it, "choices"))
            {
                return self.fail(error, events);
            }
        }
        let choices = chunk.choices.unwrap_or_default();
        if !self.started && !choices.is_empty() {
            self.start(chunk.id, chunk.model, chunk.created, events);
        }
        let groq = || chunk::value(chunk.x_groq).and_then(|mut it| it.get_mut("usage").map(Value::take));
        let mut counted = chunk::value(chunk.usage).or_else(groq).filter(Value::is_object);
        for choice in choices {
            counted = counted.or_else(|| chunk::value(choice.usage).filter(Value::is_object));
            self.choice(choice, events);
        }
        if let Some(usage) = counted {
            // A stream that opens with usage has said nothing of itself yet.
            self.start(chunk.id, chunk.model, chunk.created, events);
            events.push(ChatEvent::Usage(usage::decode(&usage)));
        }
    }

    fn start(
        &mut self,
        id: Option<&serde_json::value::RawValue>,
        model: Option<&serde_json::value::RawValue>,
        created: Option<&serde_json::value::RawValue>,
        events: &mut Vec<ChatEvent>,
    ) {
        if self.started {
            return;
        }
        self.started = true;
        let id = chunk::text(id);
        self.id = id.clone().unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and a time is not that large")]
        let created = created.and_then(|it| it.get().parse::<f64>().ok()).map(|it| it as i64);
        events.push(ChatEvent::Start { id, model: chunk::text(model), created });
    }

    fn choice(&mut self, choice: ChunkChoice<'_>, events: &mut Vec<ChatEvent>) {
        let index = choice.index.unwrap_or(0);
        let at = self.choices.iter().position(|it| it.index == index).unwrap_or_else(|| {
            let splitter = self.recall.think_tags.then(Splitter::default);
            self.choices.push(ChoiceState { index, splitter, ..ChoiceState::default() });
            self.choices.len() - 1
        });
        let mut said = Said {
            state: &mut self.choices[at],
            recall: &self.recall,
            seed: &self.id,
            next_block: &mut self.next_block,
            events,
        };
        if let Some(told) = chunk::value(choice.logprobs) {
            said.state.likely.extend(logprobs::read(&told));
        }
        match (choice.delta, choice.message) {
            (Some(delta), _) => said.delta(delta),
            (None, Some(message)) if !said.state.spoke => said.delta(message),
            _ => {}
        }
        said.likely_of_open();
        let state = &mut self.choices[at];
        if let Some(reason) = choice.finish_reason.filter(|it| !it.is_empty()) {
            state.finish = Some(reason);
        }
        if let Some(matched) = chunk::text(choice.stop_reason).or_else(|| chunk::text(choice.matched_stop)) {
            state.matched = Some(matched);
        }
    }

    fn end(&mut self, events: &mut Vec<ChatEvent>) {
        self.ended = true;
        for at in 0..self.choices.len() {
            let mut said = Said {
                state: &mut self.choices[at],
                recall: &self.recall,
                seed: &self.id,
                next_block: &mut self.next_block,
                events,
            };
            said.end();
        }
        events.push(ChatEvent::End);
    }

    fn fail(&mut self, error: WireError, events: &mut Vec<ChatEvent>) {
        self.ended = true;
        if !self.started {
            self.start(None, None, None, events);
        }
        events.push(ChatEvent::Error(error));
        events.push(ChatEvent::End);
    }

    fn truncated(&mut self, message: &str, events: &mut Vec<ChatEvent>) {
        let error = WireError {
            kind: ErrorKind::Truncated,
            message: message.to_owned(),
            error_type: None,
            code: None,
            param: None,
        };
        self.fail(error, events);
    }
}

impl EventDecoder for Decoder {
    fn decode(&mut self, frame: &SseFrame, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let data: &Bytes = &frame.data;
        if self.ended || data.trim_ascii().is_empty() {
            return Ok(());
        }
        if data.trim_ascii() == b"[DONE]" {
            if self.choices.is_empty() {
                self.truncated("the upstream ended its answer before it began", events);
            } else {
                self.end(events);
            }
            return Ok(());
        }
        if frame.event.as_deref() == Some("error") {
            let error = error::decode(http::StatusCode::OK, data);
            self.fail(error, events);
            return Ok(());
        }
        if let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(data) {
            self.chunk(chunk, data, events);
            return Ok(());
        }
        // Not as it should be: lone surrogates are repaired, the rest is refused.
        let repaired = json::parse(data)?.to_string();
        let chunk = serde_json::from_str::<Chunk<'_>>(&repaired)
            .map_err(|it| DecodeError::new("", format!("a chunk of the answer is not one of Chat: {it}")))?;
        self.chunk(chunk, repaired.as_bytes(), events);
        Ok(())
    }

    fn finish(&mut self, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        if self.ended {
            return Ok(());
        }
        if !self.choices.is_empty() && self.choices.iter().all(|it| it.finish.is_some()) {
            self.end(events);
        } else {
            self.truncated("the upstream's answer ended before its end", events);
        }
        Ok(())
    }
}

/// A choice being read.
struct Said<'a> {
    state: &'a mut ChoiceState,
    recall: &'a Recall,
    seed: &'a str,
    next_block: &'a mut u32,
    events: &'a mut Vec<ChatEvent>,
}

impl Said<'_> {
    fn delta(&mut self, delta: ChunkDelta<'_>) {
        let mut thought = delta.reasoning_content;
        if thought.is_empty() {
            thought = delta.reasoning;
        }
        if thought.is_empty() {
            let text = details(chunk::value(delta.reasoning_details).as_ref());
            thought = text.map_or(Content::None, Content::Text);
        }
        if !thought.is_empty() {
            self.interrupt();
        }
        self.content(Kind::Reasoning, thought);
        self.content(Kind::Text, delta.content);
        if let Some(text) = delta.refusal {
            self.say(Kind::Refusal, text);
        }
        self.cite(chunk::value(delta.annotations));
        for fragment in delta.tool_calls.into_iter().flatten() {
            self.fragment(fragment);
        }
        if let Some(function) = delta.function_call {
            self.fragment(Fragment { index: Some(0), function: Some(function), ..Fragment::default() });
        }
    }

    fn content(&mut self, kind: Kind, content: Content) {
        match content {
            Content::None => {}
            Content::Text(text) => self.split(kind, text),
            Content::Parts(parts) => {
                for part in &parts {
                    match part.get("thinking") {
                        Some(thought) => {
                            self.interrupt();
                            self.say(Kind::Reasoning, texts(thought));
                        }
                        None => self.split(kind, texts(part)),
                    }
                }
            }
        }
    }

    /// Says text, its reasoning apart if it has any between tags.
    fn split(&mut self, kind: Kind, text: String) {
        let Some(splitter) = self.state.splitter.as_mut().filter(|_| kind == Kind::Text) else {
            return self.say(kind, text);
        };
        self.state.spoke |= !text.is_empty();
        let mut said = Vec::new();
        splitter.push(&text, &mut said);
        self.say_all(said);
    }

    /// Says what waits to be a tag: something comes that stands in none.
    fn interrupt(&mut self) {
        if let Some(splitter) = &mut self.state.splitter {
            let mut said = Vec::new();
            splitter.interrupt(&mut said);
            self.say_all(said);
        }
    }

    fn say_all(&mut self, said: Vec<think_tags::Said>) {
        for it in said {
            match it {
                think_tags::Said::Reasoning(text) => self.say(Kind::Reasoning, text),
                think_tags::Said::Text(text) => self.say(Kind::Text, text),
            }
        }
    }

    /// Text of a kind goes into the open block of that kind, or a new one. While a call is not whole it waits.
    fn say(&mut self, kind: Kind, text: String) {
        if text.is_empty() {
            return;
        }
        self.state.spoke = true;
        self.state.refused |= kind == Kind::Refusal;
        if self.state.calls.is_open() {
            let (calls, mut sink) = self.calls();
            calls.close_complete(&mut sink);
            if calls.is_open() {
                match self.state.held.last_mut() {
                    Some((last, held)) if *last == kind => held.push_str(&text),
                    _ => self.state.held.push((kind, text)),
                }
                return;
            }
        }
        self.release();
        self.put(kind, text);
    }

    /// Says what waited.
    fn release(&mut self) {
        for (kind, text) in std::mem::take(&mut self.state.held) {
            self.put(kind, text);
        }
    }

    fn put(&mut self, kind: Kind, text: String) {
        let block = match self.state.open {
            Some((open, block)) if open == kind => block,
            _ => {
                self.close();
                let block = *self.next_block;
                *self.next_block += 1;
                self.state.open = Some((kind, block));
                let choice = self.state.index;
                self.events.push(ChatEvent::block(choice, block, kind.block()));
                block
            }
        };
        self.likely(kind, block);
        self.events.push(ChatEvent::Delta { block, delta: kind.delta(text) });
    }

    /// Tells how likely the tokens are of what a block says next.
    fn likely(&mut self, kind: Kind, block: u32) {
        let tokens: Vec<TokenLogprob> = match kind {
            Kind::Text => std::mem::take(&mut self.state.likely.content),
            Kind::Refusal => std::mem::take(&mut self.state.likely.refusal),
            Kind::Reasoning => Vec::new(),
        };
        if !tokens.is_empty() {
            self.events.push(ChatEvent::Delta { block, delta: Delta::Logprobs(tokens) });
        }
    }

    /// Tells what is left of it of the block that is open: some clones say it after the text. What belongs to no text is
    /// nobody's.
    fn likely_of_open(&mut self) {
        if self.state.held.is_empty() {
            if let Some((kind, block)) = self.state.open {
                self.likely(kind, block);
            }
            self.state.likely = Logprobs::default();
        }
    }

    fn cite(&mut self, told: Option<Value>) {
        let (Some(Value::Array(told)), Some((Kind::Text, block))) = (told, self.state.open) else {
            return;
        };
        self.events.extend(
            told.into_iter()
                .map(|it| ChatEvent::Delta { block, delta: Delta::Citation(annotations::decode(it)) }),
        );
    }

    fn close(&mut self) {
        if let Some((_, block)) = self.state.open.take() {
            self.events.push(ChatEvent::BlockEnd { block });
        }
    }

    fn fragment(&mut self, fragment: Fragment) {
        self.interrupt();
        self.close();
        self.state.spoke = true;
        let (calls, mut sink) = self.calls();
        calls.take(fragment, &mut sink);
    }

    fn calls(&mut self) -> (&mut Calls, Sink<'_>) {
        let sink = Sink {
            choice: self.state.index,
            recall: self.recall,
            seed: self.seed,
            next_block: self.next_block,
            events: self.events,
        };
        (&mut self.state.calls, sink)
    }

    fn end(&mut self) {
        self.interrupt();
        self.close();
        let (calls, mut sink) = self.calls();
        calls.close_all(&mut sink);
        self.release();
        self.close();
        let held = finish::Held { calls: self.state.calls.any(), refusal: self.state.refused };
        let finish = finish::decode(self.state.finish.as_deref(), self.state.matched.take(), held);
        self.events.push(ChatEvent::Finish { choice: self.state.index, finish });
    }
}
