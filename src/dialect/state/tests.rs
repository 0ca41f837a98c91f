use proptest::prelude::*;

use super::*;
use crate::{
    catalog::ModelName,
    dialect::{
        ChatRequest, ChatResponse,
        canonical::{
            Arguments, Choice, Conversation, Extra, Finish, FinishReason, OutputFormat, Part, PartKind,
            Reasoning, Role, Sampling, StreamRequest, ToolCall, Turn,
        },
        collect::{self, Collector},
    },
    kernel::id::CredentialId,
};

const SEALED_FOR: [DialectId; 3] =
    [DialectId::AnthropicMessages, DialectId::OpenaiResponses, DialectId::Gemini];

fn envelope() -> Envelope {
    Envelope::new([7; 32])
}

fn tenant() -> TenantId {
    TenantId::declared("acme")
}

fn origin(provider: &str, model: &str, account: &str) -> Origin {
    let account = envelope().account(CredentialId::declared(account));
    Origin { provider: provider.to_owned(), family: family(model), account }
}

fn google() -> Origin {
    origin("gcp.gemini", "gemini-3-pro", "one")
}

fn seal(client: DialectId, origin: Origin) -> Seal {
    Seal { envelope: envelope(), tenant: tenant(), origin, client }
}

fn state(kind: StateKind, data: &str) -> OpaqueState {
    OpaqueState { dialect: kind.dialect(), kind, data: data.to_owned() }
}

fn thought(text: &str, state: Option<OpaqueState>) -> Part {
    Part::new(PartKind::Reasoning { text: text.to_owned(), state })
}

fn call(id: &str, state: Option<OpaqueState>) -> Part {
    let call = ToolCall {
        id: id.to_owned(),
        name: "look".to_owned(),
        arguments: Arguments("{}".to_owned()),
        custom: false,
    };
    Part { state, ..Part::new(PartKind::ToolCall(call)) }
}

fn gemini(data: &str) -> OpaqueState {
    state(StateKind::ThoughtSignature, data)
}

fn answer(parts: Vec<Part>) -> ChatResponse {
    let finish = Finish::new(FinishReason::Stop);
    ChatResponse {
        choices: vec![Choice { index: 0, parts, finish, extra: Extra::default() }],
        ..ChatResponse::default()
    }
}

fn sealed(parts: Vec<Part>, seal: &Seal) -> (Vec<Part>, Vec<CallState>) {
    let mut answer = answer(parts);
    let lost = seal_answer(&mut answer, seal);
    (answer.choices.remove(0).parts, lost)
}

fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn { role, parts, plain: false, name: None, at: "/messages/1".to_owned(), extra: Extra::default() }
}

fn request(turns: Vec<Turn>) -> ChatRequest {
    ChatRequest {
        model: ModelName::parse("m").unwrap(),
        conversation: Conversation { turns },
        tools: Vec::new(),
        tool_choice: None,
        parallel_tool_calls: None,
        output: OutputFormat::Text,
        sampling: Sampling::default(),
        max_tokens: None,
        stop: Vec::new(),
        reasoning: Reasoning::default(),
        end_user: None,
        metadata: None,
        service_tier: None,
        prompt_cache_key: None,
        store: None,
        previous_response: None,
        stream: StreamRequest::default(),
        legacy_functions: false,
        extra: Extra::default(),
    }
}

/// Sends the assistant's parts back, all in one turn, and opens them for `target`.
fn returned(parts: Vec<Part>, target: &Origin) -> (Vec<Part>, usize) {
    let mut request = request(vec![turn(Role::Assistant, parts)]);
    let losses = restore(&mut request, &envelope(), tenant(), target, |_| None);
    (request.conversation.turns.into_iter().flat_map(|it| it.parts).collect(), losses.len())
}

