//! The inference paths: who calls, what do they bring, one call to the pipeline, and the answer in their dialect.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
    web::{Data, Payload},
};
use tracing::Instrument;

use super::{
    Doors, TRANSLATION, around,
    body::read,
    delivery::{Pack, begun, deliver, json, refuse},
    door::{Door, Entry},
    health,
    patience::{self, Asked, Waited},
    presented, realtime, responses, websocket,
};
use crate::{
    dialect::DialectId,
    kernel::{
        error::{ErrorKind, GatewayError},
        id::RequestId,
    },
    pipeline::{Inbound, Refusal, Trail},
    telemetry::{metrics, names},
    tenant::{AuthError, LossPolicy, TenantScope},
};

/// Answers any request on any path.
pub(super) async fn answer(request: HttpRequest, payload: Payload, doors: Data<Doors>) -> HttpResponse {
    let path = decoded(request.path());
    let entry = path.as_deref().and_then(|it| Entry::of(it, request.query_string()));
    let id = RequestId::new();
    let dialect = dialect_of(entry.as_ref(), &request);
    let Some(entry) = entry else {
        let message = format!("there is no `{}`", shortened(request.path()));
        return refuse(dialect, id, &GatewayError::new(ErrorKind::NotFound, message), &Trail::default());
    };
    if entry.door == Door::Generate(DialectId::OpenaiResponses) && websocket::is_asked(&request) {
        return websocket::open(&request, payload, doors.into_inner(), entry, id);
    }
    if !entry.methods().contains(&request.method().as_str()) {
        let message = format!("`{}` takes {} only", shortened(request.path()), entry.methods()[0]);
        let mut response =
            refuse(dialect, id, &GatewayError::new(ErrorKind::MethodNotAllowed, message), &Trail::default());
        insert(&mut response, "allow", &entry.methods().join(", "));
        return response;
    }
    match entry.door {
        Door::Health | Door::Info => return health::alive(),
        Door::Ready => return health::ready(&doors),
        Door::Metrics => return health::metrics(&doors, &request).await,
        _ => {}
    }
    let span = tracing::info_span!(
        "exchange",
        { names::REQUEST_ID } = %id,
        { names::DIALECT } = dialect.name(),
        { names::TENANT_ID } = tracing::field::Empty
    );
    let doors = doors.into_inner();
    let response = exchange(&request, payload, &doors, entry, dialect, id).instrument(span).await;
    metrics::answered(dialect.name(), response.status().as_u16());
    response
}

async fn exchange(
    request: &HttpRequest,
    payload: Payload,
    doors: &Arc<Doors>,
    entry: Entry,
    dialect: DialectId,
    id: RequestId,
) -> HttpResponse {
    let scope = match admit(request, doors) {
        Ok(scope) => scope,
        Err(error) => return refuse(dialect, id, &error, &Trail::default()),
    };
    tracing::Span::current().record(names::TENANT_ID, tracing::field::display(scope.tenant()));
    let guard = doors.enter();
    if doors.is_draining() {
        let error = GatewayError::new(ErrorKind::Unavailable, "the gateway is stopping: try again")
            .retry_after(Some(std::time::Duration::from_secs(1)));
        return refuse(dialect, id, &error, &Trail::default());
    }
    let pipeline = doors.pipeline.load_full();
    match &entry.door {
        Door::Models => {
            return json(StatusCode::OK, dialect.server().encode_models(&pipeline.models(&scope)), id);
        }
        Door::Model(name) => {
            if let Some(model) = pipeline.models(&scope).iter().find(|it| it.id == *name) {
                return json(StatusCode::OK, dialect.server().encode_model(model), id);
            }
            let message = format!("no model is called `{}`", shortened(name));
            let error = GatewayError::new(ErrorKind::UnknownModel, message);
            return refuse(dialect, id, &error, &Trail::default());
        }
        Door::Forward(_) | Door::Objects(..) => {
            return around::answer(request, payload, doors, entry, (id, dialect), scope, guard).await;
        }
        Door::Realtime => {
            return realtime::answer(request, payload, doors, entry, (id, dialect), scope, guard).await;
        }
        Door::Stored(response, what) => {
            return match responses::answer(&pipeline, &scope, request, response, *what).await {
                Ok(body) => json(StatusCode::OK, body, id),
                Err(error) => refuse(dialect, id, &error, &Trail::default()),
            };
        }
        _ => {}
    }
    let body = match read(request, payload, doors).await {
        Ok(body) => body,
        Err(error) => return refuse(dialect, id, &error, &Trail::default()),
    };
    let losses = match losses(request) {
        Ok(losses) => losses,
        Err(error) => return refuse(dialect, id, &error, &Trail::default()),
    };
    let upstream = entry.upstream.or_else(|| text_header(request, "model-provider"));
    let headers = plain_headers(request);
    let inbound = Inbound { id, scope, dialect, body, headers, upstream, told: entry.told, losses };
    let pack = Pack::of(request, doors);
    let result = match entry.door {
        Door::Count(_) => pipeline.count(inbound).await,
        Door::Compact => pipeline.compact(inbound).await,
        _ if doors.manner.is_patient() => pipeline.run(inbound).await,
        _ => {
            let asked =
                Asked { dialect, request: id, body: inbound.body.clone(), told: inbound.told.clone() };
            let run = Box::pin(async move { pipeline.run(inbound).await });
            match patience::wait(run, doors.manner, asked, &*doors.clock).await {
                Waited::Answered(result) => result,
                Waited::Begun(overdue) => return begun(overdue, id, guard),
            }
        }
    };
    match result {
        Ok(reply) => deliver(reply, id, guard, pack),
        Err(Refusal { error, trail }) => refuse(dialect, id, &error, &trail),
    }
}

