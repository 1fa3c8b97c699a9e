-- Messages on their way to recipients.

-- name: enqueue
-- What it speaks of comes from the episode, whom it goes to from the recipient: a pair that does not belong together is
-- refused by the table, whoever asks.
INSERT INTO outbox (park_id, firm_id, episode_id, transition_id, recipient_id, recipient_firm, kind, severity,
                    dedupe_key, body, next_attempt, expires)
SELECT e.park_id, e.firm_id, e.episode_id, $2, r.recipient_id, r.firm_key, $4, e.severity, $5, $6, $7, $8
FROM episode AS e, recipient AS r WHERE e.episode_id = $1 AND r.recipient_id = $3
ON CONFLICT (dedupe_key) DO NOTHING
RETURNING outbox_id

-- name: enqueue_other
-- A message of no single episode, about the recipient's own firm or park. To one who was removed: nothing.
INSERT INTO outbox (park_id, firm_id, recipient_id, recipient_firm, kind, severity, dedupe_key, body, next_attempt,
                    expires)
SELECT park_id, firm_id, recipient_id, firm_key, $2, $3, $4, $5, $6, $7
FROM recipient WHERE recipient_id = $1 AND removed IS NULL
ON CONFLICT (dedupe_key) DO NOTHING
RETURNING outbox_id

-- name: about
SELECT severity, quiet FROM episode WHERE episode_id = $1

-- name: told
-- Who was told of an episode before, and is still there.
SELECT DISTINCT o.recipient_id
FROM outbox AS o JOIN recipient AS r USING (recipient_id)
WHERE o.episode_id = $1 AND r.removed IS NULL

-- name: claim
-- At most one message per recipient, its oldest of an episode, and none to a recipient that is busy with us. The claim
-- ends by itself after the lease ($3), so a worker that dies leaves a message that another one sends with the same key.
WITH head AS (
    SELECT DISTINCT ON (o.recipient_id) o.outbox_id, o.next_attempt
    FROM outbox AS o
    WHERE o.state = 'waiting' AND o.next_attempt <= $1 AND o.expires > $1
        AND NOT o.recipient_id = ANY ($4::int[])
        AND NOT EXISTS (
            SELECT FROM outbox AS e
            WHERE e.recipient_id = o.recipient_id AND e.episode_id = o.episode_id AND e.outbox_id < o.outbox_id
                AND e.state = 'waiting' AND e.expires > $1)
    ORDER BY o.recipient_id, o.next_attempt, o.outbox_id
), due AS (
    SELECT o.outbox_id FROM outbox AS o
    WHERE o.outbox_id IN (SELECT outbox_id FROM head ORDER BY next_attempt LIMIT $2)
        AND o.state = 'waiting' AND o.next_attempt <= $1
    FOR UPDATE SKIP LOCKED
)
UPDATE outbox AS o SET attempts = o.attempts + 1, next_attempt = $1::timestamptz + make_interval(secs => $3)
FROM due, recipient AS r, park AS p
WHERE o.outbox_id = due.outbox_id AND r.recipient_id = o.recipient_id AND p.park_id = o.park_id
RETURNING o.outbox_id, o.recipient_id, o.episode_id, o.kind, o.severity, o.dedupe_key, o.body, o.attempts, o.created,
    o.held_reason, r.channel, r.address, r.locale, r.quiet_from, r.quiet_to, r.quiet_min_severity, r.hourly_limit,
    p.time_zone,
    (SELECT count(*) FROM outbox AS s
     WHERE s.recipient_id = o.recipient_id AND s.state = 'delivered' AND s.kind IN ('episode', 'escalation')
        AND s.delivered > $1::timestamptz - interval '1 hour')::int AS sent_last_hour,
    (SELECT min(h.held_until) FROM outbox AS h
     WHERE h.recipient_id = o.recipient_id AND h.state = 'held') AS summary_due,
    EXISTS (SELECT FROM outbox AS h
            WHERE h.recipient_id = o.recipient_id AND h.episode_id = o.episode_id AND h.outbox_id < o.outbox_id
                AND h.state = 'held') AS follows_held

-- name: hold
-- The attempt that the claim counted was none. What else is due to the same recipient and no more severe than what is
-- held ($4) is held with it, so that a storm is not looked at one by one.
UPDATE outbox SET state = 'held', held_until = $2, held_reason = $3,
    attempts = CASE WHEN outbox_id = $1 THEN attempts - 1 ELSE attempts END
WHERE state = 'waiting' AND (outbox_id = $1 OR (
    recipient_id = (SELECT recipient_id FROM outbox WHERE outbox_id = $1) AND severity = ANY ($4::text[])
    AND next_attempt <= $5 AND expires > $5 AND held_reason IS NULL AND kind IN ('episode', 'escalation')))

-- name: recipients_with_held
SELECT recipient_id FROM outbox WHERE state = 'held' GROUP BY recipient_id HAVING min(held_until) <= $1

-- name: lock_recipient
-- One worker at a time looks after what was held back from a recipient.
SELECT r.recipient_id, r.locale, r.quiet_from, r.quiet_to, r.quiet_min_severity, p.time_zone
FROM recipient AS r JOIN park AS p USING (park_id)
WHERE r.recipient_id = $1 AND r.removed IS NULL FOR UPDATE OF r SKIP LOCKED

-- name: held
SELECT outbox_id, dedupe_key, episode_id, severity, body, held_reason, held_until, created
FROM outbox WHERE recipient_id = $1 AND state = 'held' ORDER BY outbox_id FOR UPDATE

-- name: postpone
UPDATE outbox SET held_until = $2 WHERE outbox_id = ANY ($1::bigint[])

-- name: release
UPDATE outbox SET state = 'waiting', next_attempt = $2 WHERE outbox_id = $1 AND state = 'held'

-- name: summarised
UPDATE outbox SET state = 'summarised', summary_id = $2 WHERE outbox_id = ANY ($1::bigint[]) AND state = 'held'

-- name: delivered
UPDATE outbox SET state = 'delivered', delivered = $2, last_error = NULL WHERE outbox_id = $1 AND state <> 'delivered'

-- name: retry
UPDATE outbox SET next_attempt = $2, last_error = $3 WHERE outbox_id = $1 AND state = 'waiting'

-- name: refused
UPDATE outbox SET state = 'failed', last_error = $2 WHERE outbox_id = $1 AND state = 'waiting'

-- name: expire
-- With a summary go the messages that it was to tell of.
WITH gone AS (
    UPDATE outbox SET state = 'expired' WHERE state IN ('waiting', 'held') AND expires <= $1
    RETURNING outbox_id, recipient_id, last_error
), told_by AS (
    UPDATE outbox AS o SET state = 'expired', last_error = coalesce(gone.last_error, 'its summary expired')
    FROM gone WHERE o.summary_id = gone.outbox_id AND o.state = 'summarised'
    RETURNING o.outbox_id, o.recipient_id, NULL::text AS last_error
)
SELECT recipient_id, last_error FROM gone UNION ALL SELECT recipient_id, last_error FROM told_by

-- name: backlog
SELECT count(*) AS waiting, min(created) AS oldest FROM outbox WHERE state = 'waiting'

-- name: fate
-- What became of one message.
SELECT outbox_id, state, attempts, last_error FROM outbox WHERE outbox_id = $1
