-- A park's year for the dashboards' benchmark, on a database of its own: made where it lies, in the order of time in
-- which a year would have come in. $1 is the end of the year. Nothing else runs these.

-- name: park
INSERT INTO park (code, name_zh, name_en) VALUES ('bench', '基准园区', 'Bench park')

-- name: firms
-- $1 firms.
INSERT INTO firm (park_id, code, name_zh, name_en, industry)
SELECT park_id, format('f%s', to_char(n, 'FM000')), format('企业%s', n), format('Firm %s', n), 'bench'
FROM park, generate_series(1, $1::int) AS n

-- name: edges
INSERT INTO edge (park_id, firm_id, code) SELECT park_id, firm_id, 'gw1' FROM firm

-- name: points
-- $1 of the twenty points of each firm, the ones that every firm has first.
INSERT INTO point (park_id, firm_id, edge_id, code, name_zh, name_en, kind, carrier, direction, unit, interval_s, product)
SELECT e.park_id, e.firm_id, e.edge_id, p.code, p.code, p.code, 'register', p.carrier, p.direction, p.unit, 900, p.product
FROM edge AS e, (VALUES
    (1, 'E-001', 'electricity', 'in', 'kWh', NULL), (2, 'W-001', 'fresh_water', 'in', 'm3', NULL),
    (3, 'R-001', 'recirculated_water', 'internal', 'm3', NULL), (4, 'P-001', 'product', 'internal', 't', 'goods'),
    (5, 'G-001', 'natural_gas', 'in', 'm3', NULL), (6, 'W-002', 'wastewater', 'out', 'm3', NULL),
    (7, 'E-002', 'electricity', 'internal', 'kWh', NULL), (8, 'E-003', 'electricity', 'internal', 'kWh', NULL),
    (9, 'E-004', 'electricity', 'internal', 'kWh', NULL), (10, 'E-005', 'electricity', 'internal', 'kWh', NULL),
    (11, 'S-001', 'steam', 'in', 't', NULL), (12, 'R-002', 'recycled_water', 'internal', 'm3', NULL),
    (13, 'R-003', 'cascaded_water', 'internal', 'm3', NULL), (14, 'W-003', 'reclaimed_water', 'in', 'm3', NULL),
    (15, 'E-006', 'electricity', 'in', 'MWh', NULL), (16, 'E-007', 'electricity', 'internal', 'kWh', NULL),
    (17, 'A-001', 'so2', 'out', 'kg', NULL), (18, 'A-002', 'cod', 'out', 'kg', NULL),
    (19, 'Z-001', 'solid_waste', 'out', 't', NULL), (20, 'H-001', 'heat', 'in', 'GJ', NULL)
) AS p (place, code, carrier, direction, unit, product)
WHERE p.place <= $1::int

-- name: unindexed
-- Rows go in much faster, and the index comes out as good.
DROP INDEX consumption_once;
ALTER TABLE consumption_period DROP CONSTRAINT consumption_period_pkey

-- name: buckets
-- [$1, $2): every 97th bucket of a point is estimated, every 1009th unknown.
INSERT INTO consumption (point_id, bucket, measured, estimated, measured_s, estimated_s, closed, run_id)
SELECT p.point_id, g.t, CASE WHEN (g.n + p.point_id) % 97 > 0 THEN 10 + (p.point_id * 7 + g.n) % 50 END,
       CASE WHEN (g.n + p.point_id) % 97 = 0 THEN 10 END, CASE WHEN (g.n + p.point_id) % 97 > 0 THEN 900 ELSE 0 END,
       CASE WHEN (g.n + p.point_id) % 97 = 0 THEN 900 ELSE 0 END, true, 1
FROM (SELECT t, (extract(epoch FROM t) / 900)::int AS n
      FROM generate_series($1::timestamptz, $2::timestamptz - interval '15 minutes', interval '15 minutes') AS t) AS g
CROSS JOIN point AS p
WHERE (g.n + p.point_id) % 1009 > 0

