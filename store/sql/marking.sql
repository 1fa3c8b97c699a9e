-- What the platform holds about a whole park, for a comparison with the truth.

-- name: points
SELECT f.code AS firm, p.code AS point, p.point_id
FROM point AS p JOIN firm AS f USING (firm_id) JOIN park AS k ON k.park_id = f.park_id
WHERE k.code = $1

-- name: readings
SELECT point_id, t, value, quality FROM reading WHERE point_id = ANY ($1::int[]) ORDER BY point_id, t

-- name: ledger
SELECT point_id, bucket, coalesce(measured, 'NaN') AS measured, coalesce(estimated, 'NaN') AS estimated,
       measured_s, estimated_s, held, flags
FROM consumption WHERE point_id = ANY ($1::int[]) AND bucket >= $2 AND bucket < $3

-- name: indicators
SELECT f.code AS firm, v.indicator_id, v.grain, v.period, v.value, v.reason
FROM indicator_value AS v JOIN firm AS f ON f.firm_id = v.scope_id JOIN park AS k ON k.park_id = f.park_id
WHERE k.code = $1 AND v.scope = 'firm' AND (v.grain IN ('month', 'year')
    OR (v.grain = 'day' AND v.period >= $2 AND v.period < $3))

-- name: episodes
SELECT e.episode_id, f.code AS firm, x.code AS point, e.rule_id, e.cause_key, e.state, e.began, e.opened, e.ended
FROM episode AS e JOIN park AS k USING (park_id) LEFT JOIN firm AS f ON f.firm_id = e.firm_id
LEFT JOIN point AS x ON e.scope = 'point' AND x.point_id = e.scope_id
WHERE k.code = $1 AND e.opened IS NOT NULL

-- name: strays
-- Messages about a firm (or the park) that went to another firm.
SELECT count(*)
FROM outbox AS o JOIN episode AS e USING (episode_id) JOIN recipient AS r USING (recipient_id)
JOIN park AS k ON k.park_id = e.park_id
WHERE k.code = $1 AND r.firm_id IS NOT NULL AND r.firm_id IS DISTINCT FROM e.firm_id

-- name: counts
SELECT (SELECT count(*) FROM reading_conflict WHERE point_id = ANY ($1::int[])) AS conflicts,
       (SELECT count(*) FROM quarantine) AS quarantined

-- name: pending
-- Work that waits: nothing may be marked before this is zero.
SELECT (SELECT count(*) FROM dirty) + (SELECT count(*) FROM dirty_firm) + (SELECT count(*) FROM dirty_park)

-- name: pending_alerts
SELECT count(*) FROM alert_mark

-- name: committed
-- Batches of one park that are stored.
SELECT count(*) FROM batch AS b JOIN edge AS e USING (edge_id) JOIN park AS k USING (park_id) WHERE k.code = $1

-- name: values
-- A firm's values of some indicators and grains.
SELECT v.indicator_id, v.grain, v.period, v.value, v.reason, v.coverage
FROM indicator_value AS v JOIN firm AS f ON f.firm_id = v.scope_id JOIN park AS k ON k.park_id = f.park_id
WHERE k.code = $1 AND f.code = $2 AND v.scope = 'firm' AND v.indicator_id = ANY ($3) AND v.grain = ANY ($4)

-- name: audience
-- Everybody who could be told: the park itself and each of its firms.
SELECT park_id, NULL::int AS firm_id, NULL::text AS code FROM park WHERE code = $1
UNION ALL
SELECT f.park_id, f.firm_id, f.code FROM firm AS f JOIN park AS k USING (park_id) WHERE k.code = $1
