//! Names and ids as an upstream allows them: each name maps to one name and back, the same way every time.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    fmt::Write as _,
};

use sha2::{Digest, Sha256};

use super::{ChatRequest, PartKind, ToolChoice};

/// Which tool names an upstream takes.
#[derive(Debug, Clone, Copy)]
pub struct NameRule {
    pub legal: fn(char) -> bool,
    /// What a name may begin with, of what is legal.
    pub first: fn(char) -> bool,
    /// In characters.
    pub longest: usize,
}

impl NameRule {
    /// Letters, digits, `_` and `-`: what both OpenAI and Anthropic take.
    pub const fn plain(longest: usize) -> Self {
        Self { legal: is_plain, first: is_plain, longest }
    }

    /// A letter or `_` first, then also digits, `.`, `:` and `-`: what Gemini takes.
    pub const fn dotted(longest: usize) -> Self {
        Self { legal: is_dotted, first: is_letter, longest }
    }

    fn allows(&self, name: &str) -> bool {
        name.starts_with(self.first) && name.chars().count() <= self.longest && name.chars().all(self.legal)
    }
}

fn is_dotted(it: char) -> bool {
    is_plain(it) || it == '.' || it == ':'
}

fn is_letter(it: char) -> bool {
    it.is_ascii_alphabetic() || it == '_'
}

/// Letters, digits, `_` and `-`.
pub fn is_plain(it: char) -> bool {
    it.is_ascii_alphanumeric() || it == '_' || it == '-'
}

/// Tool names of one request as its upstream is told them.
#[derive(Debug, Clone, Default)]
pub struct NameMap {
    /// Only the names that differ.
    wire: HashMap<String, String>,
}

impl NameMap {
    /// Maps every tool name a request mentions: its tools, its choice, the calls in its history.
    pub fn of(request: &ChatRequest, rule: NameRule) -> Self {
        let tools = request.tools.iter().map(|it| it.name.as_str());
        let chosen: Vec<&str> = match &request.tool_choice {
            Some(ToolChoice::Named(name)) => vec![name],
            Some(ToolChoice::Allowed { names, .. }) => names.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        };
        let parts = request.conversation.turns.iter().flat_map(|it| &it.parts);
        let called = parts.filter_map(|it| match &it.kind {
            PartKind::ToolCall(call) => Some(call.name.as_str()),
            _ => None,
        });
        Self::build(tools.chain(chosen).chain(called), rule)
    }

    /// Maps `names`. A legal name is kept, and no other name is mapped to it, in whatever order they come.
    pub fn build<'a>(names: impl IntoIterator<Item = &'a str>, rule: NameRule) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        if names.iter().all(|it| rule.allows(it)) {
            return Self::default();
        }
        let mut taken: HashSet<String> =
            names.iter().filter(|it| rule.allows(it)).map(|it| (*it).to_owned()).collect();
        let mut wire = HashMap::new();
        for name in names {
            if rule.allows(name) || wire.contains_key(name) {
                continue;
            }
            let mapped = candidates(name, rule).find(|it| !taken.contains(it)).unwrap_or_default();
            taken.insert(mapped.clone());
            wire.insert(name.to_owned(), mapped);
        }
        Self { wire }
    }

    /// A name as the upstream is told it.
    pub fn wire<'a>(&'a self, name: &'a str) -> &'a str {
        self.wire.get(name).map_or(name, String::as_str)
    }

    /// What `Recall.names` holds: the upstream's name → the client's, where they differ.
    pub fn recall(&self) -> HashMap<String, String> {
        self.wire.iter().map(|(name, wire)| (wire.clone(), name.clone())).collect()
    }
}

/// What a name may become, best first; endless.
fn candidates(name: &str, rule: NameRule) -> impl Iterator<Item = String> {
    let mut clean: String = name.chars().map(|it| if (rule.legal)(it) { it } else { '_' }).collect();
    if !clean.starts_with(rule.first) {
        clean.insert(0, '_');
    }
    let first = rule.allows(&clean).then(|| clean.clone());
    let hashed = (0_u32..).map({
        let name = name.to_owned();
        move |attempt| {
            let salted = if attempt == 0 { name.clone() } else { format!("{name}#{attempt}") };
            let hash = hex(&salted, 4);
            let head: String = clean.chars().take(rule.longest.saturating_sub(hash.len() + 1)).collect();
            format!("{head}_{hash}")
        }
    });
    first.into_iter().chain(hashed)
}

