-- Names that need quotes, in tables and columns.
CREATE TABLE "select" (id integer PRIMARY KEY, "order" text, "a b" integer, "Größe" numeric(8,3));
INSERT INTO "select" SELECT n, 'o' || n, n % 7, n / 8.0 FROM generate_series(1, 200) AS n;
CREATE TABLE plain_name ("Id" bigint PRIMARY KEY, "From" timestamptz NOT NULL, "na""me" text);
INSERT INTO plain_name SELECT n, timestamptz '2024-01-01' + n * interval '1 day', 'x' FROM generate_series(1, 200) AS n;
CREATE TABLE under_score_1 (_id integer PRIMARY KEY, "$v" text, "100" integer);
INSERT INTO under_score_1 SELECT n, 'v', n FROM generate_series(1, 50) AS n;
