use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dialect::{
    DialectId,
    canonical::{Citation, Extra, FinishReason},
};

fn collected(events: impl IntoIterator<Item = ChatEvent>) -> Result<ChatResponse, WireError> {
    let mut collector = Collector::new();
    events.into_iter().for_each(|it| collector.push(it));
    collector.finish()
}

fn serialized(events: impl IntoIterator<Item = ChatEvent>) -> Vec<ChatEvent> {
    let (mut serializer, mut out) = (Serializer::new(), Vec::new());
    events.into_iter().for_each(|it| serializer.push(it, &mut out));
    out
}

fn start_tool(block: u32) -> ChatEvent {
    let kind = BlockKind::ToolCall { id: format!("t{block}"), name: "f".into(), custom: false, state: None };
    ChatEvent::block(0, block, kind)
}

fn arguments(block: u32, text: &str) -> ChatEvent {
    ChatEvent::Delta { block, delta: Delta::Arguments(text.into()) }
}

fn finish(choice: u32, reason: FinishReason) -> ChatEvent {
    ChatEvent::Finish { choice, finish: Finish::new(reason) }
}

/// Whether the events keep the law of one block at a time, and end once.
fn is_in_order(events: &[ChatEvent]) -> bool {
    let mut open = None;
    let mut over = false;
    events.iter().all(|event| {
        let fits = match event {
            ChatEvent::BlockStart { block, .. } => open.replace(*block).is_none() && !over,
            ChatEvent::Delta { block, .. } => open == Some(*block) && !over,
            ChatEvent::BlockEnd { block } => open.take() == Some(*block) && !over,
            ChatEvent::Finish { .. } | ChatEvent::Usage(_) | ChatEvent::Start { .. } => !over,
            ChatEvent::Error(_) | ChatEvent::End => true,
        };
        over |= matches!(event, ChatEvent::Error(_) | ChatEvent::End);
        fits
    })
}

#[test]
fn interleaved_calls_come_one_after_another() {
    let events = serialized([
        start_tool(0),
        start_tool(1),
        arguments(0, "{"),
        arguments(1, "["),
        arguments(1, "]"),
        arguments(0, "}"),
        ChatEvent::BlockEnd { block: 1 },
        ChatEvent::BlockEnd { block: 0 },
        finish(0, FinishReason::ToolCalls),
        ChatEvent::End,
    ]);
    let expected = vec![
        start_tool(0),
        arguments(0, "{"),
        arguments(0, "}"),
        ChatEvent::BlockEnd { block: 0 },
        start_tool(1),
        arguments(1, "[]"),
        ChatEvent::BlockEnd { block: 1 },
        finish(0, FinishReason::ToolCalls),
        ChatEvent::End,
    ];
    assert_eq!(events, expected);
}

#[test]
fn a_finish_waits_for_the_blocks_before_it() {
    let text = |choice, block| ChatEvent::block(choice, block, BlockKind::Text);
    let events =
        serialized([text(0, 0), text(1, 1), finish(1, FinishReason::Stop), finish(0, FinishReason::Stop)]);
    assert!(is_in_order(&events));
    assert_eq!(events[4..], [finish(1, FinishReason::Stop), finish(0, FinishReason::Stop)]);
}

#[test]
fn ec_191_what_is_held_back_is_bounded() {
    let mut events = vec![start_tool(0), start_tool(1)];
    events.extend((0..5).map(|_| arguments(1, &"x".repeat(1 << 20))));
    events.extend([ChatEvent::BlockEnd { block: 0 }, ChatEvent::End]);
    let events = serialized(events);
    assert!(matches!(&events[..], [ChatEvent::BlockStart { .. }, ChatEvent::Error(_), ChatEvent::End]));
}

