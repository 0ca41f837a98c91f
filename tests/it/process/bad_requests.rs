//! Requests that are wrong as HTTP: told so, never served twice, and the process goes on.

use super::support::{CHAT, KEY, MESSAGES, Process, Simulator, chat, echoing, messages, post};

const CHAT_PATH: &str = "/v1/chat/completions";
const MESSAGES_PATH: &str = "/v1/messages";

/// A request that must not be served if it hides in another's body.
fn hidden() -> String {
    format!("GET /v1/models/hidden HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\r\n")
}

/// Sends bytes as they are; every answer until the connection closes or falls silent at `most`.
fn answers(process: &Process, bytes: &[u8], most: usize) -> Vec<u16> {
    let mut connection = process.connect();
    connection.send(bytes);
    let mut statuses = Vec::new();
    while statuses.len() < most
        && let Some(answer) = connection.answer()
    {
        statuses.push(answer.status);
    }
    statuses
}

#[test]
fn a_length_and_chunks_together_are_refused_and_hide_nothing() {
    let (process, simulator) = echoing("");
    let body = chat(CHAT);
    let (length, size) = (body.len(), format!("{:x}", body.len()));
    let hidden = hidden();
    let head = |fields: &str| {
        format!("POST {CHAT_PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n{fields}\r\n\r\n")
    };
    for (what, request) in [
        (
            "both",
            format!(
                "{}{size}\r\n{body}\r\n0\r\n\r\n{hidden}",
                head(&format!("content-length: {length}\r\ntransfer-encoding: chunked"))
            ),
        ),
        (
            "chunks first",
            format!("{}0\r\n\r\n{hidden}", head("transfer-encoding: chunked\r\ncontent-length: 5")),
        ),
        (
            "two lengths",
            format!("{}{body}{hidden}", head(&format!("content-length: {length}\r\ncontent-length: 0"))),
        ),
        (
            "two codings",
            format!("{}0\r\n\r\n{hidden}", head("transfer-encoding: chunked\r\ntransfer-encoding: identity")),
        ),
        ("an unknown coding", format!("{}0\r\n\r\n{hidden}", head("transfer-encoding: gzip, chunked"))),
        ("a coding with a blank", format!("{}0\r\n\r\n{hidden}", head("transfer-encoding : chunked"))),
        ("a folded coding", format!("{}0\r\n\r\n{hidden}", head("transfer-encoding:\r\n chunked"))),
    ] {
        let statuses = answers(&process, request.as_bytes(), 2);
        assert!(statuses.is_empty() || statuses == [400], "{what}: {statuses:?}");
        process.assert_answers();
    }
    assert_eq!(simulator.log().len(), 7, "only those of `assert_answers` arrived");
}

#[test]
fn a_length_that_is_none_is_refused() {
    let (process, _simulator) = echoing("");
    for (length, status) in [
        ("-1", 400),
        ("+5", 400),
        ("five", 400),
        ("0x10", 400),
        ("5, 5", 400),
        ("99999999999999999999999", 400),
        ("18446744073709551615", 413),
        ("9223372036854775807", 413),
    ] {
        let request = format!(
            "POST {CHAT_PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {length}\r\n\r\n{{}}"
        );
        let statuses = answers(&process, request.as_bytes(), 2);
        assert_eq!(statuses, [status], "{length}");
    }
    process.assert_answers();
}

#[test]
fn a_slow_body_is_not_waited_for() {
    let (process, _simulator) = echoing("server: { body-timeout: 200ms }");
    for (path, kind) in [(CHAT_PATH, "invalid_request_error"), (MESSAGES_PATH, "invalid_request_error")] {
        let mut request = post(path, KEY, messages(CHAT).as_bytes());
        request.truncate(request.len() - 5);
        let mut connection = process.connect();
        connection.send(&request);
        let answer = connection.answer().unwrap();
        assert_eq!(answer.status, 408, "{}", answer.text());
        let (got, message) = answer.error(path);
        assert_eq!(got, kind);
        assert!(message.contains("200ms"), "{message}");
        assert!(connection.is_closed(), "the rest of the body must not become a request");
    }
    process.assert_answers();
}

#[test]
fn a_body_that_breaks_off_harms_nobody() {
    let (process, simulator) = echoing("");
    let request = post(CHAT_PATH, KEY, chat(CHAT).as_bytes());
    for end in [10, 60, request.len() - 1] {
        process.connect().send(&request[..end]);
    }
    process.assert_answers();
    assert_eq!(simulator.log().len(), 1);
}

#[test]
fn an_unknown_path_is_a_404_in_the_caller_s_dialect() {
    let (process, _simulator) = echoing("");
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v2/chat/completions",
        "/v1/chat/completions/",
        "/v1/nothing",
        "/a/b/v1/models",
        "/%ff/v1/models",
    ] {
        let answer = process.post(path, "{}");
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
        let (kind, message) = answer.error(path);
        assert_eq!(kind, "invalid_request_error");
        assert!(message.contains("there is no"), "{message}");
    }
    let anthropic =
        "POST /v1/nothing HTTP/1.1\r\nhost: x\r\nanthropic-version: 2023-06-01\r\ncontent-length: 0\r\n\r\n";
    let answer = process.ask(anthropic.as_bytes());
    assert_eq!((answer.status, answer.error("/messages").0.as_str()), (404, "not_found_error"));
    let long = process.get(&format!("/{}", "x".repeat(5000)));
    assert_eq!(long.status, 404);
    assert!(long.body.len() < 1000, "a path is not repeated whole");
    process.assert_answers();
}

