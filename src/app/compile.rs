//! Config → what the trip needs. Pure but for reading the secrets' files.

use std::{collections::HashMap, sync::Arc};

use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{cloud, declared, discovery::Discovered, foundation::Foundation};
use crate::{
    catalog::{AbilityRow, AbilityTable, Glob, ModelName, UpstreamModel, UpstreamName},
    config::{
        self, Config, Environment, Fault, Faults, Secret, Source, fault::nearest,
        models::Strategy as ConfiguredStrategy, upstreams,
    },
    credential::{Credential, PoolConfig, Strategy, store::StoredCredential},
    pipeline::{Bounds, MediaBounds, Pipeline},
    routing::{Alias, ListedModel, ModelList, RouteConfig, RouteTable, UpstreamRoutes},
    upstream::{
        Packing, Streaming, Upstream, UpstreamSpec, kinds,
        transport::{HttpMode, Proxy, Timeouts},
    },
    usage::Accounts,
};

/// What stays the same over reloads and every pipeline needs.
pub struct Standing {
    pub accounts: Arc<Accounts>,
    pub stop: CancellationToken,
}

/// A configuration, ready.
pub struct Compiled {
    routes: RouteTable,
    upstreams: HashMap<UpstreamName, Upstream>,
    unlisted: Vec<UpstreamName>,
    abilities: AbilityTable,
    pool: Vec<PoolConfig>,
    bounds: Bounds,
    responses: config::responses::Responses,
}

/// Loads a configuration and reports every fault of it at once, those that only compiling finds too.
pub fn load(source: &Source, environment: &Environment) -> Result<Config, Faults> {
    let (config, mut faults) = config::load_with_faults(source, environment)?;
    for fault in compile(&config, &[], &Discovered::default()).err().unwrap_or_default() {
        // Of one place the first fault is the cause.
        if !faults.iter().any(|it| it.path == fault.path) {
            faults.push(fault);
        }
    }
    if faults.is_empty() { Ok(config) } else { Err(Faults(faults)) }
}

/// Compiles, or says all that is wrong.
pub fn compile(
    config: &Config,
    stored: &[StoredCredential],
    discovered: &Discovered,
) -> Result<Compiled, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut upstreams = HashMap::new();
    let mut pool = Vec::new();
    for (index, declared) in config.upstreams.iter().enumerate() {
        let path = format!("upstreams[{index}]");
        if let Some(upstream) = upstream(declared, &path, &mut faults) {
            match credentials(declared, &upstream, stored) {
                Ok(credentials) => pool.push(PoolConfig {
                    upstream: upstream.name().clone(),
                    strategy: strategy(declared.strategy.unwrap_or(config.routing.strategy)),
                    affinity: config
                        .routing
                        .session_affinity
                        .enabled
                        .then_some(config.routing.session_affinity.ttl.0),
                    credentials,
                }),
                Err(message) => faults.push(Fault::new(format!("{path}.credentials"), message)),
            }
            upstreams.insert(upstream.name().clone(), upstream);
        }
    }
    let abilities = abilities(config, &mut faults);
    let routes = route_config(config, discovered, &mut faults);
    match RouteTable::build(&routes) {
        Ok(routes) if faults.is_empty() => {
            let unlisted = config.upstreams.iter().filter(|it| it.models.is_none());
            let unlisted = unlisted.map(|it| UpstreamName::new(&it.name)).collect();
            let responses = config.responses.clone();
            Ok(Compiled { routes, upstreams, unlisted, abilities, pool, bounds: bounds(config), responses })
        }
        Ok(_) => Err(faults),
        Err(found) => {
            faults.extend(found.into_iter().map(|it| Fault::new(it.path, it.message)));
            Err(faults)
        }
    }
}

impl Compiled {
    /// Puts the credentials into the pool and makes a pipeline of the rest.
    ///
    /// `before` is the pipeline it takes the place of: the turns of its targets go on.
    pub fn into_pipeline(
        self,
        foundation: &Foundation,
        standing: &Standing,
        before: Option<&Pipeline>,
    ) -> Pipeline {
        foundation.pool.configure(self.pool);
        let routes = match before {
            Some(before) => self.routes.following(&before.routes),
            None => self.routes,
        };
        Pipeline {
            routes,
            upstreams: self.upstreams,
            unlisted: self.unlisted,
            abilities: self.abilities,
            pool: Arc::clone(&foundation.pool),
            objects: Arc::clone(&foundation.objects),
            transport: Arc::clone(&foundation.transport),
            tokens: Arc::clone(&foundation.tokens),
            accounts: Arc::clone(&standing.accounts),
            clock: Arc::clone(&foundation.clock),
            memory: foundation.memory(&self.responses),
            bounds: self.bounds,
            stop: standing.stop.clone(),
        }
    }
}

