//! Blocks one after another, for dialects that cannot say two at once.

use std::{
    collections::VecDeque,
    fmt::{self, Write as _},
};

use crate::{
    dialect::{
        ChatEvent, WireError,
        canonical::{BlockKind, Delta, Extra, Finish, TokenLogprob},
    },
    kernel::error::ErrorKind,
};

/// The most bytes that wait for their turn.
pub const MAX_HELD_BYTES: usize = 4 << 20;
/// What a block or a finish weighs without its words: so much that they stay few, for every event looks through them.
const WAITING_BYTES: usize = 1 << 10;

/// Puts a stream's blocks in the order of their beginnings, so that no two are open at once.
///
/// The front block passes as it comes; what belongs to later ones waits until the front has ended. A block that is still
/// open when its choice finishes is ended there. If more than `MAX_HELD_BYTES` wait, the stream ends in an error.
#[derive(Debug, Default)]
pub struct Serializer {
    front: Option<Front>,
    waiting: VecDeque<Waiting>,
    held_bytes: usize,
    /// Whether an error or the end was passed on.
    closed: Closed,
}

#[derive(Debug, Clone, Copy)]
struct Front {
    choice: u32,
    block: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Closed {
    #[default]
    No,
    /// Only `End` may follow.
    ByError,
    ByEnd,
}

/// What has its turn later.
#[derive(Debug)]
enum Waiting {
    Block { choice: u32, block: u32, kind: BlockKind, extra: Extra, deltas: Vec<Delta>, ended: bool },
    Finish { choice: u32, finish: Finish },
}

impl Serializer {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event, and adds to `out` what has its turn now.
    pub fn push(&mut self, event: ChatEvent, out: &mut Vec<ChatEvent>) {
        match (self.closed, &event) {
            (Closed::No, _) | (Closed::ByError, ChatEvent::End) => {}
            _ => return,
        }
        match event {
            ChatEvent::Start { .. } | ChatEvent::Usage(_) => out.push(event),
            ChatEvent::BlockStart { choice, block, kind, extra } => {
                self.open(choice, block, kind, extra, out);
            }
            ChatEvent::Delta { block, delta } => self.extend(block, delta, out),
            ChatEvent::BlockEnd { block } => self.end(block, out),
            ChatEvent::Finish { choice, finish } => self.finish(choice, finish, out),
            ChatEvent::Error(error) => self.fail(error, out),
            ChatEvent::End => {
                if self.closed == Closed::No {
                    self.end_all(|_| true, out);
                }
                self.closed = Closed::ByEnd;
                out.push(ChatEvent::End);
            }
        }
    }

    fn open(&mut self, choice: u32, block: u32, kind: BlockKind, extra: Extra, out: &mut Vec<ChatEvent>) {
        let is_used = self.front.is_some_and(|it| it.block == block) || self.waiting_block(block).is_some();
        if is_used {
            return;
        }
        if self.front.is_none() {
            self.front = Some(Front { choice, block });
            out.push(ChatEvent::BlockStart { choice, block, kind, extra });
        } else {
            let size = size_of_kind(&kind) + size_of_extra(&extra);
            let deltas = Vec::new();
            self.waiting.push_back(Waiting::Block { choice, block, kind, extra, deltas, ended: false });
            self.hold(size, out);
        }
    }

    fn extend(&mut self, block: u32, delta: Delta, out: &mut Vec<ChatEvent>) {
        if self.front.is_some_and(|it| it.block == block) {
            out.push(ChatEvent::Delta { block, delta });
            return;
        }
        let Some(Waiting::Block { deltas, ended: false, .. }) = self.waiting_block(block) else { return };
        let size = append(deltas, delta);
        self.hold(size, out);
    }

    fn hold(&mut self, size: usize, out: &mut Vec<ChatEvent>) {
        self.held_bytes += size;
        if self.held_bytes > MAX_HELD_BYTES {
            self.fail(overflow(), out);
        }
    }

    fn end(&mut self, block: u32, out: &mut Vec<ChatEvent>) {
        if self.front.is_some_and(|it| it.block == block) {
            self.front = None;
            out.push(ChatEvent::BlockEnd { block });
            self.release(out);
        } else if let Some(Waiting::Block { ended, .. }) = self.waiting_block(block) {
            *ended = true;
        }
    }

    fn finish(&mut self, choice: u32, finish: Finish, out: &mut Vec<ChatEvent>) {
        self.end_all(|it| it == choice, out);
        if self.front.is_none() && self.waiting.is_empty() {
            out.push(ChatEvent::Finish { choice, finish });
        } else {
            let size = size_of_finish(&finish);
            self.waiting.push_back(Waiting::Finish { choice, finish });
            self.hold(size, out);
        }
    }

