//! Why an answer ended, in Anthropic's words and back.

use crate::dialect::canonical::{Finish, FinishReason};

/// Reads `stop_reason`. `called`: whether the answer has calls of the client's tools, which win over a plain end.
pub(super) fn decode(reason: Option<&str>, sequence: Option<String>, called: Called) -> Finish {
    let meant = match reason {
        Some("end_turn") | None => FinishReason::Stop,
        Some("stop_sequence") => FinishReason::StopSequence,
        Some("max_tokens") => FinishReason::Length,
        Some("model_context_window_exceeded") => FinishReason::ContextFull,
        Some("tool_use") => FinishReason::ToolCalls,
        Some("pause_turn") => FinishReason::Pause,
        Some("refusal") => FinishReason::Refusal,
        Some(_) => FinishReason::Other,
    };
    let meant = match (meant, called) {
        (FinishReason::Stop | FinishReason::Other, Called::Yes) => FinishReason::ToolCalls,
        (FinishReason::ToolCalls, Called::No) => FinishReason::Stop,
        (meant, _) => meant,
    };
    Finish { reason: meant, stop_sequence: sequence, raw: reason.map(str::to_owned) }
}

/// Whether an answer calls tools that the client must run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Called {
    Yes,
    No,
}

impl From<bool> for Called {
    fn from(called: bool) -> Self {
        if called { Self::Yes } else { Self::No }
    }
}

/// What was seen of an answer besides its finish.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) called: Called,
    pub(super) refused: bool,
}

/// Returns `stop_reason` and `stop_sequence`. `tool_use` only if there is a call; a stop sequence only if we know which.
pub(super) fn encode(finish: &Finish, seen: Seen) -> (&'static str, Option<&str>) {
    let ended = if seen.refused {
        "refusal"
    } else if seen.called == Called::Yes {
        "tool_use"
    } else {
        "end_turn"
    };
    let word = match finish.reason {
        FinishReason::StopSequence if finish.stop_sequence.is_some() && seen.called == Called::No => {
            return ("stop_sequence", finish.stop_sequence.as_deref());
        }
        FinishReason::Other if finish.raw.as_deref() == Some("compaction") => "compaction",
        FinishReason::Stop
        | FinishReason::StopSequence
        | FinishReason::ToolCalls
        | FinishReason::Malformed
        | FinishReason::Other => ended,
        FinishReason::Length => "max_tokens",
        FinishReason::ContextFull => "model_context_window_exceeded",
        FinishReason::Pause => "pause_turn",
        FinishReason::Refusal | FinishReason::ContentFilter => "refusal",
    };
    (word, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(reason: FinishReason, called: bool) -> &'static str {
        encode(&Finish::new(reason), Seen { called: called.into(), refused: false }).0
    }

    #[test]
    fn every_word_survives_both_ways() {
        for word in ["end_turn", "max_tokens", "model_context_window_exceeded", "pause_turn", "refusal"] {
            let finish = decode(Some(word), None, Called::No);
            assert_eq!(encode(&finish, Seen { called: Called::No, refused: false }), (word, None));
        }
        let finish = decode(Some("stop_sequence"), Some("END".into()), Called::No);
        let seen = Seen { called: Called::No, refused: false };
        assert_eq!(encode(&finish, seen), ("stop_sequence", Some("END")));
    }

    #[test]
    fn ec_022_calls_win_over_a_plain_end_but_not_over_the_limit() {
        assert_eq!(decode(Some("end_turn"), None, Called::Yes).reason, FinishReason::ToolCalls);
        assert_eq!(decode(Some("tool_use"), None, Called::No).reason, FinishReason::Stop);
        assert_eq!(decode(Some("max_tokens"), None, Called::Yes).reason, FinishReason::Length);
        assert_eq!(say(FinishReason::Stop, true), "tool_use");
        assert_eq!(say(FinishReason::ToolCalls, false), "end_turn");
        assert_eq!(say(FinishReason::Length, true), "max_tokens");
    }

    #[test]
    fn ec_095_a_stop_sequence_is_never_invented() {
        assert_eq!(say(FinishReason::StopSequence, false), "end_turn");
    }

    #[test]
    fn ec_138_ec_139_refusals_pauses_and_full_windows_are_read() {
        assert_eq!(decode(Some("refusal"), None, Called::No).reason, FinishReason::Refusal);
        assert_eq!(decode(Some("pause_turn"), None, Called::No).reason, FinishReason::Pause);
        let full = decode(Some("model_context_window_exceeded"), None, Called::No);
        assert_eq!(full.reason, FinishReason::ContextFull);
        let other = decode(Some("compaction"), None, Called::No);
        assert_eq!((other.reason, other.raw.as_deref()), (FinishReason::Other, Some("compaction")));
        assert_eq!(say(FinishReason::ContentFilter, false), "refusal");
    }
}
