//! What is wrong with a configuration of routes: everything at once, each with its place.

use std::collections::HashSet;

use super::{
    Alias, ModelList, RouteConfig, RouteFault, UpstreamRoutes, alias::Aliases, place::Place,
    prefix::Prefixes, table::nearest,
};
use crate::catalog::{Glob, ModelName};

pub(super) fn faults(
    config: &RouteConfig,
    places: &[Place],
    prefixes: &Prefixes,
    aliases: &Aliases,
) -> Vec<RouteFault> {
    let mut check = Check { places, prefixes, aliases, faults: Vec::new() };
    check.upstreams(&config.upstreams);
    check.aliases(&config.aliases);
    check.fallbacks(config);
    check.faults
}

struct Check<'a> {
    places: &'a [Place],
    prefixes: &'a Prefixes,
    aliases: &'a Aliases,
    faults: Vec<RouteFault>,
}

impl Check<'_> {
    fn fault(&mut self, path: String, message: String) {
        self.faults.push(RouteFault { path, message });
    }

    fn upstreams(&mut self, upstreams: &[UpstreamRoutes]) {
        for (index, upstream) in upstreams.iter().enumerate() {
            let name = upstream.name.as_str();
            if self.prefixes.find(name) != Some(index) {
                self.fault(
                    format!("upstreams[{index}].name"),
                    format!("another upstream is called `{name}`"),
                );
            }
            if let Some(prefix) = &upstream.prefix {
                self.prefix(index, prefix);
            }
            if let ModelList::Listed(models) = &upstream.models {
                let names: HashSet<&str> = models.iter().map(|it| it.name.as_str()).collect();
                let mut taken = HashSet::new();
                for (at, model) in models.iter().enumerate() {
                    let Some(alias) = model.alias.as_ref().filter(|it| it.as_str() != model.name.as_str())
                    else {
                        continue;
                    };
                    if names.contains(alias.as_str()) || !taken.insert(alias.as_str()) {
                        self.fault(
                            format!("upstreams[{index}].models[{at}].alias"),
                            format!("another model of this upstream is called `{alias}`"),
                        );
                    }
                }
            }
        }
    }

    fn prefix(&mut self, index: usize, prefix: &str) {
        let path = format!("upstreams[{index}].prefix");
        if ModelName::parse(prefix).is_err() || prefix.split('/').any(str::is_empty) {
            self.fault(
                path,
                format!("`{prefix}` cannot stand before a model: write a name such as `team-a`"),
            );
        } else if self.prefixes.find(prefix) != Some(index) {
            self.fault(path, format!("`{prefix}` stands for another upstream already"));
        }
    }

    fn aliases(&mut self, aliases: &[Alias]) {
        let mut names = HashSet::new();
        for (index, alias) in aliases.iter().enumerate() {
            let (path, name) = (format!("aliases[{index}].name"), &alias.name);
            if let Err(error) = ModelName::parse(name) {
                self.fault(path, error.to_string());
            } else if !names.insert(name) {
                self.fault(path, format!("another alias is called `{name}`"));
            } else if self.comes_back(name) {
                self.fault(
                    path,
                    format!("`{name}` leads back to itself: write its targets as `upstream/model`"),
                );
            }
            if alias.targets.is_empty() {
                self.fault(format!("aliases[{index}].targets"), "an alias needs a target".to_owned());
            }
            for (at, target) in alias.targets.iter().enumerate() {
                self.target(format!("aliases[{index}].targets[{at}]"), target);
            }
        }
    }

    /// Whether the aliases that can be reached from `name` lead to it again.
    fn comes_back(&self, name: &str) -> bool {
        let mut seen = HashSet::new();
        let mut next: Vec<&String> = self.aliases.named(name).unwrap_or_default().iter().collect();
        while let Some(target) = next.pop() {
            if target == name {
                return true;
            }
            if seen.insert(target) {
                next.extend(self.aliases.named(target).unwrap_or_default());
            }
        }
        false
    }

    fn fallbacks(&mut self, config: &RouteConfig) {
        for (model, fallback) in &config.fallbacks {
            let path = format!("routing.model-fallback.{model}");
            let mut seen = HashSet::from([model]);
            let mut next = Some(fallback);
            while let Some(fallback) = next.filter(|it| *it != model && seen.insert(*it)) {
                next = config.fallbacks.get(fallback);
            }
            if next == Some(model) {
                self.fault(path, format!("the fallbacks of `{model}` lead back to it"));
            } else {
                self.target(path, fallback);
            }
        }
    }

    /// Finds a target that can lead nowhere. What upstreams list by themselves may change: that is no fault of the file.
    fn target(&mut self, path: String, target: &str) {
        if let Err(error) = ModelName::parse(target) {
            return self.fault(path, error.to_string());
        }
        if Glob::is_pattern(target) {
            return self.fault(path, format!("`{target}` is a pattern: a target is one model"));
        }
        let readings: Vec<_> = self.prefixes.readings(target).collect();
        let is_certain = self.aliases.named(target).is_some()
            || readings.iter().any(|(place, rest)| self.places[*place].offers(rest).is_some())
            || self.places.iter().any(|it| !it.is_open() && it.offers(target).is_some());
        if is_certain {
            return;
        }
        let may_change = self.places.iter().any(|it| !it.is_listed);
        let message = match (target.split_once('/'), readings.first()) {
            (_, Some((place, rest))) if self.places[*place].is_listed && !may_change => {
                let place = &self.places[*place];
                format!("`{}` has no model `{rest}`{}", place.name, suggestion(rest, place.names()))
            }
            (Some((head, _)), None) if !may_change || nearest(head, self.prefixes.words()).is_some() => {
                format!("no upstream is called `{head}`{}", suggestion(head, self.prefixes.words()))
            }
            (None, _) if !may_change => {
                let names = self.places.iter().flat_map(Place::names).chain(self.aliases.names());
                format!("no upstream has a model `{target}`{}", suggestion(target, names))
            }
            _ => return,
        };
        self.fault(path, message);
    }
}

fn suggestion<'a>(wanted: &str, words: impl Iterator<Item = &'a str>) -> String {
    nearest(wanted, words).map(|it| format!("; did you mean `{it}`?")).unwrap_or_default()
}
