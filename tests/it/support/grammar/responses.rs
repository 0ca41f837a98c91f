//! What a client of OpenAI Responses accepts.

use super::{Arguments, Event, Told};

pub(super) fn check(_events: &[Event<'_>], _arguments: Arguments) -> Result<Told, String> {
    Err("no stream of this dialect is accepted yet".to_owned())
}
