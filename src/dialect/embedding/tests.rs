use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn openai(body: &Value) -> Result<EmbeddingRequest, DecodeError> {
    openai::decode_request(body.to_string().as_bytes())
}

fn places(losses: &[Loss]) -> Vec<&str> {
    losses.iter().map(|it| it.at.as_str()).collect()
}

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// A vector as an upstream of OpenAI's writes it.
fn answer(vectors: &[Value], indices: &[usize]) -> Vec<u8> {
    let data: Vec<_> = indices
        .iter()
        .map(|it| json!({ "object": "embedding", "index": it, "embedding": vectors[*it] }))
        .collect();
    json!({ "object": "list", "data": data, "model": "m", "usage": { "prompt_tokens": 3, "total_tokens": 3 } })
        .to_string()
        .into_bytes()
}

#[test]
fn every_form_of_input_is_read() {
    let inputs =
        |input: Value| openai(&json!({ "model": "m", "input": input })).map(|it| (it.inputs, it.single));
    let text = |it: &str| Input::Text(it.to_owned());
    assert_eq!(inputs(json!("a")), Ok((vec![text("a")], true)));
    assert_eq!(inputs(json!(["a"])), Ok((vec![text("a")], false)));
    assert_eq!(inputs(json!([1, 2])), Ok((vec![Input::Tokens(vec![1, 2])], true)));
    assert_eq!(inputs(json!([[1], "b"])), Ok((vec![Input::Tokens(vec![1]), text("b")], false)));
    for (wrong, at) in [
        (json!([]), "/input"),
        (json!(7), "/input"),
        (json!([[1, "x"]]), "/input/0"),
        (json!([null]), "/input/0"),
    ] {
        assert_eq!(inputs(wrong).unwrap_err().at, at);
    }
    assert_eq!(openai(&json!({ "model": "m" })).unwrap_err().message, "`input` is missing");
}

#[test]
fn a_request_to_gemini_says_all_it_can_and_notes_the_rest() {
    let request = openai(&json!({
        "model": "m", "input": ["a", "b"], "dimensions": 256, "encoding_format": "base64", "user": "u", "input_type": "query"
    }))
    .unwrap();
    let (body, losses) = gemini::encode_request(&request, "text-embedding").unwrap();
    assert_eq!(
        value(&body)["requests"][1],
        json!({ "model": "models/text-embedding", "content": { "parts": [{ "text": "b" }] }, "outputDimensionality": 256 })
    );
    assert_eq!(places(&losses), ["/user", "/input_type"]);
    assert_eq!(
        (losses[0].severity, losses[1].severity),
        (crate::dialect::Severity::Cosmetic, crate::dialect::Severity::Semantic)
    );
}

#[test]
fn tokens_are_refused_where_they_mean_nothing() {
    let request = openai(&json!({ "model": "m", "input": ["a", [1, 2]] })).unwrap();
    assert_eq!(gemini::encode_request(&request, "g").unwrap_err().at, "/input/1");
    let single = openai(&json!({ "model": "m", "input": [1, 2] })).unwrap();
    assert_eq!(gemini::encode_request(&single, "g").unwrap_err().at, "/input");
}

#[test]
fn a_request_of_geminis_becomes_openais() {
    let body = json!({ "requests": [
        { "model": "models/x", "content": { "parts": [{ "text": "a" }] }, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 8 },
        { "content": { "parts": [{ "text": "b" }, { "text": "c" }] }, "title": "t", "output_dimensionality": 8 }
    ] });
    let request = gemini::decode_request(Form::Many, body.to_string().as_bytes()).unwrap();
    assert_eq!(
        value(&openai::encode_request(&request, "up")),
        json!({ "model": "up", "input": ["a", "b\nc"], "dimensions": 8, "encoding_format": "float" })
    );
    assert_eq!(
        places(&request.lost),
        ["/requests/0/taskType", "/requests/1/content/parts", "/requests/1/title"]
    );
}

#[test]
fn what_gemini_says_and_openai_cannot_is_refused_with_its_place() {
    let at = |body: Value| gemini::decode_request(Form::Many, body.to_string().as_bytes()).unwrap_err().at;
    let image = json!({ "requests": [{ "content": { "parts": [{ "inlineData": {} }] } }] });
    assert_eq!(at(image), "/requests/0/content/parts/0");
    let text = |dimensions: u64| json!({ "content": { "parts": [{ "text": "a" }] }, "outputDimensionality": dimensions });
    assert_eq!(at(json!({ "requests": [text(1), text(2)] })), "/requests/1/outputDimensionality");
    assert_eq!(at(json!({ "requests": [] })), "/requests");
    assert_eq!(at(json!({ "requests": [{}] })), "/requests/0/content");
}

