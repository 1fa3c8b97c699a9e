-- What dashboards read: the ledger with the names of its points beside it, each tenant's own, and in one unit.
--
-- The policies of 0001 test every row of the roll-ups against all points of a role: right, and slow over a park's year.
-- The views here filter on the point instead, before its periods are looked up, and are barriers: no condition of a
-- query runs before the filter, unless it is one that cannot tell what it saw. Names stand in the views so that the
-- conditions on them reach the point, too; they are compared as text, so that whatever stands in a viewer's address bar
-- is a value and never an error.
SET LOCAL search_path = greenpark, public;

-- Units -------------------------------------------------------------------------------------------------------------

-- A quantity in `symbol` times `scale` is in `base`; rates stand for what they move in an hour. A test compares it with
-- park/units.py.
CREATE TABLE unit_scale (
    symbol text PRIMARY KEY,
    base   text NOT NULL,
    scale  float8 NOT NULL CHECK (scale > 0)
);
INSERT INTO unit_scale (symbol, base, scale) VALUES
    ('kWh', 'kWh', 1), ('MWh', 'kWh', 1e3), ('Wh', 'kWh', 1e-3), ('MJ', 'kWh', 1 / 3.6::float8), ('GJ', 'kWh', 1e3 / 3.6::float8),
    ('kW', 'kWh', 1), ('MW', 'kWh', 1e3), ('W', 'kWh', 1e-3),
    ('kvarh', 'kvarh', 1), ('Mvarh', 'kvarh', 1e3), ('kvar', 'kvarh', 1),
    ('m3', 'm3', 1), ('L', 'm3', 1e-3), ('10^4m3', 'm3', 1e4), ('m3/h', 'm3', 1), ('L/s', 'm3', 3.6),
    ('t', 't', 1), ('kg', 't', 1e-3), ('g', 't', 1e-6), ('t/h', 't', 1), ('kg/h', 't', 1e-3),
    ('piece', 'piece', 1);

