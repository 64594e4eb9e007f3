"""Object-store errors: what an HTTP status, an error code or a lost connection of a store means.

What a client of stores raises holds addresses, and whatever a server answered. Of all that only the
status and the error code go on: both are looked up here, and nothing else is repeated.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rivet.errors import (
    DestinationAuthError,
    DestinationError,
    DestinationUnavailableError,
    ObjectExistsError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "NO_BUCKET",
    "code_of",
    "is_missing",
    "missing_credentials",
    "store_errors",
]

NO_BUCKET: Final = "RIVET_DESTINATION_NO_BUCKET"

_STATUS: Final = re.compile(r"status code: ([1-5][0-9]{2})\b")
_CODE: Final = re.compile(r"<Code>([A-Za-z0-9]{2,64})</Code>")
_TAKEN: Final = frozenset({"409", "412"})
_PASSING: Final = frozenset({"408", "429"})

_ALLOW: Final = "give these credentials the rights that the guide of this store lists"
_SIGN_IN: Final = "check the credentials that this destination uses, and which store they are for"
_RENEW: Final = "get new ones and run again with `--resume`, which keeps what is stored"
_REGION: Final = "set `destination.region` to the region of the bucket"
_BUCKET: Final = "create it, or correct `destination.bucket`"
_LATER: Final = "run again later; `--resume` keeps what is stored"
_CLOCK: Final = "set the clock of this machine"
_PROTECTED: Final = "write to a prefix that nothing protects from changes"

_Meaning = tuple[type[DestinationError], str | None, str, str]
_DENIED: Final[_Meaning] = (DestinationAuthError, None, "access denied", _ALLOW)
_REFUSED: Final[_Meaning] = (
    DestinationAuthError,
    None,
    "the credentials are not accepted",
    _SIGN_IN,
)
_EXPIRED: Final[_Meaning] = (
    DestinationAuthError,
    "RIVET_DESTINATION_EXPIRED",
    "the credentials have expired",
    _RENEW,
)
_NONE_SUCH: Final[_Meaning] = (DestinationError, NO_BUCKET, "there is no such bucket", _BUCKET)
_ELSEWHERE: Final[_Meaning] = (
    DestinationError,
    "RIVET_DESTINATION_REGION",
    "the bucket is in another region",
    _REGION,
)
_SKEWED: Final[_Meaning] = (
    DestinationAuthError,
    "RIVET_DESTINATION_CLOCK",
    "the clock of this machine is too far off",
    _CLOCK,
)
_BUSY: Final[_Meaning] = (DestinationUnavailableError, None, "the store is busy", _LATER)
_LOCKED: Final[_Meaning] = (
    DestinationAuthError,
    "RIVET_DESTINATION_LOCKED",
    "the object is protected from changes",
    _PROTECTED,
)

_CODES: Final[dict[str, _Meaning]] = {
    **dict.fromkeys(("NoSuchBucket", "ContainerNotFound", "InvalidBucketName"), _NONE_SUCH),
    **dict.fromkeys(("InvalidResourceName", "ResourceNotFound"), _NONE_SUCH),
    **dict.fromkeys(("AccessDenied", "AllAccessDisabled", "AuthorizationFailure"), _DENIED),
    **dict.fromkeys(("AuthorizationPermissionMismatch", "AccountProblem"), _DENIED),
    **dict.fromkeys(("InsufficientAccountPermissions", "UserProjectMissing"), _DENIED),
    **dict.fromkeys(("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"), _EXPIRED),
    **dict.fromkeys(("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"), _REFUSED),
    **dict.fromkeys(("AuthenticationFailed", "NoAuthenticationInformation"), _REFUSED),
    **dict.fromkeys(("InvalidSecurity", "InvalidAuthenticationInfo", "NotSignedUp"), _REFUSED),
    **dict.fromkeys(("PermanentRedirect", "AuthorizationHeaderMalformed"), _ELSEWHERE),
    **dict.fromkeys(("IllegalLocationConstraintException", "TemporaryRedirect"), _ELSEWHERE),
    **dict.fromkeys(("RequestTimeTooSkewed", "RequestExpired"), _SKEWED),
    **dict.fromkeys(("SlowDown", "ServerBusy", "InternalError", "ServiceUnavailable"), _BUSY),
    **dict.fromkeys(("RequestTimeout", "OperationTimedOut", "ConditionalRequestConflict"), _BUSY),
    **dict.fromkeys(("BlobImmutableDueToPolicy", "ObjectLocked", "RetentionPolicyNotMet"), _LOCKED),
}
_STATUSES: Final[dict[str, _Meaning]] = {"401": _REFUSED, "403": _DENIED, "301": _ELSEWHERE}


def missing_credentials(place: str, looked: str) -> DestinationAuthError:
    """Return the error of a destination for which no credentials were found.

    Args:
        place: The destination.
        looked: Where they were looked for.
    """
    msg = f"{place}: no credentials were found in {looked}"
    hint = "name their variables in the destination, or sign in on this machine as its guide says"
    return DestinationAuthError(msg, hint=hint, code="RIVET_DESTINATION_NO_CREDENTIALS")


def code_of(error: BaseException) -> str:
    """Return the store's error code, `NotImplemented` for example; empty where it gave none."""
    found = _CODE.search(str(error))
    return found[1] if found else ""


