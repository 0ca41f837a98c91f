-- What the upstream was not told as the client said it, as JSON; NULL: all was told.
ALTER TABLE attempt ADD COLUMN losses TEXT;
