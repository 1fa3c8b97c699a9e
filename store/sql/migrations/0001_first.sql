-- The first schema: who is there, what was read, what it means, who was told.
--
-- Conventions: instants are timestamptz (UTC); quantities are in the unit of their point; every row of a firm carries
-- park_id and firm_id, so that tenants can be kept apart here and not in a query that someone must remember.
-- Only what works on the Apache edition of TimescaleDB is used.

CREATE SCHEMA greenpark;
SET LOCAL search_path = greenpark, public;

-- Who is there ------------------------------------------------------------------------------------------------------

CREATE TABLE park (
    park_id    int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code       text NOT NULL UNIQUE,
    name_zh    text NOT NULL,
    name_en    text NOT NULL,
    time_zone  text NOT NULL DEFAULT 'Asia/Shanghai'
);

CREATE TABLE zone (
    zone_id  int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    park_id  int NOT NULL REFERENCES park,
    code     text NOT NULL,
    name_zh  text NOT NULL,
    name_en  text NOT NULL,
    UNIQUE (park_id, code)
);

CREATE TABLE firm (
    firm_id    int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    park_id    int NOT NULL REFERENCES park,
    code       text NOT NULL,
    name_zh    text NOT NULL,
    name_en    text NOT NULL,
    uscc       text,                           -- unified social credit code
    industry   text NOT NULL,
    industrial boolean NOT NULL DEFAULT true,  -- schools and hospitals stay out of industrial intensity
    status     text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'stopped', 'closed')),
    UNIQUE (park_id, code)
);

-- Dated flags, such as above_scale and key_energy_user.
CREATE TABLE firm_flag (
    firm_id    int NOT NULL REFERENCES firm,
    flag       text NOT NULL,
    valid_from date NOT NULL DEFAULT '-infinity',
    valid_to   date NOT NULL DEFAULT 'infinity',
    PRIMARY KEY (firm_id, flag, valid_from)
);

-- Zones overlap in the plans and change: dated, many to many, none allowed.
CREATE TABLE firm_zone (
    firm_id    int NOT NULL REFERENCES firm,
    zone_id    int NOT NULL REFERENCES zone,
    valid_from date NOT NULL DEFAULT '-infinity',
    valid_to   date NOT NULL DEFAULT 'infinity',
    PRIMARY KEY (firm_id, zone_id, valid_from)
);

CREATE TABLE unit (
    unit_id  int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    firm_id  int NOT NULL REFERENCES firm,
    code     text NOT NULL,
    name_zh  text NOT NULL,
    name_en  text NOT NULL,
    UNIQUE (firm_id, code)
);

CREATE TABLE edge (
    edge_id  int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    park_id  int NOT NULL REFERENCES park,
    firm_id  int NOT NULL REFERENCES firm,
    code     text NOT NULL,
    UNIQUE (firm_id, code)
);

CREATE TABLE point (
    point_id         int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    park_id          int NOT NULL REFERENCES park,
    firm_id          int NOT NULL REFERENCES firm,
    unit_id          int REFERENCES unit,
    edge_id          int REFERENCES edge,   -- null: a virtual point, which nobody sends
    code             text NOT NULL,
    name_zh          text NOT NULL,
    name_en          text NOT NULL,
    kind             text NOT NULL CHECK (kind IN ('register', 'interval', 'gauge', 'virtual')),
    carrier          text NOT NULL,
    direction        text NOT NULL CHECK (direction IN ('in', 'out', 'internal')),
    unit             text NOT NULL,
    interval_s       int NOT NULL CHECK (interval_s > 0),
    label            text NOT NULL DEFAULT 'end' CHECK (label IN ('start', 'end')),
    product          text,
    rate_limit_per_h float8 CHECK (rate_limit_per_h > 0),
    UNIQUE (firm_id, code),
    CHECK ((kind = 'virtual') = (edge_id IS NULL))
);
CREATE INDEX point_of_edge ON point (edge_id, code);
CREATE INDEX point_of_park ON point (park_id);

-- What a point is in the meter graph; a point without a row takes a load, loses nothing and is measured.
CREATE TABLE point_node (
    point_id    int PRIMARY KEY REFERENCES point,
    role        text NOT NULL DEFAULT 'load' CHECK (role IN ('load', 'generation', 'discharge')),
    loss_share  float8 NOT NULL DEFAULT 0 CHECK (loss_share >= 0 AND loss_share < 1),
    formula     text                            -- of a virtual point, as written
);

