//! How likely an answer's tokens were: `logprobsResult` of a candidate. It has two lists of equal length, one of what was
//! chosen at each step and one of what was likely there.

use serde_json::{Value, json};

use crate::dialect::canonical::{Likelihood, Part, PartKind, TokenLogprob};

/// Reads it. Nothing if it is not well formed.
pub(in crate::dialect::gemini) fn read(told: &Value) -> Vec<TokenLogprob> {
    let list = |key: &str| told.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let (chosen, top) = (list("chosenCandidates"), list("topCandidates"));
    let token = |(at, it): (usize, &Value)| {
        let top = top.get(at).and_then(|it| it.get("candidates")?.as_array()).map_or(&[][..], Vec::as_slice);
        let top = top.iter().map(likelihood).collect::<Option<_>>()?;
        Some(TokenLogprob { chosen: likelihood(it)?, top })
    };
    chosen.iter().enumerate().map(token).collect::<Option<_>>().unwrap_or_default()
}

fn likelihood(told: &Value) -> Option<Likelihood> {
    let token = told.get("token")?.as_str()?.to_owned();
    // A number that is zero may be left out, as protobuf does it.
    let logprob = match told.get("logProbability") {
        None => 0.into(),
        Some(it) => it.as_number()?.clone(),
    };
    Some(Likelihood { token, logprob, bytes: None })
}

/// Writes it; nothing if nothing is known.
pub(in crate::dialect::gemini) fn write(tokens: &[TokenLogprob]) -> Option<Value> {
    if tokens.is_empty() {
        return None;
    }
    let written = |it: &Likelihood| json!({ "token": it.token, "logProbability": it.logprob });
    let chosen: Vec<Value> = tokens.iter().map(|it| written(&it.chosen)).collect();
    let mut all = json!({ "chosenCandidates": chosen });
    if tokens.iter().any(|it| !it.top.is_empty()) {
        let top = |it: &TokenLogprob| json!({ "candidates": it.top.iter().map(written).collect::<Vec<_>>() });
        all["topCandidates"] = tokens.iter().map(top).collect();
    }
    Some(all)
}

/// Puts those of a whole answer on its visible text.
pub(in crate::dialect::gemini) fn place(tokens: Vec<TokenLogprob>, parts: &mut [Part]) {
    if let Some(text) = parts.iter_mut().find(|it| matches!(it.kind, PartKind::Text { .. })) {
        text.logprobs = tokens;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lists_come_back_as_they_were() {
        let told = json!({
            "chosenCandidates": [
                {"token": "Pa", "logProbability": -0.25},
                {"token": "ris", "logProbability": -0.5},
            ],
            "topCandidates": [
                {"candidates": [{"token": "Pa", "logProbability": -0.25}, {"token": "Ro", "logProbability": -2}]},
                {"candidates": []},
            ],
        });
        assert_eq!(write(&read(&told)), Some(told));
        assert_eq!(write(&[]), None);
    }

    #[test]
    fn what_is_not_well_formed_is_nothing() {
        for odd in [json!([]), json!({"chosenCandidates": [{}]}), json!({"chosenCandidates": [{"token": 1}]})]
        {
            assert_eq!(read(&odd), Vec::new(), "{odd}");
        }
        let certain = read(&json!({"chosenCandidates": [{"token": "a", "tokenId": 5}]}));
        assert_eq!((certain[0].chosen.logprob.as_i64(), certain[0].top.len()), (Some(0), 0));
    }
}
