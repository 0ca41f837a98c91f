//! Carriers of state: any text is opened or refused, what was sealed is opened again, and nothing that was changed is.
//!
//! Input: a letter for what is tried, then a text.
#![no_main]

use dragoman::{
    dialect::{
        DialectId,
        canonical::{OpaqueState, StateKind},
        state::{Envelope, Origin, Place, Sealed, is_carrier},
    },
    kernel::id::TenantId,
};
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((what, text)) = input.split_first() else { return Corpus::Reject };
    let Ok(text) = std::str::from_utf8(text) else { return Corpus::Reject };
    let envelope = Envelope::new([7; 32]);
    let tenant = TenantId::declared("one");
    let state = OpaqueState {
        dialect: DialectId::AnthropicMessages,
        kind: StateKind::Signature,
        data: text.to_owned(),
    };
    let origin = Origin { provider: "p".to_owned(), family: "f".to_owned(), account: "a".to_owned() };
    let sealed = Sealed { state, place: Place::Thought, origin };
    match what {
        b'o' => {
            assert!(envelope.open(tenant, text).is_err(), "a made-up carrier was opened");
            assert!(envelope.open_summary(tenant, text).is_err(), "a made-up summary was opened");
        }
        b's' => {
            let Some(carrier) = envelope.seal(tenant, &sealed) else { return Corpus::Keep };
            assert!(is_carrier(&carrier), "a carrier that is not known as one");
            assert_eq!(envelope.open(tenant, &carrier).as_ref(), Ok(&sealed));
            let other = TenantId::declared("another");
            assert!(envelope.open(other, &carrier).is_err(), "another tenant opened it");
        }
        // A carrier of which a piece became the text.
        at @ 0..=99 => {
            let carrier = envelope.seal(
                tenant,
                &Sealed { state: OpaqueState { data: "state".to_owned(), ..sealed.state }, ..sealed },
            );
            let mut changed = carrier.expect("it is short");
            let at = usize::from(*at).min(changed.len());
            let end = (at + text.len()).min(changed.len());
            let before = changed.clone();
            changed.replace_range(at..end, text);
            assert!(
                changed == before || envelope.open(tenant, &changed).is_err(),
                "a changed carrier was opened"
            );
        }
        _ => return Corpus::Reject,
    }
    Corpus::Keep
});
