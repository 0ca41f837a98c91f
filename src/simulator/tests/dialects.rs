//! One scenario, played in all four dialects.

use super::*;

/// The answer to `hi` in each dialect, whole or streamed, as one text.
async fn all(sim: &Running, model: &str, stream: bool) -> [String; 4] {
    let chatted = with(chat("hi"), &json!({"model": model, "stream": stream, "reasoning_effort": "low"}));
    let responded = json!({"model": model, "input": "hi", "stream": stream, "reasoning": {"summary": "auto"},
        "include": ["reasoning.encrypted_content"]});
    let messaged =
        with(messages("hi"), &json!({"model": model, "stream": stream, "thinking": {"type": "adaptive"}}));
    let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    let generated = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {"thinkingConfig": {"includeThoughts": true}}});
    let replies = [
        post(sim, CHAT, &chatted).await,
        post(sim, "/v1/responses", &responded).await,
        post(sim, MESSAGES, &messaged).await,
        post(sim, &format!("/v1beta/models/{model}:{method}"), &generated).await,
    ];
    replies.map(|it| {
        assert_eq!(it.status, 200, "{}", it.body);
        it.body
    })
}

#[tokio::test]
async fn everything_a_scenario_can_say_is_said_in_every_dialect() {
    let sim = playing(
        r"
rules:
  - {when: {model: thinks}, reply: {answer: {reasoning: deep-thought, text: plain-words}}}
  - {when: {model: calls}, reply: {answer: {tools: [{name: f, id: id-of-it, arguments: {a: b}}]}}}
  - {when: {model: custom}, reply: {answer: {tools: [{name: patch, custom-input: begin-patch}]}}}
  - {when: {model: cites}, reply: {answer: {text: see this here, searches: [query], citations: [{url: 'https://s.example', title: Title, cited: this}]}}}
  - {when: {model: state}, reply: {answer: {reasoning: hidden-thought, redacted: true, state: opaque, text: words}}}
  - {when: {model: refuses}, reply: {answer: {refusal: never-ever}}}
  - {when: {model: blocked}, reply: {answer: {text: unsaid, blocked: SAFETY}}}
",
    )
    .await;
    for stream in [false, true] {
        for (model, words) in [
            ("thinks", ["deep", "plain", "eep"]),
            ("calls", ["id-of-it", "\"f\"", "\"f\""]),
            ("custom", ["patch", "input", "patch"]),
            ("cites", ["https://s.example", "Title", "see"]),
        ] {
            for body in &all(&sim, model, stream).await {
                for word in words {
                    assert!(
                        body.contains(word),
                        "{model} {stream}: {word}
{body}"
                    );
                }
            }
        }
        for body in &all(&sim, "state", stream).await {
            assert!(body.contains("opaque") && !body.contains("hidden"), "{stream}\n{body}");
        }
        let [chatted, responded, messaged, generated] = all(&sim, "refuses", stream).await;
        assert!(chatted.contains("never") && responded.contains("never"));
        assert!(messaged.contains("\"refusal\"") && generated.contains("SAFETY"));
        let [chatted, responded, messaged, generated] = all(&sim, "blocked", stream).await;
        for (body, word) in [
            (&chatted, "content_filter"),
            (&responded, "content_filter"),
            (&messaged, "refusal"),
            (&generated, "blockReason"),
        ] {
            assert!(body.contains(word) && !body.contains("unsaid"), "{stream}\n{body}");
        }
    }
    sim.stop().await;
}

#[tokio::test]
async fn a_cited_part_is_a_block_of_its_own_and_comes_back() {
    let sim = playing(
        "rules: [{reply: {answer: {text: see this here, searches: [q], citations: [{url: 'https://s.example', cited: this}]}}}]",
    )
    .await;
    let answer = post(&sim, MESSAGES, &messages("hi")).await.json();
    let content = answer["content"].clone();
    let texts: Vec<&str> = content.as_array().unwrap().iter().filter_map(|it| it["text"].as_str()).collect();
    assert_eq!(texts, ["see ", "this", " here"]);
    assert_eq!(content[3]["citations"][0]["cited_text"], "this");
    let turns = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": content}, {"role": "user", "content": "more"}]);
    let mut body = with(messages("hi"), &json!({"messages": turns}));
    assert_eq!(post(&sim, MESSAGES, &body).await.status, 200);
    body["messages"][1]["content"][1]["content"][0]["encrypted_content"] = json!("forged");
    assert_eq!(post(&sim, MESSAGES, &body).await.status, 400);
    sim.stop().await;
}

#[tokio::test]
async fn chat_tells_choices_free_form_calls_and_turns() {
    let sim = playing(
        r"
rules:
  - {when: {model: many}, reply: {answer: {text: one, choices: [two]}}}
  - reply: {answer: {interleaved: true, images: [{data: aGk=}], tools: [{name: patch, custom-input: a longer free-form input}, {name: f, arguments: {a: a longer argument}}]}}
",
    )
    .await;
    let many = post(&sim, CHAT, &with(chat("hi"), &json!({"model": "many", "n": 2}))).await.json();
    assert_eq!(many["choices"][1]["message"]["content"], "two");
    let tools = json!([{"type": "custom", "custom": {"name": "patch"}}, {"type": "function", "function": {"name": "f"}}]);
    let body = with(chat("hi"), &json!({"tools": tools}));
    let whole = post(&sim, CHAT, &body).await.json();
    let message = &whole["choices"][0]["message"];
    assert_eq!(message["tool_calls"][0]["custom"]["input"], "a longer free-form input");
    assert_eq!(message["images"][0]["image_url"]["url"], "data:image/png;base64,aGk=");
    let streamed = post(&sim, CHAT, &with(body, &json!({"stream": true}))).await.body;
    let order: Vec<&str> = streamed
        .lines()
        .filter(|it| it.contains("tool_calls\":[{"))
        .map(|it| if it.contains("\"tool_calls\":[{\"index\":0") { "0" } else { "1" })
        .collect();
    assert_eq!(order[..4], ["0", "1", "0", "1"]);
    sim.stop().await;
}

#[tokio::test]
async fn a_hidden_thought_must_come_back_unchanged() {
    let sim = playing("{}").await;
    let turns = |data: String| {
        let block = json!({"type": "redacted_thinking", "data": data});
        let said = json!([block, {"type": "text", "text": "Hi"}]);
        let turns = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": said}, {"role": "user", "content": "b"}]);
        with(messages("hi"), &json!({"messages": turns}))
    };
    assert_eq!(post(&sim, MESSAGES, &turns(seal::seal("", "x"))).await.status, 200);
    assert_eq!(post(&sim, MESSAGES, &turns("Zm9yZWlnbg==".into())).await.status, 400);
    sim.stop().await;
}

#[tokio::test]
async fn bodies_are_logged_in_every_dialect() {
    let sim = playing("log: {bodies: true}").await;
    all(&sim, "sim-1", true).await;
    let log = ask(&sim, "GET", "/_sim/log", "").await.json();
    let dialects: Vec<&str> =
        log.as_array().unwrap().iter().map(|it| it["dialect"].as_str().unwrap()).collect();
    assert_eq!(dialects, ["openai-chat", "openai-responses", "anthropic-messages", "gemini"]);
    for seq in 1..=4 {
        assert!(ask(&sim, "GET", &format!("/_sim/requests/{seq}"), "").await.body.contains("hi"));
    }
    assert!(log.as_array().unwrap().iter().all(|it| it["model"] == "sim-1" && it["streamed"] == true));
    sim.stop().await;
}
