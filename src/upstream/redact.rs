//! Takes out of an upstream's words what is nobody's business: keys, tokens, addresses with credentials, accounts.

use std::fmt;

/// What stands in the place of what was taken out.
pub const MASK: &str = "[redacted]";

/// A secret shorter than this is a word (`none`, `ollama`), and words are not taken out.
const SHORTEST_SECRET: usize = 8;

/// Knows the secrets a call was made with, besides what a secret looks like.
pub struct Redactor {
    /// In every form in which an error may repeat them, the longest first.
    known: Vec<String>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut known: Vec<String> = secrets
            .into_iter()
            .filter(|it| it.len() >= SHORTEST_SECRET)
            .flat_map(|secret| {
                let json = serde_json::Value::from(secret).to_string();
                let json = json[1..json.len() - 1].to_owned();
                let percent = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
                [secret.to_owned(), json.replace('/', "\\/"), json, percent]
            })
            .collect();
        known.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        known.dedup();
        Self { known }
    }

    /// The text without secrets. JSON stays JSON: only the insides of strings are replaced.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.known {
            if text.contains(secret) {
                text = text.replace(secret, MASK);
            }
        }
        mask_patterns(&mask_userinfo(&text))
    }
}

/// How keys begin; at least eight more characters must follow.
const KEY_PREFIXES: &[&str] = &[
    "sk-",
    "sk_",
    "pk-",
    "pk_",
    "rk_",
    "xai-",
    "gsk_",
    "hf_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "github_pat_",
    "nvapi-",
    "csk-",
    "fw_",
    "r8_",
    "AIza",
    "ya29.",
    "GOCSPX-",
    "AKIA",
    "ASIA",
    "eyJ",
    "tgp_v1_",
    "pplx-",
    "jina_",
];

/// How accounts begin; eight more characters with a digit among them must follow.
const ACCOUNT_PREFIXES: &[&str] =
    &["org-", "org_", "proj-", "proj_", "user-", "user_", "acct-", "acct_", "account-"];

/// Words after which a UUID is an account's.
const ACCOUNT_WORDS: &[&str] =
    &["org", "account", "project", "user", "tenant", "workspace", "subscription", "team"];

/// Names whose value is a secret, after `=` or `:`.
const SECRET_NAMES: &[&str] = &[
    "api_key",
    "api-key",
    "apikey",
    "x-api-key",
    "x-goog-api-key",
    "access_token",
    "refresh_token",
    "id_token",
    "auth_token",
    "session_token",
    "client_secret",
    "password",
    "passwd",
    "authorization",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-credential",
    "secret_key",
    "private_key",
];

/// Names whose value is a secret after `=` only: after a colon they are words of a sentence.
const QUERY_NAMES: &[&str] = &["key", "token", "secret", "pwd", "sig", "signature", "credential"];

/// `scheme://user:password@host` → `scheme://[redacted]@host`.
fn mask_userinfo(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after
            .find(|it: char| "/?#\\\"'`<>(){}[],;".contains(it) || it.is_whitespace())
            .unwrap_or(after.len());
        rest = match after[..end].rfind('@') {
            Some(at) => {
                out.push_str(MASK);
                &after[at..]
            }
            None => after,
        };
    }
    out.push_str(rest);
    out
}

/// A run of characters between delimiters, with what stands before it.
struct Word<'a> {
    text: &'a str,
    /// What stands between it and the word before.
    gap: &'a str,
    before: &'a str,
    /// The word before that one.
    earlier: &'a str,
}

fn mask_patterns(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut at, mut gap_from) = (0, 0);
    let (mut before, mut earlier) = ("", "");
    while let Some(start) = skip_gap(text, at) {
        let end = text[start..].find(is_delimiter).map_or(text.len(), |it| start + it);
        let word = Word { text: &text[start..end], gap: &text[gap_from..start], before, earlier };
        out.push_str(word.gap);
        let end = if is_secret(&word) {
            out.push_str(MASK);
            // Whatever hangs on the secret without a break goes with it.
            end_of_secret(text, end)
        } else {
            out.push_str(word.text);
            end
        };
        (earlier, before) = (before, &text[start..end]);
        (at, gap_from) = (end, end);
    }
    out.push_str(&text[gap_from..]);
    out
}

/// Where the next word begins; an escape of JSON (`\n`, `\u0041`, however often escaped itself) is no part of it.
fn skip_gap(text: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let next = text[at..].chars().next()?;
        if !is_delimiter(next) {
            return Some(at);
        }
        at += next.len_utf8();
        if next == '\\' {
            at += match &text.as_bytes()[at..] {
                [b'n' | b't' | b'r' | b'b' | b'f', ..] => 1,
                [b'u', code @ ..] if code.len() >= 4 && code[..4].iter().all(u8::is_ascii_hexdigit) => 5,
                _ => 0,
            };
        }
    }
}

