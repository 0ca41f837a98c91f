//! HTTP: which path leads where, who is let in.

use std::{borrow::Cow, collections::BTreeMap};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, header::HeaderMap},
    web::{Data, Payload},
};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::simulator::{
    anthropic,
    around::{self, Operation},
    ask::{Task, Told},
    bench,
    delivery::{Body, Delivery},
    gemini,
    log::{Entry, Outcome},
    openai,
    packing::{Packing, unpacked},
    place::{Place, place},
    realtime,
    rule::Sight,
    scenario::{Compressed, Dialect, ErrorReply},
    stage::{Asked, Played, Stage, fail, now, vendor},
    vendor::{Call, Vendor},
};

/// Largest body taken, in bytes.
const LARGEST_BODY: usize = 64 << 20;

/// Answers every request.
pub(super) async fn answer(request: HttpRequest, payload: Payload, stage: Data<Stage>) -> HttpResponse {
    let path = request.path().to_owned();
    match place(&path, request.query_string()) {
        Place::Sim(rest) => sim(&request, rest, &stage),
        Place::Inference(asked) if request.method() == Method::POST => {
            let question = Question { vendor: vendor(asked.dialect), told: asked.told(), operation: None };
            receive(&request, payload, question, &stage).await
        }
        Place::Around(operation, model) => {
            let told = Told { model: &model, ..Told::default() };
            let question = Question { vendor: vendor(operation.dialect()), told, operation: Some(operation) };
            receive(&request, payload, question, &stage).await
        }
        Place::Stored(id, what) => stored(&request, id, what, &stage),
        Place::Models if request.method() == Method::GET => models(&request, None, &stage),
        Place::Model(name) if request.method() == Method::GET => models(&request, Some(name), &stage),
        Place::Token if request.method() == Method::POST => token(&request, payload, &stage).await,
        Place::Realtime if request.method() == Method::GET => realtime(&request, payload, &stage),
        Place::Inference(_) | Place::Models | Place::Model(_) | Place::Token | Place::Realtime => {
            refuse(405, &request)
        }
        Place::Nowhere => refuse(404, &request),
    }
}

/// What is asked, as far as path and method tell.
#[derive(Clone, Copy)]
struct Question<'a> {
    vendor: &'static Vendor,
    told: Told<'a>,
    operation: Option<Operation<'a>>,
}

/// Reads the body, unpacks it, and answers.
async fn receive(
    request: &HttpRequest,
    payload: Payload,
    question: Question<'_>,
    stage: &Stage,
) -> HttpResponse {
    let Ok(body) = read(payload).await else { return HttpResponse::PayloadTooLarge().finish() };
    let encoding =
        request.headers().get("content-encoding").and_then(|it| it.to_str().ok()).unwrap_or_default();
    if encoding.is_empty() {
        return infer(request, question, body, stage).await;
    }
    let unpacked = match stage.scenario.compressed_requests {
        Compressed::Accept => unpacked(encoding, &body),
        Compressed::Refuse => None,
    };
    match unpacked {
        Some(body) => infer(request, question, body, stage).await,
        None => unsupported(request, question, encoding, &body, stage).await,
    }
}

/// 415, with an entry in the log.
async fn unsupported(
    request: &HttpRequest,
    question: Question<'_>,
    encoding: &str,
    body: &Bytes,
    stage: &Stage,
) -> HttpResponse {
    let seq = stage.next_seq();
    let serial = stage.serial(seq);
    let credential = credential(request, question.vendor.dialect);
    let mut entry = entry(request, question.vendor, seq, &credential);
    entry.status = 415;
    "unsupported content-encoding".clone_into(&mut entry.rule);
    let error = error(415, &format!("Unsupported content encoding: {encoding}"));
    let delivery = fail(question.vendor, &error, &serial);
    signed(delivery, question.vendor, &serial).send(stage.log.open(entry, body)).await
}

