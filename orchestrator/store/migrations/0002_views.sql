-- Views for people: `sqlite3 -readonly nsa.db "SELECT * FROM decode_median WHERE gpu LIKE '%H200%' LIMIT 10"`.
-- Their columns are a public face, described in docs/storage.md.

-- One line a run.
CREATE VIEW run_overview AS
SELECT r.run, r.name, r.subject, r.state, r.status, r.reason, r.instance, r.attempt,
       coalesce(g.value, '') AS gpu,
       datetime(r.created_ms / 1000, 'unixepoch') AS created_utc,
       datetime(nullif(r.finished_ms, 0) / 1000, 'unixepoch') AS finished_utc,
       (SELECT count(*) FROM planned_case c WHERE c.run_no = r.run_no) AS cases,
       (SELECT count(*) FROM planned_case c JOIN case_verdict v ON v.case_no = c.case_no
        WHERE c.run_no = r.run_no AND v.verdict = 'PASS') AS passed
FROM run r
LEFT JOIN host_fact g ON g.run_no = r.run_no AND g.attempt = r.attempt AND g.name = 'gpu.0.name'
ORDER BY r.created_ms DESC;

-- One line a check, with its case and verdicts.
CREATE VIEW check_overview AS
SELECT r.run, c.key AS "case", c.kind, v.verdict AS case_verdict, k.check_id AS "check", k.level, l.labels,
       k.verdict, k.measured, k.limit_value, k.unit, k.samples, k.samples_expected, k.detail
FROM check_result k
JOIN case_verdict v ON v.case_no = k.case_no
JOIN planned_case c ON c.case_no = k.case_no
JOIN run r ON r.run_no = c.run_no
JOIN label_set l ON l.label_no = k.label_no;

-- Every raw sample of the latest attempt of every run.
CREATE VIEW sample AS
SELECT r.run, c.key AS "case", c.kind, m.name AS metric, m.unit, l.labels, s.sample, s.value
FROM measurement s
JOIN metric m ON m.metric_no = s.metric_no
JOIN label_set l ON l.label_no = s.label_no
JOIN planned_case c ON c.case_no = s.case_no
JOIN run r ON r.run_no = c.run_no AND r.attempt = s.attempt;

-- Median and spread of every row of every case. Samples that are NaN are counted, never averaged.
CREATE VIEW row_median AS
WITH ranked AS (
    SELECT case_no, attempt, metric_no, label_no, value,
           row_number() OVER w AS place, count(value) OVER (PARTITION BY case_no, attempt, metric_no, label_no) AS n,
           sum(value IS NULL) OVER (PARTITION BY case_no, attempt, metric_no, label_no) AS nan_samples
    FROM measurement
    WINDOW w AS (PARTITION BY case_no, attempt, metric_no, label_no ORDER BY value IS NULL, value)
)
SELECT r.run, r.finished_ms, c.key AS "case", c.kind, m.name AS metric, m.unit, l.labels,
       max(k.n) AS samples, max(k.nan_samples) AS nan_samples,
       avg(k.value) FILTER (WHERE k.place IN ((k.n + 1) / 2, (k.n + 2) / 2)) AS median,
       min(k.value) AS minimum, max(k.value) AS maximum, v.verdict, coalesce(g.value, '') AS gpu
FROM ranked k
JOIN metric m ON m.metric_no = k.metric_no
JOIN label_set l ON l.label_no = k.label_no
JOIN planned_case c ON c.case_no = k.case_no
JOIN run r ON r.run_no = c.run_no AND r.attempt = k.attempt
LEFT JOIN case_verdict v ON v.case_no = k.case_no
LEFT JOIN host_fact g ON g.run_no = r.run_no AND g.attempt = r.attempt AND g.name = 'gpu.0.name'
GROUP BY k.case_no, k.metric_no, k.label_no;

-- Decode medians, newest first, by GPU and sequence length.
CREATE VIEW decode_median AS
SELECT gpu, cast(json_extract(labels, '$.S') AS INTEGER) AS s, metric, median, minimum, maximum, samples, verdict,
       run, "case", datetime(nullif(finished_ms, 0) / 1000, 'unixepoch') AS finished_utc
FROM row_median
WHERE kind = 'decode_bench' AND metric LIKE 'ms\_%' ESCAPE '\'
ORDER BY finished_ms DESC, run, "case", s, metric;

-- Parity errors, newest first.
CREATE VIEW parity_median AS
SELECT gpu, run, "case", metric, labels, median, verdict,
       datetime(nullif(finished_ms, 0) / 1000, 'unixepoch') AS finished_utc
FROM row_median
WHERE kind = 'parity'
ORDER BY finished_ms DESC, run, "case", metric;
