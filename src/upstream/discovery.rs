//! Finding out which models an upstream has: which call to make, and how to read what comes back.
//!
//! Pure; whoever has a transport makes the calls:
//! `while let Some(request) = discovery.request(&upstream, &credential)? { discovery.read(&send(request))?; }`

use http::Request;

use super::{
    Operation, PrepareError, Upstream,
    models::{self, MOST_MODELS, NextPage, NotAList},
};
use crate::{catalog::UpstreamModel, credential::Credential, dialect::Pieces};

/// The most pages that are asked for.
const MOST_PAGES: u32 = 50;

/// A list of models in the making.
#[derive(Debug, Default)]
pub struct Discovery {
    models: Vec<UpstreamModel>,
    page: Page,
    pages: u32,
}

#[derive(Debug, Default)]
enum Page {
    #[default]
    First,
    After(NextPage),
    NoMore,
}

impl Discovery {
    /// The next call to make; none once the list is whole.
    pub fn request(
        &self,
        upstream: &Upstream,
        credential: &Credential,
    ) -> Result<Option<Request<Pieces>>, PrepareError> {
        let after = match &self.page {
            Page::First => None,
            Page::After(next) => Some((next.field, next.value.as_str())),
            Page::NoMore => return Ok(None),
        };
        let uri = upstream
            .endpoint
            .models(upstream.kind, after)
            .ok_or(PrepareError::NoOperation(Operation::Models))?
            .map_err(|_| PrepareError::Address)?;
        upstream.listing(uri, credential).map(Some)
    }

    /// Reads the body of an answer.
    pub fn read(&mut self, body: &[u8]) -> Result<(), NotAList> {
        let page = models::parse(body)?;
        self.models.extend(page.models);
        self.models.truncate(MOST_MODELS);
        self.pages += 1;
        let is_stuck = |next: &NextPage| matches!(&self.page, Page::After(it) if it == next);
        self.page = match page.next {
            Some(next) if self.pages < MOST_PAGES && self.models.len() < MOST_MODELS && !is_stuck(&next) => {
                Page::After(next)
            }
            _ => Page::NoMore,
        };
        Ok(())
    }

    /// The models found, each once, in the upstream's order.
    pub fn finish(self) -> Vec<UpstreamModel> {
        let mut seen = std::collections::HashSet::new();
        self.models.into_iter().filter(|it| seen.insert(it.clone())).collect()
    }
}
