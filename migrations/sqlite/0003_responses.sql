-- Answers that clients come back to. The same tables and columns as migrations/postgres; types may differ.

CREATE TABLE response (
    tenant_id   BLOB NOT NULL,
    id          TEXT NOT NULL,
    -- The answer it goes on from; no foreign key: that may be one of the upstream's own.
    previous_id TEXT,
    -- Question and answer, sealed.
    sealed      TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    expires_at  TEXT NOT NULL,
    CONSTRAINT response_pk PRIMARY KEY (tenant_id, id)
) STRICT;

CREATE INDEX response_by_expiry ON response (expires_at);

-- Which answer an item is in.
CREATE TABLE response_item (
    tenant_id   BLOB NOT NULL,
    id          TEXT NOT NULL,
    response_id TEXT NOT NULL,
    CONSTRAINT response_item_pk PRIMARY KEY (tenant_id, id),
    CONSTRAINT response_item_response_fk
        FOREIGN KEY (tenant_id, response_id) REFERENCES response (tenant_id, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX response_item_by_response ON response_item (tenant_id, response_id);
