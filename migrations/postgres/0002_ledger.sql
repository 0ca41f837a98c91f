-- What it cost. The same tables and columns as migrations/sqlite; types may differ.

-- One row for each attempt at an upstream. No foreign keys: usage outlives what it was used by.
CREATE TABLE attempt (
    id                  UUID NOT NULL CONSTRAINT attempt_pk PRIMARY KEY,
    request_id          UUID NOT NULL,
    -- 1 for the first attempt of the exchange.
    number              BIGINT NOT NULL,
    tenant_id           UUID NOT NULL,
    key_id              UUID NOT NULL,
    credential_id       UUID NOT NULL,
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
    streamed            BOOLEAN NOT NULL,
    operation           TEXT NOT NULL,
    -- Our own estimate of the prompt.
    estimated_input     BIGINT NOT NULL,
    ending              TEXT NOT NULL
        CONSTRAINT attempt_ending_known
        CHECK (ending IN ('completed', 'failed', 'abandoned', 'truncated', 'interrupted')),
    error               TEXT,
    -- The upstream's HTTP status.
    status              BIGINT,
    finish              TEXT,
    -- Tokens; NULL: the upstream did not say. The buckets do not overlap: input is input + cache_*, output is output + reasoning.
    input               BIGINT,
    cache_read          BIGINT,
    cache_write_5m      BIGINT,
    cache_write_1h      BIGINT,
    cache_write_other   BIGINT,
    output              BIGINT,
    reasoning           BIGINT,
    -- These overlay the buckets above.
    audio_input         BIGINT,
    audio_output        BIGINT,
    image_input         BIGINT,
    prediction_accepted BIGINT,
    prediction_rejected BIGINT,
    web_searches        BIGINT,
    web_fetches         BIGINT,
    -- Whether the tokens are our own estimate, wholly or in part.
    estimated           BOOLEAN NOT NULL,
    -- Billionths of a US dollar; NULL: not known.
    cost_nano_usd       BIGINT,
    first_byte_ms       BIGINT,
    duration_ms         BIGINT NOT NULL,
    started_at          TIMESTAMPTZ NOT NULL,
    ended_at            TIMESTAMPTZ NOT NULL
);

CREATE INDEX attempt_by_tenant ON attempt (tenant_id, started_at);
CREATE INDEX attempt_by_request ON attempt (request_id);

-- Their sums, kept in the same transactions: reports read only these.
CREATE TABLE usage_hour (
    -- Hours since 1970, of when the attempts started.
    hour                BIGINT NOT NULL,
    tenant_id           UUID NOT NULL,
    key_id              UUID NOT NULL,
    model_name          TEXT NOT NULL,
    upstream_model      TEXT NOT NULL,
    upstream            TEXT NOT NULL,
    credential_id       UUID NOT NULL,
    attempts            BIGINT NOT NULL,
    completed           BIGINT NOT NULL,
    failed              BIGINT NOT NULL,
    abandoned           BIGINT NOT NULL,
    truncated           BIGINT NOT NULL,
    interrupted         BIGINT NOT NULL,
    -- Attempts whose tokens are our own estimate, wholly or in part.
    estimated           BIGINT NOT NULL,
    -- Tokens, where the upstream did not say counting as none.
    input               BIGINT NOT NULL,
    cache_read          BIGINT NOT NULL,
    cache_write_5m      BIGINT NOT NULL,
    cache_write_1h      BIGINT NOT NULL,
    cache_write_other   BIGINT NOT NULL,
    output              BIGINT NOT NULL,
    reasoning           BIGINT NOT NULL,
    audio_input         BIGINT NOT NULL,
    audio_output        BIGINT NOT NULL,
    image_input         BIGINT NOT NULL,
    prediction_accepted BIGINT NOT NULL,
    prediction_rejected BIGINT NOT NULL,
    web_searches        BIGINT NOT NULL,
    web_fetches         BIGINT NOT NULL,
    cost_nano_usd       BIGINT NOT NULL,
    -- Attempts whose cost is not known.
    unpriced            BIGINT NOT NULL,
    duration_ms         BIGINT NOT NULL,
    -- Summed over the first_bytes attempts that had one.
    first_byte_ms       BIGINT NOT NULL,
    first_bytes         BIGINT NOT NULL,
    CONSTRAINT usage_hour_pk
        PRIMARY KEY (hour, tenant_id, key_id, model_name, upstream_model, upstream, credential_id)
);

CREATE INDEX usage_hour_by_tenant ON usage_hour (tenant_id, hour);
