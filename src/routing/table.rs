//! Every name and where it leads, worked out once when the configuration changes.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use super::{
    Listed, NoRoute, Route, RouteConfig, RouteFault, Target, alias::Aliases, check, place::Place,
    prefix::Prefixes, rotation::Rotation,
};
use crate::{
    catalog::{ModelName, UpstreamModel, UpstreamName},
    tenant::TenantScope,
};

/// Where names lead. A name is looked up as an alias, an alias pattern, `upstream/model`, a model somebody lists, and last
/// as a model of the upstreams whose lists nobody knows.
#[derive(Debug)]
pub struct RouteTable {
    places: Vec<Place>,
    prefixes: Prefixes,
    aliases: Aliases,
    fallbacks: HashMap<String, String>,
    must_be_prefixed: bool,
    /// Who has a model, by the model's bare name.
    bare: HashMap<String, Group>,
    /// Those whose lists nobody knows.
    open: Group,
    listed: Vec<Listed>,
}

/// The upstreams that have a model: highest priority first, then by weight, then as configured.
#[derive(Debug, Default)]
struct Group {
    places: Vec<usize>,
    /// Whose turn it is among those of the highest priority.
    rotation: Arc<Rotation<UpstreamName>>,
}

/// Who wrote a name: the operator need not write the prefix.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Author {
    Client,
    Operator,
}

/// Whether a look-up counts: a request does, a list does not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Take,
    Leave,
}

/// A route in the making.
struct Draft {
    /// The upstream the client insists on.
    only: Option<usize>,
    turn: Turn,
    stops: Vec<Target>,
}

impl RouteTable {
    /// Builds the table, or says everything that is wrong with `config`.
    pub fn build(config: &RouteConfig) -> Result<Self, Vec<RouteFault>> {
        let places: Vec<Place> = config.upstreams.iter().map(Place::of).collect();
        let mut table = Self {
            prefixes: Prefixes::of(&config.upstreams),
            aliases: Aliases::of(&config.aliases),
            fallbacks: config.fallbacks.clone().into_iter().collect(),
            must_be_prefixed: config.force_model_prefix,
            bare: groups(&places),
            open: Group::of(&places, (0..places.len()).filter(|it| places[*it].is_open())),
            places,
            listed: Vec::new(),
        };
        let faults = check::faults(config, &table.places, &table.prefixes, &table.aliases);
        if !faults.is_empty() {
            return Err(faults);
        }
        table.listed = table.collect();
        Ok(table)
    }

    /// Goes on with the turns where `before` was.
    #[must_use]
    pub fn following(mut self, before: &Self) -> Self {
        self.open.rotation = before.open.rotation.clone();
        for (name, group) in &mut self.bare {
            if let Some(old) = before.bare.get(name) {
                group.rotation = old.rotation.clone();
            }
        }
        self
    }

    /// Returns where `name` leads for this caller. `upstream` is an upstream's name or prefix, if the path or a header
    /// names one: then nobody else is asked.
    ///
    /// The scope proves that somebody was authenticated; every tenant may call every model so far.
    pub fn route(&self, _: &TenantScope, name: &ModelName, upstream: Option<&str>) -> Result<Route, NoRoute> {
        self.find(name, upstream)
    }

    /// Returns the upstream that a word stands for: its name or its prefix.
    pub fn upstream(&self, word: &str) -> Option<&UpstreamName> {
        self.prefixes.find(word).map(|it| &self.places[it].name)
    }

    /// Returns every name this caller can call, sorted; each once.
    pub fn list(&self, _: &TenantScope) -> &[Listed] {
        &self.listed
    }

    fn find(&self, name: &ModelName, upstream: Option<&str>) -> Result<Route, NoRoute> {
        let only = upstream.map(|it| self.prefixes.find(it));
        if only == Some(None) {
            return Err(NoRoute { name: name.clone(), similar: None });
        }
        let only = only.flatten();
        let mut draft = Draft { only, turn: Turn::Take, stops: Vec::new() };
        self.lead(name.as_str(), Author::Client, &mut draft);
        self.append_fallbacks(name.as_str(), &mut draft);
        let mut stops = draft.stops.into_iter();
        match stops.next() {
            Some(first) => Ok(Route::new(first, stops.collect())),
            None => Err(NoRoute { name: name.clone(), similar: self.similar(name, only) }),
        }
    }

    /// Appends where `name` leads. An alias has the last word: if its targets lead nowhere, so does it.
    fn lead(&self, name: &str, author: Author, draft: &mut Draft) {
        let targets = match author {
            Author::Client => self.aliases.find(name),
            Author::Operator => self.aliases.named(name),
        };
        match targets {
            Some(targets) => targets.iter().for_each(|it| self.lead(it, Author::Operator, draft)),
            None => self.lead_plainly(name, author, draft),
        }
    }

