-- On-call calendars, digests and escalation.

-- name: oncall_calendars
SELECT oncall_id, park_id, code FROM oncall WHERE park_id = $1 ORDER BY code

-- name: add_oncall
INSERT INTO oncall (park_id, code) VALUES ($1, $2) ON CONFLICT (park_id, code) DO UPDATE SET code = $2
RETURNING oncall_id

-- name: set_rotation
INSERT INTO oncall_rotation (oncall_id, valid_from, handover, turn_days, members) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (oncall_id, valid_from) DO UPDATE SET handover = $3, turn_days = $4, members = $5

-- name: rotations
SELECT c.oncall_id, c.code, t.valid_from, t.handover, t.turn_days,
       -- who was removed is passed over, and the order of the others stays
       (SELECT coalesce(array_agg(m.id ORDER BY m.n), '{}') FROM unnest(t.members) WITH ORDINALITY AS m (id, n)
        JOIN recipient AS r ON r.recipient_id = m.id AND r.removed IS NULL) AS members
FROM oncall AS c JOIN oncall_rotation AS t USING (oncall_id)
WHERE c.park_id = $1 ORDER BY c.code, t.valid_from

-- name: stand_ins
SELECT s.oncall_id, s.starts, s.ends, s.recipient_id
FROM oncall_stand_in AS s JOIN oncall AS c USING (oncall_id) JOIN recipient AS r USING (recipient_id)
WHERE c.park_id = $1 AND s.ends > $2 AND r.removed IS NULL ORDER BY s.stand_in_id

-- name: add_stand_in
INSERT INTO oncall_stand_in (oncall_id, starts, ends, recipient_id) VALUES ($1, $2, $3, $4) RETURNING stand_in_id

-- name: managers_among
-- Those of these recipients that are managers of the park.
SELECT recipient_id FROM recipient
WHERE recipient_id = ANY ($1::int[]) AND park_id = $2 AND firm_id IS NULL AND removed IS NULL

-- name: add_step
INSERT INTO escalation_step (park_id, min_severity, after_s, recipient_id, oncall_id) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (park_id, min_severity, after_s, recipient_id, oncall_id) DO UPDATE SET after_s = $3
RETURNING step_id

-- name: remove_step
DELETE FROM escalation_step WHERE step_id = $1 RETURNING step_id

-- name: steps
SELECT s.step_id, p.code AS park, s.min_severity, s.after_s, s.recipient_id, r.name, c.code AS calendar
FROM escalation_step AS s JOIN park AS p USING (park_id)
LEFT JOIN recipient AS r USING (recipient_id) LEFT JOIN oncall AS c ON c.oncall_id = s.oncall_id
WHERE $1::text IS NULL OR p.code = $1 ORDER BY p.code, s.after_s, s.step_id

-- name: take_steps
-- Every step that is due and was not taken, taken: so long after somebody was told, and still only open. Step 0 is what
-- a rule asks for in a park without a ladder. What was told to nobody is not escalated, nor what is snoozed.
WITH due AS (
    SELECT e.episode_id, s.step_id, s.after_s
    FROM episode AS e JOIN escalation_step AS s USING (park_id)
    WHERE e.state = 'open'
        AND array_position(ARRAY['info', 'warning', 'major', 'critical'], e.severity)
            >= array_position(ARRAY['info', 'warning', 'major', 'critical'], s.min_severity)
    UNION ALL
    SELECT e.episode_id, 0, e.escalate_after_s
    FROM episode AS e
    WHERE e.state = 'open' AND e.escalate_after_s IS NOT NULL
        AND NOT EXISTS (SELECT FROM escalation_step AS s WHERE s.park_id = e.park_id)
), taken AS (
    INSERT INTO escalated (episode_id, step_id, at)
    SELECT d.episode_id, d.step_id, $1
    FROM due AS d JOIN episode AS e USING (episode_id)
    WHERE NOT e.quiet AND (e.snoozed_until IS NULL OR e.snoozed_until <= $1)
        AND EXISTS (SELECT FROM outbox AS o
                    WHERE o.episode_id = d.episode_id AND o.created + make_interval(secs => d.after_s) <= $1)
        AND NOT EXISTS (SELECT FROM escalated AS x WHERE x.episode_id = d.episode_id AND x.step_id = d.step_id)
    ON CONFLICT DO NOTHING
    RETURNING episode_id, step_id
), marked AS (
    UPDATE episode AS e SET escalated_at = $1 FROM taken WHERE e.episode_id = taken.episode_id AND e.escalated_at IS NULL
)
SELECT episode_id, step_id FROM taken ORDER BY episode_id, step_id

-- name: taken
-- What an escalation needs to know of an episode and its step. `told`: the names of the park's people who heard of it.
SELECT e.episode_id, e.park_id, e.firm_id, e.severity, e.began, e.title_zh, e.title_en, p.code AS park_code,
       p.name_zh AS park_zh, p.name_en AS park_en, p.time_zone, $2::int AS step_id,
       coalesce(s.after_s, e.escalate_after_s)::float8 AS after_s, s.recipient_id, s.oncall_id,
       (SELECT coalesce(array_agg(DISTINCT r.name), '{}') FROM outbox AS o JOIN recipient AS r USING (recipient_id)
        WHERE o.episode_id = e.episode_id AND r.firm_id IS NULL) AS told
FROM episode AS e JOIN park AS p USING (park_id) LEFT JOIN escalation_step AS s ON s.step_id = $2
WHERE e.episode_id = $1

-- name: opening
-- The message that told of an episode's opening, in a language.
SELECT o.body, o.transition_id FROM outbox AS o JOIN recipient AS r USING (recipient_id)
WHERE o.episode_id = $1 AND o.kind = 'episode' ORDER BY r.locale <> $2, o.outbox_id LIMIT 1

-- name: subscribe
INSERT INTO digest_subscription (recipient_id, kind, at, weekday)
SELECT recipient_id, $2, $3, $4 FROM recipient WHERE recipient_id = $1 AND removed IS NULL
ON CONFLICT (recipient_id, kind) DO UPDATE SET at = $3, weekday = $4
RETURNING recipient_id

-- name: unsubscribe
DELETE FROM digest_subscription WHERE recipient_id = $1 AND ($2::text IS NULL OR kind = $2) RETURNING kind

-- name: subscriptions
SELECT d.recipient_id, d.kind, d.at, d.weekday, d.since, r.park_id, r.firm_id, r.locale, p.time_zone,
       p.code AS park_code, p.name_zh AS park_zh, p.name_en AS park_en, f.code AS firm_code, f.name_zh AS firm_zh,
       f.name_en AS firm_en
FROM digest_subscription AS d JOIN recipient AS r USING (recipient_id) JOIN park AS p USING (park_id)
LEFT JOIN firm AS f ON f.firm_id = r.firm_id
WHERE r.removed IS NULL ORDER BY d.recipient_id, d.kind

-- name: digest_known
SELECT true FROM outbox WHERE dedupe_key = $1
