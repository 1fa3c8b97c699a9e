-- The consumption ledger: what waits, the readings it needs, what it said before, and writing what changed.

-- name: commit_in_passing
-- Commits of this session do not wait for the disk. What a crash of the server takes away it takes as a whole, the
-- marks that were worked off come back, and whatever was built on it is gone as well or was flushed together with it.
SET synchronous_commit = off

-- name: waiting_firms
-- Firms with something to compute, those waiting longest first.
SELECT d.firm_id, f.park_id, p.time_zone, extract(epoch FROM max(d.t_to) - min(d.t_from))::float8 AS span_s
FROM dirty AS d JOIN firm AS f USING (firm_id) JOIN park AS p ON p.park_id = f.park_id
GROUP BY d.firm_id, f.park_id, p.time_zone
ORDER BY min(d.dirty_id)

-- name: lock_firms
-- One worker a firm; held to the end of the transaction: those of some firms that are free, in order. Key spaces of
-- advisory locks: 1 ledgers of firms, 2 values of parks, 3 alerts of firms, 4 alerts of parks, 5 business inputs of firms,
-- 6 groups of parks, 7 values of firms, 8 baselines of firms.
SELECT firm_id FROM (SELECT unnest($1::int[]) AS firm_id ORDER BY 1) AS f WHERE pg_try_advisory_xact_lock(1, firm_id)

-- name: take_dirty
DELETE FROM dirty WHERE firm_id = ANY ($1::int[])
RETURNING firm_id, point_id, t_from, t_to, cause, marked

-- name: windows
-- For each changed stretch of readings: the buckets that it can touch (to the 8th reading on both sides, because a
-- later reading may confirm or disprove a glitch), and the readings needed to compute them (to the 17th).
SELECT d.point_id,
       time_bucket('15 minutes', coalesce((SELECT min(x.t) FROM (SELECT r.t FROM reading AS r
           WHERE r.point_id = d.point_id AND r.t < d.t_from AND r.quality < 2 ORDER BY r.t DESC LIMIT 9) AS x), d.t_from)) AS first_bucket,
       time_bucket('15 minutes', coalesce((SELECT max(x.t) FROM (SELECT r.t FROM reading AS r
           WHERE r.point_id = d.point_id AND r.t > d.t_to AND r.quality < 2 ORDER BY r.t LIMIT 9) AS x), d.t_to)) AS last_bucket
FROM unnest($1::int[], $2::timestamptz[], $3::timestamptz[]) AS d (point_id, t_from, t_to)

-- name: readings
-- Readings of the windows, with 17 neighbours before and after each.
SELECT w.point_id, r.t, r.value, r.quality
FROM unnest($1::int[], $2::timestamptz[], $3::timestamptz[]) AS w (point_id, t_from, t_to)
CROSS JOIN LATERAL (
    (SELECT t, value, quality FROM reading WHERE point_id = w.point_id AND t < w.t_from AND quality < 2
     ORDER BY t DESC LIMIT 17)
    UNION ALL
    (SELECT t, value, quality FROM reading WHERE point_id = w.point_id AND t BETWEEN w.t_from AND w.t_to)
    UNION ALL
    (SELECT t, value, quality FROM reading WHERE point_id = w.point_id AND t > w.t_to AND quality < 2
     ORDER BY t LIMIT 17)
) AS r
ORDER BY w.point_id, r.t

-- name: still
-- From a reading within a stretch of equal values: the readings next to it, at most 8 days away, that show another.
SELECT s.point_id,
       (SELECT r.t FROM reading AS r WHERE r.point_id = s.point_id AND r.t < s.t AND r.t >= s.t - interval '8 days'
            AND r.value <> s.value AND r.quality < 2 ORDER BY r.t DESC LIMIT 1) AS before,
       (SELECT r.t FROM reading AS r WHERE r.point_id = s.point_id AND r.t > s.t AND r.t <= s.t + interval '8 days'
            AND r.value <> s.value AND r.quality < 2 ORDER BY r.t LIMIT 1) AS after,
       s.t - interval '8 days' AS earliest
FROM unnest($1::int[], $2::timestamptz[], $3::float8[]) AS s (point_id, t, value)

-- name: all_readings
SELECT point_id, t, value, quality FROM reading WHERE point_id = ANY ($1::int[]) ORDER BY point_id, t

-- name: stored
-- What the ledger says now about the windows.
SELECT c.point_id, c.bucket, coalesce(c.measured, 'NaN') AS measured, coalesce(c.estimated, 'NaN') AS estimated,
       c.measured_s, c.estimated_s, c.held, c.flags, c.closed, c.revision, c.run_id
