//! What Gemini says of its sources (`groundingMetadata`), read: citations, and the search as a step.

use std::ops::Range;

use serde_json::{Map, Value, json};

use super::{super::ID, part::text};
use crate::dialect::canonical::{Citation, Part, PartKind, ServerStep, WebResult, names::minted_id};

/// A text of the answer that can be cited.
#[derive(Debug, Clone, Copy)]
pub(in crate::dialect::gemini) struct Passage<'t> {
    /// Its part's index, if the answer came whole: in a stream offsets are of all text that was said.
    pub part: Option<u64>,
    pub text: &'t str,
}

/// A segment of the text, and what it has its words from.
struct Support<'g> {
    /// Bytes of all passages, one after another.
    span: Range<usize>,
    segment: &'g Value,
    chunks: Vec<&'g Value>,
}

/// Reads which passage has its words from where: each citation with the index of its passage, in the order of the text.
///
/// Offsets are bytes of UTF-8 and become characters. A segment that overlaps the one before it begins where that ends; one
/// that lies within it adds its sources to it.
pub(in crate::dialect::gemini) fn citations(
    grounding: &Map<String, Value>,
    passages: &[Passage<'_>],
) -> Vec<(usize, Citation)> {
    let mut cited: Vec<(usize, Citation)> = Vec::new();
    let mut counter = Counter { passages, passage: 0, start: 0, byte: 0, characters: 0 };
    let mut covered = 0;
    let mut last: Option<(usize, Range<usize>)> = None;
    for support in supports(grounding, passages) {
        let start = support.span.start.max(covered);
        if start < support.span.end {
            last = counter.characters(start..support.span.end).or(last);
            covered = support.span.end;
        }
        let Some((passage, span)) = &last else { continue };
        for chunk in support.chunks {
            let citation = citation(chunk, support.segment, span.clone());
            let is_told = cited
                .iter()
                .rev()
                .take_while(|it| it.1.span.as_ref() == Some(span))
                .any(|it| it.0 == *passage && it.1.url == citation.url && it.1.title == citation.title);
            if !is_told {
                cited.push((*passage, citation));
            }
        }
    }
    cited
}

fn supports<'g>(grounding: &'g Map<String, Value>, passages: &[Passage<'_>]) -> Vec<Support<'g>> {
    let list =
        |key: &str| grounding.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let chunks = list("groundingChunks");
    let whole: usize = passages.iter().map(|it| it.text.len()).sum();
    let mut supports: Vec<Support<'g>> = list("groundingSupports")
        .iter()
        .filter_map(|support| {
            let segment = support.get("segment")?;
            let offset =
                |key: &str| segment.get(key).and_then(Value::as_u64).and_then(|it| usize::try_from(it).ok());
            let base = base(passages, segment.get("partIndex").and_then(Value::as_u64));
            let end = base.saturating_add(offset("endIndex")?).min(whole);
            let indices = support.get("groundingChunkIndices").and_then(Value::as_array)?;
            let chunk = |it: &Value| chunks.get(usize::try_from(it.as_u64()?).ok()?);
            let start = base.saturating_add(offset("startIndex").unwrap_or(0));
            let span = start.min(end)..end;
            Some(Support { span, segment, chunks: indices.iter().filter_map(chunk).collect() })
        })
        .collect();
    supports.retain(|it| !it.span.is_empty());
    supports.sort_by_key(|it| it.span.start);
    supports
}

/// Where the passage of a part begins. An index that is of no passage counts from the beginning.
fn base(passages: &[Passage<'_>], part: Option<u64>) -> usize {
    let at = part.and_then(|part| passages.iter().position(|it| it.part == Some(part))).unwrap_or(0);
    passages[..at].iter().map(|it| it.text.len()).sum()
}

/// Counts characters, going forward only, so that many segments cost no more than one reading of the text.
struct Counter<'p> {
    passages: &'p [Passage<'p>],
    /// The passage it stands in, and where that begins among all bytes.
    passage: usize,
    start: usize,
    /// Where it stands in the passage, in bytes and in characters.
    byte: usize,
    characters: usize,
}

impl Counter<'_> {
    /// The characters of a span of bytes, in the passage where the span begins; a span that goes beyond it is cut.
    fn characters(&mut self, span: Range<usize>) -> Option<(usize, Range<usize>)> {
        while span.start >= self.start + self.passages.get(self.passage)?.text.len() {
            self.start += self.passages[self.passage].text.len();
            self.passage += 1;
            (self.byte, self.characters) = (0, 0);
        }
        let from = self.go_to(span.start - self.start);
        let to = self.go_to(span.end - self.start);
        (from < to).then_some((self.passage, from..to))
    }

    fn go_to(&mut self, byte: usize) -> usize {
        let text = self.passages[self.passage].text;
        let byte = text.floor_char_boundary(byte.min(text.len())).max(self.byte);
        self.characters += text[self.byte..byte].chars().count();
        self.byte = byte;
        self.characters
    }
}

