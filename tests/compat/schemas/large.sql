-- Large enough for the scaffold to choose something other than `full`.
CREATE TABLE events (
    id         bigserial PRIMARY KEY,
    kind       varchar(20) NOT NULL,
    payload    jsonb,
    updated_at timestamptz NOT NULL
);
CREATE TABLE readings (
    sensor integer NOT NULL,
    value  double precision,
    seen   timestamp NOT NULL
);
INSERT INTO events
SELECT i, 'kind' || i % 20, jsonb_build_object('i', i),
       '2024-01-01 00:00:00+00'::timestamptz + i * interval '1 second'
FROM generate_series(1, 120000) AS i;
INSERT INTO readings
SELECT i % 50, sin(i), '2024-01-01'::timestamp + i * interval '1 second'
FROM generate_series(1, 120000) AS i;
ANALYZE;
