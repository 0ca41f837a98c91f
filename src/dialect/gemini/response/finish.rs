//! Why an answer ended, in Gemini's words.

use crate::{
    dialect::{
        WireError,
        canonical::{Finish, FinishReason},
    },
    kernel::error::ErrorKind,
};

/// What a word means. `JAILBREAK` is told of prompts alone.
pub(in crate::dialect::gemini) fn reason(word: &str) -> FinishReason {
    match word {
        "STOP" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR"
        | "ESCALATION"
        | "PUP_LIMITED_DISABLED"
        | "JAILBREAK" => FinishReason::ContentFilter,
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "TOO_MANY_TOOL_CALLS" | "MALFORMED_RESPONSE" => {
            FinishReason::Malformed
        }
        "CONTINUATION" => FinishReason::Pause,
        _ => FinishReason::Other,
    }
}

/// Whether a word says that the answer ended: the enumeration's zero says nothing.
pub(in crate::dialect::gemini) fn is_said(word: &str) -> bool {
    !matches!(word, "" | "FINISH_REASON_UNSPECIFIED")
}

/// Reads a reason. Gemini says `STOP` of answers that call tools too.
pub(in crate::dialect::gemini) fn decode(raw: Option<&str>, called: bool) -> Finish {
    let reason = match raw.map_or(FinishReason::Stop, reason) {
        FinishReason::Stop if called => FinishReason::ToolCalls,
        other => other,
    };
    Finish { reason, stop_sequence: None, raw: raw.map(str::to_owned) }
}

/// The end of an answer whose prompt was blocked.
pub(in crate::dialect::gemini) fn blocked(word: &str) -> Finish {
    Finish { reason: FinishReason::ContentFilter, stop_sequence: None, raw: Some(word.to_owned()) }
}

/// The error that a reason is: of an answer that says nothing because a call went wrong, another try may do better; a
/// missing signature is a fault of the gateway.
pub(in crate::dialect::gemini) fn failure(raw: &str, is_empty: bool) -> Option<WireError> {
    let message = match raw {
        "MISSING_THOUGHT_SIGNATURE" => {
            "the upstream misses a thought signature in the conversation".to_owned()
        }
        _ if is_empty && reason(raw) == FinishReason::Malformed => {
            format!("the model called a tool in a way nobody can read, and said nothing else (`{raw}`)")
        }
        _ => return None,
    };
    let error_type = Some(raw.to_owned());
    Some(WireError { kind: ErrorKind::UpstreamFailed, message, error_type, code: None, param: None })
}

/// What an answer held, as far as the word for its end depends on it.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::dialect::gemini) struct Held {
    pub refusal: bool,
    /// Whether a call had arguments that are no object.
    pub malformed: bool,
}

/// Writes a reason: the upstream's own word if it is one of Gemini's, which alone are in capitals.
pub(in crate::dialect::gemini) fn encode(finish: &Finish, held: Held) -> &str {
    let own = finish.raw.as_deref().filter(|it| is_own(it) && reason(it) == finish.reason);
    match finish.reason {
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::ToolCalls if held.malformed => {
            "MALFORMED_FUNCTION_CALL"
        }
        FinishReason::Stop if held.refusal => "SAFETY",
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::ToolCalls => "STOP",
        FinishReason::Length | FinishReason::ContextFull => "MAX_TOKENS",
        FinishReason::Pause => "CONTINUATION",
        FinishReason::Refusal => "SAFETY",
        FinishReason::ContentFilter => own.filter(|it| *it != "JAILBREAK").unwrap_or("SAFETY"),
        FinishReason::Malformed => own.unwrap_or("MALFORMED_FUNCTION_CALL"),
        FinishReason::Other => own.unwrap_or("OTHER"),
    }
}

fn is_own(word: &str) -> bool {
    is_said(word) && word.bytes().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || it == b'_')
}

/// The `blockReason` of an answer that was blocked before it began, if that is what its end says.
pub(in crate::dialect::gemini) fn block_reason(finish: &Finish) -> Option<&str> {
    if finish.reason != FinishReason::ContentFilter {
        return None;
    }
    match finish.raw.as_deref() {
        Some(
            word @ ("SAFETY" | "OTHER" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "IMAGE_SAFETY" | "MODEL_ARMOR"
            | "JAILBREAK"),
        ) => Some(word),
        Some(word) if is_own(word) && reason(word) == FinishReason::ContentFilter => None,
        // A word that was invented later, or another dialect's.
        Some(word) if is_own(word) => Some(word),
        _ => Some("OTHER"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ec_022_calls_count_for_more_than_stop() {
        assert_eq!(decode(Some("STOP"), true).reason, FinishReason::ToolCalls);
        assert_eq!(decode(Some("MAX_TOKENS"), true).reason, FinishReason::Length);
        assert_eq!(encode(&decode(Some("STOP"), true), Held::default()), "STOP");
    }

    #[test]
    fn ec_137_every_word_is_mapped_and_an_unknown_one_is_kept() {
        for (word, expected) in [
            ("UNEXPECTED_TOOL_CALL", FinishReason::Malformed),
            ("TOO_MANY_TOOL_CALLS", FinishReason::Malformed),
            ("MALFORMED_FUNCTION_CALL", FinishReason::Malformed),
            ("RECITATION", FinishReason::ContentFilter),
            ("SPII", FinishReason::ContentFilter),
            ("IMAGE_SAFETY", FinishReason::ContentFilter),
            ("CONTINUATION", FinishReason::Pause),
            ("LANGUAGE", FinishReason::Other),
            ("NEWLY_INVENTED", FinishReason::Other),
        ] {
            let finish = decode(Some(word), false);
            assert_eq!((finish.reason, finish.raw.as_deref()), (expected, Some(word)));
            assert_eq!(encode(&finish, Held::default()), word, "told to a client of Gemini");
        }
    }

    #[test]
    fn other_dialects_words_are_not_told() {
        let finish = |reason, raw: &str| Finish { reason, stop_sequence: None, raw: Some(raw.to_owned()) };
        assert_eq!(encode(&finish(FinishReason::Other, "insufficient_resource"), Held::default()), "OTHER");
        assert_eq!(encode(&finish(FinishReason::ContentFilter, "content_filter"), Held::default()), "SAFETY");
        assert_eq!(encode(&finish(FinishReason::StopSequence, "stop_sequence"), Held::default()), "STOP");
        let refused = Held { refusal: true, malformed: false };
        assert_eq!(encode(&finish(FinishReason::Stop, "stop"), refused), "SAFETY");
    }

    #[test]
    fn ec_136_a_malformed_call_and_nothing_else_is_an_error_another_try_may_mend() {
        let error = failure("MALFORMED_FUNCTION_CALL", true).unwrap();
        assert_eq!(error.kind, ErrorKind::UpstreamFailed);
        assert_eq!(failure("MALFORMED_FUNCTION_CALL", false), None);
        assert!(failure("MISSING_THOUGHT_SIGNATURE", false).is_some());
        assert_eq!(failure("STOP", true), None);
    }
}
