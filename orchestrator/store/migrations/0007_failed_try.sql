-- A try that was given up, in favour of the next: retry `number` was spent on it. `attempt` is 0 where it never came to a
-- launch.
CREATE TABLE failed_try (
    run_no   INTEGER NOT NULL REFERENCES run (run_no),
    number   INTEGER NOT NULL CHECK (number >= 1),
    attempt  INTEGER NOT NULL,
    instance TEXT NOT NULL,
    reason   TEXT NOT NULL,
    message  TEXT NOT NULL,
    over_ms  INTEGER NOT NULL,
    PRIMARY KEY (run_no, number)
) STRICT, WITHOUT ROWID;
