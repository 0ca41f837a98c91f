//! What an upstream was not told as the client said it, as the ledger keeps it: bounded, and names only.
//!
//! A loss says *where* (a pointer into the client's request) and *why*, never what stood there. Still both hold names that
//! clients choose: of unknown fields, of tools, of types. They are kept, as the header `x-dragoman-translation` tells them:
//! without them nobody could find the place. What has not the shape of a name, because it is long or has spaces, is not:
//! somebody's words may have come to stand where a name belongs.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::dialect::{Loss, Severity};

/// The most losses that are kept of one attempt.
const MOST: usize = 32;
/// The longest pointer or reason, in bytes.
const LONGEST: usize = 200;
/// The longest name in one of them, in bytes.
const LONGEST_NAME: usize = 64;
/// Stands for what was cut.
const CUT: &str = "…";

/// The losses of one attempt; never none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// Those first that change what the model is asked.
    pub kept: Vec<KeptLoss>,
    /// How many more there were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
}

/// One loss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptLoss {
    /// JSON pointer into the client's request.
    pub at: String,
    /// `LossAction::name`. As text: a record must not become unreadable by a name that an older version does not know.
    pub action: Cow<'static, str>,
    /// `Severity::name`.
    pub severity: Cow<'static, str>,
    pub reason: String,
}

impl Losses {
    /// Takes from what was lost as much as is kept. Nothing is allocated if nothing was lost.
    pub fn of(losses: &[Loss]) -> Option<Box<Self>> {
        if losses.is_empty() {
            return None;
        }
        let mut of_them = Self { kept: Vec::with_capacity(losses.len().min(MOST)), left_out: 0 };
        let (semantic, cosmetic): (Vec<_>, Vec<_>) =
            losses.iter().partition(|it| it.severity == Severity::Semantic);
        for loss in semantic.into_iter().chain(cosmetic) {
            of_them.keep(loss);
        }
        Some(Box::new(of_them))
    }

    fn keep(&mut self, loss: &Loss) {
        if self.kept.len() == MOST {
            self.left_out += 1;
            return;
        }
        let kept = KeptLoss::from(loss);
        if !self.kept.contains(&kept) {
            self.kept.push(kept);
        }
    }
}

impl From<&Loss> for KeptLoss {
    fn from(loss: &Loss) -> Self {
        Self {
            at: pointer(&loss.at),
            action: loss.action.name().into(),
            severity: loss.severity.name().into(),
            reason: reason(&loss.reason),
        }
    }
}

fn pointer(at: &str) -> String {
    let names: Vec<&str> = at.split('/').map(|it| if is_name(it) { it } else { CUT }).collect();
    shortened(names.join("/"))
}

/// Our own words stand as they are; what they quote is a name.
fn reason(text: &str) -> String {
    let is_kept = |quoted: &str| quoted.len() <= LONGEST_NAME && quoted.split('/').all(is_name);
    let pieces: Vec<&str> = text
        .split('`')
        .enumerate()
        .map(|(index, it)| if index % 2 == 0 || is_kept(it) { it } else { CUT })
        .collect();
    shortened(pieces.join("`"))
}

fn is_name(text: &str) -> bool {
    let of_a_name = |it: u8| it.is_ascii_alphanumeric() || b"_-.:$@~".contains(&it);
    text.len() <= LONGEST_NAME && text.bytes().all(of_a_name)
}

fn shortened(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST - CUT.len()));
        text.push_str(CUT);
    }
    text
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "that is how serde asks")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dropped(at: &str, severity: Severity) -> Loss {
        Loss::dropped(at, severity, "`it` cannot be told")
    }

    fn kept(at: &str, reason: &str) -> KeptLoss {
        Losses::of(&[Loss::dropped(at, Severity::Cosmetic, reason)]).unwrap().kept.remove(0)
    }

    #[test]
    fn nothing_lost_is_nothing_kept() {
        assert_eq!(Losses::of(&[]), None);
    }

    #[test]
    fn what_changes_the_meaning_comes_first_and_each_once() {
        let lost = [
            dropped("/metadata", Severity::Cosmetic),
            dropped("/seed", Severity::Semantic),
            dropped("/metadata", Severity::Cosmetic),
            Loss::approximated("/seed", Severity::Semantic, "`it` cannot be told"),
        ];
        let losses = Losses::of(&lost).unwrap();
        let told: Vec<_> =
            losses.kept.iter().map(|it| (it.at.as_str(), &*it.action, &*it.severity)).collect();
        let expected = [
            ("/seed", "dropped", "semantic"),
            ("/seed", "approximated", "semantic"),
            ("/metadata", "dropped", "cosmetic"),
        ];
        assert_eq!(told, expected);
        assert_eq!((losses.left_out, losses.kept[0].reason.as_str()), (0, "`it` cannot be told"));
    }

    #[test]
    fn of_very_many_it_says_how_many_more_there_were() {
        let mut lost: Vec<Loss> =
            (0..40).map(|it| dropped(&format!("/messages/{it}/name"), Severity::Cosmetic)).collect();
        lost.push(dropped("/seed", Severity::Semantic));
        let losses = Losses::of(&lost).unwrap();
        assert_eq!((losses.kept.len(), losses.left_out), (32, 9));
        assert_eq!(losses.kept[0].at, "/seed");
    }

    #[test]
    fn names_that_clients_chose_are_kept() {
        for at in ["", "/metadata/team-7", "/tools/0/input_schema/$defs/a~1b", "/x:y/@z/0.5"] {
            assert_eq!(kept(at, "").at, at);
        }
        for reason in
            ["the tool `get_weather` could not be told", "its type was not said: `image/png` was taken"]
        {
            assert_eq!(kept("", reason).reason, reason);
        }
    }

    #[test]
    fn what_is_no_name_is_not_kept() {
        let words = "my password is hunter2";
        assert_eq!(kept(&format!("/metadata/{words}/0"), "").at, "/metadata/…/0");
        assert_eq!(kept(&format!("/a/{}", "x".repeat(65)), "").at, "/a/…");
        assert_eq!(
            kept("", &format!("the tool `{words}` could not be told")).reason,
            "the tool `…` could not be told"
        );
        assert_eq!(kept("", &format!("it ends in `{words}")).reason, "it ends in `…");
    }

    #[test]
    fn a_record_of_a_later_version_is_read() {
        let later = r#"{"kept":[{"at":"/a","action":"folded","severity":"dire","reason":"","more":1}]}"#;
        let losses: Losses = serde_json::from_str(later).unwrap();
        assert_eq!((&*losses.kept[0].action, losses.left_out), ("folded", 0));
    }

    proptest! {
        #[test]
        fn it_stays_small_and_is_read_back(at in "[/a-z~ é\u{1f600}\0]{0,150}", reason in "[`a-z é\u{1f600}\0]{0,150}") {
            let losses = Losses::of(&[Loss::dropped(at, Severity::Semantic, reason)]).unwrap();
            let kept = &losses.kept[0];
            prop_assert!(kept.at.len() <= LONGEST && kept.reason.len() <= LONGEST);
            let text = serde_json::to_string(&losses).unwrap();
            prop_assert_eq!(*losses, serde_json::from_str::<Losses>(&text).unwrap());
        }
    }
}
