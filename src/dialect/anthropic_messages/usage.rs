//! Token counts in Anthropic's words: cached input stands beside `input_tokens`, thinking is inside `output_tokens`.

use serde::Serialize;
use serde_json::Value;

use crate::dialect::{canonical::TokenUsage, fields::as_count};

/// What an upstream said so far, word for word. Each message of a stream repeats only some of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::dialect) struct WireUsage {
    input: Option<u64>,
    read: Option<u64>,
    write: Option<u64>,
    write_5m: Option<u64>,
    write_1h: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
    searches: Option<u64>,
    fetches: Option<u64>,
}

fn number(object: &Value, key: &str) -> Option<u64> {
    match object.get(key)? {
        Value::Number(it) => as_count(it),
        _ => None,
    }
}

impl WireUsage {
    /// Reads a `usage` object; what is missing or odd counts as not said. Where it has `iterations`, these are what is
    /// billed: the top level leaves some of them out.
    pub(in crate::dialect) fn read(usage: &Value) -> Self {
        let mut said = Self::flat(usage);
        let iterations = usage.get("iterations").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if let Some(sum) = iterations.iter().map(Self::flat).reduce(|one, other| one.plus(&other)) {
            let (searches, fetches) = (said.searches, said.fetches);
            said.merge(&sum);
            said.searches = searches;
            said.fetches = fetches;
        }
        said
    }

    fn flat(usage: &Value) -> Self {
        let written = usage.get("cache_creation").unwrap_or(&Value::Null);
        let details = usage.get("output_tokens_details").unwrap_or(&Value::Null);
        let server = usage.get("server_tool_use").unwrap_or(&Value::Null);
        Self {
            input: number(usage, "input_tokens"),
            read: number(usage, "cache_read_input_tokens"),
            write: number(usage, "cache_creation_input_tokens"),
            write_5m: number(written, "ephemeral_5m_input_tokens"),
            write_1h: number(written, "ephemeral_1h_input_tokens"),
            output: number(usage, "output_tokens"),
            thinking: number(details, "thinking_tokens"),
            searches: number(server, "web_search_requests"),
            fetches: number(server, "web_fetch_requests"),
        }
    }

    fn zip(&self, other: &Self, join: fn(Option<u64>, Option<u64>) -> Option<u64>) -> Self {
        Self {
            input: join(self.input, other.input),
            read: join(self.read, other.read),
            write: join(self.write, other.write),
            write_5m: join(self.write_5m, other.write_5m),
            write_1h: join(self.write_1h, other.write_1h),
            output: join(self.output, other.output),
            thinking: join(self.thinking, other.thinking),
            searches: join(self.searches, other.searches),
            fetches: join(self.fetches, other.fetches),
        }
    }

    /// Takes what `later` says; what it does not say stays.
    pub(in crate::dialect) fn merge(&mut self, later: &Self) {
        *self = self.zip(later, |old, new| new.or(old));
    }

    fn plus(&self, other: &Self) -> Self {
        self.zip(other, |one, other| match (one, other) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0))),
        })
    }

    /// The same in buckets that do not overlap.
    pub(in crate::dialect) fn buckets(&self) -> TokenUsage {
        let known = self.write_5m.unwrap_or(0).saturating_add(self.write_1h.unwrap_or(0));
        let split = self.write_5m.is_some() || self.write_1h.is_some();
        let other = self.write.map(|it| it.saturating_sub(known)).filter(|it| !split || *it > 0);
        TokenUsage {
            input: self.input,
            cache_read: self.read,
            cache_write_5m: self.write_5m,
            cache_write_1h: self.write_1h,
            cache_write_other: other,
            output: self.output.map(|it| it.saturating_sub(self.thinking.unwrap_or(0))),
            reasoning: self.thinking,
            web_searches: self.searches,
            web_fetches: self.fetches,
            ..TokenUsage::default()
        }
    }
}

/// A `usage` object. The four counts that clients read are always there.
#[derive(Debug, Serialize)]
pub(super) struct Usage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_creation: Option<CacheCreation>,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<OutputDetails>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_tool_use: Option<ServerToolUse>,
}

