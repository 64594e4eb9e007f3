"""`source:`: where the data is and how to reach it."""

# ruff: noqa: TC001 - the models' annotations are read when they are built

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from rivet.config.base import Flag, Port, Positive, SecretText, Section, Text
from rivet.config.engines import TYPE_WORDS
from rivet.config.tuning import TuningConfig
from rivet.model.source import TlsMode


class TlsConfig(Section):
    """How the connection is protected."""

    mode: TlsMode = Field(
        default=TlsMode.VERIFY_FULL,
        description="disable: none; require: encrypted, server not checked; verify-ca: its "
        "certificate is checked; verify-full: its host name too.",
    )
    ca_file: Text | None = Field(
        default=None, description="PEM file of a private authority, relative to the configuration."
    )
    accept_invalid_certs: Flag = Field(
        default=False, description="Do not check the certificate; not together with a mode."
    )
    accept_invalid_hostnames: Flag = Field(
        default=False, description="Do not check the host name; not together with a mode."
    )

    @property
    def effective_mode(self) -> TlsMode:
        """The mode once the accept_* switches are taken into account."""
        if "mode" in self.model_fields_set:
            return self.mode
        if self.accept_invalid_certs:
            return TlsMode.REQUIRE
        return TlsMode.VERIFY_CA if self.accept_invalid_hostnames else self.mode


class MongoConfig(Section):
    """Settings of document sources."""

    json_flavour: Literal["relaxed", "canonical"] = Field(
        default="relaxed", alias="json", description="Flavour of extended JSON."
    )
    read_concern: Literal["server", "snapshot"] = Field(
        default="server", description="Read concern of the session."
    )
    no_cursor_timeout: Flag = Field(
        default=True, description="Keep idle cursors open on the server."
    )
    page_size: Positive | None = Field(
        default=None, description="Read by pages of this many documents."
    )
    resume: Flag = Field(default=False, description="Resume at the last page; needs page_size.")


def _switch(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    if isinstance(value, bool):
        return "on" if value else "off"
    return value


SessionValue = Annotated[Text, BeforeValidator(_switch)]


class SourceConfig(Section):
    """The database: a URL in one of three ways, separate fields, or a file."""

    type: Annotated[str, Field(json_schema_extra={"enum": list(TYPE_WORDS)})] = Field(
        description="Kind of database."
    )
    url: SecretText | None = Field(
        default=None,
        description="Connection URL; prefer url_env, so that no password is in this file.",
    )
    url_env: Text | None = Field(
        default=None, description="Environment variable that holds the URL."
    )
    url_file: Text | None = Field(
        default=None, description="File that holds the URL, relative to the configuration."
    )
    host: Text | None = Field(default=None, description="Server name or address.")
    port: Port | None = Field(
        default=None, description="Server port; the engine's own default without it."
    )
    user: Text | None = Field(default=None, description="Database user.")
    password: SecretText | None = Field(
        default=None, description="Password in plain text; prefer password_env."
    )
    password_env: Text | None = Field(
        default=None, description="Environment variable that holds the password."
    )
    database: Text | None = Field(default=None, description="Database name.")
    path: Text | None = Field(
        default=None,
        description="Database file, relative to the configuration; for engines of one file.",
    )
    service: Text | None = Field(
        default=None, description="Name of an entry in the libpq service file, in place of a URL."
    )
    environment: Literal["local", "replica", "production"] | None = Field(
        default=None,
        description="What kind of server it is; chooses the tuning profile where none is set.",
    )
    tuning: TuningConfig | None = Field(default=None, description="Defaults for all exports.")
    session: dict[Text, SessionValue] = Field(
        default_factory=dict,
        description="Settings of the server's sessions, such as TimeZone: what queries and views "
        "mean by them; the role's own hold without it.",
    )
    tls: TlsConfig | None = Field(default=None, description="Protection of the connection.")
    server_public_key: Text | None = Field(
        default=None,
        description="PEM file of a MySQL server's public key, relative to the configuration: the "
        "password may be encrypted with it where there is no TLS.",
    )
    mongo: MongoConfig | None = Field(default=None, description="Settings of document sources.")
