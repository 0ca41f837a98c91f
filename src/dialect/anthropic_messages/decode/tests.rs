use serde_json::json;

use super::*;
use crate::{
    catalog::model::Effort,
    dialect::canonical::{
        MediaKind, MediaSource, OutputFormat, PartKind, ReasoningMode, ReasoningShow, StateKind, ToolChoice,
        ToolKind,
    },
};

fn read(body: &Value) -> Result<ChatRequest, DecodeError> {
    request(body.to_string().as_bytes(), Limit::Required)
}

/// A request with one message, and `more`.
fn with(more: impl Into<Value>) -> Value {
    let mut body =
        json!({"model": "claude-x", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.into().as_object().unwrap().clone());
    body
}

fn with_blocks(role: &str, blocks: impl Into<Value>) -> Value {
    with(json!({"messages": [{"role": role, "content": blocks.into()}]}))
}

#[test]
fn system_and_messages_become_turns() {
    let request = read(&with(json!({"system": "Be brief."}))).unwrap();
    let roles: Vec<(Role, &str, bool)> =
        request.conversation.turns.iter().map(|it| (it.role, it.at.as_str(), it.plain)).collect();
    assert_eq!(roles, [(Role::System, "/system", true), (Role::User, "/messages/0", true)]);
    assert_eq!(request.max_tokens, Some(10));
}

#[test]
fn ec_014_a_system_role_between_messages_is_read() {
    let body =
        with(json!({"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]}));
    assert_eq!(read(&body).unwrap().conversation.turns[1].role, Role::System);
}

#[test]
fn blocks_of_every_kind_are_read() {
    let body = with_blocks(
        "assistant",
        json!([
            {"type": "thinking", "thinking": "t", "signature": "s"},
            {"type": "redacted_thinking", "data": "d"},
            {"type": "tool_use", "id": "i", "name": "n", "input": {"b": 1, "a": 10.0}},
            {"type": "server_tool_use", "id": "i", "name": "web_search", "input": {}},
            {"type": "web_search_tool_result", "tool_use_id": "i", "content": []},
            {"type": "mcp_tool_use", "id": "i"},
            {"type": "search_result", "source": "x"},
            {"type": "later"},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}, "title": "T"},
        ]),
    );
    let request = read(&body).unwrap();
    let kinds: Vec<&PartKind> = request.conversation.turns[0].parts.iter().map(|it| &it.kind).collect();
    assert!(
        matches!(kinds[0], PartKind::Reasoning { state: Some(it), .. } if it.kind == StateKind::Signature)
    );
    assert!(
        matches!(kinds[1], PartKind::Reasoning { state: Some(it), .. } if it.kind == StateKind::Redacted)
    );
    assert!(matches!(kinds[2], PartKind::ToolCall(it) if it.arguments.0 == "{\"b\":1,\"a\":10.0}"));
    assert!(kinds[3..6].iter().all(|it| matches!(it, PartKind::ServerTool { .. })));
    assert!(kinds[6..8].iter().all(|it| matches!(it, PartKind::Opaque { .. })));
    assert!(matches!(kinds[8], PartKind::Media(it) if it.kind == MediaKind::Document
        && it.source == MediaSource::Text("x".into()) && it.name.as_deref() == Some("T")));
}

#[test]
fn tools_and_choices_are_read() {
    let body = with(json!({
        "tools": [
            {"name": "a", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            {"type": "custom", "name": "b", "input_schema": {"type": "object"}, "defer_loading": true},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}],
        "tool_choice": {"type": "tool", "name": "a", "disable_parallel_tool_use": true}}));
    let request = read(&body).unwrap();
    assert_eq!(request.tools[0].cache.as_ref().unwrap().ttl.as_deref(), Some("1h"));
    assert_eq!(request.tools[1].kind, ToolKind::Function);
    assert_eq!(request.tools[1].extra.field(ID, "defer_loading"), Some(&json!(true)));
    assert!(matches!(&request.tools[2].kind, ToolKind::Builtin { raw, .. } if raw["max_uses"] == 3));
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("a".into())));
    assert_eq!(request.parallel_tool_calls, Some(false));
}

#[test]
fn thinking_and_effort_become_one_mode() {
    for (fields, mode, show) in [
        (json!({}), ReasoningMode::Default, ReasoningShow::Default),
        (json!({"thinking": {"type": "disabled"}}), ReasoningMode::Off, ReasoningShow::Default),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 2000}}),
            ReasoningMode::Budget(2000),
            ReasoningShow::Default,
        ),
        (
            json!({"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "high"}}),
            ReasoningMode::Adaptive(Some(Effort::High)),
            ReasoningShow::Hidden,
        ),
        (
            json!({"output_config": {"effort": "low"}}),
            ReasoningMode::Effort(Effort::Low),
            ReasoningShow::Default,
        ),
    ] {
        let request = read(&with(fields)).unwrap();
        assert_eq!((request.reasoning.mode, request.reasoning.show), (mode, show));
    }
}

