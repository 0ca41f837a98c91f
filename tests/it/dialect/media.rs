//! Long media: what is translated without them and gets them back is what was translated with them.

use std::collections::HashSet;

use bytes::Bytes;
use dragoman::{
    catalog::{Abilities, ModelName, UpstreamModel},
    dialect::{beside::Lightened, canonical::media, count, pieces::SHARED, tokenizer::Family},
};
use serde_json::Value;

use crate::support::fixtures;

/// Makes every image and PDF in a request long; how many there are.
fn lengthen(value: &mut Value) -> usize {
    match value {
        Value::String(text) => {
            let payload = text.rsplit("base64,").next().filter(|it| it.len() % 4 == 0 && it.len() > 16);
            if payload.and_then(media::sniff).is_none() {
                return 0;
            }
            // What follows padding would be no base64.
            let groups = payload.map_or(0, |it| it.trim_end_matches('=').len() % 4);
            text.truncate(text.trim_end_matches('=').len() - groups);
            text.push_str(&"AAAA".repeat(SHARED / 2));
            1
        }
        Value::Array(list) => list.iter_mut().map(lengthen).sum(),
        Value::Object(fields) => fields.values_mut().map(lengthen).sum(),
        _ => 0,
    }
}

#[test]
fn a_request_without_its_media_is_translated_as_with_them() {
    let (mut seen, mut shared) = (HashSet::new(), 0);
    let model = UpstreamModel::parse("m").unwrap();
    let family = Family::of(ModelName::parse("m").unwrap().as_str());
    for fixture in fixtures::all("requests") {
        let mut asked = fixture.json();
        if lengthen(&mut asked) == 0 {
            continue;
        }
        let body = Bytes::from(asked.to_string());
        let light = Lightened::of(&body);
        assert!(light.body().len() + SHARED < body.len(), "{}", fixture.title());
        let decode = |body: &[u8]| fixture.dialect.server().decode_request(body).unwrap();
        let (with, without) = (decode(&body), decode(light.body()));
        assert_eq!(count::estimate(&with, family), count::estimate(&without, family), "{}", fixture.title());
        for target in fixtures::DIALECTS {
            let encode = |it| target.client().encode_request(it, &model, &Abilities::default());
            let title = format!("{} to {}", fixture.title(), target.name());
            match (encode(&with), encode(&without)) {
                (Ok(with), Ok(without)) => {
                    let restored = light.restore(without.body);
                    shared += restored.iter().filter(|it| it.len() >= SHARED).count();
                    assert_eq!(restored.whole(), with.body, "{title}");
                    assert_eq!(without.losses, with.losses, "{title}");
                    seen.insert((fixture.dialect, target));
                }
                (with, without) => assert_eq!(with.err(), without.err(), "{title}"),
            }
        }
    }
    assert_eq!(seen.len(), 16, "some pair of dialects has no fixture with media");
    assert!(shared >= 16, "media were copied");
}