-- Words of the product for what the tables hold as codes.
CREATE TABLE word (
    kind    text NOT NULL,
    code    text NOT NULL,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    PRIMARY KEY (kind, code)
);
INSERT INTO word (kind, code, name_zh, name_en) VALUES
    ('carrier', 'electricity', '电力', 'Electricity'),
    ('carrier', 'reactive_energy', '无功电量', 'Reactive energy'),
    ('carrier', 'natural_gas', '天然气', 'Natural gas'),
    ('carrier', 'diesel', '柴油', 'Diesel'),
    ('carrier', 'coal', '煤炭', 'Coal'),
    ('carrier', 'steam', '蒸汽', 'Steam'),
    ('carrier', 'heat', '热力', 'Heat'),
    ('carrier', 'compressed_air', '压缩空气', 'Compressed air'),
    ('carrier', 'fresh_water', '新水', 'Fresh water'),
    ('carrier', 'recirculated_water', '循环水', 'Recirculated water'),
    ('carrier', 'cascaded_water', '串联用水', 'Cascaded water'),
    ('carrier', 'recycled_water', '回用水', 'Recycled water'),
    ('carrier', 'reclaimed_water', '再生水', 'Reclaimed water'),
    ('carrier', 'rain_water', '雨水', 'Rain water'),
    ('carrier', 'wastewater', '废水', 'Wastewater'),
    ('carrier', 'product', '产品', 'Product'),
    ('carrier', 'solid_waste', '固体废物', 'Solid waste'),
    ('carrier', 'so2', '二氧化硫', 'SO2'),
    ('carrier', 'nox', '氮氧化物', 'NOx'),
    ('carrier', 'particulate', '颗粒物', 'Particulate matter'),
    ('carrier', 'cod', '化学需氧量', 'COD'),
    ('carrier', 'ammonia_nitrogen', '氨氮', 'Ammonia nitrogen'),
    ('carrier', 'stack_gas', '废气', 'Stack gas'),
    ('carrier', 'solar_electricity', '光伏电力', 'Solar electricity'),
    ('carrier', 'wind_electricity', '风电', 'Wind electricity'),
    ('carrier', 'hydro_electricity', '水电', 'Hydro electricity'),
    ('carrier', 'lng', '液化天然气', 'Liquefied natural gas'),
    ('carrier', 'lpg', '液化石油气', 'Liquefied petroleum gas'),
    ('carrier', 'coke_oven_gas', '焦炉煤气', 'Coke oven gas'),
    ('carrier', 'blast_furnace_gas', '高炉煤气', 'Blast furnace gas'),
    ('carrier', 'converter_gas', '转炉煤气', 'Converter gas'),
    ('carrier', 'refinery_gas', '炼厂干气', 'Refinery gas'),
    ('carrier', 'hydrogen', '氢气', 'Hydrogen'),
    ('carrier', 'biogas', '沼气', 'Biogas'),
    ('carrier', 'gasoline', '汽油', 'Gasoline'),
    ('carrier', 'kerosene', '煤油', 'Kerosene'),
    ('carrier', 'fuel_oil', '燃料油', 'Fuel oil'),
    ('carrier', 'crude_oil', '原油', 'Crude oil'),
    ('carrier', 'methanol', '甲醇', 'Methanol'),
    ('carrier', 'anthracite', '无烟煤', 'Anthracite'),
    ('carrier', 'lignite', '褐煤', 'Lignite'),
    ('carrier', 'washed_coal', '洗精煤', 'Washed coal'),
    ('carrier', 'coal_middlings', '洗中煤', 'Coal middlings'),
    ('carrier', 'coal_slurry', '煤泥', 'Coal slurry'),
    ('carrier', 'coke', '焦炭', 'Coke'),
    ('carrier', 'waste_heat', '余热', 'Waste heat'),
    ('carrier', 'blast_air', '鼓风', 'Blast air'),
    ('carrier', 'oxygen', '氧气', 'Oxygen'),
    ('carrier', 'nitrogen', '氮气', 'Nitrogen'),
    ('carrier', 'co2_gas', '二氧化碳气', 'Carbon dioxide gas'),
    ('carrier', 'acetylene', '乙炔', 'Acetylene'),
    ('carrier', 'calcium_carbide', '电石', 'Calcium carbide'),
    ('carrier', 'softened_water', '软化水', 'Softened water'),
    ('carrier', 'deaerated_water', '除氧水', 'Deaerated water'),
    ('carrier', 'direct_recirculated_water', '直接循环水', 'Direct recirculated water'),
    ('carrier', 'cooling_makeup_water', '冷却补充水', 'Cooling make-up water'),
    ('carrier', 'direct_cooling_makeup_water', '直接冷却补充水', 'Direct cooling make-up water'),
    ('carrier', 'process_fresh_water', '工艺新水', 'Process fresh water'),
    ('carrier', 'condensate', '冷凝水', 'Condensate'),
    ('carrier', 'consumed_water', '耗水', 'Consumed water'),
    ('carrier', 'leaked_water', '漏失水', 'Leaked water'),
    ('carrier', 'treated_wastewater', '处理后废水', 'Treated wastewater'),
    ('carrier', 'limestone', '石灰石', 'Limestone'),
    ('carrier', 'dolomite', '白云石', 'Dolomite'),
    ('carrier', 'magnesite', '菱镁矿', 'Magnesite'),
    ('carrier', 'soda_ash', '纯碱', 'Soda ash'),
    ('carrier', 'total_nitrogen', '总氮', 'Total nitrogen'),
    ('carrier', 'total_phosphorus', '总磷', 'Total phosphorus'),
    ('carrier', 'vocs', '挥发性有机物', 'VOCs'),
    ('carrier', 'outdoor_temperature', '室外温度', 'Outdoor temperature'),
    ('direction', 'in', '购入', 'In'),
    ('direction', 'out', '输出', 'Out'),
    ('direction', 'internal', '内部', 'Internal'),
    ('tariff', 'sharp', '尖', 'Sharp'),
    ('tariff', 'peak', '峰', 'Peak'),
    ('tariff', 'flat', '平', 'Flat'),
    ('tariff', 'valley', '谷', 'Valley'),
    ('tariff', 'none', '无电价表', 'No tariff table'),
    ('waste', 'general', '一般工业固体废物', 'General'),
    ('waste', 'hazardous', '危险废物', 'Hazardous'),
    ('destination', 'generated', '产生', 'Generated'),
    ('destination', 'utilised', '综合利用', 'Utilised'),
    ('destination', 'utilised_from_stock', '利用往年贮存', 'Utilised from stock'),
    ('destination', 'disposed', '处置', 'Disposed of'),
    ('destination', 'stored', '贮存', 'Stored'),
    ('destination', 'discarded', '倾倒丢弃', 'Discarded'),
    ('severity', 'critical', '紧急', 'Critical'),
    ('severity', 'major', '重要', 'Major'),
    ('severity', 'warning', '警告', 'Warning'),
    ('severity', 'info', '提示', 'Info');