-- name: hours
-- [$1, $2)
INSERT INTO consumption_period (point_id, grain, period, measured, estimated, measured_s, estimated_s, run_id)
SELECT p.point_id, 'hour', t, 40 + p.point_id % 50, CASE WHEN p.point_id % 97 = 0 THEN 10 END,
       CASE WHEN p.point_id % 97 = 0 THEN 2700 ELSE 3600 END, CASE WHEN p.point_id % 97 = 0 THEN 900 ELSE 0 END, 1
FROM generate_series($1::timestamptz, $2::timestamptz - interval '1 hour', interval '1 hour') AS t CROSS JOIN point AS p

-- name: periods
-- Days, months and years from [$1, $2).
INSERT INTO consumption_period (point_id, grain, period, measured, estimated, measured_s, estimated_s, run_id)
SELECT p.point_id, g.grain, t AT TIME ZONE 'Asia/Shanghai', 1000 + p.point_id % 50, CASE WHEN p.point_id % 7 = 0 THEN 10 END,
       g.seconds * 0.99, CASE WHEN p.point_id % 7 = 0 THEN g.seconds * 0.01 ELSE 0 END, 1
FROM (VALUES ('day', 86400.0), ('month', 30 * 86400.0), ('year', 365 * 86400.0)) AS g (grain, seconds)
CROSS JOIN LATERAL generate_series(date_trunc(g.grain, $1::timestamptz AT TIME ZONE 'Asia/Shanghai'),
                                   $2::timestamptz AT TIME ZONE 'Asia/Shanghai', ('1 ' || g.grain)::interval) AS t
CROSS JOIN point AS p

-- name: indexed
CREATE UNIQUE INDEX consumption_once ON consumption (point_id, bucket);
ALTER TABLE consumption_period ADD PRIMARY KEY (point_id, grain, period)

-- name: tariff
INSERT INTO consumption_tariff (point_id, grain, period, table_id, tariff_class, measured, measured_s, estimated_s, run_id)
SELECT c.point_id, c.grain, c.period, 'bench', t.class, c.measured / 4, c.measured_s / 4, 0, 1
FROM consumption_period AS c JOIN point AS p USING (point_id),
     unnest(ARRAY['sharp', 'peak', 'flat', 'valley']) AS t (class)
WHERE p.carrier = 'electricity' AND p.direction = 'in' AND c.grain IN ('day', 'month')

-- name: balance
INSERT INTO balance (park_id, firm_id, point_id, grain, period, supply, load, loss, unaccounted, share, coverage, unknown, run_id)
SELECT p.park_id, p.firm_id, c.point_id, c.grain, c.period, c.measured, c.measured * 0.9, 0, c.measured * 0.1, 0.1, 0.99, '{}', 1
FROM consumption_period AS c JOIN point AS p USING (point_id)
WHERE p.code IN ('E-001', 'W-001') AND c.grain IN ('day', 'month')

-- name: indicators
-- $1 ids, $2 units, $3 a grain, [$4, $5): for the park and every firm.
INSERT INTO indicator_value (park_id, firm_id, scope, scope_id, indicator_id, grain, period, numerator, denominator, value,
                             unit, coverage, closed, lineage, run_id)
SELECT s.park_id, s.firm_id, s.scope, s.scope_id, i.id, $3, t AT TIME ZONE 'Asia/Shanghai', 100 + s.scope_id, 10,
       50 + s.scope_id % 40, i.unit, 0.99, true,
       '{"factors": [{"id": "bench-electricity", "value": 0.1229, "verified": true, "note": ""}, {"id": "bench-gas", "value": 1.33, "verified": true, "note": ""}], "points": [1, 2, 3], "left_out": [], "estimated_share": 0.01}', 1
FROM generate_series(date_trunc($3, $4::timestamptz AT TIME ZONE 'Asia/Shanghai'), $5::timestamptz AT TIME ZONE 'Asia/Shanghai',
                     ('1 ' || $3)::interval) AS t
