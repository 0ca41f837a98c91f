//! Tools and settings, told in the words of Responses.

use serde_json::json;

use super::*;
use crate::dialect::canonical::PartKind;

fn hello() -> Value {
    chat(json!([{"role": "user", "content": "Hello."}]))
}

fn hello_claude() -> Value {
    messages(json!([{"role": "user", "content": "Hello."}]))
}

fn read() -> Value {
    json!({"type": "function", "function": {"name": "read", "description": "Reads."}})
}

#[test]
fn ec_150_a_tool_whose_client_never_heard_of_strict_is_told_to_be_lax() {
    let (body, _) = told(C, &with(hello(), json!({"tools": [read()]})));
    let expected = json!({"type": "function", "name": "read", "description": "Reads.",
        "parameters": {"type": "object", "properties": {}}, "strict": false});
    assert_eq!(body["tools"], json!([expected]));
    let ours =
        json!({"type": "function", "name": "read", "parameters": {"type": "object", "properties": {}}});
    let (body, _) = told(R, &with(input(json!("x")), json!({"tools": [ours]})));
    assert_eq!(body["tools"], json!([ours]), "what the client left to the upstream stays there");
}

#[test]
fn ec_008_a_tool_of_free_text_is_told_as_such_or_as_a_function() {
    let grammar = json!({"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: \"x\""}});
    let tools = json!([{"type": "custom", "custom": {"name": "patch", "format": grammar}}]);
    let asked = with(
        chat(json!([
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "patch", "input": "***"}}]},
            {"role": "tool", "tool_call_id": "a", "content": "Done."},
        ])),
        json!({"tools": tools, "tool_choice": {"type": "custom", "custom": {"name": "patch"}}}),
    );
    let (body, encoded) = told(C, &asked);
    assert_eq!(
        body["tools"][0]["format"],
        json!({"type": "grammar", "syntax": "lark", "definition": "start: \"x\""})
    );
    assert_eq!(body["tool_choice"], json!({"type": "custom", "name": "patch"}));
    assert_eq!(kinds(&body), ["message", "custom_tool_call", "custom_tool_call_output"]);
    assert!(encoded.recall.custom_tools.is_empty());
    let (body, encoded) = tell(C, R, &asked, &Abilities { custom_tools: false, ..able() });
    assert!(body["tools"][0]["description"].as_str().unwrap().contains("start: \"x\""));
    assert_eq!(body["tool_choice"], json!({"type": "function", "name": "patch"}));
    assert_eq!(kinds(&body), ["message", "function_call", "function_call_output"]);
    assert_eq!(body["input"][1]["arguments"], r#"{"input":"***"}"#);
    assert!(encoded.recall.custom_tools.contains("patch"));
}

#[test]
fn ec_009_namespaces_are_told_to_an_upstream_of_this_dialect() {
    let inner = json!({"type": "function", "name": "read", "parameters": {"type": "object", "properties": {}}, "strict": false});
    let tools = json!([{"type": "namespace", "name": "files", "description": "Files.", "tools": [inner]}]);
    let items = json!([
        {"role": "user", "content": "x"},
        {"type": "function_call", "call_id": "a", "name": "read", "arguments": "{}", "namespace": "files"},
        {"type": "function_call_output", "call_id": "a", "output": "y"},
    ]);
    let (body, encoded) = told(R, &with(input(items.clone()), json!({"tools": tools})));
    assert_eq!((&body["tools"], &body["input"][1]), (&tools, &items[1]));
    assert!(encoded.losses.is_empty());
}

#[test]
fn ec_045_and_ec_112_names_are_legal_and_tools_in_order() {
    let tools: Vec<Value> = ["b.x", "a:y", "c"]
        .iter()
        .map(|it| json!({"name": it, "input_schema": {"type": "object"}}))
        .collect();
    let (body, encoded) = told(A, &with(hello_claude(), json!({"tools": tools})));
    let names: Vec<&Value> = body["tools"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["b_x", "a_y", "c"]);
    assert_eq!(encoded.recall.names["b_x"], "b.x");
}

