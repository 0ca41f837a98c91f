//! Which models the upstreams list: asked at the start and again now and then.

use std::{collections::HashMap, time::Duration};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::{
    catalog::{UpstreamModel, UpstreamName},
    pipeline::Pipeline,
    upstream::{Upstream, discovery::Discovery, transport::read_whole},
};

/// How soon an upstream that did not say is asked again.
const AGAIN: Duration = Duration::from_secs(30);
/// How long an upstream may take to say.
const PATIENCE: Duration = Duration::from_secs(15);
/// The largest list that is read, in bytes.
const MAX_LIST: usize = 8 << 20;

/// What the upstreams have said so far.
#[derive(Debug, Default)]
pub struct Discovered {
    models: ArcSwap<HashMap<UpstreamName, Vec<UpstreamModel>>>,
    wanted: ArcSwap<Vec<UpstreamName>>,
    changes: Notify,
    soon: Notify,
}

impl Discovered {
    /// The models of an upstream, if it said.
    pub fn of(&self, upstream: &UpstreamName) -> Option<Vec<UpstreamModel>> {
        self.models.load().get(upstream).cloned()
    }

    /// Waits until an upstream says something new.
    pub async fn changed(&self) {
        self.changes.notified().await;
    }

    /// Has upstreams asked without waiting for the usual time: they may be others than before.
    pub fn ask_soon(&self) {
        self.soon.notify_one();
    }

    /// Waits for `ask_soon`.
    pub async fn asked_soon(&self) {
        self.soon.notified().await;
    }

    /// How long to wait before asking again: less while somebody has not answered.
    pub fn pause(&self, usual: Duration) -> Duration {
        let models = self.models.load();
        if self.wanted.load().iter().all(|it| models.contains_key(it)) { usual } else { AGAIN }
    }

    /// Asks every upstream whose models the configuration does not list. A silent one keeps what it said before.
    pub async fn ask(&self, pipeline: &Pipeline) {
        let unlisted: Vec<UpstreamName> = pipeline.unlisted.clone();
        let mut models = HashMap::clone(&self.models.load());
        for name in &unlisted {
            let Some(upstream) = pipeline.upstreams.get(name) else { continue };
            match tokio::time::timeout(PATIENCE, list(pipeline, upstream)).await {
                Ok(Some(found)) => {
                    models.insert(name.clone(), found);
                }
                Ok(None) | Err(_) => {
                    tracing::debug!(upstream = %name, "This upstream did not list its models");
                }
            }
        }
        models.retain(|name, _| unlisted.contains(name));
        self.wanted.store(unlisted.into());
        if **self.models.load() != models {
            self.models.store(models.into());
            self.changes.notify_one();
        }
    }
}

async fn list(pipeline: &Pipeline, upstream: &Upstream) -> Option<Vec<UpstreamModel>> {
    let credential = pipeline.pool.any(upstream.name())?;
    let options = upstream.options(&credential).ok()?;
    let credential = pipeline.tokens.present(upstream, &credential).await.ok()?;
    let mut discovery = Discovery::default();
    while let Some(request) = discovery.request(upstream, &credential).ok()? {
        let response = pipeline.transport.send(request, &options).await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        let body = read_whole(response.into_body(), MAX_LIST).await.ok()?;
        discovery.read(&body).ok()?;
    }
    Some(discovery.finish())
}
