//! What is known of each provider's models without asking: rows by the beginning of the name.
//!
//! From the providers' model pages. An operator's own rows (`AbilityRow`) go before these.

use crate::catalog::{
    Abilities, UpstreamModel,
    model::{Effort, MaxTokensField, SamplingFields, StructuredOutput, ThinkingControl},
};

use Effort::{High, Low, Max, Medium, Minimal, Xhigh};

/// `OpenAI`'s own: unknown fields are answered with 400.
pub(super) fn openai(model: &UpstreamModel) -> Abilities {
    let name = family(model);
    let plain = Abilities {
        max_tokens_field: MaxTokensField::MaxCompletionTokens,
        unknown_fields: false,
        cache_control: false,
        prefill: false,
        developer_role: true,
        efforts: Vec::new(),
        ..Abilities::default()
    };
    if !is_reasoning(name) {
        return plain;
    }
    let fifth = name.starts_with("gpt-5");
    // From gpt-5.1 on there is `none` and no `minimal`.
    let can_be_off = fifth && name.as_bytes().get(5) == Some(&b'.');
    Abilities {
        sampling: SamplingFields::None,
        thinking: ThinkingControl::Effort,
        efforts: match (fifth, can_be_off) {
            (true, false) => vec![Minimal, Low, Medium, High],
            (true, true) if !name.starts_with("gpt-5.1") || name.contains("codex-max") => {
                vec![Low, Medium, High, Xhigh]
            }
            _ => vec![Low, Medium, High],
        },
        thinking_can_be_off: can_be_off,
        custom_tools: fifth,
        ..plain
    }
}

fn is_reasoning(name: &str) -> bool {
    let o_series = name.starts_with('o') && name.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    o_series || (name.starts_with("gpt-5") && !name.contains("chat"))
}

/// The rows of the Claude models: beginning of the name, sampling, thinking, effort levels.
const CLAUDE: &[(&str, SamplingFields, ThinkingControl, &[Effort])] = &[
    ("claude-fable", SamplingFields::None, ThinkingControl::Always, ALL),
    ("claude-mythos", SamplingFields::None, ThinkingControl::Always, ALL),
    ("claude-opus-5", SamplingFields::None, ThinkingControl::Adaptive, ALL),
    ("claude-sonnet-5", SamplingFields::None, ThinkingControl::Adaptive, ALL),
    ("claude-haiku-5", SamplingFields::None, ThinkingControl::Adaptive, ALL),
    ("claude-opus-4-8", SamplingFields::None, ThinkingControl::Adaptive, ALL),
    ("claude-opus-4-7", SamplingFields::None, ThinkingControl::Adaptive, ALL),
    ("claude-opus-4-6", SamplingFields::One, ThinkingControl::Adaptive, &[Low, Medium, High, Max]),
    ("claude-sonnet-4-6", SamplingFields::One, ThinkingControl::Adaptive, &[Low, Medium, High, Max]),
    ("claude-opus-4-5", SamplingFields::One, ThinkingControl::Budget, &[Low, Medium, High]),
    ("claude-sonnet-4-5", SamplingFields::One, ThinkingControl::Budget, &[]),
    ("claude-haiku-4-5", SamplingFields::One, ThinkingControl::Budget, &[]),
    ("claude-opus-4-1", SamplingFields::One, ThinkingControl::Budget, &[]),
    ("claude-opus-4", SamplingFields::All, ThinkingControl::Budget, &[]),
    ("claude-sonnet-4", SamplingFields::All, ThinkingControl::Budget, &[]),
    ("claude-3-7", SamplingFields::All, ThinkingControl::Budget, &[]),
    ("claude-3", SamplingFields::All, ThinkingControl::None, &[]),
];
const ALL: &[Effort] = &[Low, Medium, High, Xhigh, Max];

/// Anthropic's own, and what others offer behind its interface.
pub(super) fn anthropic(model: &UpstreamModel) -> Abilities {
    let name = family(model);
    let base = Abilities {
        max_temperature_tenths: 10,
        unknown_fields: false,
        tool_result_media: true,
        max_tool_name: 128,
        ..Abilities::default()
    };
    let Some((_, sampling, thinking, efforts)) = CLAUDE.iter().find(|it| name.starts_with(it.0)) else {
        // Somebody else's model: it takes what Messages had from the beginning.
        return Abilities { structured_output: StructuredOutput::Tool, ..base };
    };
    let adaptive = matches!(thinking, ThinkingControl::Adaptive | ThinkingControl::Always);
    let recent = adaptive || ["-4-5", "-4-1"].iter().any(|it| name.contains(it));
    Abilities {
        sampling: *sampling,
        thinking: *thinking,
        efforts: efforts.to_vec(),
        thinking_can_be_off: *thinking != ThinkingControl::Always,
        structured_output: if recent { StructuredOutput::Native } else { StructuredOutput::Tool },
        prefill: !adaptive,
        ..base
    }
}

