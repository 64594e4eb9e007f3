-- A table in parts by time, one by list, and one that others inherit from.
CREATE TABLE measures (id bigint NOT NULL, at timestamptz NOT NULL, v double precision, PRIMARY KEY (id, at))
PARTITION BY RANGE (at);
CREATE TABLE measures_1 PARTITION OF measures FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE measures_2 PARTITION OF measures DEFAULT;
INSERT INTO measures SELECT n, timestamptz '2024-01-20' + n * interval '1 hour', sin(n) FROM generate_series(1, 800) AS n;
CREATE TABLE regions (id integer NOT NULL, region text NOT NULL) PARTITION BY LIST (region);
CREATE TABLE regions_eu PARTITION OF regions FOR VALUES IN ('eu', 'uk');
CREATE TABLE regions_rest PARTITION OF regions DEFAULT;
INSERT INTO regions SELECT n, (ARRAY['eu', 'uk', 'us'])[1 + n % 3] FROM generate_series(1, 300) AS n;
CREATE TABLE vehicles (id integer PRIMARY KEY, wheels smallint);
CREATE TABLE lorries (load numeric(6,1)) INHERITS (vehicles);
INSERT INTO vehicles SELECT n, 4 FROM generate_series(1, 100) AS n;
INSERT INTO lorries SELECT 1000 + n, 6, n / 2.0 FROM generate_series(1, 100) AS n;
