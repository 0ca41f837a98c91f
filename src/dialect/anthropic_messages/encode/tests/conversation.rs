//! The shape of the conversation, and its parts.

use super::*;

#[test]
fn ec_010_all_results_go_into_one_message_before_the_text() {
    let request = ChatRequest {
        tools: vec![function("f")],
        ..foreign(vec![
            (Role::User, vec![Part::text("go")]),
            (Role::Assistant, vec![call("a", "f", "{}"), call("b", "f", "{}")]),
            (Role::User, vec![result("a", "1")]),
            (Role::User, vec![Part::text("and")]),
            (Role::User, vec![result("b", "2")]),
        ])
    };
    let written = write(&request, &able());
    assert_eq!(
        written["messages"][2]["content"],
        json!([
            {"type": "tool_result", "tool_use_id": "a", "content": "1"},
            {"type": "tool_result", "tool_use_id": "b", "content": "2"},
            {"type": "text", "text": "and"}])
    );
    assert_eq!(written["messages"].as_array().unwrap().len(), 3);
}

#[test]
fn ec_014_a_system_turn_that_may_not_stand_there_becomes_a_reminder() {
    let request = foreign(vec![
        (Role::System, vec![Part::text("top")]),
        (Role::User, vec![Part::text("a")]),
        (Role::Assistant, vec![call("t", "f", "{}")]),
        (Role::Developer, vec![Part::text("note")]),
        (Role::User, vec![result("t", "1")]),
    ]);
    let plain = Abilities { system_between_turns: false, ..able() };
    for abilities in [plain, able()] {
        let (written, encoded) = encode(&request, &abilities);
        assert_eq!(written["system"], json!([{"type": "text", "text": "top"}]));
        let last = &written["messages"][2];
        if abilities.system_between_turns {
            // The repair put it after the results, where the dialect allows it.
            assert_eq!(written["messages"][3]["role"], "system");
        } else {
            assert_eq!(last["content"][0]["type"], "tool_result");
            assert_eq!(last["content"][1]["text"], "<system-reminder>\nnote\n</system-reminder>");
            assert!(places(&encoded).contains(&"/messages/3"));
        }
    }
}

#[test]
fn ec_028_ec_029_calls_and_results_are_paired() {
    let request = foreign(vec![
        (Role::User, vec![result("ghost", "boo")]),
        (Role::Assistant, vec![call("a", "f", "{}")]),
        (Role::User, vec![Part::text("stop")]),
    ]);
    let (written, encoded) = encode(&request, &able());
    let text = written["messages"][0]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("boo"));
    assert_eq!(written["messages"][2]["content"][0]["is_error"], true);
    assert!(encoded.losses.iter().any(|it| it.action == LossAction::Synthesized));
}

#[test]
fn ec_033_ec_110_an_empty_text_leaves_its_cache_mark_behind() {
    let marked = |text: &str| Part { cache: Some(CacheMark { ttl: None }), ..Part::text(text) };
    let request = foreign(vec![
        (Role::User, vec![Part::text("a"), marked("  \n")]),
        (Role::Assistant, vec![Part::text("b")]),
        (Role::User, vec![marked(""), Part::text("c")]),
    ]);
    let written = write(&request, &able());
    let mark = json!({"type": "ephemeral"});
    assert_eq!(
        written["messages"][0]["content"],
        json!([{"type": "text", "text": "a", "cache_control": mark}])
    );
    assert_eq!(written["messages"][1]["content"][0]["cache_control"], mark);
    assert_eq!(written["messages"][2]["content"], json!([{"type": "text", "text": "c"}]));
}

#[test]
fn ec_044_ec_163_thinking_that_nobody_signed_is_left_out() {
    let thought = |state| Part::new(PartKind::Reasoning { text: "t".into(), state });
    let request = foreign(vec![
        (Role::User, vec![Part::text("a")]),
        (Role::Assistant, vec![thought(None), Part::text("b")]),
        (Role::User, vec![Part::text("c")]),
    ]);
    let (written, encoded) = encode(&request, &able());
    assert_eq!(written["messages"][1]["content"], json!([{"type": "text", "text": "b"}]));
    assert_eq!(places(&encoded), ["/messages/1/content/0"]);

    let wants = Abilities { wants_reasoning_back: true, ..able() };
    let written = write(&request, &wants);
    assert_eq!(written["messages"][1]["content"][0], json!({"type": "thinking", "thinking": "t"}));

    let body = json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "a"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": ""},
            {"type": "text", "text": "b"}]}, {"role": "user", "content": "c"}]});
    assert_eq!(pass(&body, &able()).0["messages"][1]["content"], json!([{"type": "text", "text": "b"}]));
}

#[test]
fn ec_046_a_begun_answer_is_dropped_for_who_cannot_continue_it() {
    let request =
        foreign(vec![(Role::User, vec![Part::text("a")]), (Role::Assistant, vec![Part::text("It is \n")])]);
    assert_eq!(write(&request, &able())["messages"][1]["content"][0]["text"], "It is");
    let cannot = Abilities { prefill: false, ..able() };
    let (written, encoded) = encode(&request, &cannot);
    assert_eq!(written["messages"].as_array().unwrap().len(), 1);
    assert_eq!(places(&encoded), ["/messages/1"]);
    let thinks = ChatRequest { reasoning: thinking(ReasoningMode::Adaptive(None)).reasoning, ..request };
    assert_eq!(write(&thinks, &able())["messages"].as_array().unwrap().len(), 1);
}

