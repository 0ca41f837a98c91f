//! What may be called: names of models, and what a model can do.

pub mod abilities;
pub mod glob;
pub mod model;
pub mod name;

pub use abilities::{AbilityRow, AbilityTable};
pub use glob::Glob;
pub use model::Abilities;
pub use name::{InvalidModel, ModelName, UpstreamModel, UpstreamName};
