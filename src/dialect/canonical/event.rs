//! A streamed answer, in nobody's dialect.
//!
//! Laws, for every decoder: `Start` comes first and once. A block is opened, gets deltas, is closed; keys are never used
//! twice in a stream. Blocks of a choice may overlap only if they are tool calls (Chat interleaves them by index; an encoder
//! that cannot say so puts them in order with `collect::Serializer`). At most one `Finish` for each choice, after its blocks
//! are closed. `Error` is followed only by `End`; nothing follows `End`. Folding the events gives the whole answer.

use super::{Citation, Extra, Finish, OpaqueState, Part, StateKind, TokenLogprob, TokenUsage};
use crate::dialect::WireError;

#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    Start {
        id: Option<String>,
        model: Option<String>,
        created: Option<i64>,
    },
    /// `block` is unique in the stream.
    BlockStart {
        choice: u32,
        block: u32,
        kind: BlockKind,
        /// What only one dialect says of the block, as far as it is known when it begins (an item's id in Responses). That of
        /// a `Whole` part is the part's own.
        extra: Extra,
    },
    Delta {
        block: u32,
        delta: Delta,
    },
    BlockEnd {
        block: u32,
    },
    /// What is known of usage so far: cumulative; a later value of a field replaces an earlier one.
    Usage(TokenUsage),
    Finish {
        choice: u32,
        finish: Finish,
    },
    Error(WireError),
    /// The upstream said that it is done.
    End,
}

impl ChatEvent {
    /// The beginning of a block of which no dialect says anything of its own.
    pub fn block(choice: u32, block: u32, kind: BlockKind) -> Self {
        Self::BlockStart { choice, block, kind, extra: Extra::default() }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum BlockKind {
    Text,
    Reasoning,
    /// `name` is known when the block starts; `id` is minted by the decoder if the upstream gave none.
    ToolCall {
        id: String,
        name: String,
        custom: bool,
        /// What rides on the call (Gemini's `thoughtSignature`): known before its arguments.
        state: Option<OpaqueState>,
    },
    Refusal,
    /// A part that arrives whole (redacted thinking, a server tool's block, an unknown one): it gets no deltas.
    Whole(Box<Part>),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    Text(String),
    Reasoning(String),
    /// A piece of the arguments' text.
    Arguments(String),
    Refusal(String),
    /// The state of a reasoning or a text block; comes once, whole.
    State {
        kind: StateKind,
        data: String,
    },
    /// A citation of a text block.
    Citation(Citation),
    /// How likely the tokens of a text or a refusal were: of the text that the next delta says, as far as it is known which.
    Logprobs(Vec<TokenLogprob>),
}
