//! Frames to events. Nothing but the end of the bytes ends this dialect's streams: until then the finish is remembered,
//! which some upstreams say in every chunk, and so are the sources, which may come in pieces.

use serde_json::{Map, Value};

use super::chunk::{self, Candidate, Chunk, TextPart};
use crate::{
    dialect::{
        DecodeError, EventDecoder, Recall, SseFrame, WireError,
        canonical::{BlockKind, ChatEvent, Delta, Extra, Part, PartKind, StateKind, TokenLogprob, ToolCall},
        gemini::{
            error,
            response::{
                Calls, finish,
                grounding::{self, Passage},
                logprobs,
                part::{CallPiece, Piece, Reader, state},
                seconds,
            },
            usage,
        },
        json,
    },
    kernel::error::ErrorKind,
};

/// One stream's state.
#[derive(Debug)]
pub(super) struct Decoder {
    recall: Recall,
    started: bool,
    /// The answer's id, empty if it has none.
    id: String,
    next_block: u32,
    choices: Vec<ChoiceState>,
    /// Why the prompt was blocked.
    blocked: Option<String>,
    ended: bool,
}

#[derive(Debug)]
struct ChoiceState {
    index: u32,
    open: Option<Open>,
    reader: Reader,
    calls: Calls,
    /// A call that waits for its signature, which may come in a part of its own.
    waiting: Option<Part>,
    /// Whether a call of the present step has its signature: its siblings get none.
    step_signed: bool,
    spoke: bool,
    /// How likely the tokens were of the visible text that is said next.
    likely: Vec<TokenLogprob>,
    /// Visible text so far, and where its last block begins.
    text: String,
    block_from: usize,
    grounding: Map<String, Value>,
    finish: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    block: u32,
    thought: bool,
    signed: bool,
}

impl Decoder {
    pub(super) fn new(recall: &Recall) -> Self {
        Self {
            recall: recall.clone(),
            started: false,
            id: String::new(),
            next_block: 0,
            choices: Vec::new(),
            blocked: None,
            ended: false,
        }
    }

    fn chunk(&mut self, chunk: &Chunk<'_>, events: &mut Vec<ChatEvent>) {
        if let Some(told) = chunk.error() {
            let fields = Map::from_iter([("error".to_owned(), told)]);
            if let Some(error) = error::told(&fields) {
                return self.fail(error, events);
            }
        }
        self.start(chunk, events);
        self.blocked = chunk.block_reason().or(self.blocked.take());
        if let Some(usage) = chunk.usage() {
            events.push(ChatEvent::Usage(usage::decode(&usage)));
        }
        for candidate in chunk.candidates.iter().flatten() {
            self.candidate(candidate, events);
        }
    }

    fn start(&mut self, chunk: &Chunk<'_>, events: &mut Vec<ChatEvent>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let id = chunk::text(chunk.response_id);
        self.id = id.clone().unwrap_or_default();
        let created = chunk::text(chunk.create_time).and_then(|it| seconds(&it));
        events.push(ChatEvent::Start { id, model: chunk::text(chunk.model_version), created });
    }

    fn candidate(&mut self, candidate: &Candidate<'_>, events: &mut Vec<ChatEvent>) {
        let index = candidate.index();
        let at = self.choices.iter().position(|it| it.index == index).unwrap_or_else(|| {
            self.choices.push(ChoiceState::new(index, &self.id, &self.recall));
            self.choices.len() - 1
        });
        let mut said = Said { state: &mut self.choices[at], next_block: &mut self.next_block, events };
        if let Some(told) = chunk::value(candidate.logprobs_result) {
            said.state.likely = logprobs::read(&told);
        }
        for part in candidate.parts() {
            said.part(part.get());
        }
        said.likely_of_open();
        let state = &mut self.choices[at];
        if let Some(Value::Object(grounding)) = chunk::value(candidate.grounding_metadata) {
            state.grounding.extend(grounding);
        }
        state.finish = candidate.finish().or(state.finish.take());
    }

    fn end(&mut self, events: &mut Vec<ChatEvent>) {
        self.ended = true;
        for at in 0..self.choices.len() {
            let mut said = Said { state: &mut self.choices[at], next_block: &mut self.next_block, events };
            said.end(&self.id);
        }
        let failure = self.choices.iter().find_map(|it| finish::failure(it.finish.as_deref()?, !it.spoke));
        if let Some(error) = failure {
            events.push(ChatEvent::Error(error));
        } else if self.choices.is_empty() {
            let finish = finish::blocked(self.blocked.as_deref().unwrap_or_default());
            events.push(ChatEvent::Finish { choice: 0, finish });
        } else {
            events.extend(self.choices.iter().map(|it| ChatEvent::Finish {
                choice: it.index,
                finish: finish::decode(it.finish.as_deref(), it.calls.any()),
            }));
        }
        events.push(ChatEvent::End);
    }

