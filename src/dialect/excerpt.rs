//! What is kept of an answer's text while it passes: its beginning, and how long all of it is. Enough to count its tokens
//! if the upstream never does.

use std::{borrow::Cow, fmt};

use super::{
    ChatEvent, ChatResponse,
    canonical::{BlockKind, Delta, PartKind},
    tokenizer::Family,
};

/// Bytes of text that are kept of one answer.
const KEPT: usize = 8 << 10;
/// Ends of texts that are kept of one answer; later texts run into one another.
const CUTS: usize = 256;

/// An answer's text: exact if it is short, by its beginning and its length if not.
///
/// Each block (text, thinking, a tool's name, its arguments) is a text of its own: no token reaches from one into the next.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Excerpt {
    text: String,
    /// Where in `text` another text begins.
    cuts: Vec<usize>,
    /// How many of `bytes` `text` stands for: more than it has where JSON's escapes were resolved.
    kept: u64,
    /// All bytes of the answer's texts.
    bytes: u64,
    /// How much was kept in all, what was given away included.
    taken: usize,
    /// Whether what comes next is another text.
    is_cut: bool,
}

impl Excerpt {
    /// The texts of a whole answer.
    pub fn of(answer: &ChatResponse) -> Self {
        let mut excerpt = Self::default();
        for part in answer.choices.iter().flat_map(|it| &it.parts) {
            excerpt.cut();
            match &part.kind {
                PartKind::Text { text, .. }
                | PartKind::Reasoning { text, .. }
                | PartKind::Refusal { text } => excerpt.push(text),
                PartKind::ToolCall(call) => {
                    excerpt.push(&call.name);
                    excerpt.cut();
                    excerpt.push(&call.arguments.0);
                }
                _ => {}
            }
        }
        excerpt
    }

    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Takes what an event adds to the answer.
    pub fn watch(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::BlockStart { kind, .. } => {
                self.cut();
                if let BlockKind::ToolCall { name, .. } = kind {
                    self.push(name);
                    self.cut();
                }
            }
            ChatEvent::Delta { delta, .. } => match delta {
                Delta::Text(it) | Delta::Reasoning(it) | Delta::Arguments(it) | Delta::Refusal(it) => {
                    self.push(it);
                }
                Delta::State { .. } | Delta::Citation(_) | Delta::Logprobs(_) => {}
            },
            _ => {}
        }
    }

    /// What comes next is another text.
    pub fn cut(&mut self) {
        self.is_cut = true;
    }

    /// The text goes on.
    pub fn push(&mut self, text: &str) {
        let head = &text[..text.floor_char_boundary(KEPT - self.taken)];
        self.keep(head, head.len(), text.len());
    }

    /// The text goes on, as it stands between the quotes of a JSON string.
    pub fn push_escaped(&mut self, raw: &[u8]) {
        if self.taken == KEPT {
            return self.keep("", 0, raw.len());
        }
        let head = &raw[..raw.len().min(KEPT - self.taken)];
        self.keep(&unescaped(head), head.len(), raw.len());
    }

    /// Keeps a text that stands for `kept` bytes of `bytes`.
    fn keep(&mut self, text: &str, kept: usize, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if !text.is_empty() {
            if self.is_cut && self.cuts.len() < CUTS {
                self.cuts.push(self.text.len());
            }
            self.is_cut = false;
            self.text.push_str(text);
        }
        self.kept += kept as u64;
        // What follows a gap is not kept.
        self.taken = if kept < bytes { KEPT } else { self.taken + kept };
    }

    /// Takes over what `later` has; `later` goes on as if it still had it, so that it keeps no more in all.
    pub fn append(&mut self, later: &mut Self) {
        self.bytes = self.bytes.saturating_add(later.bytes);
        let room = CUTS.saturating_sub(self.cuts.len());
        let before = self.text.len();
        self.cuts.extend(later.cuts.drain(..).take(room).map(|it| before + it));
        self.text.push_str(&later.text);
        self.kept += later.kept;
        later.text.clear();
        (later.kept, later.bytes) = (0, 0);
    }

    /// Counts the tokens as models of a family do; of what was not kept as many by the byte as of what was.
    pub fn count(&self, family: Family) -> u64 {
        let ends = self.cuts.iter().copied().chain([self.text.len()]);
        let mut from = 0;
        let texts = ends.map(|to| &self.text[std::mem::replace(&mut from, to)..to]);
        family.count_of(texts, self.bytes, self.kept)
    }
}

/// Without the text: it is nobody's business.
impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Excerpt").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// Resolves JSON's escapes. What is cut off or wrong is read as well as it can be.
pub(super) fn unescaped(raw: &[u8]) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', raw) else { return String::from_utf8_lossy(raw) };
    let mut text = Vec::with_capacity(raw.len());
    text.extend_from_slice(&raw[..first]);
    let mut rest = &raw[first..];
    while let [b'\\', escape @ ..] = rest {
        let (character, length) = match escape {
            [b'u', ..] => unicode(rest),
            [b'n', ..] => ('\n', 2),
            [b't', ..] => ('\t', 2),
            [b'r', ..] => ('\r', 2),
            [b'b', ..] => ('\u{8}', 2),
            [b'f', ..] => ('\u{c}', 2),
            [other, ..] if other.is_ascii() => (char::from(*other), 2),
            _ => (char::REPLACEMENT_CHARACTER, 1),
        };
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &rest[length.min(rest.len())..];
        let plain = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
        text.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
    }
    Cow::Owned(String::from_utf8_lossy(&text).into_owned())
}

