//! Signs of life are no answer: a stream that sends nothing else for long is dead.

use std::time::Duration;

use tokio::time::Instant;

/// Listens to one stream.
#[derive(Debug)]
pub(super) struct Pulse {
    /// For how long signs of life may be all that comes.
    patience: Duration,
    last_event: Instant,
}

impl Pulse {
    pub(super) fn new(patience: Duration, now: Instant) -> Self {
        Self { patience, last_event: now }
    }

    /// Hears a piece of the stream; `false`: nothing but signs of life has come for too long.
    pub(super) fn hears(&mut self, piece: &[u8], now: Instant) -> bool {
        if is_sign_of_life(piece) {
            return now.duration_since(self.last_event) < self.patience;
        }
        self.last_event = now;
        true
    }
}

/// Whether a piece holds comments, blank lines and Anthropic's `ping` alone. One that is cut in the middle of a line is taken
/// for more than that.
fn is_sign_of_life(piece: &[u8]) -> bool {
    piece.split(|it| matches!(it, b'\n' | b'\r')).all(|line| match line {
        [] | [b':', ..] => true,
        _ if line.len() > 64 => false,
        _ => {
            let said: Vec<u8> = line.iter().copied().filter(|it| *it != b' ').collect();
            matches!(said.as_slice(), b"event:ping" | br#"data:{"type":"ping"}"#)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(10);

    #[test]
    fn ec_075_signs_of_life_keep_a_dead_stream_for_a_while_only() {
        let start = Instant::now();
        let mut pulse = Pulse::new(LONG, start);
        for sign in [": processing\n\n", "\r\n\r\n", "event: ping\ndata: {\"type\": \"ping\"}\n\n"] {
            assert!(pulse.hears(sign.as_bytes(), start + LONG / 2), "{sign}");
            assert!(!pulse.hears(sign.as_bytes(), start + LONG), "{sign}");
        }
    }

    #[test]
    fn ec_075_an_event_begins_the_time_anew() {
        let start = Instant::now();
        let mut pulse = Pulse::new(LONG, start);
        for event in ["data: {\"type\":\"x\"}\n\n", ": sign\n\ndata: {}\n\n", "data: {\"type\":\"pi"] {
            assert!(pulse.hears(event.as_bytes(), start + LONG * 2), "{event}");
            assert!(pulse.hears(b": sign\n\n", start + LONG * 2 + LONG / 2), "{event}");
            pulse = Pulse::new(LONG, start);
        }
    }
}