/// What models can do: the gateway's own table under the configuration's rows.
fn abilities(config: &Config, faults: &mut Vec<Fault>) -> AbilityTable {
    let mut rows = Vec::new();
    for (index, row) in config.abilities.iter().enumerate() {
        match AbilityRow::parse(row.clone()) {
            Ok(row) => rows.push(row),
            Err(error) => faults.push(Fault::new(format!("abilities[{index}]"), error.to_string())),
        }
    }
    AbilityTable::bundled().with_overrides(rows)
}

fn bounds(config: &Config) -> Bounds {
    Bounds {
        attempts: config.routing.retry.attempts,
        max_wait: config.routing.retry.max_wait.0,
        keep_alive: config.server.keep_alive.0,
        max_held: usize::try_from(config.server.body_limit.0).unwrap_or(usize::MAX),
        losses: declared::policy(config.routing.losses),
        media: MediaBounds {
            fetch: config.media.fetch,
            max_size: usize::try_from(config.media.max_size.0).unwrap_or(usize::MAX),
            max_count: config.media.max_count.into(),
            timeout: config.media.timeout.0,
            allow_private: config.media.allow_private,
        },
        ..Bounds::default()
    }
}

fn upstream(declared: &upstreams::Upstream, path: &str, faults: &mut Vec<Fault>) -> Option<Upstream> {
    let Some(kind) = kinds::find(&declared.kind) else {
        let message = format!("there is no kind `{}`", declared.kind);
        faults.push(
            Fault::new(format!("{path}.kind"), message).suggest(nearest(&declared.kind, kinds::names())),
        );
        return None;
    };
    cloud::accounts(declared, kind, path, faults);
    let mut spec = UpstreamSpec::new(UpstreamName::new(&declared.name), kind);
    let Ok(place) = cloud::place(declared, kind, path, faults) else { return None };
    let fill = |it: &str| place.as_ref().map_or_else(|| it.to_owned(), |place| place.fill(it));
    spec.base_url = declared.base_url.as_deref().and_then(|it| Url::parse(&fill(it)).ok());
    spec.place = place;
    spec.streaming = match declared.streaming {
        upstreams::Streaming::Auto => Streaming::Auto,
        upstreams::Streaming::Always => Streaming::Always,
        upstreams::Streaming::Never => Streaming::Never,
    };
    spec.packing = match declared.request_compression {
        upstreams::RequestCompression::None => None,
        upstreams::RequestCompression::Zstd => Some(Packing::Zstd),
        upstreams::RequestCompression::Gzip => Some(Packing::Gzip),
        upstreams::RequestCompression::Br => Some(Packing::Brotli),
    };
    spec.timeouts = Timeouts {
        connect: declared.timeouts.connect.0,
        first_byte: declared.timeouts.first_byte.0,
        idle: declared.timeouts.idle.0,
        total: declared.timeouts.total.map(|it| it.0),
    };
    spec.dead_after = declared.timeouts.dead_after.0;
    spec.http = match declared.http {
        upstreams::Http::Auto => HttpMode::Auto,
        upstreams::Http::Http1 => HttpMode::Http1,
        upstreams::Http::Http2 => HttpMode::Http2,
    };
    for (name, value) in &declared.headers {
        if let (Ok(name), Ok(value)) = (name.parse(), value.read()) {
            spec.headers.push((name, value));
        }
    }
    match declared.proxy_url.as_ref().map(proxy).transpose() {
        Ok(proxy) => spec.proxy = proxy.unwrap_or(Proxy::Default),
        Err(message) => faults.push(Fault::new(format!("{path}.proxy-url"), message)),
    }
    match Upstream::new(spec) {
        Ok(upstream) => Some(upstream),
        Err(error) => {
            faults.push(Fault::new(format!("{path}.base-url"), error.to_string()));
            None
        }
    }
}

fn proxy(secret: &Secret) -> Result<Proxy, String> {
    let text = secret.read()?;
    Proxy::parse(text.expose_secret()).map_err(|it| it.to_string())
}

