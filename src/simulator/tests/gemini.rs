//! Gemini, played.

use super::*;

const G: &str = "/v1beta/models";

fn contents(text: &str) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": text}]}]})
}

fn chunks(reply: &Reply) -> Vec<Value> {
    reply
        .body
        .lines()
        .filter_map(|it| it.strip_prefix("data: "))
        .map(|it| serde_json::from_str(it).unwrap())
        .collect()
}

async fn generate(sim: &Running, model: &str, body: &Value) -> Reply {
    post(sim, &format!("{G}/{model}:generateContent"), body).await
}

async fn stream(sim: &Running, model: &str, body: &Value) -> Reply {
    post(sim, &format!("{G}/{model}:streamGenerateContent?alt=sse"), body).await
}

#[tokio::test]
async fn a_whole_answer_is_one_candidate_with_usage() {
    let sim = playing("{}").await;
    let reply = generate(&sim, "sim-1", &contents("hello")).await.json();
    let candidate = &reply["candidates"][0];
    assert_eq!(candidate["content"]["parts"][0]["text"], "You wrote 5 characters.");
    assert_eq!((&candidate["finishReason"], &reply["modelVersion"]), (&json!("STOP"), &json!("sim-1")));
    let usage = &reply["usageMetadata"];
    let sum = usage["promptTokenCount"].as_u64().unwrap() + usage["candidatesTokenCount"].as_u64().unwrap();
    assert_eq!(usage["totalTokenCount"], sum);
    sim.stop().await;
}

#[tokio::test]
async fn a_stream_comes_as_events_or_as_an_array() {
    let sim = playing("{}").await;
    let thinks =
        json!({"generationConfig": {"thinkingConfig": {"includeThoughts": true, "thinkingBudget": 100}}});
    let body = with(contents("hello"), &thinks);
    let reply = stream(&sim, "sim-1", &body).await;
    assert!(reply.head.contains("text/event-stream") && !reply.body.contains("event:"));
    let events = chunks(&reply);
    assert_eq!(events[0]["candidates"][0]["content"]["parts"][0]["thought"], true);
    let last = events.last().unwrap();
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    let signature = last["candidates"][0]["content"]["parts"][0]["thoughtSignature"].as_str().unwrap();
    assert!(seal::open("", signature).is_some());
    assert!(last["usageMetadata"]["thoughtsTokenCount"].as_u64().unwrap() > 0);
    let listed = post(&sim, &format!("{G}/sim-1:streamGenerateContent"), &body).await;
    assert!(listed.head.contains("application/json"));
    assert_eq!(listed.json().as_array().unwrap().len(), events.len());
    sim.stop().await;
}

#[tokio::test]
async fn calls_are_signed_and_named_as_their_generation_does() {
    let sim = playing("rules: [{reply: {answer: {tools: [{name: f, arguments: {a: 1}}, {name: g}]}}}]").await;
    let tools = json!({"tools": [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]});
    let body = with(contents("go"), &tools);
    let new = generate(&sim, "gemini-3-pro", &body).await.json();
    let parts = &new["candidates"][0]["content"]["parts"];
    assert!(parts[0]["thoughtSignature"].is_string() && parts[1]["thoughtSignature"].is_null());
    assert!(parts[0]["functionCall"]["id"].is_string());
    let old = generate(&sim, "gemini-2.5-flash", &body).await.json();
    let parts = &old["candidates"][0]["content"]["parts"];
    assert!(parts[0]["thoughtSignature"].is_null() && parts[0]["functionCall"]["id"].is_null());
    assert_eq!(parts[0]["functionCall"]["args"], json!({"a": 1}));
    sim.stop().await;
}

#[tokio::test]
async fn vertex_is_served_on_its_paths_by_bearer_and_has_no_ids() {
    let sim = playing("rules: [{reply: {answer: {tools: [{name: f}]}}}]").await;
    let body = with(contents("go"), &json!({"tools": [{"functionDeclarations": [{"name": "f"}]}]}));
    for before in ["/v1/projects/p/locations/global/publishers/google", "/v1/publishers/google"] {
        let path = format!("{before}/models/gemini-3-pro:generateContent");
        let reply = post(&sim, &path, &body).await;
        let part = &reply.json()["candidates"][0]["content"]["parts"][0];
        assert!(
            part["thoughtSignature"].is_string() && part["functionCall"]["id"].is_null(),
            "{}",
            reply.body
        );
    }
    sim.stop().await;
}

