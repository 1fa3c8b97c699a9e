-- Alerts over event time: what must be evaluated again, how far each firm is, what edges said over time, limits of
-- single points, and what people do about an episode.
SET LOCAL search_path = greenpark, public;

-- From when on a firm (null: the park as a whole) must be evaluated again. Written by the transactions that change what
-- alerts read, taken away by the one that writes the episodes: a worker that dies leaves its marks to another.
CREATE TABLE alert_mark (
    mark_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    park_id  int NOT NULL,
    firm_id  int,
    t_from   timestamptz NOT NULL,
    marked   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX alert_mark_of ON alert_mark (park_id, firm_id, mark_id);

-- Up to which end of a bucket, in its own event time, each firm was evaluated.
CREATE TABLE alert_progress (
    firm_id    int PRIMARY KEY,
    evaluated  timestamptz NOT NULL
);

-- What edges said of themselves: every change of being online or of boot, otherwise the first word of a quarter hour.
CREATE TABLE edge_history (
    edge_id           int NOT NULL,
    park_id           int NOT NULL,
    firm_id           int NOT NULL,
    at                timestamptz NOT NULL,
    online            boolean NOT NULL,
    boot              text NOT NULL,
    buffered_batches  bigint NOT NULL,
    buffered_bytes    bigint NOT NULL,
    clock_offset_ms   bigint,
    received          timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (edge_id, at, online)
);

-- A limit of one point that no rule can know: a discharge permit, a contracted demand. Superseded, never overwritten.
CREATE TABLE point_limit (
    point_id    int NOT NULL REFERENCES point,
    kind        text NOT NULL CHECK (kind IN ('emission_hourly', 'demand', 'high', 'low')),
    park_id     int NOT NULL,
    firm_id     int NOT NULL,
    value       float8 NOT NULL,                 -- in the point's unit; demand: in kW
    source_zh   text NOT NULL DEFAULT '',
    source_en   text NOT NULL DEFAULT '',
    valid_from  timestamptz NOT NULL DEFAULT '-infinity',
    valid_to    timestamptz NOT NULL DEFAULT 'infinity' CHECK (valid_to > valid_from),
    PRIMARY KEY (point_id, kind, valid_from)
);

-- When nobody is to be told: work on a meter, a planned stop. Null narrows nothing. Nothing is deleted, only ended.
CREATE TABLE maintenance (
    maintenance_id  int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    park_id         int NOT NULL REFERENCES park,
    firm_id         int REFERENCES firm,
    point_id        int REFERENCES point,
    rule_id         text,
    t_from          timestamptz NOT NULL,
    t_to            timestamptz NOT NULL CHECK (t_to > t_from),
    reason          text NOT NULL,
    author          text NOT NULL,
    made            timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_early     timestamptz,
    ended_by        text
);
CREATE INDEX maintenance_of_park ON maintenance (park_id, t_to);

CREATE TABLE episode_comment (
    comment_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    episode_id  bigint NOT NULL REFERENCES episode,
    park_id     int NOT NULL,
    firm_id     int,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    by          text NOT NULL,
    text        text NOT NULL CHECK (length(text) BETWEEN 1 AND 4000)
);
CREATE INDEX comment_of_episode ON episode_comment (episode_id, comment_id);

-- What people add to an episode.
ALTER TABLE episode
    ADD COLUMN assignee          text,
    ADD COLUMN snoozed_until     timestamptz,
    ADD COLUMN acknowledged_by   text,
    ADD COLUMN acknowledged_at   timestamptz,
    ADD COLUMN escalate_after_s  float8,              -- open and unacknowledged for so long: somebody else must hear of it
    ADD COLUMN escalated_at      timestamptz,
    ADD COLUMN quiet             boolean NOT NULL DEFAULT false,  -- opened in a maintenance window or out of schedule: told to nobody
    ADD COLUMN covered           int NOT NULL DEFAULT 0,          -- how many points a storm's one episode stands for
    ADD COLUMN revision          int NOT NULL DEFAULT 0;          -- how often corrected data changed what had been decided
ALTER TABLE episode DROP CONSTRAINT episode_scope_check;
ALTER TABLE episode ADD CONSTRAINT episode_scope_check CHECK (scope IN ('point', 'unit', 'edge', 'firm', 'zone', 'park'));

-- What was retracted never was, so its beginning is free again.
DROP INDEX episode_once;
CREATE UNIQUE INDEX episode_once ON episode (cause_key, began) WHERE state <> 'retracted';
CREATE INDEX episode_of_cause ON episode (cause_key, began);
CREATE INDEX episode_of_firm ON episode (firm_id, changed);

-- Marks -------------------------------------------------------------------------------------------------------------

-- A firm's indicators take their marks in the transaction that writes them, after the ledger: from then on both stand.
-- A day that has marks of its quarter hours too begins with the first of them.
CREATE FUNCTION alert_firm_done() RETURNS trigger
LANGUAGE plpgsql SET search_path = greenpark, pg_temp AS $$
BEGIN
    INSERT INTO alert_mark (park_id, firm_id, t_from)
    SELECT f.park_id, w.firm_id, CASE WHEN w.fine IS NULL OR w.day < w.fine - interval '25 hours' THEN w.day ELSE w.fine END
    FROM (SELECT firm_id, min(period) FILTER (WHERE grain IN ('bucket', 'hour')) AS fine,
                 min(period) FILTER (WHERE grain = 'day') AS day
          FROM gone GROUP BY firm_id) AS w
    JOIN firm AS f USING (firm_id)
    WHERE w.fine IS NOT NULL OR w.day IS NOT NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER alert_firm_done AFTER DELETE ON dirty_firm
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION alert_firm_done();

CREATE FUNCTION alert_park_done() RETURNS trigger
LANGUAGE plpgsql SET search_path = greenpark, pg_temp AS $$
BEGIN
    INSERT INTO alert_mark (park_id, firm_id, t_from)
    SELECT park_id, NULL, coalesce(min(period) FILTER (WHERE grain IN ('bucket', 'hour')), min(period))
    FROM gone GROUP BY park_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER alert_park_done AFTER DELETE ON dirty_park
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION alert_park_done();

-- Edges: being online, events, second values, quarantine.
CREATE FUNCTION alert_edge_said() RETURNS trigger
LANGUAGE plpgsql SET search_path = greenpark, public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.online IS DISTINCT FROM OLD.online OR NEW.boot IS DISTINCT FROM OLD.boot
       OR time_bucket('15 minutes', NEW.at) > time_bucket('15 minutes', OLD.at) THEN
        INSERT INTO edge_history (edge_id, park_id, firm_id, at, online, boot, buffered_batches, buffered_bytes, clock_offset_ms)
        VALUES (NEW.edge_id, NEW.park_id, NEW.firm_id, NEW.at, NEW.online, NEW.boot, NEW.buffered_batches,
                NEW.buffered_bytes, NEW.clock_offset_ms)
        ON CONFLICT DO NOTHING;
        INSERT INTO alert_mark (park_id, firm_id, t_from) VALUES (NEW.park_id, NEW.firm_id, NEW.at);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER alert_edge_said AFTER INSERT OR UPDATE ON edge_status FOR EACH ROW EXECUTE FUNCTION alert_edge_said();

CREATE FUNCTION alert_edge_event() RETURNS trigger
LANGUAGE plpgsql SET search_path = greenpark, pg_temp AS $$
BEGIN
    INSERT INTO alert_mark (park_id, firm_id, t_from) VALUES (NEW.park_id, NEW.firm_id, NEW.at);
    RETURN NULL;
END
$$;
CREATE TRIGGER alert_edge_event AFTER INSERT ON edge_event FOR EACH ROW EXECUTE FUNCTION alert_edge_event();

CREATE FUNCTION alert_conflict() RETURNS trigger
LANGUAGE plpgsql SET search_path = greenpark, pg_temp AS $$
BEGIN
    INSERT INTO alert_mark (park_id, firm_id, t_from)
    SELECT p.park_id, p.firm_id, min(n.t) FROM added AS n JOIN point AS p USING (point_id) GROUP BY p.park_id, p.firm_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER alert_conflict AFTER INSERT ON reading_conflict
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION alert_conflict();

CREATE FUNCTION alert_quarantine() RETURNS trigger
LANGUAGE plpgsql SET search_path = greenpark, pg_temp AS $$
BEGIN
    INSERT INTO alert_mark (park_id, firm_id, t_from)
    SELECT park_id, firm_id, min(received) FROM added
    WHERE reason = 'future' AND firm_id IS NOT NULL GROUP BY park_id, firm_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER alert_quarantine AFTER INSERT ON quarantine
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION alert_quarantine();

-- Rights ------------------------------------------------------------------------------------------------------------

GRANT SELECT, INSERT, UPDATE, DELETE
    ON alert_mark, alert_progress, edge_history, point_limit, maintenance, episode_comment TO greenpark_service;
GRANT USAGE ON SEQUENCE alert_mark_mark_id_seq, maintenance_maintenance_id_seq, episode_comment_comment_id_seq
    TO greenpark_service;

-- As in 0001: a row of a firm is seen by the firm and its park, a row of the whole park by the park alone.
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['edge_history', 'point_limit', 'maintenance', 'episode_comment'] LOOP
        EXECUTE format('CREATE POLICY tenant ON %I FOR SELECT TO greenpark_tenant
            USING (firm_id = ANY ((SELECT visible_firms(current_user))::int[])
                OR (firm_id IS NULL AND park_id = ANY ((SELECT visible_parks(current_user, true))::int[])))', t);
        EXECUTE format('CREATE POLICY service ON %I TO greenpark_service USING (true) WITH CHECK (true)', t);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('GRANT SELECT ON %I TO greenpark_tenant', t);
    END LOOP;
END
$$;