/// Lets a caller in, before anything of the body is read.
pub(super) fn admit(request: &HttpRequest, doors: &Doors) -> Result<TenantScope, GatewayError> {
    let key = presented::key(request.headers(), request.query_string());
    let source = request.peer_addr().map(|it| it.ip());
    let admitted = doors.keys.authenticate(&doors.hasher, key.as_deref(), source, doors.clock.now());
    admitted.map_err(not_admitted)
}

/// Why a caller stays outside.
pub(super) fn not_admitted(error: AuthError) -> GatewayError {
    metrics::refused_key();
    let (kind, message) = match error {
        AuthError::Missing => (
            ErrorKind::Unauthenticated,
            "no API key was given: send it as `Authorization: Bearer`, `x-api-key`, `x-goog-api-key` or `?key=`",
        ),
        AuthError::Unknown => (ErrorKind::Unauthenticated, "the API key is not known"),
        AuthError::Expired => (ErrorKind::Unauthenticated, "the API key has expired"),
        AuthError::Disabled => (ErrorKind::Unauthenticated, "the API key is disabled"),
        AuthError::Throttled => (ErrorKind::RateLimited, "too many wrong API keys came from this address"),
    };
    let wait = (error == AuthError::Throttled).then_some(std::time::Duration::from_mins(1));
    GatewayError::new(kind, message).retry_after(wait)
}

/// What the client wants done about losses, if it says.
pub(super) fn losses(request: &HttpRequest) -> Result<Option<LossPolicy>, GatewayError> {
    let Some(word) = text_header(request, TRANSLATION) else { return Ok(None) };
    LossPolicy::parse(&word).map(Some).ok_or_else(|| {
        let word = shortened(&word);
        let message = format!("`{TRANSLATION}: {word}` is unknown: say `strict`, `warn` or `quiet`");
        GatewayError::new(ErrorKind::BadRequest, message)
    })
}

/// The dialect a caller is answered in: the path's, else what the headers look like.
fn dialect_of(entry: Option<&Entry>, request: &HttpRequest) -> DialectId {
    match entry.and_then(|it| it.dialect) {
        Some(dialect) => dialect,
        None if request.path().starts_with("/v1beta") || presented::is_gemini(request.headers()) => {
            DialectId::Gemini
        }
        None if request.path().starts_with("/anthropic/") || presented::is_anthropic(request.headers()) => {
            DialectId::AnthropicMessages
        }
        None => DialectId::OpenaiChat,
    }
}

fn decoded(path: &str) -> Option<String> {
    percent_encoding::percent_decode_str(path).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

fn shortened(text: &str) -> String {
    text.chars().filter(|it| !it.is_control()).take(100).collect()
}

pub(super) fn text_header(request: &HttpRequest, name: &str) -> Option<String> {
    request.headers().get(name)?.to_str().ok().map(str::to_owned)
}

/// The client's headers as the pipeline knows them; credentials of the client stay at the door.
pub(super) fn plain_headers(request: &HttpRequest) -> http::HeaderMap {
    let mut plain = http::HeaderMap::with_capacity(request.headers().len());
    for (name, value) in request.headers() {
        if matches!(
            name.as_str(),
            "authorization" | "x-api-key" | "x-goog-api-key" | "cookie" | "sec-websocket-protocol"
        ) {
            continue;
        }
        if let (Ok(name), Ok(value)) = (
            http::HeaderName::from_bytes(name.as_str().as_bytes()),
            http::HeaderValue::from_bytes(value.as_bytes()),
        ) {
            plain.append(name, value);
        }
    }
    plain
}

fn insert(response: &mut HttpResponse, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}