/// Returns an id that has only `legal` characters and at most `longest` of them: itself if it can be, else one made from
/// its hash, so that the same id always becomes the same one.
pub fn clean_id(id: &str, legal: fn(char) -> bool, longest: usize) -> Cow<'_, str> {
    if !id.is_empty() && id.chars().count() <= longest && id.chars().all(legal) {
        Cow::Borrowed(id)
    } else {
        Cow::Owned(format!("call_{}", hex(id, 16)))
    }
}

/// Returns the name of a person, of `longest` characters at most: itself if it is short enough, else its hash.
pub fn clean_user(user: &str, longest: usize) -> Cow<'_, str> {
    if user.chars().count() <= longest {
        Cow::Borrowed(user)
    } else {
        Cow::Owned(format!("user_{}", hex(user, 16)))
    }
}

/// The key of a session's prompt cache: the same for the same session, and telling nobody whose it is.
pub fn cache_key(session: &str) -> String {
    format!("session_{}", hex(session, 16))
}

/// Makes an id for a call whose upstream gave none; the same `seed` always makes the same one.
pub fn minted_id(seed: &str) -> String {
    format!("call_{}", hex(seed, 12))
}

/// The first `bytes` bytes of a text's SHA-256, in hexadecimal.
fn hex(text: &str, bytes: usize) -> String {
    Sha256::digest(text.as_bytes()).iter().take(bytes).fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(names: &[&str], longest: usize) -> NameMap {
        NameMap::build(names.iter().copied(), NameRule::plain(longest))
    }

    #[test]
    fn a_long_name_of_a_person_is_told_as_its_hash() {
        assert_eq!(clean_user("someone", 128), "someone");
        let told = clean_user(&"x".repeat(129), 128).into_owned();
        assert!(told.starts_with("user_") && told.len() < 128, "{told}");
        assert_eq!(clean_user(&"x".repeat(129), 128), told);
    }

    #[test]
    fn legal_names_are_kept() {
        let map = map(&["read", "mcp__files__read-all"], 64);
        assert_eq!(map.wire("read"), "read");
        assert!(map.recall().is_empty());
    }

    #[test]
    fn ec_045_illegal_and_long_names_are_mapped_and_recalled() {
        let long = "x".repeat(80);
        let map = map(&["files.read", &long], 64);
        assert_eq!(map.wire("files.read"), "files_read");
        assert_eq!(map.wire(&long).len(), 64);
        assert_eq!(map.recall()["files_read"], "files.read");
        assert_eq!(map.recall()[map.wire(&long)], long);
    }

    #[test]
    fn ec_187_names_that_collide_are_told_apart() {
        let map = map(&["a.b", "a:b", "a_b"], 64);
        let told: HashSet<&str> = ["a.b", "a:b", "a_b"].into_iter().map(|it| map.wire(it)).collect();
        assert_eq!(told.len(), 3);
        assert_eq!(map.wire("a_b"), "a_b");
    }

    #[test]
    fn ec_055_an_illegal_id_becomes_the_same_legal_one_each_time() {
        let id = clean_id("call|fc:1", is_plain, 64);
        assert_eq!(id, clean_id("call|fc:1", is_plain, 64));
        assert!(id.chars().all(is_plain));
        assert_eq!(clean_id("toolu_01", is_plain, 64), "toolu_01");
        assert!(!clean_id("", is_plain, 64).is_empty());
    }

    #[test]
    fn ec_045_a_name_for_gemini_begins_with_a_letter() {
        let map = NameMap::build(["files.read", "3d_view", "ns:tool-a", ""], NameRule::dotted(64));
        assert_eq!(map.wire("files.read"), "files.read");
        assert_eq!(map.wire("ns:tool-a"), "ns:tool-a");
        assert_eq!(map.wire("3d_view"), "_3d_view");
        assert!(map.wire("").starts_with('_'));
        assert_eq!(map.recall()["_3d_view"], "3d_view");
    }

    proptest! {
        #[test]
        fn any_names_map_to_as_many_legal_names(names in prop::collection::hash_set("[a-c.:_]{0,12}", 0..12)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let rule = NameRule::plain(10);
            let map = NameMap::build(names.iter().copied(), rule);
            let told: HashSet<&str> = names.iter().map(|it| map.wire(it)).collect();
            prop_assert_eq!(told.len(), names.len());
            prop_assert!(told.iter().all(|it| rule.allows(it)));
        }
    }
}
