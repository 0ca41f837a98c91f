//! Citations and searches of any dialect as Gemini's `groundingMetadata`.

use serde_json::{Map, Value, json};

use super::super::ID;
use crate::dialect::canonical::{Citation, PartKind, ServerStep};

/// What one candidate has its words from.
#[derive(Debug, Default)]
pub(in crate::dialect::gemini) struct Sources {
    /// Gemini's own words, if the answer came from there.
    own: Map<String, Value>,
    queries: Vec<String>,
    chunks: Vec<(String, Option<String>)>,
    supports: Vec<Value>,
}

/// A text that is cited: where it stands.
#[derive(Debug, Clone, Copy)]
pub(in crate::dialect::gemini) struct Cited<'t> {
    pub text: &'t str,
    /// How many bytes of text were told before it, if offsets count from there.
    pub from: usize,
    /// Its part's index, if offsets are of its own text.
    pub part: usize,
}

impl Sources {
    /// Takes a step in that is told here and not as a part; says whether it was one.
    pub(in crate::dialect::gemini) fn take(&mut self, kind: &PartKind) -> bool {
        let PartKind::ServerTool { dialect, raw, step } = kind else { return false };
        if *dialect == ID {
            let Some(fields) = raw.get("groundingMetadata").and_then(Value::as_object) else { return false };
            self.own.extend(fields.iter().map(|(key, value)| (key.clone(), value.clone())));
            return true;
        }
        match step {
            Some(ServerStep::WebSearch { queries, .. }) => self.queries.extend_from_slice(queries),
            Some(ServerStep::WebSearchResults { results, .. }) => {
                for result in results {
                    self.chunk(&result.url, result.title.as_deref());
                }
            }
            _ => return false,
        }
        true
    }

    /// Takes the citations of a text in; what has no address cannot be said.
    pub(in crate::dialect::gemini) fn cite(&mut self, citations: &[Citation], cited: Cited<'_>) {
        if citations.is_empty() {
            return;
        }
        let text = cited.text;
        let bytes: Vec<usize> = text.char_indices().map(|it| it.0).chain([text.len()]).collect();
        let byte = |character: usize| bytes.get(character).copied().unwrap_or(text.len());
        for citation in citations {
            let Some(url) = citation.url.as_deref() else { continue };
            let span = citation.span.as_ref().map_or(0..text.len(), |it| byte(it.start)..byte(it.end));
            let index = self.chunk(url, citation.title.as_deref());
            self.support(
                &text[span.start.min(span.end)..span.end],
                cited.from + span.start,
                cited.part,
                index,
            );
        }
    }

    fn support(&mut self, text: &str, start: usize, part: usize, chunk: usize) {
        let mut segment = json!({ "startIndex": start, "endIndex": start + text.len(), "text": text });
        if part > 0 {
            segment["partIndex"] = part.into();
        }
        match self.supports.last_mut() {
            Some(last) if last["segment"] == segment => {
                if let Some(indices) = last["groundingChunkIndices"].as_array_mut() {
                    indices.push(chunk.into());
                }
            }
            _ => self.supports.push(json!({ "segment": segment, "groundingChunkIndices": [chunk] })),
        }
    }

    /// The index of a source, which is listed once.
    fn chunk(&mut self, url: &str, title: Option<&str>) -> usize {
        self.chunks.iter().position(|it| it.0 == url).unwrap_or_else(|| {
            self.chunks.push((url.to_owned(), title.map(str::to_owned)));
            self.chunks.len() - 1
        })
    }

    /// Writes `groundingMetadata`, if there is anything to say. Gemini's own sources go as they came.
    pub(in crate::dialect::gemini) fn write(self) -> Option<Value> {
        let mut fields = self.own;
        if !fields.contains_key("groundingChunks") && !self.chunks.is_empty() {
            let chunk = |(url, title): &(String, Option<String>)| {
                let mut web = json!({ "uri": url });
                if let Some(title) = title {
                    web["title"] = title.as_str().into();
                }
                json!({ "web": web })
            };
            fields.insert("groundingChunks".to_owned(), self.chunks.iter().map(chunk).collect());
            if !self.supports.is_empty() {
                fields.insert("groundingSupports".to_owned(), self.supports.into());
            }
        }
        if !self.queries.is_empty() {
            fields.entry("webSearchQueries").or_insert_with(|| self.queries.into());
        }
        (!fields.is_empty()).then_some(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{
        DialectId,
        canonical::WebResult,
        gemini::response::grounding::{Passage, citations},
    };

    fn citation(url: &str, span: Option<std::ops::Range<usize>>) -> Citation {
        let plain = Citation::plain(DialectId::OpenaiChat, Value::Null);
        Citation { url: Some(url.to_owned()), title: Some("T".to_owned()), span, ..plain }
    }

    #[test]
    fn ec_199_characters_become_bytes_and_back() {
        let text = "Zürich: 東京 is far.";
        let mut sources = Sources::default();
        let asked = [citation("u1", Some(8..10)), citation("u2", Some(8..10)), citation("u1", None)];
        sources.cite(&asked, Cited { text, from: 0, part: 0 });
        let written = sources.write().unwrap();
        let segment = &written["groundingSupports"][0]["segment"];
        assert_eq!(segment["text"], "東京");
        assert_eq!(segment["startIndex"], 9);
        assert_eq!(written["groundingSupports"][0]["groundingChunkIndices"], json!([0, 1]));
        assert_eq!(written["groundingChunks"].as_array().unwrap().len(), 2);
        let first_two = json!({
            "groundingChunks": written["groundingChunks"],
            "groundingSupports": [written["groundingSupports"][0]]
        });
        let read = citations(first_two.as_object().unwrap(), &[Passage { part: None, text }]);
        assert_eq!(read.iter().map(|it| it.1.span.clone()).collect::<Vec<_>>(), [Some(8..10), Some(8..10)]);
    }

    #[test]
    fn another_dialects_search_is_told_as_queries_and_sources() {
        let mut sources = Sources::default();
        let dialect = DialectId::AnthropicMessages;
        let step = |step| PartKind::ServerTool { dialect, raw: Value::Null, step: Some(step) };
        let results = vec![WebResult { url: "u".to_owned(), title: None }];
        assert!(
            sources.take(&step(ServerStep::WebSearch { id: "1".to_owned(), queries: vec!["q".to_owned()] }))
        );
        assert!(sources.take(&step(ServerStep::WebSearchResults { call_id: "1".to_owned(), results })));
        assert!(!sources.take(&PartKind::Refusal { text: String::new() }));
        assert_eq!(
            sources.write().unwrap(),
            json!({"groundingChunks": [{"web": {"uri": "u"}}], "webSearchQueries": ["q"]})
        );
        assert_eq!(Sources::default().write(), None);
    }
}