#[test]
fn ec_191_blocks_without_words_are_bounded_too() {
    let is_cut = |waiting: &dyn Fn(u32) -> ChatEvent| {
        let mut serializer = Serializer::new();
        let mut out = Vec::new();
        serializer.push(start_tool(0), &mut out);
        serializer.push(start_tool(1), &mut out);
        // An upstream that never stops, but for the test's sake.
        (2..1_000_000)
            .take_while(|at| {
                serializer.push(waiting(*at), &mut out);
                out.len() < 2
            })
            .count()
            < 200_000
    };
    assert!(is_cut(&start_tool));
    assert!(is_cut(&|at| finish(at, FinishReason::Stop)));
    // Pieces that hold nothing and cannot be put together.
    assert!(is_cut(&|at| {
        let nothing = String::new();
        let delta = if at % 2 == 0 { Delta::Text(nothing) } else { Delta::Reasoning(nothing) };
        ChatEvent::Delta { block: 1, delta }
    }));
    assert!(is_cut(&|at| {
        let raw = json!({"data": "x".repeat(1 << 10)});
        let part = Part::new(PartKind::Opaque { dialect: DialectId::AnthropicMessages, raw });
        ChatEvent::block(0, at, BlockKind::Whole(Box::new(part)))
    }));
}

#[test]
fn what_had_its_turn_weighs_nothing() {
    let mut serializer = Serializer::new();
    let mut out = Vec::new();
    for block in (0..40).step_by(2) {
        for event in [
            start_tool(block),
            start_tool(block + 1),
            arguments(block + 1, &"x".repeat(1 << 20)),
            finish(block + 9, FinishReason::Stop),
            ChatEvent::BlockEnd { block },
            ChatEvent::BlockEnd { block: block + 1 },
        ] {
            serializer.push(event, &mut out);
        }
    }
    assert!(!out.iter().any(|it| matches!(it, ChatEvent::Error(_))));
    assert_eq!(out.len(), 20 * 6);
}

#[test]
fn ec_037_a_stream_without_its_end_is_no_answer() {
    let start = ChatEvent::Start { id: None, model: None, created: None };
    let text = ChatEvent::block(0, 0, BlockKind::Text);
    assert_eq!(collected([start.clone()]).unwrap_err().kind, ErrorKind::Truncated);
    assert_eq!(collected([start, text, ChatEvent::End]).unwrap_err().kind, ErrorKind::Truncated);
}

#[test]
fn ec_036_a_streams_error_is_the_answers_error() {
    let error = WireError { kind: ErrorKind::Overloaded, ..truncated() };
    let events = [finish(0, FinishReason::Stop), ChatEvent::Error(error.clone()), ChatEvent::End];
    assert_eq!(collected(events).unwrap_err(), error);
}

fn citation(raw: Value) -> Citation {
    Citation::plain(DialectId::AnthropicMessages, raw)
}

fn part() -> impl Strategy<Value = Part> {
    let state = prop::option::of("[a-z]{0,9}".prop_map(|data| OpaqueState {
        dialect: DialectId::AnthropicMessages,
        kind: StateKind::Signature,
        data,
    }));
    prop_oneof![
        (any::<String>(), prop::collection::vec("[a-z]".prop_map(|it| citation(it.into())), 0..3))
            .prop_map(|(text, citations)| PartKind::Text { text, citations }),
        (any::<String>(), state).prop_map(|(text, state)| PartKind::Reasoning { text, state }),
        "[a-z]{0,9}".prop_map(|data| PartKind::Reasoning {
            text: String::new(),
            state: Some(OpaqueState {
                dialect: DialectId::AnthropicMessages,
                kind: StateKind::Redacted,
                data
            }),
        }),
        ("[a-z0-9]{0,5}", "[a-z]{1,5}", any::<String>(), any::<bool>()).prop_map(
            |(id, name, arguments, custom)| {
                PartKind::ToolCall(ToolCall { id, name, arguments: Arguments(arguments), custom })
            }
        ),
        any::<String>().prop_map(|text| PartKind::Refusal { text }),
        any::<u8>()
            .prop_map(|it| PartKind::Opaque { dialect: DialectId::OpenaiChat, raw: json!({ "type": it }) }),
    ]
    .prop_map(Part::new)
}

fn answer() -> impl Strategy<Value = ChatResponse> {
    let usage =
        (prop::option::of(any::<u64>()), prop::option::of(any::<u64>()), prop::option::of(any::<u64>()))
            .prop_map(|(input, output, reasoning)| TokenUsage {
                input,
                output,
                reasoning,
                ..TokenUsage::default()
            });
    let choices = prop::collection::vec(prop::collection::vec(part(), 0..5), 0..4);
    (prop::option::of("[a-z]{1,5}"), prop::option::of(any::<i64>()), choices, prop::option::of(usage))
        .prop_map(|(id, created, choices, usage)| ChatResponse {
            model: id.clone(),
            id,
            created,
            usage,
            choices: (0..)
                .zip(choices)
                .map(|(index, parts)| Choice {
                    index,
                    parts,
                    finish: Finish::new(FinishReason::Stop),
                    extra: Extra::default(),
                })
                .collect(),
            extra: Extra::default(),
        })
}

