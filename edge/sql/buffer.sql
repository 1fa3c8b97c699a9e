-- The store-and-forward buffer of one edge (SQLite). Loaded by `edge.buffer`.

-- name: schema
-- One row of state; batches by sequence number; ranges given up that the database does not know of yet; events that
-- the broker has not taken yet.
CREATE TABLE state (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    owner    TEXT NOT NULL,     -- park/firm/edge
    boot     TEXT NOT NULL,
    next_seq INTEGER NOT NULL
) STRICT;
CREATE TABLE batches (
    seq          INTEGER PRIMARY KEY,
    content_type TEXT NOT NULL,
    readings     INTEGER NOT NULL,
    payload      BLOB NOT NULL  -- as it goes over the wire: a resend is the same bytes
) STRICT;
CREATE TABLE given_up (
    first    INTEGER PRIMARY KEY,
    after    INTEGER NOT NULL,  -- [first, after)
    batches  INTEGER NOT NULL,
    readings INTEGER NOT NULL
) STRICT;
CREATE TABLE events (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    payload BLOB NOT NULL
) STRICT;
-- Holds something only while the file grows to its least size.
CREATE TABLE reserve (
    filler BLOB NOT NULL
) STRICT;
PRAGMA user_version = 1;

-- name: insert_state
INSERT INTO state (id, owner, boot, next_seq) VALUES (1, ?, ?, 0);

-- name: select_state
SELECT owner, boot, next_seq FROM state WHERE id = 1;

-- name: update_next_seq
UPDATE state SET next_seq = ? WHERE id = 1;

-- name: insert_batch
INSERT INTO batches (seq, content_type, readings, payload) VALUES (?, ?, ?, ?);

-- name: select_totals
SELECT count(*), coalesce(sum(length(payload)), 0), coalesce(sum(readings), 0) FROM batches;

-- name: select_first
-- The first batch in [?, ?).
SELECT seq, content_type, payload FROM batches WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT 1;

-- name: select_oldest
SELECT seq, length(payload), readings FROM batches ORDER BY seq LIMIT ?;

-- name: select_oldest_seq
SELECT min(seq) FROM batches;

-- name: select_from
SELECT seq, content_type, readings, payload FROM batches WHERE seq >= ? ORDER BY seq;

-- name: delete_range
-- The first ?3 batches in [?1, ?2) leave; what they counted is returned.
DELETE FROM batches
WHERE seq IN (SELECT seq FROM batches WHERE seq >= ?1 AND seq < ?2 ORDER BY seq LIMIT ?3)
RETURNING length(payload), readings;

-- name: select_given_up
SELECT first, after, batches, readings FROM given_up ORDER BY first;

-- name: extend_given_up
-- Lengthens the range that ends where the new one starts.
UPDATE given_up SET after = ?, batches = batches + ?, readings = readings + ? WHERE after = ?;

-- name: insert_given_up
INSERT INTO given_up (first, after, batches, readings) VALUES (?, ?, ?, ?);

-- name: delete_given_up
-- Ranges that the watermark stretch [?, ?) covers wholly.
DELETE FROM given_up WHERE first >= ? AND after <= ?;

-- name: insert_event
INSERT INTO events (payload) VALUES (?);

-- name: trim_events
-- Only the newest ? events stay.
DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?;

-- name: select_events
SELECT id, payload FROM events ORDER BY id LIMIT ?;

-- name: delete_event
DELETE FROM events WHERE id = ?;

-- name: insert_reserve
INSERT INTO reserve (filler) VALUES (zeroblob(max(?, 1)));

-- name: delete_reserve
DELETE FROM reserve;
