-- What firms report about their business, and the groups of firms that numbers are rolled up over.
--
-- Reported inputs are insert-only: a row is one version of one input, and how far it was audited is a row of its own.
-- The service may not update or delete them.

SET LOCAL search_path = greenpark, public;

-- What a firm makes, and which source counts: its edge counter or its report. The two are never added.
CREATE TABLE product (
    firm_id  int NOT NULL REFERENCES firm,
    code     text NOT NULL,
    name_zh  text NOT NULL,
    name_en  text NOT NULL,
    unit     text NOT NULL,
    source   text NOT NULL CHECK (source IN ('counter', 'reported')),
    PRIMARY KEY (firm_id, code)
);

-- One version of one input. Its name is everything from unit_id to period; key is '' where the kind has none.
CREATE TABLE business_input (
    input_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    park_id      int NOT NULL REFERENCES park,
    firm_id      int NOT NULL REFERENCES firm,
    unit_id      int REFERENCES unit,          -- null: the whole firm
    kind         text NOT NULL,
    key          text NOT NULL,
    price_basis  text CHECK (price_basis IN ('current', 'constant')),
    price_year   smallint,
    grain        text NOT NULL CHECK (grain IN ('month', 'quarter', 'year')),
    period       date NOT NULL,                -- first day, in the park's zone
    version      int NOT NULL CHECK (version > 0),
    amount       float8,                       -- null: withdrawn, which is not zero
    unit         text NOT NULL,
    finality     text NOT NULL CHECK (finality IN ('provisional', 'final')),
    author       text NOT NULL,
    source       text NOT NULL,                -- file and row, or the interface
    reason       text NOT NULL,                -- why it replaces another; '' for a first version
    entered      timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE NULLS NOT DISTINCT (firm_id, unit_id, kind, key, price_basis, price_year, grain, period, version),
    CHECK ((price_basis IS NOT DISTINCT FROM 'constant') = (price_year IS NOT NULL))
);
CREATE INDEX business_input_of_firm ON business_input (firm_id, period);
CREATE INDEX business_input_of_park ON business_input (park_id, input_id);

-- How far a version has come; without a row it is submitted. It only moves forward.
CREATE TABLE business_state (
    input_id  bigint NOT NULL REFERENCES business_input,
    park_id   int NOT NULL,
    firm_id   int NOT NULL,
    status    text NOT NULL CHECK (status IN ('audited', 'frozen')),
    author    text NOT NULL,
    reason    text NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (input_id, status)
);

-- Price of a year's output relative to a base year: V_constant = V_current / value. Industry '*': any other. The
-- newest version holds.
CREATE TABLE deflator (
    park_id    int NOT NULL REFERENCES park,
    industry   text NOT NULL,
    base_year  smallint NOT NULL,
    year       smallint NOT NULL,
    version    int NOT NULL CHECK (version > 0),
    value      float8 NOT NULL CHECK (value > 0),
    source     text NOT NULL,
    author     text NOT NULL,
    entered    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (park_id, industry, base_year, year, version)
);

-- Industries, chains and panels of firms; zones have a table of their own. The panels above_scale and key_energy_user
-- are those of the flags.
CREATE TABLE firm_group (
    group_id  int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    park_id   int NOT NULL REFERENCES park,
    kind      text NOT NULL CHECK (kind IN ('industry', 'chain', 'panel')),
    code      text NOT NULL,
    name_zh   text NOT NULL,
    name_en   text NOT NULL,
    UNIQUE (park_id, kind, code)
);

-- Who belongs to an industry or chain, [valid_from, valid_to): dated, many to many, none allowed.
CREATE TABLE firm_group_member (
    firm_id    int NOT NULL REFERENCES firm,
    group_id   int NOT NULL REFERENCES firm_group,
    valid_from date NOT NULL DEFAULT '-infinity',
    valid_to   date NOT NULL DEFAULT 'infinity' CHECK (valid_to > valid_from),
    PRIMARY KEY (firm_id, group_id, valid_from)
);

-- Parks that were set up before: their industries and panels become groups.
INSERT INTO firm_group (park_id, kind, code, name_zh, name_en)
SELECT DISTINCT park_id, 'industry', industry, industry, industry FROM firm;
INSERT INTO firm_group_member (firm_id, group_id)
SELECT f.firm_id, g.group_id FROM firm AS f
JOIN firm_group AS g ON g.park_id = f.park_id AND g.kind = 'industry' AND g.code = f.industry;
INSERT INTO firm_group (park_id, kind, code, name_zh, name_en)
SELECT p.park_id, 'panel', w.code, w.name_zh, w.name_en
FROM park AS p,
     (VALUES ('above_scale', '规模以上工业企业', 'industry above designated size'),
             ('key_energy_user', '重点用能单位', 'key energy users')) AS w (code, name_zh, name_en);

-- Indicators of these groups; scope_id is the group's, the zone's or the unit's id.
ALTER TABLE indicator_value DROP CONSTRAINT indicator_value_scope_check;
ALTER TABLE indicator_value ADD CONSTRAINT indicator_value_scope_check
    CHECK (scope IN ('point', 'unit', 'firm', 'zone', 'industry', 'chain', 'panel', 'park'));

-- Numbers of groups wait here until the park is done: written with the park's, taken in a pass of their own, so that no
-- reading waits for them.
CREATE TABLE dirty_group (
    park_id  int NOT NULL,
    grain    text NOT NULL,
    period   timestamptz NOT NULL,
    marked   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX dirty_group_of ON dirty_group (park_id);

-- Rights ------------------------------------------------------------------------------------------------------------

GRANT SELECT, INSERT, UPDATE, DELETE ON product, firm_group, firm_group_member, dirty_group TO greenpark_service;
GRANT SELECT, INSERT ON business_input, business_state, deflator TO greenpark_service;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA greenpark TO greenpark_service;

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['product', 'business_input', 'business_state', 'firm_group_member'] LOOP
        EXECUTE format('CREATE POLICY tenant ON %I FOR SELECT TO greenpark_tenant
            USING (firm_id = ANY ((SELECT visible_firms(current_user))::int[]))', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['firm_group', 'deflator'] LOOP
        EXECUTE format('CREATE POLICY tenant ON %I FOR SELECT TO greenpark_tenant
            USING (park_id = ANY ((SELECT visible_parks(current_user, false))::int[]))', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['product', 'business_input', 'business_state', 'firm_group_member', 'firm_group', 'deflator'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY service ON %I TO greenpark_service USING (true) WITH CHECK (true)', t);
        EXECUTE format('GRANT SELECT ON %I TO greenpark_tenant', t);
    END LOOP;
END
$$;
