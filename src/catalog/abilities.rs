//! The table of what models can do: rows of data, the later and more specific ones over the earlier.
//!
//! Sources of the bundled rows: the providers' public model pages and API references, and what the official SDKs document.
//! They age. The configuration's own rows go over them.

use std::{collections::HashMap, sync::Arc};

use parking_lot::RwLock;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

use super::{Abilities, Glob, UpstreamModel};

const BUNDLED: &str = include_str!("abilities.json");
/// The most look-ups that are remembered: clients choose the names.
const MOST_REMEMBERED: usize = 4096;

/// What a row says, and of whom. A part that is absent fits everybody.
#[derive(Debug, Clone, PartialEq)]
pub struct AbilityRow {
    /// A dialect's name: how the model is asked.
    dialect: Option<String>,
    /// The upstream's kind or preset.
    kind: Option<Glob>,
    /// Fits the whole name, or what follows the last `/` (`openai/gpt-5`).
    model: Glob,
    /// Some fields of `Abilities`.
    fields: Map<String, Value>,
}

/// What is wrong with a row.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRow {
    #[error("`{0}` must be text")]
    NotText(&'static str),
    #[error("a row needs a `model`, which may be a pattern")]
    NoModel,
    #[error(transparent)]
    Field(#[from] serde_json::Error),
}

impl AbilityRow {
    /// Reads a row: `dialect`, `kind`, `model`, and some fields of `Abilities`.
    pub fn parse(mut fields: Map<String, Value>) -> Result<Self, InvalidRow> {
        let mut text = |key: &'static str| match fields.shift_remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(InvalidRow::NotText(key)),
        };
        let (dialect, kind, model) = (text("dialect")?, text("kind")?, text("model")?);
        let row = Self {
            dialect,
            kind: kind.map(|it| Glob::new(&it)),
            model: Glob::new(&model.ok_or(InvalidRow::NoModel)?),
            fields,
        };
        Abilities::deserialize(Value::Object(row.fields.clone()))?;
        Ok(row)
    }

    fn fits(&self, dialect: &str, kind: &str, model: &str) -> bool {
        let family = model.rsplit('/').next().unwrap_or(model);
        self.dialect.as_ref().is_none_or(|it| it == dialect)
            && self.kind.as_ref().is_none_or(|it| it.matches(kind))
            && (self.model.matches(model) || self.model.matches(family))
    }
}

