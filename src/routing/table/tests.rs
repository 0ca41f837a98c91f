use std::collections::BTreeMap;

use proptest::prelude::{Strategy as Gen, any, prop, prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::{
    catalog::Glob,
    routing::{Alias, ListedModel, ModelList, UpstreamRoutes},
};

fn listed(text: &str) -> ListedModel {
    let (name, alias) = text.split_once('=').map_or((text, None), |(name, alias)| (name, Some(alias)));
    ListedModel {
        name: UpstreamModel::parse(name).unwrap(),
        alias: alias.map(|it| ModelName::parse(it).unwrap()),
        hidden: false,
    }
}

fn upstream(name: &str, models: &[&str]) -> UpstreamRoutes {
    UpstreamRoutes {
        name: UpstreamName::new(name),
        prefix: None,
        priority: 0,
        weight: 1,
        models: ModelList::Listed(models.iter().map(|it| listed(it)).collect()),
        excluded: Vec::new(),
    }
}

fn open(name: &str) -> UpstreamRoutes {
    UpstreamRoutes { models: ModelList::Unknown, ..upstream(name, &[]) }
}

fn alias(name: &str, targets: &[&str]) -> Alias {
    Alias { name: name.to_owned(), targets: targets.iter().map(|it| (*it).to_owned()).collect() }
}

fn fallbacks(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
}

/// A house of two upstreams, and an upstream that takes anything.
fn house() -> RouteConfig {
    let mut main = upstream("openai-main", &["gpt-5=smart", "gpt-4o"]);
    main.prefix = Some("team-a".to_owned());
    main.excluded = vec![Glob::new("*-preview")];
    RouteConfig {
        upstreams: vec![
            main,
            upstream("claude", &["claude-sonnet-4-5", "claude-opus-4-6", "claude-opus-4-5"]),
        ],
        aliases: vec![
            alias("best", &["claude/claude-sonnet-4-5", "openai-main/gpt-5"]),
            alias("claude-3-*", &["claude-sonnet-4-5"]),
        ],
        fallbacks: fallbacks(&[("claude-opus-4-6", "claude-opus-4-5")]),
        force_model_prefix: false,
    }
}

fn table(config: &RouteConfig) -> RouteTable {
    RouteTable::build(config).unwrap()
}

fn stops_at(table: &RouteTable, name: &str, upstream: Option<&str>) -> Vec<String> {
    match table.find(&ModelName::parse(name).unwrap(), upstream) {
        Ok(route) => route.targets().map(|it| format!("{}>{}", it.upstream, it.model)).collect(),
        Err(_) => Vec::new(),
    }
}

fn stops(table: &RouteTable, name: &str) -> Vec<String> {
    stops_at(table, name, None)
}

fn faults(config: &RouteConfig) -> Vec<String> {
    RouteTable::build(config).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_name_leads_to_whoever_has_it_by_name_alias_or_prefix() {
    let table = table(&house());
    assert_eq!(stops(&table, "gpt-4o"), ["openai-main>gpt-4o"]);
    assert_eq!(stops(&table, "smart"), ["openai-main>gpt-5"]);
    assert_eq!(stops(&table, "team-a/smart"), ["openai-main>gpt-5"]);
    assert_eq!(stops(&table, "openai-main/gpt-5"), ["openai-main>gpt-5"]);
    assert_eq!(stops(&table, "claude/gpt-5"), Vec::<String>::new());
}

#[test]
fn an_alias_leads_to_its_targets_in_order_and_a_pattern_to_whatever_fits() {
    let table = table(&house());
    assert_eq!(stops(&table, "best"), ["claude>claude-sonnet-4-5", "openai-main>gpt-5"]);
    assert_eq!(stops(&table, "claude-3-haiku-20240307"), ["claude>claude-sonnet-4-5"]);
}

#[test]
fn an_alias_is_stronger_than_a_model_and_a_name_than_a_pattern() {
    let mut config = house();
    config.aliases.push(alias("gpt-4o", &["claude/claude-opus-4-5"]));
    config.aliases.push(alias("gpt-*", &["gpt-5"]));
    let table = table(&config);
    assert_eq!(stops(&table, "gpt-4o"), ["claude>claude-opus-4-5"]);
    assert_eq!(stops(&table, "gpt-3.5"), ["openai-main>gpt-5"]);
}

#[test]
fn an_alias_may_lead_to_an_alias() {
    let mut config = house();
    config.aliases.push(alias("default", &["best", "gpt-4o"]));
    let expected = ["claude>claude-sonnet-4-5", "openai-main>gpt-5", "openai-main>gpt-4o"];
    assert_eq!(stops(&table(&config), "default"), expected);
}

#[test]
fn an_upstream_in_the_path_keeps_the_others_out() {
    let table = table(&house());
    assert_eq!(stops_at(&table, "best", Some("openai-main")), ["openai-main>gpt-5"]);
    assert_eq!(stops_at(&table, "gpt-4o", Some("team-a")), ["openai-main>gpt-4o"]);
    assert_eq!(stops_at(&table, "openai-main/gpt-4o", Some("openai-main")), ["openai-main>gpt-4o"]);
    assert!(stops_at(&table, "gpt-4o", Some("claude")).is_empty());
    assert!(stops_at(&table, "gpt-4o", Some("nowhere")).is_empty());
}

#[test]
fn a_model_whose_own_name_has_a_slash_is_found_and_the_longest_prefix_wins() {
    let mut router = open("router");
    router.prefix = Some("team-a/eu".to_owned());
    let mut config = house();
    config.upstreams.push(router);
    config.upstreams.push(upstream("groq", &["meta/llama-4"]));
    let table = table(&config);
    assert_eq!(stops(&table, "meta/llama-4"), ["groq>meta/llama-4"]);
    assert_eq!(stops(&table, "groq/meta/llama-4"), ["groq>meta/llama-4"]);
    assert_eq!(stops(&table, "team-a/eu/gpt-4o"), ["router>gpt-4o"]);
    assert_eq!(stops(&table, "vendor/any"), ["router>vendor/any"]);
}

#[test]
fn what_nobody_lists_goes_to_the_upstreams_nobody_knows() {
    let mut config = house();
    config.upstreams.push(open("ollama"));
    let table = table(&config);
    assert_eq!(stops(&table, "qwen3:8b"), ["ollama>qwen3:8b"]);
    assert_eq!(stops(&table, "gpt-4o"), ["openai-main>gpt-4o"]);
}

#[test]
fn an_excluded_model_is_reached_by_no_spelling() {
    let mut config = house();
    config.upstreams[0].models = ModelList::Unknown;
    config.aliases.push(alias("sneaky", &["openai-main/gpt-6-preview"]));
    let table = table(&config);
    for name in ["gpt-6-preview", "openai-main/gpt-6-preview", "team-a/gpt-6-preview", "sneaky"] {
        assert!(stops(&table, name).is_empty(), "{name}");
        assert!(stops_at(&table, name, Some("team-a")).is_empty(), "{name}");
    }
}

#[test]
fn names_are_exact() {
    let table = table(&house());
    assert!(stops(&table, "GPT-4o").is_empty());
    assert!(stops(&table, "OpenAI-Main/gpt-4o").is_empty());
}

#[test]
fn a_forced_prefix_binds_clients_and_neither_aliases_nor_fallbacks() {
    let mut config = house();
    config.force_model_prefix = true;
    let table = table(&config);
    assert!(stops(&table, "gpt-4o").is_empty());
    assert_eq!(stops(&table, "claude-3-opus"), ["claude>claude-sonnet-4-5"]);
    let expected = ["claude>claude-opus-4-6", "claude>claude-opus-4-5"];
    assert_eq!(stops(&table, "claude/claude-opus-4-6"), expected);
    let names: Vec<_> = table.listed.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "best",
            "claude/claude-opus-4-5",
            "claude/claude-opus-4-6",
            "claude/claude-sonnet-4-5",
            "team-a/gpt-4o",
            "team-a/gpt-5",
            "team-a/smart",
        ]
    );
}

