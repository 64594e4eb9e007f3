-- Columns that only one of the programs reads, or that they read differently.
CREATE TYPE pair AS (a integer, b text);
CREATE TABLE unbounded (id integer PRIMARY KEY, amount numeric);
INSERT INTO unbounded VALUES (1, 1.5), (2, 123456789012345678901234567890.123456789), (3, NULL);
CREATE TABLE networks (id integer PRIMARY KEY, address inet, block cidr, card macaddr);
INSERT INTO networks VALUES (1, '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03'), (2, NULL, NULL, NULL);
CREATE TABLE spans (id integer PRIMARY KEY, span int4range, days daterange);
INSERT INTO spans VALUES (1, '[1,5)', '[2024-01-01,2024-02-01)'), (2, 'empty', NULL);
CREATE TABLE oddities (id integer PRIMARY KEY, cash money, at timetz, bits bit(4), two pair,
    spot point, words tsvector);
INSERT INTO oddities VALUES
(1, 12.34, '12:00:00+02', B'1010', ROW(1, 'x'), '(1,2)', 'a fat cat'),
(2, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE lists (id integer PRIMARY KEY, uuids uuid[], days date[], prices numeric(8,2)[],
    moments timestamptz[], documents jsonb[]);
INSERT INTO lists VALUES
(1, ARRAY['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']::uuid[], '{2024-01-01,NULL}', '{1.50,NULL}',
 '{2024-01-01 00:00:00+00}', ARRAY['{"a": 1}']::jsonb[]),
(2, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE forever (id integer PRIMARY KEY, until date, till timestamptz);
INSERT INTO forever VALUES (1, 'infinity', 'infinity'), (2, '2024-01-01', '2024-01-01 00:00:00+00');
CREATE TABLE matrices (id integer PRIMARY KEY, cells integer[]);
INSERT INTO matrices VALUES (1, '{{1,2},{3,4}}'), (2, '{1}');
CREATE TABLE not_numbers (id integer PRIMARY KEY, amount numeric(10,2));
INSERT INTO not_numbers VALUES (1, 'NaN'), (2, 1.5);
ANALYZE;