#[test]
fn ec_059_without_tools_nothing_is_said_of_tools() {
    let asked =
        with(input(json!("x")), json!({"tools": [], "tool_choice": "auto", "parallel_tool_calls": true}));
    let (body, encoded) = told(R, &asked);
    for field in ["tools", "tool_choice", "parallel_tool_calls"] {
        assert!(body.get(field).is_none(), "{field}");
    }
    assert!(noted(&encoded, "/tool_choice").is_some());
}

#[test]
fn ec_086_one_call_at_a_time_is_told() {
    let tools = json!([{"name": "read", "input_schema": {"type": "object"}}]);
    let choice = json!({"type": "any", "disable_parallel_tool_use": true});
    let (body, _) = told(A, &with(hello_claude(), json!({"tools": tools, "tool_choice": choice})));
    assert_eq!((&body["tool_choice"], &body["parallel_tool_calls"]), (&json!("required"), &json!(false)));
}

#[test]
fn ec_087_a_forced_tool_goes_with_thinking_where_it_may() {
    let asked =
        with(hello(), json!({"tools": [read()], "tool_choice": "required", "reasoning_effort": "high"}));
    assert_eq!(told(C, &asked).0["tool_choice"], "required");
    let (body, encoded) = tell(C, R, &asked, &Abilities { forced_tool_while_thinking: false, ..able() });
    assert_eq!(body["tool_choice"], "auto");
    assert!(is_semantic(&encoded, "/tool_choice"));
}

#[test]
fn ec_113_tools_that_the_client_runs_are_told_with_their_schema() {
    let tools = json!([{"type": "bash_20250124", "name": "bash"}, {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}]);
    let (body, _) = told(A, &with(hello_claude(), json!({"tools": tools})));
    assert_eq!(body["tools"][0]["parameters"]["properties"]["command"]["type"], "string");
    assert_eq!(
        (&body["tools"][1]["type"], &body["tools"][1]["name"]),
        (&json!("function"), &json!("str_replace_based_edit_tool"))
    );
}

#[test]
fn ec_114_a_search_of_the_web_is_told_and_chosen_by_its_kind() {
    let search = json!({"type": "web_search_20250305", "name": "web_search", "max_uses": 3, "allowed_domains": ["example.com"],
        "user_location": {"type": "approximate", "city": "Berlin"}});
    let code = json!({"type": "code_execution_20250825", "name": "code_execution"});
    let asked = with(
        hello_claude(),
        json!({"tools": [search, code, {"name": "read", "input_schema": {"type": "object"}}], "tool_choice": {"type": "tool", "name": "web_search"}}),
    );
    let (body, encoded) = told(A, &asked);
    assert_eq!(
        body["tools"][0],
        json!({"type": "web_search", "filters": {"allowed_domains": ["example.com"]},
        "user_location": {"type": "approximate", "city": "Berlin"}})
    );
    assert_eq!(body["tools"][1], json!({"type": "code_interpreter", "container": {"type": "auto"}}));
    assert_eq!(body["tool_choice"], json!({"type": "web_search"}));
    assert!(noted(&encoded, "/tools/0/max_uses").is_some());
}

#[test]
fn ec_091_a_schema_is_told_flat() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true, "description": "d"}});
    let (body, _) = told(C, &with(hello(), json!({"response_format": format, "verbosity": "low"})));
    let expected =
        json!({"type": "json_schema", "name": "n", "description": "d", "schema": schema, "strict": true});
    assert_eq!(body["text"], json!({"format": expected, "verbosity": "low"}));
    let (body, _) = told(
        A,
        &with(
            hello_claude(),
            json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}}),
        ),
    );
    assert_eq!(body["text"]["format"]["name"], "response");
}