FROM unnest($1::int[], $2::timestamptz[], $3::timestamptz[]) AS w (point_id, first_bucket, last_bucket)
JOIN consumption AS c ON c.point_id = w.point_id AND c.bucket BETWEEN w.first_bucket AND w.last_bucket
ORDER BY c.point_id, c.bucket

-- name: gaps_between
-- Buckets in gaps (flag 16) of points after an instant and up to another: the first and the last of each point.
SELECT w.point_id, min(c.bucket) AS first_bucket, max(c.bucket) AS last_bucket
FROM unnest($1::int[], $2::timestamptz[], $3::timestamptz[]) AS w (point_id, after, until)
JOIN consumption AS c ON c.point_id = w.point_id AND c.bucket > w.after AND c.bucket <= w.until
WHERE c.flags & 16 <> 0
GROUP BY w.point_id

-- name: stored_periods
-- What the ledger says now about some points in a grain.
SELECT point_id, period, coalesce(measured, 'NaN') AS measured, coalesce(estimated, 'NaN') AS estimated,
       measured_s, estimated_s, held, flags
FROM consumption_period WHERE point_id = ANY ($1::int[]) AND grain = $2
ORDER BY point_id, period

-- name: new_run
INSERT INTO run (park_id, firm_id, cause, code_version, started) VALUES ($1, $2, $3, $4, $5) RETURNING run_id

-- name: finish_run
UPDATE run SET finished = clock_timestamp(), waited_s = extract(epoch FROM clock_timestamp() - $2::timestamptz)
WHERE run_id = $1

-- name: stage
CREATE TEMPORARY TABLE IF NOT EXISTS staged_consumption (LIKE greenpark.consumption) ON COMMIT DELETE ROWS

-- name: keep_revisions
-- A closed bucket that changes keeps what it said.
INSERT INTO consumption_revision (point_id, bucket, revision, measured, estimated, measured_s, estimated_s, held,
                                  flags, run_id, superseded_by)
SELECT c.point_id, c.bucket, c.revision, c.measured, c.estimated, c.measured_s, c.estimated_s, c.held, c.flags,
       c.run_id, s.run_id
FROM staged_consumption AS s JOIN consumption AS c USING (point_id, bucket)
WHERE c.closed AND c.revision < s.revision

-- name: write_staged
-- What was staged is taken away: a second pass of the same transaction stages its own.
WITH taken AS (DELETE FROM staged_consumption RETURNING *)
INSERT INTO consumption SELECT * FROM taken
ON CONFLICT (point_id, bucket) DO UPDATE SET measured = excluded.measured, estimated = excluded.estimated,
    measured_s = excluded.measured_s, estimated_s = excluded.estimated_s, held = excluded.held,
    flags = excluded.flags, closed = excluded.closed, revision = excluded.revision, run_id = excluded.run_id

-- name: roll_hours
-- Hours from buckets. $1, $2, $3: point, start and end of each hour touched; $4: its run.
INSERT INTO consumption_period
SELECT w.point_id, 'hour', w.start, c.measured, c.estimated, c.measured_s, c.estimated_s, c.held, c.flags, w.run_id
FROM unnest($1::int[], $2::timestamptz[], $3::timestamptz[], $4::bigint[]) AS w (point_id, start, stop, run_id)
CROSS JOIN LATERAL (
    SELECT sum(measured) AS measured, sum(estimated) AS estimated, sum(measured_s::float8) AS measured_s,
           sum(estimated_s::float8) AS estimated_s, sum(held) AS held, bit_or(flags) AS flags
    FROM consumption WHERE point_id = w.point_id AND bucket >= w.start AND bucket < w.stop
    HAVING count(*) > 0
) AS c
ON CONFLICT (point_id, grain, period) DO UPDATE SET measured = excluded.measured, estimated = excluded.estimated,
    measured_s = excluded.measured_s, estimated_s = excluded.estimated_s, held = excluded.held,
    flags = excluded.flags, run_id = excluded.run_id

-- name: roll_up
-- A grain from the next finer one ($5 from $6).
INSERT INTO consumption_period
SELECT w.point_id, $5, w.start, c.measured, c.estimated, c.measured_s, c.estimated_s, c.held, c.flags, w.run_id
FROM unnest($1::int[], $2::timestamptz[], $3::timestamptz[], $4::bigint[]) AS w (point_id, start, stop, run_id)
CROSS JOIN LATERAL (
    SELECT sum(measured) AS measured, sum(estimated) AS estimated, sum(measured_s) AS measured_s,
           sum(estimated_s) AS estimated_s, sum(held) AS held, bit_or(flags) AS flags
    FROM consumption_period
    WHERE point_id = w.point_id AND grain = $6 AND period >= w.start AND period < w.stop
    HAVING count(*) > 0
) AS c
ON CONFLICT (point_id, grain, period) DO UPDATE SET measured = excluded.measured, estimated = excluded.estimated,
    measured_s = excluded.measured_s, estimated_s = excluded.estimated_s, held = excluded.held,
    flags = excluded.flags, run_id = excluded.run_id

