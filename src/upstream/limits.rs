//! How long an upstream asks us to wait, in each way upstreams say it; and its limits told in another dialect's words.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::google;
use crate::dialect::DialectId;

/// The longest wait that is believed.
pub const LONGEST_WAIT: Duration = Duration::from_hours(8 * 24);
/// What a wait that is over already, or is none, is taken for.
pub const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// How a provider says its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitParser {
    /// `retry-after(-ms)`, then `x-ratelimit-reset` as Unix time or a number of seconds.
    Generic,
    /// `retry-after(-ms)`, then `x-ratelimit-reset-{requests,tokens}` as a duration (`6m0s`).
    OpenAi,
    /// `retry-after`, then `anthropic-ratelimit-…-reset` as RFC 3339.
    Anthropic,
    /// `retry-after`, then what the error's details say (`google.rpc.RetryInfo`).
    Google,
}

impl LimitParser {
    /// How long to wait, if the headers, or the error that is the body, say so; never nothing, never more than `LONGEST_WAIT`.
    pub fn wait(self, headers: &HeaderMap, body: &[u8], now: DateTime<Utc>) -> Option<Duration> {
        let wait = retry_after(headers, now).or_else(|| match self {
            Self::Generic => unix_reset(headers, now),
            Self::OpenAi => ["requests", "tokens"]
                .into_iter()
                .filter(|it| is_spent(headers, &format!("x-ratelimit-remaining-{it}")))
                .filter_map(|it| go_duration(text(headers, &format!("x-ratelimit-reset-{it}"))?))
                .max()
                .or_else(|| unix_reset(headers, now)),
            Self::Anthropic => ["requests", "tokens", "input-tokens", "output-tokens"]
                .into_iter()
                .filter(|it| is_spent(headers, &format!("anthropic-ratelimit-{it}-remaining")))
                .filter_map(|it| instant(text(headers, &format!("anthropic-ratelimit-{it}-reset"))?))
                .map(|it| until(it, now))
                .max(),
            Self::Google => google::read(body)?.wait(now),
        })?;
        Some(if wait.is_zero() { SHORTEST_WAIT } else { wait.min(LONGEST_WAIT) })
    }
}

/// Reads `retry-after-ms` (OpenAI's), else `retry-after`: seconds or an HTTP date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    if let Some(ms) = text(headers, "retry-after-ms").and_then(number) {
        return Some(seconds(ms / 1000.0));
    }
    let value = text(headers, "retry-after")?;
    number(value)
        .map(seconds)
        .or_else(|| DateTime::parse_from_rfc2822(value).ok().map(|it| until(it.to_utc(), now)))
}

/// Reads `x-ratelimit-reset`: Unix milliseconds (`OpenRouter`), Unix seconds, or seconds from now.
fn unix_reset(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    if !is_spent(headers, "x-ratelimit-remaining") {
        return None;
    }
    let value = number(text(headers, "x-ratelimit-reset")?)?;
    #[expect(clippy::cast_precision_loss, reason = "a time of day fits")]
    let now = now.timestamp_millis() as f64 / 1000.0;
    Some(seconds(if value > 1e11 {
        value / 1000.0 - now
    } else if value > 1e9 {
        value - now
    } else {
        value
    }))
}

fn is_spent(headers: &HeaderMap, name: &str) -> bool {
    text(headers, name).and_then(number).is_some_and(|it| it <= 0.0)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|it| it.is_finite())
}

/// Seconds as a duration; what lies in the past is none, what overflows is the longest.
fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value.max(0.0)).unwrap_or(LONGEST_WAIT)
}

fn instant(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|it| it.to_utc())
}

fn until(instant: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (instant - now).to_std().unwrap_or_default()
}

/// Reads a duration as Go writes it: `6m0s`, `1.2s`, `20ms`, `4h51m33.9s`; a bare number is seconds.
pub fn go_duration(text: &str) -> Option<Duration> {
    if let Some(value) = number(text) {
        return (value >= 0.0).then(|| seconds(value));
    }
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|it: char| !it.is_ascii_digit() && it != '.')?;
        let value: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|it: char| it.is_ascii_digit()).unwrap_or(rest.len());
        sum += value
            * match &rest[..letters] {
                "d" => 86_400.0,
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[letters..];
    }
    (!text.is_empty()).then(|| seconds(sum))
}

