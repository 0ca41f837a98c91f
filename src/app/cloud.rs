//! What the configuration says of Google's cloud: places and accounts, for the kinds that have them and for no other.

use secrecy::ExposeSecret as _;

use crate::{
    config::{Fault, upstreams},
    upstream::{AuthScheme, InvalidPlace, Place, UpstreamKind, token::Account},
};

/// Project and location, for the kind that has them and for no other. `Err`: a fault was found.
pub(super) fn place(
    declared: &upstreams::Upstream,
    kind: &UpstreamKind,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Result<Option<Place>, ()> {
    let (project, location) = (declared.project.as_deref(), declared.location.as_deref());
    let before = faults.len();
    if !kind.has_place() {
        let message = format!("is not for upstreams of kind `{}`", kind.name);
        for (name, value) in [("project", project), ("location", location)] {
            if value.is_some() {
                faults.push(Fault::new(format!("{path}.{name}"), message.clone()));
            }
        }
        return if faults.len() == before { Ok(None) } else { Err(()) };
    }
    let Some(project) = project else {
        let message = format!("is missing: the kind `{}` needs the project its models run in", kind.name);
        faults.push(Fault::new(format!("{path}.project"), message));
        return Err(());
    };
    Place::new(project, location.unwrap_or(Place::EVERYWHERE)).map(Some).map_err(|error| {
        let name = match error {
            InvalidPlace::Project => "project",
            InvalidPlace::Location => "location",
        };
        faults.push(Fault::new(format!("{path}.{name}"), error.to_string()));
    })
}

/// That the declared credentials are accounts where the kind wants accounts, and nowhere else.
pub(super) fn accounts(
    declared: &upstreams::Upstream,
    kind: &UpstreamKind,
    path: &str,
    faults: &mut Vec<Fault>,
) {
    for (index, credential) in declared.credentials.iter().enumerate() {
        // What cannot be read has been reported.
        let Ok(secret) = credential.api_key.read() else { continue };
        let secret = secret.expose_secret();
        let message = if kind.auth == AuthScheme::GoogleToken {
            Account::parse(secret).err().map(|it| it.to_string())
        } else {
            let is_account = secret.trim_start().starts_with('{');
            is_account.then(|| format!("is the JSON of an account: the kind `{}` takes a key", kind.name))
        };
        if let Some(message) = message {
            faults.push(Fault::new(format!("{path}.credentials[{index}].api-key"), message));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        app::compile::load,
        config::{Environment, Source},
    };

    const ACCOUNT: &str = include_str!("../../tests/fixtures/google/service-account.json");

    /// The faults of one upstream `u`, with a credential of this secret.
    fn faults(upstream: &str, secret: &str) -> Vec<String> {
        let environment = Environment::of([("SECRET", secret)]);
        let text = format!(
            "upstreams: [{{ name: u, credentials: [{{ name: c, api-key: '${{SECRET}}' }}], {upstream} }}]"
        );
        match load(&Source::Text(text), &environment) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.0.iter().map(|it| format!("{}: {}", it.path, it.message)).collect(),
        }
    }

    #[test]
    fn vertex_has_a_project_a_location_and_accounts_and_nobody_else_has() {
        let none: [&str; 0] = [];
        assert_eq!(faults("kind: vertex, project: my-project", ACCOUNT), none);
        assert_eq!(faults("kind: vertex, project: my-project, location: europe-west4", ACCOUNT), none);
        let own = "kind: vertex, project: p, base-url: 'https://{location}-aiplatform.googleapis.com'";
        assert_eq!(faults(own, ACCOUNT), none);
        assert_eq!(
            faults("kind: vertex", ACCOUNT),
            ["upstreams[0].project: is missing: the kind `vertex` needs the project its models run in"]
        );
        let found = faults("kind: vertex, project: p, location: 'Evil.example/'", ACCOUNT);
        assert!(found[0].starts_with("upstreams[0].location: a location has 1 to 32"), "{found:?}");
        assert_eq!(
            faults("kind: gemini, project: p, location: us", "AIza-key"),
            [
                "upstreams[0].project: is not for upstreams of kind `gemini`",
                "upstreams[0].location: is not for upstreams of kind `gemini`"
            ]
        );
        assert_eq!(
            faults("kind: gemini", ACCOUNT),
            ["upstreams[0].credentials[0].api-key: is the JSON of an account: the kind `gemini` takes a key"]
        );
        let found = faults("kind: vertex, project: p", "AIzaSecretKey");
        assert!(found[0].starts_with("upstreams[0].credentials[0].api-key: is not the JSON"), "{found:?}");
        assert!(!found[0].contains("AIza"), "{found:?}");
    }

    #[test]
    fn how_answers_come_and_requests_go_is_read() {
        let none: [&str; 0] = [];
        for (streaming, packing) in [("always", "zstd"), ("never", "gzip"), ("auto", "br"), ("auto", "none")]
        {
            let text = format!("kind: openai, streaming: {streaming}, request-compression: {packing}");
            assert_eq!(faults(&text, "sk-1"), none);
        }
        let found = faults("kind: openai, streaming: sometimes, request-compression: lzma", "sk-1");
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
