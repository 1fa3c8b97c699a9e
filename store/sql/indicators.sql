-- Indicator values: their inputs from the ledger, and writing what changed.

-- name: amounts
-- What each point of a firm moved in each of some periods of one grain.
SELECT c.point_id, c.period, c.measured, c.estimated, c.measured_s, c.estimated_s
FROM consumption_period AS c JOIN point AS p USING (point_id)
WHERE p.firm_id = $1 AND c.grain = $2 AND c.period = ANY ($3::timestamptz[])

-- name: bucket_amounts
SELECT c.point_id, c.bucket AS period, c.measured, c.estimated, c.measured_s, c.estimated_s
FROM consumption AS c
WHERE c.point_id = ANY ($1::int[]) AND c.bucket = ANY ($2::timestamptz[])

-- name: values_of_subjects
-- What is written now about some subjects in some periods of one grain.
SELECT scope, scope_id, indicator_id, period, numerator, denominator, value, coverage, reason, closed, revision
FROM indicator_value
WHERE park_id = $1 AND firm_id IS NOT DISTINCT FROM $2 AND grain = $3 AND period = ANY ($4::timestamptz[])

-- name: keep_revisions
-- A closed value that changes keeps what it said. $1 to $5 name the rows.
INSERT INTO indicator_revision
SELECT v.*, clock_timestamp(), $6
FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::timestamptz[])
    AS w (scope, scope_id, indicator_id, grain, period)
JOIN indicator_value AS v USING (scope, scope_id, indicator_id, grain, period)

-- name: write_values
INSERT INTO indicator_value (park_id, firm_id, scope, scope_id, indicator_id, grain, period, numerator, denominator,
                             value, unit, coverage, reason, closed, revision, lineage, run_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
ON CONFLICT (scope, scope_id, indicator_id, grain, period) DO UPDATE SET numerator = excluded.numerator,
    denominator = excluded.denominator, value = excluded.value, unit = excluded.unit, coverage = excluded.coverage,
    reason = excluded.reason, closed = excluded.closed, revision = excluded.revision, lineage = excluded.lineage,
    run_id = excluded.run_id

-- name: firm_values
-- A park's firms in some periods of one grain.
SELECT v.firm_id, v.indicator_id, v.period, v.numerator, v.denominator, v.unit, v.coverage, v.reason, v.lineage
FROM indicator_value AS v JOIN firm AS f ON f.firm_id = v.scope_id
WHERE v.park_id = $1 AND v.scope = 'firm' AND v.grain = $2 AND v.period = ANY ($3::timestamptz[])
ORDER BY v.period, v.indicator_id, v.firm_id

-- name: mark_values
INSERT INTO dirty_firm (firm_id, grain, period, cause, since)
SELECT $1, grain, period, $4, $5 FROM unnest($2::text[], $3::timestamptz[]) AS w (grain, period)

-- name: waiting_values
-- Firms whose indicators wait, those waiting longest first.
SELECT d.firm_id, f.park_id, p.time_zone
FROM (SELECT firm_id, min(marked) AS marked FROM dirty_firm GROUP BY firm_id) AS d
JOIN firm AS f USING (firm_id) JOIN park AS p ON p.park_id = f.park_id
ORDER BY d.marked

-- name: take_values
WITH taken AS (DELETE FROM dirty_firm WHERE firm_id = $1 RETURNING grain, period, cause, since)
SELECT grain, period, array_agg(DISTINCT cause) AS causes, min(since) AS since FROM taken GROUP BY grain, period

-- name: mark_park
INSERT INTO dirty_park (park_id, grain, period, since)
SELECT $1, grain, period, $4 FROM unnest($2::text[], $3::timestamptz[]) AS w (grain, period)

-- name: waiting_parks
SELECT DISTINCT d.park_id, p.time_zone FROM dirty_park AS d JOIN park AS p USING (park_id)

-- name: lock_park
-- 2 is the key space of parks.
SELECT pg_try_advisory_xact_lock(2, $1)

-- name: take_dirty_park
WITH taken AS (DELETE FROM dirty_park WHERE park_id = $1 RETURNING grain, period, since)
SELECT grain, period, min(since) AS since FROM taken GROUP BY grain, period

-- name: sums
-- Numerators and denominators of one indicator and subject over whole periods [$5, $6) of a grain.
SELECT sum(numerator) AS numerator, sum(denominator) AS denominator, count(*) AS periods,
       count(*) FILTER (WHERE reason IS NULL) AS defined
FROM indicator_value
WHERE scope = $1 AND scope_id = $2 AND indicator_id = $3 AND grain = $4 AND period >= $5 AND period < $6
