-- The benchmark tables, for psql: `lineitem` and `wide` are row counts, given with -v.
-- Nothing random: i * 48271 % 2147483647 is a fixed shuffle of the numbers.

\set ON_ERROR_STOP on
BEGIN;
SET LOCAL timezone = 'UTC';

-- The shape of TPC-H's lineitem, with a key of its own in front: 17 columns, 218 bytes on the wire.
CREATE TABLE lineitem (
  id bigserial PRIMARY KEY,
  l_orderkey bigint NOT NULL,
  l_partkey int NOT NULL,
  l_suppkey int NOT NULL,
  l_linenumber int NOT NULL,
  l_quantity numeric(15,2) NOT NULL,
  l_extendedprice numeric(15,2) NOT NULL,
  l_discount numeric(15,2) NOT NULL,
  l_tax numeric(15,2) NOT NULL,
  l_returnflag char(1) NOT NULL,
  l_linestatus char(1) NOT NULL,
  l_shipdate date NOT NULL,
  l_commitdate date NOT NULL,
  l_receiptdate date NOT NULL,
  l_shipinstruct char(25) NOT NULL,
  l_shipmode char(10) NOT NULL,
  l_comment varchar(44) NOT NULL
);

INSERT INTO lineitem
SELECT i, 1 + i / 4 * 8, 1 + a % 200000, 1 + b % 10000, 1 + i % 4,
       1 + a % 50,
       (90000 + b % 9000000) / 100.0,
       (a % 11) / 100.0,
       (b % 9) / 100.0,
       (ARRAY['N', 'A', 'R'])[1 + a % 3],
       (ARRAY['O', 'F'])[1 + b % 2],
       date '1992-01-02' + (a % 2500)::int,
       date '1992-01-31' + (b % 2450)::int,
       date '1992-01-04' + (a % 2500)::int + (b % 30)::int,
       (ARRAY['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'])[1 + a % 4],
       (ARRAY['AIR', 'FOB', 'MAIL', 'RAIL', 'REG AIR', 'SHIP', 'TRUCK'])[1 + b % 7],
       substr(w.words, 1 + (b % 60)::int, 10 + (a % 34)::int)
FROM (SELECT i, i * 48271 % 2147483647 AS a, i * 69621 % 2147483647 AS b
      FROM generate_series(1::bigint, :lineitem) AS i) AS r,
     (SELECT 'carefully final deposits sleep quickly across the furiously regular requests; '
             'blithely ironic pinto beans nag above the express packages' AS words) AS w;

-- Ten times the rows without the room: what memory costs must not depend on the length of a table.
CREATE VIEW lineitem_tenfold AS
SELECT l.* FROM generate_series(1, 10) AS round CROSS JOIN lineitem AS l;

CREATE TABLE wide (
  id bigint PRIMARY KEY,
  reference uuid NOT NULL,
  owner uuid,
  title text NOT NULL,
  body text NOT NULL,
  summary text,
  document jsonb NOT NULL,
  raw json,
  tags text[] NOT NULL,
  scores int[] NOT NULL,
  ratio double precision,
  amount numeric(18,4),
  is_public boolean NOT NULL,
  created_at timestamptz NOT NULL,
  changed_at timestamp
);

INSERT INTO wide
SELECT i, md5(i::text)::uuid, CASE WHEN a % 5 > 0 THEN md5(a::text)::uuid END,
       'Entry ' || i || ' – ' || left(md5(b::text), 12),
       w.words || md5(a::text) || w.words || md5(b::text) || w.words || left(w.words, (a % 200)::int),
       CASE WHEN b % 3 > 0 THEN left(w.words, 20 + (b % 120)::int) END,
       jsonb_build_object('id', i, 'kind', (ARRAY['note', 'photo', 'clip'])[1 + a % 3], 'seen', b % 2 = 0,
         'place', jsonb_build_object('lat', (a % 180000) / 1000.0 - 90, 'lon', (b % 360000) / 1000.0 - 180),
         'text', left(w.words, 10 + (a % 100)::int)),
       CASE WHEN a % 4 > 0 THEN json_build_object('hash', md5((a + b)::text), 'list', json_build_array(a, b, NULL)) END,
       CASE a % 4 WHEN 0 THEN '{}' WHEN 1 THEN ARRAY['été', NULL] ELSE ARRAY[left(md5(a::text), 6), 'red', 'größer'] END,
       CASE b % 3 WHEN 0 THEN '{}'::int[] ELSE ARRAY[(a % 1000)::int, (b % 1000)::int, i::int % 7, NULL] END,
       a / 3.0::float8,
       CASE WHEN b % 9 > 0 THEN (b % 100000000) / 10000.0 END,
       a % 2 = 0,
       timestamptz '2020-01-01 00:00:00+00' + a % 100000000 * interval '1.000001 second',
       CASE WHEN b % 7 > 0 THEN timestamp '2021-01-01' + b % 100000000 * interval '1 second' END
FROM (SELECT i, i * 48271 % 2147483647 AS a, i * 69621 % 2147483647 AS b
      FROM generate_series(1::bigint, :wide) AS i) AS r,
     (SELECT 'carefully final deposits sleep quickly across the furiously regular requests; '
             'blithely ironic pinto beans nag above the express packages, and «größer» things wait ' AS words) AS w;
COMMIT;

VACUUM (FREEZE, ANALYZE) lineitem;
VACUUM (FREEZE, ANALYZE) wide;
CHECKPOINT;
