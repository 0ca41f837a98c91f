//! The client leaves: its upstream call ends with it, also while nothing is being written to anybody.

use serde_json::Value;

use super::support::{CHAT, Connection, KEY, MESSAGES, messages, playing, post, wait_for};

/// Silent before its headers, or after its first events.
const SILENCE: &str = "
rules:
  - { when: { contains: no-headers }, reply: hang }
  - { when: { contains: no-more }, fault: { after-events: 3, kind: hang }, reply: { answer: { text: one two three } } }
";

/// No sign of life is due during the test, so that nothing but the connection tells that the client has gone.
const NO_SIGNS_OF_LIFE: &str = "server: { keep-alive: 10m }";

#[test]
fn a_client_that_leaves_takes_its_upstream_call_with_it() {
    let (process, simulator) = playing(SILENCE, NO_SIGNS_OF_LIFE);
    let mut asked = 0;
    for path in ["/v1/chat/completions", "/v1/messages"] {
        for model in [CHAT, MESSAGES] {
            for (stream, silence) in [("false", "no-headers"), ("true", "no-headers"), ("true", "no-more")] {
                let body = messages(model).replace("hello", silence).replacen(
                    '{',
                    &format!("{{\"stream\":{stream},"),
                    1,
                );
                let mut connection = Connection::open(process.address);
                connection.send(&post(path, KEY, body.as_bytes()));
                asked += 1;
                let arrived = || simulator.log().get(asked - 1).cloned();
                wait_for("the request at the upstream", arrived);
                if silence == "no-more" {
                    // The answer has begun.
                    assert!(connection.head().unwrap().starts_with("HTTP/1.1 200"));
                    connection.chunk().unwrap();
                }
                assert_eq!(arrived().unwrap()["outcome"], "open");
                drop(connection);
                wait_for(&format!("the end of the call of {path} to {model}, {silence}"), || {
                    arrived().filter(|it| it["outcome"] == "aborted")
                });
            }
        }
    }
    process.assert_answers();
    let abandoned = wait_for("the ledger", || {
        let report = process.home.ok(&["report", "--by", "tenant", "--format", "json"]);
        let rows: Value = serde_json::from_str(&report).unwrap();
        let row = rows.as_array()?.first()?.clone();
        (row["attempts"] == asked + 1).then_some(row)
    });
    assert_eq!(abandoned["abandoned"], asked, "{abandoned}");
    assert_eq!(abandoned["completed"], 1, "{abandoned}");
}