#[test]
fn a_schema_for_the_answer_is_read_from_both_places() {
    let format = json!({"type": "json_schema", "schema": {"type": "object"}});
    for body in [with(json!({"output_config": {"format": format}})), with(json!({"output_format": format}))] {
        let request = read(&body).unwrap();
        assert!(matches!(request.output, OutputFormat::JsonSchema { .. }));
        assert!(request.extra.get().is_none());
    }
}

#[test]
fn what_we_do_not_know_is_kept_where_it_stood() {
    let body = with(json!({
        "context_management": {"edits": []}, "metadata": {"user_id": "u", "more": 1},
        "messages": [{"role": "user", "odd": 1, "content": [
            {"type": "text", "text": "a", "odd": 2, "cache_control": {"type": "ephemeral", "scope": "global"}}]}]}));
    let request = read(&body).unwrap();
    assert_eq!(request.end_user.as_deref(), Some("u"));
    assert_eq!(request.extra.field(ID, "metadata"), Some(&json!({"more": 1})));
    assert!(request.extra.field(ID, "context_management").is_some());
    let turn = &request.conversation.turns[0];
    assert_eq!(turn.extra.get().unwrap().at, "/messages/0");
    let part = &turn.parts[0];
    assert_eq!(part.extra.get().unwrap().at, "/messages/0/content/0");
    assert!(part.cache.is_some() && part.extra.field(ID, "cache_control").is_some());
}

#[test]
fn a_fault_is_named_with_its_place() {
    for (body, at) in [
        (json!([]), ""),
        (json!({"max_tokens": 1, "messages": []}), "/model"),
        (json!({"model": "a b", "max_tokens": 1, "messages": []}), "/model"),
        (json!({"model": "m", "messages": []}), "/max_tokens"),
        (json!({"model": "m", "max_tokens": 1}), "/messages"),
        (json!({"model": "m", "max_tokens": 1, "messages": []}), "/messages"),
        (with(json!({"max_tokens": "1"})), "/max_tokens"),
        (with(json!({"messages": [{"content": "a"}]})), "/messages/0/role"),
        (with(json!({"messages": [{"role": "tool", "content": "a"}]})), "/messages/0/role"),
        (with(json!({"messages": [{"role": "user"}]})), "/messages/0/content"),
        (with_blocks("user", json!([{"text": "a"}])), "/messages/0/content/0/type"),
        (with_blocks("user", json!([{"type": "text"}])), "/messages/0/content/0/text"),
        (with_blocks("user", json!([{"type": "image"}])), "/messages/0/content/0/source"),
        (with_blocks("user", json!(["a"])), "/messages/0/content/0"),
        (
            with_blocks(
                "user",
                json!([{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text"}]}]),
            ),
            "/messages/0/content/0/content/0/text",
        ),
        (with(json!({"tools": [{"input_schema": {}}]})), "/tools/0/name"),
        (with(json!({"tools": [{"name": "a", "input_schema": "x"}]})), "/tools/0/input_schema"),
        (with(json!({"thinking": {"type": "enabled"}})), "/thinking/budget_tokens"),
        (with(json!({"stop_sequences": ["a", 1]})), "/stop_sequences/1"),
        (with(json!({"temperature": "hot"})), "/temperature"),
        (with(json!({"stream": 1})), "/stream"),
    ] {
        let error = read(&body).unwrap_err();
        assert_eq!(error.at, at, "{body}: {error}");
        assert!(!error.message.is_empty());
    }
}

#[test]
fn ec_038_a_count_needs_no_limit() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "a"}]}).to_string();
    assert_eq!(request(body.as_bytes(), Limit::Optional).unwrap().max_tokens, None);
}

#[test]
fn ec_202_a_limit_of_zero_is_a_limit() {
    assert_eq!(read(&with(json!({"max_tokens": 0}))).unwrap().max_tokens, Some(0));
}

#[test]
fn ec_151_media_that_is_no_base64_is_refused_and_the_rest_repaired() {
    for kind in ["image", "document"] {
        let source = |data: &str| json!({"type": "base64", "media_type": "application/pdf", "data": data});
        let asked = |data: &str| with_blocks("user", json!([{"type": kind, "source": source(data)}]));
        let refused = read(&asked("not base64!")).unwrap_err();
        assert_eq!(refused.at, "/messages/0/content/0/source/data");
        let repaired = read(&asked("_-8\n")).unwrap();
        let PartKind::Media(media) = &repaired.conversation.turns[0].parts[0].kind else { panic!() };
        assert_eq!(media.source, MediaSource::Inline("/+8=".into()));
    }
}
