//! Which rule fits a request.

use serde_json::Value;

use crate::simulator::{
    ask::Ask,
    scenario::{Dialect, Nth, When},
};

/// Everything about a request a condition may look at.
pub(super) struct Sight<'a> {
    pub dialect: Dialect,
    pub path: &'a str,
    pub credential: &'a str,
    pub header: &'a dyn Fn(&str) -> Option<String>,
    pub text: &'a str,
    pub body: &'a Value,
    pub ask: &'a Ask,
}

impl When {
    /// Whether all conditions hold that do not count.
    pub(super) fn fits(&self, it: &Sight<'_>) -> bool {
        self.dialect.is_none_or(|dialect| dialect == it.dialect)
            && self.path.as_ref().is_none_or(|glob| is_match(glob, it.path))
            && self.model.as_ref().is_none_or(|glob| is_match(glob, &it.ask.model))
            && self.credential.as_ref().is_none_or(|glob| is_match(glob, it.credential))
            && self.stream.is_none_or(|stream| stream == it.ask.stream)
            && self.has_tool.as_ref().is_none_or(|name| it.ask.tool(name).is_some())
            && self
                .headers
                .iter()
                .all(|(name, glob)| (it.header)(name).is_some_and(|value| is_match(glob, &value)))
            && self.contains.as_ref().is_none_or(|part| it.text.contains(part.as_str()))
            && self
                .pointer
                .iter()
                .all(|(pointer, value)| it.body.pointer(pointer).is_some_and(|it| is_same(it, value)))
    }
}

impl Nth {
    /// Whether the `count`-th request (from 1) is meant.
    pub(super) fn is_meant(&self, count: u64) -> bool {
        self.from.is_none_or(|from| count >= from)
            && self.to.is_none_or(|to| count <= to)
            && self.every.is_none_or(|every| count.is_multiple_of(every.max(1)))
    }
}

/// Whether the dice, thrown for the `count`-th time for rule `rule`, fall under `probability`.
pub(super) fn is_lucky(seed: u64, rule: usize, count: u64, probability: f64) -> bool {
    let mut mixed = seed ^ (rule as u64).rotate_left(32) ^ count.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^= mixed >> 31;
    let drawn = f64::from((mixed >> 32) as u32) / f64::from(u32::MAX);
    drawn < probability
}

/// Matches `*` (any run) and `?` (any one character).
pub(super) fn is_match(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut g, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(it) if *it == '?' || *it == text[t] => {
                g += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                g = at + 1;
                t = from + 1;
            }
        }
    }
    glob[g..].iter().all(|it| *it == '*')
}

/// Equality that does not mind how a number is written.
fn is_same(left: &Value, right: &Value) -> bool {
    match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => (left - right).abs() < f64::EPSILON,
        _ => left == right,
    }
}
