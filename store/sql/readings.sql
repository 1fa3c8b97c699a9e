-- Readings and what goes with them into one transaction: batches, the newest values, what must be computed again.
-- Times come in as microseconds or milliseconds since 1970, so that arrays need no Python object per row.

-- name: staging
-- Where readings wait that may be there already; COPY itself knows no ON CONFLICT.
CREATE TEMP TABLE IF NOT EXISTS incoming (
    point_id  int NOT NULL,
    t         timestamptz NOT NULL,
    value     float8 NOT NULL,
    quality   smallint NOT NULL,
    batch_id  bigint NOT NULL,
    ordinal   int NOT NULL
) ON COMMIT DELETE ROWS

-- name: insert_batches
-- ordinal (from 0) and id of the batches that are new; the others had been stored before. An id is drawn for each row
-- first, because RETURNING cannot tell which input row it answers.
WITH given AS MATERIALIZED (
    SELECT nextval('batch_batch_id_seq') AS batch_id, u.*
    FROM unnest($1::int[], $2::text[], $3::bigint[], $4::bigint[], $5::int[])
         WITH ORDINALITY AS u (edge_id, boot, seq, sent_ms, readings, ordinal)
), stored AS (
    INSERT INTO batch (batch_id, edge_id, boot, seq, sent, readings) OVERRIDING SYSTEM VALUE
    SELECT batch_id, edge_id, boot, seq, 'epoch'::timestamptz + sent_ms * interval '1 millisecond', readings
    FROM given ORDER BY edge_id, boot, seq
    ON CONFLICT (edge_id, boot, seq) DO NOTHING
    RETURNING batch_id
)
SELECT (g.ordinal - 1)::int AS ordinal, batch_id FROM given AS g JOIN stored USING (batch_id)

-- name: find_batch
SELECT batch_id FROM batch WHERE edge_id = $1 AND boot = $2 AND seq = $3

-- name: delete_batches
-- Batches without a name whose readings all turned out to be there already: nothing came of them.
DELETE FROM batch WHERE batch_id = ANY ($1::bigint[])

-- name: insert_staged
-- The first of equal (point, t) wins. The rows were staged in the order of the index, and are read as they were staged.
INSERT INTO reading (point_id, t, value, quality, batch_id)
SELECT point_id, t, value, quality, batch_id FROM incoming
ON CONFLICT (point_id, t) DO NOTHING

-- name: stored_of_staged
-- Which of the staged rows are those that were stored. $1 and $2 bound the times, so that only the chunks concerned
-- are opened.
SELECT array_agg(i.ordinal ORDER BY i.ordinal)
FROM incoming AS i JOIN reading AS r ON r.point_id = i.point_id AND r.t = i.t
WHERE r.t BETWEEN 'epoch'::timestamptz + $1::bigint * interval '1 microsecond'
              AND 'epoch'::timestamptz + $2::bigint * interval '1 microsecond'
  AND r.batch_id = i.batch_id AND r.value = i.value AND r.quality = i.quality

-- name: set_aside
-- What was staged but differs from what is stored. NaN equals NaN and -0 equals 0, as float8 compares.
-- $1 and $2 bound the times as above.
WITH different AS (
    SELECT i.point_id, i.t, i.value, i.quality, r.value AS stored_value, i.batch_id, i.ordinal
    FROM incoming AS i JOIN reading AS r ON r.point_id = i.point_id AND r.t = i.t
    WHERE r.t BETWEEN 'epoch'::timestamptz + $1::bigint * interval '1 microsecond'
                  AND 'epoch'::timestamptz + $2::bigint * interval '1 microsecond'
      AND (r.value <> i.value OR r.quality <> i.quality)
), kept AS (
    INSERT INTO reading_conflict (point_id, t, value, quality, stored_value, batch_id)
    SELECT point_id, t, value, quality, stored_value, batch_id FROM different
    ORDER BY point_id, t, value, quality, ordinal
    ON CONFLICT (point_id, t, value, quality) DO NOTHING
    RETURNING batch_id
)
SELECT batch_id, count(*) AS readings FROM kept GROUP BY batch_id

-- name: by_index
-- A temporary table has no statistics: without this the planner may scan a whole chunk to find a few rows.
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off

-- name: by_choice
SET LOCAL enable_hashjoin = on;
SET LOCAL enable_mergejoin = on

-- name: upsert_latest
INSERT INTO latest (point_id, t, value, quality, stored)
SELECT point_id, 'epoch'::timestamptz + t_us * interval '1 microsecond', value, quality, clock_timestamp()
FROM unnest($1::int[], $2::bigint[], $3::float8[], $4::smallint[]) AS u (point_id, t_us, value, quality)
ORDER BY point_id
ON CONFLICT (point_id) DO UPDATE SET t = excluded.t, value = excluded.value, quality = excluded.quality,
    stored = excluded.stored
WHERE excluded.t > latest.t

-- name: mark_dirty
INSERT INTO dirty (firm_id, point_id, t_from, t_to, cause)
SELECT firm_id, point_id, 'epoch'::timestamptz + from_us * interval '1 microsecond',
       'epoch'::timestamptz + to_us * interval '1 microsecond', $5
FROM unnest($1::int[], $2::int[], $3::bigint[], $4::bigint[]) AS u (firm_id, point_id, from_us, to_us)

-- name: firms_of_points
SELECT point_id, firm_id FROM point WHERE point_id = ANY ($1::int[])

-- name: notify_dirty
SELECT pg_notify('greenpark_dirty', payload) FROM unnest($1::text[]) AS payload

-- name: occupied
-- The first of these points that has a reading between two instants.
SELECT p.point_id
FROM unnest($1::int[]) AS p (point_id)
WHERE EXISTS (
    SELECT FROM reading AS r WHERE r.point_id = p.point_id
    AND r.t BETWEEN 'epoch'::timestamptz + $2::bigint * interval '1 microsecond'
                AND 'epoch'::timestamptz + $3::bigint * interval '1 microsecond')
ORDER BY p.point_id LIMIT 1

-- name: next_seq
SELECT coalesce(max(seq) + 1, 0) FROM batch WHERE edge_id = $1 AND boot = $2
