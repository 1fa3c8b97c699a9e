-- What outlets are allowed, and the concentrations that are held against it.

-- name: limits_of_point
SELECT valid_from, valid_to, hourly, source FROM emission_limit WHERE point_id = $1 ORDER BY valid_from

-- name: delete_limits
DELETE FROM emission_limit WHERE point_id = $1

-- name: insert_limit
INSERT INTO emission_limit (point_id, valid_from, valid_to, hourly, source) VALUES ($1, $2, $3, $4, $5)

-- name: limits_of_firms
SELECT p.firm_id, l.point_id, p.interval_s, p.label, l.valid_from, l.valid_to, l.hourly
FROM emission_limit AS l JOIN point AS p USING (point_id)
WHERE p.firm_id = ANY ($1::int[]) ORDER BY p.firm_id, l.point_id, l.valid_from

-- name: concentrations
SELECT point_id, t, value, quality FROM reading
WHERE point_id = ANY ($1::int[]) AND t >= $2 AND t <= $3 ORDER BY point_id, t

-- name: stored_hours
-- Valid and compliant hours of firms by a finer grain, in [start, stop) of each firm ($1, $2, $3).
SELECT w.firm_id, v.period, v.denominator AS valid, v.numerator AS compliant
FROM unnest($1::int[], $2::timestamptz[], $3::timestamptz[]) AS w (firm_id, start, stop)
JOIN indicator_value AS v ON v.scope = 'firm' AND v.scope_id = w.firm_id
    AND v.indicator_id = 'emission_compliance_rate' AND v.grain = $4 AND v.period >= w.start AND v.period < w.stop
WHERE v.denominator IS NOT NULL AND v.numerator IS NOT NULL
