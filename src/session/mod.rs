//! What a conversation needs beside the request at hand: who it is, what it thought, what was answered before. Always of one
//! tenant.

pub mod calls;
pub mod identify;
pub mod responses;

use std::{sync::Arc, time::Duration};

use crate::dialect::state::Envelope;

pub use calls::{CallMemory, RecentCalls};
pub use identify::{Session, identify};
pub use responses::{Chain, ResponseStore, StoreFailure, StoredResponse};

/// All that is remembered for conversations.
#[derive(Clone)]
pub struct Memory {
    pub envelope: Envelope,
    pub calls: Arc<dyn CallMemory>,
    /// Absent: answers are not kept.
    pub responses: Option<Keeping>,
}

/// Where answers of Responses are kept, and for how long.
#[derive(Clone)]
pub struct Keeping {
    pub store: Arc<dyn ResponseStore>,
    pub expiry: Duration,
    /// The largest answer that is kept, with its question, in bytes.
    pub max_size: usize,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("keeps_responses", &self.responses.is_some()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Keeping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeping").field("expiry", &self.expiry).finish_non_exhaustive()
    }
}
