//! A message and its parts.

use serde_json::Value;

use super::{Own, begin, take_key, word};
use crate::dialect::{
    ChatEvent,
    canonical::{BlockKind, Delta, TokenLogprob},
    collect, openai_logprobs,
    openai_responses::response::parts::{self},
};

#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) own: Own,
    pub(super) parts: Vec<Content>,
}

/// A part of a message.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) index: u64,
    pub(super) refusal: bool,
    pub(super) block: Option<u32>,
    /// How many bytes of its text were told.
    pub(super) told: usize,
    pub(super) annotations: usize,
    pub(super) tokens: usize,
    pub(super) closed: bool,
}

/// A piece of a text, and how likely its tokens were.
#[derive(Debug, Default)]
pub(in super::super) struct Said {
    pub(in super::super) text: String,
    pub(in super::super) tokens: Vec<TokenLogprob>,
}

impl Message {
    /// A part of it, and what the message says of its own.
    pub(super) fn part(&mut self, index: u64, refusal: bool) -> (&mut Content, &mut Own) {
        let at = self.parts.iter().position(|it| it.index == index).unwrap_or_else(|| {
            self.parts.push(Content {
                index,
                refusal,
                block: None,
                told: 0,
                annotations: 0,
                tokens: 0,
                closed: false,
            });
            self.parts.len() - 1
        });
        (&mut self.parts[at], &mut self.own)
    }

    /// Tells what is in a part and was not told, and ends it. One of a type we do not know is told as it is.
    pub(super) fn fill(&mut self, index: u64, part: &Value, next: &mut u32, out: &mut Vec<ChatEvent>) {
        let (kind, Value::Object(fields)) = (part.get("type").and_then(Value::as_str), part) else { return };
        let refusal = match kind {
            Some("output_text" | "text") => false,
            Some("refusal") => true,
            None | Some("" | "summary_text" | "reasoning_text") => return,
            Some(_) => {
                let (content, own) = self.part(index, false);
                if !std::mem::replace(&mut content.closed, true) && content.block.is_none() {
                    let part = parts::unknown_content(fields.clone(), std::mem::take(own));
                    collect::unfold_part(part, 0, take_key(next), out);
                }
                return;
            }
        };
        let text = word(part, if refusal { "refusal" } else { "text" }).unwrap_or_default();
        let tokens = part.get("logprobs").and_then(openai_logprobs::read).unwrap_or_default();
        let (content, own) = self.part(index, refusal);
        content.complete(&text, tokens, own, next, out);
        let told = content.annotations;
        let annotations = part.get("annotations").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for annotation in annotations.iter().skip(told) {
            content.cite(annotation.clone(), own, next, out);
        }
        content.close(out);
    }
}

impl Content {
    pub(super) fn tell(&mut self, said: Said, own: &mut Own, next: &mut u32, out: &mut Vec<ChatEvent>) {
        let Said { text, tokens } = said;
        if self.closed || text.is_empty() {
            return;
        }
        let block = self.open(own, next, out);
        self.told += text.len();
        self.likely(block, tokens, out);
        let delta = if self.refusal { Delta::Refusal(text) } else { Delta::Text(text) };
        out.push(ChatEvent::Delta { block, delta });
    }

    pub(super) fn likely(&mut self, block: u32, tokens: Vec<TokenLogprob>, out: &mut Vec<ChatEvent>) {
        if !tokens.is_empty() {
            self.tokens += tokens.len();
            out.push(ChatEvent::Delta { block, delta: Delta::Logprobs(tokens) });
        }
    }

    pub(super) fn open(&mut self, own: &mut Own, next: &mut u32, out: &mut Vec<ChatEvent>) -> u32 {
        *self.block.get_or_insert_with(|| {
            let kind = if self.refusal { BlockKind::Refusal } else { BlockKind::Text };
            begin(kind, own, next, out)
        })
    }

    /// Tells the rest of a text and of its tokens, all of which are known now.
    pub(super) fn complete(
        &mut self,
        full: &str,
        mut tokens: Vec<TokenLogprob>,
        own: &mut Own,
        next: &mut u32,
        out: &mut Vec<ChatEvent>,
    ) {
        tokens.drain(..self.tokens.min(tokens.len()));
        match full.get(self.told..) {
            Some(rest) if !rest.is_empty() => {
                self.tell(Said { text: rest.to_owned(), tokens }, own, next, out);
            }
            _ => {
                if let Some(block) = self.block.filter(|_| !self.closed) {
                    self.likely(block, tokens, out);
                }
            }
        }
    }

    /// Cites. A citation of no text is none.
    pub(super) fn cite(
        &mut self,
        annotation: Value,
        own: &mut Own,
        next: &mut u32,
        out: &mut Vec<ChatEvent>,
    ) {
        if self.closed || self.refusal || self.told == 0 {
            return;
        }
        let block = self.open(own, next, out);
        self.annotations += 1;
        out.push(ChatEvent::Delta { block, delta: Delta::Citation(parts::citation(annotation)) });
    }

    pub(super) fn close(&mut self, out: &mut Vec<ChatEvent>) {
        if !std::mem::replace(&mut self.closed, true)
            && let Some(block) = self.block
        {
            out.push(ChatEvent::BlockEnd { block });
        }
    }
}
