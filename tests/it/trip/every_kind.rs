//! Upstreams of every kind that only stream, never do, or refuse compressed requests: each client gets what it asked for,
//! and cannot tell.

use dragoman::{
    dialect::{ChatResponse, DialectId, Recall, canonical::Extra},
    usage::Ending,
};
use serde_json::Value;

use crate::support::{
    fixtures::DIALECTS,
    gateway::TestGateway,
    grammar::{self, Told},
    pairs::{EVERY_KIND, Pair, Wish, every_kind, pairs},
    trip,
};

const USAGE: &str = "usage: { input: 40, cached: 20, output: 30, reasoning: 10 }";
const CASES: [&str; 6] = ["case-text", "case-tools", "case-thinks", "case-cut", "case-refused", "case-cited"];

/// What is answered in each case.
fn scenario() -> String {
    let cut = [
        ("openai-chat", "length"),
        ("openai-responses", "max_output_tokens"),
        ("anthropic-messages", "max_tokens"),
        ("gemini", "MAX_TOKENS"),
    ];
    let mut rules = vec![
        ("case-text", "text: 'Words \"quoted\"\\n你好 😀.'".to_owned()),
        (
            "case-tools",
            "text: 'I look.', tools: [{ name: get_weather, arguments: { city: Paris } }, { name: get_weather, arguments: { city: Rome } }]"
                .to_owned(),
        ),
        ("case-thinks", "reasoning: 'First this, then that.', text: 'So.'".to_owned()),
        ("case-refused", "refusal: 'That I do not do.'".to_owned()),
        (
            "case-cited",
            "text: 'Rust is fast.', searches: [rust], citations: [{ url: 'https://rust-lang.org', title: Rust, cited: 'Rust is fast' }]"
                .to_owned(),
        ),
    ]
    .into_iter()
    .map(|(case, answer)| {
        format!("  - {{ name: {case}, when: {{ contains: {case} }}, reply: {{ answer: {{ {answer}, {USAGE} }} }} }}")
    })
    .collect::<Vec<_>>();
    rules.extend(cut.map(|(dialect, word)| {
        format!("  - {{ name: case-cut, when: {{ contains: case-cut, dialect: {dialect} }}, reply: {{ answer: {{ text: 'one two three', finish: {word}, {USAGE} }} }} }}")
    }));
    format!("strict: false\nrules:\n{}", rules.join("\n"))
}

/// An answer without what is another each time (ids, times, and state that is sealed), and without what says nothing.
fn still(mut answer: Value) -> Value {
    const FLEETING: [&str; 13] = [
        "id",
        "call_id",
        "tool_use_id",
        "created",
        "created_at",
        "completed_at",
        "createTime",
        "responseId",
        "signature",
        "encrypted_content",
        "encrypted_index",
        "thoughtSignature",
        "data",
    ];
    match &mut answer {
        Value::Object(fields) => {
            fields.retain(|_, it| !it.is_null() && !it.as_array().is_some_and(Vec::is_empty));
            for (name, value) in fields.iter_mut() {
                let is_fleeting =
                    FLEETING.contains(&name.as_str()) && (value.is_string() || value.is_number());
                *value = if is_fleeting { "…".into() } else { still(value.take()) };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|it| *it = still(it.take())),
        _ => {}
    }
    answer
}

/// Where two answers differ.
fn differences(at: &str, left: &Value, right: &Value) -> Box<dyn Iterator<Item = String>> {
    let inside: Vec<String> = match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            a.keys().chain(b.keys().filter(|it| !a.contains_key(*it))).cloned().collect()
        }
        (Value::Array(a), Value::Array(b)) => (0..a.len().max(b.len())).map(|it| it.to_string()).collect(),
        _ if left == right => return Box::new(std::iter::empty()),
        _ => return Box::new(std::iter::once(format!("{at}: {left} is not {right}"))),
    };
    let pointers = inside.into_iter().map(|it| (format!("{at}/{it}"), format!("/{it}")));
    let found = pointers.flat_map(|(at, last)| match (left.pointer(&last), right.pointer(&last)) {
        (Some(left), Some(right)) => differences(&at, left, right).collect(),
        (left, right) => vec![format!("{at}: {left:?} is not {right:?}")],
    });
    Box::new(found.collect::<Vec<_>>().into_iter())
}

