-- Who hears of an episode, through which channel, once: areas of duty, on-call calendars, quiet hours, limits, digests,
-- escalation. A message to the wrong firm is refused by foreign keys, whatever a program computes.

SET LOCAL search_path = greenpark, public;

-- Nobody hears of another firm ---------------------------------------------------------------------------------------

ALTER TABLE firm ADD UNIQUE (firm_id, park_id);

-- firm_key: 0 stands for the whole park, so that a foreign key compares it too (one over a null compares nothing).
ALTER TABLE recipient
    ADD COLUMN firm_key int NOT NULL GENERATED ALWAYS AS (coalesce(firm_id, 0)) STORED,
    ADD COLUMN on_call_only boolean NOT NULL DEFAULT false,   -- hears only while a calendar has them on duty
    ADD COLUMN quiet_from time,                               -- in the park's zone; over midnight where from > to
    ADD COLUMN quiet_to time,
    ADD COLUMN quiet_min_severity text NOT NULL DEFAULT 'critical'
        CHECK (quiet_min_severity IN ('info', 'warning', 'major', 'critical')),   -- from here on it wakes them
    ADD COLUMN hourly_limit int NOT NULL DEFAULT 30 CHECK (hourly_limit > 0),     -- what is more comes as one summary
    ADD CHECK ((quiet_from IS NULL) = (quiet_to IS NULL) AND quiet_from <> quiet_to),
    ADD UNIQUE (recipient_id, park_id, firm_key),
    ADD FOREIGN KEY (firm_id, park_id) REFERENCES firm (firm_id, park_id);

ALTER TABLE episode
    ADD COLUMN firm_key int NOT NULL GENERATED ALWAYS AS (coalesce(firm_id, 0)) STORED,
    ADD UNIQUE (episode_id, park_id, firm_key);

ALTER TABLE outbox
    ALTER COLUMN episode_id DROP NOT NULL,
    ALTER COLUMN transition_id DROP NOT NULL,
    ADD COLUMN firm_key int NOT NULL GENERATED ALWAYS AS (coalesce(firm_id, 0)) STORED,   -- whom it speaks of
    ADD COLUMN recipient_firm int,                                                        -- whom it goes to
    ADD COLUMN kind text NOT NULL DEFAULT 'episode'
        CHECK (kind IN ('episode', 'escalation', 'summary', 'digest', 'channel', 'test')),
    ADD COLUMN severity text NOT NULL DEFAULT 'warning' CHECK (severity IN ('info', 'warning', 'major', 'critical')),
    ADD COLUMN held_until timestamptz,       -- held back by quiet hours or the limit, to come in a summary
    ADD COLUMN held_reason text CHECK (held_reason IN ('quiet', 'limit')),
    ADD COLUMN summary_id bigint REFERENCES outbox,           -- the summary that tells of it instead
    DROP CONSTRAINT outbox_state_check,
    ADD CHECK (state IN ('waiting', 'held', 'summarised', 'delivered', 'expired', 'failed')),
    ADD CHECK ((state = 'held') <= (held_until IS NOT NULL)),
    ADD CHECK ((episode_id IS NOT NULL) = (kind IN ('episode', 'escalation')));
UPDATE outbox AS o SET recipient_firm = r.firm_key, severity = e.severity
FROM recipient AS r, episode AS e WHERE r.recipient_id = o.recipient_id AND e.episode_id = o.episode_id;
ALTER TABLE outbox
    ALTER COLUMN recipient_firm SET NOT NULL,
    ADD CONSTRAINT outbox_firm_only_its_own CHECK (recipient_firm IN (0, coalesce(firm_id, 0))),
    ADD CONSTRAINT outbox_recipient_as_it_is
        FOREIGN KEY (recipient_id, park_id, recipient_firm) REFERENCES recipient (recipient_id, park_id, firm_key),
    ADD CONSTRAINT outbox_episode_as_it_is
        FOREIGN KEY (episode_id, park_id, firm_key) REFERENCES episode (episode_id, park_id, firm_key);
CREATE INDEX outbox_sent_to ON outbox (recipient_id, delivered) WHERE state = 'delivered';
CREATE INDEX outbox_held ON outbox (held_until) WHERE state = 'held';
CREATE INDEX outbox_of_episode ON outbox (episode_id, recipient_id);

