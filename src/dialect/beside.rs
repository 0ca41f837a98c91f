//! Long media, laid beside a body while the rest of it is translated.
//!
//! A request with a photograph is some megabytes of base64 around a few sentences, and no dialect changes it: read, kept,
//! written and sent as text it would be copied at each step. So what a translator reads has only the first characters of
//! such a string, and a mark that tells which one it was and how long; in what it writes, the mark is followed back.
//!
//! The short form is valid base64 and begins as the long one does, so that its type can still be told. A client that writes
//! a mark itself can name nothing but what it sent in the same body.

use std::fmt;

use bytes::Bytes;

use super::{
    canonical::media,
    pieces::{Pieces, SHARED, Writer},
};

/// How many characters of the string stay: enough to tell the type.
const HEAD: usize = 1024;
/// What follows the head; then which one it is, and how long. All of it is of base64's alphabet, in whole groups of four.
const MARK: &[u8] = b"//laid+beside+the+body//";
const INDEX: usize = 8;
const LENGTH: usize = 12;
const TAIL: usize = MARK.len() + INDEX + LENGTH;

/// A body without its long media, and these. Its `Debug` form says how long they are.
pub struct Lightened {
    body: Bytes,
    beside: Vec<Bytes>,
}

impl fmt::Debug for Lightened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let beside: Vec<usize> = self.beside.iter().map(Bytes::len).collect();
        f.debug_struct("Lightened").field("body", &self.body.len()).field("beside", &beside).finish()
    }
}

impl Lightened {
    /// Lays aside every string of a JSON body that is long, base64 of the standard alphabet (with the head of a data URL or
    /// without) and an image or a PDF by its first bytes. What is written in another way stays where it is.
    pub fn of(body: &Bytes) -> Self {
        let mut beside = Vec::new();
        let mut writer = Writer::default();
        let mut from = 0;
        let mut strings = Strings { body, at: 0 };
        while body.len() >= SHARED
            && let Some((start, end)) = strings.next_long()
        {
            let Some(start) = payload(&body[start..end]).map(|it| start + it) else { continue };
            let index = format!("{:0INDEX$}", beside.len());
            let length = format!("{:0LENGTH$}", end - start);
            writer.copy(&body[from..start + HEAD]);
            for it in [MARK, index.as_bytes(), length.as_bytes()] {
                writer.copy(it);
            }
            beside.push(body.slice(start..end));
            from = end;
        }
        if beside.is_empty() {
            return Self { body: body.clone(), beside };
        }
        writer.share(body.slice(from..));
        Self { body: writer.finish().whole(), beside }
    }

    /// The body to be read.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Puts the media back into what was made of the body. They are shared with the body they came from.
    pub fn restore(&self, written: Bytes) -> Pieces {
        if self.beside.is_empty() {
            return written.into();
        }
        let mut writer = Writer::with_capacity(written.len());
        let mut from = 0;
        for at in memchr::memmem::find_iter(&written, MARK) {
            let Some(long) = self.marked(&written, at).filter(|_| at >= from + HEAD) else { continue };
            writer.copy(&written[from..at - HEAD]);
            writer.share(long.clone());
            from = at + TAIL;
        }
        writer.share(written.slice(from..));
        writer.finish()
    }

    /// What the mark at a place stands for, if it is one of ours.
    fn marked(&self, written: &[u8], at: usize) -> Option<&Bytes> {
        let (index, length) = read(written.get(at..at + TAIL)?)?;
        let long = self.beside.get(index)?;
        let begins_so = written[..at].ends_with(&long[..HEAD]);
        (long.len() == length && begins_so).then_some(long)
    }
}

/// How long a text is in the body it came from, in bytes.
pub fn true_length(text: &str) -> usize {
    let tail = text.len().checked_sub(TAIL).and_then(|it| read(&text.as_bytes()[it..]));
    tail.map_or(text.len(), |(_, length)| length)
}

fn read(tail: &[u8]) -> Option<(usize, usize)> {
    let (index, length) = tail.strip_prefix(MARK)?.split_at_checked(INDEX)?;
    let number = |it: &[u8]| std::str::from_utf8(it).ok()?.parse().ok();
    Some((number(index)?, number(length)?))
}

/// Where the base64 of a string begins, if it is an image or a PDF.
fn payload(string: &[u8]) -> Option<usize> {
    let mut start = 0;
    if string.get(..5)?.eq_ignore_ascii_case(b"data:") {
        start = memchr::memchr(b',', &string[..HEAD])? + 1;
        // Others are percent-decoded and written anew.
        if !media::says_base64(&string[..start - 1]) {
            return None;
        }
    }
    let data = std::str::from_utf8(&string[start..]).ok()?;
    let is_media =
        data.len() >= SHARED && media::is_standard(data.as_bytes()) && media::sniff(data).is_some();
    is_media.then_some(start)
}

/// The long strings of a JSON document, between their quotes.
struct Strings<'b> {
    body: &'b [u8],
    at: usize,
}

