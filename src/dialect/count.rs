//! How many tokens a request has, counted without its upstream: rounded up.
//!
//! An estimate that is too low makes a client go on until the upstream refuses its prompt; one that is too high makes it
//! compact a little early. So every number here errs upwards.

use super::{
    beside::true_length,
    canonical::{ChatRequest, Media, MediaKind, MediaSource, OutputFormat, Part, PartKind, Tool, ToolKind},
    tokenizer::Family,
};

/// What the envelope of any request costs.
const REQUEST: u64 = 16;
/// Role and separators of a message; OpenAI's published recipe has 3 or 4, other templates up to 7.
const MESSAGE: u64 = 8;
/// A tool's name, type and separators, beside its texts.
const TOOL: u64 = 16;
/// The system prompt that tools bring with them: Anthropic's documentation has 290 to 530 by model.
const TOOLS: u64 = 530;
/// An image of the largest size that is not scaled down: about 1,600 at Anthropic, at most 1,445 at OpenAI (detail `high`).
const IMAGE: u64 = 1_600;
/// A page of a PDF: up to 3,000 of text and an image of it (Anthropic's documentation).
const PAGE: u64 = 4_600;
/// Bytes of a PDF that are one page at least: text and a few drawings.
const PAGE_BYTES: u64 = 50_000;
/// Pages that are read of one document.
const MAX_PAGES: u64 = 100;
/// Media that are elsewhere, so that their size is not known.
const UNSEEN: u64 = 10_000;
/// Bytes of compressed speech that are one token: 10 tokens and 4,000 bytes a second.
const AUDIO_BYTES: u64 = 400;
/// Strings of a body that are this long and look like base64 are taken for media.
const MEDIA_STRING: usize = 4_096;

/// Bytes of text that are one token: four of English prose, three of code or JSON. Other scripts have more bytes a
/// character, so three suffice for them too.
const TEXT: u64 = 3;

/// Text that is cut into tokens for one estimate, in bytes; what is beyond is counted by its characters.
const EXACT: usize = 256 << 10;

/// Estimates the tokens of a request's prompt, tools included, as models of a family count.
pub fn estimate(request: &ChatRequest, family: Family) -> u64 {
    let mut counter = Counter { family, exact: EXACT };
    let mut total = REQUEST;
    for turn in &request.conversation.turns {
        total += MESSAGE + turn.name.as_deref().map_or(0, |it| counter.text(it));
        total += turn.parts.iter().map(|it| counter.part(it)).sum::<u64>();
    }
    if !request.tools.is_empty() {
        total += TOOLS + request.tools.iter().map(|it| counter.tool(it)).sum::<u64>();
    }
    if let OutputFormat::JsonSchema { schema, description, .. } = &request.output {
        total += TOOL + counter.text(&schema.to_string());
        total += description.as_deref().map_or(0, |it| counter.text(it));
    }
    total
}

/// Estimates the tokens of so many bytes of text, where it is not at hand.
pub fn estimate_text(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(TEXT)
}

/// Estimates the tokens of a request's body without reading it: its text by length, strings that look like base64 as
/// media. For the verbatim lane, where nothing is decoded.
pub fn estimate_scan(body: &[u8]) -> u64 {
    let (beside, text_bytes) = scan(body);
    beside + text_bytes.div_ceil(TEXT)
}

/// The same, not added up: the tokens of what is no text, and the bytes of what is.
pub(super) fn scan(body: &[u8]) -> (u64, u64) {
    let (mut media_bytes, mut media) = (0, 0);
    let mut from = 0;
    for at in memchr::memchr_iter(b'"', body) {
        let string = &body[from..at];
        if string.len() >= MEDIA_STRING && is_base64(string) {
            media_bytes += string.len();
            media += document_tokens(string.len() as u64 / 4 * 3).max(IMAGE);
        }
        from = at + 1;
    }
    (REQUEST + TOOLS + media, (body.len() - media_bytes) as u64)
}

/// Whether a long string is base64, judged by its middle: a data URL has a head of its own.
pub(super) fn is_base64(string: &[u8]) -> bool {
    let middle = &string[string.len() / 2..][..256];
    middle.iter().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'+' | b'/' | b'-' | b'_' | b'='))
}

/// Counts a text by its characters, in sixths of a token: ASCII a third; other alphabets one; Chinese, Japanese and Korean
/// one and a half; what is beyond the Basic Multilingual Plane (emoji) three.
fn text_tokens(text: &str) -> u64 {
    let sixths: u64 = text
        .chars()
        .map(|it| match u32::from(it) {
            0..0x80 => 2,
            0x80..0x2E80 => 6,
            0x2E80..0x1_0000 => 9,
            _ => 18,
        })
        .sum();
    sixths.div_ceil(6)
}

/// Counts one request.
struct Counter {
    family: Family,
    /// Bytes that may still be cut into tokens.
    exact: usize,
}

impl Counter {
    fn text(&mut self, text: &str) -> u64 {
        if true_length(text) > text.len() {
            return estimate_text(true_length(text));
        }
        match self.exact.checked_sub(text.len()) {
            Some(left) => {
                self.exact = left;
                self.family.count(text)
            }
            None => text_tokens(text),
        }
    }

    fn part(&mut self, part: &Part) -> u64 {
        match &part.kind {
            PartKind::Text { text, .. } | PartKind::Refusal { text } => self.text(text),
            PartKind::Reasoning { text, state } => {
                // What is encrypted is about as long as what it hides.
                self.text(text).max(state.as_ref().map_or(0, |it| estimate_text(it.data.len() / 4 * 3)))
            }
            PartKind::ToolCall(call) => {
                TOOL + self.text(&call.id) + self.text(&call.name) + self.text(&call.arguments.0)
            }
            PartKind::ToolResult(result) => {
                MESSAGE
                    + self.text(&result.call_id)
                    + result.content.iter().map(|it| self.part(it)).sum::<u64>()
            }
            PartKind::Media(media) => self.media(media),
            PartKind::ServerTool { raw, .. } | PartKind::Opaque { raw, .. } => self.text(&raw.to_string()),
        }
    }

