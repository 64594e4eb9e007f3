"""A private S3 server for tests: moto in a process of its own, and an independent client."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from support.children import wait_until

KEY, SECRET = "rivet-test-key", "s3-T3st/secret+key"
ENVIRONMENT = {"RIVET_TEST_S3_KEY": KEY, "RIVET_TEST_S3_SECRET": SECRET}
_numbers = count()


@dataclass(frozen=True)
class Bucket:
    """A bucket of the server, looked into by boto3."""

    endpoint: str
    name: str
    client: Any

    def block(self, **keys: Any) -> dict[str, Any]:
        """Return a `destination:` block for it."""
        return {
            "type": "s3",
            "bucket": self.name,
            "endpoint": self.endpoint,
            "region": "us-east-1",
            "access_key_env": "RIVET_TEST_S3_KEY",
            "secret_key_env": "RIVET_TEST_S3_SECRET",
        } | keys

    def names(self, prefix: str = "") -> list[str]:
        """Return the keys of all objects."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=prefix
        )
        return [found["Key"] for page in pages for found in page.get("Contents", ())]

    def body(self, key: str) -> bytes:
        """Return an object's bytes."""
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def unfinished(self) -> list[str]:
        """Return the keys of uploads that were neither completed nor aborted."""
        found = self.client.list_multipart_uploads(Bucket=self.name)
        return [upload["Key"] for upload in found.get("Uploads", ())]


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory):
    """Run the server for the session."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    log = tmp_path_factory.mktemp("moto") / "log"
    with log.open("wb") as out:
        program = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        server = subprocess.Popen(program, stdout=out, stderr=out, env=os.environ | ENVIRONMENT)
    try:
        wait_until(lambda: _answers(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def bucket(s3_endpoint, monkeypatch):
    """Make a bucket of the test's own, and let the environment hold its keys."""
    import boto3

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    client = boto3.client(
        "s3",
        endpoint_url=s3_endpoint,
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    )
    name = f"rivet-{os.getpid()}-{next(_numbers)}"
    client.create_bucket(Bucket=name)
    return Bucket(s3_endpoint, name, client)
