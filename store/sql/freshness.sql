-- How far the ledger has got, for a measurement of its freshness.

-- name: covered
-- Seconds covered at some points: by buckets, and by each grain. Read every fraction of a second, so by index only.
SELECT point_id, 'bucket' AS grain, sum(measured_s::float8 + estimated_s) AS seconds
FROM consumption WHERE point_id = ANY ($1::int[]) AND bucket >= $2 GROUP BY point_id
UNION ALL
SELECT point_id, grain, sum(measured_s + estimated_s)
FROM consumption_period WHERE point_id = ANY ($1::int[]) AND grain = ANY ('{hour,day,month}') GROUP BY point_id, grain

-- name: waited
-- Age of the oldest live reading in each finished computation of indicators since $1, of firms or (where $2) of parks.
SELECT waited_s FROM run
WHERE started >= $1 AND waited_s IS NOT NULL AND CASE WHEN $2 THEN firm_id IS NULL ELSE cause LIKE 'indicators: %' END
