-- More of the specimen, so that no panel of the dashboards is empty; see specimen.sql.

-- name: tariff
INSERT INTO consumption_tariff (point_id, grain, period, table_id, tariff_class, measured, estimated, measured_s, estimated_s, run_id)
SELECT c.point_id, c.grain, c.period, 'specimen', t.tariff_class, c.measured / 2, c.estimated / 2, c.measured_s / 2,
       c.estimated_s / 2, c.run_id
FROM consumption_period AS c JOIN point AS p USING (point_id),
     (VALUES ('peak'), ('valley')) AS t (tariff_class)
WHERE p.park_id = $2::int AND p.carrier = 'electricity' AND c.grain IN ('day', 'month') AND c.period < $1::timestamptz

-- name: balance
INSERT INTO balance (park_id, firm_id, point_id, grain, period, supply, load, loss, unaccounted, share, coverage, unknown, run_id)
SELECT p.park_id, p.firm_id, c.point_id, c.grain, c.period, c.measured, c.measured * 0.9, 0, c.measured * 0.1, 0.1, 0.9,
       ARRAY[f.code || '/' || p.code], c.run_id
FROM consumption_period AS c JOIN point AS p USING (point_id) JOIN firm AS f USING (firm_id)
WHERE p.park_id = $2::int AND p.code IN ('E-001', 'W-001') AND c.grain IN ('day', 'month') AND c.period < $1::timestamptz

-- name: held
UPDATE consumption_period SET held = 5 WHERE grain = 'day' AND period < $1::timestamptz
    AND point_id IN (SELECT point_id FROM point WHERE park_id = $2::int AND code = 'E-001')

-- name: nights
-- Two whole nights of fresh water, and whole hours of electricity.
UPDATE consumption_period AS c SET measured_s = 3600, estimated_s = 0
FROM point AS p
WHERE p.point_id = c.point_id AND p.park_id = $2::int AND p.code IN ('W-001', 'E-001') AND c.grain = 'hour' AND c.period < $1::timestamptz

-- name: acknowledged
INSERT INTO episode_transition (episode_id, park_id, firm_id, from_state, to_state, at, recorded, by)
SELECT e.episode_id, e.park_id, e.firm_id, 'open', 'acknowledged', e.opened, $1::timestamptz, 'specimen'
FROM episode AS e WHERE e.park_id = $2::int AND e.state = 'resolved'

-- name: recipient
INSERT INTO recipient (park_id, firm_id, name, channel, address)
SELECT park_id, firm_id, 'specimen', 'webhook', 'http://127.0.0.1:9/' || firm_id FROM firm
WHERE park_id = $2::int AND $1::timestamptz IS NOT NULL

-- name: outbox
INSERT INTO outbox (park_id, firm_id, recipient_firm, episode_id, transition_id, recipient_id, dedupe_key, body, state, attempts, created, delivered, expires)
SELECT e.park_id, e.firm_id, e.firm_id, e.episode_id, t.transition_id, r.recipient_id, 'specimen:' || t.transition_id, '{"channel": "webhook"}', 'delivered', 1,
       $1::timestamptz - interval '1 hour', $1::timestamptz, $1::timestamptz
FROM episode AS e JOIN recipient AS r ON r.firm_id = e.firm_id
JOIN LATERAL (SELECT max(x.transition_id) AS transition_id FROM episode_transition AS x WHERE x.episode_id = e.episode_id) AS t ON true
WHERE e.park_id = $2::int

-- name: meter_change
INSERT INTO meter_change (park_id, firm_id, point_id, kind, at, author, reason, before, after)
SELECT park_id, firm_id, point_id, 'replace', $1::timestamptz - interval '1 day', 'specimen', 'specimen', '{}', '{}'
FROM point WHERE park_id = $2::int AND code = 'E-001'

-- name: clock
UPDATE edge_status SET clock_offset_ms = 1000 * firm_id, at = $1::timestamptz WHERE park_id = $2::int

-- name: waited
UPDATE run SET waited_s = coalesce(firm_id, park_id), finished = $1::timestamptz - interval '10 minutes' WHERE park_id = $2::int

-- name: batches
UPDATE batch SET stored = $1::timestamptz - interval '10 minutes', sent = $1::timestamptz - interval '11 minutes'
WHERE edge_id IN (SELECT edge_id FROM edge WHERE park_id = $2::int)

-- name: conflicts
UPDATE reading_conflict SET noticed = $1::timestamptz - interval '1 hour'
WHERE point_id IN (SELECT point_id FROM point WHERE park_id = $2::int)

-- name: indicator_revisions
UPDATE indicator_revision SET superseded = $1::timestamptz - interval '1 hour' WHERE park_id = $2::int

-- name: more_indicators
INSERT INTO indicator_value (park_id, firm_id, scope, scope_id, indicator_id, grain, period, numerator, denominator,
                             value, unit, coverage, closed, lineage, run_id)
