//! Streams, both ways.

use crate::dialect::{DialectId, EventDecoder, EventEncoder, Recall, ReplyContext};

pub(super) fn encoder(context: &ReplyContext) -> Box<dyn EventEncoder> {
    DialectId::OpenaiChat.server().event_encoder(context)
}

pub(super) fn decoder(recall: &Recall) -> Box<dyn EventDecoder> {
    DialectId::OpenaiChat.client().event_decoder(recall)
}
