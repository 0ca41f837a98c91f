//! The commands, beside a gateway that runs on the same data directory.

use serde_json::Value;

use super::support::{
    CHAT, CREDENTIAL, Home, KEY, MESSAGES, Process, Simulator, chat, echoing, post, wait_for,
};

#[test]
fn a_good_configuration_is_called_good() {
    let simulator = Simulator::play("");
    let home = Home::bare(&simulator.config(""));
    assert_eq!(home.ok(&["check"]), "the configuration is good\n");
    assert!(!home.data().exists(), "checking makes nothing");
}

#[test]
fn check_tells_every_fault_at_once() {
    let home = Home::bare(
        "server: { listne: 1, keep-alive: soon }
upstreams:
  - { name: a, kind: opnai }
  - { kind: openai, base-url: 'not a url', credentials: [{ name: x, api-key: \"${NO_SUCH_VARIABLE}\" }] }
routing: { strategy: round-robbin }
",
    );
    let output = home.run(&["check"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    for fault in [
        "server.listne: there is no such setting (did you mean `listen`?)",
        "server.keep-alive: `soon` is not a duration",
        "upstreams[1].name: is missing",
        "upstreams[1].credentials[0].api-key: the variable `NO_SUCH_VARIABLE` is not set",
        "routing.strategy: `round-robbin`",
    ] {
        assert!(said.contains(fault), "`{fault}` is not in\n{said}");
    }
    home.rewrite("upstreams: [{ name: a, kind: opnai }, { name: b, kind: openai, base-url: 'not a url' }]\naliases: [{ name: x, targets: [nowhere/y] }]\n");
    let output = home.run(&["check"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("upstreams[0].kind") && said.contains("did you mean `openai`"), "{said}");
    assert!(said.contains("upstreams[1].base-url"), "{said}");
    let serving = home.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(serving.status.code(), Some(1), "what `check` refuses does not serve");
}

#[test]
fn the_schema_is_a_json_schema() {
    let home = Home::bare("this is: [not, read");
    let schema: Value = serde_json::from_str(&home.ok(&["check", "--schema"])).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(schema["properties"]["upstreams"].is_object());
}

#[test]
fn migrating_twice_is_migrating_once() {
    let home = Home::bare("");
    for _ in 0..2 {
        assert_eq!(home.ok(&["migrate"]), "the database is up to date\n");
    }
}

/// Waits until a key's requests end with this status.
fn until(process: &Process, key: &str, status: u16) {
    wait_for(&format!("status {status}"), || (process.chat_as(key, CHAT) == status).then_some(()));
}

#[test]
fn keys_and_tenants_change_under_a_running_gateway() {
    let (process, _simulator) = echoing("");
    let home = &process.home;
    assert!(home.ok(&["tenant", "create", "acme"]).contains("made tenant `acme`"));
    let first = home.ok(&["key", "create", "--tenant", "acme", "ci"]).trim().to_owned();
    assert!(first.starts_with("sk-dgm-"), "{first}");
    until(&process, &first, 200);

    let listed = home.ok(&["key", "list", "--tenant", "acme"]);
    assert!(listed.contains("ci") && listed.contains("enabled"), "{listed}");
    assert!(!listed.contains(&first), "a list shows no key");
    assert!(!listed.contains("default"), "{listed}");

    let second = home.ok(&["key", "rotate", "--tenant", "acme", "ci", "--grace", "1h"]).trim().to_owned();
    assert_ne!(first, second);
    until(&process, &second, 200);
    assert_eq!(process.chat_as(&first, CHAT), 200, "the old one goes on during its grace");

    home.ok(&["tenant", "disable", "acme"]);
    until(&process, &second, 401);
    assert_eq!(process.chat_as(&first, CHAT), 401);
    assert!(home.ok(&["tenant", "list"]).lines().any(|it| it.starts_with("acme") && it.contains("disabled")));
    home.ok(&["tenant", "enable", "acme"]);
    until(&process, &second, 200);

    home.ok(&["key", "revoke", "--tenant", "acme", "ci"]);
    until(&process, &second, 401);
    assert_eq!(process.chat_as(&first, CHAT), 200, "the old one has a name of its own by now");
    let listed = home.ok(&["key", "list", "--tenant", "acme"]);
    let retired = listed.lines().skip(1).find(|it| it.contains("enabled")).unwrap();
    let retired = retired.split("  ").map(str::trim).filter(|it| !it.is_empty()).nth(1).unwrap();
    home.ok(&["key", "revoke", "--tenant", "acme", retired]);
    until(&process, &first, 401);
    assert_eq!(process.chat_as(KEY, CHAT), 200, "others are not touched");
}

#[test]
fn a_rotation_without_grace_ends_the_old_key() {
    let (process, _simulator) = echoing("");
    process.home.ok(&["tenant", "create", "acme"]);
    let first = process.home.ok(&["key", "create", "--tenant", "acme", "ci"]).trim().to_owned();
    until(&process, &first, 200);
    let second =
        process.home.ok(&["key", "rotate", "--tenant", "acme", "ci", "--grace", "0s"]).trim().to_owned();
    until(&process, &second, 200);
    assert_eq!(process.chat_as(&first, CHAT), 401);
}

#[test]
fn a_command_that_cannot_do_it_says_why() {
    let (process, _simulator) = echoing("");
    let home = &process.home;
    home.ok(&["tenant", "create", "acme"]);
    for (arguments, words) in [
        (&["tenant", "create", "acme"][..], "acme"),
        (&["tenant", "disable", "nobody"], "nobody"),
        (&["tenant", "disable", "default"], "file"),
        (&["key", "create", "--tenant", "nobody", "x"], "nobody"),
        (&["key", "revoke", "--tenant", "acme", "x"], "x"),
        (&["key", "revoke", "--tenant", "default", "key-1"], "file"),
        (&["key", "rotate", "--tenant", "default", "key-1"], "file"),
        (&["credential", "remove", "019a0000-0000-7000-8000-000000000000"], "019a0000"),
        (&["credential", "replace", "019a0000-0000-7000-8000-000000000000"], "019a0000"),
        (&["report", "--tenant", "nobody"], "nobody"),
        (&["report", "--by", "colour"], "colour"),
        (&["explain", "req_019a0000000070008000000000000000"], "within a second"),
        (&["explain", "cred_019a0000000070008000000000000000"], "x-dragoman-request-id"),
        (&["explain"], "REQUEST-ID"),
    ] {
        let output = home.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}

#[test]
fn credentials_change_under_a_running_gateway() {
    let simulator = Simulator::play("");
    let address = simulator.address;
    let process = Process::start(
        &format!(
            "api-keys: [{KEY}]
upstreams:
  - {{ name: sim, kind: openai, base-url: 'http://{address}/v1', proxy-url: direct, models: [{{ name: {CHAT} }}] }}
"
        ),
        &[],
    );
    let refused = process.post("/v1/chat/completions", chat(CHAT));
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.error("").1.contains("has no credential"), "{}", refused.text());

    let home = &process.home;
    let last_four = |wanted: &str| {
        wait_for(&format!("the credential `{wanted}`"), || {
            let status = process.chat_as(KEY, CHAT);
            let entry = simulator.log().last().cloned();
            (status == 200 && entry.is_some_and(|it| it["credential"].as_str().unwrap().ends_with(wanted)))
                .then_some(())
        });
    };
    let said =
        home.ok_with_input(&["credential", "add", "--upstream", "sim", "main"], "sk-first-credential-AAAA\n");
    last_four("AAAA");
    let id = said.trim().rsplit(' ').next().unwrap();
    let listed = home.ok(&["credential", "list"]);
    assert!(listed.contains(id) && listed.contains("main"), "{listed}");
    assert!(!listed.contains("AAAA"), "{listed}");

    home.ok_with_input(&["credential", "replace", id], "sk-second-credential-BBBB");
    last_four("BBBB");
    home.ok(&["credential", "remove", id]);
    until(&process, KEY, 503);
}

#[test]
fn a_report_comes_as_table_csv_and_json() {
    let (process, _simulator) = echoing("");
    for model in [CHAT, MESSAGES, CHAT] {
        assert_eq!(process.ask(&post("/v1/chat/completions", KEY, chat(model).as_bytes())).status, 200);
    }
    let report = |arguments: &[&str]| process.home.ok(&[&["report"], arguments].concat());
    let rows = wait_for("the usage", || {
        let rows: Value = serde_json::from_str(&report(&["--by", "model", "--format", "json"])).unwrap();
        let attempts: u64 = rows.as_array()?.iter().map(|it| it["attempts"].as_u64().unwrap()).sum();
        (attempts == 3).then_some(rows)
    });
    let chat_row = rows.as_array().unwrap().iter().find(|it| it["model"] == CHAT).unwrap();
    assert_eq!(chat_row["attempts"], 2, "{rows}");
    assert!(chat_row["output"].as_u64().unwrap() > 0, "{rows}");
    let csv = report(&["--by", "key,model", "--format", "csv"]);
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.starts_with("key,model,"), "{csv}");
    let table = report(&["--since", "1h"]);
    assert!(table.contains(CHAT) && table.contains("key-1"), "{table}");
    assert!(!table.contains(KEY) && !table.contains(CREDENTIAL));
    assert!(report(&["--tenant", "default", "--by", "tenant"]).contains("default"));
}

#[test]
fn a_request_is_explained_with_what_its_upstream_was_not_told() {
    let (process, _simulator) = echoing("");
    let secret = "the launch is on friday";
    let body = format!(
        r#"{{"model":"{MESSAGES}","seed":7,"max_tokens":9,"metadata":{{"{secret}":"{secret}"}},
            "messages":[{{"role":"user","content":"{secret}"}}]}}"#
    );
    let answer = process.post("/v1/chat/completions", body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let request = answer.header("x-dragoman-request-id").unwrap().to_owned();
    let json = wait_for("the record", || {
        let output = process.home.run(&["explain", &request, "--json"]);
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    });
    let explained: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&explained["request"], &explained["tenant"]["name"]), (&request.into(), &"default".into()));
    assert_eq!(
        (&explained["client_dialect"], &explained["model_name"]),
        (&"openai-chat".into(), &MESSAGES.into())
    );
    let attempts = explained["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1, "{json}");
    let attempt = &attempts[0];
    assert_eq!((&attempt["upstream"], &attempt["outcome"]), (&"anthropic-sim".into(), &"completed".into()));
    assert_eq!((&attempt["status"], &attempt["finish"]), (&200.into(), &"stop".into()));
    assert!(attempt["usage"]["output"].as_u64().unwrap() > 0, "{json}");
    let seed = attempt["losses"].as_array().unwrap().iter().find(|it| it["at"] == "/seed");
    assert_eq!(seed.unwrap()["action"], "dropped", "{json}");

    let table = process.home.ok(&["explain", explained["request"].as_str().unwrap()]);
    for words in ["default (ten_", "anthropic-sim", "anthropic-messages", "completed", "/seed", "cosmetic"] {
        assert!(table.contains(words), "`{words}` is not in\n{table}");
    }
    for said in [&json, &table] {
        assert!(!said.contains(secret) && !said.contains(KEY) && !said.contains(CREDENTIAL), "{said}");
    }
}
