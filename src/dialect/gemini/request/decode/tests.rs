#![expect(clippy::needless_pass_by_value, reason = "a `json!` is handed over as it is written")]

use serde_json::{Value, json};

use super::*;
use crate::{
    catalog::model::Effort,
    dialect::canonical::{
        Builtin, MediaKind, MediaSource, OutputFormat, Part, PartKind, ReasoningMode, ReasoningShow,
        ServerStep, Tool, ToolChoice, ToolKind,
    },
};

fn try_read(body: &Value) -> Result<ChatRequest, DecodeError> {
    request(body.to_string().as_bytes())
}

fn with(mut fields: Value) -> Value {
    if fields.get("contents").is_none() {
        fields["contents"] = json!([{"role": "user", "parts": [{"text": "a"}]}]);
    }
    fields
}

fn read(fields: Value) -> ChatRequest {
    try_read(&with(fields)).unwrap()
}

fn of_parts(parts: Value) -> Vec<Part> {
    read(json!({"contents": [{"role": "model", "parts": parts}]})).conversation.turns.remove(0).parts
}

fn ids(request: &ChatRequest) -> (Vec<String>, Vec<String>) {
    let (mut calls, mut results) = (Vec::new(), Vec::new());
    for part in request.conversation.turns.iter().flat_map(|it| &it.parts) {
        match &part.kind {
            PartKind::ToolCall(it) => calls.push(it.id.clone()),
            PartKind::ToolResult(it) => results.push(it.call_id.clone()),
            _ => {}
        }
    }
    (calls, results)
}

#[test]
fn contents_become_turns() {
    let request = read(json!({"systemInstruction": "Be brief.", "contents": [
        {"parts": [{"text": "a"}]}, {"role": "model", "parts": {"text": "b"}}, {"role": "function", "parts": []}]}));
    let turns: Vec<(Role, &str)> =
        request.conversation.turns.iter().map(|it| (it.role, it.at.as_str())).collect();
    let expected = [
        (Role::System, "/systemInstruction"),
        (Role::User, "/contents/0"),
        (Role::Assistant, "/contents/1"),
        (Role::User, "/contents/2"),
    ];
    assert_eq!(turns, expected);
    assert_eq!(read(json!({"contents": {"parts": [{"text": "a"}]}})).conversation.turns.len(), 1);
    assert_eq!(read(json!({})).model.as_str(), UNNAMED);
    assert_eq!(read(json!({"model": "models/gemini-3-pro"})).model.as_str(), "gemini-3-pro");
}

#[test]
fn parts_of_every_kind_are_read() {
    let parts = of_parts(json!([
        {"text": "t", "thought": true, "thoughtSignature": "QQ=="},
        {"text": "x", "thought_signature": "Qg=="},
        {"functionCall": {"id": "i", "name": "n", "args": {"b": 1, "a": 10.0}}, "thoughtSignature": "Qw=="},
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "no"}},
        {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB"}},
        {"later": 1},
        {"fileData": {"fileUri": "https://www.youtube.com/watch?v=a"}},
        {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/a", "mimeType": "image/png"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
    ]));
    assert!(
        matches!(&parts[0].kind, PartKind::Reasoning { text, state: Some(it) } if text == "t" && it.data == "QQ==")
    );
    assert!(parts[0].state.is_none());
    assert_eq!(parts[1].state.as_ref().unwrap().data, "Qg==");
    assert!(matches!(&parts[2].kind, PartKind::ToolCall(it) if it.arguments.0 == "{\"b\":1,\"a\":10.0}"));
    assert_eq!(parts[2].state.as_ref().unwrap().data, "Qw==");
    assert!(matches!(&parts[3].kind, PartKind::ServerTool { step: Some(ServerStep::Code { .. }), .. }));
    let failed = |it: &Part| matches!(&it.kind, PartKind::ServerTool { step: Some(ServerStep::CodeOutput { succeeded, .. }), .. } if !succeeded);
    assert!(failed(&parts[4]));
    assert!(matches!(&parts[5].kind, PartKind::ServerTool { step: None, .. }));
    assert!(matches!(&parts[6].kind, PartKind::Opaque { .. }));
    let media = |it: &Part| match &it.kind {
        PartKind::Media(it) => (it.kind, it.source.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(media(&parts[7]).0, MediaKind::Video);
    assert!(matches!(media(&parts[8]), (MediaKind::Image, MediaSource::FileId(_))));
    assert_eq!(media(&parts[9]).0, MediaKind::Audio);
}

#[test]
fn ec_172_a_thought_without_a_text_is_read() {
    let parts = of_parts(json!([{"thought": true}, {"thought": true, "thoughtSignature": "QQ=="}]));
    assert!(matches!(&parts[0].kind, PartKind::Reasoning { text, state: None } if text.is_empty()));
    assert!(matches!(&parts[1].kind, PartKind::Reasoning { state: Some(_), .. }));
}

#[test]
fn ec_103_both_casings_are_read() {
    let request = read(json!({
        "system_instruction": {"parts": [{"text": "s"}]},
        "contents": [{"role": "user", "parts": [{"inline_data": {"mime_type": "image/png", "data": "AAAA"}}]}],
        "generation_config": {"max_output_tokens": "12", "top_k": 64.0, "stop_sequences": ["x"]},
        "tool_config": {"function_calling_config": {"mode": "any", "allowed_function_names": ["f"]}}}));
    assert_eq!((request.max_tokens, request.sampling.top_k), (Some(12), Some(64)));
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("f".to_owned())));
    assert!(matches!(request.conversation.turns[1].parts[0].kind, PartKind::Media(_)));
    assert!(request.extra.get().is_none());
}

