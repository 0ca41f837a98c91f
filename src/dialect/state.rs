//! State that must travel: what only its maker can read rides in another dialect's history, sealed, and comes back to its
//! maker alone.
//!
//! An answer's state becomes the client dialect's own kind of state (`Outward`, `seal_answer`); the next request's is opened
//! and put where it came from (`restore`), or dropped if the target is not who made it. Same dialect on both sides: nothing
//! is sealed.

mod answer;
mod envelope;
mod restore;
mod stream;

pub use answer::seal_answer;
pub use envelope::{
    Envelope, HOSTED_TOOL, MAX_CARRIER, NotOpened, Origin, Place, Sealed, UNSEALED, family, is_carrier,
    may_hold_carriers,
};
pub use restore::{holds_carriers, restore, strip};
pub use stream::Outward;

use super::{
    DialectId,
    canonical::{OpaqueState, StateKind},
};
use crate::kernel::id::TenantId;

/// For whom, from whom, into which dialect: what sealing an answer's state needs.
#[derive(Debug, Clone)]
pub struct Seal {
    pub envelope: Envelope,
    pub tenant: TenantId,
    /// Who made the state.
    pub origin: Origin,
    /// The client's dialect.
    pub client: DialectId,
}

/// What was thought before a tool call, for clients whose dialect has no room for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallState {
    pub call_id: String,
    pub tool: String,
    pub origin: Origin,
    /// Thoughts since the call before, with what may be shown of them.
    pub thoughts: Vec<(String, OpaqueState)>,
    /// What rode on the call itself.
    pub on_call: Option<OpaqueState>,
}

impl CallState {
    /// What it weighs in memory, in bytes.
    pub fn size(&self) -> usize {
        let thoughts = self.thoughts.iter().map(|(text, state)| text.len() + state.data.len());
        let on_call = self.on_call.as_ref().map_or(0, |it| it.data.len());
        size_of::<Self>() + self.call_id.len() + self.tool.len() + thoughts.sum::<usize>() + on_call
    }
}

impl Seal {
    /// Seals a state into the client dialect's own kind; `None`: the client has no room for it, or it is too large.
    fn carry(&self, state: &OpaqueState, place: Place) -> Option<OpaqueState> {
        let kind = match self.client {
            DialectId::AnthropicMessages => StateKind::Signature,
            DialectId::OpenaiResponses => StateKind::Encrypted,
            DialectId::Gemini => StateKind::ThoughtSignature,
            DialectId::OpenaiChat => return None,
        };
        let sealed = Sealed { state: state.clone(), place, origin: self.origin.clone() };
        let carrier = self.envelope.seal(self.tenant, &sealed)?;
        let data = match self.client {
            DialectId::Gemini => envelope::as_bytes_field(&carrier),
            _ => carrier,
        };
        Some(OpaqueState { dialect: self.client, kind, data })
    }

    /// Whether a state is not the client dialect's own.
    fn is_foreign(&self, state: &OpaqueState) -> bool {
        state.dialect != self.client
    }

    /// Whether the client's dialect has room for state on texts and calls, not on thoughts only.
    fn takes_state_on_parts(&self) -> bool {
        self.client == DialectId::Gemini
    }

    fn has_room(&self) -> bool {
        self.client != DialectId::OpenaiChat
    }
}

#[cfg(test)]
mod tests;
