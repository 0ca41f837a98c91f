//! What is kept of a request while it is answered: enough to count its tokens if the upstream never does.

use std::fmt;

use bytes::{Bytes, BytesMut};

use super::{
    DialectId, count,
    embedding::{self, Form, Input},
    excerpt::unescaped,
    tokenizer::Family,
};

/// Bytes of a body that is kept whole. Of a longer one `PIECES` are kept.
const WHOLE: usize = 16 << 10;
const PIECES: usize = 4;
/// In bytes.
const PIECE: usize = 4 << 10;

/// A request's body: whole if it is short, so that it can be counted exactly; of a longer one a few pieces, which say how
/// many bytes its tokens have.
#[derive(Clone, Default)]
pub struct Prompt {
    meaning: Meaning,
    kept: Bytes,
    is_whole: bool,
    /// Tokens of what is no text.
    beside: u64,
    text_bytes: u64,
}

/// What a body is.
#[derive(Debug, Clone, Copy, Default)]
enum Meaning {
    /// A request for an answer.
    Chat(DialectId),
    Embeddings(DialectId, Form),
    #[default]
    Other,
}

impl Prompt {
    /// A request for an answer.
    pub fn of_chat(dialect: DialectId, body: &Bytes) -> Self {
        let (beside, text_bytes) = count::scan(body);
        Self { beside, text_bytes, ..Self::new(Meaning::Chat(dialect), body) }
    }

    /// A request for embeddings.
    pub fn of_embeddings(client: DialectId, form: Form, body: &Bytes) -> Self {
        Self::new(Meaning::Embeddings(client, form), body)
    }

    /// JSON that is all prompt.
    pub fn of_other(body: &Bytes) -> Self {
        Self::new(Meaning::Other, body)
    }

    fn new(meaning: Meaning, body: &Bytes) -> Self {
        let is_whole = body.len() <= WHOLE;
        let kept = if is_whole { body.clone() } else { pieces(body) };
        Self { meaning, kept, is_whole, beside: 0, text_bytes: body.len() as u64 }
    }

    /// Estimates the tokens by the body's length alone.
    pub fn roughly(&self) -> u64 {
        self.beside + count::estimate_text(usize::try_from(self.text_bytes).unwrap_or(usize::MAX))
    }

    /// Counts the tokens as models of a family do.
    pub fn count(&self, family: Family) -> u64 {
        let read = self.is_whole.then(|| self.read(family)).flatten();
        read.unwrap_or_else(|| {
            if self.kept.is_empty() {
                return self.roughly();
            }
            let piece = if self.is_whole { WHOLE } else { PIECE };
            let texts: Vec<_> = self.kept.chunks(piece).map(unescaped).collect();
            let texts = texts.iter().map(|it| it.trim_matches(char::REPLACEMENT_CHARACTER));
            self.beside + family.count_of(texts, self.text_bytes, self.kept.len() as u64)
        })
    }

    /// Reads the request to count it; `None` if it cannot be read.
    fn read(&self, family: Family) -> Option<u64> {
        match self.meaning {
            Meaning::Chat(dialect) => {
                let request = dialect.server().decode_request(&self.kept).ok()?;
                Some(count::estimate(&request, family))
            }
            Meaning::Embeddings(client, form) => {
                let request = embedding::decode_request(client, form, &self.kept).ok()?;
                let tokens = |it: &Input| match it {
                    Input::Text(text) => family.count(text),
                    Input::Tokens(tokens) => tokens.len() as u64,
                };
                Some(request.inputs.iter().map(tokens).sum())
            }
            Meaning::Other => None,
        }
    }
}

/// Without the text: it is nobody's business.
impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prompt").field("text_bytes", &self.text_bytes).finish_non_exhaustive()
    }
}

/// Pieces of a long body, evenly spread, without those that are media.
fn pieces(body: &[u8]) -> Bytes {
    let mut pieces = BytesMut::with_capacity(PIECES * PIECE);
    for number in 0..PIECES {
        let at = (body.len() - PIECE) / (PIECES - 1) * number;
        let piece = &body[at..at + PIECE];
        if !count::is_base64(piece) {
            pieces.extend_from_slice(piece);
        }
    }
    pieces.freeze()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chat(text: &str) -> Bytes {
        json!({ "model": "m", "messages": [{ "role": "user", "content": text }] }).to_string().into()
    }

    #[test]
    fn a_short_request_is_counted_as_whoever_asks_is_told() {
        let body = chat("The quick brown fox \"jumps\" over the lazy dog.\n");
        let prompt = Prompt::of_chat(DialectId::OpenaiChat, &body);
        let request = DialectId::OpenaiChat.server().decode_request(&body).unwrap();
        for family in [Family::Openai, Family::Anthropic] {
            assert_eq!(prompt.count(family), count::estimate(&request, family));
        }
        assert_eq!(prompt.roughly(), count::estimate_scan(&body));
    }

    #[test]
    fn a_long_request_is_counted_by_pieces() {
        for (text, what) in [
            ("words of a sentence, more or less. ", "prose"),
            ("if (a[i] != b[j]) {\n\t\treturn \"\\n\";\n}\n", "code"),
            ("所有文字都在这里，一句接一句。", "Chinese"),
        ] {
            let body = chat(&text.repeat(300_000 / text.len()));
            let prompt = Prompt::of_chat(DialectId::OpenaiChat, &body);
            assert!(prompt.kept.len() <= PIECES * PIECE && !prompt.is_whole);
            let counted = prompt.count(Family::Openai) - count::scan(&body).0;
            let exact = Family::Openai.count(&text.repeat(300_000 / text.len()));
            assert!(counted.abs_diff(exact) * 20 < exact, "{what}: {counted} is not about {exact}");
        }
    }

    #[test]
    fn media_are_no_text() {
        let image = "iVBORw0KGgo".repeat(100_000);
        let body: Bytes = json!({ "model": "m", "messages": [{ "role": "user", "content": [
                { "type": "image_url", "image_url": { "url": format!("data:image/png;base64,{image}") } },
            ] }] })
        .to_string()
        .into();
        let counted = Prompt::of_chat(DialectId::OpenaiChat, &body).count(Family::Openai);
        assert!(counted > 1_600 && counted < 100_000, "{counted}");
    }

    #[test]
    fn what_is_to_be_embedded_is_counted_and_nothing_else() {
        let body: Bytes =
            json!({ "model": "m", "input": ["hello world", "tiktoken is great!"] }).to_string().into();
        let prompt = Prompt::of_embeddings(DialectId::OpenaiChat, Form::Many, &body);
        assert_eq!(prompt.count(Family::Openai), 8);
        let body: Bytes = json!({ "model": "m", "input": [[1, 2, 3], [4]] }).to_string().into();
        let prompt = Prompt::of_embeddings(DialectId::OpenaiChat, Form::Many, &body);
        assert_eq!(prompt.count(Family::Openai), 4);
    }

    #[test]
    fn what_cannot_be_read_is_counted_as_text() {
        for body in [Bytes::from_static(b"{\"model\":\"m\",\"messages\":7}"), chat("x").slice(..20)] {
            let counted = Prompt::of_chat(DialectId::OpenaiChat, &body).count(Family::Openai);
            let text = String::from_utf8(body.to_vec()).unwrap();
            assert_eq!(counted, count::scan(&body).0 + Family::Openai.count(&text));
        }
        assert_eq!(Prompt::default().count(Family::Openai), 0);
    }
}
