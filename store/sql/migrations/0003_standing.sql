-- How a standing was reached: the projection with its interval, what is needed from here, when it will be missed, who
-- moved the park, and the park's own targets and baselines.

SET LOCAL search_path = greenpark, public;

-- Numbers of a standing are in `unit` of its indicator; for a decline that is the intensity's unit, not %. Null where
-- the target or the data have no such number.
ALTER TABLE standing
    ADD COLUMN indicator_id    text,          -- what was judged; null: no indicator computes the target
    ADD COLUMN unit            text,
    ADD COLUMN comparator      text,          -- of the target: ge, gt, le, lt, about, hold, cumulative_decline, ...
    ADD COLUMN theme           text,          -- green, context or duty: what kind of row of the plan it is
    ADD COLUMN binding         boolean,       -- null: the plan gives no label
    ADD COLUMN target_year     int,
    ADD COLUMN base_year       int,
    ADD COLUMN base_value      float8,        -- that was judged against: the plan's, the park's, or the measured one
    ADD COLUMN override_id     bigint,        -- row of target_override that was used
    ADD COLUMN period          timestamptz,   -- start of the year that was judged, in the park's zone
    ADD COLUMN closed          boolean,       -- that year has ended: a change from now on is a revision
    ADD COLUMN coverage        float8,        -- of the value, 0 to 1
    ADD COLUMN progress        float8,        -- share of the way done, 1 is all of it; may be negative
    ADD COLUMN elapsed         float8,        -- share of the time from base year to target year that has gone, 0 to 1
    ADD COLUMN projection_low  float8,        -- interval around `projection`, which is what the state is judged by:
    ADD COLUMN projection_high float8,        -- the running year's end for levels, the plan's end for declines
    ADD COLUMN projected_for   timestamptz,   -- end of the period that `projection` is for
    ADD COLUMN year_end        float8,        -- projected value of the running year, with its interval
    ADD COLUMN year_end_low    float8,
    ADD COLUMN year_end_high   float8,
    ADD COLUMN plan_end        float8,        -- projected value of the target year, with its interval
    ADD COLUMN plan_end_low    float8,
    ADD COLUMN plan_end_high   float8,
    ADD COLUMN confidence      float8,        -- of the intervals, such as 0.8
    ADD COLUMN method          text,          -- of the projection, as docs/targets.md names it
    ADD COLUMN needed_rate     float8,        -- % a year by which the value must fall (or rise) from here to the target
    ADD COLUMN needed_rest     float8,        -- what the rest of the running year must average to meet the year's need
    ADD COLUMN miss_week       date,          -- Monday of the week in which the target is or will be missed for good
    ADD COLUMN revision        int NOT NULL DEFAULT 0,  -- counts the standings of one subject and target
    ADD COLUMN superseded      timestamptz,   -- when the next one replaced this; null while current
    ADD COLUMN superseded_by   bigint,        -- run that replaced it
    ADD COLUMN lineage         jsonb NOT NULL DEFAULT '{}';  -- values (period, revision, run), baseline, method, notes

-- Who moved a park's number between two periods: the sums of all firms are the park's change. One row per firm of a
-- park's standing, and one per period pair; a firm sees its own row. Zeros are true zeros: a firm that entered or left.
CREATE TABLE standing_contribution (
    standing_id  bigint NOT NULL REFERENCES standing ON DELETE CASCADE,
    park_id      int NOT NULL,
    firm_id      int NOT NULL,
    from_start   timestamptz NOT NULL,        -- compared: [from_start, from_end) with [to_start, to_end)
    from_end     timestamptz NOT NULL,
    to_start     timestamptz NOT NULL,
    to_end       timestamptz NOT NULL,
    unit         text NOT NULL,               -- of effect and of its parts: that of the standing
    value_from   float8,                      -- the firm's own ratio; null: it had none
    value_to     float8,
    effect       float8 NOT NULL,             -- how far the firm moved the park's value; effects add up to its change
    activity     float8,                      -- LMDI-I parts of `effect`, null where there is no denominator: how much
    structure    float8,                      -- all made, who made how much of it, and how much each needed for it.
    intensity    float8,                      -- An intensity has no activity part: structure + intensity = effect
    came         text CHECK (came IN ('entered', 'left')),   -- null: there in both periods
    PRIMARY KEY (standing_id, firm_id)
);

-- Packs of a park's own; null: carried by the package, and public.
ALTER TABLE target_pack ADD COLUMN park_id int REFERENCES park;

-- What a park says about a target of a pack: the level of the base year, or a number that the State or the city gave
-- later (a binding target is superseded by it). Never altered: the newest that is not withdrawn holds.
CREATE TABLE target_override (
    override_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    park_id      int NOT NULL REFERENCES park,
    pack_id      text NOT NULL,
    target_id    text NOT NULL,
    value        float8,                      -- null: the plan's number stays
    base_year    int,
    base_value   float8,
    source       text NOT NULL,               -- document that says so
    withdrawn    boolean NOT NULL DEFAULT false,
    entered      timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX target_override_of ON target_override (park_id, pack_id, target_id, override_id);

GRANT SELECT, INSERT, UPDATE, DELETE ON standing_contribution TO greenpark_service;
GRANT SELECT, INSERT ON target_override TO greenpark_service;
GRANT USAGE ON SEQUENCE target_override_override_id_seq TO greenpark_service;

-- A contribution is the firm's and its park's; overrides are read by everyone in the park; a park's own pack too.
CREATE POLICY tenant ON standing_contribution FOR SELECT TO greenpark_tenant
    USING (firm_id = ANY ((SELECT visible_firms(current_user))::int[]));
CREATE POLICY tenant ON target_override FOR SELECT TO greenpark_tenant
    USING (park_id = ANY ((SELECT visible_parks(current_user, false))::int[]));
CREATE POLICY tenant ON target_pack FOR SELECT TO greenpark_tenant
    USING (park_id IS NULL OR park_id = ANY ((SELECT visible_parks(current_user, false))::int[]));
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['standing_contribution', 'target_override', 'target_pack'] LOOP
        EXECUTE format('CREATE POLICY service ON %I TO greenpark_service USING (true) WITH CHECK (true)', t);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('GRANT SELECT ON %I TO greenpark_tenant', t);
    END LOOP;
END
$$;
