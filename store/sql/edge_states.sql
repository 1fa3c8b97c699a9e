-- What edges say of themselves, and what of theirs is stored.

-- name: advance_watermarks
-- Adds stored or given-up stretches [first, after) and returns the whole. newest tells whether this boot is the one the
-- edge is in: the one its status names, or else the one that came last.
WITH given AS (
    SELECT edge_id, boot, range_agg(int8range(first, after)) AS seqs
    FROM unnest($1::int[], $2::text[], $3::bigint[], $4::bigint[]) AS u (edge_id, boot, first, after)
    GROUP BY edge_id, boot
)
INSERT INTO watermark (edge_id, boot, committed)
SELECT edge_id, boot, seqs FROM given ORDER BY edge_id, boot
ON CONFLICT (edge_id, boot) DO UPDATE
    SET committed = watermark.committed + excluded.committed, changed = clock_timestamp()
RETURNING edge_id, boot, committed, coalesce(
    (SELECT s.boot = watermark.boot FROM edge_status AS s WHERE s.edge_id = watermark.edge_id),
    NOT EXISTS (SELECT FROM watermark AS w WHERE w.edge_id = watermark.edge_id AND w.began > watermark.began)
) AS newest

-- name: watermarks
SELECT edge_id, boot, committed FROM watermark ORDER BY edge_id, began

-- name: upsert_status
-- A last will carries the time at which it was laid down, long before it speaks: being offline is always believed.
-- Otherwise an older state, redelivered late, does not replace a newer one, unless the clock stepped back long ago.
INSERT INTO edge_status (edge_id, park_id, firm_id, online, boot, at, version, buffered_batches, buffered_bytes,
                         clock_offset_ms)
VALUES ($1, $2, $3, $4, $5, 'epoch'::timestamptz + $6::bigint * interval '1 millisecond', $7, $8, $9, $10)
ON CONFLICT (edge_id) DO UPDATE SET online = excluded.online, boot = excluded.boot,
    at = CASE WHEN excluded.online THEN excluded.at ELSE greatest(edge_status.at, excluded.at) END,
    version = excluded.version, buffered_batches = excluded.buffered_batches, buffered_bytes = excluded.buffered_bytes,
    clock_offset_ms = excluded.clock_offset_ms, received = excluded.received
WHERE excluded.at >= edge_status.at OR NOT excluded.online
    OR edge_status.received < clock_timestamp() - interval '5 minutes'

-- name: insert_event
INSERT INTO edge_event (park_id, firm_id, edge_id, boot, at, kind, point_id, body)
VALUES ($1, $2, $3, $4, 'epoch'::timestamptz + $5::bigint * interval '1 millisecond', $6, $7, $8)
ON CONFLICT (edge_id, boot, at, kind, point_id) DO NOTHING
