"""An independent reader of finished files: DuckDB, so that Rivet is not its own only witness.

The one module outside the engines that may use this driver; docs/adr says why. Must not read
through any of Rivet's own code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rivet.errors import DataIntegrityError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_READERS: Final = {
    "parquet": "SELECT count(*) FROM read_parquet($1)",
    # A CSV holds text only until a reader decides otherwise: types are not what is counted here.
    "csv": (
        "SELECT count(*) FROM read_csv($1, header = true, all_varchar = true, delim = ',',"
        " quote = '\"', escape = '\"', strict_mode = true)"
    ),
}


def count_rows(paths: Sequence[Path], format_name: str) -> int:
    """Count the rows of files together; 0 for no files.

    Args:
        paths: Files of one format.
        format_name: `parquet` or `csv`.

    Raises:
        MissingExtraError: DuckDB is not installed.
        DataIntegrityError: DuckDB cannot read one of the files.
    """
    try:
        import duckdb
    except ModuleNotFoundError as error:
        msg = "reading the files back needs the package 'duckdb', which is not installed"
        raise MissingExtraError(msg, hint="run: pip install 'pyrivet[demo]'") from error
    if not paths:
        return 0
    with duckdb.connect() as connection:
        try:
            row = connection.execute(
                _READERS[format_name], [[str(path) for path in paths]]
            ).fetchone()
        except duckdb.Error as error:
            msg = f"DuckDB cannot read {paths[0].name} or its siblings as {format_name}: {error}"
            hint = "run the export again, then count again"
            raise DataIntegrityError(msg, hint=hint) from error
    return int(row[0]) if row else 0
