-- Who is told, of what, and when.

-- name: recipients
SELECT recipient_id, park_id, firm_id, name, channel, address, locale, min_severity, on_call_only
FROM recipient WHERE park_id = $1 AND removed IS NULL ORDER BY recipient_id

-- name: recipient
SELECT r.recipient_id, p.code AS park, f.code AS firm, r.name, r.channel, r.address, r.locale, r.min_severity,
       r.on_call_only, r.quiet_from, r.quiet_to, r.quiet_min_severity, r.hourly_limit
FROM recipient AS r JOIN park AS p USING (park_id) LEFT JOIN firm AS f ON f.firm_id = r.firm_id
WHERE r.removed IS NULL AND r.recipient_id = $1

-- name: recipients_listed
-- For people: of one park or all, by code.
SELECT r.recipient_id, p.code AS park, f.code AS firm, r.name, r.channel, r.address, r.locale, r.min_severity,
       r.on_call_only, r.quiet_from, r.quiet_to, r.quiet_min_severity, r.hourly_limit
FROM recipient AS r JOIN park AS p USING (park_id) LEFT JOIN firm AS f ON f.firm_id = r.firm_id
WHERE r.removed IS NULL AND ($1::text IS NULL OR p.code = $1) ORDER BY r.recipient_id

-- name: add_recipient
-- A limit is there for people: a machine is not tired by messages.
INSERT INTO recipient (park_id, firm_id, name, channel, address, locale, min_severity, hourly_limit)
VALUES ($1, $2, $3, $4, $5, $6, $7, CASE WHEN $4 = 'webhook' THEN 100000 ELSE 30 END)
ON CONFLICT (park_id, firm_id, channel, address) DO UPDATE SET name = $3, locale = $6, min_severity = $7
RETURNING recipient_id

-- name: set_times
UPDATE recipient SET on_call_only = coalesce($2, on_call_only), quiet_from = CASE WHEN $3 THEN $4 ELSE quiet_from END,
    quiet_to = CASE WHEN $3 THEN $5 ELSE quiet_to END, quiet_min_severity = coalesce($6, quiet_min_severity),
    hourly_limit = coalesce($7, hourly_limit)
WHERE recipient_id = $1 AND removed IS NULL RETURNING recipient_id

-- name: reseal
-- Another spelling of the same address.
UPDATE recipient SET address = $3 WHERE recipient_id = $1 AND address = $2

-- name: remove_recipient
-- The row stays for the messages that name it. The address may hold a secret and is not needed any more.
UPDATE recipient SET removed = clock_timestamp(), address = 'removed ' || recipient_id
WHERE recipient_id = $1 AND removed IS NULL RETURNING name

-- name: forget_duties
WITH a AS (DELETE FROM duty_area WHERE recipient_id = $1), d AS (DELETE FROM digest_subscription WHERE recipient_id = $1),
    s AS (DELETE FROM escalation_step WHERE recipient_id = $1), c AS (DELETE FROM channel_failure WHERE recipient_id = $1)
SELECT

-- name: expire_of_recipient
UPDATE outbox SET state = 'expired', last_error = 'the recipient was removed'
WHERE recipient_id = $1 AND state IN ('waiting', 'held') RETURNING outbox_id

-- name: areas
SELECT a.duty_area_id, a.recipient_id, a.carrier, a.topic, a.zone_id, a.firm_id, z.code AS zone, f.code AS firm
FROM duty_area AS a JOIN recipient AS r USING (recipient_id)
LEFT JOIN zone AS z ON z.zone_id = a.zone_id LEFT JOIN firm AS f ON f.firm_id = a.firm_id
WHERE r.park_id = $1 AND r.removed IS NULL ORDER BY a.duty_area_id

-- name: add_area
-- Zone and firm by code, of the recipient's own park; nothing where they are not there.
INSERT INTO duty_area (recipient_id, carrier, topic, zone_id, firm_id)
SELECT r.recipient_id, $2, $3, z.zone_id, f.firm_id
FROM recipient AS r
LEFT JOIN zone AS z ON z.park_id = r.park_id AND z.code = $4
LEFT JOIN firm AS f ON f.park_id = r.park_id AND f.code = $5
WHERE r.recipient_id = $1 AND r.removed IS NULL AND ($4::text IS NULL) = (z.zone_id IS NULL)
    AND ($5::text IS NULL) = (f.firm_id IS NULL)
ON CONFLICT (recipient_id, carrier, topic, zone_id, firm_id) DO UPDATE SET topic = excluded.topic
RETURNING duty_area_id

-- name: clear_areas
DELETE FROM duty_area WHERE recipient_id = $1 RETURNING duty_area_id

-- name: whereabouts
-- What an episode's subject is about: the carrier of a point, and the zones that its firm is in on a day.
SELECT (SELECT carrier FROM point WHERE $1 = 'point' AND point_id = $2) AS carrier,
       coalesce((SELECT array_agg(zone_id) FROM firm_zone
                 WHERE firm_id = $3 AND valid_from <= $4 AND $4 < valid_to), '{}') AS zones

-- name: failing
-- Channels that do not take messages, of one park (by code) or all.
SELECT c.recipient_id, p.code AS park, r.name, r.channel, c.since, c.attempts, c.refused, c.last_error, c.told
FROM channel_failure AS c JOIN recipient AS r USING (recipient_id) JOIN park AS p USING (park_id)
WHERE r.removed IS NULL AND ($1::text IS NULL OR p.code = $1) ORDER BY c.since, c.recipient_id

-- name: failed
INSERT INTO channel_failure (recipient_id, since, refused, last_error) VALUES ($1, $2, $3, $4)
ON CONFLICT (recipient_id) DO UPDATE SET attempts = channel_failure.attempts + 1, last_error = $4,
    refused = channel_failure.refused OR $3

-- name: works
DELETE FROM channel_failure WHERE recipient_id = $1 RETURNING since, told

-- name: untold_failures
-- Locked, so that one worker tells of each.
SELECT c.recipient_id, r.park_id, p.time_zone, r.name, r.channel, c.since, c.attempts, c.last_error
FROM channel_failure AS c JOIN recipient AS r USING (recipient_id) JOIN park AS p USING (park_id)
WHERE c.told IS NULL AND r.removed IS NULL AND (c.refused OR c.since <= $1) ORDER BY c.since FOR UPDATE OF c SKIP LOCKED

-- name: failure_told
UPDATE channel_failure SET told = $2 WHERE recipient_id = $1

-- name: told_of_failure
-- Who was told that a channel fails, by the beginning of the key.
SELECT DISTINCT r.recipient_id, r.locale
FROM outbox AS o JOIN recipient AS r USING (recipient_id)
WHERE o.kind = 'channel' AND starts_with(o.dedupe_key, $1) AND r.removed IS NULL ORDER BY r.recipient_id

-- name: parks_without_managers
SELECT p.code FROM park AS p
WHERE NOT EXISTS (SELECT FROM recipient AS r WHERE r.park_id = p.park_id AND r.firm_id IS NULL AND r.removed IS NULL)
ORDER BY p.code