/// The declared credentials, then the stored ones.
fn credentials(
    declared: &upstreams::Upstream,
    upstream: &Upstream,
    stored: &[StoredCredential],
) -> Result<Vec<Credential>, String> {
    let mine: Vec<_> = stored.iter().filter(|it| it.credential.upstream == *upstream.name()).collect();
    let mut credentials = declared::credentials(declared, mine.is_empty() && upstream.kind().is_keyless())?;
    credentials.extend(mine.into_iter().map(|it| it.credential.clone()));
    Ok(credentials)
}

const fn strategy(configured: ConfiguredStrategy) -> Strategy {
    match configured {
        ConfiguredStrategy::FillFirst => Strategy::FillFirst,
        ConfiguredStrategy::RoundRobin => Strategy::RoundRobin,
        ConfiguredStrategy::WeightedRoundRobin => Strategy::WeightedRoundRobin,
        ConfiguredStrategy::LeastRecentlyUsed => Strategy::LeastRecentlyUsed,
        ConfiguredStrategy::LeastBusy => Strategy::LeastBusy,
    }
}

fn route_config(config: &Config, discovered: &Discovered, faults: &mut Vec<Fault>) -> RouteConfig {
    let upstreams = config
        .upstreams
        .iter()
        .enumerate()
        .map(|(index, it)| upstream_routes(it, &format!("upstreams[{index}]"), discovered, faults))
        .collect();
    let aliases = config
        .aliases
        .iter()
        .map(|it| Alias { name: it.name.clone(), targets: it.targets.clone() })
        .collect();
    RouteConfig {
        upstreams,
        aliases,
        fallbacks: config.routing.model_fallback.clone(),
        force_model_prefix: config.routing.force_model_prefix,
    }
}

fn upstream_routes(
    declared: &upstreams::Upstream,
    path: &str,
    discovered: &Discovered,
    faults: &mut Vec<Fault>,
) -> UpstreamRoutes {
    let name = UpstreamName::new(&declared.name);
    let models = match &declared.models {
        Some(models) => {
            let mut listed = Vec::new();
            for (index, model) in models.iter().enumerate() {
                let path = format!("{path}.models[{index}]");
                match (
                    UpstreamModel::parse(&model.name),
                    model.alias.as_deref().map(ModelName::parse).transpose(),
                ) {
                    (Ok(name), Ok(alias)) => listed.push(ListedModel { name, alias, hidden: false }),
                    (Err(error), _) => faults.push(Fault::new(format!("{path}.name"), error.to_string())),
                    (_, Err(error)) => faults.push(Fault::new(format!("{path}.alias"), error.to_string())),
                }
            }
            ModelList::Listed(listed)
        }
        None => match discovered.of(&name) {
            Some(models) => ModelList::Discovered(models),
            None => ModelList::Unknown,
        },
    };
    UpstreamRoutes {
        name,
        prefix: declared.prefix.clone(),
        priority: declared.priority,
        weight: declared.weight,
        models,
        excluded: declared.excluded_models.iter().map(|it| Glob::new(it)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::model::ThinkingControl;

    fn config(text: &str) -> Config {
        load(&Source::Text(text.to_owned()), &Environment::default()).unwrap()
    }

    #[test]
    fn a_configured_ability_goes_over_the_table() {
        let config =
            config("abilities: [{model: 'mine-*', thinking: effort, efforts: [low, high], max-stops: 2}]");
        let table = compile(&config, &[], &Discovered::default()).ok().unwrap().abilities;
        let of = |model: &str| {
            table.abilities("openai-chat", "openai-compatible", &UpstreamModel::parse(model).unwrap())
        };
        assert_eq!(of("mine-1").thinking, ThinkingControl::Effort);
        assert_eq!(of("mine-1").max_stops, 2);
        assert_eq!(of("another").thinking, ThinkingControl::None);
    }

    #[test]
    fn a_wrong_ability_is_a_fault_with_its_place() {
        let text = "abilities: [{model: a}, {thinking: effort}, {model: b, thinkin: effort}]";
        let found = load(&Source::Text(text.to_owned()), &Environment::default()).unwrap_err().0;
        let paths: Vec<_> = found.iter().map(|it| it.path.as_str()).collect();
        assert_eq!(paths, ["abilities[1]", "abilities[2]"]);
        assert!(found[1].message.contains("`thinkin`"), "{found:?}");
    }
}
