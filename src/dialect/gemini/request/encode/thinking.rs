//! How much to think, lowered once to what the model can be told: a budget in tokens, or a level; never both.

use serde_json::{Map, Value, json};

use super::{super::decode::note, Writer};
use crate::{
    catalog::model::{BudgetRange, Effort, ThinkingControl},
    dialect::{
        Severity,
        canonical::{ReasoningMode, ReasoningShow, effort},
    },
};

/// The budget of the least effort, in tokens: models of this dialect take less than others.
const MINIMAL_BUDGET: u64 = 512;

/// The budget that leaves it to the model.
const DYNAMIC: i64 = -1;

impl Writer<'_> {
    pub(super) fn thinking(&mut self) -> Option<Map<String, Value>> {
        let mode = self.request.reasoning.mode;
        let mut config = match self.abilities.thinking {
            ThinkingControl::GeminiBudget => self.budget(mode),
            ThinkingControl::GeminiLevel => self.level(mode),
            ThinkingControl::None
            | ThinkingControl::Budget
            | ThinkingControl::Adaptive
            | ThinkingControl::Always
            | ThinkingControl::Effort
            | ThinkingControl::ThinkingType
            | ThinkingControl::ReasoningObject => return self.cannot(mode),
        };
        self.show(mode, &mut config);
        (!config.is_empty()).then_some(config)
    }

    fn cannot(&mut self, mode: ReasoningMode) -> Option<Map<String, Value>> {
        let shown = self.request.reasoning.show == ReasoningShow::Summary;
        if shown || !matches!(mode, ReasoningMode::Default | ReasoningMode::Off) {
            self.drop(self.at(), Severity::Cosmetic, "the model cannot be told how to think");
        }
        None
    }

    fn budget(&mut self, mode: ReasoningMode) -> Map<String, Value> {
        let range = self.abilities.thinking_budget.unwrap_or(BudgetRange { least: 0, most: 24_576 });
        let asked = match mode {
            ReasoningMode::Default => return Map::new(),
            ReasoningMode::Off | ReasoningMode::Budget(0) if self.abilities.thinking_can_be_off => {
                return one("thinkingBudget", json!(0));
            }
            ReasoningMode::Off | ReasoningMode::Budget(0) => {
                self.approximate(self.at(), Severity::Cosmetic, "the model's thinking cannot be turned off");
                return one("thinkingBudget", json!(range.least));
            }
            ReasoningMode::Adaptive(None) => return one("thinkingBudget", json!(DYNAMIC)),
            ReasoningMode::Budget(tokens) => tokens,
            ReasoningMode::Effort(Effort::Minimal) | ReasoningMode::Adaptive(Some(Effort::Minimal)) => {
                MINIMAL_BUDGET
            }
            ReasoningMode::Effort(it) | ReasoningMode::Adaptive(Some(it)) => {
                effort::budget_of(it, Some(range.most))
            }
        };
        let budget = asked.clamp(range.least, range.most.max(range.least));
        if mode != ReasoningMode::Budget(budget) {
            let reason = format!("a budget of {budget} tokens was set");
            self.approximate(self.at(), Severity::Cosmetic, reason);
        }
        one("thinkingBudget", json!(budget))
    }

    fn level(&mut self, mode: ReasoningMode) -> Map<String, Value> {
        let wanted = match mode {
            ReasoningMode::Default | ReasoningMode::Adaptive(None) => return self.as_it_sees_fit(mode),
            ReasoningMode::Off | ReasoningMode::Budget(0) => return self.least(),
            ReasoningMode::Effort(it) | ReasoningMode::Adaptive(Some(it)) => it,
            ReasoningMode::Budget(tokens) => {
                let wanted = effort::effort_of(tokens).unwrap_or(Effort::Minimal);
                let reason = format!("the model takes a level, not a budget: `{}`", effort::name(wanted));
                self.approximate(self.at(), Severity::Cosmetic, reason);
                wanted
            }
        };
        let Some(level) = effort::clamp(wanted, &self.abilities.efforts) else {
            self.drop(self.at(), Severity::Cosmetic, "the model has no levels of thinking");
            return Map::new();
        };
        if level != wanted {
            let (wanted, level) = (effort::name(wanted), effort::name(level));
            let reason = format!("the model has no level `{wanted}`: `{level}` was set");
            self.approximate(self.at(), Severity::Cosmetic, reason);
        }
        one("thinkingLevel", json!(effort::name(level).to_ascii_uppercase()))
    }

    /// A model with levels thinks as it sees fit if it is told none.
    fn as_it_sees_fit(&mut self, mode: ReasoningMode) -> Map<String, Value> {
        if mode == ReasoningMode::Adaptive(None) {
            self.approximate(
                self.at(),
                Severity::Cosmetic,
                "the model thinks as it sees fit unless told a level",
            );
        }
        Map::new()
    }

    fn least(&mut self) -> Map<String, Value> {
        self.approximate(self.at(), Severity::Cosmetic, "the model's thinking cannot be turned off");
        let least = self.abilities.efforts.iter().copied().min();
        least.map_or_else(Map::new, |it| one("thinkingLevel", json!(effort::name(it).to_ascii_uppercase())))
    }

    /// Says whether the thoughts are to be shown. A client of another dialect that asks for thinking can show them.
    fn show(&self, mode: ReasoningMode, config: &mut Map<String, Value>) {
        let asked = !matches!(mode, ReasoningMode::Default | ReasoningMode::Off | ReasoningMode::Budget(0));
        let own = note(&self.request.extra, "thinkingConfig").is_some();
        let shown = match self.request.reasoning.show {
            ReasoningShow::Summary => true,
            ReasoningShow::Hidden => false,
            ReasoningShow::Default if asked && !own => true,
            ReasoningShow::Default => return,
        };
        config.insert("includeThoughts".to_owned(), json!(shown));
    }

    /// Where the client said how to think.
    fn at(&self) -> &'static str {
        match self.request.reasoning.mode {
            ReasoningMode::Effort(_) => "/reasoning_effort",
            ReasoningMode::Default
            | ReasoningMode::Off
            | ReasoningMode::Budget(_)
            | ReasoningMode::Adaptive(_) => "/thinking",
        }
    }
}

fn one(key: &str, value: Value) -> Map<String, Value> {
    Map::from_iter([(key.to_owned(), value)])
}
