"""The server and the tables that every case of the benchmark reads.

A private cluster on a loopback port, everything cached, nothing synced to disk.
"""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import cpu_of_server
from rivet.scaffold.private_server import PrivateServer, private_server

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCRIPT = Path(__file__).with_name("fixture.sql")
_MANY_SCRIPT = Path(__file__).with_name("many.sql")
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "shared_buffers": "2GB",
    "max_wal_size": "4GB",
    "max_connections": "200",
    "jit": "off",
}


@dataclass(frozen=True)
class Fixture:
    """The running server.

    Attributes:
        url: Address over TCP, as every peer understands it.
        port: The port in it.
        rows: Table to its row count.
        version: Version of the server.
        postmaster: Process id of the server's first process.
    """

    server: PrivateServer
    url: str
    port: str
    rows: dict[str, int]
    version: str
    postmaster: int

    def fill_many(self, empties: int, shares: int) -> None:
        """Make the tables of many exports: empty ones, and shares of `lineitem` of equal size."""
        self.server.run_script(_MANY_SCRIPT, {"empties": empties, "shares": shares})

    def cpu_s(self) -> float:
        """Return the processor seconds that the server has used so far, all processes."""
        return cpu_of_server(self.postmaster)

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results needs to know of the tables."""
        size = "SELECT pg_table_size('{}')"
        tables = {
            name: {"rows": rows, "mb": round(int(self.server.ask(size.format(name))) / 1e6)}
            for name, rows in self.rows.items()
        }
        return {"postgresql": self.version, "tables": tables}


@contextmanager
def fixture(lineitem_rows: int, wide_rows: int) -> Iterator[Fixture]:
    """Start the server and fill it; about a minute for the full size."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    rows = {"lineitem": lineitem_rows, "wide": wide_rows}
    with private_server({**_SETTINGS, "port": port}) as server:
        started = time.monotonic()
        print(f"filling the tables: {lineitem_rows:,} and {wide_rows:,} rows ...", flush=True)
        server.run_script(_SCRIPT, rows)
        print(f"  {time.monotonic() - started:.0f} s", flush=True)
        yield Fixture(
            server=server,
            url=f"postgresql://rivet:rivet@127.0.0.1:{port}/shop",
            port=port,
            rows=rows,
            version=server.ask("SHOW server_version"),
            postmaster=int((server.home / "data/postmaster.pid").read_text().split("\n", 1)[0]),
        )