#[test]
fn fallbacks_follow_in_their_order_whatever_the_model_was_called() {
    let mut config = house();
    config.fallbacks = fallbacks(&[("claude-opus-4-6", "claude-opus-4-5"), ("claude-opus-4-5", "best")]);
    let expected =
        ["claude>claude-opus-4-6", "claude>claude-opus-4-5", "claude>claude-sonnet-4-5", "openai-main>gpt-5"];
    let table = table(&config);
    assert_eq!(stops(&table, "claude-opus-4-6"), expected);
    assert_eq!(stops(&table, "claude/claude-opus-4-6"), expected);
    assert_eq!(stops_at(&table, "claude-opus-4-6", Some("claude")), expected[..3]);
}

#[test]
fn priority_comes_first_then_weight_takes_turns_and_the_others_stand_by() {
    let mut config = RouteConfig {
        upstreams: ["a", "b", "c"].map(|it| upstream(it, &["m"])).to_vec(),
        ..RouteConfig::default()
    };
    config.upstreams[0].weight = 2;
    config.upstreams[2].priority = -1;
    let table = table(&config);
    let turns: Vec<_> = (0..6).map(|_| stops(&table, "m").concat()).collect();
    let (a, b) = ("a>mb>mc>m", "b>ma>mc>m");
    assert_eq!(turns, [a, b, a, a, b, a]);
}