async fn read(mut payload: Payload) -> Result<Bytes, ()> {
    let mut body = BytesMut::new();
    while let Some(piece) = payload.next().await {
        let piece = piece.map_err(|_| ())?;
        if body.len() + piece.len() > LARGEST_BODY {
            return Err(());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

async fn infer(request: &HttpRequest, question: Question<'_>, bytes: Bytes, stage: &Stage) -> HttpResponse {
    let Question { vendor, told, operation } = question;
    let seq = stage.next_seq();
    let serial = stage.serial(seq);
    let credential = credential(request, vendor.dialect);
    let mut entry = entry(request, vendor, seq, &credential);
    if let Some(prepared) = stage.bench.as_ref().filter(|_| told.task == Task::Answer && operation.is_none())
    {
        let gemini = vendor.dialect == Dialect::Gemini;
        entry.model = if gemini { told.model } else { bench::model(&bytes) }.to_owned();
        entry.streamed = if gemini { told.stream } else { bench::is_streamed(&bytes) };
        // Hundreds of thousands of these must fit into memory.
        entry.headers.retain(|(name, _)| name.starts_with("x-"));
        let delivery = if credential.is_empty() {
            unauthorized(vendor, told, &serial)
        } else {
            entry.usage = Some(bench::USAGE);
            entry.answer_id = Some(format!("{}{serial}", vendor.id_prefix));
            prepared.answer(vendor.dialect, entry.streamed, &serial)
        };
        entry.status = delivery.status;
        return signed(delivery, vendor, &serial).send(stage.log.open(entry, &bytes)).await;
    }

    let (parsed, files) = parsed(request, &bytes);
    let body = parsed.as_ref().unwrap_or(&Value::Null);
    let ask = match operation {
        Some(_) => around::read(body, told.model),
        None => (vendor.read)(&expanded(body, vendor, stage), told),
    };
    entry.model.clone_from(&ask.model);
    entry.streamed = ask.stream;
    let header = |name: &str| request.headers().get(name)?.to_str().ok().map(String::from);
    let text = String::from_utf8_lossy(&bytes);
    let (place, rule) = stage.rule_for(&Sight {
        dialect: vendor.dialect,
        path: request.path(),
        credential: &credential,
        header: &header,
        text: &text,
        body,
        ask: &ask,
    });
    entry.rule.clone_from(&rule.name);
    let ticket = stage.log.open(entry, &bytes);

    let method = request.method().as_str();
    let bare = method != "POST" || bytes.is_empty() && operation.is_some();
    let mut delivery = if !is_known(&credential, told, stage) {
        unauthorized(vendor, told, &serial)
    } else if parsed.is_none() && !bare && rule.strict.unwrap_or(stage.scenario.strict) {
        fail(vendor, &error(400, "we could not parse the JSON body of your request"), &serial)
    } else {
        let account = if stage.scenario.state_per_key { credential.as_str() } else { "" };
        let call = Call { headers: request.headers(), query: request.query_string(), told, account };
        let credential = &credential;
        stage.play(&Played {
            vendor,
            place,
            rule,
            ask: &ask,
            body,
            call,
            errand: operation.map(|operation| Asked { operation, method, files: &files }),
            credential,
            serial: &serial,
            ticket: &ticket,
        })
    };
    if told.array {
        listed(&mut delivery);
    }
    if stage.scenario.compressed_answers
        && let Some(packing) = header("accept-encoding").and_then(|it| Packing::accepted(&it))
    {
        delivery.pack(packing);
    }
    ticket.note(|it| it.status = delivery.status);
    signed(delivery, vendor, &serial).send(ticket).await
}

/// The body as JSON, be it JSON or a form, and the files of the form.
fn parsed(request: &HttpRequest, bytes: &Bytes) -> (Option<Value>, Vec<around::File>) {
    let kind = request.headers().get("content-type").and_then(|it| it.to_str().ok()).unwrap_or_default();
    if kind.starts_with("multipart/form-data") {
        return around::read_form(kind, bytes)
            .map_or((None, Vec::new()), |(body, files)| (Some(body), files));
    }
    (serde_json::from_slice(bytes).ok(), Vec::new())
}

/// Whether this credential is let in: a key of the scenario, or on Vertex a living token.
fn is_known(credential: &str, told: Told<'_>, stage: &Stage) -> bool {
    let scenario = &stage.scenario;
    match stage.tokens.is_alive(credential) {
        Some(alive) => alive,
        None if told.vertex && scenario.token_required => false,
        None => {
            !credential.is_empty()
                && (scenario.keys.is_empty() || scenario.keys.iter().any(|it| it == credential))
        }
    }
}

/// Google's token endpoint; the form is not kept, it holds secrets.
async fn token(request: &HttpRequest, payload: Payload, stage: &Stage) -> HttpResponse {
    let Ok(form) = read(payload).await else { return HttpResponse::PayloadTooLarge().finish() };
    let seq = stage.next_seq();
    let form = String::from_utf8_lossy(&form);
    let (status, body) =
        stage.tokens.grant(&form, &stage.serial(seq), stage.scenario.token_lifetime, now() / 1000);
    let mut entry = entry(request, vendor(Dialect::Gemini), seq, "");
    entry.status = status;
    "token".clone_into(&mut entry.rule);
    Delivery::whole(status, "application/json", body.to_string())
        .send(stage.log.open(entry, &Bytes::new()))
        .await
}

/// `GET /v1/realtime`: an upgrade to a WebSocket.
fn realtime(request: &HttpRequest, payload: Payload, stage: &Stage) -> HttpResponse {
    let vendor = vendor(Dialect::OpenaiChat);
    let protocols = request.headers().get("sec-websocket-protocol").and_then(|it| it.to_str().ok());
    let mut protocols = protocols.unwrap_or_default().split(',').map(str::trim);
    let secret = protocols.find_map(|it| it.strip_prefix("openai-insecure-api-key."));
    let credential = secret.map_or_else(|| credential(request, vendor.dialect), String::from);
    if !is_known(&credential, Told::default(), stage) {
        return refuse(401, request);
    }
    let seq = stage.next_seq();
    let mut entry = entry(request, vendor, seq, &credential);
    query(request.query_string()).get("model").copied().unwrap_or_default().clone_into(&mut entry.model);
    entry.streamed = true;
    entry.status = 101;
    let model = entry.model.clone();
    let ticket = stage.log.open(entry, &Bytes::new());
    realtime::open(request, payload, &model, &stage.serial(seq), ticket)
}

fn entry(request: &HttpRequest, vendor: &Vendor, seq: u64, credential: &str) -> Entry {
    Entry {
        seq,
        at: now(),
        dialect: vendor.dialect,
        path: request.path().to_owned(),
        model: String::new(),
        credential: last_four(credential),
        headers: shown_headers(request.headers()),
        rule: String::new(),
        status: 0,
        streamed: false,
        outcome: Outcome::Open,
        usage: None,
        answer_id: None,
        body: None,
    }
}

/// Google calls a bad key a bad request, but not a bad token.
fn unauthorized(vendor: &Vendor, told: Told<'_>, serial: &str) -> Delivery {
    let mut error = error(401, "");
    error.message = None;
    if vendor.dialect == Dialect::Gemini && !told.vertex {
        error.status = 400;
        error.message = Some("API key not valid. Please pass a valid API key.".into());
        error.code = Some("API_KEY_INVALID".into());
    }
    fail(vendor, &error, serial)
}

/// The body with the conversation it goes on from, if there is one.
fn expanded<'a>(body: &'a Value, vendor: &Vendor, stage: &Stage) -> Cow<'a, Value> {
    match vendor.dialect {
        Dialect::OpenaiResponses => stage.memory.expand(body).unwrap_or(Cow::Borrowed(body)),
        _ => Cow::Borrowed(body),
    }
}

/// An error instead of an array comes as one.
fn listed(delivery: &mut Delivery) {
    if let Body::Whole(whole) = &delivery.body
        && delivery.status >= 400
    {
        delivery.body = Body::Whole([b"[", whole.as_ref(), b"]"].concat().into());
    }
}

/// Adds the request's id.
fn signed(mut delivery: Delivery, vendor: &Vendor, serial: &str) -> Delivery {
    delivery.headers.push((vendor.request_id_header.to_owned(), format!("req_{serial}")));
    delivery
}

fn error(status: u16, message: &str) -> ErrorReply {
    ErrorReply {
        status,
        kind: None,
        code: None,
        param: None,
        message: Some(message.to_owned()),
        retry_after: None,
    }
}

/// The API key presented, or nothing.
fn credential(request: &HttpRequest, dialect: Dialect) -> String {
    let header = |name: &str| request.headers().get(name).and_then(|it| it.to_str().ok());
    let bearer = header("authorization").and_then(|it| it.strip_prefix("Bearer "));
    let key = match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses => bearer.or(header("api-key")),
        Dialect::AnthropicMessages => header("x-api-key").or(bearer),
        Dialect::Gemini => {
            header("x-goog-api-key").or(query(request.query_string()).get("key").copied()).or(bearer)
        }
    };
    key.unwrap_or_default().trim().to_owned()
}

