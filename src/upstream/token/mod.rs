//! Where a fresh token comes from, for credentials whose secret is an account and no key.
//!
//! A token is kept as long as it lives, and got anew a little before its end. Of those who want one of the same account at
//! the same time one asks for it, and the others wait for what it gets. A token is never written down.

mod account;
mod assertion;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::{
    HeaderValue, Request, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;

use super::{
    AuthScheme, Failure, Upstream,
    transport::{Timeouts, Transport, read_whole},
};
use crate::{
    credential::Credential,
    dialect::{Pieces, WireError},
    kernel::{clock::Clock, error::ErrorKind},
};

pub use account::{Account, InvalidAccount};

/// How long before its end a token is got anew; until `LEAST` before it, the old one serves those who come meanwhile.
const LEAD: TimeDelta = TimeDelta::minutes(5);
/// A token that lives no longer than this is not begun a call with.
const LEAST: TimeDelta = TimeDelta::seconds(30);
/// How long a token may take to come, and those who wait for another's to come may wait.
const PATIENCE: Duration = Duration::from_secs(15);
/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// How long a token lives if the answer does not say (RFC 6749 §5.1 only recommends it), in seconds.
const UNTOLD_LIFE: u64 = 600;
/// The longest life that is believed, in seconds.
const LONGEST_LIFE: u64 = 12 * 3600;
/// From this many accounts on, those whose token is gone are forgotten.
const MANY: usize = 1000;

/// Why there is no token. Never holds a secret or an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the credential's secret {0}")]
    Account(#[from] InvalidAccount),
    #[error("the account's `token_uri` is neither Google's nor the upstream's own: it is not asked")]
    Elsewhere,
    #[error("the account is refused a token{}", code(.0.as_deref()))]
    Refused(Option<String>),
    #[error("the account's tokens cannot be reached, or come too late")]
    Unreachable,
    #[error("the account's tokens are not given at the moment (status {0})")]
    Failing(u16),
    #[error("the answer to a request for a token cannot be read")]
    Unreadable,
}

fn code(code: Option<&str>) -> String {
    code.map(|it| format!(" (`{it}`)")).unwrap_or_default()
}

impl TokenError {
    /// As a failure of the attempt the token was wanted for: the credential's if nobody else can mend it.
    pub fn failure(&self) -> Failure {
        let kind = match self {
            Self::Account(_) | Self::Elsewhere | Self::Refused(_) => ErrorKind::UpstreamRefused,
            Self::Unreachable | Self::Failing(_) | Self::Unreadable => ErrorKind::UpstreamFailed,
        };
        let message = self.to_string();
        Failure::Stream(WireError { kind, message, error_type: None, code: None, param: None })
    }
}

/// Tokens by account. One for the process: reloads keep it.
pub struct Tokens {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    /// By the secret's hash: two credentials of one account share its token, and a new secret has none yet.
    cells: Mutex<HashMap<[u8; 32], Arc<Cell>>>,
}

#[derive(Default)]
struct Cell {
    token: Mutex<Option<Token>>,
    /// How often a token was asked for: who waited sees by it whether somebody asked meanwhile.
    rounds: AtomicU64,
    /// Held while asking; the last failure, if the last round was one.
    asking: tokio::sync::Mutex<Option<TokenError>>,
}

#[derive(Clone)]
struct Token {
    secret: SecretString,
    ends: DateTime<Utc>,
}

impl Cell {
    /// The token, if it still lives for so long.
    fn alive(&self, now: DateTime<Utc>, at_least: TimeDelta) -> Option<SecretString> {
        let token = self.token.lock();
        token.as_ref().filter(|it| it.ends - now > at_least).map(|it| it.secret.clone())
    }
}

impl Tokens {
    pub fn new(transport: Arc<dyn Transport>, clock: Arc<dyn Clock>) -> Self {
        Self { transport, clock, cells: Mutex::default() }
    }

