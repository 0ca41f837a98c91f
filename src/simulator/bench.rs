//! One fixed answer for load: nothing is parsed, almost nothing is built.

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memmem;

use crate::simulator::{
    delivery::{Body, Delivery},
    scenario::{Bench, Dialect, Tokens},
};

/// The figures every answer reports.
pub(super) const USAGE: Tokens = Tokens { input: 100, cached: 20, cache_write: 0, output: 50, reasoning: 0 };

/// Marks where the answer's id belongs; Responses tells it many times.
const HOLE: &str = "~id~";

/// The answers, with a hole for the id.
pub(super) struct Prepared {
    pub settings: Bench,
    chat: Template,
    responses: Template,
    messages: Template,
    gemini: Template,
}

struct Template {
    whole: Bytes,
    frames: Vec<Bytes>,
}

impl Prepared {
    /// `write` makes the whole answer and the frames for a text and an id.
    pub(super) fn new(
        settings: Bench,
        write: impl Fn(Dialect, &str, &str, usize) -> (String, Vec<Bytes>),
    ) -> Self {
        let template = |dialect| {
            let (whole, _) = write(dialect, &"x".repeat(settings.reply_bytes), HOLE, 1);
            let (_, frames) =
                write(dialect, &"x".repeat(settings.chunks * settings.chunk_bytes), HOLE, settings.chunks);
            Template { whole: whole.into(), frames }
        };
        Self {
            chat: template(Dialect::OpenaiChat),
            responses: template(Dialect::OpenaiResponses),
            messages: template(Dialect::AnthropicMessages),
            gemini: template(Dialect::Gemini),
            settings,
        }
    }

    pub(super) fn answer(&self, dialect: Dialect, streamed: bool, id: &str) -> Delivery {
        let template = match dialect {
            Dialect::OpenaiChat => &self.chat,
            Dialect::OpenaiResponses => &self.responses,
            Dialect::AnthropicMessages => &self.messages,
            Dialect::Gemini => &self.gemini,
        };
        let mut delivery = if streamed {
            let mut delivery = Delivery::stream(Vec::new());
            delivery.body = Body::Pieces(template.frames.iter().map(|it| filled(it, id)).collect());
            delivery
        } else {
            Delivery::whole(200, "application/json", filled(&template.whole, id))
        };
        delivery.delay = self.settings.delay.clone();
        delivery
    }
}

fn filled(template: &Bytes, id: &str) -> Bytes {
    let mut holes = memmem::find_iter(template, HOLE.as_bytes()).peekable();
    if holes.peek().is_none() {
        return template.clone();
    }
    let mut filled = BytesMut::with_capacity(template.len() + 3 * id.len());
    let mut from = 0;
    for at in holes {
        filled.put_slice(&template[from..at]);
        filled.put_slice(id.as_bytes());
        from = at + HOLE.len();
    }
    filled.put_slice(&template[from..]);
    filled.freeze()
}

/// Whether the body says `"stream": true`, found without parsing: a text that says so may fool it.
pub(super) fn is_streamed(body: &[u8]) -> bool {
    value_of(body, br#""stream""#).is_some_and(|it| it.starts_with(b"true"))
}

/// The model's name, found without parsing.
pub(super) fn model(body: &[u8]) -> &str {
    value_of(body, br#""model""#)
        .and_then(|it| it.strip_prefix(b"\""))
        .and_then(|it| it.split(|it| *it == b'"').next())
        .and_then(|it| std::str::from_utf8(it).ok())
        .unwrap_or_default()
}

fn value_of<'a>(body: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let after = &body[memmem::find(body, key)? + key.len()..];
    let after = after.trim_ascii_start().strip_prefix(b":")?;
    Some(after.trim_ascii_start())
}
