//! What the file declares of tenants and credentials, as the gateway knows it.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    catalog::UpstreamName,
    config::{Config, Fault, Secret, models::Losses, upstreams},
    credential::Credential,
    kernel::id::{CredentialId, TenantId, TenantKeyId},
    tenant::{KeyHasher, LossPolicy, PlainKey, Source, Tenant, TenantKey},
};

/// The tenant of `api-keys`.
const DEFAULT_TENANT: &str = "default";

/// The declared tenants and keys.
pub fn tenants(
    config: &Config,
    hasher: &KeyHasher,
    now: DateTime<Utc>,
) -> Result<(Vec<Tenant>, Vec<TenantKey>), Vec<Fault>> {
    let mut tenants = Vec::new();
    let mut keys = Vec::new();
    let mut faults = Vec::new();
    let mut add = |tenant: &str, losses: Option<Losses>, declared: Vec<Declared<'_>>| {
        let id = TenantId::declared(tenant);
        tenants.push(Tenant {
            id,
            name: tenant.to_owned(),
            enabled: true,
            source: Source::File,
            losses: losses.map(policy),
            created_at: now,
        });
        for Declared { path, name, secret, losses } in declared {
            match plain(secret) {
                Ok(plain) => keys.push(TenantKey {
                    id: TenantKeyId::declared(&format!("{tenant}/{name}")),
                    tenant: id,
                    hash: hasher.hash(&plain),
                    hint: plain.hint(),
                    name,
                    enabled: true,
                    source: Source::File,
                    losses: losses.map(policy),
                    created_at: now,
                    expires_at: None,
                    last_used_at: None,
                }),
                Err(message) => faults.push(Fault::new(path, message)),
            }
        }
    };
    if !config.api_keys.is_empty() {
        let named = |(index, secret)| Declared {
            path: format!("api-keys[{index}]"),
            name: format!("key-{}", index + 1),
            secret,
            losses: None,
        };
        add(DEFAULT_TENANT, None, config.api_keys.iter().enumerate().map(named).collect());
    }
    for (t, tenant) in config.tenants.iter().enumerate() {
        let path = |k| format!("tenants[{t}].keys[{k}].key");
        let declared = tenant.keys.iter().enumerate().map(|(k, it)| Declared {
            path: path(k),
            name: it.name.clone(),
            secret: &it.key,
            losses: it.losses,
        });
        add(&tenant.name, tenant.losses, declared.collect());
    }
    if faults.is_empty() { Ok((tenants, keys)) } else { Err(faults) }
}

/// A key of the file.
struct Declared<'a> {
    path: String,
    name: String,
    secret: &'a Secret,
    losses: Option<Losses>,
}

/// The policy that a word of the file means.
pub fn policy(losses: Losses) -> LossPolicy {
    match losses {
        Losses::Strict => LossPolicy::Strict,
        Losses::Warn => LossPolicy::Warn,
        Losses::Quiet => LossPolicy::Quiet,
    }
}

fn plain(secret: &Secret) -> Result<PlainKey, String> {
    let text = secret.read()?;
    PlainKey::parse(text.expose_secret()).map_err(|it| it.to_string())
}

/// The declared credentials of an upstream. One that needs no secret and has none gets a credential without.
pub fn credentials(upstream: &upstreams::Upstream, keyless: bool) -> Result<Vec<Credential>, String> {
    let mut credentials = Vec::new();
    for declared in &upstream.credentials {
        credentials.push(Credential {
            weight: declared.weight,
            priority: declared.priority,
            proxy_url: declared.proxy_url.as_ref().map(text).transpose()?,
            models: declared.models.clone(),
            excluded_models: declared.excluded_models.clone(),
            ..bare(upstream, &declared.name, declared.api_key.read()?)
        });
    }
    if credentials.is_empty() && keyless {
        credentials.push(bare(upstream, "none", SecretString::from(String::new())));
    }
    Ok(credentials)
}

fn bare(upstream: &upstreams::Upstream, name: &str, secret: SecretString) -> Credential {
    Credential {
        id: CredentialId::declared(&format!("{}/{name}", upstream.name)),
        upstream: UpstreamName::new(&upstream.name),
        name: name.to_owned(),
        secret,
        priority: 0,
        weight: 1,
        proxy_url: None,
        models: Vec::new(),
        excluded_models: Vec::new(),
        enabled: true,
        declared: true,
    }
}

fn text(secret: &Secret) -> Result<String, String> {
    secret.read().map(|it| it.expose_secret().to_owned())
}
