//! Google's token endpoint, played: a signed assertion or a refresh token becomes a short-lived access token.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// What our access tokens begin with.
const PREFIX: &str = "ya29.sim-";

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Longest life of an assertion, and how far its clock may be ahead, in seconds.
const LONGEST: u64 = 3600;
const AHEAD: u64 = 300;

/// The access tokens given, and until when they live.
#[derive(Default)]
pub(super) struct Tokens(Mutex<HashMap<String, Instant>>);

impl Tokens {
    /// Whether a bearer is one of ours and still lives; nothing if it is not ours at all.
    pub(super) fn is_alive(&self, bearer: &str) -> Option<bool> {
        bearer.starts_with(PREFIX).then(|| {
            let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            tokens.get(bearer).is_some_and(|until| Instant::now() < *until)
        })
    }

    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The status and body for a form; `now` is in seconds since 1970.
    pub(super) fn grant(&self, form: &str, serial: &str, lifetime: Duration, now: u64) -> (u16, Value) {
        match judge(form, now) {
            Err((error, why)) => (400, json!({"error": error, "error_description": why})),
            Ok(()) => {
                let token = format!("{PREFIX}{serial}");
                let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                tokens.insert(token.clone(), Instant::now() + lifetime);
                let seconds = lifetime.as_secs();
                (200, json!({"access_token": token, "expires_in": seconds, "token_type": "Bearer"}))
            }
        }
    }
}

type Fault = (&'static str, String);

fn judge(form: &str, now: u64) -> Result<(), Fault> {
    let field = |name: &str| {
        let value = form.split('&').filter_map(|it| it.split_once('=')).find(|(it, _)| *it == name)?.1;
        Some(percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned())
    };
    match field("grant_type").as_deref() {
        Some(JWT_BEARER) => assertion(&field("assertion").unwrap_or_default(), now),
        Some("refresh_token") => {
            match ["client_id", "client_secret", "refresh_token"]
                .into_iter()
                .find(|it| field(it).is_none_or(|it| it.is_empty()))
            {
                Some(missing) => Err(("invalid_request", format!("Missing required parameter: {missing}"))),
                None if field("refresh_token").is_some_and(|it| it.contains("revoked")) => {
                    Err(("invalid_grant", "Token has been expired or revoked.".to_owned()))
                }
                None => Ok(()),
            }
        }
        _ => Err(("unsupported_grant_type", "Invalid grant_type".to_owned())),
    }
}

/// Looks at form and claims; whose key signed it is not known here.
fn assertion(assertion: &str, now: u64) -> Result<(), Fault> {
    let fault = |why: &str| Err(("invalid_grant", format!("Invalid JWT: {why}")));
    let parts: Vec<&str> = assertion.split('.').collect();
    let &[header, claims, signature] = parts.as_slice() else { return fault("it has not three parts") };
    let (Some(header), Some(claims)) = (decoded(header), decoded(claims)) else {
        return fault("header or claims are no JSON in base64url");
    };
    if header["alg"] != "RS256" {
        return fault("the algorithm must be RS256");
    }
    if URL_SAFE_NO_PAD.decode(signature).map_or(0, |it| it.len()) < 128 {
        return fault("the signature is none of RSA");
    }
    if !claims["iss"].as_str().is_some_and(|it| it.contains('@')) {
        return fault("`iss` must be the account's e-mail");
    }
    if claims["scope"].as_str().is_none_or(str::is_empty) {
        return Err(("invalid_scope", "Empty or missing scope not allowed.".to_owned()));
    }
    if !claims["aud"].as_str().is_some_and(|it| it.ends_with("/token")) {
        return fault("`aud` must be the token endpoint");
    }
    let (Some(issued), Some(expires)) = (claims["iat"].as_u64(), claims["exp"].as_u64()) else {
        return fault("`iat` and `exp` are required");
    };
    if issued > now + AHEAD || expires <= now || expires <= issued || expires - issued > LONGEST {
        return fault(
            "Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.",
        );
    }
    Ok(())
}

fn decoded(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn jwt(header: &Value, claims: &Value) -> String {
        let part = |it: &Value| URL_SAFE_NO_PAD.encode(it.to_string());
        format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode([7; 256]))
    }

    fn claims() -> Value {
        json!({"iss": "a@b.example", "scope": "https://www.googleapis.com/auth/cloud-platform",
            "aud": "http://127.0.0.1/token", "iat": NOW, "exp": NOW + 3600})
    }

    fn grant(form: &str) -> (u16, Value) {
        Tokens::default().grant(form, "s", Duration::from_hours(1), NOW)
    }

    #[test]
    fn an_assertion_in_order_gets_a_token_that_lives() {
        let tokens = Tokens::default();
        let form = format!(
            "grant_type={}&assertion={}",
            JWT_BEARER.replace(':', "%3A"),
            jwt(&json!({"alg": "RS256", "typ": "JWT"}), &claims())
        );
        let (status, body) = tokens.grant(&form, "s", Duration::from_hours(1), NOW);
        assert_eq!((status, &body["expires_in"]), (200, &json!(3600)));
        assert_eq!(tokens.is_alive(body["access_token"].as_str().unwrap()), Some(true));
        let (_, body) = tokens.grant(&form, "t", Duration::ZERO, NOW);
        assert_eq!(tokens.is_alive(body["access_token"].as_str().unwrap()), Some(false), "it has expired");
        assert_eq!(tokens.is_alive("ya29.sim-forged"), Some(false));
        assert_eq!(tokens.is_alive("sk-1234"), None);
    }

    #[test]
    fn an_assertion_out_of_order_gets_none() {
        let good = json!({"alg": "RS256"});
        let with = |name: &str, value: Value| {
            let mut claims = claims();
            claims[name] = value;
            claims
        };
        for (header, claims) in [
            (json!({"alg": "HS256"}), claims()),
            (good.clone(), with("iss", json!("nobody"))),
            (good.clone(), with("scope", Value::Null)),
            (good.clone(), with("aud", json!("https://elsewhere.example/"))),
            (good.clone(), with("exp", json!(NOW + 7200))),
            (good.clone(), with("exp", json!(NOW - 1))),
            (good.clone(), with("iat", json!(NOW + 4000))),
            (good.clone(), with("iat", Value::Null)),
        ] {
            let form = format!("grant_type={JWT_BEARER}&assertion={}", jwt(&header, &claims));
            assert_eq!(grant(&form).0, 400, "{header} {claims}");
        }
        assert_eq!(grant(&format!("grant_type={JWT_BEARER}&assertion=a.b")).0, 400);
    }

    #[test]
    fn a_refresh_token_needs_its_client() {
        let form = "grant_type=refresh_token&client_id=i&client_secret=s&refresh_token=r";
        assert_eq!(grant(form).0, 200);
        assert_eq!(grant("grant_type=refresh_token&refresh_token=r").1["error"], "invalid_request");
        assert_eq!(grant(&form.replace("=r", "=revoked")).1["error"], "unsupported_grant_type");
        assert_eq!(grant(&format!("{form}revoked")).1["error"], "invalid_grant");
        assert_eq!(grant("grant_type=password").1["error"], "unsupported_grant_type");
    }
}
