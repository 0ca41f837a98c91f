//! The inference paths: who calls, what do they bring, one call to the pipeline, and the answer in their dialect.

use std::{collections::HashSet, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    body::SizedStream,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY},
    },
    web::{Bytes, BytesMut, Data, Payload},
};
use futures::{StreamExt, stream};
use tracing::Instrument;

use super::{
    Doors, InFlight, around,
    compression::{self, Packer, Packing},
    door::{Door, Entry},
    health,
    patience::{self, Asked, Overdue, Waited},
    presented, realtime, responses, websocket,
};
use crate::{
    dialect::DialectId,
    kernel::{
        error::{ErrorKind, GatewayError},
        id::RequestId,
    },
    pipeline::{Inbound, Refusal, Relay, Reply, ReplyBody, ReplyForm, Trail},
    telemetry::{metrics, names},
    tenant::{AuthError, LossPolicy, TenantScope},
};

/// In a request: what is to be done about losses. In an answer: what was lost.
const TRANSLATION: &str = "x-dragoman-translation";
/// The longest `x-dragoman-translation` header, in bytes.
const MAX_TRANSLATION: usize = 1024;

/// The most of a whole answer that is given to be written at once, in bytes.
const PIECE: usize = 64 << 10;

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

/// An answer whose status is told before it is known what it will be.
fn begun(overdue: Overdue, id: RequestId, guard: InFlight) -> HttpResponse {
    let form = match (overdue.is_stream, overdue.json_array) {
        (false, _) => ReplyForm::Json,
        (true, false) => ReplyForm::Events,
        (true, true) => ReplyForm::JsonArray,
    };
    let mut builder = HttpResponse::Ok();
    trail_headers(&mut builder, id, &Trail::default());
    stream_headers(&mut builder, form);
    builder.streaming(overdue.into_stream(guard))
}

/// What of answers is compressed, and how this client likes it.
#[derive(Clone, Copy)]
pub(super) struct Pack {
    packing: Option<Packing>,
    streams: bool,
}

impl Pack {
    pub(super) fn of(request: &HttpRequest, doors: &Doors) -> Self {
        let packing = doors.manner.pack_whole.then(|| Packing::accepted(request)).flatten();
        Self { packing, streams: doors.manner.pack_streams }
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

/// Reads the body within its bounds of size and time.
pub(super) async fn read(
    request: &HttpRequest,
    mut payload: Payload,
    doors: &Doors,
) -> Result<Bytes, GatewayError> {
    let too_large = || {
        let message = format!("the body is larger than {} bytes", doors.body_limit);
        GatewayError::new(ErrorKind::TooLarge, message)
    };
    let layers = match text_header(request, "content-encoding") {
        Some(encoding) => compression::layers(&encoding)?,
        None => Vec::new(),
    };
    let declared = text_header(request, CONTENT_LENGTH.as_str()).and_then(|it| it.parse::<usize>().ok());
    if declared.is_some_and(|it| it > doors.body_limit) {
        return Err(too_large());
    }
    let reading = async {
        // A body of known length goes into one piece of memory. Of one that may grow for ever the pieces are kept as they
        // came: small ones, that serve the next request too if this one is refused.
        let mut whole = BytesMut::new();
        let mut pieces: Vec<Bytes> = Vec::new();
        let mut length = 0;
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| GatewayError::new(ErrorKind::BadRequest, "the body broke off"))?;
            length += chunk.len();
            if length > doors.body_limit {
                return Err(too_large());
            }
            match declared {
                Some(total) if chunk.len() < total => {
                    whole.reserve(total.saturating_sub(whole.len()));
                    whole.extend_from_slice(&chunk);
                }
                _ => pieces.push(chunk),
            }
        }
        if pieces.len() == 1 && whole.is_empty() {
            return Ok(pieces.swap_remove(0));
        }
        whole.reserve(length - whole.len());
        for piece in &pieces {
            whole.extend_from_slice(piece);
        }
        Ok(whole.freeze())
    };
    let body = tokio::time::timeout(doors.body_timeout, reading).await.unwrap_or_else(|_| {
        let limit = humantime::format_duration(doors.body_timeout);
        let message = format!("the body did not come within {limit}: send it at once");
        Err(GatewayError::new(ErrorKind::SlowRequest, message))
    })?;
    if layers.is_empty() {
        return Ok(body);
    }
    let limit = doors.body_limit;
    if body.len() <= PIECE / 16 {
        return compression::unpack(body, &layers, limit);
    }
    actix_web::web::block(move || compression::unpack(body, &layers, limit))
        .await
        .unwrap_or_else(|_| Err(GatewayError::new(ErrorKind::Internal, "the body could not be unpacked")))
}

/// Gives the answer to the client.
pub(super) fn deliver(reply: Reply, id: RequestId, guard: InFlight, pack: Pack) -> HttpResponse {
    let mut builder = HttpResponse::build(status(reply.status));
    for (name, value) in &reply.headers {
        builder.append_header((name.as_str(), value.as_bytes()));
    }
    trail_headers(&mut builder, id, &reply.trail);
    match reply.body {
        ReplyBody::Whole(body) => {
            builder.insert_header((CONTENT_TYPE, content_type(reply.form)));
            let packed = pack.packing.and_then(|it| Some((it, compression::pack(&body, it)?)));
            let body = match packed {
                Some((packing, packed)) => {
                    builder.insert_header((CONTENT_ENCODING, packing.name()));
                    builder.insert_header((VARY, "accept-encoding"));
                    packed
                }
                None => body,
            };
            if body.len() <= PIECE {
                return builder.body(body);
            }
            builder.body(SizedStream::new(body.len() as u64, pieces_of(body, guard)))
        }
        ReplyBody::Stream(relay) => {
            stream_headers(&mut builder, reply.form);
            let packer =
                pack.packing.filter(|_| pack.streams).and_then(|it| Some((it, Packer::new(it).ok()?)));
            match packer {
                Some((packing, packer)) => builder
                    .insert_header((CONTENT_ENCODING, packing.name()))
                    .insert_header((VARY, "accept-encoding"))
                    .streaming(packed_bytes_of(relay, guard, packer)),
                None => builder.streaming(bytes_of(relay, guard)),
            }
        }
    }
}

