//! Tools, thinking, sampling, limits and the form of the answer.

use super::*;

fn with_tools(choice: ToolChoice) -> ChatRequest {
    ChatRequest { tools: vec![function("f"), function("g")], tool_choice: Some(choice), ..hello() }
}

fn schema() -> OutputFormat {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    OutputFormat::JsonSchema { name: Some("r".into()), description: None, schema, strict: Some(true) }
}

#[test]
fn ec_008_a_tool_of_free_text_becomes_a_function() {
    let format = json!({"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}});
    let tool = Tool {
        kind: ToolKind::Custom { format: Some(format) },
        namespaced: None,
        description: Some("Patches.".into()),
        ..function("apply.patch")
    };
    let past = Part::new(PartKind::ToolCall(ToolCall {
        id: "a".into(),
        name: "apply.patch".into(),
        arguments: Arguments("*** Begin".into()),
        custom: true,
    }));
    let turns = vec![
        (Role::User, vec![Part::text("go")]),
        (Role::Assistant, vec![past]),
        (Role::User, vec![result("a", "ok")]),
    ];
    let request = ChatRequest { tools: vec![tool], ..foreign(turns) };
    let (written, encoded) = encode(&request, &able());
    let tool = &written["tools"][0];
    assert_eq!(tool["name"], "apply_patch");
    assert_eq!(tool["input_schema"]["required"], json!(["input"]));
    assert!(tool["description"].as_str().unwrap().ends_with("start: x"));
    assert_eq!(written["messages"][1]["content"][0]["input"], json!({"input": "*** Begin"}));
    assert!(encoded.recall.custom_tools.contains("apply_patch"));
    assert_eq!(encoded.recall.names["apply_patch"], "apply.patch");
}

#[test]
fn ec_015_sampling_goes_where_it_is_taken() {
    let number = |it: f64| serde_json::Number::from_f64(it);
    let sampling =
        Sampling { temperature: number(0.5), top_p: number(0.9), top_k: Some(5), ..Sampling::default() };
    let request = ChatRequest { sampling, ..hello() };
    let none = Abilities { sampling: SamplingFields::None, ..able() };
    assert_eq!(places(&encode(&request, &none).1), ["/temperature", "/top_p", "/top_k"]);
    let one = Abilities { sampling: SamplingFields::One, ..able() };
    let (written, encoded) = encode(&request, &one);
    assert_eq!((&written["temperature"], &written["top_k"]), (&json!(0.5), &json!(5)));
    assert_eq!(places(&encoded), ["/top_p"]);
    let thinks = ChatRequest { reasoning: thinking(ReasoningMode::Adaptive(None)).reasoning, ..request };
    assert_eq!(places(&encode(&thinks, &able()).1), ["/temperature", "/top_p", "/top_k"]);
    let hot = Sampling { temperature: number(1.7), ..Sampling::default() };
    let hot = ChatRequest { sampling: hot, ..hello() };
    assert_eq!(write(&hot, &able())["temperature"], 1.0);
}

#[test]
fn ec_045_long_and_illegal_names_are_told_otherwise_and_recalled() {
    let request = ChatRequest {
        tools: vec![function("files.read")],
        tool_choice: Some(ToolChoice::Named("files.read".into())),
        ..hello()
    };
    let (written, encoded) = encode(&request, &able());
    assert_eq!(written["tools"][0]["name"], "files_read");
    assert_eq!(written["tool_choice"]["name"], "files_read");
    assert_eq!(encoded.recall.names["files_read"], "files.read");
}

#[test]
fn ec_047_a_budget_stays_within_its_bounds() {
    let legacy = Abilities { thinking: ThinkingControl::Budget, efforts: Vec::new(), ..able() };
    let budget = |mode, max_tokens| {
        let request = ChatRequest { max_tokens: Some(max_tokens), ..thinking(mode) };
        write(&request, &legacy)["thinking"].clone()
    };
    let enabled = |it: u64| json!({"type": "enabled", "budget_tokens": it});
    assert_eq!(budget(ReasoningMode::Effort(Effort::Medium), 64_000), enabled(8192));
    assert_eq!(budget(ReasoningMode::Effort(Effort::High), 4000), enabled(3999));
    assert_eq!(budget(ReasoningMode::Budget(10), 4000), enabled(1024));
    assert_eq!(budget(ReasoningMode::Budget(2000), 1024), Value::Null);
    assert_eq!(budget(ReasoningMode::Off, 4000), json!({"type": "disabled"}));
    assert_eq!(budget(ReasoningMode::Adaptive(Some(Effort::Low)), 4000), enabled(1024));
}

#[test]
fn ec_047_a_budget_becomes_an_effort_where_there_are_no_budgets() {
    let (written, encoded) = encode(&thinking(ReasoningMode::Budget(8192)), &able());
    assert_eq!(written["thinking"], json!({"type": "adaptive", "display": "summarized"}));
    assert_eq!(written["output_config"], json!({"effort": "medium"}));
    assert_eq!(places(&encoded), ["/thinking/budget_tokens"]);
}

#[test]
fn ec_048_an_effort_is_lowered_once() {
    let few = Abilities { efforts: vec![Effort::Low, Effort::High], ..able() };
    let (written, encoded) = encode(&thinking(ReasoningMode::Effort(Effort::Xhigh)), &few);
    assert_eq!(written["output_config"]["effort"], "high");
    assert_eq!(places(&encoded), ["/reasoning_effort"]);
    let always = Abilities { thinking: ThinkingControl::Always, thinking_can_be_off: false, ..few };
    let (written, _) = encode(&thinking(ReasoningMode::Off), &always);
    assert_eq!(written["output_config"]["effort"], "low");
    assert!(written.get("thinking").is_none());
    let cannot = Abilities { thinking: ThinkingControl::None, ..able() };
    let (written, encoded) = encode(&thinking(ReasoningMode::Effort(Effort::Low)), &cannot);
    assert!(written.get("thinking").is_none() && written.get("output_config").is_none());
    assert_eq!(encoded.losses.len(), 1);
}

#[test]
fn a_tool_loop_without_thinking_is_resumed_without_it() {
    let legacy = Abilities { thinking: ThinkingControl::Budget, ..able() };
    let turns = vec![
        (Role::User, vec![Part::text("go")]),
        (Role::Assistant, vec![call("a", "f", "{}")]),
        (Role::User, vec![result("a", "ok")]),
    ];
    let request = ChatRequest {
        tools: vec![function("f")],
        reasoning: thinking(ReasoningMode::Effort(Effort::Low)).reasoning,
        ..foreign(turns)
    };
    let (written, encoded) = encode(&request, &legacy);
    assert!(written.get("thinking").is_none());
    assert_eq!(places(&encoded), ["/reasoning_effort"]);
}

#[test]
fn ec_085_none_stays_none() {
    let request = ChatRequest { parallel_tool_calls: Some(false), ..with_tools(ToolChoice::None) };
    let written = write(&request, &able());
    assert_eq!(written["tool_choice"], json!({"type": "none"}));
    assert_eq!(written["tools"].as_array().unwrap().len(), 2);
}

#[test]
fn ec_086_one_call_at_a_time() {
    let request =
        ChatRequest { tool_choice: None, parallel_tool_calls: Some(false), ..with_tools(ToolChoice::Auto) };
    let expected = json!({"type": "auto", "disable_parallel_tool_use": true});
    assert_eq!(write(&request, &able())["tool_choice"], expected);
}

#[test]
fn ec_087_a_model_that_thinks_may_choose() {
    let request = ChatRequest {
        reasoning: thinking(ReasoningMode::Adaptive(None)).reasoning,
        ..with_tools(ToolChoice::Required)
    };
    assert_eq!(write(&request, &able())["tool_choice"], json!({"type": "any"}));
    let cannot = Abilities { forced_tool_while_thinking: false, ..able() };
    let (written, encoded) = encode(&request, &cannot);
    assert_eq!(written["tool_choice"], json!({"type": "auto"}));
    assert_eq!(encoded.losses[0].severity, Severity::Semantic);
}

#[test]
fn a_choice_among_some_tools_leaves_the_others_out() {
    let written =
        write(&with_tools(ToolChoice::Allowed { names: vec!["g".into()], required: true }), &able());
    assert_eq!(written["tools"].as_array().unwrap().len(), 1);
    assert_eq!(written["tools"][0]["name"], "g");
    assert_eq!(written["tool_choice"], json!({"type": "any"}));
}

#[test]
fn ec_088_a_schema_goes_into_the_output_config_even_with_thinking() {
    let request = ChatRequest { output: schema(), ..thinking(ReasoningMode::Adaptive(Some(Effort::Low))) };
    let (written, encoded) = encode(&request, &able());
    assert_eq!(written["output_config"]["effort"], "low");
    assert_eq!(written["output_config"]["format"]["type"], "json_schema");
    assert!(written.get("tools").is_none() && encoded.recall.json_tool.is_none());
}

#[test]
fn a_schema_of_another_dialect_is_closed() {
    let request = ChatRequest { output: schema(), ..hello() };
    let (written, encoded) = encode(&request, &able());
    assert_eq!(written["output_config"]["format"]["schema"]["additionalProperties"], false);
    assert_eq!(places(&encoded), ["/response_format"]);
}

#[test]
fn a_schema_is_emulated_by_a_tool_or_by_asking() {
    let by_tool = Abilities { structured_output: StructuredOutput::Tool, ..able() };
    let request = ChatRequest { output: schema(), ..hello() };
    let (written, encoded) = encode(&request, &by_tool);
    assert_eq!(written["tool_choice"], json!({"type": "tool", "name": "respond_with_json"}));
    assert_eq!(encoded.recall.json_tool.as_deref(), Some("respond_with_json"));
    let busy = ChatRequest { tools: vec![function("f")], ..request.clone() };
    let thinks = ChatRequest { reasoning: thinking(ReasoningMode::Adaptive(None)).reasoning, ..request };
    for request in [busy, thinks] {
        let (written, encoded) = encode(&request, &by_tool);
        assert!(encoded.recall.json_tool.is_none());
        assert!(written["system"].as_str().unwrap().contains("JSON schema"));
    }
    let any = ChatRequest { output: OutputFormat::JsonObject, ..hello() };
    let (written, encoded) = encode(&any, &able());
    assert!(written["system"].as_str().unwrap().contains("JSON object"));
    assert_eq!(places(&encoded), ["/response_format"]);
}

#[test]
fn ec_092_the_limit_is_the_models_own_where_none_is_asked_for() {
    let request = ChatRequest { max_tokens: None, ..hello() };
    let known = Abilities { max_output_tokens: Some(64_000), ..able() };
    assert_eq!(write(&request, &known)["max_tokens"], 64_000);
    let (written, encoded) = encode(&request, &able());
    assert_eq!(written["max_tokens"], 8192);
    assert_eq!(places(&encoded), ["/max_tokens"]);
    let greedy = ChatRequest { max_tokens: Some(100_000), ..request };
    assert_eq!(write(&greedy, &known)["max_tokens"], 64_000);
}

#[test]
fn ec_094_stops_are_as_many_as_are_taken() {
    let stop = [" ", "a", "b", "c"].map(str::to_owned).to_vec();
    let request = ChatRequest { stop, ..hello() };
    let (written, encoded) = encode(&request, &Abilities { max_stops: 2, ..able() });
    assert_eq!(written["stop_sequences"], json!(["a", "b"]));
    assert_eq!(places(&encoded), ["/stop", "/stop"]);
}

#[test]
fn ec_112_ec_148_tools_keep_their_order_and_get_a_schema() {
    let written = write(&with_tools(ToolChoice::Auto), &able());
    let names: Vec<&str> =
        written["tools"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["f", "g"]);
    assert_eq!(written["tools"][0]["input_schema"], json!({"type": "object", "properties": {}}));
}

#[test]
fn ec_193_several_answers_are_refused() {
    let sampling = Sampling { choices: Some(3), ..Sampling::default() };
    let request = ChatRequest { sampling, ..hello() };
    let error = super::super::request(&request, &UpstreamModel::parse("up").unwrap(), &able()).unwrap_err();
    assert_eq!(error.at, "/n");
}

#[test]
fn ec_195_nothing_is_lost_in_silence() {
    let one = serde_json::Number::from_f64(1.0);
    let request = ChatRequest {
        sampling: Sampling {
            frequency_penalty: one.clone(),
            presence_penalty: one.clone(),
            seed: one,
            logit_bias: Some(json!({"50256": -100})),
            logprobs: Some(true),
            top_logprobs: Some(2),
            verbosity: Some("low".into()),
            ..Sampling::default()
        },
        metadata: Some(Map::new()),
        service_tier: Some("flex".into()),
        prompt_cache_key: Some("k".into()),
        ..hello()
    };
    assert_eq!(
        places(&encode(&request, &able()).1),
        [
            "/frequency_penalty",
            "/presence_penalty",
            "/seed",
            "/logit_bias",
            "/logprobs",
            "/top_logprobs",
            "/verbosity",
            "/metadata",
            "/prompt_cache_key",
            "/service_tier"
        ]
    );
}

#[test]
fn what_asks_for_nothing_or_was_told_is_no_loss() {
    let none = serde_json::Number::from_f64(0.0);
    let fields = Map::from_iter([
        ("store".to_owned(), json!(false)),
        ("safety_identifier".to_owned(), json!("someone")),
        ("prediction".to_owned(), json!({})),
    ]);
    let request = ChatRequest {
        sampling: Sampling {
            frequency_penalty: none.clone(),
            presence_penalty: none,
            logit_bias: Some(json!({})),
            ..Sampling::default()
        },
        end_user: Some("someone".into()),
        extra: Extra::new(DialectId::OpenaiChat, "", fields),
        ..hello()
    };
    let (written, encoded) = encode(&request, &able());
    assert_eq!(written["metadata"], json!({"user_id": "someone"}));
    assert_eq!(places(&encoded), ["/prediction"]);
}

#[test]
fn ec_204_tools_called_before_are_declared() {
    let request = foreign(vec![
        (Role::User, vec![Part::text("a")]),
        (Role::Assistant, vec![call("a", "f", "{}")]),
        (Role::User, vec![result("a", "1")]),
    ]);
    let (written, encoded) = encode(&request, &able());
    assert_eq!(written["tools"], json!([{"name": "f", "input_schema": {"type": "object"}}]));
    assert_eq!(written["tool_choice"], json!({"type": "none"}));
    assert_eq!(places(&encoded), ["/tools"]);
}

#[test]
fn who_asks_is_told() {
    let request = ChatRequest { end_user: Some("u".into()), service_tier: Some("default".into()), ..hello() };
    let written = write(&request, &able());
    assert_eq!((&written["metadata"]["user_id"], &written["service_tier"]), (&json!("u"), &json!("auto")));
}
