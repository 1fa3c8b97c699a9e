-- Energy baselines: what was asked for, what they are fitted to, their fits, and the periods held against them.

-- name: add
-- $8, $9: first and last day (exclusive) of each stretch that is left out.
INSERT INTO baseline (park_id, firm_id, indicator_id, grain, variables, base_from, base_to, left_out, valid_from, reason,
                      author)
SELECT f.park_id, f.firm_id, $2, $3, $4, $5, $6,
       coalesce((SELECT range_agg(daterange(a, b)) FROM unnest($7::date[], $8::date[]) AS w (a, b)), '{}'),
       $9, $10, $11
FROM firm AS f WHERE f.firm_id = $1
RETURNING baseline_id

-- name: supersede
-- Earlier baselines of the same firm, energy and grain end where the new one ($1) begins.
UPDATE baseline AS old SET valid_to = greatest(old.valid_from, new.valid_from), superseded_by = new.baseline_id
FROM baseline AS new
WHERE new.baseline_id = $1 AND old.baseline_id < new.baseline_id
    AND (old.firm_id, old.indicator_id, old.grain) = (new.firm_id, new.indicator_id, new.grain)
    AND (old.valid_to IS NULL OR old.valid_to > new.valid_from)

-- name: end
UPDATE baseline SET valid_to = greatest(valid_from, $2), end_reason = $3, end_author = $4
WHERE baseline_id = $1 AND (valid_to IS NULL OR valid_to > $2)

-- name: of_firm
-- The baselines of a firm, oldest first. Stretches left out come as two arrays.
SELECT baseline_id, park_id, firm_id, indicator_id, grain, variables, base_from, base_to, valid_from, valid_to, reason,
       author, created, superseded_by, end_reason, end_author,
       ARRAY(SELECT lower(r) FROM unnest(left_out) AS r ORDER BY r) AS left_out_from,
       ARRAY(SELECT upper(r) FROM unnest(left_out) AS r ORDER BY r) AS left_out_to
FROM baseline WHERE firm_id = $1 ORDER BY baseline_id

-- name: listed
-- Every baseline with its newest fit and the newest period held against it; $1: only of this park.
SELECT b.baseline_id, k.code || '/' || f.code AS firm, b.indicator_id, b.grain, b.base_from, b.base_to, b.valid_from,
       b.valid_to, b.reason, b.author, b.created, b.superseded_by, b.end_reason, t.version, t.usable, t.failed,
       t.periods, t.r_squared, t.cv_rmse_percent, r.period, r.cusum, r.unit, r.alarm
FROM baseline AS b JOIN firm AS f USING (firm_id) JOIN park AS k ON k.park_id = b.park_id
LEFT JOIN LATERAL (SELECT * FROM baseline_fit AS x WHERE x.baseline_id = b.baseline_id ORDER BY version DESC LIMIT 1)
    AS t ON true
LEFT JOIN LATERAL (SELECT * FROM baseline_residual AS y
    WHERE (y.firm_id, y.indicator_id, y.grain, y.baseline_id) = (b.firm_id, b.indicator_id, b.grain, b.baseline_id)
    ORDER BY period DESC LIMIT 1) AS r ON true
WHERE $1::text IS NULL OR k.code = $1
ORDER BY k.code, f.code, b.indicator_id, b.grain, b.baseline_id

-- name: energy
-- What a firm used on each finished day ($5: by now), NaN where it is undefined or too little of the day was measured.
SELECT period, CASE WHEN reason IS NULL AND coverage >= $6 THEN coalesce(value, 'NaN') ELSE 'NaN' END AS value
FROM indicator_value
WHERE scope = 'firm' AND scope_id = $1 AND indicator_id = $2 AND grain = 'day' AND period >= $3
    AND period < least($4::timestamptz, $5::timestamptz)
ORDER BY period

-- name: energy_unit
SELECT unit FROM indicator_value WHERE scope = 'firm' AND scope_id = $1 AND indicator_id = $2 AND grain = 'day' LIMIT 1

-- name: production
-- What each product counter of a firm counted on each day.
SELECT c.point_id, coalesce(p.product, '') AS product, p.unit, c.period,
       coalesce(c.measured, 0) + coalesce(c.estimated, 0) AS quantity, c.measured_s + c.estimated_s AS known_s
FROM consumption_period AS c JOIN point AS p USING (point_id)
WHERE p.firm_id = $1 AND p.carrier = 'product' AND p.kind <> 'gauge' AND c.grain = 'day'
    AND c.period >= $2 AND c.period < $3

