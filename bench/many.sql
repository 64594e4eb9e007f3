-- The tables of "many exports", for psql; they are made of `lineitem`, which is there already.

\set ON_ERROR_STOP on
SET client_min_messages = warning;

-- An empty table costs an export nothing but itself: its start, its session, its record, its files.
SELECT format('CREATE TABLE empty_%s (id bigint PRIMARY KEY, name text, changed_at timestamptz)',
              to_char(i, 'FM00'))
FROM generate_series(1, :empties) AS i
\gexec

BEGIN;
SELECT format('CREATE TABLE share_%s (LIKE lineitem INCLUDING DEFAULTS INCLUDING INDEXES)', i)
FROM generate_series(1, :shares) AS i
\gexec
SELECT format('INSERT INTO share_%s SELECT * FROM lineitem WHERE id %% %s = %s - 1', i, :shares, i)
FROM generate_series(1, :shares) AS i
\gexec
COMMIT;

VACUUM (FREEZE, ANALYZE);
CHECKPOINT;
