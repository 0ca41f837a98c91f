//! Whole answers and errors of each dialect: whatever is read can be told to every client, whole and as a stream.
//!
//! Input: a letter for the dialect, then the body.
#![no_main]

mod dialects;
#[expect(dead_code, reason = "it is the integration tests' and holds more than is needed here")]
#[path = "../../it/support"]
mod support {
    pub(crate) mod grammar;
    pub(crate) mod trip;
}

use dragoman::dialect::{Recall, collect::unfold};
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::Value;
use support::{grammar, trip};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((dialect, body)) = dialects::split(input) else { return Corpus::Reject };
    let status = 502.try_into().expect("a status");
    dialect.client().decode_error(status, body);
    let Ok(answer) = dialect.client().decode_response(body, &Recall::default()) else { return Corpus::Keep };
    for client in dialects::ALL {
        let body = client.server().encode_response(&answer, &trip::context());
        assert!(serde_json::from_slice::<Value>(&body).expect("an answer in JSON").is_object());
        let stream = trip::write(client, unfold(answer.clone()));
        if let Err(rule) = grammar::check_form(client, &stream) {
            panic!("to {}: {rule}\n{}", client.name(), String::from_utf8_lossy(&stream));
        }
    }
    Corpus::Keep
});