-- name: temperature
-- Outdoor temperature by day: of the firm's own gauge, or else of one of its park. The ledger holds the integral of a
-- gauge over hours; over the hours known that is the mean.
WITH station AS (
    SELECT p.point_id FROM point AS p JOIN firm AS f USING (firm_id)
    WHERE p.park_id = (SELECT park_id FROM firm WHERE firm_id = $1) AND p.carrier = 'outdoor_temperature'
        AND p.kind = 'gauge' AND p.unit = 'degC'
    ORDER BY p.firm_id <> $1, f.code, p.code LIMIT 1
)
SELECT c.point_id, c.period, c.measured * 3600 / c.measured_s AS mean_c, c.measured_s AS known_s
FROM consumption_period AS c JOIN station USING (point_id)
WHERE c.grain = 'day' AND c.period >= $2 AND c.period < $3 AND c.measured_s > 0

-- name: mark
-- Days of a firm changed: its baselines wait, and where it reads the weather those of the whole park do.
INSERT INTO dirty_baseline (firm_id, day)
SELECT DISTINCT b.firm_id, d.day
FROM unnest($2::timestamptz[]) AS d (day) CROSS JOIN baseline AS b
WHERE b.firm_id = $1 OR (b.park_id = (SELECT park_id FROM firm WHERE firm_id = $1)
    AND EXISTS (SELECT 1 FROM point AS p WHERE p.firm_id = $1 AND p.carrier = 'outdoor_temperature'))

-- name: waiting
SELECT d.firm_id, f.park_id, k.time_zone
FROM (SELECT firm_id, min(marked) AS marked FROM dirty_baseline GROUP BY firm_id) AS d
JOIN firm AS f USING (firm_id) JOIN park AS k ON k.park_id = f.park_id
ORDER BY d.marked

-- name: wait_for_firm
-- As lock_firm, but waits its turn.
SELECT pg_advisory_xact_lock(8, $1)

-- name: lock_firm
-- One worker a firm, to the end of the transaction. 8 is the key space of baselines.
SELECT pg_try_advisory_xact_lock(8, $1)

-- name: take
DELETE FROM dirty_baseline WHERE firm_id = $1 RETURNING day

-- name: fits
-- The newest fit of each baseline of a firm.
SELECT DISTINCT ON (baseline_id) baseline_id, version, body, fitted, run_id
FROM baseline_fit WHERE firm_id = $1 ORDER BY baseline_id, version DESC

-- name: fits_of
SELECT version, usable, failed, periods, r_squared, cv_rmse_percent, fitted, run_id FROM baseline_fit
WHERE baseline_id = $1 ORDER BY version

-- name: add_fit
INSERT INTO baseline_fit (baseline_id, version, park_id, firm_id, usable, failed, periods, unit, r_squared,
                          cv_rmse_percent, nmbe_percent, sigma, k, h, body, run_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)

-- name: residuals
-- What is written about a firm's energy in a grain.
SELECT period, baseline_id, fit_version, unit, actual, expected, residual, cusum, z, c_plus, c_minus, h, alarm,
       extrapolated, left_out, revision
FROM baseline_residual
WHERE firm_id = $1 AND indicator_id = $2 AND grain = $3 ORDER BY period

-- name: keep_residuals
INSERT INTO baseline_residual_revision
SELECT r.*, clock_timestamp(), $5 FROM baseline_residual AS r
WHERE firm_id = $1 AND indicator_id = $2 AND grain = $3 AND period = ANY ($4::timestamptz[])

-- name: delete_residuals
DELETE FROM baseline_residual WHERE firm_id = $1 AND indicator_id = $2 AND grain = $3 AND period = ANY ($4::timestamptz[])

-- name: write_residuals
INSERT INTO baseline_residual (park_id, firm_id, indicator_id, grain, period, baseline_id, fit_version, unit, actual,
                               expected, residual, cusum, z, c_plus, c_minus, h, alarm, extrapolated, left_out,
                               revision, run_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
ON CONFLICT (firm_id, indicator_id, grain, period) DO UPDATE SET baseline_id = excluded.baseline_id,
    fit_version = excluded.fit_version, unit = excluded.unit, actual = excluded.actual, expected = excluded.expected,
    residual = excluded.residual, cusum = excluded.cusum, z = excluded.z, c_plus = excluded.c_plus,
    c_minus = excluded.c_minus, h = excluded.h, alarm = excluded.alarm, extrapolated = excluded.extrapolated,
    left_out = excluded.left_out, revision = excluded.revision, run_id = excluded.run_id

-- name: last_revisions
-- The newest revision that was ever kept of periods that are written again.
SELECT period, max(revision) AS revision FROM baseline_residual_revision
WHERE firm_id = $1 AND indicator_id = $2 AND grain = $3 AND period = ANY ($4::timestamptz[]) GROUP BY period
