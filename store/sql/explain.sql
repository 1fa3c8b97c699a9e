-- Where a number comes from: read for one number at a time, by a person.

-- name: bucket
SELECT bucket, measured, estimated, measured_s, estimated_s, held, flags, closed, revision, run_id
FROM consumption WHERE point_id = $1 AND bucket = $2

-- name: bucket_revisions
SELECT revision, measured, estimated, measured_s, estimated_s, held, flags, run_id, superseded, superseded_by
FROM consumption_revision WHERE point_id = $1 AND bucket = $2 ORDER BY revision

-- name: runs
SELECT run_id, cause, code_version, started, finished FROM run WHERE run_id = ANY ($1::bigint[]) ORDER BY run_id

-- name: readings
-- Readings of a span with their neighbours, and the batches that brought them.
WITH found AS (
    (SELECT * FROM reading WHERE point_id = $1 AND t < $2 AND quality < 2 ORDER BY t DESC LIMIT 1)
    UNION ALL (SELECT * FROM reading WHERE point_id = $1 AND t >= $2 AND t <= $3)
    UNION ALL (SELECT * FROM reading WHERE point_id = $1 AND t > $3 AND quality < 2 ORDER BY t LIMIT 1)
)
SELECT r.t, r.value, r.quality, r.batch_id, e.code AS edge, b.boot, b.seq, b.sent, b.stored
FROM found AS r LEFT JOIN batch AS b USING (batch_id) LEFT JOIN edge AS e USING (edge_id)
ORDER BY r.t

-- name: conflicts
SELECT t, value, stored_value, batch_id, noticed FROM reading_conflict
WHERE point_id = $1 AND t BETWEEN $2 AND $3 ORDER BY t

-- name: subject
-- A park, or one of its firms ($2).
SELECT k.park_id, k.time_zone, f.firm_id FROM park AS k LEFT JOIN firm AS f ON f.park_id = k.park_id AND f.code = $2
WHERE k.code = $1 AND ($2::text IS NULL) = (f.firm_id IS NULL OR $2::text IS NULL)
LIMIT 1

-- name: indicator
SELECT indicator_id, grain, period, numerator, denominator, value, unit, coverage, reason, closed, revision, lineage,
       run_id
FROM indicator_value WHERE scope = $1 AND scope_id = $2 AND indicator_id = $3 AND grain = $4 AND period = $5

-- name: indicator_revisions
SELECT revision, numerator, denominator, value, coverage, reason, run_id, superseded, superseded_by
FROM indicator_revision
WHERE scope = $1 AND scope_id = $2 AND indicator_id = $3 AND grain = $4 AND period = $5 ORDER BY revision

-- name: amounts
-- What points counted in a period ($2 grain, $3 start), largest first.
SELECT k.code || '/' || f.code || '/' || p.code AS point, p.carrier, p.direction, p.unit, c.measured, c.estimated,
       c.measured_s, c.estimated_s, c.held, c.flags, c.run_id
FROM consumption_period AS c JOIN point AS p USING (point_id) JOIN firm AS f USING (firm_id)
JOIN park AS k ON k.park_id = p.park_id
WHERE c.point_id = ANY ($1::int[]) AND c.grain = $2 AND c.period = $3
ORDER BY coalesce(c.measured, 0) + coalesce(c.estimated, 0) DESC

-- name: members
-- The firms of a park with their values of an indicator.
SELECT f.code AS firm, v.numerator, v.denominator, v.value, v.coverage, v.reason, v.revision, v.run_id
FROM firm AS f JOIN indicator_value AS v ON v.scope = 'firm' AND v.scope_id = f.firm_id
WHERE f.park_id = $1 AND v.indicator_id = $2 AND v.grain = $3 AND v.period = $4 ORDER BY f.code

-- name: standing
SELECT s.standing_id, s.pack_id, s.pack_version, s.target_id, s.as_of, s.state, s.reason, s.sentence_zh, s.sentence_en,
       s.value, s.target_value, s.required, s.projection, s.projection_low, s.projection_high, s.unit, s.indicator_id,
       s.period, s.base_year, s.base_value, s.override_id, s.progress, s.needed_rate, s.miss_week, s.coverage,
       s.revision, s.run_id, p.sha256, p.loaded, p.body
FROM standing AS s LEFT JOIN target_pack AS p ON p.pack_id = s.pack_id AND p.version = s.pack_version
WHERE s.current AND s.scope = $1 AND s.scope_id = $2 AND s.target_id = $3 ORDER BY s.pack_id

-- name: standing_history
SELECT as_of, state, reason, value, projection, pack_version, run_id FROM standing
WHERE scope = $1 AND scope_id = $2 AND pack_id = $3 AND target_id = $4 ORDER BY as_of DESC LIMIT 10

-- name: override
-- What a park said about a target, and where.
SELECT override_id, value, base_year, base_value, source, entered FROM target_override WHERE override_id = $1

-- name: contributions
SELECT firm_id, effect, unit, activity, structure, intensity, came FROM standing_contribution WHERE standing_id = $1

-- name: firms_of_value
-- The firms of a park, or one firm ($2), with their values of an indicator in a period; without one too.
SELECT f.firm_id, f.code AS firm, f.name_zh, f.name_en, f.industrial, v.numerator, v.denominator, v.value, v.unit,
       v.coverage, v.reason, v.revision, v.run_id, v.lineage
FROM firm AS f LEFT JOIN indicator_value AS v ON v.scope = 'firm' AND v.scope_id = f.firm_id
    AND v.indicator_id = $3 AND v.grain = $4 AND v.period = $5
WHERE f.park_id = $1 AND ($2::int IS NULL OR f.firm_id = $2)
ORDER BY abs(v.numerator) DESC NULLS LAST, f.code

-- name: points_of_value
-- What points counted in a period; a point that counted nothing is there with nulls.
SELECT p.point_id, p.firm_id, p.code AS point, p.name_zh, p.name_en, p.kind, p.carrier, p.direction, p.unit, p.product,
       c.measured, c.estimated, c.measured_s, c.estimated_s, c.held, c.run_id
FROM point AS p LEFT JOIN consumption_period AS c ON c.point_id = p.point_id AND c.grain = $2 AND c.period = $3
WHERE p.point_id = ANY ($1::int[])

-- name: reading_ends
-- First and last reading of points in [$2, $3), with the batches that brought them.
SELECT w.point_id, r.t, r.value, r.quality, r.batch_id, e.code AS edge, b.boot, b.seq, b.sent, b.stored
FROM unnest($1::int[]) AS w (point_id)
CROSS JOIN LATERAL (
    (SELECT * FROM reading WHERE point_id = w.point_id AND t >= $2 AND t < $3 ORDER BY t LIMIT 1)
    UNION (SELECT * FROM reading WHERE point_id = w.point_id AND t >= $2 AND t < $3 ORDER BY t DESC LIMIT 1)
) AS r
LEFT JOIN batch AS b USING (batch_id) LEFT JOIN edge AS e USING (edge_id)
ORDER BY w.point_id, r.t

-- name: inputs
-- What firms reported, by the ids that a value's lineage names.
SELECT input_id, kind, key, price_basis, price_year, grain, period, version, amount, unit, finality, author, source,
       entered
FROM business_input WHERE input_id = ANY ($1::bigint[]) ORDER BY input_id