CROSS JOIN (SELECT park_id, firm_id, 'firm' AS scope, firm_id AS scope_id FROM firm
            UNION ALL SELECT park_id, NULL, 'park', park_id FROM park) AS s
CROSS JOIN unnest($1::text[], $2::text[]) AS i (id, unit)

-- name: standings
-- $1 targets as pack/target, $2 their versions, [$3, $4]: a day's standing of the park and every firm; the last holds.
INSERT INTO standing (park_id, firm_id, scope, scope_id, pack_id, pack_version, target_id, as_of, state, sentence_zh,
                      sentence_en, value, target_value, required, projection, current, run_id)
SELECT s.park_id, s.firm_id, s.scope, s.scope_id, split_part(t.id, '/', 1), t.version, split_part(t.id, '/', 2), d,
       (ARRAY['ahead', 'on_pace', 'at_risk', 'off', 'undefined'])[1 + (s.scope_id + extract(doy FROM d)::int) % 5], '基准', 'Bench',
       80, 90, 85, 88, d > $4::timestamptz - interval '1 day', 1
FROM generate_series($3::timestamptz + interval '1 hour', $4::timestamptz, interval '1 day') AS d
CROSS JOIN (SELECT park_id, firm_id, 'firm' AS scope, firm_id AS scope_id FROM firm
            UNION ALL SELECT park_id, NULL, 'park', park_id FROM park) AS s
CROSS JOIN unnest($1::text[], $2::int[]) AS t (id, version)

-- name: pack
INSERT INTO target_pack (pack_id, version, sha256, body) VALUES ($1, $2, 'bench', $3)

-- name: park_packs
INSERT INTO park_target_pack (park_id, pack_id) SELECT DISTINCT p.park_id, t.pack_id FROM park AS p, target_pack AS t WHERE t.park_id IS NULL

-- name: episodes
-- $2 in the year that ends at $1; one in a hundred is open.
INSERT INTO episode (park_id, firm_id, rule_id, rule_version, cause_key, scope, scope_id, state, severity, began, opened,
                     ended, title_zh, title_en, evidence, seen, changed)
SELECT f.park_id, f.firm_id, 'rule_' || n % 20, 1, format('bench:%s:%s', f.firm_id, n), 'firm', f.firm_id,
       CASE WHEN n % 100 = 0 THEN 'open' WHEN n % 50 = 0 THEN 'retracted' ELSE 'resolved' END,
       (ARRAY['info', 'warning', 'major', 'critical'])[1 + n % 4], e.at, e.at + interval '5 minutes',
       CASE WHEN n % 100 > 0 THEN e.at + interval '2 hours' END, '基准', 'Bench', '{}', e.at + interval '2 hours', e.at + interval '2 hours'
FROM generate_series(1, $2::int) AS n
CROSS JOIN LATERAL (SELECT $1::timestamptz - n * interval '365 days' / $2::int AS at) AS e
JOIN firm AS f ON f.firm_id = 1 + n % (SELECT count(*) FROM firm)

-- name: transitions
INSERT INTO episode_transition (episode_id, park_id, firm_id, from_state, to_state, at, recorded, by)
SELECT e.episode_id, e.park_id, e.firm_id, t.old, t.new, e.opened, e.opened + t.after, 'bench'
FROM episode AS e, (VALUES ('pending', 'open', interval '0'), ('open', 'acknowledged', interval '10 minutes'),
                           ('acknowledged', 'resolved', interval '2 hours')) AS t (old, new, after)
WHERE e.episode_id % 3 > 0 OR t.new <> 'acknowledged'

-- name: batches
-- One of every edge each minute of the last $2 days.
INSERT INTO batch (edge_id, boot, seq, sent, stored, readings)
SELECT e.edge_id, 'bench', extract(epoch FROM t)::bigint, t, t + interval '400 milliseconds', 20
FROM generate_series($1::timestamptz - $2::int * interval '1 day', $1::timestamptz, interval '1 minute') AS t CROSS JOIN edge AS e

