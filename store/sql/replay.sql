-- What `greenpark replay` asks: what is there already, what waits to be computed, and what came of it.

-- name: readings_of_point
SELECT t, value FROM reading WHERE point_id = $1 AND t BETWEEN $2 AND $3 ORDER BY t

-- name: watermark
-- What of one boot is stored or given up.
SELECT edge_id, boot, committed FROM watermark WHERE edge_id = $1 AND boot = $2

-- name: waiting
-- How much of these points waits for the processors, and whether there are any.
SELECT (SELECT count(*) FROM dirty WHERE firm_id = $1 AND point_id = ANY ($2::int[])) AS dirty,
       EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'greenpark streams%') AS streams

-- name: months
-- The ledger's months that begin in [$2, $3).
SELECT point_id, period, measured, estimated FROM consumption_period
WHERE point_id = ANY ($1::int[]) AND grain = 'month' AND period >= $2 AND period < $3
ORDER BY period, point_id

-- name: held
-- Messages of one topic in quarantine, by reason.
SELECT reason, count(*) AS messages, min(detail) AS detail FROM quarantine
WHERE topic = $1 AND state = 'held' GROUP BY reason ORDER BY count(*) DESC
