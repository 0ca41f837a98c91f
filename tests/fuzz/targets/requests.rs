//! Requests of each dialect: whatever is read can be told to every upstream that it can be said to at all.
//!
//! Input: a letter for the dialect, then the body.
#![no_main]

mod dialects;

use dragoman::{
    catalog::{Abilities, UpstreamModel},
    dialect::{ChatRequest, DialectId, places::Places, state},
};
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::Value;

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((dialect, body)) = dialects::split(input) else { return Corpus::Reject };
    let counted = dialect.server().decode_count_request(body);
    let Ok(request) = dialect.server().decode_request(body) else { return Corpus::Keep };
    assert!(counted.is_ok(), "what can be asked can be counted");
    let mut bare = request.clone();
    state::strip(&mut bare);
    let model = UpstreamModel::parse("some-model").expect("a plain name");
    let places = Places::of(dialect, body);
    for upstream in dialects::ALL {
        for request in [&request, &bare] {
            told(upstream, request, &model, &places);
        }
    }
    Corpus::Keep
});

fn told(upstream: DialectId, request: &ChatRequest, model: &UpstreamModel, places: &Places) {
    let Ok(encoded) = upstream.client().encode_request(request, model, &Abilities::default()) else { return };
    let body: Value = serde_json::from_slice(&encoded.body).expect("a request in JSON");
    assert!(body.is_object(), "a request to {} is no object", upstream.name());
    for loss in &encoded.losses {
        for at in [&loss.at, &places.find(&loss.at)] {
            assert!(at.is_empty() || at.starts_with('/'), "{at:?} is no JSON pointer");
        }
    }
    // Nonsense that a client said may be refused, by us as by the upstream; it breaks nobody.
    let _ = upstream.server().decode_request(&encoded.body);
}