-- name: begun
-- Firms of which the ledger holds something of one of these points; what it holds has a year.
SELECT DISTINCT p.firm_id FROM unnest($1::int[]) AS u (point_id) JOIN point AS p USING (point_id)
WHERE EXISTS (SELECT FROM consumption_period AS c WHERE c.point_id = p.point_id AND c.grain = 'year')

-- name: new_runs
INSERT INTO run (park_id, firm_id, cause, code_version, started)
SELECT park_id, firm_id, cause, $4, $5 FROM unnest($1::int[], $2::int[], $3::text[]) AS u (park_id, firm_id, cause)
RETURNING run_id, firm_id

-- name: finish_runs
UPDATE run SET finished = clock_timestamp(), waited_s = extract(epoch FROM clock_timestamp() - u.since)
FROM unnest($1::bigint[], $2::timestamptz[]) AS u (run_id, since) WHERE run.run_id = u.run_id

-- name: mark_results
INSERT INTO dirty_firm (firm_id, grain, period, cause, since)
SELECT * FROM unnest($1::int[], $2::text[], $3::timestamptz[], $4::text[], $5::timestamptz[])

-- name: mark_firm
-- Everything of a firm (or of one point of it, $2) is computed again.
INSERT INTO dirty (firm_id, point_id, t_from, t_to, cause)
SELECT p.firm_id, p.point_id, l.t_from, l.t_to, $3
FROM point AS p
CROSS JOIN LATERAL (SELECT min(t) AS t_from, max(t) AS t_to FROM reading AS r WHERE r.point_id = p.point_id) AS l
WHERE p.firm_id = $1 AND ($2::int IS NULL OR p.point_id = $2) AND l.t_from IS NOT NULL

-- name: mark_stretch
-- What was read at some points ($2) of a firm in [$3, $4) is computed again; returns how many points that is.
WITH marked AS (
    INSERT INTO dirty (firm_id, point_id, t_from, t_to, cause)
    SELECT $1, p.point_id, l.t_from, l.t_to, $5
    FROM unnest($2::int[]) AS p (point_id)
    CROSS JOIN LATERAL (SELECT min(t) AS t_from, max(t) AS t_to FROM reading AS r
                        WHERE r.point_id = p.point_id AND r.t >= $3 AND r.t < $4) AS l
    WHERE l.t_from IS NOT NULL
    RETURNING 1
)
SELECT count(*)::int FROM marked

-- name: waiting_of
-- Those of some firms with something to compute.
SELECT f.firm_id, f.park_id, p.time_zone
FROM firm AS f JOIN park AS p USING (park_id)
WHERE f.firm_id = ANY ($1::int[]) AND EXISTS (SELECT FROM dirty AS d WHERE d.firm_id = f.firm_id)

-- name: stage_periods
CREATE TEMPORARY TABLE IF NOT EXISTS staged_period (
    point_id int, period timestamptz, measured float8, estimated float8, measured_s float8, estimated_s float8,
    held float8, flags smallint, run_id bigint
) ON COMMIT DELETE ROWS

-- name: insert_periods
WITH taken AS (DELETE FROM staged_period RETURNING *)
INSERT INTO consumption_period
SELECT point_id, $1, period, measured, estimated, measured_s, estimated_s, held, flags, run_id FROM taken

-- name: write_periods
WITH taken AS (DELETE FROM staged_period RETURNING *)
INSERT INTO consumption_period
SELECT point_id, $1, period, measured, estimated, measured_s, estimated_s, held, flags, run_id FROM taken
ON CONFLICT (point_id, grain, period) DO UPDATE SET measured = excluded.measured, estimated = excluded.estimated,
    measured_s = excluded.measured_s, estimated_s = excluded.estimated_s, held = excluded.held,
    flags = excluded.flags, run_id = excluded.run_id

-- name: delete_spans
-- All buckets of these spans, both ends included; $4 and $5 bound them all, so that only their chunks are opened.
DELETE FROM consumption AS c
USING unnest($1::int[], $2::timestamptz[], $3::timestamptz[]) AS w (point_id, first_bucket, last_bucket)
WHERE c.point_id = w.point_id AND c.bucket BETWEEN w.first_bucket AND w.last_bucket AND c.bucket BETWEEN $4 AND $5