#[tokio::test]
async fn blocked_prompts_refusals_and_citations_are_told_in_gemini_words() {
    let sim = playing(
        r"
rules:
  - {when: {model: blocked}, reply: {answer: {blocked: PROHIBITED_CONTENT}}}
  - {when: {model: refuse}, reply: {answer: {refusal: No.}}}
  - {when: {model: odd}, reply: {answer: {finish: MALFORMED_FUNCTION_CALL}}}
  - {when: {model: image}, reply: {answer: {text: here, images: [{data: aGk=}]}}}
  - {when: {model: cites}, reply: {answer: {text: Grüße aus Zürich, searches: [z], citations: [{url: 'https://z.example', title: Z, cited: Zürich}]}}}
  - {when: {model: many}, reply: {answer: {text: one, choices: [two]}}}
",
    )
    .await;
    let blocked = generate(&sim, "blocked", &contents("hi")).await.json();
    assert_eq!(blocked["promptFeedback"]["blockReason"], "PROHIBITED_CONTENT");
    assert!(blocked["candidates"].is_null());
    assert_eq!(chunks(&stream(&sim, "blocked", &contents("hi")).await).len(), 1);
    assert_eq!(
        generate(&sim, "refuse", &contents("hi")).await.json()["candidates"][0]["finishReason"],
        "SAFETY"
    );
    assert_eq!(
        generate(&sim, "odd", &contents("hi")).await.json()["candidates"][0]["finishReason"],
        "MALFORMED_FUNCTION_CALL"
    );
    let image = generate(&sim, "image", &contents("hi")).await.json();
    assert_eq!(image["candidates"][0]["content"]["parts"][0]["inlineData"]["mimeType"], "image/png");
    let cites = generate(&sim, "cites", &contents("hi")).await.json();
    let segment = &cites["candidates"][0]["groundingMetadata"]["groundingSupports"][0]["segment"];
    assert_eq!((&segment["startIndex"], &segment["endIndex"]), (&json!(12), &json!(19)), "in bytes");
    let many = with(contents("hi"), &json!({"generationConfig": {"candidateCount": 2}}));
    assert_eq!(
        generate(&sim, "many", &many).await.json()["candidates"][1]["content"]["parts"][0]["text"],
        "two"
    );
    sim.stop().await;
}

#[tokio::test]
async fn errors_and_counts_and_models_have_googles_shape() {
    let sim = playing(
        "{keys: [sk-1234], models: [a], rules: [{when: {model: busy}, reply: {error: {status: 429, retry-after: 7s}}}]}",
    )
    .await;
    let busy = generate(&sim, "busy", &contents("hi")).await.json();
    assert_eq!(busy["error"]["status"], "RESOURCE_EXHAUSTED");
    assert_eq!(busy["error"]["details"][0]["retryDelay"], "7s");
    let listed = post(&sim, &format!("{G}/busy:streamGenerateContent"), &contents("hi")).await;
    assert_eq!(listed.json()[0]["error"]["code"], 429);
    let count = post(&sim, &format!("{G}/a:countTokens"), &contents("hello")).await.json();
    assert!(count["totalTokens"].as_u64().unwrap() > 0);
    let wrapped = json!({"generateContentRequest": with(contents("hello"), &json!({"model": "models/a"}))});
    assert_eq!(
        post(&sim, &format!("{G}/a:countTokens"), &wrapped).await.json()["totalTokens"],
        count["totalTokens"]
    );
    assert_eq!(ask(&sim, "GET", G, "").await.json()["models"][0]["name"], "models/a");
    assert_eq!(ask(&sim, "GET", &format!("{G}/a"), "").await.json()["name"], "models/a");
    assert_eq!(ask(&sim, "GET", &format!("{G}/b"), "").await.json()["error"]["status"], "NOT_FOUND");
    sim.stop().await;
    let sim = playing("keys: [another]").await;
    let refused = generate(&sim, "a", &contents("hi")).await;
    assert_eq!(
        (refused.status, &refused.json()["error"]["details"][0]["reason"]),
        (400, &json!("API_KEY_INVALID"))
    );
    sim.stop().await;
}

/// A conversation with one call, signed by `signature`, and its response.
fn called(signature: &Value, response: &Value) -> Value {
    let mut call = json!({"functionCall": {"name": "f", "args": {}}});
    if !signature.is_null() {
        call["thoughtSignature"] = signature.clone();
    }
    json!({"contents": [{"role": "user", "parts": [{"text": "go"}]}, {"role": "model", "parts": [call]},
        {"role": "user", "parts": response}], "tools": [{"functionDeclarations": [{"name": "f"}]}]})
}

