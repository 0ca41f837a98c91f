use serde_json::json;

use super::*;
use crate::{
    catalog::{
        ModelName,
        model::{Effort, SamplingFields, StructuredOutput, ThinkingControl},
    },
    dialect::{
        DialectId, LossAction, ServerCodec as _,
        anthropic_messages::ANTHROPIC_MESSAGES,
        canonical::{
            Arguments, CacheMark, Conversation, Extra, Media, MediaKind, MediaSource, OutputFormat, Part,
            PartKind, Reasoning, ReasoningMode, Role, Sampling, StreamRequest, Tool, ToolCall, ToolChoice,
            ToolKind, ToolResult, Turn,
        },
    },
};

const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB";

/// A model that can do everything, at Anthropic.
fn able() -> Abilities {
    Abilities {
        max_temperature_tenths: 10,
        thinking: ThinkingControl::Adaptive,
        efforts: vec![Effort::Low, Effort::Medium, Effort::High, Effort::Xhigh, Effort::Max],
        system_between_turns: true,
        forced_tool_while_thinking: true,
        unknown_fields: true,
        max_stops: 100,
        max_tool_name: 128,
        ..Abilities::default()
    }
}

fn read(body: &Value) -> ChatRequest {
    ANTHROPIC_MESSAGES.decode_request(body.to_string().as_bytes()).unwrap()
}

fn encode(request: &ChatRequest, abilities: &Abilities) -> (Value, Encoded) {
    let encoded = super::request(request, &UpstreamModel::parse("up").unwrap(), abilities).unwrap();
    (serde_json::from_slice(&encoded.body).unwrap(), encoded)
}

fn write(request: &ChatRequest, abilities: &Abilities) -> Value {
    encode(request, abilities).0
}

/// What a Messages request becomes.
fn pass(body: &Value, abilities: &Abilities) -> (Value, Encoded) {
    encode(&read(body), abilities)
}

fn places(encoded: &Encoded) -> Vec<&str> {
    encoded.losses.iter().map(|it| it.at.as_str()).collect()
}

fn turn(role: Role, parts: Vec<Part>, at: usize) -> Turn {
    Turn { role, parts, plain: false, name: None, at: format!("/messages/{at}"), extra: Extra::default() }
}

/// A request as another dialect's decoder would make it.
fn foreign(turns: Vec<(Role, Vec<Part>)>) -> ChatRequest {
    let turns = turns.into_iter().enumerate().map(|(at, (role, parts))| turn(role, parts, at)).collect();
    ChatRequest {
        model: ModelName::parse("m").unwrap(),
        conversation: Conversation { turns },
        tools: Vec::new(),
        tool_choice: None,
        parallel_tool_calls: None,
        output: OutputFormat::Text,
        sampling: Sampling::default(),
        max_tokens: Some(4000),
        stop: Vec::new(),
        reasoning: Reasoning::default(),
        end_user: None,
        metadata: None,
        service_tier: None,
        prompt_cache_key: None,
        store: None,
        previous_response: None,
        stream: StreamRequest::default(),
        legacy_functions: false,
        extra: Extra::default(),
    }
}

fn hello() -> ChatRequest {
    foreign(vec![(Role::User, vec![Part::text("hi")])])
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    Part::new(PartKind::ToolCall(ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: Arguments(arguments.into()),
        custom: false,
    }))
}

fn result(id: &str, text: &str) -> Part {
    Part::new(PartKind::ToolResult(ToolResult {
        call_id: id.into(),
        content: vec![Part::text(text)],
        plain: true,
        is_error: None,
    }))
}

fn function(name: &str) -> Tool {
    Tool {
        kind: ToolKind::Function,
        namespaced: None,
        name: name.into(),
        description: None,
        schema: None,
        strict: None,
        cache: None,
        at: "/tools/0".to_owned(),
        extra: Extra::default(),
    }
}

fn media(kind: MediaKind, source: MediaSource, declared: Option<&str>) -> Part {
    let media_type = declared.map(str::to_owned);
    Part::new(PartKind::Media(Media { kind, source, media_type, name: None, detail: None }))
}

fn thinking(mode: ReasoningMode) -> ChatRequest {
    ChatRequest { reasoning: Reasoning { mode, ..Reasoning::default() }, ..hello() }
}

mod conversation;
mod fields;