GRANT SELECT ON unit_scale, word TO greenpark_service, greenpark_tenant;

-- Periods -----------------------------------------------------------------------------------------------------------

-- How finely a range is shown: hours while it is at most so long, then days, months beyond.
CREATE FUNCTION grain_of(
    t_from timestamptz, t_to timestamptz, hours interval DEFAULT '8 days', days interval DEFAULT '400 days'
) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN t_to - t_from <= hours THEN 'hour' WHEN t_to - t_from <= days THEN 'day' ELSE 'month' END;

-- Starts of the periods of a park that lie in [t_from, t_to] and have begun, so that a gap can be shown as a gap. Runs
-- as the viewer: a park that is not seen has none.
CREATE FUNCTION park_periods(park text, grain text, t_from timestamptz, t_to timestamptz) RETURNS TABLE (period timestamptz)
LANGUAGE sql STABLE SET search_path = greenpark, pg_temp
BEGIN ATOMIC
    SELECT g.period FROM (
        SELECT generate_series(date_trunc('hour', t_from, k.time_zone), least(t_to, now()), interval '1 hour') AS period
        FROM park AS k WHERE k.code = park AND grain = 'hour'
        UNION ALL
        SELECT generate_series(date_bin('15 minutes', t_from, 'epoch'), least(t_to, now()), interval '15 minutes')
        FROM park AS k WHERE k.code = park AND grain = 'bucket'
        UNION ALL
        SELECT generate_series(date_trunc(grain, t_from AT TIME ZONE k.time_zone), least(t_to, now()) AT TIME ZONE k.time_zone,
                               ('1 ' || grain)::interval) AT TIME ZONE k.time_zone
        FROM park AS k WHERE k.code = park AND grain IN ('day', 'month', 'year')
    ) AS g WHERE g.period >= t_from;
END;

-- The ledger, a tenant's own ----------------------------------------------------------------------------------------

-- Hours, days, months and years. `running`: the period is not over, its amount is provisional.
CREATE VIEW tenant_usage WITH (security_barrier) AS
SELECT k.code AS park, k.time_zone, f.code AS firm, f.name_zh AS firm_zh, f.name_en AS firm_en, f.industrial,
       p.unit_id, p.edge_id, p.point_id, p.code AS point, p.name_zh AS point_zh, p.name_en AS point_en,
       p.carrier, p.direction, p.product, p.kind, coalesce(u.base, p.unit) AS unit,
       c.grain, c.period, c.period = date_trunc(c.grain, now(), k.time_zone) AS running,
       c.measured * coalesce(u.scale, 1) AS measured, c.estimated * coalesce(u.scale, 1) AS estimated,
       c.measured_s, c.estimated_s, c.held * coalesce(u.scale, 1) AS held, c.flags, c.run_id
FROM consumption_period AS c
JOIN point AS p USING (point_id)
JOIN firm AS f ON f.firm_id = p.firm_id
JOIN park AS k ON k.park_id = p.park_id
LEFT JOIN unit_scale AS u ON u.symbol = p.unit
WHERE p.firm_id = ANY ((SELECT visible_firms(current_user))::int[]);

-- Buckets of 15 minutes; for a day at a time.
CREATE VIEW tenant_bucket WITH (security_barrier) AS
SELECT k.code AS park, f.code AS firm, f.name_zh AS firm_zh, f.name_en AS firm_en, p.unit_id, p.edge_id,
       p.point_id, p.code AS point, p.name_zh AS point_zh, p.name_en AS point_en,
       p.carrier, p.direction, p.product, p.kind, coalesce(u.base, p.unit) AS unit, c.bucket,
       c.measured * coalesce(u.scale, 1) AS measured, c.estimated * coalesce(u.scale, 1) AS estimated,
       c.measured_s, c.estimated_s, c.held * coalesce(u.scale, 1) AS held, c.flags, c.closed, c.revision
FROM consumption AS c
JOIN point AS p USING (point_id)
JOIN firm AS f ON f.firm_id = p.firm_id
JOIN park AS k ON k.park_id = p.park_id
LEFT JOIN unit_scale AS u ON u.symbol = p.unit
WHERE p.firm_id = ANY ((SELECT visible_firms(current_user))::int[]);

-- Electricity by class of the tariff.
CREATE VIEW tenant_tariff WITH (security_barrier) AS
SELECT k.code AS park, f.code AS firm, f.name_zh AS firm_zh, f.name_en AS firm_en, p.point_id, p.code AS point,
       p.carrier, p.direction, coalesce(u.base, p.unit) AS unit, c.grain, c.period, c.table_id, c.tariff_class,
       c.measured * coalesce(u.scale, 1) AS measured, c.estimated * coalesce(u.scale, 1) AS estimated,
       c.measured_s, c.estimated_s