#[tokio::test]
async fn the_third_generation_demands_signatures_of_its_own() {
    let sim = playing("{}").await;
    let response = json!([{"functionResponse": {"name": "f", "response": {"output": "1"}}}]);
    let try_it =
        async |signature: Value| generate(&sim, "gemini-3-pro", &called(&signature, &response)).await;
    assert_eq!(try_it(json!(seal::seal("", "x"))).await.status, 200);
    assert_eq!(try_it(json!("skip_thought_signature_validator")).await.status, 200);
    let missing = try_it(Value::Null).await;
    assert!(missing.status == 400 && missing.body.contains("missing a thought_signature"));
    let foreign = try_it(json!("Zm9yZWlnbg==")).await;
    assert!(foreign.status == 400 && foreign.body.contains("Corrupted"));
    let no_bytes = try_it(json!("not base64!")).await;
    assert!(no_bytes.status == 400 && no_bytes.body.contains("TYPE_BYTES"));
    assert_eq!(generate(&sim, "gemini-2.5-pro", &called(&Value::Null, &response)).await.status, 200);
    sim.stop().await;
}

#[tokio::test]
async fn what_google_refuses_is_refused() {
    let sim = playing("{}").await;
    let parts = |parts: Value| json!({"contents": [{"role": "user", "parts": parts}]});
    let config = |config: Value| with(contents("hi"), &json!({"generationConfig": config}));
    let schema = |schema: Value| {
        with(
            contents("hi"),
            &json!({"tools": [{"functionDeclarations": [{"name": "f", "parameters":
        {"type": "OBJECT", "properties": {"a": schema}}}]}]}),
        )
    };
    let tools = |tools: Value| with(contents("hi"), &json!({"tools": tools}));
    let one = json!([{"functionResponse": {"name": "f", "response": {}}}]);
    let two = json!([{"functionResponse": {"name": "f", "response": {}}}, {"functionResponse": {"name": "f", "response": {}}}]);
    let other = json!([{"functionResponse": {"name": "g", "response": {}}}]);
    let bare = json!([{"functionResponse": {"name": "f", "response": "1"}}]);
    let starts_with_model = json!({"contents": [{"role": "model", "parts": [{"text": "a"}]}]});
    let orphan = json!({"contents": [{"role": "user", "parts": one}]});
    for (model, body, words) in [
        ("m", with(contents("hi"), &json!({"messages": []})), "Unknown name \"messages\""),
        ("m", with(contents("hi"), &json!({"labels": {}})), "Unknown name \"labels\""),
        ("m", json!({"contents": []}), "contents is not specified"),
        ("m", parts(json!([])), "must not be empty"),
        ("m", parts(json!([{"text": ""}])), "non-empty text"),
        ("m", parts(json!([{"thought": true}])), "required oneof field 'data'"),
        ("m", parts(json!([{"text": "a", "kind": "b"}])), "Unknown name \"kind\" at 'contents[0].parts[0]'"),
        ("m", parts(json!([{"inlineData": {"mimeType": "image/png", "data": "!"}}])), "TYPE_BYTES"),
        ("m", parts(json!([{"inlineData": {"data": "aGk="}}])), "mimeType"),
        ("m", json!({"contents": [{"role": "assistant", "parts": [{"text": "a"}]}]}), "valid role"),
        ("m", starts_with_model, "first turn"),
        ("m", orphan, "immediately after a function call turn"),
        ("m", called(&Value::Null, &two), "number of function response parts"),
        ("m", called(&Value::Null, &other), "none is named f"),
        ("m", called(&Value::Null, &bare), "response"),
        ("m", schema(json!({"type": "STRING", "const": "a"})), "Unknown name \"const\""),
        ("m", schema(json!({"$ref": "#/x"})), "Unknown name \"$ref\""),
        (
            "m",
            schema(json!({"type": "object", "additionalProperties": false})),
            "Unknown name \"additionalProperties\"",
        ),
        ("m", schema(json!({"type": ["string", "null"]})), "cannot start list"),
        ("m", schema(json!({"type": "array"})), "items: missing field"),
        ("m", schema(json!({"type": "integer", "enum": [1]})), "enum[0]"),
        ("m", schema(json!({"type": "string", "enum": [""]})), "cannot be empty"),
        ("m", schema(json!({"type": "string", "format": "uri"})), "format"),
        (
            "m",
            schema(json!({"type": "object", "properties": {}, "required": ["x"]})),
            "property is not defined",
        ),
        ("m", schema(json!({})), "type: must be specified"),
        ("m", tools(json!([{"functionDeclarations": [{"name": "1 f"}]}])), "Invalid function name"),
        ("m", tools(json!([{"functionDeclarations": [{"name": "f"}, {"name": "f"}]}])), "Duplicate function"),
        (
            "gemini-2.5-pro",
            tools(json!([{"googleSearch": {}}, {"functionDeclarations": [{"name": "f"}]}])),
            "cannot be combined",
        ),
        (
            "gemini-3-pro",
            tools(json!([{"googleSearch": {}}, {"functionDeclarations": [{"name": "f"}]}])),
            "include_server_side",
        ),
        (
            "m",
            with(
                contents("hi"),
                &json!({"toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}}}),
            ),
            "ANY or VALIDATED",
        ),
        (
            "m",
            with(contents("hi"), &json!({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}})),
            "without function_declarations",
        ),
        (
            "m",
            with(
                contents("hi"),
                &json!({"cachedContent": "cachedContents/x", "systemInstruction": {"parts": [{"text": "a"}]}}),
            ),
            "CachedContent",
        ),
        (
            "gemini-3-pro",
            config(json!({"thinkingConfig": {"thinkingBudget": 1, "thinkingLevel": "LOW"}})),
            "only one of thinking",
        ),
        ("gemini-2.5-pro", config(json!({"thinkingConfig": {"thinkingLevel": "LOW"}})), "not supported"),
        ("gemini-2.5-pro", config(json!({"thinkingConfig": {"thinkingBudget": 0}})), "between 128"),
        ("m", config(json!({"stopSequences": ["a", "b", "c", "d", "e", "f"]})), "maximum is 5"),
        ("m", config(json!({"seed": 2_147_483_648_u64})), "TYPE_INT32"),
        ("m", config(json!({"temperature": 3})), "temperature"),
        ("m", config(json!({"logprobs": 2})), "response_logprobs"),
        ("m", config(json!({"responseSchema": {"type": "OBJECT"}})), "response_mime_type"),
        ("m", config(json!({"responseMimeType": "text/html"})), "response_mime_type"),
        (
            "gemini-2.5-pro",
            with(
                config(json!({"responseMimeType": "application/json"})),
                &json!({"tools": [{"functionDeclarations": [{"name": "f"}]}]}),
            ),
            "is unsupported",
        ),
    ] {
        let reply = generate(&sim, model, &body).await;
        assert_eq!(reply.status, 400, "{body}");
        let error = reply.json()["error"].clone();
        assert_eq!(error["status"], "INVALID_ARGUMENT");
        assert!(error["message"].as_str().unwrap().contains(words), "{words}: {error}");
    }
    let vertex = "/v1/publishers/google/models/gemini-3-pro:generateContent";
    let several =
        tools(json!([{"functionDeclarations": [{"name": "f"}]}, {"functionDeclarations": [{"name": "g"}]}]));
    assert!(post(&sim, vertex, &several).await.body.contains("Multiple tools"));
    assert_eq!(generate(&sim, "gemini-3-pro", &several).await.status, 200);
    let mut with_id = called(&json!("skip_thought_signature_validator"), &one);
    assert_eq!(post(&sim, vertex, &with_id).await.status, 200);
    with_id["contents"][1]["parts"][0]["functionCall"]["id"] = json!("c1");
    assert!(post(&sim, vertex, &with_id).await.body.contains("Unknown name \\\"id\\\""));
    sim.stop().await;
}

#[tokio::test]
async fn both_casings_are_understood() {
    let sim = playing("{}").await;
    let body = json!({"system_instruction": {"parts": [{"text": "a"}]},
        "contents": [{"role": "user", "parts": [{"inline_data": {"mime_type": "image/png", "data": "aGk="}}, {"text": "hello"}]}],
        "generation_config": {"max_output_tokens": 2, "response_mime_type": "text/plain"}});
    let reply = generate(&sim, "sim-1", &body).await.json();
    assert_eq!(reply["candidates"][0]["finishReason"], "MAX_TOKENS");
    sim.stop().await;
}

#[tokio::test]
async fn quirks_make_an_odd_gemini() {
    let sim = playing(
        r"
rules:
  - when: {model: gemini-3-odd}
    quirks: [missing-call-ids, missing-signatures, finish-in-every-chunk, bare-candidates, thoughts-in-candidates]
    reply: {answer: {text: some text, tools: [{name: f}], usage: {input: 10, output: 20, reasoning: 5}}}
  - {when: {model: ids}, quirks: [call-ids, sign-thoughts, reasoning-content], reply: {answer: {reasoning: a, tools: [{name: f}]}}}
",
    )
    .await;
    let odd = stream(&sim, "gemini-3-odd", &contents("hi")).await;
    assert!(
        !odd.body.contains("thoughtSignature")
            && !odd.body.contains("\"id\"")
            && !odd.body.contains("\"role\"")
    );
    let odd = chunks(&odd);
    assert!(odd.iter().all(|it| it["candidates"][0]["finishReason"] == "STOP"));
    assert_eq!(odd.last().unwrap()["usageMetadata"]["candidatesTokenCount"], 20);
    let ids = generate(&sim, "ids", &contents("hi")).await.json();
    let parts = &ids["candidates"][0]["content"]["parts"];
    assert!(parts[0]["thoughtSignature"].is_string() && parts[1]["functionCall"]["id"].is_string());
    sim.stop().await;
}
