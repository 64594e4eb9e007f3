"""The one way to open a MySQL or MariaDB session; every command comes through here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.sources.mysql.address import connection_parameters, public_key, tls_context
from rivet.sources.mysql.link import open_link
from rivet.sources.mysql.session import MysqlSession

if TYPE_CHECKING:
    from rivet.model.source import SessionSettings, SourceAddress


def check_address(address: SourceAddress) -> None:
    """Refuse an address that cannot be right; no name is looked up.

    Raises:
        ConfigError: The URL, the TLS settings or the server's key are not valid.
    """
    parameters = connection_parameters(address)
    if parameters.tls is not None and parameters.socket is None:
        tls_context(parameters.tls, address.base_dir)
    public_key(address)


def connect(address: SourceAddress, settings: SessionSettings) -> MysqlSession:
    """Open a session with its text settings, limits and read-only mode in force.

    Raises:
        ConfigError: The URL or the TLS settings are not valid.
        SourceAuthError: The server refused the user, the password or the certificate.
        SourceUnavailableError: The server cannot be reached or has no free slot.
        SourceError: The server is too old, or did not take a setting that exact values need.
    """
    return MysqlSession(open_link(address, settings), address, settings)
