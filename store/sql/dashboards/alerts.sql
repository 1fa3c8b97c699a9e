-- "Alerts": episodes, how fast somebody took them on, and which rules make the most noise.

-- name: numbers
SELECT count(*) FILTER (WHERE e.state = 'open') AS open, count(*) FILTER (WHERE e.state = 'acknowledged') AS acknowledged,
       count(*) FILTER (WHERE e.opened >= $__timeFrom()::timestamptz) AS opened,
       count(*) FILTER (WHERE e.state = 'retracted') AS retracted
FROM greenpark.episode AS e
JOIN greenpark.park AS k USING (park_id)
LEFT JOIN greenpark.firm AS f ON f.firm_id = e.firm_id
WHERE k.code = '$park' AND (e.firm_id IS NULL OR f.code IN ($firm)) AND e.opened IS NOT NULL
    AND (e.state IN ('open', 'acknowledged') OR $__timeFilter(e.opened))

-- name: times
-- Medians, because one forgotten alert would move a mean. Of alerts that opened in the range.
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM a.at - e.opened))::float8 AS to_acknowledge,
       percentile_cont(0.9) WITHIN GROUP (ORDER BY extract(epoch FROM a.at - e.opened))::float8 AS to_acknowledge_p90,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM e.ended - e.opened))::float8 AS to_end
FROM greenpark.episode AS e
JOIN greenpark.park AS k USING (park_id)
LEFT JOIN greenpark.firm AS f ON f.firm_id = e.firm_id
LEFT JOIN LATERAL (
    SELECT min(t.recorded) AS at FROM greenpark.episode_transition AS t
    WHERE t.episode_id = e.episode_id AND t.to_state = 'acknowledged'
) AS a ON true
WHERE k.code = '$park' AND (e.firm_id IS NULL OR f.code IN ($firm)) AND $__timeFilter(e.opened)

-- name: episodes
-- What is open first, then the newest; what never opened was told to nobody and is not shown.
SELECT e.severity, e.state, e.title_{lang} AS title, coalesce(f.name_{lang}, k.name_{lang}) AS subject, f.code AS firm_code,
       e.rule_id AS rule, e.began, e.opened AS opened_at, e.ended, extract(epoch FROM coalesce(e.ended, now()) - e.began)::float8 AS lasting,
       a.by AS acknowledged_by
FROM greenpark.episode AS e
JOIN greenpark.park AS k USING (park_id)
LEFT JOIN greenpark.firm AS f ON f.firm_id = e.firm_id
LEFT JOIN LATERAL (
    SELECT t.by FROM greenpark.episode_transition AS t
    WHERE t.episode_id = e.episode_id AND t.to_state = 'acknowledged' ORDER BY t.transition_id LIMIT 1
) AS a ON true
WHERE k.code = '$park' AND (e.firm_id IS NULL OR f.code IN ($firm)) AND e.opened IS NOT NULL
    AND (e.state IN ('open', 'acknowledged') OR $__timeFilter(e.opened))
ORDER BY array_position(ARRAY['open', 'acknowledged', 'resolved', 'retracted'], e.state),
         array_position(ARRAY['critical', 'major', 'warning', 'info'], e.severity), e.opened DESC
LIMIT 300

-- name: opened
-- How many opened in each hour or day.
SELECT x.period AS "time", x.metric, sum(x.value) AS value
FROM (
    SELECT date_trunc(greenpark.grain_of($__timeFrom(), $__timeTo(), '2 days'), e.opened, k.time_zone), w.name_{lang}, 1::float8
    FROM greenpark.episode AS e
    JOIN greenpark.park AS k USING (park_id)
    JOIN greenpark.word AS w ON w.kind = 'severity' AND w.code = e.severity
    LEFT JOIN greenpark.firm AS f ON f.firm_id = e.firm_id
    WHERE k.code = '$park' AND (e.firm_id IS NULL OR f.code IN ($firm)) AND $__timeFilter(e.opened)
) AS x (period, metric, value)
GROUP BY 1, 2
ORDER BY 1, 2

-- name: rules
-- The noisiest first: how often a rule spoke, how much of it was taken back or ended within five minutes.
SELECT e.rule_id AS rule, count(*) AS opened, count(DISTINCT e.cause_key) AS causes,
       count(*) FILTER (WHERE e.state = 'retracted') AS retracted,
       count(*) FILTER (WHERE e.ended - e.opened < interval '5 minutes') AS short,
       100.0 * count(a.at) / count(*) AS acknowledged_share,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM coalesce(e.ended, now()) - e.opened))::float8 AS lasting
FROM greenpark.episode AS e
JOIN greenpark.park AS k USING (park_id)
LEFT JOIN greenpark.firm AS f ON f.firm_id = e.firm_id
LEFT JOIN LATERAL (
    SELECT min(t.at) AS at FROM greenpark.episode_transition AS t
    WHERE t.episode_id = e.episode_id AND t.to_state = 'acknowledged'
) AS a ON true
WHERE k.code = '$park' AND (e.firm_id IS NULL OR f.code IN ($firm)) AND $__timeFilter(e.opened)
GROUP BY 1
ORDER BY 2 DESC, 1
LIMIT 50

-- name: timeline
-- The episodes of the twenty noisiest causes as bars: each change of state, and the end.
WITH shown AS (
    SELECT e.episode_id, e.title_{lang} AS title, e.cause_key, e.opened, e.ended, e.severity
    FROM greenpark.episode AS e
    JOIN greenpark.park AS k USING (park_id)
    LEFT JOIN greenpark.firm AS f ON f.firm_id = e.firm_id
    WHERE k.code = '$park' AND (e.firm_id IS NULL OR f.code IN ($firm)) AND e.state <> 'retracted'
        AND e.opened <= $__timeTo()::timestamptz AND coalesce(e.ended, now()) >= $__timeFrom()::timestamptz
), ranked AS (
    SELECT s.cause_key, max(s.title) AS title, row_number() OVER (ORDER BY count(*) DESC, min(s.opened), s.cause_key) AS place
    FROM shown AS s GROUP BY 1
)
SELECT greatest(x.at, $__timeFrom()::timestamptz) AS "time", r.title AS metric, max(x.value) AS value
FROM shown AS s JOIN ranked AS r USING (cause_key)
CROSS JOIN LATERAL (VALUES
    (s.opened, array_position(ARRAY['info', 'warning', 'major', 'critical'], s.severity)::float8), (s.ended, 0::float8)
) AS x (at, value)
WHERE r.place <= 20 AND x.at <= $__timeTo()::timestamptz
GROUP BY 1, 2
ORDER BY 1, 2

-- name: delivery
-- Messages by channel: what reached its receiver, what still waits, what was given up.
SELECT coalesce(o.body ->> 'channel', o.state) AS channel, count(*) FILTER (WHERE o.state = 'delivered') AS delivered,
       count(*) FILTER (WHERE o.state = 'waiting') AS waiting, count(*) FILTER (WHERE o.state IN ('expired', 'failed')) AS given_up,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM o.delivered - o.created))::float8 AS delay
FROM greenpark.outbox AS o JOIN greenpark.park AS k USING (park_id)
LEFT JOIN greenpark.firm AS f ON f.firm_id = o.firm_id
WHERE k.code = '$park' AND (o.firm_id IS NULL OR f.code IN ($firm)) AND $__timeFilter(o.created)
GROUP BY 1
ORDER BY 2 DESC, 1
