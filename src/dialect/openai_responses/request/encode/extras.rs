//! Who asks, what is kept, and the fields that only one dialect knows.

use serde_json::{Map, Value, json};

use super::{
    super::{super::ID, decode::INCLUDED},
    Writer,
};
use crate::{
    catalog::model::ThinkingControl,
    dialect::{
        DialectId, Severity,
        canonical::{
            Extra,
            names::{cache_key, clean_user},
        },
    },
};

/// The longest id of an end user OpenAI takes, in characters.
const LONGEST_USER: usize = 128;

/// The fields that Chat and Responses have in common and that are not read into the canonical form.
const SHARED: [&str; 5] =
    ["moderation", "prompt_cache_options", "prompt_cache_retention", "safety_identifier", "stream_options"];

/// Fields of other dialects that change the answer: what is lost with them is no bookkeeping.
const WEIGHTY: [&str; 5] = ["audio", "mcp_servers", "modalities", "prediction", "web_search_options"];

/// The parameters of `include` that are needed to read the answer.
const ENCRYPTED: &str = "reasoning.encrypted_content";
const LOGPROBS: &str = "message.output_text.logprobs";

impl Writer<'_> {
    pub(super) fn bookkeeping(&mut self, body: &mut Map<String, Value>) {
        let request = self.request;
        if let Some(user) = &request.end_user {
            self.user(user, body);
        }
        if let Some(metadata) = &request.metadata {
            body.insert("metadata".to_owned(), Value::Object(metadata.clone()));
        }
        if let Some(tier) = &request.service_tier {
            let told = if tier == "standard_only" { "default" } else { tier };
            if told != tier {
                self.approximate("/service_tier", Severity::Cosmetic, "it was told as `default`");
            }
            body.insert("service_tier".to_owned(), told.into());
        }
        // The dialect keeps answers unless it is told not to; no other client knows of that.
        if let Some(store) = request.store.or((!self.ours).then_some(false)) {
            body.insert("store".to_owned(), store.into());
        }
        if let Some(id) = &request.previous_response {
            body.insert("previous_response_id".to_owned(), id.as_str().into());
        }
        if let Some(key) = self.cache_key() {
            body.insert("prompt_cache_key".to_owned(), key.into());
        }
        self.include(body);
    }

    fn user(&mut self, user: &str, body: &mut Map<String, Value>) {
        // The successor of `user` is among the extra fields, where the client used it.
        let newer = [ID, DialectId::OpenaiChat]
            .iter()
            .find_map(|it| self.request.extra.field(*it, "safety_identifier"));
        if newer.and_then(Value::as_str) == Some(user) {
            return;
        }
        let told = clean_user(user, LONGEST_USER);
        if told != user {
            self.approximate("/user", Severity::Cosmetic, "a long id was told as its hash");
        }
        body.insert("user".to_owned(), told.as_ref().into());
    }

    /// The client's own key, or one made of the session that Claude Code tells beside its user: always the same for it.
    fn cache_key(&self) -> Option<String> {
        let session = self.request.end_user.as_deref().filter(|it| !self.ours && it.contains("session"));
        self.request.prompt_cache_key.clone().or_else(|| session.map(cache_key))
    }

    /// Asks for what the answer must hold: the state of thinking, so that it can come back next time.
    fn include(&mut self, body: &mut Map<String, Value>) {
        let mut words = Vec::new();
        if !self.ours && self.abilities.thinking == ThinkingControl::Effort {
            words.push(ENCRYPTED);
        }
        if !self.ours && self.request.sampling.logprobs == Some(true) {
            words.push(LOGPROBS);
        }
        if !words.is_empty() {
            body.insert("include".to_owned(), json!(words));
        }
    }

    /// Puts the fields that nobody read into the body, and takes out those that this upstream refuses.
    pub(super) fn extras(&mut self, body: &mut Map<String, Value>) {
        if let Some(extra) = self.request.extra.get() {
            for (key, value) in &extra.fields {
                let shared = extra.dialect == DialectId::OpenaiChat && SHARED.contains(&key.as_str());
                if extra.dialect == ID && key == INCLUDED {
                    merge(body, "include", value);
                } else if extra.dialect == ID || shared {
                    merge(body, key, value);
                } else {
                    self.foreign(extra.dialect, key, value);
                }
            }
        }
        if !self.request.stream.enabled {
            body.shift_remove("stream_options");
        }
        for field in &self.abilities.refused_fields {
            if body.shift_remove(field).is_some() {
                self.drop(format!("/{field}"), Severity::Cosmetic, format!("the upstream refuses `{field}`"));
            }
        }
    }

    /// Notes a field of another dialect, unless it asks for what happens anyway.
    fn foreign(&mut self, dialect: DialectId, key: &str, value: &Value) {
        if key.starts_with(Extra::NOTE) || (key == "modalities" && *value == json!(["text"])) {
            return;
        }
        let severity = if WEIGHTY.contains(&key) { Severity::Semantic } else { Severity::Cosmetic };
        self.drop(format!("/{key}"), severity, format!("`{key}` is a field of {} alone", dialect.name()));
    }
}

/// Adds a field; never overwrites, but goes into objects.
fn merge(object: &mut Map<String, Value>, key: &str, value: &Value) {
    match (object.get_mut(key), value) {
        (Some(Value::Object(old)), Value::Object(new)) => {
            for (key, value) in new {
                merge(old, key, value);
            }
        }
        (Some(_), _) => {}
        (None, _) => drop(object.insert(key.to_owned(), value.clone())),
    }
}
