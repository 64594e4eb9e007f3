"""What must hold between the keys of one destination."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import urlsplit

from rivet.config.problem import DESTINATION_AUTH, OUT_OF_RANGE, PATH_UNSAFE, Problem

if TYPE_CHECKING:
    from rivet.config.destination import DestinationConfig
    from rivet.config.export import ExportConfig

_CLOUD: Final = (
    "bucket",
    "prefix",
    "endpoint",
    "allow_anonymous",
    "allow_http",
    "oneshot_budget_mb",
    "timeout_s",
)
_KEYS: Final = {
    "local": ("path", "timeout_s"),
    "stdout": (),
    "s3": (
        *_CLOUD,
        "region",
        "access_key_env",
        "secret_key_env",
        "session_token_env",
        "aws_profile",
    ),
    "gcs": (*_CLOUD, "credentials_file"),
    "azure": (*_CLOUD, "account_name", "account_key_env", "sas_token_env"),
}
PLACEHOLDERS: Final = ("date", "export", "table", "run_id", "partition")
_OWN_SIGN_IN: Final = frozenset(
    {"access_key_env", "aws_profile", "credentials_file", "account_key_env", "sas_token_env"}
)
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")


def foreign_keys(destination: DestinationConfig) -> list[str]:
    """Return the keys of other kinds of destinations, which this one does not look at."""
    allowed = {"type", *_KEYS[destination.type]}
    given = destination.model_fields_set
    return [key for key in type(destination).model_fields if key in given and key not in allowed]


def check_destination(export: ExportConfig, path: tuple[str | int, ...], base_dir: Path) -> None:
    """Apply every rule to the destination of an export at `path`.

    Raises:
        Problem: The first rule that does not hold.
    """
    check = _Check(export, (*path, "destination"))
    check.needed_keys()
    check.safe_folder()
    if export.destination.type in {"local", "stdout"}:
        return  # what other stores would need is told as having no effect
    check.own_keys()
    check.credentials()
    check.endpoint()
    check.credentials_file(base_dir)


class _Check:
    def __init__(self, export: ExportConfig, path: tuple[str | int, ...]) -> None:
        self.destination: DestinationConfig = export.destination
        self.name = export.name
        self.path = path

    def fail(self, key: str | None, message: str, hint: str | None, code: str) -> NoReturn:
        path = (*self.path, key) if key else self.path
        full = f"export '{self.name}': {message}"
        raise Problem(path, full, hint=hint, code=code)

    def own_keys(self) -> None:
        """Refuse a key that another kind of store has, where it may be part of a way to sign in."""
        for key in foreign_keys(self.destination):
            words = f"`destination.{key}` does not go with `type: {self.destination.type}`"
            self.fail(key, words, f"remove `{key}`", OUT_OF_RANGE)

    def needed_keys(self) -> None:
        key = {"local": "path", "stdout": None}.get(self.destination.type, "bucket")
        if key and getattr(self.destination, key) is None:
            words = f"`destination.{key}` is missing"
            hint = "add `path: ./out`" if key == "path" else f"add `{key}:`"
            self.fail(None, words, hint, OUT_OF_RANGE)

    def safe_folder(self) -> None:
        for key in ("path", "prefix"):
            text = getattr(self.destination, key)
            if text is None:
                continue
            if ".." in PurePosixPath(text).parts or "\\" in text or _SCHEME.match(text):
                words = f"`destination.{key}` must be a plain folder: {text}"
                hint = "write a folder without .., \\ or a URL scheme"
                self.fail(key, words, hint, PATH_UNSAFE)
            for name in _PLACEHOLDER.findall(text):
                if name not in PLACEHOLDERS:
                    words = f"`destination.{key}` holds the unknown placeholder {{{name}}}"
                    hint = f"known: {', '.join(f'{{{known}}}' for known in PLACEHOLDERS)}"
                    self.fail(key, words, hint, OUT_OF_RANGE)

    def credentials(self) -> None:
        given = self.destination.model_fields_set
        pairs = {"access_key_env": "secret_key_env", "secret_key_env": "access_key_env"}
        for key, other in pairs.items():
            if key in given and other not in given:
                self._auth(key, f"`{key}` needs `{other}`")
        if "session_token_env" in given and "access_key_env" not in given:
            self._auth("session_token_env", "`session_token_env` needs `access_key_env`")
        if {"account_key_env", "sas_token_env"} <= given:
            words = "`account_key_env` and `sas_token_env` exclude each other"
            self._auth("sas_token_env", words)
        if self.destination.allow_anonymous and "credentials_file" in given:
            words = "`credentials_file` and `allow_anonymous` exclude each other"
            self._auth("credentials_file", words)
        has_key = "account_name" in given and given & {"account_key_env", "sas_token_env"}
        is_azure = self.destination.type == "azure"
        if is_azure and not has_key and not self.destination.allow_anonymous:
            words = "azure needs `account_name` and `account_key_env` or `sas_token_env`"
            self._auth(None, words)

    def _auth(self, key: str | None, words: str) -> NoReturn:
        self.fail(key, words, "configure one complete way to sign in", DESTINATION_AUTH)

    def endpoint(self) -> None:
        """Refuse another host, unless the credentials that it receives are named for it."""
        endpoint, given = self.destination.endpoint, self.destination.model_fields_set
        is_own = self.destination.allow_anonymous or bool(given & _OWN_SIGN_IN)
        if endpoint and not is_own and not _is_loopback(endpoint):
            self.fail(
                "endpoint",
                "`destination.endpoint` would receive the credentials of another host",
                "name those for it, such as `access_key_env`, or set `allow_anonymous: true`",
                "RIVET_CONFIG_DESTINATION_ENDPOINT_UNSAFE",
            )

    def credentials_file(self, base_dir: Path) -> None:
        name = self.destination.credentials_file
        if name is not None and not (base_dir / Path(name).expanduser()).is_file():
            words = f"`destination.credentials_file` does not exist: {name}"
            self.fail("credentials_file", words, "check the path", DESTINATION_AUTH)


def _is_loopback(endpoint: str) -> bool:
    host = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
