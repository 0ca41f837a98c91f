//! What a running simulator remembers, and which answer a request gets.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use memchr::memmem;
use serde_json::{Value, json};

use crate::simulator::{
    anthropic,
    around::{self, Errand, Operation, Shelf},
    ask::{Ask, Task, Told},
    bench::{self, Prepared},
    delivery::{Body, Delivery},
    echo, gemini,
    log::{Log, Ticket},
    memory::Memory,
    openai,
    quota::{Allowance, Quotas},
    reply::{self, Manner},
    responses,
    rule::{Sight, is_lucky},
    scenario::{
        AnswerReply, Dialect, ErrorReply, FaultKind, Pace, Quirk, Raw, Reply, Rule, Scenario, Tokens,
    },
    token,
    vendor::{Call, Complaint, Vendor},
};

pub(super) struct Stage {
    pub scenario: Scenario,
    pub log: Arc<Log>,
    pub bench: Option<Prepared>,
    pub memory: Memory,
    pub tokens: token::Tokens,
    shelf: Shelf,
    quotas: Quotas,
    /// How often each rule's `nth` and `probability` were asked.
    counts: Vec<[AtomicU64; 2]>,
    serial: AtomicU64,
    /// Tells the answers of one run from those of another.
    boot: u64,
    default_rule: Rule,
}

impl Stage {
    pub(super) fn new(scenario: Scenario) -> Self {
        let counts = scenario.rules.iter().map(|_| <[AtomicU64; 2]>::default()).collect();
        Self {
            log: Log::new(scenario.log.clone()),
            bench: scenario.bench.clone().map(|it| Prepared::new(it, bench_answer)),
            memory: Memory::default(),
            tokens: token::Tokens::default(),
            shelf: Shelf::default(),
            quotas: Quotas::default(),
            counts,
            serial: AtomicU64::new(1),
            boot: now() & 0xFFFF_FFFF,
            default_rule: Rule { name: "echo".into(), ..Rule::default() },
            scenario,
        }
    }

    pub(super) fn next_seq(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// What makes the ids of the answer to request `seq` unlike any other's.
    pub(super) fn serial(&self, seq: u64) -> String {
        format!("sim{:x}x{seq:x}", self.boot)
    }

    /// Forgets the log, the counts and the quotas: a test starts afresh.
    pub(super) fn forget(&self) {
        self.log.clear();
        self.quotas.forget();
        self.memory.forget();
        self.tokens.forget();
        self.shelf.forget();
        for count in self.counts.iter().flatten() {
            count.store(0, Ordering::Relaxed);
        }
    }

    /// The first rule that fits, with its place.
    pub(super) fn rule_for(&self, sight: &Sight<'_>) -> (usize, &Rule) {
        let rules = self.scenario.rules.iter().enumerate();
        rules
            .into_iter()
            .find(|(place, rule)| self.is_for(*place, rule, sight))
            .unwrap_or((usize::MAX, &self.default_rule))
    }

    fn is_for(&self, place: usize, rule: &Rule, sight: &Sight<'_>) -> bool {
        let count = |which: usize| self.counts[place][which].fetch_add(1, Ordering::Relaxed) + 1;
        rule.when.fits(sight)
            && rule.when.nth.as_ref().is_none_or(|nth| nth.is_meant(count(0)))
            && rule.when.probability.is_none_or(|it| is_lucky(self.scenario.seed, place, count(1), it))
    }

    /// Plays one request that was let in.
    pub(super) fn play(&self, request: &Played<'_>) -> Delivery {
        let Played { vendor, rule, ask, .. } = request;
        let allowance = rule
            .quota
            .as_ref()
            .map(|it| self.quotas.take(request.place, it, request.credential, Instant::now()));
        let mut delivery = match allowance.as_ref().and_then(|it| it.retry_after) {
            Some(wait) => exceeded(request, wait),
            None => self.reply(request),
        };
        delivery.headers.extend(allowance.iter().flat_map(|it: &Allowance| (vendor.rate_headers)(it)));
        delivery.headers.extend(rule.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        if let Some(fault) = rule.fault.as_ref().filter(|it| ask.stream || it.kind != FaultKind::Error) {
            delivery.break_off(fault, vendor, &rule.quirks);
        }
        delivery.set_pace(&rule.pace);
        delivery.delay = rule.delay.clone();
        delivery
    }

    fn reply(&self, request: &Played<'_>) -> Delivery {
        let strict = request.rule.strict.unwrap_or(self.scenario.strict);
        if let Some(errand) = request.errand {
            return self.errand(request, errand, strict);
        }
        let body = match self.remembered(request) {
            Ok(body) => body,
            Err(complaint) => return complained(request, complaint),
        };
        if strict && let Err(complaint) = (request.vendor.judge)(&body, request.call) {
            return complained(request, complaint);
        }
        let task = request.call.told.task;
        match &request.rule.reply {
            Reply::Echo | Reply::Answer(_) | Reply::Turns(_) | Reply::Raw(_) if task == Task::Count => {
                counted(request.ask)
            }
            Reply::Echo | Reply::Answer(_) | Reply::Turns(_) if task == Task::Compact => {
                compacted(request, &body)
            }
            Reply::Echo => self.answered(request, &body, &echo::answer(request.ask)),
            Reply::Answer(reply) => self.answered(request, &body, reply),
            Reply::Turns(turns) => self.answered(request, &body, &turn(turns, request.ask)),
            Reply::Error(error) => failed(request, error),
            Reply::Raw(raw) => played_back(raw),
            Reply::Hang => Delivery::never(),
        }
    }

    /// What is asked for around the dialects.
    fn errand(&self, request: &Played<'_>, asked: Asked<'_>, strict: bool) -> Delivery {
        match &request.rule.reply {
            Reply::Error(error) => return failed(request, error),
            Reply::Raw(raw) => return played_back(raw),
            Reply::Hang => return Delivery::never(),
            Reply::Echo | Reply::Answer(_) | Reply::Turns(_) => {}
        }
        let done = around::answer(&Errand {
            operation: asked.operation,
            method: asked.method,
            body: request.body,
            ask: request.ask,
            serial: request.serial,
            strict,
            shelf: &self.shelf,
            files: asked.files,
        });
        match done {
            Ok(done) => {
                request.ticket.note(|it| it.usage = done.usage);
                done.delivery
            }
            Err(complaint) => complained(request, complaint),
        }
    }

    /// The body with the conversation it goes on from.
    fn remembered<'a>(&self, request: &Played<'a>) -> Result<Cow<'a, Value>, Complaint> {
        match request.vendor.dialect {
            Dialect::OpenaiResponses => self.memory.expand(request.body),
            _ => Ok(Cow::Borrowed(request.body)),
        }
    }

