//! A conversation of Responses that goes on: what a request only refers to is put where it belongs, and what is answered is
//! kept, if the operator wants that.

mod items;
mod keep;
mod kept;

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Inbound, Pipeline, Reply, ReplyBody, ReplyForm, Trail, error, question::Question};
use crate::{
    catalog::UpstreamModel,
    dialect::{DialectId, json, scan::ValueKind},
    kernel::error::{ErrorKind, GatewayError},
    session::{Chain, Keeping, StoreFailure},
    tenant::TenantScope,
};

pub use items::sendable as sent_again;
pub(super) use items::{of_input, user_message};
pub(super) use keep::Keeper;
pub use kept::InputPage;

/// What of an exchange is to be kept once it is answered.
#[derive(Debug)]
pub(super) struct ToKeep {
    previous: Option<String>,
    /// The items that are new.
    input: Vec<Value>,
}

impl Pipeline {
    /// Puts the conversation into a request that refers to it. `is_native`: its first target speaks Responses itself, and
    /// may know what we do not.
    pub(super) async fn continued(
        &self,
        inbound: &Inbound,
        mut question: Question,
        is_native: bool,
    ) -> Result<(Question, Option<ToKeep>), GatewayError> {
        if question.written() != DialectId::OpenaiResponses {
            return Ok((question, None));
        }
        let keeping = self.memory.responses.as_ref();
        let wants = question.scan.bool(&question.body, "store").map_err(error::decode)?.unwrap_or(true);
        let keeps = keeping.is_some() && wants;
        if !keeps && !refers(&question) {
            question.openai_only = beyond_others(&question, None, keeping);
            question.tell_of_keeping(None, is_native && wants);
            return Ok((question, None));
        }
        let mut body = read(&question.body)?;
        let previous = body.get("previous_response_id").and_then(Value::as_str).map(str::to_owned);
        let mut input = of_input(body.remove("input"));
        let missing = self.put_references(&inbound.scope, &mut input).await?;
        let chain = match (keeping, &previous) {
            (Some(keeping), Some(id)) => {
                let found = keeping.store.chain(&inbound.scope, id, self.clock.now()).await;
                found.map_err(|it| unreadable(&it))?
            }
            _ => Chain::default(),
        };
        if let (Some(_), Some(id)) = (keeping, &previous)
            && (chain.0.is_empty() || chain.beyond().is_some())
        {
            // What is not kept here is not the caller's, even where an upstream that tenants share still knows it.
            return Err(unknown_previous(chain.beyond().unwrap_or(id), keeping));
        }
        let own = keeps.then(|| ToKeep { previous: previous.clone(), input: items::with_ids(input.clone()) });
        let mut all: Vec<Value> =
            chain.items().into_iter().filter_map(|it| items::sendable(it, is_native)).collect();
        all.extend(input);
        self.open_summaries(&inbound.scope, &mut all)?;
        if !chain.0.is_empty() {
            body.shift_remove("previous_response_id");
        }
        body.insert("input".to_owned(), Value::Array(all));
        let mut continued = question.with_body(&body)?;
        continued.openai_only = beyond_others(&continued, missing, keeping);
        continued.tell_of_keeping(previous, keeps || (is_native && wants));
        Ok((continued, own))
    }

    /// Puts items in the place of references to them. Returns where one stayed, for nobody here knows it.
    async fn put_references(
        &self,
        scope: &TenantScope,
        input: &mut [Value],
    ) -> Result<Option<usize>, GatewayError> {
        let mut missing = None;
        for (at, item) in input.iter_mut().enumerate() {
            let Some(id) = items::reference(item) else { continue };
            let found = match &self.memory.responses {
                Some(keeping) => keeping.store.find_item(scope, id, self.clock.now()).await,
                None => Ok(None),
            };
            match found.map_err(|it| unreadable(&it))?.and_then(|it| items::sendable(it, false)) {
                Some(found) => *item = found,
                None => missing = missing.or(Some(at)),
            }
        }
        Ok(missing)
    }

    /// Puts the text of summaries that this gateway made where their items stood.
    fn open_summaries(&self, scope: &TenantScope, input: &mut [Value]) -> Result<(), GatewayError> {
        for (at, item) in input.iter_mut().enumerate() {
            let Some(carrier) = items::summary(item) else { continue };
            let text = self.memory.envelope.open_summary(scope.tenant(), carrier).map_err(|it| {
                let message = format!("this `compaction` item cannot be opened: {it}");
                GatewayError::new(ErrorKind::BadRequest, message).at(format!("/input/{at}/encrypted_content"))
            })?;
            *item = items::developer_message(&format!(
                "The conversation so far was made short. This is what happened in it:\n\n{text}"
            ));
        }
        Ok(())
    }

