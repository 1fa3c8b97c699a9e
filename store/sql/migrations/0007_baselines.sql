-- Energy baselines after ISO 50006: what was asked for, each fit of it, and every period held against the one in force.
--
-- A baseline is dated and superseded, never overwritten; a fit is kept when revised data of its base period lead to
-- another. Days are days of the park's zone.
SET LOCAL search_path = greenpark, public;

-- What was asked for: which energy of a firm is explained by which variables over which base period, and from which
-- day on it is in force. A later baseline of the same firm, energy and grain ends the earlier one.
CREATE TABLE baseline (
    baseline_id   int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    park_id       int NOT NULL REFERENCES park,
    firm_id       int NOT NULL REFERENCES firm,
    indicator_id  text NOT NULL,                    -- the energy; an indicator without a denominator
    grain         text NOT NULL CHECK (grain IN ('day', 'week', 'month')),
    variables     text[] NOT NULL,                  -- production, production:CODE, hdd18, cdd26; empty: chosen by the fit
    base_from     date NOT NULL,
    base_to       date NOT NULL CHECK (base_to > base_from),      -- exclusive
    left_out      datemultirange NOT NULL DEFAULT '{}',           -- days declared unusual, in base and report alike
    valid_from    date NOT NULL,
    valid_to      date,                             -- exclusive; null: in force until another follows
    reason        text NOT NULL,                    -- why it was made: the static change, the review
    author        text NOT NULL,
    created       timestamptz NOT NULL DEFAULT clock_timestamp(),
    superseded_by int REFERENCES baseline,
    end_reason    text,
    end_author    text
);
CREATE INDEX baseline_of_firm ON baseline (firm_id, indicator_id, grain, valid_from);

-- One computation of a baseline; version 0 is the first, a later one stands for revised data of the base period.
CREATE TABLE baseline_fit (
    baseline_id  int NOT NULL REFERENCES baseline,
    version      int NOT NULL,
    park_id      int NOT NULL,
    firm_id      int NOT NULL,
    usable       boolean NOT NULL,                  -- every gate passed: fit for normalised savings and alarms
    failed       text[] NOT NULL,                   -- names of the gates that did not
    periods      int NOT NULL,
    unit         text NOT NULL,
    r_squared    float8,
    cv_rmse_percent float8,
    nmbe_percent float8,
    sigma        float8,                            -- standard error of the model, in `unit` a day
    k            float8,                            -- slack and threshold of the alarm form, in sigmas
    h            float8,
    body         jsonb NOT NULL,                    -- coefficients with t and p, gates, ranges, covariance: park.baselines.Fit
    fitted       timestamptz NOT NULL DEFAULT clock_timestamp(),
    run_id       bigint NOT NULL,
    PRIMARY KEY (baseline_id, version)
);

-- Each finished period against the baseline in force, and the running sums. Null actual or expected: left out says why.
CREATE TABLE baseline_residual (
    park_id      int NOT NULL,
    firm_id      int NOT NULL,
    indicator_id text NOT NULL,
    grain        text NOT NULL,
    period       timestamptz NOT NULL,              -- start
    baseline_id  int NOT NULL REFERENCES baseline,
    fit_version  int NOT NULL,
    unit         text NOT NULL,
    actual       float8,
    expected     float8,
    residual     float8,                            -- actual - expected: positive is more than the baseline
    cusum        float8 NOT NULL,                   -- sum of residuals since the baseline came into force
    z            float8,                            -- residual in sigmas; null where the alarm form does not count it
    c_plus       float8 NOT NULL,                   -- max(0, C + z - k): more than expected
    c_minus      float8 NOT NULL,                   -- max(0, C - z - k): less
    h            float8 NOT NULL,
    alarm        text CHECK (alarm IN ('over', 'under')),
    extrapolated text[] NOT NULL DEFAULT '{}',      -- variables more than a tenth beyond the range of the base period
    left_out     text CHECK (left_out IN ('no_data', 'no_variables', 'shut_down', 'declared')),
    revision     int NOT NULL DEFAULT 0,
    run_id       bigint NOT NULL,
    PRIMARY KEY (firm_id, indicator_id, grain, period)
);
CREATE INDEX baseline_residual_of_park ON baseline_residual (park_id, grain, period);

-- What a period said before its data, or the baseline in force, changed.
CREATE TABLE baseline_residual_revision (
    LIKE baseline_residual,
    superseded    timestamptz NOT NULL DEFAULT clock_timestamp(),
    superseded_by bigint NOT NULL,
    PRIMARY KEY (firm_id, indicator_id, grain, period, revision, superseded_by)
);

-- Firms whose baselines wait, from which day on: written with the daily values, taken with the residuals.
CREATE TABLE dirty_baseline (
    firm_id  int NOT NULL,
    day      timestamptz NOT NULL,
    marked   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX dirty_baseline_of ON dirty_baseline (firm_id);

GRANT SELECT, INSERT, UPDATE, DELETE
    ON baseline, baseline_fit, baseline_residual, baseline_residual_revision, dirty_baseline TO greenpark_service;
GRANT USAGE ON SEQUENCE baseline_baseline_id_seq TO greenpark_service;

-- A firm sees its own, a park its firms'.
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['baseline', 'baseline_fit', 'baseline_residual', 'baseline_residual_revision'] LOOP
        EXECUTE format('CREATE POLICY tenant ON %I FOR SELECT TO greenpark_tenant
            USING (firm_id = ANY ((SELECT visible_firms(current_user))::int[]))', t);
        EXECUTE format('CREATE POLICY service ON %I TO greenpark_service USING (true) WITH CHECK (true)', t);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('GRANT SELECT ON %I TO greenpark_tenant', t);
    END LOOP;
END
$$;
