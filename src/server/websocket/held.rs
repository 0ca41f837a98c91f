//! What a connection holds of its last responses, so that they can be gone on from though nothing is stored.

use std::collections::VecDeque;

use serde_json::Value;

/// How many responses are held: the last one is the one that is gone on from, but a client may fork or try again.
const MOST_HELD: usize = 4;

/// The last responses of one connection.
#[derive(Debug)]
pub(super) struct Held {
    responses: VecDeque<Response>,
    /// Of all items together.
    max_bytes: usize,
}

#[derive(Debug)]
struct Response {
    id: String,
    /// What it goes on from that is not held here.
    base: Option<String>,
    /// All since the base: questions and answers.
    items: Vec<Value>,
    size: usize,
}

impl Held {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { responses: VecDeque::new(), max_bytes }
    }

    /// What a response goes on from, and the items since; `None`: it is not held.
    pub(super) fn find(&self, id: &str) -> Option<(Option<&str>, &[Value])> {
        let found = self.responses.iter().rev().find(|it| it.id == id)?;
        Some((found.base.as_deref(), &found.items))
    }

    /// Holds a response; older ones go if there is no room.
    pub(super) fn hold(&mut self, id: &str, base: Option<&str>, items: Vec<Value>) {
        self.forget(id);
        let size = items.iter().map(|it| it.to_string().len()).sum();
        let (id, base) = (id.to_owned(), base.map(str::to_owned));
        self.responses.push_back(Response { id, base, items, size });
        while self.responses.len() > MOST_HELD || self.size() > self.max_bytes {
            self.responses.pop_front();
        }
    }

    pub(super) fn forget(&mut self, id: &str) {
        self.responses.retain(|it| it.id != id);
    }

    fn size(&self) -> usize {
        self.responses.iter().map(|it| it.size).sum()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_few_responses_are_held() {
        let mut held = Held::new(1000);
        for number in 0..6 {
            held.hold(&format!("r{number}"), Some("far"), vec![json!(number)]);
        }
        assert!(held.find("r1").is_none());
        assert_eq!(held.find("r5"), Some((Some("far"), &[json!(5)][..])));
        held.forget("r5");
        assert!(held.find("r5").is_none() && held.find("r4").is_some());
    }

    #[test]
    fn what_is_too_large_is_not_held() {
        let mut held = Held::new(10);
        held.hold("a", None, vec![json!("1234")]);
        held.hold("b", None, vec![json!("123456789")]);
        assert!(held.find("a").is_none() && held.find("b").is_none());
    }
}
