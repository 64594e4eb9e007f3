-- A view and a materialized view of two tables.
CREATE TABLE people (id integer PRIMARY KEY, name text NOT NULL, born date);
INSERT INTO people SELECT n, 'p' || n, date '1980-01-01' + n FROM generate_series(1, 300) AS n;
CREATE TABLE visits (id bigint PRIMARY KEY, person integer REFERENCES people, at timestamp NOT NULL);
INSERT INTO visits SELECT n, 1 + n % 300, timestamp '2024-01-01' + n * interval '1 minute' FROM generate_series(1, 900) AS n;
CREATE VIEW seen AS SELECT p.id, p.name, max(v.at) AS last_at, count(v.id) AS visits
FROM people p LEFT JOIN visits v ON v.person = p.id GROUP BY p.id, p.name;
CREATE MATERIALIZED VIEW by_day AS SELECT at::date AS day, count(*) AS visits FROM visits GROUP BY 1;