fn citation(chunk: &Value, segment: &Value, span: Range<usize>) -> Citation {
    let (url, title) = source(chunk);
    Citation {
        dialect: ID,
        raw: json!({ "chunk": chunk, "segment": segment }),
        url,
        title,
        quote: segment.get("text").and_then(Value::as_str).map(str::to_owned),
        span: Some(span),
    }
}

/// The address and the title of a source, of whatever kind it is.
fn source(chunk: &Value) -> (Option<String>, Option<String>) {
    let found = ["web", "retrievedContext", "maps", "image"].iter().find_map(|it| chunk.get(it)?.as_object());
    match found {
        Some(it) => (text(it, "uri").or_else(|| text(it, "sourceUri")), text(it, "title")),
        None => (None, None),
    }
}

/// The search as steps: what was asked, then what was found. Each keeps its share of the fields as they came.
///
/// `told` says that the provider has told of its search in parts of the answer already.
pub(in crate::dialect::gemini) fn steps(grounding: Map<String, Value>, told: bool, seed: &str) -> Vec<Part> {
    let mut asked = Map::new();
    let mut found = grounding;
    found.retain(|_, it| !it.is_null());
    for key in ["webSearchQueries", "imageSearchQueries", "searchEntryPoint"] {
        asked.extend(found.shift_remove(key).map(|it| (key.to_owned(), it)));
    }
    let queries: Vec<String> = ["webSearchQueries", "imageSearchQueries"]
        .iter()
        .filter_map(|it| asked.get(*it)?.as_array())
        .flatten()
        .filter_map(|it| it.as_str().map(str::to_owned))
        .collect();
    let results: Vec<WebResult> = found
        .get("groundingChunks")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|it| it.get("web").is_some())
        .filter_map(|it| match source(it) {
            (Some(url), title) => Some(WebResult { url, title }),
            _ => None,
        })
        .collect();
    let is_search = !told && (!queries.is_empty() || !results.is_empty());
    if !is_search {
        asked.append(&mut found);
        return if asked.is_empty() { Vec::new() } else { vec![part(asked, None)] };
    }
    let id = minted_id(&format!("{seed}/search"));
    let call_id = id.clone();
    vec![
        part(asked, Some(ServerStep::WebSearch { id, queries })),
        part(found, Some(ServerStep::WebSearchResults { call_id, results })),
    ]
}

