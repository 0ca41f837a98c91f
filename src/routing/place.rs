//! One upstream as routes see it: which names it answers to.

use std::collections::HashMap;

use super::{ModelList, UpstreamRoutes};
use crate::catalog::{Glob, ModelName, UpstreamModel, UpstreamName};

#[derive(Debug)]
pub(super) struct Place {
    pub(super) name: UpstreamName,
    pub(super) prefix: Option<String>,
    pub(super) priority: i32,
    pub(super) weight: u32,
    /// `None`: nobody knows what it has.
    models: Option<HashMap<String, UpstreamModel>>,
    /// Those of `models` that are shown, in order.
    pub(super) shown: Vec<ModelName>,
    excluded: Vec<Glob>,
    /// Whether the operator wrote its models down, so that another one is a mistake.
    pub(super) is_listed: bool,
}

impl Place {
    pub(super) fn of(upstream: &UpstreamRoutes) -> Self {
        let mut place = Self {
            name: upstream.name.clone(),
            prefix: upstream.prefix.clone(),
            priority: upstream.priority,
            weight: upstream.weight,
            models: None,
            shown: Vec::new(),
            excluded: upstream.excluded.clone(),
            is_listed: matches!(upstream.models, ModelList::Listed(_)),
        };
        match &upstream.models {
            ModelList::Unknown => {}
            ModelList::Discovered(models) => {
                place.models = Some(HashMap::new());
                for model in models {
                    place.add(model.as_str(), model, Show::Yes);
                }
            }
            ModelList::Listed(models) => {
                place.models = Some(HashMap::new());
                for model in models {
                    let show = if model.hidden { Show::No } else { Show::Yes };
                    let alias = model.alias.as_ref().map(ModelName::as_str);
                    for name in alias.into_iter().chain([model.name.as_str()]) {
                        place.add(name, &model.name, show);
                    }
                }
            }
        }
        place
    }

    fn add(&mut self, name: &str, model: &UpstreamModel, show: Show) {
        let Some(models) = &mut self.models else { return };
        if models.contains_key(name) || excludes(&self.excluded, name, model) {
            return;
        }
        models.insert(name.to_owned(), model.clone());
        if let (Show::Yes, Ok(name)) = (show, ModelName::parse(name)) {
            self.shown.push(name);
        }
    }

    /// Returns the model that `name` means here, if it may be called.
    pub(super) fn offers(&self, name: &str) -> Option<UpstreamModel> {
        match &self.models {
            Some(models) => models.get(name).cloned(),
            None => UpstreamModel::parse(name).ok().filter(|model| !excludes(&self.excluded, name, model)),
        }
    }

    /// Whether nobody knows what it has.
    pub(super) const fn is_open(&self) -> bool {
        self.models.is_none()
    }

    /// Returns every name it certainly answers to, shown or not.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.models.iter().flat_map(HashMap::keys).map(String::as_str)
    }
}

#[derive(Clone, Copy)]
enum Show {
    Yes,
    No,
}

fn excludes(excluded: &[Glob], name: &str, model: &UpstreamModel) -> bool {
    excluded.iter().any(|it| it.matches(name) || it.matches(model.as_str()))
}
