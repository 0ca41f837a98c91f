//! Google's errors: what `google.rpc.Status` says in its details of reasons, quotas and waits.
//!
//! Shapes: `google/rpc/error_details.proto`. The body is `{"error": {…}}`, or a list of one of them on streams without SSE.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::limits::go_duration;

/// An error of Google's, as far as it says what to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RpcError {
    /// `RESOURCE_EXHAUSTED`, `PERMISSION_DENIED`, …
    pub status: String,
    pub message: String,
    /// `ErrorInfo.reason` of each detail.
    pub reasons: Vec<String>,
    /// `QuotaFailure.violations[].quotaId`.
    quotas: Vec<String>,
    /// `RetryInfo.retryDelay`, else `ErrorInfo.metadata.quotaResetDelay`.
    delay: Option<Duration>,
    /// `ErrorInfo.metadata.quotaResetTimeStamp`.
    reset: Option<DateTime<Utc>>,
}

impl RpcError {
    /// Whether what is used up comes back with the next day, not with the next minute
    /// (`GenerateRequestsPerDayPerProjectPerModel-FreeTier`).
    pub(super) fn is_daily(&self) -> bool {
        self.quotas.iter().any(|it| it.contains("PerDay"))
    }

    /// How long to wait, if it says so.
    pub(super) fn wait(&self, now: DateTime<Utc>) -> Option<Duration> {
        self.delay
            .or_else(|| self.reset.map(|it| (it - now).to_std().unwrap_or_default()))
            .or_else(|| said(&self.message))
    }
}

/// Reads an error's body; `None`: it is not in Google's form.
pub(super) fn read(body: &[u8]) -> Option<RpcError> {
    let whole: Value = serde_json::from_slice(body).ok()?;
    let first = match &whole {
        Value::Array(list) => list.first()?,
        it => it,
    };
    let error = first.get("error")?.as_object()?;
    let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut read = RpcError { status: text("status"), message: text("message"), ..RpcError::default() };
    let details = error.get("details").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut quota_delay = None;
    for detail in details {
        let kind = detail.get("@type").and_then(Value::as_str).unwrap_or_default();
        let text = |pointer: &str| detail.pointer(pointer).and_then(Value::as_str);
        match kind.rsplit('.').next().unwrap_or_default() {
            "RetryInfo" => read.delay = text("/retryDelay").and_then(go_duration),
            "ErrorInfo" => {
                read.reasons.extend(text("/reason").map(str::to_owned));
                quota_delay = text("/metadata/quotaResetDelay").and_then(go_duration).or(quota_delay);
                let reset = text("/metadata/quotaResetTimeStamp");
                read.reset = reset.and_then(|it| DateTime::parse_from_rfc3339(it).ok()).map(|it| it.to_utc());
            }
            "QuotaFailure" => {
                let violations = detail.get("violations").and_then(Value::as_array);
                let ids = violations.into_iter().flatten().filter_map(|it| it.get("quotaId")?.as_str());
                read.quotas.extend(ids.map(str::to_owned));
            }
            _ => {}
        }
    }
    read.delay = read.delay.or(quota_delay);
    Some(read)
}

/// `Please retry in 34.07s.`, `Your quota will reset after 1h2m3s.`
fn said(message: &str) -> Option<Duration> {
    ["retry in ", "try again in ", "reset after ", "retry after "].iter().find_map(|it| {
        let rest = &message[message.find(it)? + it.len()..];
        let word = rest.split_whitespace().next()?.trim_end_matches(['.', ',']);
        // A bare number would have its unit in the next word.
        word.ends_with(|it: char| it.is_ascii_alphabetic()).then(|| go_duration(word))?
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn exhausted(message: &str, details: &Value) -> Value {
        json!({"error": {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": details}})
    }

    fn now() -> DateTime<Utc> {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_wait_is_found_wherever_it_is_said() {
        let retry =
            json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.074824224s"});
        let info = |metadata: Value| json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "X", "metadata": metadata});
        let rows = [
            (exhausted("", &json!([retry])), Some(34_074)),
            (exhausted("", &json!([info(json!({"quotaResetDelay": "373.8ms"}))])), Some(373)),
            (exhausted("", &json!([info(json!({"quotaResetDelay": "9h"})), retry])), Some(34_074)),
            (
                exhausted("", &json!([info(json!({"quotaResetTimeStamp": "2026-03-01T12:00:07Z"}))])),
                Some(7_000),
            ),
            (exhausted("Quota. Please retry in 5.6s.", &json!([])), Some(5_600)),
            (exhausted("Your quota will reset after 1h2m3s.", &json!([])), Some(3_723_000)),
            (exhausted("Please retry in 5 minutes", &json!([])), None),
            (exhausted("Resource exhausted.", &Value::Null), None),
        ];
        for (body, expected) in rows {
            for body in [body.clone(), json!([body])] {
                let wait = read(body.to_string().as_bytes()).unwrap().wait(now());
                let wait = wait.map(|it| u64::try_from(it.as_millis()).unwrap());
                assert_eq!(wait, expected, "{body}");
            }
        }
    }

    #[test]
    fn a_daily_quota_is_told_from_one_of_a_minute() {
        let violated = |id: &str| {
            let failure = json!({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [
                {"quotaMetric": "m", "quotaId": id}
            ]});
            read(exhausted("", &json!([failure])).to_string().as_bytes()).unwrap().is_daily()
        };
        assert!(violated("GenerateRequestsPerDayPerProjectPerModel-FreeTier"));
        assert!(!violated("GenerateContentInputTokensPerModelPerMinute-FreeTier"));
    }

    #[test]
    fn another_form_is_not_googles() {
        for body in ["", "<html>", "[]", r#"{"error":"x"}"#, r#"{"message":"x"}"#, "7"] {
            assert_eq!(read(body.as_bytes()), None, "{body}");
        }
    }
}
