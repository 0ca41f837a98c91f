//! Token counts: Chat's totals with parts of them told again ⇄ buckets that do not overlap.

use serde_json::{Map, Value, json};

use crate::dialect::{TokenUsage, fields::count};

/// Reads `usage`. Clones: `DeepSeek` says `prompt_cache_hit_tokens`, Kimi `cached_tokens`, beside the totals.
pub(in crate::dialect) fn decode(usage: &Value) -> TokenUsage {
    let prompt = count(usage, "prompt_tokens");
    let completion = count(usage, "completion_tokens");
    let input_details = &usage["prompt_tokens_details"];
    let output_details = &usage["completion_tokens_details"];
    let cache_read = count(input_details, "cached_tokens")
        .or_else(|| count(usage, "prompt_cache_hit_tokens"))
        .or_else(|| count(usage, "cached_tokens"));
    let cache_write = count(input_details, "cache_write_tokens");
    let reasoning = count(output_details, "reasoning_tokens").or_else(|| count(usage, "reasoning_tokens"));
    let cached = cache_read.unwrap_or(0).saturating_add(cache_write.unwrap_or(0));
    let thought = reasoning.unwrap_or(0);
    // xAI counts thinking beside the completion: then the total says so.
    let apart = count(usage, "total_tokens").is_some_and(|total| {
        let (prompt, completion) = (prompt.unwrap_or(0), completion.unwrap_or(0));
        thought > 0 && prompt.checked_add(completion).and_then(|it| it.checked_add(thought)) == Some(total)
    });
    TokenUsage {
        // More cached than there is: the clone counts the cache beside the prompt.
        input: prompt.map(|it| it.checked_sub(cached).unwrap_or(it)),
        cache_read,
        cache_write_other: cache_write,
        output: completion.map(|it| if apart { it } else { it.saturating_sub(thought) }),
        reasoning,
        audio_input: count(input_details, "audio_tokens"),
        image_input: count(input_details, "image_tokens"),
        audio_output: count(output_details, "audio_tokens"),
        prediction_accepted: count(output_details, "accepted_prediction_tokens"),
        prediction_rejected: count(output_details, "rejected_prediction_tokens"),
        ..TokenUsage::default()
    }
}

/// Writes `usage`. Every count SDKs expect is a number, known or not; the others are there if they are known.
pub(super) fn encode(usage: &TokenUsage) -> Value {
    let (prompt, completion) = (usage.total_input(), usage.total_output());
    let mut input = Map::new();
    input.insert("cached_tokens".to_owned(), usage.cache_read.unwrap_or(0).into());
    let writes = [usage.cache_write_5m, usage.cache_write_1h, usage.cache_write_other];
    if writes.iter().any(Option::is_some) {
        input.insert("cache_write_tokens".to_owned(), usage.cache_write().into());
    }
    put(&mut input, "audio_tokens", usage.audio_input);
    put(&mut input, "image_tokens", usage.image_input);
    let mut output = Map::new();
    output.insert("reasoning_tokens".to_owned(), usage.reasoning.unwrap_or(0).into());
    put(&mut output, "audio_tokens", usage.audio_output);
    put(&mut output, "accepted_prediction_tokens", usage.prediction_accepted);
    put(&mut output, "rejected_prediction_tokens", usage.prediction_rejected);
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt.saturating_add(completion),
        "prompt_tokens_details": input,
        "completion_tokens_details": output,
    })
}

fn put(object: &mut Map<String, Value>, key: &str, count: Option<u64>) {
    if let Some(count) = count {
        object.insert(key.to_owned(), count.into());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ec_017_cached_tokens_are_counted_once() {
        let anthropic = TokenUsage {
            input: Some(10),
            cache_read: Some(1000),
            cache_write_5m: Some(200),
            output: Some(50),
            ..TokenUsage::default()
        };
        let wire = encode(&anthropic);
        assert_eq!(wire["prompt_tokens"], 1210);
        assert_eq!(wire["prompt_tokens_details"], json!({"cached_tokens": 1000, "cache_write_tokens": 200}));
        assert_eq!(wire["total_tokens"], 1260);
        let back = decode(&json!({"prompt_tokens": 1210, "prompt_tokens_details": {"cached_tokens": 1000}}));
        assert_eq!((back.input, back.cache_read, back.cache_write()), (Some(210), Some(1000), 0));
    }

    #[test]
    fn ec_130_no_cache_write_is_not_a_cache_write_of_zero() {
        let said = decode(&json!({"prompt_tokens": 5, "prompt_tokens_details": {"cache_write_tokens": 0}}));
        assert_eq!(said.cache_write_other, Some(0));
        assert_eq!(encode(&said)["prompt_tokens_details"]["cache_write_tokens"], 0);
        let unsaid = decode(&json!({"prompt_tokens": 5}));
        assert_eq!(encode(&unsaid)["prompt_tokens_details"].get("cache_write_tokens"), None);
    }

    #[test]
    fn ec_131_null_and_missing_details_are_borne_and_written_as_numbers() {
        let usage = decode(&json!({
            "prompt_tokens": 5, "completion_tokens": null, "prompt_tokens_details": {"cached_tokens": null},
            "completion_tokens_details": null
        }));
        assert_eq!((usage.input, usage.cache_read, usage.output), (Some(5), None, None));
        let wire = encode(&usage);
        assert_eq!(wire["completion_tokens"], 0);
        assert_eq!(wire["prompt_tokens_details"]["cached_tokens"], 0);
        assert_eq!(wire["completion_tokens_details"]["reasoning_tokens"], 0);
    }

    #[test]
    fn clones_that_count_beside_the_total_are_understood() {
        let deepseek = decode(
            &json!({"prompt_tokens": 10, "prompt_cache_hit_tokens": 6, "prompt_cache_miss_tokens": 4}),
        );
        assert_eq!((deepseek.input, deepseek.cache_read), (Some(4), Some(6)));
        let outside = decode(&json!({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 90}}));
        assert_eq!((outside.input, outside.cache_read), (Some(10), Some(90)));
        let xai = decode(&json!({
            "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115,
            "completion_tokens_details": {"reasoning_tokens": 100}
        }));
        assert_eq!((xai.output, xai.reasoning), (Some(5), Some(100)));
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
