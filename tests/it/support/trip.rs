//! Streams, sent through our codecs as the pipeline does it.

use bytes::{Bytes, BytesMut};
use dragoman::{
    dialect::{
        ChatEvent, ChatResponse, DialectId, EventDecoder, EventEncoder, Recall, ReplyContext, WireError,
        collect::{Collector, Serializer},
        framing::sse::{SseDecoder, SseFrame},
    },
    kernel::{
        error::{ErrorKind, GatewayError},
        id::RequestId,
    },
};

pub(crate) const MAX_FRAME: usize = 1 << 20;

pub(crate) fn context() -> ReplyContext {
    ReplyContext {
        include_usage: true,
        ..ReplyContext::new(RequestId::declared("test"), "asked-for", 1_763_700_000)
    }
}

/// Reads an upstream's stream, in the given pieces, into events. What cannot be read ends in an `Error`.
pub(crate) fn read(dialect: DialectId, pieces: &[&[u8]]) -> Vec<ChatEvent> {
    read_with(dialect, &Recall::default(), pieces)
}

/// The same for an upstream that was told tools by other names or of other kinds.
pub(crate) fn read_with(dialect: DialectId, recall: &Recall, pieces: &[&[u8]]) -> Vec<ChatEvent> {
    let mut reader = Reader::with(dialect, recall);
    let mut events = Vec::new();
    for piece in pieces {
        reader.push(piece, &mut events);
    }
    reader.finish(&mut events);
    events
}

/// Writes events as a stream for a client. An `Error` ends it, as the pipeline does.
pub(crate) fn write(dialect: DialectId, events: impl IntoIterator<Item = ChatEvent>) -> Vec<u8> {
    let mut writer = Writer::new(dialect);
    for event in events {
        writer.push(event);
    }
    writer.finish()
}

/// Writes events as Gemini's other form of a stream, a JSON array.
pub(crate) fn write_array(events: impl IntoIterator<Item = ChatEvent>) -> Vec<u8> {
    let context = ReplyContext { json_array: true, ..context() };
    let mut writer = Writer::of(DialectId::Gemini, &context);
    for event in events {
        writer.push(event);
    }
    writer.finish()
}

/// Sends an upstream's stream through to a client of any dialect.
pub(crate) fn relay(from: DialectId, to: DialectId, pieces: &[&[u8]]) -> Vec<u8> {
    write(to, read(from, pieces))
}

pub(crate) fn collect(events: impl IntoIterator<Item = ChatEvent>) -> Result<ChatResponse, WireError> {
    let mut collector = Collector::new();
    events.into_iter().for_each(|it| collector.push(it));
    collector.finish()
}

/// The upstream's side.
pub(crate) struct Reader {
    frames: SseDecoder,
    decoder: Box<dyn EventDecoder>,
    failed: bool,
}

impl Reader {
    pub(crate) fn new(dialect: DialectId) -> Self {
        Self::with(dialect, &Recall::default())
    }

    fn with(dialect: DialectId, recall: &Recall) -> Self {
        let decoder = dialect.client().event_decoder(recall);
        Self { frames: SseDecoder::new(MAX_FRAME), decoder, failed: false }
    }

    pub(crate) fn push(&mut self, piece: &[u8], events: &mut Vec<ChatEvent>) {
        let mut frames = Vec::new();
        let pushed = self.frames.push(Bytes::copy_from_slice(piece), &mut frames);
        self.decode(&frames, events);
        if let Err(error) = pushed {
            self.fail(error.to_string(), events);
        }
    }

    pub(crate) fn finish(&mut self, events: &mut Vec<ChatEvent>) {
        let mut frames = Vec::new();
        self.frames.finish(&mut frames);
        self.decode(&frames, events);
        if !self.failed
            && let Err(error) = self.decoder.finish(events)
        {
            self.fail(error.message, events);
        }
    }

    fn decode(&mut self, frames: &[SseFrame], events: &mut Vec<ChatEvent>) {
        for frame in frames {
            if self.failed {
                return;
            }
            if let Err(error) = self.decoder.decode(frame, events) {
                self.fail(error.message, events);
            }
        }
    }

    fn fail(&mut self, message: String, events: &mut Vec<ChatEvent>) {
        self.failed = true;
        let kind = ErrorKind::UpstreamFailed;
        events.push(ChatEvent::Error(WireError { kind, message, error_type: None, code: None, param: None }));
    }
}

/// The client's side.
pub(crate) struct Writer {
    serializer: Option<Serializer>,
    encoder: Box<dyn EventEncoder>,
    out: BytesMut,
    aborted: bool,
}

impl Writer {
    pub(crate) fn new(dialect: DialectId) -> Self {
        Self::of(dialect, &context())
    }

    fn of(dialect: DialectId, context: &ReplyContext) -> Self {
        let one_at_a_time = dialect == DialectId::AnthropicMessages;
        Self {
            serializer: one_at_a_time.then(Serializer::new),
            encoder: dialect.server().event_encoder(context),
            out: BytesMut::new(),
            aborted: false,
        }
    }

    pub(crate) fn push(&mut self, event: ChatEvent) {
        let mut ordered = Vec::new();
        match &mut self.serializer {
            Some(serializer) => serializer.push(event, &mut ordered),
            None => ordered.push(event),
        }
        for event in ordered {
            if self.aborted {
                return;
            }
            if let ChatEvent::Error(error) = event {
                let error = GatewayError::new(error.kind, error.message);
                self.encoder.abort(&error, &mut self.out);
                self.aborted = true;
            } else {
                self.encoder.encode(&event, &mut self.out);
            }
        }
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        if !self.aborted {
            self.encoder.finish(&mut self.out);
        }
        self.out.to_vec()
    }
}
