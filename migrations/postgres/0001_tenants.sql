-- Who may call. The same tables and columns as migrations/sqlite; types may differ.

CREATE TABLE tenant (
    id          UUID        NOT NULL CONSTRAINT tenant_pk PRIMARY KEY,
    name        TEXT        NOT NULL CONSTRAINT tenant_name_unique UNIQUE,
    enabled     BOOLEAN     NOT NULL,
    -- 'file' if the configuration file declares it, else 'database'.
    source      TEXT        NOT NULL CONSTRAINT tenant_source_known CHECK (source IN ('file', 'database')),
    created_at  TIMESTAMPTZ NOT NULL
);

CREATE TABLE tenant_key (
    id           UUID        NOT NULL CONSTRAINT tenant_key_pk PRIMARY KEY,
    tenant_id    UUID        NOT NULL CONSTRAINT tenant_key_tenant REFERENCES tenant (id),
    name         TEXT        NOT NULL,
    -- HMAC-SHA-256 of the key.
    hash         BYTEA       NOT NULL CONSTRAINT tenant_key_hash_length CHECK (length(hash) = 32),
    hint         TEXT        NOT NULL,
    enabled      BOOLEAN     NOT NULL,
    source       TEXT        NOT NULL CONSTRAINT tenant_key_source_known CHECK (source IN ('file', 'database')),
    created_at   TIMESTAMPTZ NOT NULL,
    expires_at   TIMESTAMPTZ,
    last_used_at TIMESTAMPTZ,
    CONSTRAINT tenant_key_name_unique UNIQUE (tenant_id, name)
);

-- Only among enabled keys: one renamed in the configuration file leaves a disabled row with its hash behind.
CREATE UNIQUE INDEX tenant_key_hash_unique ON tenant_key (hash) WHERE enabled;

-- Counters that grow with every change, so that another process notices one with a single read.
CREATE TABLE revision (
    name  TEXT   NOT NULL CONSTRAINT revision_pk PRIMARY KEY,
    value BIGINT NOT NULL
);

INSERT INTO revision (name, value) VALUES ('tenant', 0);