#[test]
fn a_wrong_method_is_a_405_that_says_which_are_right() {
    let (process, _simulator) = echoing("");
    for (method, path, allow) in [
        ("GET", CHAT_PATH, "POST"),
        ("PUT", CHAT_PATH, "POST"),
        ("DELETE", MESSAGES_PATH, "POST"),
        ("GET", "/v1/messages/count_tokens", "POST"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("PATCH", "/v1/models/x", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
        ("BREW", CHAT_PATH, "POST"),
    ] {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: 0\r\n\r\n"
        );
        let answer = process.ask(request.as_bytes());
        assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text());
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        let (_, message) = answer.error(path);
        assert!(message.contains(allow.split(',').next().unwrap()), "{message}");
    }
    process.assert_answers();
}

#[test]
fn a_body_that_is_not_compressed_as_it_says_is_refused() {
    let (process, _simulator) = echoing("");
    for (coding, status) in
        [("gzip", 400), ("br", 400), ("deflate", 400), ("zstd", 400), ("gzip, identity", 400), ("lzma", 415)]
    {
        for path in [CHAT_PATH, MESSAGES_PATH] {
            let request = format!(
                "POST {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-encoding: {coding}\r\ncontent-length: 3\r\n\r\nabc"
            );
            let answer = process.ask(request.as_bytes());
            assert_eq!(answer.status, status, "{}", answer.text());
            assert!(answer.error(path).1.contains("`content-encoding`"), "{}", answer.text());
        }
    }
    process.assert_answers();
}

#[test]
fn too_much_of_a_head_is_refused() {
    let (process, _simulator) = echoing("");
    let flood = (0..5000).fold(String::new(), |flood, it| flood + &format!("x-flood-{it}: y\r\n"));
    let huge = format!("x-huge: {}\r\n", "y".repeat(1 << 20));
    for (what, fields) in [("many fields", flood), ("a huge field", huge)] {
        let request =
            format!("GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n{fields}\r\n");
        let answer = process.ask(request.as_bytes());
        assert!([400, 431].contains(&answer.status), "{what}: {}", answer.status);
        process.assert_answers();
    }
    for garbage in [
        "\r\n\r\n\r\n",
        "hello\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}",
    ] {
        let mut connection = process.connect();
        connection.send(garbage.as_bytes());
        drop(connection);
    }
    process.assert_answers();
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let (process, _simulator) = echoing("");
    let body = chat(CHAT);
    let mut connection = process.connect();
    connection.send(
        format!(
            "POST {CHAT_PATH} HTTP/1.0\r\nauthorization: Bearer {KEY}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    );
    let answer = connection.answer().unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(connection.is_closed());
    process.assert_answers();
}

#[test]
fn a_stream_over_http_1_0_ends_with_the_connection() {
    let (process, _simulator) = echoing("");
    let body = chat(CHAT).replace("{\"model\"", "{\"stream\":true,\"model\"");
    let mut connection = process.connect();
    connection.send(
        format!(
            "POST {CHAT_PATH} HTTP/1.0\r\nauthorization: Bearer {KEY}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    );
    let answer = connection.answer().unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().trim_end().ends_with("data: [DONE]"), "{}", answer.text());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (process, simulator) = echoing("");
    let mut bytes = Vec::new();
    for _ in 0..3 {
        bytes.extend(post(CHAT_PATH, KEY, chat(CHAT).as_bytes()));
        bytes.extend(post(MESSAGES_PATH, KEY, messages(MESSAGES).as_bytes()));
        bytes.extend(post(CHAT_PATH, KEY, b"{"));
    }
    assert_eq!(answers(&process, &bytes, 9), [200, 200, 400, 200, 200, 400, 200, 200, 400]);
    assert_eq!(simulator.log().len(), 6);
}

#[test]
fn a_refused_body_is_not_taken_for_the_next_request() {
    let (process, simulator) = echoing("");
    let hidden = hidden();
    // Refused before the body is read: wrong key, wrong path, wrong method, compressed.
    let wrong_key = post(CHAT_PATH, "wrong-key-0123456789abcdef", hidden.as_bytes());
    let wrong_path = post("/v1/nothing", KEY, hidden.as_bytes());
    let wrong_method = post("/v1/models", KEY, hidden.as_bytes());
    for (request, status) in [(wrong_key, 401), (wrong_path, 404), (wrong_method, 405)] {
        let mut connection = process.connect();
        connection.send(&request);
        assert_eq!(connection.answer().unwrap().status, status);
        // Then the connection goes on with what comes after the body, or closes.
        connection.send_if_open(hidden.replace("hidden", "open").as_bytes());
        if let Some(next) = connection.answer() {
            assert!(next.text().contains("`open`"), "{}", next.text());
        }
    }
    process.assert_answers();
    assert_eq!(simulator.log().len(), 1);
}

#[test]
fn a_wrong_key_is_the_dialect_s_own_401_before_the_body_is_read() {
    let (process, _simulator) = echoing("");
    for (path, kind) in [(CHAT_PATH, "invalid_request_error"), (MESSAGES_PATH, "authentication_error")] {
        for request in [
            post(path, "wrong-key-0123456789abcdef", b"{ this is no JSON"),
            format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{{}}").into_bytes(),
        ] {
            let answer = process.ask(&request);
            assert_eq!(answer.status, 401, "{}", answer.text());
            assert_eq!(answer.error(path).0, kind);
        }
    }
    process.assert_answers();
}

#[test]
fn an_empty_body_is_a_400() {
    let (process, simulator): (Process, Simulator) = echoing("");
    for path in [CHAT_PATH, MESSAGES_PATH] {
        let bare = format!("POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\r\n");
        for request in [bare.into_bytes(), post(path, KEY, b"")] {
            let answer = process.ask(&request);
            assert_eq!(answer.status, 400);
            assert!(answer.error(path).1.contains("empty"), "{}", answer.text());
        }
    }
    process.assert_answers();
    assert_eq!(simulator.log().len(), 1);
}
