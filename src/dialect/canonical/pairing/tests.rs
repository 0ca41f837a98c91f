use proptest::prelude::*;

use super::*;
use crate::dialect::canonical::Arguments;

fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn { role, parts, plain: false, name: None, at: "/messages/0".to_owned(), extra: Extra::default() }
}

fn call(id: &str) -> Part {
    Part::new(PartKind::ToolCall(ToolCall {
        id: id.to_owned(),
        name: "read".to_owned(),
        arguments: Arguments("{}".to_owned()),
        custom: false,
    }))
}

fn result(id: &str, text: &str) -> Part {
    Part::new(PartKind::ToolResult(ToolResult {
        call_id: id.to_owned(),
        content: vec![Part::text(text)],
        plain: true,
        is_error: None,
    }))
}

fn repaired(turns: Vec<Turn>) -> (Vec<Turn>, Vec<Loss>) {
    let conversation = Conversation { turns };
    let (conversation, losses) = repair(&conversation);
    (conversation.into_owned().turns, losses)
}

fn user(parts: Vec<Part>) -> Turn {
    turn(Role::User, parts)
}

fn assistant(parts: Vec<Part>) -> Turn {
    turn(Role::Assistant, parts)
}

/// The results of a turn: call id and text.
fn results(turn: &Turn) -> Vec<(String, String)> {
    let results = turn.parts.iter().filter_map(|it| match &it.kind {
        PartKind::ToolResult(it) => Some(it),
        _ => None,
    });
    results.map(|it| (it.call_id.clone(), it.content.iter().filter_map(Part::as_text).collect())).collect()
}

fn pair(id: &str, text: &str) -> (String, String) {
    (id.to_owned(), text.to_owned())
}

#[test]
fn a_sound_history_is_borrowed() {
    let conversation = Conversation {
        turns: vec![
            user(vec![Part::text("hi")]),
            assistant(vec![call("a"), call("b")]),
            user(vec![result("b", "2")]),
            user(vec![result("a", "1"), Part::text("go on")]),
        ],
    };
    let (repaired, losses) = repair(&conversation);
    assert!(matches!(repaired, Cow::Borrowed(_)));
    assert!(losses.is_empty());
}

#[test]
fn ec_028_a_call_without_result_gets_one_before_the_next_user_turn() {
    let (turns, losses) = repaired(vec![assistant(vec![call("a")]), user(vec![Part::text("stop")])]);
    assert_eq!(results(&turns[1]), [pair("a", INTERRUPTED)]);
    assert_eq!(turns[2].parts[0].as_text(), Some("stop"));
    assert_eq!(losses.len(), 1);
}

#[test]
fn ec_028_a_call_at_the_end_gets_a_result() {
    let (turns, _) = repaired(vec![assistant(vec![call("a")])]);
    assert_eq!(results(&turns[1]), [pair("a", INTERRUPTED)]);
}

#[test]
fn ec_029_a_result_without_call_becomes_text() {
    let (turns, losses) = repaired(vec![user(vec![result("gone", "42")])]);
    assert_eq!(turns[0].parts[0].as_text(), Some("[result of unknown tool call gone]: 42"));
    assert_eq!(losses[0].severity, Severity::Semantic);
}

#[test]
fn of_two_results_the_last_is_kept() {
    let (turns, losses) = repaired(vec![
        assistant(vec![call("a")]),
        user(vec![result("a", "old")]),
        user(vec![result("a", "new")]),
    ]);
    assert_eq!(turns.len(), 2);
    assert_eq!(results(&turns[1]), [pair("a", "new")]);
    assert_eq!(losses.len(), 1);
}

#[test]
fn two_calls_of_one_id_are_paired_in_order() {
    let (turns, _) =
        repaired(vec![assistant(vec![call("x"), call("x")]), user(vec![result("x", "1"), result("x", "2")])]);
    assert_eq!(results(&turns[1]), [pair("x", "1"), pair("x_2", "2")]);
}

#[test]
fn ec_186_an_id_used_again_in_a_later_round_is_renamed_with_its_result() {
    let round = || [assistant(vec![call("call_0")]), user(vec![result("call_0", "r")])];
    let (turns, _) = repaired(round().into_iter().chain(round()).collect());
    assert_eq!(results(&turns[1]), [pair("call_0", "r")]);
    assert_eq!(results(&turns[3]), [pair("call_0_2", "r")]);
}

#[test]
fn ec_057_what_stands_between_a_call_and_its_result_is_moved_behind() {
    let (turns, losses) = repaired(vec![
        assistant(vec![call("a")]),
        turn(Role::System, vec![Part::text("reminder")]),
        user(vec![Part::text("so"), result("a", "1")]),
    ]);
    assert_eq!(results(&turns[1]), [pair("a", "1")]);
    assert_eq!(turns[2].role, Role::System);
    assert_eq!(turns[3].parts[0].as_text(), Some("so"));
    assert_eq!(losses.len(), 1);
}

#[test]
fn ec_058_assistant_turns_with_calls_become_one() {
    let (turns, _) = repaired(vec![
        assistant(vec![call("a")]),
        assistant(vec![call("b")]),
        user(vec![result("a", "1"), result("b", "2")]),
    ]);
    assert_eq!(turns.len(), 2);
    assert_eq!(turns[0].parts.len(), 2);
}

fn any_turn() -> impl Strategy<Value = Turn> {
    let id = prop::sample::select(vec!["a", "b", "c", ""]);
    let part = (0..3_u8, id).prop_map(|(kind, id)| match kind {
        0 => call(id),
        1 => result(id, "r"),
        _ => Part::text("t"),
    });
    (0..3_u8, prop::collection::vec(part, 0..4)).prop_map(|(role, parts)| {
        let role = [Role::User, Role::Assistant, Role::System][usize::from(role)];
        let fits = |it: &Part| match it.kind {
            PartKind::ToolCall(_) => role == Role::Assistant,
            PartKind::ToolResult(_) => role == Role::User,
            _ => true,
        };
        turn(role, parts.into_iter().filter(fits).collect())
    })
}

proptest! {
    #[test]
    fn any_history_becomes_sound_and_stays_so(turns in prop::collection::vec(any_turn(), 0..8)) {
        let (once, _) = repaired(turns);
        prop_assert!(is_sound(&once), "{once:?}");
        let (twice, losses) = repaired(once.clone());
        prop_assert_eq!(once, twice);
        prop_assert!(losses.is_empty());
    }
}
