//! Start, reload, stop; alone and beside another process.

use std::{fs, os::unix::fs::symlink, sync::Arc};

use super::support::{
    CHAT, Connection, Home, KEY, MESSAGES, Process, Simulator, chat, messages, playing, post, wait_for,
};

/// Streams that begin and fall silent; others that take their time.
const STREAMS: &str = "
rules:
  - { when: { contains: no-more }, fault: { after-events: 3, kind: hang }, reply: { answer: { text: one two three } } }
  - { when: { contains: wait }, reply: hang }
  - { when: { contains: slow }, delay: { between: 50ms }, pace: { chunks: 20 }, reply: { answer: { text: word, repeat: 20 } } }
";

const ALIAS: &str = "aliases: [{ name: other-name, targets: [chat-model] }]";

fn streamed(body: &str, what: &str) -> String {
    body.replace("hello", what).replacen('{', "{\"stream\":true,", 1)
}

/// Opens a stream and waits for its first piece.
fn begin(process: &Process, path: &str, body: &str) -> Connection {
    let mut connection = process.connect();
    connection.send(&post(path, KEY, body.as_bytes()));
    assert!(connection.head().unwrap().starts_with("HTTP/1.1 200"));
    connection.chunk().unwrap();
    connection
}

/// What is left of a chunked body.
fn rest(connection: &mut Connection) -> String {
    let mut text = Vec::new();
    while let Some(chunk) = connection.chunk() {
        text.extend(chunk);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn a_changed_file_is_taken_over() {
    let (process, simulator) = playing(STREAMS, "");
    assert_eq!(process.chat_as(KEY, "other-name"), 404);
    let mut before = begin(&process, "/v1/chat/completions", &streamed(&chat(CHAT), "slow"));
    process.home.rewrite(&simulator.config(ALIAS));
    wait_for("the alias", || (process.chat_as(KEY, "other-name") == 200).then_some(()));
    assert!(rest(&mut before).trim_end().ends_with("data: [DONE]"), "what was under way goes on");
    process.home.rewrite(&simulator.config(""));
    wait_for("the alias to go", || (process.chat_as(KEY, "other-name") == 404).then_some(()));
}

#[test]
fn a_bad_file_is_refused_and_the_old_one_goes_on() {
    let (process, simulator) = playing(STREAMS, ALIAS);
    process
        .home
        .rewrite(&simulator.config("aliases: [{ name: x, targets: [] }]\nrouting: { stratgy: fill-first }"));
    // One line for each fault: the last of them is waited for, whichever that is.
    let faults = ["Refused the new configuration", "routing.stratgy", "aliases[0]"];
    wait_for("the refusal", || faults.iter().all(|it| process.stderr().contains(it)).then_some(()));
    assert!(process.stderr().contains("did you mean `strategy`?"), "{}", process.stderr());
    assert_eq!(process.chat_as(KEY, "other-name"), 200);
    process.home.rewrite(&simulator.config("aliases: [{ name: third-name, targets: [chat-model] }]"));
    wait_for("the good file", || (process.chat_as(KEY, "third-name") == 200).then_some(()));
}

#[test]
fn sighup_reloads_what_no_watch_sees() {
    let simulator = Simulator::play("");
    let elsewhere = tempfile::tempdir().unwrap();
    let real = elsewhere.path().join("real.yaml");
    let home = Home::new("");
    fs::write(&real, simulator.config("")).unwrap();
    fs::remove_file(home.config()).unwrap();
    symlink(&real, home.config()).unwrap();
    let process = Process::start_in(Arc::new(home), &[]);
    assert_eq!(process.chat_as(KEY, "other-name"), 404);
    fs::write(&real, simulator.config(ALIAS)).unwrap();
    process.signal("HUP");
    wait_for("the alias", || (process.chat_as(KEY, "other-name") == 200).then_some(()));
}

#[test]
fn sigterm_ends_streams_in_their_own_words_after_the_grace() {
    let (mut process, _simulator) = playing(STREAMS, "shutdown: { grace: 1s }");
    let mut streams = Vec::new();
    for path in ["/v1/chat/completions", "/v1/messages"] {
        for model in [CHAT, MESSAGES] {
            streams.push((path, model, begin(&process, path, &streamed(&messages(model), "no-more"))));
        }
    }
    let mut whole = process.connect();
    let waiting = messages(MESSAGES).replace("hello", "wait");
    whole.send(&post("/v1/messages", KEY, waiting.as_bytes()));
    process.signal("TERM");
    for (path, model, stream) in &mut streams {
        let text = rest(stream);
        let last = text.trim_end().rsplit("\n\n").find(|it| it.contains("error")).unwrap_or_else(|| {
            panic!("{path} to {model} did not say that it ended: {text}");
        });
        if *path == "/v1/messages" {
            assert!(last.starts_with("event: error\n"), "{text}");
            assert!(last.contains("overloaded_error"), "{text}");
            assert!(!text.contains("message_stop"), "{text}");
        } else {
            assert!(last.starts_with("data: {\"error\":"), "{text}");
            assert!(!text.contains("[DONE]"), "{text}");
        }
        assert!(last.contains("try again"), "{text}");
    }
    let answer = whole.answer().unwrap();
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.error("/v1/messages").0, "overloaded_error");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(process.wait().code(), Some(0), "{}", process.stderr());
}

#[test]
fn a_gateway_that_stops_is_not_ready_and_takes_no_work_but_finishes_its_own() {
    let (mut process, simulator) = playing(STREAMS, "shutdown: { grace: 10m }");
    let mut slow = begin(&process, "/v1/chat/completions", &streamed(&chat(CHAT), "slow"));
    let mut silent = begin(&process, "/v1/messages", &streamed(&messages(MESSAGES), "no-more"));
    process.signal("TERM");
    wait_for("not ready", || (process.get("/readyz").status == 503).then_some(()));
    assert_eq!(process.get("/healthz").status, 200);
    for path in ["/v1/chat/completions", "/v1/messages"] {
        let refused = process.post(path, messages(CHAT));
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert!(refused.error(path).1.contains("try again"));
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    assert_eq!(simulator.log().len(), 2, "nothing new arrived");
    assert!(rest(&mut slow).trim_end().ends_with("data: [DONE]"));
    // The other would last for ten minutes.
    process.signal("TERM");
    assert!(rest(&mut silent).contains("event: error"));
    assert_eq!(process.wait().code(), Some(0), "{}", process.stderr());
    let report = process.home.ok(&["report", "--by", "model", "--format", "csv"]);
    assert_eq!(report.lines().count(), 3, "{report}");
}

#[test]
fn an_idle_gateway_stops_at_once_at_either_signal() {
    for signal in ["TERM", "INT"] {
        let (mut process, _simulator) = playing(STREAMS, "shutdown: { grace: 10m }");
        process.assert_answers();
        let mut idle = process.connect();
        process.signal(signal);
        assert_eq!(process.wait().code(), Some(0), "{}", process.stderr());
        assert!(idle.is_closed());
    }
}

#[test]
fn a_second_process_on_the_same_port_is_told_so() {
    let (process, simulator) = playing(STREAMS, "");
    let home = Arc::new(Home::bare(&simulator.config("")));
    let mut second = Process::launch(Arc::clone(&home), &process.address.to_string(), &[]);
    assert_eq!(second.wait().code(), Some(1));
    let said = wait_for("its last words", || Some(second.stderr()).filter(|it| !it.is_empty()));
    assert!(said.contains(&format!("cannot listen on `{}`", process.address)), "{said}");
    assert!(!home.data().exists(), "it touched nothing");
    process.assert_answers();
}

#[test]
fn processes_that_start_together_in_one_data_directory_share_it() {
    let simulator = Simulator::play("");
    let home = Arc::new(Home::bare(&simulator.config("")));
    let mut processes: Vec<_> =
        (0..3).map(|_| Process::launch(Arc::clone(&home), "127.0.0.1:0", &[])).collect();
    for process in &mut processes {
        process.become_ready();
        process.assert_answers();
    }
    let shown: usize = processes.iter().map(|it| it.stdout().matches("Operator secret").count()).sum();
    assert_eq!(shown, 1, "one secret, shown once");
    wait_for("every process's usage", || {
        let report = home.ok(&["report", "--by", "tenant", "--format", "csv"]);
        report.contains(",3,").then_some(())
    });
    // One dies; the others go on, and what it had recorded stays.
    drop(processes.pop());
    for process in &processes {
        process.assert_answers();
    }
}
