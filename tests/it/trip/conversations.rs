//! Conversations of Responses that go on by reference, whoever answers them.

use serde_json::{Value, json};

use super::events;
use crate::support::{
    gateway::{BOTH, TestGateway},
    http::{Reply, Request},
};

const OTHER_KEY: &str = "sk-another-tenants-own-key-0001";
const NATIVE: &str = "
  - name: native
    kind: openai-responses
    base-url: {sim}/v1
    proxy-url: direct
    credentials: [{ name: r, api-key: sk-upstream-native-3333 }]
    models: [{ name: sim-r, alias: native }]
";

/// `BOTH` and an upstream of Responses, with responses kept or not, and another tenant.
fn config(store: bool) -> String {
    let tenants = format!("tenants: [{{ name: zoo, keys: [{{ name: ci, key: {OTHER_KEY} }}] }}]");
    format!("{BOTH}{NATIVE}\nresponses: {{ store: {store} }}\n{tenants}\n")
}

async fn ask(gateway: &TestGateway, body: &Value) -> (Reply, Value) {
    let mut reply = gateway.post("/v1/responses", body.to_string()).await;
    let text = reply.text().await;
    let answer = if body["stream"] == true && reply.status == 200 {
        let last = events(&text).pop().unwrap();
        assert_eq!(last["type"], "response.completed", "{text}");
        last["response"].clone()
    } else {
        serde_json::from_str(&text).unwrap_or_else(|it| panic!("{it}: {text}"))
    };
    (reply, answer)
}

async fn refused(gateway: &TestGateway, body: &Value) -> Value {
    let (reply, answer) = ask(gateway, body).await;
    assert_eq!(reply.status, 400, "{answer}");
    answer["error"].clone()
}

fn texts(value: &Value) -> String {
    value.to_string()
}

