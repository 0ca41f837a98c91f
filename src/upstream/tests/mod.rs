//! What is sent, and what failures mean: values in, values out.

mod failures;
mod requests;

use chrono::TimeZone as _;

use super::*;
use crate::kernel::id::CredentialId;

const SECRET: &str = "sk-test-0123456789abcdef";

fn credential(secret: &str) -> Credential {
    Credential {
        id: CredentialId::declared("c"),
        upstream: UpstreamName::new("u"),
        name: "c".into(),
        secret: secret.to_owned().into(),
        priority: 0,
        weight: 1,
        proxy_url: None,
        models: Vec::new(),
        excluded_models: Vec::new(),
        enabled: true,
        declared: true,
    }
}

fn model() -> UpstreamModel {
    UpstreamModel::parse("m-1").unwrap()
}

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap()
}

fn spec(kind: &str) -> UpstreamSpec {
    UpstreamSpec::new(UpstreamName::new("u"), kinds::find(kind).unwrap())
}

fn upstream(kind: &str) -> Upstream {
    Upstream::new(UpstreamSpec {
        place: kinds::find(kind).unwrap().has_place().then(|| Place::new("my-project", "global").unwrap()),
        base_url: kinds::find(kind)
            .unwrap()
            .default_base_url
            .is_none()
            .then(|| Url::parse("http://gpu.internal:8000/v1").unwrap()),
        ..spec(kind)
    })
    .unwrap()
}

fn header_map(rows: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in rows {
        map.append(*name, value.parse().unwrap());
    }
    map
}
