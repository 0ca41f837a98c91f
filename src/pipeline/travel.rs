//! State on its way: opened for the upstream that made it, sealed for the client it comes home to, left out once where an
//! upstream refuses it.

use std::{borrow::Cow, fmt, sync::Arc};

use super::{Inbound, Pipeline};
use crate::{
    credential::Lease,
    dialect::{
        ChatEvent, ChatRequest, ChatResponse, DialectId, Loss, Severity,
        canonical::PartKind,
        state::{self, CallState, Origin, Outward, Seal},
    },
    kernel::{error::ErrorKind, id::TenantId},
    routing::Target,
    session::CallMemory,
    upstream::{Failure, Upstream},
};

/// Whether earlier reasoning is sent along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thoughts {
    Sent,
    /// The upstream has refused it.
    LeftOut,
}

/// Whether an upstream refused a request for the reasoning state in it: without that it may do.
pub(super) fn is_refusal(failure: &Failure) -> bool {
    let Some(wire) = failure.wire().filter(|it| it.kind == ErrorKind::BadRequest) else { return false };
    if wire.code.as_deref() == Some("invalid_encrypted_content") {
        return true;
    }
    let said = wire.message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().all(|it| said.contains(it));
    // Anthropic, Gemini, Responses: as their servers say it. What is only missing cannot be
    // left out.
    let invalid = [
        &["signature", "thinking"][..],
        &["thinking", "cannot be modified"],
        &["thought", "signature"],
        &["thought_signature"],
        &["thoughtsignature"],
        &["encrypted", "could not be verified"],
        &["encrypted_content"],
        &["type 'reasoning'", "without its required following item"],
    ];
    !said.contains("missing") && invalid.iter().any(|it| says(it))
}

impl Pipeline {
    /// Who makes the state that comes from there. An upstream of an interface that many speak is a provider of its own.
    pub(super) fn origin(&self, upstream: &Upstream, target: &Target, lease: &Lease) -> Origin {
        let kind = upstream.kind();
        let provider = match kind.default_base_url {
            Some(_) => kind.provider.to_owned(),
            None => format!("{}/{}", kind.provider, upstream.name().as_str()),
        };
        Origin {
            provider,
            family: state::family(target.model.as_str()),
            account: self.memory.envelope.account(lease.credential().id),
        }
    }

    /// The request as its target may see it: with the state that is the target's own, and no other.
    pub(super) fn opened<'q>(
        &self,
        inbound: &Inbound,
        request: &'q ChatRequest,
        origin: &Origin,
        thoughts: Thoughts,
    ) -> (Cow<'q, ChatRequest>, Vec<Loss>) {
        let tenant = inbound.scope.tenant();
        if thoughts == Thoughts::LeftOut {
            let mut bare = request.clone();
            let losses = if state::strip(&mut bare) {
                let reason = "the upstream refused the reasoning of earlier turns";
                vec![Loss::dropped("", Severity::Cosmetic, reason)]
            } else {
                Vec::new()
            };
            return (Cow::Owned(bare), losses);
        }
        let remembered = |id: &str| self.memory.calls.recall(tenant, id);
        let forgets = matches!(inbound.dialect, DialectId::OpenaiChat | DialectId::Gemini);
        let is_remembered = || calls(request).any(|it| remembered(it).is_some());
        let has_state = state::holds_carriers(request) || (forgets && is_remembered());
        if !has_state {
            return (Cow::Borrowed(request), Vec::new());
        }
        let mut opened = request.clone();
        let recall = |id: &str| forgets.then(|| remembered(id)).flatten();
        let losses = state::restore(&mut opened, &self.memory.envelope, tenant, origin, recall);
        (Cow::Owned(opened), losses)
    }

    /// What seals an answer of `upstream`'s dialect for the client; none for its own.
    pub(super) fn sealing(&self, inbound: &Inbound, upstream: DialectId, origin: Origin) -> Option<Sealing> {
        (upstream != inbound.dialect).then(|| Sealing {
            seal: Seal {
                envelope: self.memory.envelope.clone(),
                tenant: inbound.scope.tenant(),
                origin,
                client: inbound.dialect,
            },
            calls: Arc::clone(&self.memory.calls),
        })
    }
}

fn calls(request: &ChatRequest) -> impl Iterator<Item = &str> {
    let parts = request.conversation.turns.iter().flat_map(|it| &it.parts);
    parts.filter_map(|it| match &it.kind {
        PartKind::ToolCall(call) => Some(call.id.as_str()),
        _ => None,
    })
}

/// Seals the answers of one attempt.
#[derive(Clone)]
pub(super) struct Sealing {
    seal: Seal,
    calls: Arc<dyn CallMemory>,
}

impl Sealing {
    pub(super) fn whole(&self, answer: &mut ChatResponse) {
        let lost = state::seal_answer(answer, &self.seal);
        remember(&*self.calls, self.seal.tenant, lost);
    }

    pub(super) fn stream(&self) -> StreamSealing {
        StreamSealing {
            outward: Outward::new(self.seal.clone()),
            tenant: self.seal.tenant,
            calls: Arc::clone(&self.calls),
        }
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealing").field("seal", &self.seal).finish_non_exhaustive()
    }
}

/// Seals one streamed answer.
pub(super) struct StreamSealing {
    outward: Outward,
    tenant: TenantId,
    calls: Arc<dyn CallMemory>,
}

impl StreamSealing {
    pub(super) fn push(&mut self, event: ChatEvent, out: &mut Vec<ChatEvent>) {
        self.outward.push(event, out);
        remember(&*self.calls, self.tenant, self.outward.take_lost());
    }
}

fn remember(memory: &dyn CallMemory, tenant: TenantId, lost: Vec<CallState>) {
    for state in lost {
        memory.remember(tenant, state);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::dialect::WireError;

    fn refused(kind: ErrorKind, message: &str, code: Option<&str>) -> bool {
        is_refusal(&Failure::Status {
            status: StatusCode::BAD_REQUEST,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            wire: WireError {
                kind,
                message: message.to_owned(),
                error_type: None,
                code: code.map(str::to_owned),
                param: None,
            },
        })
    }

    #[test]
    fn ec_068_a_refusal_of_state_is_told_from_other_faults() {
        for said in [
            "messages.1.content.0: Invalid `signature` in `thinking` block",
            "`thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified",
            "The encrypted content gAAA could not be verified. Reason: Encrypted content organization_id did not match",
            "Corrupted thought signature.",
            "Item 'rs_1' of type 'reasoning' was provided without its required following item.",
        ] {
            assert!(refused(ErrorKind::BadRequest, said, None), "{said}");
        }
        assert!(refused(ErrorKind::BadRequest, "no", Some("invalid_encrypted_content")));
        for said in [
            "max_tokens is too large",
            "Function call is missing a thought_signature in functionCall parts",
            "thinking.budget_tokens must be at least 1024",
        ] {
            assert!(!refused(ErrorKind::BadRequest, said, None), "{said}");
        }
        assert!(!refused(ErrorKind::RateLimited, "thought signature", None));
    }
}
