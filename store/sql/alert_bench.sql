-- A park of any size with a quiet past, written directly, for the benchmark of alerts.

-- name: lay_park
WITH p AS (
    INSERT INTO park (code, name_zh, name_en) VALUES ('bench', '测试园区', 'Benchmark park') RETURNING park_id
), f AS (
    INSERT INTO firm (park_id, code, name_zh, name_en, industry)
    SELECT park_id, 'f' || lpad(k::text, 4, '0'), '企业' || k, 'Firm ' || k, 'test' FROM p, generate_series(1, $1::int) AS k
    RETURNING firm_id, park_id
), e AS (
    INSERT INTO edge (park_id, firm_id, code) SELECT park_id, firm_id, 'gw1' FROM f RETURNING edge_id, firm_id, park_id
)
INSERT INTO point (park_id, firm_id, edge_id, code, name_zh, name_en, kind, carrier, direction, unit, interval_s, product,
                   rate_limit_per_h)
SELECT e.park_id, e.firm_id, e.edge_id, 'P-' || lpad(k::text, 4, '0'), '表' || k, 'Meter ' || k, 'register',
       CASE k WHEN 1 THEN 'electricity' WHEN 2 THEN 'product' WHEN 3 THEN 'fresh_water' WHEN 4 THEN 'wastewater'
              WHEN 5 THEN 'recirculated_water' WHEN 6 THEN 'natural_gas'
              ELSE (ARRAY['electricity', 'electricity', 'electricity', 'steam', 'electricity'])[1 + k % 5] END,
       CASE k WHEN 1 THEN 'in' WHEN 2 THEN 'out' WHEN 3 THEN 'in' WHEN 4 THEN 'out' WHEN 6 THEN 'in' ELSE 'internal' END,
       CASE k WHEN 2 THEN 'piece' ELSE
           CASE WHEN k = 1 THEN 'kWh' WHEN k <= 6 THEN 'm3' ELSE (ARRAY['kWh', 'kWh', 'kWh', 't', 'kWh'])[1 + k % 5] END END,
       900, CASE k WHEN 2 THEN 'thing' END, 100000
FROM e, generate_series(1, $2::int) AS k

-- name: lay_parents
INSERT INTO point_parent (point_id, parent_id)
SELECT c.point_id, m.point_id FROM point AS c JOIN point AS m ON m.firm_id = c.firm_id AND m.code = 'P-0001'
WHERE c.carrier = 'electricity' AND c.direction = 'internal'

-- name: lay_hours
INSERT INTO consumption_period (point_id, grain, period, measured, measured_s, estimated_s, run_id)
SELECT p.point_id, 'hour', h, (4 * (10 + p.point_id % 7)) * (1 + 0.1 * sin(extract(epoch FROM h) / 40000))
       * (0.99 + 0.02 * ((p.point_id * 7919 + extract(epoch FROM h)::bigint / 3600 * 104729) % 1000) / 1000.0), 3600, 0, 1
FROM point AS p, generate_series($1::timestamptz, $2::timestamptz - interval '1 hour', interval '1 hour') AS h

-- name: lay_buckets
INSERT INTO consumption (point_id, bucket, measured, measured_s, estimated_s, closed, run_id)
SELECT p.point_id, b, 10 + p.point_id % 7, 900, 0, true, 1
FROM point AS p, generate_series($1::timestamptz, $2::timestamptz - interval '15 minutes', interval '15 minutes') AS b
WHERE NOT p.firm_id = ANY ($3::int[])
ON CONFLICT DO NOTHING

-- name: set_latest
INSERT INTO latest (point_id, t, value, quality, stored)
SELECT point_id, $1, 1, 0, clock_timestamp() FROM point WHERE NOT firm_id = ANY ($2::int[])
ON CONFLICT (point_id) DO UPDATE SET t = excluded.t

-- name: mark_all
INSERT INTO alert_mark (park_id, firm_id, t_from) SELECT park_id, firm_id, $1 FROM firm

-- name: progress_all
INSERT INTO alert_progress (firm_id, evaluated) SELECT firm_id, $1 FROM firm

-- name: go_dark
UPDATE edge_status SET online = false, at = $2, received = clock_timestamp() WHERE firm_id = $1

-- name: all_online
INSERT INTO edge_status (edge_id, park_id, firm_id, online, boot, at, version, buffered_batches, buffered_bytes)
SELECT edge_id, park_id, firm_id, true, 'b', $1, '', 0, 0 FROM edge

-- name: analyze
ANALYZE consumption, consumption_period, point, latest

-- name: episodes
SELECT rule_id, scope, count(*) AS episodes, max(covered) AS covered
FROM episode WHERE state <> 'retracted' GROUP BY rule_id, scope ORDER BY rule_id, scope

-- name: firm_ids
SELECT firm_id FROM firm ORDER BY firm_id
