"""Google Cloud Storage, through its XML API.

Who may sign in is found as Google's own tools find it: the file that the destination names, the
application default credentials, the metadata service of a machine at Google.

Source: Google Cloud Storage, "XML API"; Google Cloud, "How Application Default Credentials works".
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rivet.destinations.base import DestinationCapabilities
from rivet.destinations.object_client import ObjectClient, StoreKind, client_options, store_uri
from rivet.destinations.object_errors import missing_credentials
from rivet.destinations.object_store import CALL_TIMEOUT_S, ObjectDestination
from rivet.destinations.store_access import StoreOptions, answers, may_use, plain_remarks
from rivet.errors import ConfigError
from rivet.openfile import read_regular
from rivet.redact import register_secret

if TYPE_CHECKING:
    from obstore.store import GCSCredential, RetryConfig

__all__ = ["CAPABILITIES", "Options", "open"]

CAPABILITIES: Final = DestinationCapabilities(
    name="gcs", is_listable=True, has_atomic_put=True, call_timeout_s=CALL_TIMEOUT_S
)

_KIND: Final = StoreKind(scheme="gs", has_md5_etags=True, has_new_copy=True)
_METADATA: Final = ("169.254.169.254", 80)
_WELL_KNOWN: Final = "~/.config/gcloud/application_default_credentials.json"
_MAX_BYTES: Final = 1024 * 1024
_OF_THE_CLIENT: Final = frozenset({"service_account", "authorized_user"})


class Options(StoreOptions):
    """Keys of a `gcs` destination."""

    credentials_file: str | None = None


def place(options: Options, *, base_dir: Path | None = None) -> str:  # noqa: ARG001
    """Return what `uri` would be, without asking the store."""
    return store_uri(_KIND, options.bucket, options.prefix)


def open(options: Options, *, base_dir: Path | None = None) -> ObjectDestination:  # noqa: A001
    """Open a prefix of a bucket and prove that it can be written.

    Args:
        options: `prefix` without placeholders.
        base_dir: What `credentials_file` is relative to.

    Raises:
        ConfigError: The credentials cannot be read, or the endpoint would be spoken to without TLS.
        DestinationAuthError: There are no credentials, or they are not accepted.
        DestinationError: It cannot be written.
    """
    from obstore.store import GCSStore

    place = f"gs://{options.bucket}"
    is_http = may_use(options.endpoint, place, allow_http=options.allow_http)
    config: dict[str, Any] = {}
    if options.endpoint:
        config["base_url"] = options.endpoint
    if options.allow_anonymous:
        # Told to sign nothing, the client would ask a metadata service before it writes.
        config["credential_provider"] = _nobody
    else:
        named = options.credentials_file
        path = None if named is None else (base_dir or Path.cwd()) / Path(named).expanduser()
        config |= _credentials(path, place)

    def connect(retries: RetryConfig) -> GCSStore:
        return GCSStore(
            options.bucket,
            client_options=client_options(allow_http=is_http),
            retry_config=retries,
            **config,
        )

    client = ObjectClient(connect, _KIND, options.bucket, options.prefix)
    remarks = plain_remarks(options.endpoint)
    opened = ObjectDestination(client, options.oneshot_budget_mb, remarks)
    opened.probe()
    return opened


def _nobody() -> GCSCredential:
    return {"token": "anonymous", "expires_at": None}


def _credentials(named: Path | None, place: str) -> dict[str, Any]:
    """Return how to sign in."""
    variable = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    found = named or (Path(variable) if variable else None)
    well_known = Path(_WELL_KNOWN).expanduser()
    path = found or (well_known if well_known.is_file() else None)
    if path is None:
        is_off = os.environ.get("NO_GCE_CHECK", "").lower() == "true"
        if is_off or not answers(*_METADATA):
            looked = "GOOGLE_APPLICATION_CREDENTIALS, gcloud's files or a metadata service"
            raise missing_credentials(place, looked)
        return {}
    kind = _kind_of(path, place)
    if kind in _OF_THE_CLIENT:
        return {"application_credentials": str(path)}
    return {"credential_provider": _signed_in(path, kind, place)}


def _kind_of(path: Path, place: str) -> str:
    """Return the type of a credentials file, whose secrets no message repeats from here on."""
    try:
        told = json.loads(read_regular(path, max_bytes=_MAX_BYTES))
    except (OSError, ValueError) as error:
        msg = f"{place}: the credentials in {path} cannot be read"
        raise ConfigError(msg, hint="check the path and the rights of the file") from error
    values = told if isinstance(told, dict) else {}
    for key in ("private_key", "client_secret", "refresh_token"):
        register_secret(str(values.get(key, "")))
    return str(values.get("type", ""))


def _signed_in(path: Path, kind: str, place: str) -> object:
    """Return how credentials sign in that the client does not know, by Google's library."""
    try:
        import google.auth
        from obstore.auth.google import GoogleCredentialProvider
    except ImportError as error:
        msg = f"{place}: the credentials in {path} are of the type '{kind}'"
        hint = "install `google-auth` and `requests` beside Rivet, or use a service account's key"
        raise ConfigError(msg, hint=hint) from error
    credentials, _ = google.auth.load_credentials_from_file(
        str(path), scopes=["https://www.googleapis.com/auth/devstorage.read_write"]
    )
    return GoogleCredentialProvider(credentials=credentials)
