-- What tenants keep at upstreams. The same tables and columns as migrations/postgres; types may differ.

CREATE TABLE kept_object (
    tenant_id     BLOB NOT NULL CONSTRAINT kept_object_tenant REFERENCES tenant (id),
    shelf         TEXT NOT NULL CONSTRAINT kept_object_shelf_known CHECK (shelf IN ('file', 'batch')),
    -- The upstream's own id.
    object_id     TEXT NOT NULL,
    upstream      TEXT NOT NULL,
    -- With which it was made. No foreign key: credentials are kept elsewhere.
    credential_id BLOB NOT NULL,
    created_at    TEXT NOT NULL,
    CONSTRAINT kept_object_pk PRIMARY KEY (tenant_id, shelf, object_id, upstream)
) STRICT;

CREATE INDEX kept_object_by_age ON kept_object (tenant_id, shelf, upstream, created_at);
