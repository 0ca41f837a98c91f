//! Which conversation a request belongs to: what the client says, else how the conversation begins. Always inside a tenant
//! and a key.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::{
    dialect::{
        DialectId,
        scan::{Scan, ValueKind},
    },
    tenant::TenantScope,
};

/// Headers in which clients name their conversation, the more deliberate first: our own, Claude Code's, Codex', those of
/// `OpenCode` and other gateways. Ids of single requests (`x-client-request-id`) are not among them.
const HEADERS: [&str; 8] = [
    "x-session-id",
    "x-claude-code-session-id",
    "session_id",
    "session-id",
    "conversation_id",
    "conversation-id",
    "x-session-affinity",
    "x-opencode-session",
];

/// A conversation, by a name that no other tenant's or key's can have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Session(String);

impl Session {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Names a request's conversation. Clients send the whole history each time, so one they do not name is known by its first
/// words: two that begin the same are one, within the key.
pub fn identify(
    scope: &TenantScope,
    dialect: DialectId,
    headers: &HeaderMap,
    body: &[u8],
    scan: &Scan,
) -> Option<Session> {
    let named = in_headers(headers).or_else(|| in_body(dialect, body, scan));
    let (how, id) = match named {
        Some(id) => ("named", digest([id.as_bytes()])),
        None => ("begun", first_words(dialect, body, scan)?),
    };
    Some(Session(format!("{}/{}/{how}/{id}", scope.tenant(), scope.key())))
}

fn in_headers(headers: &HeaderMap) -> Option<String> {
    let text = |name: &&str| headers.get(*name)?.to_str().ok().map(str::trim);
    HEADERS.iter().filter_map(text).find(|it| !it.is_empty()).map(str::to_owned)
}

/// What the body says, each dialect in its own field.
fn in_body(dialect: DialectId, body: &[u8], scan: &Scan) -> Option<String> {
    let string = |name: &str| {
        let text = scan.string(body, name).ok().flatten().filter(|it| !it.is_empty());
        text.map(Cow::into_owned)
    };
    match dialect {
        DialectId::AnthropicMessages => {
            let metadata = scan.nested(body, "metadata").ok().flatten()?;
            session_of_user(&metadata.string(body, "user_id").ok().flatten()?)
        }
        DialectId::OpenaiResponses => conversation(body, scan)
            .or_else(|| string("previous_response_id"))
            .or_else(|| string("prompt_cache_key")),
        DialectId::OpenaiChat => string("prompt_cache_key"),
        DialectId::Gemini => None,
    }
}

/// `conversation` of Responses: an id, or an object that has one.
fn conversation(body: &[u8], scan: &Scan) -> Option<String> {
    match scan.kind("conversation")? {
        ValueKind::String => scan.string(body, "conversation").ok().flatten().map(Cow::into_owned),
        ValueKind::Object => {
            let object = scan.nested(body, "conversation").ok().flatten()?;
            object.string(body, "id").ok().flatten().map(Cow::into_owned)
        }
        _ => None,
    }
}

/// The session in Claude Code's `metadata.user_id`: `user_…_account_…_session_<id>`, or JSON with `session_id`.
fn session_of_user(user: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct User {
        session_id: String,
    }
    if user.starts_with('{') {
        return serde_json::from_str::<User>(user).ok().map(|it| it.session_id);
    }
    let (_, session) = user.rsplit_once("_session_")?;
    (!session.is_empty()).then(|| session.to_owned())
}

/// A hash of the system prompt and of the first turn of the user.
fn first_words(dialect: DialectId, body: &[u8], scan: &Scan) -> Option<String> {
    let (system, turns) = match dialect {
        DialectId::OpenaiChat => (None, "messages"),
        DialectId::AnthropicMessages => (Some("system"), "messages"),
        DialectId::OpenaiResponses => (Some("instructions"), "input"),
        DialectId::Gemini => {
            let name = if scan.field("systemInstruction").is_some() {
                "systemInstruction"
            } else {
                "system_instruction"
            };
            (Some(name), "contents")
        }
    };
    let system = system.and_then(|it| scan.span(it)).map_or(&b""[..], |it| &body[it]);
    let turns = &body[scan.span(turns)?];
    let first = if turns.first() == Some(&b'[') { until_first_user(turns) } else { turns };
    (!first.is_empty()).then(|| digest([system, first]))
}

/// An array's bytes up to the end of its first turn of the user; all of it if there is none. What follows is not read.
fn until_first_user(turns: &[u8]) -> &[u8] {
    #[derive(Deserialize)]
    struct Turn<'a> {
        #[serde(borrow, default)]
        role: Option<Cow<'a, str>>,
    }
    let mut at = 1;
    loop {
        at += turns[at..].iter().take_while(|it| it.is_ascii_whitespace() || **it == b',').count();
        let mut values = serde_json::Deserializer::from_slice(&turns[at..]).into_iter::<&RawValue>();
        let Some(Ok(value)) = values.next() else { return turns };
        at += values.byte_offset();
        let turn = serde_json::from_str::<Turn<'_>>(value.get());
        if turn.is_ok_and(|it| it.role.is_none_or(|it| it == "user")) {
            return &turns[..at];
        }
    }
}

fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    URL_SAFE_NO_PAD.encode(&hash.finalize()[..18])
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use chrono::{TimeZone, Utc};

    use super::*;
    use crate::{
        dialect::scan,
        kernel::id::{TenantId, TenantKeyId},
        tenant::{KeyHasher, KeyTable, PlainKey, Source, Tenant, TenantKey},
    };

    /// A scope, got as everyone gets one.
    fn scope(name: &str) -> TenantScope {
        let now = Utc.with_ymd_and_hms(2026, 1, 2, 12, 0, 0).unwrap();
        let hasher = KeyHasher::new(&[1; 32]);
        let plain = PlainKey::generate();
        let tenant = Tenant {
            id: TenantId::declared("acme"),
            name: "acme".to_owned(),
            enabled: true,
            source: Source::Database,
            losses: None,
            created_at: now,
        };
        let key = TenantKey {
            id: TenantKeyId::declared(name),
            tenant: tenant.id,
            name: name.to_owned(),
            hash: hasher.hash(&plain),
            hint: String::new(),
            enabled: true,
            source: Source::Database,
            losses: None,
            created_at: now,
            expires_at: None,
            last_used_at: None,
        };
        let table = KeyTable::new();
        table.load(vec![(tenant, key)]);
        table.authenticate(&hasher, Some(plain.reveal()), None::<IpAddr>, now).unwrap()
    }

    fn named(dialect: DialectId, headers: &[(&'static str, &str)], body: &str) -> Option<Session> {
        identify_as("one", dialect, headers, body)
    }

    fn identify_as(
        key: &str,
        dialect: DialectId,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Option<Session> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let scan = scan::scan(body.as_bytes()).unwrap();
        identify(&scope(key), dialect, &map, body.as_bytes(), &scan)
    }

    const CHAT: DialectId = DialectId::OpenaiChat;
    const MESSAGES: DialectId = DialectId::AnthropicMessages;
    const RESPONSES: DialectId = DialectId::OpenaiResponses;

    #[test]
    fn a_header_names_the_conversation_whatever_the_body_says() {
        let id = named(CHAT, &[("x-session-id", "s1")], r#"{"messages":[]}"#);
        assert!(id.is_some());
        let body = r#"{"prompt_cache_key":"other","messages":[{"role":"user","content":"hi"}]}"#;
        assert_eq!(named(CHAT, &[("x-session-id", "s1")], body), id);
        assert_eq!(named(MESSAGES, &[("x-claude-code-session-id", "s1")], "{}"), id);
        assert_eq!(named(RESPONSES, &[("session_id", "s1")], "{}"), id);
        assert_eq!(named(RESPONSES, &[("conversation_id", " s1 ")], "{}"), id);
        assert_ne!(named(CHAT, &[("x-session-id", "s2")], body), id);
        assert_eq!(named(CHAT, &[("x-client-request-id", "s1")], "{}"), None);
    }

    #[test]
    fn each_dialect_names_it_in_its_own_field() {
        let id = named(CHAT, &[("x-session-id", "s1")], "{}");
        for (dialect, body) in [
            (MESSAGES, r#"{"metadata":{"user_id":"user_ab_account__session_s1"}}"#),
            (MESSAGES, r#"{"metadata":{"user_id":"{\"device_id\":\"d\",\"session_id\":\"s1\"}"}}"#),
            (RESPONSES, r#"{"conversation":"s1"}"#),
            (RESPONSES, r#"{"conversation":{"id":"s1"},"prompt_cache_key":"p"}"#),
            (RESPONSES, r#"{"previous_response_id":"s1"}"#),
            (RESPONSES, r#"{"prompt_cache_key":"s1"}"#),
            (CHAT, r#"{"prompt_cache_key":"s1"}"#),
        ] {
            assert_eq!(named(dialect, &[], body), id, "{body}");
        }
        assert_eq!(named(MESSAGES, &[], r#"{"metadata":{"user_id":"someone"}}"#), None);
    }

    #[test]
    fn a_history_that_grows_is_the_same_conversation() {
        for (dialect, begun, grown, other) in [
            (
                CHAT,
                r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"}]}"#,
                r#"{"temperature":1,"messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"},{"role":"assistant","content":"yes"}]}"#,
                r#"{"messages":[{"role":"system","content":"t"},{"role":"user","content":"hi"}]}"#,
            ),
            (
                RESPONSES,
                r#"{"input":[{"role":"user","content":"hi"}]}"#,
                r#"{"input":[{"role":"user","content":"hi"},{"type":"reasoning"}]}"#,
                r#"{"instructions":"be","input":[{"role":"user","content":"hi"}]}"#,
            ),
            (
                DialectId::Gemini,
                r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#,
                r#"{"contents":[{"parts":[{"text":"hi"}]},{"role":"model","parts":[]}]}"#,
                r#"{"contents":[{"parts":[{"text":"ho"}]}]}"#,
            ),
        ] {
            let id = named(dialect, &[], begun);
            assert!(id.is_some());
            assert_eq!(named(dialect, &[], grown), id);
            assert_ne!(named(dialect, &[], other), id);
        }
    }

    #[test]
    fn the_same_name_of_another_key_is_another_conversation() {
        let body = r#"{"messages":[{"role":"user","content":"hi"}]}"#;
        for headers in [&[("x-session-id", "s1")][..], &[]] {
            assert_ne!(identify_as("one", CHAT, headers, body), identify_as("two", CHAT, headers, body));
        }
    }

    #[test]
    fn a_name_of_any_length_makes_a_short_one() {
        let id = named(CHAT, &[("x-session-id", &"s".repeat(5000))], "{}").unwrap();
        assert!(id.as_str().len() < 120);
    }
}
