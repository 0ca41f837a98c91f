//! Token counts: Responses' totals with parts of them told again ⇄ buckets that do not overlap.

use serde_json::{Map, Value, json};

use crate::dialect::{TokenUsage, fields::count};

/// Reads `usage`.
pub(in crate::dialect) fn decode(usage: &Value) -> TokenUsage {
    let input = count(usage, "input_tokens");
    let output = count(usage, "output_tokens");
    let input_details = &usage["input_tokens_details"];
    let output_details = &usage["output_tokens_details"];
    let cache_read = count(input_details, "cached_tokens");
    let cache_write = count(input_details, "cache_write_tokens");
    let reasoning = count(output_details, "reasoning_tokens");
    let cached = cache_read.unwrap_or(0).saturating_add(cache_write.unwrap_or(0));
    TokenUsage {
        // More cached than there is: the clone counts the cache beside the input.
        input: input.map(|it| it.checked_sub(cached).unwrap_or(it)),
        cache_read,
        cache_write_other: cache_write,
        output: output.map(|it| it.saturating_sub(reasoning.unwrap_or(0))),
        reasoning,
        audio_input: count(input_details, "audio_tokens"),
        image_input: count(input_details, "image_tokens"),
        audio_output: count(output_details, "audio_tokens"),
        ..TokenUsage::default()
    }
}

/// Writes `usage`. Every count SDKs expect is a number, known or not; the others are there if they are known.
pub(super) fn encode(usage: &TokenUsage) -> Value {
    let (input, output) = (usage.total_input(), usage.total_output());
    let mut details = Map::new();
    details.insert("cached_tokens".to_owned(), usage.cache_read.unwrap_or(0).into());
    let writes = [usage.cache_write_5m, usage.cache_write_1h, usage.cache_write_other];
    if writes.iter().any(Option::is_some) {
        details.insert("cache_write_tokens".to_owned(), usage.cache_write().into());
    }
    json!({
        "input_tokens": input,
        "input_tokens_details": details,
        "output_tokens": output,
        "output_tokens_details": { "reasoning_tokens": usage.reasoning.unwrap_or(0) },
        "total_tokens": input.saturating_add(output),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ec_017_cached_tokens_are_inside_the_input_once() {
        let anthropic = TokenUsage {
            input: Some(10),
            cache_read: Some(1000),
            cache_write_5m: Some(200),
            output: Some(50),
            ..TokenUsage::default()
        };
        let wire = encode(&anthropic);
        assert_eq!((&wire["input_tokens"], &wire["total_tokens"]), (&json!(1210), &json!(1260)));
        let back = decode(&json!({"input_tokens": 1210, "input_tokens_details": {"cached_tokens": 1000}}));
        assert_eq!((back.input, back.cache_read, back.cache_write()), (Some(210), Some(1000), 0));
    }

    #[test]
    fn ec_130_no_cache_write_is_not_a_cache_write_of_zero() {
        let said = decode(&json!({"input_tokens": 5, "input_tokens_details": {"cache_write_tokens": 0}}));
        assert_eq!(said.cache_write_other, Some(0));
        assert_eq!(encode(&said)["input_tokens_details"]["cache_write_tokens"], 0);
        let unsaid = decode(&json!({"input_tokens": 5}));
        assert_eq!(encode(&unsaid)["input_tokens_details"].get("cache_write_tokens"), None);
    }

    #[test]
    fn ec_131_what_is_not_known_is_written_as_zero_and_never_as_null() {
        let usage = decode(&json!({"input_tokens": 5, "output_tokens": null, "input_tokens_details": null}));
        assert_eq!((usage.input, usage.output, usage.cache_read), (Some(5), None, None));
        let wire = encode(&usage);
        assert_eq!(wire["output_tokens"], 0);
        assert_eq!(wire["input_tokens_details"]["cached_tokens"], 0);
        assert_eq!(wire["output_tokens_details"]["reasoning_tokens"], 0);
    }

    proptest! {
        #[test]
        fn the_sums_survive(
            input in 0..1_000_000_u64, read in prop::option::of(0..1_000_000_u64),
            write in prop::option::of(0..1_000_000_u64), output in 0..1_000_000_u64, thought in 0..1_000_000_u64,
        ) {
            let usage = TokenUsage {
                input: Some(input), cache_read: read, cache_write_1h: write,
                output: Some(output), reasoning: Some(thought), ..TokenUsage::default()
            };
            let back = decode(&encode(&usage));
            prop_assert_eq!(back.total_input(), usage.total_input());
            prop_assert_eq!(back.total_output(), usage.total_output());
            prop_assert_eq!(back.cache_write(), usage.cache_write());
        }
    }
}
