-- Tables that look as if they could be followed by a clock.
CREATE TABLE orders (id bigserial PRIMARY KEY, state text, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL);
INSERT INTO orders (state, created_at, updated_at)
SELECT 's' || n % 5, timestamptz '2024-01-01' + n * interval '1 second', timestamptz '2024-01-02' + n * interval '2 seconds'
FROM generate_series(1, 3000) AS n;
CREATE INDEX ON orders (updated_at);
CREATE TABLE audit (seq bigint PRIMARY KEY, modified_on date NOT NULL, what text);
INSERT INTO audit SELECT n, date '2024-01-01' + n % 365, 'w' FROM generate_series(1, 2000) AS n;
CREATE TABLE soft (id integer PRIMARY KEY, deleted_at timestamptz, updated timestamp);
INSERT INTO soft SELECT n, CASE WHEN n % 2 > 0 THEN timestamptz '2024-03-01' END, timestamp '2024-01-01' FROM generate_series(1, 500) AS n;
ANALYZE;