    /// The credential as it is shown to its upstream: with a token for its secret, if the upstream wants one.
    pub async fn present<'a>(
        &self,
        upstream: &Upstream,
        credential: &'a Credential,
    ) -> Result<Cow<'a, Credential>, TokenError> {
        if upstream.auth != AuthScheme::GoogleToken {
            return Ok(Cow::Borrowed(credential));
        }
        let secret = self.token(upstream, credential).await?;
        Ok(Cow::Owned(Credential { secret, ..credential.clone() }))
    }

    /// Forgets the token that was shown: the upstream refused it before its end.
    pub fn forget(&self, credential: &Credential, shown: &Credential) {
        let Some(cell) = self.cells.lock().get(&key(credential)).cloned() else { return };
        let mut token = cell.token.lock();
        // Somebody may have got another since.
        if token.as_ref().is_some_and(|it| it.secret.expose_secret() == shown.secret.expose_secret()) {
            *token = None;
        }
    }

    async fn token(&self, upstream: &Upstream, credential: &Credential) -> Result<SecretString, TokenError> {
        let cell = self.cell(credential);
        let now = self.clock.now();
        if let Some(token) = cell.alive(now, LEAD) {
            return Ok(token);
        }
        if let Some(token) = cell.alive(now, LEAST) {
            // Nobody waits as long as the old one lives, and it serves too if there is no new one.
            let Ok(mut asking) = cell.asking.try_lock() else { return Ok(token) };
            if let Some(newer) = cell.alive(now, LEAD) {
                return Ok(newer);
            }
            return Ok(self.ask(upstream, credential, &cell, &mut asking).await.unwrap_or(token));
        }
        let seen = cell.rounds.load(Ordering::Acquire);
        let asking = tokio::time::timeout(PATIENCE, cell.asking.lock()).await;
        let mut asking = asking.map_err(|_| TokenError::Unreachable)?;
        if let Some(token) = cell.alive(self.clock.now(), LEAST) {
            return Ok(token);
        }
        match asking.as_ref() {
            // Asked while we waited: asking again would fail again, and once for each who waits.
            Some(failure) if cell.rounds.load(Ordering::Acquire) != seen => Err(failure.clone()),
            _ => self.ask(upstream, credential, &cell, &mut asking).await,
        }
    }

    fn cell(&self, credential: &Credential) -> Arc<Cell> {
        let mut cells = self.cells.lock();
        if cells.len() >= MANY {
            let now = self.clock.now();
            cells.retain(|_, it| Arc::strong_count(it) > 1 || it.alive(now, TimeDelta::zero()).is_some());
        }
        Arc::clone(cells.entry(key(credential)).or_default())
    }

    /// Asks for a token, and keeps it or the reason why there is none.
    async fn ask(
        &self,
        upstream: &Upstream,
        credential: &Credential,
        cell: &Cell,
        last: &mut Option<TokenError>,
    ) -> Result<SecretString, TokenError> {
        let exchange = tokio::time::timeout(PATIENCE, self.exchange(upstream, credential));
        let outcome = exchange.await.unwrap_or(Err(TokenError::Unreachable));
        cell.rounds.fetch_add(1, Ordering::AcqRel);
        *last = outcome.as_ref().err().cloned();
        let token = outcome?;
        *cell.token.lock() = Some(token.clone());
        Ok(token.secret)
    }

    async fn exchange(&self, upstream: &Upstream, credential: &Credential) -> Result<Token, TokenError> {
        let account = Account::parse(credential.secret.expose_secret())?;
        if !is_googles(&account.token_uri) && !upstream.is_at(&account.token_uri) {
            return Err(TokenError::Elsewhere);
        }
        let now = self.clock.now();
        let mut request = Request::post(account.token_uri.as_str())
            .body(Pieces::from(Bytes::from(account.form(now)?)))
            .map_err(|_| InvalidAccount::TokenUri)?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut options = upstream.options(credential).map_err(|_| TokenError::Unreachable)?;
        options.timeouts = Timeouts { total: Some(PATIENCE), ..options.timeouts };
        let answer = self.transport.send(request, &options).await.map_err(|_| TokenError::Unreachable)?;
        let status = answer.status();
        let body = read_whole(answer.into_body(), MAX_ANSWER).await.map_err(|_| TokenError::Unreachable)?;
        read(status, &body, now)
    }
}

fn key(credential: &Credential) -> [u8; 32] {
    Sha256::digest(credential.secret.expose_secret()).into()
}

/// An account may come from anywhere and name any `token_uri`: what it signs or holds is sent to Google only, or to the
/// host that is shown the tokens anyway.
fn is_googles(uri: &Url) -> bool {
    let host = uri.host_str().unwrap_or_default();
    uri.scheme() == "https" && (host == "googleapis.com" || host.ends_with(".googleapis.com"))
}

/// Reads the answer to a request for a token (RFC 6749 §5).
fn read(status: StatusCode, body: &[u8], now: DateTime<Utc>) -> Result<Token, TokenError> {
    #[derive(Deserialize)]
    struct Given {
        access_token: String,
        expires_in: Option<u64>,
    }
    #[derive(Deserialize)]
    struct Denied {
        error: String,
    }
    match status.as_u16() {
        200..=299 => {
            let given: Given = serde_json::from_slice(body).map_err(|_| TokenError::Unreadable)?;
            if given.access_token.trim().is_empty() {
                return Err(TokenError::Unreadable);
            }
            let life = given.expires_in.unwrap_or(UNTOLD_LIFE).min(LONGEST_LIFE);
            let life = TimeDelta::seconds(i64::try_from(life).unwrap_or_default());
            Ok(Token { secret: given.access_token.into(), ends: now + life })
        }
        408 | 425 | 429 | 500..=599 => Err(TokenError::Failing(status.as_u16())),
        // Its description may name the account; its code is one of a few words.
        _ => Err(TokenError::Refused(
            serde_json::from_slice::<Denied>(body)
                .ok()
                .map(|it| it.error)
                .filter(|it| it.len() <= 40 && it.bytes().all(|it| it.is_ascii_lowercase() || it == b'_')),
        )),
    }
}
