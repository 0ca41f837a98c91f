//! Which door a path is.

use crate::dialect::DialectId;

/// What a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Door {
    /// `POST`: an answer.
    Generate(DialectId),
    /// `POST`: a count of tokens.
    Count,
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

/// A path, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub door: Door,
    /// The upstream the path names (`/groq/v1/chat/completions`).
    pub upstream: Option<String>,
    /// Whether the path is one of Anthropic's alone.
    pub anthropic: bool,
}

impl Entry {
    /// Reads a path, percent-decoded; `None`: there is no such door.
    pub fn of(path: &str) -> Option<Self> {
        let plain = |door| Some(Self { door, upstream: None, anthropic: false });
        match path {
            "/healthz" => return plain(Door::Health),
            "/readyz" => return plain(Door::Ready),
            "/metrics" => return plain(Door::Metrics),
            "/anthropic/health" | "/anthropic/info" => {
                return Some(Self { door: Door::Info, upstream: None, anthropic: true });
            }
            _ => {}
        }
        if let Some(rest) = path.strip_prefix("/anthropic/v1/") {
            return Some(Self { door: anthropic_door(rest)?, upstream: None, anthropic: true });
        }
        if let Some(rest) = path.strip_prefix("/v1/") {
            return Some(Self { anthropic: rest.starts_with("messages"), door: door(rest)?, upstream: None });
        }
        let (upstream, rest) = path.strip_prefix('/')?.split_once("/v1/")?;
        if upstream.is_empty() || upstream.contains('/') {
            return None;
        }
        Some(Self {
            anthropic: rest.starts_with("messages"),
            door: door(rest)?,
            upstream: Some(upstream.to_owned()),
        })
    }

    /// The methods the door opens to.
    pub const fn methods(&self) -> &'static [&'static str] {
        match self.door {
            Door::Generate(_) | Door::Count => &["POST"],
            _ => &["GET", "HEAD"],
        }
    }
}

fn anthropic_door(rest: &str) -> Option<Door> {
    match door(rest)? {
        Door::Generate(DialectId::OpenaiChat) => None,
        door => Some(door),
    }
}

fn door(rest: &str) -> Option<Door> {
    match rest {
        "chat/completions" => Some(Door::Generate(DialectId::OpenaiChat)),
        "messages" => Some(Door::Generate(DialectId::AnthropicMessages)),
        "messages/count_tokens" => Some(Door::Count),
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
            ("/v1/messages", Door::Generate(DialectId::AnthropicMessages), None),
            ("/anthropic/v1/messages", Door::Generate(DialectId::AnthropicMessages), None),
            ("/anthropic/v1/messages/count_tokens", Door::Count, None),
            ("/v1/messages/count_tokens", Door::Count, None),
            ("/v1/models", Door::Models, None),
            ("/v1/models/team-a/gpt-5", Door::Model("team-a/gpt-5".to_owned()), None),
            ("/groq/v1/chat/completions", Door::Generate(DialectId::OpenaiChat), Some("groq")),
            ("/groq/v1/models", Door::Models, Some("groq")),
        ] {
            let entry = Entry::of(path).unwrap_or_else(|| panic!("{path}"));
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
        ] {
            assert_eq!(Entry::of(path), None, "{path}");
        }
    }
}