const fn content_type(form: ReplyForm) -> &'static str {
    match form {
        ReplyForm::Json | ReplyForm::JsonArray => "application/json",
        ReplyForm::Events => "text/event-stream; charset=utf-8",
    }
}

fn stream_headers(builder: &mut HttpResponseBuilder, form: ReplyForm) {
    builder
        .insert_header((CONTENT_TYPE, content_type(form)))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header(("x-accel-buffering", "no"));
}

/// A large answer in pieces: it counts as under way until the last of them is taken to be written.
fn pieces_of(
    body: Bytes,
    guard: InFlight,
) -> impl futures::Stream<Item = Result<Bytes, std::convert::Infallible>> {
    stream::unfold((body, guard), |(mut rest, guard)| async move {
        let piece = rest.split_to(rest.len().min(PIECE));
        (!piece.is_empty()).then_some((Ok(piece), (rest, guard)))
    })
}

/// The relay as a body; dropping it is leaving.
fn bytes_of(
    relay: Box<Relay>,
    guard: InFlight,
) -> impl futures::Stream<Item = Result<Bytes, std::convert::Infallible>> {
    stream::unfold((relay, guard), |(mut relay, guard)| async move {
        let bytes = relay.next().await?;
        Some((Ok(bytes), (relay, guard)))
    })
}

/// The relay as a packed body: each piece is packed as it comes, and the packing is ended with the stream.
fn packed_bytes_of(
    relay: Box<Relay>,
    guard: InFlight,
    packer: Packer,
) -> impl futures::Stream<Item = std::io::Result<Bytes>> {
    stream::unfold((relay, guard, Some(packer)), |(mut relay, guard, packer)| async move {
        let mut packer = packer?;
        Some(match relay.next().await {
            Some(bytes) => (packer.push(&bytes), (relay, guard, Some(packer))),
            None => (packer.finish(), (relay, guard, None)),
        })
    })
}

/// Says an error in the client's dialect.
pub(super) fn refuse(dialect: DialectId, id: RequestId, error: &GatewayError, trail: &Trail) -> HttpResponse {
    let (code, body) = dialect.server().encode_error(error, id);
    let mut builder = HttpResponse::build(status(code));
    if let Some(after) = error.retry_after {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        builder.insert_header(("retry-after", seconds.max(1).to_string()));
    }
    trail_headers(&mut builder, id, trail);
    builder.insert_header((CONTENT_TYPE, "application/json")).body(body)
}

fn json(code: StatusCode, body: Bytes, id: RequestId) -> HttpResponse {
    let mut builder = HttpResponse::build(code);
    trail_headers(&mut builder, id, &Trail::default());
    builder.insert_header((CONTENT_TYPE, "application/json")).body(body)
}

pub(super) fn trail_headers(builder: &mut HttpResponseBuilder, id: RequestId, trail: &Trail) {
    builder.insert_header(("x-dragoman-request-id", id.to_string()));
    if trail.attempts > 0 {
        builder.insert_header(("x-dragoman-attempts", trail.attempts.to_string()));
    }
    if let Some(upstream) = &trail.upstream {
        builder.insert_header(("x-dragoman-upstream", upstream.as_str()));
    }
    if let Some(model) = &trail.model {
        builder.insert_header(("x-dragoman-model", model.as_str()));
    }
    if !trail.losses.is_empty() {
        builder.insert_header((TRANSLATION, translation(trail)));
    }
}

/// `dropped=/seed,/top_k; approximated=/temperature`. Each place is named once for what became of it.
fn translation(trail: &Trail) -> String {
    let mut text = String::new();
    let mut last = "";
    let mut losses: Vec<_> = trail.losses.iter().collect();
    let mut named = HashSet::new();
    losses.retain(|it| named.insert((it.action, it.at.as_str())));
    losses.sort_by_key(|it| it.action.name());
    for loss in losses {
        let before = text.len();
        if loss.action.name() == last {
            text.push(',');
        } else {
            text.push_str(if text.is_empty() { "" } else { "; " });
            text.push_str(loss.action.name());
            text.push('=');
            last = loss.action.name();
        }
        text.extend(loss.at.chars().filter(|it| it.is_ascii_graphic() && *it != ',' && *it != ';'));
        if text.len() > MAX_TRANSLATION {
            text.truncate(before);
            text.push_str("; more");
            break;
        }
    }
    text
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

pub(super) fn status(code: http::StatusCode) -> StatusCode {
    StatusCode::from_u16(code.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn insert(response: &mut HttpResponse, name: &'static str, value: &str) {
    use actix_web::http::header::{HeaderName, HeaderValue};
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Loss, Severity};

    #[test]
    fn a_place_is_named_once_for_what_became_of_it() {
        let dropped = |at: &str| Loss::dropped(at, Severity::Cosmetic, "why");
        let approximated = Loss::approximated("/thinking", Severity::Semantic, "why");
        let losses = vec![dropped("/thinking"), dropped("/seed"), approximated, dropped("/thinking")];
        let trail = Trail { losses, ..Trail::default() };
        assert_eq!(translation(&trail), "approximated=/thinking; dropped=/thinking,/seed");
    }
}
