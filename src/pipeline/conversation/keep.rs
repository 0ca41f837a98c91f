//! Keeping an answer: read off what the client is told, before it knows that it is over.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use memchr::memmem;
use serde_json::{Map, Value};

use super::ToKeep;
use crate::{
    dialect::framing::sse::{SseDecoder, SseFrame},
    session::{Keeping, StoredResponse, responses::Content},
    tenant::TenantScope,
};

/// How long the client may wait for its answer to be kept.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keeps one answer.
pub(in crate::pipeline) struct Keeper {
    keeping: Keeping,
    scope: TenantScope,
    /// Taken when it is kept.
    to_keep: Option<ToKeep>,
    began_at: DateTime<Utc>,
    sse: SseDecoder,
    frames: Vec<SseFrame>,
}

impl Keeper {
    pub(super) fn new(
        keeping: Keeping,
        scope: TenantScope,
        to_keep: ToKeep,
        began_at: DateTime<Utc>,
        max_frame: usize,
    ) -> Self {
        let sse = SseDecoder::new(max_frame);
        Self { keeping, scope, to_keep: Some(to_keep), began_at, sse, frames: Vec::new() }
    }

    /// Looks at a stream's next bytes for the client; when the answer's end is among them, returns only once it is kept.
    pub(in crate::pipeline) async fn watch(&mut self, bytes: &Bytes) {
        if self.to_keep.is_none() {
            return;
        }
        if self.sse.push(bytes.clone(), &mut self.frames).is_err() {
            self.to_keep = None;
        }
        let response = std::mem::take(&mut self.frames).iter().find_map(finished);
        if let Some(response) = response {
            self.keep(response).await;
        }
    }

    /// Keeps a whole answer.
    pub(super) async fn whole(&mut self, body: &Bytes) {
        if let Ok(Value::Object(response)) = serde_json::from_slice(body)
            && matches!(response.get("status").and_then(Value::as_str), Some("completed" | "incomplete"))
        {
            self.keep(response).await;
        }
    }

    async fn keep(&mut self, response: Map<String, Value>) {
        let Some(ToKeep { previous, input }) = self.to_keep.take() else { return };
        let Some(id) = response.get("id").and_then(Value::as_str).map(str::to_owned) else { return };
        let content = Content { input, response };
        let size = serde_json::to_vec(&content).map_or(usize::MAX, |it| it.len());
        if size > self.keeping.max_size {
            tracing::debug!(size, "A response is too large to be kept");
            return;
        }
        let expiry = TimeDelta::from_std(self.keeping.expiry).unwrap_or(TimeDelta::days(30));
        let expires_at = self.began_at.checked_add_signed(expiry).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let stored = StoredResponse { id, previous, content, created_at: self.began_at, expires_at };
        match tokio::time::timeout(PATIENCE, self.keeping.store.keep(&self.scope, &stored)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "A response was not kept"),
            Err(_) => tracing::warn!("A response was not kept: the database is too slow"),
        }
    }
}

/// The answer in the event that ends it.
fn finished(frame: &SseFrame) -> Option<Map<String, Value>> {
    let names = [&b"\"response.completed\""[..], b"\"response.incomplete\""];
    if !names.iter().any(|it| memmem::find(&frame.data, it).is_some()) {
        return None;
    }
    let mut event: Map<String, Value> = serde_json::from_slice(&frame.data).ok()?;
    let is_end = matches!(event.get("type")?.as_str()?, "response.completed" | "response.incomplete");
    match event.remove("response")? {
        Value::Object(response) if is_end => Some(response),
        _ => None,
    }
}
