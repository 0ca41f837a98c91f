//! Answers of Responses that clients come back to (`previous_response_id`), kept for their tenant alone.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::tenant::TenantScope;

/// An answer, and what was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredResponse {
    pub id: String,
    /// The answer it goes on from: one that is kept, or one of the upstream's own.
    pub previous: Option<String>,
    pub content: Content,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// What is sealed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// The items that were new in the request.
    pub input: Vec<Value>,
    /// The answer as the client saw it.
    pub response: Map<String, Value>,
}

impl StoredResponse {
    /// The items that were answered.
    pub fn output(&self) -> &[Value] {
        self.content.response.get("output").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The ids of all items, of question and answer.
    pub fn item_ids(&self) -> impl Iterator<Item = &str> {
        self.content.input.iter().chain(self.output()).filter_map(|it| it["id"].as_str())
    }
}

/// An answer with those it goes on from, the oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chain(pub Vec<StoredResponse>);

impl Chain {
    /// All items up to the last answer, in their order.
    pub fn items(&self) -> Vec<Value> {
        let mut items = Vec::new();
        for response in &self.0 {
            items.extend_from_slice(&response.content.input);
            items.extend_from_slice(response.output());
        }
        items
    }

    /// The items that the last answer was given to.
    pub fn input(&self) -> Vec<Value> {
        let mut items = self.items();
        let output = self.0.last().map_or(0, |it| it.output().len());
        items.truncate(items.len() - output);
        items
    }

    /// What the oldest goes on from: an answer that is not kept here.
    pub fn beyond(&self) -> Option<&str> {
        self.0.first()?.previous.as_deref()
    }
}

/// Why the store did not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreFailure {
    #[error("the database did not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("a stored response cannot be opened")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Keeps answers. What has expired is not found, whether or not it is still there.
#[async_trait]
pub trait ResponseStore: Send + Sync {
    /// Keeps an answer; those it goes on from are then kept at least as long.
    async fn keep(&self, scope: &TenantScope, response: &StoredResponse) -> Result<(), StoreFailure>;
    /// Finds an answer and those it goes on from; empty if it is not there.
    async fn chain(&self, scope: &TenantScope, id: &str, now: DateTime<Utc>) -> Result<Chain, StoreFailure>;
    /// Finds the answer alone.
    async fn find(
        &self,
        scope: &TenantScope,
        id: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<StoredResponse>, StoreFailure>;
    /// Finds an item by its id, in whichever answer or question it was last.
    async fn find_item(
        &self,
        scope: &TenantScope,
        id: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Value>, StoreFailure>;
    /// Forgets an answer. Says whether it was there; what goes on from it cannot be gone on from any more.
    async fn remove(&self, scope: &TenantScope, id: &str) -> Result<bool, StoreFailure>;
    /// Removes what has expired, of all tenants. Returns how many there were.
    async fn remove_expired(&self, now: DateTime<Utc>) -> Result<u64, StoreFailure>;
}