    /// That a request can be read and routed, without sending anything.
    pub fn check(&self, inbound: &Inbound) -> Result<(), GatewayError> {
        let question = Question::read(inbound.dialect, &inbound.body, &inbound.told)?;
        let route = self.routes.route(&inbound.scope, &question.model, inbound.upstream.as_deref());
        route.map(drop).map_err(|it| error::no_route(&it))
    }

    /// The dialect that an answer was given in.
    pub fn answered_in(&self, trail: &Trail) -> Option<DialectId> {
        let model = UpstreamModel::parse(trail.model.as_deref()?).ok()?;
        Some(self.upstreams.get(trail.upstream.as_ref()?)?.dialect(&model))
    }

    /// Keeps a reply when it has come to its end.
    pub(super) async fn keep(&self, inbound: &Inbound, mut reply: Reply, to_keep: ToKeep) -> Reply {
        let Some(keeping) = self.memory.responses.clone() else { return reply };
        let mut keeper =
            Keeper::new(keeping, inbound.scope, to_keep, self.clock.now(), self.bounds.max_frame);
        match &mut reply.body {
            ReplyBody::Whole(body) if reply.form == ReplyForm::Json => keeper.whole(body).await,
            ReplyBody::Whole(body) => keeper.watch(body).await,
            ReplyBody::Stream(relay) => relay.keep_by(keeper),
            #[expect(unreachable_patterns, reason = "other bodies are no conversations")]
            _ => {}
        }
        reply
    }
}

/// Whether a body refers to what is not in it.
fn refers(question: &Question) -> bool {
    let holds = |text: &str| memchr::memmem::find(&question.body, text.as_bytes()).is_some();
    question.scan.kind("previous_response_id") == Some(ValueKind::String)
        || holds("\"item_reference\"")
        || holds("\"compaction")
}

/// What only OpenAI itself can do with this request: the error for every other upstream.
fn beyond_others(
    question: &Question,
    missing: Option<usize>,
    keeping: Option<&Keeping>,
) -> Option<GatewayError> {
    let refuse = |code: &str, at: String, message: String| {
        let mut error = GatewayError::new(ErrorKind::BadRequest, message).at(at);
        error.code = Some(code.to_owned());
        Some(error)
    };
    let off = off(keeping);
    let scan = &question.scan;
    if let Ok(Some(id)) = scan.string(&question.body, "previous_response_id") {
        return Some(unknown_previous(&id, keeping));
    }
    if let Some(at) = missing {
        let message = format!("the item this refers to was not found{off}; send the item itself");
        return refuse("item_not_found", format!("/input/{at}"), message);
    }
    let is_set = |name: &str| match scan.kind(name) {
        None | Some(ValueKind::Null) => false,
        Some(ValueKind::Bool) => matches!(scan.bool(&question.body, name), Ok(Some(true))),
        Some(_) => true,
    };
    let field = ["conversation", "background", "prompt"].into_iter().find(|it| is_set(it));
    if let Some(field) = field {
        let message =
            format!("`{field}` needs an upstream of OpenAI's own and cannot be used with this model");
        return refuse("unsupported_parameter", format!("/{field}"), message);
    }
    let tools =
        scan.span("tools").and_then(|it| serde_json::from_slice::<Vec<Value>>(&question.body[it]).ok());
    let at = tools.unwrap_or_default().iter().position(|it| it["type"] == "file_search")?;
    let message = "`file_search` reads OpenAI's own stores and cannot be used with this model";
    refuse("unsupported_parameter", format!("/tools/{at}"), message.to_owned())
}

/// Nobody who may be asked knows the answer that a request goes on from.
fn unknown_previous(id: &str, keeping: Option<&Keeping>) -> GatewayError {
    let off = off(keeping);
    let message =
        format!("previous response with id `{id}` not found{off}; send the whole conversation as `input`");
    let mut error = GatewayError::new(ErrorKind::BadRequest, message).at("/previous_response_id");
    error.code = Some("previous_response_not_found".to_owned());
    error
}

/// Why nothing is known, if that is how the gateway is set up.
const fn off(keeping: Option<&Keeping>) -> &'static str {
    match keeping {
        Some(_) => "",
        None => ": `responses.store` is off in this gateway's configuration",
    }
}

fn read(body: &Bytes) -> Result<Map<String, Value>, GatewayError> {
    match json::parse(body).map_err(error::decode)? {
        Value::Object(it) => Ok(it),
        _ => Err(GatewayError::new(ErrorKind::BadRequest, "the body must be an object")),
    }
}

fn unreadable(failure: &StoreFailure) -> GatewayError {
    tracing::warn!(error = %failure, "Stored responses cannot be read");
    GatewayError::new(ErrorKind::Unavailable, "stored responses cannot be read at the moment")
        .retry_after(Some(Duration::from_secs(5)))
}
