-- The tables. Why they look like this: docs/storage.md. Times are UTC milliseconds; ids of people and programs
-- are text, ids inside the database are integers that end in _no.

CREATE TABLE run (
    run_no             INTEGER PRIMARY KEY,
    run                TEXT NOT NULL UNIQUE,
    name               TEXT NOT NULL,
    subject            TEXT NOT NULL,
    spec_hash          TEXT NOT NULL,
    thresholds_hash    TEXT NOT NULL,
    requested_instance TEXT NOT NULL,
    idempotency_key    TEXT UNIQUE,           -- NULL: none
    body_hash          TEXT NOT NULL,         -- of what the key stands for
    state              TEXT NOT NULL CHECK (state IN ('QUEUED', 'PROVISIONING', 'STAGING', 'SETUP', 'RUNNING',
                                                      'COLLECTING', 'LOST', 'DONE')),
    reason             TEXT NOT NULL,
    message            TEXT NOT NULL DEFAULT '',
    status             TEXT,
    instance           TEXT NOT NULL DEFAULT '',
    holds_lease        INTEGER NOT NULL DEFAULT 0 CHECK (holds_lease IN (0, 1)),
    cancel_requested   INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
    attempt            INTEGER NOT NULL DEFAULT 0,  -- the latest; 0: none
    created_ms         INTEGER NOT NULL,
    started_ms         INTEGER NOT NULL DEFAULT 0,
    finished_ms        INTEGER NOT NULL DEFAULT 0,
    version            INTEGER NOT NULL DEFAULT 1,
    artifact_dir       TEXT NOT NULL DEFAULT '',
    CHECK ((state = 'DONE') = (status IS NOT NULL)),
    CHECK (holds_lease = 0 OR (instance <> '' AND state <> 'DONE'))
) STRICT;
-- An instance serves one run at a time, whatever the code above believes.
CREATE UNIQUE INDEX run_lease ON run (instance) WHERE holds_lease = 1;
CREATE INDEX run_active ON run (run_no) WHERE state <> 'DONE';

CREATE TABLE run_document (
    run_no    INTEGER PRIMARY KEY REFERENCES run (run_no),
    spec_file TEXT NOT NULL,
    spec_yaml TEXT NOT NULL,
    plan_json TEXT NOT NULL
) STRICT;

CREATE TABLE planned_case (
    case_no INTEGER PRIMARY KEY,
    run_no  INTEGER NOT NULL REFERENCES run (run_no),
    ordinal INTEGER NOT NULL,
    key     TEXT NOT NULL,
    step    TEXT NOT NULL,
    kind    TEXT NOT NULL,
    title   TEXT NOT NULL,
    UNIQUE (run_no, ordinal),
    UNIQUE (run_no, key)
) STRICT;

CREATE TABLE run_change (
    run_no  INTEGER NOT NULL REFERENCES run (run_no),
    version INTEGER NOT NULL,
    at_ms   INTEGER NOT NULL,
    what    TEXT NOT NULL,
    state   TEXT NOT NULL,
    reason  TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (run_no, version)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER run_change_stays BEFORE UPDATE ON run_change
BEGIN SELECT RAISE(ABORT, 'run_change is append-only'); END;
CREATE TRIGGER run_change_is_kept BEFORE DELETE ON run_change
BEGIN SELECT RAISE(ABORT, 'run_change is append-only'); END;

CREATE TABLE attempt (
    run_no         INTEGER NOT NULL REFERENCES run (run_no),
    attempt        INTEGER NOT NULL CHECK (attempt >= 1),
    state          TEXT NOT NULL CHECK (state IN ('launching', 'launched', 'ended')),
    instance       TEXT NOT NULL,
    pid            INTEGER NOT NULL DEFAULT 0,
    start_ticks    INTEGER NOT NULL DEFAULT 0,
    boot_id        TEXT NOT NULL DEFAULT '',
    last_seq       INTEGER NOT NULL DEFAULT 0,
    begun_ms       INTEGER NOT NULL,
    end            TEXT,                      -- of the run_finished event; NULL: not here
    end_detail     TEXT NOT NULL DEFAULT '',
    manifest       TEXT NOT NULL DEFAULT '',  -- SHA-256 of manifest.json
    manifest_files INTEGER NOT NULL DEFAULT 0,
    manifest_bytes INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run_no, attempt)             -- the fence: an attempt is begun once
) STRICT, WITHOUT ROWID;

