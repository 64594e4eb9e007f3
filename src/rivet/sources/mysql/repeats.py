"""What MySQL's and MariaDB's catalogs say of the functions and views that a query names.

Neither lists its loadable functions to everybody, so that a function that is not known by name is
doubted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rivet.model.relation import Doubt
from rivet.redact import visible
from rivet.sources.mysql.coverage import ELSEWHERE
from rivet.sources.mysql.link import ask
from rivet.sources.repeats import Definition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pymysql.connections import Connection

_FUNCTIONS: Final = """
    SELECT LOWER(ROUTINE_NAME), MIN(IS_DETERMINISTIC = 'YES') FROM information_schema.ROUTINES
    WHERE ROUTINE_TYPE = 'FUNCTION' AND ROUTINE_NAME IN %s GROUP BY LOWER(ROUTINE_NAME)"""
_VIEWS: Final = """
    SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS
    WHERE TABLE_NAME IN %s"""
_FAR_TABLES: Final = """
    SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE FROM information_schema.TABLES
    WHERE TABLE_NAME IN %s AND UPPER(ENGINE) IN %s"""
_KNOWN: Final = frozenset(
    """
    abs acos adddate addtime aes_decrypt aes_encrypt all and any as ascii asin atan atan2 avg
    between bigint bin bin_to_uuid binary bit bit_and bit_count bit_length bit_or bit_xor blob both
    by case cast ceil ceiling char char_length character character_length charset chr coalesce
    coercibility collate collation column_check column_exists column_get column_json column_list
    columns compress concat concat_ws conv convert convert_tz cos cot count crc32 crc32c cross cube
    cume_dist cursor database date date_add date_format date_sub datediff datetime day dayname
    dayofmonth dayofweek dayofyear dec decimal decode default degrees delete dense_rank distinct
    distinctrow div double else elt encode enum except exists exp export_set extract extractvalue
    field filter find_in_set first_value fixed float floor for force format format_bytes
    format_pico_time from from_base64 from_days from_unixtime full geometry get_format greatest
    group grouping groups having hex hour if ifnull ignore in index inet6_aton inet6_ntoa inet_aton
    inet_ntoa inner insert instr int integer intersect interval into is is_ipv4 is_ipv4_compat
    is_ipv4_mapped is_ipv6 is_uuid isnull join json json_array json_array_append json_array_insert
    json_compact json_contains json_contains_path json_depth json_detailed json_equals json_exists
    json_extract json_insert json_keys json_length json_loose json_merge json_merge_patch
    json_merge_preserve json_normalize json_object json_overlaps json_pretty json_query json_quote
    json_remove json_replace json_schema_valid json_search json_set json_storage_size json_table
    json_type json_unquote json_valid json_value key lag last_day last_value lateral lcase lead
    leading least left length lengthb like ln locate log log10 log2 longblob longtext lower lpad
    ltrim make_set makedate maketime match max md5 median mediumblob mediumint mediumtext member
    microsecond mid min minus minute mod month monthname name_const natural natural_sort_key nchar
    nested not nth_value ntile nullif number numeric nvarchar nvl nvl2 oct octet_length of on or
    ord order order_by outer over partition path percent_rank percentile_cont percentile_disc
    period_add period_diff pi position pow power quarter quote radians range rank real recursive
    regexp regexp_instr regexp_like regexp_replace regexp_substr repeat replace returning reverse
    right rlike rollup round row row_number rows rpad rtrim schema sec_to_time second select
    separator set sformat sha sha1 sha2 sign signed sin smallint some soundex space sqrt
    st_asbinary st_asgeojson st_astext st_aswkb st_aswkt st_contains st_distance
    st_geometryfromtext st_geomfromtext st_geomfromwkb st_intersects st_srid st_within st_x st_y
    std stddev stddev_pop stddev_samp str_to_date straight_join strcmp subdate substr substring
    substring_index subtime sum tan text then time time_format time_to_sec timediff timestamp
    timestampadd timestampdiff tinyblob tinyint tinytext to_base64 to_char to_days to_number
    to_seconds trailing trim trunc truncate ucase uncompress uncompressed_length unhex union
    unsigned updatexml upper use using uuid_to_bin value values var_pop var_samp varbinary varchar
    variance vec_distance vec_fromtext vec_totext week weekday weekofyear weight_string when where
    window with within xor year yearweek
    """.split()  # noqa: SIM905 - read as words
)


@dataclass(frozen=True, slots=True)
class CatalogDefinitions:
    """See `Definitions` of `sources/repeats.py`."""

    connection: Connection[Any]

    def functions(self, names: frozenset[str]) -> Iterable[Definition]:
        """Return every function that is not one of the server's own."""
        unknown = sorted({name.lower() for name in names} - _KNOWN)
        if not unknown:
            return
        found = dict(ask(self.connection, _FUNCTIONS, (unknown,)))
        for name in unknown:
            if name not in found:
                why = "is not known to give the same value each time"
            elif not int(found[name]):
                why = "may give another value each time (it is not DETERMINISTIC)"
            else:
                continue
            yield Definition(f"the function {visible(name)}()", doubt=Doubt(why))

    def views(self, names: frozenset[str]) -> Iterable[Definition]:
        """Return the views of these names; a text that the user may not see is empty.

        And the tables whose rows lie elsewhere: what is read of them is asked for there each time.
        """
        wanted = sorted(name for name in names if name)
        if not wanted:
            return
        for schema, name, engine in ask(self.connection, _FAR_TABLES, (wanted, ELSEWHERE)):
            yield Definition(f"table '{visible(f'{schema}.{name}')}'", doubt=_far(engine))
        for schema, name, text in ask(self.connection, _VIEWS, (wanted,)):
            label = f"view '{visible(f'{schema}.{name}')}'"
            doubt = None if text else Doubt("has a definition that this user may not see")
            yield Definition(label, text or None, doubt)


def _far(engine: str) -> Doubt:
    why = f"is of {engine}, whose rows lie elsewhere and may have a NULL"
    return Doubt(f"{why} that no chunk and no window finds")
