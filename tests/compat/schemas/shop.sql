-- A small shop: keys, foreign keys, defaults, enums, arrays, documents, a view, an empty table.
CREATE TYPE order_status AS ENUM ('new', 'paid', 'sent', 'returned');
CREATE TABLE customers (
    id         serial PRIMARY KEY,
    public_id  uuid NOT NULL UNIQUE,
    email      varchar(320) NOT NULL,
    full_name  text,
    tags       text[] NOT NULL DEFAULT '{}',
    settings   jsonb,
    balance    numeric(14,4) NOT NULL DEFAULT 0,
    is_active  boolean NOT NULL DEFAULT true,
    born_on    date,
    created_at timestamptz NOT NULL,
    updated_at timestamptz
);
CREATE TABLE orders (
    id          bigserial PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customers,
    status      order_status NOT NULL,
    total       numeric(10,2) NOT NULL,
    placed_at   timestamp NOT NULL,
    note        text
);
CREATE TABLE order_lines (
    order_id   bigint NOT NULL REFERENCES orders,
    line_no    smallint NOT NULL,
    sku        char(12) NOT NULL,
    quantity   integer NOT NULL CHECK (quantity > 0),
    unit_price numeric(10,2) NOT NULL,
    discount   real,
    PRIMARY KEY (order_id, line_no)
);
CREATE TABLE returns (
    id     bigserial PRIMARY KEY,
    "when" timestamptz NOT NULL,
    reason text,
    amount numeric(10,2)
);
CREATE TABLE "Mixed Case" (
    "Id"          integer PRIMARY KEY,
    "Full Name"   text,
    "select"      integer,
    "quo""te"     text,
    "Überschrift" text
);
CREATE VIEW paid_orders AS SELECT id, customer_id, total FROM orders WHERE status = 'paid';

INSERT INTO customers
SELECT i, md5(i::text)::uuid, 'user' || i || '@example.com',
       CASE WHEN i % 7 > 0 THEN 'Name ' || i END,
       CASE WHEN i % 3 = 0 THEN ARRAY['vip', 'n' || i] ELSE '{}' END,
       CASE WHEN i % 5 > 0 THEN jsonb_build_object('lang', 'cs', 'n', i) END,
       (i % 1000) / 8.0, i % 11 > 0,
       CASE WHEN i % 13 > 0 THEN '1970-01-01'::date + i END,
       '2024-01-01 00:00:00+00'::timestamptz + i * interval '1 hour',
       CASE WHEN i % 2 = 0 THEN '2024-06-01 12:00:00+00'::timestamptz + i * interval '1 second' END
FROM generate_series(1, 2000) AS i;
INSERT INTO orders
SELECT i, 1 + i % 2000, (ARRAY['new', 'paid', 'sent', 'returned'])[1 + i % 4]::order_status,
       (i % 100000) / 100.0, '2024-01-01'::timestamp + i * interval '1 minute 0.25 seconds',
       CASE i % 4 WHEN 0 THEN '' WHEN 1 THEN 'left at "the door", twice' WHEN 2 THEN E'two\nlines' END
FROM generate_series(1, 10000) AS i;
INSERT INTO order_lines
SELECT 1 + i / 3, i % 3, 'SKU' || i % 500, 1 + i % 9, (i % 5000) / 100.0,
       CASE WHEN i % 10 = 0 THEN 0.1 END
FROM generate_series(0, 29999) AS i;
INSERT INTO "Mixed Case"
SELECT i, 'Name ' || i, i * 2, 'q"' || i, 'ü' || i FROM generate_series(1, 100) AS i;
ANALYZE;