-- The worker's journal, replicated by sequence number. `line` is empty for case_records: those are in
-- measurement, fact and remark, one row a record.
CREATE TABLE journal_event (
    run_no  INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    wall_ms INTEGER NOT NULL,                 -- the host's clock
    kind    TEXT NOT NULL,
    line    TEXT NOT NULL,
    PRIMARY KEY (run_no, attempt, seq),
    FOREIGN KEY (run_no, attempt) REFERENCES attempt (run_no, attempt)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER journal_event_stays BEFORE UPDATE ON journal_event
BEGIN SELECT RAISE(ABORT, 'journal_event is append-only'); END;
CREATE TRIGGER journal_event_is_kept BEFORE DELETE ON journal_event
BEGIN SELECT RAISE(ABORT, 'journal_event is append-only'); END;

CREATE TABLE host_fact (
    run_no  INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    name    TEXT NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (run_no, attempt, name),
    FOREIGN KEY (run_no, attempt) REFERENCES attempt (run_no, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE setup_result (
    run_no      INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    ordinal     INTEGER NOT NULL,
    end_kind    TEXT NOT NULL,
    exit_code   INTEGER NOT NULL,
    signal      INTEGER NOT NULL,
    core_dumped INTEGER NOT NULL,
    end_detail  TEXT NOT NULL,
    seconds     REAL NOT NULL,
    PRIMARY KEY (run_no, attempt, ordinal),
    FOREIGN KEY (run_no, attempt) REFERENCES attempt (run_no, attempt)
) STRICT, WITHOUT ROWID;

-- A case that was started or blocked, by attempt; no row: waiting.
CREATE TABLE case_outcome (
    case_no      INTEGER NOT NULL REFERENCES planned_case (case_no),
    attempt      INTEGER NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('running', 'finished', 'blocked')),
    argv         TEXT NOT NULL DEFAULT '[]',  -- JSON, as executed
    started_ms   INTEGER NOT NULL DEFAULT 0,  -- the host's clock
    finished_ms  INTEGER NOT NULL DEFAULT 0,
    end_kind     TEXT,                        -- NULL: has not ended
    exit_code    INTEGER NOT NULL DEFAULT 0,
    signal       INTEGER NOT NULL DEFAULT 0,
    core_dumped  INTEGER NOT NULL DEFAULT 0,
    end_detail   TEXT NOT NULL DEFAULT '',
    seconds      REAL NOT NULL DEFAULT 0,
    stdout_bytes INTEGER NOT NULL DEFAULT 0,
    stderr_bytes INTEGER NOT NULL DEFAULT 0,
    max_rss_kib  INTEGER NOT NULL DEFAULT 0,
    blocked_by   TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (case_no, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE metric (
    metric_no INTEGER PRIMARY KEY,
    name      TEXT NOT NULL,
    unit      TEXT NOT NULL,
    UNIQUE (name, unit)
) STRICT;

CREATE TABLE label_set (
    label_no INTEGER PRIMARY KEY,
    labels   TEXT NOT NULL UNIQUE             -- JSON object with sorted keys
) STRICT;

-- Raw samples. `ordinal` is the record's place in the journal (seq * 4096 + index in its event), so that a
-- replay lands on itself.
CREATE TABLE measurement (
    case_no   INTEGER NOT NULL REFERENCES planned_case (case_no),
    attempt   INTEGER NOT NULL,
    metric_no INTEGER NOT NULL REFERENCES metric (metric_no),
    label_no  INTEGER NOT NULL REFERENCES label_set (label_no),
    ordinal   INTEGER NOT NULL,
    sample    INTEGER NOT NULL,
    value     REAL,                           -- NULL: NaN, which SQLite cannot hold
    PRIMARY KEY (case_no, attempt, metric_no, label_no, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE fact (
    case_no  INTEGER NOT NULL REFERENCES planned_case (case_no),
    attempt  INTEGER NOT NULL,
    ordinal  INTEGER NOT NULL,
    name     TEXT NOT NULL,
    value    TEXT NOT NULL,
    label_no INTEGER NOT NULL REFERENCES label_set (label_no),
    PRIMARY KEY (case_no, attempt, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE remark (                         -- skips, and result lines that could not be read
    case_no INTEGER NOT NULL REFERENCES planned_case (case_no),
    attempt INTEGER NOT NULL,
    kind    TEXT NOT NULL CHECK (kind IN ('skip', 'error')),
    ordinal INTEGER NOT NULL,
    text    TEXT NOT NULL,
    PRIMARY KEY (case_no, attempt, kind, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE case_verdict (
    case_no        INTEGER PRIMARY KEY REFERENCES planned_case (case_no),
    verdict        TEXT NOT NULL,
    reason         TEXT NOT NULL,
    short_of_asked INTEGER NOT NULL,
    infrastructure INTEGER NOT NULL
) STRICT;

CREATE TABLE check_result (
    case_no          INTEGER NOT NULL REFERENCES case_verdict (case_no),
    ordinal          INTEGER NOT NULL,
    check_id         TEXT NOT NULL,
    level            TEXT NOT NULL,
    label_no         INTEGER NOT NULL REFERENCES label_set (label_no),
    verdict          TEXT NOT NULL,
    measured         REAL,                    -- NULL: nothing measured, or NaN
    measured_is_nan  INTEGER NOT NULL,
    limit_value      REAL,
    unit             TEXT NOT NULL,
    samples          INTEGER NOT NULL,
    samples_expected INTEGER NOT NULL,
    detail           TEXT NOT NULL,
    PRIMARY KEY (case_no, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE artifact (
    run_no INTEGER NOT NULL REFERENCES run (run_no),
    path   TEXT NOT NULL,                     -- below run.artifact_dir
    size   INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (run_no, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE report (
    run_no          INTEGER PRIMARY KEY REFERENCES run (run_no),
    date            TEXT NOT NULL,
    subject         TEXT NOT NULL,
    version         INTEGER NOT NULL,
    markdown_path   TEXT NOT NULL DEFAULT '',
    html_path       TEXT NOT NULL DEFAULT '',
    json_path       TEXT NOT NULL DEFAULT '',
    markdown_sha256 TEXT NOT NULL DEFAULT '',
    html_sha256     TEXT NOT NULL DEFAULT '',
    json_sha256     TEXT NOT NULL DEFAULT '',
    recorded_ms     INTEGER NOT NULL DEFAULT 0,
    UNIQUE (date, subject, version)
) STRICT;

CREATE TABLE instance (
    name       TEXT PRIMARY KEY,
    engine     TEXT NOT NULL,
    config     TEXT NOT NULL,                 -- JSON
    host_key   TEXT NOT NULL,
    state      TEXT NOT NULL,
    message    TEXT NOT NULL,
    facts      TEXT NOT NULL,                 -- JSON object of the last probe
    probed_ms  INTEGER NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
