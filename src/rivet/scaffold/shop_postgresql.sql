-- The demo shop in PostgreSQL, for psql: names after a colon are row counts, given with -v.
-- Nothing random: i * 48271 % 2147483647 is a fixed shuffle of the numbers.

\set ON_ERROR_STOP on
BEGIN;
SET client_min_messages = warning;
SET synchronous_commit = off;
SET timezone = 'UTC';

CREATE TYPE order_status AS ENUM ('open', 'cancelled', 'returned', 'delivered');

CREATE TEMP TABLE words (k int PRIMARY KEY, given text, family text, city text, country text, remark text);

INSERT INTO words VALUES
  (0, 'Ana', 'García', 'Málaga', 'ES', 'Arrived early, well packed.'),
  (1, 'Jürgen', 'Müller', 'Köln', 'DE', 'Größe passt, gerne wieder.'),
  (2, 'Zoë', 'O''Brien', 'Cork', 'IE', 'He said "fine", and it is.'),
  (3, 'Bjørn', 'Ångström', 'Tromsø', 'NO', NULL),
  (4, '太郎', '山田', '大阪', 'JP', 'とても良いです。'),
  (5, 'Иван', 'Петров', 'Пермь', 'RU', 'Хорошо.'),
  (6, 'فاطمة', 'حداد', 'عمّان', 'JO', 'ممتاز'),
  (7, 'Chloé', 'Lefèvre', 'Nîmes', 'FR', ''),
  (8, 'Siân', 'Hughes', 'Caernarfon', 'GB', E'Two lines:\nthe second, with a comma.'),
  (9, 'Łukasz', 'Wójcik', 'Łódź', 'PL', '👍🏽 five stars'),
  (10, 'Παύλος', 'Νικολάου', 'Πάτρα', 'GR', 'Not as described; sent back.');

CREATE TABLE categories (
  id int PRIMARY KEY,
  parent_id int REFERENCES categories (id),
  name varchar(60) NOT NULL,
  margin numeric
);

INSERT INTO categories
SELECT i,
       CASE WHEN i > 8 THEN 1 + i % 8 END,
       'Category ' || i || CASE i % 3 WHEN 0 THEN ' – été' WHEN 1 THEN ' & more' ELSE '' END,
       CASE WHEN i % 5 > 0 THEN (i * 48271 % 5000) / 10000.0 END
FROM generate_series(1, :categories) AS i;

CREATE TABLE products (
  id int PRIMARY KEY,
  category_id int NOT NULL REFERENCES categories (id),
  sku uuid NOT NULL,
  name text NOT NULL,
  price numeric(12,2) NOT NULL,
  weight_kg real,
  is_active boolean NOT NULL,
  attributes jsonb,
  tags text[],
  thumbnail bytea
);

INSERT INTO products
SELECT i,
       1 + b % :categories,
       md5('product' || i)::uuid,
       'Article ' || i,
       (100 + a % 99900) / 100.0,
       CASE WHEN b % 10 > 0 THEN (b % 40000) / 1024.0 END,
       a % 8 > 0,
       CASE WHEN a % 6 > 0 THEN jsonb_build_object(
         'colour', (ARRAY['grün', 'noir', '紅'])[1 + b % 3], 'sizes', jsonb_build_array(a % 40, b % 40),
         'eco', CASE a % 2 WHEN 0 THEN true END) END,
       CASE b % 5 WHEN 0 THEN NULL WHEN 1 THEN '{}' WHEN 2 THEN ARRAY['new', NULL] ELSE ARRAY['été', 'a,b', ''] END,
       CASE b % 4 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE '\x89504e470d0a1a0a00ff'::bytea END
FROM (SELECT i, i * 48271 % 2147483647 AS a, i * 69621 % 2147483647 AS b
      FROM generate_series(1::bigint, :products) AS i) AS r;

CREATE TABLE customers (
  id int PRIMARY KEY,
  reference uuid NOT NULL,
  name text NOT NULL,
  email varchar(120),
  city text NOT NULL,
  country char(2) NOT NULL,
  born_on date,
  is_subscriber boolean NOT NULL,
  credit_limit numeric(12,2) NOT NULL,
  last_address inet,
  created_at timestamptz NOT NULL
);

INSERT INTO customers
SELECT i,
       md5('customer' || i)::uuid,
       g.given || ' ' || f.family,
       CASE a % 20 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'customer' || i || '@example.com' END,
       f.city,
       f.country,
       CASE WHEN b % 15 > 0 THEN date '1950-01-01' + (b % 20000)::int END,
       a % 3 = 0,
       (a % 1000000) / 100.0,
       CASE WHEN a % 7 > 0 THEN inet '10.0.0.0' + b % 16777216 END,
       timestamptz '2019-01-01 00:00:00+00' + a % 100000000 * interval '1 second'
FROM (SELECT i, i * 48271 % 2147483647 AS a, i * 69621 % 2147483647 AS b
      FROM generate_series(1::bigint, :customers) AS i) AS r
JOIN words AS g ON g.k = r.a % 11 JOIN words AS f ON f.k = r.b % 11;

CREATE TABLE orders (
  id int PRIMARY KEY,
  customer_id int NOT NULL,
  status order_status NOT NULL,
  ordered_at timestamptz NOT NULL,
  wanted_on date,
  voucher text
);

