//! Why an answer ended, in Chat's words and those of its clones.

use crate::dialect::canonical::{Finish, FinishReason};

/// What an answer held, as far as its end depends on it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Held {
    pub calls: bool,
    pub refusal: bool,
}

/// Reads a reason. Calls that were made count for more than the reason `stop`, and none made for more than `tool_calls`.
///
/// `matched` is the stop sequence vLLM (`stop_reason`) and `SGLang` (`matched_stop`) tell.
pub(super) fn decode(raw: Option<&str>, matched: Option<String>, held: Held) -> Finish {
    let reason = match raw {
        Some("length" | "max_tokens" | "model_length") => FinishReason::Length,
        Some("content_filter") if held.refusal => FinishReason::Refusal,
        Some("content_filter") => FinishReason::ContentFilter,
        Some("pause_turn") => FinishReason::Pause,
        Some("refusal") => FinishReason::Refusal,
        Some("stop" | "end_turn" | "eos" | "tool_calls" | "tool_use" | "function_call" | "stop_sequence")
        | None => match held {
            Held { calls: true, .. } => FinishReason::ToolCalls,
            Held { refusal: true, .. } => FinishReason::Refusal,
            Held { .. } if matched.is_some() || raw == Some("stop_sequence") => FinishReason::StopSequence,
            Held { .. } => FinishReason::Stop,
        },
        Some(_) => FinishReason::Other,
    };
    Finish { reason, stop_sequence: matched, raw: raw.map(str::to_owned) }
}

/// Writes a reason: only words Chat's clients know.
pub(super) fn encode(reason: FinishReason, refusal_told: bool, legacy_functions: bool) -> &'static str {
    match reason {
        FinishReason::Stop
        | FinishReason::StopSequence
        | FinishReason::Pause
        | FinishReason::Malformed
        | FinishReason::Other => "stop",
        FinishReason::Length | FinishReason::ContextFull => "length",
        FinishReason::ToolCalls if legacy_functions => "function_call",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::Refusal if refusal_told => "stop",
        FinishReason::Refusal | FinishReason::ContentFilter => "content_filter",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLS: Held = Held { calls: true, refusal: false };

    #[test]
    fn ec_022_calls_count_for_more_than_stop() {
        assert_eq!(decode(Some("stop"), None, CALLS).reason, FinishReason::ToolCalls);
        assert_eq!(decode(Some("tool_calls"), None, Held::default()).reason, FinishReason::Stop);
    }

    #[test]
    fn ec_140_calls_that_were_cut_stay_cut() {
        assert_eq!(decode(Some("length"), None, CALLS).reason, FinishReason::Length);
    }

    #[test]
    fn ec_095_a_stop_sequence_is_told_only_if_the_upstream_told_it() {
        assert_eq!(decode(Some("stop"), None, Held::default()).reason, FinishReason::Stop);
        let told = decode(Some("stop"), Some("END".to_owned()), Held::default());
        assert_eq!((told.reason, told.stop_sequence.as_deref()), (FinishReason::StopSequence, Some("END")));
    }

    #[test]
    fn an_unknown_word_is_kept_but_not_told() {
        let finish = decode(Some("insufficient_system_resource"), None, Held::default());
        assert_eq!(finish.raw.as_deref(), Some("insufficient_system_resource"));
        assert_eq!(encode(finish.reason, false, false), "stop");
    }
}
