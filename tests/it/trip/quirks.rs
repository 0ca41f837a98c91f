//! Upstreams with ways of their own, by their model's abilities: read and asked otherwise than the dialect has it.

use serde_json::{Value, json};

use super::events;
use crate::support::gateway::{BOTH, TestGateway};

/// `BOTH`, where the Chat model's abilities are these too.
fn with(abilities: &str) -> String {
    format!("{BOTH}\nabilities: [{{ model: gpt-sim, {abilities} }}]\n")
}

/// A question with a tool whose one argument has this schema; written as nobody would write it twice.
fn with_tool(argument: &Value) -> String {
    let parameters = json!({"type": "object", "properties": {"a": argument}});
    format!(
        r#"{{ "model":"smart","x_unknown":1e2, "messages":[{{"role":"user","content":"Hello"}}],"tools":[{{"type":"function","function":{{"name":"f","parameters":{parameters}}}}}]}}"#
    )
}

#[tokio::test]
async fn ec_149_a_schema_that_is_refused_is_put_right_and_any_other_body_passes_as_it_is() {
    let gateway = TestGateway::start(&with("schema: deepseek"), "strict: false\n").await;
    let good = with_tool(&json!({"type": "string", "pattern": "^[a-z]$"}));
    let reply = gateway.chat(good.clone()).await;
    assert_eq!((reply.status, reply.header("x-dragoman-translation")), (200, None));
    let passed = String::from_utf8(gateway.upstream_body(1).await).unwrap();
    assert_eq!(passed, good.replace(r#""smart""#, r#""gpt-sim""#));

    let reply = gateway.chat(with_tool(&json!({"type": "string", "pattern": "^[^\\0]$"}))).await;
    let noted = reply.header("x-dragoman-translation");
    let expected = "dropped=/x_unknown,/tools/0/parameters/properties/a/pattern";
    assert_eq!(
        (reply.status, noted),
        (200, Some(expected)),
        "it is written anew, as for a client of another dialect"
    );
    let told = gateway.upstream_json(2).await;
    assert_eq!(told["tools"][0]["function"]["parameters"]["properties"]["a"], json!({"type": "string"}));
    assert_eq!(told["model"], "gpt-sim");
    gateway.stop().await;
}

#[tokio::test]
async fn a_search_that_no_model_makes_is_refused_by_name_if_the_client_is_strict() {
    let gateway = TestGateway::with_both("").await;
    let asked = json!({"model": "smart", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"type": "web_search_20250305", "name": "web_search"}]});
    let request = crate::support::http::Request::post("/v1/messages", asked.to_string())
        .bearer(crate::support::gateway::KEY)
        .header("x-dragoman-translation", "strict");
    let mut reply = gateway.send(&request).await;
    let error = reply.json().await;
    assert_eq!(reply.status, 400, "{error}");
    assert!(error["error"]["message"].as_str().unwrap().contains("web_search"), "{error}");
    gateway.stop().await;

    let gateway = TestGateway::start(&with("web-search-options: true"), "").await;
    let reply = gateway.send(&request).await;
    assert_eq!(reply.status, 200);
    assert_eq!(gateway.upstream_json(1).await["web_search_options"], json!({}));
    gateway.stop().await;
}

#[tokio::test]
async fn a_chat_clients_search_reaches_another_dialects_upstream_and_its_citations_come_back() {
    let cites = "
rules:
  - reply: { answer: { text: see this here, searches: [query], citations: [{ url: 'https://s.example', title: Title, cited: this }] } }
";
    let gateway = TestGateway::with_both(cites).await;
    for stream in [false, true] {
        let asked = json!({"model": "wise", "stream": stream, "messages": [{"role": "user", "content": "hi"}],
            "web_search_options": {"user_location": {"type": "approximate", "approximate": {"country": "DE"}}}});
        let mut reply = gateway.chat(asked.to_string()).await;
        let annotations: Vec<Value> = if stream {
            let text = reply.text().await;
            let all = events(&text);
            all.iter()
                .filter_map(|it| it["choices"][0]["delta"]["annotations"].as_array().cloned())
                .flatten()
                .collect()
        } else {
            reply.json().await["choices"][0]["message"]["annotations"].as_array().cloned().unwrap_or_default()
        };
        assert_eq!(annotations.len(), 1, "{annotations:?}");
        assert_eq!(annotations[0]["url_citation"]["url"], "https://s.example");
        let told = gateway.upstream_json(gateway.log().await.len()).await;
        let place = json!({"type": "approximate", "country": "DE"});
        let expected = json!([{"type": "web_search_20250305", "name": "web_search", "user_location": place}]);
        assert_eq!(told["tools"], expected);
    }
    gateway.stop().await;
}
