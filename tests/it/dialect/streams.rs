//! Streams: any chunking, whole answers, grammar, usage, no cross-talk.

use dragoman::dialect::{
    ChatResponse, DialectId, Excerpt, Recall, TokenUsage,
    canonical::Extra,
    collect::unfold,
    framing::sse::SseDecoder,
    tokenizer::Family,
    verbatim::{Fold, Tap},
};
use proptest::prelude::*;

use crate::support::{
    fixtures::{self, Fixture},
    generate,
    grammar::{self, Told},
    trip,
};

fn answer_of(fixture: &Fixture) -> ChatResponse {
    let title = fixture.title();
    fixture.dialect.client().decode_response(&fixture.bytes, &Recall::default()).expect(&title)
}

/// An answer without what a stream has no place for.
fn streamable(mut answer: ChatResponse) -> ChatResponse {
    answer.extra = Extra::default();
    for choice in &mut answer.choices {
        choice.extra = Extra::default();
        choice.parts.iter_mut().for_each(|it| it.extra = Extra::default());
    }
    answer
}

/// What a client sees of an answer, whoever answered: its choices without the upstream's own words.
fn seen(mut answer: ChatResponse) -> ChatResponse {
    (answer.id, answer.model, answer.created, answer.usage) = (None, None, None, None);
    for choice in &mut answer.choices {
        choice.finish.raw = None;
    }
    streamable(answer)
}

#[test]
fn a_whole_answer_equals_its_stream_collected() {
    for answer in fixtures::all("answers") {
        let streams = fixtures::of(answer.dialect, "streams");
        let Some(stream) = streams.iter().find(|it| it.name == answer.name) else { continue };
        let title = stream.title();
        let collected = trip::collect(trip::read(stream.dialect, &[&stream.bytes])).expect(&title);
        assert_eq!(streamable(collected), streamable(answer_of(&answer)), "{title}");
    }
}

