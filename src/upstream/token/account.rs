//! An account of Google's: the JSON it is kept in, and what is sent for a token.
//!
//! Files: a service account's key, and what `gcloud auth application-default login` writes (`google-auth` 2,
//! `oauth2/service_account.py` and `oauth2/credentials.py`). The exchanges: RFC 7523 §2.1 for the one, RFC 6749 §6 for the other.

use chrono::{DateTime, Utc};
use jsonwebtoken::EncodingKey;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::{Url, form_urlencoded};

use super::assertion;

/// Where tokens are, unless the account says otherwise.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// What a token is good for: everything the account may do in the cloud.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// The longest life Google grants a signed assertion, in seconds.
const LIFE: i64 = 3600;

/// Somebody a token can be got for.
pub struct Account {
    pub(super) token_uri: Url,
    holder: Holder,
}

enum Holder {
    Service { email: String, key: EncodingKey, key_id: Option<String> },
    User { client_id: String, client_secret: SecretString, refresh_token: SecretString },
}

/// Why a secret is no account that can be used. Never holds a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAccount {
    #[error(
        "is not the JSON of a Google account: give the file of a service account, or of a login for applications"
    )]
    Form,
    #[error("is an account of a type that cannot be used: use a `service_account` or an `authorized_user`")]
    Type,
    #[error("lacks `{0}`")]
    Missing(&'static str),
    #[error("has a `private_key` that is no RSA key in PEM form")]
    Key,
    #[error("has a `token_uri` that is no address")]
    TokenUri,
}

/// The file's fields; of the two types each has some.
#[derive(Deserialize)]
struct File {
    r#type: String,
    client_email: Option<String>,
    private_key: Option<String>,
    private_key_id: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    refresh_token: Option<String>,
    token_uri: Option<String>,
}

/// What a service account signs to be known.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

impl Account {
    /// Reads an account's file.
    pub fn parse(json: &str) -> Result<Self, InvalidAccount> {
        let file: File = serde_json::from_str(json).map_err(|_| InvalidAccount::Form)?;
        let token_uri = file.token_uri.as_deref().filter(|it| !it.is_empty()).unwrap_or(TOKEN_URI);
        let token_uri = Url::parse(token_uri).map_err(|_| InvalidAccount::TokenUri)?;
        let holder = match file.r#type.as_str() {
            "service_account" => Holder::Service {
                email: present(file.client_email, "client_email")?,
                key: assertion::key(&pem(&present(file.private_key, "private_key")?))
                    .ok_or(InvalidAccount::Key)?,
                key_id: file.private_key_id,
            },
            "authorized_user" => Holder::User {
                client_id: present(file.client_id, "client_id")?,
                client_secret: present(file.client_secret, "client_secret")?.into(),
                refresh_token: present(file.refresh_token, "refresh_token")?.into(),
            },
            _ => return Err(InvalidAccount::Type),
        };
        Ok(Self { token_uri, holder })
    }

    /// The form that is sent for a token.
    pub(super) fn form(&self, now: DateTime<Utc>) -> Result<String, InvalidAccount> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        match &self.holder {
            Holder::Service { email, key, key_id } => {
                let iat = now.timestamp();
                let aud = self.token_uri.as_str();
                let claims = Claims { iss: email, scope: SCOPE, aud, iat, exp: iat + LIFE };
                let assertion = assertion::sign(&claims, key_id.clone(), key).ok_or(InvalidAccount::Key)?;
                form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
                form.append_pair("assertion", &assertion);
            }
            Holder::User { client_id, client_secret, refresh_token } => {
                form.append_pair("grant_type", "refresh_token");
                form.append_pair("client_id", client_id);
                form.append_pair("client_secret", client_secret.expose_secret());
                form.append_pair("refresh_token", refresh_token.expose_secret());
            }
        }
        Ok(form.finish())
    }
}

fn present(field: Option<String>, name: &'static str) -> Result<String, InvalidAccount> {
    field.filter(|it| !it.trim().is_empty()).ok_or(InvalidAccount::Missing(name))
}

/// Files that went through a variable or a form often have `\n` in letters, and Windows' line ends.
fn pem(text: &str) -> String {
    text.replace("\\n", "\n").replace('\r', "")
}