    fn media(&mut self, media: &Media) -> u64 {
        let name = media.name.as_deref().map_or(0, |it| self.text(it));
        name + match (&media.source, media.kind) {
            (MediaSource::Text(text), _) => self.text(text),
            (MediaSource::Parts(parts), _) => parts.iter().map(|it| self.part(it)).sum(),
            (_, MediaKind::Image) => IMAGE,
            (MediaSource::Inline(base64), MediaKind::Document) => {
                document_tokens(true_length(base64) as u64 / 4 * 3)
            }
            (MediaSource::Inline(base64), MediaKind::Audio) => {
                (true_length(base64) as u64 / 4 * 3).div_ceil(AUDIO_BYTES)
            }
            _ => UNSEEN,
        }
    }

    fn tool(&mut self, tool: &Tool) -> u64 {
        let schema = tool.schema.as_ref().map_or(0, |it| self.text(&it.to_string()));
        let raw = match &tool.kind {
            ToolKind::Function | ToolKind::Custom { format: None } => 0,
            ToolKind::Custom { format: Some(raw) } => self.text(&raw.to_string()),
            // A tool that the provider describes itself has a long description that we do not see.
            ToolKind::Builtin { raw, .. } => TOOLS + self.text(&raw.to_string()),
        };
        let description = tool.description.as_deref().map_or(0, |it| self.text(it));
        TOOL + self.text(&tool.name) + description + schema + raw
    }
}

fn document_tokens(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE_BYTES).clamp(1, MAX_PAGES) * PAGE
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        catalog::ModelName,
        dialect::canonical::{Conversation, Extra, Reasoning, Role, Sampling, StreamRequest, ToolKind, Turn},
    };

    fn request(parts: Vec<Part>, tools: Vec<Tool>) -> ChatRequest {
        let turn = Turn {
            role: Role::User,
            parts,
            plain: false,
            name: None,
            at: "/messages/0".into(),
            extra: Extra::default(),
        };
        ChatRequest {
            model: ModelName::parse("m").unwrap(),
            conversation: Conversation { turns: vec![turn] },
            tools,
            tool_choice: None,
            parallel_tool_calls: None,
            output: OutputFormat::Text,
            sampling: Sampling::default(),
            max_tokens: None,
            stop: Vec::new(),
            reasoning: Reasoning::default(),
            end_user: None,
            metadata: None,
            service_tier: None,
            prompt_cache_key: None,
            store: None,
            previous_response: None,
            stream: StreamRequest::default(),
            legacy_functions: false,
            extra: Extra::default(),
        }
    }

    fn media(kind: MediaKind, source: MediaSource) -> Part {
        Part::new(PartKind::Media(Media { kind, source, media_type: None, name: None, detail: None }))
    }

    #[test]
    fn texts_are_counted_upwards() {
        assert_eq!(text_tokens(""), 0);
        assert_eq!(text_tokens("a"), 1);
        assert_eq!(text_tokens("The quick brown fox jumps over the lazy dog."), 15);
        assert_eq!(text_tokens("你好世界"), 6);
        assert_eq!(text_tokens("😀"), 3);
    }

    #[test]
    fn ec_038_an_estimate_counts_tools_and_never_falls_short() {
        let tool = Tool {
            kind: ToolKind::Function,
            namespaced: None,
            name: "read_file".into(),
            description: Some("Reads a file".into()),
            schema: Some(json!({ "type": "object", "properties": { "path": { "type": "string" } } })),
            strict: None,
            cache: None,
            at: "/tools/0".to_owned(),
            extra: Extra::default(),
        };
        let without = estimate(&request(vec![Part::text("hello")], vec![]), Family::Other);
        let with = estimate(&request(vec![Part::text("hello")], vec![tool]), Family::Other);
        assert!(without >= 10);
        assert!(with > without + TOOLS);
    }

    #[test]
    fn images_cost_the_same_at_any_size_and_documents_by_theirs() {
        let inline = |bytes: usize| MediaSource::Inline("A".repeat(bytes / 3 * 4));
        let of = |part: Part| estimate(&request(vec![part], vec![]), Family::Openai);
        let nothing = estimate(&request(vec![], vec![]), Family::Openai);
        assert_eq!(of(media(MediaKind::Image, inline(3_000_000))) - nothing, IMAGE);
        assert_eq!(of(media(MediaKind::Document, inline(30))) - nothing, PAGE);
        assert_eq!(of(media(MediaKind::Document, inline(120_000))) - nothing, 3 * PAGE);
        assert_eq!(of(media(MediaKind::Document, MediaSource::Url("u".into()))) - nothing, UNSEEN);
        assert_eq!(of(media(MediaKind::Document, MediaSource::Text("abcdef".into()))) - nothing, 1);
    }

    #[test]
    fn a_body_is_estimated_without_its_base64() {
        let image = "iVBORw0KGgo".repeat(100_000);
        let body =
            json!({ "text": "a".repeat(300), "url": format!("data:image/png;base64,{image}") }).to_string();
        let tokens = estimate_scan(body.as_bytes());
        assert!(tokens > 100 + IMAGE && tokens < 100_000, "{tokens}");
        let prose = json!({ "text": "four words of prose ".repeat(1_000) }).to_string();
        assert!(estimate_scan(prose.as_bytes()) > 20_000 / 3);
    }
}
