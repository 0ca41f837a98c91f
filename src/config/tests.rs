use super::*;

fn faults(text: &str) -> Vec<String> {
    match load(&Source::Text(text.to_owned()), &Environment::default()) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.0.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn nothing_configured_is_the_default() {
    assert_eq!(load(&Source::None, &Environment::default()).unwrap(), Config::default());
    assert_eq!(
        load(&Source::Text("# only a comment\n".to_owned()), &Environment::default()).unwrap(),
        Config::default()
    );
}

#[test]
fn every_fault_is_reported_at_once_with_its_path() {
    let found = faults(
        "server:\n  listne: 127.0.0.1:1\n  keep-alive: soon\nrouting:\n  strategy: round-robbin\n  retry: { attempts: 0 }\nupstreams:\n  - kind: openai\n",
    );
    for expected in [
        "server.listne: there is no such setting (did you mean `listen`?)",
        "server.keep-alive: `soon` is not a duration such as `30s`, `5m`, `1h`",
        "upstreams[0].name: is missing",
        "routing.retry.attempts: `0` is not at least 1 and at most 20",
    ] {
        assert!(found.iter().any(|it| it == expected), "{expected}\nnot in {found:#?}");
    }
    assert!(
        found
            .iter()
            .any(|it| it.starts_with("routing.strategy: `round-robbin`") && it.contains("`round-robin`?")),
        "{found:#?}"
    );
}

#[test]
fn a_variable_overrides_the_file() {
    let environment = Environment::of([
        ("DRAGOMAN_SERVER_LISTEN", "127.0.0.1:9"),
        ("DRAGOMAN_ROUTING_RETRY_ATTEMPTS", "7"),
        ("DRAGOMAN_DATA_DIR", "elsewhere"),
        ("DRAGOMAN_DATABASE_URL", "sqlite:///there"),
    ]);
    let config = load(&Source::Text("server: { listen: '127.0.0.1:1' }".to_owned()), &environment).unwrap();
    assert_eq!(config.server.listen.port(), 9);
    assert_eq!(config.routing.retry.attempts, 7);
    assert_eq!(config.data_dir, std::path::Path::new("elsewhere"));
    assert!(config.database.url.is_some());
}

#[test]
fn a_misspelt_variable_is_a_fault() {
    let environment = Environment::of([("DRAGOMAN_SERVER_LISTNE", "127.0.0.1:9")]);
    let faults = load(&Source::None, &environment).unwrap_err();
    assert_eq!(faults.0[0].suggestion.as_deref(), Some("DRAGOMAN_SERVER_LISTEN"));
}

#[test]
fn a_secret_is_filled_from_a_variable_and_never_shown() {
    let text = "tenants: [{ name: acme, keys: [{ name: ci, key: '${CI_KEY}' }] }]";
    let environment = Environment::of([("CI_KEY", "0123456789abcdefghij")]);
    let config = load(&Source::Text(text.to_owned()), &environment).unwrap();
    assert!(!format!("{config:?}").contains("0123456789"));
    assert!(!serde_json::to_string(&config).unwrap().contains("0123456789"));
    assert_eq!(faults(text), ["tenants[0].keys[0].key: the variable `CI_KEY` is not set"]);
    let short = faults("tenants: [{ name: acme, keys: [{ name: ci, key: tooshort }] }]");
    assert_eq!(short, ["tenants[0].keys[0].key: a key must have 20 characters or more"]);
}

#[test]
fn a_bad_secret_is_not_echoed() {
    let found = faults("tenants: [{ name: acme, keys: [{ name: ci, key: 12345 }] }]");
    assert_eq!(found.len(), 1);
    assert!(!found[0].contains("12345"), "{found:?}");
}

#[test]
fn bad_yaml_says_where_and_quotes_nothing() {
    let found = faults("server:\n  listen: \"127.0.0.1\n api-keys: [supersecret");
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("line"), "{found:?}");
    assert!(!found[0].contains("supersecret"), "{found:?}");
}

#[test]
fn two_upstreams_of_one_name_are_a_fault() {
    let found = faults(
        "upstreams: [{ name: a, kind: openai }, { name: a, kind: openai }, { name: v1, kind: openai }]",
    );
    assert_eq!(
        found,
        [
            "upstreams[1].name: `a` is declared twice",
            "upstreams[2].name: `v1` is a path of the gateway itself"
        ]
    );
}

#[test]
fn ec_075_timeouts_that_could_never_work_are_faults() {
    let with = |timeouts: &str| {
        faults(&format!("upstreams: [{{ name: a, kind: openai, timeouts: {{ {timeouts} }} }}]"))
    };
    assert_eq!(
        with("idle: 5m, dead-after: 1m, total: 0s"),
        [
            "upstreams[0].timeouts.total: must be longer than nothing",
            "upstreams[0].timeouts.dead-after: must not be shorter than `idle` (5m)"
        ]
    );
    assert_eq!(
        with("idle: 0s, dead-after: 0s"),
        [
            "upstreams[0].timeouts.idle: must be longer than nothing",
            "upstreams[0].timeouts.dead-after: must be longer than nothing"
        ]
    );
    // The default is ten minutes: who waits longer between two pieces must say how long a stream may be dead.
    assert_eq!(with("idle: 11m").len(), 1);
    for timeouts in ["dead-after: 2m", "idle: 11m, dead-after: 11m", "dead-after: 1h"] {
        assert!(with(timeouts).is_empty(), "{timeouts}");
    }
}

#[test]
fn the_schema_names_every_section() {
    let text = schema().to_string();
    for section in ["\"server\"", "\"upstreams\"", "\"api-keys\"", "\"session-affinity\"", "\"dead-after\""] {
        assert!(text.contains(section), "{section}");
    }
}

#[test]
fn the_example_file_is_the_defaults_and_every_setting_is_in_it() {
    let text = include_str!("../../docker/dragoman.example.yaml");
    let config = load(&Source::Text(text.to_owned()), &Environment::default()).unwrap();
    assert_eq!(config, Config::default());
    for path in variables().values() {
        let key = path.last().unwrap();
        assert!(text.contains(&format!("{key}:")), "`{}` is not in the example", path.join("."));
    }
}

#[test]
fn the_design_s_file_is_accepted_as_it_stands() {
    let text = include_str!("../../tests/fixtures/config/design.yaml");
    let environment = Environment::of([
        ("ACME_CI_KEY", "an-acme-key-of-some-length"),
        ("OPENAI_KEY_1", "one"),
        ("OPENAI_KEY_2", "two"),
    ]);
    let result = load(&Source::Text(text.to_owned()), &environment);
    // The file names a secret's file that is not on this machine: that is the only fault.
    let faults: Vec<_> = result.unwrap_err().0.iter().map(|it| it.path.clone()).collect();
    assert_eq!(faults, ["upstreams[1].credentials[0].api-key"]);
}
