-- Who may call. The same tables and columns as migrations/postgres; types may differ:
-- ids are 16 bytes, times are RFC 3339 in UTC (which sorts by time), truth is 0 or 1.

CREATE TABLE tenant (
    id          BLOB    NOT NULL CONSTRAINT tenant_pk PRIMARY KEY,
    name        TEXT    NOT NULL CONSTRAINT tenant_name_unique UNIQUE,
    enabled     INTEGER NOT NULL,
    -- 'file' if the configuration file declares it, else 'database'.
    source      TEXT    NOT NULL CONSTRAINT tenant_source_known CHECK (source IN ('file', 'database')),
    created_at  TEXT    NOT NULL
) STRICT;

CREATE TABLE tenant_key (
    id           BLOB    NOT NULL CONSTRAINT tenant_key_pk PRIMARY KEY,
    tenant_id    BLOB    NOT NULL CONSTRAINT tenant_key_tenant REFERENCES tenant (id),
    name         TEXT    NOT NULL,
    -- HMAC-SHA-256 of the key.
    hash         BLOB    NOT NULL CONSTRAINT tenant_key_hash_length CHECK (length(hash) = 32),
    hint         TEXT    NOT NULL,
    enabled      INTEGER NOT NULL,
    source       TEXT    NOT NULL CONSTRAINT tenant_key_source_known CHECK (source IN ('file', 'database')),
    created_at   TEXT    NOT NULL,
    expires_at   TEXT,
    last_used_at TEXT,
    CONSTRAINT tenant_key_name_unique UNIQUE (tenant_id, name)
) STRICT;

-- Only among enabled keys: one renamed in the configuration file leaves a disabled row with its hash behind.
CREATE UNIQUE INDEX tenant_key_hash_unique ON tenant_key (hash) WHERE enabled;

-- Counters that grow with every change, so that another process notices one with a single read.
CREATE TABLE revision (
    name  TEXT    NOT NULL CONSTRAINT revision_pk PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;

INSERT INTO revision (name, value) VALUES ('tenant', 0);
