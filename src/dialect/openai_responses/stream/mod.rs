//! Streamed answers: read from upstreams, written to clients.

mod blocks;
mod decoder;
mod encoder;
mod event;
mod frames;
mod hosted;
mod items;

use crate::dialect::{EventDecoder, EventEncoder, Recall, ReplyContext};

pub(super) fn encoder(context: &ReplyContext) -> Box<dyn EventEncoder> {
    Box::new(encoder::Encoder::new(context))
}

pub(super) fn decoder(recall: &Recall) -> Box<dyn EventDecoder> {
    Box::new(decoder::Decoder::new(recall))
}

#[cfg(test)]
mod tests;
