//! A stream that is cut anywhere never looks like one that ended well.

use bytes::Bytes;
use dragoman::{
    dialect::{
        ChatEvent, DialectId,
        verbatim::{Tap, TapEnd},
    },
    kernel::error::ErrorKind,
};

use crate::support::{
    fixtures::{self, Fixture},
    grammar::{self, Told},
    trip,
};

/// The streams that can be cut to a test. One that says in every chunk that it has ended cannot be told from its beginning.
fn streams() -> Vec<Fixture> {
    let mut streams = fixtures::all("streams");
    streams.retain(|it| it.name != "repeated-finish");
    streams
}

/// Events, but for how their errors are worded: where in its event a stream was cut is told there, and nowhere else.
fn unworded(mut events: Vec<ChatEvent>) -> Vec<ChatEvent> {
    for event in &mut events {
        if let ChatEvent::Error(error) = event {
            error.message.clear();
        }
    }
    events
}

/// What a client reads of a stream: its choices.
fn said(dialect: DialectId, stream: &[u8]) -> String {
    let answer = trip::collect(trip::read(dialect, &[stream])).unwrap();
    format!("{:?}", answer.choices)
}

#[test]
fn ec_037_a_cut_at_any_byte_is_told_as_an_error_or_changed_nothing() {
    for stream in streams() {
        let whole = fixtures::DIALECTS.map(|to| trip::relay(stream.dialect, to, &[&stream.bytes]));
        let mut before = None;
        for cut in 0..=stream.bytes.len() {
            let events = unworded(trip::read(stream.dialect, &[&stream.bytes[..cut]]));
            if before.as_ref() == Some(&events) {
                // Nothing was learnt from the last byte: clients are told what they were told without it.
                continue;
            }
            for (to, whole) in fixtures::DIALECTS.into_iter().zip(&whole) {
                let out = trip::write(to, events.clone());
                let title = format!("{} to {} cut at {cut}", stream.title(), to.name());
                match grammar::check(to, &out) {
                    Ok(Told::Error) => {}
                    Ok(Told::Success) => assert_eq!(said(to, &out), said(to, whole), "{title}"),
                    Err(rule) => panic!("{title}: {rule}\n{}", String::from_utf8_lossy(&out)),
                }
            }
            before = Some(events);
        }
    }
}

#[test]
fn ec_037_a_stream_that_was_cut_is_told_as_an_error() {
    for stream in fixtures::all("streams").into_iter().filter(|it| it.name.starts_with("cut-")) {
        for to in fixtures::DIALECTS {
            let out = trip::relay(stream.dialect, to, &[&stream.bytes]);
            assert_eq!(grammar::check(to, &out), Ok(Told::Error), "{} to {}", stream.title(), to.name());
        }
    }
}

#[test]
fn ec_037_a_verbatim_stream_that_is_cut_is_known_to_be() {
    for stream in streams() {
        let dialect = stream.dialect;
        let whole =
            trip::collect(trip::read(dialect, &[&stream.bytes])).map(|it| format!("{:?}", it.choices));
        let mut before = None;
        for cut in 0..=stream.bytes.len() {
            let mut tap = Tap::new(dialect, false, trip::MAX_FRAME);
            let mut out = Vec::new();
            tap.push(Bytes::copy_from_slice(&stream.bytes[..cut]), &mut out).unwrap();
            let end = tap.finish(&mut out);
            let passed = out.concat();
            if before.as_ref() == Some(&(end.clone(), passed.clone())) {
                continue;
            }
            before = Some((end.clone(), passed.clone()));
            let title = format!("{} cut at {cut}", stream.title());
            match end {
                TapEnd::Complete => assert_eq!(Ok(said(dialect, &passed)), whole, "{title}"),
                TapEnd::Errored(_) => assert!(stream.name.starts_with("error-"), "{title}"),
                TapEnd::Truncated => {
                    let error = trip::collect(trip::read(dialect, &[&passed])).unwrap_err();
                    assert_eq!(error.kind, ErrorKind::Truncated, "{title}");
                }
            }
        }
    }
}

#[test]
fn the_tap_counts_what_the_codecs_count() {
    for stream in fixtures::whole_streams() {
        let mut tap = Tap::new(stream.dialect, false, trip::MAX_FRAME);
        let mut out = Vec::new();
        tap.push(Bytes::from(stream.bytes.clone()), &mut out).unwrap();
        assert_eq!(tap.finish(&mut out), TapEnd::Complete, "{}", stream.title());
        let answer = trip::collect(trip::read(stream.dialect, &[&stream.bytes])).unwrap();
        assert_eq!(tap.seen().usage, answer.usage.unwrap_or_default(), "{}", stream.title());
        assert_eq!((&tap.seen().id, &tap.seen().model), (&answer.id, &answer.model), "{}", stream.title());
    }
}
