//! What no schema can say: names that must differ, addresses that must parse.

use std::collections::HashSet;

use secrecy::ExposeSecret;
use url::Url;

use super::{
    Config, Secret,
    fault::Fault,
    storage::CredentialStoreKind,
    upstreams::{Timeouts, Upstream},
};

/// The shortest key a tenant may have, in characters.
pub const MIN_KEY: usize = 20;

/// First parts of paths that are the gateway's own, so that no upstream may be called so.
const TAKEN: [&str; 7] = ["v0", "v1", "v1beta", "anthropic", "healthz", "readyz", "metrics"];

/// Every fault that the schema lets through.
pub fn check(config: &Config) -> Vec<Fault> {
    let mut faults = Vec::new();
    keys(config, &mut faults);
    upstreams(&config.upstreams, &mut faults);
    stores(config, &mut faults);
    let mut aliases = HashSet::new();
    for (index, alias) in config.aliases.iter().enumerate() {
        if !aliases.insert(&alias.name) {
            faults.push(Fault::new(
                format!("aliases[{index}].name"),
                format!("`{}` is declared twice", alias.name),
            ));
        }
    }
    faults
}

fn stores(config: &Config, faults: &mut Vec<Fault>) {
    if config.credential_store != CredentialStoreKind::File {
        faults.push(Fault::new("credential-store", "this version keeps credentials in `file` only"));
    }
    if let Some(url) = &config.database.url {
        match url.read() {
            Err(message) => faults.push(Fault::new("database.url", message)),
            Ok(url) => {
                let scheme = url.expose_secret().split(':').next().unwrap_or_default().to_owned();
                if !["postgres", "postgresql", "sqlite"].contains(&scheme.as_str()) {
                    faults.push(Fault::new("database.url", "must begin with `postgres://` or `sqlite://`"));
                }
            }
        }
    }
}

fn keys(config: &Config, faults: &mut Vec<Fault>) {
    let mut seen = HashSet::new();
    for (index, key) in config.api_keys.iter().enumerate() {
        one_key(key, format!("api-keys[{index}]"), &mut seen, faults);
    }
    let mut tenants = HashSet::new();
    for (index, tenant) in config.tenants.iter().enumerate() {
        let path = format!("tenants[{index}]");
        name(&tenant.name, &format!("{path}.name"), faults);
        if !tenants.insert(tenant.name.as_str()) {
            faults.push(Fault::new(format!("{path}.name"), format!("`{}` is declared twice", tenant.name)));
        }
        if tenant.name == "default" && !config.api_keys.is_empty() {
            faults.push(Fault::new(format!("{path}.name"), "`default` is the tenant of `api-keys`"));
        }
        let mut names = HashSet::new();
        for (index, key) in tenant.keys.iter().enumerate() {
            let path = format!("{path}.keys[{index}]");
            name(&key.name, &format!("{path}.name"), faults);
            if !names.insert(key.name.as_str()) {
                faults.push(Fault::new(format!("{path}.name"), format!("`{}` is declared twice", key.name)));
            }
            one_key(&key.key, format!("{path}.key"), &mut seen, faults);
        }
    }
}

fn one_key(key: &Secret, path: String, seen: &mut HashSet<String>, faults: &mut Vec<Fault>) {
    match key.read() {
        Err(message) => faults.push(Fault::new(path, message)),
        Ok(text) => {
            let text = text.expose_secret();
            if text.chars().count() < MIN_KEY {
                faults.push(Fault::new(path, format!("a key must have {MIN_KEY} characters or more")));
            } else if text.chars().any(|it| it.is_whitespace() || it.is_control()) {
                faults.push(Fault::new(path, "a key must not contain white space"));
            } else if !seen.insert(text.to_owned()) {
                faults.push(Fault::new(path, "this key is declared twice"));
            }
        }
    }
}

fn name(text: &str, path: &str, faults: &mut Vec<Fault>) {
    let legal = !text.is_empty()
        && text.len() <= 64
        && text.chars().all(|it| it.is_ascii_alphanumeric() || "-_.".contains(it))
        && !text.starts_with('.');
    if !legal {
        faults.push(Fault::new(path, "a name has 1 to 64 letters, digits, `-`, `_` or `.`"));
    }
}

