//! Many at once.

use std::collections::HashMap;

use dragoman::usage::Ending;
use futures::future::join_all;
use serde_json::json;

use super::said;
use crate::support::gateway::TestGateway;

/// How many exchanges are under way at once.
const MANY: usize = 200;

#[tokio::test]
async fn two_hundred_at_once_each_get_their_own_answer_and_one_row() {
    let gateway = TestGateway::with_both("").await;
    let exchanges = (1..=MANY).map(|number| {
        let gateway = &gateway;
        async move {
            let (model, stream) = (if number % 2 == 0 { "smart" } else { "wise" }, number % 4 < 2);
            let question = "x".repeat(number);
            let body = json!({"model": model, "stream": stream, "max_tokens": 100, "messages": [{"role": "user", "content": question}]}).to_string();
            let is_messages = number % 3 == 0;
            let mut reply = if is_messages { gateway.messages(body).await } else { gateway.chat(body).await };
            let text = reply.text().await;
            assert_eq!(reply.status, 200, "{text}");
            let answer = if stream { said(&text) } else { text };
            assert!(answer.contains(&format!("You wrote {number} characters.")), "{number}: {answer}");
            reply.header("x-dragoman-request-id").unwrap().to_owned()
        }
    });
    let mut requests = join_all(exchanges).await;
    let rows = gateway.attempts().await;
    assert_eq!(rows.len(), MANY);
    let mut written: Vec<_> = rows.iter().map(|it| it.intent.request.to_string()).collect();
    written.sort_unstable();
    requests.sort_unstable();
    assert_eq!(written, requests);

    let log = gateway.log().await;
    let played: HashMap<&str, &serde_json::Value> =
        log.iter().map(|it| (it["answer_id"].as_str().unwrap(), &it["usage"])).collect();
    assert_eq!(played.len(), MANY);
    for row in &rows {
        let usage = played[row.upstream_id.as_deref().unwrap()];
        let sum = |names: &[&str]| names.iter().map(|it| usage[*it].as_u64().unwrap()).sum::<u64>();
        assert_eq!(row.ending, Ending::Completed);
        assert_eq!(row.usage.total_input(), sum(&["input", "cached", "cache-write"]), "{row:#?}");
        assert_eq!(row.usage.total_output(), sum(&["output"]), "{row:#?}");
    }
    gateway.idle().await;
    gateway.stop().await;
}
