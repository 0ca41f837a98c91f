-- What it cost. The same tables and columns as migrations/postgres; types may differ.

-- One row for each attempt at an upstream. No foreign keys: usage outlives what it was used by.
CREATE TABLE attempt (
    id                  BLOB NOT NULL CONSTRAINT attempt_pk PRIMARY KEY,
    request_id          BLOB NOT NULL,
    -- 1 for the first attempt of the exchange.
    number              INTEGER NOT NULL,
    tenant_id           BLOB NOT NULL,
    key_id              BLOB NOT NULL,
    credential_id       BLOB NOT NULL,
    upstream            TEXT NOT NULL,
    client_dialect      TEXT NOT NULL,
    upstream_dialect    TEXT NOT NULL,
    -- As the client wrote it.
    model_name          TEXT NOT NULL,
    -- As the upstream was told.
    upstream_model      TEXT NOT NULL,
    -- As the upstream answered, if it differs.
    answered_model      TEXT,
    -- The upstream's own id of the answer.
    upstream_id         TEXT,
    streamed            INTEGER NOT NULL,
    operation           TEXT NOT NULL,
    -- Our own estimate of the prompt.
    estimated_input     INTEGER NOT NULL,
    ending              TEXT NOT NULL
        CONSTRAINT attempt_ending_known
        CHECK (ending IN ('completed', 'failed', 'abandoned', 'truncated', 'interrupted')),
    error               TEXT,
    -- The upstream's HTTP status.
    status              INTEGER,
    finish              TEXT,
    -- Tokens; NULL: the upstream did not say. The buckets do not overlap: input is input + cache_*, output is output + reasoning.
    input               INTEGER,
    cache_read          INTEGER,
    cache_write_5m      INTEGER,
    cache_write_1h      INTEGER,
    cache_write_other   INTEGER,
    output              INTEGER,
    reasoning           INTEGER,
    -- These overlay the buckets above.
    audio_input         INTEGER,
    audio_output        INTEGER,
    image_input         INTEGER,
    prediction_accepted INTEGER,
    prediction_rejected INTEGER,
    web_searches        INTEGER,
    web_fetches         INTEGER,
    -- Whether the tokens are our own estimate, wholly or in part.
    estimated           INTEGER NOT NULL,
    -- Billionths of a US dollar; NULL: not known.
    cost_nano_usd       INTEGER,
    first_byte_ms       INTEGER,
    duration_ms         INTEGER NOT NULL,
    started_at          TEXT NOT NULL,
    ended_at            TEXT NOT NULL
) STRICT;

CREATE INDEX attempt_by_tenant ON attempt (tenant_id, started_at);
CREATE INDEX attempt_by_request ON attempt (request_id);

-- Their sums, kept in the same transactions: reports read only these.
CREATE TABLE usage_hour (
    -- Hours since 1970, of when the attempts started.
    hour                INTEGER NOT NULL,
    tenant_id           BLOB NOT NULL,
    key_id              BLOB NOT NULL,
    model_name          TEXT NOT NULL,
    upstream_model      TEXT NOT NULL,
    upstream            TEXT NOT NULL,
    credential_id       BLOB NOT NULL,
    attempts            INTEGER NOT NULL,
    completed           INTEGER NOT NULL,
    failed              INTEGER NOT NULL,
    abandoned           INTEGER NOT NULL,
    truncated           INTEGER NOT NULL,
    interrupted         INTEGER NOT NULL,
    -- Attempts whose tokens are our own estimate, wholly or in part.
    estimated           INTEGER NOT NULL,
    -- Tokens, where the upstream did not say counting as none.
    input               INTEGER NOT NULL,
    cache_read          INTEGER NOT NULL,
    cache_write_5m      INTEGER NOT NULL,
    cache_write_1h      INTEGER NOT NULL,
    cache_write_other   INTEGER NOT NULL,
    output              INTEGER NOT NULL,
    reasoning           INTEGER NOT NULL,
    audio_input         INTEGER NOT NULL,
    audio_output        INTEGER NOT NULL,
    image_input         INTEGER NOT NULL,
    prediction_accepted INTEGER NOT NULL,
    prediction_rejected INTEGER NOT NULL,
    web_searches        INTEGER NOT NULL,
    web_fetches         INTEGER NOT NULL,
    cost_nano_usd       INTEGER NOT NULL,
    -- Attempts whose cost is not known.
    unpriced            INTEGER NOT NULL,
    duration_ms         INTEGER NOT NULL,
    -- Summed over the first_bytes attempts that had one.
    first_byte_ms       INTEGER NOT NULL,
    first_bytes         INTEGER NOT NULL,
    CONSTRAINT usage_hour_pk
        PRIMARY KEY (hour, tenant_id, key_id, model_name, upstream_model, upstream, credential_id)
) STRICT;

CREATE INDEX usage_hour_by_tenant ON usage_hour (tenant_id, hour);