fn upstreams(upstreams: &[Upstream], faults: &mut Vec<Fault>) {
    let mut names = HashSet::new();
    for (index, upstream) in upstreams.iter().enumerate() {
        let path = format!("upstreams[{index}]");
        name(&upstream.name, &format!("{path}.name"), faults);
        if TAKEN.contains(&upstream.name.as_str()) {
            faults.push(Fault::new(
                format!("{path}.name"),
                format!("`{}` is a path of the gateway itself", upstream.name),
            ));
        }
        if !names.insert(upstream.name.as_str()) {
            faults.push(Fault::new(format!("{path}.name"), format!("`{}` is declared twice", upstream.name)));
        }
        if let Some(base) = &upstream.base_url {
            // What stands for project and location is filled in later.
            match Url::parse(&base.replace("{project}", "x").replace("{location}", "x")) {
                Ok(url) if ["http", "https"].contains(&url.scheme()) && url.has_host() => {
                    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
                        faults.push(Fault::new(
                            format!("{path}.base-url"),
                            "must not have a query, a fragment or a user",
                        ));
                    }
                }
                _ => faults.push(Fault::new(
                    format!("{path}.base-url"),
                    "must be an `http://` or `https://` address",
                )),
            }
        }
        if let Some(proxy) = &upstream.proxy_url {
            proxy_url(proxy, format!("{path}.proxy-url"), faults);
        }
        timeouts(&upstream.timeouts, &format!("{path}.timeouts"), faults);
        let mut credentials = HashSet::new();
        for (index, credential) in upstream.credentials.iter().enumerate() {
            let path = format!("{path}.credentials[{index}]");
            name(&credential.name, &format!("{path}.name"), faults);
            if !credentials.insert(credential.name.as_str()) {
                faults.push(Fault::new(
                    format!("{path}.name"),
                    format!("`{}` is declared twice", credential.name),
                ));
            }
            match credential.api_key.read() {
                Err(message) => faults.push(Fault::new(format!("{path}.api-key"), message)),
                Ok(text) if text.expose_secret().trim().is_empty() => {
                    faults.push(Fault::new(format!("{path}.api-key"), "is empty"));
                }
                // The JSON of an account is sent in no header.
                Ok(text) if text.expose_secret().trim_start().starts_with('{') => {}
                Ok(text) if !text.expose_secret().bytes().all(|it| (0x20..0x7f).contains(&it)) => {
                    faults.push(Fault::new(
                        format!("{path}.api-key"),
                        "cannot be sent in a header: it has characters beyond ASCII",
                    ));
                }
                Ok(_) => {}
            }
            if let Some(proxy) = &credential.proxy_url {
                proxy_url(proxy, format!("{path}.proxy-url"), faults);
            }
        }
        for (name, value) in &upstream.headers {
            let path = format!("{path}.headers.{name}");
            if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                faults.push(Fault::new(path, "is not a header's name"));
            } else if value.read().map_or(true, |it| http::HeaderValue::from_str(it.expose_secret()).is_err())
            {
                faults.push(Fault::new(path, "cannot be read, or is not a header's value"));
            }
        }
    }
}

fn timeouts(timeouts: &Timeouts, path: &str, faults: &mut Vec<Fault>) {
    let Timeouts { connect, first_byte, idle, dead_after, total } = timeouts;
    let all = [
        ("connect", Some(connect)),
        ("first-byte", Some(first_byte)),
        ("idle", Some(idle)),
        ("dead-after", Some(dead_after)),
        ("total", total.as_ref()),
    ];
    for (name, period) in all {
        if period.is_some_and(|it| it.0.is_zero()) {
            faults.push(Fault::new(format!("{path}.{name}"), "must be longer than nothing"));
        }
    }
    if dead_after.0 < idle.0 {
        let message = format!("must not be shorter than `idle` ({idle})");
        faults.push(Fault::new(format!("{path}.dead-after"), message));
    }
}

fn proxy_url(proxy: &Secret, path: String, faults: &mut Vec<Fault>) {
    match proxy.read() {
        Err(message) => faults.push(Fault::new(path, message)),
        Ok(text) if text.expose_secret() == "direct" => {}
        Ok(text) => {
            let known = ["http", "https", "socks5", "socks5h"];
            if !Url::parse(text.expose_secret()).is_ok_and(|it| known.contains(&it.scheme()) && it.has_host())
            {
                faults.push(Fault::new(
                    path,
                    "must be `direct` or an `http://`, `https://`, `socks5://` address",
                ));
            }
        }
    }
}
