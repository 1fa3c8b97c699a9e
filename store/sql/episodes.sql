-- Rules by version, episodes and their transitions.

-- name: lock_rules
-- Two processes that start at once must not both write the next version.
SELECT pg_advisory_xact_lock(7236112092)

-- name: newest_rules
SELECT DISTINCT ON (rule_id) rule_id, version, body, valid_to > $1 AS lasts FROM rule ORDER BY rule_id, version DESC

-- name: insert_rule
INSERT INTO rule (rule_id, version, body, valid_from, valid_to)
VALUES ($1, $2, $3, coalesce($4::timestamptz, '-infinity'), coalesce($5::timestamptz, 'infinity'))

-- name: end_rule
UPDATE rule SET valid_to = greatest($3::timestamptz, valid_from) WHERE rule_id = $1 AND version = $2 AND valid_to > $3

-- name: current_rules
SELECT DISTINCT ON (rule_id) rule_id, version, body, nullif(valid_from, '-infinity') AS valid_from FROM rule
WHERE valid_from <= $1 AND $1 < valid_to ORDER BY rule_id, version DESC

-- name: lock_cause
-- Until the transaction ends, one worker decides on a cause, also on one that has no episode yet to lock.
SELECT pg_advisory_xact_lock(hashtextextended($1, 7236112093))

-- name: newest_locked
SELECT episode_id, park_id, firm_id, rule_id, rule_version, cause_key, scope, scope_id, state, severity, began, opened,
       ended, title_zh, title_en, evidence, seen, held_s, counting, confirmed, changed
FROM episode WHERE cause_key = $1 ORDER BY began DESC LIMIT 1 FOR UPDATE

-- name: newest_of_causes
SELECT DISTINCT ON (cause_key)
       episode_id, park_id, firm_id, rule_id, rule_version, cause_key, scope, scope_id, state, severity, began, opened,
       ended, title_zh, title_en, evidence, seen, held_s, counting, confirmed, changed
FROM episode WHERE cause_key = ANY ($1::text[]) ORDER BY cause_key, began DESC

-- name: unfinished
SELECT episode_id, park_id, firm_id, rule_id, rule_version, cause_key, scope, scope_id, state, severity, began, opened,
       ended, title_zh, title_en, evidence, seen, held_s, counting, confirmed, changed
FROM episode WHERE state IN ('pending', 'open', 'acknowledged') ORDER BY episode_id

-- name: reviewable
-- What was told and could still turn out never to have been. Only the newest of a cause: the next one rests on it.
SELECT e.episode_id, e.park_id, e.firm_id, e.rule_id, e.rule_version, e.cause_key, e.scope, e.scope_id, e.state,
       e.severity, e.began, e.opened, e.ended, e.title_zh, e.title_en, e.evidence, e.seen, e.held_s, e.counting,
       e.confirmed, e.changed
FROM episode AS e
WHERE e.opened IS NOT NULL
    AND (e.state IN ('open', 'acknowledged') OR (e.state = 'resolved' AND e.ended > $1))
    AND NOT EXISTS (SELECT FROM episode AS n WHERE n.cause_key = e.cause_key AND n.began > e.began)
ORDER BY e.episode_id

-- name: insert_episode
INSERT INTO episode (park_id, firm_id, rule_id, rule_version, cause_key, scope, scope_id, state, severity, began, opened,
                     ended, title_zh, title_en, evidence, seen, held_s, counting, confirmed, escalate_after_s, covered)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
RETURNING episode_id

-- name: update_episode
UPDATE episode
SET state = $2, opened = $3, ended = $4, evidence = $5, seen = $6, held_s = $7, counting = $8, confirmed = $9,
    changed = CASE WHEN state = $2 THEN changed ELSE clock_timestamp() END
WHERE episode_id = $1

-- name: revise
UPDATE episode
SET state = $2, began = $3, opened = $4, ended = $5, evidence = $6, seen = $7, severity = $8,
    covered = greatest(covered, $9), revision = revision + $10::boolean::int, confirmed = true,
    changed = CASE WHEN state = $2 AND severity = $8 AND NOT $10 THEN changed ELSE clock_timestamp() END
WHERE episode_id = $1

-- name: reaching
-- Episodes of some rules that reach beyond an instant ($5), retracted ones left out; $4: also the park's own.
SELECT episode_id, park_id, firm_id, rule_id, rule_version, cause_key, scope, scope_id, state, severity, began, opened,
       ended, title_zh, title_en, evidence, seen, held_s, counting, confirmed, changed
FROM episode
WHERE park_id = $1 AND rule_id = ANY ($2::text[]) AND (firm_id = ANY ($3::int[]) OR ($4 AND firm_id IS NULL))
    AND state <> 'retracted' AND (ended IS NULL OR ended > $5)
ORDER BY cause_key, began FOR UPDATE

-- name: abandoned
SELECT e.episode_id, e.park_id, e.firm_id, e.rule_id, e.rule_version, e.cause_key, e.scope, e.scope_id, e.state,
       e.severity, e.began, e.opened, e.ended, e.title_zh, e.title_en, e.evidence, e.seen, e.held_s, e.counting,
       e.confirmed, e.changed
FROM episode AS e LEFT JOIN firm AS f ON f.firm_id = e.firm_id
WHERE e.state IN ('pending', 'open', 'acknowledged') AND (NOT e.rule_id = ANY ($1::text[]) OR f.status <> 'active')

-- name: delete_pending_transitions
DELETE FROM episode_transition AS t USING episode AS e
WHERE e.episode_id = $1 AND e.state = 'pending' AND t.episode_id = e.episode_id

-- name: delete_pending
DELETE FROM episode WHERE episode_id = $1 AND state = 'pending'

-- name: insert_transition
INSERT INTO episode_transition (episode_id, park_id, firm_id, from_state, to_state, at, by, note)
SELECT episode_id, park_id, firm_id, $2, $3, $4, $5, $6 FROM episode WHERE episode_id = $1
RETURNING transition_id

-- name: state_locked
SELECT state FROM episode WHERE episode_id = $1 FOR UPDATE

-- name: acknowledge
UPDATE episode SET state = 'acknowledged', changed = clock_timestamp() WHERE episode_id = $1

-- name: listed
-- Newest first; an episode that never opened is shown to nobody.
SELECT e.episode_id, e.park_id, e.firm_id, e.rule_id, e.rule_version, e.cause_key, e.scope, e.scope_id, e.state,
       e.severity, e.began, e.opened, e.ended, e.title_zh, e.title_en, e.evidence, e.seen, e.held_s, e.counting,
       e.confirmed, e.changed
FROM episode AS e JOIN park AS p USING (park_id) LEFT JOIN firm AS f ON f.firm_id = e.firm_id
WHERE e.opened IS NOT NULL AND ($1::text IS NULL OR p.code = $1) AND ($2::text IS NULL OR f.code = $2)
    AND (NOT $3::boolean OR e.state IN ('open', 'acknowledged'))
ORDER BY e.began DESC, e.episode_id DESC LIMIT $4
