//! Streams, both ways.

pub(in crate::dialect) mod chunk;
mod decoder;
mod encoder;

use crate::dialect::{EventDecoder, EventEncoder, Recall, ReplyContext};

pub(super) fn encoder(context: &ReplyContext) -> Box<dyn EventEncoder> {
    Box::new(encoder::Encoder::new(context))
}

pub(super) fn decoder(recall: &Recall) -> Box<dyn EventDecoder> {
    Box::new(decoder::Decoder::new(recall))
}

#[cfg(test)]
mod tests;
