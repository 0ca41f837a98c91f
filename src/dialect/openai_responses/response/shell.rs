//! The `response` object around the items, as it stands in whole answers and three times in a stream.

use bytes::{BufMut as _, Bytes, BytesMut};
use serde_json::{Map, Value};

use super::{echo, response_id};
use crate::{
    dialect::{
        ReplyContext, TokenUsage,
        openai_responses::{error, usage},
        wire,
    },
    kernel::error::GatewayError,
};

/// What is the same in the object whatever becomes of the answer, written once.
#[derive(Debug)]
pub(in crate::dialect::openai_responses) struct Shell {
    head: Bytes,
    /// From `model` on, without the items.
    echo: Bytes,
}

/// What became of the answer.
#[derive(Debug, Clone, Copy)]
pub(in crate::dialect::openai_responses) enum Outcome<'a> {
    InProgress,
    /// `at`: Unix seconds, where known.
    Completed {
        at: Option<i64>,
    },
    Incomplete {
        reason: &'static str,
    },
    Failed(&'a GatewayError),
}

impl Shell {
    /// The model is called as the client calls it, whatever the upstream does. `told` are the upstream's own words.
    pub(in crate::dialect::openai_responses) fn new(
        context: &ReplyContext,
        created: i64,
        told: &Map<String, Value>,
    ) -> Self {
        let mut head = BytesMut::new();
        head.put_slice(b"{\"id\":");
        wire::write(&response_id(context.request), &mut head);
        head.put_slice(b",\"object\":\"response\",\"created_at\":");
        wire::write(&created, &mut head);
        let mut fields = BytesMut::new();
        fields.put_slice(b"\"model\":");
        wire::write(&context.model, &mut fields);
        let mut all = echo::complete(&context.echo);
        all.extend(told.clone());
        for (key, value) in &all {
            fields.put_slice(b",");
            wire::write(key, &mut fields);
            fields.put_slice(b":");
            wire::write(value, &mut fields);
        }
        Self { head: head.freeze(), echo: fields.freeze() }
    }

    /// Writes the object with its items. Usage is `null` until the end, and then counts.
    pub(in crate::dialect::openai_responses) fn write<'i>(
        &self,
        outcome: Outcome<'_>,
        items: impl IntoIterator<Item = &'i Bytes>,
        counted: Option<&TokenUsage>,
        out: &mut BytesMut,
    ) {
        let status = match outcome {
            Outcome::InProgress => "in_progress",
            Outcome::Completed { .. } => "completed",
            Outcome::Incomplete { .. } => "incomplete",
            Outcome::Failed(_) => "failed",
        };
        out.put_slice(&self.head);
        out.put_slice(b",\"status\":");
        wire::write(status, out);
        out.put_slice(b",\"completed_at\":");
        match outcome {
            Outcome::Completed { at } => wire::write(&at, out),
            _ => out.put_slice(b"null"),
        }
        out.put_slice(b",\"error\":");
        match outcome {
            Outcome::Failed(failure) => {
                out.put_slice(b"{\"code\":");
                wire::write(error::code(failure), out);
                out.put_slice(b",\"message\":");
                wire::write(&error::message(failure), out);
                out.put_slice(b"}");
            }
            _ => out.put_slice(b"null"),
        }
        out.put_slice(b",\"incomplete_details\":");
        match outcome {
            Outcome::Incomplete { reason } => {
                out.put_slice(b"{\"reason\":");
                wire::write(reason, out);
                out.put_slice(b"}");
            }
            _ => out.put_slice(b"null"),
        }
        out.put_slice(b",\"output\":[");
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                out.put_slice(b",");
            }
            out.put_slice(item);
        }
        out.put_slice(b"],\"usage\":");
        match counted {
            Some(counted) => wire::write(&usage::encode(counted), out),
            None => out.put_slice(b"null"),
        }
        out.put_slice(b",");
        out.put_slice(&self.echo);
        out.put_slice(b"}");
    }
}
