-- Indicator values: their inputs from the ledger, and writing what changed.

-- name: sources
-- The points of some firms that indicators read. A power or flow gauge watches what a register counts; adding both
-- would count it twice.
-- What another firm takes behind a meter of theirs is handed on: it is in their own meter, and counts as going out, so
-- that it counts once in whatever sum has both firms. Behind an `out` meter it has been taken off already.
SELECT firm_id, point_id, carrier, direction, unit, product, false AS handed_on FROM point
WHERE firm_id = ANY ($1::int[]) AND kind <> 'gauge'
UNION ALL
SELECT DISTINCT giver.firm_id, taker.point_id, taker.carrier, 'out', taker.unit, NULL, true
FROM point_parent AS e JOIN point AS giver ON giver.point_id = e.parent_id JOIN point AS taker ON taker.point_id = e.point_id
WHERE giver.firm_id = ANY ($1::int[]) AND taker.firm_id <> giver.firm_id AND giver.direction <> 'out'
    AND taker.kind <> 'gauge' AND taker.carrier <> 'product' AND e.valid_to = 'infinity'
ORDER BY firm_id, point_id

-- name: amounts
-- What some points moved in some periods of one grain; measured and estimated together, NaN where neither is known.
SELECT c.point_id, c.period, coalesce(c.measured + coalesce(c.estimated, 0), c.estimated, 'NaN') AS quantity,
       c.measured_s, c.estimated_s
FROM consumption_period AS c
WHERE c.point_id = ANY ($1::int[]) AND c.grain = $2 AND c.period = ANY ($3::timestamptz[])

-- name: amounts_between
-- The same for all periods that start in [$3, $4).
SELECT c.point_id, c.period, coalesce(c.measured + coalesce(c.estimated, 0), c.estimated, 'NaN') AS quantity,
       c.measured_s, c.estimated_s
FROM consumption_period AS c
WHERE c.point_id = ANY ($1::int[]) AND c.grain = $2 AND c.period >= $3 AND c.period < $4

-- name: bucket_amounts
-- The same for buckets in [$2, $3).
SELECT c.point_id, c.bucket AS period, coalesce(c.measured + coalesce(c.estimated, 0), c.estimated, 'NaN') AS quantity,
       c.measured_s::float8 AS measured_s, c.estimated_s::float8 AS estimated_s
FROM consumption AS c
WHERE c.point_id = ANY ($1::int[]) AND c.bucket >= $2 AND c.bucket < $3

-- name: whole_buckets
-- Buckets in [$2, $3) of some points that are covered whole.
SELECT c.point_id, c.bucket, coalesce(c.measured, 0) + coalesce(c.estimated, 0) AS quantity
FROM consumption AS c
WHERE c.point_id = ANY ($1::int[]) AND c.bucket >= $2 AND c.bucket < $3 AND c.measured_s + c.estimated_s > 899

-- name: stored_demands
-- Maximum demands of firms by a finer grain, in [start, stop) of each firm ($1, $2, $3).
SELECT w.firm_id, v.period, v.numerator, v.coverage
FROM unnest($1::int[], $2::timestamptz[], $3::timestamptz[]) AS w (firm_id, start, stop)
JOIN indicator_value AS v ON v.scope = 'firm' AND v.scope_id = w.firm_id AND v.indicator_id = 'maximum_demand'
    AND v.grain = $4 AND v.period >= w.start AND v.period < w.stop
WHERE v.numerator IS NOT NULL

-- name: year_values
-- The values of a park ($1), or of one of its firms ($2), in the calendar year $3.
SELECT v.indicator_id, v.value, v.reason
FROM park AS k
LEFT JOIN firm AS f ON f.park_id = k.park_id AND f.code = $2
JOIN indicator_value AS v ON v.grain = 'year'
    AND v.period = make_timestamptz($3, 1, 1, 0, 0, 0, k.time_zone)
    AND v.scope = CASE WHEN $2::text IS NULL THEN 'park' ELSE 'firm' END
    AND v.scope_id = CASE WHEN $2::text IS NULL THEN k.park_id ELSE f.firm_id END
