//! Responses, played.

use super::*;

const RESPONSES: &str = "/v1/responses";

fn asked(text: &str) -> Value {
    json!({"model": "sim-1", "input": text})
}

fn events(reply: &Reply) -> Vec<Value> {
    let data = reply.body.lines().filter_map(|it| it.strip_prefix("data: "));
    data.filter(|it| *it != "[DONE]").map(|it| serde_json::from_str(it).unwrap()).collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|it| it["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_whole_answer_repeats_the_request_and_counts() {
    let sim = playing("{}").await;
    let body =
        with(asked("hello"), &json!({"instructions": "Be kind.", "metadata": {"a": "b"}, "store": false}));
    let reply = post(&sim, RESPONSES, &body).await.json();
    assert_eq!(reply["output"][0]["content"][0]["text"], "You wrote 5 characters.");
    assert_eq!(reply["output"][0]["content"][0]["annotations"], json!([]));
    assert_eq!((reply["status"].as_str(), reply["object"].as_str()), (Some("completed"), Some("response")));
    assert_eq!((&reply["instructions"], &reply["metadata"]["a"]), (&json!("Be kind."), &json!("b")));
    let usage = &reply["usage"];
    let sum = usage["input_tokens"].as_u64().unwrap() + usage["output_tokens"].as_u64().unwrap();
    assert_eq!(usage["total_tokens"], sum);
    sim.stop().await;
}

#[tokio::test]
async fn a_stream_is_numbered_without_gaps_and_ends_with_the_whole() {
    let sim = playing(
        r"
rules:
  - reply: {answer: {reasoning: I think.\n\nMore., text: Hello there, friend, tools: [{name: f, arguments: {a: 1}}],
      searches: [greetings], citations: [{url: 'https://a.example', title: A, cited: there}]}}
"
        .replace("Hello there, friend", "Hello there")
        .as_str(),
    )
    .await;
    let body = with(
        asked("hi"),
        &json!({"stream": true, "reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"],
            "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}]}),
    );
    let reply = post(&sim, RESPONSES, &body).await;
    let events = events(&reply);
    for (number, it) in events.iter().enumerate() {
        assert_eq!(it["sequence_number"], number);
    }
    let kinds = kinds(&events);
    assert_eq!(kinds[..3], ["response.created", "response.in_progress", "response.output_item.added"]);
    for kind in [
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.web_search_call.searching",
        "response.output_text.annotation.added",
        "response.function_call_arguments.done",
    ] {
        assert!(kinds.contains(&kind), "{kind}");
    }
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    let done: Vec<&Value> =
        events.iter().filter(|it| it["type"] == "response.output_item.done").map(|it| &it["item"]).collect();
    let output: Vec<&Value> = last["response"]["output"].as_array().unwrap().iter().collect();
    assert_eq!(done, output);
    assert_eq!(
        output.iter().map(|it| it["type"].as_str().unwrap()).collect::<Vec<_>>(),
        ["reasoning", "web_search_call", "message", "function_call"]
    );
    let state = output[0]["encrypted_content"].as_str().unwrap();
    assert!(state.starts_with("gAAA") && seal::open("", state).is_some());
    assert!(reply.body.contains("\"obfuscation\":"));
    let plain = with(body, &json!({"stream_options": {"include_obfuscation": false}}));
    assert!(!post(&sim, RESPONSES, &plain).await.body.contains("obfuscation"));
    sim.stop().await;
}

#[tokio::test]
async fn calls_may_come_in_turns_and_free_form_tools_get_their_input() {
    let sim = playing(
        r"
rules:
  - reply: {answer: {interleaved: true, tools: [{name: f, arguments: {long: abcdefghijkl}}, {name: patch, custom-input: '*** Begin Patch'}]}}
",
    )
    .await;
    let tools = json!([{"type": "function", "name": "f"}, {"type": "custom", "name": "patch"}]);
    let reply = post(&sim, RESPONSES, &with(asked("hi"), &json!({"stream": true, "tools": tools}))).await;
    let events = events(&reply);
    let deltas: Vec<&str> =
        kinds(&events).into_iter().filter(|it| it.rsplit('.').next() == Some("delta")).collect();
    assert_eq!(
        deltas[..4],
        [
            "response.function_call_arguments.delta",
            "response.custom_tool_call_input.delta",
            "response.function_call_arguments.delta",
            "response.custom_tool_call_input.delta"
        ]
    );
    let output = events.last().unwrap()["response"]["output"].clone();
    assert_eq!(
        (&output[1]["type"], &output[1]["input"]),
        (&json!("custom_tool_call"), &json!("*** Begin Patch"))
    );
    sim.stop().await;
}

#[tokio::test]
async fn a_tool_of_a_namespace_is_called_with_its_space() {
    let sim = playing("rules: [{reply: {answer: {tools: [{name: git__log}]}}}]").await;
    let inner = json!([{"type": "function", "name": "log"}]);
    let tools = json!([{"type": "namespace", "name": "git", "description": "Git", "tools": inner}]);
    let reply = post(&sim, RESPONSES, &with(asked("hi"), &json!({"tools": tools}))).await.json();
    let call = &reply["output"][0];
    assert_eq!((&call["name"], &call["namespace"]), (&json!("log"), &json!("git")));
    sim.stop().await;
}

#[tokio::test]
async fn refusals_limits_blocks_and_failures_have_their_own_ends() {
    let sim = playing(
        r"
rules:
  - {when: {model: refuse}, reply: {answer: {refusal: No.}}}
  - {when: {model: blocked}, reply: {answer: {blocked: SAFETY}}}
  - {when: {model: failed}, reply: {answer: {text: a, finish: failed}}}
  - {when: {model: broken}, fault: {after-events: 5, kind: error, error: {status: 500, message: it broke}}, reply: {answer: {text: a long enough text to break}}}
  - {when: {model: flat}, quirks: [flat-error], fault: {after-events: 3, kind: error, error: {status: 429}}}
  - {when: {model: image}, reply: {answer: {images: [{data: aGk=}]}}}
",
    )
    .await;
    let streamed = async |model: &str, more: Value| {
        let body = with(with(asked("hi"), &json!({"stream": true, "model": model})), &more);
        events(&post(&sim, RESPONSES, &body).await)
    };
    let refused = streamed("refuse", json!({})).await;
    assert!(kinds(&refused).contains(&"response.refusal.delta"));
    let blocked = streamed("blocked", json!({})).await.pop().unwrap();
    assert_eq!(blocked["response"]["incomplete_details"]["reason"], "content_filter");
    let failed = streamed("failed", json!({})).await.pop().unwrap();
    assert_eq!(
        (&failed["type"], &failed["response"]["error"]["code"]),
        (&json!("response.failed"), &json!("server_error"))
    );
    let broken = streamed("broken", json!({})).await;
    let last = broken.last().unwrap();
    assert_eq!(
        (broken.len(), &last["type"], &last["sequence_number"]),
        (6, &json!("response.failed"), &json!(5))
    );
    assert_eq!(
        (&last["response"]["status"], &last["response"]["error"]["message"]),
        (&json!("failed"), &json!("it broke"))
    );
    assert_eq!(last["response"]["id"], broken[0]["response"]["id"]);
    let flat = streamed("flat", json!({})).await.pop().unwrap();
    assert_eq!((&flat["type"], &flat["code"]), (&json!("error"), &json!("rate_limit_exceeded")));
    let image = streamed("image", json!({})).await;
    assert!(kinds(&image).contains(&"response.image_generation_call.partial_image"));
    let long = json!({"max_output_tokens": 16});
    let cut = streamed("sim-1", with(long, &json!({"input": "hi ".repeat(9)}))).await.pop().unwrap();
    assert_eq!(cut["type"], "response.completed", "the echo is short enough");
    sim.stop().await;
}

#[tokio::test]
async fn a_limit_makes_the_answer_incomplete() {
    let sim = playing("rules: [{reply: {answer: {text: word, repeat: 100}}}]").await;
    let reply = post(&sim, RESPONSES, &with(asked("hi"), &json!({"max_output_tokens": 16}))).await.json();
    assert_eq!(
        (&reply["status"], &reply["output"][0]["status"]),
        (&json!("incomplete"), &json!("incomplete"))
    );
    assert_eq!(reply["incomplete_details"]["reason"], "max_output_tokens");
    sim.stop().await;
}

#[tokio::test]
async fn a_conversation_goes_on_from_a_stored_response() {
    let sim = playing("rules: [{reply: {turns: [{tools: [{name: f}]}, {text: Done.}]}}]").await;
    let tools = json!([{"type": "function", "name": "f"}]);
    let first = post(&sim, RESPONSES, &with(asked("hi"), &json!({"tools": tools}))).await.json();
    let output =
        json!([{"type": "function_call_output", "call_id": first["output"][0]["call_id"], "output": "1"}]);
    let more =
        json!({"model": "sim-1", "tools": tools, "input": output, "previous_response_id": first["id"]});
    let second = post(&sim, RESPONSES, &more).await.json();
    assert_eq!(second["output"][0]["content"][0]["text"], "Done.");
    assert_eq!(second["previous_response_id"], first["id"]);
    let path = format!("/v1/responses/{}", first["id"].as_str().unwrap());
    assert_eq!(ask(&sim, "GET", &path, "").await.json()["id"], first["id"]);
    assert_eq!(ask(&sim, "GET", &format!("{path}/input_items"), "").await.json()["data"][0]["content"], "hi");
    assert_eq!(ask(&sim, "DELETE", &path, "").await.json()["deleted"], true);
    let lost = post(&sim, RESPONSES, &more).await;
    assert_eq!((lost.status, &lost.json()["error"]["code"]), (400, &json!("previous_response_not_found")));
    sim.stop().await;
}

#[tokio::test]
async fn counting_and_compacting_have_their_own_shapes() {
    let sim = playing("{}").await;
    let count = post(&sim, "/v1/responses/input_tokens", &asked("hello")).await.json();
    assert_eq!(count["object"], "response.input_tokens");
    assert!(count["input_tokens"].as_u64().unwrap() > 0);
    let turns = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]);
    let compacted =
        post(&sim, "/v1/responses/compact", &json!({"model": "sim-1", "input": turns})).await.json();
    assert_eq!(
        (&compacted["object"], &compacted["output"][1]["type"]),
        (&json!("response.compaction"), &json!("compaction"))
    );
    let next = json!({"model": "sim-1", "input": [compacted["output"][0], compacted["output"][1], {"role": "user", "content": "c"}]});
    assert_eq!(post(&sim, RESPONSES, &next).await.status, 200);
    let refused = post(&sim, "/v1/responses/compact", &with(asked("a"), &json!({"stream": true}))).await;
    assert_eq!(refused.json()["error"]["code"], "unknown_parameter");
    sim.stop().await;
}