/// Any events at all, lawful or not.
fn event() -> impl Strategy<Value = ChatEvent> {
    let block = 0..5u32;
    let choice = 0..3u32;
    let kind = prop_oneof![
        Just(BlockKind::Text),
        Just(BlockKind::Reasoning),
        Just(BlockKind::Refusal),
        Just(BlockKind::ToolCall { id: "t".into(), name: "f".into(), custom: false, state: None }),
        part().prop_map(|it| BlockKind::Whole(Box::new(it))),
    ];
    let delta = prop_oneof![
        any::<String>().prop_map(Delta::Text),
        any::<String>().prop_map(Delta::Reasoning),
        any::<String>().prop_map(Delta::Arguments),
        any::<String>().prop_map(Delta::Refusal),
        any::<String>().prop_map(|data| Delta::State { kind: StateKind::Signature, data }),
        any::<u8>().prop_map(|it| Delta::Citation(citation(it.into()))),
    ];
    prop_oneof![
        1 => Just(ChatEvent::Start { id: None, model: None, created: None }),
        6 => (choice.clone(), block.clone(), kind)
            .prop_map(|(choice, block, kind)| ChatEvent::block(choice, block, kind)),
        9 => (block.clone(), delta).prop_map(|(block, delta)| ChatEvent::Delta { block, delta }),
        6 => block.prop_map(|block| ChatEvent::BlockEnd { block }),
        1 => Just(ChatEvent::Usage(TokenUsage::default())),
        2 => choice.prop_map(|choice| finish(choice, FinishReason::Stop)),
        1 => Just(ChatEvent::Error(truncated())),
        1 => Just(ChatEvent::End),
    ]
}

/// Tool calls whose pieces are mixed, as Chat sends them: (which call, a piece of its arguments), cut in any order.
fn interleaved() -> impl Strategy<Value = Vec<ChatEvent>> {
    prop::collection::vec((0..4u32, "[a-z]{0,4}"), 0..40).prop_map(|pieces| {
        let mut events = vec![ChatEvent::Start { id: None, model: None, created: None }];
        let mut open = Vec::new();
        for (block, text) in pieces {
            if !open.contains(&block) {
                open.push(block);
                events.push(start_tool(block));
            }
            events.push(arguments(block, &text));
        }
        events.extend(open.into_iter().rev().map(|block| ChatEvent::BlockEnd { block }));
        events.extend([finish(0, FinishReason::ToolCalls), ChatEvent::End]);
        events
    })
}

proptest! {
    #[test]
    fn a_whole_answer_equals_its_stream_collected(answer in answer()) {
        prop_assert_eq!(collected(unfold(answer.clone())).unwrap(), answer);
    }

    #[test]
    fn an_unfolded_answer_is_lawful(answer in answer()) {
        let events = unfold(answer);
        prop_assert!(is_in_order(&events));
        let blocks: Vec<u32> = events.iter().filter_map(|it| match it {
            ChatEvent::BlockStart { block, .. } => Some(*block),
            _ => None,
        }).collect();
        prop_assert_eq!(blocks.iter().collect::<HashSet<_>>().len(), blocks.len());
    }

    #[test]
    fn serialising_changes_order_and_no_content(events in interleaved()) {
        let ordered = serialized(events.clone());
        prop_assert!(is_in_order(&ordered));
        prop_assert_eq!(collected(ordered).unwrap(), collected(events).unwrap());
    }

    #[test]
    fn what_is_in_order_passes_as_it_is(answer in answer()) {
        let events = unfold(answer);
        prop_assert_eq!(serialized(events.clone()), events);
    }

    #[test]
    fn any_events_are_survived_and_put_in_order(events in prop::collection::vec(event(), 0..60)) {
        let ordered = serialized(events.clone());
        prop_assert!(is_in_order(&ordered), "{ordered:?}");
        let _ = collected(events);
        let _ = collected(ordered);
    }
}
