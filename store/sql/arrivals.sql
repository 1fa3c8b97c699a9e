-- How long readings took from the meter's clock to the database's.

-- name: delays
-- `stored` is when the batch was written, a moment before its transaction was committed.
SELECT extract(epoch FROM b.stored - r.t)::float8 AS delay_s
FROM reading AS r JOIN batch AS b USING (batch_id)
WHERE r.point_id = ANY ($1::int[]) AND r.t >= $2 AND r.t < $3