#[test]
fn ec_042_encrypted_reasoning_rides_in_a_thinking_signature_and_comes_back() {
    let made = origin("openai", "gpt-5", "one");
    let parts = vec![
        thought("Hm.", Some(state(StateKind::Encrypted, "gAAA"))),
        thought("", Some(state(StateKind::Encrypted, "gBBB"))),
        Part::text("Hello"),
    ];
    let (shown, _) = sealed(parts.clone(), &seal(DialectId::AnthropicMessages, made.clone()));
    let PartKind::Reasoning { text, state: Some(carrier) } = &shown[0].kind else { panic!("{shown:?}") };
    assert_eq!((text.as_str(), carrier.kind), ("Hm.", StateKind::Signature));
    assert!(carrier.data.starts_with("dgm1.") && !carrier.data.contains("gAAA"));
    assert_eq!(returned(shown, &made), (parts, 0));
}

#[test]
fn ec_124_reasoning_without_a_summary_is_an_empty_thought_with_a_carrier() {
    let made = origin("openai", "gpt-5", "one");
    let parts = vec![thought("", Some(state(StateKind::Encrypted, "gAAA")))];
    let (shown, _) = sealed(parts, &seal(DialectId::AnthropicMessages, made));
    assert!(matches!(&shown[0].kind,
        PartKind::Reasoning { text, state: Some(it) } if text.is_empty() && is_carrier(&it.data)));
}

#[test]
fn ec_043_signatures_and_redacted_thoughts_ride_in_encrypted_content_and_come_back() {
    let made = origin("anthropic", "claude-opus-4-5", "one");
    let parts = vec![
        thought("Hm.", Some(state(StateKind::Signature, "EqQB"))),
        thought("", Some(state(StateKind::Redacted, "EmwK"))),
        call("toolu_1", None),
    ];
    let (shown, _) = sealed(parts.clone(), &seal(DialectId::OpenaiResponses, made.clone()));
    for part in &shown[..2] {
        assert!(matches!(&part.kind,
            PartKind::Reasoning { state: Some(it), .. } if it.kind == StateKind::Encrypted));
    }
    // Responses has each item apart: so may the turns be.
    let turns = shown.into_iter().map(|it| turn(Role::Assistant, vec![it])).collect();
    let mut request = request(turns);
    let losses = restore(&mut request, &envelope(), tenant(), &made, |_| None);
    let back: Vec<_> = request.conversation.turns.into_iter().flat_map(|it| it.parts).collect();
    assert_eq!((back, losses.len()), (parts, 0));
}

#[test]
fn ec_043_a_thought_that_a_google_client_sends_back_in_pieces_is_one_again() {
    let made = origin("anthropic", "claude-4", "one");
    let signed = |text: &str| thought(text, Some(state(StateKind::Signature, "c2ln")));
    let (shown, _) = sealed(vec![signed("")], &seal(DialectId::Gemini, made.clone()));
    let pieces = vec![thought("Let me ", None), thought("think.", None), shown[0].clone(), Part::text("Hi")];
    let whole = vec![signed("Let me think."), Part::text("Hi")];
    assert_eq!(returned(pieces.clone(), &made), (whole.clone(), 0));
    let chat = pieces.into_iter().map(|it| turn(Role::Assistant, vec![it])).collect();
    let mut request = request([vec![turn(Role::User, vec![Part::text("?")])], chat].concat());
    assert!(restore(&mut request, &envelope(), tenant(), &made, |_| None).is_empty());
    let turns = request.conversation.turns;
    assert_eq!((turns.len(), turns[0].role), (3, Role::User));
    assert_eq!([&turns[1].parts[..], &turns[2].parts[..]].concat(), whole);
}

#[test]
fn ec_044_after_a_switch_of_the_model_the_state_goes_and_what_was_shown_stays() {
    let made = origin("anthropic", "claude-opus-4-5", "one");
    let parts = vec![
        thought("Hm.", Some(state(StateKind::Signature, "EqQB"))),
        thought("", Some(state(StateKind::Redacted, "EmwK"))),
        Part::text("Hello"),
    ];
    let (shown, _) = sealed(parts, &seal(DialectId::OpenaiResponses, made.clone()));
    for target in [origin("openai", "claude-x", "one"), origin("anthropic", "other-1", "one"), google()] {
        let (back, losses) = returned(shown.clone(), &target);
        assert_eq!((back, losses), (vec![thought("Hm.", None), Part::text("Hello")], 2));
    }
    let other_account = origin("anthropic", "claude-sonnet-4-5", "two");
    assert_eq!(returned(shown, &other_account).1, 0, "a signature is good for every account of its provider");
}

