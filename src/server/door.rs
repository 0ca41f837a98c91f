//! Which door a path is.

use crate::{dialect::DialectId, pipeline::Told};

/// What a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Door {
    /// `POST`: an answer.
    Generate(DialectId),
    /// `POST`: a count of tokens.
    Count(DialectId),
    /// `POST`: a conversation of Responses, made short.
    Compact,
    /// A stored response. `GET`, and `DELETE` of the whole; `POST`: an end to it.
    Stored(String, Stored),
    /// `GET`: the models this key can call.
    Models,
    /// `GET`: one model.
    Model(String),
    Health,
    Ready,
    Metrics,
    /// Anthropic's own health page under `/anthropic`.
    Info,
}

/// What of a stored response is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    Whole,
    InputItems,
    Cancel,
}

/// A path, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub door: Door,
    /// The upstream the path names (`/groq/v1/chat/completions`).
    pub upstream: Option<String>,
    /// The dialect whose clients alone use this path, if it is one's.
    pub dialect: Option<DialectId>,
    pub told: Told,
}

impl Entry {
    /// Reads a path, percent-decoded, and its query; `None`: there is no such door.
    pub fn of(path: &str, query: &str) -> Option<Self> {
        let plain = |door, dialect| Some(Self { door, upstream: None, dialect, told: Told::default() });
        match path {
            "/healthz" => return plain(Door::Health, None),
            "/readyz" => return plain(Door::Ready, None),
            "/metrics" => return plain(Door::Metrics, None),
            "/anthropic/health" | "/anthropic/info" => {
                return plain(Door::Info, Some(DialectId::AnthropicMessages));
            }
            _ => {}
        }
        if let Some(rest) = path.strip_prefix("/anthropic/v1/") {
            return plain(anthropic_door(rest)?, Some(DialectId::AnthropicMessages));
        }
        let (upstream, version, rest) = versioned(path)?;
        if let Some((model, method)) = gemini_call(rest) {
            return gemini(model, method, upstream, query);
        }
        let (door, dialect) = if version == "v1" {
            let door = door(rest)?;
            let dialect = match door {
                Door::Generate(dialect) | Door::Count(dialect) => Some(dialect),
                Door::Compact | Door::Stored(..) => Some(DialectId::OpenaiResponses),
                _ => None,
            };
            (door, dialect)
        } else {
            (listing(rest)?, Some(DialectId::Gemini))
        };
        Some(Self { door, upstream: upstream.map(str::to_owned), dialect, told: Told::default() })
    }

    /// The methods the door opens to.
    pub const fn methods(&self) -> &'static [&'static str] {
        match self.door {
            Door::Generate(_) | Door::Count(_) | Door::Compact | Door::Stored(_, Stored::Cancel) => &["POST"],
            Door::Stored(_, Stored::Whole) => &["GET", "DELETE"],
            _ => &["GET", "HEAD"],
        }
    }
}

/// Splits `[/upstream]/version/rest`.
fn versioned(path: &str) -> Option<(Option<&str>, &str, &str)> {
    let (first, rest) = path.strip_prefix('/')?.split_once('/')?;
    let is_version = |it: &str| matches!(it, "v1" | "v1beta" | "v1alpha" | "v1beta1");
    if is_version(first) {
        return Some((None, first, rest));
    }
    let (version, rest) = rest.split_once('/')?;
    (is_version(version) && !first.is_empty()).then_some((Some(first), version, rest))
}

/// Splits `models/NAME:method`, also below a project of Vertex.
fn gemini_call(rest: &str) -> Option<(&str, &str)> {
    let (name, method) = rest.rsplit_once(':')?;
    let model = match name.strip_prefix("models/") {
        Some(model) => model,
        None => name
            .split_once("/publishers/google/models/")
            .map(|it| it.1)
            .or_else(|| name.strip_prefix("publishers/google/models/"))?,
    };
    (!model.is_empty() && !method.contains('/')).then_some((model, method))
}

fn gemini(model: &str, method: &str, upstream: Option<&str>, query: &str) -> Option<Entry> {
    let (door, stream) = match method {
        "generateContent" => (Door::Generate(DialectId::Gemini), false),
        "streamGenerateContent" => (Door::Generate(DialectId::Gemini), true),
        "countTokens" => (Door::Count(DialectId::Gemini), false),
        _ => return None,
    };
    let is_sse = url::form_urlencoded::parse(query.as_bytes()).any(|(name, it)| name == "alt" && it == "sse");
    let told = Told { model: Some(model.to_owned()), stream: Some(stream), json_array: stream && !is_sse };
    Some(Entry { door, upstream: upstream.map(str::to_owned), dialect: Some(DialectId::Gemini), told })
}