    fn fail(&mut self, error: WireError, events: &mut Vec<ChatEvent>) {
        self.ended = true;
        self.start(&Chunk::default(), events);
        events.push(ChatEvent::Error(error));
        events.push(ChatEvent::End);
    }
}

impl EventDecoder for Decoder {
    fn decode(&mut self, frame: &SseFrame, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let data = frame.data.trim_ascii();
        // A clone's `[DONE]` says nothing here, and `{}` is a sign of life.
        if self.ended || data.is_empty() || data == b"[DONE]" || data == b"{}" {
            return Ok(());
        }
        if let Some(chunk) = Chunk::read(data) {
            self.chunk(&chunk, events);
            return Ok(());
        }
        // Not as it should be: lone surrogates are repaired, the rest is refused.
        let repaired = json::parse(data)?.to_string();
        let chunk = Chunk::read(repaired.as_bytes())
            .ok_or_else(|| DecodeError::new("", "a chunk of the answer is not one of Gemini"))?;
        self.chunk(&chunk, events);
        Ok(())
    }

    fn finish(&mut self, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        if self.ended {
            return Ok(());
        }
        let is_whole = match self.choices.as_slice() {
            [] => self.blocked.is_some(),
            choices => self.blocked.is_some() || choices.iter().all(|it| it.finish.is_some()),
        };
        if is_whole {
            for choice in &mut self.choices {
                choice.finish = choice.finish.take().or_else(|| self.blocked.clone());
            }
            self.end(events);
        } else {
            let error = WireError {
                kind: ErrorKind::Truncated,
                message: "the upstream's answer ended before its end".to_owned(),
                error_type: None,
                code: None,
                param: None,
            };
            self.fail(error, events);
        }
        Ok(())
    }
}

impl ChoiceState {
    fn new(index: u32, id: &str, recall: &Recall) -> Self {
        let seed = format!("{id}/{index}");
        Self {
            index,
            open: None,
            reader: Reader::new(seed.clone()),
            calls: Calls::new(recall, seed),
            waiting: None,
            step_signed: false,
            spoke: false,
            likely: Vec::new(),
            text: String::new(),
            block_from: 0,
            grounding: Map::new(),
            finish: None,
        }
    }
}

/// A candidate being read.
struct Said<'a> {
    state: &'a mut ChoiceState,
    next_block: &'a mut u32,
    events: &'a mut Vec<ChatEvent>,
}