/// The character that a text beginning with `\u` means, and the length of what says so.
fn unicode(text: &[u8]) -> (char, usize) {
    let unit = |at: usize| {
        let digits = text.get(at..)?.strip_prefix(b"\\u")?.get(..4)?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let Some(high) = unit(0) else { return (char::REPLACEMENT_CHARACTER, 2) };
    match char::decode_utf16([high].into_iter().chain(unit(6))).next() {
        Some(Ok(character)) => (character, 6 * character.len_utf16()),
        _ => (char::REPLACEMENT_CHARACTER, 6),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn excerpt(pieces: &[&str]) -> Excerpt {
        let mut excerpt = Excerpt::default();
        for piece in pieces {
            excerpt.push(piece);
        }
        excerpt
    }

    #[test]
    fn a_short_answer_is_counted_as_the_tokenizer_counts_it() {
        let text = "The quick brown fox jumps over the lazy dog.";
        let pieces: Vec<&str> = text.split_inclusive(' ').collect();
        for family in [Family::Openai, Family::OpenaiOlder, Family::Anthropic, Family::Google, Family::Other]
        {
            assert_eq!(excerpt(&pieces).count(family), family.count(text), "{family:?}");
        }
        assert_eq!(excerpt(&[]).count(Family::Anthropic), 0);
    }

    #[test]
    fn texts_do_not_run_into_one_another() {
        let mut words = excerpt(&["get"]);
        words.cut();
        words.cut();
        words.push("ting");
        assert_eq!(excerpt(&["get", "ting"]).count(Family::Openai), 1);
        assert_eq!(words.count(Family::Openai), 2);
    }

    #[test]
    fn a_long_answer_is_counted_by_its_beginning_and_its_length() {
        let prose = "words of a sentence, more or less. ";
        let long = prose.repeat(10_000);
        let counted = excerpt(&[&long]).count(Family::Openai);
        let exact = Family::Openai.count(&long);
        assert!(counted.abs_diff(exact) * 100 < exact, "{counted} is not about {exact}");
        let mut kept = excerpt(&[&long]);
        for _ in 0..1_000 {
            kept.cut();
            kept.push(&long);
        }
        assert!(kept.text.capacity() <= KEPT && kept.cuts.is_empty());
    }

    #[test]
    fn what_is_kept_is_bounded_whatever_comes() {
        let mut excerpt = Excerpt::default();
        for _ in 0..100_000 {
            excerpt.cut();
            excerpt.push("é");
            excerpt.push_escaped(br"\u00e9");
        }
        assert!(excerpt.text.len() <= KEPT && excerpt.text.capacity() <= 2 * KEPT);
        assert!(excerpt.cuts.len() <= CUTS);
        assert_eq!(excerpt.bytes, 800_000);
        assert!(excerpt.count(Family::Openai) <= excerpt.bytes);
    }

    #[test]
    fn escapes_that_are_wrong_or_cut_are_survived() {
        assert_eq!(unescaped(br#"a\"b\\c\/d\n\t\u00e9\ud83d\ude00"#), "a\"b\\c/d\n\té😀");
        for (raw, read) in [
            (&br"a\"[..], "a\u{fffd}"),
            (br"a\u00", "a\u{fffd}00"),
            (br"\ud83d!", "\u{fffd}!"),
            (br"\ud83d\u0041", "\u{fffd}A"),
            (b"\\\xc3\xa9", "\u{fffd}\u{e9}"),
        ] {
            assert_eq!(unescaped(raw), read, "{}", String::from_utf8_lossy(raw));
        }
    }

    proptest! {
        #[test]
        fn escaped_or_not_in_any_pieces_and_moved_at_any_time_it_is_the_same_text(
            texts in prop::collection::vec(prop::collection::vec(".{0,60}", 0..6), 0..6),
            moves in prop::collection::vec(any::<bool>(), 40),
        ) {
            let mut whole = Excerpt::default();
            let mut moved = Excerpt::default();
            let mut source = Excerpt::default();
            let mut moves = moves.into_iter();
            for pieces in &texts {
                whole.cut();
                source.cut();
                whole.push(&pieces.concat());
                for piece in pieces {
                    let quoted = serde_json::to_string(piece).unwrap();
                    source.push_escaped(&quoted.as_bytes()[1..quoted.len() - 1]);
                    if moves.next() == Some(true) {
                        moved.append(&mut source);
                    }
                }
            }
            moved.append(&mut source);
            prop_assert!(source.is_empty());
            prop_assert_eq!(&moved.text, &whole.text);
            prop_assert_eq!(moved.count(Family::Openai), whole.count(Family::Openai));
        }

        #[test]
        fn any_bytes_are_unescaped(raw in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(unescaped(&raw).len() <= raw.len() * 3);
        }
    }
}
