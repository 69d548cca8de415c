-- A retry may wait, or be staged, while the row of its run still names the attempt before it. These two say so after a
-- crash: attempts up to attempts_over are over (nobody follows them any more), retries is how many were spent.
ALTER TABLE run ADD COLUMN attempts_over INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;