WHERE k.code = $1

-- name: subject_exists
SELECT EXISTS (SELECT FROM park AS k WHERE k.code = $1 AND ($2::text IS NULL
    OR EXISTS (SELECT FROM firm AS f WHERE f.park_id = k.park_id AND f.code = $2)))

-- name: reporting
-- What some firms have reported anything of, and in which year.
SELECT DISTINCT firm_id, kind, extract(year FROM period)::int AS year FROM business_input
WHERE firm_id = ANY ($1::int[]) AND amount IS NOT NULL

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

-- name: lacking
-- Those of some firms and years ($1, $2) that lack a value of an indicator by this version of the catalogue.
SELECT DISTINCT w.firm_id FROM unnest($1::int[], $2::timestamptz[]) AS w (firm_id, period)
WHERE NOT EXISTS (
    SELECT FROM indicator_value AS v
    WHERE v.scope = 'firm' AND v.scope_id = w.firm_id AND v.indicator_id = $3 AND v.grain = 'year'
        AND v.period = w.period AND (v.lineage ->> 'catalogue')::int = $4)

-- name: lock_firms
-- Of some firms those whose one worker this transaction becomes. 7 is the key space of firms' values.
SELECT firm_id FROM unnest($1::int[]) AS w (firm_id) WHERE pg_try_advisory_xact_lock(7, firm_id)

-- name: take_values_of
WITH taken AS (DELETE FROM dirty_firm WHERE firm_id = ANY ($1::int[]) RETURNING firm_id, grain, period, cause, since)
SELECT firm_id, grain, period, array_agg(DISTINCT cause) AS causes, min(since) AS since
FROM taken GROUP BY firm_id, grain, period ORDER BY firm_id, grain, period

-- name: new_runs
-- A run for each of some firms, in their order.
INSERT INTO run (park_id, firm_id, cause, code_version, started)
SELECT park_id, firm_id, cause, $4, $5
FROM unnest($1::int[], $2::int[], $3::text[]) WITH ORDINALITY AS w (park_id, firm_id, cause, n) ORDER BY n
RETURNING firm_id, run_id

-- name: finish_runs
UPDATE run SET finished = clock_timestamp(), waited_s = extract(epoch FROM clock_timestamp() - w.since)
FROM unnest($1::bigint[], $2::timestamptz[]) AS w (run_id, since)
WHERE run.run_id = w.run_id

-- name: mark_parks
INSERT INTO dirty_park (park_id, grain, period, since)
SELECT * FROM unnest($1::int[], $2::text[], $3::timestamptz[], $4::timestamptz[])

-- name: stage_values
CREATE TEMPORARY TABLE IF NOT EXISTS staged_value (
    park_id int, firm_id int, scope text, scope_id int, indicator_id text, grain text, period timestamptz,
    numerator float8, denominator float8, value float8, unit text, coverage float8, reason text, closed boolean,
    lineage jsonb, run_id bigint, basis text, estimated_share real, only_over boolean
) ON COMMIT DELETE ROWS

-- name: keep_staged
-- A closed value that changes keeps what it said.
INSERT INTO indicator_revision (park_id, firm_id, scope, scope_id, indicator_id, grain, period, numerator, denominator,
                                value, unit, coverage, reason, closed, revision, lineage, run_id, superseded,
                                superseded_by)
SELECT v.park_id, v.firm_id, v.scope, v.scope_id, v.indicator_id, v.grain, v.period, v.numerator, v.denominator,
       v.value, v.unit, v.coverage, v.reason, v.closed, v.revision, v.lineage, v.run_id, clock_timestamp(), s.run_id
FROM staged_value AS s JOIN indicator_value AS v USING (scope, scope_id, indicator_id, grain, period)
WHERE v.closed AND NOT (v.reason IS NOT DISTINCT FROM s.reason AND same_number(v.value, s.value)
    AND same_number(v.numerator, s.numerator) AND same_number(v.denominator, s.denominator))