#[test]
fn encrypted_content_is_for_the_account_that_got_it_alone() {
    let parts = vec![thought("", Some(state(StateKind::Encrypted, "gAAA"))), Part::text("Hello")];
    let (shown, _) = sealed(parts, &seal(DialectId::AnthropicMessages, origin("openai", "gpt-5", "one")));
    let (back, losses) = returned(shown, &origin("openai", "gpt-5", "two"));
    assert_eq!((back, losses), (vec![Part::text("Hello")], 1));
}

#[test]
fn ec_051_a_signed_call_after_a_thought_gets_its_signature_back() {
    let parts = vec![thought("Hm.", None), call("c1", Some(gemini("c2ln")))];
    let (shown, _) = sealed(parts.clone(), &seal(DialectId::AnthropicMessages, google()));
    assert_eq!(shown.len(), 3, "the carrier stands in a thought of its own");
    assert!(matches!(&shown[1].kind, PartKind::Reasoning { text, state: Some(_) } if text.is_empty()));
    assert_eq!(shown[2], call("c1", None));
    assert_eq!(returned(shown, &google()), (parts, 0));
}

#[test]
fn ec_052_a_signature_on_a_text_makes_no_visible_block() {
    let text = Part { state: Some(gemini("c2ln")), ..Part::text("Hello") };
    let (shown, _) = sealed(vec![text.clone()], &seal(DialectId::OpenaiResponses, google()));
    assert_eq!(shown[0], Part::text("Hello"));
    assert!(matches!(&shown[1].kind, PartKind::Reasoning { text, state: Some(_) } if text.is_empty()));
    assert_eq!(returned(shown, &google()), (vec![text], 0));
}

#[test]
fn ec_162_unsigned_siblings_of_a_signed_call_stay_unsigned() {
    let parts = vec![call("c1", Some(gemini("c2ln"))), call("c2", None), call("c3", None)];
    for client in SEALED_FOR {
        let (shown, _) = sealed(parts.clone(), &seal(client, origin("vertex", "gemini-3", "one")));
        let (back, losses) = returned(shown, &origin("vertex", "gemini-3", "one"));
        assert_eq!((back, losses), (parts.clone(), 0));
    }
}

#[test]
fn ec_161_a_signature_nobody_here_sealed_is_not_passed_on_as_ours() {
    let claude = thought("Hm.", Some(state(StateKind::Signature, "EqQBCkYIBxgC")));
    let (back, losses) = returned(vec![claude.clone()], &google());
    assert_eq!((&back[0], losses), (&claude, 0), "it stays Anthropic's, which Gemini's codec leaves out");
}

#[test]
fn ec_182_a_forged_or_nested_or_foreign_carrier_is_never_opened() {
    let made = google();
    let sealed = Sealed { state: gemini("c2ln"), place: Place::Call, origin: made.clone() };
    let good = envelope().seal(tenant(), &sealed).unwrap();
    assert_eq!(envelope().open(tenant(), &good).unwrap(), sealed);
    let (payload, mac) = good.rsplit_once('.').unwrap();
    let mut changed = payload.to_owned().into_bytes();
    let at = changed.len() / 2;
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    let stranger = Envelope::new([8; 32]).seal(tenant(), &sealed).unwrap();
    for forged in [format!("{changed}.{mac}"), format!("{payload}."), stranger, format!("{good}A")] {
        assert_eq!(envelope().open(tenant(), &forged), Err(NotOpened::Forged), "{forged}");
        let part = thought("", Some(state(StateKind::Signature, &forged)));
        assert_eq!(returned(vec![part], &made), (Vec::new(), 1));
    }
    for wrong in ["dgm1.", "dgm1", "", "sig", "ZGdtMS5l", "ZGdtMS5leUo"] {
        assert!(envelope().open(tenant(), wrong).is_err(), "{wrong}");
    }
    let nested = Sealed { state: state(StateKind::Signature, &good), ..sealed };
    assert_eq!(envelope().seal(tenant(), &nested), None);
}

