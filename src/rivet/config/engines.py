"""What the configuration needs to know of each engine, as data: names, URL schemes, port."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rivet.config.problem import nearest


@dataclass(frozen=True, slots=True)
class EngineForm:
    """How one engine is written in a configuration.

    Attributes:
        name: Its canonical name.
        aliases: Other spellings of `source.type`.
        schemes: URL schemes it takes.
        port: The default port; None for engines that read a file.
        is_document: Stores documents: only `full` and `cdc` apply.
        takes_service: Understands libpq service files.
        takes_public_key: A password may be encrypted with the server's public key.
        is_readable: This version can read it.
        kept_settings: Session settings that Rivet decides itself, so that `source.session` cannot,
            in small letters; None for engines whose sessions have no settings to choose.
    """

    name: str
    schemes: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    port: int | None = None
    is_document: bool = False
    takes_service: bool = False
    takes_public_key: bool = False
    is_readable: bool = False
    kept_settings: frozenset[str] | None = None

    @property
    def is_file(self) -> bool:
        """Whether the source is a file and not a server."""
        return self.port is None


_KEPT_ON_POSTGRESQL: Final = frozenset(
    {
        "client_connection_check_interval",
        "client_encoding",
        "default_transaction_deferrable",
        "default_transaction_isolation",
        "default_transaction_read_only",
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
        "lock_timeout",
        "session_authorization",
        "statement_timeout",
        "synchronize_seqscans",
        "transaction_deferrable",
        "transaction_isolation",
        "transaction_read_only",
        "transaction_timeout",
    }
)
_KEPT_ON_MYSQL: Final = frozenset(
    {
        "autocommit",
        "character_set_client",
        "character_set_connection",
        "character_set_results",
        "lock_wait_timeout",
        "max_execution_time",
        "max_sort_length",
        "max_statement_time",
        "net_read_timeout",
        "net_write_timeout",
        "sql_auto_is_null",
        "sql_select_limit",
        "transaction_isolation",
        "transaction_read_only",
        "tx_isolation",
        "tx_read_only",
        "wait_timeout",
    }
)

ENGINE_FORMS: Final = (
    EngineForm(
        "postgresql",
        ("postgresql", "postgres"),
        ("postgres",),
        port=5432,
        takes_service=True,
        is_readable=True,
        kept_settings=_KEPT_ON_POSTGRESQL,
    ),
    EngineForm("sqlite", ("sqlite",), is_readable=True),
    EngineForm(
        "mysql",
        ("mysql", "mariadb"),
        ("mariadb",),
        port=3306,
        takes_public_key=True,
        is_readable=True,
        kept_settings=_KEPT_ON_MYSQL,
    ),
    EngineForm("mssql", ("sqlserver", "mssql"), ("sqlserver",), port=1433),
    EngineForm("mongo", ("mongodb", "mongodb+srv"), ("mongodb",), port=27017, is_document=True),
    EngineForm("duckdb", ("duckdb",), is_readable=True),
    EngineForm("oracle", ("oracle",), port=1521),
)
_BY_NAME: Final = {word: form for form in ENGINE_FORMS for word in (form.name, *form.aliases)}
TYPE_WORDS: Final = tuple(_BY_NAME)


def engine_form(word: str) -> EngineForm | None:
    """Return the engine that `source.type: word` names, None where there is none."""
    return _BY_NAME.get(word)


def engine_of_scheme(scheme: str) -> EngineForm | None:
    """Return the engine whose URLs begin with this scheme, in any letter case."""
    lowered = scheme.lower().partition("+")[0] if scheme.lower() != "mongodb+srv" else "mongodb"
    return next((form for form in ENGINE_FORMS if lowered in form.schemes), None)


def nearest_engine(word: str) -> str | None:
    """Return the type that was probably meant, None where nothing is close."""
    return nearest(word, _BY_NAME)
