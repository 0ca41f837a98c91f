//! Images, documents, sounds and films: bytes in the request, or a file by its address.

use serde_json::{Map, Value, json};

use super::{
    super::decode::{FILES, guess, is_film},
    Writer, refuse,
};
use crate::dialect::{
    EncodeError, Severity,
    canonical::{Media, MediaKind, MediaSource, PartKind, media},
};

type Fields = Map<String, Value>;

impl Writer<'_> {
    /// Writes media. `named`: a client of this dialect gave it a name, and this is the place for it.
    pub(super) fn media(&mut self, media: &Media, named: bool, at: &str) -> Result<Vec<Fields>, EncodeError> {
        if media.detail.as_deref().is_some_and(|it| it != "auto") {
            self.drop(format!("{at}/image_url/detail"), Severity::Cosmetic, "the dialect has no `detail`");
        }
        let able = match media.kind {
            MediaKind::Image => self.abilities.images,
            MediaKind::Document => self.abilities.documents || media.source.is_text(),
            MediaKind::Audio | MediaKind::Video => self.abilities.audio,
        };
        let kind = media.kind.name();
        if !able {
            self.drop(at, Severity::Semantic, format!("the model takes no {kind}"));
            return Ok(vec![text(format!("[{kind} left out: the model takes none]"))]);
        }
        let mut written = match &media.source {
            MediaSource::Inline(data) => self.inline(media, data, at)?,
            MediaSource::Url(url) => self.by_url(media, url, at)?,
            MediaSource::FileId(id) if id.starts_with(FILES) || id.starts_with("files/") => {
                file(media, id, None)
            }
            MediaSource::FileId(_) => {
                let message = "the file's id names a file that this model's provider does not have: send the file itself";
                return Err(refuse(at, message));
            }
            MediaSource::Text(it) => {
                self.approximate(at, Severity::Cosmetic, "a document of plain text was told as text");
                let titled = media.name.as_ref().map(|name| format!("{name}\n\n{it}"));
                return Ok(vec![text(titled.unwrap_or_else(|| it.clone()))]);
            }
            MediaSource::Parts(parts) => {
                self.approximate(at, Severity::Cosmetic, "a document made of parts was told as its parts");
                let mut all = Vec::new();
                for part in parts {
                    match &part.kind {
                        PartKind::Media(inner) => all.extend(self.media(inner, false, at)?),
                        _ => all.extend(part.as_text().map(|it| text(it.to_owned()))),
                    }
                    part.extra.lose(&mut self.losses);
                }
                return Ok(all);
            }
        };
        self.name(media, named, &mut written, at);
        Ok(vec![written])
    }

    fn name(&mut self, media: &Media, named: bool, written: &mut Fields, at: &str) {
        let Some(name) = &media.name else { return };
        let inner = written.values_mut().next().and_then(Value::as_object_mut);
        match inner.filter(|_| named) {
            Some(inner) => drop(inner.insert("displayName".to_owned(), json!(name))),
            None => self.drop(at, Severity::Cosmetic, "media has no name in this dialect"),
        }
    }

    /// Bytes in the request: their type is what their first bytes say.
    fn inline(&mut self, media: &Media, data: &str, at: &str) -> Result<Fields, EncodeError> {
        let data = media::normalize_base64(data)
            .ok_or_else(|| refuse(at, "the data is not valid base64: send it in the standard alphabet"))?;
        let declared = media.media_type.as_deref();
        let Some(settled) = media::settle_type(declared, &data) else {
            return Err(refuse(at, "the data has no media type: say one, such as `image/png`"));
        };
        if declared.is_some_and(|it| it != settled) {
            self.approximate(at, Severity::Cosmetic, format!("the data is `{settled}`"));
        }
        Ok(object("inlineData", json!({"mimeType": settled, "data": data})))
    }

    /// A file by its address; Google wants to be told its type.
    fn by_url(&mut self, media: &Media, url: &str, at: &str) -> Result<Fields, EncodeError> {
        let known = media.media_type.as_deref().or_else(|| guess(url));
        if is_film(url) {
            return Ok(file(media, url, None));
        }
        if url.starts_with("gs://") {
            return match known {
                Some(it) => Ok(file(media, url, Some(it))),
                None => Err(refuse(
                    at,
                    "a file in Cloud Storage needs its media type: say it, such as `image/png`",
                )),
            };
        }
        if !url.starts_with("https://") && !url.starts_with("http://") {
            return Err(refuse(at, "only `https`, `http`, `gs` and `data` URLs can be sent to this model"));
        }
        if !self.abilities.media_urls {
            return Err(refuse(at, "this model takes no URLs: send the data itself"));
        }
        if let Some(it) = known {
            return Ok(file(media, url, Some(it)));
        }
        let assumed = match media.kind {
            MediaKind::Image => "image/jpeg",
            MediaKind::Document => "application/pdf",
            MediaKind::Audio => "audio/mpeg",
            MediaKind::Video => "video/mp4",
        };
        self.approximate(at, Severity::Cosmetic, format!("its type was not said: `{assumed}` was taken"));
        Ok(file(media, url, Some(assumed)))
    }
}

fn file(media: &Media, uri: &str, kind: Option<&str>) -> Fields {
    let mut inner = Fields::new();
    if let Some(kind) = kind.or(media.media_type.as_deref()) {
        inner.insert("mimeType".to_owned(), json!(kind));
    }
    inner.insert("fileUri".to_owned(), json!(uri));
    object("fileData", Value::Object(inner))
}

fn object(key: &str, value: Value) -> Fields {
    Fields::from_iter([(key.to_owned(), value)])
}

fn text(text: String) -> Fields {
    object("text", Value::from(text))
}