#[test]
fn one_of_geminis_is_answered_with_one() {
    let body = json!({ "content": { "parts": [{ "text": "a" }] } });
    let request = gemini::decode_request(Form::One, body.to_string().as_bytes()).unwrap();
    assert_eq!(value(&openai::encode_request(&request, "m"))["input"], "a");
    let response = openai::decode_response(&answer(&[json!([0.5, 1])], &[0])).unwrap();
    let told = encode_response(DialectId::Gemini, Form::One, &response, &request, "m", 9).unwrap();
    assert_eq!(
        told.as_ref(),
        br#"{"embedding":{"values":[0.5,1]},"usageMetadata":{"promptTokenCount":3,"totalTokenCount":3}}"#
    );
}

#[test]
fn a_gemini_answer_without_usage_is_told_with_the_estimate() {
    let response = gemini::decode_response(br#"{"embeddings":[{"values":[0.1]},{"values":[0.2]}]}"#).unwrap();
    assert!(response.usage.is_empty());
    let request = openai(&json!({ "input": ["a", "b"] })).unwrap();
    let told =
        value(&encode_response(DialectId::OpenaiChat, Form::Many, &response, &request, "asked", 7).unwrap());
    assert_eq!(told["usage"], json!({ "prompt_tokens": 7, "total_tokens": 7 }));
    assert_eq!((&told["model"], &told["data"][1]["index"]), (&json!("asked"), &json!(1)));
    let counted =
        gemini::decode_response(br#"{"embedding":{"values":[1]},"usageMetadata":{"promptTokenCount":4}}"#)
            .unwrap();
    assert_eq!(counted.usage.input, Some(4));
}

#[test]
fn the_models_name_in_geminis_own_body_follows_the_route() {
    let renamed = |form, body: Value| value(&gemini::rename(form, &body.to_string().into(), "up").unwrap());
    assert_eq!(renamed(Form::One, json!({ "model": "models/alias" }))["model"], "models/up");
    assert_eq!(renamed(Form::One, json!({ "content": 1 })), json!({ "content": 1 }));
    assert_eq!(
        renamed(Form::Many, json!({ "requests": [{}] })),
        json!({ "requests": [{ "model": "models/up" }] })
    );
    let body = Bytes::from_static(br#"{ "model" :"models/up"}"#);
    assert_eq!(gemini::rename(Form::One, &body, "up").unwrap().as_ptr(), body.as_ptr());
}

#[test]
fn a_vector_that_is_none_is_an_error() {
    for wrong in [r#""AAA=""#, r#""no base64""#, r#"[1,"x"]"#, "[1e99]", "{}", r#""AADAfw==""#] {
        let raw: Box<serde_json::value::RawValue> = serde_json::from_str(wrong).unwrap();
        assert!(Vector::read(&raw).and_then(|it| it.floats()).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn base64_and_numbers_are_the_same_vector(bits in prop::collection::vec(any::<u32>(), 0..40)) {
        let floats: Vec<f32> = bits.into_iter().map(f32::from_bits).filter(|it| it.is_finite()).collect();
        let numbers = Vector::Numbers(serde_json::value::to_raw_value(&floats).unwrap());
        let packed = Vector::Base64(numbers.to_base64().unwrap());
        let exact: Vec<u32> = packed.floats().unwrap().iter().map(|it| it.to_bits()).collect();
        prop_assert_eq!(&exact, &floats.iter().map(|it| it.to_bits()).collect::<Vec<_>>());
        let again = Vector::Numbers(packed.to_numbers().unwrap());
        prop_assert_eq!(again.to_base64().unwrap(), packed.to_base64().unwrap());
    }

    #[test]
    fn a_vector_keeps_its_place_and_its_digits(
        texts in prop::collection::vec("[0-9]\\.[0-9]{1,17}", 1..8),
        shuffle in any::<prop::sample::Index>(),
    ) {
        let vectors: Vec<Value> = texts.iter().map(|it| serde_json::from_str(&format!("[{it}]")).unwrap()).collect();
        let mut indices: Vec<usize> = (0..vectors.len()).collect();
        let by = shuffle.index(indices.len());
        indices.rotate_left(by);
        let response = openai::decode_response(&answer(&vectors, &indices)).unwrap();
        let told = gemini::encode_response(Form::Many, &response).unwrap();
        let expected: Vec<String> = texts.iter().map(|it| format!(r#"{{"values":[{it}]}}"#)).collect();
        let told = std::str::from_utf8(&told).unwrap();
        let start = format!(r#"{{"embeddings":[{}]"#, expected.join(","));
        prop_assert!(told.starts_with(&start), "{}", told);
    }

    #[test]
    fn a_request_survives_the_way_through_either_dialect(
        texts in prop::collection::vec(any::<String>(), 1..6),
        dimensions in prop::option::of(1..5000_u64),
    ) {
        let request = EmbeddingRequest {
            inputs: texts.into_iter().map(Input::Text).collect(), single: false, dimensions, base64: false, lost: Vec::new()
        };
        let (body, losses) = gemini::encode_request(&request, "m").unwrap();
        prop_assert!(losses.is_empty());
        let back = gemini::decode_request(Form::Many, &body).unwrap();
        prop_assert_eq!(&back, &request);
        let back = openai::decode_request(&openai::encode_request(&request, "m")).unwrap();
        prop_assert_eq!(back, request);
    }
}