FROM consumption_tariff AS c
JOIN point AS p USING (point_id)
JOIN firm AS f ON f.firm_id = p.firm_id
JOIN park AS k ON k.park_id = p.park_id
LEFT JOIN unit_scale AS u ON u.symbol = p.unit
WHERE p.firm_id = ANY ((SELECT visible_firms(current_user))::int[]);

-- The newest reading of each point; a point that was never read has none.
CREATE VIEW tenant_newest WITH (security_barrier) AS
SELECT k.code AS park, f.code AS firm, f.name_zh AS firm_zh, f.name_en AS firm_en, p.point_id, p.code AS point,
       p.name_zh AS point_zh, p.name_en AS point_en, p.edge_id, p.carrier, p.interval_s, l.t, l.value, p.unit, l.quality,
       l.stored
FROM point AS p
JOIN firm AS f ON f.firm_id = p.firm_id
JOIN park AS k ON k.park_id = p.park_id
LEFT JOIN latest AS l ON l.point_id = p.point_id
WHERE p.kind <> 'virtual' AND p.firm_id = ANY ((SELECT visible_firms(current_user))::int[]);

-- Second values at an instant that was taken.
CREATE VIEW tenant_conflict WITH (security_barrier) AS
SELECT k.code AS park, f.code AS firm, f.name_zh AS firm_zh, f.name_en AS firm_en, p.point_id, p.code AS point,
       p.name_zh AS point_zh, p.name_en AS point_en, c.t, c.value, c.stored_value, c.noticed
FROM reading_conflict AS c
JOIN point AS p USING (point_id)
JOIN firm AS f ON f.firm_id = p.firm_id
JOIN park AS k ON k.park_id = p.park_id
WHERE p.firm_id = ANY ((SELECT visible_firms(current_user))::int[]);

-- Messages that were accepted, for rates and delays. `+ 0`: the block ranges of time lead to them; the index of edges
-- would lead to all that these edges ever sent.
CREATE VIEW tenant_batch WITH (security_barrier) AS
SELECT k.code AS park, f.code AS firm, e.edge_id, b.sent, b.stored, b.readings
FROM batch AS b
JOIN edge AS e ON e.edge_id = b.edge_id + 0
JOIN firm AS f ON f.firm_id = e.firm_id
JOIN park AS k ON k.park_id = e.park_id
WHERE e.firm_id = ANY ((SELECT visible_firms(current_user))::int[]);

-- How much each table takes; rows are the server's own estimate. Only for who sees a whole park.
CREATE FUNCTION storage_of_tables() RETURNS TABLE (name text, bytes bigint, row_estimate bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = greenpark, public, pg_temp
BEGIN ATOMIC
    SELECT t.relname::text, sum(pg_total_relation_size(part.oid))::bigint, sum(greatest(part.reltuples, 0))::bigint
    FROM pg_class AS t
    JOIN LATERAL (
        SELECT c.oid, c.reltuples FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = t.oid
        UNION ALL SELECT t.oid, t.reltuples
    ) AS part ON true
    WHERE t.relnamespace = 'greenpark'::regnamespace AND t.relkind = 'r'
        AND EXISTS (SELECT FROM tenant_scope AS s WHERE s.firm_id IS NULL
                    AND s.role_name = coalesce(nullif(current_setting('role'), 'none'), session_user)
                    AND pg_has_role(session_user, s.role_name, 'MEMBER'))
    GROUP BY t.relname;
END;

REVOKE ALL ON FUNCTION grain_of(timestamptz, timestamptz, interval, interval),
    park_periods(text, text, timestamptz, timestamptz), storage_of_tables() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION grain_of(timestamptz, timestamptz, interval, interval),
    park_periods(text, text, timestamptz, timestamptz), storage_of_tables() TO greenpark_service, greenpark_tenant;
GRANT SELECT ON tenant_usage, tenant_bucket, tenant_tariff, tenant_newest, tenant_conflict, tenant_batch TO greenpark_service, greenpark_tenant;

-- Indexes for ranges of time; block ranges cost a writer next to nothing.
CREATE INDEX batch_stored ON batch USING brin (stored) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX run_finished ON run USING brin (finished) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX quarantine_received ON quarantine (received);
CREATE INDEX conflict_noticed ON reading_conflict USING brin (noticed);
