"""Buckets of the stores that tests run, looked into by plain HTTP: not by what is being tested."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import os
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree as ET

KINDS: Final = {"moto": "s3", "ministack": "s3", "gcs": "gcs", "azure": "azure"}
# A secret with whatever breaks naive quoting; no output of anything may hold it.
ACCESS_KEY: Final = "RIVETTESTACCESSKEY"
SECRET_KEY: Final = "s3cr3t/+=&%41?#:@ '\"<tag>"
AZURE_ACCOUNT: Final = "rivettests"
AZURE_KEY: Final = b"a key that opens nothing but the tests"
_TIMEOUT_S: Final = 60
_AZURE_VERSION: Final = "2021-12-02"
# moto looks whether a request is signed, and neither server by whom.
_SIGNED: Final = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=tests/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0"
}
_NUMBERS: Final = itertools.count(1)


@dataclass(frozen=True)
class Answer:
    """What a store said: status, body, headers in small letters."""

    status: int
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True)
class Bucket:
    """One bucket (on Azure: container) of a store.

    Attributes:
        store: The server: `moto`, `ministack`, `gcs`, `azure`.
        endpoint: Its address.
        name: The bucket's.
    """

    store: str
    endpoint: str
    name: str

    @property
    def kind(self) -> str:
        """The destination's type: `s3`, `gcs`, `azure`."""
        return KINDS[self.store]

    @property
    def env(self) -> dict[str, str]:
        """Variables that `block` names, and those that keep the machine's own settings out."""
        return {
            "RIVET_TEST_ACCESS_KEY": ACCESS_KEY,
            "RIVET_TEST_SECRET_KEY": SECRET_KEY,
            "RIVET_TEST_ACCOUNT_KEY": base64.b64encode(AZURE_KEY).decode(),
        }

    def block(self, prefix: str = "", endpoint: str | None = None) -> dict[str, Any]:
        """Return a `destination:` block for a prefix of it.

        Args:
            prefix: Where the objects go.
            endpoint: Another address that leads to the store, such as a proxy's.
        """
        address = endpoint or self.endpoint
        own: dict[str, Any] = {
            "s3": {
                "region": "us-east-1",
                "access_key_env": "RIVET_TEST_ACCESS_KEY",
                "secret_key_env": "RIVET_TEST_SECRET_KEY",
            },
            "gcs": {"allow_anonymous": True},
            "azure": {"account_name": AZURE_ACCOUNT, "account_key_env": "RIVET_TEST_ACCOUNT_KEY"},
        }[self.kind]
        if self.kind == "azure":
            address += f"/{AZURE_ACCOUNT}"
        return {
            "type": self.kind,
            "bucket": self.name,
            "prefix": prefix,
            "endpoint": address,
            **own,
        }

    def put_many(self, keys: list[str]) -> None:
        """Store empty objects, by a few connections that are kept."""

        def some(first: int) -> None:
            with closing(self._connected()) as connection:
                for key in keys[first::4]:
                    answer = self._asked(connection, "PUT", key, b"", None, {})
                    assert answer.status in {200, 201}, answer

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(some, range(4)))

    def ask(
        self,
        method: str,
        key: str = "",
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        **query: str,
    ) -> Answer:
        """Send one request about the bucket, or about an object of it."""
        with closing(self._connected()) as connection:
            return self._asked(connection, method, key, body, headers, query)

    def _connected(self) -> HTTPConnection:
        return HTTPConnection(urlsplit(self.endpoint).netloc, timeout=_TIMEOUT_S)

    def _asked(
        self,
        connection: HTTPConnection,
        method: str,
        key: str,
        body: bytes,
        headers: dict[str, str] | None,
        query: dict[str, str],
    ) -> Answer:
        path = f"/{self.name}" + (f"/{quote(key, safe='/~')}" if key else "")
        headers = {**_SIGNED, **(headers or {})} if self.kind == "s3" else dict(headers or {})
        if self.kind == "azure":
            path = f"/{AZURE_ACCOUNT}{path}"
            query = query | _account_sas()
            if method == "PUT" and key:
                headers.setdefault("x-ms-blob-type", "BlockBlob")
        connection.request(method, f"{path}?{urlencode(query)}", body, headers)
        answer = connection.getresponse()
        told = {name.lower(): text for name, text in answer.getheaders()}
        return Answer(answer.status, answer.read(), told)

    def objects(self, prefix: str = "", *, page: int = 1000) -> dict[str, int]:
        """Return the size of every object whose name begins so, asked for by pages."""
        if self.kind == "azure":
            blobs = self._blobs(prefix, page)
            return {name: size for name, size in blobs.items() if size is not None}
        found: dict[str, int] = {}
        query = {"list-type": "2", "prefix": prefix, "max-keys": str(page)}
        while True:
            root = _parsed(self.ask("GET", **query))
            for one in root.iter("Contents"):
                found[one.findtext("Key") or ""] = int(one.findtext("Size") or 0)
            token = root.findtext("NextContinuationToken")
            if root.findtext("IsTruncated") != "true" or token is None:
                return found
            query["continuation-token"] = token

    def uploads(self) -> list[str]:
        """Return the names for which parts lie in the store that belong to no object."""
        if self.kind == "azure":
            return sorted(name for name, size in self._blobs("").items() if size is None)
        root = _parsed(self.ask("GET", uploads=""))
        return sorted(one.findtext("Key") or "" for one in root.iter("Upload"))

    def read(self, key: str) -> bytes:
        """Return an object's bytes."""
        answer = self.ask("GET", key)
        assert answer.status == 200, answer
        return answer.body

    def put(self, key: str, body: bytes) -> None:
        """Store an object as somebody else would."""
        answer = self.ask("PUT", key, body)
        assert answer.status in {200, 201}, answer

    def _blobs(self, prefix: str, page: int = 1000) -> dict[str, int | None]:
        """Return the size of every blob, None of those that are parts only."""
        found: dict[str, int | None] = {}
        query = {"restype": "container", "comp": "list", "prefix": prefix, "maxresults": str(page)}
        for include in ("uncommittedblobs", ""):
            marker = ""
            while True:
                asked = {**query, "include": include} if include else query
                root = _parsed(self.ask("GET", **asked, **({"marker": marker} if marker else {})))
                for one in root.iter("Blob"):
                    size = int(one.findtext("Properties/Content-Length") or 0)
                    found[one.findtext("Name") or ""] = None if include else size
                marker = root.findtext("NextMarker") or ""
                if not marker:
                    break
        return found


def fresh_bucket(store: str, endpoint: str) -> Bucket:
    """Make a bucket that no other test of this run has."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    made = Bucket(store, endpoint, f"b{worker}-{os.getpid()}-{next(_NUMBERS)}")
    query = {"restype": "container"} if made.kind == "azure" else {}
    answer = made.ask("PUT", **query)
    assert answer.status in {200, 201}, answer
    return made


def _parsed(answer: Answer) -> ET.Element:
    assert answer.status == 200, answer
    return ET.fromstring(re.sub(rb' xmlns="[^"]*"', b"", answer.body.removeprefix(b"\xef\xbb\xbf")))


def _account_sas() -> dict[str, str]:
    """Return the query that lets one request of an Azure account do anything."""
    told = {"sp": "rwdlac", "ss": "b", "srt": "sco", "se": "2100-01-01T00:00:00Z"}
    fields = [AZURE_ACCOUNT, told["sp"], told["ss"], told["srt"], "", told["se"], "", ""]
    text = "\n".join([*fields, _AZURE_VERSION, "", ""])
    signed = hmac.digest(AZURE_KEY, text.encode(), hashlib.sha256)
    return {**told, "sv": _AZURE_VERSION, "sig": base64.b64encode(signed).decode()}
