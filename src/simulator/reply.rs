//! An answer, before a dialect writes it.

use serde_json::json;

use crate::simulator::{
    ask::{Ask, tokens},
    scenario::{AnswerReply, Citation, Dialect, ImageReply, Pace, Quirk, Tokens, ToolReply},
};

/// What is said, and how it ends.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub id: String,
    pub model: String,
    pub reasoning: Option<String>,
    /// The reasoning is not told in words.
    pub redacted: bool,
    /// This opaque state instead of one of ours.
    pub state: Option<String>,
    pub text: String,
    pub refusal: Option<String>,
    pub calls: Vec<Call>,
    /// The calls' deltas come in turns.
    pub interleaved: bool,
    pub searches: Vec<String>,
    pub citations: Vec<Cited>,
    pub images: Vec<ImageReply>,
    /// Texts of the second and further choices.
    pub choices: Vec<String>,
    pub blocked: Option<String>,
    pub finish: Finish,
    pub usage: Tokens,
}

impl Answer {
    /// The text of the choice with this index.
    pub(super) fn text_of(&self, index: u64) -> &str {
        let other = index.checked_sub(1).and_then(|it| usize::try_from(it).ok());
        other.and_then(|it| self.choices.get(it)).map_or(&self.text, |it| it)
    }
}

/// A source of a part of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cited {
    pub url: String,
    pub title: String,
    /// The part, in bytes of the text.
    pub bytes: std::ops::Range<usize>,
    /// The part, in characters of the text.
    pub characters: std::ops::Range<usize>,
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub id: String,
    pub name: String,
    /// JSON text, unless the scenario wants otherwise; for a free-form tool its input.
    pub arguments: String,
    /// A free-form tool is called.
    pub custom: bool,
    /// The scenario gave the id.
    pub named: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    Stop,
    StopSequence(String),
    Length,
    Tools,
    Refusal,
    /// In the dialect's own words.
    Said(String),
}

/// How an answer is written.
#[derive(Clone, Copy)]
pub(super) struct Manner<'a> {
    pub pace: &'a Pace,
    pub quirks: &'a [Quirk],
    /// For whom opaque state is made; empty: for everybody.
    pub account: &'a str,
}

impl Manner<'_> {
    pub(super) fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    /// Cuts `text` into deltas: as many as the pace says, else about twelve characters each.
    pub(super) fn deltas<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let size = self.pace.chunks.map_or(12, |count| text.len().div_ceil(count.max(1)));
        pieces(text, size.max(1))
    }

    pub(super) fn fragments<'t>(&self, arguments: &'t str) -> Vec<&'t str> {
        if self.has(Quirk::WholeArguments) { vec![arguments] } else { pieces(arguments, 9) }
    }
}

