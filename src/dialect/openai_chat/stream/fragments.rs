//! Tool calls from their fragments, as OpenAI and its clones cut them: ids repeated or missing, one index for all, names late.

use super::chunk::Fragment;
use crate::{
    dialect::openai_chat::response::decode::unwrap_input,
    dialect::{
        Recall,
        canonical::{BlockKind, ChatEvent, Delta, names::minted_id},
    },
};

/// The calls of one choice.
#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
    /// The ids that were given out.
    ids: Vec<String>,
}

/// What the events of a choice's calls are made with.
pub(super) struct Sink<'a> {
    pub choice: u32,
    pub recall: &'a Recall,
    /// Makes the same ids in every reading of the same answer.
    pub seed: &'a str,
    pub next_block: &'a mut u32,
    pub events: &'a mut Vec<ChatEvent>,
}

#[derive(Debug, Default)]
struct Call {
    index: Option<u32>,
    id: Option<String>,
    name: String,
    custom: bool,
    /// Arguments that wait for the block to start, or of a wrapped free-text tool for its end.
    held: String,
    progress: Progress,
    block: Option<u32>,
    form: Form,
    closed: bool,
}

/// What a call is told as.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Form {
    #[default]
    Call,
    /// Its arguments are the answer's text.
    Text,
    /// Its arguments wrap a free text.
    Wrapped,
}

impl Calls {
    /// Whether a call was made; the tool that is the answer is none.
    pub(super) fn any(&self) -> bool {
        self.calls.iter().any(|it| !it.name.is_empty() && it.form != Form::Text)
    }

    pub(super) fn is_open(&self) -> bool {
        self.calls.iter().any(|it| !it.closed)
    }

    /// Takes a fragment in.
    pub(super) fn take(&mut self, fragment: Fragment, sink: &mut Sink<'_>) {
        let Fragment { index, id, function, custom } = fragment;
        let is_custom = custom.is_some();
        let (name, text) = match (function, custom) {
            (_, Some(it)) => (it.name, it.input.unwrap_or_default()),
            (Some(it), None) => (it.name, it.arguments.0),
            (None, None) => (None, String::new()),
        };
        let id = id.filter(|it| !it.is_empty());
        let name = name.filter(|it| !it.is_empty());
        let at = match self.find(index, id.as_deref(), name.as_deref(), &text) {
            Some(at) => at,
            None if id.is_none() && name.is_none() && text.is_empty() => return,
            None => {
                self.close_complete(sink);
                self.calls.push(Call { index, custom: is_custom, ..Call::default() });
                self.calls.len() - 1
            }
        };
        let call = &mut self.calls[at];
        if call.closed {
            return;
        }
        if call.id.is_none() {
            call.id = id;
        }
        if let Some(name) = name
            && call.block.is_none()
            && call.name != name
            && !call.progress.begun()
        {
            call.name.push_str(&name);
        }
        if !text.is_empty() {
            call.progress.read(&text);
            self.text(at, text, sink);
        }
    }

    /// Which call a fragment is a piece of; none: of a new one.
    fn find(&self, index: Option<u32>, id: Option<&str>, name: Option<&str>, text: &str) -> Option<usize> {
        let of_id = |id: &str| self.calls.iter().rposition(|it| it.id.as_deref() == Some(id));
        let at = match (index, id) {
            (Some(_), _) => self.calls.iter().rposition(|it| it.index == index)?,
            (None, Some(id)) => match of_id(id) {
                Some(at) => at,
                None => self.calls.iter().rposition(|it| it.id.is_none() && !it.closed)?,
            },
            (None, None) => self.calls.len().checked_sub(1)?,
        };
        let call = &self.calls[at];
        let same_id = id.is_some() && call.id.as_deref() == id;
        let other_id = id.is_some() && call.id.is_some() && !same_id;
        let other_name = name.is_some_and(|it| it != call.name);
        let again = name.is_some() && !text.is_empty() && call.progress.complete();
        let new =
            other_id || (!same_id && call.progress.begun() && !call.name.is_empty() && (other_name || again));
        if new { id.filter(|_| other_id).and_then(of_id) } else { Some(at) }
    }

