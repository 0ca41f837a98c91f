//! `kill -9` at any moment: afterwards the ledger says what the upstream says, attempt by attempt.
//!
//! The simulator plays the upstreams and writes down what it received; clients keep asking; the gateway is killed and
//! started again. Moments are counted in the load's own steps, so a seed names a run, as far as threads allow.

mod audit;
mod dice;
mod gateway;
mod load;
mod postgres;

use std::{
    path::Path,
    sync::atomic::AtomicU64,
    thread::{self, ScopedJoinHandle},
};

use dragoman::{
    kernel::clock::{Clock, SystemClock},
    simulator::{self, Options, Scenario},
};

use self::{
    audit::{Books, Evidence},
    dice::Dice,
    gateway::{Gateway, Home},
    load::{Progress, Saw, client},
    postgres::Server,
};
use crate::storage::support;

const CLIENTS: usize = 12;
const KILLS: usize = 50;
/// A kill comes after fewer steps than this, of which an exchange has two or three.
const STEPS_TO_A_KILL: u64 = 200;

/// Answers that take a moment, so that there is something to kill; errors that another credential makes good; streams that
/// break.
const SCENARIO: &str = "
rules:
  - {name: refuse, when: {probability: 0.05}, reply: {error: {status: 500}}}
  - {name: cut, when: {stream: true, probability: 0.06}, fault: {after-events: 3, kind: close}}
  - {name: late stream, when: {stream: true, model: late}, pace: {chunks: 12}, delay: {headers: 5ms, between: 4ms}}
  - {name: late, when: {model: late}, delay: {headers: 25ms}}
  - {name: stream, when: {stream: true}, pace: {chunks: 6}, delay: {between: 1ms}}
