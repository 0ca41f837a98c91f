//! Embeddings: the same text always has the same vector, of length one.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::simulator::{
    around::{Done, Errand, demand, number, text_of},
    scenario::Tokens,
    vendor::{Complaint, require},
};

/// Dimensions when nobody asks for a number of them.
const DIMENSIONS: u64 = 16;

/// Inputs in one request.
const MOST: usize = 2048;

pub(super) fn embeddings(errand: &Errand<'_>) -> Result<Done, Complaint> {
    let body = errand.body;
    demand(errand, &["input", "model"], &["dimensions", "encoding_format", "user"])?;
    let tokens = |it: &Value| it.as_array().is_some_and(|it| !it.is_empty() && it.iter().all(Value::is_u64));
    let texts: Vec<String> = match &body["input"] {
        Value::Array(many) if !tokens(&body["input"]) => many.iter().map(text_of).collect(),
        one => vec![text_of(one)],
    };
    let full = !texts.is_empty() && texts.len() <= MOST && texts.iter().all(|it| !it.is_empty());
    require(
        full,
        "input",
        "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.",
    )?;
    let format = body["encoding_format"].as_str().unwrap_or("float");
    require(
        ["float", "base64"].contains(&format),
        "encoding_format",
        "Invalid value for 'encoding_format'.",
    )?;
    let dimensions = number(&body["dimensions"]).unwrap_or(DIMENSIONS);
    let data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = vector(text, dimensions);
            let embedding = if format == "base64" { json!(packed(&vector)) } else { json!(vector) };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let count = errand.ask.prompt_tokens;
    let answer = json!({"object": "list", "data": data, "model": errand.ask.model,
        "usage": {"prompt_tokens": count, "total_tokens": count}});
    Ok(Done::json(&answer, Some(Tokens { input: count, ..Tokens::default() })))
}

pub(super) fn content(errand: &Errand<'_>) -> Result<Done, Complaint> {
    let values = values(errand.body)?;
    Ok(Done::json(&json!({"embedding": values}), Some(counted(errand))))
}

pub(super) fn contents(errand: &Errand<'_>) -> Result<Done, Complaint> {
    let requests = errand.body["requests"].as_array().map(Vec::as_slice).unwrap_or_default();
    require(!requests.is_empty(), "requests", "* BatchEmbedContentsRequest.requests: must not be empty")?;
    let embeddings = requests
        .iter()
        .map(|it| {
            require(
                it["model"].is_string(),
                "requests",
                "* BatchEmbedContentsRequest.requests[].model: required",
            )?;
            values(it)
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Done::json(&json!({"embeddings": embeddings}), Some(counted(errand))))
}

fn values(request: &Value) -> Result<Value, Complaint> {
    let text = text_of(&request["content"]["parts"]);
    require(!text.is_empty(), "content", "* EmbedContentRequest.content: contents is not specified")?;
    let asked = [&request["outputDimensionality"], &request["output_dimensionality"]];
    let dimensions = asked.iter().find_map(|it| it.as_u64()).unwrap_or(DIMENSIONS);
    Ok(json!({"values": vector(&text, dimensions)}))
}

fn counted(errand: &Errand<'_>) -> Tokens {
    Tokens { input: errand.ask.prompt_tokens, ..Tokens::default() }
}

/// A direction that follows from the text alone.
fn vector(text: &str, dimensions: u64) -> Vec<f32> {
    let mut state = text
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, it| (hash ^ u64::from(it)).wrapping_mul(0x0100_0000_01B3));
    let mut raw = Vec::new();
    for _ in 0..dimensions.clamp(1, 4096) {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        let high = u16::try_from(state >> 48).unwrap_or_default();
        raw.push(f32::from(high) / 65_536.0 - 0.5);
    }
    let length = raw.iter().map(|it| it * it).sum::<f32>().sqrt().max(f32::EPSILON);
    raw.into_iter().map(|it| it / length).collect()
}

/// Little-endian floats.
fn packed(vector: &[f32]) -> String {
    STANDARD.encode(vector.iter().flat_map(|it| it.to_le_bytes()).collect::<Vec<u8>>())
}