impl Said<'_> {
    fn part(&mut self, raw: &str) {
        let piece = match serde_json::from_str::<TextPart>(raw) {
            Ok(TextPart { text, thought, thought_signature }) => {
                let signature = thought_signature.filter(|it| !it.is_empty());
                Some(Piece::Text { text, thought, signature, extra: Extra::default() })
            }
            Err(_) => json::parse(raw.as_bytes()).ok().and_then(|it| self.state.reader.read(it, "")),
        };
        match piece {
            None => {}
            Some(Piece::Text { text, thought, signature: Some(signature), .. }) if text.is_empty() => {
                self.sign(signature, thought);
            }
            Some(Piece::Text { text, .. }) if text.is_empty() => {}
            Some(Piece::Text { text, thought, signature, .. }) => {
                self.say(text, thought);
                if let Some(signature) = signature {
                    self.sign_open(signature);
                }
            }
            Some(Piece::Call(call)) => self.call(call),
            Some(Piece::Whole(part)) => {
                self.end_step();
                self.whole(part);
            }
        }
    }

    /// Text goes into the open block of its kind, unless that has its signature already, or into a new one.
    fn say(&mut self, text: String, thought: bool) {
        self.end_step();
        let block = match self.state.open {
            Some(Open { block, thought: open, signed: false }) if open == thought => block,
            _ => self.open(thought),
        };
        if !thought {
            self.state.text.push_str(&text);
            self.likely(block);
        }
        let delta = if thought { Delta::Reasoning(text) } else { Delta::Text(text) };
        self.events.push(ChatEvent::Delta { block, delta });
    }

    fn likely(&mut self, block: u32) {
        let tokens = std::mem::take(&mut self.state.likely);
        if !tokens.is_empty() {
            self.events.push(ChatEvent::Delta { block, delta: Delta::Logprobs(tokens) });
        }
    }

    /// Tells how likely the tokens were of the visible text that is open, if a chunk said it without one. What belongs to no
    /// text is nobody's.
    fn likely_of_open(&mut self) {
        if let Some(Open { block, thought: false, .. }) = self.state.open {
            self.likely(block);
        }
        self.state.likely.clear();
    }

    fn open(&mut self, thought: bool) -> u32 {
        self.close();
        let kind = if thought { BlockKind::Reasoning } else { BlockKind::Text };
        let block = self.start(kind);
        self.state.open = Some(Open { block, thought, signed: false });
        if !thought {
            self.state.block_from = self.state.text.len();
        }
        block
    }

    fn start(&mut self, kind: BlockKind) -> u32 {
        self.state.spoke = true;
        let block = *self.next_block;
        *self.next_block += 1;
        self.events.push(ChatEvent::block(self.state.index, block, kind));
        block
    }

    fn close(&mut self) {
        if let Some(open) = self.state.open.take() {
            self.events.push(ChatEvent::BlockEnd { block: open.block });
        }
    }

    fn sign_open(&mut self, signature: String) {
        if let Some(open) = &mut self.state.open {
            open.signed = true;
            let delta = Delta::State { kind: StateKind::ThoughtSignature, data: signature };
            self.events.push(ChatEvent::Delta { block: open.block, delta });
        }
    }

    /// A signature without a text belongs to what came before it; if that has one, it is a thought without words.
    fn sign(&mut self, signature: String, thought: bool) {
        if !thought && let Some(mut call) = self.state.waiting.take() {
            call.state = Some(state(signature));
            self.state.step_signed = true;
            return self.tell_call(call);
        }
        if !self.state.open.is_some_and(|it| !it.signed && (it.thought || !thought)) {
            self.end_step();
            self.open(true);
        }
        self.sign_open(signature);
    }

    /// What comes is not of the step whose calls were made: the call that waited has no signature.
    fn end_step(&mut self) {
        self.state.step_signed = false;
        if let Some(call) = self.state.waiting.take() {
            self.tell_call(call);
        }
    }

    fn call(&mut self, piece: CallPiece) {
        for part in self.state.calls.take(piece) {
            self.made(part);
        }
    }

    fn made(&mut self, part: Part) {
        if let PartKind::Text { text, .. } = part.kind {
            // The tool that structured output was emulated with.
            return self.say(text, false);
        }
        if let Some(call) = self.state.waiting.take() {
            self.tell_call(call);
        }
        self.state.step_signed |= part.state.is_some();
        if self.state.step_signed { self.tell_call(part) } else { self.state.waiting = Some(part) }
    }

    fn tell_call(&mut self, part: Part) {
        let PartKind::ToolCall(ToolCall { id, name, arguments, custom }) = part.kind else { return };
        self.close();
        let block = self.start(BlockKind::ToolCall { id, name, custom, state: part.state });
        self.events.push(ChatEvent::Delta { block, delta: Delta::Arguments(arguments.0) });
        self.events.push(ChatEvent::BlockEnd { block });
    }

    fn whole(&mut self, part: Part) {
        self.close();
        let block = self.start(BlockKind::Whole(Box::new(part)));
        self.events.push(ChatEvent::BlockEnd { block });
    }

    fn end(&mut self, id: &str) {
        if let Some(part) = self.state.calls.end() {
            self.made(part);
        }
        self.end_step();
        self.cite();
        self.close();
        let seed = format!("{id}/{}", self.state.index);
        let grounding = std::mem::take(&mut self.state.grounding);
        for part in grounding::steps(grounding, self.state.reader.searched, &seed) {
            self.whole(part);
        }
    }

    /// Tells the citations on the last block of text. Those of earlier blocks, which are closed, say no place.
    fn cite(&mut self) {
        let (earlier, last) = self.state.text.split_at(self.state.block_from);
        let passages = [Passage { part: None, text: earlier }, Passage { part: None, text: last }];
        let found = grounding::citations(&self.state.grounding, &passages);
        if found.is_empty() {
            return;
        }
        let (block, is_last) = match self.state.open {
            Some(Open { block, thought: false, .. }) => (block, true),
            _ => (self.open(false), false),
        };
        for (passage, mut citation) in found {
            if passage == 0 || !is_last {
                citation.span = None;
            }
            self.events.push(ChatEvent::Delta { block, delta: Delta::Citation(citation) });
        }
    }
}
