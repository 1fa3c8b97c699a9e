-- What digests and charts say of a time that has passed. Every query that a firm's digest asks takes the firm and shows
-- nothing of another.

-- name: recent_indicator
-- The newest values of an indicator up to an instant, oldest first.
SELECT period AS t, value FROM (
    SELECT period, value FROM indicator_value
    WHERE scope = $1 AND scope_id = $2 AND indicator_id = $3 AND grain = $4 AND period <= $5
    ORDER BY period DESC LIMIT $6) AS newest
ORDER BY t

-- name: recent_use
-- What a point moved per hour in its newest quarter hours, oldest first; null where nothing is known.
SELECT bucket AS t,
       CASE WHEN measured_s + estimated_s > 0
            THEN (coalesce(measured, 0) + coalesce(estimated, 0)) / (measured_s + estimated_s) * 3600 END AS value
FROM consumption
WHERE point_id = $1 AND bucket <= $2 AND bucket > $2 - make_interval(mins => 15 * $3)
ORDER BY bucket

-- name: episodes_of_period
-- What was opened in [$3, $4), or still goes on at its end; worst first, then newest. Of a firm ($2), or of the park
-- and all its firms.
SELECT e.episode_id, e.rule_id, e.state, e.severity, e.began, e.opened, e.ended, e.title_zh, e.title_en,
       f.code AS firm, f.name_zh AS firm_zh, f.name_en AS firm_en, e.opened >= $3 AS fresh
FROM episode AS e LEFT JOIN firm AS f ON f.firm_id = e.firm_id
WHERE e.park_id = $1 AND ($2::int IS NULL OR e.firm_id = $2) AND e.opened < $4
    AND (e.opened >= $3 OR e.state IN ('open', 'acknowledged') OR e.ended >= $3)
ORDER BY array_position(ARRAY['critical', 'major', 'warning', 'info'], e.severity), e.opened DESC

-- name: opened_in
-- How many episodes were opened in [$3, $4) and not retracted.
SELECT count(*) FROM episode
WHERE park_id = $1 AND ($2::int IS NULL OR firm_id = $2) AND opened >= $3 AND opened < $4 AND state <> 'retracted'

-- name: standings_now
SELECT target_id, state, sentence_zh, sentence_en FROM standing
WHERE current AND park_id = $1 AND (CASE WHEN $2::int IS NULL THEN scope = 'park' ELSE firm_id = $2 END)
ORDER BY array_position(ARRAY['off', 'at_risk', 'undefined', 'on_pace', 'ahead'], state), target_id

-- name: indicators_of_days
-- Day values of the subject in [$3, $4).
SELECT indicator_id, period, value, unit, coverage, closed FROM indicator_value
WHERE scope = $1 AND scope_id = $2 AND grain = 'day' AND period >= $3 AND period < $4
ORDER BY indicator_id, period

-- name: firms_with_alerts
-- The firms with the most episodes in [$2, $3).
SELECT f.code, f.name_zh, f.name_en, count(*)::int AS opened,
       (count(*) FILTER (WHERE e.state IN ('open', 'acknowledged')))::int AS unfinished
FROM episode AS e JOIN firm AS f USING (firm_id)
WHERE e.park_id = $1 AND e.opened >= $2 AND e.opened < $3 AND e.state <> 'retracted'
GROUP BY f.code, f.name_zh, f.name_en ORDER BY opened DESC, f.code LIMIT $4

-- name: coverage
-- The share of the days in [$3, $4) that the points measured, null without any.
SELECT sum(c.measured_s) / nullif(sum(86400.0), 0) AS share
FROM consumption_period AS c JOIN point AS p USING (point_id)
WHERE p.park_id = $1 AND ($2::int IS NULL OR p.firm_id = $2) AND c.grain = 'day' AND c.period >= $3 AND c.period < $4

-- name: undelivered
-- Messages of the park that were given up or refused in [$2, $3).
SELECT count(*) FROM outbox WHERE park_id = $1 AND state IN ('expired', 'failed') AND created >= $2 AND created < $3
