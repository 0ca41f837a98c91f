//! The two ways an answer comes home: its bytes as they are, or through the canonical form.

use std::{collections::HashMap, sync::Arc};

use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value};

use super::{
    Inbound,
    attempt::WholeAnswer,
    course::{Course, Translation},
    error,
    gather::Gathering,
    question::Question,
    travel::Sealing,
};
use crate::{
    dialect::{
        ChatResponse, DialectId, Encoded, Excerpt, Loss, Pieces, Recall, ReplyContext, WireError,
        canonical::Namespaced,
        collect,
        verbatim::{Fold, Tap, Tapped},
    },
    kernel::{clock::Clock, error::GatewayError},
    upstream::Failure,
};

/// A question in an upstream's words, and the way back.
pub(super) struct Spoken {
    pub body: Pieces,
    pub betas: Vec<String>,
    pub losses: Vec<Loss>,
    pub lane: Lane,
}

/// The way an answer comes home.
#[derive(Debug)]
pub(super) struct Lane {
    client: DialectId,
    upstream: DialectId,
    way: Way,
    /// The model as the client wrote it.
    model: String,
    include_usage: bool,
    legacy_functions: bool,
    /// What the answer repeats of the question.
    echo: Arc<Map<String, Value>>,
    namespaced: Arc<HashMap<String, Namespaced>>,
    /// For a client of another dialect.
    sealing: Option<Sealing>,
    /// Whether the upstream's own words are the client's, if only they come in the form it wants.
    is_own: bool,
    max_frame: usize,
}

#[derive(Debug)]
enum Way {
    Verbatim,
    Translated(Recall),
}

impl Spoken {
    pub(super) fn verbatim(dialect: DialectId, body: Pieces, question: &Question, max_frame: usize) -> Self {
        let lane = Lane {
            client: dialect,
            upstream: dialect,
            way: Way::Verbatim,
            model: question.model.as_str().to_owned(),
            include_usage: question.include_usage,
            legacy_functions: false,
            echo: Arc::default(),
            namespaced: Arc::default(),
            sealing: None,
            is_own: true,
            max_frame,
        };
        Self { body, betas: Vec::new(), losses: Vec::new(), lane }
    }

    pub(super) fn translated(
        upstream: DialectId,
        encoded: Encoded,
        question: &Question,
        sealing: Option<Sealing>,
        max_frame: usize,
    ) -> Self {
        let lane = Lane {
            client: question.dialect,
            upstream,
            way: Way::Translated(encoded.recall),
            model: question.model.as_str().to_owned(),
            include_usage: question.include_usage,
            legacy_functions: question.decoded().is_ok_and(|it| it.legacy_functions),
            echo: question.echo(),
            namespaced: question.namespaced(),
            sealing,
            is_own: false,
            max_frame,
        };
        Self { body: question.restored(encoded.body), betas: encoded.betas, losses: encoded.losses, lane }
    }
}

impl Lane {
    /// The client would get the upstream's own words, if the upstream answered in the form that the client wants.
    pub(super) fn be_own(&mut self) {
        self.is_own = matches!(&self.way, Way::Translated(recall) if *recall == Recall::default());
    }

    pub(super) fn client(&self) -> DialectId {
        self.client
    }

    pub(super) fn context(&self, inbound: &Inbound, clock: &dyn Clock) -> ReplyContext {
        ReplyContext {
            request: inbound.id,
            model: self.model.clone(),
            created: clock.now().timestamp(),
            include_usage: self.include_usage,
            legacy_functions: self.legacy_functions,
            json_array: inbound.told.json_array,
            echo: Arc::clone(&self.echo),
            namespaced: Arc::clone(&self.namespaced),
        }
    }

    /// Brings a whole answer home; `stream` says that the client waits for a stream.
    pub(super) fn whole(
        &self,
        body: &Bytes,
        context: &ReplyContext,
        stream: bool,
    ) -> Result<WholeAnswer, Failure> {
        let tapped = Tapped::whole(self.upstream, body);
        if let Some(wire) = tapped.error {
            return Err(Failure::Stream(wire));
        }
        let recall = match &self.way {
            Way::Verbatim if !stream => {
                return Ok(WholeAnswer {
                    body: body.clone(),
                    usage: tapped.usage,
                    id: tapped.id,
                    model: tapped.model,
                    finish: tapped.finish.map(|it| self.upstream.client().finish_reason(&it)),
                    text: if tapped.usage.has_output() { Excerpt::default() } else { self.text_of(body) },
                });
            }
            Way::Verbatim => &Recall::default(),
            Way::Translated(recall) => recall,
        };
        let response = self
            .upstream
            .client()
            .decode_response(body, recall)
            .map_err(|it| unreadable(&error::answer(&it)))?;
        let is_counted = response.usage.is_some_and(|it| it.has_output());
        let text = if is_counted { Excerpt::default() } else { Excerpt::of(&response) };
        Ok(self.encode_whole(response, text, context, stream))
    }

    /// The text of an upstream's whole answer; nothing, if it cannot be read.
    fn text_of(&self, body: &Bytes) -> Excerpt {
        let read = self.upstream.client().decode_response(body, &Recall::default());
        read.map_or_else(|_| Excerpt::default(), |it| Excerpt::of(&it))
    }

    /// Opens the way for a stream that is waited for to its end.
    pub(super) fn gathering(&self) -> Gathering {
        let fold = self.is_own.then(|| Fold::new(self.upstream));
        match &self.way {
            Way::Verbatim => Gathering::new(self.upstream, &Recall::default(), fold, self.max_frame),
            Way::Translated(recall) => Gathering::new(self.upstream, recall, fold, self.max_frame),
        }
    }

    /// Says a whole answer in the client's words, its state sealed; `stream` says that the client waits for a stream, `text`
    /// is what has to be counted of it.
    pub(super) fn encode_whole(
        &self,
        mut response: ChatResponse,
        text: Excerpt,
        context: &ReplyContext,
        stream: bool,
    ) -> WholeAnswer {
        if let Some(sealing) = &self.sealing {
            sealing.whole(&mut response);
        }
        let (id, model) = (response.id.clone(), response.model.clone());
        let usage = response.usage.unwrap_or_default();
        let finish = response.choices.first().map(|it| it.finish.reason);
        let codec = self.client.server();
        let body = if stream {
            let mut encoder = codec.event_encoder(context);
            let mut out = BytesMut::new();
            for event in collect::unfold(response) {
                encoder.encode(&event, &mut out);
            }
            encoder.finish(&mut out);
            out.freeze()
        } else {
            codec.encode_response(&response, context)
        };
        WholeAnswer { body, usage, id, model, finish, text }
    }

    /// Opens the way for a stream.
    pub(super) fn course(&self, context: &ReplyContext) -> Course {
        let encoder = self.client.server().event_encoder(context);
        match &self.way {
            Way::Verbatim => {
                let hide_usage = self.client == DialectId::OpenaiChat && !self.include_usage;
                Course::verbatim(Tap::new(self.client, hide_usage, self.max_frame), self.upstream, encoder)
            }
            Way::Translated(recall) => {
                let sealing = self.sealing.as_ref().map(Sealing::stream);
                let translation = Translation::new(self.upstream, recall, sealing, self.max_frame);
                Course::translated(translation, self.upstream, encoder)
            }
        }
    }
}

fn unreadable(error: &GatewayError) -> Failure {
    Failure::Stream(WireError {
        kind: error.kind,
        message: error.message.clone(),
        error_type: None,
        code: None,
        param: None,
    })
}
