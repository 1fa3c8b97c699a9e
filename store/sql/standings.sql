-- Standings: indicators held against targets. The newest row of a target is current; a row that says the same on the
-- same day is brought up to date in place, so that the history has one row a day and one for each change of state.

-- name: pack_sha
SELECT sha256 FROM target_pack WHERE pack_id = $1 AND version = $2

-- name: keep_pack
INSERT INTO target_pack (pack_id, version, sha256, body) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING

-- name: current
SELECT standing_id, scope, scope_id, pack_id, pack_version, target_id, as_of, state, reason
FROM standing WHERE park_id = $1 AND current

-- name: refresh
UPDATE standing SET as_of = $2, sentence_zh = $3, sentence_en = $4, value = $5, target_value = $6, required = $7,
    projection = $8, run_id = $9
WHERE standing_id = $1

-- name: supersede
UPDATE standing SET current = false WHERE standing_id = $1

-- name: insert
INSERT INTO standing (park_id, firm_id, scope, scope_id, pack_id, pack_version, target_id, as_of, state, reason,
                      sentence_zh, sentence_en, value, target_value, required, projection, run_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)

-- name: value_at
-- One subject's value in the period of a grain that starts at $5.
SELECT numerator, denominator, unit, coverage, reason, lineage FROM indicator_value
WHERE scope = $1 AND scope_id = $2 AND indicator_id = $3 AND grain = $4 AND period = $5

-- name: notify
SELECT pg_notify('greenpark_standing', $1::text)