fn last_four(credential: &str) -> String {
    let count = credential.chars().count();
    credential.chars().skip(count.saturating_sub(4)).collect()
}

/// The headers worth a look: never one that carries a secret.
fn shown_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let shown = |name: &str| {
        (name.starts_with("x-") && name != "x-api-key" && name != "x-goog-api-key")
            || name.starts_with("anthropic-")
            || name.starts_with("openai-")
            || ["user-agent", "accept", "accept-encoding", "content-encoding", "content-type", "traceparent"]
                .contains(&name)
    };
    let headers = headers.iter().filter(|(name, _)| shown(name.as_str()));
    headers.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned()))).collect()
}

/// Who asks: Anthropic's clients send their version, Google's paths say theirs.
fn asker(request: &HttpRequest) -> Dialect {
    let headers = request.headers();
    let has = |name: &str| headers.contains_key(name);
    if has("x-goog-api-key")
        || ["/v1beta/", "/publishers/google/"].iter().any(|it| request.path().contains(it))
    {
        Dialect::Gemini
    } else if has("anthropic-version") || has("x-api-key") {
        Dialect::AnthropicMessages
    } else {
        Dialect::OpenaiChat
    }
}

fn models(request: &HttpRequest, name: Option<&str>, stage: &Stage) -> HttpResponse {
    let dialect = asker(request);
    if !is_let_in(request, dialect, stage) {
        return refuse(401, request);
    }
    let names = &stage.scenario.models;
    let known = name.filter(|it| names.iter().any(|name| name == it));
    let body = match (dialect, name, known) {
        (_, Some(_), None) => return refuse(404, request),
        (Dialect::OpenaiChat | Dialect::OpenaiResponses, None, _) => openai::models(names),
        (Dialect::AnthropicMessages, None, _) => anthropic::models(names),
        (Dialect::Gemini, None, _) => gemini::models(names),
        (Dialect::OpenaiChat | Dialect::OpenaiResponses, _, Some(name)) => openai::model(name),
        (Dialect::AnthropicMessages, _, Some(name)) => anthropic::model(name),
        (Dialect::Gemini, _, Some(name)) => gemini::model(name),
    };
    HttpResponse::Ok().json(body)
}

