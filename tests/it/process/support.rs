//! A gateway as a process of its own, a simulator behind it, and HTTP written by hand.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use dragoman::simulator::{self, Options, Scenario};
use serde_json::Value;
use tempfile::TempDir;

/// The tenant key of the configurations here.
pub(crate) const KEY: &str = "test-key-0123456789abcdef";
/// The credential of both upstreams.
pub(crate) const CREDENTIAL: &str = "upstream-credential-0123456789";
/// A model of the upstream that speaks Chat.
pub(crate) const CHAT: &str = "chat-model";
/// A model of the upstream that speaks Messages.
pub(crate) const MESSAGES: &str = "messages-model";

/// Nothing here takes so long: waiting longer is a failure.
const DEADLINE: Duration = Duration::from_mins(1);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Looks again and again until there is something to see.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(it) = look() {
            return it;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        thread::park_timeout(LOOK);
    }
}

/// A directory with a configuration and a data directory.
pub(crate) struct Home {
    directory: TempDir,
}

impl Home {
    /// Made ready for a start that is not the first: hashing the operator's secret takes its time.
    pub(crate) fn new(config: &str) -> Self {
        let home = Self::bare(config);
        fs::create_dir(home.data()).unwrap();
        fs::write(home.data().join("operator.hash"), "no hash").unwrap();
        home
    }

    /// As empty as before the first start.
    pub(crate) fn bare(config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home = Self { directory };
        fs::write(home.config(), config).unwrap();
        home
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.directory.path().join("dragoman.yaml")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Replaces the configuration as editors do: by a rename.
    pub(crate) fn rewrite(&self, config: &str) {
        let new = self.directory.path().join(".dragoman.yaml.new");
        fs::write(&new, config).unwrap();
        fs::rename(new, self.config()).unwrap();
    }

    /// A command of the binary over this home.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dragoman"));
        command
            .args(arguments)
            .arg("--config")
            .arg(self.config())
            .arg("--data-dir")
            .arg(self.data())
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed; its standard output.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        succeeded(arguments, &self.run(arguments))
    }

    /// Runs a command with something on its standard input; it must succeed.
    #[track_caller]
    pub(crate) fn ok_with_input(&self, arguments: &[&str], input: &str) -> String {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        succeeded(arguments, &child.wait_with_output().unwrap())
    }
}

#[track_caller]
fn succeeded(arguments: &[&str], output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?} failed: {error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a process has written so far.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn by(mut source: impl Read + Send + 'static) -> Self {
        let written = Self::default();
        let kept = written.clone();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = source.read(&mut piece) {
                kept.0.lock().unwrap().extend_from_slice(&piece[..length]);
            }
        });
        written
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// A gateway that runs; killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) home: Arc<Home>,
    pub(crate) address: SocketAddr,
    stdout: Written,
    stderr: Written,
}

impl Process {
    /// Starts a gateway and waits until it is ready.
    pub(crate) fn start(config: &str, arguments: &[&str]) -> Self {
        Self::start_in(Arc::new(Home::new(config)), arguments)
    }

    /// Starts a gateway in a home that others may share.
    pub(crate) fn start_in(home: Arc<Home>, arguments: &[&str]) -> Self {
        let mut process = Self::launch(home, "127.0.0.1:0", arguments);
        process.become_ready();
        process
    }

    /// Starts a gateway and waits for nothing; `address` is not known yet.
    pub(crate) fn launch(home: Arc<Home>, listen: &str, arguments: &[&str]) -> Self {
        let mut command = home.command(&["serve", "--listen", listen]);
        command.args(arguments).env("DRAGOMAN_LOG_FORMAT", "json");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = Written::by(child.stdout.take().unwrap());
        let stderr = Written::by(child.stderr.take().unwrap());
        Self { child, home, address: SocketAddr::from(([127, 0, 0, 1], 0)), stdout, stderr }
    }

    /// Waits for the address it listens on, then until it takes work.
    pub(crate) fn become_ready(&mut self) {
        let port = wait_for("the gateway's address", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the gateway ended with {status}: {}", self.stderr());
            }
            let text = self.stderr();
            let line = text.lines().find(|it| it.contains("Dragoman listens"))?;
            let line: Value = serde_json::from_str(line).ok()?;
            line["address"].as_str()?.parse::<SocketAddr>().ok().map(|it| it.port())
        });
        self.address = SocketAddr::from(([127, 0, 0, 1], port));
        wait_for("readiness", || (self.get("/readyz").status == 200).then_some(()));
    }

    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until the process has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for("the end of the process", || self.child.try_wait().unwrap())
    }

    /// The most memory the process has had at once, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// One request on a connection of its own.
    pub(crate) fn ask(&self, request: &[u8]) -> Answer {
        self.connect().ask(request)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\r\n").as_bytes())
    }

    pub(crate) fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.ask(&post(path, KEY, body.as_ref()))
    }

    /// A short chat with a tenant key; its status.
    pub(crate) fn chat_as(&self, key: &str, model: &str) -> u16 {
        self.ask(&post("/v1/chat/completions", key, chat(model).as_bytes())).status
    }

    /// That the gateway still answers, after whatever was done to it.
    #[track_caller]
    pub(crate) fn assert_answers(&self) {
        assert_eq!(self.chat_as(KEY, CHAT), 200, "the gateway answers no more: {}", self.stderr());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A small request in Chat.
pub(crate) fn chat(model: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}]}}"#)
}