    fn text(&mut self, at: usize, text: String, sink: &mut Sink<'_>) {
        let call = &mut self.calls[at];
        if call.held.is_empty() {
            call.held = text;
        } else {
            call.held.push_str(&text);
        }
        if call.block.is_none() && !call.name.is_empty() && call.id.is_some() {
            self.start(at, sink);
        }
        let call = &mut self.calls[at];
        if let Some(block) = call.block {
            flush(call, block, sink.events);
        }
    }

    fn start(&mut self, at: usize, sink: &mut Sink<'_>) {
        let call = &mut self.calls[at];
        let recall = sink.recall;
        if recall.json_tool.as_deref() == Some(call.name.as_str()) {
            call.form = Form::Text;
        } else if recall.custom_tools.contains(&call.name) {
            call.form = Form::Wrapped;
        }
        let block = *sink.next_block;
        *sink.next_block += 1;
        call.block = Some(block);
        let kind = if call.form == Form::Text {
            BlockKind::Text
        } else {
            let id = match call.id.take() {
                Some(it) if !self.ids.contains(&it) => it,
                _ => minted_id(&format!("{}/{}/{}", sink.seed, sink.choice, self.ids.len())),
            };
            self.ids.push(id.clone());
            call.id = Some(id.clone());
            let name = recall.names.get(&call.name).unwrap_or(&call.name).clone();
            BlockKind::ToolCall { id, name, custom: call.custom || call.form == Form::Wrapped, state: None }
        };
        sink.events.push(ChatEvent::block(sink.choice, block, kind));
    }

    /// Ends the calls whose arguments are whole.
    pub(super) fn close_complete(&mut self, sink: &mut Sink<'_>) {
        for at in 0..self.calls.len() {
            if self.calls[at].progress.complete() && !self.calls[at].custom {
                self.close(at, sink);
            }
        }
    }

    /// Ends all calls. One without a name is none; one without an id is given one.
    pub(super) fn close_all(&mut self, sink: &mut Sink<'_>) {
        for at in 0..self.calls.len() {
            self.close(at, sink);
        }
    }

    fn close(&mut self, at: usize, sink: &mut Sink<'_>) {
        if self.calls[at].closed {
            return;
        }
        self.calls[at].closed = true;
        if self.calls[at].name.is_empty() {
            return;
        }
        if self.calls[at].block.is_none() {
            self.start(at, sink);
        }
        let call = &mut self.calls[at];
        let Some(block) = call.block else { return };
        if call.form == Form::Wrapped {
            let text = unwrap_input(&std::mem::take(&mut call.held));
            sink.events.push(ChatEvent::Delta { block, delta: Delta::Arguments(text) });
        } else {
            flush(call, block, sink.events);
            if call.form == Form::Call && !call.custom && !call.progress.begun() {
                sink.events.push(ChatEvent::Delta { block, delta: Delta::Arguments("{}".to_owned()) });
            }
        }
        sink.events.push(ChatEvent::BlockEnd { block });
    }
}

fn flush(call: &mut Call, block: u32, events: &mut Vec<ChatEvent>) {
    if call.form == Form::Wrapped || call.held.is_empty() {
        return;
    }
    let text = std::mem::take(&mut call.held);
    let delta = if call.form == Form::Text { Delta::Text(text) } else { Delta::Arguments(text) };
    events.push(ChatEvent::Delta { block, delta });
}

/// How far the arguments' JSON has come, without keeping it.
#[derive(Debug, Default)]
struct Progress {
    seen: Seen,
    depth: u32,
    in_string: bool,
    escaped: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Seen {
    #[default]
    Nothing,
    /// Something, but no bracket yet.
    Something,
    Bracket,
}

impl Progress {
    fn read(&mut self, text: &str) {
        for byte in text.bytes() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.depth += 1;
                    self.seen = Seen::Bracket;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            if self.seen == Seen::Nothing && !byte.is_ascii_whitespace() {
                self.seen = Seen::Something;
            }
        }
    }

    fn begun(&self) -> bool {
        self.seen != Seen::Nothing
    }

    fn complete(&self) -> bool {
        self.seen == Seen::Bracket && self.depth == 0 && !self.in_string
    }
}
