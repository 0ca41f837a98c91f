use serde_json::{Value, json};

use crate::{
    catalog::{Abilities, UpstreamModel, model::Effort},
    dialect::{
        ChatRequest, DecodeError, DialectId,
        canonical::{
            Builtin, MediaSource, OutputFormat, PartKind, ReasoningMode, ReasoningShow, Role, ServerStep,
            StateKind, ToolChoice, ToolKind,
        },
    },
};

fn decode(value: &Value) -> ChatRequest {
    DialectId::OpenaiResponses.server().decode_request(value.to_string().as_bytes()).unwrap()
}

fn refused(value: &Value) -> DecodeError {
    DialectId::OpenaiResponses.server().decode_request(value.to_string().as_bytes()).unwrap_err()
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn asked(input: Value) -> Value {
    json!({"model": "m", "input": input})
}

fn roles(request: &ChatRequest) -> Vec<(Role, usize)> {
    request.conversation.turns.iter().map(|it| (it.role, it.parts.len())).collect()
}

fn function(name: &str) -> Value {
    json!({"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}})
}

fn namespace(name: &str, tools: &[Value]) -> Value {
    json!({"type": "namespace", "name": name, "description": "A server.", "tools": tools})
}

fn names(request: &ChatRequest) -> Vec<&str> {
    request.tools.iter().map(|it| it.name.as_str()).collect()
}

fn call(id: &str) -> Value {
    json!({"type": "function_call", "call_id": id, "name": "read", "arguments": "{}"})
}

fn output(id: &str) -> Value {
    json!({"type": "function_call_output", "call_id": id, "output": "x"})
}

#[test]
fn a_string_is_what_the_user_says() {
    let request = decode(&json!({"model": "m", "instructions": "Be brief.", "input": "Hello."}));
    assert_eq!(roles(&request), [(Role::System, 1), (Role::User, 1)]);
    assert_eq!(request.conversation.turns[0].at, "/instructions");
    assert!(request.conversation.turns.iter().all(|it| it.plain));
}

#[test]
fn instructions_may_be_items() {
    let items =
        json!([{"role": "developer", "content": "Be brief."}, {"role": "system", "content": "Be kind."}]);
    let request = decode(&json!({"model": "m", "instructions": items, "input": "Hello."}));
    assert_eq!(roles(&request), [(Role::Developer, 1), (Role::System, 1), (Role::User, 1)]);
}

#[test]
fn ec_058_what_the_assistant_did_in_a_row_is_one_turn() {
    let request = decode(&asked(json!([
        {"role": "user", "content": "Read."},
        {"type": "reasoning", "summary": [], "encrypted_content": "abc"},
        {"role": "assistant", "content": "I read."},
        call("call_1"), call("call_2"), output("call_2"), output("call_1"),
        call("call_3"),
        {"role": "user", "content": "Wait."},
        call("call_4"),
    ])));
    let expected = [
        (Role::User, 1),
        (Role::Assistant, 4),
        (Role::User, 1),
        (Role::User, 1),
        (Role::Assistant, 1),
        (Role::User, 1),
        (Role::Assistant, 1),
    ];
    assert_eq!(roles(&request), expected);
}

#[test]
fn thinking_is_read_with_its_state() {
    let request = decode(&asked(json!([
        {"type": "reasoning", "id": "rs_1", "content": null, "encrypted_content": "abc",
         "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "openly"}]},
        {"role": "assistant", "content": "So."},
    ])));
    let parts = &request.conversation.turns[0].parts;
    let PartKind::Reasoning { text, state } = &parts[0].kind else { panic!("{parts:?}") };
    let state = state.as_ref().unwrap();
    assert_eq!((text.as_str(), state.kind, state.data.as_str()), ("a\n\nb", StateKind::Encrypted, "abc"));
    assert!(matches!(&parts[1].kind, PartKind::Reasoning { text, state: None } if text == "openly"));
}

#[test]
fn ec_008_a_tool_of_free_text_and_its_calls_are_read() {
    let format = json!({"type": "grammar", "syntax": "lark", "definition": "start: \"x\""});
    let mut body = asked(json!([
        {"type": "custom_tool_call", "call_id": "call_1", "name": "apply_patch", "input": "*** Begin"},
        {"type": "custom_tool_call_output", "call_id": "call_1", "output": "Done."},
    ]));
    body["tools"] = json!([{"type": "custom", "name": "apply_patch", "format": format}]);
    let request = decode(&body);
    assert_eq!(request.tools[0].kind, ToolKind::Custom { format: Some(format) });
    let PartKind::ToolCall(call) = &request.conversation.turns[0].parts[0].kind else { panic!() };
    assert_eq!((call.custom, call.arguments.0.as_str()), (true, "*** Begin"));
    assert!(request.conversation.turns[1].parts[0].extra.get().is_none(), "its call says what it is");
}

#[test]
fn ec_009_tools_in_namespaces_get_flat_names() {
    let mut body = asked(json!([
        {"type": "function_call", "call_id": "call_1", "namespace": "files", "name": "read", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "x"},
        {"type": "function_call", "call_id": "call_2", "namespace": "mcp__b__", "name": "read", "arguments": "{}"},
    ]));
    body["tools"] =
        json!([namespace("files", &[function("read")]), namespace("mcp__b__", &[function("read")])]);
    let request = decode(&body);
    assert_eq!(names(&request), ["files__read", "mcp__b__read"]);
    let place = request.tools[0].namespaced.as_ref().unwrap();
    assert_eq!((place.namespace.as_str(), place.name.as_str()), ("files", "read"));
    let called: Vec<&str> = request
        .conversation
        .turns
        .iter()
        .flat_map(|it| &it.parts)
        .filter_map(|it| match &it.kind {
            PartKind::ToolCall(call) => Some(call.name.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(called, ["files__read", "mcp__b__read"]);
}

#[test]
fn ec_187_a_direct_tool_keeps_its_name_and_others_are_told_apart() {
    let mut body = asked(json!("x"));
    body["tools"] = json!([
        namespace("a", &[function("b__c"), function("d")]),
        function("a__d"),
        namespace("a__b", &[function("c")]),
    ]);
    let request = decode(&body);
    assert_eq!(names(&request), ["a__b__c", "a__d_2", "a__d", "a__b__c_2"]);
}

#[test]
fn ec_062_tools_that_items_reveal_are_tools_and_declared_ones_win() {
    let mut body = asked(json!([
        {"type": "additional_tools", "role": "developer", "tools": [function("pack"), function("weigh")]},
        {"type": "tool_search_output", "call_id": "call_1", "tools": [namespace("crm", &[function("ship")])]},
        {"type": "function_call", "call_id": "call_2", "namespace": "crm", "name": "ship", "arguments": "{}"},
    ]));
    body["tools"] = json!([{"type": "function", "name": "pack", "description": "Declared."}]);
    let request = decode(&body);
    assert_eq!(names(&request), ["pack", "weigh", "crm__ship"]);
    assert_eq!(request.tools[0].description.as_deref(), Some("Declared."));
}

#[test]
fn tools_of_the_provider_are_known_by_what_they_do() {
    let mut body = asked(json!("x"));
    body["tools"] = json!([
        {"type": "web_search", "filters": {"allowed_domains": ["example.com"]}, "search_context_size": "low"},
        {"type": "web_search_preview_2025_03_11"},
        {"type": "code_interpreter", "container": {"type": "auto"}},
        {"type": "mcp", "server_label": "docs"},
    ]);
    let request = decode(&body);
    let families: Vec<Option<&Builtin>> = request
        .tools
        .iter()
        .map(|it| match &it.kind {
            ToolKind::Builtin { family, .. } => family.as_ref(),
            _ => panic!("{it:?}"),
        })
        .collect();
    let Some(Builtin::WebSearch(search)) = families[0] else { panic!() };
    assert_eq!(
        (search.allowed_domains.as_slice(), search.context_size.as_deref()),
        (&["example.com".to_owned()][..], Some("low"))
    );
    assert!(matches!(families[1], Some(Builtin::WebSearch(_))));
    assert_eq!(families[2..], [Some(&Builtin::CodeExecution), None]);
}

#[test]
fn tool_choice_is_read_in_all_its_forms() {
    let choice = |value: Value| {
        let mut body = asked(json!("x"));
        body["tools"] = json!([function("read"), namespace("ns", &[function("write")]), {"type": "web_search"}, {"type": "mcp", "server_label": "a"}]);
        body["tool_choice"] = value;
        decode(&body).tool_choice.unwrap()
    };
    assert_eq!(choice(json!("required")), ToolChoice::Required);
    assert_eq!(choice(json!({"type": "function", "name": "read"})), ToolChoice::Named("read".to_owned()));
    assert_eq!(
        choice(json!({"type": "function", "function": {"name": "read"}})),
        ToolChoice::Named("read".to_owned())
    );
    assert_eq!(
        choice(json!({"type": "function", "name": "write"})),
        ToolChoice::Named("ns__write".to_owned())
    );
    assert_eq!(choice(json!({"type": "web_search"})), ToolChoice::Named("web_search".to_owned()));
    let allowed = json!({"type": "allowed_tools", "mode": "required",
        "tools": [{"type": "function", "name": "read"}, {"type": "web_search"}]});
    let names = vec!["read".to_owned(), "web_search".to_owned()];
    assert_eq!(choice(allowed), ToolChoice::Allowed { names, required: true });
    for raw in [json!({"type": "mcp", "server_label": "a"}), json!({"type": "file_search"})] {
        assert_eq!(choice(raw.clone()), ToolChoice::Other { dialect: DialectId::OpenaiResponses, raw });
    }
}

#[test]
fn media_is_read_from_wherever_it_is() {
    let png = "data:image/jpg;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB";
    let request = decode(&asked(json!([{"role": "user", "content": [
        {"type": "input_image", "image_url": png, "detail": null},
        {"type": "input_image", "file_id": "file-1"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjcK"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
    ]}])));
    let media: Vec<_> = request.conversation.turns[0]
        .parts
        .iter()
        .map(|it| match &it.kind {
            PartKind::Media(media) => media,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(media[0].media_type.as_deref(), Some("image/png"), "the bytes say so");
    assert_eq!(media[1].source, MediaSource::FileId("file-1".to_owned()));
    assert_eq!(media[2].detail.as_deref(), Some("low"));
    assert_eq!(media[3].source, MediaSource::Url("https://example.com/a.pdf".to_owned()));
    assert_eq!(media[4].name.as_deref(), Some("a.pdf"));
    assert_eq!(media[5].media_type.as_deref(), Some("audio/mpeg"));
}

#[test]
fn what_the_provider_did_is_kept_whole_and_understood_in_part() {
    let search =
        json!({"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "rust"}});
    let request = decode(&asked(
        json!([search, {"type": "acme:thing"}, {"type": "item_reference", "id": "x"}, {"id": "y"}]),
    ));
    assert_eq!(roles(&request), [(Role::Assistant, 1), (Role::User, 1), (Role::User, 1), (Role::User, 1)]);
    let PartKind::ServerTool { raw, step, .. } = &request.conversation.turns[0].parts[0].kind else {
        panic!()
    };
    let expected = ServerStep::WebSearch { id: "ws_1".to_owned(), queries: vec!["rust".to_owned()] };
    assert_eq!((raw, step.as_ref()), (&search, Some(&expected)));
    assert!(matches!(&request.conversation.turns[1].parts[0].kind, PartKind::Opaque { .. }));
}

#[test]
fn settings_are_read() {
    let mut body = asked(json!("x"));
    body["reasoning"] = json!({"effort": "xhigh", "summary": "detailed", "context": "auto"});
    body["text"] = json!({"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {}, "strict": true}});
    body["include"] = json!(["message.output_text.logprobs"]);
    body["top_logprobs"] = json!(2);
    body["store"] = json!(false);
    body["previous_response_id"] = json!("resp_1");
    let request = decode(&body);
    assert_eq!(request.reasoning.mode, ReasoningMode::Effort(Effort::Xhigh));
    assert_eq!(request.reasoning.show, ReasoningShow::Summary);
    assert_eq!((request.sampling.logprobs, request.sampling.top_logprobs), (Some(true), Some(2)));
    assert!(matches!(&request.output, OutputFormat::JsonSchema { strict: Some(true), .. }));
    assert_eq!((request.store, request.previous_response.as_deref()), (Some(false), Some("resp_1")));
    let kept = request.extra.field(DialectId::OpenaiResponses, "reasoning");
    assert_eq!(kept, Some(&json!({"summary": "detailed", "context": "auto"})));
}

#[test]
fn ec_174_a_chat_request_on_this_path_is_understood() {
    let request =
        decode(&json!({"model": "m", "messages": [{"role": "user", "content": "Hello."}], "max_tokens": 5}));
    assert_eq!((roles(&request), request.max_tokens), (vec![(Role::User, 1)], Some(5)));
    let mut body = asked(json!([{"role": "user", "content": [{"type": "text", "text": "Hello."}]}]));
    body["tools"] =
        json!([{"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}]);
    let request = decode(&body);
    assert_eq!(names(&request), ["read"]);
    assert_eq!(request.conversation.turns[0].parts[0].as_text(), Some("Hello."));
}

#[test]
fn what_is_wrong_is_told_by_its_place() {
    let user = json!({"role": "user", "content": "x"});
    for (body, at) in [
        (json!({"model": "m"}), "/input"),
        (asked(json!([])), "/input"),
        (asked(json!(5)), "/input"),
        (asked(json!([5])), "/input/0"),
        (asked(json!([{}])), "/input/0/type"),
        (asked(json!([{"type": 5}])), "/input/0/type"),
        (asked(json!([{"role": "tool", "content": "x"}])), "/input/0/role"),
        (asked(json!([{"role": "user"}])), "/input/0/content"),
        (asked(json!([{"role": "user", "content": [{"text": "x"}]}])), "/input/0/content/0/type"),
        (
            asked(json!([{"role": "user", "content": [{"type": "input_image"}]}])),
            "/input/0/content/0/image_url",
        ),
        (
            asked(json!([{"role": "user", "content": [{"type": "input_file"}]}])),
            "/input/0/content/0/file_data",
        ),
        (asked(json!([user, {"type": "function_call", "name": "a", "arguments": "{}"}])), "/input/1/call_id"),
        (asked(json!([{"type": "function_call_output", "call_id": "a"}])), "/input/0/output"),
        (asked(json!([{"type": "reasoning", "summary": "x"}])), "/input/0/summary"),
        (json!({"model": "m", "input": "x", "tools": [{}]}), "/tools/0/type"),
        (json!({"model": "m", "input": "x", "tools": [{"type": "function"}]}), "/tools/0/name"),
        (
            json!({"model": "m", "input": "x", "tools": [{"type": "function", "name": "a", "parameters": 5}]}),
            "/tools/0/parameters",
        ),
        (
            json!({"model": "m", "input": "x", "tools": [{"type": "namespace", "name": "a", "tools": [{"type": "function"}]}]}),
            "/tools/0/tools/0/name",
        ),
        (json!({"model": "m", "input": "x", "tool_choice": "often"}), "/tool_choice"),
        (json!({"model": "m", "input": "x", "tool_choice": {"type": "function"}}), "/tool_choice/name"),
        (
            json!({"model": "m", "input": "x", "text": {"format": {"type": "json_schema"}}}),
            "/text/format/schema",
        ),
        (json!({"model": "m", "input": "x", "reasoning": "high"}), "/reasoning"),
        (json!({"model": "m", "input": "x", "store": "no"}), "/store"),
        (json!({"input": "x"}), "/model"),
    ] {
        let error = refused(&body);
        assert_eq!(error.at, at, "{body}");
        assert!(error.message.contains('`') || error.message.contains("needs"), "{}", error.message);
    }
}

#[test]
fn a_request_that_goes_on_needs_no_input() {
    let request = decode(&json!({"model": "m", "previous_response_id": "resp_1"}));
    assert!(request.conversation.turns.is_empty());
}

#[test]
fn an_include_that_is_understood_is_no_field_of_this_dialect_alone() {
    let mut body = asked(json!("x"));
    body["include"] = json!(["reasoning.encrypted_content", "message.output_text.logprobs"]);
    let (request, model) = (decode(&body), UpstreamModel::parse("m").unwrap());
    let tell = |to: DialectId| to.client().encode_request(&request, &model, &Abilities::default()).unwrap();
    assert!(!tell(DialectId::OpenaiChat).losses.iter().any(|it| it.at == "/include"));
    let own: Value = serde_json::from_slice(&tell(DialectId::OpenaiResponses).body).unwrap();
    assert_eq!(own["include"], body["include"]);
    body["include"] = json!(["reasoning.encrypted_content", "file_search_call.results"]);
    let told = DialectId::OpenaiChat.client().encode_request(&decode(&body), &model, &Abilities::default());
    assert!(told.unwrap().losses.iter().any(|it| it.at == "/include"));
}
