-- "Platform health": whether readings arrive, how long they take to become numbers, what waits, and the disk.

-- name: rate
-- Readings a second that were stored, minute by minute, over at most the last six hours of the range.
SELECT x.minute AS "time", '{readings_per_s}' AS metric, sum(x.value) AS value
FROM (
    SELECT date_trunc('minute', b.stored) AS minute, b.readings / 60.0 AS value
    FROM greenpark.tenant_batch AS b
    WHERE b.park = '$park' AND b.stored >= greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - interval '6 hours')
        AND b.stored <= $__timeTo()::timestamptz
    UNION ALL
    SELECT generate_series(date_trunc('minute', greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - interval '6 hours')),
                           least($__timeTo()::timestamptz, now()), interval '1 minute'), 0
) AS x
GROUP BY 1
ORDER BY 1

-- name: transport
-- From an edge sending a batch to the database having it: median and 95th percentile of each five minutes, over at most
-- the last hour of the range. A clock that runs ahead makes it negative.
SELECT date_bin('5 minutes', b.stored, 'epoch') AS "time", v.metric, v.value
FROM (
    SELECT date_bin('5 minutes', b.stored, 'epoch') AS stored,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM b.stored - b.sent))::float8 AS half,
           percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM b.stored - b.sent))::float8 AS most
    FROM greenpark.tenant_batch AS b
    WHERE b.park = '$park' AND b.sent IS NOT NULL
        AND b.stored >= greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - interval '1 hour')
        AND b.stored <= $__timeTo()::timestamptz
    GROUP BY 1
) AS b
CROSS JOIN LATERAL (VALUES ('{median}', b.half), ('{p95}', b.most)) AS v (metric, value)
ORDER BY 1, 2

-- name: lag
-- Age of the oldest live reading when its indicators were written, over at most the last six hours of the range.
SELECT date_bin('5 minutes', r.finished, 'epoch') AS "time", v.metric, v.value
FROM (
    SELECT date_bin('5 minutes', r.finished, 'epoch') AS finished,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY r.waited_s) AS half,
           percentile_cont(0.95) WITHIN GROUP (ORDER BY r.waited_s) AS most
    FROM greenpark.run AS r JOIN greenpark.park AS k USING (park_id)
    WHERE k.code = '$park' AND r.waited_s IS NOT NULL
        AND r.finished >= greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - interval '6 hours')
        AND r.finished <= $__timeTo()::timestamptz
    GROUP BY 1
) AS r
CROSS JOIN LATERAL (VALUES ('{median}', r.half), ('{p95}', r.most)) AS v (metric, value)
ORDER BY 1, 2

-- name: numbers
-- What waits to be computed, what is held aside, who is connected, and how old the newest reading is.
SELECT (SELECT count(*) FROM greenpark.dirty AS d JOIN greenpark.point AS p USING (point_id) JOIN greenpark.park AS k USING (park_id)
        WHERE k.code = '$park') AS waiting,
       (SELECT coalesce(extract(epoch FROM now() - min(d.marked)), 0)::float8 FROM greenpark.dirty AS d JOIN greenpark.point AS p USING (point_id)
        JOIN greenpark.park AS k USING (park_id) WHERE k.code = '$park') AS waiting_age,
       (SELECT count(*) FROM greenpark.quarantine AS q JOIN greenpark.park AS k USING (park_id)
        WHERE k.code = '$park' AND q.state = 'held') AS quarantined,
       (SELECT count(*) FILTER (WHERE s.online) FROM greenpark.edge_status AS s JOIN greenpark.park AS k USING (park_id)
        WHERE k.code = '$park') AS edges_online,
       (SELECT count(*) FROM greenpark.edge AS e JOIN greenpark.park AS k USING (park_id) WHERE k.code = '$park') AS edges,
       (SELECT extract(epoch FROM now() - max(n.t))::float8 FROM greenpark.tenant_newest AS n WHERE n.park = '$park') AS age

-- name: runs
-- Computations by cause, over at most the last six hours of the range.
SELECT r.cause, count(*) AS runs, max(r.code_version) AS code_version,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM r.finished - r.started))::float8 AS duration,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM r.finished - r.started))::float8 AS duration_p95,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY r.waited_s) AS lag_p95, max(r.finished) AS newest_at
FROM greenpark.run AS r JOIN greenpark.park AS k USING (park_id)
WHERE k.code = '$park' AND r.finished >= greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - interval '6 hours')
    AND r.finished <= $__timeTo()::timestamptz
GROUP BY 1
ORDER BY 2 DESC, 1
LIMIT 50

-- name: queues
-- Messages to people that wait.
SELECT count(*) FILTER (WHERE o.state = 'waiting') AS waiting_messages,
       coalesce(extract(epoch FROM now() - min(o.created) FILTER (WHERE o.state = 'waiting')), 0)::float8 AS oldest_message,
       count(*) FILTER (WHERE o.state = 'failed') AS failed_messages
FROM greenpark.outbox AS o JOIN greenpark.park AS k USING (park_id)
WHERE k.code = '$park' AND (o.state = 'waiting' OR $__timeFilter(o.created))

-- name: buffers
-- What edges hold back because it is not committed yet.
SELECT sum(s.buffered_batches) AS buffered_batches, sum(s.buffered_bytes)::float8 AS buffered_bytes,
       max(abs(s.clock_offset_ms)) / 1000.0 AS clock_offset
FROM greenpark.edge_status AS s JOIN greenpark.park AS k USING (park_id) WHERE k.code = '$park'

-- name: disk
-- The database's size, and its largest tables; rows are the server's estimate.
SELECT t.name AS "table", t.bytes::float8 AS bytes, t.row_estimate AS row_estimate
FROM greenpark.storage_of_tables() AS t JOIN greenpark.park AS k ON k.code = '$park'
ORDER BY 2 DESC
LIMIT 15

-- name: database_size
SELECT pg_database_size(current_database())::float8 AS database_bytes FROM greenpark.park AS k WHERE k.code = '$park'