";

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_lose_nothing_and_count_nothing_twice_on_sqlite() {
    let trial = Trial::new(None).await;
    let database = trial.home.sqlite();
    trial.run(&database, Trial::kill_again_and_again).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs DRAGOMAN_TEST_POSTGRES"]
async fn fifty_kills_lose_nothing_and_count_nothing_twice_on_postgres() {
    let fresh = support::empty_postgres().await;
    Trial::new(Some(fresh.url())).await.run(fresh.url(), Trial::kill_again_and_again).await;
    fresh.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs DRAGOMAN_TEST_POSTGRES"]
async fn a_database_that_comes_and_goes_loses_nothing_and_counts_nothing_twice() {
    let server = Server::start();
    let url = server.url.clone();
    Trial::new(Some(&url))
        .await
        .run(&url, |trial, progress| trial.stop_the_database(progress, &server))
        .await;
}

/// One gateway, killed again and again, under load.
struct Trial {
    seed: u64,
    dice: Dice,
    simulator: simulator::Running,
    home: Home,
    killed: Vec<u64>,
    last_kill: chrono::DateTime<chrono::Utc>,
    life: u64,
}

impl Trial {
    async fn new(database: Option<&str>) -> Self {
        let seed = seed();
        let mut dice = Dice::new(seed);
        let mut scenario = Scenario::parse(SCENARIO, Path::new(".")).unwrap();
        scenario.seed = seed;
        let simulator = simulator::serve(Options::local(scenario)).await.unwrap();
        let home = Home::new(&simulator.url(), database, &mut dice);
        Self { seed, dice, simulator, home, killed: Vec::new(), last_kill: SystemClock.now(), life: 0 }
    }

    /// Puts load on the gateway while `torment` goes on, stops it, and audits the books in `database`.
    #[expect(clippy::print_stdout, reason = "shown if the test fails: what it takes to repeat it")]
    async fn run(mut self, database: &str, torment: impl FnOnce(&mut Self, &Progress) -> Gateway) {
        println!("DRAGOMAN_TEST_SEED={}", self.seed);
        let progress = Progress::default();
        let numbers = AtomicU64::new(0);
        let (seed, port) = (self.seed, self.home.port);
        let (mut gateway, seen) = thread::scope(|scope| {
            let ask = || client(seed, port, &numbers, &progress);
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(ask)).collect();
            // However it ends: else the clients would wait for ever.
            let _end = EndOfLoad(&progress);
            let gateway = torment(&mut self, &progress);
            progress.end();
            (gateway, join(clients))
        });
        gateway.stop();
        let (_, log) = load::get(self.simulator.address.port(), "/_sim/log");
        self.simulator.stop().await;
        let evidence = Evidence {
            received: serde_json::from_str(&log).unwrap(),
            seen,
            killed: self.killed,
            last_kill: self.last_kill,
        };
        let (mut faults, endings) = Books::read(database).await.audit(&evidence);
        let left = gateway::left_in_spool(&self.home);
        if !left.is_empty() {
            faults.push(format!("left in the spool: {left:?}"));
        }
        println!("{} received; {endings:?}; {:?}", evidence.received.len(), tally(&evidence.seen));
        let shown: Vec<_> = faults.iter().take(20).map(String::as_str).collect();
        assert!(faults.is_empty(), "{} faults:\n{}\n{}", faults.len(), shown.join("\n"), gateway.log());
        for (ending, least) in
            [("completed", 300), ("interrupted", 5), ("abandoned", 5), ("failed", 5), ("truncated", 5)]
        {
            let count = endings.get(ending).copied().unwrap_or_default();
            assert!(count >= least, "only {count} attempts are {ending}: the load proves too little");
        }
    }

    fn start(&mut self, progress: &Progress) -> Gateway {
        let gateway = Gateway::start(&self.home);
        self.life = progress.lives();
        gateway
    }

    fn kill(&mut self, gateway: Gateway) {
        gateway.kill();
        self.killed.push(self.life);
        self.last_kill = SystemClock.now();
    }

    fn kill_again_and_again(&mut self, progress: &Progress) -> Gateway {
        let mut gateway = self.start(progress);
        for _ in 0..KILLS {
            progress.steps(self.dice.below(STEPS_TO_A_KILL));
            self.kill(gateway);
            gateway = self.start(progress);
        }
        progress.answers(50);
        gateway
    }

    /// Stops and starts the database again and again. While it is away the gateway is left alone, or killed, or stopped.
    fn stop_the_database(&mut self, progress: &Progress, server: &Server) -> Gateway {
        let mut gateway = self.start(progress);
        for outage in 0..6 {
            progress.steps(self.dice.below(STEPS_TO_A_KILL));
            server.stop(if outage % 2 == 0 { "immediate" } else { "fast" });
            let before = gateway.log().lines().count();
            progress.answers(60);
            assert_eq!(load::get(self.home.port, "/readyz").0, 200);
            let said =
                gateway.log().lines().skip(before).filter(|it| !it.contains("An attempt failed")).count();
            assert!(said < 10, "an outage is said for each request:\n{}", gateway.log());
            match outage % 3 {
                0 => {
                    server.start_again();
                    continue;
                }
                1 => self.kill(gateway),
                _ => {
                    // Clients that ask now break off, as after a kill; but nothing is left open.
                    self.killed.push(self.life);
                    gateway.stop();
                }
            }
            server.start_again();
            gateway = self.start(progress);
        }
        progress.answers(50);
        gateway
    }
}

struct EndOfLoad<'a>(&'a Progress);

impl Drop for EndOfLoad<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn join(clients: Vec<ScopedJoinHandle<'_, Vec<Saw>>>) -> Vec<Saw> {
    clients.into_iter().flat_map(|it| it.join().unwrap()).collect()
}

/// How often the clients saw what.
fn tally(seen: &[Saw]) -> std::collections::BTreeMap<String, usize> {
    let name = |saw: &Saw| match saw {
        Saw::Whole(_) => "whole".to_owned(),
        Saw::Error(status, _) => format!("error {status}"),
        Saw::Left => "left".to_owned(),
        Saw::Broken(_) => "broken".to_owned(),
    };
    let mut tally = std::collections::BTreeMap::new();
    for saw in seen {
        *tally.entry(name(saw)).or_default() += 1;
    }
    tally
}

/// The seed of this run: `DRAGOMAN_TEST_SEED`, else a new one.
fn seed() -> u64 {
    let given = std::env::var_os("DRAGOMAN_TEST_SEED").map(|it| it.to_str().unwrap().parse().unwrap());
    given.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0)
}
