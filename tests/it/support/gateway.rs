//! The whole gateway on a free port, with the simulator as its upstreams on another: real TCP, one process.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::OnceLock,
    time::{Duration, Instant},
};

use dragoman::{
    app::{Gateway, Surroundings},
    config::{Config, Environment, Faults, Source, load},
    credential::{CredentialStatus, QuotaState},
    simulator::{self, Options, Running, Scenario},
    telemetry::metrics::{self, Exporter},
    usage::{AttemptQuery, UsageRecord},
};
use serde_json::Value;

use super::http::{Reply, Request};

/// The key that every test gateway knows.
pub(crate) const KEY: &str = "sk-test-0123456789-abcdefgh";
/// What is never reached unless something hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A Chat and a Messages upstream of one credential each, with a model each.
pub(crate) const BOTH: &str = "
upstreams:
  - name: chat
    kind: openai-compatible
    base-url: {sim}/v1
    proxy-url: direct
    credentials: [{ name: one, api-key: sk-upstream-chat-1111 }]
    models: [{ name: gpt-sim, alias: smart }]
  - name: claude
    kind: anthropic
    base-url: {sim}
    proxy-url: direct
    credentials: [{ name: one, api-key: sk-upstream-claude-2222 }]
    models: [{ name: claude-sim, alias: wise }]
";

/// One upstream `chat` with two credentials, drawn in order: `…1111` before `…2222`.
pub(crate) const TWO_CREDENTIALS: &str = "
upstreams:
  - name: chat
    kind: openai-compatible
    base-url: {sim}/v1
    proxy-url: direct
    strategy: fill-first
    credentials:
      - { name: one, api-key: sk-upstream-1111, priority: 2 }
      - { name: two, api-key: sk-upstream-2222, priority: 1 }
    models: [{ name: gpt-sim }]
";

/// A gateway and its upstreams.
pub(crate) struct TestGateway {
    pub(crate) gateway: Gateway,
    pub(crate) simulator: Running,
    directory: tempfile::TempDir,
}

/// Counts for the whole process: there can be one recorder only.
fn prometheus() -> Exporter {
    static HANDLE: OnceLock<Exporter> = OnceLock::new();
    HANDLE.get_or_init(|| metrics::start().unwrap()).clone()
}

impl TestGateway {
    /// Starts a gateway with a configuration, in which `{sim}` is the simulator, and the simulator with a scenario.
    ///
    /// Directory, address and the key `KEY` of the tenant `default` are added to the configuration; to the scenario, that
    /// bodies are kept.
    pub(crate) async fn start(config: &str, scenario: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let scenario = format!("log: {{ bodies: true }}\n{scenario}");
        let scenario = Scenario::parse(&scenario, Path::new(".")).unwrap();
        let simulator = simulator::serve(Options::local(scenario)).await.unwrap();
        let config = parse(config, &simulator, directory.path()).unwrap();
        let listener = TcpListener::bind(config.server.listen).unwrap();
        listener.set_nonblocking(true).unwrap();
        let surroundings = Surroundings { prometheus: prometheus(), operator: None };
        let gateway = Gateway::start(config, listener, surroundings).await.unwrap();
        Self { gateway, simulator, directory }
    }

    /// `start` with `BOTH`.
    pub(crate) async fn with_both(scenario: &str) -> Self {
        Self::start(BOTH, scenario).await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.address()
    }

    /// Reads another configuration as `start` does, and has the gateway take it.
    pub(crate) async fn reload(&mut self, config: &str) -> anyhow::Result<()> {
        let config = parse(config, &self.simulator, self.directory.path())?;
        self.gateway.reload(config).await
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: &Request) -> Reply {
        request.send(self.address()).await
    }

    /// Asks on a path with the key.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Reply {
        self.send(&Request::post(path, body).bearer(KEY)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(&Request::get(path).bearer(KEY)).await
    }

    /// Asks the Chat door.
    pub(crate) async fn chat(&self, body: impl Into<Vec<u8>>) -> Reply {
        self.post("/v1/chat/completions", body).await
    }

