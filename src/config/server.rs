//! Where the gateway listens, how it stops, what it logs.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::unit::{Period, Size};

/// The doors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Server {
    /// Address and port. Binding wider than loopback is your explicit decision.
    pub listen: SocketAddr,
    /// Threads that serve requests; absent: one for each core.
    pub workers: Option<u16>,
    /// The largest request body.
    pub body_limit: Size,
    /// The largest body of those that are passed on while they come: files, sounds and images in forms.
    pub upload_limit: Size,
    /// The longest time a client may take to send its request body; of one that is passed on, between two pieces of it.
    pub body_timeout: Period,
    /// How long a silent stream waits before it is sent a sign of life.
    pub keep_alive: Period,
    /// An answer that is not streamed and takes longer than this begins with white space, sent again and again, so that
    /// nobody between drops the connection. Its status is then 200 whatever comes. Absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonstream_keep_alive: Option<Period>,
    /// A stream that has nothing to show after this time begins with a sign of life; a failure is then told in it.
    /// `0s`: at once. Absent: the status waits for the first content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_start_after: Option<Period>,
    /// Which answers are compressed for clients that accept it.
    pub compression: Compression,
}

/// Which answers are compressed for clients that accept it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    None,
    /// Whole answers of 1 KiB and more.
    #[default]
    Whole,
    /// Streams too, event by event: up to about half a megabyte of memory each.
    All,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8317)),
            workers: None,
            body_limit: Size::mib(32),
            upload_limit: Size::mib(512),
            body_timeout: Period::seconds(60),
            keep_alive: Period::seconds(15),
            nonstream_keep_alive: None,
            stream_start_after: None,
            compression: Compression::default(),
        }
    }
}

/// How the gateway stops.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Shutdown {
    /// How long answers that have begun may go on after SIGTERM.
    pub grace: Period,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { grace: Period::seconds(30) }
    }
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Log {
    /// `pretty` for people, `json` for machines.
    pub format: LogFormat,
    /// A level (`info`) or directives (`info,dragoman::pipeline=debug`).
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Pretty, level: "info".to_owned() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    Pretty,
    Json,
}