/// A Chat server of which nothing else is known.
pub(super) fn compatible(_: &UpstreamModel) -> Abilities {
    Abilities::default()
}

pub(super) fn openrouter(_: &UpstreamModel) -> Abilities {
    Abilities {
        thinking: ThinkingControl::ReasoningObject,
        efforts: vec![Minimal, Low, Medium, High, Xhigh],
        ..Abilities::default()
    }
}

/// GLM: `thinking: {type}`, and no schema for the answer.
pub(super) fn thinking_type(_: &UpstreamModel) -> Abilities {
    Abilities {
        thinking: ThinkingControl::ThinkingType,
        structured_output: StructuredOutput::JsonObject,
        cache_control: false,
        ..Abilities::default()
    }
}

pub(super) fn kimi(model: &UpstreamModel) -> Abilities {
    Abilities { wants_reasoning_back: true, ..thinking_type(model) }
}

pub(super) fn deepseek(model: &UpstreamModel) -> Abilities {
    Abilities { wants_reasoning_back: true, images: false, documents: false, ..thinking_type(model) }
}

/// Mistral answers unknown fields with 422.
pub(super) fn mistral(_: &UpstreamModel) -> Abilities {
    Abilities { unknown_fields: false, stream_options: false, cache_control: false, ..Abilities::default() }
}

pub(super) fn nvidia(_: &UpstreamModel) -> Abilities {
    Abilities { stream_options: false, cache_control: false, ..Abilities::default() }
}

/// The name without a vendor's prefix (`anthropic/claude-…`).
fn family(model: &UpstreamModel) -> &str {
    let name = model.as_str();
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str) -> UpstreamModel {
        UpstreamModel::parse(name).unwrap()
    }

    #[test]
    fn reasoning_models_take_no_sampling_and_an_effort() {
        for name in ["o3", "o4-mini", "gpt-5", "gpt-5-mini", "gpt-5.1", "gpt-5.2-codex"] {
            let it = openai(&model(name));
            assert_eq!(it.sampling, SamplingFields::None, "{name}");
            assert_eq!(it.thinking, ThinkingControl::Effort, "{name}");
        }
        for name in ["gpt-4o", "gpt-4.1", "gpt-5-chat-latest", "omni-moderation"] {
            assert_eq!(openai(&model(name)).thinking, ThinkingControl::None, "{name}");
        }
    }

    #[test]
    fn effort_levels_follow_the_version() {
        assert_eq!(openai(&model("gpt-5")).efforts, [Minimal, Low, Medium, High]);
        assert!(!openai(&model("gpt-5")).thinking_can_be_off);
        assert_eq!(openai(&model("gpt-5.1")).efforts, [Low, Medium, High]);
        assert!(openai(&model("gpt-5.1")).thinking_can_be_off);
        assert_eq!(openai(&model("gpt-5.2")).efforts, [Low, Medium, High, Xhigh]);
        assert_eq!(openai(&model("o3")).efforts, [Low, Medium, High]);
    }

    #[test]
    fn claude_models_think_each_in_their_way() {
        let rows = [
            ("claude-3-5-sonnet-20241022", ThinkingControl::None),
            ("claude-3-7-sonnet-20250219", ThinkingControl::Budget),
            ("claude-sonnet-4-20250514", ThinkingControl::Budget),
            ("claude-sonnet-4-5", ThinkingControl::Budget),
            ("anthropic/claude-opus-4-6", ThinkingControl::Adaptive),
            ("claude-opus-4-7", ThinkingControl::Adaptive),
            ("claude-sonnet-5", ThinkingControl::Adaptive),
            ("claude-fable-5", ThinkingControl::Always),
            ("glm-4.6", ThinkingControl::None),
        ];
        for (name, thinking) in rows {
            assert_eq!(anthropic(&model(name)).thinking, thinking, "{name}");
        }
        assert_eq!(anthropic(&model("claude-opus-4-7")).sampling, SamplingFields::None);
        assert_eq!(anthropic(&model("claude-sonnet-4-5")).sampling, SamplingFields::One);
    }
}
