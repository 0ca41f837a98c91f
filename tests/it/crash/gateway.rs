//! The real gateway, as a process that can be killed.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use super::dice::Dice;

/// The keys of two tenants.
pub(super) const KEYS: [&str; 3] =
    ["acme-first-key-0123456789", "acme-second-key-0123456789", "umbrella-only-key-0123456789"];
/// How many models the upstream has that speaks Messages. It is not told the attempt's id, so each exchange has its own.
pub(super) const TURNS: u64 = 6000;
/// How long a start or a stop may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where a gateway lives: what stays when the process dies.
pub(super) struct Home {
    directory: tempfile::TempDir,
    pub(super) port: u16,
}

impl Home {
    /// Writes the configuration of a gateway before `simulator`; without `database` it keeps a SQLite file.
    pub(super) fn new(simulator: &str, database: Option<&str>, dice: &mut Dice) -> Self {
        let home = Self { directory: tempfile::tempdir().unwrap(), port: free_port(dice) };
        fs::write(home.config(), home.yaml(simulator, database)).unwrap();
        home
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The URL of the SQLite file.
    pub(super) fn sqlite(&self) -> String {
        format!("sqlite://{}", self.data().join("dragoman.db").display())
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("dragoman.yaml")
    }

    fn yaml(&self, simulator: &str, database: Option<&str>) -> String {
        let [first, second, other] = KEYS;
        let mut yaml = format!(
            "server: {{ listen: \"127.0.0.1:{}\", workers: 2 }}\n\
             data-dir: {}\n\
             tenants:\n\
             - {{ name: acme, keys: [{{ name: first, key: {first} }}, {{ name: second, key: {second} }}] }}\n\
             - {{ name: umbrella, keys: [{{ name: only, key: {other} }}] }}\n",
            self.port,
            self.data().display(),
        );
        if let Some(url) = database {
            let _ = writeln!(yaml, "database: {{ url: \"{url}\" }}");
        }
        let credentials = (1..=20).fold(String::new(), |all, number| {
            all + &format!("  - {{ name: c{number}, api-key: simulated-{number} }}\n")
        });
        let _ = write!(
            yaml,
            "upstreams:\n\
             - name: chat\n  kind: openai\n  base-url: {simulator}/v1\n  credentials:\n{credentials}  models:\n  \
             - {{ name: quick }}\n  - {{ name: late }}\n\
             - name: messages\n  kind: anthropic\n  base-url: {simulator}\n  credentials:\n{credentials}  models:\n"
        );
        (0..TURNS).for_each(|turn| {
            let _ = writeln!(yaml, "  - {{ name: turn-{turn} }}");
        });
        yaml
    }
}

/// A free port that no outgoing connection can be given while the gateway is dead.
fn free_port(dice: &mut Dice) -> u16 {
    let mut tried = std::iter::repeat_with(|| u16::try_from(10_000 + dice.below(10_000)).unwrap());
    tried.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// A gateway that runs.
pub(super) struct Gateway {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    ended: mpsc::Receiver<()>,
}

impl Gateway {
    /// Starts the gateway and waits until it listens.
    pub(super) fn start(home: &Home) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_dragoman"))
            .args(["serve", "--config"])
            .arg(home.config())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (listens, listening) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let log = BufReader::new(child.stderr.take().unwrap());
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || {
            // Dropped when the process ends, however it ends.
            let _end = end;
            for line in log.lines().map_while(Result::ok) {
                if line.contains("Dragoman listens") {
                    let _ = listens.send(());
                }
                kept.lock().unwrap().push(line);
            }
        });
        let gateway = Self { child, lines, ended };
        let listens = listening.recv_timeout(PATIENCE).is_ok();
        assert!(listens, "the gateway did not start:\n{}", gateway.log());
        gateway
    }

    /// `kill -9`.
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and waits until it has stopped, as it should.
    pub(super) fn stop(&mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid]).status().unwrap().success());
        let stopped = self.ended.recv_timeout(PATIENCE);
        assert_eq!(stopped, Err(mpsc::RecvTimeoutError::Disconnected), "it did not stop:\n{}", self.log());
        assert!(self.child.wait().unwrap().success(), "{}", self.log());
    }

    pub(super) fn log(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the spool still holds: nothing, after a clean stop.
pub(super) fn left_in_spool(home: &Home) -> Vec<PathBuf> {
    let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().map(|it| it.unwrap().path());
    entries(&home.data().join("spool")).collect()
}
