-- What people do about episodes: take on, hand over, put off, remark; and maintenance, when nobody is to be told.

-- name: locked
SELECT episode_id, park_id, firm_id, state, assignee, snoozed_until FROM episode
WHERE episode_id = $1 AND opened IS NOT NULL FOR UPDATE

-- name: note_acknowledged
UPDATE episode SET acknowledged_by = $2, acknowledged_at = $3, snoozed_until = NULL WHERE episode_id = $1

-- name: assign
UPDATE episode SET assignee = $2, changed = clock_timestamp() WHERE episode_id = $1

-- name: snooze
UPDATE episode SET snoozed_until = $2, changed = clock_timestamp() WHERE episode_id = $1

-- name: comment
INSERT INTO episode_comment (episode_id, park_id, firm_id, at, by, text)
SELECT episode_id, park_id, firm_id, $2, $3, $4 FROM episode WHERE episode_id = $1
RETURNING comment_id

-- name: comments
SELECT comment_id, at, by, text FROM episode_comment WHERE episode_id = $1 ORDER BY comment_id

-- name: remark
-- An action is a step of the episode that leaves it in its state.
INSERT INTO episode_transition (episode_id, park_id, firm_id, from_state, to_state, at, by, note)
SELECT episode_id, park_id, firm_id, state, state, $2, $3, $4 FROM episode WHERE episode_id = $1

-- name: place
-- Where a maintenance window is: park, and of it a firm and a point, by code.
SELECT p.park_id, f.firm_id, x.point_id
FROM park AS p LEFT JOIN firm AS f ON f.park_id = p.park_id AND f.code = $2
LEFT JOIN point AS x ON x.firm_id = f.firm_id AND x.code = $3
WHERE p.code = $1

-- name: begin_maintenance
INSERT INTO maintenance (park_id, firm_id, point_id, rule_id, t_from, t_to, reason, author)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING maintenance_id

-- name: end_maintenance
UPDATE maintenance SET ended_early = greatest(t_from, $2), ended_by = $3
WHERE maintenance_id = $1 AND ended_early IS NULL AND t_to > $2
RETURNING park_id, firm_id, t_from

-- name: maintenance
SELECT m.maintenance_id, p.code AS park, f.code AS firm, x.code AS point, m.rule_id, m.t_from,
       least(m.t_to, coalesce(m.ended_early, m.t_to)) AS t_to, m.reason, m.author
FROM maintenance AS m JOIN park AS p USING (park_id) LEFT JOIN firm AS f ON f.firm_id = m.firm_id
LEFT JOIN point AS x ON x.point_id = m.point_id
WHERE ($1::text IS NULL OR p.code = $1) AND ($2 OR (m.t_to > $3 AND m.ended_early IS NULL))
ORDER BY m.t_from, m.maintenance_id

-- name: mark_again
-- What is inside the window is judged again.
INSERT INTO alert_mark (park_id, firm_id, t_from)
SELECT park_id, firm_id, $3 FROM firm WHERE park_id = $1 AND ($2::int IS NULL OR firm_id = $2)
