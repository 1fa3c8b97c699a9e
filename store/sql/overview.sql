-- What somebody who watches a whole park asks for.

-- name: newest_batch
SELECT coalesce(max(batch_id), 0) FROM batch

-- name: stored_since
-- Readings in the store that came in batches after $1 of one park; doubled counts any (point, time) that stands twice.
SELECT count(*) AS stored, count(*) - count(DISTINCT (r.point_id, r.t)) AS doubled
FROM batch AS b
JOIN edge AS e USING (edge_id)
JOIN reading AS r ON r.batch_id = b.batch_id AND r.t >= $3
WHERE b.batch_id > $1 AND e.park_id = $2

-- name: arrived
-- Readings in the batches after $3, and per second within the last $2 seconds. As the batches say: stored_since counts,
-- but has to look through every reading since its beginning.
SELECT coalesce(sum(b.readings), 0)::bigint AS readings,
       coalesce(sum(b.readings) FILTER (WHERE b.stored > clock_timestamp() - make_interval(secs => $2)), 0) / $2::float8
           AS rate_per_s
FROM batch AS b JOIN edge AS e USING (edge_id)
WHERE e.park_id = $1 AND b.batch_id > $3

-- name: counts
SELECT (SELECT count(*) FROM quarantine WHERE received >= $2) AS quarantined,
       (SELECT count(*) FROM reading_conflict WHERE noticed >= $2) AS conflicts,
       (SELECT count(*) FROM indicator_value WHERE park_id = $1) AS indicators,
       (SELECT count(*) FROM standing WHERE park_id = $1 AND current) AS standings,
       (SELECT count(*) FROM episode WHERE park_id = $1 AND opened >= $2) AS opened,
       (SELECT count(*) FROM outbox WHERE park_id = $1 AND delivered >= $2) AS delivered

-- name: waited
-- Age of the oldest live reading in each computation since $2, when its indicators were written.
SELECT waited_s FROM run WHERE park_id = $1 AND started >= $2 AND waited_s IS NOT NULL

-- name: latest
-- The newest reading of each point of a park.
SELECT l.point_id, l.t FROM latest AS l JOIN point AS p USING (point_id) WHERE p.park_id = $1 AND l.t >= $2

-- name: indicators
-- Newest value of each indicator and subject of a park (firms and the park itself) at a grain, since $3.
SELECT DISTINCT ON (v.scope, v.scope_id, v.indicator_id)
       v.scope, v.scope_id, v.indicator_id, v.period, v.value, v.unit, v.coverage, v.reason
FROM indicator_value AS v
WHERE v.park_id = $1 AND v.grain = $2 AND v.period >= $3 AND v.scope IN ('firm', 'park')
ORDER BY v.scope, v.scope_id, v.indicator_id, v.period DESC

-- name: standings
SELECT scope, scope_id, pack_id, target_id, state, reason, sentence_zh, sentence_en, value, target_value, projection
FROM standing WHERE park_id = $1 AND current ORDER BY scope DESC, scope_id, pack_id, target_id

-- name: episodes
SELECT episode_id, firm_id, state, severity, began, opened, ended, title_zh, title_en
FROM episode WHERE park_id = $1 AND (state IN ('pending', 'open', 'acknowledged') OR changed >= $2)
ORDER BY episode_id DESC LIMIT $3