#[test]
fn ec_001_a_request_of_claude_code_comes_out_as_it_came_in() {
    let body = json!({
        "model": "up", "max_tokens": 32000, "stream": true,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cch=1;"},
            {"type": "text", "text": "You are an agent.", "cache_control": {"type": "ephemeral", "scope": "global", "ttl": "1h"}}],
        "thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {"effort": "high"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "metadata": {"user_id": "user_1"},
        "temperature": 1,
        "tools": [
            {"name": "Read", "description": "Reads.", "input_schema": {"$schema": "x", "type": "object",
                "properties": {"path": {"type": "string"}}, "required": ["path"], "additionalProperties": false}},
            {"name": "mcp__x__y", "input_schema": {"type": "object", "properties": {}}, "defer_loading": true},
            {"type": "custom", "name": "c", "input_schema": {"type": "object", "properties": {}}},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 5,
                "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": false},
        "stop_sequences": ["END"],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Go.\u{2028}"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}, "title": "Y",
                    "citations": {"enabled": true}, "context": "c"},
                {"type": "document", "source": {"type": "content", "content": "plain"}},
                {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "a"}]}},
                {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
                {"type": "container_upload", "file_id": "file_2"},
                {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "a"}]}]},
            {"role": "system", "content": "Plan mode is on."},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Hm.\n", "signature": "EqQB/+=="},
                {"type": "redacted_thinking", "data": "Abc="},
                {"type": "text", "text": "I read.", "citations": [{"type": "char_location", "cited_text": "x"}]},
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
                {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"encrypted_content": "e"}]},
                {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"path": "a", "n": 12_345_678_901_234_567_890_u64},
                    "caller": {"type": "direct"}},
                {"type": "tool_use", "id": "toolu_2", "name": "mcp__x__y", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "ok"},
                    {"type": "tool_reference", "tool_name": "c"}], "cache_control": {"type": "ephemeral"}},
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": "", "is_error": true},
                {"type": "text", "text": "And?"}]},
            {"role": "assistant", "content": "Done."},
            {"role": "user", "content": "Thanks."}]});
    let (written, encoded) = pass(&body, &able());
    assert_eq!(written, body);
    assert_eq!(places(&encoded), Vec::<&str>::new());
}

#[test]
fn other_forms_come_out_as_they_came_in() {
    for fields in [
        json!({"system": "Be brief.", "thinking": {"type": "disabled"}, "tool_choice": {"type": "none"},
            "tools": [{"name": "a", "input_schema": {"type": "object"}}]}),
        json!({"output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}}}),
        json!({"thinking": {"type": "adaptive"}, "output_config": {"later": 1}, "metadata": {"more": 1}}),
        json!({"thinking": {"type": "between_tools"}, "speed": "fast", "top_p": 0.5, "top_k": 3}),
        json!({"max_tokens": 0, "service_tier": "standard_only", "mcp_servers": [{"name": "x"}],
            "tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}], "tool_choice": {"type": "any"}}),
        json!({"messages": [{"role": "user", "content": "a"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "a", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}],
            "tools": [{"name": "a", "input_schema": {"type": "object"}}]}),
        json!({"messages": [{"role": "user", "content": "a"},
            {"role": "system", "content": [], "output_config": {"effort": "low"}},
            {"role": "assistant", "content": "The answer is"}]}),
    ] {
        let mut body =
            json!({"model": "up", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let (written, encoded) = pass(&body, &able());
        assert_eq!(written, body, "{:?}", encoded.losses);
        assert_eq!(places(&encoded), Vec::<&str>::new());
    }
}

#[test]
fn ec_202_a_limit_of_zero_is_sent() {
    let request = ChatRequest { max_tokens: Some(0), ..hello() };
    assert_eq!(write(&request, &able())["max_tokens"], 0);
}

#[test]
fn betas_in_the_body_go_to_the_header() {
    let body = json!({"model": "m", "max_tokens": 1, "betas": ["a-1", "b-2"], "messages": [{"role": "user", "content": "a"}]});
    let (written, encoded) = pass(&body, &able());
    assert!(written.get("betas").is_none());
    assert_eq!(encoded.betas, ["a-1", "b-2"]);
}

#[test]
fn ec_013_a_clone_is_not_told_anthropics_newer_fields() {
    let body = json!({"model": "m", "max_tokens": 10, "context_management": {"edits": []},
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "a", "input_schema": {"type": "object"}, "defer_loading": true}],
        "messages": [{"role": "user", "content": "a"}]});
    let clone = Abilities { unknown_fields: false, cache_control: false, ..able() };
    let (written, encoded) = pass(&body, &clone);
    assert!(!written.to_string().contains("cache_control"));
    assert!(
        written.get("context_management").is_none() && written["tools"][0].get("defer_loading").is_none()
    );
    assert_eq!(places(&encoded), ["/tools/0/defer_loading", "/context_management"]);

    let anthropic = Abilities { unknown_fields: false, ..able() };
    let (written, encoded) = pass(&body, &anthropic);
    assert_eq!(written["context_management"], body["context_management"]);
    assert!(encoded.losses.is_empty());
}

#[test]
fn fields_of_another_dialect_are_noted() {
    let fields = Map::from_iter([("prediction".to_owned(), json!({}))]);
    let request = ChatRequest { extra: Extra::new(DialectId::OpenaiChat, "", fields), ..hello() };
    assert_eq!(places(&encode(&request, &able()).1), ["/prediction"]);
}