-- name: write_staged
-- Writes what says something new. A row that is `only_over` replaces one and is not written where there is none.
-- Returns the periods of firms that changed.
WITH written AS (
    INSERT INTO indicator_value AS v (park_id, firm_id, scope, scope_id, indicator_id, grain, period, numerator,
                                      denominator, value, unit, coverage, reason, closed, lineage, run_id, basis,
                                      estimated_share)
    SELECT s.park_id, s.firm_id, s.scope, s.scope_id, s.indicator_id, s.grain, s.period, s.numerator, s.denominator,
           s.value, s.unit, s.coverage, s.reason, s.closed, s.lineage, s.run_id, s.basis, s.estimated_share
    FROM staged_value AS s
    WHERE NOT s.only_over OR EXISTS (
        SELECT FROM indicator_value AS o
        WHERE (o.scope, o.scope_id, o.indicator_id, o.grain, o.period)
            = (s.scope, s.scope_id, s.indicator_id, s.grain, s.period))
    ON CONFLICT (scope, scope_id, indicator_id, grain, period) DO UPDATE SET numerator = excluded.numerator,
        denominator = excluded.denominator, value = excluded.value, unit = excluded.unit,
        coverage = excluded.coverage, reason = excluded.reason, closed = excluded.closed,
        lineage = excluded.lineage, run_id = excluded.run_id, basis = excluded.basis,
        estimated_share = excluded.estimated_share,
        revision = v.revision + (v.closed AND NOT (v.reason IS NOT DISTINCT FROM excluded.reason
            AND same_number(v.value, excluded.value) AND same_number(v.numerator, excluded.numerator)
            AND same_number(v.denominator, excluded.denominator)))::int
    WHERE v.reason IS DISTINCT FROM excluded.reason OR v.closed <> excluded.closed
        OR abs(v.coverage - excluded.coverage) >= 1e-3 OR NOT same_number(v.value, excluded.value)
        OR NOT same_number(v.numerator, excluded.numerator)
        OR NOT same_number(v.denominator, excluded.denominator)
        OR v.lineage ->> 'catalogue' IS DISTINCT FROM excluded.lineage ->> 'catalogue'
    RETURNING v.park_id, v.firm_id, v.scope, v.grain, v.period
)
SELECT DISTINCT park_id, firm_id, grain, period FROM written WHERE scope = 'firm'

-- name: park_sums
-- Sums over a park's industrial firms, of each indicator in some periods ($2 grains, $3 starts); `bases` are those of
-- the firms inside.
SELECT v.indicator_id, v.grain, v.period,
       sum(v.numerator) FILTER (WHERE v.reason IS NULL) AS numerator,
       sum(v.denominator) FILTER (WHERE v.reason IS NULL) AS denominator,
       coalesce(sum(v.coverage) FILTER (WHERE v.reason IS NULL), 0) AS covered,
       coalesce(avg(v.estimated_share) FILTER (WHERE v.reason IS NULL), 0)::float8 AS estimated_share,
       count(*) FILTER (WHERE v.reason IS NULL) AS inside,
       array_agg(DISTINCT v.basis) FILTER (WHERE v.reason IS NULL) AS bases,
       min(v.unit) FILTER (WHERE v.reason IS NULL) AS unit,
       array_agg(v.firm_id ORDER BY v.firm_id) FILTER (WHERE v.reason IS NULL) AS inside_ids,
       array_agg(v.firm_id ORDER BY v.firm_id) FILTER (WHERE v.reason IS NOT NULL) AS outside_ids,
       array_agg(v.reason ORDER BY v.firm_id) FILTER (WHERE v.reason IS NOT NULL) AS outside_reasons
FROM unnest($2::text[], $3::timestamptz[]) AS w (grain, period)
JOIN indicator_value AS v ON v.park_id = $1 AND v.scope = 'firm' AND v.grain = w.grain AND v.period = w.period
JOIN firm AS f ON f.firm_id = v.scope_id AND f.industrial
GROUP BY v.indicator_id, v.grain, v.period