#[tokio::test]
async fn state_is_bound_to_the_account_that_got_it() {
    let sim = playing("state-per-key: true").await;
    let turns = |state: String| {
        json!({"model": "sim-1", "input": [{"role": "user", "content": "a"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": state},
            {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]})
    };
    assert_eq!(post(&sim, RESPONSES, &turns(seal::seal("sk-1234", "x"))).await.status, 200);
    let refused = post(&sim, RESPONSES, &turns(seal::seal("sk-other", "x"))).await;
    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (400, &json!("invalid_encrypted_content"))
    );
    sim.stop().await;
}

#[tokio::test]
async fn what_the_real_service_refuses_is_refused_by_its_code() {
    let sim = playing("{}").await;
    let user = json!({"role": "user", "content": "hi"});
    let call = |id: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"});
    let output = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": "1"});
    let said = |content: Value| json!({"role": "assistant", "content": [content]});
    let tool = |more: Value| json!([with(json!({"type": "function", "name": "f"}), &more)]);
    let items = |items: Value| json!({"input": items});
    for (fields, code, at) in [
        (json!({"top_k": 4}), "unknown_parameter", "top_k"),
        (json!({"messages": []}), "unknown_parameter", "messages"),
        (json!({"max_output_tokens": 15}), "integer_below_min_value", "max_output_tokens"),
        (json!({"temperature": 3}), "decimal_above_max_value", "temperature"),
        (json!({"model": "gpt-5", "temperature": 0.5}), "unsupported_parameter", "temperature"),
        (json!({"model": null}), "missing_required_parameter", "model"),
        (json!({"input": null}), "missing_required_parameter", "input"),
        (json!({"include": ["nothing"]}), "invalid_value", "include[0]"),
        (json!({"reasoning": {"effort": "much"}}), "invalid_value", "reasoning.effort"),
        (json!({"metadata": {"a": 1}}), "invalid_type", "metadata.a"),
        (json!({"safety_identifier": "x".repeat(129)}), "string_above_max_length", "safety_identifier"),
        (json!({"previous_response_id": "resp_none"}), "previous_response_not_found", "previous_response_id"),
        (
            json!({"text": {"format": {"type": "json_schema", "schema": {}}}}),
            "missing_required_parameter",
            "text.format.name",
        ),
        (
            json!({"text": {"format": {"type": "json_schema", "name": "n", "strict": true, "schema": {"type": "object", "properties": {}}}}}),
            "invalid_json_schema",
            "text.format.schema",
        ),
        (json!({"tools": tool(json!({"name": "a.b"}))}), "invalid_value", "tools[0].name"),
        (json!({"tools": tool(json!({"function": {}}))}), "unknown_parameter", "tools[0].function"),
        (
            json!({"tools": tool(json!({"parameters": {"type": "string"}}))}),
            "invalid_function_parameters",
            "tools[0].parameters",
        ),
        (
            json!({"tools": tool(json!({"strict": true, "parameters": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false}}))}),
            "invalid_json_schema",
            "tools[0].parameters",
        ),
        (
            json!({"tools": tool(json!({"strict": true, "parameters": {"type": "object", "properties": {"a": {"oneOf": []}}, "required": ["a"], "additionalProperties": false}}))}),
            "invalid_json_schema",
            "tools[0].parameters",
        ),
        (
            json!({"tools": [{"type": "custom", "name": "p", "format": {"type": "grammar", "syntax": "bnf", "definition": "x"}}]}),
            "invalid_value",
            "tools[0].format.syntax",
        ),
        (json!({"tools": [{"type": "magic"}]}), "invalid_value", "tools[0].type"),
        (
            items(json!([{"role": "user", "content": [{"type": "text", "text": "a"}]}])),
            "invalid_value",
            "input[0].content[0].type",
        ),
        (
            items(json!([user, said(json!({"type": "input_text", "text": "a"})), user])),
            "invalid_value",
            "input[1].content[0].type",
        ),
        (items(json!([{"role": "user", "content": "a", "name": "b"}])), "unknown_parameter", "input[0].name"),
        (items(json!([{"role": "tool", "content": "a"}])), "invalid_value", "input[0].role"),
        (
            items(json!([{"role": "user", "content": [{"type": "input_image", "image_url": {"url": "x"}}]}])),
            "invalid_type",
            "input[0].content[0].image_url",
        ),
        (
            items(
                json!([{"role": "user", "content": [{"type": "input_image", "image_url": "data:image/jpg;base64,aGk="}]}]),
            ),
            "invalid_value",
            "input[0].content[0].image_url",
        ),
        (
            items(json!([{"role": "user", "content": [{"type": "input_file", "file_data": "aGk="}]}])),
            "invalid_value",
            "input[0].content[0].file_data",
        ),
        (
            items(json!([user, with(call("c"), &json!({"id": "call_1"})), output("c")])),
            "invalid_value",
            "input[1].id",
        ),
        (
            items(json!([user, with(call("c"), &json!({"arguments": {}})), output("c")])),
            "invalid_type",
            "input[1].arguments",
        ),
        (
            items(json!([user, call(&"c".repeat(65)), output(&"c".repeat(65))])),
            "string_above_max_length",
            "input[1].call_id",
        ),
        (
            items(
                json!([user, {"type": "reasoning", "id": "rs_1"}, said(json!({"type": "output_text", "text": "a"}))]),
            ),
            "missing_required_parameter",
            "input[1].summary",
        ),
        (
            items(json!([user, {"type": "reasoning", "id": "x_1", "summary": []}])),
            "invalid_value",
            "input[1].id",
        ),
        (
            items(
                json!([user, {"type": "reasoning", "summary": [], "encrypted_content": "c2lnbmVk"}, call("c"), output("c")]),
            ),
            "invalid_encrypted_content",
            "input[1].encrypted_content",
        ),
        (items(json!([{"type": "magic"}])), "invalid_value", "input[0].type"),
    ] {
        let reply = post(&sim, RESPONSES, &with(asked("hi"), &fields)).await;
        let error = reply.json()["error"].clone();
        assert_eq!(
            (reply.status, error["code"].as_str(), error["param"].as_str()),
            (400, Some(code), Some(at)),
            "{fields}"
        );
    }
    for (items, words) in [
        (json!([user, call("c")]), "No tool output found"),
        (json!([user, output("c")]), "No tool call found"),
        (json!([user, call("c"), call("c"), output("c")]), "Duplicate"),
        (json!([user, call("c"), output("c"), output("c")]), "Duplicate"),
        (json!([user, {"type": "reasoning", "id": "rs_1", "summary": []}, user]), "required following item"),
    ] {
        let reply = post(&sim, RESPONSES, &with(asked("hi"), &json!({"input": items}))).await;
        assert_eq!(reply.status, 400, "{items}");
        assert!(reply.json()["error"]["message"].as_str().unwrap().contains(words), "{}", reply.body);
    }
    sim.stop().await;
}

