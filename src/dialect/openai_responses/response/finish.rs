//! Why an answer ended, in Responses' words and back.

use serde_json::{Map, Value};

use crate::dialect::canonical::{Finish, FinishReason};

/// What an answer held, as far as its end depends on it.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::dialect::openai_responses) struct Held {
    pub calls: bool,
    pub refusal: bool,
}

/// Reads the end of a response object that did not fail. Calls count for more than `completed`, not for more than a limit.
pub(in crate::dialect::openai_responses) fn decode(response: &Map<String, Value>, held: Held) -> Finish {
    let status = response.get("status").and_then(Value::as_str);
    let incomplete = || response.get("incomplete_details")?.get("reason")?.as_str();
    let raw = match status {
        Some("incomplete") => incomplete().or(status),
        _ => status,
    };
    let reason = match raw {
        Some("completed") | None => match held {
            Held { calls: true, .. } => FinishReason::ToolCalls,
            Held { refusal: true, .. } => FinishReason::Refusal,
            Held { .. } => FinishReason::Stop,
        },
        Some(word) => of_word(word),
    };
    Finish { reason, stop_sequence: None, raw: raw.map(str::to_owned) }
}

/// What a word means by itself: a status, the reason of an incomplete answer, or the type of an item that ends a turn.
pub(in crate::dialect::openai_responses) fn of_word(word: &str) -> FinishReason {
    match word {
        "completed" => FinishReason::Stop,
        "function_call" | "custom_tool_call" => FinishReason::ToolCalls,
        "max_output_tokens" | "max_tokens" => FinishReason::Length,
        "content_filter" => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    }
}

/// The reason of an incomplete answer; nothing if the answer is complete.
pub(in crate::dialect::openai_responses) fn incomplete(reason: FinishReason) -> Option<&'static str> {
    match reason {
        FinishReason::Length | FinishReason::ContextFull => Some("max_output_tokens"),
        FinishReason::ContentFilter => Some("content_filter"),
        FinishReason::Stop
        | FinishReason::StopSequence
        | FinishReason::ToolCalls
        | FinishReason::Pause
        | FinishReason::Refusal
        | FinishReason::Malformed
        | FinishReason::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(response: &Value, held: Held) -> FinishReason {
        decode(response.as_object().unwrap(), held).reason
    }

    const CALLS: Held = Held { calls: true, refusal: false };

    #[test]
    fn ec_022_calls_count_for_more_than_completed() {
        assert_eq!(read(&json!({"status": "completed"}), CALLS), FinishReason::ToolCalls);
        assert_eq!(read(&json!({"status": "completed"}), Held::default()), FinishReason::Stop);
    }

    #[test]
    fn ec_140_calls_that_were_cut_stay_cut() {
        let cut = json!({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}});
        assert_eq!(read(&cut, CALLS), FinishReason::Length);
    }

    #[test]
    fn ec_138_a_refusal_part_makes_a_refusal() {
        let held = Held { calls: false, refusal: true };
        assert_eq!(read(&json!({"status": "completed"}), held), FinishReason::Refusal);
    }

    #[test]
    fn ec_139_a_pause_is_complete_and_a_full_window_is_not() {
        assert_eq!(incomplete(FinishReason::Pause), None);
        assert_eq!(incomplete(FinishReason::ContextFull), Some("max_output_tokens"));
    }

    #[test]
    fn ec_135_a_filter_makes_an_answer_incomplete() {
        assert_eq!(incomplete(FinishReason::ContentFilter), Some("content_filter"));
        let filtered = json!({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}});
        assert_eq!(read(&filtered, Held::default()), FinishReason::ContentFilter);
    }

    #[test]
    fn an_unknown_reason_is_kept() {
        let finish = decode(
            json!({"status": "incomplete", "incomplete_details": {"reason": "steered"}}).as_object().unwrap(),
            Held::default(),
        );
        assert_eq!((finish.reason, finish.raw.as_deref()), (FinishReason::Other, Some("steered")));
    }
}