/// The limit headers of Chat, those of Messages, and whether the value is a time of reset.
const PAIRS: &[(&str, &str, bool)] = &[
    ("x-ratelimit-limit-requests", "anthropic-ratelimit-requests-limit", false),
    ("x-ratelimit-remaining-requests", "anthropic-ratelimit-requests-remaining", false),
    ("x-ratelimit-reset-requests", "anthropic-ratelimit-requests-reset", true),
    ("x-ratelimit-limit-tokens", "anthropic-ratelimit-tokens-limit", false),
    ("x-ratelimit-remaining-tokens", "anthropic-ratelimit-tokens-remaining", false),
    ("x-ratelimit-reset-tokens", "anthropic-ratelimit-tokens-reset", true),
    ("x-request-id", "request-id", false),
];

/// Says an answer's headers in the words of the dialect `to`. Both dialects' limits are renamed and their times of reset
/// rewritten; what only one of them knows is left out; the same dialect's headers are left as they are.
pub fn translate_headers(
    from: DialectId,
    to: DialectId,
    headers: &HeaderMap,
    now: DateTime<Utc>,
) -> HeaderMap {
    use DialectId::{AnthropicMessages, Gemini, OpenaiChat, OpenaiResponses};
    match (from, to) {
        (OpenaiChat | OpenaiResponses, OpenaiChat | OpenaiResponses)
        | (AnthropicMessages, AnthropicMessages)
        | (Gemini, Gemini) => headers.clone(),
        // Gemini has no headers for limits: only when to try again can be told.
        (Gemini, _) | (_, Gemini) => {
            let mut out = HeaderMap::new();
            keep_retry_after(headers, &mut out, now);
            out
        }
        (OpenaiChat | OpenaiResponses, AnthropicMessages) => {
            let mut out = translate(
                headers,
                |it| (it.0, it.1),
                |it| {
                    let at = now + chrono::Duration::from_std(go_duration(it)?.min(LONGEST_WAIT)).ok()?;
                    Some(at.to_rfc3339_opts(SecondsFormat::Secs, true))
                },
            );
            keep_retry_after(headers, &mut out, now);
            out
        }
        (AnthropicMessages, OpenaiChat | OpenaiResponses) => {
            let mut out = translate(
                headers,
                |it| (it.1, it.0),
                |it| Some(say_duration(until(instant(it)?, now).min(LONGEST_WAIT))),
            );
            keep_retry_after(headers, &mut out, now);
            out
        }
    }
}

fn translate(
    headers: &HeaderMap,
    names: impl Fn(&(&'static str, &'static str, bool)) -> (&'static str, &'static str),
    reset: impl Fn(&str) -> Option<String>,
) -> HeaderMap {
    let mut out = HeaderMap::new();
    for pair in PAIRS {
        let (from, to) = names(pair);
        let Some(value) = headers.get(from) else { continue };
        let value = if pair.2 {
            value.to_str().ok().and_then(|it| reset(it.trim())).and_then(|it| it.try_into().ok())
        } else {
            Some(value.clone())
        };
        if let Some(value) = value {
            out.insert(HeaderName::from_static(to), value);
        }
    }
    out
}

/// Every client understands whole seconds; not every one understands dates and milliseconds.
fn keep_retry_after(headers: &HeaderMap, out: &mut HeaderMap, now: DateTime<Utc>) {
    if let Some(wait) = retry_after(headers, now) {
        out.insert(http::header::RETRY_AFTER, whole_seconds(wait));
    }
}

/// A wait as the value of `retry-after`: rounded up, one second or more.
pub fn whole_seconds(wait: Duration) -> HeaderValue {
    let wait = wait.min(LONGEST_WAIT);
    HeaderValue::from((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1))
}

/// Writes a duration as OpenAI does: `6m0s`, `1.2s`, `20ms`.
fn say_duration(wait: Duration) -> String {
    let (minutes, ms) = (wait.as_secs() / 60, wait.as_millis() % 60_000);
    match (minutes, ms) {
        (0, 0..1000) => format!("{ms}ms"),
        (0, _) => format!("{}s", say_seconds(ms)),
        (1..60, _) => format!("{minutes}m{}s", say_seconds(ms)),
        _ => format!("{}h{}m{}s", minutes / 60, minutes % 60, say_seconds(ms)),
    }
}

fn say_seconds(ms: u128) -> String {
    match ms % 1000 {
        0 => format!("{}", ms / 1000),
        rest => format!("{}.{rest:03}", ms / 1000).trim_end_matches('0').to_owned(),
    }
}

#[cfg(test)]
mod tests;
