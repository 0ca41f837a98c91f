//! Moderations and rerank: what is bad, and what fits best.

use serde_json::{Value, json};

use crate::simulator::{
    around::{Done, Errand, demand, number, text_of},
    scenario::Tokens,
    vendor::{Complaint, require},
};

/// Flags what speaks of violence.
pub(super) fn moderations(errand: &Errand<'_>) -> Result<Done, Complaint> {
    demand(errand, &["input"], &["model"])?;
    let parts = |it: &Value| it.as_array().is_some_and(|it| it.iter().all(Value::is_object));
    let inputs: Vec<String> = match &errand.body["input"] {
        Value::Array(many) if !parts(&errand.body["input"]) => many.iter().map(text_of).collect(),
        one => vec![text_of(one)],
    };
    let result = |text: &String| {
        let bad = text.to_lowercase().contains("violence");
        let score = if bad { 0.98 } else { 0.01 };
        json!({"flagged": bad, "categories": {"violence": bad, "hate": false},
            "category_scores": {"violence": score, "hate": 0.01},
            "category_applied_input_types": {"violence": ["text"], "hate": ["text"]}})
    };
    let model = if errand.ask.model.is_empty() { "omni-moderation-latest" } else { &errand.ask.model };
    let answer = json!({"id": format!("modr-{}", errand.serial), "model": model,
        "results": inputs.iter().map(result).collect::<Vec<_>>()});
    Ok(Done::json(&answer, None))
}

/// Scores a document by the share of the query's words in it.
pub(super) fn rerank(errand: &Errand<'_>) -> Result<Done, Complaint> {
    let body = errand.body;
    demand(
        errand,
        &["model", "query", "documents"],
        &["top_n", "return_documents", "max_chunks_per_doc", "max_tokens_per_doc", "rank_fields"],
    )?;
    let documents = body["documents"].as_array().map(Vec::as_slice).unwrap_or_default();
    require(!documents.is_empty(), "documents", "documents: expected at least one document")?;
    let query = text_of(&body["query"]).to_lowercase();
    let words: Vec<&str> = query.split_whitespace().collect();
    let share = |document: &Value| {
        let text = text_of(document).to_lowercase();
        let found = words.iter().filter(|it| text.contains(**it)).count();
        f64::from(u32::try_from(found).unwrap_or(u32::MAX))
            / f64::from(u32::try_from(words.len()).unwrap_or(1).max(1))
    };
    let mut scored: Vec<(usize, f64)> = documents.iter().map(share).enumerate().collect();
    scored.sort_by(|(_, left), (_, right)| right.total_cmp(left));
    let most = number(&body["top_n"]).and_then(|it| usize::try_from(it).ok()).unwrap_or(scored.len());
    scored.truncate(most);
    let results: Vec<Value> = scored
        .into_iter()
        .map(|(index, score)| {
            let mut result = json!({"index": index, "relevance_score": score});
            if body["return_documents"] == true {
                result["document"] = json!({"text": text_of(&documents[index])});
            }
            result
        })
        .collect();
    let count = errand.ask.prompt_tokens;
    let answer = json!({"id": format!("rerank-{}", errand.serial), "model": errand.ask.model, "results": results,
        "meta": {"billed_units": {"search_units": 1}}, "usage": {"prompt_tokens": count, "total_tokens": count}});
    Ok(Done::json(&answer, Some(Tokens { input: count, ..Tokens::default() })))
}
