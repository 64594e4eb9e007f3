"""Azure Blob Storage: block blobs in a container of a storage account.

Source: Azure Storage, "Blob service REST API"; "Create a service SAS".
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from rivet.destinations.base import DestinationCapabilities
from rivet.destinations.object_client import ObjectClient, StoreKind, client_options, store_uri
from rivet.destinations.object_store import CALL_TIMEOUT_S, ObjectDestination
from rivet.destinations.store_access import StoreOptions, may_use, plain_remarks, secret_of
from rivet.errors import ConfigError, DestinationAuthError

if TYPE_CHECKING:
    from pathlib import Path

    from obstore.store import RetryConfig

__all__ = ["CAPABILITIES", "Options", "open"]

CAPABILITIES: Final = DestinationCapabilities(
    name="azure", is_listable=True, has_atomic_put=True, call_timeout_s=CALL_TIMEOUT_S
)

_KIND: Final = StoreKind(scheme="az", max_parts=50_000, has_new_copy=True)
_SOON: Final = timedelta(minutes=60)


class Options(StoreOptions):
    """Keys of an `azure` destination."""

    account_name: str | None = None
    account_key_env: str | None = None
    sas_token_env: str | None = None


def place(options: Options, *, base_dir: Path | None = None) -> str:  # noqa: ARG001
    """Return what `uri` would be, without asking the store."""
    return store_uri(_KIND, options.bucket, options.prefix)


def open(options: Options, *, base_dir: Path | None = None) -> ObjectDestination:  # noqa: A001, ARG001
    """Open a prefix of a container and prove that it can be written.

    Args:
        options: `prefix` without placeholders; credentials are named, and read here.
        base_dir: Not used.

    Raises:
        ConfigError: A variable or the account is missing, or the endpoint would be spoken to
            without TLS.
        DestinationAuthError: The credentials are not accepted or have expired.
        DestinationError: It cannot be written.
    """
    from obstore.store import AzureStore

    place = f"az://{options.bucket}"
    is_http = may_use(options.endpoint, place, allow_http=options.allow_http)
    remarks = plain_remarks(options.endpoint)
    config: dict[str, Any] = {}
    if options.account_name is None:
        msg = f"{place}: `account_name` is missing"
        raise ConfigError(msg, hint="add the name of the storage account")
    config["account_name"] = options.account_name
    if options.endpoint:
        config["endpoint"] = options.endpoint
    if options.account_key_env:
        config["credential_type"] = "access_key"
        config["account_key"] = secret_of(options.account_key_env, place)
    elif options.sas_token_env:
        token = secret_of(options.sas_token_env, place).removeprefix("?")
        remarks += _remarks_of(token, place)
        config["credential_type"] = "sas_token"
        config["sas_key"] = token
    else:
        config["skip_signature"] = True

    def connect(retries: RetryConfig) -> AzureStore:
        return AzureStore(
            options.bucket,
            client_options=client_options(allow_http=is_http),
            retry_config=retries,
            **config,
        )

    client = ObjectClient(connect, _KIND, options.bucket, options.prefix)
    opened = ObjectDestination(client, options.oneshot_budget_mb, remarks)
    opened.probe()
    return opened


def _remarks_of(token: str, place: str) -> tuple[str, ...]:
    """Return what is to be said of a shared access signature that ends soon.

    Raises:
        DestinationAuthError: It has ended.
    """
    told = parse_qs(token).get("se", [""])[0]
    try:
        ends = datetime.fromisoformat(told)
    except ValueError:
        return ()  # of a stored policy, which the server knows
    ends = ends if ends.tzinfo else ends.replace(tzinfo=UTC)
    left = ends - datetime.now(UTC)
    if left <= timedelta():
        msg = f"{place}: the shared access signature has expired at {ends:%Y-%m-%d %H:%M} UTC"
        hint = "make a new one and run again with `--resume`"
        raise DestinationAuthError(msg, hint=hint, code="RIVET_DESTINATION_EXPIRED")
    if left > _SOON:
        return ()
    minutes = int(left.total_seconds() // 60)
    return (f"the shared access signature of {place} expires in {minutes} minutes",)
