"""The sink of object stores against a real server: parts, marks, checksums, neighbours, closing."""

from __future__ import annotations

import hashlib
import os
import pickle
import random

import pytest
from pyarrow import fs

from rivet.destinations import open_destination
from rivet.destinations.object_client import etag_of
from rivet.destinations.object_sink import PART_BYTES, Budget
from rivet.errors import (
    ConfigError,
    DestinationAuthError,
    DestinationError,
    DestinationUnavailableError,
    ObjectExistsError,
)
from rivet.model.sink import SinkRef
from support.buckets import ACCESS_KEY, SECRET_KEY
from support.children import wait_until
from support.faultproxy import Fault, FaultProxy
from support.stores import make_bucket

EVERY_STORE = pytest.mark.parametrize("bucket", ["moto", "gcs", "azure"], indirect=True)
BODY = random.Random(7).randbytes(2 * PART_BYTES + 4321)


@pytest.fixture
def bucket(request):
    """Make a bucket on moto, or on the stores that a test asks for."""
    return make_bucket(getattr(request, "param", "moto"))


@pytest.fixture
def opened(bucket, monkeypatch):
    """Open destinations in the bucket, and close them at the end."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in bucket.env.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, os.devnull)
    found = []

    def make(prefix="", **keys):
        block = bucket.block(prefix) | keys
        found.append(open_destination(SinkRef(block.pop("type"), block)))
        return found[-1]

    yield make
    for one in found:
        one.close()


def left(bucket):
    """Return uploads that nobody ended; Azure has no way to end them, and forgets them."""
    return [] if bucket.kind == "azure" else bucket.uploads()


def large(destination, name):
    sink = destination.create(name)
    for start in range(0, len(BODY), 1_000_003):
        sink.write(BODY[start : start + 1_000_003])
    return sink


@EVERY_STORE
def test_parts_leave_while_bytes_are_written_and_nobody_sees_them(bucket, opened):
    destination = opened("out")
    sink = large(destination, "a.parquet")
    wait_until(lambda: "out/a.parquet" in bucket.uploads())  # parts are sent side by side
    sink.prepare()
    assert list(bucket.objects()) == []
    info = sink.publish()
    assert (info.size_bytes, info.uri) == (len(BODY), destination.uri + "/a.parquet")
    assert bucket.read("out/a.parquet") == BODY
    assert left(bucket) == []
    if bucket.kind == "s3":
        tag = bucket.ask("HEAD", "out/a.parquet").headers["etag"].strip('"')
        parts = [BODY[at : at + PART_BYTES] for at in range(0, len(BODY), PART_BYTES)]
        assert tag == etag_of([hashlib.md5(part).digest() for part in parts], is_whole=False)


@EVERY_STORE
@pytest.mark.parametrize("how", ["abort", "close", "taken"])
def test_what_is_not_published_leaves_no_parts(bucket, opened, how):
    destination = opened("out")
    destination.put_bytes(b"first", "a")
    sink = large(destination, "a")
    sink.prepare()
    if how == "taken":
        with pytest.raises(ObjectExistsError):
            sink.publish()
    if how == "close":
        destination.close()
        with pytest.raises(DestinationError):
            sink.publish()
        with pytest.raises(DestinationError):
            destination.put_bytes(b"late", "b")
    sink.abort()
    assert left(bucket) == []
    assert bucket.read("out/a") == b"first"
    assert list(bucket.objects()) == ["out/a"]


def test_what_waits_beyond_the_budget_is_the_same_afterwards(bucket, opened):
    destination = opened("", oneshot_budget_mb=1)
    bodies = {f"part-{number}": bytes([number]) * 700_000 for number in range(4)}
    sinks = []
    for name, body in bodies.items():
        sink = destination.create(name)
        sink.write(body)
        sink.prepare()
        sinks.append(sink)
    for sink in reversed(sinks):
        sink.publish()
    assert {name: bucket.read(name) for name in list(bucket.objects())} == bodies


def test_a_budget_is_given_back():
    budget = Budget(10)
    assert budget.take(10)
    assert not budget.take(1)
    budget.give_back(10)
    assert budget.take(1)


@EVERY_STORE
def test_opening_leaves_nothing_behind(bucket, opened):
    opened("out")
    assert list(bucket.objects()) == []
    assert left(bucket) == []


@EVERY_STORE
@pytest.mark.parametrize("prefix", ["orders", "orders/", "/orders//"])
def test_a_neighbour_is_never_touched(bucket, opened, prefix):
    for key in ("orders_old/a", "orders.json", "orders/a", "orders/b/c", "a"):
        bucket.put(key, b"x")
    destination = opened(prefix)
    assert [found.name for found in destination.walk()] == ["a", "b/c"]
    for found in list(destination.walk()):
        destination.remove(found.name)
    assert list(bucket.objects()) == ["a", "orders.json", "orders_old/a"]
    with pytest.raises(DestinationError):
        destination.remove("../a")


def test_without_a_prefix_the_names_are_the_keys(bucket, opened):
    destination = opened("")
    destination.put_bytes(b"x", "a/b")
    assert [found.uri for found in destination.walk()] == [f"{destination.uri}/a/b"]
    assert list(bucket.objects()) == ["a/b"]


def test_objects_of_others_that_cannot_be_named_are_told_of(bucket, opened):
    destination = opened("out")
    bucket.put("out/a//b", b"x")
    with pytest.raises(DestinationError, match="empty or dotted step"):
        list(destination.walk())


@EVERY_STORE
def test_a_move_replaces_nothing(bucket, opened):
    destination = opened("out")
    destination.put_bytes(b"one", "a")
    destination.put_bytes(b"two", "b")
    with pytest.raises(ObjectExistsError):
        destination.move("a", "b")
    destination.move("a", "q/a")
    assert {key: bucket.read(key) for key in list(bucket.objects())} == {
        "out/b": b"two",
        "out/q/a": b"one",
    }


def test_what_the_store_has_is_compared_with_what_was_sent(bucket, opened):
    destination = opened("out")
    destination.put_bytes(b"plain", "proves-that-tags-are-plain")
    inner = destination._destination
    bucket.put("out/a", b"body")
    digest = hashlib.md5(b"BODY").digest()
    for size, words in ((4, "checksum"), (5, "size")):
        bucket.put("out/a", b"body")
        with pytest.raises(DestinationUnavailableError, match=words) as caught:
            inner._client.confirmed("a", size, [digest], None, is_whole=True)
        assert caught.value.error_code == "RIVET_DESTINATION_CHECKSUM"
        assert destination.stat("a") is None


def test_a_reference_holds_no_secret(bucket):
    block = bucket.block(prefix="out")
    ref = SinkRef(block.pop("type"), block)
    assert SECRET_KEY.encode() not in pickle.dumps(ref)
    assert pickle.loads(pickle.dumps(ref)) == ref


def test_pyarrow_takes_the_uris_that_are_printed(bucket, opened):
    names = ["a b+c%20=é#x.parquet", "day=2024-01-01/part.parquet"]
    destination = opened("odd #1 %41/é")
    uris = []
    for name in names:
        sink = destination.create(name)
        sink.write(name.encode())
        uris.append(sink.publish().uri)
    assert [found.uri for found in destination.walk()] == uris
    reader = fs.S3FileSystem(
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        endpoint_override=bucket.endpoint,
        region="us-east-1",
    )
    for name, uri in zip(names, uris, strict=True):
        with reader.open_input_stream(uri.removeprefix("s3://")) as file:
            assert file.read() == name.encode()


REFUSED = [
    ({"bucket": "rivet-nobody-has-this"}, DestinationError, "there is no such bucket"),
    ({"secret_key_env": "RIVET_TEST_NOT_SET"}, ConfigError, "RIVET_TEST_NOT_SET is not set"),
    ({"endpoint": "http://10.255.255.1"}, ConfigError, "without TLS"),
    ({"endpoint": "store.example.com"}, ConfigError, "not an address"),
    ({"prefix": "a/../b"}, DestinationError, "not a name inside"),
    (
        {"access_key_env": None, "secret_key_env": None, "aws_profile": "nobody"},
        ConfigError,
        "there is no AWS profile 'nobody'",
    ),
]


@pytest.mark.parametrize(("keys", "error", "words"), REFUSED)
def test_what_cannot_be_opened_says_why(bucket, opened, keys, error, words):
    with pytest.raises(error, match=words) as caught:
        opened(**{"prefix": "out"} | keys)
    assert caught.value.hint or "not a name" in words
    assert SECRET_KEY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_without_credentials_it_says_where_they_were_looked_for(opened, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(DestinationAuthError, match="no credentials were found") as caught:
        opened(access_key_env=None, secret_key_env=None)
    assert caught.value.error_code == "RIVET_DESTINATION_NO_CREDENTIALS"


def test_a_profile_of_the_shared_files_signs_in(bucket, opened, monkeypatch, tmp_path):
    keys = tmp_path / "credentials"
    keys.write_text(f"[other]\naws_access_key_id = k%1\naws_secret_access_key = {SECRET_KEY}\n")
    config = tmp_path / "config"
    config.write_text(f"[profile other]\nregion = eu-west-1\nendpoint_url = {bucket.endpoint}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    none = {"access_key_env": None, "secret_key_env": None, "endpoint": None, "region": None}
    destination = opened("out", **none, aws_profile="other")
    destination.put_bytes(b"x", "a")
    assert list(bucket.objects()) == ["out/a"]
    assert destination._destination._client.store.config["region"] == "eu-west-1"


KINDS_OF_REQUESTS = ["put", "get", "head", "list", "copy", "delete", "part", "complete"]


@pytest.mark.parametrize(
    ("bucket", "fault"),
    [
        ("moto", Fault(status=503)),
        ("moto", Fault(reset_answer_after=0)),
        ("azure", Fault(reset_answer_after=0)),
        ("gcs", Fault(reset_after=0)),
    ],
    indirect=["bucket"],
    ids=str,
)
def test_a_request_that_fails_once_is_made_again(bucket, opened, fault):
    with FaultProxy(bucket.endpoint) as proxy:
        destination = opened("out", endpoint=bucket.block(endpoint=proxy.url)["endpoint"])
        failed = set()

        def once(request):
            if request.kind in failed or request.kind not in KINDS_OF_REQUESTS:
                return None
            failed.add(request.kind)
            return fault

        proxy.plan = once
        destination.put_bytes(b"small", "a")
        sink = destination.create("new")
        sink.write(b"new")
        sink.publish()
        assert large(destination, "large").publish().size_bytes == len(BODY)
        assert destination.get("a", max_bytes=99) == b"small"
        destination.move("a", "b")
        destination.remove("new")
        assert {found.name for found in destination.walk()} == {"b", "large"}
        assert destination.retries >= len({"put", "get", "list", "copy", "delete"} & failed)
    assert bucket.read("out/large") == BODY
    assert set(bucket.objects()) == {"out/b", "out/large"}


@pytest.mark.parametrize("bucket", ["gcs"], indirect=True)
def test_a_listing_goes_on_after_the_last_object_that_was_seen(bucket, opened):
    names = [f"out/p{number:04d}" for number in range(1001)]
    for name in names:
        bucket.put(name, b"")
    with FaultProxy(bucket.endpoint) as proxy:
        destination = opened("out", endpoint=proxy.url)
        proxy.plan = lambda request: (
            Fault(truncate_after=100)
            if request.kind == "list" and proxy.seen["list"] in {1, 3}
            else None
        )
        assert [f"out/{found.name}" for found in destination.walk()] == names
