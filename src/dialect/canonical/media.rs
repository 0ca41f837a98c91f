//! Media as clients really send it: data URLs with the wrong type, no type, or base64 of the other alphabet.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Media that came in the request itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inline {
    /// What the bytes say, else what was declared, normalised.
    pub media_type: Option<String>,
    /// Standard base64 with padding.
    pub data: String,
}

/// What is wrong with media.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMedia {
    #[error("is not valid base64")]
    Base64,
    #[error("is a data URL without a `,`")]
    NoComma,
}

/// Writes base64 as a data URL.
pub fn data_url(media_type: &str, data: &str) -> String {
    format!("data:{media_type};base64,{data}")
}

/// A sound's type as OpenAI's `input_audio.format` names it.
pub fn audio_format(media_type: &str) -> &str {
    match media_type.strip_prefix("audio/").unwrap_or(media_type) {
        "mpeg" => "mp3",
        "x-wav" | "wave" => "wav",
        other => other,
    }
}

/// Reads `data:[type][;parameter]*[;base64],data`. `None` if the text is no data URL.
pub fn parse_data_url(url: &str) -> Option<Result<Inline, InvalidMedia>> {
    let rest = match url.trim_start().split_at_checked(5) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("data:") => rest,
        _ => return None,
    };
    let Some((head, data)) = rest.split_once(',') else { return Some(Err(InvalidMedia::NoComma)) };
    let mut words = head.split(';').map(str::trim);
    let declared = words.next().filter(|it| it.contains('/'));
    let data = if says_base64(head.as_bytes()) {
        Cow::Borrowed(data)
    } else {
        Cow::Owned(STANDARD.encode(percent_decode(data)))
    };
    Some(inline(declared, &data))
}

/// Whether the data of a data URL are base64, by what stands before its comma.
pub(in crate::dialect) fn says_base64(head: &[u8]) -> bool {
    let head = head.trim_ascii_end();
    head.len().checked_sub(6).is_some_and(|it| head[it..].eq_ignore_ascii_case(b"base64"))
}

/// Repairs base64 and settles its type.
pub fn inline(declared: Option<&str>, data: &str) -> Result<Inline, InvalidMedia> {
    let data = normalize_base64(data).ok_or(InvalidMedia::Base64)?.into_owned();
    Ok(Inline { media_type: settle_type(declared, &data), data })
}

/// Reads a bare base64 text as media, if its first bytes are those of a type we know.
pub fn parse_bare(text: &str) -> Option<Inline> {
    let inline = inline(None, text).ok()?;
    inline.media_type.is_some().then_some(inline)
}

/// Returns what is the right type of `data` (base64): what its first bytes say, else what was declared.
pub fn settle_type(declared: Option<&str>, data: &str) -> Option<String> {
    match sniff(data) {
        Some(known) => Some(known.to_owned()),
        None => declared.map(normalize_type),
    }
}

/// Lower case, no parameters, and `image/jpeg` by its right name.
pub fn normalize_type(media_type: &str) -> String {
    let bare = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match bare.as_str() {
        "image/jpg" | "image/pjpeg" => "image/jpeg".to_owned(),
        "image/x-png" => "image/png".to_owned(),
        "application/x-pdf" => "application/pdf".to_owned(),
        _ => bare,
    }
}

/// Returns the type of PNG, JPEG, GIF, WebP and PDF by their first bytes.
pub fn sniff(data: &str) -> Option<&'static str> {
    let head = STANDARD.decode(data.as_bytes().get(..16.min(data.len() / 4 * 4))?).ok()?;
    match head.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [b'%', b'P', b'D', b'F', b'-', ..] => Some("application/pdf"),
        _ => None,
    }
}

/// Returns base64 in the standard alphabet, padded, without white space; borrowed if it was so already.
pub fn normalize_base64(text: &str) -> Option<Cow<'_, str>> {
    if is_standard(text.as_bytes()) {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len() + 3);
    for it in text.chars() {
        match it {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '+' | '/' => out.push(it),
            '-' => out.push('+'),
            '_' => out.push('/'),
            '=' => {}
            _ if it.is_ascii_whitespace() => {}
            _ => return None,
        }
    }
    match out.len() % 4 {
        1 => return None,
        2 => out.push_str("=="),
        3 => out.push('='),
        _ => {}
    }
    Some(Cow::Owned(out))
}

pub(in crate::dialect) fn is_standard(text: &[u8]) -> bool {
    let body = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    text.len().is_multiple_of(4)
        && body.iter().all(|it| it.is_ascii_alphanumeric() || *it == b'+' || *it == b'/')
}

fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let pair = bytes.get(at + 1..at + 3).and_then(|it| std::str::from_utf8(it).ok());
        match pair.and_then(|it| u8::from_str_radix(it, 16).ok()) {
            Some(decoded) if byte == b'%' => {
                out.push(decoded);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB";

    fn read(url: &str) -> Inline {
        parse_data_url(url).unwrap().unwrap()
    }

    #[test]
    fn a_data_url_is_read() {
        let it = read(&format!("data:image/png;base64,{PNG}"));
        assert_eq!((it.media_type.as_deref(), it.data.as_str()), (Some("image/png"), PNG));
        assert_eq!(parse_data_url("https://example.com/a.png"), None);
    }

    #[test]
    fn ec_151_wrong_and_missing_types_are_sniffed() {
        assert_eq!(read(&format!("data:image/jpg;base64,{PNG}")).media_type.as_deref(), Some("image/png"));
        assert_eq!(read(&format!("data:;base64,{PNG}")).media_type.as_deref(), Some("image/png"));
        assert_eq!(read("data:image/jpg;base64,AAAA").media_type.as_deref(), Some("image/jpeg"));
        assert_eq!(sniff(&STANDARD.encode(b"%PDF-1.7 abc")), Some("application/pdf"));
        assert_eq!(sniff(&STANDARD.encode(b"RIFF1234WEBPVP8 ")), Some("image/webp"));
        assert_eq!(sniff(&STANDARD.encode(b"GIF89a")), Some("image/gif"));
        assert_eq!(sniff(&STANDARD.encode([0xff, 0xd8, 0xff, 0xe0])), Some("image/jpeg"));
    }

    #[test]
    fn ec_151_url_safe_and_broken_lines_are_repaired() {
        assert_eq!(normalize_base64("_-8").unwrap(), "/+8=");
        assert_eq!(normalize_base64("AA\r\nAA").unwrap(), "AAAA");
        assert_eq!(normalize_base64("A"), None);
        assert_eq!(normalize_base64("A!AA"), None);
    }

    #[test]
    fn a_data_url_without_base64_is_encoded() {
        let it = read("data:text/plain,a%20b");
        assert_eq!((it.media_type.as_deref(), it.data.as_str()), (Some("text/plain"), "YSBi"));
    }

    #[test]
    fn bare_base64_is_media_only_if_it_is_known() {
        assert_eq!(parse_bare(PNG).unwrap().media_type.as_deref(), Some("image/png"));
        assert_eq!(parse_bare("hello"), None);
    }

    proptest! {
        #[test]
        fn repaired_base64_decodes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&bytes);
            let repaired = normalize_base64(&text).unwrap();
            prop_assert_eq!(STANDARD.decode(repaired.as_bytes()).unwrap(), bytes);
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = parse_data_url(&text);
            let _ = parse_data_url(&format!("data:{text}"));
            let _ = parse_bare(&text);
        }
    }
}