#[derive(Debug, Serialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(Debug, Serialize)]
struct OutputDetails {
    thinking_tokens: u64,
}

#[derive(Debug, Serialize)]
struct ServerToolUse {
    web_search_requests: u64,
    web_fetch_requests: u64,
}

impl From<&TokenUsage> for Usage {
    fn from(usage: &TokenUsage) -> Self {
        let split = usage.cache_write_5m.is_some() || usage.cache_write_1h.is_some();
        let searched = usage.web_searches.is_some() || usage.web_fetches.is_some();
        Self {
            input_tokens: usage.input.unwrap_or(0),
            cache_creation_input_tokens: usage.cache_write(),
            cache_read_input_tokens: usage.cache_read.unwrap_or(0),
            cache_creation: split.then(|| CacheCreation {
                ephemeral_5m_input_tokens: usage.cache_write_5m.unwrap_or(0),
                ephemeral_1h_input_tokens: usage.cache_write_1h.unwrap_or(0),
            }),
            output_tokens: usage.total_output(),
            output_tokens_details: usage.reasoning.map(|thinking_tokens| OutputDetails { thinking_tokens }),
            server_tool_use: searched.then(|| ServerToolUse {
                web_search_requests: usage.web_searches.unwrap_or(0),
                web_fetch_requests: usage.web_fetches.unwrap_or(0),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(usage: &TokenUsage) -> Value {
        serde_json::to_value(Usage::from(usage)).unwrap()
    }

    #[test]
    fn ec_017_cached_input_stands_beside_the_rest() {
        let read = json!({"input_tokens": 10, "cache_read_input_tokens": 1000,
            "cache_creation_input_tokens": 200, "output_tokens": 50});
        let usage = WireUsage::read(&read).buckets();
        assert_eq!((usage.total_input(), usage.total_output()), (1210, 50));
        assert_eq!(said(&usage), read);
    }

    #[test]
    fn ec_134_short_and_long_cache_writes_are_told_apart() {
        let read = json!({"input_tokens": 1, "cache_creation_input_tokens": 300, "output_tokens": 2,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}});
        let usage = WireUsage::read(&read).buckets();
        assert_eq!((usage.cache_write_5m, usage.cache_write_1h), (Some(100), Some(200)));
        assert_eq!(usage.cache_write_other, None);
        assert_eq!(said(&usage), read);
    }

    #[test]
    fn ec_129_what_is_missing_is_not_zero() {
        let mut usage =
            WireUsage::read(&json!({"input_tokens": 25, "cache_read_input_tokens": 3, "output_tokens": 1}));
        usage.merge(&WireUsage::read(&json!({"output_tokens": 15})));
        let usage = usage.buckets();
        assert_eq!((usage.input, usage.cache_read, usage.output), (Some(25), Some(3), Some(15)));
        assert_eq!(usage.cache_write_other, None);
    }

    #[test]
    fn ec_131_nulls_and_odd_values_count_as_unsaid() {
        let usage = WireUsage::read(&json!({"input_tokens": null, "cache_read_input_tokens": "x",
            "cache_creation": null, "output_tokens": 5.0}));
        assert_eq!(usage.buckets(), TokenUsage { output: Some(5), ..TokenUsage::default() });
    }

    #[test]
    fn thinking_is_inside_the_output() {
        let read = json!({"input_tokens": 1, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0,
            "output_tokens": 50, "output_tokens_details": {"thinking_tokens": 30}});
        let usage = WireUsage::read(&read).buckets();
        assert_eq!((usage.output, usage.reasoning), (Some(20), Some(30)));
        assert_eq!(said(&usage)["output_tokens"], 50);
    }

    #[test]
    fn iterations_are_summed() {
        let usage = WireUsage::read(&json!({"input_tokens": 5, "output_tokens": 5, "iterations": [
            {"type": "compaction", "input_tokens": 100, "output_tokens": 10},
            {"type": "message", "input_tokens": 5, "output_tokens": 5}]}));
        let usage = usage.buckets();
        assert_eq!((usage.input, usage.output), (Some(105), Some(15)));
    }
}
