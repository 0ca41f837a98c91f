//! What is written down of each attempt.

use dragoman::{
    dialect::{DialectId, Excerpt, count, tokenizer::Family},
    kernel::id::{CredentialId, TenantId, TenantKeyId},
    usage::Ending,
};

use super::{chat, chat_stream, messages, messages_stream};
use crate::support::{
    gateway::TestGateway,
    pairs::{EVERY_KIND, Wish, pairs},
};

const USAGE: &str = "usage: { input: 100, cached: 20, cache-write: 10, output: 50, reasoning: 5 }";

#[tokio::test]
async fn a_row_says_everything_of_its_attempt() {
    for (body, is_messages) in [
        (chat("smart"), false),
        (chat_stream("smart"), false),
        (chat("wise"), false),
        (chat_stream("wise"), false),
        (messages("wise"), true),
        (messages_stream("wise"), true),
        (messages("smart"), true),
        (messages_stream("smart"), true),
    ] {
        let scenario = format!("rules: [{{ name: known, reply: {{ answer: {{ text: Hello, {USAGE} }} }} }}]");
        let gateway = TestGateway::with_both(&scenario).await;
        let mut reply =
            if is_messages { gateway.messages(body.clone()).await } else { gateway.chat(body.clone()).await };
        let id = reply.header("x-dragoman-request-id").unwrap().to_owned();
        reply.bytes().await;
        let row = gateway.attempt().await;
        let intent = &row.intent;
        let to_claude = body.contains("wise");
        let upstream = if to_claude { "claude" } else { "chat" };
        assert_eq!(intent.request.to_string(), id);
        assert_eq!(intent.number, 1);
        assert_eq!(intent.tenant, TenantId::declared("default"));
        assert_eq!(intent.key, TenantKeyId::declared("default/key-1"));
        assert_eq!(intent.credential, CredentialId::declared(&format!("{upstream}/one")));
        assert_eq!(intent.upstream, upstream);
        assert_eq!(intent.client_dialect, if is_messages { "anthropic-messages" } else { "openai-chat" });
        assert_eq!(intent.upstream_dialect, if to_claude { "anthropic-messages" } else { "openai-chat" });
        assert_eq!(intent.model_name, if to_claude { "wise" } else { "smart" });
        assert_eq!(intent.upstream_model, if to_claude { "claude-sim" } else { "gpt-sim" });
        assert_eq!(intent.streamed, body.contains("stream"));
        assert_eq!(intent.operation, "generate");
        assert!(intent.estimated_input > 0);
        assert_eq!((row.ending, row.error.as_deref(), row.status), (Ending::Completed, None, Some(200)));
        assert_eq!(row.finish.as_deref(), Some("stop"), "{body}");
        assert_eq!(row.upstream_id.as_deref(), gateway.log().await[0]["answer_id"].as_str(), "{body}");
        assert_eq!(row.answered_model, None, "it is the one that was asked");
        assert_eq!(
            (row.usage.input, row.usage.cache_read, row.usage.cache_write()),
            (Some(100), Some(20), 10),
            "{body}"
        );
        assert_eq!((row.usage.output, row.usage.reasoning), (Some(45), Some(5)), "{body}");
        assert!(!row.estimated && row.first_byte_ms.is_some() && row.ended_at >= intent.started_at);
        gateway.stop().await;
    }
}

#[tokio::test]
async fn what_an_upstream_does_not_say_is_counted_by_the_tokenizer_and_marked() {
    let thought = "The user wants to know the weather, so I look it up.";
    let text = "I say \"look\":\n你好 😀.";
    let scenario = format!(
        "strict: false\nrules: [{{ name: mute, quirks: [missing-usage], reply: {{ answer: {{ reasoning: '{thought}', text: {text:?}, tools: [{{ name: get_weather, arguments: {{ city: Paris }} }}] }} }} }}]"
    );
    let gateway = TestGateway::start(EVERY_KIND, &scenario).await;
    for pair in pairs() {
        let family = Family::of(pair.model());
        for wish in [Wish::Whole, Wish::Stream] {
            let asked = pair.ask("How is the weather in Paris?", wish);
            let mut reply = gateway.send(&asked).await;
            let answer = reply.text().await;
            let row = gateway.attempts().await.pop().unwrap();
            assert!(row.estimated && row.ending == Ending::Completed, "{pair:?} {wish:?}: {row:#?}");
            // Messages says at the beginning of a stream what it was asked.
            if pair.upstream != DialectId::AnthropicMessages || wish == Wish::Whole {
                let request = pair.client.server().decode_request(asked.body()).unwrap();
                assert_eq!(row.usage.input, Some(count::estimate(&request, family)), "{pair:?} {wish:?}");
            }
            let mut said = Excerpt::default();
            let shows_thoughts = answer.contains("The user w");
            let texts = [text, "get_weather", r#"{"city":"Paris"}"#].into_iter();
            texts.chain(shows_thoughts.then_some(thought)).for_each(|it| {
                said.cut();
                said.push(it);
            });
            assert_eq!(row.usage.total_output(), said.count(family), "{pair:?} {wish:?}: {answer}");
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn usage_is_right_however_the_upstream_tells_it() {
    for quirk in [
        "usage-with-finish",
        "usage-in-every-chunk",
        "usage-unasked",
        "usage-at-end",
        "keepalives",
        "no-space",
    ] {
        for (body, is_messages) in
            [(chat_stream("smart"), false), (messages_stream("wise"), true), (messages_stream("smart"), true)]
        {
            let scenario = format!(
                "rules: [{{ name: odd, quirks: [{quirk}], reply: {{ answer: {{ text: 'Hello to you', {USAGE} }} }} }}]"
            );
            let gateway = TestGateway::with_both(&scenario).await;
            let mut reply = if is_messages {
                gateway.messages(body.clone()).await
            } else {
                gateway.chat(body.clone()).await
            };
            let text = reply.text().await;
            assert!(is_messages || !text.contains(r#""choices":[]"#), "nobody asked: {quirk} {text}");
            let row = gateway.attempt().await;
            assert_eq!(
                (row.usage.total_input(), row.usage.total_output(), row.estimated),
                (130, 50, false),
                "{quirk} {body}: {row:#?}"
            );
            gateway.stop().await;
        }
    }
}
