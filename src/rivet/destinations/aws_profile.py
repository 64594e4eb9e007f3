"""AWS profiles: the keys and settings of a profile in the shared credentials and config files.

Source: AWS SDKs and Tools Reference Guide, "Shared config and credentials files".
"""

from __future__ import annotations

import os
from configparser import ConfigParser, Error
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rivet.errors import ConfigError
from rivet.openfile import read_regular
from rivet.redact import register_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Profile", "read_profile"]

_MAX_BYTES: Final = 1024 * 1024
_OTHER_WAYS: Final = ("role_arn", "sso_session", "sso_start_url", "credential_process")


@dataclass(frozen=True, slots=True)
class Profile:
    """What a profile says.

    Attributes:
        name: Its name.
        access_key: None where it holds none.
        secret_key: None where it holds none.
        session_token: None where it holds none.
        region: The region to work in.
        endpoint: An address other than Amazon's.
        needs_more: It signs in by a role, a single sign-on or a program.
    """

    name: str = ""
    access_key: str | None = None
    secret_key: str | None = None
    session_token: str | None = None
    region: str | None = None
    endpoint: str | None = None
    needs_more: bool = False


def read_profile(name: str | None, place: str) -> Profile:
    """Read a profile of the files of this user.

    Args:
        name: Which one; None is that of `AWS_PROFILE`, else `default`, which may be missing.
        place: The destination, for messages.

    Raises:
        ConfigError: A file cannot be read, or the profile is not there.
    """
    env = os.environ
    named = name or env.get("AWS_PROFILE")
    wanted = named or "default"
    keys = _section(_file(env, "AWS_SHARED_CREDENTIALS_FILE", "credentials"), wanted)
    is_default = wanted == "default"
    heading = wanted if is_default else f"profile {wanted}"
    settings = _section(_file(env, "AWS_CONFIG_FILE", "config"), heading)
    found = {**settings, **keys}
    if not found and named:
        msg = f"{place}: there is no AWS profile '{wanted}'"
        raise ConfigError(msg, hint="correct `aws_profile`, or add it with `aws configure`")
    for key in ("aws_secret_access_key", "aws_session_token"):
        register_secret(found.get(key, ""))
    access_key = found.get("aws_access_key_id")
    return Profile(
        name=wanted,
        access_key=access_key,
        secret_key=found.get("aws_secret_access_key"),
        session_token=found.get("aws_session_token"),
        region=found.get("region"),
        endpoint=found.get("endpoint_url"),
        needs_more=access_key is None and any(found.get(way) for way in _OTHER_WAYS),
    )


def _file(env: Mapping[str, str], variable: str, name: str) -> Path:
    return Path(env.get(variable) or f"~/.aws/{name}").expanduser()


def _section(path: Path, name: str) -> dict[str, str]:
    if str(path) == os.devnull:  # the usual way to say that there is none
        return {}
    try:
        text = read_regular(path, max_bytes=_MAX_BYTES).decode("utf-8")
        parser = ConfigParser(interpolation=None, default_section="")
        parser.read_string(text)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, Error) as error:
        msg = f"the AWS file {path} cannot be read"
        raise ConfigError(msg, hint="check its text and rights") from error
    return dict(parser[name]) if parser.has_section(name) else {}
