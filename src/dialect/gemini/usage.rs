//! Token counts: Gemini's prompt with the cache in it and its output in two parts ⇄ buckets that do not overlap.

use serde_json::{Map, Value, json};

use crate::dialect::{TokenUsage, fields::count};

/// Reads `usageMetadata`. What is not there was not said.
pub(in crate::dialect) fn decode(usage: &Value) -> TokenUsage {
    let prompt = count(usage, "promptTokenCount");
    // What tools gave the model to read is input that stands beside the prompt.
    let tools = count(usage, "toolUsePromptTokenCount");
    let cache_read = count(usage, "cachedContentTokenCount");
    let candidates = count(usage, "candidatesTokenCount");
    let thoughts = count(usage, "thoughtsTokenCount");
    let fresh = prompt.map(|it| it.checked_sub(cache_read.unwrap_or(0)).unwrap_or(it));
    let sum = |parts: [Option<u64>; 3]| parts.into_iter().flatten().fold(0_u64, u64::saturating_add);
    // Some count the thoughts among the candidates: then the total says so.
    let thought = thoughts.unwrap_or(0);
    let included = thought > 0
        && candidates.is_some_and(|it| it >= thought)
        && count(usage, "totalTokenCount") == Some(sum([prompt, tools, candidates]));
    TokenUsage {
        input: (fresh.is_some() || tools.is_some()).then(|| sum([fresh, tools, None])),
        cache_read,
        output: candidates.map(|it| if included { it - thought } else { it }),
        reasoning: thoughts,
        audio_input: modality(usage, "promptTokensDetails", "AUDIO"),
        image_input: modality(usage, "promptTokensDetails", "IMAGE"),
        audio_output: modality(usage, "candidatesTokensDetails", "AUDIO"),
        ..TokenUsage::default()
    }
}

/// The tokens of one modality in a list of `{modality, tokenCount}`.
fn modality(usage: &Value, list: &str, wanted: &str) -> Option<u64> {
    let list = usage.get(list)?.as_array()?;
    let found = list.iter().find(|it| it.get("modality").and_then(Value::as_str) == Some(wanted))?;
    count(found, "tokenCount")
}

/// Writes `usageMetadata`. The totals are always numbers; the rest is there if it is known.
pub(super) fn encode(usage: &TokenUsage) -> Value {
    let (prompt, output) = (usage.total_input(), usage.output.unwrap_or(0));
    let mut object = Map::new();
    object.insert("promptTokenCount".to_owned(), prompt.into());
    if let Some(read) = usage.cache_read {
        object.insert("cachedContentTokenCount".to_owned(), read.into());
    }
    object.insert("candidatesTokenCount".to_owned(), output.into());
    if let Some(thoughts) = usage.reasoning {
        object.insert("thoughtsTokenCount".to_owned(), thoughts.into());
    }
    object.insert("totalTokenCount".to_owned(), prompt.saturating_add(usage.total_output()).into());
    let input = details(prompt, &[("AUDIO", usage.audio_input), ("IMAGE", usage.image_input)]);
    object.extend(input.map(|it| ("promptTokensDetails".to_owned(), it)));
    let spoken = details(output, &[("AUDIO", usage.audio_output)]);
    object.extend(spoken.map(|it| ("candidatesTokensDetails".to_owned(), it)));
    Value::Object(object)
}

/// The list of modalities, if one beside text is known; what is left over is text.
fn details(whole: u64, known: &[(&str, Option<u64>)]) -> Option<Value> {
    let known: Vec<(&str, u64)> = known.iter().filter_map(|(name, it)| Some((*name, (*it)?))).collect();
    let other = known.iter().fold(0_u64, |sum, it| sum.saturating_add(it.1));
    let entry = |name: &str, tokens: u64| json!({ "modality": name, "tokenCount": tokens });
    let text = whole.saturating_sub(other);
    let entries = std::iter::once(entry("TEXT", text)).chain(known.iter().map(|it| entry(it.0, it.1)));
    (!known.is_empty()).then(|| entries.collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ec_132_thoughts_among_the_candidates_are_counted_once() {
        let included = decode(&json!({
            "promptTokenCount": 10, "candidatesTokenCount": 120, "thoughtsTokenCount": 100, "totalTokenCount": 130
        }));
        assert_eq!((included.output, included.reasoning), (Some(20), Some(100)));
        let beside = decode(&json!({
            "promptTokenCount": 10, "candidatesTokenCount": 20, "thoughtsTokenCount": 100, "totalTokenCount": 130
        }));
        assert_eq!((beside.output, beside.reasoning), (Some(20), Some(100)));
        let with_tools = decode(&json!({
            "promptTokenCount": 10, "toolUsePromptTokenCount": 5, "candidatesTokenCount": 120,
            "thoughtsTokenCount": 100, "totalTokenCount": 135
        }));
        assert_eq!((with_tools.input, with_tools.output), (Some(15), Some(20)));
    }

    #[test]
    fn ec_133_missing_counts_are_unknown_and_no_error() {
        assert!(decode(&json!({})).is_empty());
        let begun = decode(&json!({"promptTokenCount": 7, "totalTokenCount": 7, "thoughtsTokenCount": null}));
        assert_eq!((begun.input, begun.output, begun.reasoning), (Some(7), None, None));
        assert!(decode(&json!({"promptTokenCount": "7"})).is_empty());
        let wire = encode(&TokenUsage::default());
        assert_eq!(wire, json!({"promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0}));
    }

    #[test]
    fn ec_017_cached_tokens_are_part_of_the_prompt() {
        let usage = TokenUsage {
            input: Some(10),
            cache_read: Some(1000),
            cache_write_5m: Some(200),
            output: Some(50),
            ..TokenUsage::default()
        };
        let wire = encode(&usage);
        assert_eq!(wire["promptTokenCount"], 1210);
        assert_eq!(wire["cachedContentTokenCount"], 1000);
        assert_eq!(wire["totalTokenCount"], 1260);
        assert_eq!((decode(&wire).input, decode(&wire).cache_read), (Some(210), Some(1000)));
    }

    #[test]
    fn what_is_no_text_is_told_by_its_modality() {
        let read = decode(&json!({
            "promptTokenCount": 300, "candidatesTokenCount": 40, "totalTokenCount": 340,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 42}, {"modality": "IMAGE", "tokenCount": 258}],
            "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 40}]
        }));
        assert_eq!((read.image_input, read.audio_input, read.audio_output), (Some(258), None, Some(40)));
        assert_eq!(decode(&encode(&read)), read);
    }

    proptest! {
        #[test]
        fn the_sums_survive(
            input in 0..1_000_000_u64, read in prop::option::of(0..1_000_000_u64),
            output in 0..1_000_000_u64, thought in prop::option::of(0..1_000_000_u64),
        ) {
            let usage = TokenUsage {
                input: Some(input), cache_read: read, output: Some(output), reasoning: thought,
                ..TokenUsage::default()
            };
            prop_assert_eq!(decode(&encode(&usage)), usage);
        }
    }
}
