"""Where a source is and how a session on it must behave."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from rivet.redact import Secret


class TlsMode(StrEnum):
    """How a connection is protected; names as in the configuration."""

    DISABLE = "disable"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """The `tls:` block of a source."""

    mode: TlsMode = TlsMode.VERIFY_FULL
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class SourceAddress:
    """A resolved source: where it is and with what secrets; its repr shows none of them.

    Either `url` or the structured fields are set, as in the configuration.

    Attributes:
        engine: The canonical engine name, such as `postgresql`.
        url: The connection URL with its credentials.
        tls: None where the configuration has no `tls:` block.
        server_public_key: File of the key (PEM) that a password may be encrypted with.
        base_dir: Folder of the configuration, for relative paths inside the address.
        options: Engine-specific settings, already validated.
    """

    engine: str
    url: Secret | None = None
    host: str | None = None
    port: int | None = None
    user: str | None = None
    password: Secret | None = None
    database: str | None = None
    tls: TlsOptions | None = None
    server_public_key: Path | None = None
    base_dir: Path = field(default_factory=Path)


class OpenEnd(Protocol):
    """The server's end of a connection that is closed here and that the server has not ended."""

    def is_over(self) -> bool:
        """Whether the server has ended it by now."""
        ...

    def close(self) -> None:
        """Wait for it no longer."""
        ...


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How one session behaves on the server.

    Attributes:
        statement_timeout_s: The most seconds one statement may run; 0 is no limit.
        lock_timeout_s: The most seconds a statement may wait for a lock; 0 is no limit.
        connect_timeout_s: The most seconds to wait for a connection.
        read_timeout_s: The most seconds the server may be silent while it owes an answer or the
            next bytes of one; 0 is no limit.
        application_name: What the server's activity views show.
        variables: Server settings that the user chose by name, such as `TimeZone`; they hold in
            every statement that reads, and the engine has not set them otherwise.
        end_wait_s: The most seconds to wait, when a session is closed, until the server has ended
            it; 0 is not at all.
        keep_end: Given the server's end of a session that it has not ended by then.
        may_connect: Entered around a connection beside the session, such as one that cancels; gives
            whether there may be one. None is always.
        is_stopped: Asked now and then while a connection is waited for: whoever wanted it is gone.
        on_wait: Told in plain words what is waited for, once that takes long; from any thread.
    """

    statement_timeout_s: float = 300.0
    lock_timeout_s: float = 30.0
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 3600.0
    application_name: str = "rivet"
    variables: Mapping[str, str] = field(default_factory=dict)
    end_wait_s: float = 0.0
    keep_end: Callable[[OpenEnd], None] | None = field(default=None, compare=False)
    may_connect: Callable[[], AbstractContextManager[bool]] | None = field(
        default=None, compare=False
    )
    is_stopped: Callable[[], bool] | None = field(default=None, compare=False)
    on_wait: Callable[[str], None] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class SharedSnapshot:
    """An instant that other sessions may enter while its owner is in it.

    Attributes:
        token: The engine's own name of it.
        position: Its place in the source's history.
        began_at_s: When it began, in seconds since the epoch; None where that is not known.
    """

    token: str
    position: Position | None = None
    began_at_s: float | None = None

    def to_json(self) -> str:
        """Return it as text, for another process."""
        place = self.position
        told = None if place is None else [place.engine, place.kind, place.text]
        return json.dumps([self.token, told, self.began_at_s])

    @classmethod
    def from_json(cls, text: str) -> SharedSnapshot:
        """Return what `to_json` wrote."""
        token, told, began_at_s = json.loads(text)
        return cls(str(token), None if told is None else Position(*told), began_at_s)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a source's history; compared by its engine only, never as text."""

    engine: str
    kind: str
    text: str
    is_approximate: bool = True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a read sees: one instant of the source.

    Attributes:
        number: From 1, in the order in which a run began its snapshots.
        position: Its place in the source's history, where the engine has one.
    """

    number: int
    position: Position | None
