-- For benchmarks on a database of their own; nothing else runs these.

-- name: committed
SELECT coalesce(sum(readings), 0)::bigint AS readings, count(*) AS batches FROM batch

-- name: stored
SELECT (SELECT count(*) FROM reading) AS readings, (SELECT count(*) FROM latest) AS points,
       (SELECT count(*) FROM reading_conflict) AS conflicts, (SELECT count(*) FROM quarantine) AS quarantined

-- name: edge_ids
SELECT e.edge_id FROM edge AS e JOIN firm AS f USING (firm_id) JOIN park AS p ON p.park_id = e.park_id
WHERE p.code = $1 ORDER BY f.code, e.code

-- name: forget
TRUNCATE reading, batch, latest, watermark, dirty, reading_conflict, quarantine

-- name: rows
-- The stored readings in the order of their arrival.
SELECT point_id, t, value, quality, batch_id FROM reading ORDER BY batch_id, t, point_id LIMIT $1

-- name: twin
-- A second table that is what `reading` is: chunks, columns, index.
CREATE TABLE reading_twin (LIKE reading);
SELECT create_hypertable('greenpark.reading_twin', by_range('t', INTERVAL '7 days'), create_default_indexes => false);
CREATE UNIQUE INDEX reading_twin_once ON reading_twin (point_id, t)

-- name: empty_twin
TRUNCATE reading_twin

-- name: drop_twin
DROP TABLE IF EXISTS reading_twin

-- name: firm_values
SELECT (SELECT count(*) FROM indicator_value WHERE firm_id = $1) AS firm,
       (SELECT count(*) FROM indicator_value WHERE firm_id = $1 AND reason IS NULL) AS defined,
       (SELECT count(*) FROM standing WHERE park_id = $2 AND current) AS standings

-- name: forget_marks
-- What registering and laying down marked as waiting.
TRUNCATE dirty, dirty_firm, dirty_park

-- name: forget_values
TRUNCATE indicator_value, indicator_revision, standing, dirty_firm, dirty_park RESTART IDENTITY CASCADE

-- name: analyze_buckets
ANALYZE consumption

-- name: vacuum_periods
VACUUM (ANALYZE) consumption_period

-- name: checkpoint
CHECKPOINT

-- name: backend
SELECT pg_backend_pid()
