//! An upstream made for one test: it keeps what it was sent and answers as the test says.

use std::{net::SocketAddr, sync::Arc};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    web::{self, Payload},
};
use futures::StreamExt;
use parking_lot::Mutex;
use serde_json::Value;

/// A request as it came, or as far as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    body: Arc<Mutex<Vec<u8>>>,
    ended: Arc<Mutex<bool>>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        self.body.lock().clone()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body()).unwrap()
    }

    /// Whether the body came to its proper end.
    pub(crate) fn is_whole(&self) -> bool {
        *self.ended.lock()
    }

    /// The path, without the query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    /// The last characters of the credential that was shown.
    pub(crate) fn credential(&self) -> &str {
        let shown = self.header("authorization").or_else(|| self.header("x-goog-api-key")).unwrap();
        &shown[shown.len() - 4..]
    }
}

type Answer = dyn Fn(&Seen) -> HttpResponse + Send + Sync;
type Socket = dyn Fn(HttpRequest, Payload) -> HttpResponse + Send + Sync;

struct Script {
    seen: Mutex<Vec<Seen>>,
    answer: Box<Answer>,
    socket: Option<Box<Socket>>,
}

/// It runs.
pub(crate) struct TestUpstream {
    pub(crate) address: SocketAddr,
    script: Arc<Script>,
    handle: ServerHandle,
}

impl TestUpstream {
    pub(crate) fn start(answer: impl Fn(&Seen) -> HttpResponse + Send + Sync + 'static) -> Self {
        Self::listen(Script { seen: Mutex::default(), answer: Box::new(answer), socket: None })
    }

    /// Requests for a WebSocket are given to `socket`.
    pub(crate) fn with_socket(
        socket: impl Fn(HttpRequest, Payload) -> HttpResponse + Send + Sync + 'static,
    ) -> Self {
        let answer = Box::new(|_: &Seen| HttpResponse::NotFound().finish());
        Self::listen(Script { seen: Mutex::default(), answer, socket: Some(Box::new(socket)) })
    }

    fn listen(script: Script) -> Self {
        let script = Arc::new(script);
        let shared = web::Data::from(Arc::clone(&script));
        let server =
            HttpServer::new(move || App::new().app_data(shared.clone()).default_service(web::to(handle)))
                .workers(1)
                .disable_signals()
                .shutdown_timeout(1)
                .bind(("127.0.0.1", 0))
                .unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { address, script, handle }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was sent, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.script.seen.lock().clone()
    }

    /// The one request there was.
    pub(crate) fn only(&self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:#?}");
        seen.remove(0)
    }

    pub(crate) async fn stop(self) {
        self.handle.stop(false).await;
    }
}

async fn handle(request: HttpRequest, mut payload: Payload, script: web::Data<Script>) -> HttpResponse {
    let headers = request.headers().iter();
    let headers = headers.map(|(name, it)| (name.to_string(), it.to_str().unwrap().to_owned())).collect();
    let seen = Seen {
        method: request.method().to_string(),
        target: request.uri().to_string(),
        headers,
        body: Arc::default(),
        ended: Arc::default(),
    };
    script.seen.lock().push(seen.clone());
    if let Some(socket) = &script.socket
        && seen.header("upgrade").is_some()
    {
        return socket(request, payload);
    }
    while let Some(piece) = payload.next().await {
        let Ok(piece) = piece else { return HttpResponse::BadRequest().finish() };
        seen.body.lock().extend_from_slice(&piece);
    }
    *seen.ended.lock() = true;
    (script.answer)(&seen)
}