def is_missing(error: BaseException) -> bool:
    """Whether an object is not there; a bucket that is not there is something else."""
    is_bucket = _CODES.get(code_of(error)) is _NONE_SUCH
    return isinstance(error, FileNotFoundError) and not is_bucket


@contextmanager
def store_errors(doing: str, place: str) -> Iterator[None]:
    """Translate what a store's client raises.

    Args:
        doing: What failed, such as `cannot write`.
        place: The object or the prefix, for the message.

    Raises:
        DestinationAuthError: Credentials are missing, refused or expired, or a right is.
        ObjectExistsError: The store found an object where none may be.
        DestinationUnavailableError: The store is busy or cannot be reached.
        DestinationError: Anything else.
    """
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as error:
        told = _translated(error, doing, place)
    else:
        return
    raise told  # not from what was caught: its text holds addresses and answers


def _translated(error: Exception, doing: str, place: str) -> DestinationError:
    text, code = str(error), code_of(error)
    found = _STATUS.search(text)
    status = found[1] if found else ""
    meaning = _CODES.get(code) or _meaning(text, status)
    if code == "AuthenticationFailed" and "time frame" in text:  # of a SAS
        meaning = _EXPIRED
    if meaning is None:
        return _unknown(error, f"{doing} {place}", status, code)
    cls, narrower, sentence, hint = meaning
    words = f" ({code})" if code else ""
    return cls(f"{doing} {place}: {sentence}{words}", hint=hint, code=narrower)


def _meaning(text: str, status: str) -> _Meaning | None:
    if status.startswith("5") or status in _PASSING:
        return _BUSY
    if status or "redirect without LOCATION" in text:
        return _STATUSES.get(status or "301")
    if "UnknownIssuer" in text or "InvalidCertificate" in text or "NotValidForName" in text:
        sentence = "its TLS certificate is not trusted"
        hint = "have its certificate issued by an authority that this machine trusts"
        return (DestinationError, "RIVET_DESTINATION_TLS", sentence, hint)
    if "HTTP error" in text or "timed out" in text:
        hint = "check the network and `destination.endpoint`, and run again"
        return (DestinationUnavailableError, None, "the store cannot be reached", hint)
    return None


def _unknown(error: Exception, what: str, status: str, code: str) -> DestinationError:
    from obstore.exceptions import AlreadyExistsError, InvalidPathError, NotSupportedError

    words = " ".join(word for word in (status, code) if word)
    if isinstance(error, AlreadyExistsError) or status in _TAKEN:
        hint = "run again: every run writes under new names"
        return ObjectExistsError(f"{what}: it is already there and was left as it is", hint=hint)
    if isinstance(error, InvalidPathError):
        msg = f"{what}: it holds an object with an empty or dotted step in its name"
        return DestinationError(msg, hint="move such objects out of the prefix")
    if isinstance(error, FileNotFoundError):
        return DestinationError(f"{what}: it is not there any more", hint="see who removes objects")
    if isinstance(error, NotSupportedError):
        return DestinationError(f"{what}: this store does not support that")
    msg = f"{what}: the store refused it ({words})" if words else f"{what}: the client failed"
    return DestinationError(msg, hint="look into the log of the store")