-- A firm sees what was sent to it, not what was sent about it to others; a park sees what was sent to its managers.
DROP POLICY tenant ON outbox;
CREATE POLICY tenant ON outbox FOR SELECT TO greenpark_tenant
    USING (CASE WHEN recipient_firm = 0 THEN park_id = ANY ((SELECT visible_parks(current_user, true))::int[])
                ELSE recipient_firm = ANY ((SELECT visible_firms(current_user))::int[]) END);

-- Areas of duty ------------------------------------------------------------------------------------------------------

-- What somebody is there for; all that a row names must fit, any row will do, and without a row it is everything.
CREATE TABLE duty_area (
    duty_area_id  int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recipient_id  int NOT NULL REFERENCES recipient,
    carrier       text,
    topic         text CHECK (topic IN ('energy', 'water', 'emissions', 'data')),
    zone_id       int REFERENCES zone,
    firm_id       int REFERENCES firm,
    CHECK (num_nonnulls(carrier, topic, zone_id, firm_id) > 0),
    UNIQUE NULLS NOT DISTINCT (recipient_id, carrier, topic, zone_id, firm_id)
);

-- On-call calendars: members take turns of whole days, from handover to handover by the park's clock.
CREATE TABLE oncall (
    oncall_id  int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    park_id    int NOT NULL REFERENCES park,
    code       text NOT NULL,
    UNIQUE (park_id, code)
);

-- The rotation of a day is the newest that had begun; one without members ends the calendar.
CREATE TABLE oncall_rotation (
    oncall_id   int NOT NULL REFERENCES oncall,
    valid_from  date NOT NULL,                  -- the first turn begins at this day's handover
    handover    time NOT NULL DEFAULT '08:00',
    turn_days   int NOT NULL DEFAULT 7 CHECK (turn_days > 0),
    members     int[] NOT NULL,                 -- recipients in order; who was removed is passed over
    PRIMARY KEY (oncall_id, valid_from)
);

-- Somebody stands in; the newest that covers an instant holds.
CREATE TABLE oncall_stand_in (
    stand_in_id   int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    oncall_id     int NOT NULL REFERENCES oncall,
    starts        timestamptz NOT NULL,
    ends          timestamptz NOT NULL CHECK (ends > starts),
    recipient_id  int NOT NULL REFERENCES recipient
);

-- Digests and escalation ---------------------------------------------------------------------------------------------

CREATE TABLE digest_subscription (
    recipient_id  int NOT NULL REFERENCES recipient,
    kind          text NOT NULL CHECK (kind IN ('daily', 'weekly')),
    at            time NOT NULL DEFAULT '08:00',                            -- in the park's zone
    weekday       smallint NOT NULL DEFAULT 1 CHECK (weekday BETWEEN 1 AND 7),   -- of the weekly one; 1: Monday
    since         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (recipient_id, kind)
);

-- Whom to tell when nobody has acknowledged an episode so long after it was told.
CREATE TABLE escalation_step (
    step_id       int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    park_id       int NOT NULL REFERENCES park,
    min_severity  text NOT NULL DEFAULT 'major' CHECK (min_severity IN ('info', 'warning', 'major', 'critical')),
    after_s       int NOT NULL CHECK (after_s > 0),
    recipient_id  int REFERENCES recipient,
    oncall_id     int REFERENCES oncall,
    CHECK (num_nonnulls(recipient_id, oncall_id) = 1),
    UNIQUE NULLS NOT DISTINCT (park_id, min_severity, after_s, recipient_id, oncall_id)
);

-- Each step is taken once per episode, however many workers look.
CREATE TABLE escalated (
    episode_id  bigint NOT NULL REFERENCES episode ON DELETE CASCADE,
    step_id     int NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (episode_id, step_id)
);

-- Channels -----------------------------------------------------------------------------------------------------------

-- A recipient whose channel does not take messages now; a success removes the row.
CREATE TABLE channel_failure (
    recipient_id  int PRIMARY KEY REFERENCES recipient,
    since         timestamptz NOT NULL,
    attempts      int NOT NULL DEFAULT 1,
    refused       boolean NOT NULL DEFAULT false,     -- it will not mend by itself
    last_error    text NOT NULL,
    told          timestamptz                         -- when others were told
);

-- For nobody but the service: addresses and duties are no tenant's business.
GRANT SELECT, INSERT, UPDATE, DELETE ON duty_area, oncall, oncall_rotation, oncall_stand_in, digest_subscription,
    escalation_step, escalated, channel_failure TO greenpark_service;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA greenpark TO greenpark_service;
