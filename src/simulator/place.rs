//! Where a path leads, whatever stands before it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::simulator::{
    around::Operation,
    ask::{Task, Told},
    scenario::Dialect,
};

pub(super) enum Place<'a> {
    /// What the simulator says about itself.
    Sim(&'a str),
    Inference(Inference<'a>),
    /// A response that was stored (Responses), and what of it.
    Stored(&'a str, &'a str),
    Models,
    Model(&'a str),
    /// Google's token endpoint.
    Token,
    Realtime,
    Around(Operation<'a>, Cow<'a, str>),
    Nowhere,
}

/// A question in a dialect.
pub(super) struct Inference<'a> {
    pub dialect: Dialect,
    pub task: Task,
    /// Gemini names the model in the path.
    model: Cow<'a, str>,
    stream: bool,
    array: bool,
    vertex: bool,
}

impl Inference<'_> {
    fn of(dialect: Dialect, task: Task) -> Self {
        Self { dialect, task, model: Cow::Borrowed(""), stream: false, array: false, vertex: false }
    }

    pub(super) fn told(&self) -> Told<'_> {
        Told {
            task: self.task,
            model: &self.model,
            stream: self.stream,
            array: self.array,
            vertex: self.vertex,
        }
    }
}

/// A method of a model, as Google's paths name it.
fn gemini<'a>(path: &'a str, query: &str) -> Option<Place<'a>> {
    let (before, name) = path.rsplit_once("/models/").or_else(|| path.rsplit_once("/tunedModels/"))?;
    let (model, method) = name.rsplit_once(':')?;
    let model = percent_decode_str(model).decode_utf8_lossy();
    let (task, stream) = match method {
        "generateContent" => (Task::Answer, false),
        "streamGenerateContent" => (Task::Answer, true),
        "countTokens" => (Task::Count, false),
        "embedContent" => return Some(Place::Around(Operation::EmbedContent, model)),
        "batchEmbedContents" => return Some(Place::Around(Operation::BatchEmbedContents, model)),
        _ => return None,
    };
    let events = query.split('&').any(|it| it == "alt=sse");
    Some(Place::Inference(Inference {
        dialect: Dialect::Gemini,
        task,
        model,
        stream,
        array: stream && !events,
        vertex: before.ends_with("/publishers/google"),
    }))
}

pub(super) fn place<'a>(path: &'a str, query: &str) -> Place<'a> {
    if let Some(rest) = path.strip_prefix("/_sim/") {
        return Place::Sim(rest);
    }
    if let Some(it) = gemini(path, query) {
        return it;
    }
    let (chat, responses, messages) =
        (Dialect::OpenaiChat, Dialect::OpenaiResponses, Dialect::AnthropicMessages);
    let path = path.trim_end_matches('/');
    let (dialect, task) = match path {
        it if it.ends_with("/chat/completions") => (chat, Task::Answer),
        it if it.ends_with("/responses") => (responses, Task::Answer),
        it if it.ends_with("/responses/input_tokens") => (responses, Task::Count),
        it if it.ends_with("/responses/compact") => (responses, Task::Compact),
        it if it.ends_with("/messages/count_tokens") => (messages, Task::Count),
        it if it.ends_with("/messages") => (messages, Task::Answer),
        it if it.ends_with("/models") => return Place::Models,
        it if it.ends_with("/token") => return Place::Token,
        it if it.ends_with("/realtime") => return Place::Realtime,
        it => {
            if let Some(it) = Operation::of(it) {
                return Place::Around(it, Cow::Borrowed(""));
            }
            if let Some((_, rest)) = it.split_once("/responses/") {
                let (id, what) = rest.split_once('/').unwrap_or((rest, ""));
                return Place::Stored(id, what);
            }
            return it.split_once("/models/").map_or(Place::Nowhere, |(_, name)| Place::Model(name));
        }
    };
    Place::Inference(Inference::of(dialect, task))
}
