//! Bodies that are wrong: the dialect's own error, naming the field and what to do; and the process goes on.

use super::support::{CHAT, KEY, MESSAGES, Process, Simulator, chat, echoing, messages, post};

const CHAT_PATH: &str = "/v1/chat/completions";
const MESSAGES_PATH: &str = "/v1/messages";
const COUNT_PATH: &str = "/v1/messages/count_tokens";

/// Path, body, what the message must say.
type Case<'a> = (&'a str, String, &'a [&'a str]);

#[track_caller]
fn assert_refused(process: &Process, cases: &[Case<'_>]) {
    for (path, body, words) in cases {
        let answer = process.post(path, body);
        assert_eq!(answer.status, 400, "{path} {body}: {}", answer.text());
        let (kind, message) = answer.error(path);
        assert_eq!(kind, "invalid_request_error", "{path} {body}");
        for word in *words {
            assert!(message.contains(word), "{path} {body}: `{word}` is not in `{message}`");
        }
    }
    process.assert_answers();
}

#[track_caller]
fn assert_nothing_arrived(simulator: &Simulator) {
    let log = simulator.log();
    // `assert_answers` asked once.
    assert_eq!(log.len(), 1, "{log:#?}");
}

#[test]
fn malformed_json_gets_a_400_that_says_where() {
    let (process, simulator) = echoing("");
    let mut cases = Vec::new();
    for path in [CHAT_PATH, MESSAGES_PATH, COUNT_PATH] {
        for body in [
            "",
            " ",
            "{",
            r#"{"model": "chat-model","#,
            r#"{"model": "chat-model" "messages": []}"#,
            r#"{"model": chat-model}"#,
            r#"{"model": 'chat-model'}"#,
            r#"{"a": 01}"#,
            r#"{"a": NaN}"#,
            r#"{"a": 1,}"#,
            r#"{"a": 1} {"b": 2}"#,
            "{\"a\": \"\n\"}",
            r#"{"a": "\x"}"#,
            r#"{"a": "\u12"}"#,
        ] {
            cases.push((path, body.to_owned(), &["JSON"][..]));
        }
        for body in ["[]", "\"text\"", "1", "null", "true"] {
            cases.push((path, body.to_owned(), &["object"][..]));
        }
    }
    assert_refused(&process, &cases);
    assert_nothing_arrived(&simulator);
}

#[test]
fn missing_fields_are_named() {
    let (process, simulator) = echoing("");
    let hello = r#""messages":[{"role":"user","content":"hello"}]"#;
    assert_refused(
        &process,
        &[
            (CHAT_PATH, format!("{{{hello}}}"), &["`model`", "missing"]),
            (CHAT_PATH, format!(r#"{{"model":null,{hello}}}"#), &["`model`", "missing"]),
            (CHAT_PATH, format!(r#"{{"model":"{CHAT}"}}"#), &["`messages`", "missing"]),
            (CHAT_PATH, format!(r#"{{"model":"{CHAT}","messages":[ ]}}"#), &["`messages`", "at least one"]),
            (MESSAGES_PATH, format!(r#"{{"max_tokens":5,{hello}}}"#), &["`model`", "missing"]),
            (
                MESSAGES_PATH,
                format!(r#"{{"model":"{MESSAGES}","max_tokens":5}}"#),
                &["`messages`", "missing"],
            ),
            (COUNT_PATH, format!(r#"{{"model":"{MESSAGES}"}}"#), &["`messages`", "missing"]),
            // One goes to its upstream verbatim, the other translated.
            (
                MESSAGES_PATH,
                format!(r#"{{"model":"{MESSAGES}",{hello}}}"#),
                &["`max_tokens`", "missing", "say how many"],
            ),
            (
                MESSAGES_PATH,
                format!(r#"{{"model":"{CHAT}",{hello}}}"#),
                &["`max_tokens`", "missing", "say how many"],
            ),
        ],
    );
    assert_nothing_arrived(&simulator);
}

#[test]
fn a_count_needs_no_max_tokens() {
    let (process, _simulator) = echoing("");
    for model in [MESSAGES, CHAT] {
        let answer = process.post(COUNT_PATH, chat(model));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.json()["input_tokens"].as_u64().unwrap() > 0);
    }
}

#[test]
fn wrong_types_are_named_in_both_lanes() {
    let (process, simulator) = echoing("");
    let mut cases: Vec<Case<'_>> = Vec::new();
    for model in [CHAT, MESSAGES] {
        let with = |field: &str| {
            let hello = r#""messages":[{"role":"user","content":"hello"}]"#;
            format!(r#"{{"model":"{model}","max_tokens":50,{hello},{field}}}"#)
        };
        for path in [CHAT_PATH, MESSAGES_PATH] {
            cases.push((path, with(r#""stream":"yes""#), &["`stream` must be", "not a string"]));
            cases.push((
                path,
                with(r#""temperature":"hot""#),
                &["`temperature` must be a number", "not a string"],
            ));
            cases.push((path, with(r#""top_p":[1]"#), &["`top_p` must be a number", "not an array"]));
            cases.push((path, with(r#""max_tokens":"many""#), &["`max_tokens` must be", "not a string"]));
            // A Chat upstream judges the values itself.
            if (path, model) != (CHAT_PATH, CHAT) {
                cases.push((path, with(r#""max_tokens":-1"#), &["`max_tokens` must be a whole number"]));
                cases.push((path, with(r#""max_tokens":1.5"#), &["`max_tokens` must be a whole number"]));
            }
            cases.push((path, with(r#""tools":{}"#), &["`tools` must be an array", "not an object"]));
        }
        cases.push((CHAT_PATH, with(r#""stop":5"#), &["`stop` must be"]));
        cases.push((
            CHAT_PATH,
            with(r#""stream":true,"stream_options":[]"#),
            &["`stream_options` must be an object"],
        ));
        cases.push((MESSAGES_PATH, with(r#""stop_sequences":"x""#), &["`stop_sequences` must be an array"]));
    }
    for path in [CHAT_PATH, MESSAGES_PATH] {
        cases.push((
            path,
            r#"{"model":5,"messages":[]}"#.to_owned(),
            &["`model` must be a string", "not a number"],
        ));
        cases.push((path, r#"{"model":"","messages":[{}]}"#.to_owned(), &["model"]));
        cases.push((path, r#"{"model":"m","messages":{}}"#.to_owned(), &["`messages` must be an array"]));
        cases.push((path, r#"{"model":"m","messages":"hi"}"#.to_owned(), &["`messages` must be an array"]));
    }
    assert_refused(&process, &cases);
    assert_nothing_arrived(&simulator);
}

#[test]
fn a_translated_body_s_faults_say_where_they_are() {
    let (process, simulator) = echoing("");
    let chat = |message: &str| format!(r#"{{"model":"{MESSAGES}","messages":[{message}]}}"#);
    let messages = |message: &str| format!(r#"{{"model":"{CHAT}","max_tokens":5,"messages":[{message}]}}"#);
    assert_refused(
        &process,
        &[
            (CHAT_PATH, chat("5"), &["must be an object"]),
            (CHAT_PATH, chat(r#"{"content":"x"}"#), &["`role`"]),
            (CHAT_PATH, chat(r#"{"role":"wizard","content":"x"}"#), &["`role`", "wizard"]),
            (CHAT_PATH, chat(r#"{"role":"user","content":5}"#), &["`content`"]),
            (CHAT_PATH, chat(r#"{"role":"user","content":[5]}"#), &["must be an object"]),
            (MESSAGES_PATH, messages("5"), &["messages.0"]),
            (MESSAGES_PATH, messages(r#"{"content":"x"}"#), &["messages.0.role", "missing"]),
            (MESSAGES_PATH, messages(r#"{"role":"wizard","content":"x"}"#), &["messages.0.role", "wizard"]),
            (MESSAGES_PATH, messages(r#"{"role":"user"}"#), &["messages.0.content", "missing"]),
            (
                MESSAGES_PATH,
                messages(r#"{"role":"user","content":[{"text":"x"}]}"#),
                &["messages.0.content.0"],
            ),
        ],
    );
    assert_nothing_arrived(&simulator);
}

#[test]
fn an_unknown_model_is_a_404_with_a_way_out() {
    let (process, simulator) = echoing("");
    for (path, body, kind) in [
        (CHAT_PATH, chat("chat-modle"), "invalid_request_error"),
        (MESSAGES_PATH, messages("chat-modle"), "not_found_error"),
        (COUNT_PATH, messages("chat-modle"), "not_found_error"),
    ] {
        let answer = process.post(path, body);
        assert_eq!(answer.status, 404, "{}", answer.text());
        let (got, message) = answer.error(path);
        assert_eq!(got, kind);
        assert!(
            message.contains("`chat-modle`") && message.contains("did you mean `chat-model`?"),
            "{message}"
        );
    }
    let answer = process.post(CHAT_PATH, chat("something-else-entirely"));
    assert!(answer.error(CHAT_PATH).1.contains("/v1/models"), "{}", answer.text());
    process.assert_answers();
    assert_nothing_arrived(&simulator);
}

#[test]
fn two_model_keys_are_refused() {
    let (process, simulator) = echoing("");
    let hello = r#""max_tokens":5,"messages":[{"role":"user","content":"hello"}]"#;
    let twice = format!(r#"{{"model":"{CHAT}",{hello},"model":"{MESSAGES}"}}"#);
    let escaped = format!(r#"{{"model":"{CHAT}",{hello},"mode\u006c":"{MESSAGES}"}}"#);
    assert_refused(
        &process,
        &[
            (CHAT_PATH, twice.clone(), &["`model` is given twice"]),
            (MESSAGES_PATH, twice.clone(), &["`model` is given twice"]),
            (COUNT_PATH, twice, &["`model` is given twice"]),
            (CHAT_PATH, escaped, &["`model` is given twice"]),
        ],
    );
    assert_nothing_arrived(&simulator);
}

#[test]
fn deep_nesting_is_refused_and_overflows_no_stack() {
    let (process, simulator) = echoing("");
    let deep = 100_000;
    for (path, model) in
        [(CHAT_PATH, CHAT), (CHAT_PATH, MESSAGES), (MESSAGES_PATH, MESSAGES), (COUNT_PATH, MESSAGES)]
    {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let value = format!("{}1{}", open.repeat(deep), close.repeat(deep));
            let body = format!(
                r#"{{"model":"{model}","max_tokens":5,"messages":[{{"role":"user","content":"x"}}],"x":{value}}}"#
            );
            let answer = process.post(path, body);
            assert_eq!(answer.status, 400, "{}", answer.text());
            assert!(answer.error(path).1.contains("deep"), "{}", answer.text());
        }
        let unclosed = "[".repeat(deep);
        assert_eq!(process.post(path, unclosed).status, 400);
    }
    process.assert_answers();
    assert_nothing_arrived(&simulator);
}

#[test]
fn bytes_that_are_no_utf_8_are_refused() {
    let (process, simulator) = echoing("");
    for path in [CHAT_PATH, MESSAGES_PATH, COUNT_PATH] {
        for bad in [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"] {
            let body = messages(CHAT);
            let (before, after) = body.split_once("hello").unwrap();
            let answer = process.post(path, [before.as_bytes(), bad, after.as_bytes()].concat());
            assert_eq!(answer.status, 400, "{}", answer.text());
            assert!(answer.error(path).1.contains("UTF-8"), "{}", answer.text());
        }
    }
    process.assert_answers();
    assert_nothing_arrived(&simulator);
}

#[test]
fn a_lone_surrogate_is_answered_and_replaced_on_the_way() {
    let (process, simulator) = echoing("");
    for (path, model) in
        [(CHAT_PATH, CHAT), (CHAT_PATH, MESSAGES), (MESSAGES_PATH, MESSAGES), (MESSAGES_PATH, CHAT)]
    {
        for lone in [r"\ud83d", r"\ude00", r"\ud83d\ud83d", r"\uD83D!"] {
            let body = messages(model).replace("hello", &format!("a{lone}b"));
            let answer = process.post(path, body);
            assert_eq!(answer.status, 200, "{path} {model} {lone}: {}", answer.text());
            let sent = simulator.body(simulator.log().last().unwrap());
            let sent = String::from_utf8(sent).unwrap();
            assert!(sent.contains('\u{fffd}') || sent.contains(r"\ufffd"), "{path} {model} {lone}: {sent}");
            assert!(!sent.to_lowercase().contains(r"\ud8"), "{sent}");
        }
        let pair = process.post(path, messages(model).replace("hello", r"a\ud83d\ude00b"));
        assert_eq!(pair.status, 200);
        let sent = String::from_utf8(simulator.body(simulator.log().last().unwrap())).unwrap();
        assert!(sent.contains('😀') || sent.contains(r"\ud83d\ude00"), "{sent}");
    }
}

#[test]
fn a_body_of_40_mb_is_refused_and_not_kept() {
    let (process, simulator) = echoing("");
    process.assert_answers();
    let before = process.peak_memory();
    let length = 40_000_000_usize;
    let refuse = |request: &[u8], path: &str, kept: u64| {
        let answer = process.ask(request);
        assert_eq!(answer.status, 413, "{}", answer.text());
        assert!(answer.error(path).1.contains("larger than 33554432 bytes"), "{}", answer.text());
        let grown = process.peak_memory() - before;
        assert!(grown < kept, "{path}: {grown} bytes more");
    };
    let paths = [CHAT_PATH, MESSAGES_PATH, COUNT_PATH];
    for path in paths {
        // Nothing of it is read.
        refuse(&post(path, KEY, &vec![b' '; length]), path, 16 << 20);
    }
    let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 0x10_0000], b"\r\n"].concat();
    let chunks = [chunk.repeat(40), b"0\r\n\r\n".to_vec()].concat();
    for path in paths {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        // Read up to the limit, twice over at most.
        refuse(&[head.as_bytes(), &chunks].concat(), path, 80 << 20);
    }
    process.assert_answers();
    assert_eq!(simulator.log().len(), 2);
}

#[test]
fn the_body_limit_is_the_operator_s() {
    let (process, _simulator) = echoing("server: { body-limit: 2KiB }");
    let body = |length: usize| {
        let empty = chat(CHAT).replace("hello", "").len();
        chat(CHAT).replace("hello", &"x".repeat(length - empty))
    };
    assert_eq!(process.post(CHAT_PATH, body(2048)).status, 200);
    let answer = process.post(CHAT_PATH, body(2049));
    assert_eq!(answer.status, 413);
    let (_, message) = answer.error(CHAT_PATH);
    assert!(message.contains("2048 bytes"), "{message}");
}
