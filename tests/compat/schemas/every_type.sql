-- One column of every type that both programs read; edges, plain rows, and a row of NULLs.
CREATE TYPE weather AS ENUM ('sunny', 'rain, and wind', 'naïve');
CREATE DOMAIN short_text AS varchar(20);
CREATE DOMAIN price AS numeric(12,2);
CREATE TABLE every_type (
    id           bigint PRIMARY KEY,
    c_bool       boolean,
    c_int2       smallint,
    c_int4       integer,
    c_int8       bigint,
    c_float4     real,
    c_float8     double precision,
    c_num        numeric(12,2),
    c_num_whole  numeric(20,0),
    c_num_38     numeric(38,10),
    c_num_wide   numeric(60,20),
    c_text       text,
    c_varchar    varchar(200),
    c_char       char(8),
    c_name       name,
    c_bytea      bytea,
    c_date       date,
    c_time       time,
    c_ts         timestamp,
    c_tstz       timestamptz,
    c_interval   interval,
    c_json       json,
    c_jsonb      jsonb,
    c_uuid       uuid,
    c_enum       weather,
    c_oid        oid,
    c_short      short_text,
    c_price      price,
    c_bools      boolean[],
    c_int2s      smallint[],
    c_int4s      integer[],
    c_int8s      bigint[],
    c_float4s    real[],
    c_float8s    double precision[],
    c_texts      text[]
);
INSERT INTO every_type (id) VALUES (1);
INSERT INTO every_type VALUES
(2, true, -32768, -2147483648, -9223372036854775808, 'NaN', '-Infinity', -9999999999.99,
 -99999999999999999999, -9999999999999999999999999999.9999999999,
 -9999999999999999999999999999999999999999.99999999999999999999,
 '', '', '', '', '', '0001-01-01', '00:00:00', '0001-01-01 00:00:00', '0001-01-01 00:00:00+00',
 '0', 'null', 'null', '00000000-0000-0000-0000-000000000000', 'sunny', 0, '', -0.01,
 '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
(3, false, 32767, 2147483647, 9223372036854775807, 3.4028235e38, 5e-324, 9999999999.99,
 99999999999999999999, 0.0000000001, 0.00000000000000000001,
 E'tab\tquote" comma, line\nbreak\r\\ ''', 'žluťoučký 🐎', 'ab', 'n', '\x00ff10'::bytea,
 '9999-12-31', '23:59:59.999999', '9999-12-31 23:59:59.999999', '9999-12-31 23:59:59.999999+00',
 '1 year 2 months 3 days 04:05:06.000007', '{"b": 1, "a": [1.50, null], "b": 2}',
 '{"b": 1, "a": [1.50, null]}', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'rain, and wind',
 4294967295, 'short', 1.10,
 '{t,NULL,f}', '{1,NULL,-1}', '{2147483647,NULL}', '{9223372036854775807,NULL}', '{0.1,NULL}',
 '{0.1,NULL,1e300}', ARRAY['a,b', NULL, '', 'NULL', 'x"y', E'\n']),
(4, true, 0, 0, 0, '-0', 0.1, 0, 0, 0, 0, 'NULL', '\N', 'x', 'NULL', '\xdeadbeef',
 '1969-12-31', '12:00:00.5', '1969-12-31 23:59:59.999999', '1969-07-20 20:17:40.25+02',
 '-1 mons +2 days -03:00:00.5', '[]', '"text"', '12345678-9abc-def0-1234-56789abcdef0', 'naïve',
 1, 'NULL', 0, '{t}', '{0}', '{0}', '{0}', '{-0}', '{1e-7}', '{NULL}'),
(5, false, 1, 1, 1, 1.5, 1e22, 1.5, 1, 1.5, 1.5, repeat('long ', 5000), 'a', 'a', 'a', '\x00',
 '2024-02-29', '00:00:00.000001', '2024-02-29 12:34:56', '2024-02-29 12:34:56+05:30',
 '-00:00:00.000001', '{}', '{}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'sunny', 2, 'y', 2.5,
 '{f,f}', '{1,2,3}', '{1,2,3}', '{1,2,3}', '{1.5}', '{2.5}', '{one,two}');
INSERT INTO every_type (id, c_int4, c_num, c_text, c_tstz)
SELECT i, i * 7 % 1000, (i % 977) / 7.0, 'row ' || i,
       '2024-01-01 00:00:00+00'::timestamptz + i * interval '61 seconds'
FROM generate_series(6, 3000) AS i;
ANALYZE;