/// A small request in Messages.
pub(crate) fn messages(model: &str) -> String {
    format!(r#"{{"model":"{model}","max_tokens":50,"messages":[{{"role":"user","content":"hello"}}]}}"#)
}

/// A `POST` with its length.
pub(crate) fn post(path: &str, key: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|it| panic!("{it}: {}", self.text()))
    }

    /// The error's type and message, whose shape must be the one of the path's dialect.
    #[track_caller]
    pub(crate) fn error(&self, path: &str) -> (String, String) {
        let body = self.json();
        if path.contains("/messages") {
            assert_eq!(body["type"], "error", "{body}");
            assert!(body["request_id"].is_string(), "{body}");
        } else {
            let error = body["error"].as_object().unwrap_or_else(|| panic!("{body}"));
            assert!(error.contains_key("param") && error.contains_key("code"), "{body}");
        }
        assert!(self.header("x-dragoman-request-id").is_some(), "{}", self.head);
        let text = |name: &str| body["error"][name].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
        (text("type"), text("message"))
    }
}

/// A connection that is spoken to by hand.
pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Self { stream, read: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Waits for the first byte and leaves it there.
    pub(crate) fn peek(&self) {
        assert_eq!(self.stream.peek(&mut [0]).unwrap(), 1);
    }

    /// Sends, unless the other side has closed.
    pub(crate) fn send_if_open(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends from another thread, since the answer may come first; that the other side stops reading is no failure.
    pub(crate) fn ask(&mut self, bytes: &[u8]) -> Answer {
        let mut stream = self.stream.try_clone().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                let _ = stream.write_all(bytes);
            });
            let answer = self.answer().expect("an answer before the connection closes");
            if answer.header("connection").is_some_and(|it| it.eq_ignore_ascii_case("close")) {
                let _ = self.stream.shutdown(Shutdown::Both);
            }
            answer
        })
    }

    /// The next answer; `None`: the other side closed.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        let end = self.read_until(b"\r\n\r\n")?;
        let head = String::from_utf8(self.read.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).and_then(|it| it.trim().parse().ok()).expect("a status line");
        if status == 100 {
            return self.answer();
        }
        let mut answer = Answer { status, head, body: Vec::new() };
        if let Some(length) = answer.header("content-length") {
            let length = length.parse().unwrap();
            answer.body = self.take(length)?;
        } else if answer.header("transfer-encoding").is_some() {
            while let Some(chunk) = self.chunk() {
                answer.body.extend(chunk);
            }
        } else {
            while self.fill() {}
            answer.body = std::mem::take(&mut self.read);
        }
        Some(answer)
    }

    /// The next answer's head; its chunks come by `chunk`.
    pub(crate) fn head(&mut self) -> Option<String> {
        let end = self.read_until(b"\r\n\r\n")?;
        Some(String::from_utf8(self.read.drain(..end).collect()).unwrap())
    }

    /// The next piece of a chunked body; `None`: its end, or the connection's.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let end = self.read_until(b"\r\n")?;
        let line: Vec<u8> = self.read.drain(..end).collect();
        let length = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
        let mut chunk = self.take(length + 2)?;
        chunk.truncate(length);
        (length > 0).then_some(chunk)
    }

    /// Whether the other side closes without another byte.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.read.is_empty() && !self.fill()
    }

    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.read.len() < length {
            if !self.fill() {
                return None;
            }
        }
        Some(self.read.drain(..length).collect())
    }

    fn read_until(&mut self, mark: &[u8]) -> Option<usize> {
        loop {
            if let Some(at) = self.read.windows(mark.len()).position(|it| it == mark) {
                return Some(at + mark.len());
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Reads more; false: there is no more. Silence until the deadline is a failure.
    fn fill(&mut self) -> bool {
        let mut piece = [0; 16384];
        match self.stream.read(&mut piece) {
            Ok(0) => false,
            Ok(length) => {
                self.read.extend_from_slice(&piece[..length]);
                true
            }
            Err(it) if it.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(it) => panic!("nothing came: {it}"),
        }
    }
}

/// A simulator on a port of its own; it plays until the tests end.
pub(crate) struct Simulator {
    pub(crate) address: SocketAddr,
}

impl Simulator {
    /// Plays a scenario, written in YAML without its `log`.
    pub(crate) fn play(scenario: &str) -> Self {
        let text = format!("log: {{ bodies: true }}\n{scenario}");
        let scenario = Scenario::parse(&text, std::path::Path::new(".")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let running = runtime.block_on(simulator::serve(Options::local(scenario))).unwrap();
        Self { address: running.address }
    }

    /// A configuration with two upstreams here, one for each dialect.
    pub(crate) fn config(&self, more: &str) -> String {
        let address = self.address;
        format!(
            "api-keys: [{KEY}]
upstreams:
  - name: openai-sim
    kind: openai-compatible
    base-url: http://{address}/v1
    proxy-url: direct
    credentials: [{{ name: one, api-key: {CREDENTIAL} }}]
    models: [{{ name: {CHAT} }}]
  - name: anthropic-sim
    kind: anthropic
    base-url: http://{address}
    proxy-url: direct
    credentials: [{{ name: one, api-key: {CREDENTIAL} }}]
    models: [{{ name: {MESSAGES} }}]
{more}"
        )
    }

    fn get(&self, path: &str) -> Answer {
        Connection::open(self.address).ask(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())
    }

    /// What it received.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.get("/_sim/log").json().as_array().unwrap().clone()
    }

    /// The body of a request, as it came.
    pub(crate) fn body(&self, entry: &Value) -> Vec<u8> {
        self.get(&format!("/_sim/requests/{}", entry["seq"])).body
    }
}

/// A gateway before a simulator that echoes.
pub(crate) fn echoing(more: &str) -> (Process, Simulator) {
    playing("{}", more)
}

/// A gateway before a simulator with a scenario.
pub(crate) fn playing(scenario: &str, more: &str) -> (Process, Simulator) {
    let simulator = Simulator::play(if scenario == "{}" { "" } else { scenario });
    let process = Process::start(&simulator.config(more), &[]);
    (process, simulator)
}
