"""Which revision the tables are at, and the way up to the newest.

The toolkit (SQLAlchemy, Alembic) is imported only when there is a migration to run: a store that is
up to date costs one small query.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rivet.errors import StateVersionError
from rivet.state.fresh import REVISION

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

    from rivet.state.database import Database

REVISIONS: Final = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    REVISION,
)
"""Every revision this Rivet knows, oldest first; a test holds it against the migration files."""

MIGRATIONS: Final = Path(__file__).parent / "migrations"

# Alembic keeps the migration it runs in a module-level proxy: one thread at a time.
_one_at_a_time = threading.Lock()


def ensure_current(database: Database) -> bool:
    """Bring the tables to the newest revision, if they are not there yet.

    Safe while any number of processes do the same: each migration is one transaction that holds
    the database's write lock, looks at the revision again inside it, and commits the tables
    together with their revision. A process that dies leaves the revision before or after.

    Args:
        database: Open.

    Returns:
        True where the store was new or older, False where nothing had to be done.

    Raises:
        StateVersionError: The tables were made by a newer Rivet, or by another program.
        StateError: The database refused.
    """
    found = database.revision()
    if found == REVISION:
        return False
    _check_known(found, database.location)
    if found is None:
        # Another process may have been first: its tables are as good.
        database.create()
        if database.revision() == REVISION:
            return True
    import alembic.migration
    import alembic.operations
    import alembic.script  # noqa: F401  # before the lock: others wait for it

    with _one_at_a_time, database.migrating():
        engine = database.migration_engine()
        try:
            while True:
                with engine.begin() as connection:
                    if not _one_step(connection, database):
                        break
        finally:
            engine.dispose()
    return True


def _check_known(found: str | None, location: str) -> None:
    if found is None or found in REVISIONS:
        return
    msg = (
        f"the state store {location} has schema revision {found}, "
        f"this Rivet knows revisions up to {REVISION}"
    )
    hint = "run: pip install --upgrade pyrivet"
    raise StateVersionError(msg, code="RIVET_STATE_SCHEMA_NEWER", hint=hint)


def _one_step(connection: Connection, database: Database) -> bool:
    """Run the next migration inside the caller's transaction; False where none is left."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    database.prepare_migration(connection)
    scripts = _scripts()
    context = MigrationContext.configure(
        connection,
        opts={
            "script": scripts,
            "version_table_schema": database.schema,
            "fn": lambda current, _: scripts._upgrade_revs("+1", current),  # noqa: SLF001
        },
    )
    current = context.get_current_revision()
    _check_known(current, database.location)
    if current == REVISION:
        return False
    with Operations.context(context):
        context.run_migrations(schema=database.schema)
    return True


def _scripts() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(MIGRATIONS), version_locations=[str(MIGRATIONS / "versions")])