#[test]
fn ec_055_illegal_ids_are_cleaned_on_both_sides() {
    let request = foreign(vec![
        (Role::User, vec![Part::text("a")]),
        (Role::Assistant, vec![call("functions.x:0", "f", "{}")]),
        (Role::User, vec![result("functions.x:0", "1")]),
    ]);
    let written = write(&request, &able());
    let id = &written["messages"][1]["content"][0]["id"];
    assert_eq!(id, &written["messages"][2]["content"][0]["tool_use_id"]);
    assert!(id.as_str().unwrap().chars().all(|it| it.is_ascii_alphanumeric() || it == '_' || it == '-'));
}

#[test]
fn ec_105_ec_158_turns_of_one_role_are_merged() {
    let request = foreign(vec![
        (Role::Assistant, vec![Part::text("first")]),
        (Role::User, vec![Part::text("a")]),
        (Role::User, vec![Part::text("b")]),
    ]);
    let written = write(&request, &able());
    let roles: Vec<&str> =
        written["messages"].as_array().unwrap().iter().map(|it| it["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    assert_eq!(written["messages"][2]["content"].as_array().unwrap().len(), 2);
}

#[test]
fn ec_142_arguments_that_are_no_object_are_wrapped() {
    let request = foreign(vec![
        (Role::User, vec![Part::text("a")]),
        (
            Role::Assistant,
            vec![call("a", "f", "[1]"), call("b", "f", "\"{\\\"x\\\":1}\""), call("c", "f", "")],
        ),
        (Role::User, vec![result("a", "1"), result("b", "2"), result("c", "3")]),
    ]);
    let (written, encoded) = encode(&request, &able());
    let input = |at: usize| &written["messages"][1]["content"][at]["input"];
    assert_eq!((input(0), input(1), input(2)), (&json!({"_raw": "[1]"}), &json!({"x": 1}), &json!({})));
    assert!(places(&encoded).contains(&"/messages/1/content/0"));
}

#[test]
fn ec_107_ec_151_media_gets_its_true_type() {
    let request = foreign(vec![(
        Role::User,
        vec![
            media(MediaKind::Image, MediaSource::Inline(PNG.into()), Some("image/jpg")),
            media(MediaKind::Image, MediaSource::Url("https://x/y".into()), None),
            media(
                MediaKind::Document,
                MediaSource::Inline("JVBERi0xLjcgYWJj".into()),
                Some("application/pdf"),
            ),
            media(MediaKind::Document, MediaSource::Inline("YSBi".into()), Some("text/markdown")),
        ],
    )]);
    let written = write(&request, &able());
    let source = |at: usize| &written["messages"][0]["content"][at]["source"];
    assert_eq!(source(0), &json!({"type": "base64", "media_type": "image/png", "data": PNG}));
    assert_eq!(source(1), &json!({"type": "url", "url": "https://x/y"}));
    assert_eq!(source(2)["media_type"], "application/pdf");
    assert_eq!(source(3), &json!({"type": "text", "media_type": "text/plain", "data": "a b"}));
}

#[test]
fn ec_152_media_the_dialect_has_not_is_refused_by_name() {
    for (part, at) in [
        (media(MediaKind::Audio, MediaSource::Inline("AAAA".into()), None), "/messages/0/content/0"),
        (media(MediaKind::Video, MediaSource::Url("https://x".into()), None), "/messages/0/content/0"),
        (media(MediaKind::Image, MediaSource::Url("gs://x".into()), None), "/messages/0/content/0"),
        (
            media(MediaKind::Document, MediaSource::FileId("file-1".into()), None),
            "/messages/0/content/0/file/file_id",
        ),
    ] {
        let request = foreign(vec![(Role::User, vec![part])]);
        let error =
            super::super::request(&request, &UpstreamModel::parse("up").unwrap(), &able()).unwrap_err();
        assert_eq!(error.at, at);
    }
}

#[test]
fn ec_157_a_system_prompt_alone_is_what_the_user_says() {
    let request = foreign(vec![(Role::System, vec![Part::text("Say hi.")])]);
    let written = write(&request, &able());
    assert!(written.get("system").is_none());
    assert_eq!(
        written["messages"],
        json!([{"role": "user", "content": [{"type": "text", "text": "Say hi."}]}])
    );
}

#[test]
fn ec_186_reused_ids_are_told_apart() {
    let request = foreign(vec![
        (Role::User, vec![Part::text("a")]),
        (Role::Assistant, vec![call("call_0", "f", "{}")]),
        (Role::User, vec![result("call_0", "1")]),
        (Role::Assistant, vec![call("call_0", "f", "{}")]),
        (Role::User, vec![result("call_0", "2")]),
    ]);
    let written = write(&request, &able());
    let id = |message: usize, key: &str| written["messages"][message]["content"][0][key].clone();
    assert_ne!(id(1, "id"), id(3, "id"));
    assert_eq!(id(3, "id"), id(4, "tool_use_id"));
}

#[test]
fn a_model_without_images_is_told_that_one_is_missing() {
    let image = media(MediaKind::Image, MediaSource::Inline(PNG.into()), None);
    let request = foreign(vec![(Role::User, vec![image])]);
    let (written, encoded) = encode(&request, &Abilities { images: false, ..able() });
    assert_eq!(written["messages"][0]["content"][0]["text"], "[image left out]");
    assert_eq!(places(&encoded), ["/messages/0/content/0"]);
}