#[test]
fn ec_183_a_carrier_of_another_tenant_is_not_opened() {
    let sealed = Sealed { state: gemini("c2ln"), place: Place::Thought, origin: google() };
    let theirs = envelope().seal(TenantId::declared("zoo"), &sealed).unwrap();
    assert_eq!(envelope().open(tenant(), &theirs), Err(NotOpened::OtherTenant));
    let summary = envelope().seal_summary(TenantId::declared("zoo"), "They spoke.").unwrap();
    assert_eq!(envelope().open_summary(tenant(), &summary), Err(NotOpened::OtherTenant));
}

#[test]
fn a_summary_is_no_state_and_a_state_is_no_summary() {
    let summary = envelope().seal_summary(tenant(), "They spoke.").unwrap();
    assert_eq!(envelope().open_summary(tenant(), &summary).unwrap(), "They spoke.");
    assert_eq!(envelope().open(tenant(), &summary), Err(NotOpened::NotOurs));
    let sealed = Sealed { state: gemini("c2ln"), place: Place::Thought, origin: google() };
    let carrier = envelope().seal(tenant(), &sealed).unwrap();
    assert_eq!(envelope().open_summary(tenant(), &carrier), Err(NotOpened::NotOurs));
}

#[test]
fn ec_206_a_body_with_a_carrier_is_told_from_one_that_speaks_of_them() {
    let sealed = Sealed { state: gemini("c2ln"), place: Place::Thought, origin: google() };
    let carrier = envelope().seal(tenant(), &sealed).unwrap();
    let in_base64 = envelope::as_bytes_field(&carrier);
    for held in [&carrier, &in_base64] {
        assert!(is_carrier(held));
        assert!(may_hold_carriers(format!(r#"{{"signature":"{held}"}}"#).as_bytes()));
    }
    assert!(!may_hold_carriers(br#"{"text":"what is dgm1. for?","signature":"EqQB"}"#));
}

#[test]
fn gemini_s_clients_may_write_bytes_in_either_alphabet() {
    let sealed = Sealed { state: gemini("c2ln"), place: Place::Call, origin: google() };
    let carrier = envelope().seal(tenant(), &sealed).unwrap();
    let text = envelope::as_bytes_field(&carrier);
    let url_safe = text.replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned();
    assert_eq!(envelope().open(tenant(), &text).unwrap(), sealed);
    assert_eq!(envelope().open(tenant(), &url_safe).unwrap(), sealed);
}

#[test]
fn ec_053_what_a_chat_client_drops_is_remembered_by_the_call_s_id() {
    let made = google();
    let to_chat = seal(DialectId::OpenaiChat, made.clone());
    let parts = vec![
        thought("Hm.", Some(gemini("dGhvdWdodA=="))),
        Part::text("I look."),
        call("c1", Some(gemini("c2ln"))),
        call("c2", None),
    ];
    let (shown, lost) = sealed(parts, &to_chat);
    assert_eq!(shown, [thought("Hm.", None), Part::text("I look."), call("c1", None), call("c2", None)]);
    assert_eq!(lost.len(), 1);
    let mut request = request(vec![turn(Role::Assistant, shown[1..].to_vec())]);
    let remembered = |id: &str| lost.iter().find(|it| it.call_id == id).cloned();
    let losses = restore(&mut request, &envelope(), tenant(), &made, remembered);
    assert!(losses.is_empty());
    assert_eq!(
        request.conversation.turns[0].parts,
        [
            thought("Hm.", Some(gemini("dGhvdWdodA=="))),
            Part::text("I look."),
            call("c1", Some(gemini("c2ln"))),
            call("c2", None)
        ]
    );
}

#[test]
fn what_is_remembered_is_for_its_maker_and_its_tool_alone() {
    let lost = CallState {
        call_id: "c1".to_owned(),
        tool: "look".to_owned(),
        origin: google(),
        thoughts: Vec::new(),
        on_call: Some(gemini("c2ln")),
    };
    let other_tool = CallState { tool: "leap".to_owned(), ..lost.clone() };
    for (known, target) in [(lost, origin("anthropic", "claude-x", "one")), (other_tool, google())] {
        let mut request = request(vec![turn(Role::Assistant, vec![call("c1", None)])]);
        restore(&mut request, &envelope(), tenant(), &target, |_| Some(known.clone()));
        assert_eq!(request.conversation.turns[0].parts, [call("c1", None)]);
    }
}

#[test]
fn a_chat_client_s_copy_of_a_thought_gives_way_to_the_signed_one() {
    let made = origin("anthropic", "claude-x", "one");
    let lost = CallState {
        call_id: "c1".to_owned(),
        tool: "look".to_owned(),
        origin: made.clone(),
        thoughts: vec![("Hm.".to_owned(), state(StateKind::Signature, "EqQB"))],
        on_call: None,
    };
    let mut request = request(vec![turn(Role::Assistant, vec![thought("Hm.", None), call("c1", None)])]);
    restore(&mut request, &envelope(), tenant(), &made, |_| Some(lost.clone()));
    let signed = thought("Hm.", Some(state(StateKind::Signature, "EqQB")));
    assert_eq!(request.conversation.turns[0].parts, [signed, call("c1", None)]);
}

#[test]
fn ec_054_ids_of_calls_carry_nothing() {
    for client in SEALED_FOR {
        let (shown, _) = sealed(vec![call("call_1", Some(gemini("c2ln")))], &seal(client, google()));
        let ids: Vec<_> = shown
            .iter()
            .filter_map(|it| match &it.kind {
                PartKind::ToolCall(call) => Some(call.id.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(ids, ["call_1"]);
    }
}

#[test]
fn a_state_whose_call_was_cut_out_of_the_history_is_dropped() {
    let (shown, _) =
        sealed(vec![call("c1", Some(gemini("c2ln")))], &seal(DialectId::AnthropicMessages, google()));
    let mut request = request(vec![
        turn(Role::Assistant, vec![shown[0].clone()]),
        turn(Role::User, vec![Part::text("Go on")]),
        turn(Role::Assistant, vec![call("c9", None)]),
    ]);
    let losses = restore(&mut request, &envelope(), tenant(), &google(), |_| None);
    assert_eq!(losses.len(), 1);
    assert_eq!(request.conversation.turns.len(), 2, "a turn that held the carrier alone is gone");
    assert_eq!(request.conversation.turns[1].parts, [call("c9", None)]);
}

#[test]
fn stripping_leaves_what_was_said_and_done() {
    let text = Part { state: Some(gemini("c2ln")), ..Part::text("Hello") };
    let mut request = request(vec![
        turn(Role::Assistant, vec![thought("Hm.", Some(gemini("c2ln"))), text]),
        turn(Role::Assistant, vec![thought("Hm.", None)]),
    ]);
    assert!(strip(&mut request));
    assert_eq!(request.conversation.turns.len(), 1);
    assert_eq!(request.conversation.turns[0].parts, [Part::text("Hello")]);
    assert!(!strip(&mut request));
}

#[test]
fn too_large_a_state_is_left_out() {
    let huge = "x".repeat((1 << 20) + 1);
    let parts = vec![thought("Hm.", Some(state(StateKind::Encrypted, &huge)))];
    let (shown, _) = sealed(parts, &seal(DialectId::AnthropicMessages, origin("openai", "gpt", "one")));
    assert_eq!(shown, [thought("Hm.", None)]);
}

#[test]
fn the_family_is_the_first_word_of_the_name() {
    for (model, expected) in [
        ("claude-sonnet-4-5-20250929", "claude"),
        ("gpt-5.1-codex", "gpt"),
        ("google/gemini-3-pro", "gemini"),
        ("o3-mini", "o"),
        ("4o", "4o"),
    ] {
        assert_eq!(family(model), expected);
    }
}

/// The parts with every thought without state in the signed one that follows it, if one does.
fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut joined: Vec<Part> = Vec::new();
    for mut part in parts {
        if let PartKind::Reasoning { text, state: Some(_) } = &mut part.kind {
            while let Some(PartKind::Reasoning { text: piece, state: None }) =
                joined.last().map(|it| &it.kind)
            {
                text.insert_str(0, piece);
                joined.pop();
            }
        }
        joined.push(part);
    }
    joined
}

/// The parts of an answer of Gemini's, Anthropic's or Responses'.
fn parts() -> impl Strategy<Value = (Origin, Vec<Part>)> {
    let kinds = prop_oneof![
        Just((origin("gcp.gemini", "gemini-3", "one"), StateKind::ThoughtSignature)),
        Just((origin("anthropic", "claude-4", "one"), StateKind::Signature)),
        Just((origin("openai", "gpt-5", "one"), StateKind::Encrypted)),
    ];
    kinds.prop_flat_map(|(origin, kind)| {
        let rides = kind == StateKind::ThoughtSignature;
        let data = proptest::option::of("[A-Za-z0-9+/]{1,12}");
        let part = (0..3_u8, "[a-z ]{1,8}", data).prop_map(move |(which, text, data)| {
            let its = data.map(|it| state(kind, &it));
            let riding = its.clone().filter(|_| rides);
            match which {
                0 => thought(&text, its),
                1 => Part { state: riding, ..Part::text(text) },
                _ => call(&text, riding),
            }
        });
        (Just(origin), proptest::collection::vec(part, 0..6))
    })
}

proptest! {
    #[test]
    fn whatever_was_sealed_comes_back_to_its_maker((made, parts) in parts(), client in 0..3_usize) {
        let client = SEALED_FOR[client];
        let own = parts.iter().any(|it| match &it.kind {
            PartKind::Reasoning { state, .. } => state.as_ref().is_some_and(|it| it.dialect == client),
            _ => it.state.as_ref().is_some_and(|it| it.dialect == client),
        });
        let (shown, lost) = sealed(parts.clone(), &seal(client, made.clone()));
        prop_assert!(lost.is_empty());
        if own {
            prop_assert_eq!(&shown, &parts, "its own state is not touched");
        }
        let joined = if client == DialectId::Gemini && !own { joined(parts) } else { parts };
        prop_assert_eq!(returned(shown, &made), (joined, 0));
    }

    #[test]
    fn a_stream_is_sealed_as_the_whole_answer_is((made, parts) in parts(), client in 0..3_usize) {
        let seal = seal(SEALED_FOR[client], made);
        let mut outward = Outward::new(seal.clone());
        let mut events = Vec::new();
        for event in collect::unfold(answer(parts.clone())) {
            outward.push(event, &mut events);
        }
        let mut collector = Collector::new();
        for event in events {
            collector.push(event);
        }
        let folded = collector.finish().unwrap().choices.remove(0).parts;
        prop_assert_eq!(folded, sealed(parts, &seal).0);
    }

    #[test]
    fn a_stream_loses_for_a_chat_client_what_the_whole_answer_does((made, parts) in parts()) {
        let seal = seal(DialectId::OpenaiChat, made);
        let mut outward = Outward::new(seal.clone());
        let mut events = Vec::new();
        for event in collect::unfold(answer(parts.clone())) {
            outward.push(event, &mut events);
        }
        let mut collector = Collector::new();
        for event in events {
            collector.push(event);
        }
        let (shown, lost) = sealed(parts, &seal);
        prop_assert_eq!(outward.take_lost(), lost);
        prop_assert_eq!(collector.finish().unwrap().choices.remove(0).parts, shown);
    }

    #[test]
    fn any_text_as_a_carrier_is_refused_without_harm(text in "(dgm1\\.|ZGdtMS5l)?[A-Za-z0-9_.=+/-]{0,80}") {
        prop_assert!(envelope().open(tenant(), &text).is_err());
    }
}
