-- The demo shop in SQLite. Every statement ends with a semicolon at the end of a line; names after
-- a colon are row counts. Nothing random: i * 48271 % 2147483647 is a fixed shuffle of the numbers.

CREATE TEMP TABLE words (k INTEGER PRIMARY KEY, given TEXT, family TEXT, city TEXT, country TEXT, remark TEXT);

INSERT INTO words VALUES
  (0, 'Ana', 'García', 'Málaga', 'ES', 'Arrived early, well packed.'),
  (1, 'Jürgen', 'Müller', 'Köln', 'DE', 'Größe passt, gerne wieder.'),
  (2, 'Zoë', 'O''Brien', 'Cork', 'IE', 'He said "fine", and it is.'),
  (3, 'Bjørn', 'Ångström', 'Tromsø', 'NO', NULL),
  (4, '太郎', '山田', '大阪', 'JP', 'とても良いです。'),
  (5, 'Иван', 'Петров', 'Пермь', 'RU', 'Хорошо.'),
  (6, 'فاطمة', 'حداد', 'عمّان', 'JO', 'ممتاز'),
  (7, 'Chloé', 'Lefèvre', 'Nîmes', 'FR', ''),
  (8, 'Siân', 'Hughes', 'Caernarfon', 'GB', 'Two lines:' || char(10) || 'the second, with a comma.'),
  (9, 'Łukasz', 'Wójcik', 'Łódź', 'PL', '👍🏽 five stars'),
  (10, 'Παύλος', 'Νικολάου', 'Πάτρα', 'GR', 'Not as described; sent back.');

CREATE TABLE categories (
  id INTEGER PRIMARY KEY,
  parent_id INTEGER REFERENCES categories (id),
  name VARCHAR(60) NOT NULL,
  margin NUMERIC
);

INSERT INTO categories
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT :categories)
SELECT i,
       CASE WHEN i > 8 THEN 1 + i % 8 END,
       'Category ' || i || CASE i % 3 WHEN 0 THEN ' – été' WHEN 1 THEN ' & more' ELSE '' END,
       CASE WHEN i % 5 > 0 THEN (i * 48271 % 5000) / 10000.0 END
FROM n;

CREATE TABLE products (
  id INTEGER PRIMARY KEY,
  category_id INTEGER NOT NULL REFERENCES categories (id),
  sku UUID NOT NULL,
  name TEXT NOT NULL,
  price DECIMAL(12,2) NOT NULL,
  weight_kg REAL,
  is_active BOOLEAN NOT NULL,
  attributes JSON,
  thumbnail BLOB
);

INSERT INTO products
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT :products),
     r(i, a, b) AS (SELECT i, i * 48271 % 2147483647, i * 69621 % 2147483647 FROM n)
SELECT i,
       1 + b % :categories,
       printf('%08x-%04x-4%03x-a%03x-%012x', a, b % 65536, a % 4096, b % 4096, a * 65536 + b % 65536),
       'Article ' || i,
       (100 + a % 99900) / 100.0,
       CASE WHEN b % 10 > 0 THEN (b % 40000) / 1024.0 END,
       a % 8 > 0,
       CASE WHEN a % 6 > 0 THEN
         '{"colour": "' || CASE b % 3 WHEN 0 THEN 'grün' WHEN 1 THEN 'noir' ELSE '紅' END
         || '", "sizes": [' || a % 40 || ', ' || b % 40 || '], "eco": ' || CASE a % 2 WHEN 0 THEN 'true' ELSE 'null' END || '}' END,
       CASE b % 4 WHEN 0 THEN NULL WHEN 1 THEN x'' ELSE unhexed.bytes END
FROM r, (SELECT x'89504e470d0a1a0a00ff' AS bytes) AS unhexed;

CREATE TABLE customers (
  id INTEGER PRIMARY KEY,
  reference UUID NOT NULL,
  name TEXT NOT NULL,
  email VARCHAR(120),
  city TEXT NOT NULL,
  country CHAR(2) NOT NULL,
  born_on DATE,
  is_subscriber BOOLEAN NOT NULL,
  credit_limit DECIMAL(12,2) NOT NULL,
  created_at TIMESTAMP NOT NULL
);

INSERT INTO customers
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT :customers),
     r(i, a, b) AS (SELECT i, i * 48271 % 2147483647, i * 69621 % 2147483647 FROM n)
SELECT i,
       printf('%08x-%04x-4%03x-a%03x-%012x', a, b % 65536, a % 4096, b % 4096, a * 65536 + b % 65536),
       g.given || ' ' || f.family,
       CASE a % 20 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'customer' || i || '@example.com' END,
       f.city,
       f.country,
       CASE WHEN b % 15 > 0 THEN date(-631152000 + 86400 * (b % 20000), 'unixepoch') END,
       a % 3 = 0,
       (a % 1000000) / 100.0,
       datetime(1546300800 + a % 100000000, 'unixepoch')
FROM r JOIN words AS g ON g.k = r.a % 11 JOIN words AS f ON f.k = r.b % 11;

CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customers (id),
  status VARCHAR(12) NOT NULL,
  ordered_at TIMESTAMP NOT NULL,
  wanted_on DATE,
  voucher TEXT
);