#[test]
fn ec_048_an_effort_is_lowered_to_what_the_model_has() {
    let asked = |effort: &str| with(input(json!("x")), json!({"reasoning": {"effort": effort}}));
    let (body, encoded) = told(R, &asked("xhigh"));
    assert_eq!(body["reasoning"]["effort"], "high");
    assert!(is_semantic(&encoded, "/reasoning"));
    assert_eq!(told(R, &asked("minimal")).0["reasoning"]["effort"], "low");
    assert_eq!(told(R, &asked("none")).0["reasoning"]["effort"], "none");
    let always = Abilities { thinking_can_be_off: false, ..able() };
    assert_eq!(tell(R, R, &asked("none"), &always).0["reasoning"]["effort"], "low");
}

#[test]
fn ec_047_thinking_is_asked_for_and_shown_as_its_client_shows_it() {
    let reasoning = |thinking: Value| {
        told(A, &with(hello_claude(), json!({"thinking": thinking}))).0["reasoning"].clone()
    };
    assert_eq!(
        reasoning(json!({"type": "enabled", "budget_tokens": 4096})),
        json!({"effort": "medium", "summary": "auto"})
    );
    assert_eq!(reasoning(json!({"type": "adaptive", "display": "omitted"})), Value::Null);
    assert_eq!(reasoning(json!({"type": "adaptive", "display": "summarized"})), json!({"summary": "auto"}));
    assert_eq!(reasoning(json!({"type": "disabled"})), json!({"effort": "none"}));
    let (body, encoded) =
        tell(C, R, &with(hello(), json!({"reasoning_effort": "low"})), &Abilities::default());
    assert!(body.get("reasoning").is_none() && is_semantic(&encoded, "/thinking"));
}

#[test]
fn ec_111_a_session_of_claude_code_has_a_stable_cache_key() {
    let key = |user: &str| {
        let asked = with(hello_claude(), json!({"metadata": {"user_id": user}}));
        told(A, &asked).0.get("prompt_cache_key").cloned()
    };
    let first = key("user_a_account_b_session_c").unwrap();
    assert_eq!(key("user_a_account_b_session_c").unwrap(), first);
    assert_ne!(key("user_a_account_b_session_d").unwrap(), first);
    assert!(!first.as_str().unwrap().contains("account"));
    assert_eq!(key("someone"), None, "a person is not a session");
}

#[test]
fn ec_120_a_speed_is_not_made_into_a_tier() {
    let (body, encoded) =
        told(A, &with(hello_claude(), json!({"speed": "fast", "service_tier": "standard_only"})));
    assert_eq!(body["service_tier"], "default");
    assert!(noted(&encoded, "/speed").is_some());
}

#[test]
fn ec_013_the_fields_of_claude_code_are_noted() {
    let asked = with(
        hello_claude(),
        json!({"context_management": {"edits": []}, "output_config": {"effort": "high"}}),
    );
    let (body, encoded) = told(A, &asked);
    assert!(body.get("context_management").is_none() && encoded.betas.is_empty());
    assert!(noted(&encoded, "/context_management").is_some());
    assert_eq!(body["reasoning"]["effort"], "high");
}

#[test]
fn ec_165_fields_that_a_backend_refuses_are_left_out() {
    let refused_fields = ["truncation", "user", "max_output_tokens"].map(str::to_owned).to_vec();
    let asked = with(
        input(json!("x")),
        json!({"truncation": "auto", "user": "u", "max_output_tokens": 50, "prompt_cache_key": "k"}),
    );
    let (body, encoded) = tell(R, R, &asked, &Abilities { refused_fields, ..able() });
    for field in ["truncation", "user", "max_output_tokens"] {
        assert!(body.get(field).is_none() && noted(&encoded, &format!("/{field}")).is_some(), "{field}");
    }
    assert_eq!(body["prompt_cache_key"], "k");
    assert_eq!(told(R, &asked).0["truncation"], "auto");
}

