"""A Google Cloud Storage of the tests: the part of its XML API that exports need, in memory.

Executed as `python gcsserver.py <port> <word>`; the word is only there to be seen in the list of
processes. Objects and parts are kept while it lives. What real buckets refuse is refused here too:
parts below 5 MiB but the last, unknown uploads, parts whose ETag is another's, wrong checksums.

Source: Google Cloud Storage, "XML API reference", "XML API multipart uploads".
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import secrets
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.etree import ElementTree as ET

_LEAST_PART = 5 << 20
_PAGE = 1000
_META = "x-goog-meta-"


@dataclass
class Blob:
    """One object: its bytes, ETag, generation and headers."""

    body: bytes
    etag: str
    generation: int
    headers: dict[str, str]
    time: float = field(default_factory=time.time)


@dataclass
class Upload:
    """A multipart upload that is not completed: the object's key, headers, and parts by number."""

    key: tuple[str, str]
    headers: dict[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """An answer with an error code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


class Objects:
    """All buckets; every method is called with the lock held."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.buckets: dict[str, dict[str, Blob]] = {}
        self.uploads: dict[str, Upload] = {}
        self._generations = itertools.count(int(time.time() * 1e6))

    def bucket(self, name: str) -> dict[str, Blob]:
        if name not in self.buckets:
            raise Refused(404, "NoSuchBucket")
        return self.buckets[name]

    def blob(self, bucket: str, key: str) -> Blob:
        found = self.bucket(bucket).get(key)
        if found is None:
            raise Refused(404, "NoSuchKey")
        return found

    def store(
        self, bucket: str, key: str, body: bytes, headers: dict[str, str], condition: str | None
    ) -> Blob:
        there = self.bucket(bucket).get(key)
        if condition is not None and int(condition) != (there.generation if there else 0):
            raise Refused(412, "PreconditionFailed")
        etag = headers.pop("etag", None) or hashlib.md5(body).hexdigest()
        made = Blob(body, etag, next(self._generations), headers)
        self.buckets[bucket][key] = made
        return made

    def upload(self, bucket: str, key: str, number: str) -> Upload:
        found = self.uploads.get(number)
        if found is None or found.key != (bucket, key):
            raise Refused(404, "NoSuchUpload")
        return found

    def complete(self, bucket: str, key: str, number: str, listed: bytes) -> Blob:
        upload = self.upload(bucket, key, number)
        bodies, last = [], 0
        for element in ET.fromstring(listed).iter():
            if not element.tag.endswith("Part"):
                continue
            told = {child.tag.rpartition("}")[2]: child.text or "" for child in element}
            part = int(told["PartNumber"])
            body = upload.parts.get(part)
            is_known = body is not None and hashlib.md5(body).hexdigest() == told["ETag"].strip('"')
            if body is None or not is_known or part <= last:
                raise Refused(400, "InvalidPart" if part > last else "InvalidPartOrder")
            bodies.append(body)
            last = part
        if not bodies:
            raise Refused(400, "MalformedXML")
        if any(len(body) < _LEAST_PART for body in bodies[:-1]):
            raise Refused(400, "EntityTooSmall")
        headers = {**upload.headers, "etag": f"-{secrets.token_hex(6)}"}  # opaque, as there
        made = self.store(bucket, key, b"".join(bodies), headers, None)
        del self.uploads[number]
        return made


_OBJECTS = Objects()


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Say nothing."""

    def _answer_all(self) -> None:
        length = self.headers.get("content-length")
        body = self.rfile.read(int(length)) if length else b""
        parts = urlsplit(self.path)
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        asked = dict(parse_qsl(parts.query, keep_blank_values=True))
        try:
            with _OBJECTS.lock:
                self._act(bucket, key, asked, body)
        except Refused as refused:
            text = f"<Error><Code>{refused.code}</Code></Error>".encode()
            self._answer(refused.status, text)
        self._send(*self._reply)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer_all  # noqa: N815

    def _act(self, bucket: str, key: str, asked: dict[str, str], body: bytes) -> None:
        if not key:
            self._bucket(bucket, asked)
        elif "uploads" in asked or "uploadId" in asked:
            self._upload(bucket, key, asked, body)
        elif self.command == "PUT":
            self._put(bucket, key, body)
        elif self.command == "DELETE":
            _OBJECTS.blob(bucket, key)
            del _OBJECTS.buckets[bucket][key]
            self._answer(204)
        elif self.command in {"GET", "HEAD"}:
            self._get(_OBJECTS.blob(bucket, key))
        else:
            raise Refused(405, "MethodNotAllowed")

    def _bucket(self, bucket: str, asked: dict[str, str]) -> None:
        if self.command == "PUT":
            _OBJECTS.buckets.setdefault(bucket, {})
            self._answer(200)
        elif "uploads" in asked:
            root = ET.Element("ListMultipartUploadsResult")
            for number, upload in _OBJECTS.uploads.items():
                if upload.key[0] == bucket:
                    one = ET.SubElement(root, "Upload")
                    ET.SubElement(one, "Key").text = upload.key[1]
                    ET.SubElement(one, "UploadId").text = number
            self._answer(200, ET.tostring(root))
        else:
            self._answer(200, _listing(_OBJECTS.bucket(bucket), asked))

    def _upload(self, bucket: str, key: str, asked: dict[str, str], body: bytes) -> None:
        number = asked.get("uploadId", "")
        if "uploads" in asked:
            _OBJECTS.bucket(bucket)
            number = secrets.token_urlsafe(16)
            _OBJECTS.uploads[number] = Upload((bucket, key), self._kept())
            root = ET.Element("InitiateMultipartUploadResult")
            for name, text in (("Bucket", bucket), ("Key", key), ("UploadId", number)):
                ET.SubElement(root, name).text = text
            self._answer(200, ET.tostring(root))
        elif self.command == "PUT":
            self._check(body)
            _OBJECTS.upload(bucket, key, number).parts[int(asked["partNumber"])] = body
            self._answer(200, ETag=f'"{hashlib.md5(body).hexdigest()}"')
        elif self.command == "POST":
            made = _OBJECTS.complete(bucket, key, number, body)
            root = ET.Element("CompleteMultipartUploadResult")
            ET.SubElement(root, "ETag").text = f'"{made.etag}"'
            self._answer(200, ET.tostring(root), **_facts(made))
        else:
            _OBJECTS.upload(bucket, key, number)
            del _OBJECTS.uploads[number]
            self._answer(204)

    def _put(self, bucket: str, key: str, body: bytes) -> None:
        condition = self.headers.get("x-goog-if-generation-match")
        source = self.headers.get("x-goog-copy-source")
        if source is None:
            self._check(body)
            made = _OBJECTS.store(bucket, key, body, self._kept(), condition)
            self._answer(200, **_facts(made))
            return
        old = _OBJECTS.blob(*unquote(source).lstrip("/").split("/", 1))
        headers = {**old.headers, "etag": old.etag}
        made = _OBJECTS.store(bucket, key, old.body, headers, condition)
        root = ET.Element("CopyObjectResult")
        ET.SubElement(root, "ETag").text = f'"{made.etag}"'
        self._answer(200, ET.tostring(root), **_facts(made))

    def _get(self, blob: Blob) -> None:
        start, end, status = 0, len(blob.body), 200
        extra = {
            **blob.headers,
            **_facts(blob),
            "Last-Modified": formatdate(blob.time, usegmt=True),
        }
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("range", ""))
        if wanted and wanted.group(0) != "bytes=-":
            first, last = wanted.groups()
            if first:
                start, end = int(first), min(end, int(last or end) + 1)
            else:
                start = max(0, end - int(last))
            if start >= len(blob.body):
                raise Refused(416, "InvalidRange")
            status = 206
            extra["Content-Range"] = f"bytes {start}-{end - 1}/{len(blob.body)}"
        self._answer(status, blob.body[start:end], **extra)

    def _kept(self) -> dict[str, str]:
        names = ("content-type", "content-encoding", "content-disposition", "cache-control")
        return {
            name.lower(): text
            for name, text in self.headers.items()
            if name.lower() in names or name.lower().startswith(_META)
        }

    def _check(self, body: bytes) -> None:
        md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
        told = re.findall(r"md5=([^,\s]+)", self.headers.get("x-goog-hash", ""))
        told += [self.headers["content-md5"]] if "content-md5" in self.headers else []
        if any(one != md5 for one in told):
            raise Refused(400, "BadDigest")

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self._reply = status, body, headers  # sent without the lock

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _facts(blob: Blob) -> dict[str, str]:
    return {"ETag": f'"{blob.etag}"', "x-goog-generation": str(blob.generation)}


def _listing(blobs: dict[str, Blob], asked: dict[str, str]) -> bytes:
    prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter", "")
    after = max(asked.get("continuation-token", ""), asked.get("start-after", ""))
    most = min(_PAGE, int(asked.get("max-keys", _PAGE)))
    root = ET.Element("ListBucketResult")
    seen, last, is_cut = set(), "", False
    for key in sorted(blobs, key=str.encode):
        if not key.startswith(prefix) or key <= after:
            continue
        head, cut, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
        shown = prefix + head + cut if cut else key
        if cut and (shown in seen or shown <= after):
            continue
        if len(seen) == most:
            is_cut = True
            break
        seen.add(shown)
        last = shown
        if cut:
            ET.SubElement(ET.SubElement(root, "CommonPrefixes"), "Prefix").text = shown
            last = shown + "\U0010ffff"
            continue
        one, blob = ET.SubElement(root, "Contents"), blobs[key]
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(blob.time))
        told = {"Key": key, "ETag": f'"{blob.etag}"', "Size": len(blob.body), "LastModified": stamp}
        for name, text in told.items():
            ET.SubElement(one, name).text = str(text)
    ET.SubElement(root, "IsTruncated").text = str(is_cut).lower()
    if is_cut:
        ET.SubElement(root, "NextContinuationToken").text = last
    return ET.tostring(root)


class Server(ThreadingHTTPServer):
    """Takes many connections at a time."""

    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of connections that were cut."""

    def get_request(self) -> tuple[socket.socket, object]:
        """Take a connection that waits for no more than it has to say."""
        taken, address = super().get_request()
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return taken, address


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