#[test]
fn turns_go_on_over_a_reload() {
    let config = RouteConfig {
        upstreams: ["a", "b", "c"].map(|it| upstream(it, &["m"])).to_vec(),
        ..RouteConfig::default()
    };
    let before = table(&config);
    assert_eq!(stops(&before, "m")[0], "a>m");
    let after = table(&config).following(&before);
    assert_eq!(stops(&after, "m")[0], "b>m");
}

#[test]
fn the_list_shows_what_can_be_called_once_and_hides_what_is_hidden() {
    let mut config = house();
    config.upstreams.push(upstream("spare", &["gpt-4o"]));
    let ModelList::Listed(models) = &mut config.upstreams[1].models else { unreachable!() };
    models[2].hidden = true;
    let table = table(&config);
    let names: Vec<_> = table.listed.iter().map(|it| it.name.as_str()).collect();
    let expected = [
        "best",
        "claude-opus-4-6",
        "claude-sonnet-4-5",
        "gpt-4o",
        "gpt-5",
        "smart",
        "team-a/gpt-4o",
        "team-a/gpt-5",
        "team-a/smart",
    ];
    assert_eq!(names, expected);
    assert_eq!(stops(&table, "claude-opus-4-5"), ["claude>claude-opus-4-5"]);
}

#[test]
fn a_slip_of_the_pen_gets_a_suggestion() {
    let table = table(&house());
    let similar =
        |name: &str, upstream| table.find(&ModelName::parse(name).unwrap(), upstream).unwrap_err().similar;
    assert_eq!(similar("claude-sonet-4-5", None).as_deref(), Some("claude-sonnet-4-5"));
    assert_eq!(similar("GPT-4o", None).as_deref(), Some("gpt-4o"));
    assert_eq!(similar("something-else", None), None);
    assert_eq!(similar("gpt-4", Some("claude")), None);
}

#[test]
fn every_fault_is_reported_with_its_place() {
    let mut config = house();
    config.upstreams.push(upstream("claude", &["a=b", "b"]));
    config.upstreams[1].prefix = Some("team-a".to_owned());
    config.aliases.push(alias("best", &["cluade/claude-opus-4-6", "gpt-55", "claude/gpt-5", "gpt-*"]));
    config.aliases.push(alias("empty", &[]));
    config.fallbacks = fallbacks(&[("gpt-5", "gpt-6")]);
    assert_eq!(
        faults(&config),
        [
            "upstreams[1].prefix: `team-a` stands for another upstream already",
            "upstreams[2].name: another upstream is called `claude`",
            "upstreams[2].models[0].alias: another model of this upstream is called `b`",
            "aliases[2].name: another alias is called `best`",
            "aliases[2].targets[0]: no upstream is called `cluade`; did you mean `claude`?",
            "aliases[2].targets[1]: no upstream has a model `gpt-55`; did you mean `gpt-5`?",
            "aliases[2].targets[2]: `claude` has no model `gpt-5`",
            "aliases[2].targets[3]: `gpt-*` is a pattern: a target is one model",
            "aliases[3].targets: an alias needs a target",
            "routing.model-fallback.gpt-5: no upstream has a model `gpt-6`; did you mean `gpt-5`?",
        ]
    );
}

#[test]
fn circles_are_refused() {
    let mut config = house();
    config.aliases = vec![alias("a", &["b"]), alias("b", &["c", "gpt-5"]), alias("c", &["a"])];
    config.fallbacks =
        fallbacks(&[("gpt-4o", "gpt-5"), ("gpt-5", "claude-opus-4-5"), ("claude-opus-4-5", "gpt-5")]);
    let faults = faults(&config);
    assert_eq!(faults.len(), 5, "{faults:#?}");
    assert!(faults[..3].iter().all(|it| it.contains("leads back to itself")));
    assert_eq!(
        faults[3],
        "routing.model-fallback.claude-opus-4-5: the fallbacks of `claude-opus-4-5` lead back to it"
    );
}

