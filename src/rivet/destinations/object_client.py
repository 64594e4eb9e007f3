"""Object client: the requests that one prefix of a bucket needs, each with its errors translated.

A name is a list of steps below the prefix, so that no request reaches an object beside it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from rivet.destinations.object_errors import code_of, is_lost, is_missing, store_errors
from rivet.errors import DestinationError, DestinationUnavailableError, ObjectExistsError
from rivet.model.sink import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from obstore import Attributes
    from obstore.store import ClientConfig, RetryConfig

__all__ = [
    "OWN_MARK",
    "OWN_MD5",
    "ObjectClient",
    "StoreKind",
    "client_options",
    "etag_of",
    "retries",
    "steps",
]

T = TypeVar("T")

OWN_MARK: Final = "rivetupload"
"""Metadata key of a random word, by which an upload knows its own object again."""
OWN_MD5: Final = "rivetmd5"
"""Metadata key of the MD5 of an object that was put whole."""

_TRIES: Final = 6
_RETRY_S: Final = 180
_LONGEST_WAIT_S: Final = 5.0
_STEP: Final = re.compile(r"[\\\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class StoreKind:
    """What differs between stores.

    Attributes:
        scheme: Of its URIs, such as `s3`.
        max_parts: The most parts that an upload may have.
        has_md5_etags: An ETag may be the MD5 of what was sent.
        max_copy_bytes: The largest object that the store copies by itself.
        has_new_copy: It copies only where nothing is in the way, if asked to.
    """

    scheme: str
    max_parts: int = 10_000
    has_md5_etags: bool = False
    max_copy_bytes: int = 5 * 2**30
    has_new_copy: bool = False


def retries() -> RetryConfig:
    """Return how the client tries again what fails with 5xx, 429 or a lost connection."""
    return {
        "max_retries": 8,
        "backoff": {
            "init_backoff": timedelta(milliseconds=200),
            "max_backoff": timedelta(seconds=10),
            "base": 2,
        },
        "retry_timeout": timedelta(seconds=_RETRY_S),
    }


def client_options(*, allow_http: bool) -> ClientConfig:
    """Return the limits of one request; a part may take two minutes."""
    return {
        "allow_http": allow_http,
        "connect_timeout": timedelta(seconds=5),
        "timeout": timedelta(seconds=120),
    }


def steps(name: str) -> list[str]:
    """Return the steps of a prefix or name; empty ones and `.` are left out.

    Raises:
        DestinationError: It leads upwards, or holds a backslash or a control character.
    """
    found = [step for step in name.split("/") if step not in {"", "."}]
    if ".." in found or _STEP.search(name):
        msg = f"{name!r} is not a name inside the destination"
        raise DestinationError(msg, code="RIVET_DESTINATION_NAME")
    return found


def etag_of(digests: list[bytes], *, is_whole: bool) -> str:
    """Return the ETag that a store of plain MD5 gives to an object of these parts."""
    if is_whole:
        return digests[0].hex()
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"


def store_uri(kind: StoreKind, bucket: str, prefix: str) -> str:
    """Return scheme, bucket and prefix, unescaped."""
    within = "/".join(steps(prefix))
    return f"{kind.scheme}://{bucket}" + (f"/{within}" if within else "")


class ObjectClient:
    """One prefix of a bucket, seen through its store's client.

    Args:
        store: The client, bound to the bucket.
        kind: Which store it is.
        bucket: The bucket's name, or the container's.
        prefix: Where the objects are; empty is the whole bucket.

    Attributes:
        uri: Scheme, bucket and prefix, unescaped, as manifests have it.
        prefix: Without slashes at its ends.
    """

    def __init__(self, store: Any, kind: StoreKind, bucket: str, prefix: str) -> None:  # noqa: ANN401
        self.store = store
        self.kind = kind
        self.prefix = "/".join(steps(prefix))
        self.uri = store_uri(kind, bucket, prefix)
        self._proven: set[bool] = set()
        self._has_new_put = True

    def uri_of(self, name: str) -> str:
        """Return the URI of an object, which readers take as it is."""
        return f"{self.uri}/{name}"

    def key(self, name: str) -> str:
        """Return an object's whole name in the bucket.

        Raises:
            DestinationError: The name lies outside the prefix.
        """
        found = steps(name)
        if not name or name.startswith("/") or "/".join(found) != name:
            msg = f"{name!r} is not a name inside the destination"
            raise DestinationError(msg, code="RIVET_DESTINATION_NAME")
        return f"{self.prefix}/{name}" if self.prefix else name

    def put(
        self, data: bytes | bytearray, name: str, attributes: Attributes, *, is_new: bool
    ) -> str | None:
        """Store an object in one request; returns its ETag.

        Args:
            data: The object.
            name: Its name.
            attributes: Its metadata.
            is_new: Only where there is none of that name.

        Raises:
            ObjectExistsError: There is one.
            DestinationError: It failed.
        """
        import obstore
        from obstore.exceptions import BaseError

        with store_errors("cannot write", self.uri_of(name)):
            try:
                done = _when_lost_again(
                    lambda: obstore.put(
                        self.store,
                        self.key(name),
                        data,
                        attributes=attributes,
                        mode="create" if is_new else "overwrite",
                        use_multipart=False,
                    )
                )
            except (BaseError, OSError) as error:
                if is_new and code_of(error) == "NotImplemented":
                    self._has_new_put = False  # an older server that speaks S3
                    return None
                raise
        return done["e_tag"]

    def put_new(self, data: bytes | bytearray, name: str, attributes: Attributes) -> str | None:
        """Store an object in one request where there is none; returns its ETag.

        Raises:
            ObjectExistsError: The name is taken; nothing was changed.
            DestinationError: It failed.
        """
        if self._has_new_put:
            tag = self.put(data, name, attributes, is_new=True)
            if self._has_new_put:
                return tag
        if self.stat(name) is not None:
            raise self.taken(name)
        return self.put(data, name, attributes, is_new=False)

    def confirmed(
        self, name: str, size: int, digests: list[bytes], tag: str | None, *, is_whole: bool
    ) -> ObjectInfo:
        """Return what is stored, once it is what was sent.

        An ETag is the MD5 of what was sent or it is anything else. That it is one is proven by the
        first object that matches; from then on one that does not is a failure.

        Args:
            name: Of the object.
            size: What was sent.
            digests: The MD5 of each part.
            tag: Its ETag, where that is known.
            is_whole: It was sent in one request.

        Raises:
            DestinationUnavailableError: It is something else; it was removed.
        """
        expected = etag_of(digests, is_whole=is_whole) if self.kind.has_md5_etags else ""
        info = ObjectInfo(name=name, uri=self.uri_of(name), size_bytes=size)
        if tag is not None and tag.strip('"') == expected:
            self._proven.add(is_whole)
            return info
        found = self._head(name)
        told, seen = (found["e_tag"] or "").strip('"') if found else "", found
        if expected and told == expected:
            self._proven.add(is_whole)
        is_other = seen is None or seen["size"] != size
        if not is_other and not (is_whole in self._proven and told != expected):
            return info
        what = "its checksum differs" if not is_other else "its size differs"
        if seen is not None:
            self.remove(name)
        msg = f"{self.uri_of(name)}: what the store has is not what was sent, {what}"
        raise DestinationUnavailableError(msg, code="RIVET_DESTINATION_CHECKSUM")

    def is_own(self, name: str, mark: str) -> bool:
        """Whether an object is the one that an upload with this mark made."""
        found = self._look(name)
        return found is not None and found.attributes.get(OWN_MARK) == mark

    def get(self, name: str, *, max_bytes: int) -> bytes | None:
        """Return an object's bytes, None where it does not exist.

        Raises:
            DestinationError: It cannot be read or is larger than `max_bytes`.
        """
        import obstore

        key = self.key(name)
        with store_errors("cannot read", self.uri_of(name)):
            try:
                found = obstore.get(self.store, key)
            except FileNotFoundError as error:
                if not is_missing(error):
                    raise
                return None
            if found.meta["size"] <= max_bytes:
                return bytes(found.bytes())
        msg = f"cannot read {self.uri_of(name)}: it is larger than {max_bytes:,} bytes"
        raise DestinationError(msg, code="RIVET_DESTINATION_TOO_LARGE")

    def stat(self, name: str) -> ObjectInfo | None:
        """Return an object's size, None where it does not exist."""
        found = self._head(name)
        if found is None:
            return None
        return ObjectInfo(name=name, uri=self.uri_of(name), size_bytes=found["size"])

    def _head(self, name: str) -> Mapping[str, Any] | None:
        found = self._look(name)
        return None if found is None else cast("Mapping[str, Any]", found.meta)

    def _look(self, name: str) -> Any | None:  # noqa: ANN401 - obstore's GetResult
        import obstore

        key = self.key(name)
        with store_errors("cannot look at", self.uri_of(name)):
            try:
                return obstore.get(self.store, key, options={"head": True})
            except FileNotFoundError as error:
                if not is_missing(error):
                    raise
                return None

    def remove(self, name: str) -> None:
        """Remove one object; one that does not exist is not an error."""
        import obstore

        key = self.key(name)
        with store_errors("cannot remove", self.uri_of(name)):
            try:
                _when_lost_again(lambda: obstore.delete(self.store, key))
            except FileNotFoundError as error:
                if not is_missing(error):
                    raise

    def taken(self, name: str) -> ObjectExistsError:
        """Return the error that says that a name is taken."""
        msg = f"{self.uri_of(name)} is already there; it was left as it is"
        return ObjectExistsError(msg, hint="run again: every run writes under new names")


def _when_lost_again(call: Callable[[], T]) -> T:
    """Make a call again that lost its connection, where the client leaves that to us.

    It does so for a put on condition and for a removal. The first may find what it did before: its
    caller looks whose object is in the way.
    """
    from tenacity import (
        Retrying,
        retry_if_exception,
        stop_after_attempt,
        stop_after_delay,
        wait_random_exponential,
    )

    retrying = Retrying(
        retry=retry_if_exception(is_lost),
        stop=stop_after_attempt(_TRIES) | stop_after_delay(_RETRY_S),
        wait=wait_random_exponential(multiplier=0.2, max=_LONGEST_WAIT_S),
        reraise=True,
    )
    return retrying(call)