INSERT INTO orders
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT :orders),
     r(i, a, b) AS (SELECT i, i * 48271 % 2147483647, i * 69621 % 2147483647 FROM n)
SELECT i,
       1 + a % :customers,
       CASE b % 7 WHEN 0 THEN 'open' WHEN 1 THEN 'cancelled' WHEN 2 THEN 'returned' ELSE 'delivered' END,
       datetime(1672531200 + i * 60000000 / :orders + a % 3600, 'unixepoch') || printf('.%06d', b % 1000000),
       CASE WHEN a % 4 = 0 THEN date(1672531200 + i * 60000000 / :orders + 345600, 'unixepoch') END,
       CASE b % 9 WHEN 0 THEN 'WELCOME' WHEN 1 THEN '' END
FROM r;

CREATE TABLE order_lines (
  id INTEGER PRIMARY KEY,
  order_id INTEGER NOT NULL REFERENCES orders (id),
  product_id INTEGER NOT NULL REFERENCES products (id),
  quantity INTEGER NOT NULL,
  discount NUMERIC,
  amount DECIMAL(12,2) NOT NULL
);

INSERT INTO order_lines
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT :order_lines),
     r(i, a, p) AS (SELECT i, i * 48271 % 2147483647, 1 + (i * 69621 % 2147483647) % :products FROM n)
SELECT i,
       1 + (i - 1) * :orders / :order_lines,
       p,
       1 + a % 5,
       CASE a % 8 WHEN 0 THEN 0.05 WHEN 1 THEN 0.125 WHEN 2 THEN 0 END,
       (1 + a % 5) * (100 + (p * 48271 % 2147483647) % 99900) / 100.0
FROM r;

CREATE TABLE payments (
  id INTEGER PRIMARY KEY,
  order_id INTEGER NOT NULL REFERENCES orders (id),
  method VARCHAR(10) NOT NULL,
  amount DECIMAL(12,2) NOT NULL,
  fee_rate DOUBLE,
  is_refund BOOLEAN NOT NULL,
  receipt BLOB,
  paid_at TIMESTAMP
);

INSERT INTO payments
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT :payments),
     r(i, a, b) AS (SELECT i, i * 48271 % 2147483647, i * 69621 % 2147483647 FROM n)
SELECT i,
       1 + (i - 1) * :orders / :payments,
       CASE b % 4 WHEN 0 THEN 'card' WHEN 1 THEN 'transfer' WHEN 2 THEN 'cash' ELSE 'wallet' END,
       (CASE WHEN a % 40 = 0 THEN -1 ELSE 1 END) * (500 + b % 90000) / 100.0,
       CASE WHEN b % 4 = 0 THEN (100 + a % 250) / 3e4 END,
       a % 40 = 0,
       CASE WHEN b % 16 = 0 THEN CAST('receipt ' || i AS BLOB) END,
       CASE WHEN b % 25 > 0 THEN datetime(1672531200 + i * 60000000 / :payments, 'unixepoch') END
FROM r;

CREATE TABLE shipments (
  id INTEGER PRIMARY KEY,
  order_id INTEGER NOT NULL REFERENCES orders (id),
  tracking UUID NOT NULL,
  carrier TEXT,
  weight_kg REAL NOT NULL,
  shipped_on DATE NOT NULL,
  pickup_at TIME,
  events JSON
);

INSERT INTO shipments
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT :shipments),
     r(i, a, b) AS (SELECT i, i * 48271 % 2147483647, i * 69621 % 2147483647 FROM n)
SELECT i,
       1 + (i - 1) * :orders / :shipments,
       printf('%08x-%04x-4%03x-b%03x-%012x', b, a % 65536, b % 4096, a % 4096, b * 65536 + a % 65536),
       CASE a % 5 WHEN 0 THEN 'Poste' WHEN 1 THEN 'Økspress' WHEN 2 THEN 'Kurier' WHEN 3 THEN '' END,
       (50 + b % 30000) / 1000.0,
       date(1672531200 + i * 60000000 / :shipments + 86400, 'unixepoch'),
       CASE WHEN b % 6 > 0 THEN printf('%02d:%02d:%02d', a % 24, b % 60, a % 60) END,
       CASE WHEN a % 10 > 0 THEN '[{"at": ' || (1672531200 + a % 60000000) || ', "code": "OUT"}]' END
FROM r;

CREATE TABLE reviews (
  id INTEGER PRIMARY KEY,
  product_id INTEGER NOT NULL REFERENCES products (id),
  customer_id INTEGER NOT NULL REFERENCES customers (id),
  stars SMALLINT NOT NULL,
  remark TEXT,
  written_at TIMESTAMP NOT NULL
);

INSERT INTO reviews
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT :reviews),
     r(i, a, b) AS (SELECT i, i * 48271 % 2147483647, i * 69621 % 2147483647 FROM n)
SELECT i,
       1 + b % :products,
       1 + a % :customers,
       1 + b % 5,
       w.remark,
       datetime(1672531200 + a % 60000000, 'unixepoch')
FROM r JOIN words AS w ON w.k = r.a % 11;

DROP TABLE words;
