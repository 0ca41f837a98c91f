//! When to try again, as Google says it in an error's body: it has no header for it.

use std::time::Duration;

use serde_json::Value;

/// How long an upstream asks us to wait: `details[].RetryInfo.retryDelay`, else what Cloud Code puts in `ErrorInfo`, else
/// the words of the message ("Please retry in 34.07s.").
pub fn retry_delay(body: &[u8]) -> Option<Duration> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let value = match &value {
        Value::Array(list) => list.first()?,
        other => other,
    };
    let error = value.get("error")?;
    let details = error.get("details").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let told = details.iter().find_map(|it| duration(it.get("retryDelay")?.as_str()?));
    let reset = || details.iter().find_map(|it| duration(it.pointer("/metadata/quotaResetDelay")?.as_str()?));
    told.or_else(reset).or_else(|| from_words(error.get("message")?.as_str()?))
}

fn from_words(message: &str) -> Option<Duration> {
    let (_, rest) = message.split_once("retry in ")?;
    let word = rest.split_whitespace().next()?;
    duration(word.trim_end_matches(['.', ',', ';']))
}

/// Reads a duration as protobuf's JSON writes it (`34.5s`), or as Go does (`1h16m0.7s`, `373.8ms`).
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let number = rest.find(|it: char| !it.is_ascii_digit() && it != '.')?;
        let value: f64 = rest[..number].parse().ok()?;
        rest = &rest[number..];
        let unit = rest.find(|it: char| it.is_ascii_digit()).unwrap_or(rest.len());
        sum += value
            * match &rest[..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(sum).ok())?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn delay(body: &Value) -> Option<f64> {
        retry_delay(body.to_string().as_bytes()).map(|it| it.as_secs_f64())
    }

    #[test]
    fn ec_082_the_wait_is_read_from_the_body() {
        let info = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.074s"});
        let help = json!({"@type": "type.googleapis.com/google.rpc.Help"});
        assert_eq!(delay(&json!({"error": {"details": [help, info]}})), Some(34.074));
        assert_eq!(delay(&json!([{"error": {"details": [info]}}])), Some(34.074));
        let cloud_code = json!({"metadata": {"quotaResetDelay": "1h16m0.5s"}});
        assert_eq!(delay(&json!({"error": {"details": [cloud_code]}})), Some(4560.5));
        assert_eq!(delay(&json!({"error": {"message": "Quota. Please retry in 250ms."}})), Some(0.25));
    }

    #[test]
    fn what_says_no_wait_gives_none() {
        for body in [
            json!({"error": {"message": "retry in a while", "details": [{"retryDelay": "-1s"}]}}),
            json!({"error": "retry"}),
            json!([]),
            json!({"error": {"details": [{"retryDelay": ""}]}}),
        ] {
            assert_eq!(delay(&body), None, "{body}");
        }
        assert_eq!(retry_delay(b"<html>"), None);
    }
}
