//! Which door a path is.

use crate::{
    dialect::DialectId,
    pipeline::{Deed, Operation, Shelf, Told},
};

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
    /// `POST`: an operation that has a model and no canonical form, or a small one (embeddings).
    Forward(Operation),
    /// What a tenant keeps at an upstream. `List` is also `POST`: to create; `Read` also `DELETE` where that can be.
    Objects(Shelf, Deed),
    /// `GET`: a WebSocket.
    Realtime,
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
        let (door, dialect) = if version == "v2" {
            // Cohere's second version of its own.
            (
                if rest == "rerank" { Door::Forward(Operation::Rerank) } else { return None },
                Some(DialectId::OpenaiChat),
            )
        } else if version == "v1" {
            let door = door(rest)?;
            let dialect = match door {
                Door::Generate(dialect) | Door::Count(dialect) => Some(dialect),
                Door::Forward(_) | Door::Objects(..) | Door::Realtime => Some(DialectId::OpenaiChat),
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
    pub fn methods(&self) -> &'static [&'static str] {
        match self.door {
            Door::Generate(_)
            | Door::Count(_)
            | Door::Compact
            | Door::Stored(_, Stored::Cancel)
            | Door::Forward(_)
            | Door::Objects(_, Deed::Cancel(_)) => &["POST"],
            Door::Stored(_, Stored::Whole) | Door::Objects(Shelf::Files, Deed::Read(_)) => &["GET", "DELETE"],
            Door::Objects(_, Deed::List) => &["GET", "POST"],
            Door::Objects(..) | Door::Realtime => &["GET"],
            _ => &["GET", "HEAD"],
        }
    }
}

/// Splits `[/upstream]/version/rest`.
fn versioned(path: &str) -> Option<(Option<&str>, &str, &str)> {
    let (first, rest) = path.strip_prefix('/')?.split_once('/')?;
    let is_version = |it: &str| matches!(it, "v1" | "v2" | "v1beta" | "v1alpha" | "v1beta1");
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
        "embedContent" => (Door::Forward(Operation::Embeddings), false),
        "batchEmbedContents" => (Door::Forward(Operation::EmbeddingBatch), false),
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
        Door::Forward(_) | Door::Objects(..) | Door::Realtime => None,
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
        "realtime" => Some(Door::Realtime),
        _ => forward(rest)
            .map(Door::Forward)
            .or_else(|| objects(rest))
            .or_else(|| stored(rest))
            .or_else(|| listing(rest)),
    }
}

fn forward(rest: &str) -> Option<Operation> {
    Some(match rest {
        "embeddings" => Operation::Embeddings,
        "completions" => Operation::Completions,
        "images/generations" => Operation::ImageGeneration,
        "images/edits" => Operation::ImageEdit,
        "images/variations" => Operation::ImageVariation,
        "audio/speech" => Operation::Speech,
        "audio/transcriptions" => Operation::Transcription,
        "audio/translations" => Operation::SpeechTranslation,
        "moderations" => Operation::Moderation,
        "rerank" => Operation::Rerank,
        _ => return None,
    })
}

fn objects(rest: &str) -> Option<Door> {
    let mut steps = rest.split('/');
    let shelf = match steps.next()? {
        "files" => Shelf::Files,
        "batches" => Shelf::Batches,
        _ => return None,
    };
    let deed = match (steps.next(), steps.next(), steps.next()) {
        (None, None, None) => Deed::List,
        (Some(""), ..) => return None,
        (Some(id), None, None) => Deed::Read(id.to_owned()),
        (Some(id), Some("content"), None) if shelf == Shelf::Files => Deed::Content(id.to_owned()),
        (Some(id), Some("cancel"), None) if shelf == Shelf::Batches => Deed::Cancel(id.to_owned()),
        _ => return None,
    };
    Some(Door::Objects(shelf, deed))
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
            ("/v1/embeddings", Door::Forward(Operation::Embeddings), None),
            ("/v1/completions", Door::Forward(Operation::Completions), None),
            ("/v1/images/generations", Door::Forward(Operation::ImageGeneration), None),
            ("/v1/images/edits", Door::Forward(Operation::ImageEdit), None),
            ("/v1/images/variations", Door::Forward(Operation::ImageVariation), None),
            ("/groq/v1/audio/speech", Door::Forward(Operation::Speech), Some("groq")),
            ("/v1/audio/transcriptions", Door::Forward(Operation::Transcription), None),
            ("/v1/audio/translations", Door::Forward(Operation::SpeechTranslation), None),
            ("/v1/moderations", Door::Forward(Operation::Moderation), None),
            ("/v1/rerank", Door::Forward(Operation::Rerank), None),
            ("/v2/rerank", Door::Forward(Operation::Rerank), None),
            ("/jina/v1/rerank", Door::Forward(Operation::Rerank), Some("jina")),
            ("/v1/files", Door::Objects(Shelf::Files, Deed::List), None),
            (
                "/main/v1/files/file-1",
                Door::Objects(Shelf::Files, Deed::Read("file-1".to_owned())),
                Some("main"),
            ),
            ("/v1/files/f/content", Door::Objects(Shelf::Files, Deed::Content("f".to_owned())), None),
            ("/v1/batches", Door::Objects(Shelf::Batches, Deed::List), None),
            ("/v1/batches/b", Door::Objects(Shelf::Batches, Deed::Read("b".to_owned())), None),
            ("/v1/batches/b/cancel", Door::Objects(Shelf::Batches, Deed::Cancel("b".to_owned())), None),
            ("/v1/realtime", Door::Realtime, None),
            ("/v1beta/models/e:embedContent", Door::Forward(Operation::Embeddings), None),
            ("/v1beta/models/e:batchEmbedContents", Door::Forward(Operation::EmbeddingBatch), None),
        ] {
            let entry = Entry::of(path, "").unwrap_or_else(|| panic!("{path}"));
            assert_eq!(entry.door, door, "{path}");
            assert_eq!(entry.upstream.as_deref(), upstream, "{path}");
        }
    }

    #[test]
    fn every_door_opens_to_its_methods_alone() {
        for (path, methods) in [
            ("/v1/embeddings", &["POST"][..]),
            ("/v1/files", &["GET", "POST"]),
            ("/v1/files/f", &["GET", "DELETE"]),
            ("/v1/files/f/content", &["GET"]),
            ("/v1/batches/b", &["GET"]),
            ("/v1/batches/b/cancel", &["POST"]),
            ("/v1/realtime", &["GET"]),
            ("/v1/models", &["GET", "HEAD"]),
        ] {
            assert_eq!(Entry::of(path, "").unwrap().methods(), methods, "{path}");
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
            "/anthropic/v1/embeddings",
            "/anthropic/v1/files",
            "/v2/embeddings",
            "/v2/models",
            "/v1/files/",
            "/v1/files/f/cancel",
            "/v1/files/f/content/x",
            "/v1/batches/b/content",
            "/v1/audio",
            "/v1beta/embeddings",
            "/v1/realtime/sessions",
            "/anthropic/v1/responses/compact",
            "/anthropic/v1/responses/resp_1",
            "/v1/responses/",
            "/v1/responses/resp_1/output",
        ] {
            assert_eq!(Entry::of(path, ""), None, "{path}");
        }
    }
}
