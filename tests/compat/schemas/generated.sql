-- Columns that the server fills: identities, generated ones, defaults; domains, enums, remarks.
CREATE TYPE size AS ENUM ('small', 'large');
CREATE DOMAIN percent AS numeric(5,2) CHECK (VALUE BETWEEN 0 AND 100);
CREATE TABLE items (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    net numeric(10,2) NOT NULL, rate percent NOT NULL DEFAULT 20,
    gross numeric(14,4) GENERATED ALWAYS AS (net * (100 + rate) / 100) STORED,
    size size, made timestamptz NOT NULL DEFAULT '2024-01-01', tags text[] DEFAULT '{}');
INSERT INTO items (net, size) SELECT n / 4.0, (ARRAY['small', 'large'])[1 + n % 2]::size FROM generate_series(1, 400) AS n;
COMMENT ON TABLE items IS 'what is sold; "quoted" and ''apostrophed''';
COMMENT ON COLUMN items.net IS E'before tax: # not a comment\nsecond line';
CREATE TABLE empty_one (id integer PRIMARY KEY, v text);
CREATE UNLOGGED TABLE scratch (id integer, body bytea, doc jsonb, key uuid);
INSERT INTO scratch SELECT n, decode(md5(n::text), 'hex'), jsonb_build_object('n', n), md5(n::text)::uuid FROM generate_series(1, 100) AS n;
