//! Upstreams with ways of their own, by their model's abilities: read and asked otherwise than the dialect has it.

use serde_json::{Value, json};

use super::{chat, chat_stream, events, messages};
use crate::support::gateway::{BOTH, TestGateway};

const TAGGED: &str = "
rules:
  - reply: { answer: { text: \"<think>hm, let me see</think>\\n\\nyes\" } }
";

/// `BOTH`, where the Chat model's abilities are these too.
fn with(abilities: &str) -> String {
    format!("{BOTH}\nabilities: [{{ model: gpt-sim, {abilities} }}]\n")
}

#[tokio::test]
async fn ec_175_a_chat_client_is_told_the_reasoning_of_a_model_that_tags_it() {
    let gateway = TestGateway::start(&with("think-tags: true"), TAGGED).await;
    let answer = gateway.chat(chat("smart")).await.json().await;
    let message = &answer["choices"][0]["message"];
    assert_eq!(
        (&message["reasoning_content"], &message["content"]),
        (&json!("hm, let me see"), &json!("yes"))
    );
    let stream = gateway.chat(chat_stream("smart")).await.text().await;
    let joined = |key: &str| -> String {
        events(&stream)
            .iter()
            .filter_map(|it| it["choices"][0]["delta"][key].as_str().map(str::to_owned))
            .collect()
    };
    assert_eq!(
        (joined("reasoning_content"), joined("content")),
        ("hm, let me see".to_owned(), "yes".to_owned())
    );
    let answer = gateway.messages(messages("smart")).await.json().await;
    assert_eq!(answer["content"][0]["thinking"], "hm, let me see", "{answer}");
    assert_eq!(answer["content"][1]["text"], "yes", "{answer}");
    gateway.stop().await;
}

#[tokio::test]
async fn ec_175_tags_stay_in_the_text_of_any_other_model() {
    let gateway = TestGateway::with_both(TAGGED).await;
    let answer = gateway.chat(chat("smart")).await.json().await;
    let message = &answer["choices"][0]["message"];
    assert_eq!(message["content"], "<think>hm, let me see</think>\n\nyes");
    assert_eq!(message.get("reasoning_content"), None);
    gateway.stop().await;
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
    let expected = "dropped=/x_unknown,/tools/0/function/parameters/properties/a/pattern";
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
