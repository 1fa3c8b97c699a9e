-- Standings: indicators held against targets. The newest row of a target is current; a row that says the same on the
-- same day is brought up to date in place, so that the history has one row a day, one for each change of state, and one
-- for each change of what a finished year says.

-- name: pack_sha
SELECT sha256 FROM target_pack WHERE pack_id = $1 AND version = $2

-- name: keep_pack
INSERT INTO target_pack (pack_id, version, sha256, body, park_id) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING

-- name: own_pack
-- The newest version of a pack that a park brought itself.
SELECT body FROM target_pack WHERE pack_id = $1 AND park_id = $2 ORDER BY version DESC LIMIT 1

-- name: pack_owner
-- Park of a pack that is kept; null: carried by the package. No row: not kept.
SELECT park_id FROM target_pack WHERE pack_id = $1 LIMIT 1

-- name: overrides
-- What a park says about targets: the newest of each that is not withdrawn.
SELECT override_id, pack_id, target_id, value, base_year, base_value, source
FROM (SELECT DISTINCT ON (pack_id, target_id) * FROM target_override
      WHERE park_id = $1 ORDER BY pack_id, target_id, override_id DESC) AS newest
WHERE NOT withdrawn

-- name: override
INSERT INTO target_override (park_id, pack_id, target_id, value, base_year, base_value, source, withdrawn)
VALUES ($1, $2, $3, $4, $5, $6, $7, false)

-- name: withdraw
INSERT INTO target_override (park_id, pack_id, target_id, source, withdrawn) VALUES ($1, $2, $3, 'park document', true)

-- name: finished
-- The newest standings of a year that has ended ($2: its start).
SELECT DISTINCT ON (scope, scope_id, pack_id, target_id) standing_id, scope, scope_id, pack_id, target_id, pack_version,
       override_id, revision, state, reason, value
FROM standing WHERE park_id = $1 AND period = $2 AND closed
ORDER BY scope, scope_id, pack_id, target_id, standing_id DESC

-- name: current
SELECT standing_id, scope, scope_id, pack_id, target_id, pack_version, override_id, as_of, state, reason, value,
       projection, closed, revision, lineage ->> 'moved' AS moved
FROM standing WHERE park_id = $1 AND current

-- name: refresh
UPDATE standing SET as_of = $2, sentence_zh = $3, sentence_en = $4, value = $5, target_value = $6, required = $7,
    projection = $8, unit = $9, base_year = $10, base_value = $11, period = $12, closed = $13, coverage = $14,
    progress = $15, elapsed = $16, projection_low = $17, projection_high = $18, projected_for = $19, year_end = $20,
    year_end_low = $21, year_end_high = $22, plan_end = $23, plan_end_low = $24, plan_end_high = $25, confidence = $26,
    method = $27, needed_rate = $28, needed_rest = $29, miss_week = $30, lineage = $31, run_id = $32
WHERE standing_id = $1

-- name: supersede
UPDATE standing SET current = false, superseded = clock_timestamp(), superseded_by = $2
WHERE standing_id = $1 AND superseded IS NULL

-- name: insert
INSERT INTO standing (park_id, firm_id, scope, scope_id, pack_id, pack_version, target_id, state, reason, indicator_id,
                      comparator, theme, binding, target_year, override_id, revision,
                      as_of, sentence_zh, sentence_en, value, target_value, required, projection, unit, base_year,
                      base_value, period, closed, coverage, progress, elapsed, projection_low, projection_high,
                      projected_for, year_end, year_end_low, year_end_high, plan_end, plan_end_low, plan_end_high,
                      confidence, method, needed_rate, needed_rest, miss_week, lineage, run_id, current)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
        $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46,
        $47, $48)

-- name: forget_contributions
DELETE FROM standing_contribution WHERE standing_id = ANY ($1::bigint[])

-- name: contribution
-- Of the current standing of a park ($1) against a target ($2 pack, $3 target).
INSERT INTO standing_contribution (standing_id, park_id, firm_id, from_start, from_end, to_start, to_end, unit,
                                   value_from, value_to, effect, activity, structure, intensity, came)
SELECT s.standing_id, s.park_id, $4, $5, $6, $7, $8, $9, $10, $11, $12, NULL, $13, $14, $15
FROM standing AS s
WHERE s.scope = 'park' AND s.scope_id = $1 AND s.pack_id = $2 AND s.target_id = $3 AND s.current

-- name: panels
-- Groups of firms whose sum a target may speak of.
SELECT code, group_id FROM firm_group WHERE park_id = $1 AND kind = 'panel'

-- name: periods
-- Values of a park's years, and of its months since $3, of some indicators; of the park, its panels and its firms.
SELECT scope, scope_id, indicator_id, grain, period, numerator, denominator, unit, coverage, reason, closed, revision,
       run_id, lineage
FROM indicator_value
WHERE park_id = $1 AND indicator_id = ANY ($2::text[]) AND scope IN ('park', 'panel', 'firm')
    AND (grain = 'year' OR (grain = 'month' AND period >= $3))
ORDER BY period

-- name: weeks
-- Sums of the seven-day blocks that end with $3, the newest 0; of the park and its panels since $4, of firms since $5 and
-- in the four weeks of a year ago ($6 to $7). A day whose sums are not known is not counted in `days`. Each part reads
-- by the index that fits it, so that years of history cost nothing.
WITH day AS (
    SELECT scope, scope_id, indicator_id, period, numerator, denominator, reason FROM indicator_value
    WHERE scope = 'park' AND scope_id = $1 AND indicator_id = ANY ($2::text[]) AND grain = 'day'
        AND period >= $4 AND period < $3
    UNION ALL
    SELECT scope, scope_id, indicator_id, period, numerator, denominator, reason FROM indicator_value
    WHERE scope = 'panel' AND scope_id IN (SELECT group_id FROM firm_group WHERE park_id = $1 AND kind = 'panel')
        AND indicator_id = ANY ($2::text[]) AND grain = 'day' AND period >= $4 AND period < $3
    UNION ALL
    SELECT scope, scope_id, indicator_id, period, numerator, denominator, reason FROM indicator_value
    WHERE park_id = $1 AND indicator_id = ANY ($2::text[]) AND grain = 'day' AND period >= $5 AND period < $3
        AND scope = 'firm'
    UNION ALL
    SELECT scope, scope_id, indicator_id, period, numerator, denominator, reason FROM indicator_value
    WHERE park_id = $1 AND indicator_id = ANY ($2::text[]) AND grain = 'day' AND period >= $6 AND period < $7
        AND scope = 'firm'
)
SELECT scope, scope_id, indicator_id,
       floor(extract(epoch FROM $3::timestamptz - period)::float8 / 604800 - 0.07)::int AS block, count(*) AS days,
       sum(numerator) AS numerator, sum(coalesce(denominator, 0)) AS denominator
FROM day
WHERE numerator IS NOT NULL AND (reason IS NULL OR reason IN ('no_production', 'zero_denominator'))
GROUP BY 1, 2, 3, 4

-- name: first_days
-- The first day that anything is known of a firm's indicator.
SELECT w.firm_id, w.indicator_id, (SELECT min(v.period) FROM indicator_value AS v
    WHERE v.scope = 'firm' AND v.scope_id = w.firm_id AND v.indicator_id = w.indicator_id AND v.grain = $3
        AND v.numerator IS NOT NULL) AS first
FROM unnest($1::int[], $2::text[]) AS w (firm_id, indicator_id)

-- name: notify
SELECT pg_notify('greenpark_standing', $1::text)
