-- Recipients, and messages on their way to them.

-- name: recipients
SELECT recipient_id, park_id, firm_id, name, channel, address, locale, min_severity
FROM recipient WHERE park_id = $1 AND removed IS NULL ORDER BY recipient_id

-- name: recipients_listed
-- For people: of one park or all, by code.
SELECT r.recipient_id, p.code AS park, f.code AS firm, r.name, r.channel, r.address, r.locale, r.min_severity
FROM recipient AS r JOIN park AS p USING (park_id) LEFT JOIN firm AS f ON f.firm_id = r.firm_id
WHERE r.removed IS NULL AND ($1::text IS NULL OR p.code = $1) ORDER BY r.recipient_id

-- name: remove_recipient
-- The row stays for the messages that name it. The address may hold a secret and is not needed any more.
UPDATE recipient SET removed = clock_timestamp(), address = 'removed ' || recipient_id
WHERE recipient_id = $1 AND removed IS NULL RETURNING name

-- name: expire_of_recipient
UPDATE outbox SET state = 'expired', last_error = 'the recipient was removed'
WHERE recipient_id = $1 AND state = 'waiting' RETURNING outbox_id

-- name: add_recipient
INSERT INTO recipient (park_id, firm_id, name, channel, address, locale, min_severity)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (park_id, firm_id, channel, address) DO UPDATE SET name = $3, locale = $6, min_severity = $7
RETURNING recipient_id

-- name: enqueue
INSERT INTO outbox (park_id, firm_id, episode_id, transition_id, recipient_id, dedupe_key, body, next_attempt, expires)
SELECT park_id, firm_id, episode_id, $2, $3, $4, $5, $6, $7 FROM episode WHERE episode_id = $1
ON CONFLICT (dedupe_key) DO NOTHING

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
FROM due, recipient AS r
WHERE o.outbox_id = due.outbox_id AND r.recipient_id = o.recipient_id
RETURNING o.outbox_id, o.recipient_id, o.episode_id, o.dedupe_key, o.body, o.attempts, o.created, r.channel, r.address

-- name: delivered
UPDATE outbox SET state = 'delivered', delivered = $2, last_error = NULL WHERE outbox_id = $1 AND state <> 'delivered'

-- name: retry
UPDATE outbox SET next_attempt = $2, last_error = $3 WHERE outbox_id = $1 AND state = 'waiting'

-- name: refused
UPDATE outbox SET state = 'failed', last_error = $2 WHERE outbox_id = $1 AND state = 'waiting'

-- name: expire
UPDATE outbox SET state = 'expired' WHERE state = 'waiting' AND expires <= $1 RETURNING outbox_id, last_error

-- name: backlog
SELECT count(*) AS waiting, min(created) AS oldest FROM outbox WHERE state = 'waiting'
