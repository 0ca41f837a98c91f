//! What was kept, asked for by its id.

use serde_json::{Map, Value};

use super::unreadable;
use crate::{
    kernel::error::{ErrorKind, GatewayError},
    pipeline::Pipeline,
    session::{Chain, Keeping},
    tenant::TenantScope,
};

/// Which items of a question are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputPage {
    /// The item after which the page begins.
    pub after: Option<String>,
    pub limit: usize,
    /// Whether the oldest come first.
    pub ascending: bool,
}

impl Pipeline {
    /// Finds a stored response.
    pub async fn stored_response(
        &self,
        scope: &TenantScope,
        id: &str,
    ) -> Result<Map<String, Value>, GatewayError> {
        let found = self.keeping()?.store.find(scope, id, self.clock.now()).await;
        let found = found.map_err(|it| unreadable(&it))?.ok_or_else(|| unknown(id))?;
        Ok(found.content.response)
    }

    /// Lists the items a stored response was given to. Returns them, and whether there are more.
    pub async fn input_items(
        &self,
        scope: &TenantScope,
        id: &str,
        page: &InputPage,
    ) -> Result<(Vec<Value>, bool), GatewayError> {
        let found = self.keeping()?.store.chain(scope, id, self.clock.now()).await;
        let chain: Chain = found.map_err(|it| unreadable(&it))?;
        if chain.0.is_empty() {
            return Err(unknown(id));
        }
        let mut items = chain.input();
        if !page.ascending {
            items.reverse();
        }
        let from = match &page.after {
            None => 0,
            Some(after) => {
                let at = items.iter().position(|it| it["id"].as_str() == Some(after));
                at.ok_or_else(|| {
                    let message = format!("no item of this response has the id `{after}`");
                    GatewayError::new(ErrorKind::BadRequest, message).at("/after")
                })? + 1
            }
        };
        let has_more = items.len() > from + page.limit;
        Ok((items.into_iter().skip(from).take(page.limit).collect(), has_more))
    }

    /// Forgets a stored response.
    pub async fn forget_response(&self, scope: &TenantScope, id: &str) -> Result<(), GatewayError> {
        let removed = self.keeping()?.store.remove(scope, id).await.map_err(|it| unreadable(&it))?;
        removed.then_some(()).ok_or_else(|| unknown(id))
    }

    fn keeping(&self) -> Result<&Keeping, GatewayError> {
        self.memory.responses.as_ref().ok_or_else(|| {
            let message = "responses are not kept: `responses.store` is off in this gateway's configuration";
            GatewayError::new(ErrorKind::NotFound, message)
        })
    }
}

fn unknown(id: &str) -> GatewayError {
    let id: String = id.chars().filter(|it| !it.is_control()).take(100).collect();
    GatewayError::new(ErrorKind::NotFound, format!("response with id `{id}` not found"))
}
