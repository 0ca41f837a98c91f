//! An upstream that does what one test wants, and keeps what it was sent: HTTP/1.1 and HTTP/2 without TLS.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, mpsc},
};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, rt::System, web};
use serde_json::Value;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// `HTTP/1.1`, `HTTP/2.0`.
    pub(crate) version: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
    }
}

type Answer = dyn Fn(&Seen) -> (u16, Value) + Send + Sync;

/// The upstream, until it is dropped.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    handle: ServerHandle,
}

impl Upstream {
    pub(crate) fn start(answer: impl Fn(&Seen) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let shared: (Arc<Answer>, _) = (Arc::new(answer), Arc::clone(&seen));
        let (started, start) = mpsc::channel();
        std::thread::spawn(move || {
            System::new().block_on(async move {
                let data = web::Data::new(shared);
                let app = move || App::new().app_data(data.clone()).default_service(web::to(serve));
                let server = HttpServer::new(app).workers(1).disable_signals();
                let server = server.listen_auto_h2c(listener).unwrap().run();
                started.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        Self { address, seen, handle: start.recv().unwrap() }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

type Shared = (Arc<Answer>, Arc<Mutex<Vec<Seen>>>);

async fn serve(request: HttpRequest, body: web::Bytes, shared: web::Data<Shared>) -> HttpResponse {
    let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
    let seen = Seen {
        version: format!("{:?}", request.version()),
        path: request.path().to_owned(),
        query: request.query_string().to_owned(),
        headers: request.headers().iter().map(|it| (it.0.to_string(), text(it.1.as_bytes()))).collect(),
        body: body.to_vec(),
    };
    let (status, answer) = (shared.0)(&seen);
    shared.1.lock().unwrap().push(seen);
    HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap()).json(answer)
}