-- Which point a point stands under, [valid_from, valid_to). A parent may be another firm's: a transfer.
CREATE TABLE point_parent (
    point_id   int NOT NULL REFERENCES point,
    parent_id  int NOT NULL REFERENCES point CHECK (parent_id <> point_id),
    valid_from timestamptz NOT NULL DEFAULT '-infinity',
    valid_to   timestamptz NOT NULL DEFAULT 'infinity' CHECK (valid_to > valid_from),
    PRIMARY KEY (point_id, valid_from)
);
CREATE INDEX point_parent_of ON point_parent (parent_id);

-- What a virtual point is made of in the end: measured points, and what their quantities are multiplied with.
CREATE TABLE virtual_input (
    point_id  int NOT NULL REFERENCES point,
    input_id  int NOT NULL REFERENCES point,
    factor    float8 NOT NULL,
    PRIMARY KEY (point_id, input_id)
);

-- A dated period of one physical meter at a point; periods of one point do not overlap.
CREATE TABLE installation (
    installation_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    point_id        int NOT NULL REFERENCES point,
    serial          text NOT NULL,
    modulus         float8 CHECK (modulus > 0),
    multiplier      float8 NOT NULL CHECK (multiplier > 0),
    valid_from      timestamptz NOT NULL,
    valid_to        timestamptz CHECK (valid_to > valid_from),
    first_reading   float8,
    last_reading    float8,
    resolution      float8 CHECK (resolution > 0),   -- the dial's smallest step
    UNIQUE (point_id, valid_from)
);

-- What was read -----------------------------------------------------------------------------------------------------

-- One accepted message. (edge, boot, seq) names a batch for ever; publishers without batches leave both null.
-- With reading.batch_id this keeps the three times apart: happened (reading.t), sent, stored.
CREATE TABLE batch (
    batch_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    edge_id   int NOT NULL,
    boot      text,
    seq       bigint,
    sent      timestamptz,
    stored    timestamptz NOT NULL DEFAULT clock_timestamp(),
    readings  int NOT NULL,
    UNIQUE (edge_id, boot, seq)
);

-- Raw and for ever: a value is never altered, and cleaning never deletes it.
CREATE TABLE reading (
    point_id  int NOT NULL,
    t         timestamptz NOT NULL,
    value     float8 NOT NULL,
    quality   smallint NOT NULL,
    batch_id  bigint NOT NULL
);
SELECT create_hypertable('greenpark.reading', by_range('t', INTERVAL '7 days'), create_default_indexes => false);
CREATE UNIQUE INDEX reading_once ON reading (point_id, t);

-- The same point and time with a different value or quality: kept aside, never dropped, never overwriting.
CREATE TABLE reading_conflict (
    conflict_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    point_id     int NOT NULL,
    t            timestamptz NOT NULL,
    value        float8 NOT NULL,
    quality      smallint NOT NULL,
    stored_value float8 NOT NULL,
    batch_id     bigint NOT NULL,
    noticed      timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (point_id, t, value, quality)
);

-- The newest reading of each point by its own time, not by arrival.
CREATE TABLE latest (
    point_id  int PRIMARY KEY,
    t         timestamptz NOT NULL,
    value     float8 NOT NULL,
    quality   smallint NOT NULL,
    stored    timestamptz NOT NULL
) WITH (fillfactor = 50);

-- What of each boot of an edge is stored or given up: the floor and the ranges above it are one multirange.
CREATE TABLE watermark (
    edge_id    int NOT NULL,
    boot       text NOT NULL,
    committed  int8multirange NOT NULL,
    began      timestamptz NOT NULL DEFAULT clock_timestamp(),   -- when the boot was first heard of
    changed    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (edge_id, boot)
) WITH (fillfactor = 50);

