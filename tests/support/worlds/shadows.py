"""Operators, functions, types and views of somebody's own, before PostgreSQL's in a search_path.

Whoever asks without saying whose `=` is meant gets an error here, or nothing at all.
"""

from __future__ import annotations

__all__ = ["SHADOWS"]

_TYPES = (
    "{name,char,text,varchar,bpchar,oid,regclass,xid,int2,int4,int8,float4,float8,numeric,bool,date,"
    "timestamp,timestamptz,interval,pg_lsn,bytea,uuid,tid,_oid,_text}"
)

SHADOWS = f"""
CREATE SCHEMA shadows;
CREATE FUNCTION shadows.refuse(what text) RETURNS bool LANGUAGE plpgsql STABLE
    AS $f$ BEGIN RAISE 'somebody''s own % was called', what; END $f$;
-- An operator for every pair of types that one of the name takes as it is or by a cast.
DO $do$
DECLARE
    one record;
    made text;
BEGIN
    FOR one IN
        SELECT s.sign, l.typname AS lhs, r.typname AS rhs, coalesce(
            (SELECT o.oprresult::regtype::text FROM pg_operator o
             WHERE o.oprname = s.sign AND o.oprleft = l.oid AND o.oprright = r.oid),
            CASE s.sign WHEN '||' THEN 'text' ELSE 'bool' END) AS gives, row_number() OVER () AS n
        FROM pg_type l, pg_type r,
            unnest('{{=,<>,<,>,<=,>=,||,~,!~,+,-,*,/,%}}'::text[]) AS s (sign)
        WHERE l.typname = ANY ('{_TYPES}') AND r.typname = ANY ('{_TYPES}')
          AND l.typnamespace = 'pg_catalog'::regnamespace
          AND r.typnamespace = 'pg_catalog'::regnamespace
          AND (s.sign ~ '^[<>=]' AND (l.oid = r.oid OR l.typname IN ('name', 'text', 'char')
                    OR r.typname IN ('name', 'text', 'char') OR EXISTS (
                        SELECT FROM pg_cast c WHERE castsource = l.oid AND casttarget = r.oid
                            AND castcontext = 'i' OR castsource = r.oid AND casttarget = l.oid
                            AND castcontext = 'i'))
               OR s.sign IN ('||', '~', '!~') AND l.typname IN ('name', 'text', 'char')
               OR EXISTS (SELECT FROM pg_operator o WHERE o.oprname = s.sign AND o.oprleft = l.oid
                          AND o.oprright = r.oid))
    LOOP
        made := 'f' || one.n;
        EXECUTE format('CREATE FUNCTION shadows.%I(pg_catalog.%I, pg_catalog.%I) RETURNS %s'
            ' LANGUAGE sql STABLE AS %L', made, one.lhs, one.rhs, one.gives, format(
            'SELECT CASE WHEN shadows.refuse(%L) THEN NULL::%s END',
            format('%s %s %s', one.lhs, one.sign, one.rhs), one.gives));
        EXECUTE format('CREATE OPERATOR shadows.%s (LEFTARG = pg_catalog.%I, RIGHTARG ='
            ' pg_catalog.%I, PROCEDURE = shadows.%I)', one.sign, one.lhs, one.rhs, made);
    END LOOP;
    FOR one IN
        SELECT p.proname, pg_get_function_identity_arguments(p.oid) AS takes,
            p.prorettype::regtype::text AS gives
        FROM pg_proc p
        WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND NOT p.proretset
          AND p.provariadic = 0 AND p.pronargs = p.pronargs - p.pronargdefaults
          AND p.proname ~ '^(pg_|has_|current_|row_sec|quote_|array_to|set_config|now$|statement_t|'
              'clock_|convert_|encode|decode|format_type|to_char|getdatabase|sha256|mod$|length|'
              'replace|regexp_rep|position|timezone|date_part|extract)'
          AND pg_get_function_identity_arguments(p.oid) !~
              'any|internal|OUT|cstring|pg_ddl|handler|trigger'
          AND p.prorettype::regtype::text !~ 'any|internal|cstring|trigger|handler|record'
    LOOP
        EXECUTE format('CREATE FUNCTION shadows.%I(%s) RETURNS %s LANGUAGE sql STABLE AS %L',
            one.proname, one.takes, one.gives, format(
            'SELECT CASE WHEN shadows.refuse(%L) THEN NULL::%s END', one.proname, one.gives));
    END LOOP;
    -- PostgreSQL's own take any type: an exact match beats them.
    FOREACH made IN ARRAY '{{oid,text,name,int2,int4,int8}}'::text[] LOOP
        EXECUTE format('CREATE FUNCTION shadows.unnest(%1$s[]) RETURNS SETOF %1$s LANGUAGE sql'
            ' AS $$SELECT NULL::%1$s$$', made);
        EXECUTE format('CREATE FUNCTION shadows.last(%1$s, %1$s) RETURNS %1$s LANGUAGE sql'
            ' AS $$SELECT NULL::%1$s$$', made);
        EXECUTE format('CREATE FUNCTION shadows.last(%1$s[], %1$s) RETURNS %1$s[] LANGUAGE sql'
            ' AS $$SELECT NULL::%1$s[]$$', made);
        EXECUTE format('CREATE AGGREGATE shadows.max(%1$s) (SFUNC = shadows.last, STYPE = %1$s)',
            made);
        EXECUTE format('CREATE AGGREGATE shadows.array_agg(%1$s) (SFUNC = shadows.last,'
            ' STYPE = %1$s[])', made);
    END LOOP;
END $do$;
CREATE FUNCTION shadows.nothing(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 7::bigint';
CREATE AGGREGATE shadows.count(*) (SFUNC = shadows.nothing, STYPE = bigint, INITCOND = '7');
CREATE DOMAIN shadows.text AS pg_catalog.int4;
CREATE DOMAIN shadows.oid AS pg_catalog.text CHECK (shadows.refuse('type oid'));
CREATE DOMAIN shadows.name AS pg_catalog.int4;
CREATE DOMAIN shadows.regclass AS pg_catalog.text CHECK (shadows.refuse('type regclass'));
CREATE DOMAIN shadows.bytea AS pg_catalog.text CHECK (shadows.refuse('type bytea'));
CREATE DOMAIN shadows.float8 AS pg_catalog.int4;
CREATE DOMAIN shadows.int8 AS pg_catalog.int2;
CREATE DOMAIN shadows.timestamptz AS pg_catalog.text CHECK (shadows.refuse('type timestamptz'));
CREATE VIEW shadows.pg_class AS SELECT * FROM pg_catalog.pg_class WHERE false;
CREATE VIEW shadows.pg_index AS SELECT * FROM pg_catalog.pg_index WHERE false;
CREATE VIEW shadows.pg_stat_activity AS SELECT * FROM pg_catalog.pg_stat_activity WHERE false;
GRANT USAGE ON SCHEMA shadows TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA shadows TO PUBLIC;
ALTER ROLE rivet IN DATABASE {{database}} SET search_path = shadows, pg_catalog, public;
"""
"""Statements of a superuser; `{{database}}` is its name."""