#[test]
fn ec_096_calls_without_ids_are_paired_by_name_in_order() {
    let call = |name: &str| json!({"functionCall": {"name": name, "args": {}}});
    let response = |name: &str| json!({"functionResponse": {"name": name, "response": {"output": name}}});
    let body = json!({"contents": [
        {"role": "user", "parts": [{"text": "a"}]},
        {"role": "model", "parts": [call("f"), call("g.h"), call("f")]},
        {"role": "user", "parts": [response("f"), response("f"), response("g.h")]},
        {"role": "model", "parts": [call("f")]},
        {"role": "user", "parts": [response("f")]}]});
    let (calls, results) = ids(&read(body.clone()));
    assert_eq!(calls, ["call_1_0_f", "call_1_1_g_h", "call_1_2_f", "call_3_0_f"]);
    assert_eq!(results, ["call_1_0_f", "call_1_2_f", "call_1_1_g_h", "call_3_0_f"]);
    assert_eq!(ids(&read(body.clone())), ids(&read(body)));
}

#[test]
fn ec_097_responses_without_a_known_name_are_paired_by_order() {
    let body = json!({"contents": [
        {"role": "user", "parts": [{"text": "a"}]},
        {"role": "model", "parts": [{"functionCall": {"id": "x", "name": "f"}}, {"functionCall": {"name": "g"}}]},
        {"role": "user", "parts": [
            {"functionResponse": {"name": "", "response": {}}},
            {"functionResponse": {"id": "x", "name": "other", "response": {}}},
            {"functionResponse": {"id": "nobody", "name": "h", "response": {}}}]}]});
    let (calls, results) = ids(&read(body));
    assert_eq!(calls, ["x", "call_1_1_g"]);
    assert_eq!(results, ["call_1_1_g", "x", "nobody"]);
}

#[test]
fn an_id_that_is_made_is_short() {
    let name = "n".repeat(200);
    let body = json!({"contents": [{"role": "model", "parts": [{"functionCall": {"name": name}}]}]});
    assert_eq!(ids(&read(body)).0[0].len(), 40);
}

#[test]
fn ec_102_own_schemas_are_read_as_json_schema() {
    let own = json!({"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": true}}});
    let tools = read(json!({"tools": [{"functionDeclarations": [
        {"name": "f", "parameters": own}, {"name": "g", "parametersJsonSchema": {"type": "object"}}, {"name": "h"}]}]}))
    .tools;
    let schema = json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}});
    assert_eq!(tools[0].schema, Some(schema));
    assert_eq!(tools[1].schema, Some(json!({"type": "object"})));
    assert_eq!(tools[2].schema, None);
}

