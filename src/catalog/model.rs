//! What a model can do and how its upstream wants to be asked: data, never code in a codec.

use serde::{Deserialize, Serialize};

/// How much a model should think, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

/// Which sampling fields a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SamplingFields {
    All,
    /// Temperature or `top_p`, not both (Claude 4.1 and later).
    One,
    /// None: a request with `temperature`, `top_p` or `top_k` is answered with 400.
    None,
}

/// How a model is asked to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThinkingControl {
    /// It cannot, or the request may not say.
    None,
    /// Anthropic, before Opus 4.6: `thinking: {type: enabled, budget_tokens}`.
    Budget,
    /// Anthropic, from 4.6: `thinking: {type: adaptive}` and `output_config.effort`.
    Adaptive,
    /// It always thinks; neither `thinking` nor `disabled` may be sent. `output_config.effort` may.
    Always,
    /// OpenAI: `reasoning_effort`.
    Effort,
    /// GLM, Kimi and others with a Chat interface: `thinking: {type: enabled | disabled}`.
    ThinkingType,
    /// `OpenRouter`: `reasoning: {effort | max_tokens}`.
    ReasoningObject,
    /// Gemini 2.5: `thinkingConfig.thinkingBudget`, within `Abilities::thinking_budget`.
    GeminiBudget,
    /// Gemini 3 and later: `thinkingConfig.thinkingLevel`.
    GeminiLevel,
}

/// The budgets of thinking a model takes, in tokens; both ends are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetRange {
    pub least: u64,
    pub most: u64,
}

/// How a model is told a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SchemaProfile {
    /// As JSON Schema, untouched.
    Full,
    /// As the subset of `OpenAPI` 3.0 that Gemini's `Schema` is.
    OpenApi,
    /// Without the patterns that Rust's `regex` cannot read; the arguments of a tool are an object.
    Deepseek,
    /// As Moonshot's own subset, which is refused what is not in it.
    Moonshot,
    /// Without patterns that look ahead or behind.
    Openai,
}

/// How a JSON schema for the answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StructuredOutput {
    /// `response_format: json_schema` (Chat), `output_config.format` (Messages).
    Native,
    /// `response_format: json_object` and the schema in the system prompt.
    JsonObject,
    /// A tool whose arguments are the answer.
    Tool,
    /// Only by asking.
    Prompt,
}

/// Which field limits the answer in a Chat request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    MaxTokens,
    MaxCompletionTokens,
}

/// What a model can do at its upstream, and how it wants to be asked. `Default` is the cautious answer for an unknown model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "a table row: each is a separate fact")]
pub struct Abilities {
    /// Tokens of prompt and answer together, where known.
    pub context_window: Option<u64>,
    /// The most an answer may have, where known.
    pub max_output_tokens: Option<u64>,
    pub sampling: SamplingFields,
    /// The highest temperature (1 for Messages, 2 for Chat), in tenths.
    pub max_temperature_tenths: u32,
    pub thinking: ThinkingControl,
    /// The levels of effort the model has, in order; empty: it has none.
    pub efforts: Vec<Effort>,
    /// Whether thinking can be turned off.
    pub thinking_can_be_off: bool,
    pub max_tokens_field: MaxTokensField,
    pub structured_output: StructuredOutput,
    /// Whether the last turn may be the assistant's, to be continued.
    pub prefill: bool,
    /// Whether role `system` may stand between the turns (Messages).
    pub system_between_turns: bool,
    /// Whether a tool may be forced while the model thinks.
    pub forced_tool_while_thinking: bool,
    pub images: bool,
    pub documents: bool,
    pub audio: bool,
    /// Whether tool results may hold images (Chat: text only on OpenAI itself).
    pub tool_result_media: bool,
    /// Whether the upstream wants its `reasoning_content` back beside tool calls (Kimi, DeepSeek).
    pub wants_reasoning_back: bool,
    /// Whether the upstream takes fields nobody told it of (clones often do, OpenAI and Anthropic answer 400).
    pub unknown_fields: bool,
    /// Whether `stream_options` is understood (Chat).
    pub stream_options: bool,
    /// Whether the upstream understands `cache_control`.
    pub cache_control: bool,
    /// How many stop sequences are taken.
    pub max_stops: usize,
    /// Whether role `developer` is understood (Chat).
    pub developer_role: bool,
    /// Whether role `system` is understood (Responses); if not, it is told as `developer`.
    pub system_role: bool,
    /// Fields of a request that are left out because the upstream refuses them, whoever set them (Responses).
    pub refused_fields: Vec<String>,
    /// Whether tools of type `custom` are understood (Chat).
    pub custom_tools: bool,
    /// The longest tool name, in characters.
    pub max_tool_name: usize,
    /// Whether text alone may be an array of parts in every role (Chat: OpenAI and few others; templates of
    /// open models often print the array).
    pub text_parts: bool,
    /// The budgets of thinking that are taken, where they are told in tokens (Gemini 2.5).
    pub thinking_budget: Option<BudgetRange>,
    /// Whether calls and their results may have ids (Gemini: not on Vertex and not before 2.5).
    pub call_ids: bool,
    /// Whether the first call of each step of the current turn must have its thought signature (Gemini 3).
    pub thought_signatures: bool,
    /// How the schemas of tools and answers are told.
    pub schema: SchemaProfile,
    /// Whether an answer may have a schema while there are tools (Gemini: from 3).
    pub json_with_tools: bool,
    /// Whether the upstream fetches media by URL; if not, someone must fetch it before the request is written.
    pub media_urls: bool,
    /// Whether the provider's own tools may stand beside functions (Gemini: from 3).
    pub server_tools_with_functions: bool,
    /// Whether the model searches the web and takes `web_search_options` (Chat).
    pub web_search_options: bool,
    /// Whether answers may begin with their reasoning between `<think>` and `</think>` (Chat: open models whose server has
    /// no parser for it). It is told as reasoning then, which costs the bytes' passing untouched.
    pub think_tags: bool,
}

impl Default for Abilities {
    fn default() -> Self {
        Self {
            context_window: None,
            max_output_tokens: None,
            sampling: SamplingFields::All,
            max_temperature_tenths: 20,
            thinking: ThinkingControl::None,
            efforts: Vec::new(),
            thinking_can_be_off: true,
            max_tokens_field: MaxTokensField::MaxTokens,
            structured_output: StructuredOutput::Native,
            prefill: true,
            system_between_turns: false,
            forced_tool_while_thinking: false,
            images: true,
            documents: true,
            audio: false,
            tool_result_media: false,
            wants_reasoning_back: false,
            unknown_fields: true,
            stream_options: true,
            cache_control: true,
            max_stops: 4,
            developer_role: false,
            system_role: true,
            refused_fields: Vec::new(),
            custom_tools: false,
            max_tool_name: 64,
            text_parts: false,
            thinking_budget: None,
            call_ids: true,
            thought_signatures: false,
            schema: SchemaProfile::Full,
            json_with_tools: true,
            media_urls: true,
            server_tools_with_functions: true,
            web_search_options: false,
            think_tags: false,
        }
    }
}
