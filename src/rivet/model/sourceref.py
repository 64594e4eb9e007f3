"""Source reference: a source's address without its secrets, for a worker in another process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from rivet.errors import SecretNotFoundError
from rivet.model.source import SessionSettings, SourceAddress, TlsOptions
from rivet.redact import Secret, register_secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

URL_VARIABLE: Final = "RIVET_TASK_SOURCE_URL"
PASSWORD_VARIABLE: Final = "RIVET_TASK_SOURCE_PASSWORD"  # noqa: S105 - a name


@dataclass(frozen=True, slots=True)
class SourceRef:
    """Where a source is, and by which names its secrets are found; holds none of them.

    Attributes:
        engine: Canonical engine name.
        settings: How sessions behave; what they call back is not part of it.
        url_env: Variable that holds the connection URL, credentials and all; None without one.
        password_env: Variable that holds the password; None without one.
        base_dir: What relative paths are relative to.
    """

    engine: str
    settings: SessionSettings
    url_env: str | None = None
    password_env: str | None = None
    host: str | None = None
    port: int | None = None
    user: str | None = None
    database: str | None = None
    tls: TlsOptions | None = None
    server_public_key: Path | None = None
    base_dir: Path | None = None

    def resolve(self, env: Mapping[str, str]) -> SourceAddress:
        """Return the address with the secrets that an environment holds.

        Raises:
            SecretNotFoundError: A variable is not set.
        """
        places = {} if self.base_dir is None else {"base_dir": self.base_dir}
        return SourceAddress(
            self.engine,
            url=_secret(self.url_env, env),
            host=self.host,
            port=self.port,
            user=self.user,
            password=_secret(self.password_env, env),
            database=self.database,
            tls=self.tls,
            server_public_key=self.server_public_key,
            **places,
        )


def source_ref(
    address: SourceAddress, settings: SessionSettings
) -> tuple[SourceRef, dict[str, str]]:
    """Return a source without its secrets, and these by the names that the reference has."""
    secrets = {}
    if address.url is not None:
        secrets[URL_VARIABLE] = address.url.reveal()
    if address.password is not None:
        secrets[PASSWORD_VARIABLE] = address.password.reveal()
    ref = SourceRef(
        address.engine,
        replace(settings, keep_end=None, may_connect=None, is_stopped=None, on_wait=None),
        url_env=None if address.url is None else URL_VARIABLE,
        password_env=None if address.password is None else PASSWORD_VARIABLE,
        host=address.host,
        port=address.port,
        user=address.user,
        database=address.database,
        tls=address.tls,
        server_public_key=address.server_public_key,
        base_dir=address.base_dir,
    )
    return ref, secrets


def _secret(name: str | None, env: Mapping[str, str]) -> Secret | None:
    if name is None:
        return None
    value = env.get(name)
    if not value:
        msg = f"the task names a secret that its environment does not hold: {name}"
        raise SecretNotFoundError(msg, variable=name)
    register_secret(value)
    return Secret(value)
