//! Secrets: shown once, kept for their owner alone, told to nobody else.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use super::support::{
    Answer, CHAT, CREDENTIAL, Home, KEY, MESSAGES, Process, Simulator, chat, messages, playing, post,
    wait_for,
};

fn operator_secret(process: &Process) -> String {
    let line = wait_for("the operator's secret", || {
        process.stdout().lines().find(|it| it.contains("Operator secret")).map(str::to_owned)
    });
    line.rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn the_operator_s_secret_is_shown_at_the_first_start_only() {
    let simulator = Simulator::play("");
    let home = Arc::new(Home::bare(&simulator.config("")));
    let first = Process::start_in(Arc::clone(&home), &[]);
    let secret = operator_secret(&first);
    assert!(secret.starts_with("op-dgm-") && secret.len() > 40, "{secret}");
    assert!(!first.stderr().contains(&secret));
    drop(first);
    let second = Process::start_in(Arc::clone(&home), &[]);
    second.assert_answers();
    assert!(!second.stdout().contains("Operator secret"));
    for (path, _) in files(&home.data()) {
        let bytes = fs::read(&path).unwrap_or_default();
        assert!(memchr::memmem::find(&bytes, secret.as_bytes()).is_none(), "{path}");
    }
}

#[test]
fn the_data_directory_is_its_owner_s_alone() {
    let simulator = Simulator::play("");
    let home = Arc::new(Home::bare(&simulator.config("")));
    let process = Process::start_in(Arc::clone(&home), &[]);
    home.ok_with_input(&["credential", "add", "--upstream", "openai-sim", "stored"], CREDENTIAL);
    process.assert_answers();
    assert_eq!(mode(&home.data()), 0o700);
    let files = files(&home.data());
    assert!(files.len() > 5, "{files:?}");
    for (path, mode) in files {
        let wanted = if Path::new(&path).is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, wanted, "{path} has {mode:o}");
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Everything below a directory, with its mode; what goes meanwhile is left out.
fn files(directory: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        found.push((entry.path().display().to_string(), metadata.permissions().mode() & 0o777));
        if metadata.is_dir() {
            found.extend(files(&entry.path()));
        }
    }
    found
}

#[test]
fn nothing_secret_is_logged_or_measured_even_at_trace() {
    const PROMPT: &str = "prompt-that-is-nobody-s-business";
    const STORED: &str = "stored-credential-0123456789";
    const ANSWER: &str = "answer-that-is-nobody-s-business";
    let scenario = format!(
        "
rules:
  - {{ when: {{ contains: fail-now, credential: 'stored-*' }}, reply: {{ error: {{ status: 500, message: 'no: {STORED}' }} }} }}
  - {{ when: {{ contains: fail-now }}, reply: {{ error: {{ status: 500, message: 'no: {CREDENTIAL}' }} }} }}
  - {{ when: {{ contains: break-off }}, fault: {{ after-events: 4, kind: close }}, reply: {{ answer: {{ text: {ANSWER} }} }} }}
  - {{ reply: {{ answer: {{ text: {ANSWER} }} }} }}
"
    );
    let (process, _simulator) = playing(&scenario, "log: { format: json, level: trace }");
    process.home.ok_with_input(&["credential", "add", "--upstream", "openai-sim", "stored"], STORED);
    process.home.ok(&["tenant", "create", "acme"]);
    let made = process.home.ok(&["key", "create", "--tenant", "acme", "ci"]);
    let made = made.trim();
    wait_for("the new key", || (process.chat_as(made, CHAT) == 200).then_some(()));
    let wrong = "wrong-key-0123456789abcdef";
    for key in [KEY, made, wrong] {
        for model in [CHAT, MESSAGES] {
            for word in ["", "fail-now", "break-off", "\\ud800 bad \\x"] {
                for stream in ["true", "false"] {
                    let body = messages(model).replace("hello", &format!("{PROMPT} {word}")).replacen(
                        '{',
                        &format!("{{\"stream\":{stream},"),
                        1,
                    );
                    let answers: Vec<Answer> =
                        ["/v1/chat/completions", "/v1/messages", "/v1/messages/count_tokens"]
                            .iter()
                            .map(|path| process.ask(&post(path, key, body.as_bytes())))
                            .collect();
                    for answer in answers {
                        for secret in [CREDENTIAL, STORED, KEY, made] {
                            assert!(!answer.text().contains(secret), "{}", answer.text());
                        }
                    }
                }
            }
        }
    }
    for form in ["x-api-key", "x-goog-api-key"] {
        process.ask(format!("GET /v1/models HTTP/1.1\r\nhost: x\r\n{form}: {KEY}\r\n\r\n").as_bytes());
    }
    process.ask(format!("GET /v1/models?key={KEY} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
    process.ask(&post("/v1/chat/completions", KEY, chat("model-with-secret").as_bytes()));
    let metrics = process.get("/metrics").text();
    assert!(metrics.contains("dragoman"), "{metrics}");
    process.signal("HUP");
    wait_for("the reload", || process.stderr().contains("Loaded the configuration").then_some(()));
    let log = process.stderr();
    assert!(log.contains("\"level\":\"TRACE\"") || log.contains("\"level\":\"DEBUG\""), "{log}");
    for secret in [KEY, made, wrong, CREDENTIAL, STORED, PROMPT, ANSWER] {
        for (what, text) in [("log", &log), ("metrics", &metrics), ("output", &process.stdout())] {
            let line = text.lines().find(|it| it.contains(secret));
            assert!(line.is_none(), "the {what} has `{secret}`: {line:?}");
        }
    }
}

#[test]
fn metrics_beyond_loopback_want_the_operator_s_secret() {
    let simulator = Simulator::play("");
    let home = Arc::new(Home::bare(&simulator.config("")));
    let mut process = Process::launch(Arc::clone(&home), "0.0.0.0:0", &[]);
    process.become_ready();
    process.address = SocketAddr::from(([127, 0, 0, 1], process.address.port()));
    let secret = operator_secret(&process);
    let ask =
        |fields: &str| process.ask(format!("GET /metrics HTTP/1.1\r\nhost: x\r\n{fields}\r\n").as_bytes());
    assert_eq!(ask("").status, 401);
    assert_eq!(ask("").header("www-authenticate"), Some("Bearer"));
    assert_eq!(ask(&format!("authorization: Bearer {KEY}\r\n")).status, 401);
    assert_eq!(ask(&format!("authorization: Bearer {secret}x\r\n")).status, 401);
    let right = ask(&format!("authorization: Bearer {secret}\r\n"));
    assert_eq!(right.status, 200);
    assert!(right.text().contains("dragoman"), "{}", right.text());
    assert_eq!(process.get("/healthz").status, 200);
    process.assert_answers();
}