#[tokio::test]
async fn quirks_make_odd_responses() {
    let sim = playing(
        r"
rules:
  - {when: {model: empty}, quirks: [empty-output, trailing-done]}
  - {when: {model: hidden}, quirks: [unannounced-calls], reply: {answer: {text: a, tools: [{name: f}]}}}
  - {when: {model: told}, quirks: [reasoning-text, reasoning-content, early-state], reply: {answer: {text: a, reasoning: b}}}
",
    )
    .await;
    let streamed = async |model: &str| {
        let include = json!(["reasoning.encrypted_content"]);
        post(
            &sim,
            RESPONSES,
            &with(asked("hi"), &json!({"model": model, "stream": true, "include": include})),
        )
        .await
    };
    let empty = streamed("empty").await;
    assert!(empty.body.ends_with("data: [DONE]\n\n"));
    assert_eq!(events(&empty).last().unwrap()["response"]["output"], json!([]));
    let hidden = streamed("hidden").await;
    assert!(!hidden.body.contains("function_call_arguments"));
    assert_eq!(events(&hidden).last().unwrap()["response"]["output"][1]["name"], "f");
    let told = streamed("told").await;
    assert!(told.body.contains("response.reasoning_text.delta") && told.body.contains("gAAAAunfinished"));
    sim.stop().await;
}