    fn fail(&mut self, error: WireError, out: &mut Vec<ChatEvent>) {
        self.front = None;
        self.waiting.clear();
        self.closed = Closed::ByError;
        out.push(ChatEvent::Error(error));
    }

    /// Ends every block of some choices.
    fn end_all(&mut self, of: impl Fn(u32) -> bool, out: &mut Vec<ChatEvent>) {
        for waiting in &mut self.waiting {
            if let Waiting::Block { choice, ended, .. } = waiting {
                *ended |= of(*choice);
            }
        }
        if let Some(front) = self.front.filter(|it| of(it.choice)) {
            self.end(front.block, out);
        }
    }

    /// Lets through what waited for the front's end, up to the next block that is open: the new front.
    fn release(&mut self, out: &mut Vec<ChatEvent>) {
        while let Some(next) = self.waiting.pop_front() {
            match next {
                Waiting::Finish { choice, finish } => {
                    self.held_bytes = self.held_bytes.saturating_sub(size_of_finish(&finish));
                    out.push(ChatEvent::Finish { choice, finish });
                }
                Waiting::Block { choice, block, kind, extra, deltas, ended } => {
                    let size = size_of_kind(&kind) + size_of_extra(&extra);
                    self.held_bytes = self.held_bytes.saturating_sub(size);
                    out.push(ChatEvent::BlockStart { choice, block, kind, extra });
                    for delta in deltas {
                        self.held_bytes = self.held_bytes.saturating_sub(size_of_delta(&delta));
                        out.push(ChatEvent::Delta { block, delta });
                    }
                    if !ended {
                        self.front = Some(Front { choice, block });
                        return;
                    }
                    out.push(ChatEvent::BlockEnd { block });
                }
            }
        }
    }

    fn waiting_block(&mut self, wanted: u32) -> Option<&mut Waiting> {
        self.waiting.iter_mut().find(|it| matches!(it, Waiting::Block { block, .. } if *block == wanted))
    }
}

/// Adds a delta, to the last one if both are text of one kind: many small pieces cost more than their bytes. Returns what
/// the block weighs more now.
fn append(deltas: &mut Vec<Delta>, delta: Delta) -> usize {
    match (deltas.last_mut(), delta) {
        (Some(Delta::Text(last)), Delta::Text(more))
        | (Some(Delta::Reasoning(last)), Delta::Reasoning(more))
        | (Some(Delta::Arguments(last)), Delta::Arguments(more))
        | (Some(Delta::Refusal(last)), Delta::Refusal(more)) => {
            last.push_str(&more);
            more.len()
        }
        (_, delta) => {
            let size = size_of_delta(&delta);
            deltas.push(delta);
            size
        }
    }
}

/// What a delta weighs while it waits; an empty one is not free either.
fn size_of_delta(delta: &Delta) -> usize {
    let words = match delta {
        Delta::Text(text) | Delta::Reasoning(text) | Delta::Arguments(text) | Delta::Refusal(text) => {
            text.len()
        }
        Delta::State { data, .. } => data.len(),
        Delta::Citation(citation) => citation.raw.to_string().len(),
        Delta::Logprobs(tokens) => tokens.iter().map(TokenLogprob::weight).sum(),
    };
    words + size_of::<Delta>()
}

/// What a block without deltas weighs while it waits: an upstream may begin any number of them.
fn size_of_kind(kind: &BlockKind) -> usize {
    let words = match kind {
        BlockKind::Text | BlockKind::Reasoning | BlockKind::Refusal => 0,
        BlockKind::ToolCall { id, name, state, .. } => {
            id.len() + name.len() + state.as_ref().map_or(0, |it| it.data.len())
        }
        BlockKind::Whole(part) => length_of(part),
    };
    words + WAITING_BYTES
}

fn size_of_extra(extra: &Extra) -> usize {
    extra.get().map_or(0, length_of)
}

fn size_of_finish(finish: &Finish) -> usize {
    let words = [&finish.stop_sequence, &finish.raw];
    words.iter().filter_map(|it| it.as_deref()).map(str::len).sum::<usize>() + WAITING_BYTES
}

/// How long a value is when it is written out: what it holds, and a little more for each of its fields.
fn length_of(value: &impl fmt::Debug) -> usize {
    struct Length(usize);

    impl fmt::Write for Length {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }

    let mut length = Length(0);
    // It counts: there is nothing that could fail.
    let _ = write!(length, "{value:?}");
    length.0
}

fn overflow() -> WireError {
    WireError {
        kind: ErrorKind::UpstreamFailed,
        message: format!(
            "more than {MAX_HELD_BYTES} bytes of the upstream's interleaved blocks had to be held back"
        ),
        error_type: None,
        code: None,
        param: None,
    }
}