#[test]
fn ec_195_what_has_no_words_here_is_noted() {
    let fields = json!({"logit_bias": {"5": 1}, "seed": 5, "stop": ["a"], "top_k": 4, "presence_penalty": 0.5, "frequency_penalty": 0,
        "prediction": {"type": "content", "content": "x"}, "modalities": ["text", "audio"], "audio": {"voice": "x", "format": "mp3"}});
    let (body, encoded) = told(C, &with(hello(), fields));
    for field in ["logit_bias", "stop", "top_k", "presence_penalty", "prediction", "modalities", "audio"] {
        assert!(body.get(field).is_none() && is_semantic(&encoded, &format!("/{field}")), "{field}");
    }
    assert!(noted(&encoded, "/seed").is_some());
    assert!(noted(&encoded, "/frequency_penalty").is_none(), "zero is what happens anyway");
}

#[test]
fn ec_193_several_answers_are_refused() {
    let request = decode(C, &with(hello(), json!({"n": 3})));
    assert_eq!(try_tell(&request, R, &able()).unwrap_err().at, "/n");
}

#[test]
fn ec_094_and_ec_202_limits_are_kept_within_what_is_taken() {
    let (body, encoded) = told(C, &with(hello(), json!({"max_tokens": 5})));
    assert_eq!(body["max_output_tokens"], 16);
    assert!(noted(&encoded, "/max_tokens").is_some());
    let request = decode(A, &with(hello_claude(), json!({"max_tokens": 0})));
    assert_eq!(try_tell(&request, R, &able()).unwrap_err().at, "/max_tokens");
}

#[test]
fn chances_of_tokens_are_asked_for_by_include() {
    let (body, _) = told(C, &with(hello(), json!({"logprobs": true, "top_logprobs": 3})));
    assert_eq!(body["include"], json!(["reasoning.encrypted_content", "message.output_text.logprobs"]));
    assert_eq!(body["top_logprobs"], 3);
}

#[test]
fn chat_and_responses_share_some_fields() {
    let fields = json!({"safety_identifier": "s", "prompt_cache_retention": "24h", "store": true, "metadata": {"a": "b"}, "prompt_cache_key": "k"});
    let (body, encoded) = told(C, &with(hello(), fields));
    for field in ["safety_identifier", "prompt_cache_retention", "store", "metadata", "prompt_cache_key"] {
        assert!(body.get(field).is_some(), "{field}");
    }
    assert!(body.get("user").is_none());
    assert!(encoded.losses.is_empty(), "{:?}", encoded.losses);
}

#[test]
fn ec_009_a_call_in_a_namespace_is_recalled_by_its_flat_name() {
    let tool = |name: &str| json!({"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}});
    let namespace =
        |name: &str| json!({"type": "namespace", "name": name, "description": "A.", "tools": [tool("read")]});
    let asked = with(
        input(json!("x")),
        json!({"tools": [namespace("mcp__files__"), namespace("a"), tool("a__read")]}),
    );
    let (_, encoded) = told(R, &asked);
    let call = |namespace: Option<&str>, name: &str| {
        let mut item = json!({"type": "function_call", "id": "fc_1", "call_id": "c", "name": name, "arguments": "{}", "status": "completed"});
        if let Some(namespace) = namespace {
            item["namespace"] = namespace.into();
        }
        let answer = json!({"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": [item]});
        let answer = R.client().decode_response(answer.to_string().as_bytes(), &encoded.recall).unwrap();
        let called = answer.choices[0].parts.iter().find_map(|it| match &it.kind {
            PartKind::ToolCall(call) => Some(call.name.clone()),
            _ => None,
        });
        called.unwrap()
    };
    assert_eq!(call(Some("mcp__files__"), "read"), "mcp__files__read");
    assert_eq!(call(Some("a"), "read"), "a__read_2");
    assert_eq!(call(None, "a__read"), "a__read");
    assert_eq!(call(Some("unheard"), "of"), "unheard__of");
}
