-- Messages that could not be taken, wholly or in part, kept as they came.

-- name: hold
-- A redelivery of the same bad message is the same row; what somebody discarded stays discarded.
INSERT INTO quarantine (park_id, firm_id, topic, content_type, payload, reason, detail, fingerprint, times_seen)
SELECT park_id, firm_id, topic, content_type, payload, reason, detail, fingerprint, times
FROM unnest($1::int[], $2::int[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::text[], $8::bytea[], $9::int[])
     AS u (park_id, firm_id, topic, content_type, payload, reason, detail, fingerprint, times)
ORDER BY fingerprint
ON CONFLICT (fingerprint) DO UPDATE SET times_seen = quarantine.times_seen + excluded.times_seen,
    reason = excluded.reason, detail = excluded.detail, park_id = excluded.park_id, firm_id = excluded.firm_id,
    state = CASE quarantine.state WHEN 'discarded' THEN 'discarded' ELSE 'held' END,
    resolved = CASE quarantine.state WHEN 'discarded' THEN quarantine.resolved END

-- name: listed
-- Null for a filter means any.
SELECT quarantine_id, received, park_id, firm_id, topic, content_type, reason, detail, times_seen, state, resolved,
       length(payload) AS payload_bytes
FROM quarantine
WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR reason = $2)
  AND ($3::text IS NULL OR starts_with(topic, $3)) AND quarantine_id > $4
ORDER BY quarantine_id LIMIT $5

-- name: one
SELECT quarantine_id, received, park_id, firm_id, topic, content_type, payload, reason, detail, times_seen, state,
       resolved, length(payload) AS payload_bytes
FROM quarantine WHERE quarantine_id = $1

-- name: resolve
UPDATE quarantine SET state = $2, resolved = clock_timestamp() WHERE quarantine_id = $1

-- name: counts
SELECT reason, count(*) AS messages FROM quarantine WHERE state = 'held' GROUP BY reason ORDER BY reason
