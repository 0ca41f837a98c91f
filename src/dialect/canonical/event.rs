//! A streamed answer, in nobody's dialect.
//!
//! Laws, for every decoder: `Start` comes first and once. A block is opened, gets deltas, is closed; keys are never used
//! twice in a stream. Blocks of a choice may overlap only if they are tool calls (Chat interleaves them by index; an encoder
//! that cannot say so puts them in order with `collect::Serializer`). At most one `Finish` for each choice, after its blocks
//! are closed. `Error` is followed only by `End`; nothing follows `End`. Folding the events gives the whole answer.

use super::{Citation, Finish, OpaqueState, Part, StateKind, TokenUsage};
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
}
