-- What people and other systems read over HTTP. Every statement but the last two runs as a tenant's role in a
-- read-only transaction, so that the database decides what is seen. Pages are cut by key, never by offset.

-- name: alive
SELECT 1

-- name: act_as
-- SET LOCAL ROLE with the name as a parameter.
SELECT set_config('role', $1, true)

-- name: is_tenant
SELECT EXISTS (
    SELECT FROM pg_roles AS r
    WHERE r.rolname = $1 AND NOT r.rolsuper AND pg_has_role(r.oid, 'greenpark_tenant', 'MEMBER')
        AND NOT pg_has_role(r.oid, 'greenpark_service', 'MEMBER'))

-- name: parks
SELECT park_id, code, name_zh, name_en, time_zone FROM park
WHERE park_id > $1::bigint ORDER BY park_id LIMIT $2

-- name: park
SELECT park_id, code, name_zh, name_en, time_zone FROM park WHERE park_id = $1

-- name: firms
SELECT firm_id, park_id, code, name_zh, name_en, uscc, industry, industrial, status FROM firm
WHERE ($1::int IS NULL OR park_id = $1) AND firm_id > $2::bigint ORDER BY firm_id LIMIT $3

-- name: firm
SELECT firm_id, park_id, code, name_zh, name_en, uscc, industry, industrial, status FROM firm WHERE firm_id = $1

-- name: points
SELECT p.point_id, p.park_id, p.firm_id, p.unit_id, p.edge_id, p.code, p.name_zh, p.name_en, p.kind, p.carrier,
       p.direction, p.unit, p.interval_s, p.product, l.t AS newest_t, l.value AS newest_value,
       l.quality AS newest_quality, l.stored AS newest_stored
FROM point AS p LEFT JOIN latest AS l USING (point_id)
WHERE ($1::int IS NULL OR p.firm_id = $1) AND ($2::text IS NULL OR p.carrier = $2) AND p.point_id > $3::bigint
ORDER BY p.point_id LIMIT $4

-- name: point
SELECT p.point_id, p.park_id, p.firm_id, p.unit_id, p.edge_id, p.code, p.name_zh, p.name_en, p.kind, p.carrier,
       p.direction, p.unit, p.interval_s, p.product, l.t AS newest_t, l.value AS newest_value,
       l.quality AS newest_quality, l.stored AS newest_stored
FROM point AS p LEFT JOIN latest AS l USING (point_id)
WHERE p.point_id = $1

-- name: invisible_points
-- Which of these points the role does not see, whether they exist or not.
SELECT w.point_id FROM unnest($1::int[]) AS w (point_id)
WHERE NOT EXISTS (SELECT FROM point AS p WHERE p.point_id = w.point_id)
ORDER BY 1

-- name: readings
SELECT t, value, quality, batch_id FROM tenant_reading
WHERE point_id = $1 AND t >= $2 AND t < $3 AND t > $4
ORDER BY t LIMIT $5

-- name: buckets
SELECT c.point_id, c.bucket AS period, c.measured, c.estimated, c.measured_s::float8, c.estimated_s::float8, c.held,
       c.flags, c.revision, c.run_id, p.unit, p.kind, k.time_zone
FROM tenant_consumption AS c JOIN point AS p USING (point_id) JOIN park AS k ON k.park_id = p.park_id
WHERE c.point_id = ANY ($1::int[]) AND c.bucket >= $2 AND c.bucket < $3 AND (c.bucket, c.point_id) > ($4, $5::bigint)
ORDER BY c.bucket, c.point_id LIMIT $6

-- name: periods
SELECT c.point_id, c.period, c.measured, c.estimated, c.measured_s, c.estimated_s, c.held, c.flags,
       NULL::smallint AS revision, c.run_id, p.unit, p.kind, k.time_zone
FROM consumption_period AS c JOIN point AS p USING (point_id) JOIN park AS k ON k.park_id = p.park_id
WHERE c.point_id = ANY ($1::int[]) AND c.period >= $2 AND c.period < $3 AND (c.period, c.point_id) > ($4, $5::bigint)
    AND c.grain = $7
ORDER BY c.period, c.point_id LIMIT $6

