-- What places a run and limits it, out of its plan: a start reads this of the runs that wait, not their whole plans.
-- Runs that an older program took have none.
CREATE TABLE run_outline (
    run_no    INTEGER PRIMARY KEY REFERENCES run (run_no),
    plan_json TEXT NOT NULL
) STRICT;
