-- What tenants keep at upstreams. The same tables and columns as migrations/sqlite; types may differ.

CREATE TABLE kept_object (
    tenant_id     UUID        NOT NULL CONSTRAINT kept_object_tenant REFERENCES tenant (id),
    shelf         TEXT        NOT NULL CONSTRAINT kept_object_shelf_known CHECK (shelf IN ('file', 'batch')),
    -- The upstream's own id.
    object_id     TEXT        NOT NULL,
    upstream      TEXT        NOT NULL,
    -- With which it was made. No foreign key: credentials are kept elsewhere.
    credential_id UUID        NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL,
    CONSTRAINT kept_object_pk PRIMARY KEY (tenant_id, shelf, object_id, upstream)
);

CREATE INDEX kept_object_by_age ON kept_object (tenant_id, shelf, upstream, created_at);