-- name: indicator_values
SELECT v.indicator_id, v.scope, v.scope_id, v.park_id, v.firm_id, v.grain, v.period, v.numerator, v.denominator,
       v.value, v.unit, v.coverage, v.reason, v.closed, v.revision, v.lineage, v.run_id, r.code_version,
       r.finished AS computed, NULL::timestamptz AS superseded
FROM indicator_value AS v LEFT JOIN run AS r USING (run_id)
WHERE v.indicator_id = $1 AND v.grain = $2 AND v.period >= $3 AND v.period < $4
    AND ($5::text IS NULL OR v.scope = $5) AND ($6::int IS NULL OR v.scope_id = $6)
    AND (v.period, v.scope, v.scope_id) > ($7, $8::text, $9::bigint)
ORDER BY v.period, v.scope, v.scope_id LIMIT $10

-- name: indicator_revisions
-- What was published before, of one subject, oldest first.
SELECT v.indicator_id, v.scope, v.scope_id, v.park_id, v.firm_id, v.grain, v.period, v.numerator, v.denominator,
       v.value, v.unit, v.coverage, v.reason, v.closed, v.revision, v.lineage, v.run_id, r.code_version,
       r.finished AS computed, v.superseded
FROM indicator_revision AS v LEFT JOIN run AS r USING (run_id)
WHERE v.indicator_id = $1 AND v.grain = $2 AND v.period >= $3 AND v.period < $4 AND v.scope = $5 AND v.scope_id = $6
    AND (v.period, v.revision) > ($7, $8::bigint)
ORDER BY v.period, v.revision LIMIT $9

-- name: standings
SELECT s.standing_id, s.park_id, s.firm_id, s.scope, s.scope_id, s.pack_id, s.pack_version, s.target_id, s.as_of,
       s.state, s.reason, s.sentence_zh, s.sentence_en, s.value, s.target_value, s.required, s.projection, s.current,
       s.run_id, s.indicator_id, s.unit, s.coverage, s.progress, s.projection_low, s.projection_high, s.projected_for,
       s.confidence, s.method, s.needed_rate, s.needed_rest, s.miss_week, s.revision, s.superseded
FROM standing AS s
WHERE (s.current OR $1) AND ($2::text IS NULL OR s.scope = $2) AND ($3::int IS NULL OR s.scope_id = $3)
    AND ($4::text IS NULL OR s.pack_id = $4) AND ($5::text IS NULL OR s.state = $5) AND s.standing_id > $6
ORDER BY s.standing_id LIMIT $7

-- name: episodes
-- Newest first; one that never opened is shown to nobody.
SELECT episode_id, park_id, firm_id, rule_id, rule_version, cause_key, scope, scope_id, state, severity, began,
       opened, ended, title_zh, title_en, evidence, changed
FROM episode
WHERE opened IS NOT NULL AND ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR severity = $2)
    AND ($3::int IS NULL OR firm_id = $3) AND (began, episode_id) < ($4, $5::bigint)
ORDER BY began DESC, episode_id DESC LIMIT $6

-- name: episode
SELECT episode_id, park_id, firm_id, rule_id, rule_version, cause_key, scope, scope_id, state, severity, began,
       opened, ended, title_zh, title_en, evidence, changed
FROM episode WHERE episode_id = $1 AND opened IS NOT NULL

-- name: transitions
SELECT transition_id, episode_id, from_state, to_state, at, recorded, by, note
FROM episode_transition WHERE episode_id = $1 AND transition_id > $2 ORDER BY transition_id LIMIT $3

-- name: edges
-- Every edge, also one that never reported.
SELECT e.edge_id, e.park_id, e.firm_id, e.code, s.online, s.boot, s.at, s.version, s.buffered_batches,
       s.buffered_bytes, s.clock_offset_ms, s.received,
       (SELECT max(l.t) FROM latest AS l JOIN point AS p USING (point_id) WHERE p.edge_id = e.edge_id) AS newest_reading
FROM edge AS e LEFT JOIN edge_status AS s USING (edge_id)
WHERE ($1::int IS NULL OR e.firm_id = $1) AND ($2::boolean IS NULL OR coalesce(s.online, false) = $2) AND e.edge_id > $3::bigint
ORDER BY e.edge_id LIMIT $4

-- name: read_write
-- The pool is read-only by default; a writing transaction says so first.
SET TRANSACTION READ WRITE

-- name: act_as_ourselves
SELECT set_config('role', 'none', true)