#[test]
fn a_target_at_an_upstream_nobody_knows_is_no_fault_unless_it_looks_like_a_slip() {
    let mut config = house();
    config.upstreams.push(open("openrouter"));
    config.aliases =
        vec![alias("a", &["meta/llama-4"]), alias("b", &["openruter/x"]), alias("c", &["gpt-7"])];
    assert_eq!(
        faults(&config),
        ["aliases[1].targets[0]: no upstream is called `openruter`; did you mean `openrouter`?"]
    );
}

const NAMES: [&str; 8] = ["a", "b", "c/d", "e", "b/a", "u0/a", "u1/c/d", "p"];

fn configs() -> impl Gen<Value = RouteConfig> {
    let name = || (0..NAMES.len()).prop_map(|it| NAMES[it]);
    let excluded = (0..4_usize).prop_map(|it| ["a", "*d", "?", "u*"][it]);
    let one = (
        prop::option::of(prop::collection::vec(name(), 0..4)),
        prop::collection::vec(excluded, 0..2),
        (-1..2_i32, 1..4_u32),
        any::<bool>(),
    );
    let aliases = prop::collection::vec((name(), prop::collection::vec(name(), 1..3)), 0..3);
    let chains = prop::collection::vec((name(), name()), 0..3);
    (prop::collection::vec(one, 1..4), aliases, chains, any::<bool>()).prop_map(
        |(upstreams, aliases, chains, force_model_prefix)| {
            let upstreams =
                upstreams.into_iter().enumerate().map(|(at, (models, excluded, weights, prefixed))| {
                    UpstreamRoutes {
                        prefix: prefixed.then(|| format!("q{at}")),
                        priority: weights.0,
                        weight: weights.1,
                        models: models.map_or(ModelList::Unknown, |models| {
                            ModelList::Discovered(
                                models.iter().map(|it| UpstreamModel::parse(it).unwrap()).collect(),
                            )
                        }),
                        excluded: excluded.into_iter().map(Glob::new).collect(),
                        ..upstream(&format!("u{at}"), &[])
                    }
                });
            RouteConfig {
                upstreams: upstreams.collect(),
                aliases: aliases.into_iter().map(|(name, targets)| alias(name, &targets)).collect(),
                fallbacks: fallbacks(&chains),
                force_model_prefix,
            }
        },
    )
}

proptest! {
    #[test]
    fn no_route_leads_to_an_excluded_model_and_every_listed_name_leads_somewhere(config in configs()) {
        let Ok(table) = RouteTable::build(&config) else { return Ok(()) };
        let spellings = NAMES.iter().flat_map(|name| {
            ["", "u0/", "u1/", "q1/", "q2/"].map(|prefix| format!("{prefix}{name}"))
        });
        for name in spellings {
            for only in [None, Some("u0"), Some("q1")] {
                let Ok(route) = table.find(&ModelName::parse(&name).unwrap(), only) else { continue };
                for target in route.targets() {
                    let upstream = config.upstreams.iter().find(|it| it.name == target.upstream).unwrap();
                    prop_assert!(!upstream.excluded.iter().any(|it| it.matches(target.model.as_str())));
                    prop_assert!(only != Some("u0") || target.upstream.as_str() == "u0");
                }
            }
        }
        for listed in &table.listed {
            let route = table.find(&listed.name, None);
            prop_assert!(route.is_ok(), "{} is listed and leads nowhere", listed.name);
        }
    }

    #[test]
    fn first_targets_are_shared_exactly_by_weight_and_each_upstream_is_tried_once(
        weights in prop::collection::vec(1..8_u32, 1..5),
        rounds in 1..3_u32,
    ) {
        let upstreams = weights.iter().enumerate().map(|(at, weight)| UpstreamRoutes {
            weight: *weight,
            ..upstream(&format!("u{at}"), &["m"])
        });
        let table = table(&RouteConfig { upstreams: upstreams.collect(), ..RouteConfig::default() });
        let mut firsts = vec![0; weights.len()];
        for _ in 0..rounds * weights.iter().sum::<u32>() {
            let stops = stops(&table, "m");
            prop_assert_eq!(stops.len(), weights.len());
            let first: usize = stops[0][1..].split('>').next().unwrap().parse().unwrap();
            firsts[first] += 1;
        }
        let due: Vec<u32> = weights.iter().map(|it| it * rounds).collect();
        prop_assert_eq!(firsts, due);
    }
}