#[tokio::test]
async fn ec_169_a_stored_response_is_gone_on_from_at_every_upstream() {
    let gateway = TestGateway::start(&config(true), "").await;
    for (model, stream) in [
        ("native", false),
        ("smart", false),
        ("wise", false),
        ("native", true),
        ("smart", true),
        ("wise", true),
    ] {
        let first =
            json!({"model": model, "stream": stream, "instructions": "Once.", "input": "My name is Ada."});
        let (reply, first) = ask(&gateway, &first).await;
        assert_eq!(reply.status, 200, "{model}: {first}");
        let second = json!({
            "model": model, "stream": stream, "previous_response_id": first["id"],
            "input": [{"role": "user", "content": "Who am I?"}],
        });
        let (reply, second) = ask(&gateway, &second).await;
        assert_eq!(reply.status, 200, "{model}: {second}");
        let number = gateway.log().await.len();
        let asked = gateway.upstream_json(number).await;
        let said = texts(&asked);
        assert!(said.contains("My name is Ada.") && said.contains("Who am I?"), "{model}: {said}");
        assert!(said.contains("You wrote"), "the first answer is among it: {said}");
        assert!(!said.contains("Once.") && asked.get("previous_response_id").is_none(), "{model}: {said}");

        let third = json!({
            "model": model, "stream": stream, "previous_response_id": second["id"], "input": "And now?",
        });
        let (reply, third) = ask(&gateway, &third).await;
        assert_eq!(reply.status, 200, "{model}: {third}");
        let said = texts(&gateway.upstream_json(number + 1).await);
        assert!(said.contains("My name is Ada.") && said.contains("And now?"), "{model}: {said}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn ec_169_a_response_nobody_knows_is_not_found() {
    let body = json!({"model": "smart", "input": "Hi", "previous_response_id": "resp_unknown"});
    for store in [true, false] {
        let gateway = TestGateway::start(&config(store), "").await;
        let error = refused(&gateway, &body).await;
        assert_eq!(error["code"], "previous_response_not_found", "{error}");
        assert_eq!(error["param"], "previous_response_id", "{error}");
        assert_eq!(
            error["message"].as_str().unwrap().contains("`responses.store` is off"),
            !store,
            "{error}"
        );
        let item = json!({"model": "smart", "input": [{"type": "item_reference", "id": "msg_unknown"}]});
        let error = refused(&gateway, &item).await;
        assert_eq!(error["code"], "item_not_found", "{error}");
        assert!(gateway.log().await.is_empty(), "nothing was sent");
        // An upstream of Responses may know it, and is asked: unless answers are kept here, for then it is somebody else's.
        let native = json!({"model": "native", "input": "Hi", "previous_response_id": "resp_unknown"});
        let error = refused(&gateway, &native).await;
        assert_eq!(error["code"], "previous_response_not_found", "{error}");
        assert_eq!(gateway.log().await.len(), usize::from(!store));
        gateway.stop().await;
    }
}

#[tokio::test]
async fn ec_170_what_only_openai_can_do_is_refused_for_everyone_else() {
    let gateway = TestGateway::start(&config(false), "").await;
    for (field, value) in [
        ("conversation", json!("conv_1")),
        ("background", json!(true)),
        ("prompt", json!({"id": "pmpt_1"})),
        ("tools", json!([{"type": "file_search", "vector_store_ids": ["vs_1"]}])),
    ] {
        let mut body = json!({"model": "smart", "input": "Hi"});
        body[field] = value;
        let error = refused(&gateway, &body).await;
        assert_eq!(error["code"], "unsupported_parameter", "{error}");
        assert!(error["param"].as_str().unwrap().starts_with(field), "{error}");
    }
    assert!(gateway.log().await.is_empty(), "nothing was sent");
    let (reply, answer) = ask(&gateway, &json!({"model": "smart", "input": "Hi", "background": false})).await;
    assert_eq!(reply.status, 200, "{answer}");
    assert_eq!(answer["store"], false, "what is not kept is not said to be: {answer}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_stored_response_is_read_listed_and_forgotten_by_its_tenant_alone() {
    let gateway = TestGateway::start(&config(true), "").await;
    let (_, first) = ask(&gateway, &json!({"model": "native", "input": "One"})).await;
    let body = json!({"model": "native", "previous_response_id": first["id"], "input": [
        {"role": "user", "content": "Two"}, {"role": "user", "content": "Three"},
    ]});
    let (_, second) = ask(&gateway, &body).await;
    let path = format!("/v1/responses/{}", second["id"].as_str().unwrap());

    let mut reply = gateway.get(&path).await;
    assert_eq!((reply.status, reply.json().await), (200, second.clone()));
    let mut all = gateway.get(&format!("{path}/input_items?order=asc&limit=100")).await.json().await;
    let data = all["data"].take();
    assert_eq!(data.as_array().unwrap().len(), 4, "question, answer, two questions: {data}");
    assert!(data[3].to_string().contains("Three") && data[0].to_string().contains("One"), "{data}");
    assert_eq!(all["has_more"], false);
    let page = gateway.get(&format!("{path}/input_items?limit=1")).await.json().await;
    assert_eq!((&page["data"][0], &page["has_more"]), (&data[3], &json!(true)));
    let after = page["last_id"].as_str().unwrap();
    let page = gateway.get(&format!("{path}/input_items?limit=1&after={after}")).await.json().await;
    assert_eq!(page["data"][0], data[2]);
    for query in ["limit=0", "limit=101", "limit=x", "order=up", "after=nothing"] {
        assert_eq!(gateway.get(&format!("{path}/input_items?{query}")).await.status, 400, "{query}");
    }
    let reference = json!({"model": "native", "input": [{"type": "item_reference", "id": data[3]["id"]}]});
    let (reply, answer) = ask(&gateway, &reference).await;
    assert_eq!(reply.status, 200, "{answer}");
    let asked = gateway.upstream_json(3).await;
    assert!(asked["input"].to_string().contains("Three"), "{asked}");

    for request in [Request::get(&path), Request::get(&format!("{path}/input_items"))] {
        assert_eq!(gateway.send(&request.bearer(OTHER_KEY)).await.status, 404);
    }
    let theirs = json!({"model": "smart", "input": "Hi", "previous_response_id": second["id"]});
    let theirs = Request::post("/v1/responses", theirs.to_string()).bearer(OTHER_KEY);
    assert_eq!(gateway.send(&theirs).await.json().await["error"]["code"], "previous_response_not_found");
    assert_eq!(gateway.send(&Request::delete(&path).bearer(OTHER_KEY)).await.status, 404);

    let gone = gateway.send(&Request::delete(&path).bearer(crate::support::gateway::KEY)).await.json().await;
    assert_eq!(gone["deleted"], true);
    assert_eq!(gateway.get(&path).await.status, 404);
    let mut reply = gateway.post(&format!("{path}/cancel"), "").await;
    let error = reply.json().await;
    assert!(
        reply.status == 400 && error["error"]["message"].as_str().unwrap().contains("background"),
        "{error}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn what_must_not_be_kept_is_not() {
    let gateway = TestGateway::start(&config(true), "").await;
    let (_, answer) = ask(&gateway, &json!({"model": "native", "store": false, "input": "One"})).await;
    let path = format!("/v1/responses/{}", answer["id"].as_str().unwrap());
    assert_eq!(gateway.get(&path).await.status, 404);
    gateway.stop().await;
    let gateway = TestGateway::start(&config(false), "").await;
    let (_, answer) = ask(&gateway, &json!({"model": "native", "input": "One"})).await;
    let path = format!("/v1/responses/{}", answer["id"].as_str().unwrap());
    let error = gateway.get(&path).await.json().await;
    assert!(error["error"]["message"].as_str().unwrap().contains("`responses.store` is off"), "{error}");
    gateway.stop().await;
}

#[tokio::test]
async fn an_expired_response_is_removed() {
    let gateway =
        TestGateway::start(&config(true).replace("store: true", "store: true, expiry: 0s"), "").await;
    let (_, answer) = ask(&gateway, &json!({"model": "native", "input": "One"})).await;
    let path = format!("/v1/responses/{}", answer["id"].as_str().unwrap());
    assert_eq!(gateway.get(&path).await.status, 404);
    let foundation = gateway.gateway.foundation();
    assert_eq!(foundation.responses.remove_expired(foundation.clock.now()).await.unwrap(), 1);
    gateway.stop().await;
}

#[tokio::test]
async fn an_upstream_of_responses_counts_and_compacts_by_itself() {
    let gateway = TestGateway::start(&config(false), "").await;
    let asked = json!({"model": "native", "input": "How long is this?"});
    let count = gateway.post("/v1/responses/input_tokens", asked.to_string()).await.json().await;
    assert!(count["input_tokens"].as_u64().unwrap() > 0, "{count}");
    assert_eq!(gateway.log().await.len(), 1, "the upstream counted");
    let mut reply = gateway.post("/v1/responses/compact", asked.to_string()).await;
    let compacted = reply.json().await;
    assert_eq!(reply.status, 200, "{compacted}");
    assert_eq!(compacted["object"], "response.compaction", "{compacted}");
    assert!(!compacted.to_string().contains("dgm1."), "it is the upstream's own: {compacted}");
    assert_eq!(gateway.attempts().await.len(), 1, "compacting is an attempt, counting is none");
    gateway.stop().await;
}

#[tokio::test]
async fn ec_050_a_conversation_is_made_short_where_the_upstream_cannot() {
    let gateway = TestGateway::start(&config(false), "").await;
    for model in ["wise", "smart"] {
        let input = json!([
            {"role": "user", "content": "My name is Ada."},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello Ada."}]},
        ]);
        let body = json!({"model": model, "input": input});
        let mut reply = gateway.post("/v1/responses/compact", body.to_string()).await;
        let compacted = reply.json().await;
        assert_eq!(reply.status, 200, "{compacted}");
        let output = compacted["output"].as_array().unwrap();
        assert_eq!((output.len(), &output[0]["type"]), (1, &json!("compaction")), "{compacted}");

        // As an item in an ordinary request, streamed, the answer is that one item too.
        let mut triggered = input.as_array().unwrap().clone();
        triggered.push(json!({"type": "compaction_trigger"}));
        for stream in [false, true] {
            let body = json!({"model": model, "stream": stream, "input": triggered});
            let (reply, answer) = ask(&gateway, &body).await;
            assert_eq!(reply.status, 200, "{answer}");
            let output = answer["output"].as_array().unwrap();
            assert_eq!((output.len(), &output[0]["type"]), (1, &json!("compaction")), "{answer}");
            assert!(answer["usage"]["input_tokens"].as_u64().unwrap() > 0, "{answer}");
        }

        let body = json!({"model": model, "input": [output[0], {"role": "user", "content": "Go on"}]});
        let (reply, answer) = ask(&gateway, &body).await;
        assert_eq!(reply.status, 200, "{answer}");
        let number = gateway.log().await.len();
        let asked = String::from_utf8(gateway.upstream_body(number).await).unwrap();
        assert!(asked.contains("was made short") && asked.contains("Go on"), "{asked}");
        assert!(!asked.contains("dgm1.") && !asked.contains("encrypted_content"), "{asked}");

        let theirs = Request::post("/v1/responses", body.to_string()).bearer(OTHER_KEY);
        let mut reply = gateway.send(&theirs).await;
        let error = reply.json().await;
        assert_eq!(
            (reply.status, &error["error"]["param"]),
            (400, &json!("input[0].encrypted_content")),
            "{error}"
        );
    }
    assert_eq!(gateway.attempts().await.len(), 8, "each summary is paid for");
    gateway.stop().await;
}