SELECT v.park_id, v.firm_id, v.scope, v.scope_id, i.id, v.grain, v.period, v.numerator, 10, 10 + v.scope_id, '%', 0.9, v.closed, '{}', v.run_id
FROM indicator_value AS v,
     unnest(ARRAY['co2_scope_1', 'co2_scope_2_location', 'co2_scope_2_national', 'co2_per_tce', 'zero_carbon_park_energy_carbon',
                  'so2_discharge', 'nox_discharge', 'cod_discharge', 'ammonia_nitrogen_discharge', 'emission_compliance_rate',
                  'clean_energy_share', 'renewable_energy_share', 'maximum_demand', 'load_factor', 'power_factor',
                  'water_circulating_rate', 'cooling_recirculation_rate', 'solid_waste_utilisation_rate',
                  'solid_waste_disposal_utilisation_rate', 'hazardous_waste_disposal_rate']) AS i (id)
WHERE v.park_id = $2::int AND v.indicator_id = 'water_reuse_rate' AND v.scope IN ('firm', 'park') AND v.period <= $1::timestamptz

-- name: intensities
UPDATE indicator_value SET value = 5 + scope_id, reason = NULL
WHERE park_id = $2::int AND indicator_id = 'energy_per_product' AND period <= $1::timestamptz

-- name: business
INSERT INTO business_input (park_id, firm_id, kind, key, grain, period, version, amount, unit, finality, author, source, reason)
SELECT f.park_id, f.firm_id, 'solid_waste', c.category || '/' || d.destination, 'month',
       (date_trunc('month', $1::timestamptz AT TIME ZONE 'Asia/Shanghai'))::date, 1, f.firm_id, 't',
       'final', 'specimen', 'specimen', ''
FROM firm AS f, (VALUES ('general'), ('hazardous')) AS c (category),
     (VALUES ('generated'), ('utilised'), ('disposed')) AS d (destination)
WHERE f.park_id = $2::int

-- name: contributions
INSERT INTO standing_contribution (standing_id, park_id, firm_id, from_start, from_end, to_start, to_end, unit, effect)
SELECT s.standing_id, s.park_id, f.firm_id, $1::timestamptz, $1::timestamptz, $1::timestamptz, $1::timestamptz, '%', f.firm_id
FROM standing AS s JOIN firm AS f USING (park_id) WHERE s.park_id = $2::int AND s.scope = 'park' AND s.current

-- name: edge_history
INSERT INTO edge_history (edge_id, park_id, firm_id, at, online, boot, buffered_batches, buffered_bytes, clock_offset_ms)
SELECT edge_id, park_id, firm_id, $1::timestamptz - interval '1 hour', true, 'specimen', 0, 0, 1000 * firm_id FROM edge
WHERE park_id = $2::int

-- name: lineage
UPDATE indicator_value SET lineage = '{"factors": [{"id": "specimen", "value": 0.1229, "verified": true, "note": ""}]}', estimated_share = 0.1
WHERE park_id = $2::int AND period <= $1::timestamptz

-- name: flags
INSERT INTO firm_flag (firm_id, flag) SELECT firm_id, 'above_scale' FROM firm
WHERE park_id = $2::int AND $1::timestamptz IS NOT NULL ON CONFLICT DO NOTHING

-- name: baseline
INSERT INTO baseline (park_id, firm_id, indicator_id, grain, variables, base_from, base_to, valid_from, reason, author)
SELECT park_id, firm_id, 'comprehensive_energy_equivalent', 'day', '{production}', ($1::timestamptz - interval '1 year')::date,
       ($1::timestamptz - interval '1 month')::date, ($1::timestamptz - interval '1 month')::date, 'specimen', 'specimen'
FROM firm WHERE park_id = $2::int

-- name: baseline_fit
INSERT INTO baseline_fit (baseline_id, version, park_id, firm_id, usable, failed, periods, unit, r_squared, cv_rmse_percent, body, fitted, run_id)
SELECT baseline_id, 0, park_id, firm_id, false, '{r_squared}', 300, 'kgce', 0.5, 20, '{}', $1::timestamptz, 1 FROM baseline WHERE park_id = $2::int

-- name: baseline_residual
INSERT INTO baseline_residual (park_id, firm_id, indicator_id, grain, period, baseline_id, fit_version, unit, actual, expected, residual,
                               cusum, c_plus, c_minus, h, run_id)
SELECT park_id, firm_id, indicator_id, grain, date_trunc('day', $1::timestamptz) - n * interval '1 day', baseline_id, 0, 'kgce',
       firm_id, firm_id, 0, firm_id, 0, 0, 5, 1
FROM baseline, generate_series(1, 3) AS n WHERE park_id = $2::int

-- name: more_targets
UPDATE target_pack SET body = jsonb_set(body, '{targets}', body -> 'targets' ||
    '[{"id": "waste", "indicator": "solid_waste_utilisation_rate", "value": 70, "name_zh": "样例", "name_en": "Specimen"}]')
WHERE loaded <= $1::timestamptz AND EXISTS (SELECT FROM park WHERE park_id = $2::int)
    AND NOT body -> 'targets' @> '[{"id": "waste"}]'