fn anthropic_door(rest: &str) -> Option<Door> {
    match door(rest)? {
        Door::Generate(DialectId::AnthropicMessages) => Some(Door::Generate(DialectId::AnthropicMessages)),
        Door::Generate(_) | Door::Count(DialectId::OpenaiResponses) | Door::Compact | Door::Stored(..) => {
            None
        }
        door => Some(door),
    }
}

fn door(rest: &str) -> Option<Door> {
    match rest {
        "chat/completions" => Some(Door::Generate(DialectId::OpenaiChat)),
        "responses" => Some(Door::Generate(DialectId::OpenaiResponses)),
        "responses/input_tokens" => Some(Door::Count(DialectId::OpenaiResponses)),
        "messages" => Some(Door::Generate(DialectId::AnthropicMessages)),
        "messages/count_tokens" => Some(Door::Count(DialectId::AnthropicMessages)),
        "responses/compact" => Some(Door::Compact),
        _ => stored(rest).or_else(|| listing(rest)),
    }
}

fn stored(rest: &str) -> Option<Door> {
    let rest = rest.strip_prefix("responses/")?;
    let (id, what) = match rest.split_once('/') {
        None => (rest, Stored::Whole),
        Some((id, "input_items")) => (id, Stored::InputItems),
        Some((id, "cancel")) => (id, Stored::Cancel),
        Some(_) => return None,
    };
    (!id.is_empty()).then(|| Door::Stored(id.to_owned(), what))
}

fn listing(rest: &str) -> Option<Door> {
    match rest {
        "models" => Some(Door::Models),
        _ => match rest.strip_prefix("models/") {
            Some(model) if !model.is_empty() => Some(Door::Model(model.to_owned())),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_inference_path_has_its_door() {
        for (path, door, upstream) in [
            ("/v1/chat/completions", Door::Generate(DialectId::OpenaiChat), None),
            ("/v1/responses", Door::Generate(DialectId::OpenaiResponses), None),
            ("/v1/responses/compact", Door::Compact, None),
            ("/v1/responses/input_tokens", Door::Count(DialectId::OpenaiResponses), None),
            ("/v1/responses/resp_1", Door::Stored("resp_1".to_owned(), Stored::Whole), None),
            ("/v1/responses/resp_1/input_items", Door::Stored("resp_1".to_owned(), Stored::InputItems), None),
            ("/v1/responses/resp_1/cancel", Door::Stored("resp_1".to_owned(), Stored::Cancel), None),
            ("/v1/messages", Door::Generate(DialectId::AnthropicMessages), None),
            ("/anthropic/v1/messages", Door::Generate(DialectId::AnthropicMessages), None),
            ("/anthropic/v1/messages/count_tokens", Door::Count(DialectId::AnthropicMessages), None),
            ("/v1/messages/count_tokens", Door::Count(DialectId::AnthropicMessages), None),
            ("/v1/models", Door::Models, None),
            ("/v1/models/team-a/gpt-5", Door::Model("team-a/gpt-5".to_owned()), None),
            ("/groq/v1/chat/completions", Door::Generate(DialectId::OpenaiChat), Some("groq")),
            ("/groq/v1/models", Door::Models, Some("groq")),
        ] {
            let entry = Entry::of(path, "").unwrap_or_else(|| panic!("{path}"));
            assert_eq!(entry.door, door, "{path}");
            assert_eq!(entry.upstream.as_deref(), upstream, "{path}");
        }
    }

    #[test]
    fn what_is_no_door_is_no_door() {
        for path in [
            "/",
            "/v1",
            "/v1/",
            "/v1/chat",
            "/a/b/v1/messages",
            "//v1/messages",
            "/v1/models/",
            "/anthropic/v1/chat/completions",
            "/anthropic/v1/responses/compact",
            "/anthropic/v1/responses/resp_1",
            "/v1/responses/",
            "/v1/responses/resp_1/output",
        ] {
            assert_eq!(Entry::of(path, ""), None, "{path}");
        }
    }
}
