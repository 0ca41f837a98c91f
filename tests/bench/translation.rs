//! What one delta of a stream costs in translation: read from the upstream's bytes, said in the client's. No sockets.
//!
//! `cargo bench --bench translation` prints nanoseconds of one thread a delta: the quickest of several rounds, since whatever
//! else the machine does can only add to it. Among the tests it only goes each way once.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use dragoman::{
    dialect::{
        DialectId, Recall, ReplyContext, collect::Serializer, framing::sse::SseDecoder, verbatim::Tap,
    },
    kernel::id::RequestId,
};

/// Deltas of a stream, and rounds.
const MEASURED: (usize, usize) = (20_000, 15);
const TRIED: (usize, usize) = (20, 1);
const MAX_FRAME: usize = 1 << 20;

/// A recorded stream of each dialect, and what the event of a piece of text has in it.
const STREAMS: [(DialectId, &str, &str); 4] = [
    (
        DialectId::OpenaiChat,
        include_str!("../fixtures/openai-chat/streams/text.sse"),
        r#""delta":{"content":"#,
    ),
    (
        DialectId::OpenaiResponses,
        include_str!("../fixtures/openai-responses/streams/text.sse"),
        "response.output_text.delta",
    ),
    (
        DialectId::AnthropicMessages,
        include_str!("../fixtures/anthropic-messages/streams/text.sse"),
        "text_delta",
    ),
    (DialectId::Gemini, include_str!("../fixtures/gemini/streams/text.sse"), r#""text":"#),
];

fn main() {
    // Cargo says it so.
    let (deltas, rounds) = if std::env::args().any(|it| it == "--bench") { MEASURED } else { TRIED };
    let quickest = |run: &dyn Fn()| quickest(rounds, run) / deltas as u128;
    println!(
        "| a delta, in ns, from the upstream | {} |",
        STREAMS.map(|it| format!("to {}", it.0.name())).join(" | ")
    );
    println!("|---|{}", "---|".repeat(STREAMS.len()));
    for (upstream, stream, sign) in STREAMS {
        let pieces = long(stream, sign, deltas);
        let cells = STREAMS.map(|(client, ..)| {
            let translated = quickest(&|| translate(upstream, client, &pieces));
            if client == upstream {
                format!("{} ({} as it is)", translated, quickest(&|| pass(client, &pieces)))
            } else {
                translated.to_string()
            }
        });
        println!("| {} | {} |", upstream.name(), cells.join(" | "));
    }
}

/// The events of a recorded stream, with the first piece of text said very often.
fn long(stream: &str, sign: &str, deltas: usize) -> Vec<Bytes> {
    let events: Vec<Bytes> =
        stream.split_inclusive("\n\n").map(|it| Bytes::copy_from_slice(it.as_bytes())).collect();
    let is_text = |it: &Bytes| memchr::memmem::find(it, sign.as_bytes()).is_some();
    let at = events.iter().position(is_text).expect("the recorded stream has text");
    let again = std::iter::repeat_n(&events[at], deltas - 1);
    events[..=at].iter().chain(again).chain(&events[at + 1..]).cloned().collect()
}

/// Nanoseconds of the quickest round.
fn quickest(rounds: usize, run: &dyn Fn()) -> u128 {
    let rounds = (0..rounds).map(|_| {
        let begun = Instant::now();
        run();
        begun.elapsed()
    });
    rounds.min().unwrap_or(Duration::MAX).as_nanos()
}

fn translate(upstream: DialectId, client: DialectId, pieces: &[Bytes]) {
    let context = ReplyContext::new(RequestId::declared("bench"), "m", 0);
    let mut sse = SseDecoder::new(MAX_FRAME);
    let mut decoder = upstream.client().event_decoder(&Recall::default());
    let mut serializer = Serializer::new();
    let mut encoder = client.server().event_encoder(&context);
    let (mut frames, mut events, mut ordered) = (Vec::new(), Vec::new(), Vec::new());
    for piece in pieces {
        sse.push(piece.clone(), &mut frames).expect("the frames are short");
        for frame in frames.drain(..) {
            decoder.decode(&frame, &mut events).expect("the stream is sound");
        }
        for event in events.drain(..) {
            serializer.push(event, &mut ordered);
        }
        let mut out = BytesMut::new();
        for event in ordered.drain(..) {
            encoder.encode(&event, &mut out);
        }
        black_box(out.freeze());
    }
}

/// The way of a stream whose client speaks the upstream's dialect: watched, not changed.
fn pass(dialect: DialectId, pieces: &[Bytes]) {
    let mut tap = Tap::new(dialect, false, MAX_FRAME);
    let mut out = Vec::new();
    for piece in pieces {
        tap.push(piece.clone(), &mut out).expect("the frames are short");
        black_box(&out);
        out.clear();
    }
}
