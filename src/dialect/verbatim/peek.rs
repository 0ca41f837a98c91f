//! Looking for single fields in a small JSON text without reading all of it.
//!
//! A key is found as its quoted bytes followed by a colon. Inside of a JSON string a quote is always escaped, so text that
//! a model wrote can never be taken for a key.

use memchr::memmem::Finder;

/// Keys that are looked for in every frame; each is its name in quotes.
pub(super) struct Keys {
    pub(super) usage: Finder<'static>,
    pub(super) error: Finder<'static>,
    pub(super) finish_reason: Finder<'static>,
    pub(super) choices: Finder<'static>,
    pub(super) index: Finder<'static>,
    pub(super) kind: Finder<'static>,
    /// A piece of text in Responses; an object elsewhere.
    pub(super) delta: Finder<'static>,
    pub(super) name: Finder<'static>,
    /// Keys whose text the client is shown, or that a tool is called with: its name before its arguments.
    pub(super) texts: [Finder<'static>; 8],
}

impl Keys {
    pub(super) fn new() -> Self {
        Self {
            usage: Finder::new(b"\"usage\""),
            error: Finder::new(b"\"error\""),
            finish_reason: Finder::new(b"\"finish_reason\""),
            choices: Finder::new(b"\"choices\""),
            index: Finder::new(b"\"index\""),
            kind: Finder::new(b"\"type\""),
            delta: Finder::new(b"\"delta\""),
            name: Finder::new(b"\"name\""),
            texts: [
                Finder::new(b"\"name\""),
                Finder::new(b"\"content\""),
                Finder::new(b"\"reasoning_content\""),
                Finder::new(b"\"arguments\""),
                Finder::new(b"\"refusal\""),
                Finder::new(b"\"text\""),
                Finder::new(b"\"thinking\""),
                Finder::new(b"\"partial_json\""),
            ],
        }
    }
}

/// The texts of every value of a key, each from its first byte to the end of the frame.
pub(super) fn values<'j>(json: &'j [u8], key: &'j Finder<'static>) -> impl Iterator<Item = &'j [u8]> {
    key.find_iter(json).filter_map(|at| {
        let rest = json[at + key.needle().len()..].trim_ascii_start();
        Some(rest.strip_prefix(b":")?.trim_ascii_start())
    })
}

/// Whether a key has a value that begins with a byte.
pub(super) fn begins(json: &[u8], key: &Finder<'static>, with: u8) -> bool {
    values(json, key).any(|it| it.first() == Some(&with))
}

/// A string's text as it stands, its escapes not resolved, if the value is a string.
pub(super) fn string(value: &[u8]) -> Option<&[u8]> {
    let text = value.strip_prefix(b"\"")?;
    let mut from = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &text[from..]) {
        let at = from + found;
        if text[at] == b'"' {
            return Some(&text[..at]);
        }
        from = (at + 2).min(text.len());
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_and_a_text_that_looks_like_one_is_not() {
        let keys = Keys::new();
        assert!(begins(br#"{"usage" : {}}"#, &keys.usage, b'{'));
        assert!(!begins(br#"{"usage":null}"#, &keys.usage, b'{'));
        assert!(!begins(br#"{"content":"say \"usage\":{}","x":"usage"}"#, &keys.usage, b'{'));
    }

    #[test]
    fn a_string_ends_at_its_quote() {
        assert_eq!(string(br#""a\"b\\","c""#), Some(&br#"a\"b\\"#[..]));
        assert_eq!(string(br#""a\"#), Some(&br"a\"[..]));
        assert_eq!(string(b"null"), None);
    }
}
