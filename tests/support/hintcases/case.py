"""A hint, the state that it is printed in, and what is done to follow it."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rivet.config.load import load_config
from rivet.errors import RivetError
from rivet.execution.context import RunOptions
from rivet.execution.many.invocation import run_exports

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rivet.config.models import Config

Body = dict[str, Any] | str

_TABLES = """
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, day DATE, at TIMESTAMP,
    amount DECIMAL(12,2), photo BLOB);
INSERT INTO orders VALUES (1, 'a', '2024-01-01', '2024-01-01 10:00:00', 1.5, x'00'),
    (2, 'b', '2024-01-02', '2024-01-02 10:00:00', 2.5, x'01'),
    (900000000, 'c', '2024-03-02', '2024-03-02 10:00:00', 3.5, NULL);
CREATE TABLE bare (a TEXT, b TEXT);
INSERT INTO bare VALUES ('x', 'y');
"""


@dataclass(frozen=True)
class Case:
    """One hint.

    Attributes:
        text: It, as the source has it, `{}` where something is put in.
        broken: The configuration that it is printed for.
        mended: The same once the hint was followed; None where it stays as it is.
        others: What else the hint offers, each from the same state.
        begun: A configuration whose run came before.
        before: Statements that make the state that it is printed in.
        mend: Statements that follow it.
        breaks: Does to the folder what makes the state.
        mends: Does to the folder what the hint says, given its text.
        files: What lies beside the configuration.
        mended_files: The same once the hint was followed.
        env: Variables.
        mended_env: The same once the hint was followed.
        options: Of the run.
        mended_options: The same once the hint was followed.
        is_run: The configuration can be run here once it is mended; False where it is loaded only.
    """

    text: str
    broken: Body
    mended: Body | None = None
    others: tuple[Body, ...] = ()
    begun: Body | None = None
    before: str = ""
    mend: str = ""
    breaks: Callable[[Path], object] | None = None
    mends: Callable[[Path, str], object] | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    mended_files: dict[str, bytes] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    mended_env: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    mended_options: dict[str, Any] | None = None
    is_run: bool = True

    def follow(self, folder: Path) -> None:
        """Be told the hint, do what it says, and go on to a good end."""
        place = folder / "place"
        place.mkdir()
        execute(place, _TABLES)
        if self.begun is not None:
            told_by(place, self.begun, self.env, is_good=True)
        execute(place, self.before)
        _write(place, self.files)
        if self.breaks is not None:
            self.breaks(place)
        told = told_by(place, self.broken, self.env, self.options)
        found = [one for one in told if says(self.text, one)]
        assert found, f"not told: {self.text}\n{told}"
        bodies = (self.broken if self.mended is None else self.mended, *self.others)
        for body in bodies:
            kept = folder / "kept"
            shutil.copytree(place, kept) if len(bodies) > 1 else None
            self._mend(place, body, found[0])
            if len(bodies) > 1:
                shutil.rmtree(place)
                kept.rename(place)

    def _mend(self, place: Path, body: Body, told: str) -> None:
        execute(place, self.mend)
        _write(place, self.mended_files)
        if self.mends is not None:
            self.mends(place, told)
        options = self.options if self.mended_options is None else self.mended_options
        env = {**self.env, **self.mended_env}
        again = told_by(place, body, env, options, is_good=True, is_run=self.is_run)
        assert not any(says(self.text, one) for one in again)


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)


def execute(folder: Path, script: str) -> None:
    """Run statements on the source."""
    with closing(sqlite3.connect(folder / "shop.db")) as connection:
        connection.executescript(script)


def told_by(
    folder: Path,
    body: Body,
    env: dict[str, str],
    options: dict[str, Any] | None = None,
    *,
    is_good: bool = False,
    is_run: bool = True,
) -> list[str]:
    """Load a configuration and run it; return its hints and warnings."""
    path = folder / "rivet.yaml"
    path.write_text(body if isinstance(body, str) else json.dumps(body, indent=1))
    try:
        config = load_config(path, env=env)
        ended = _run(config, env, options or {}) if is_run else None
    except RivetError as error:
        if is_good:
            raise
        return [error.hint or ""]
    told = list(config.warnings)
    if ended is None:
        return told
    if ended.telling is not None:
        ended.telling.end(
            max(one.failure.exit_code if one.failure else 0 for one in ended.report.exports)
        )
    for one in ended.report.exports:
        assert one.failure is None or not is_good, one.failure
        told += one.warnings
        told += [one.failure.hint or ""] if one.failure is not None else []
    return told


def _run(config: Config, env: dict[str, str], options: dict[str, Any]) -> Any:
    given = dict(options)
    names = given.pop("names", None)
    return run_exports(config, names=names, options=RunOptions(**given), env=env)


def says(text: str, told: str) -> bool:
    """Whether what was printed holds a hint of the source."""
    pattern = ".+".join(map(re.escape, re.split(r"\{\w*\}", text.partition(": ")[2])))
    return re.search(pattern, " ".join(told.split()), re.DOTALL) is not None


def body(*exports: dict[str, Any], source: dict[str, Any] | None = None, **top: Any) -> Body:
    """Return a configuration; keys that are None are left out."""
    whole = {
        "source": {"type": "sqlite", "url": "sqlite:///shop.db"} if source is None else source,
        "exports": [_without_none({**_EXPORT, **one}) for one in exports or ({},)],
    }
    return _without_none({**whole, **top})


_EXPORT = {
    "name": "orders",
    "table": "orders",
    "format": "parquet",
    "destination": {"type": "local", "path": "out/{export}"},
}


def _without_none(given: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if value is not None}