/// Where a secret ends for certain; an escaped slash is a part of it.
fn end_of_secret(text: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(next) = text[at..].find(is_break).map(|it| at + it) {
        if !text[next..].starts_with("\\/") {
            return next;
        }
        at = next + 2;
    }
    text.len()
}

/// Between words.
fn is_delimiter(it: char) -> bool {
    is_break(it) || matches!(it, '=' | ':' | '/')
}

/// Ends a secret for certain.
fn is_break(it: char) -> bool {
    it.is_whitespace() || it.is_control() || "\"'`\\<>(){}[],;&?|#".contains(it)
}

fn is_secret(word: &Word<'_>) -> bool {
    is_value_of_secret_name(word)
        || follows_bearer(word)
        || has_prefix(word.text, KEY_PREFIXES, |_| true)
        || has_prefix(word.text, ACCOUNT_PREFIXES, |it| it.bytes().any(|it| it.is_ascii_digit()))
        || is_address(word.text)
        || is_opaque(word.text)
        || is_account_uuid(word)
        || (word.text == "aws" && word.before == "arn" && word.gap == ":")
}

fn is_value_of_secret_name(word: &Word<'_>) -> bool {
    if is_scheme(word.text) {
        return false;
    }
    let gap: String = word.gap.chars().filter(|it| *it != '\\' && !it.is_whitespace()).collect();
    let quoted_name = gap.starts_with(['"', '\'']);
    let quoted_value = gap.len() > 1 && gap.ends_with(['"', '\'']);
    if quoted_name && !quoted_value {
        // A number or a `null` of JSON.
        return false;
    }
    let name = word.before.to_ascii_lowercase();
    match gap.trim_matches(['"', '\'']) {
        "=" => SECRET_NAMES.contains(&name.as_str()) || QUERY_NAMES.contains(&name.as_str()),
        ":" => SECRET_NAMES.contains(&name.as_str()),
        _ => false,
    }
}

fn is_scheme(text: &str) -> bool {
    ["bearer", "basic"].iter().any(|it| text.eq_ignore_ascii_case(it))
}

/// `Bearer abc…`; but not "bearer token is missing".
fn follows_bearer(word: &Word<'_>) -> bool {
    if !is_scheme(word.before) || !word.gap.chars().all(|it| it.is_whitespace() || it == ':') {
        return false;
    }
    let is_word = word.text.len() < 20 && word.text.bytes().all(|it| it.is_ascii_lowercase() || it == b'.');
    word.earlier.eq_ignore_ascii_case("authorization") || (word.text.len() >= SHORTEST_SECRET && !is_word)
}

fn has_prefix(text: &str, prefixes: &[&str], rest: impl Fn(&str) -> bool) -> bool {
    let is_long = |it: &str| it.len() >= 8 || it.contains("**");
    prefixes.iter().filter_map(|it| text.strip_prefix(it)).any(|it| is_long(it) && rest(it))
}

/// An e-mail address.
fn is_address(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && domain.trim_end_matches('.').contains('.') && !domain.starts_with('.')
    })
}

/// Long, of letters and digits alone, and no word: a key of a kind we do not know.
fn is_opaque(text: &str) -> bool {
    text.split('.').any(|it| {
        it.len() >= 32
            && it.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'+')
            && it.bytes().any(|it| it.is_ascii_digit())
            && it.bytes().any(|it| it.is_ascii_alphabetic())
    })
}

