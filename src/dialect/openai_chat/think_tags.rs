//! Reasoning that stands between `<think>` and `</think>` at the start of an answer's text: so open models write it whose
//! server does not take it out.
//!
//! Only a tag that nothing but white space comes before opens, and only the first; one that is never closed holds all that
//! follows. White space before the tag and line ends after it belong to neither part. A model whose template writes the
//! opening tag itself is not understood: it only ever says the closing one.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// A piece of an answer's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    Reasoning(String),
    Text(String),
}

/// Splits content that comes in pieces, cut anywhere: what may be the beginning of a tag waits for the next piece.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    place: Place,
    /// What waits. Before the tag only white space and its beginning do, after it less than the closing tag.
    held: String,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Place {
    #[default]
    Start,
    Thinking,
    /// Behind the closing tag, where line ends go.
    After,
    Text,
}

impl Splitter {
    /// Splits content that is there as a whole.
    pub(super) fn whole(content: &str) -> Vec<Said> {
        let mut splitter = Self::default();
        let mut said = Vec::new();
        splitter.push(content, &mut said);
        splitter.finish(&mut said);
        said
    }

    pub(super) fn push(&mut self, piece: &str, said: &mut Vec<Said>) {
        self.held.push_str(piece);
        loop {
            let held = std::mem::take(&mut self.held);
            match self.place {
                Place::Start => {
                    let begun = held.trim_start();
                    if let Some(rest) = begun.strip_prefix(OPEN) {
                        self.place = Place::Thinking;
                        rest.clone_into(&mut self.held);
                    } else if OPEN.starts_with(begun) {
                        self.held = held;
                        return;
                    } else {
                        self.place = Place::Text;
                        self.held = held;
                    }
                }
                Place::Thinking => match held.split_once(CLOSE) {
                    Some((thought, rest)) => {
                        say(Said::Reasoning(thought.to_owned()), said);
                        self.place = Place::After;
                        rest.clone_into(&mut self.held);
                    }
                    None => {
                        let waits = beginning(&held);
                        let (thought, rest) = held.split_at(held.len() - waits);
                        say(Said::Reasoning(thought.to_owned()), said);
                        rest.clone_into(&mut self.held);
                        return;
                    }
                },
                Place::After => {
                    let rest = held.trim_start_matches(['\n', '\r']);
                    if rest.is_empty() {
                        return;
                    }
                    self.place = Place::Text;
                    rest.clone_into(&mut self.held);
                }
                Place::Text => return say(Said::Text(held), said),
            }
        }
    }

    /// Says what waits, because something else comes: a tag is not cut by anything. An open thought goes on afterwards.
    pub(super) fn interrupt(&mut self, said: &mut Vec<Said>) {
        let held = std::mem::take(&mut self.held);
        match self.place {
            Place::Thinking => say(Said::Reasoning(held), said),
            Place::Start => {
                self.place = Place::Text;
                say(Said::Text(held), said);
            }
            Place::After | Place::Text => {}
        }
    }

    /// Says what waits at the end.
    pub(super) fn finish(&mut self, said: &mut Vec<Said>) {
        self.interrupt(said);
    }
}

fn say(piece: Said, said: &mut Vec<Said>) {
    let (Said::Reasoning(text) | Said::Text(text)) = &piece;
    if !text.is_empty() {
        said.push(piece);
    }
}

/// How many bytes at the end of `text` may be the beginning of the closing tag.
fn beginning(text: &str) -> usize {
    (1..CLOSE.len()).rev().find(|it| text.ends_with(&CLOSE[..*it])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All reasoning and all text.
    fn parts(said: Vec<Said>) -> (String, String) {
        let mut parts = (String::new(), String::new());
        for it in said {
            match it {
                Said::Reasoning(it) => {
                    assert_eq!(parts.1, "", "reasoning comes first");
                    parts.0.push_str(&it);
                }
                Said::Text(it) => parts.1.push_str(&it),
            }
        }
        parts
    }

    fn whole(content: &str) -> (String, String) {
        parts(Splitter::whole(content))
    }

    fn pair(thought: &str, text: &str) -> (String, String) {
        (thought.to_owned(), text.to_owned())
    }

    #[test]
    fn ec_175_a_tag_at_the_start_holds_reasoning() {
        for (content, thought, text) in [
            ("<think>hm</think>yes", "hm", "yes"),
            (" \n<think>\nhm\n</think>\n\nyes\n", "\nhm\n", "yes\n"),
            ("<think></think>yes", "", "yes"),
            ("<think>a</think>\r\n b </think> <think>c</think>", "a", " b </think> <think>c</think>"),
            ("<think>never closed </thin", "never closed </thin", ""),
            ("<think>a<think>b</think>c", "a<think>b", "c"),
        ] {
            assert_eq!(whole(content), pair(thought, text), "{content}");
        }
    }

    #[test]
    fn ec_175_any_other_content_is_left_alone() {
        for content in [
            "",
            " \n",
            "yes",
            "yes <think>no</think>",
            "<thin",
            " <thinking>x</thinking>",
            "</think>x",
            "<Think>x",
        ] {
            assert_eq!(whole(content), pair("", content), "{content}");
        }
    }

    #[test]
    fn ec_175_a_tag_cut_by_the_border_of_a_piece_is_one() {
        let mut splitter = Splitter::default();
        let mut said = Vec::new();
        for piece in [" <th", "ink>a</", "thin", "k>", "\n", "\nb"] {
            splitter.push(piece, &mut said);
        }
        let expected = [Said::Reasoning("a".to_owned()), Said::Text("b".to_owned())];
        assert_eq!(said, expected);
    }

    fn content() -> impl Strategy<Value = String> {
        let pieces =
            ["<think>", "</think>", "<", "/", "think", ">", "\n", "\r", " ", "a", "é", "</think", "<think"];
        prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..14).prop_map(|it| it.concat())
    }

    proptest! {
        #[test]
        fn ec_175_any_cut_says_the_same_and_nothing_is_lost(
            content in content(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let (thought, text) = whole(&content);
            let mut places: Vec<usize> = cuts.iter().map(|it| it.index(content.len() + 1)).collect();
            places.retain(|it| content.is_char_boundary(*it));
            places.extend([0, content.len()]);
            places.sort_unstable();
            let mut splitter = Splitter::default();
            let mut said = Vec::new();
            for it in places.windows(2) {
                splitter.push(&content[it[0]..it[1]], &mut said);
            }
            splitter.finish(&mut said);
            prop_assert_eq!(parts(said), (thought.clone(), text.clone()));

            // What is put together again is what came, but for the white space around the tags.
            match content.trim_start().strip_prefix(OPEN) {
                None => prop_assert_eq!(text, content),
                Some(inside) => match inside.split_once(CLOSE) {
                    None => prop_assert_eq!((thought.as_str(), text.as_str()), (inside, "")),
                    Some((before, behind)) => {
                        prop_assert_eq!(thought, before);
                        prop_assert_eq!(text, behind.trim_start_matches(['\n', '\r']));
                    }
                },
            }
        }
    }
}