fn part(fields: Map<String, Value>, step: Option<ServerStep>) -> Part {
    let raw = Map::from_iter([("groundingMetadata".to_owned(), Value::Object(fields))]);
    Part::new(PartKind::ServerTool { dialect: ID, raw: Value::Object(raw), step })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::needless_pass_by_value, reason = "a case is written shorter so")]

    use super::*;

    fn grounding(supports: Value) -> Map<String, Value> {
        let value = json!({
            "groundingChunks": [
                {"web": {"uri": "https://a.example/", "title": "A"}},
                {"web": {"uri": "https://b.example/", "title": "B"}},
                {"retrievedContext": {"uri": "gs://c", "title": "C"}}
            ],
            "groundingSupports": supports,
        });
        value.as_object().unwrap().clone()
    }

    fn support(start: usize, end: usize, chunks: Value) -> Value {
        json!({"segment": {"startIndex": start, "endIndex": end}, "groundingChunkIndices": chunks})
    }

    fn told(supports: Value, texts: &[&str]) -> Vec<(usize, String, Range<usize>)> {
        let passages: Vec<Passage<'_>> = texts.iter().map(|text| Passage { part: None, text }).collect();
        citations(&grounding(supports), &passages)
            .into_iter()
            .map(|(at, it)| (at, it.url.unwrap(), it.span.unwrap()))
            .collect()
    }

    #[test]
    fn ec_199_offsets_are_bytes_and_become_characters() {
        let text = "Zürich: 東京 is far.";
        let end = text.find(" is").unwrap();
        let found = told(json!([support(9, end, json!([0]))]), &[text]);
        assert_eq!(found, [(0, "https://a.example/".to_owned(), 8..10)]);
        let cut: String = text.chars().skip(8).take(2).collect();
        assert_eq!(cut, "東京");
        // In the middle of a character, and beyond the end.
        assert_eq!(told(json!([support(2, 999, json!([0]))]), &[text])[0].2, 1..18);
    }

    #[test]
    fn ec_199_overlapping_supports_are_trimmed() {
        let a = |span| (0, "https://a.example/".to_owned(), span);
        let b = |span| (0, "https://b.example/".to_owned(), span);
        let text = "0123456789abcdef";
        let overlapping = json!([support(5, 15, json!([1])), support(0, 10, json!([0]))]);
        assert_eq!(told(overlapping, &[text]), [a(0..10), b(10..15)]);
        let within = json!([support(0, 10, json!([0])), support(2, 5, json!([0, 1]))]);
        assert_eq!(told(within, &[text]), [a(0..10), b(0..10)]);
    }

    #[test]
    fn a_segment_belongs_to_the_passage_it_begins_in() {
        let found = told(json!([support(4, 5, json!([0])), support(1, 2, json!([2]))]), &["abc", "defg"]);
        assert_eq!(found[0], (0, "gs://c".to_owned(), 1..2));
        assert_eq!(found[1], (1, "https://a.example/".to_owned(), 1..2));
        let passages = [Passage { part: Some(1), text: "abc" }, Passage { part: Some(3), text: "defg" }];
        let by_part = json!([{"segment": {"partIndex": 3, "endIndex": 2}, "groundingChunkIndices": [0]}]);
        let found = citations(&grounding(by_part), &passages);
        assert_eq!((found[0].0, found[0].1.span.clone()), (1, Some(0..2)));
    }

    #[test]
    fn what_points_nowhere_cites_nothing() {
        let odd = json!([support(5, 3, json!([0])), support(0, 3, json!([9, "x"])), {"segment": 1}, null]);
        assert!(told(odd, &["abcdef"]).is_empty());
        assert!(told(json!([support(0, 3, json!([0]))]), &[]).is_empty());
    }

    #[test]
    fn a_search_is_told_as_two_steps_that_belong_together() {
        let mut fields = grounding(json!([]));
        fields.insert("webSearchQueries".to_owned(), json!(["q1", "q2"]));
        let parts = steps(fields.clone(), false, "r");
        let step = |at: usize| match &parts[at].kind {
            PartKind::ServerTool { step: Some(step), .. } => step.clone(),
            _ => panic!("no step"),
        };
        let ServerStep::WebSearch { id, queries } = step(0) else { panic!("no search") };
        assert_eq!(queries, ["q1", "q2"]);
        let ServerStep::WebSearchResults { call_id, results } = step(1) else { panic!("no results") };
        assert_eq!((call_id, results.len()), (id, 2));
        assert_eq!(steps(fields, true, "r").len(), 1, "it was told already");
        assert!(steps(Map::new(), false, "r").is_empty());
    }
}