impl<'de> Deserialize<'de> for AbilityRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(Map::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// What every model can do, by who is asked and how. Remembers what it was asked.
#[derive(Debug)]
pub struct AbilityTable {
    rows: Vec<AbilityRow>,
    remembered: RwLock<HashMap<UpstreamModel, Vec<Remembered>>>,
}

#[derive(Debug)]
struct Remembered {
    dialect: String,
    kind: String,
    abilities: Arc<Abilities>,
}

impl AbilityTable {
    /// Returns the table that comes with the program.
    pub fn bundled() -> Self {
        let rows = serde_json::from_str(BUNDLED).expect("a test reads the bundled table");
        Self { rows, remembered: RwLock::default() }
    }

    /// Puts `rows` over what is there.
    #[must_use]
    pub fn with_overrides(mut self, rows: impl IntoIterator<Item = AbilityRow>) -> Self {
        self.rows.extend(rows);
        self.remembered.get_mut().clear();
        self
    }

    /// Returns what `model` can do when it is asked in `dialect` at an upstream of `kind`.
    pub fn abilities(&self, dialect: &str, kind: &str, model: &UpstreamModel) -> Arc<Abilities> {
        let is_it = |it: &&Remembered| it.dialect == dialect && it.kind == kind;
        if let Some(known) = self.remembered.read().get(model).and_then(|all| all.iter().find(is_it)) {
            return known.abilities.clone();
        }
        let abilities = Arc::new(layered(&self.rows, dialect, kind, model));
        let mut remembered = self.remembered.write();
        if remembered.len() >= MOST_REMEMBERED {
            remembered.clear();
        }
        remembered.entry(model.clone()).or_default().push(Remembered {
            dialect: dialect.to_owned(),
            kind: kind.to_owned(),
            abilities: abilities.clone(),
        });
        abilities
    }
}

fn layered<'a>(
    rows: impl IntoIterator<Item = &'a AbilityRow>,
    dialect: &str,
    kind: &str,
    model: &UpstreamModel,
) -> Abilities {
    let mut fields = Map::new();
    for row in rows.into_iter().filter(|it| it.fits(dialect, kind, model.as_str())) {
        fields.extend(row.fields.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    Abilities::deserialize(Value::Object(fields)).expect("each field was read alone when its row was")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::model::{
        Effort::{High, Low, Max, Medium, Minimal, Xhigh},
        MaxTokensField, SamplingFields, SchemaProfile, StructuredOutput, ThinkingControl,
    };

    const CHAT: &str = "openai-chat";
    const MESSAGES: &str = "anthropic-messages";
    const RESPONSES: &str = "openai-responses";
    const GEMINI: &str = "gemini";

    /// A model for every row, and some for none but the general ones.
    const SAMPLES: &[(&str, &str, &[&str])] = &[
        (
            CHAT,
            "openai",
            &[
                "gpt-3.5-turbo",
                "gpt-4",
                "gpt-4-turbo",
                "gpt-4o",
                "gpt-4o-audio-preview",
                "gpt-4o-search-preview",
                "gpt-audio",
                "gpt-4.1-mini",
                "gpt-5",
                "gpt-5-chat-latest",
                "gpt-5-search-api",
                "gpt-5.1",
                "gpt-5.1-chat-latest",
                "gpt-5.2",
                "o1",
                "o1-mini",
                "o1-preview",
                "o3",
                "o3-mini",
                "o4-mini",
                "unheard-of",
            ],
        ),
        (
            CHAT,
            "openai-compatible",
            &[
                "gpt-5",
                "gpt-oss-120b",
                "deepseek-v3.2",
                "glm-4.5-air",
                "glm-4.6",
                "glm-4.5v",
                "kimi-k2-0905-preview",
                "kimi-k2.5",
                "qwen3-32b",
                "qwen3-coder",
                "grok-3",
                "grok-3-mini",
                "grok-4",
                "unheard-of",
            ],
        ),
        (CHAT, "openrouter", &["openai/gpt-5", "anthropic/claude-sonnet-4.5", "unheard/of"]),
        (CHAT, "zai-coding-plan", &["glm-4.6"]),
        (CHAT, "zhipu", &["glm-4.6"]),
        (CHAT, "moonshot", &["kimi-k2.5", "moonshot-v1-8k"]),
        (CHAT, "deepseek", &["deepseek-chat", "deepseek-reasoner"]),
        (CHAT, "mistral", &["mistral-large-latest"]),
        (CHAT, "groq", &["llama-3.3-70b-versatile"]),
        (CHAT, "cerebras", &["llama-4"]),
        (CHAT, "xai", &["grok-9"]),
        (CHAT, "nvidia", &["nemotron"]),
        (CHAT, "minimax", &["MiniMax-M2"]),
        (CHAT, "ollama", &["llama3.3"]),
        (CHAT, "vllm", &["meta/llama-4"]),
        (CHAT, "lm-studio", &["gemma-3"]),
        (CHAT, "llama.cpp", &["any"]),
        (
            MESSAGES,
            "anthropic",
            &[
                "claude-3-haiku-20240307",
                "claude-3-5-sonnet-20241022",
                "claude-3-7-sonnet-20250219",
                "claude-opus-4-20250514",
                "claude-sonnet-4-20250514",
                "claude-opus-4-1",
                "claude-sonnet-4-5",
                "claude-haiku-4-5-20251001",
                "claude-opus-4-5",
                "claude-opus-4-6",
                "claude-sonnet-4-6",
                "claude-opus-4-7",
                "claude-opus-4-8",
                "claude-opus-5",
                "claude-opus-5-5",
                "claude-sonnet-5",
                "claude-haiku-5",
                "claude-fable-5",
                "claude-mythos-5",
                "glm-4.6",
                "kimi-k2",
                "deepseek-v4",
                "qwen3-max",
                "MiniMax-M2",
                "unheard-of",
            ],
        ),
        (MESSAGES, "elsewhere", &["claude-sonnet-4-5", "unheard-of"]),
        (
            RESPONSES,
            "openai-responses",
            &[
                "gpt-4o",
                "gpt-4.1-mini",
                "gpt-5",
                "gpt-5-mini",
                "gpt-5-chat-latest",
                "gpt-5-codex",
                "gpt-5-pro",
                "gpt-5.1",
                "gpt-5.1-chat-latest",
                "gpt-5.1-codex",
                "gpt-5.1-codex-max",
                "gpt-5.2",
                "gpt-5.2-codex",
                "gpt-5.2-pro",
                "gpt-oss-120b",
                "codex-mini-latest",
                "o1",
                "o3",
                "o4-mini",
                "o3-mini",
                "unheard-of",
            ],
        ),
        (RESPONSES, "codex", &["gpt-5-codex"]),
        (
            GEMINI,
            "gemini",
            &[
                "gemini-1.5-pro",
                "gemini-2.0-flash",
                "gemini-2.5-pro",
                "gemini-2.5-flash",
                "gemini-2.5-flash-lite",
                "gemini-3-pro-preview",
                "gemini-3-flash",
                "gemini-3.1-pro-preview",
                "gemma-3-27b-it",
                "unheard-of",
            ],
        ),
        (GEMINI, "vertex", &["gemini-2.5-pro", "unheard-of"]),
        (GEMINI, "vertex-api-key", &["gemini-3-flash"]),
    ];

    fn model(name: &str) -> UpstreamModel {
        UpstreamModel::parse(name).unwrap()
    }

    fn abilities(dialect: &str, kind: &str, name: &str) -> Abilities {
        layered(&AbilityTable::bundled().rows, dialect, kind, &model(name))
    }

    fn claude(name: &str) -> Abilities {
        abilities(MESSAGES, "anthropic", name)
    }

    #[test]
    fn no_row_is_dead() {
        let table = AbilityTable::bundled();
        for skipped in 0..table.rows.len() {
            let others = || table.rows.iter().enumerate().filter(|it| it.0 != skipped).map(|it| it.1);
            let matters = SAMPLES.iter().any(|(dialect, kind, models)| {
                models.iter().any(|name| {
                    let model = model(name);
                    layered(&table.rows, dialect, kind, &model) != layered(others(), dialect, kind, &model)
                })
            });
            assert!(matters, "no sample would miss {:?}", table.rows[skipped]);
        }
    }

    #[test]
    fn a_model_nobody_heard_of_is_asked_cautiously() {
        let newest = claude("unheard-of");
        assert_eq!((newest.sampling, newest.thinking), (SamplingFields::None, ThinkingControl::Adaptive));
        assert_eq!((newest.prefill, newest.unknown_fields, newest.max_output_tokens), (false, false, None));
        let elsewhere = abilities(MESSAGES, "elsewhere", "unheard-of");
        let basics = Abilities {
            max_temperature_tenths: 10,
            structured_output: StructuredOutput::Tool,
            tool_result_media: true,
            max_stops: 1000,
            max_tool_name: 128,
            ..Abilities::default()
        };
        assert_eq!(elsewhere, basics);
        let chat = Abilities { cache_control: false, ..Abilities::default() };
        assert_eq!(abilities(CHAT, "openai-compatible", "unheard-of"), chat);
    }

    #[test]
    fn gemini_models_think_each_in_their_way() {
        let of = |name: &str| abilities(GEMINI, "gemini", name);
        let range = |name: &str| of(name).thinking_budget.map(|it| (it.least, it.most));
        assert_eq!(range("gemini-2.5-pro"), Some((128, 32_768)));
        assert_eq!(range("gemini-2.5-flash-preview-09-2025"), Some((0, 24_576)));
        assert_eq!(range("gemini-2.5-flash-lite"), Some((512, 24_576)));
        assert!(!of("gemini-2.5-pro").thinking_can_be_off && of("gemini-2.5-flash").thinking_can_be_off);
        assert_eq!(of("gemini-3-flash-preview").efforts, [Minimal, Low, Medium, High]);
        assert_eq!(of("gemini-3-pro-preview").efforts, [Low, High]);
        assert_eq!(of("gemini-2.0-flash").thinking, ThinkingControl::None);
        let unheard_of = of("gemini-flash-latest");
        assert_eq!(unheard_of.thinking, ThinkingControl::GeminiLevel);
        assert!(unheard_of.thought_signatures && !unheard_of.media_urls && !unheard_of.json_with_tools);
        assert!(of("gemini-3-flash").call_ids && !abilities(GEMINI, "vertex", "gemini-3-flash").call_ids);
    }

    #[test]
    fn claude_models_think_each_in_their_way() {
        let rows = [
            ("claude-3-5-sonnet-20241022", ThinkingControl::None, vec![]),
            ("claude-3-7-sonnet-20250219", ThinkingControl::Budget, vec![]),
            ("claude-sonnet-4-20250514", ThinkingControl::Budget, vec![]),
            ("claude-haiku-4-5-20251001", ThinkingControl::Budget, vec![]),
            ("claude-opus-4-5-20251101", ThinkingControl::Budget, vec![Low, Medium, High]),
            ("claude-opus-4-6", ThinkingControl::Adaptive, vec![Low, Medium, High, Max]),
            ("claude-sonnet-4-6", ThinkingControl::Adaptive, vec![Low, Medium, High, Max]),
            ("claude-opus-4-7", ThinkingControl::Adaptive, vec![Low, Medium, High, Xhigh, Max]),
            ("claude-sonnet-5", ThinkingControl::Adaptive, vec![Low, Medium, High, Xhigh, Max]),
            ("claude-fable-5", ThinkingControl::Always, vec![Low, Medium, High, Xhigh, Max]),
        ];
        for (name, thinking, efforts) in rows {
            let it = claude(name);
            assert_eq!((it.thinking, it.efforts), (thinking, efforts), "{name}");
        }
        assert!(!claude("claude-mythos-5").thinking_can_be_off);
        assert!(claude("claude-opus-5").thinking_can_be_off);
        assert_eq!(claude("claude-opus-5-5").thinking, ThinkingControl::Always);
    }

    #[test]
    fn sampling_goes_away_with_the_newer_claude_models() {
        let sampling = |name| claude(name).sampling;
        assert_eq!(sampling("claude-sonnet-4-20250514"), SamplingFields::All);
        for one in ["claude-opus-4-1-20250805", "claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-4-6"] {
            assert_eq!(sampling(one), SamplingFields::One, "{one}");
        }
        for none in ["claude-opus-4-7", "claude-opus-4-8", "claude-opus-5", "claude-sonnet-5"] {
            assert_eq!(sampling(none), SamplingFields::None, "{none}");
        }
    }

    #[test]
    fn a_prefill_and_a_schema_are_offered_where_they_are_taken() {
        assert!(claude("claude-sonnet-4-5").prefill && claude("claude-opus-4-5").prefill);
        assert!(!claude("claude-sonnet-4-6").prefill && !claude("claude-opus-5").prefill);
        assert_eq!(claude("claude-sonnet-4-5").structured_output, StructuredOutput::Native);
        assert_eq!(claude("claude-sonnet-4-20250514").structured_output, StructuredOutput::Tool);
    }

    #[test]
    fn models_that_search_know_the_field_for_it() {
        let of = |name: &str| abilities(CHAT, "openai", name);
        for name in ["gpt-4o-search-preview", "gpt-4o-mini-search-preview-2025-03-11", "gpt-5-search-api"] {
            let it = of(name);
            assert!(it.web_search_options && it.sampling == SamplingFields::None, "{name}");
        }
        for name in ["gpt-4o", "gpt-5", "gpt-5.2", "unheard-of"] {
            assert!(!of(name).web_search_options, "{name}");
        }
        assert!(of("gpt-5-search-api").efforts.is_empty());
    }

    #[test]
    fn picky_upstreams_have_a_profile_for_schemas() {
        for (dialect, kind, name, profile) in [
            (CHAT, "moonshot-cn", "kimi-k2.5", SchemaProfile::Moonshot),
            (CHAT, "deepseek", "deepseek-chat", SchemaProfile::Deepseek),
            (MESSAGES, "anthropic-compatible", "kimi-k2", SchemaProfile::Moonshot),
            (MESSAGES, "anthropic-compatible", "deepseek-v4", SchemaProfile::Deepseek),
            (CHAT, "vllm", "deepseek-v3.2", SchemaProfile::Full),
            (CHAT, "openai", "gpt-5", SchemaProfile::Full),
        ] {
            assert_eq!(abilities(dialect, kind, name).schema, profile, "{kind} {name}");
        }
        assert!(!abilities(CHAT, "vllm", "qwen3-32b").think_tags, "tags are for the operator to say");
    }

    #[test]
    fn limits_are_the_models_own() {
        let most = |name| claude(name).max_output_tokens;
        assert_eq!(most("claude-3-5-haiku-20241022"), Some(8192));
        assert_eq!(most("claude-opus-4-1"), Some(32000));
        assert_eq!(most("claude-sonnet-4-5"), Some(64000));
        assert_eq!(most("claude-opus-4-6"), Some(128_000));
        assert_eq!(abilities(CHAT, "openai", "gpt-4o-mini").max_output_tokens, Some(16384));
        assert_eq!(abilities(CHAT, "openai", "gpt-4.1").context_window, Some(1_047_576));
    }

    #[test]
    fn names_with_dots_vendors_and_regions_are_the_same_models() {
        for name in ["claude-opus-4.6", "us.anthropic.claude-opus-4-6-v1", "anthropic/claude-opus-4-6"] {
            assert_eq!(claude(name), claude("claude-opus-4-6"), "{name}");
        }
    }

    #[test]
    fn openai_reasoning_models_take_an_effort_and_no_temperature() {
        for name in ["o3", "o4-mini", "gpt-5", "gpt-5-mini", "gpt-5.2"] {
            let it = abilities(CHAT, "openai", name);
            assert_eq!((it.sampling, it.thinking), (SamplingFields::None, ThinkingControl::Effort), "{name}");
            assert_eq!(it.max_tokens_field, MaxTokensField::MaxCompletionTokens, "{name}");
            assert!(it.developer_role && !it.unknown_fields && !it.tool_result_media, "{name}");
        }
        let efforts = |name| {
            let it = abilities(CHAT, "openai", name);
            (it.efforts, it.thinking_can_be_off)
        };
        assert_eq!(efforts("o3"), (vec![Low, Medium, High], false));
        assert_eq!(efforts("gpt-5"), (vec![Minimal, Low, Medium, High], false));
        assert_eq!(efforts("gpt-5.1"), (vec![Low, Medium, High], true));
        assert_eq!(efforts("gpt-5.2"), (vec![Low, Medium, High, Xhigh], true));
        assert!(abilities(CHAT, "openai", "gpt-5").custom_tools);
        assert!(!abilities(CHAT, "openai", "o3").custom_tools);
    }

    #[test]
    fn models_asked_by_responses_have_their_own_rows() {
        let it = |name| abilities(RESPONSES, "openai-responses", name);
        let newest = it("unheard-of");
        assert_eq!((newest.sampling, newest.thinking), (SamplingFields::None, ThinkingControl::Effort));
        assert_eq!((newest.efforts, newest.custom_tools), (vec![Low, Medium, High], false));
        assert_eq!(it("gpt-5").efforts, vec![Minimal, Low, Medium, High]);
        assert!(it("gpt-5").custom_tools && it("gpt-5.1-codex").custom_tools && !it("o3").custom_tools);
        assert_eq!(
            (it("gpt-5.2").efforts, it("gpt-5.2").thinking_can_be_off),
            (vec![Low, Medium, High, Xhigh], true)
        );
        assert_eq!(it("gpt-5.1-codex").efforts, vec![Low, Medium, High]);
        assert_eq!(it("gpt-5.1-codex-max").efforts, vec![Low, Medium, High, Xhigh]);
        assert_eq!(
            (it("gpt-4.1").thinking, it("gpt-4.1").sampling),
            (ThinkingControl::None, SamplingFields::All)
        );
        let backend = abilities(RESPONSES, "codex", "gpt-5-codex");
        assert!(!backend.system_role && backend.refused_fields.contains(&"truncation".to_owned()));
    }

    #[test]
    fn an_openai_model_behind_a_plain_upstream_is_still_asked_in_its_way() {
        let it = abilities(CHAT, "openai-compatible", "gpt-5");
        assert_eq!(it.max_tokens_field, MaxTokensField::MaxCompletionTokens);
        assert_eq!(it.thinking, ThinkingControl::Effort);
        assert_eq!(
            abilities(CHAT, "openai-compatible", "llama-3").max_tokens_field,
            MaxTokensField::MaxTokens
        );
    }

    #[test]
    fn an_openai_model_is_told_no_unknown_fields_wherever_it_is() {
        let unknown = |kind: &str, model: &str| abilities(CHAT, kind, model).unknown_fields;
        assert!(!unknown("openai-compatible", "gpt-4o") && !unknown("openai-compatible", "o3"));
        assert!(unknown("openai-compatible", "gpt-oss-120b") && unknown("openrouter", "openai/gpt-5"));
    }

    #[test]
    fn presets_have_their_ways() {
        let openrouter = abilities(CHAT, "openrouter", "openai/gpt-5");
        assert_eq!(openrouter.thinking, ThinkingControl::ReasoningObject);
        assert_eq!(openrouter.max_tokens_field, MaxTokensField::MaxTokens);
        assert!(openrouter.cache_control);
        let deepseek = abilities(CHAT, "deepseek", "deepseek-reasoner");
        assert!(deepseek.wants_reasoning_back && !deepseek.images);
        assert_eq!(abilities(CHAT, "zai", "glm-4.6").thinking, ThinkingControl::ThinkingType);
        assert!(!abilities(CHAT, "mistral", "mistral-large-latest").unknown_fields);
        assert_eq!(abilities(CHAT, "moonshot-cn", "kimi-k2.5").max_temperature_tenths, 10);
    }

    #[test]
    fn an_operators_row_goes_over_the_bundled_ones() {
        let row =
            serde_json::json!({"kind": "vllm", "model": "my-*", "images": false, "context-window": 9000});
        let row: AbilityRow = serde_json::from_value(row).unwrap();
        let table = AbilityTable::bundled();
        assert!(table.abilities(CHAT, "vllm", &model("my-model")).images);
        let table = table.with_overrides([row]);
        let mine = table.abilities(CHAT, "vllm", &model("my-model"));
        assert_eq!((mine.images, mine.context_window, mine.documents), (false, Some(9000), false));
        assert!(table.abilities(CHAT, "vllm", &model("other")).images);
    }

    #[test]
    fn a_row_that_says_nonsense_is_refused() {
        let refused = |row: Value| serde_json::from_value::<AbilityRow>(row).unwrap_err().to_string();
        assert!(refused(serde_json::json!({"kind": "vllm"})).contains("needs a `model`"));
        assert!(refused(serde_json::json!({"model": 5})).contains("`model` must be text"));
        assert!(refused(serde_json::json!({"model": "*", "telepathy": true})).contains("telepathy"));
        assert!(refused(serde_json::json!({"model": "*", "sampling": "some"})).contains("some"));
    }

    #[test]
    fn a_look_up_is_remembered_and_memory_is_bounded() {
        let table = AbilityTable::bundled();
        let first = table.abilities(CHAT, "openai", &model("gpt-5"));
        assert!(Arc::ptr_eq(&first, &table.abilities(CHAT, "openai", &model("gpt-5"))));
        assert_ne!(first, table.abilities(CHAT, "openrouter", &model("gpt-5")));
        for number in 0..MOST_REMEMBERED + 10 {
            table.abilities(CHAT, "openai", &model(&format!("nonsense-{number}")));
        }
        assert!(table.remembered.read().len() <= MOST_REMEMBERED);
    }
}