#[test]
fn tools_and_choices_are_read() {
    let request = read(
        json!({"tools": [{"googleSearch": {"excludeDomains": ["a.b"]}, "codeExecution": {}}, {"url_context": {}},
        {"googleMaps": {}}], "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}, "retrievalConfig": {"a": 1}}}),
    );
    let family = |it: &Tool| match &it.kind {
        ToolKind::Builtin { family, .. } => family.clone(),
        _ => None,
    };
    let families: Vec<Option<Builtin>> = request.tools.iter().map(family).collect();
    assert!(matches!(&families[0], Some(Builtin::WebSearch(it)) if it.blocked_domains == ["a.b"]));
    assert_eq!(families[1..], [Some(Builtin::CodeExecution), Some(Builtin::UrlFetch), None]);
    assert_eq!(request.tool_choice, Some(ToolChoice::Auto));
    let left = json!({"retrievalConfig": {"a": 1}, "functionCallingConfig": {"mode": "VALIDATED"}});
    assert_eq!(request.extra.field(ID, "toolConfig"), Some(&left));
    for (mode, names, choice) in [
        ("AUTO", vec![], ToolChoice::Auto),
        ("none", vec![], ToolChoice::None),
        ("ANY", vec![], ToolChoice::Required),
        ("ANY", vec!["a"], ToolChoice::Named("a".into())),
        ("ANY", vec!["a", "b"], ToolChoice::Allowed { names: vec!["a".into(), "b".into()], required: true }),
    ] {
        let calling = json!({"mode": mode, "allowedFunctionNames": names});
        let request = read(json!({"toolConfig": {"functionCallingConfig": calling}}));
        assert_eq!(request.tool_choice, Some(choice));
        assert!(request.extra.get().is_none());
    }
}

#[test]
fn thinking_is_read() {
    for (config, mode, show) in [
        (json!({}), ReasoningMode::Default, ReasoningShow::Default),
        (json!({"thinkingBudget": 0}), ReasoningMode::Off, ReasoningShow::Default),
        (
            json!({"thinkingBudget": -1, "includeThoughts": true}),
            ReasoningMode::Adaptive(None),
            ReasoningShow::Summary,
        ),
        (
            json!({"thinkingBudget": "2000", "includeThoughts": false}),
            ReasoningMode::Budget(2000),
            ReasoningShow::Hidden,
        ),
        (json!({"thinkingLevel": "xhigh"}), ReasoningMode::Effort(Effort::Xhigh), ReasoningShow::Default),
        (
            json!({"thinkingLevel": "LOW", "thinkingBudget": 5}),
            ReasoningMode::Effort(Effort::Low),
            ReasoningShow::Default,
        ),
    ] {
        let request = read(json!({"generationConfig": {"thinkingConfig": config}}));
        assert_eq!((request.reasoning.mode, request.reasoning.show), (mode, show), "{config}");
    }
}

#[test]
fn the_form_of_the_answer_is_read() {
    let output = |config: Value| read(json!({"generationConfig": config})).output;
    assert_eq!(output(json!({"responseMimeType": "text/plain"})), OutputFormat::Text);
    assert_eq!(output(json!({"responseMimeType": "application/json"})), OutputFormat::JsonObject);
    for key in ["responseSchema", "responseJsonSchema", "_responseJsonSchema", "response_json_schema"] {
        let config = json!({"responseMimeType": "application/json", key: {"type": "string"}});
        assert!(
            matches!(output(config), OutputFormat::JsonSchema { schema, .. } if schema == json!({"type": "string"}))
        );
    }
}

#[test]
fn a_fault_is_named_with_its_place() {
    for (body, at) in [
        (json!([]), ""),
        (json!({}), "/contents"),
        (json!({"contents": []}), "/contents"),
        (json!({"contents": "a"}), "/contents"),
        (json!({"contents": [1]}), "/contents/0"),
        (json!({"contents": [{"role": "robot"}]}), "/contents/0/role"),
        (json!({"contents": [{"parts": "a"}]}), "/contents/0/parts"),
        (json!({"contents": [{"parts": [{"text": 1}]}]}), "/contents/0/parts/0/text"),
        (json!({"contents": [{"parts": [{"functionCall": {}}]}]}), "/contents/0/parts/0/functionCall/name"),
        (
            json!({"contents": [{"parts": [{"functionCall": {"name": "f", "args": []}}]}]}),
            "/contents/0/parts/0/functionCall/args",
        ),
        (
            json!({"contents": [{"parts": [{"inlineData": {"data": "!"}}]}]}),
            "/contents/0/parts/0/inlineData/data",
        ),
        (with(json!({"model": "a b"})), "/model"),
        (with(json!({"tools": [{"functionDeclarations": [{}]}]})), "/tools/0/functionDeclarations/0/name"),
        (with(json!({"generationConfig": {"topK": "x"}})), "/generationConfig/topK"),
        (with(json!({"generationConfig": {"candidateCount": 0}})), "/generationConfig/candidateCount"),
        (
            with(json!({"generationConfig": {"thinkingConfig": {"thinkingBudget": -2}}})),
            "/generationConfig/thinkingConfig/thinkingBudget",
        ),
    ] {
        let error = try_read(&body).unwrap_err();
        assert_eq!(error.at, at, "{body}: {error}");
    }
}