    fn answered(&self, request: &Played<'_>, body: &Value, reply: &AnswerReply) -> Delivery {
        let Played { vendor, rule, ask, serial, .. } = request;
        let manner = Manner { pace: &rule.pace, quirks: &rule.quirks, account: request.call.account };
        let answer = reply::build(reply, ask, serial, manner);
        request.ticket.note(|it| {
            it.usage = Some(answer.usage);
            it.answer_id = Some(format!("{}{serial}", vendor.id_prefix));
        });
        if vendor.dialect == Dialect::OpenaiResponses {
            self.memory.keep(body, &(vendor.whole)(&answer, ask, manner));
        }
        if !ask.stream || manner.has(Quirk::WholeForStream) {
            return Delivery::whole(200, "application/json", (vendor.whole)(&answer, ask, manner));
        }
        let mut delivery = Delivery::stream((vendor.frames)(&answer, ask, manner));
        if ask.array {
            delivery.content_type = "application/json; charset=UTF-8".into();
        }
        delivery
    }
}

/// One request, with the rule that answers it.
pub(super) struct Played<'a> {
    pub vendor: &'static Vendor,
    pub place: usize,
    pub rule: &'a Rule,
    pub ask: &'a Ask,
    pub body: &'a Value,
    pub call: Call<'a>,
    /// Something around the dialects is asked for.
    pub errand: Option<Asked<'a>>,
    pub credential: &'a str,
    pub serial: &'a str,
    pub ticket: &'a Ticket,
}

/// An operation around the dialects, and what came with it.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub operation: Operation<'a>,
    pub method: &'a str,
    pub files: &'a [around::File],
}

/// Milliseconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX))
}

pub(super) fn vendor(dialect: Dialect) -> &'static Vendor {
    match dialect {
        Dialect::OpenaiChat => &openai::VENDOR,
        Dialect::OpenaiResponses => &responses::VENDOR,
        Dialect::AnthropicMessages => &anthropic::VENDOR,
        Dialect::Gemini => &gemini::VENDOR,
    }
}