-- name: runs
INSERT INTO run (park_id, firm_id, cause, code_version, started, finished, waited_s)
SELECT f.park_id, f.firm_id, 'reading', 'bench', t, t + interval '200 milliseconds', 1 + f.firm_id % 5
FROM generate_series($1::timestamptz - $2::int * interval '1 day', $1::timestamptz, interval '1 minute') AS t CROSS JOIN firm AS f

-- name: latest
INSERT INTO latest SELECT point_id, $1::timestamptz, point_id, 0, $1::timestamptz FROM point

-- name: edge_status
INSERT INTO edge_status (edge_id, park_id, firm_id, online, boot, at, version, buffered_batches, buffered_bytes, clock_offset_ms)
SELECT edge_id, park_id, firm_id, edge_id % 10 > 0, 'bench', $1::timestamptz, 'bench', 0, 0, edge_id FROM edge

-- name: edge_events
INSERT INTO edge_event (park_id, firm_id, edge_id, boot, at, kind, body)
SELECT park_id, firm_id, edge_id, 'bench', t, 'restart', '{}'
FROM edge, generate_series($1::timestamptz - interval '365 days', $1::timestamptz, interval '7 days') AS t

-- name: conflicts
INSERT INTO reading_conflict (point_id, t, value, quality, stored_value, batch_id, noticed)
SELECT point_id, t, 1, 0, 2, 1, t FROM point, generate_series($1::timestamptz - interval '365 days', $1::timestamptz, interval '30 days') AS t

-- name: quarantined
INSERT INTO quarantine (received, park_id, firm_id, topic, payload, reason, detail, fingerprint)
SELECT t, park_id, firm_id, 'bench', '', 'columns', 'bench', decode(md5(firm_id || ' ' || t), 'hex')
FROM firm, generate_series($1::timestamptz - interval '365 days', $1::timestamptz, interval '10 days') AS t

-- name: revisions
INSERT INTO indicator_revision (park_id, firm_id, scope, scope_id, indicator_id, grain, period, numerator, denominator,
                                value, unit, coverage, reason, closed, revision, lineage, run_id, superseded, superseded_by)
SELECT park_id, firm_id, scope, scope_id, indicator_id, grain, period, numerator, denominator, value, unit, coverage, reason,
       closed, revision, lineage, run_id, least(period + interval '3 days', $1::timestamptz), 1
FROM indicator_value WHERE grain = 'day' AND indicator_id = 'water_reuse_rate'

-- name: baselines
INSERT INTO baseline (park_id, firm_id, indicator_id, grain, variables, base_from, base_to, valid_from, reason, author)
SELECT park_id, firm_id, 'comprehensive_energy_equivalent', 'day', '{production}', ($1::timestamptz - interval '2 years')::date,
       ($1::timestamptz - interval '1 year')::date, ($1::timestamptz - interval '1 year')::date, 'bench', 'bench' FROM firm

-- name: residuals
INSERT INTO baseline_residual (park_id, firm_id, indicator_id, grain, period, baseline_id, fit_version, unit, actual, expected, residual,
                               cusum, c_plus, c_minus, h, run_id)
SELECT park_id, firm_id, indicator_id, 'day', t, baseline_id, 0, 'kgce', 1, 1, 0, 1, 0, 0, 5, 1
FROM baseline, generate_series($1::timestamptz - interval '365 days', $1::timestamptz, interval '1 day') AS t

-- name: statistics
ANALYZE

-- name: size
SELECT pg_database_size(current_database())::bigint AS bytes,
       (SELECT coalesce(sum(c.reltuples), 0)::bigint FROM pg_class AS c JOIN pg_inherits AS i ON i.inhrelid = c.oid
        WHERE i.inhparent = 'greenpark.consumption'::regclass) AS buckets,
       (SELECT reltuples::bigint FROM pg_class WHERE oid = 'greenpark.consumption_period'::regclass) AS periods