/// Pieces of at least `size` bytes, cut between characters.
fn pieces(text: &str, size: usize) -> Vec<&str> {
    let mut pieces = Vec::with_capacity(text.len() / size + 1);
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(boundary(rest, size));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

fn boundary(text: &str, at: usize) -> usize {
    (at.min(text.len())..=text.len()).find(|it| text.is_char_boundary(*it)).unwrap_or(text.len())
}

/// Builds the answer a scenario describes; `serial` makes its ids unlike any other's.
pub(super) fn build(reply: &AnswerReply, ask: &Ask, serial: &str, manner: Manner<'_>) -> Answer {
    let calls: Vec<Call> = reply
        .tools
        .iter()
        .enumerate()
        .map(|(number, tool)| call(number, tool, ask, serial, manner))
        .collect();
    let (text, cut) = cut(&reply.text.repeat(reply.repeat.unwrap_or(1)), ask);
    let finish = match &reply.finish {
        Some(said) => Finish::Said(said.clone()),
        None if reply.refusal.is_some() || reply.blocked.is_some() => Finish::Refusal,
        None if !calls.is_empty() => Finish::Tools,
        None => cut,
    };
    let usage = reply.usage.unwrap_or_else(|| estimate(ask, reply, &text, &calls));
    Answer {
        id: serial.to_owned(),
        model: ask.model.clone(),
        reasoning: reply.reasoning.clone().filter(|_| ask.thinking || manner.has(Quirk::ReasoningContent)),
        redacted: reply.redacted,
        state: reply.state.clone(),
        citations: reply.citations.iter().filter_map(|it| cited(it, &text)).collect(),
        text,
        refusal: reply.refusal.clone(),
        calls,
        interleaved: reply.interleaved,
        searches: reply.searches.clone(),
        images: reply.images.clone(),
        choices: reply.choices.clone(),
        blocked: reply.blocked.clone(),
        finish,
        usage,
    }
}

fn call(number: usize, tool: &ToolReply, ask: &Ask, serial: &str, manner: Manner<'_>) -> Call {
    let declared = ask.tool(&tool.name);
    let custom = declared.is_some_and(|it| it.custom);
    let arguments = match &tool.custom_input {
        Some(input) if custom => input.clone(),
        Some(input) => json!({"input": input}).to_string(),
        None => arguments(tool, manner),
    };
    Call {
        id: tool.id.clone().unwrap_or_else(|| call_id(serial, number, manner)),
        name: declared.map_or(&tool.name, |it| &it.name).clone(),
        arguments,
        custom,
        named: tool.id.is_some(),
    }
}

/// Where in `text` the cited words are; nowhere, no citation.
fn cited(citation: &Citation, text: &str) -> Option<Cited> {
    let start = text.find(&citation.cited)?;
    let end = start + citation.cited.len();
    let first = text[..start].chars().count();
    Some(Cited {
        url: citation.url.clone(),
        title: citation.title.clone(),
        bytes: start..end,
        characters: first..first + citation.cited.chars().count(),
    })
}

fn call_id(serial: &str, number: usize, manner: Manner<'_>) -> String {
    let number = if manner.has(Quirk::DuplicateIds) { 0 } else { number };
    format!("call_{serial}_{number}")
}

fn arguments(tool: &ToolReply, manner: Manner<'_>) -> String {
    match &tool.arguments_text {
        Some(text) => text.clone(),
        None if tool.arguments.is_null() && manner.has(Quirk::EmptyArguments) => String::new(),
        None if tool.arguments.is_null() => "{}".into(),
        None => tool.arguments.to_string(),
    }
}

/// Obeys stop sequences and the token limit.
fn cut(text: &str, ask: &Ask) -> (String, Finish) {
    let stop = ask.stops.iter().filter_map(|stop| Some((text.find(stop.as_str())?, stop))).min();
    let (text, finish) = match stop {
        Some((at, stop)) => (&text[..at], Finish::StopSequence(stop.clone())),
        None => (text, Finish::Stop),
    };
    match ask.max_tokens {
        Some(limit) if tokens(text.len()) > limit => {
            let bytes = usize::try_from(limit).unwrap_or(usize::MAX).saturating_mul(4);
            (text[..boundary(text, bytes)].to_owned(), Finish::Length)
        }
        _ => (text.to_owned(), finish),
    }
}

/// Figures for an answer nobody gave figures for: a part of the prompt counts as cached so that the arithmetic is tested.
fn estimate(ask: &Ask, reply: &AnswerReply, text: &str, calls: &[Call]) -> Tokens {
    let cached = match ask.dialect {
        Dialect::AnthropicMessages if !ask.cache_marks => 0,
        _ => ask.prompt_tokens / 4,
    };
    let cache_write = if ask.cache_marks { ask.prompt_tokens / 8 } else { 0 };
    let reasoning = if ask.thinking { reply.reasoning.as_ref().map_or(0, |it| tokens(it.len())) } else { 0 };
    let said: usize = text.len() + calls.iter().map(|it| it.name.len() + it.arguments.len()).sum::<usize>();
    Tokens {
        input: ask.prompt_tokens - cached - cache_write,
        cached,
        cache_write,
        output: (tokens(said) + reasoning).max(1),
        reasoning,
    }
}