    /// Asks the Messages door.
    pub(crate) async fn messages(&self, body: impl Into<Vec<u8>>) -> Reply {
        self.post("/v1/messages", body).await
    }

    /// The ledger's rows, oldest first, once nothing is under way and all that is settled has arrived.
    pub(crate) async fn attempts(&self) -> Vec<UsageRecord> {
        self.eventually("the spool is empty", async || {
            let stats = self.gateway.spool().stats();
            (stats.open == 0 && stats.depth == 0 && stats.unwritten == 0).then_some(())
        })
        .await;
        let all = AttemptQuery { tenant: None, request: None, after: None, limit: 1000 };
        self.gateway.foundation().ledger.attempts(&all).await.unwrap()
    }

    /// The one row there is.
    pub(crate) async fn attempt(&self) -> UsageRecord {
        let mut attempts = self.attempts().await;
        assert_eq!(attempts.len(), 1, "{attempts:#?}");
        attempts.remove(0)
    }

    /// What the simulator received, in order.
    pub(crate) async fn log(&self) -> Vec<Value> {
        let mut reply = Request::get("/_sim/log").send(self.simulator.address).await;
        reply.json().await.as_array().unwrap().clone()
    }

    /// How the simulator's requests ended, once none is open.
    pub(crate) async fn outcomes(&self) -> Vec<String> {
        self.eventually("no request is open", async || {
            let log = self.log().await;
            let outcomes: Vec<_> = log.iter().map(|it| it["outcome"].as_str().unwrap().to_owned()).collect();
            (!outcomes.iter().any(|it| it == "open")).then_some(outcomes)
        })
        .await
    }

    /// The last four characters of the credentials the simulator was shown, in order.
    pub(crate) async fn credentials_seen(&self) -> Vec<String> {
        self.log().await.iter().map(|it| it["credential"].as_str().unwrap().to_owned()).collect()
    }

    /// The body of the simulator's request `number`, counted from 1.
    pub(crate) async fn upstream_body(&self, number: usize) -> Vec<u8> {
        let seq = self.log().await[number - 1]["seq"].as_u64().unwrap();
        Request::get(&format!("/_sim/requests/{seq}")).send(self.simulator.address).await.bytes().await
    }

    pub(crate) async fn upstream_json(&self, number: usize) -> Value {
        serde_json::from_slice(&self.upstream_body(number).await).unwrap()
    }

    /// What the simulator answers if it is asked without a gateway between.
    pub(crate) async fn directly(&self, request: &Request) -> Reply {
        request.send(self.simulator.address).await
    }

    pub(crate) fn credential(&self, name: &str) -> CredentialStatus {
        let all = self.gateway.foundation().pool.snapshot();
        all.into_iter().find(|it| it.name == name).unwrap()
    }

    pub(crate) fn state(&self, credential: &str) -> QuotaState {
        self.credential(credential).state
    }

    /// Waits until nothing is under way: no exchange, no lease.
    pub(crate) async fn idle(&self) {
        self.eventually("nothing is under way", async || {
            let leased: u32 = self.gateway.foundation().pool.snapshot().iter().map(|it| it.in_flight).sum();
            (self.gateway.in_flight() == 0 && leased == 0).then_some(())
        })
        .await;
    }

    /// Asks again and again until there is an answer: what other threads and processes do gives no event to wait for.
    pub(crate) async fn eventually<T>(&self, what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(it) = ask().await {
                return it;
            }
            assert!(Instant::now() < deadline, "it never came to be that {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn stop(self) {
        self.gateway.stop().await;
        self.simulator.stop().await;
    }
}

fn parse(config: &str, simulator: &Running, directory: &Path) -> Result<Config, Faults> {
    let text = config.replace("{sim}", &simulator.url());
    let mut config = load(&Source::Text(text), &Environment::default())?;
    directory.clone_into(&mut config.data_dir);
    config.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.server.workers = Some(2);
    config.api_keys.push(KEY.into());
    Ok(config)
}
