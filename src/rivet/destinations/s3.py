"""Amazon S3, and other stores that speak its protocol.

Who may sign in is found where AWS's own tools look: the variables that the destination names, the
standard variables, profiles of the shared files, web identity, containers, the metadata service of
a machine at Amazon.

Source: Amazon S3 API Reference; AWS SDKs and Tools Reference Guide, "Standardized credential
providers".
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rivet.destinations.aws_profile import Profile, read_profile
from rivet.destinations.base import DestinationCapabilities
from rivet.destinations.object_client import (
    ObjectClient,
    StoreKind,
    client_options,
    store_uri,
)
from rivet.destinations.object_errors import missing_credentials
from rivet.destinations.object_store import CALL_TIMEOUT_S, ObjectDestination
from rivet.destinations.store_access import StoreOptions, answers, may_use, plain_remarks, secret_of
from rivet.errors import ConfigError
from rivet.openfile import read_regular

if TYPE_CHECKING:
    from obstore.store import RetryConfig, S3Credential

__all__ = ["CAPABILITIES", "Options", "open"]

CAPABILITIES: Final = DestinationCapabilities(
    name="s3", is_listable=True, has_atomic_put=True, call_timeout_s=CALL_TIMEOUT_S
)

_KIND: Final = StoreKind(scheme="s3", has_md5_etags=True)
_REGION: Final = "us-east-1"
_MAX_TOKEN_BYTES: Final = 64 * 1024
_METADATA: Final = ("169.254.169.254", 80)
_ELSEWHERE: Final = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


class Options(StoreOptions):
    """Keys of an `s3` destination."""

    region: str | None = None
    access_key_env: str | None = None
    secret_key_env: str | None = None
    session_token_env: str | None = None
    aws_profile: str | None = None


def place(options: Options, *, base_dir: Path | None = None) -> str:  # noqa: ARG001
    """Return what `uri` would be, without asking the store."""
    return store_uri(_KIND, options.bucket, options.prefix)


def open(options: Options, *, base_dir: Path | None = None) -> ObjectDestination:  # noqa: A001, ARG001
    """Open a prefix of a bucket and prove that it can be written.

    Args:
        options: `prefix` without placeholders; credentials are named, and read here.
        base_dir: Not used.

    Raises:
        ConfigError: A variable or profile is not there, or the endpoint would be spoken to without
            TLS.
        DestinationAuthError: There are no credentials, or they are not accepted.
        DestinationError: It cannot be written.
    """
    from obstore.store import S3Store

    place = f"s3://{options.bucket}"
    env = os.environ
    profile = Profile() if options.access_key_env else read_profile(options.aws_profile, place)
    endpoint = (
        options.endpoint
        or env.get("AWS_ENDPOINT_URL_S3")
        or env.get("AWS_ENDPOINT_URL")
        or profile.endpoint
    )
    region = options.region or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")
    config: dict[str, Any] = {
        "region": region or profile.region or _REGION,
        "disable_bulk_delete": True,  # one object at a time is removed, and not all stores have it
        "skip_signature": options.allow_anonymous,
    }
    is_http = may_use(endpoint, place, allow_http=options.allow_http)
    if endpoint:
        config["endpoint"] = endpoint
        config["virtual_hosted_style_request"] = False
    if not options.allow_anonymous:
        config |= _credentials(options, profile, place)

    def connect(retries: RetryConfig) -> S3Store:
        return S3Store(
            options.bucket,
            client_options=client_options(allow_http=is_http),
            retry_config=retries,
            **config,
        )

    client = ObjectClient(connect, _KIND, options.bucket, options.prefix)
    remarks = plain_remarks(endpoint)
    opened = ObjectDestination(client, options.oneshot_budget_mb, remarks)
    opened.probe()
    return opened


def _credentials(options: Options, profile: Profile, place: str) -> dict[str, Any]:
    """Return how to sign in: a function that the client calls whenever it needs to know."""
    if options.access_key_env and options.secret_key_env:
        token = options.session_token_env
        return _given(
            secret_of(options.access_key_env, place),
            secret_of(options.secret_key_env, place),
            secret_of(token, place) if token else None,
        )
    env = os.environ
    if options.aws_profile is None and env.get("AWS_ACCESS_KEY_ID"):
        return _given(
            secret_of("AWS_ACCESS_KEY_ID", place),
            secret_of("AWS_SECRET_ACCESS_KEY", place),
            secret_of("AWS_SESSION_TOKEN", place) if env.get("AWS_SESSION_TOKEN") else None,
        )
    if profile.access_key and profile.secret_key:
        return _given(profile.access_key, profile.secret_key, profile.session_token)
    if profile.needs_more:
        return {"credential_provider": _signed_in(profile, place)}
    if token_file := env.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        _check_web_identity(Path(token_file), place)
    if any(env.get(name) for name in _ELSEWHERE):
        return {}  # the client's own: read anew whenever they expire
    is_off = env.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
    if is_off or not answers(*_METADATA):
        looked = "AWS_ACCESS_KEY_ID, the AWS profile files, web identity or instance metadata"
        raise missing_credentials(place, looked)
    return {}


def _check_web_identity(path: Path, place: str) -> None:
    """Refuse what the client would wait for, or read without an end."""
    try:
        is_there = bool(read_regular(path, max_bytes=_MAX_TOKEN_BYTES).strip())
    except OSError as error:
        msg = f"{place}: the web identity token in {path} cannot be read"
        hint = "correct AWS_WEB_IDENTITY_TOKEN_FILE, or unset it"
        raise ConfigError(msg, hint=hint) from error
    if not is_there or not os.environ.get("AWS_ROLE_ARN"):
        lacks = "AWS_ROLE_ARN is not set" if is_there else f"{path} is empty"
        msg = f"{place}: no signing in by web identity, {lacks}"
        raise ConfigError(msg, hint="set both variables, or unset AWS_WEB_IDENTITY_TOKEN_FILE")


def _given(access_key: str, secret_key: str, token: str | None) -> dict[str, Any]:
    # By a function: whatever else the environment holds, such as a token of another key, is not
    # mixed in.
    def provide() -> S3Credential:
        return {
            "access_key_id": access_key,
            "secret_access_key": secret_key,
            "token": token,
            "expires_at": None,
        }

    return {"credential_provider": provide}


def _signed_in(profile: Profile, place: str) -> object:
    """Return how a profile signs in that holds no keys of its own, by AWS's library."""
    try:
        import botocore.session
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError as error:
        msg = f"{place}: the AWS profile '{profile.name}' holds no keys, it signs in another way"
        hint = "install `boto3` beside Rivet, or put keys into `access_key_env`"
        raise ConfigError(msg, hint=hint) from error
    return Boto3CredentialProvider(botocore.session.Session(profile=profile.name))
