//! Load against servers of a few lines.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use super::*;

const STREAM: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// Answers every request of every connection with the same bytes, one piece a write.
async fn serve(pieces: &'static [&'static str]) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = async move {
        while let Ok((socket, _)) = listener.accept().await {
            spawn(answer(socket, pieces));
        }
    };
    spawn(accepting);
    Target { address, path: "/v1/x".to_owned() }
}

#[expect(clippy::disallowed_methods, reason = "a test server has no worker")]
fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(future);
}

async fn answer(mut socket: TcpStream, pieces: &[&str]) {
    let mut seen = Vec::new();
    while socket.read_buf(&mut seen).await.is_ok_and(|it| it > 0) {
        while let Some(end) = memchr::memmem::find(&seen, b"question") {
            seen.drain(..end + 8);
            for piece in pieces {
                if socket.write_all(piece.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn options(target: Target, expect: Expect) -> Options {
    Options {
        target,
        headers: vec![("authorization".to_owned(), "Bearer x".to_owned())],
        body: b"question".to_vec(),
        expect,
        connections: 3,
        pace: Pace::Closed,
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(50),
        grace: Duration::from_secs(10),
    }
}

#[tokio::test]
async fn whole_answers_are_counted_and_timed() {
    let target = serve(&["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe", "llo"]).await;
    let report = run(options(target, Expect::Whole)).await.unwrap();
    assert!(report.total >= report.requests && report.total > 0);
    assert_eq!((report.errors, report.first_error, report.chunks), (0, None, 0));
    assert!(report.p50_us > 0.0 && report.p50_us <= report.p99_us && report.ttfb_p50_us <= report.p99_us);
}

#[tokio::test]
async fn a_stream_must_end_with_its_terminal() {
    let whole = serve(&[STREAM, "9\r\ndata: 1\n\n\r\n", "E\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"]).await;
    let report = run(options(whole, Expect::Stream)).await.unwrap();
    assert_eq!(report.errors, 0);
    assert!(report.chunks >= 2 * report.requests);
    let cut = serve(&[STREAM, "9\r\ndata: 1\n\n\r\n0\r\n\r\n"]).await;
    let fault = run(options(cut, Expect::Stream)).await.unwrap_err();
    assert!(fault.to_string().contains("terminal"), "{fault}");
}

#[tokio::test]
async fn statuses_other_than_200_are_errors() {
    let target = serve(&["HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"]).await;
    let fault = run(options(target, Expect::Whole)).await.unwrap_err();
    assert!(fault.to_string().contains("503"), "{fault}");
}

#[tokio::test]
async fn an_open_loop_keeps_to_its_schedule() {
    let target = serve(&["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"]).await;
    let pace = Pace::Open(200.0);
    let report = run(Options { pace, ..options(target, Expect::Whole) }).await.unwrap();
    assert_eq!((report.total, report.errors), (10, 0), "the schedule has ten places in 50 ms");
}

#[tokio::test]
async fn what_is_never_answered_is_an_error() {
    let target = serve(&["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello"]).await;
    let grace = Duration::ZERO;
    let fault = run(Options { grace, ..options(target, Expect::Whole) }).await.unwrap_err();
    assert!(fault.to_string().contains("in time"), "{fault}");
}

#[tokio::test]
async fn streams_are_held_until_they_are_released() {
    let target = serve(&[STREAM, "9\r\ndata: 1\n\n\r\n"]).await;
    let (release, released) = oneshot::channel();
    let mut options = options(target, Expect::Stream);
    options.duration = Duration::from_mins(1);
    let held = hold(
        options,
        100,
        |it| {
            assert_eq!((it.held, it.failed), (100, 0));
            release.send(()).unwrap();
        },
        async {
            released.await.unwrap();
        },
    )
    .await;
    assert_eq!(held.held, 100);
}

#[tokio::test]
async fn a_stream_that_cannot_be_opened_is_told() {
    let target = serve(&["HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"]).await;
    let mut options = options(target, Expect::Stream);
    options.duration = Duration::from_mins(1);
    let held = hold(options, 2, |_| {}, async {}).await;
    assert_eq!((held.held, held.failed, held.first_error.as_deref()), (0, 2, Some("status 500")));
}

#[test]
fn a_target_is_an_address_and_a_path() {
    let target: Target = "http://127.0.0.1:80/v1/messages?beta=true".parse().unwrap();
    assert_eq!((target.address.port(), target.path.as_str()), (80, "/v1/messages?beta=true"));
    assert_eq!("http://127.0.0.1:80".parse::<Target>().unwrap().path, "/");
    assert!("https://127.0.0.1:80/".parse::<Target>().is_err());
    assert!("http://example.com/".parse::<Target>().is_err());
}

#[tokio::test]
async fn the_simulators_bench_answers_the_clients_of_all_dialects() {
    let scenario = "bench: {reply-bytes: 100, chunks: 5, chunk-bytes: 10}";
    let scenario = crate::simulator::Scenario::parse(scenario, std::path::Path::new(".")).unwrap();
    let sim = crate::simulator::serve(crate::simulator::Options::local(scenario)).await.unwrap();
    for name in ["chat", "responses", "messages", "gemini"] {
        let client: Client = name.parse().unwrap();
        for expect in [Expect::Whole, Expect::Stream] {
            let question = client.question("sim-1", "k", expect, 20);
            let target = Target { address: sim.address, path: question.path };
            let asking =
                Options { headers: question.headers, body: question.body, ..options(target, expect) };
            let report = run(asking).await.unwrap();
            assert_eq!((report.errors, report.first_error), (0, None), "{name} {expect:?}");
        }
    }
    assert!("nobody".parse::<Client>().is_err());
    sim.stop().await;
}