fn is_let_in(request: &HttpRequest, dialect: Dialect, stage: &Stage) -> bool {
    let key = credential(request, dialect);
    !key.is_empty() && (stage.scenario.keys.is_empty() || stage.scenario.keys.contains(&key))
}

/// `/v1/responses/{id}`.
fn stored(request: &HttpRequest, id: &str, what: &str, stage: &Stage) -> HttpResponse {
    if !is_let_in(request, Dialect::OpenaiResponses, stage) {
        return refuse(401, request);
    }
    let found = match (request.method(), what) {
        (&Method::GET, "") => stage.memory.response(id),
        (&Method::GET, "input_items") => stage.memory.input(id),
        (&Method::DELETE, "") => {
            stage.memory.delete(id).then(|| json!({"id": id, "object": "response", "deleted": true}))
        }
        _ => return refuse(405, request),
    };
    found.map_or_else(|| refuse(404, request), |it| HttpResponse::Ok().json(it))
}

fn refuse(status: u16, request: &HttpRequest) -> HttpResponse {
    let dialect = asker(request);
    let message = match status {
        401 => None,
        _ => Some(format!("{} {} leads nowhere", request.method(), request.path())),
    };
    let mut error = error(status, "");
    error.message = message;
    let body = (vendor(dialect).error)(&error, "req_none");
    let status =
        actix_web::http::StatusCode::from_u16(status).unwrap_or(actix_web::http::StatusCode::NOT_FOUND);
    HttpResponse::build(status).content_type("application/json").body(body)
}

/// What the simulator says about itself.
fn sim(request: &HttpRequest, rest: &str, stage: &Stage) -> HttpResponse {
    let query = query(request.query_string());
    let number = |name: &str| query.get(name).and_then(|it| it.parse::<u64>().ok());
    match (request.method(), rest) {
        (&Method::GET, "health") => HttpResponse::Ok().json(json!({"status": "ok"})),
        (&Method::GET, "log") => {
            let limit = number("limit").and_then(|it| usize::try_from(it).ok()).unwrap_or(usize::MAX);
            HttpResponse::Ok().json(stage.log.since(number("since").unwrap_or(0), limit))
        }
        (&Method::DELETE, "log") => {
            stage.forget();
            HttpResponse::NoContent().finish()
        }
        (&Method::GET, _) => {
            let seq = rest.strip_prefix("requests/").and_then(|it| it.parse().ok());
            match seq.and_then(|it| stage.log.body(it)) {
                Some(body) => HttpResponse::Ok().content_type("application/json").body(body),
                None => HttpResponse::NotFound().json(json!({"error": "no such body; are bodies logged?"})),
            }
        }
        _ => HttpResponse::MethodNotAllowed().finish(),
    }
}

fn query(text: &str) -> BTreeMap<&str, &str> {
    text.split('&').filter_map(|it| it.split_once('=')).collect()
}