#[test]
fn what_passes_untouched_has_the_tokens_of_what_is_translated() {
    // Where the stream says it in other pieces than a translation does, or at its end alone and with its usage.
    const OTHERWISE: [&str; 7] = [
        "openai-responses/done-without-deltas",
        "openai-responses/only-in-completed",
        "openai-responses/interleaved-calls",
        "openai-responses/reasoning",
        "anthropic-messages/no-arguments",
        "anthropic-messages/web-search",
        "gemini/partial-arguments",
    ];
    let mut faults = Vec::new();
    for stream in fixtures::whole_streams() {
        let mut tap = Tap::new(stream.dialect, false, trip::MAX_FRAME);
        tap.push(stream.bytes.clone().into(), &mut Vec::new()).unwrap();
        tap.finish(&mut Vec::new());
        let mut translated = Excerpt::default();
        let events = trip::read(stream.dialect, &[&stream.bytes]);
        for event in &events {
            translated.watch(event);
        }
        let counts = (tap.seen().text.count(Family::Openai), translated.count(Family::Openai));
        if (counts.0 != counts.1) != OTHERWISE.contains(&stream.title().as_str()) {
            faults.push(format!("{}: {counts:?}", stream.title()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_stream_folded_in_its_own_words_is_the_whole_answer() {
    // Read back, so that absent and null, or texts in pieces, are the same.
    let read = |it: &[u8], dialect: DialectId| {
        streamable(dialect.client().decode_response(it, &Recall::default()).unwrap()).choices
    };
    for answer in fixtures::all("answers") {
        let streams = fixtures::of(answer.dialect, "streams");
        let Some(stream) = streams.iter().find(|it| it.name == answer.name) else { continue };
        let mut frames = Vec::new();
        let mut sse = SseDecoder::new(trip::MAX_FRAME);
        sse.push(stream.bytes.clone().into(), &mut frames).unwrap();
        sse.finish(&mut frames);
        let mut fold = Fold::new(stream.dialect);
        for frame in &frames {
            fold.push(frame);
        }
        let title = stream.title();
        let folded = fold.finish().unwrap_or_else(|| panic!("{title} is not folded"));
        assert_eq!(read(&folded, stream.dialect), read(&answer.bytes, stream.dialect), "{title}");
    }
}

#[test]
fn every_stream_reaches_every_client_well_formed() {
    for stream in fixtures::whole_streams() {
        for to in fixtures::DIALECTS {
            let out = trip::relay(stream.dialect, to, &[&stream.bytes]);
            let told = grammar::check(to, &out);
            let text = String::from_utf8_lossy(&out);
            assert_eq!(told, Ok(Told::Success), "{} to {}:\n{text}", stream.title(), to.name());
        }
    }
}

#[test]
fn ec_036_an_error_in_a_stream_reaches_every_client_as_one() {
    for stream in fixtures::all("streams").into_iter().filter(|it| it.name.starts_with("error-")) {
        for to in fixtures::DIALECTS {
            let out = trip::relay(stream.dialect, to, &[&stream.bytes]);
            assert_eq!(grammar::check(to, &out), Ok(Told::Error), "{} to {}", stream.title(), to.name());
        }
    }
}

#[test]
fn every_stream_can_be_told_as_a_json_array() {
    for stream in fixtures::all("streams") {
        let out = trip::write_array(trip::read(stream.dialect, &[&stream.bytes]));
        let is_whole = !stream.name.starts_with("error-") && !stream.name.starts_with("cut-");
        let expected = if is_whole { Told::Success } else { Told::Error };
        let text = String::from_utf8_lossy(&out);
        assert_eq!(grammar::gemini::check_array(&out), Ok(expected), "{}:\n{text}", stream.title());
        // The elements are the events of the other form.
        let events = trip::relay(stream.dialect, DialectId::Gemini, &[&stream.bytes]);
        let data: Vec<&str> = std::str::from_utf8(&events)
            .unwrap()
            .split_terminator("\n\n")
            .map(|it| &it["data: ".len()..])
            .collect();
        assert_eq!(text, format!("[{}]", data.join(",\n")), "{}", stream.title());
    }
}

#[test]
fn a_stream_says_the_same_after_it_was_sent_on() {
    for stream in fixtures::whole_streams() {
        let before = trip::collect(trip::read(stream.dialect, &[&stream.bytes])).unwrap();
        let out = trip::relay(stream.dialect, stream.dialect, &[&stream.bytes]);
        let title = stream.title();
        let after = trip::collect(trip::read(stream.dialect, &[&out])).expect(&title);
        assert_eq!(seen(after), seen(before), "{title}");
    }
}

#[test]
fn items_keep_their_ids_when_they_are_sent_on() {
    let responses = DialectId::OpenaiResponses;
    let ids = |stream: &[u8]| {
        let text = String::from_utf8_lossy(stream).into_owned();
        let events = text.lines().filter_map(|it| it.strip_prefix("data: {")).map(|it| format!("{{{it}"));
        let events = events.map(|it| serde_json::from_str::<serde_json::Value>(&it).unwrap());
        let done = events.filter(|it| it["type"] == "response.output_item.done");
        done.map(|it| it["item"]["id"].clone()).collect::<Vec<_>>()
    };
    for name in ["text", "reasoning", "parallel-tools", "custom-tool", "web-search", "code", "logprobs"] {
        let fixtures = fixtures::of(responses, "streams");
        let stream = fixtures.iter().find(|it| it.name == name).unwrap();
        let told = ids(&trip::relay(responses, responses, &[&stream.bytes]));
        assert!(!told.is_empty(), "{name}");
        assert_eq!(told, ids(&stream.bytes), "{name}");
    }
    // A whole answer that is given as a stream has the same ids, for the same reasons.
    for answer in fixtures::of(responses, "answers") {
        let body = responses.server().encode_response(&answer_of(&answer), &trip::context());
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let whole: Vec<_> = body["output"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
        let streamed = ids(&trip::write(responses, unfold(answer_of(&answer))));
        assert_eq!(streamed, whole, "{}", answer.title());
    }
}

#[test]
fn a_whole_answer_can_be_given_as_a_stream() {
    for answer in fixtures::all("answers") {
        for to in fixtures::DIALECTS {
            let out = trip::write(to, unfold(answer_of(&answer)));
            let title = format!("{} to {}", answer.title(), to.name());
            assert_eq!(
                grammar::check(to, &out),
                Ok(Told::Success),
                "{title}:\n{}",
                String::from_utf8_lossy(&out)
            );
        }
    }
}

#[test]
fn ec_017_usage_keeps_its_sums_over_every_pair() {
    // Gemini has no words for what was written to a cache: that is input like any other.
    let sums = |it: &TokenUsage, to: DialectId| {
        let written = if to == DialectId::Gemini { 0 } else { it.cache_write() };
        (it.total_input(), it.cache_read.unwrap_or(0), written, it.total_output())
    };
    for answer in fixtures::all("answers") {
        let whole = answer_of(&answer);
        for to in fixtures::DIALECTS {
            let expected = sums(&whole.usage.unwrap(), to);
            let title = format!("{} to {}", answer.title(), to.name());
            let body = to.server().encode_response(&whole, &trip::context());
            let read_back = to.client().decode_response(&body, &Recall::default()).expect(&title);
            assert_eq!(sums(&read_back.usage.unwrap(), to), expected, "{title}");

            let out = trip::write(to, unfold(whole.clone()));
            let read_back = trip::collect(trip::read(to, &[&out])).expect(&title);
            assert_eq!(sums(&read_back.usage.unwrap(), to), expected, "{title}, streamed");
        }
    }
}

#[test]
fn ec_181_a_thousand_streams_do_not_mix() {
    let fixtures = fixtures::whole_streams();
    let pairs: Vec<(&Fixture, DialectId)> =
        fixtures.iter().flat_map(|it| fixtures::DIALECTS.map(|to| (it, to))).collect();
    let alone: Vec<Vec<u8>> =
        pairs.iter().map(|(it, to)| trip::relay(it.dialect, *to, &[&it.bytes])).collect();
    let mut running: Vec<(usize, trip::Reader, trip::Writer, usize)> = (0..1_000)
        .map(|at| {
            let (fixture, to) = pairs[at % pairs.len()];
            (at % pairs.len(), trip::Reader::new(fixture.dialect), trip::Writer::new(to), 0)
        })
        .collect();
    let mut step = 7;
    while running.iter().any(|(pair, _, _, at)| *at < pairs[*pair].0.bytes.len()) {
        for (pair, reader, writer, at) in &mut running {
            let bytes = &pairs[*pair].0.bytes;
            let to = (*at + step).min(bytes.len());
            let mut events = Vec::new();
            reader.push(&bytes[*at..to], &mut events);
            for event in events {
                writer.push(event);
            }
            *at = to;
            step = step % 61 + 5;
        }
    }
    for (pair, mut reader, mut writer, _) in running {
        let mut events = Vec::new();
        reader.finish(&mut events);
        for event in events {
            writer.push(event);
        }
        assert!(writer.finish() == alone[pair], "{}", pairs[pair].0.title());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn ec_077_any_chunking_gives_the_same_events(
        at in any::<prop::sample::Index>(),
        cuts in generate::cuts(),
        line_end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
    ) {
        let streams = fixtures::all("streams");
        let stream = at.get(&streams);
        let bytes = std::str::from_utf8(&stream.bytes).unwrap().replace('\n', line_end).into_bytes();
        let pieces = generate::cut(&bytes, &cuts);
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(trip::read(stream.dialect, &pieces), trip::read(stream.dialect, &[&stream.bytes]));
    }
}
