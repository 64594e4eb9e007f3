"""Object client: the requests that one prefix of a bucket needs, each with its errors translated.

A name is a list of steps below the prefix, so that no request reaches an object beside it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from rivet.destinations.object_errors import code_of, is_missing, store_errors
from rivet.destinations.store_retry import Retries
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
    "steps",
]

OWN_MARK: Final = "rivetupload"
"""Metadata key of a random word, by which an upload knows its own object again."""
OWN_MD5: Final = "rivetmd5"
"""Metadata key of the MD5 of an object that was put whole."""

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
    """Return how the client sends a part again: after 5xx, 429 or a lost connection."""
    return {
        "max_retries": 8,
        "backoff": {
            "init_backoff": timedelta(milliseconds=200),
            "max_backoff": timedelta(seconds=10),
            "base": 2,
        },
        "retry_timeout": timedelta(seconds=180),
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
        connect: Makes the client, bound to the bucket, given how it is to try again by itself.
        kind: Which store it is.
        bucket: The bucket's name, or the container's.
        prefix: Where the objects are; empty is the whole bucket.

    Attributes:
        store: For single requests, which are made again by `tried`.
        uploads: For parts, which only the client itself can send again.
        tried: Makes requests again that fail for the moment.
        is_closed: Nothing is asked any more.
        uri: Scheme, bucket and prefix, unescaped, as manifests have it.
        prefix: Without slashes at its ends.
    """

    def __init__(
        self, connect: Callable[[RetryConfig], Any], kind: StoreKind, bucket: str, prefix: str
    ) -> None:
        self.store = connect({"max_retries": 0})
        self.uploads = connect(retries())
        self.tried = Retries()
        self.is_closed = False
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

        def attempt() -> str | None:
            self.refuse_closed()
            with store_errors("cannot write", self.uri_of(name)):
                try:
                    done = obstore.put(
                        self.store,
                        self.key(name),
                        data,
                        attributes=attributes,
                        mode="create" if is_new else "overwrite",
                        use_multipart=False,
                    )
                except (BaseError, OSError) as error:
                    if is_new and code_of(error) == "NotImplemented":
                        self._has_new_put = False  # an older server that speaks S3
                        return None
                    raise
            return done["e_tag"]

        return self.tried(attempt)

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

        def attempt() -> bytes | None:
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

        return self.tried(attempt)

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

        def attempt() -> Any | None:  # noqa: ANN401
            with store_errors("cannot look at", self.uri_of(name)):
                try:
                    return obstore.get(self.store, key, options={"head": True})
                except FileNotFoundError as error:
                    if not is_missing(error):
                        raise
                    return None

        return self.tried(attempt)

    def copy(self, name: str, new_name: str) -> None:
        """Have the store copy an object where nothing is in the way.

        Raises:
            ObjectExistsError: The new name is taken, and not by this copy.
            DestinationError: It failed.
        """
        import obstore

        key, new_key = self.key(name), self.key(new_name)
        has_new_copy = self.kind.has_new_copy
        if not has_new_copy and self._look(new_name) is not None:
            raise self.taken(new_name)

        def attempt() -> None:
            with store_errors("cannot move", self.uri_of(name)):
                obstore.copy(self.store, key, new_key, overwrite=not has_new_copy)

        try:
            self.tried(attempt)
        except ObjectExistsError:  # perhaps by an attempt that was not answered
            if not self._are_same(name, new_name):
                raise

    def _are_same(self, name: str, new_name: str) -> bool:
        one, other = self._look(name), self._look(new_name)
        if one is None or other is None or one.meta["size"] != other.meta["size"]:
            return False
        told, seen = one.attributes, other.attributes
        marks = [key for key in (OWN_MARK, OWN_MD5) if key in told]
        return bool(marks) and all(told[key] == seen.get(key) for key in marks)

    def remove(self, name: str) -> None:
        """Remove one object; one that does not exist is not an error."""
        import obstore

        key = self.key(name)

        def attempt() -> None:
            with store_errors("cannot remove", self.uri_of(name)):
                try:
                    obstore.delete(self.store, key)
                except FileNotFoundError as error:
                    if not is_missing(error):
                        raise

        self.tried(attempt)

    def refuse_closed(self) -> None:
        """Stop right before something would be written.

        Raises:
            DestinationError: It was closed, by who did not wait for this call.
        """
        if self.is_closed:
            msg = f"{self.uri}: nothing is written any more, the destination was closed"
            raise DestinationError(msg)

    def taken(self, name: str) -> ObjectExistsError:
        """Return the error that says that a name is taken."""
        msg = f"{self.uri_of(name)} is already there; it was left as it is"
        return ObjectExistsError(msg, hint="run again: every run writes under new names")