-- Messages that could not be taken, with the reason; replayed once the cause is mended.
CREATE TABLE quarantine (
    quarantine_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received       timestamptz NOT NULL DEFAULT clock_timestamp(),
    park_id        int,
    firm_id        int,
    topic          text NOT NULL,
    content_type   text,
    payload        bytea NOT NULL,
    reason         text NOT NULL,
    detail         text NOT NULL,
    fingerprint    bytea NOT NULL UNIQUE,   -- a redelivery of the same bad message is the same row
    times_seen     int NOT NULL DEFAULT 1,
    state          text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'replayed', 'discarded')),
    resolved       timestamptz
);
CREATE INDEX quarantine_held ON quarantine (received) WHERE state = 'held';

CREATE TABLE edge_event (
    event_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    park_id   int NOT NULL,
    firm_id   int NOT NULL,
    edge_id   int NOT NULL,
    boot      text NOT NULL,
    at        timestamptz NOT NULL,
    kind      text NOT NULL,
    point_id  int,
    body      jsonb NOT NULL,
    received  timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE NULLS NOT DISTINCT (edge_id, boot, at, kind, point_id)
);
CREATE INDEX edge_event_swap ON edge_event (at) WHERE kind = 'meter_swap';

CREATE TABLE edge_status (
    edge_id           int PRIMARY KEY,
    park_id           int NOT NULL,
    firm_id           int NOT NULL,
    online            boolean NOT NULL,
    boot              text NOT NULL,
    at                timestamptz NOT NULL,
    version           text NOT NULL,
    buffered_batches  bigint NOT NULL,
    buffered_bytes    bigint NOT NULL,
    clock_offset_ms   bigint,
    received          timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What it means -----------------------------------------------------------------------------------------------------

-- What must be computed again, appended by whoever changed something; streams take it away by firm.
CREATE TABLE dirty (
    dirty_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    firm_id   int NOT NULL,
    point_id  int NOT NULL,
    t_from    timestamptz NOT NULL,
    t_to      timestamptz NOT NULL,   -- inclusive
    cause     text NOT NULL,
    marked    timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (t_to >= t_from)
);
CREATE INDEX dirty_of_firm ON dirty (firm_id, dirty_id);

-- Indicators of a firm and its points wait here: written in the ledger's transaction, taken in that of the indicators,
-- so that buckets need not wait for what is computed from them.
CREATE TABLE dirty_firm (
    firm_id    int NOT NULL,
    grain      text NOT NULL,
    period     timestamptz NOT NULL,
    cause      text NOT NULL,
    since      timestamptz,               -- oldest live reading that waits; null: nothing live
    marked     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX dirty_firm_of ON dirty_firm (firm_id);

-- Park rows wait here until the firms under them are done: written in the firm's transaction, taken in the park's.
CREATE TABLE dirty_park (
    park_id    int NOT NULL,
    grain      text NOT NULL,
    period     timestamptz NOT NULL,
    since      timestamptz,               -- oldest live reading that waits; null: nothing live
    marked     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX dirty_park_of ON dirty_park (park_id);

-- One computation: everything derived names the run that wrote it, a run names its code and its cause.
CREATE TABLE run (
    run_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    park_id       int NOT NULL,
    firm_id       int,
    cause         text NOT NULL,
    code_version  text NOT NULL,
    started       timestamptz NOT NULL,
    finished      timestamptz NOT NULL DEFAULT clock_timestamp(),
    waited_s      float8                  -- age of the oldest live reading in it when it was done; null: none live
);

-- Consumption of a point in a 15-minute bucket. measured or estimated is null where no second of that sort was
-- covered; what measured_s and estimated_s leave of 900 s is missing. held is counted nowhere.
CREATE TABLE consumption (
    point_id     int NOT NULL,
    bucket       timestamptz NOT NULL,
    measured     float8,
    estimated    float8,
    measured_s   real NOT NULL,
    estimated_s  real NOT NULL,
    held         float8 NOT NULL DEFAULT 0,
    flags        smallint NOT NULL DEFAULT 0,
    closed       boolean NOT NULL,          -- computed after the bucket had ended: a later change is a revision
    revision     smallint NOT NULL DEFAULT 0,
    run_id       bigint NOT NULL
);
SELECT create_hypertable('greenpark.consumption', by_range('bucket', INTERVAL '30 days'), create_default_indexes => false);
CREATE UNIQUE INDEX consumption_once ON consumption (point_id, bucket);

-- What a closed bucket said before it was revised.
CREATE TABLE consumption_revision (
    point_id     int NOT NULL,
    bucket       timestamptz NOT NULL,
    revision     smallint NOT NULL,
    measured     float8,
    estimated    float8,
    measured_s   real NOT NULL,
    estimated_s  real NOT NULL,
    held         float8 NOT NULL,
    flags        smallint NOT NULL,
    run_id       bigint NOT NULL,
    superseded   timestamptz NOT NULL DEFAULT clock_timestamp(),
    superseded_by bigint NOT NULL,
    PRIMARY KEY (point_id, bucket, revision)
);

-- What a person decided about the ledger, never about a reading: how much counts of a quantity that was held, or in a
-- range of buckets. The newest that is not revoked holds; nothing is ever altered but the revocation.
CREATE TABLE edit (
    edit_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    park_id        int NOT NULL,
    firm_id        int NOT NULL,
    point_id       int NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('accept', 'reject', 'replace', 'manual')),
    version        int NOT NULL,             -- of the decisions about the same buckets
    t_from         timestamptz NOT NULL,     -- buckets in [t_from, t_to)
    t_to           timestamptz NOT NULL CHECK (t_to > t_from),
    held           float8,                   -- what was held when it was decided; null: manual
    quantity       float8 NOT NULL,          -- what counts, in the point's unit
    author         text NOT NULL,
    reason         text NOT NULL,
    made           timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked        timestamptz,
    revoked_by     text,
    revoked_reason text,
    UNIQUE (point_id, t_from, t_to, version)
);

-- How installations came to be what they are: by command, or by an edge's report of an exchange.
CREATE TABLE meter_change (
    change_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    park_id    int NOT NULL,
    firm_id    int NOT NULL,
    point_id   int NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('replace', 'correct_multiplier', 'event', 'event_refused')),
    at         timestamptz NOT NULL,         -- from when on
    author     text NOT NULL,
    reason     text NOT NULL,
    event_id   bigint UNIQUE,                -- edge_event
    before     jsonb NOT NULL,
    after      jsonb NOT NULL,
    made       timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX meter_change_of ON meter_change (point_id);

-- The same for hours, days, months and years of the park's zone; period is the instant at which it starts.
CREATE TABLE consumption_period (
    point_id     int NOT NULL,
    grain        text NOT NULL CHECK (grain IN ('hour', 'day', 'month', 'year')),
    period       timestamptz NOT NULL,
    measured     float8,
    estimated    float8,
    measured_s   float8 NOT NULL,
    estimated_s  float8 NOT NULL,
    held         float8 NOT NULL DEFAULT 0,
    flags        smallint NOT NULL DEFAULT 0,
    run_id       bigint NOT NULL,
    PRIMARY KEY (point_id, grain, period)
);

-- Electricity by class of the tariff (尖峰平谷), from closed buckets. table_id names the tariff table: a month in which
-- tables change has rows of both. '' and class none: no table holds.
CREATE TABLE consumption_tariff (
    point_id      int NOT NULL,
    grain         text NOT NULL CHECK (grain IN ('day', 'month')),
    period        timestamptz NOT NULL,
    table_id      text NOT NULL,
    tariff_class  text NOT NULL CHECK (tariff_class IN ('sharp', 'peak', 'flat', 'valley', 'none')),
    measured      float8,
    estimated     float8,
    measured_s    float8 NOT NULL,
    estimated_s   float8 NOT NULL,
    run_id        bigint NOT NULL,
    PRIMARY KEY (point_id, grain, period, table_id, tariff_class)
);

-- A node of the meter graph over a day or month: what went in, what its children took, and the rest. Null: unknown.
CREATE TABLE balance (
    park_id      int NOT NULL,
    firm_id      int NOT NULL,                -- of the node
    point_id     int NOT NULL,
    grain        text NOT NULL CHECK (grain IN ('day', 'month')),
    period       timestamptz NOT NULL,
    supply       float8,
    load         float8,
    loss         float8,
    unaccounted  float8,
    share        float8,
    coverage     float8 NOT NULL,
    unknown      text[] NOT NULL,             -- firm/code of the points that leave it unknown
    run_id       bigint NOT NULL,
    PRIMARY KEY (point_id, grain, period)
);

-- What a report or a standing was told; a change after the period's end keeps what was published before.
CREATE TABLE indicator_value (
    park_id       int NOT NULL,
    firm_id       int,                      -- null: the whole park
    scope         text NOT NULL CHECK (scope IN ('point', 'unit', 'firm', 'zone', 'park')),
    scope_id      int NOT NULL,
    indicator_id  text NOT NULL,
    grain         text NOT NULL,
    period        timestamptz NOT NULL,
    numerator     float8,
    denominator   float8,
    value         float8,                   -- null: undefined, reason says why
    unit          text NOT NULL,
    coverage      float8 NOT NULL,
    reason        text,
    closed        boolean NOT NULL,
    revision      int NOT NULL DEFAULT 0,
    lineage       jsonb NOT NULL,           -- factors, points, firms left out, catalogue version
    run_id        bigint NOT NULL,
    PRIMARY KEY (scope, scope_id, indicator_id, grain, period)
);
CREATE INDEX indicator_of_park ON indicator_value (park_id, indicator_id, grain, period);

CREATE TABLE indicator_revision (
    LIKE indicator_value,
    superseded    timestamptz NOT NULL DEFAULT clock_timestamp(),
    superseded_by bigint NOT NULL,
    PRIMARY KEY (scope, scope_id, indicator_id, grain, period, revision)
);

-- Target packs as they were loaded: a number is judged against a version, and versions stay.
CREATE TABLE target_pack (
    pack_id   text NOT NULL,
    version   int NOT NULL,
    sha256    text NOT NULL,
    body      jsonb NOT NULL,
    loaded    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (pack_id, version)
);

CREATE TABLE park_target_pack (
    park_id  int NOT NULL REFERENCES park,
    pack_id  text NOT NULL,
    PRIMARY KEY (park_id, pack_id)
);

-- An indicator held against a target; the history of states is kept, the newest row per target is the standing.
CREATE TABLE standing (
    standing_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    park_id      int NOT NULL,
    firm_id      int,
    scope        text NOT NULL,
    scope_id     int NOT NULL,
    pack_id      text NOT NULL,
    pack_version int NOT NULL,
    target_id    text NOT NULL,
    as_of        timestamptz NOT NULL,
    state        text NOT NULL CHECK (state IN ('ahead', 'on_pace', 'at_risk', 'off', 'undefined')),
    reason       text,
    sentence_zh  text NOT NULL,
    sentence_en  text NOT NULL,
    value        float8,
    target_value float8,
    required     float8,
    projection   float8,
    current      boolean NOT NULL DEFAULT true,
    run_id       bigint NOT NULL
);
CREATE UNIQUE INDEX standing_current ON standing (scope, scope_id, pack_id, target_id) WHERE current;
CREATE INDEX standing_history ON standing (scope, scope_id, pack_id, target_id, as_of);

-- Who was told ------------------------------------------------------------------------------------------------------

CREATE TABLE rule (
    rule_id    text NOT NULL,
    version    int NOT NULL,
    park_id    int REFERENCES park,         -- null: every park
    body       jsonb NOT NULL,
    valid_from timestamptz NOT NULL DEFAULT '-infinity',
    valid_to   timestamptz NOT NULL DEFAULT 'infinity',
    PRIMARY KEY (rule_id, version)
);

-- One alert from start to end. cause_key names rule and subject; among unfinished episodes it is unique, so one
-- cause has one episode however many workers, replays and restarts there are.
CREATE TABLE episode (
    episode_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    park_id       int NOT NULL,
    firm_id       int,
    rule_id       text NOT NULL,
    rule_version  int NOT NULL,
    cause_key     text NOT NULL,
    scope         text NOT NULL CHECK (scope IN ('point', 'firm', 'park')),
    scope_id      int NOT NULL,
    state         text NOT NULL CHECK (state IN ('pending', 'open', 'acknowledged', 'resolved', 'retracted')),
    severity      text NOT NULL CHECK (severity IN ('info', 'warning', 'major', 'critical')),
    began         timestamptz NOT NULL,     -- event time: when the condition began to hold
    opened        timestamptz,              -- event time: when it had held long enough
    ended         timestamptz,
    title_zh      text NOT NULL,
    title_en      text NOT NULL,
    evidence      jsonb NOT NULL,
    seen          timestamptz NOT NULL,     -- event time of the last known sample: a replay of older ones changes nothing
    held_s        float8 NOT NULL DEFAULT 0,       -- how long the condition for the next state has held
    counting      boolean NOT NULL DEFAULT false,  -- whether the last sample met that condition
    confirmed     boolean NOT NULL DEFAULT true,   -- a final number bore the condition out: only then can one disprove it
    changed       timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX episode_one_per_cause ON episode (cause_key) WHERE state IN ('pending', 'open', 'acknowledged');
CREATE UNIQUE INDEX episode_once ON episode (cause_key, began);
CREATE INDEX episode_of_park ON episode (park_id, changed);

CREATE TABLE episode_transition (
    transition_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    episode_id     bigint NOT NULL REFERENCES episode,
    park_id        int NOT NULL,
    firm_id        int,
    from_state     text,
    to_state       text NOT NULL,
    at             timestamptz NOT NULL,    -- event time
    recorded       timestamptz NOT NULL DEFAULT clock_timestamp(),
    by             text NOT NULL,           -- 'engine' or a person
    note           text
);
CREATE INDEX transition_of_episode ON episode_transition (episode_id, transition_id);

-- Who gets what: a park's managers (firm_id null) hear of everything in the park, a firm only of itself.
CREATE TABLE recipient (
    recipient_id  int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    park_id       int NOT NULL REFERENCES park,
    firm_id       int REFERENCES firm,
    name          text NOT NULL,
    channel       text NOT NULL,            -- 'webhook', later the others
    address       text NOT NULL,
    locale        text NOT NULL DEFAULT 'zh-CN' CHECK (locale IN ('zh-CN', 'en')),
    min_severity  text NOT NULL DEFAULT 'info' CHECK (min_severity IN ('info', 'warning', 'major', 'critical')),
    removed       timestamptz,              -- kept for the messages that were sent; the address is forgotten
    UNIQUE NULLS NOT DISTINCT (park_id, firm_id, channel, address)
);

-- Messages to deliver, written in the transaction of the transition they tell of: a crash neither loses nor repeats.
CREATE TABLE outbox (
    outbox_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    park_id       int NOT NULL,
    firm_id       int,
    episode_id    bigint NOT NULL REFERENCES episode,
    transition_id bigint NOT NULL REFERENCES episode_transition,
    recipient_id  int NOT NULL REFERENCES recipient,
    dedupe_key    text NOT NULL UNIQUE,
    body          jsonb NOT NULL,
    state         text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'expired', 'failed')),
    attempts      int NOT NULL DEFAULT 0,
    next_attempt  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires       timestamptz NOT NULL,
    delivered     timestamptz,
    last_error    text,
    created       timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX outbox_waiting ON outbox (next_attempt) WHERE state = 'waiting';

-- Tenants -----------------------------------------------------------------------------------------------------------

-- A database role sees the firms listed here; firm_id null: the whole park.
CREATE TABLE tenant_scope (
    role_name  name NOT NULL,
    park_id    int NOT NULL REFERENCES park,
    firm_id    int REFERENCES firm,
    UNIQUE NULLS NOT DISTINCT (role_name, park_id, firm_id)
);

-- Tokens of the HTTP interface; only the hash is stored, and each token acts as one tenant role.
CREATE TABLE api_token (
    token_id   int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sha256     bytea NOT NULL UNIQUE,
    label      text NOT NULL,
    role_name  name NOT NULL,
    may_write  boolean NOT NULL DEFAULT false,
    created    timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires    timestamptz NOT NULL DEFAULT 'infinity'
);

-- Roles belong to the cluster, not to the database: another database may have made them already.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['greenpark_service', 'greenpark_tenant'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END LOOP;
END
$$;

-- The firms and parks a role may see. It runs as its owner, so it must not answer for a role that the session may
-- not act as: firm A asking for firm B's firms gets none.
CREATE FUNCTION visible_firms(role_name name) RETURNS int[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = greenpark, pg_temp
RETURN (
    SELECT coalesce(array_agg(f.firm_id), '{}')
    FROM tenant_scope AS s
    JOIN firm AS f ON f.park_id = s.park_id AND (s.firm_id IS NULL OR s.firm_id = f.firm_id)
    WHERE s.role_name = visible_firms.role_name AND pg_has_role(session_user, visible_firms.role_name, 'MEMBER')
);

CREATE FUNCTION visible_parks(role_name name, whole boolean) RETURNS int[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = greenpark, pg_temp
RETURN (
    SELECT coalesce(array_agg(DISTINCT s.park_id), '{}')
    FROM tenant_scope AS s
    WHERE s.role_name = visible_parks.role_name AND (s.firm_id IS NULL OR NOT whole)
        AND pg_has_role(session_user, visible_parks.role_name, 'MEMBER')
);
REVOKE ALL ON FUNCTION visible_firms(name), visible_parks(name, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION visible_firms(name), visible_parks(name, boolean) TO greenpark_tenant;

GRANT USAGE ON SCHEMA greenpark TO greenpark_service, greenpark_tenant;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA greenpark TO greenpark_service;
GRANT SELECT ON public.greenpark_migration TO greenpark_service;  -- readiness compares it
GRANT USAGE ON ALL SEQUENCES IN SCHEMA greenpark TO greenpark_service;

-- Row-level security on every ordinary table that a tenant may read. A row of a firm is seen by the firm and its
-- park; a row of the whole park (firm_id null) by the park alone; the name of the park by everyone in it.
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['firm', 'unit', 'firm_flag', 'firm_zone', 'edge', 'point', 'edge_event', 'edge_status', 'balance'] LOOP
        EXECUTE format('CREATE POLICY tenant ON %I FOR SELECT TO greenpark_tenant
            USING (firm_id = ANY ((SELECT visible_firms(current_user))::int[]))', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['indicator_value', 'indicator_revision', 'standing', 'episode', 'episode_transition', 'outbox', 'quarantine', 'run'] LOOP
        EXECUTE format('CREATE POLICY tenant ON %I FOR SELECT TO greenpark_tenant
            USING (firm_id = ANY ((SELECT visible_firms(current_user))::int[])
                OR (firm_id IS NULL AND park_id = ANY ((SELECT visible_parks(current_user, true))::int[])))', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['installation', 'point_node', 'point_parent', 'virtual_input', 'latest', 'consumption_period', 'consumption_tariff', 'reading_conflict', 'consumption_revision', 'dirty'] LOOP
        EXECUTE format('CREATE POLICY tenant ON %I FOR SELECT TO greenpark_tenant
            USING (point_id = ANY (ARRAY(SELECT p.point_id FROM point AS p)))', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['park', 'zone', 'park_target_pack'] LOOP
        EXECUTE format('CREATE POLICY tenant ON %I FOR SELECT TO greenpark_tenant
            USING (park_id = ANY ((SELECT visible_parks(current_user, false))::int[]))', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['edit', 'meter_change'] LOOP
        EXECUTE format('CREATE POLICY tenant ON %I FOR SELECT TO greenpark_tenant
            USING (firm_id = ANY ((SELECT visible_firms(current_user))::int[]))', t);
    END LOOP;
    FOR t IN SELECT DISTINCT tablename FROM pg_policies WHERE schemaname = 'greenpark' LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY service ON %I TO greenpark_service USING (true) WITH CHECK (true)', t);
        EXECUTE format('GRANT SELECT ON %I TO greenpark_tenant', t);
    END LOOP;
END
$$;
GRANT SELECT ON target_pack, rule TO greenpark_tenant;  -- plans and rules are public within a park

-- A hypertable hands its grants on to its chunks but not its policies, and columnstore refuses row-level security.
-- So tenants get no grant on reading and consumption, only these views, which filter before anything else runs.
CREATE VIEW tenant_reading WITH (security_barrier) AS
SELECT r.* FROM reading AS r
WHERE r.point_id = ANY (ARRAY(
    SELECT p.point_id FROM point AS p WHERE p.firm_id = ANY ((SELECT visible_firms(current_user))::int[])));

CREATE VIEW tenant_consumption WITH (security_barrier) AS
SELECT c.* FROM consumption AS c
WHERE c.point_id = ANY (ARRAY(
    SELECT p.point_id FROM point AS p WHERE p.firm_id = ANY ((SELECT visible_firms(current_user))::int[])));
GRANT SELECT ON tenant_reading, tenant_consumption TO greenpark_tenant;
