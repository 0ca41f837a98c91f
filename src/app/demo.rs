//! `--demo`: the simulator as upstreams, a tenant and a key, so that the first request needs nobody's account.

use std::net::SocketAddr;

use crate::{
    config::{
        Config, Secret, tenants,
        upstreams::{Credential, Http, Model, RequestCompression, Streaming, Timeouts, Upstream},
    },
    tenant::PlainKey,
};

/// The demo's model at a Chat upstream.
pub const CHAT_MODEL: &str = "demo-chat";
/// The demo's model at a Messages upstream.
pub const MESSAGES_MODEL: &str = "demo-messages";
/// The demo's model at a Responses upstream.
pub const RESPONSES_MODEL: &str = "demo-responses";
/// The demo's model at a Gemini upstream.
pub const GEMINI_MODEL: &str = "demo-gemini";

/// All of them.
pub const MODELS: [&str; 4] = [CHAT_MODEL, RESPONSES_MODEL, MESSAGES_MODEL, GEMINI_MODEL];

/// Adds the demo's upstreams, tenant and key.
pub fn add(config: &mut Config, simulator: SocketAddr, key: &PlainKey) {
    let root = format!("http://{simulator}");
    for (name, kind, base_url, model) in [
        ("demo-openai", "openai", &format!("{root}/v1"), CHAT_MODEL),
        ("demo-openai-responses", "openai-responses", &format!("{root}/v1"), RESPONSES_MODEL),
        ("demo-anthropic", "anthropic", &root, MESSAGES_MODEL),
        ("demo-google", "gemini", &root, GEMINI_MODEL),
    ] {
        config.upstreams.push(upstream(name, kind, base_url, model));
    }
    config.tenants.push(tenants::Tenant {
        name: "demo".to_owned(),
        losses: None,
        keys: vec![tenants::TenantKey {
            name: "demo".to_owned(),
            key: Secret::from(key.reveal()),
            losses: None,
        }],
    });
}

fn upstream(name: &str, kind: &str, base_url: &str, model: &str) -> Upstream {
    Upstream {
        name: name.to_owned(),
        kind: kind.to_owned(),
        base_url: Some(base_url.to_owned()),
        prefix: None,
        strategy: None,
        priority: 0,
        weight: 1,
        credentials: vec![Credential {
            name: "demo".to_owned(),
            api_key: Secret::from("sim-demo-credential"),
            weight: 1,
            priority: 0,
            proxy_url: None,
            models: Vec::new(),
            excluded_models: Vec::new(),
        }],
        models: Some(vec![Model { name: model.to_owned(), alias: None }]),
        excluded_models: Vec::new(),
        headers: std::collections::BTreeMap::new(),
        proxy_url: Some(Secret::from("direct")),
        timeouts: Timeouts::default(),
        http: Http::default(),
        project: None,
        location: None,
        streaming: Streaming::Auto,
        request_compression: RequestCompression::None,
    }
}
