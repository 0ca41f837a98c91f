//! Tokens as a model would cut a text, without asking anyone: OpenAI's published tables, and a margin for who has others.
//!
//! The tables are in the binary and unfolded when they are first used: some 70 megabytes and a tenth of a second, so never
//! in a process that does not need them. A text takes time in proportion to its length: about 20 nanoseconds a byte, and a
//! microsecond at worst (a long line of `=` or `-`). So whoever counts says how much of it.

use bpe_openai::Tokenizer;

/// Whose models count how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// GPT-4o and later, the o series, gpt-oss: `o200k_base`, exactly.
    Openai,
    /// GPT-4 and GPT-3.5: `cl100k_base`, exactly.
    OpenaiOlder,
    /// Anthropic publishes no tables. Its counts lie above `o200k_base` by a fifth for prose and by a third for code.
    Anthropic,
    /// Google's tables are not in the binary. Its counts lie close to `o200k_base`.
    Google,
    /// Anyone else's.
    Other,
}

impl Family {
    /// Whose a model is, by its upstream's name for it.
    pub fn of(model: &str) -> Self {
        let model = model.to_ascii_lowercase();
        let name = model.rsplit('/').next().unwrap_or_default();
        let begins = |stems: &[&str]| stems.iter().any(|it| name.starts_with(it));
        if begins(&["gpt-4o", "gpt-4.", "chatgpt-4o"]) {
            Self::Openai
        } else if begins(&["gpt-4", "gpt-3", "gpt-35", "text-embedding-"]) {
            Self::OpenaiOlder
        } else if begins(&["gpt", "o1", "o3", "o4", "chatgpt", "codex"]) {
            Self::Openai
        } else if name.contains("claude") {
            Self::Anthropic
        } else if begins(&["gemini", "gemma"]) {
            Self::Google
        } else {
            Self::Other
        }
    }

    /// How many hundredths of our count to reckon with: the count must not fall short.
    const fn hundredths(self) -> u64 {
        match self {
            Self::Openai | Self::OpenaiOlder => 100,
            Self::Google => 115,
            Self::Other => 125,
            Self::Anthropic => 135,
        }
    }

    fn tokenizer(self) -> &'static Tokenizer {
        match self {
            Self::OpenaiOlder => bpe_openai::cl100k_base(),
            _ => bpe_openai::o200k_base(),
        }
    }

    /// Counts a text's tokens, rounded up.
    pub fn count(self, text: &str) -> u64 {
        if text.is_empty() {
            return 0;
        }
        let counted = self.tokenizer().count(text) as u64;
        (counted * self.hundredths()).div_ceil(100)
    }

    /// Counts the tokens of `bytes` of text by samples of it that have `counted` bytes, rounded up.
    pub fn count_of<'t>(self, samples: impl Iterator<Item = &'t str>, bytes: u64, counted: u64) -> u64 {
        let tokens: usize = samples.filter(|it| !it.is_empty()).map(|it| self.tokenizer().count(it)).sum();
        let all = tokens as u128 * u128::from(self.hundredths()) * u128::from(bytes);
        u64::try_from(all.div_ceil(100 * u128::from(counted.max(1)))).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Counted with OpenAI's own library, `tiktoken`.
    #[test]
    fn openais_tables_count_as_openai_does() {
        for (text, o200k, cl100k) in [
            ("hello world", 2, 2),
            ("The quick brown fox jumps over the lazy dog.", 10, 10),
            ("tiktoken is great!", 6, 6),
        ] {
            assert_eq!(Family::Openai.count(text), o200k, "{text}");
            assert_eq!(Family::OpenaiOlder.count(text), cl100k, "{text}");
        }
    }

    #[test]
    fn a_family_is_known_by_the_models_name() {
        for (model, family) in [
            ("gpt-5-mini", Family::Openai),
            ("gpt-4o", Family::Openai),
            ("gpt-4.1", Family::Openai),
            ("gpt-4-turbo", Family::OpenaiOlder),
            ("openai/gpt-oss-120b", Family::Openai),
            ("o3", Family::Openai),
            ("anthropic/claude-opus-4-6", Family::Anthropic),
            ("us.anthropic.claude-sonnet-4-5", Family::Anthropic),
            ("gemini-2.5-pro", Family::Google),
            ("qwen3-coder", Family::Other),
        ] {
            assert_eq!(Family::of(model), family, "{model}");
        }
    }

    #[test]
    fn ec_038_who_publishes_no_tables_is_counted_upwards() {
        let text = "fn main() { println!(\"{}\", 1 + 1); }".repeat(20);
        let exact = Family::Openai.count(&text);
        for family in [Family::Google, Family::Other, Family::Anthropic] {
            assert!(family.count(&text) > exact, "{family:?}");
        }
    }

    proptest! {
        #[test]
        fn a_text_has_no_more_tokens_than_bytes(text in any::<String>()) {
            prop_assert!(Family::Openai.count(&text) <= text.len() as u64);
        }
    }
}
