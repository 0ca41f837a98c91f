//! Which dialect an input is in: its first letter says so, for a corpus is read by people too.

use dragoman::dialect::DialectId;

pub(crate) const ALL: [DialectId; 4] =
    [DialectId::OpenaiChat, DialectId::OpenaiResponses, DialectId::AnthropicMessages, DialectId::Gemini];

/// The dialect and the rest of an input.
pub(crate) fn split(input: &[u8]) -> Option<(DialectId, &[u8])> {
    let (letter, rest) = input.split_first()?;
    let dialect = match letter {
        b'c' => DialectId::OpenaiChat,
        b'r' => DialectId::OpenaiResponses,
        b'a' => DialectId::AnthropicMessages,
        b'g' => DialectId::Gemini,
        _ => return None,
    };
    Some((dialect, rest))
}
