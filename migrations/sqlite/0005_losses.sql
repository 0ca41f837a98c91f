-- What is done about what a translation of a tenant's requests cannot say; NULL: what the key, the tenant or the
-- configuration file says.
ALTER TABLE tenant ADD COLUMN losses TEXT CONSTRAINT tenant_losses_known CHECK (losses IN ('strict', 'warn', 'quiet'));
ALTER TABLE tenant_key ADD COLUMN losses TEXT CONSTRAINT tenant_key_losses_known CHECK (losses IN ('strict', 'warn', 'quiet'));
