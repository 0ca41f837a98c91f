//! How much to think: levels and budgets told in each other's terms.

use crate::catalog::model::Effort;

/// The smallest budget Anthropic takes, in tokens.
pub const LEAST_BUDGET: u64 = 1024;

/// Returns the budget of a level, in tokens. `Max` is whatever the model may use: `most`, or the highest level's if unknown.
pub fn budget_of(effort: Effort, most: Option<u64>) -> u64 {
    match effort {
        Effort::Minimal | Effort::Low => LEAST_BUDGET,
        Effort::Medium => 8192,
        Effort::High => 24_576,
        Effort::Xhigh => 32_768,
        Effort::Max => most.unwrap_or(128_000),
    }
}

/// Returns the level that comes nearest to a budget; a budget of zero is no level at all.
pub fn effort_of(budget: u64) -> Option<Effort> {
    Some(match budget {
        0 => return None,
        1..=512 => Effort::Minimal,
        513..=1024 => Effort::Low,
        1025..=8192 => Effort::Medium,
        8193..=24_576 => Effort::High,
        24_577..=32_768 => Effort::Xhigh,
        _ => Effort::Max,
    })
}

/// Returns the level among `levels` that is meant by `wanted`: itself, else the next lower, else the lowest.
/// `None` if there are no levels.
pub fn clamp(wanted: Effort, levels: &[Effort]) -> Option<Effort> {
    let lower = levels.iter().copied().filter(|it| *it <= wanted).max();
    lower.or_else(|| levels.iter().copied().min())
}

/// Returns the word both OpenAI and Anthropic use for a level.
pub const fn name(effort: Effort) -> &'static str {
    match effort {
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::Xhigh => "xhigh",
        Effort::Max => "max",
    }
}

/// Reads a level's word.
pub fn parse(word: &str) -> Option<Effort> {
    Some(match word {
        "minimal" => Effort::Minimal,
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        "xhigh" => Effort::Xhigh,
        "max" => Effort::Max,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Effort; 6] =
        [Effort::Minimal, Effort::Low, Effort::Medium, Effort::High, Effort::Xhigh, Effort::Max];

    #[test]
    fn a_level_survives_its_budget() {
        for effort in ALL {
            let expected = if effort == Effort::Minimal { Effort::Low } else { effort };
            assert_eq!(effort_of(budget_of(effort, None)), Some(expected));
        }
    }

    #[test]
    fn a_level_survives_its_word() {
        for effort in ALL {
            assert_eq!(parse(name(effort)), Some(effort));
        }
    }

    #[test]
    fn ec_048_an_effort_is_lowered_to_the_nearest_level() {
        let levels = [Effort::Low, Effort::Medium, Effort::High];
        assert_eq!(clamp(Effort::Max, &levels), Some(Effort::High));
        assert_eq!(clamp(Effort::Xhigh, &levels), Some(Effort::High));
        assert_eq!(clamp(Effort::Minimal, &levels), Some(Effort::Low));
        assert_eq!(clamp(Effort::Medium, &levels), Some(Effort::Medium));
        assert_eq!(clamp(Effort::Medium, &[]), None);
    }
}
