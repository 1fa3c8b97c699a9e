-- The meter graph: who stands under whom, virtual points, balances, tariff periods.

-- name: ids
-- Points of a park by the names that a document uses.
SELECT f.code || '/' || p.code AS key, p.point_id, p.firm_id FROM point AS p JOIN firm AS f USING (firm_id) WHERE p.park_id = $1

-- name: nodes
-- Only the points that have a parent or a child: few of many.
SELECT p.point_id, p.firm_id, f.code || '/' || p.code AS key, p.kind, p.carrier, p.unit,
       coalesce(n.role, 'load') AS role, coalesce(n.loss_share, 0) AS loss_share
FROM point AS p JOIN firm AS f USING (firm_id) LEFT JOIN point_node AS n USING (point_id)
WHERE p.park_id = $1 AND p.point_id IN (SELECT point_id FROM point_parent UNION SELECT parent_id FROM point_parent)
ORDER BY p.point_id

-- name: givers_of
-- Firms behind whose meters some firms take something.
SELECT DISTINCT taker.firm_id, giver.firm_id AS giver_id
FROM point_parent AS e JOIN point AS giver ON giver.point_id = e.parent_id JOIN point AS taker ON taker.point_id = e.point_id
WHERE taker.firm_id = ANY ($1::int[]) AND giver.firm_id <> taker.firm_id AND giver.direction <> 'out'
  AND e.valid_to = 'infinity'

-- name: in_graph
-- Which of some points have a parent or a child.
SELECT p.point_id FROM unnest($1::int[]) AS p (point_id)
WHERE EXISTS (SELECT FROM point_parent AS e WHERE e.point_id = p.point_id OR e.parent_id = p.point_id)

-- name: parents
SELECT e.point_id, e.parent_id, nullif(e.valid_from, '-infinity') AS valid_from, nullif(e.valid_to, 'infinity') AS valid_to
FROM point_parent AS e JOIN point AS p USING (point_id)
WHERE p.park_id = $1 ORDER BY e.point_id, e.valid_from

-- name: set_node
INSERT INTO point_node (point_id, role, loss_share, formula) VALUES ($1, $2, $3, $4)
ON CONFLICT (point_id) DO UPDATE SET role = $2, loss_share = $3, formula = $4
WHERE (point_node.role, point_node.loss_share, point_node.formula) IS DISTINCT FROM ($2, $3, $4)

-- name: delete_parents
DELETE FROM point_parent WHERE point_id = ANY ($1::int[])

-- name: insert_parent
INSERT INTO point_parent (point_id, parent_id, valid_from, valid_to)
VALUES ($1, $2, coalesce($3, '-infinity'::timestamptz), coalesce($4, 'infinity'::timestamptz))

-- name: inputs
-- Measured points of the virtual points of some firms.
SELECT v.point_id, v.input_id, v.factor FROM virtual_input AS v JOIN point AS p USING (point_id)
WHERE p.firm_id = ANY ($1::int[]) ORDER BY v.point_id, v.input_id

-- name: delete_inputs
DELETE FROM virtual_input WHERE point_id = $1

-- name: insert_input
INSERT INTO virtual_input (point_id, input_id, factor) VALUES ($1, $2, $3)

-- name: mark_virtual
-- A virtual point has no readings: it is computed again wherever its inputs have some.
INSERT INTO dirty (firm_id, point_id, t_from, t_to, cause)
SELECT p.firm_id, p.point_id, min(r.t), max(r.t), $2
FROM point AS p JOIN virtual_input AS v USING (point_id) JOIN reading AS r ON r.point_id = v.input_id
WHERE p.point_id = $1
GROUP BY p.firm_id, p.point_id

-- name: mark_balances
-- Every day and month in which a point of the graph has something is balanced again.
INSERT INTO dirty_park (park_id, grain, period)
SELECT DISTINCT $1::int, c.grain, c.period FROM consumption_period AS c
WHERE c.point_id = ANY ($2::int[]) AND c.grain IN ('day', 'month')

-- name: period_amounts
-- What points moved in periods of a grain.
SELECT point_id, period, CASE WHEN measured IS NULL AND estimated IS NULL THEN NULL
       ELSE coalesce(measured, 0) + coalesce(estimated, 0) END AS quantity, measured_s + estimated_s AS covered_s
FROM consumption_period
WHERE point_id = ANY ($1::int[]) AND grain = $2 AND period = ANY ($3::timestamptz[])

-- name: bucket_amounts
SELECT point_id, bucket AS period, CASE WHEN measured IS NULL AND estimated IS NULL THEN NULL
       ELSE coalesce(measured, 0) + coalesce(estimated, 0) END AS quantity, measured_s::float8 + estimated_s AS covered_s
FROM consumption
WHERE point_id = ANY ($1::int[]) AND bucket >= $2 AND bucket < $3

-- name: write_balance
INSERT INTO balance AS b (park_id, firm_id, point_id, grain, period, supply, load, loss, unaccounted, share, coverage,
                          unknown, run_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (point_id, grain, period) DO UPDATE SET supply = $6, load = $7, loss = $8, unaccounted = $9, share = $10,
    coverage = $11, unknown = $12, run_id = $13
WHERE (b.supply, b.load, b.loss, b.unaccounted, b.share, b.unknown) IS DISTINCT FROM ($6, $7, $8, $9, $10, $12)
    OR abs(b.coverage - $11) >= 1e-3

-- name: delete_balances
-- Of points that were nodes before and are none in these periods.
DELETE FROM balance WHERE park_id = $1 AND grain = $2 AND period = ANY ($3::timestamptz[])
    AND NOT (point_id, period) IN (SELECT * FROM unnest($4::int[], $5::timestamptz[]))

-- name: buckets_of
-- Ledger rows of some points in some stretches of time.
SELECT c.point_id, c.bucket, coalesce(c.measured, 'NaN') AS measured, coalesce(c.estimated, 'NaN') AS estimated,
       c.measured_s, c.estimated_s, c.held, c.flags, c.closed, c.revision, c.run_id
FROM unnest($2::timestamptz[], $3::timestamptz[]) AS w (start, stop)
JOIN consumption AS c ON c.point_id = ANY ($1::int[]) AND c.bucket >= w.start AND c.bucket < w.stop
ORDER BY c.point_id, c.bucket

-- name: delete_tariff
DELETE FROM consumption_tariff WHERE point_id = ANY ($1::int[]) AND grain = $2 AND period = ANY ($3::timestamptz[])

-- name: tariff_months
-- Months from days: $1 points, $2 and $3 starts and ends of the months, $4 the run.
INSERT INTO consumption_tariff
SELECT d.point_id, 'month', w.start, d.table_id, d.tariff_class, sum(d.measured), sum(d.estimated), sum(d.measured_s),
       sum(d.estimated_s), $4
FROM unnest($2::timestamptz[], $3::timestamptz[]) AS w (start, stop)
JOIN consumption_tariff AS d ON d.point_id = ANY ($1::int[]) AND d.grain = 'day'
    AND d.period >= w.start AND d.period < w.stop
GROUP BY d.point_id, w.start, d.table_id, d.tariff_class

-- name: insert_tariff
INSERT INTO consumption_tariff
SELECT point_id, 'day', period, table_id, tariff_class, nullif(measured, 'NaN'), nullif(estimated, 'NaN'), measured_s,
       estimated_s, $9
FROM unnest($1::int[], $2::timestamptz[], $3::text[], $4::text[], $5::float8[], $6::float8[], $7::float8[],
            $8::float8[]) AS r (point_id, period, table_id, tariff_class, measured, estimated, measured_s, estimated_s)