    fn lead_plainly(&self, name: &str, author: Author, draft: &mut Draft) {
        if let Some(only) = draft.only
            && let Some(model) = self.places[only].offers(name)
        {
            return self.stop(only, model, draft);
        }
        for (place, rest) in self.prefixes.readings(name) {
            if let Some(model) = self.places[place].offers(rest) {
                return self.stop(place, model, draft);
            }
        }
        if author == Author::Operator || !self.must_be_prefixed {
            let group = self.bare.get(name).unwrap_or(&self.open);
            for place in group.in_turn(&self.places, name, draft) {
                if let Some(model) = self.places[place].offers(name) {
                    self.stop(place, model, draft);
                }
            }
        }
    }

    fn stop(&self, place: usize, model: UpstreamModel, draft: &mut Draft) {
        if draft.only.is_none_or(|only| only == place) {
            let target = Target { upstream: self.places[place].name.clone(), model };
            if !draft.stops.contains(&target) {
                draft.stops.push(target);
            }
        }
    }

    /// Appends the chain of `name`, or if it has none, of the model it leads to first. Chains end: `check` saw to it.
    fn append_fallbacks(&self, name: &str, draft: &mut Draft) {
        let by_model = || self.fallbacks.get(draft.stops.first()?.model.as_str());
        let mut next = self.fallbacks.get(name).or_else(by_model);
        while let Some(fallback) = next {
            self.lead(fallback, Author::Operator, draft);
            next = self.fallbacks.get(fallback);
        }
    }

    fn collect(&self) -> Vec<Listed> {
        let aliases = self.aliases.names().map(str::to_owned);
        let models = self.places.iter().flat_map(|place| {
            let bare = (!self.must_be_prefixed).then_some("").into_iter();
            let own = self.must_be_prefixed.then_some(place.name.as_str());
            let word = place.prefix.as_deref().or(own);
            bare.map(|_| None).chain(word.map(Some)).flat_map(|word| {
                place.shown.iter().map(move |model| match word {
                    Some(word) => format!("{word}/{model}"),
                    None => model.to_string(),
                })
            })
        });
        let mut listed: Vec<Listed> = aliases.chain(models).filter_map(|name| self.listed(&name)).collect();
        listed.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        listed.dedup_by(|one, other| one.name == other.name);
        listed
    }

    fn listed(&self, name: &str) -> Option<Listed> {
        let name = ModelName::parse(name).ok()?;
        let mut draft = Draft { only: None, turn: Turn::Leave, stops: Vec::new() };
        self.lead(name.as_str(), Author::Client, &mut draft);
        let first = draft.stops.into_iter().next()?;
        Some(Listed { name, upstream: first.upstream, model: first.model })
    }

    /// Returns the name that can be called and is spelt most like `name`.
    fn similar(&self, name: &ModelName, only: Option<usize>) -> Option<String> {
        let wanted = name.as_str();
        match only {
            Some(place) => nearest(wanted, self.places[place].shown.iter().map(ModelName::as_str)),
            None => nearest(wanted, self.listed.iter().map(|it| it.name.as_str())),
        }
    }
}

impl Group {
    fn of(places: &[Place], members: impl Iterator<Item = usize>) -> Self {
        let mut members: Vec<usize> = members.collect();
        members.sort_by_key(|it| Reverse((places[*it].priority, places[*it].weight)));
        Self { places: members, rotation: Arc::default() }
    }

    /// Returns the places in the order in which they are asked for `name`. Only the first stop of a route takes a turn.
    fn in_turn(&self, places: &[Place], name: &str, draft: &Draft) -> Vec<usize> {
        let mut order = self.places.clone();
        if draft.turn == Turn::Leave || draft.only.is_some() || !draft.stops.is_empty() {
            return order;
        }
        order.retain(|it| places[*it].offers(name).is_some());
        let Some(highest) = order.first().map(|it| places[*it].priority) else { return order };
        let tier = order.iter().take_while(|it| places[**it].priority == highest);
        let takers: Vec<_> = tier.map(|it| (places[*it].name.clone(), places[*it].weight)).collect();
        if let Some(turn) = self.rotation.next(&takers) {
            order[..=turn].rotate_right(1);
        }
        order
    }
}

fn groups(places: &[Place]) -> HashMap<String, Group> {
    let mut members: HashMap<String, Vec<usize>> = HashMap::new();
    for (place, upstream) in places.iter().enumerate() {
        for name in upstream.names() {
            members.entry(name.to_owned()).or_default().push(place);
        }
    }
    members.into_iter().map(|(name, members)| (name, Group::of(places, members.into_iter()))).collect()
}

/// Returns the word spelt most like `wanted`, if any is like it at all; case counts for nothing here.
pub(super) fn nearest<'a>(wanted: &str, words: impl Iterator<Item = &'a str>) -> Option<String> {
    let wanted = wanted.to_lowercase();
    let limit = (wanted.chars().count() / 4).max(2);
    words
        .map(|it| (strsim::damerau_levenshtein(&wanted, &it.to_lowercase()), it))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, it)| it.to_owned())
}

#[cfg(test)]
mod tests;
