-- Keys of every kind: composite, uuid, text, unique only, far apart, none.
CREATE TABLE pairs (a integer, b smallint, v text, PRIMARY KEY (a, b));
INSERT INTO pairs SELECT n / 10, n % 10, 'v' || n FROM generate_series(0, 999) AS n;
CREATE TABLE by_uuid (id uuid PRIMARY KEY, n integer NOT NULL);
INSERT INTO by_uuid SELECT md5(n::text)::uuid, n FROM generate_series(1, 500) AS n;
CREATE TABLE by_text (code varchar(40) PRIMARY KEY, n integer);
INSERT INTO by_text SELECT 'Ž' || md5(n::text), n FROM generate_series(1, 500) AS n;
CREATE TABLE only_unique (id bigint UNIQUE, v text);
INSERT INTO only_unique SELECT CASE WHEN n % 9 > 0 THEN n END, 'v' FROM generate_series(1, 300) AS n;
CREATE TABLE far_apart (id bigint PRIMARY KEY);
INSERT INTO far_apart SELECT n * 10000000000 - 4000000000000 FROM generate_series(1, 900) AS n;
CREATE TABLE no_key (v text, n integer);
INSERT INTO no_key SELECT NULLIF('v' || n % 3, 'v0'), NULLIF(n % 4, 0) FROM generate_series(1, 400) AS n;
