//! How likely tokens were, as both of OpenAI's dialects write it.

use serde_json::{Map, Value, json};

use super::canonical::logprob::{Likelihood, TokenLogprob};

/// Reads a list. One that is not well formed says nothing that a client could be told.
pub(in crate::dialect) fn read(told: &Value) -> Option<Vec<TokenLogprob>> {
    told.as_array()?.iter().map(token).collect()
}

fn token(told: &Value) -> Option<TokenLogprob> {
    let told = told.as_object()?;
    let top = match told.get("top_logprobs") {
        None | Some(Value::Null) => Vec::new(),
        Some(list) => list.as_array()?.iter().map(|it| likelihood(it.as_object()?)).collect::<Option<_>>()?,
    };
    Some(TokenLogprob { chosen: likelihood(told)?, top })
}

fn likelihood(told: &Map<String, Value>) -> Option<Likelihood> {
    let bytes = match told.get("bytes") {
        None | Some(Value::Null) => None,
        Some(list) => {
            let byte = |it: &Value| u8::try_from(it.as_u64()?).ok();
            Some(list.as_array()?.iter().map(byte).collect::<Option<_>>()?)
        }
    };
    let token = told.get("token")?.as_str()?.to_owned();
    let logprob = told.get("logprob")?.as_number()?.clone();
    Some(Likelihood { token, logprob, bytes })
}

/// Whether a token's bytes must be said, though the upstream did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dialect) enum Bytes {
    /// Chat: `null` where they are not known.
    AsKnown,
    /// Responses: those of the text, where they are not known.
    Always,
}

/// Writes a list.
pub(in crate::dialect) fn write(tokens: &[TokenLogprob], bytes: Bytes) -> Value {
    let written = |it: &Likelihood| {
        let known = match (&it.bytes, bytes) {
            (Some(known), _) => json!(known),
            (None, Bytes::Always) => json!(it.token.as_bytes()),
            (None, Bytes::AsKnown) => Value::Null,
        };
        json!({ "token": it.token, "logprob": it.logprob, "bytes": known })
    };
    let token = |it: &TokenLogprob| {
        let mut chosen = written(&it.chosen);
        chosen["top_logprobs"] = it.top.iter().map(written).collect();
        chosen
    };
    tokens.iter().map(token).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_back_as_it_was() {
        let told = json!([
            {"token": "Pa", "logprob": -0.25, "bytes": [80, 97], "top_logprobs": [
                {"token": "Pa", "logprob": -0.25, "bytes": [80, 97]},
                {"token": "\u{fffd}", "logprob": -9999.0, "bytes": null},
            ]},
            {"token": "ris", "logprob": 0, "bytes": null, "top_logprobs": []},
        ]);
        assert_eq!(write(&read(&told).unwrap(), Bytes::AsKnown), told);
        let spelled = write(&read(&told).unwrap(), Bytes::Always);
        assert_eq!(spelled[1]["bytes"], json!([114, 105, 115]));
    }

    #[test]
    fn a_list_that_is_not_well_formed_is_none() {
        for odd in [
            json!({}),
            json!([1]),
            json!([{"token": "a"}]),
            json!([{"token": "a", "logprob": "0"}]),
            json!([{"token": "a", "logprob": 0, "bytes": [300]}]),
            json!([{"token": "a", "logprob": 0, "top_logprobs": [{}]}]),
        ] {
            assert_eq!(read(&odd), None, "{odd}");
        }
        assert_eq!(read(&json!([{"token": "a", "logprob": 0}])).unwrap().len(), 1);
    }
}