/// An error in the vendor's shape.
pub(super) fn fail(vendor: &Vendor, error: &ErrorReply, serial: &str) -> Delivery {
    let mut delivery =
        Delivery::whole(error.status, "application/json", (vendor.error)(error, &format!("req_{serial}")));
    if let Some(wait) = error.retry_after {
        delivery.headers.push(("retry-after".into(), wait.as_secs_f64().ceil().to_string()));
    }
    delivery
}

fn failed(request: &Played<'_>, error: &ErrorReply) -> Delivery {
    fail(request.vendor, error, request.serial)
}

fn exceeded(request: &Played<'_>, wait: Duration) -> Delivery {
    let error = ErrorReply {
        status: 429,
        kind: None,
        code: None,
        param: None,
        message: None,
        retry_after: Some(wait.max(Duration::from_millis(1))),
    };
    failed(request, &error)
}

fn complained(request: &Played<'_>, complaint: Complaint) -> Delivery {
    request.ticket.note(|it| it.rule = format!("refused: {}", complaint.message));
    let error = ErrorReply {
        status: 400,
        kind: None,
        code: complaint.code.map(String::from),
        param: Some(complaint.at).filter(|it| !it.is_empty()),
        message: Some(complaint.message),
        retry_after: None,
    };
    failed(request, &error)
}

fn counted(ask: &Ask) -> Delivery {
    let count = match ask.dialect {
        Dialect::OpenaiResponses => responses::counted(ask.prompt_tokens),
        Dialect::Gemini => gemini::counted(ask.prompt_tokens),
        Dialect::OpenaiChat | Dialect::AnthropicMessages => anthropic::count(ask.prompt_tokens),
    };
    Delivery::whole(200, "application/json", count.to_string())
}

fn compacted(request: &Played<'_>, body: &Value) -> Delivery {
    let usage = Tokens { input: request.ask.prompt_tokens, output: 20, ..Tokens::default() };
    request.ticket.note(|it| {
        it.usage = Some(usage);
        it.answer_id = Some(format!("{}{}", request.vendor.id_prefix, request.serial));
    });
    let items = responses::items(&body["input"]);
    let compacted = responses::compacted(&items, request.serial, request.call.account, usage);
    Delivery::whole(200, "application/json", compacted.to_string())
}

/// The turn the conversation has come to. A side request that declares none of the tools gets plain words.
fn turn<'a>(turns: &'a [AnswerReply], ask: &Ask) -> Cow<'a, AnswerReply> {
    let Some(turn) = turns.get(ask.rounds).or(turns.last()) else { return Cow::Owned(echo::answer(ask)) };
    let possible = turn.tools.iter().all(|it| ask.tool(&it.name).is_some());
    if possible { Cow::Borrowed(turn) } else { Cow::Owned(echo::answer(ask)) }
}

/// Recorded bytes. A recorded stream travels event by event, so that pace and faults apply to it.
fn played_back(raw: &Raw) -> Delivery {
    let mut delivery = Delivery::whole(raw.status, &raw.content_type, raw.body.clone());
    if raw.content_type.starts_with("text/event-stream") {
        delivery.body = Body::Pieces(events(&raw.body));
    }
    delivery
}

/// The bytes, cut after each blank line.
fn events(stream: &[u8]) -> Vec<Bytes> {
    let mut events = Vec::new();
    let mut rest = stream;
    while let Some(at) = memmem::find(rest, b"\n\n") {
        let (event, after) = rest.split_at(at + 2);
        events.push(Bytes::copy_from_slice(event));
        rest = after;
    }
    events.extend((!rest.is_empty()).then(|| Bytes::copy_from_slice(rest)));
    events
}

fn bench_answer(dialect: Dialect, text: &str, id: &str, chunks: usize) -> (String, Vec<Bytes>) {
    let vendor = vendor(dialect);
    let options = json!({"include_usage": true, "include_obfuscation": false});
    let body = json!({"model": "sim-bench", "stream": true, "stream_options": options});
    let ask = (vendor.read)(&body, Told { model: "sim-bench", stream: true, ..Told::default() });
    let pace = Pace { chunks: Some(chunks), ..Default::default() };
    let manner = Manner { pace: &pace, quirks: &[], account: "" };
    let reply = AnswerReply { text: text.to_owned(), usage: Some(bench::USAGE), ..AnswerReply::default() };
    let answer = reply::build(&reply, &ask, id, manner);
    ((vendor.whole)(&answer, &ask, manner), (vendor.frames)(&answer, &ask, manner))
}
