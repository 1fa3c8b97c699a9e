-- Indicator values by the thousand: what a pass writes is compared and merged here, and parks are summed here.

SET LOCAL search_path = greenpark, public;

-- What a firm's value rests on, as one word for a park's sum: ids of factors, product, base year of prices. Revisions
-- have it in their lineage.
ALTER TABLE indicator_value ADD COLUMN basis text NOT NULL DEFAULT '';
ALTER TABLE indicator_value ADD COLUMN estimated_share real NOT NULL DEFAULT 0;
-- Room on the page for the next version of a row that is written again every few seconds.
ALTER TABLE indicator_value SET (fillfactor = 80);

-- Two sums of the same parts in another order differ by less.
CREATE FUNCTION same_number(a float8, b float8) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN a IS NOT DISTINCT FROM b
    OR coalesce(abs(a - b) <= greatest(1e-9 * greatest(abs(a), abs(b)), 1e-12), false);

-- What an outlet's permit allows, [valid_from, valid_to): hourly means above it exceed.
CREATE TABLE emission_limit (
    point_id    int NOT NULL REFERENCES point,   -- a gauge of concentration
    valid_from  date NOT NULL DEFAULT '-infinity',
    valid_to    date NOT NULL DEFAULT 'infinity' CHECK (valid_to > valid_from),
    hourly      float8 NOT NULL CHECK (hourly > 0),   -- in the point's unit
    source      text NOT NULL,                        -- permit, or the standard it names
    PRIMARY KEY (point_id, valid_from)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON emission_limit TO greenpark_service;
GRANT SELECT ON emission_limit TO greenpark_tenant;
ALTER TABLE emission_limit ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON emission_limit FOR SELECT TO greenpark_tenant
    USING (point_id = ANY (ARRAY(SELECT p.point_id FROM point AS p)));
CREATE POLICY service ON emission_limit TO greenpark_service USING (true) WITH CHECK (true);
