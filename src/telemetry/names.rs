//! Every field and metric name, once. `gen_ai.*` as in OpenTelemetry's semantic conventions (status: development).

pub const REQUEST_ID: &str = "request.id";
pub const TENANT_ID: &str = "tenant.id";
pub const DIALECT: &str = "dialect";
pub const ATTEMPT_NUMBER: &str = "attempt.number";
pub const UPSTREAM_NAME: &str = "upstream.name";
pub const CREDENTIAL_ID: &str = "credential.id";
pub const REQUEST_MODEL: &str = "gen_ai.request.model";
pub const ERROR_KIND: &str = "error.kind";

/// Requests answered, by dialect and HTTP status.
pub const REQUESTS: &str = "dragoman_requests_total";
/// What translations could not say, by the two dialects, what became of it, and how much it means.
pub const LOSSES: &str = "dragoman_translation_losses_total";
/// Requests with no good key.
pub const REFUSED_KEYS: &str = "dragoman_refused_keys_total";
/// Attempts, by upstream, ending and error kind.
pub const ATTEMPTS: &str = "dragoman_attempts_total";
/// Tokens, by upstream and bucket.
pub const TOKENS: &str = "dragoman_tokens_total";
/// How long attempts took, by upstream.
pub const DURATION: &str = "dragoman_attempt_duration_seconds";
/// How long until the first content, by upstream.
pub const FIRST_BYTE: &str = "dragoman_time_to_first_byte_seconds";
/// Exchanges under way.
pub const IN_FLIGHT: &str = "dragoman_in_flight";
/// Credentials that cannot be drawn now, by upstream.
pub const COOLING: &str = "dragoman_credentials_cooling";
/// Usage records not yet in the ledger.
pub const SPOOL_RECORDS: &str = "dragoman_spool_records";
/// Bytes the spool holds.
pub const SPOOL_BYTES: &str = "dragoman_spool_bytes";