async fn whole(gateway: &TestGateway, pair: Pair, case: &str) -> Value {
    let mut reply = gateway.send(&pair.ask(case, Wish::Whole)).await;
    let answer = reply.json().await;
    assert_eq!(reply.status, 200, "{pair:?} {case}: {answer}");
    assert!(reply.header("content-type").unwrap().starts_with("application/json"), "{pair:?}: {answer}");
    answer
}

/// What a client makes of an answer, in its own words; without what a stream has no place for, and texts in one piece.
fn meaning(client: DialectId, mut answer: ChatResponse) -> Value {
    answer.extra = Extra::default();
    for choice in &mut answer.choices {
        choice.extra = Extra::default();
        choice.parts.iter_mut().for_each(|it| it.extra = Extra::default());
    }
    let written = client.server().encode_response(&answer, &trip::context());
    let mut written = still(serde_json::from_slice(&written).unwrap());
    if let Some(parts) = written.pointer_mut("/candidates/0/content/parts").and_then(Value::as_array_mut) {
        let is_text = |it: &Value| it["text"].is_string() && it["thought"].is_null();
        let text: String =
            parts.iter().filter(|it| is_text(it)).filter_map(|it| it["text"].as_str()).collect();
        parts.retain(|it| !is_text(it));
        parts.push(text.into());
    }
    written
}

