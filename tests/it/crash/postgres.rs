//! A Postgres of one's own, to be stopped and started.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

/// A server that nobody else uses. Gone when dropped, and if the test dies too.
pub(super) struct Server {
    child: Child,
    pub(super) url: String,
    /// The command that stops and starts it.
    control: String,
}

impl Server {
    pub(super) fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/with-postgres");
        // Lives until its standard input ends, which is when this process lets go of it, however that comes.
        let tell = r#"echo "$DRAGOMAN_TEST_POSTGRES"; echo "$DRAGOMAN_TEST_POSTGRES_CONTROL"; exec cat"#;
        let mut child = Command::new(script)
            .args(["sh", "-c", tell])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = || lines.next().unwrap().unwrap();
        // The ledger may answer for a commit only once it is safe; the throw-away server is told not to be that careful.
        let url = format!("{}?options=-c%20synchronous_commit%3Don", line());
        Self { child, url, control: line() }
    }

    pub(super) fn stop(&self, mode: &str) {
        self.control(&["stop", "--mode", mode]);
    }

    pub(super) fn start_again(&self) {
        self.control(&["start"]);
    }

    fn control(&self, arguments: &[&str]) {
        let control = Command::new(&self.control).args(arguments).stdout(Stdio::null()).status();
        assert!(control.unwrap().success(), "{arguments:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
