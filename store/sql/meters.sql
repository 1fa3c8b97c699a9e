-- Installations changed by command or by an edge's report, and where each change came from.

-- name: of_point
SELECT installation_id, serial, modulus, multiplier, valid_from, valid_to, first_reading, last_reading, resolution
FROM installation WHERE point_id = $1 ORDER BY valid_from

-- name: lock_point
SELECT point_id FROM point WHERE point_id = $1 FOR UPDATE

-- name: delete
DELETE FROM installation WHERE installation_id = ANY ($1::int[])

-- name: insert
INSERT INTO installation (point_id, serial, modulus, multiplier, valid_from, valid_to, first_reading, last_reading,
                          resolution)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: dial_at
-- What the dial showed last, up to an instant.
SELECT t, value FROM reading WHERE point_id = $1 AND t <= $2 AND t >= $3 AND quality < 2 ORDER BY t DESC LIMIT 1

-- name: last_reading
SELECT max(t) FROM reading WHERE point_id = $1

-- name: record
INSERT INTO meter_change (park_id, firm_id, point_id, kind, at, author, reason, event_id, before, after)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: changes
SELECT kind, at, author, reason, before, after, made FROM meter_change WHERE point_id = $1 ORDER BY change_id

-- name: swap_events
-- Exchanges that edges reported and nobody has looked at; one worker takes each.
SELECT e.event_id, e.point_id, e.at, e.body, k.code || '/' || f.code || '/' || p.code AS name, d.code AS edge
FROM edge_event AS e JOIN point AS p USING (point_id) JOIN firm AS f ON f.firm_id = p.firm_id
JOIN park AS k ON k.park_id = p.park_id JOIN edge AS d ON d.edge_id = e.edge_id
WHERE e.kind = 'meter_swap' AND NOT EXISTS (SELECT FROM meter_change AS c WHERE c.event_id = e.event_id)
ORDER BY e.at, e.event_id LIMIT 100
FOR UPDATE OF e SKIP LOCKED