#[tokio::test]
async fn who_only_streams_answers_as_who_does_not() {
    let whole_by_itself = TestGateway::start(EVERY_KIND, &scenario()).await;
    let of_a_stream = TestGateway::start(&every_kind("streaming: always"), &scenario()).await;
    let mut faults = Vec::new();
    let mut asked = 0;
    for pair in pairs() {
        for case in CASES {
            let expected = still(whole(&whole_by_itself, pair, case).await);
            let answer = still(whole(&of_a_stream, pair, case).await);
            faults.extend(differences("", &expected, &answer).map(|it| format!("{pair:?} {case} {it}")));
            asked += 1;
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(of_a_stream.log().await.iter().all(|it| it["streamed"] == true));
    assert!(whole_by_itself.log().await.iter().all(|it| it["streamed"] == false));
    let (rows, others) = (of_a_stream.attempts().await, whole_by_itself.attempts().await);
    assert_eq!((rows.len(), others.len()), (asked, asked), "each is one attempt");
    for (row, other) in rows.iter().zip(&others) {
        assert_eq!(
            (row.ending, row.usage, row.estimated),
            (Ending::Completed, other.usage, false),
            "{row:#?}"
        );
        assert_eq!(row.usage.total_output(), 30, "{row:#?}");
        // An answer that passes as it is has its upstream's word for its end (Chat ends a refusal with `stop`).
        if row.intent.client_dialect != row.intent.upstream_dialect {
            assert_eq!(row.finish, other.finish, "{row:#?}");
        }
    }
    of_a_stream.stop().await;
    whole_by_itself.stop().await;
}

#[tokio::test]
async fn ec_079_who_never_streams_is_streamed_all_the_same() {
    let whole_by_itself = TestGateway::start(EVERY_KIND, &scenario()).await;
    let never = TestGateway::start(&every_kind("streaming: never"), &scenario()).await;
    let mut faults = Vec::new();
    for pair in pairs() {
        for case in CASES {
            let expected = whole(&whole_by_itself, pair, case).await;
            let mut reply = never.send(&pair.ask(case, Wish::Stream)).await;
            let stream = reply.bytes().await;
            let shown = String::from_utf8_lossy(&stream).into_owned();
            assert_eq!(reply.status, 200, "{pair:?} {case}: {shown}");
            assert!(reply.header("content-type").unwrap().starts_with("text/event-stream"), "{shown}");
            let told = grammar::check(pair.client, &stream);
            if told != Ok(Told::Success) {
                faults.push(format!("{pair:?} {case}: {told:?}\n{shown}"));
                continue;
            }
            let codec = pair.client.client();
            let body = expected.to_string();
            let expected =
                meaning(pair.client, codec.decode_response(body.as_bytes(), &Recall::default()).unwrap());
            let folded = trip::collect(trip::read(pair.client, &[&stream])).unwrap();
            let folded = meaning(pair.client, folded);
            faults.extend(differences("", &expected, &folded).map(|it| format!("{pair:?} {case} {it}")));
        }
    }
    assert!(faults.is_empty(), "{}:\n{}", faults.len(), faults.join("\n"));
    assert!(never.log().await.iter().all(|it| it["streamed"] == false));
    let rows = never.attempts().await;
    for row in &rows {
        assert!(row.intent.streamed && !row.estimated && row.ending == Ending::Completed, "{row:#?}");
        assert_eq!(row.usage.total_output(), 30, "{row:#?}");
    }
    never.stop().await;
    whole_by_itself.stop().await;
}

#[tokio::test]
async fn a_stream_that_breaks_before_its_end_is_another_credentials_chance_whatever_the_kind() {
    for fault in [
        "after-events: 0, kind: end",
        "after-events: 5, kind: end",
        "after-events: 5, kind: close",
        "after-events: 5, kind: error, error: { status: 500, message: 'it broke' }",
    ] {
        let text = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen";
        let scenario = format!(
            "strict: false\nrules: [{{ name: bad, when: {{ credential: '*1111' }}, fault: {{ {fault} }}, reply: {{ answer: {{ text: '{text}' }} }} }}, {{ name: good, reply: {{ answer: {{ text: 'Well.' }} }} }}]"
        );
        let gateway = TestGateway::start(&every_kind("streaming: always"), &scenario).await;
        for dialect in DIALECTS {
            let pair = Pair { client: dialect, upstream: dialect };
            let mut reply = gateway.send(&pair.ask("case", Wish::Whole)).await;
            let answer = reply.text().await;
            let attempts = reply.header("x-dragoman-attempts");
            assert_eq!((reply.status, attempts), (200, Some("2")), "{pair:?} {fault}: {answer}");
            assert!(answer.contains("Well.") && !answer.contains("one two"), "{pair:?} {fault}: {answer}");
            let rows = gateway.attempts().await;
            let [.., failed, answered] = &rows[..] else { panic!("{rows:#?}") };
            assert_eq!((failed.ending, answered.ending), (Ending::Failed, Ending::Completed), "{rows:#?}");
            if fault.starts_with("after-events: 5") && dialect != DialectId::OpenaiResponses {
                assert!(failed.usage.total_output() > 0, "what was made is paid for: {failed:#?}");
            }
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_long_request_is_compressed_for_every_kind_and_sent_plain_to_who_refuses() {
    let long = format!("case-text {}", "long and long ".repeat(500));
    for coding in ["zstd", "gzip", "br"] {
        for (policy, expected) in
            [("accept", vec![Some(coding), Some(coding)]), ("refuse", vec![Some(coding), None, None])]
        {
            let scenario = format!("compressed-requests: {policy}\n{}", scenario());
            let config = every_kind(&format!("request-compression: {coding}"));
            let gateway = TestGateway::start(&config, &scenario).await;
            for upstream in DIALECTS {
                let before = gateway.log().await.len();
                for client in [upstream, DialectId::OpenaiChat] {
                    let pair = Pair { client, upstream };
                    let mut reply = gateway.send(&pair.ask(&long, Wish::Whole)).await;
                    let answer = reply.text().await;
                    let attempts = reply.header("x-dragoman-attempts");
                    assert_eq!((reply.status, attempts), (200, Some("1")), "{pair:?}: {answer}");
                    assert!(answer.contains("Words"), "{pair:?}: {answer}");
                }
                let log = gateway.log().await;
                let codings: Vec<Option<&str>> = log[before..].iter().map(coding_of).collect();
                assert_eq!(codings, expected, "{upstream:?} {policy}");
                let read = gateway.upstream_json(log.len()).await;
                assert!(read.to_string().contains("long and long"), "{read}");
            }
            let rows = gateway.attempts().await;
            assert_eq!(rows.len(), 8, "sending again is the same attempt");
            gateway.stop().await;
        }
    }
}

fn coding_of(entry: &Value) -> Option<&str> {
    let headers = entry["headers"].as_array().unwrap();
    headers.iter().find(|it| it[0] == "content-encoding").map(|it| it[1].as_str().unwrap())
}

#[tokio::test]
async fn a_short_request_is_never_compressed() {
    let gateway = TestGateway::start(&every_kind("request-compression: zstd"), &scenario()).await;
    for dialect in DIALECTS {
        let pair = Pair { client: dialect, upstream: dialect };
        assert_eq!(gateway.send(&pair.ask("case-text", Wish::Whole)).await.status, 200);
    }
    assert!(gateway.log().await.iter().all(|it| coding_of(it).is_none()));
    gateway.stop().await;
}
