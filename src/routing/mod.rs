//! Where a name leads.

mod alias;
mod check;
mod place;
mod prefix;
pub mod rotation;
pub mod table;

use std::collections::BTreeMap;

use crate::catalog::{Glob, ModelName, UpstreamModel, UpstreamName};

pub use table::RouteTable;

/// Everything routes are made of.
#[derive(Debug, Clone, Default)]
pub struct RouteConfig {
    pub upstreams: Vec<UpstreamRoutes>,
    pub aliases: Vec<Alias>,
    /// Model → the model that is asked when nobody could answer for it.
    pub fallbacks: BTreeMap<String, String>,
    /// Whether a model must be written with its upstream (`openai-main/gpt-5`); aliases never need it.
    pub force_model_prefix: bool,
}

/// What one upstream can be asked for.
#[derive(Debug, Clone)]
pub struct UpstreamRoutes {
    pub name: UpstreamName,
    /// Another way to write the upstream before a model: `team-a` in `team-a/gpt-5`.
    pub prefix: Option<String>,
    /// Higher is asked first; equal ones share by weight.
    pub priority: i32,
    /// Its share among equals: 1 or more.
    pub weight: u32,
    pub models: ModelList,
    /// What it is never asked for, by the upstream's name of the model or by its alias.
    pub excluded: Vec<Glob>,
}

/// How far an upstream's models are known.
#[derive(Debug, Clone)]
pub enum ModelList {
    /// Exactly these: the operator wrote them down.
    Listed(Vec<ListedModel>),
    /// These, by the upstream's own list.
    Discovered(Vec<UpstreamModel>),
    /// Nobody knows: it is asked for whatever no one else has.
    Unknown,
}

#[derive(Debug, Clone)]
pub struct ListedModel {
    pub name: UpstreamModel,
    /// Another name for it.
    pub alias: Option<ModelName>,
    /// Whether it may be called but is not listed.
    pub hidden: bool,
}

/// A name that leads elsewhere.
#[derive(Debug, Clone)]
pub struct Alias {
    /// A name, or a pattern (`claude-3-*`).
    pub name: String,
    /// In the order in which they are tried: `upstream/model`, a model, or another alias.
    pub targets: Vec<String>,
}

/// Something wrong with a `RouteConfig`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct RouteFault {
    /// Where, as in the configuration file: `aliases[0].targets[1]`.
    pub path: String,
    pub message: String,
}

/// A name that can be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub name: ModelName,
    /// The upstream that is asked first.
    pub upstream: UpstreamName,
    /// What it is asked for.
    pub model: UpstreamModel,
}

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