fn is_account_uuid(word: &Word<'_>) -> bool {
    let names_account = |text: &str| {
        let text = text.to_ascii_lowercase();
        ACCOUNT_WORDS.iter().any(|it| text.contains(it))
    };
    uuid::Uuid::try_parse(word.text.trim_end_matches('.')).is_ok()
        && (names_account(word.before) || names_account(word.earlier))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(text: &str) -> String {
        Redactor::new([]).text(text)
    }

    #[test]
    fn ec_192_keys_urls_and_accounts_are_redacted() {
        let rows = [
            ("Incorrect API key provided: sk-proj-abc***wxyz.", "Incorrect API key provided: [redacted]"),
            ("bad key `xai-0123456789abcdef`", "bad key `[redacted]`"),
            (
                "header Authorization: Bearer abcdefgh was bad",
                "header Authorization: Bearer [redacted] was bad",
            ),
            ("Bearer ABCdef123456/x+y== is expired", "Bearer [redacted] is expired"),
            (
                "GET https://h/v1?key=AIzaShort&alt=sse failed",
                "GET https://h/v1?key=[redacted]&alt=sse failed",
            ),
            (r#"{"api_key": "abc", "n": 1}"#, r#"{"api_key": "[redacted]", "n": 1}"#),
            (r#"{"m":"{\"password\":\"hunter2\"}"}"#, r#"{"m":"{\"password\":\"[redacted]\"}"}"#),
            ("via http://bob:pw@proxy.local:3128/x", "via http://[redacted]@proxy.local:3128/x"),
            ("account owner jane.doe@example.com is suspended", "account owner [redacted] is suspended"),
            (
                "Rate limit reached for gpt-4o in organization org-A1b2C3d4E5 on tokens per min (TPM)",
                "Rate limit reached for gpt-4o in organization [redacted] on tokens per min (TPM)",
            ),
            (
                "your organization (8d0f7c1e-1111-4222-8333-abcdefabcdef) has no credit",
                "your organization ([redacted]) has no credit",
            ),
            (
                "not allowed on arn:aws:bedrock:us-east-1:123456789012:model/x",
                "not allowed on arn:[redacted]",
            ),
            ("key 0123456789abcdef0123456789ABCDEF is unknown", "key [redacted] is unknown"),
            (r#"{"m":"used:\nsk-abcdefgh1234\u0020ok"}"#, r#"{"m":"used:\n[redacted]\u0020ok"}"#),
            (r#"{"m":"Bearer ABCDEFG1\/DEF2\/GHI3 x"}"#, r#"{"m":"Bearer [redacted] x"}"#),
            ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "token [redacted]"),
        ];
        for (text, expected) in rows {
            assert_eq!(plain(text), expected);
        }
    }

    #[test]
    fn ordinary_words_stay() {
        for text in [
            "The model `gpt-5` does not exist or you do not have access to it.",
            "messages.0.content.1.image.source.base64: invalid base64 data",
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.",
            "max_tokens: 100 > 50; token: unexpected end",
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_011CSHoEeqs5C35K2UUqR7Fy"}"#,
            r#"{"api_key":null,"password":12}"#,
            "Bearer token is missing",
            "user-provided tools and task-specific-instructions",
            "tool_use ids were found without tool_result: toolu_01ABCDEFGHIJKLMNOPQRSTUV",
            "see https://docs.example.com/errors#rate-limits (trace 3f2b8c1e-0000-4000-8000-000000000000)",
            "npm install @scope/package; über größe: 5 µs",
        ] {
            assert_eq!(plain(text), text);
        }
    }

    #[test]
    fn a_short_word_that_serves_as_key_stays() {
        assert_eq!(Redactor::new(["ollama"]).text("ollama is busy"), "ollama is busy");
    }

    #[test]
    fn a_known_secret_goes_in_every_form() {
        let redactor = Redactor::new(["p/a ss\"w:ord"]);
        for text in [
            r#"p/a ss"w:ord"#,
            r#"{"m":"p/a ss\"w:ord"}"#,
            r#"{"m":"p\/a ss\"w:ord"}"#,
            "?k=p%2Fa+ss%22w%3Aord",
        ] {
            let out = redactor.text(text);
            assert!(out.contains(MASK) && !out.contains("ord"), "{out}");
        }
    }

    #[test]
    fn its_debug_form_says_nothing() {
        assert!(!format!("{:?}", Redactor::new(["hunter2hunter2"])).contains("hunter2"));
    }

    proptest! {
        #[test]
        fn a_known_secret_never_survives(
            secret in "[A-Za-z0-9_./+=:-]{8,80}",
            before in "[ -~äß]{0,40}",
            after in "[ -~äß]{0,40}",
        ) {
            prop_assume!(!MASK.contains(&secret));
            let out = Redactor::new([secret.as_str()]).text(&format!("{before}{secret}{after}"));
            prop_assert!(!out.contains(&secret), "{out}");
        }

        #[test]
        fn json_stays_json(text in ".{0,120}", key in "[a-z_]{1,12}", number in any::<i64>()) {
            let body = serde_json::json!({
                key: text, "api_key": text, "password": number, "token": null, "at": [text, "a@b.cc", number],
            }).to_string();
            let out = plain(&body);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{out}");
        }

        #[test]
        fn keys_of_known_providers_never_survive(
            prefix in prop::sample::select(KEY_PREFIXES),
            rest in "[A-Za-z0-9_-]{12,60}",
            before in "([a-z ,.]{0,20}[ \"'(:=/])?",
        ) {
            let key = format!("{prefix}{rest}");
            let out = plain(&format!("{before}{key} end"));
            prop_assert!(!out.contains(&rest), "{out}");
        }
    }
}