INSERT INTO orders
SELECT i,
       1 + a % :customers,
       CASE b % 7 WHEN 0 THEN 'open' WHEN 1 THEN 'cancelled' WHEN 2 THEN 'returned' ELSE 'delivered' END::order_status,
       to_timestamp(1672531200 + i * 60000000 / :orders + a % 3600) + b % 1000000 * interval '1 microsecond',
       CASE WHEN a % 4 = 0 THEN date '2023-01-05' + (i * 694 / :orders)::int END,
       CASE b % 9 WHEN 0 THEN 'WELCOME' WHEN 1 THEN '' END
FROM (SELECT i, i * 48271 % 2147483647 AS a, i * 69621 % 2147483647 AS b
      FROM generate_series(1::bigint, :orders) AS i) AS r;

CREATE TABLE order_lines (
  id bigint PRIMARY KEY,
  order_id int NOT NULL,
  product_id int NOT NULL,
  quantity smallint NOT NULL,
  discount numeric,
  amount numeric(12,2) NOT NULL
);

INSERT INTO order_lines
SELECT i,
       1 + (i - 1) * :orders / :order_lines,
       p,
       1 + a % 5,
       CASE a % 8 WHEN 0 THEN 0.05 WHEN 1 THEN 0.125 WHEN 2 THEN 0 END,
       (1 + a % 5) * (100 + (p * 48271 % 2147483647) % 99900) / 100.0
FROM (SELECT i, i * 48271 % 2147483647 AS a, 1 + (i * 69621 % 2147483647) % :products AS p
      FROM generate_series(1::bigint, :order_lines) AS i) AS r;

CREATE TABLE payments (
  id bigint PRIMARY KEY,
  order_id int NOT NULL,
  method varchar(10) NOT NULL,
  amount numeric(12,2) NOT NULL,
  fee_rate double precision,
  is_refund boolean NOT NULL,
  receipt bytea,
  paid_at timestamp
);

INSERT INTO payments
SELECT i,
       1 + (i - 1) * :orders / :payments,
       (ARRAY['card', 'transfer', 'cash', 'wallet'])[1 + b % 4],
       (CASE WHEN a % 40 = 0 THEN -1 ELSE 1 END) * (500 + b % 90000) / 100.0,
       CASE WHEN b % 4 = 0 THEN (100 + a % 250) / 3e4::float8 END,
       a % 40 = 0,
       CASE WHEN b % 16 = 0 THEN convert_to('receipt ' || i, 'UTF8') END,
       CASE WHEN b % 25 > 0 THEN timestamp '2023-01-01' + i * 60000000 / :payments * interval '1 second' END
FROM (SELECT i, i * 48271 % 2147483647 AS a, i * 69621 % 2147483647 AS b
      FROM generate_series(1::bigint, :payments) AS i) AS r;

CREATE TABLE shipments (
  id int PRIMARY KEY,
  order_id int NOT NULL,
  tracking uuid NOT NULL,
  carrier text,
  weight_kg real NOT NULL,
  shipped_on date NOT NULL,
  pickup_at time,
  took interval,
  promised daterange,
  events jsonb
);

INSERT INTO shipments
SELECT i,
       1 + (i - 1) * :orders / :shipments,
       md5('shipment' || i)::uuid,
       CASE a % 5 WHEN 0 THEN 'Poste' WHEN 1 THEN 'Økspress' WHEN 2 THEN 'Kurier' WHEN 3 THEN '' END,
       (50 + b % 30000) / 1000.0,
       shipped_on,
       CASE WHEN b % 6 > 0 THEN make_time((a % 24)::int, (b % 60)::int, a % 60) END,
       CASE WHEN b % 3 > 0 THEN make_interval(days => (a % 9)::int, hours => (b % 24)::int) END,
       CASE WHEN b % 4 > 0 THEN daterange(shipped_on + 1, shipped_on + 3 + (a % 5)::int) END,
       CASE WHEN a % 10 > 0 THEN jsonb_build_array(jsonb_build_object('at', 1672531200 + a % 60000000, 'code', 'OUT')) END
FROM (SELECT i, i * 48271 % 2147483647 AS a, i * 69621 % 2147483647 AS b,
             date '2023-01-02' + (i * 694 / :shipments)::int AS shipped_on
      FROM generate_series(1::bigint, :shipments) AS i) AS r;

CREATE TABLE reviews (
  id int PRIMARY KEY,
  product_id int NOT NULL,
  customer_id int NOT NULL,
  stars smallint NOT NULL,
  remark text,
  written_at timestamptz NOT NULL
);

INSERT INTO reviews
SELECT i, 1 + b % :products, 1 + a % :customers, 1 + b % 5, w.remark,
       to_timestamp(1672531200 + a % 60000000)
FROM (SELECT i, i * 48271 % 2147483647 AS a, i * 69621 % 2147483647 AS b
      FROM generate_series(1::bigint, :reviews) AS i) AS r
JOIN words AS w ON w.k = r.a % 11;

-- Checking the keys once at the end is much quicker than at every row.
ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE order_lines ADD FOREIGN KEY (order_id) REFERENCES orders (id),
  ADD FOREIGN KEY (product_id) REFERENCES products (id);
ALTER TABLE payments ADD FOREIGN KEY (order_id) REFERENCES orders (id);
ALTER TABLE shipments ADD FOREIGN KEY (order_id) REFERENCES orders (id);
ALTER TABLE reviews ADD FOREIGN KEY (product_id) REFERENCES products (id),
  ADD FOREIGN KEY (customer_id) REFERENCES customers (id);

COMMIT;

ANALYZE;
