//! Where a name leads.

pub mod rotation;

use crate::catalog::{ModelName, UpstreamModel, UpstreamName};

/// One stop on a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub upstream: UpstreamName,
    pub model: UpstreamModel,
}

/// Where a request goes, and where it goes if that fails. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    first: Target,
    fallbacks: Vec<Target>,
}

impl Route {
    pub fn new(first: Target, fallbacks: Vec<Target>) -> Self {
        Self { first, fallbacks }
    }

    /// The targets in the order in which they are tried.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        std::iter::once(&self.first).chain(&self.fallbacks)
    }
}

/// No model is called that, for this key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no model is called `{name}`")]
pub struct NoRoute {
    pub name: ModelName,
    /// A name that exists and is spelt much like it.
    pub similar: Option<String>,
}