impl Strings<'_> {
    fn next_long(&mut self) -> Option<(usize, usize)> {
        loop {
            let start = self.at + memchr::memchr(b'"', &self.body[self.at..])? + 1;
            let mut end = start;
            loop {
                end += memchr::memchr2(b'"', b'\\', self.body.get(end..)?)?;
                if self.body[end] == b'"' {
                    break;
                }
                end += 2;
            }
            self.at = end + 1;
            if end - start >= SHARED {
                return Some((start, end));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A picture of so many characters in base64.
    fn picture(length: usize, fill: char) -> String {
        let head = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB";
        format!("{head}{}", fill.to_string().repeat(length - head.len()))
    }

    fn body(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    #[test]
    fn what_is_long_is_laid_aside_and_put_back_without_a_copy() {
        let (one, other) = (picture(SHARED, 'A'), picture(3 * SHARED, 'B'));
        let sent = body(&format!(
            r#"{{"text":"see \"this\"","url":"data:image/png;base64,{one}","data":"{other}","n":1}}"#
        ));
        let light = Lightened::of(&sent);
        assert!(light.body().len() < 3 * HEAD);
        serde_json::from_slice::<serde_json::Value>(light.body()).unwrap();
        let restored = light.restore(light.body().clone());
        assert_eq!(restored.whole(), sent);
        let inside = sent.as_ptr() as usize..sent.as_ptr() as usize + sent.len();
        assert!(
            restored
                .iter()
                .filter(|it| it.len() >= SHARED)
                .all(|it| inside.contains(&(it.as_ptr() as usize)))
        );
    }

    #[test]
    fn the_order_may_change_and_one_may_be_said_twice_or_not_at_all() {
        let (one, other) = (picture(SHARED, 'A'), picture(SHARED + 4, 'B'));
        let light = Lightened::of(&body(&format!(r#"["{one}","{other}"]"#)));
        let [first, second]: [String; 2] = serde_json::from_slice(light.body()).unwrap();
        let restored = |text: String| light.restore(text.into()).whole();
        assert_eq!(restored(format!("{second} {first}")), body(&format!("{other} {one}")));
        assert_eq!(restored(format!("{first}{first}")), body(&format!("{one}{one}")));
        assert_eq!(restored("none".to_owned()), body("none"));
        assert_eq!((true_length(&first), true_length(&second)), (SHARED, SHARED + 4));
    }

    #[test]
    fn what_is_no_picture_stays() {
        let escaped = picture(SHARED, 'A').replace("AAAA", "A\\/AA");
        let texts = [
            "A".repeat(SHARED),
            picture(SHARED - 4, 'A'),
            picture(SHARED, '-'),
            picture(SHARED + 1, 'A'),
            escaped,
        ];
        for text in texts {
            let sent = body(&format!(r#"{{"data":"{text}"}}"#));
            assert_eq!(Lightened::of(&sent).body(), &sent);
        }
    }

    #[test]
    fn a_data_url_that_is_not_said_to_be_base64_stays() {
        // Its data are percent-decoded and written anew: a mark in them would not be found again.
        for head in ["data:image/png,", "data:image/png;charset=utf-8,", "data:,"] {
            let sent = body(&format!(r#"{{"url":"{head}{}"}}"#, picture(SHARED, 'A')));
            assert_eq!(Lightened::of(&sent).body(), &sent, "{head}");
        }
        for head in ["data:image/png;base64,", "DATA:image/png;x=y; BASE64 ,"] {
            let sent = body(&format!(r#"{{"url":"{head}{}"}}"#, picture(SHARED, 'A')));
            assert!(Lightened::of(&sent).body().len() < sent.len(), "{head}");
        }
    }

    #[test]
    fn a_mark_that_is_not_ours_is_text() {
        let light = Lightened::of(&body(&format!(r#"["{}"]"#, picture(SHARED, 'A'))));
        let [short]: [String; 1] = serde_json::from_slice(light.body()).unwrap();
        let forged = [
            short.replace("//00000000", "//00000001"),
            short.replace("AAAA//laid", "AAAB//laid"),
            short[HEAD..].to_owned(),
            short[..short.len() - 1].to_owned(),
        ];
        for text in forged {
            assert_eq!(light.restore(text.clone().into()).whole(), body(&text));
        }
    }

    proptest! {
        #[test]
        fn nothing_of_any_body_is_lost(
            around in prop::collection::vec("[ -~]{0,40}", 1..4), lengths in prop::collection::vec(1..40_usize, 0..3),
        ) {
            let mut list: Vec<String> = around;
            list.extend(lengths.iter().map(|it| picture(it * 1024, 'Z')));
            let sent = Bytes::from(serde_json::to_vec(&list).unwrap());
            let light = Lightened::of(&sent);
            prop_assert_eq!(light.restore(light.body().clone()).whole(), sent);
        }
    }
}
