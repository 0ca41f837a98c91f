//! What upstreams' errors say in words, whatever their dialect: clones answer in each other's shapes.

/// The most of a body that is no JSON we know that is repeated, in characters.
const EXCERPT: usize = 500;

/// How upstreams say that the prompt is longer than the model's window, in lower case.
const TOO_LONG: [&str; 22] = [
    "context_length_exceeded",
    "maximum context length",
    "maximum context size",
    "maximum model length",
    "maximum prompt length",
    "context length of",
    "context length exceeded",
    "context limit",
    "context window",
    "exceeds the context",
    "exceed context",
    "exceeded the context",
    "exceeds the available context",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "too many input tokens",
    "input token count",
    "exceeds the maximum number of tokens",
    "exceeded model token limit",
    "reduce the length of the messages",
    "reduce the length of your prompt",
];

/// Whether a message, in lower case, says that the prompt does not fit.
pub(super) fn say_too_long(lower: &str) -> bool {
    TOO_LONG.iter().any(|it| lower.contains(it))
}

/// What can be shown of a body that is no JSON we know: its text without tags, in one line, shortened.
pub(super) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut plain = String::new();
    let mut in_tag = false;
    for it in text.chars() {
        match it {
            '<' => in_tag = true,
            '>' if in_tag => {
                in_tag = false;
                plain.push(' ');
            }
            _ if !in_tag => plain.push(it),
            _ => {}
        }
    }
    let words: Vec<&str> = plain.split_whitespace().collect();
    words.join(" ").chars().take(EXCERPT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ec_081_a_page_is_shown_without_its_tags_and_not_whole() {
        assert_eq!(excerpt(b"<html><h1>502</h1>\n bad\xff gateway</html>"), "502 bad\u{fffd} gateway");
        assert_eq!(excerpt(&[b'x'; 9000]).len(), EXCERPT);
    }

    #[test]
    fn ec_035_every_upstreams_words_for_a_full_window_are_known() {
        for message in [
            "this model's maximum context length is 8192 tokens",
            "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000",
            "prompt is too long: 2 tokens > 1 maximum",
        ] {
            assert!(say_too_long(message), "{message}");
        }
        assert!(!say_too_long("`max_tokens` is too large"));
    }
}
